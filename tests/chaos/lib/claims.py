"""What the gate asks of a run, each claim with what was found. A claim about what nobody has seen does not hold."""

from __future__ import annotations

import argparse

from .checkers.verdict import Verdict
from .cycle import REST
from .options import GATE_CYCLES
from .report import Claim, Report

MIB = 1 << 20
# The node's defaults (configs/node.toml: cache_bytes, record_cache_bytes), and what it may take beyond.
CACHE = (64 + 64) * MIB
BEYOND = 256 * MIB
# The gate.
GATE_ADDS = 50_000


def claims(report: Report, given: argparse.Namespace) -> list[Claim]:
    return [*activity(report, given), *judgement(report), *nodes(report), *blindness(report, given)]


def activity(report: Report, given: argparse.Namespace) -> list[Claim]:
    """Whether enough was done and suffered."""
    counted = sum(cycle.counts for cycle in report.cycles)
    # A minute on a busy machine may have cycles that do not count; if none does, nothing was tested.
    wanted = 1 if given.short else max(1, given.cycles)
    found = [(counted >= wanted, f"{counted} of {len(report.cycles)} cycles count")]
    adds = report.verdicts.get("adds", Verdict("adds")).counts.get("acknowledged", 0)
    least = GATE_ADDS if given.cycles >= GATE_CYCLES else 1
    if "adds" in given.workloads:
        found.append((adds >= least, f"{adds:,} acknowledged adds (at least {least:,})"))
    return found


def judgement(report: Report) -> list[Claim]:
    """What the judges found, and whether the replicas became equal."""
    lost = sum(len(verdict.lost) for verdict in report.verdicts.values())
    phantom = sum(len(verdict.phantom) for verdict in report.verdicts.values())
    slowest = max((cycle.rest for cycle in report.cycles if cycle.rest is not None), default=0.0)
    never = sum(cycle.rest is None for cycle in report.cycles)
    said = f"replicas equal at most {slowest:.1f} s after each healing (at most {REST:.0f} s)"
    said += f", and in {never} cycles not before all nodes were restarted" if never else ""
    return [
        (lost == 0, f"{lost} lost"),
        (phantom == 0, f"{phantom} phantom"),
        (not report.violations, f"{len(report.violations)} violations"),
        (slowest <= REST and not never, said),
    ]


def nodes(report: Report) -> list[Claim]:
    """How the nodes' processes were, and whether the faults came."""
    most, limit = max(report.memory.values(), default=0), CACHE + BEYOND
    failed = sum(len(cycle.failures) for cycle in report.cycles)
    return [
        (not report.panics, f"{len(report.panics)} panics in the nodes' logs"),
        (most <= limit, f"{most // MIB} MiB is the most that a node took (at most {limit // MIB}: caches and 256)"),
        (not failed, f"{failed} faults could not be played"),
    ]


def blindness(report: Report, given: argparse.Namespace) -> list[Claim]:
    """What the claims above cannot know; told only where there is something."""
    found = []
    for cycle in report.cycles:
        if not cycle.judged:
            found.append(f"cycle {cycle.number} was not judged: nobody saw what the replicas hold")
    for name in given.workloads:
        verdict = report.verdicts.get(name)
        missing = ["verdict"] if verdict is None else verdict.missing
        if missing:
            found.append(f"the judge of {name} had nothing to judge by: no {', no '.join(missing)}")
    found += [f"the memory of {node} was never seen" for node, size in report.memory.items() if not size]
    found += [f"the log of {node} is empty, so nobody looked for panics there" for node in report.silent]
    return [(False, what) for what in found]
