"""Disks that take long to sync: a small library in the node's process, whose delay may change while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from . import clock, shell
from .words import Failed

if TYPE_CHECKING:
    from .cluster import Cluster

SOURCE = Path(__file__).with_name("slow_sync.c")
# The library counts in milliseconds, and takes more for junk.
SHORTEST, LONGEST = 0.001, 10.0


def needs() -> str:
    """The compiler of the library, for a binary that can load it."""
    compiler = shell.needs("cc", "gcc")
    clock.needs_dynamic(shell.program())
    return compiler


def prepare(cluster: Cluster, number: int) -> None:
    """Restarts the node with the library and no delay, unless it has it already."""
    compiler = needs()
    library = cluster.folder / "slow_sync.so"
    if not library.exists():
        shell.run([compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE)])
    file = cluster.node(number) / "sync_delay"
    file.write_text("0\n")
    cluster.preload(number, "slow", str(library), {"QUORATE_CHAOS_SYNC_DELAY": str(file)})


def delay(cluster: Cluster, number: int, seconds: float) -> None:
    """Every sync takes so much longer from now on."""
    if not SHORTEST <= seconds <= LONGEST:
        raise Failed(f"a sync can take {SHORTEST * 1000:.0f} ms to {LONGEST:.0f} s longer, not {seconds} s")
    (cluster.node(number) / "sync_delay").write_text(f"{seconds * 1000:.0f}\n")


def reset(cluster: Cluster, number: int) -> None:
    file = cluster.node(number) / "sync_delay"
    if file.exists():
        file.write_text("0\n")
