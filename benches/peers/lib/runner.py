"""Pair by pair: start both, drive them in turns, stop both."""

import argparse
import json
import shutil
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from . import build, chart, machine, options, table
from .figures import Pair, Row
from .goals import judged
from .options import Shape
from .process import Failed, end_on_signals, environment, said
from .systems import PEERS, Quorate, System

# How long a run may take beyond its seconds: connecting, and writing all keys to a slow system.
RUN_LIMIT = 200.0
# Of puts, for each system of a pair, before anything counts.
WARM_UP = 3.0
# How far the ports of the two systems of a pair are apart, and how many each uses.
PORTS_APART, PORTS = 100, 40


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


class Comparison:
    """One run of the whole thing."""

    def __init__(self, asked: argparse.Namespace, folder: Path) -> None:
        self.asked = asked
        self.folder = folder
        self.skipped: list[str] = []
        self.pairs: list[Pair] = []
        self.runs = (asked.out / "runs.jsonl").open("w")

    def wanted(self) -> list[tuple[str, System]]:
        found = []
        for name in self.asked.only:
            missing = PEERS[name][0][1].missing()
            if missing:
                self.skipped.append(f"{name}: {missing}")
                say(f"skipped  {self.skipped[-1]}")
            else:
                found += PEERS[name]
        return found

    def measure(self) -> None:
        wanted = self.wanted()
        if not wanted:
            raise Failed("none of the peers is installed")
        quorate = build.quorate()
        self.load = build.load(any(peer.name == "cassandra" for _, peer in wanted))
        self.facts = machine.facts(self.folder, build.ROOT)
        if build.given("QUORATE"):
            # Whatever stands in this folder, that is not what runs.
            self.facts["commit"] = "unknown: the binary was given"
        runs = 2 * self.asked.runs * sum(len(self.rows(peer)) for _, peer in wanted)
        say(f"{runs} runs of {self.asked.seconds:g} s: about {runs * (self.asked.seconds + 3) / 60:.0f} minutes")
        for durability, peer in wanted:
            ours = Quorate(quorate, durability, self.facts["commit"])
            pair = Pair(durability, peer.name, peer.title)
            self.pairs.append(pair)
            pair.about_quorate, pair.about_peer = self.about(ours), self.about(peer)
            try:
                self.drive(pair, ours, peer)
            except Failed as failed:
                pair.failed = str(failed)
                say(f"{peer.title}: {failed}")
            self.write()

    @staticmethod
    def about(system: System) -> dict[str, str]:
        return {"version": system.version(), "durability": system.durability, "configuration": "; ".join(filter(None, (system.configuration, system.multiplexes_not)))}

    def rows(self, peer: System) -> list[tuple[str, Shape]]:
        shapes = [(workload, shape) for shape in self.asked.shapes for workload in self.asked.workloads]
        return [(workload, shape) for workload, shape in shapes if not shape.multiplexed or workload in peer.multiplexes]

    def drive(self, pair: Pair, ours: Quorate, peer: System) -> None:
        place = self.folder / pair.peer
        with ExitStack() as stack:
            ours.use(stack, place / "quorate", self.asked.base_port, PORTS)
            peer.use(stack, place / "peer", self.asked.base_port + PORTS_APART, PORTS)
            rows = self.rows(peer)
            pair.rows = [Row(workload, str(shape), shape.multiplexed) for workload, shape in rows]
            for system, idle in ((ours, peer), (peer, ours)):
                self.one(pair, 0, system, idle, "put", self.asked.shapes[0], min(self.asked.seconds, WARM_UP))
            # Round by round, so that what changes with time changes all rows alike.
            for number in range(1, self.asked.runs + 1):
                for row, (workload, shape) in zip(pair.rows, rows):
                    row.ours.append(self.one(pair, number, ours, peer, workload, shape))
                    row.theirs.append(self.one(pair, number, peer, ours, workload, shape))
                    rates = row.ours[-1]["throughput"], row.theirs[-1]["throughput"]
                    say(f"{pair.title}: {workload}, {shape}, {number} of {self.asked.runs}: {rates[0]:,.0f} and {rates[1]:,.0f} a second")
        if not self.asked.keep:
            shutil.rmtree(place, ignore_errors=True)

    def one(
        self, pair: Pair, number: int, system: System, idle: System, workload: str, shape: Shape, seconds: float | None = None
    ) -> dict:
        """One run; number 0 is to warm up, and is in no figure."""
        asked = self.asked
        seconds = seconds or asked.seconds
        command = [self.load, "--system", system.protocol, "--nodes", ",".join(system.nodes), "--workload", workload]
        command += ["--connections", str(shape.connections), "--in-flight", str(shape.in_flight)]
        command += ["--seconds", str(seconds), "--keys", str(asked.keys), "--value-bytes", str(asked.value_bytes)]
        command += ["--pids", ",".join(map(str, system.pids)), "--idle-pids", ",".join(map(str, idle.pids))]
        command += ["--threads", str(asked.load_threads)]
        # A trace for every failed request would be work that no user's client does.
        env = environment("QUORATE_", **system.load_environment) | {"RUST_BACKTRACE": "0", "RUST_LIB_BACKTRACE": "0"}
        stolen = machine.Stolen()
        run = json.loads(said(command, seconds + RUN_LIMIT, env)) | {"stolen": stolen.share()}
        named = {"pair": pair.peer, "durability": pair.durability, "run": number, **run, "name": system.name}
        print(json.dumps(named), file=self.runs, flush=True)
        return named

    def shown(self, render) -> str:
        asked = self.asked
        load = (
            f"{asked.runs} runs of {asked.seconds:g} s in turns, medians (least to most); "
            f"{asked.keys:,} keys, values of {asked.value_bytes:,} random bytes, "
            f"CONNECTIONS x IN FLIGHT, a client of {asked.load_threads} thread(s); CPU of all servers and the client, per request"
        )
        return table.report(self.pairs, self.facts, load, self.skipped, render)

    def write(self) -> None:
        """What there is so far: an interrupted comparison leaves the pairs that are through."""
        out = self.asked.out
        (out / "table.md").write_text(self.shown(table.markdown))
        (out / "chart.svg").write_text(chart.svg(self.pairs, self.facts))
        goals = [
            {"goal": goal.text, "measured": figure and asdict(figure), "verdict": verdict}
            for goal, figure, verdict in judged(self.pairs)
        ]
        summary = {"facts": self.facts, "skipped": self.skipped, "pairs": [asdict(pair) for pair in self.pairs], "goals": goals}
        (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")


def main(description: str) -> int:
    asked = options.parse(description, sys.argv[1:])
    end_on_signals()
    if not sys.platform.startswith("linux"):
        say("this reads /proc: Linux only")
        return 2
    if not asked.folder.is_dir():
        say(f"{asked.folder} is no folder")
        return 2
    asked.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="peers-", dir=asked.folder)).resolve()
    try:
        comparison = Comparison(asked, folder)
        comparison.measure()
    except Failed as failed:
        say(str(failed))
        return 1
    finally:
        if asked.keep:
            say(f"data and logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(comparison.shown(table.plain))
    say(f"table.md, chart.svg, summary.json, runs.jsonl: {asked.out}")
    return 1 if any(pair.failed for pair in comparison.pairs) else 0
