"""How scripts end, and how they read what people type."""

from __future__ import annotations

import argparse
import contextlib
import io
import unittest
from collections.abc import Callable
from typing import Any

from lib.words import CannotHere, Failed, count, duration, exit_code, node_number, percent, seconds


def ending(act: Callable[[], int | None], interrupted: str = "") -> tuple[int, str]:
    """A script's exit code, and what it says to the one who typed it."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        return exit_code("kill", act, interrupted), said.getvalue()


def failing(error: BaseException) -> Callable[[], int | None]:
    def act() -> int | None:
        raise error

    return act


class Endings(unittest.TestCase):
    def test_each_ending_has_its_code_and_at_most_one_line(self) -> None:
        self.assertEqual(ending(lambda: None), (0, ""))
        self.assertEqual(ending(lambda: 1), (1, ""))
        self.assertEqual(ending(failing(CannotHere("no root"))), (2, "kill: cannot be done here: no root\n"))
        for error in (Failed("n3 is down"), OSError("n3 is down")):
            self.assertEqual(ending(failing(error)), (1, "kill: n3 is down\n"))
        self.assertEqual(ending(failing(KeyboardInterrupt())), (130, ""))
        self.assertEqual(ending(failing(KeyboardInterrupt()), "taken back"), (130, "kill: taken back\n"))


class Typing(unittest.TestCase):
    def check(self, read: Callable[[str], Any], good: dict[str, float], bad: list[str], said: str) -> None:
        parser = argparse.ArgumentParser()
        parser.add_argument("--it", type=read)
        for text, value in good.items():
            self.assertEqual(parser.parse_args([f"--it={text}"]).it, value, text)
        for text in bad:
            complaint = io.StringIO()
            with contextlib.redirect_stderr(complaint), self.assertRaises(SystemExit):
                parser.parse_args([f"--it={text}"])
            self.assertIn(said, complaint.getvalue(), text)

    def test_whoever_mistypes_is_told_what_would_be_right(self) -> None:
        self.check(seconds, {"250ms": 0.25, "10s": 10, "-2m": -120, "1": 1}, ["", "1d", "s"], "use 250ms, 10s")
        self.check(duration, {"0": 0, "1h": 3600}, ["-1s"], "cannot be negative")
        self.check(percent, {"5": 5, "2.5%": 2.5, "100%": 100}, ["101", "-1", "x", "nan"], "is no percentage")
        self.check(node_number, {"3": 3, "n12": 12}, ["0", "n", "x1", "-1"], "is no node")
        self.check(count, {"1": 1, "30": 30}, ["0", "-1", "x"], "is no number from 1")


if __name__ == "__main__":
    unittest.main()
