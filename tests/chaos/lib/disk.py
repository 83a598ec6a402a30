"""Disks that are full: a node is moved onto a small disk of its own, which is then filled.

    data.large/   what data/ was; back in place when the fault has ended
    data/         a tmpfs, named quorate-…, with a copy of it, and `ballast` while it is full
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from . import shell
from .words import CannotHere, Failed

if TYPE_CHECKING:
    from .cluster import Cluster

SOURCE = "quorate-small-disk"
MIB = 1 << 20
# What is left free: less than the node's reserve, so it must refuse writes, and more than nothing.
LEFT = 8 * MIB
NOTICED = 15.0


def mounts() -> list[Path]:
    """Every small disk of ours that is mounted, whoever's it is."""
    lines = Path("/proc/mounts").read_text().splitlines()
    found = [line.split() for line in lines]
    return [Path(parts[1].encode().decode("unicode_escape")) for parts in found if parts[0] == SOURCE]


def needs(folder: Path) -> None:
    """Tries a mount: being root is not always enough."""
    probe = folder / "mount-probe"
    probe.mkdir(parents=True, exist_ok=True)
    try:
        _mount(probe, 1)
        shell.run(["umount", str(probe)])
    finally:
        probe.rmdir()


def _mount(place: Path, size: int) -> None:
    """A small disk of so many MiB."""
    try:
        shell.run(["mount", "-t", "tmpfs", "-o", f"size={size}m", SOURCE, str(place)])
    except Failed as error:
        raise CannotHere(f"this user may not mount a small disk: {error}") from error


def prepare(cluster: Cluster, number: int) -> None:
    """Moves the node onto a small disk: an orderly stop, a copy, a start."""
    data, large = cluster.data(number), cluster.node(number) / "data.large"
    if large.exists():
        return
    if os.geteuid() != 0:
        raise CannotHere("a disk of a node's own needs root (a mount)")
    cluster.stop(number)
    used = sum(file.stat().st_size for file in data.rglob("*") if file.is_file())
    data.rename(large)
    data.mkdir()
    try:
        _mount(data, (2 * used) // MIB + 192)
    except CannotHere:
        data.rmdir()
        large.rename(data)
        cluster.start(number)
        raise
    shutil.copytree(large, data, dirs_exist_ok=True)
    cluster.start(number)


def fill(cluster: Cluster, number: int) -> None:
    """Leaves a few MiB."""
    data = cluster.data(number)
    if data not in mounts():
        raise Failed(f"n{number} has no small disk")
    space = os.statvfs(data)
    size = space.f_bavail * space.f_frsize - LEFT
    with open(data / "ballast", "wb") as ballast:
        if size > 0:
            os.posix_fallocate(ballast.fileno(), 0, size)
    # It looks now and then; before it has noticed there is no fault.
    shell.until(f"n{number} notices that its disk is full", NOTICED, lambda: _notices(cluster, number))


def _notices(cluster: Cluster, number: int) -> str | None:
    reason = cluster.ready(number) or "it is ready"
    return None if "disk" in reason else reason


def free(cluster: Cluster, number: int) -> None:
    """There is room again; the node stays on the small disk."""
    (cluster.data(number) / "ballast").unlink(missing_ok=True)


def restore(cluster: Cluster, number: int) -> None:
    """Moves the node back, with what it has written meanwhile."""
    data, large = cluster.data(number), cluster.node(number) / "data.large"
    if not large.exists():
        return
    free(cluster, number)
    if data in mounts():
        running = cluster.state(number) != "down"
        cluster.stop(number)
        fresh = cluster.node(number) / "data.fresh"
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(data, fresh)
        shell.run(["umount", str(data)])
        data.rmdir()
        fresh.rename(data)
        shutil.rmtree(large)
        if running:
            cluster.start(number, wait=False)
    else:
        # Whoever mounted it was interrupted in between: the large one is the newest there is.
        if data.exists():
            data.rmdir()
        large.rename(data)
