"""What people ask of a run."""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from .faults import FAULTS
from .shell import ROOT
from .words import count, duration
from .workloads import WORKLOADS

# The gate's, and the usual, number of cycles.
GATE_CYCLES = 30
# What the short run plays, and its seed.
SHORT = ("kill", "pause", "wipe", "restore-old", "rolling-restart", "full-disk")
SHORT_SEED = 7


def arguments() -> argparse.Namespace:
    """The command line, with everything decided that it leaves open."""
    made = argparse.ArgumentParser(
        prog="tests/chaos/run",
        description="Plays workloads on five real nodes while faults come and go, and judges what clients saw.",
        epilog="Exit codes: 0 all is well, 1 a violation or a claim that does not hold, 2 cannot be done here.",
    )
    made.add_argument("--cycles", type=count, default=GATE_CYCLES, metavar="N", help="faults, one after the other (30)")
    made.add_argument("--seed", type=int, metavar="S", help="decides the schedule (default: a new one, which is told)")
    made.add_argument("--backend", choices=("auto", "local", "netns"), default="auto")
    made.add_argument("--short", action="store_true", help="a minute or so on local processes with a fixed seed, for CI")
    made.add_argument("--faults", metavar="F,F", help=f"only these: {','.join(FAULTS)}")
    made.add_argument("--workloads", metavar="W,W", help=f"only these: {','.join(WORKLOADS)}")
    made.add_argument("--rate", type=float, metavar="R", help="unique adds tried a second (default 260)")
    made.add_argument("--sync", default="3s", metavar="D", help="how often nodes compare partitions (timing.sync, 3s)")
    made.add_argument("--calm", type=duration, metavar="D", help="before the faults of a cycle (default 4s)")
    made.add_argument("--fault", type=duration, metavar="D", help="how long they last (default 9s)")
    made.add_argument("--after", type=duration, metavar="D", help="how long the load goes on (default 3s)")
    made.add_argument("--report", type=Path, metavar="DIR", help="where the report goes (default docs/chaos)")
    made.add_argument("--keep", action="store_true", help="keep the nodes' folders and the history")
    made.add_argument("--list", action="store_true", help="only tell the schedule")
    given = made.parse_args()
    given.seed = given.seed if given.seed is not None else SHORT_SEED if given.short else random.randrange(1 << 32)
    short = (2.0, 4.0, 1.0, 80.0) if given.short else (4.0, 9.0, 3.0, 260.0)
    for name, value in zip(("calm", "fault", "after", "rate"), short, strict=True):
        if getattr(given, name) is None:
            setattr(given, name, value)
    if given.short:
        given.cycles = len(SHORT)
        given.backend = "local"
        given.faults = given.faults or ",".join(SHORT)
    for name, known in (("faults", FAULTS), ("workloads", WORKLOADS)):
        wanted = getattr(given, name)
        chosen = wanted.split(",") if wanted else list(known)
        unknown = [word for word in chosen if word not in known]
        if unknown:
            made.error(f"--{name}: there is no {', '.join(unknown)}; there are {', '.join(known)}")
        setattr(given, name, chosen)
    if given.report is None:
        given.report = ROOT / ("target/chaos" if given.short else "docs/chaos")
    return given
