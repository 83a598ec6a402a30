"""Clocks that are wrong: libfaketime in a node's process, whose offset may change while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .shell import program
from .words import CannotHere

if TYPE_CHECKING:
    from .cluster import Cluster


def library() -> str:
    """Where libfaketime is."""
    for pattern in ("lib/*/faketime/libfaketime.so.1", "lib*/faketime/libfaketime.so.1"):
        for path in sorted(Path("/usr").glob(pattern)):
            return str(path)
    raise CannotHere("libfaketime is not installed (Debian: apt-get install faketime)")


def needs_dynamic(binary: str) -> None:
    """A static binary loads no library."""
    with open(binary, "rb") as file:
        # The loader's path, which stands near the beginning.
        if b"/ld-" not in file.read(65_536):
            raise CannotHere(f"{binary} is linked statically: no library can be put into its process")


def needs() -> str:
    """Where libfaketime is, for a binary that can load it."""
    path = library()
    needs_dynamic(program())
    return path


def prepare(cluster: Cluster, number: int) -> None:
    """Restarts the node with libfaketime and a right clock, unless it has it already."""
    path = needs()
    file = cluster.node(number) / "clock"
    _write(file, 0.0)
    extra = {
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        # What measures durations stays right, as it does when somebody sets a machine's clock.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    cluster.preload(number, "clock", path, extra)


def skew(cluster: Cluster, number: int, seconds: float) -> None:
    """From within a second on the node's clock is so much ahead; negative: behind."""
    _write(cluster.node(number) / "clock", seconds)


def reset(cluster: Cluster, number: int) -> None:
    """The clock jumps back to what is right; the library stays until the node's next start by another."""
    file = cluster.node(number) / "clock"
    if file.exists():
        _write(file, 0.0)


def _write(file: Path, seconds: float) -> None:
    new = file.with_suffix(".new")
    new.write_text(f"{seconds:+.3f}\n")
    new.replace(file)
