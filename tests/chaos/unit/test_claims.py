"""The claims hold for a good run, and none of them holds for one that has seen nothing."""

from __future__ import annotations

import unittest
from argparse import Namespace
from collections.abc import Callable
from unittest import mock

from lib import observe
from lib.checkers.verdict import Verdict
from lib.claims import BEYOND, CACHE, GATE_ADDS, claims
from lib.cluster import Cluster
from lib.cycle import Cycle
from lib.faults import Plan
from lib.load import Load
from lib.report import Report
from lib.workloads import WORKLOADS

WELL = Load(100, 50, 0.9, 0.2)


def good() -> Report:
    """Two cycles and all workloads."""
    report = Report(1, "local", {})
    report.cycles = [Cycle(n, [Plan("kill", [1])], load=WELL, rest=2.0, judged=True) for n in (1, 2)]
    report.verdicts = {name: Verdict(name, counts={"acknowledged": 9}) for name in WORKLOADS}
    report.memory = {"n1": CACHE, "n2": CACHE}
    return report


def failing(change: Callable[[Report], object], cycles: int = 2, short: bool = False) -> list[str]:
    """The claims that do not hold once this has changed."""
    report = good()
    change(report)
    given = Namespace(cycles=cycles, short=short, workloads=list(WORKLOADS))
    return [what for holds, what in claims(report, given) if not holds]


class Claims(unittest.TestCase):
    def check(self, change: Callable[[Report], object], said: str) -> None:
        found = failing(change)
        self.assertEqual(len(found), 1, found)
        self.assertIn(said, found[0])

    def test_a_good_run_holds_them_all(self) -> None:
        self.assertEqual(failing(lambda report: None), [])

    def test_each_thing_that_is_wrong_breaks_its_claim(self) -> None:
        self.check(lambda r: setattr(r.cycles[0], "load", Load(100, 50, 0.9, 0)), "1 of 2 cycles count")
        self.check(lambda r: r.verdicts["carts"].lost.append("x"), "1 lost")
        self.check(lambda r: r.verdicts["carts"].phantom.append("x"), "1 phantom")
        self.check(lambda r: r.violations.update({"x": 1}), "1 violations")
        self.check(lambda r: setattr(r.cycles[1], "rest", 61.0), "at most 61.0 s after")
        self.check(lambda r: setattr(r.cycles[1], "rest", None), "in 1 cycles not before")
        self.check(lambda r: r.panics.append("x"), "1 panics")
        self.check(lambda r: r.memory.update(n2=CACHE + BEYOND + 1), "the most that a node took")

    def test_a_gate_needs_its_adds_and_its_cycles(self) -> None:
        self.assertEqual(failing(lambda r: r.verdicts["adds"].counts.update(acknowledged=GATE_ADDS), 2), [])
        self.assertEqual(len(failing(lambda r: None, 30)), 2)

    def test_what_nobody_has_seen_is_not_claimed(self) -> None:
        self.check(lambda r: setattr(r.cycles[0], "judged", False), "cycle 1 was not judged")
        self.check(lambda r: r.verdicts.pop("carts"), "the judge of carts had nothing")
        self.check(lambda r: r.verdicts["carts"].counts.clear(), "no acknowledged")
        self.check(lambda r: r.memory.update(n1=0), "the memory of n1 was never seen")
        self.check(lambda r: r.silent.append("n2"), "the log of n2 is empty")

    def test_a_run_without_a_cycle_that_counts_has_tested_nothing(self) -> None:
        gentle = Load(100, 50, 1, 0)
        for change in (lambda r: r.cycles.clear(), lambda r: [setattr(cycle, "load", gentle) for cycle in r.cycles]):
            for cycles, short in ((0, False), (2, True)):
                self.assertEqual(len(failing(change, cycles, short)), 1)
        self.assertEqual(failing(lambda r: setattr(r.cycles[0], "load", gentle), short=True), [])


class Logs(unittest.TestCase):
    def test_an_empty_log_is_not_one_without_panics(self) -> None:
        logs = {1: "ready\n", 2: "", 3: "\n"}
        cluster = mock.create_autospec(Cluster, instance=True, numbers=[1, 2, 3])
        cluster.log.side_effect = logs.get
        self.assertEqual((observe.silent(cluster), observe.panics(cluster)), (["n2", "n3"], []))


if __name__ == "__main__":
    unittest.main()
