"""Local processes on loopback: `quorate cluster`. Needs nothing but the binary; the network cannot be bent."""

from __future__ import annotations

import os
import shutil

from . import shell
from .cluster import Cluster, Facts
from .shell import program

# What `cluster start` may take, founding included.
START = 150.0


class Local(Cluster):
    """Nodes of `quorate cluster`; also of one that somebody started without these scripts."""

    backend = "local"
    no_network = (
        "local processes share one loopback, where no rule can tell who of them sent a packet; "
        "use a cluster of namespaces (tests/chaos/up --backend netns)"
    )

    @property
    def _cluster(self) -> list[str]:
        return [program(), "cluster", "--dir", str(self.folder)]

    def up(self) -> None:
        self.save()
        start = ["start", "--nodes", str(self.facts.nodes), "--base-port", str(self.facts.base_port)]
        env = dict(os.environ) | self.facts.settings
        shell.run([*self._cluster, *start, "--timeout", f"{START - 10:.0f}s"], limit=START, env=env)

    def spawn(self, number: int) -> None:
        restart = [*self._cluster, "restart", str(number), "--timeout", "1s"]
        shell.run(restart, env=self.environment(number))

    def down(self) -> None:
        super().down()
        shutil.rmtree(self.folder / "old", ignore_errors=True)


def facts_of(text: str) -> Facts:
    """The facts of a cluster that has only `cluster.toml`: three plain lines."""
    pairs = dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)
    return Facts("local", int(pairs["nodes"]), int(pairs["base_port"]))
