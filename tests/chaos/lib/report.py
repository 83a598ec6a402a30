"""The report: Markdown for people, JSON for programs, SVG for the eye. It says what was found, whatever that is."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .checkers.verdict import Verdict
from .cycle import Cycle
from .faults import FAULTS
from .history import History
from .shell import ROOT
from .timeline import svg
from .workloads import WORKLOADS

# How many violations the Markdown lists; the JSON has all.
LISTED = 50


# Whether it holds, and what was found.
Claim = tuple[bool, str]


@dataclass
class Report:
    """Everything that a run found out."""

    seed: int
    backend: str
    options: dict[str, Any]
    cycles: list[Cycle] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    # Each with the cycle after which it was first seen.
    violations: dict[str, int] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    panics: list[str] = field(default_factory=list)
    # Nodes whose logs hold nothing at all.
    silent: list[str] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)


def git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def plain(report: Report, commit: str, date: str) -> dict[str, Any]:
    """For programs."""
    options = {name: str(value) if isinstance(value, Path) else value for name, value in report.options.items()}
    options.pop("report", None)
    return {
        "date": date,
        "commit": commit,
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "seed": report.seed,
        "backend": report.backend,
        "options": options,
        "claims": [{"holds": good, "claim": claim} for good, claim in report.claims],
        "left_out": report.left_out,
        "verdicts": {
            name: {
                "counts": verdict.counts,
                "lost": len(verdict.lost),
                "phantom": len(verdict.phantom),
                "wrong": len(verdict.wrong),
            }
            for name, verdict in report.verdicts.items()
        },
        "violations": [{"violation": what, "cycle": first} for what, first in report.violations.items()],
        "panics": report.panics,
        "memory_bytes": report.memory,
        "cycles": [
            {
                "cycle": cycle.number,
                "faults": [{"fault": p.fault, "nodes": p.nodes, **p.how} for p in cycle.plans],
                "counts": cycle.counts,
                "began": round(cycle.span.begin, 2),
                "fault_began": round(cycle.faults.begin, 2),
                "fault_ended": round(cycle.faults.end, 2),
                "ended": round(cycle.span.end, 2),
                "operations": cycle.load.operations,
                "acknowledged_adds": cycle.load.acknowledged_adds,
                "succeeded": round(cycle.load.succeeded, 4),
                "disturbed": round(cycle.load.disturbed, 4),
                "equal_after": None if cycle.rest is None else round(cycle.rest, 2),
                "objection": cycle.objection,
                "troubles": cycle.troubles,
            }
            for cycle in report.cycles
        ],
    }


def markdown(report: Report, facts: dict[str, Any], picture: str, command: str) -> str:
    """For people."""
    well = all(good for good, _ in report.claims)
    lines = [
        f"# Chaos on real processes: {'all claims hold' if well else 'NOT all claims hold'}",
        "",
        f"Written by `{command}` on {facts['date']}, at commit {facts['commit']}, on {facts['machine']}.",
        f"Five nodes, N=3, backend `{report.backend}`, seed {report.seed}; partitions are compared every "
        f"{report.options['sync']} (`timing.sync`), all else is the default. How to read and repeat it: "
        "[chaos.md](../chaos.md).",
        "",
        f"![faults, throughput, errors]({picture})",
        "",
        "## Claims",
        "",
        *[f"- {'ok' if good else '**FAIL**'}: {claim}" for good, claim in report.claims],
        "",
        "## What the judges say",
        "",
        "| judge | counts | lost | phantom | otherwise wrong |",
        "|---|---|---|---|---|",
    ]
    for verdict in report.verdicts.values():
        counts = ", ".join(f"{name} {count:,}" for name, count in verdict.counts.items())
        lines.append(
            f"| {verdict.name} | {counts} | {len(verdict.lost)} | {len(verdict.phantom)} | {len(verdict.wrong)} |"
        )
    if report.violations:
        lines += ["", "## Violations", ""]
        lines += [f"- cycle {first}: {what}" for what, first in list(report.violations.items())[:LISTED]]
        if len(report.violations) > LISTED:
            lines.append(f"- … and {len(report.violations) - LISTED} more in the JSON")
    lines += ["", "## Left out", ""]
    lines += [f"- {what}" for what in report.left_out]
    unused = [name for name in WORKLOADS if name not in report.options["workloads"]]
    lines += [f"- the workload `{name}`: not asked for" for name in unused]
    lines += [
        "- sessions: the client library has none yet",
        "- linearizability: nothing claims it yet",
        "",
        "## Cycles",
        "",
        "`disturbed` failed, needed another try, or took more than twice the 99th percentile of the calm before. "
        "A cycle counts when at least 30 % succeeded and at least 1 % were disturbed while the fault lasted.",
        "",
        "| cycle | faults | adds | succeeded | disturbed | replicas equal after | counts |",
        "|---|---|---|---|---|---|---|",
    ]
    for cycle in report.cycles:
        rest = "**not by itself**" if cycle.rest is None else f"{cycle.rest:.1f} s"
        counts = "yes" if cycle.counts else "no"
        trouble = "".join(f"; {trouble}" for trouble in cycle.troubles)
        load = cycle.load
        lines.append(
            f"| {cycle.number} | {cycle.words()}{trouble} | {load.acknowledged_adds:,} | {load.succeeded:.1%} "
            f"| {load.disturbed:.1%} | {rest} | {counts} |"
        )
    memory = ", ".join(f"{name} {size >> 20} MiB" for name, size in report.memory.items())
    lines += ["", f"Memory, the most of each node: {memory}."]
    return "\n".join(lines) + "\n"


def chosen(report: Report) -> str:
    """The rest of the command, where not everything was asked for."""
    some = [(name, report.options[name]) for name in ("faults", "workloads")]
    full = {"faults": len(FAULTS), "workloads": len(WORKLOADS)}
    return "".join(f" --{name} {','.join(words)}" for name, words in some if len(words) < full[name])


def write(report: Report, history: History, folder: Path) -> list[Path]:
    """Writes all three; the Markdown first in the list."""
    commit = git("rev-parse", "--short", "HEAD")
    if git("status", "--porcelain", "--untracked-files=no"):
        commit += " with changes"
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    base = "short" if report.options["short"] else f"{date}-{commit.split()[0]}"
    paths = [folder / f"{base}.{kind}" for kind in ("md", "json", "svg")]
    facts = plain(report, commit, date)
    command = "tests/chaos/run --short" if report.options["short"] else (
        f"tests/chaos/run --cycles {report.options['cycles']} --seed {report.seed}{chosen(report)}"
    )
    paths[0].write_text(markdown(report, facts, paths[2].name, command))
    paths[1].write_text(json.dumps(facts, indent=1) + "\n")
    title = f"Quorate {commit}, {date}: {len(report.cycles)} cycles, seed {report.seed}, {report.backend}"
    paths[2].write_text(svg(report.cycles, history.ops, title))
    return paths
