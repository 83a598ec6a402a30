"""More nodes, more items: what an operation costs then."""

import time

from .report import Report, ms

SECONDS = 10
SIZES = (3, 5, 9)
FEW = 10_000
VALUE_BYTES = 100
# What an operation may cost more, or less, with more nodes.
NODES_BAND = 0.15
ITEMS_BAND = 1.5
START = 3.0
MEMORY_BESIDE_CACHES = 512 << 20
# As configs/node.toml has them: the index's and that of records.
CACHES = 128 << 20


def measure(ground) -> Report:
    report = Report("growth")
    costs = {size: of_nodes(ground, size, report) for size in SIZES}
    for workload in ("put", "get"):
        least, *_, most = (costs[size][workload] for size in SIZES)
        change = most / least - 1
        report.judge(
            f"{workload}: CPU of all from {SIZES[0]} to {SIZES[-1]} nodes: within {NODES_BAND:.0%}",
            f"{change:+.0%}", abs(change) <= NODES_BAND,
        )
    of_items(ground, report)
    return report


def of_nodes(ground, size: int, report: Report) -> dict[str, float]:
    """CPU of all processes for an operation, in microseconds."""
    with ground.cluster(size) as cluster:
        cluster.load("get", 3)
        runs = {workload: cluster.cost(workload, SECONDS) for workload in ("put", "get")}
    told = ", ".join(f"{run['throughput']:,.0f} {name}s/s at {run['cpu_us']:.0f} µs" for name, run in runs.items())
    report.tell(f"{size} nodes", told)
    return {name: run["cpu_us"] for name, run in runs.items()}


def of_items(ground, report: Report) -> None:
    items, small = ground.items, {"value_bytes": VALUE_BYTES}
    with ground.cluster(3) as cluster:
        cluster.load("get", 3, keys=FEW, **small)
        few = {workload: cluster.load(workload, SECONDS, keys=FEW, **small) for workload in ("put", "get")}
        began = time.monotonic()
        many = {"get": cluster.load("get", SECONDS, keys=items, **small)}
        took = time.monotonic() - began - SECONDS
        report.tell(f"{items:,} items of {VALUE_BYTES} bytes written by 64 clients", f"in {took:.0f} s")
        # All new keys, so that each is looked for among the many.
        many["put"] = cluster.load("put", SECONDS, keys=items, **small)
        for workload, run in many.items():
            ratio = few[workload]["throughput"] / run["throughput"]
            report.judge(
                f"{workload}s among {FEW:,} items, and among {items:,}: within {ITEMS_BAND} x",
                f"{few[workload]['throughput']:,.0f} and {run['throughput']:,.0f} a second, "
                f"p99 {ms(few[workload]['p99_us'])} and {ms(run['p99_us'])}",
                ratio <= ITEMS_BAND,
            )
        report.judge(
            "a node's memory then: at most its caches and 512 MiB",
            f"{max(cluster.memory()) / 2**20:,.0f} MiB, {CACHES / 2**20:,.0f} MiB of it for caches",
            max(cluster.memory()) <= CACHES + MEMORY_BESIDE_CACHES,
        )
        cluster.cluster("stop")
        began = time.monotonic()
        cluster.start(3)
        took = time.monotonic() - began
        report.judge(f"start of all three after an orderly stop: at most {START:.0f} s", f"{took:.1f} s", took <= START)
