"""One client, and a fixed rate: how long an answer takes."""

from lib.machine import syncs_a_second

from .report import Report, ms

SECONDS = 10
# A put is acknowledged when it is synced twice, so that no less than one sync is in it.
SYNCS = 3
TAIL = 10


def measure(ground) -> Report:
    report = Report("latency")
    with ground.cluster(3) as cluster:
        cluster.load("put", 5)
        sync = 1e6 / syncs_a_second(ground.folder)
        alone = cluster.load("put", SECONDS, clients=1)
        report.tell("a synced append of 1 KiB, by one thread", ms(sync))
        report.judge(
            f"put, one client, p50: at most {SYNCS} x that", ms(alone["p50_us"]), alone["p50_us"] <= SYNCS * sync
        )
        report.tell("get, one client, p50", ms(cluster.load("get", SECONDS, clients=1)["p50_us"]))
        for workload in ("put", "get"):
            most = cluster.load(workload, SECONDS)["throughput"]
            half = cluster.load(workload, 2 * SECONDS, rate=int(most / 2))
            told = f"{ms(half['p50_us'])}, {ms(half['p99_us'])}, {ms(half['p999_us'])}"
            report.judge(
                f"{workload} at {most / 2:,.0f} a second, half of the most: p50, p99, p99.9, which is at most {TAIL} x p50",
                told, half["p999_us"] <= TAIL * half["p50_us"],
            )
    return report
