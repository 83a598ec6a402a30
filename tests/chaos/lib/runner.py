"""A run: a cluster, a schedule, cycle after cycle, a report. What it set up is taken back however it ends."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import backends, observe, web
from .claims import claims
from .cluster import Cluster, Facts, fresh_tag
from .cycle import COPIES, Cycle, Pace, Player
from .faults import FAULTS, Plan, possible
from .history import History
from .judge import judge
from .options import arguments
from .report import Report, write
from .schedule import schedule
from .shell import program
from .words import CannotHere, Failed, exit_code, say
from .workloads import WORKLOADS

# More cycles are played in place of those that did not count, up to half as many again.
AGAIN = 0.5


def free_base(nodes: int) -> int:
    """A range of ports that nobody listens on, below those of outgoing connections."""
    places = list(range(20_000, 30_000, 100))
    random.Random(os.getpid()).shuffle(places)
    for base in places:
        try:
            for port in (base + 10 * node + at for node in range(1, nodes + 1) for at in (0, 1)):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
    raise Failed("no free ports between 20000 and 30000")


def watchdog(folder: Path) -> subprocess.Popen[bytes]:
    """Takes back what the run set up when the run dies without a word: the pipe breaks."""
    down = Path(__file__).resolve().parents[1] / "down"
    script = 'read -r word; [ "$word" = done ] || exec "$@"'
    return subprocess.Popen(
        ["sh", "-c", script, "watchdog", sys.executable, str(down), "--remove", "--dir", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


class Run:
    """One run on a cluster of its own."""

    def __init__(self, given: argparse.Namespace, cluster: Cluster, report: Report) -> None:
        self.given = given
        self.cluster = cluster
        self.report = report
        self.memory: dict[int, int] = dict.fromkeys(cluster.numbers, 0)

    def found(self) -> None:
        """Nodes and buckets."""
        self.cluster.up()
        for name in self.given.workloads:
            body = {"name": f"chaos-{name}", "n": COPIES} | WORKLOADS[name].settings
            status, answer = web.ask(self.cluster.http(1), "POST", "/v1/buckets", body, limit=20)
            if status >= 300:
                raise Failed(f"bucket chaos-{name}: {status} {answer.decode(errors='replace')}")

    async def play(self, plans: list[list[Plan]], history: History) -> None:
        """Until enough cycles have counted, or the limit of cycles is reached."""
        zero = time.monotonic()
        given = self.given
        pace = Pace(given.calm, given.fault, given.after, given.rate)
        player = Player(self.cluster, history, zero, given.seed, given.workloads, pace)
        sampler = asyncio.create_task(self._sample())
        try:
            for number, cycle_plans in enumerate(plans, 1):
                cycle = await player.play(number, cycle_plans)
                self.judge(cycle, history)
                self.report.cycles.append(cycle)
                self._tell(cycle)
                if cycle.rest is None and not cycle.mended:
                    self.report.claims.append((False, f"the run ended at cycle {number}: the replicas never agreed"))
                    break
                if sum(done.counts for done in self.report.cycles) >= given.cycles:
                    break
        finally:
            sampler.cancel()
            [ending] = await asyncio.gather(sampler, return_exceptions=True)
        if not isinstance(ending, asyncio.CancelledError):
            self.report.claims.append((False, f"the memory was not looked at to the end: {ending}"))

    def judge(self, cycle: Cycle, history: History) -> None:
        """The whole history so far: a fault may harm what an earlier cycle wrote."""
        if not cycle.dumps:
            return
        verdicts = judge(history.ops, cycle.dumps, COPIES, self.given.workloads)
        cycle.dumps, cycle.judged = {}, True
        for verdict in verdicts.values():
            for violation in verdict.violations:
                self.report.violations.setdefault(violation, cycle.number)
        self.report.verdicts = verdicts

    def _tell(self, cycle: Cycle) -> None:
        rest = "NOT EQUAL" if cycle.rest is None else f"equal after {cycle.rest:.1f} s"
        counts = "" if cycle.counts else "; does not count"
        found = sum(first == cycle.number for first in self.report.violations.values())
        wrong = f"; {found} VIOLATIONS" if found else ""
        trouble = "".join(f"; {trouble}" for trouble in cycle.troubles)
        load = cycle.load
        say(
            f"cycle {cycle.number:2}: {cycle.words():44} {load.acknowledged_adds:5} adds, "
            f"{load.succeeded:4.0%} succeeded, {load.disturbed:4.0%} disturbed, {rest}{counts}{wrong}{trouble}"
        )

    async def _sample(self) -> None:
        while True:
            for number in self.cluster.numbers:
                self.memory[number] = max(self.memory[number], self.cluster.memory(number))
            await asyncio.sleep(1)

    def look(self) -> None:
        """What the nodes leave behind."""
        self.report.panics = observe.panics(self.cluster)
        self.report.silent = observe.silent(self.cluster)
        self.report.memory = {f"n{number}": size for number, size in self.memory.items()}


def chosen(given: argparse.Namespace) -> tuple[str, str]:
    if given.backend != "auto":
        return given.backend, ""
    return backends.best()


def possible_kinds(asked: list[str], cluster: Cluster, left_out: list[str]) -> list[str]:
    """The faults that can be had of those that are asked for; what is left out is told with its reason."""
    unasked = [name for name in FAULTS if name not in asked]
    left_out += [f"{', '.join(unasked)}: not asked for"] if unasked else []
    kinds = []
    for name in asked:
        try:
            possible(cluster, name)
            kinds.append(name)
        except CannotHere as error:
            left_out.append(f"{name}: {error}")
    if not kinds:
        raise CannotHere(f"none of the faults can be had: {'; '.join(left_out)}")
    return kinds


def main() -> int:
    given = arguments()
    return exit_code("run", lambda: run(given), "interrupted; what was set up is taken back")


def run(given: argparse.Namespace) -> int:
    # Whoever ends us ends us in order.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    backend, reason = chosen(given)
    folder = Path(tempfile.mkdtemp(prefix="quorate-chaos-"))
    facts = Facts(backend, 5, free_base(5), fresh_tag(), {"QUORATE_TIMING__SYNC": given.sync})
    cluster = backends.make(folder / "cluster", facts)
    cluster.save()
    report = Report(given.seed, backend, vars(given))
    if reason:
        report.left_out.append(f"namespaces, and with them all faults of the network: {reason}")
    kinds = possible_kinds(given.faults, cluster, report.left_out)
    if given.short:
        given.cycles = min(given.cycles, len(kinds))
    most = given.cycles if given.short else given.cycles + round(given.cycles * AGAIN)
    plans = schedule(given.seed, most, kinds, cluster.numbers)
    say(f"seed {given.seed}, backend {backend}, {program()}")
    for what in report.left_out:
        say(f"left out: {what}")
    if given.list:
        shutil.rmtree(folder)
        for number, cycle in enumerate(plans, 1):
            say(f"cycle {number:2}: {' and '.join(plan.words() for plan in cycle)}")
        return 0
    guard = watchdog(folder / "cluster")
    well = False
    try:
        player = Run(given, cluster, report)
        player.found()
        history = History(folder / "history.jsonl")
        asyncio.run(player.play(plans, history))
        history.close()
        player.look()
        report.claims += claims(report, given)
        paths = write(report, history, given.report)
        well = all(good for good, _ in report.claims)
        for good, claim in report.claims:
            say(f"{'ok  ' if good else 'FAIL'} {claim}")
        for violation, first in list(report.violations.items())[:20]:
            say(f"  cycle {first}: {violation}")
        say(f"report: {paths[0]}")
    finally:
        try:
            cluster.down()
        finally:
            assert guard.stdin is not None
            guard.stdin.write(b"done\n")
            guard.stdin.close()
            guard.wait(timeout=10)
            if well and not given.keep:
                shutil.rmtree(folder)
            else:
                say(f"the nodes' folders and the history are kept in {folder}")
    return 0 if well else 1

