"""Each judge accepts a good history and rejects a doctored one."""

from __future__ import annotations

import unittest
from typing import ClassVar

from lib.checkers import adds, carts, registers, updates, winners
from lib.history import NO, UNKNOWN
from lib.judge import CHECKERS, judge
from lib.replicas import Held

from .make import op, same, torn


class Adds(unittest.TestCase):
    good: ClassVar = [op("add", "a"), op("add", "b"), op("add", "u", UNKNOWN), op("add", "r", NO)]

    def test_everything_acknowledged_is_there_and_the_unknown_may_be(self) -> None:
        for held in (same("a", "b"), same("a", "b", "u")):
            self.assertEqual(adds.check(self.good, held).violations, [])

    def test_an_acknowledged_one_that_is_missing_is_lost_even_on_one_replica(self) -> None:
        for held in (same("a"), torn({"a"}, {"a", "b"}), {}):
            self.assertGreaterEqual(len(adds.check(self.good, held).lost), 1)

    def test_what_nobody_wrote_or_was_refused_is_a_phantom(self) -> None:
        for phantom in ("x", "r"):
            self.assertEqual(len(adds.check(self.good, same("a", "b", phantom)).phantom), 1)

    def test_a_retry_must_not_make_a_second_sibling(self) -> None:
        held = {"k": Held(3, {"a", "b"}, {"a", "b"}, {"a"})}
        self.assertEqual(len(adds.check(self.good, held).wrong), 1)


class Updates(unittest.TestCase):
    good: ClassVar = [op("write", "a"), op("write", "a b"), op("write", "a u", UNKNOWN), op("write", "a r", NO)]

    def test_elements_may_be_spread_over_siblings(self) -> None:
        for held in (same("a b"), same("a b", "a u"), same("a", "b")):
            self.assertEqual(updates.check(self.good, held).violations, [])

    def test_an_acknowledged_element_that_nobody_carries_is_lost(self) -> None:
        self.assertEqual(len(updates.check(self.good, same("a u")).lost), 1)
        self.assertEqual(len(updates.check(self.good, torn({"a"}, {"a", "a b"})).lost), 1)

    def test_a_refused_element_must_not_appear(self) -> None:
        self.assertEqual(len(updates.check(self.good, same("a b", "a r")).phantom), 1)


class Registers(unittest.TestCase):
    def reads(self, shown: list[str], at: float = 5, until: float = 6, outcome: str = "ok") -> list[str]:
        writes = [op("write", "1", at=1), op("write", "2", at=2), op("write", "3", UNKNOWN, at=3)]
        writes += [op("write", "4", NO, at=4), op("write", "5", at=5.5, until=7)]
        read = op("read", outcome=outcome, at=at, until=until, seen=shown)
        return registers.check([*writes, read], same("5")).violations

    def test_a_read_shows_the_last_one_or_one_that_is_under_way(self) -> None:
        for shown in (["2"], ["3"], ["2", "3"], ["5"]):
            self.assertEqual(self.reads(shown), [], shown)
        self.assertEqual(self.reads([], outcome=UNKNOWN), [])
        self.assertEqual(self.reads([], at=0, until=0.5), [])

    def test_a_read_must_not_miss_what_was_acknowledged_before_it(self) -> None:
        for shown in (["1"], []):
            self.assertEqual(len(self.reads(shown)), 1, shown)

    def test_a_read_must_not_show_what_was_refused_or_had_not_begun(self) -> None:
        for shown in (["4"], ["2", "4"], ["9"]):
            self.assertIn("refused" if "4" in shown else "nobody had begun", " ".join(self.reads(shown)))

    def test_reads_do_not_go_back(self) -> None:
        history = [op("write", "1", at=1), op("write", "2", UNKNOWN, at=2)]
        history += [op("read", at=3, seen=["2"]), op("read", at=4, seen=["1"])]
        self.assertEqual(len(registers.check(history, same("2")).wrong), 1)
        side_by_side = [*history[:2], op("read", at=3, until=5, seen=["2"]), op("read", at=4, seen=["1"])]
        self.assertEqual(registers.check(side_by_side, same("2")).violations, [])

    def test_the_end_holds_what_was_acknowledged_or_read(self) -> None:
        history = [op("write", "1", at=1), op("write", "2", UNKNOWN, at=2)]
        self.assertEqual(registers.check(history, same("1")).violations, [])
        self.assertEqual(len(registers.check(history, {}).lost), 1)
        self.assertEqual(len(registers.check(history, torn(set(), {"1"})).lost), 1)
        shown = [*history, op("read", at=3, seen=["1", "2"])]
        self.assertEqual(len(registers.check(shown, same("1")).lost), 1)


    def test_the_end_holds_nothing_that_was_refused_or_that_nobody_wrote(self) -> None:
        history = [op("write", "1", at=1), op("write", "2", NO, at=2)]
        for held in (same("1", "2"), same("1", "9"), torn({"1"}, {"1", "2"}), same("1") | same("1", key="another")):
            verdict = registers.check(history, held)
            self.assertEqual((len(verdict.phantom), verdict.lost), (1, []), held)


class Winners(unittest.TestCase):
    good: ClassVar = [op("write", "a", at=1), op("write", "b", at=2, seen=["a"]), op("write", "c", at=2)]

    def test_one_wins_and_losses_are_only_counted(self) -> None:
        for held in (same("b"), same("c")):
            self.assertEqual(winners.check(self.good, held).violations, [])
        # A wrong clock may do this to those who had seen nothing.
        blind = [op("write", "a", at=1), op("write", "b", at=2)]
        verdict = winners.check(blind, same("a"))
        self.assertEqual(verdict.violations, [])
        self.assertEqual(verdict.counts["later ones that lost to an earlier one"], 1)

    def test_several_winners_none_or_a_stranger_are_wrong(self) -> None:
        for held in (same("b", "c"), torn(set(), {"b", "c"}), {}, same("x")):
            self.assertGreaterEqual(len(winners.check(self.good, held).violations), 1)

    def test_what_was_refused_has_not_won(self) -> None:
        refused = [op("write", "a", at=1), op("write", "b", NO, at=2)]
        self.assertEqual(len(winners.check(refused, same("b")).phantom), 1)

    def test_a_key_that_nobody_wrote_is_a_phantom(self) -> None:
        held = same("b") | same("a", key="another")
        self.assertEqual(len(winners.check(self.good, held).phantom), 1)

    def test_who_had_seen_the_winner_has_won(self) -> None:
        self.assertEqual(len(winners.check(self.good, same("a")).wrong), 1)


class Carts(unittest.TestCase):
    good: ClassVar = [op("add", "a"), op("add", "b"), op("delete", at=1, seen=["a"]), op("add", "c", at=2)]

    def test_what_a_delete_saw_is_gone_and_the_rest_stays(self) -> None:
        self.assertEqual(carts.check(self.good, same("b", "c")).violations, [])

    def test_a_deleted_value_that_is_back_on_one_replica_is_wrong(self) -> None:
        for held in (same("a", "b", "c"), torn({"b", "c"}, {"a", "b", "c"})):
            self.assertEqual(len(carts.check(self.good, held).wrong), 1)

    def test_a_concurrent_add_survives(self) -> None:
        for held in (same("b"), torn({"b"}, {"b", "c"})):
            self.assertEqual(len(carts.check(self.good, held).lost), 1)

    def test_phantoms_and_doubles_are_told(self) -> None:
        self.assertEqual(len(carts.check(self.good, same("b", "c", "x")).phantom), 1)
        refused = [*self.good, op("add", "r", NO)]
        self.assertEqual(len(carts.check(refused, same("b", "c", "r")).phantom), 1)
        twice = {"k": Held(3, {"b", "c"}, {"b", "c"}, {"b"})}
        self.assertEqual(len(carts.check(self.good, twice).wrong), 1)

    def test_a_delete_of_unknown_outcome_may_have_happened_a_refused_one_not(self) -> None:
        for held in (same("a"), same()):
            unknown = [op("add", "a"), op("delete", outcome=UNKNOWN, at=1, seen=["a"])]
            self.assertEqual(carts.check(unknown, held).violations, [])
        refused = [op("add", "a"), op("delete", outcome=NO, at=1, seen=["a"])]
        self.assertEqual(len(carts.check(refused, same()).lost), 1)


class Nothing(unittest.TestCase):
    def test_who_judged_nothing_says_what_was_missing(self) -> None:
        for name, verdict in judge([], {}, 3, list(CHECKERS)).items():
            self.assertEqual((verdict.violations, verdict.missing), ([], list(verdict.basis)), name)
            self.assertTrue(verdict.missing, name)

    def test_refused_and_unknown_operations_are_no_basis(self) -> None:
        for outcome in (NO, UNKNOWN):
            idle = [op("add", "1", outcome), op("write", "1", outcome), op("read", outcome=outcome)]
            idle.append(op("delete", outcome=outcome))
            for check, kinds in (
                (adds.check, ("add",)),
                (updates.check, ("read", "write")),
                (registers.check, ("read", "write")),
                (winners.check, ("read", "write")),
                (carts.check, ("read", "add", "delete")),
            ):
                verdict = check([one for one in idle if one.kind in kinds], {})
                self.assertEqual(verdict.missing, list(verdict.basis))

    def test_a_good_history_misses_nothing(self) -> None:
        self.assertEqual(adds.check(Adds.good, same("a", "b")).missing, [])
        self.assertEqual(carts.check(Carts.good, same("b", "c")).missing, [])
        self.assertEqual(registers.check([op("write", "1")], same("1")).missing, ["reads"])
        self.assertEqual(carts.check([op("add", "a")], same("a")).missing, ["deletes acknowledged"])


if __name__ == "__main__":
    unittest.main()
