"""What goes in, what comes out, and how long it takes."""

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from lib import build, machine
from lib.options import port
from lib.process import Failed, end_on_signals
from parts.main import Ground
from parts.report import Report

SOURCES = 20
BEGIN = datetime(2026, 1, 2, 10, tzinfo=timezone.utc)
HOURS = 2
QUERIES = 21
# How long a line is, without its newline.
LENGTH = 119
# A file of a source is written in so many pieces of work, so that a large one does not fill the memory.
PIECE = 50_000
PATIENCE = 3600.0
# A week of one source on so many nodes, for the balance.
HOT_NODES = 5
HOT_HOURS = 7 * 24
HOT_LINES = 400_000
LEVELS = ["INFO"] * 90 + ["WARN"] * 9 + ["ERROR"]
PATHS = ["/api/carts", "/api/orders", "/login", "/static/app.js", "/healthz", "/api/users/profile"]


def write_file(path: Path, seed: int, lines: int, hours: int = HOURS) -> None:
    """As a service writes: a time, a level, a request, some numbers."""
    rng = random.Random(seed)
    step = timedelta(hours=hours) / lines
    with path.open("w") as file:
        for begin in range(0, lines, PIECE):
            piece = []
            for i in range(begin, min(begin + PIECE, lines)):
                at = (BEGIN + i * step).strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
                said = f"{at} {rng.choice(LEVELS)} [worker-{rng.randrange(16)}] request {rng.getrandbits(40):010x} {rng.choice(PATHS)} "
                said += f"user={rng.randrange(100_000)} took {rng.randrange(2_000)} ms, {rng.randrange(65_536)} bytes"
                piece.append(said.ljust(LENGTH, ".")[:LENGTH])
            file.write("\n".join(piece) + "\n")


def seconds(command: list, **options: object) -> tuple[float, bytes]:
    began = time.monotonic()
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=PATIENCE, check=True, **options)
    return time.monotonic() - began, done.stdout


def packed_alone(files: list[Path], folder: Path) -> int | None:
    """What `zstd -3` makes of pieces of 64 KiB of one of the files, times all of them; nothing: it is not installed."""
    if shutil.which("zstd") is None:
        return None
    pieces = folder / "pieces"
    pieces.mkdir()
    seconds(["split", "-C", "64k", "-a", "6", files[0], pieces / "p"])
    seconds(["zstd", "-3", "-q", "--rm", "-r", pieces])
    size = sum(piece.stat().st_size for piece in pieces.iterdir())
    shutil.rmtree(pieces)
    return size * len(files)


def measure(ground: Ground, folder: Path, lines: int) -> Report:
    report = Report("logs")
    each = lines // SOURCES
    files = [folder / f"web-{i:02}.log" for i in range(SOURCES)]
    for i, file in enumerate(files):
        write_file(file, i, each)
    lines = each * SOURCES
    size = sum(file.stat().st_size for file in files)
    with ground.cluster(3) as cluster:
        took, out = seconds([cluster.binary, "logs", "ingest", *files, "--node", cluster.addresses(), "-o", "json"], env=cluster.env)
        told = json.loads(out)
        if told["ingested"] != lines or told["rejected"]:
            raise Failed(f"{told['ingested']:,} of {lines:,} lines went in")
        rate = lines / took
        report.judge(f"{lines:,} lines of {LENGTH + 1} bytes in: at least 150,000 a second", f"{rate:,.0f}", rate >= 150_000)
        stored = sum(file["stored_bytes"] for file in told["files"])
        alone = packed_alone(files, folder)
        if alone:
            report.judge("blocks, of each replica: at most 1.3 x zstd -3 of 64 KiB each", f"{stored / alone:.2f}", stored <= 1.3 * alone)
        report.tell("blocks, of each replica, to the raw lines", f"{stored / size:.2f}")
        hour = ["--level", "ERROR", "--since", "2026-01-02T11:00:00Z", "--until", "2026-01-02T12:00:00Z"]
        first = [cluster.binary, "logs", "query", *hour, "--limit", "100", "--node", cluster.addresses(), "-o", "json"]
        times = []
        for _ in range(QUERIES):
            took, out = seconds(first, env=cluster.env)
            times.append(took * 1000)
        answer = json.loads(out)
        middle = statistics.median(times)
        report.judge(
            f"the first 100 ERRORs of an hour, the process and all, {QUERIES} times: under 50 ms",
            f"{middle:.1f} ms ({min(times):.1f} to {max(times):.1f})", middle < 50 and len(answer["lines"]) == 100,
        )
        asked = answer["partitions"]["asked"]
        report.judge("partitions that were asked: only those of the hour and of ERROR", f"{asked}", asked == SOURCES)
        report.tell("blocks that were read", f"{answer['blocks_read']}")
        took, out = seconds([cluster.binary, "logs", "query", *hour, "--count", "--node", cluster.addresses(), "-o", "json"], env=cluster.env)
        by_grep, found = seconds(["grep", "-chE", "^2026-01-02 11.{10} ERROR", *files])
        wanted = sum(map(int, found.split()))
        counted = json.loads(out)
        report.judge(f"ERRORs of the hour, counted: {wanted:,}, as grep says", f"{counted['count']:,} in {took * 1000:.0f} ms", counted["count"] == wanted)
        report.tell("the same with grep, of files in memory", f"{by_grep * 1000:,.0f} ms")
    return report


def balance(ground: Ground, folder: Path) -> Report:
    """One source that never rests, on five nodes: how much of it each of them holds."""
    report = Report("one hot source")
    file = folder / "hot.log"
    write_file(file, SOURCES, HOT_LINES, HOT_HOURS)
    with ground.cluster(HOT_NODES) as cluster:
        cluster.discard("logs", "ingest", file)
        cluster.rest()
        windows, held = set(), []
        for node in range(1, HOT_NODES + 1):
            items = cluster.dump("logs", node)
            windows.update(item["key"] for item in items)
            held.append(sum(len(sibling.get("value", "")) for item in items for sibling in item["siblings"]))
    mean = statistics.mean(held)
    report.tell("partitions: an hour of a class of levels each", f"{len(windows)}")
    for node, size in enumerate(held, 1):
        report.tell(f"n{node}: of a fair share", f"{size / mean:.0%}")
    return report


def main(description: str) -> int:
    parser = argparse.ArgumentParser(prog="benches/logs/run", description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("."), help="on the disk to be measured (default: here)")
    parser.add_argument("--lines", type=int, default=10_000_000, help="how many (default 10,000,000)")
    parser.add_argument("--base-port", type=port, default=19_600, help="100 ports from here on are used (default 19600)")
    asked = parser.parse_args()
    end_on_signals()
    if not asked.folder.is_dir():
        print(f"{asked.folder} is no folder", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="logs-", dir=asked.folder)).resolve()
    try:
        facts = machine.facts(folder, build.ROOT)
        if build.given("QUORATE"):
            facts["commit"] = "unknown: the binary was given"
        ground = Ground(build.quorate(), folder, asked.base_port, 0)
        reports = [measure(ground, folder, asked.lines), balance(ground, folder)]
    except (Failed, subprocess.SubprocessError) as failed:
        print(failed, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n" + ", ".join(facts.values()))
    for report in reports:
        print("\n" + "\n".join(report.markdown()))
    return 0
