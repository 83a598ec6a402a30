"""Rows, ratios, goals."""

import unittest

from lib.figures import Figure, Pair, Row
from lib.goals import GOALS, judged


def run(throughput: float, **more: object) -> dict:
    base = {"throughput": throughput, "p50_us": 100, "p99_us": 900, "cpu_us": 30.0, "errors": 0, "errors_by_kind": {}}
    return base | {"load_cores": 0.4, "load_threads": 1, "idle_cores": 0.01, "other_cores": 0.02} | more


def pair(peer: str, workload: str, ours: list[dict], theirs: list[dict], multiplexed: bool = False) -> Pair:
    return Pair("sync", peer, peer, rows=[Row(workload, "64 x 1", multiplexed, ours, theirs)])


class Figures(unittest.TestCase):
    def test_a_figure_is_the_median_with_its_spread(self):
        self.assertEqual(Figure.of([3, 1, None, 2]), Figure(2, 1, 3))
        self.assertIsNone(Figure.of([None]))
        self.assertIsNone(Figure.of([]))

    def test_a_ratio_is_of_neighbours_in_time(self):
        # The machine was half as fast in the second round: for both.
        row = Row("put", "64 x 1", False, [run(400), run(200)], [run(100), run(50)])
        self.assertEqual(row.ratio(), Figure(4, 4, 4))
        # A run without its neighbour, of a pair that was given up, says nothing; nor does one without success.
        self.assertEqual(Row("put", "", False, [run(400), run(1)], [run(100)]).ratio(), Figure(4, 4, 4))
        self.assertIsNone(Row("put", "", False, [run(400)], [run(0)]).ratio())

    def test_a_client_without_cpu_left_is_told(self):
        row = Row("get", "", False, [run(1, load_cores=0.97)], [run(1, load_cores=0.97, load_threads=2)])
        self.assertEqual(row.client_was_the_limit(), (True, False))


class Goals(unittest.TestCase):
    def verdicts(self, pairs: list[Pair]) -> dict[str, str]:
        return {goal.text: verdict for goal, _, verdict in judged(pairs)}

    def test_at_least_and_at_most(self):
        def check(ours: dict, expected: tuple[str, str, str]):
            said = self.verdicts([pair("etcd", "put", [ours], [run(100, p99_us=1000)])])
            goals = [goal.text for goal in GOALS if (goal.peer, goal.workload) == ("etcd", "put")]
            self.assertEqual(tuple(said[goal] for goal in goals), expected, ours)

        check(run(400, p99_us=500, cpu_us=50.0), ("met", "met", "met"))
        check(run(399, p99_us=501, cpu_us=50.1), ("missed", "missed", "missed"))

    def test_a_pair_that_was_given_up_meets_nothing(self):
        broken = pair("etcd", "put", [run(9000)], [run(1)])
        broken.failed = "it ended"
        self.assertEqual(set(self.verdicts([broken]).values()), {"not measured"})

    def test_a_shape_is_not_taken_for_another_and_a_peer_not_for_another(self):
        said = self.verdicts([pair("redis-always", "get", [run(100)], [run(100)], multiplexed=True)])
        self.assertEqual(said["gets: at least 1 x one Redis, multiplexed"], "met")
        self.assertEqual(said["gets: at least 0.6 x one Redis, one connection a client"], "not measured")
        self.assertEqual(said["gets: at least 7 x etcd"], "not measured")
