"""How scripts end, and how they read what people type."""

from __future__ import annotations

import contextlib
import io
import unittest
from collections.abc import Callable

from lib.words import CannotHere, Failed, exit_code


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


if __name__ == "__main__":
    unittest.main()
