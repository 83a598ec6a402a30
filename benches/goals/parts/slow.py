"""One replica whose cable is slow, in network namespaces: whether the others' clients notice."""

import os
from contextlib import ExitStack
from pathlib import Path

from lib.build import ROOT
from lib.process import Failed, environment, said

from .cluster import Cluster
from .report import Report, ms

SECONDS = 12
DELAY = "100ms"
CHAOS = ROOT / "tests/chaos"
NAMESPACES = Path("/run/netns")
NATIVE = 7610
# What a slow replica may do to a p99.
TIMES = {"get": 2.0, "put": 1.3}
# Of what is possible, so that no queue is measured.
SHARE = 0.3


class Apart(Cluster):
    """Three nodes, each in a namespace of its own; clients stand at the hub between them."""

    def __init__(self, stack: ExitStack, binary: Path, folder: Path) -> None:
        self.binary, self.folder, self.size = binary, folder, 3
        self.env = environment("QUORATE_") | {"QUORATE": str(binary), "PYTHONDONTWRITEBYTECODE": "1"}
        before = set(os.listdir(NAMESPACES)) if NAMESPACES.exists() else set()
        stack.callback(self._down)
        self.chaos("up", "--backend", "netns", "--nodes", "3")
        hubs = [name for name in set(os.listdir(NAMESPACES)) - before if name.endswith("-hub")]
        if len(hubs) != 1:
            raise Failed("the hub of the namespaces is not there")
        self.hub = NAMESPACES / hubs[0]

    def chaos(self, command: str, *words: object) -> str:
        return said([CHAOS / command, *map(str, words), "--dir", self.folder], 120, self.env)

    def address(self, node: int) -> str:
        return f"10.77.0.{node}:{NATIVE}"

    def client(self) -> list:
        return ["nsenter", f"--net={self.hub}", self.binary]

    def _down(self) -> None:
        try:
            self.chaos("down")
        except Failed as failed:
            print(failed)


def measure(ground) -> Report:
    report = Report("a slow replica")
    with ExitStack() as stack:
        try:
            cluster = Apart(stack, ground.binary, ground.folder / "apart")
        except Failed as failed:
            report.tell("not measured", str(failed))
            return report
        cluster.load("put", 3)
        for workload, times in TIMES.items():
            rate = int(cluster.load(workload, 5)["throughput"] * SHARE)
            calm = cluster.load(workload, SECONDS, rate=rate)
            cluster.chaos("delay", 3, "--by", DELAY, "--jitter", "0ms")
            slow = cluster.load(workload, SECONDS, rate=rate, nodes=2)
            cluster.chaos("heal")
            errors = f", {slow['errors']:,} errors" if slow["errors"] else ""
            report.judge(
                f"{workload}, {rate:,} a second, n3 {DELAY} away: p99 at most {times:g} x the calm one",
                f"p50 {ms(calm['p50_us'])} and {ms(slow['p50_us'])}, p99 {ms(calm['p99_us'])} and {ms(slow['p99_us'])}{errors}",
                slow["p99_us"] <= times * calm["p99_us"] and slow["errors"] == 0,
            )
    return report
