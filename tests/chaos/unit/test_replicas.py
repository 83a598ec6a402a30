"""Reading what nodes hold, and whether they agree."""

from __future__ import annotations

import unittest

from lib import replicas
from lib.history import OK, Op
from lib.judge import judge

from .make import record


class Replicas(unittest.TestCase):
    def test_equal_records_agree_whatever_the_order_of_siblings(self) -> None:
        one, other = record("b", "k", "x", "y"), record("b", "k", "x", "y")
        other["siblings"].reverse()
        dumps = {1: [one], 2: [other], 3: [one], 4: []}
        self.assertIsNone(replicas.disagreement(dumps, 3, {"b"}))

    def test_a_different_record_a_missing_one_and_one_too_many_are_told(self) -> None:
        one = record("b", "k", "x")
        for other in (record("b", "k", "y"), record("b", "k", "x", vector=2), record("b", "k", None)):
            self.assertIn("differs", replicas.disagreement({1: [one], 2: [one], 3: [other]}, 3, {"b"}) or "")
        self.assertIn("not on 3", replicas.disagreement({1: [one], 2: [one]}, 3, {"b"}) or "")
        self.assertIn("not on 3", replicas.disagreement({n: [one] for n in range(4)}, 3, {"b"}) or "")
        self.assertIn("not on 3", replicas.disagreement({1: [one, one], 2: [one]}, 3, {"b"}) or "")
        self.assertIn("not on 3", replicas.disagreement({1: [one], 2: [one, one], 3: [one]}, 3, {"b"}) or "")
        self.assertIsNone(replicas.disagreement({1: [one]}, 3, {"another"}))

    def test_what_is_everywhere_and_what_is_anywhere(self) -> None:
        dumps = {1: [record("b", "k", "x", "y")], 2: [record("b", "k", "x", None)], 3: [record("c", "k", "z")]}
        held = replicas.held(dumps, "b", 2)["k"]
        self.assertEqual((held.everywhere, held.anywhere, held.holders), ({"x"}, {"x", "y"}, 2))
        dumps[2], dumps[1] = dumps[1], dumps[2]
        self.assertEqual(replicas.held(dumps, "b", 2)["k"].everywhere, {"x"})

    def test_nothing_is_everywhere_while_a_replica_has_no_record(self) -> None:
        dumps = {1: [record("b", "k", "x")], 2: [record("b", "k", "x")], 3: []}
        held = replicas.held(dumps, "b", 3)["k"]
        self.assertEqual((held.everywhere, held.anywhere), (set(), {"x"}))
        history = [Op("adds", "add", "k", 1, 0, 1, OK, value="x")]
        for nodes, lost in (([1, 2], 1), ([1, 2, 3], 0)):
            dumps = {node: [record("chaos-adds", "k", "x")] for node in nodes}
            self.assertEqual(len(judge(history, dumps, 3, ["adds"])["adds"].lost), lost)

    def test_a_value_twice_in_one_record_is_noticed(self) -> None:
        self.assertEqual(replicas.held({1: [record("b", "k", "x", "x")]}, "b", 1)["k"].twice, {"x"})


if __name__ == "__main__":
    unittest.main()
