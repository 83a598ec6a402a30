"""Quorate: `quorate cluster start --nodes 3`, with its defaults."""

import json
from contextlib import ExitStack
from pathlib import Path

from ..process import Failed, environment, said
from .system import System

DURABLE = {
    "sync": "sync (the default): acknowledged puts are synced on two disks",
    "interval(100ms)": "interval(100ms): acknowledged puts are on two nodes, synced every 100 ms",
}


class Quorate(System):
    name = "quorate"
    title = "Quorate"
    protocol = "quorate"

    def __init__(self, binary: Path, durability: str, commit: str) -> None:
        super().__init__()
        self.binary = binary
        self.commit = commit
        self.durability = DURABLE[durability]
        self.configuration = "3 nodes, N=3, put and get QUORUM, all else at its default"
        self.env = environment("QUORATE_")
        if durability != "sync":
            self.env["QUORATE_STORE__DURABILITY"] = durability

    def missing(self) -> str | None:
        return None

    def version(self) -> str:
        return f"{said([self.binary, '--version']).split()[-1]}, commit {self.commit}"

    def start(self, stack: ExitStack, folder: Path, port: int) -> None:
        cluster = folder / "cluster"
        stack.callback(self.stop, cluster)
        said([self.binary, "cluster", "start", "--nodes", "3", "--dir", cluster, "--base-port", str(port)], 90, self.env)
        status = json.loads(said([self.binary, "cluster", "status", "--dir", cluster, "-o", "json"], env=self.env))
        self.nodes = [node["native"] for node in status["nodes"]]
        self.pids = [node["pid"] for node in status["nodes"]]

    def stop(self, cluster: Path) -> None:
        """`cluster stop` kills what does not end in time."""
        if not (cluster / "cluster.toml").exists():
            return
        try:
            said([self.binary, "cluster", "stop", "--dir", cluster], 90, self.env)
        except Failed as failed:
            print(failed)
