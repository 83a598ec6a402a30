"""What people type becomes the plan of a fault."""

from __future__ import annotations

import unittest
from typing import Any
from unittest import mock

from lib import commands
from lib.faults import Plan


def played(line: str) -> tuple[Plan, float | None]:
    """The plan that a command line makes, and how long it lasts."""
    name, *arguments = line.split()
    with mock.patch.object(commands, "opened"), mock.patch.object(commands, "play") as play:
        commands.COMMANDS[name](arguments)
    _, plan, lasting = play.call_args.args
    return plan, lasting


class Plans(unittest.TestCase):
    def check(self, line: str, nodes: list[int], lasting: float | None = None, **how: Any) -> None:
        self.assertEqual(played(line), (Plan(line.split()[0], nodes, how), lasting), line)

    def test_a_command_line_becomes_a_plan(self) -> None:
        self.check("kill 1 n3 --for 2s", [1, 3], 2)
        self.check("wipe 2", [2])
        self.check("rolling-restart", [])
        self.check("loss --percent 5%", [], loss=5)
        self.check("corrupt 4 --for 1m", [4], 60, corrupt=10)
        self.check("delay 1 --by 200ms", [1], delay=0.2, jitter=0.1)
        self.check("delay 1 --jitter 0", [1], delay=0.1, jitter=0)
        self.check("partition halves 1 2 --for 5", [1, 2], 5, shape="halves")
        self.check("skew 3 --by=-30s", [3], by=-30)
        self.check("slow-disk 2", [2], delay=0.2)


if __name__ == "__main__":
    unittest.main()
