"""A run without nodes: what becomes of what it cannot see."""

from __future__ import annotations

import asyncio
import unittest
from argparse import Namespace
from collections.abc import Callable
from unittest import mock

from lib import runner
from lib.cluster import Cluster
from lib.cycle import Cycle
from lib.faults import Plan
from lib.history import History
from lib.report import Report
from lib.words import CannotHere


class Quiet:
    """In place of the player: cycles in which nothing happens, and the nodes hold nothing."""

    def __init__(self, *_: object) -> None:
        pass

    async def play(self, number: int, plans: list[Plan]) -> Cycle:
        await asyncio.sleep(0.01)
        return Cycle(number, plans, rest=1.0, dumps={1: []})


def played(memory: Callable[[int], int]) -> tuple[runner.Run, Report]:
    """A run of one cycle on two nodes."""
    given = Namespace(calm=0, fault=0, after=0, rate=1, seed=1, cycles=1, workloads=["adds"])
    report = Report(1, "local", vars(given))
    cluster = mock.create_autospec(Cluster, instance=True, numbers=[1, 2])
    cluster.memory.side_effect = memory
    run = runner.Run(given, cluster, report)
    with mock.patch.object(runner, "Player", Quiet), mock.patch.object(runner, "say"):
        asyncio.run(run.play([[Plan("kill", [1])]], History()))
    return run, report


class Looking(unittest.TestCase):
    def test_memory_is_the_most_that_was_seen_and_the_cycle_is_judged(self) -> None:
        run, report = played(lambda number: number * 10)
        self.assertEqual((run.memory, report.claims), ({1: 10, 2: 20}, []))
        self.assertEqual([cycle.judged for cycle in report.cycles], [True])
        self.assertEqual(list(report.verdicts), ["adds"])

    def test_who_stops_looking_at_the_memory_says_so(self) -> None:
        def memory(number: int) -> int:
            raise ValueError("no such line")

        _, report = played(memory)
        self.assertEqual([holds for holds, _ in report.claims], [False])
        self.assertIn("no such line", report.claims[0][1])


class Kinds(unittest.TestCase):
    def test_what_cannot_be_had_is_left_out_with_its_reason(self) -> None:
        cluster, left_out = mock.create_autospec(Cluster, instance=True, machines=False), ["namespaces: no root"]
        cluster.needs_network.side_effect = CannotHere("one loopback")
        self.assertEqual(runner.possible_kinds(["kill", "loss"], cluster, left_out), ["kill"])
        self.assertEqual(left_out[2], "loss: one loopback")
        self.assertTrue(left_out[1].endswith("rolling-restart: not asked for"), left_out)
        with self.assertRaisesRegex(CannotHere, "none of the faults.*one loopback"):
            runner.possible_kinds(["loss"], cluster, [])


if __name__ == "__main__":
    unittest.main()
