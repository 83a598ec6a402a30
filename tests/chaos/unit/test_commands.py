"""What people type becomes the plan of a fault."""

from __future__ import annotations

import unittest
from typing import Any
from unittest import mock

from lib import commands
from lib.cluster import Cluster
from lib.faults import FAULTS, Fault, Plan


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


class Playing(unittest.TestCase):
    def acts(self, lasting: float | None, interrupted: bool) -> list[str]:
        """What is done to the cluster, in order."""
        done: list[str] = []

        def begin(cluster: Cluster, plan: Plan) -> None:
            done.append("begin")
            if interrupted:
                raise KeyboardInterrupt

        fault = Fault("a fault", begin, lambda cluster, plan: done.append("end"))
        with mock.patch.dict(FAULTS, {"kill": fault}), mock.patch.object(commands, "say"):
            try:
                commands.play(mock.create_autospec(Cluster, instance=True), Plan("kill", [1]), lasting)
            except KeyboardInterrupt:
                done.append("interrupted")
        return done

    def test_with_a_duration_it_ends_also_when_its_beginning_is_interrupted(self) -> None:
        self.assertEqual(self.acts(None, interrupted=False), ["begin"])
        self.assertEqual(self.acts(0, interrupted=False), ["begin", "end"])
        self.assertEqual(self.acts(0, interrupted=True), ["begin", "end", "interrupted"])
        self.assertEqual(self.acts(None, interrupted=True), ["begin", "interrupted"])


if __name__ == "__main__":
    unittest.main()
