"""The machine: what a figure means nothing without."""

import os
import platform
import statistics
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

SYNC_SECONDS = 1.0
SYNC_RUNS = 3


def processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def memory_gib() -> float:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30


def filesystem(folder: Path) -> str:
    """The kind of file system, of the longest mount point that this folder is under."""
    folder, best, kind = folder.resolve(), "", "unknown"
    try:
        for line in Path("/proc/mounts").read_text().splitlines():
            _, point, name, *_ = line.split()
            inside = folder == Path(point) or Path(point) in folder.parents
            if inside and len(point) >= len(best):
                best, kind = point, name
    except (OSError, ValueError):
        pass
    return kind


def syncs_a_second(folder: Path, bytes_each: int = 1024) -> int:
    """Appends of 1 KiB with fdatasync after each, by one thread; the median of a few."""
    rates = []
    data = os.urandom(bytes_each)
    path = folder / "sync"
    for _ in range(SYNC_RUNS):
        with path.open("wb", buffering=0) as file:
            done, began = 0, time.monotonic()
            while time.monotonic() - began < SYNC_SECONDS:
                file.write(data)
                os.fdatasync(file.fileno())
                done += 1
            rates.append(done / (time.monotonic() - began))
    path.unlink()
    return round(statistics.median(rates))


class Stolen:
    """What the host took of the processors' time: virtual machines share theirs with others."""

    def __init__(self) -> None:
        self.before = self._ticks()

    @staticmethod
    def _ticks() -> tuple[int, int]:
        try:
            fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        except OSError:
            return 0, 0
        ticks = list(map(int, fields))
        return (ticks[7], sum(ticks)) if len(ticks) == 8 else (0, 0)

    def share(self) -> float:
        """Of all processors, since the last time that this was asked."""
        (stolen, all_of_it), self.before = self.before, self._ticks()
        return (self.before[0] - stolen) / max(self.before[1] - all_of_it, 1)


def commit(root: Path) -> str:
    """The commit that stands there, and whether it was changed."""
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        head, changed = git("rev-parse", "--short", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
    except OSError:
        return "unknown"
    return (head or "unknown") + (" with changes" if changed else "")


def facts(folder: Path, root: Path) -> dict[str, str]:
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{processor()}, {len(os.sched_getaffinity(0))} cores, {memory_gib():.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "disk": f"{filesystem(folder)}, {syncs_a_second(folder):,} synced appends of 1 KiB a second by one thread",
        "commit": commit(root),
    }
