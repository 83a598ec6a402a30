"""A small run as people, programs and the eye are told of it."""

from __future__ import annotations

import json
import unittest
from xml.etree import ElementTree

from lib import report, timeline
from lib.checkers.verdict import Verdict
from lib.cycle import Cycle
from lib.faults import FAULTS, Plan
from lib.history import UNKNOWN
from lib.load import Load, Span

from .make import op


def small() -> report.Report:
    """Two cycles, of which one did not come to rest."""
    options = {"sync": "3s", "faults": ["kill", "pause"], "workloads": ["adds"], "short": False}
    made = report.Report(7, "local", options)
    kill, both = [Plan("kill", [1, 2])], [Plan("pause", [3]), Plan("skew", [1], {"by": 5})]
    made.cycles = [
        Cycle(1, kill, Span(0, 20), Span(4, 13), Load(900, 700, 0.95, 0.2), rest=2.5),
        Cycle(2, both, Span(20, 60), Span(24, 33), Load(800, 600, 0.9, 0.001), objection="2 hints are pending"),
    ]
    made.verdicts = {"adds": Verdict("unique adds", counts={"acknowledged": 1300}, lost=["adds/k: a is nowhere"])}
    made.violations = {"adds/k: a is nowhere": 2}
    made.claims = [(True, "2 of 2 cycles count"), (False, "1 lost")]
    made.memory = {"n1": 3 << 20}
    return made


class Reports(unittest.TestCase):
    def test_people_read_claims_verdicts_and_cycles(self) -> None:
        made = small()
        text = report.markdown(made, report.plain(made, "abc", "today"), "x.svg", "tests/chaos/run")
        for line in (
            "# Chaos on real processes: NOT all claims hold",
            "- ok: 2 of 2 cycles count",
            "- **FAIL**: 1 lost",
            "| unique adds | acknowledged 1,300 | 1 | 0 | 0 |",
            "- cycle 2: adds/k: a is nowhere",
            "| 1 | kill n1+n2 | 700 | 95.0% | 20.0% | 2.5 s | yes |",
            "| 2 | pause n3 and skew n1 by=5; not equal until all nodes were restarted: 2 hints are pending "
            "| 600 | 90.0% | 0.1% | **not by itself** | no |",
            "Memory, the most of each node: n1 3 MiB.",
            "- the workload `winners`: not asked for",
        ):
            self.assertIn(line, text.splitlines())

    def test_a_workload_that_was_asked_for_is_never_called_left_out(self) -> None:
        made = small()
        made.verdicts = {}
        text = report.markdown(made, report.plain(made, "abc", "today"), "x.svg", "tests/chaos/run")
        self.assertNotIn("- the workload `adds`: not asked for", text.splitlines())

    def test_programs_read_the_same(self) -> None:
        facts = json.loads(json.dumps(report.plain(small(), "abc", "today")))
        self.assertEqual([claim["holds"] for claim in facts["claims"]], [True, False])
        first, second = facts["cycles"]
        self.assertEqual((first["fault_began"], first["fault_ended"], first["ended"]), (4, 13, 20))
        self.assertEqual((first["operations"], first["equal_after"], second["equal_after"]), (900, 2.5, None))

    def test_every_fault_has_a_colour_and_every_bar_its_place(self) -> None:
        self.assertEqual(set(timeline.COLOURS), set(FAULTS))
        history = [op("add", "a", at=1), op("add", "b", UNKNOWN, at=5)]
        picture = ElementTree.fromstring(timeline.svg(small().cycles, history, "a & b"))
        bars = [mark for mark in picture if mark.tag.endswith("rect") and mark.get("fill") in timeline.COLOURS.values()]
        self.assertEqual(len(bars), 3)
        self.assertEqual({bar.get("x") for bar in bars[1:]}, {bars[2].get("x")})
        self.assertLess(float(bars[0].get("x", "")), float(bars[1].get("x", "")))


if __name__ == "__main__":
    unittest.main()
