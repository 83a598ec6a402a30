"""Small gets at a third of what is possible, while something large goes on beside them."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from lib.process import Failed

from .cluster import Cluster
from .report import Report, ms

SECONDS = 12
# What lies there, in values of 1 KiB: something to list, compare, read and hand over.
ITEMS = 200_000
# How many puts a node misses.
HINTS = 20_000
# What a neighbour may do to the p99 of small gets.
TIMES, FLOOR_US = 3, 10_000


def measure(ground) -> Report:
    report = Report("neighbours")
    with ground.cluster(3) as cluster:
        cluster.load("get", 1, keys=ITEMS, clients=16, in_flight=16, bucket="items")
        small = {"clients": 16, "value_bytes": 100, "bucket": "small"}
        most = cluster.load("get", 5, **small)["throughput"]
        small["rate"] = int(most * 0.3)
        calm = [cluster.load("get", SECONDS, **small)["p99_us"] for _ in range(3)]
        calm = sorted(calm)[1]
        report.tell(f"small gets, {small['rate']:,} a second, nothing beside", f"p99 {ms(calm)}")
        for name, neighbour in NEIGHBOURS.items():
            cluster.rest()
            over = threading.Event()
            went = Went()
            thread = threading.Thread(target=went.watch, args=(neighbour.goes_on, cluster, over))
            neighbour.begins(cluster)
            process = cluster.begin_load("get", SECONDS, nodes=2, **small)
            thread.start()
            run = cluster.end_load(process, SECONDS)
            over.set()
            thread.join()
            if went.failed:
                raise Failed(f"{name}: {went.failed}")
            within = run["p99_us"] <= max(TIMES * calm, FLOOR_US) and run["errors"] == 0
            errors = f", {run['errors']:,} errors" if run["errors"] else ""
            report.judge(f"{name} ({went.rounds})", f"p99 {ms(run['p99_us'])}{errors}", within)
    return report


class Went:
    """How a neighbour fared."""

    def __init__(self) -> None:
        self.rounds, self.failed = "", None

    def watch(self, neighbour, cluster, over: threading.Event) -> None:
        try:
            self.rounds = neighbour(cluster, over)
        except Exception as failed:  # noqa: BLE001 - it is told where it is waited for
            self.failed = failed


@dataclass(frozen=True)
class Neighbour:
    """What goes on until the gets are over, and tells how it went; and what is to happen before them."""

    goes_on: Callable[[Cluster, threading.Event], str]
    begins: Callable[[Cluster], None] = lambda cluster: None


def again_and_again(*words: str) -> Callable[[Cluster, threading.Event], str]:
    def goes_on(cluster: Cluster, over: threading.Event) -> str:
        rounds = 0
        while not over.is_set():
            cluster.discard(*words)
            rounds += 1
        return f"{rounds} times"

    return goes_on


def puts(what: str, **options: object) -> Callable[[Cluster, threading.Event], str]:
    def goes_on(cluster: Cluster, over: threading.Event) -> str:
        run = cluster.load("put", SECONDS, **options)
        return f"{run['throughput']:,.0f} puts of {what} a second"

    return goes_on


def go_away(cluster: Cluster) -> None:
    cluster.cluster("kill", 3)
    cluster.load("put", 5, nodes=2, rate=HINTS // 5, clients=16, keys=HINTS, bucket="away")


def come_back(cluster: Cluster, over: threading.Event) -> str:
    hints = cluster.hints(nodes=2)
    cluster.cluster("restart", 3)
    began = time.monotonic()
    cluster.rest()
    return f"{hints:,} of them, none after {time.monotonic() - began:.0f} s"


def grow(cluster: Cluster, over: threading.Event) -> str:
    began = time.monotonic()
    cluster.start(4)
    cluster.rest()
    return f"it has its share after {time.monotonic() - began:.0f} s"


# In this order: the last one changes who owns what.
NEIGHBOURS = {
    "a node's whole content listed": Neighbour(again_and_again("dump", "--local")),
    "all replicas compared": Neighbour(again_and_again("repair", "--wait")),
    "all disks read": Neighbour(again_and_again("scrub", "--wait")),
    "overwriting, and the log cut": Neighbour(puts("8 KiB", clients=8, keys=2_000, value_bytes=8 << 10, rate=1_500)),
    "large values": Neighbour(puts("1 MiB", clients=4, keys=100, value_bytes=1 << 20, rate=20, bucket="large")),
    "hints of a node that was away": Neighbour(come_back, go_away),
    "a new node": Neighbour(grow),
}
