"""What counts as disturbed, and which cycles count."""

from __future__ import annotations

import unittest

from lib.history import NO, OK, Op
from lib.load import Load, Span, measure

from .make import op

FAULTS = Span(10, 20)


def calm() -> list[Op]:
    """A tenth of a second each."""
    return [op("add", at=at / 10) for at in range(90)]


class Measuring(unittest.TestCase):
    def disturbed(self, outcome: str = OK, took: float = 0.1, **more: bool) -> float:
        one = op("add", outcome=outcome, at=15, until=15 + took, **more)
        return measure([*calm(), one, op("add", at=16)], FAULTS).disturbed

    def test_what_fails_stumbles_or_is_slow_is_disturbed(self) -> None:
        self.assertEqual(self.disturbed(), 0)
        for part in (self.disturbed(NO), self.disturbed(stumbled=True), self.disturbed(took=0.3)):
            self.assertEqual(part, 0.5)

    def test_without_a_calm_nothing_is_known_to_be_slow(self) -> None:
        during = [op("add", at=at) for at in range(10, 20)]
        self.assertEqual(measure(during, FAULTS).disturbed, 0)
        self.assertEqual(measure([*during, op("add", outcome=NO, at=12)], FAULTS).disturbed, 1 / 11)

    def test_only_what_began_during_the_faults_is_asked(self) -> None:
        after = op("add", outcome=NO, at=21)
        self.assertEqual(measure([*calm(), after], FAULTS), Load(91))
        self.assertEqual(measure([*calm(), after, op("add", at=12)], FAULTS), Load(92, 0, 1.0, 0.0))

    def test_a_cycle_counts_when_enough_succeeded_and_enough_were_disturbed(self) -> None:
        for succeeded, disturbed, enough in ((1, 0.01, True), (0.3, 1, True), (1, 0.009, False), (0.29, 1, False)):
            self.assertEqual(Load(9, 9, succeeded, disturbed).enough, enough)
        self.assertFalse(measure([], FAULTS).enough)


if __name__ == "__main__":
    unittest.main()
