"""One node's process: who it is, what it does, and its end.

A pid is a number that the system gives to others after its owner's death. Before anything is sent to one,
its command line must name that node's own `node.toml`; signals go through a descriptor, which cannot come to
mean another process.
"""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

# How long a process may take to be gone after SIGKILL.
GONE = 10.0


def pid_of(folder: Path) -> int | None:
    """The process of the node that lives in this folder, if there is one."""
    try:
        pid = int((folder / "pid").read_text().strip())
        line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    if pid <= 0 or os.fsencode(folder / "node.toml") not in line:
        return None
    return None if letter(pid) in ("Z", "X", None) else pid


def letter(pid: int) -> str | None:
    """The state in /proc/PID/stat; it follows the name, which may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return None


def state(folder: Path) -> str:
    """`up`, `paused` or `down`."""
    pid = pid_of(folder)
    if pid is None:
        return "down"
    return "paused" if letter(pid) in ("T", "t") else "up"


def memory(folder: Path) -> int:
    """Resident bytes of the node's process; 0 when it is down."""
    pid = pid_of(folder)
    if pid is None:
        return 0
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def send(folder: Path, what: signal.Signals, wait: float = 0) -> bool:
    """Sends a signal, and waits for the end when `wait` says so. False: nobody is there, or still is."""
    pid = pid_of(folder)
    if pid is None:
        return False
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        # Between the look and the opening the number may have come to be another's.
        if pid_of(folder) != pid:
            return False
        signal.pidfd_send_signal(descriptor, what)
        if what == signal.SIGTERM:
            # A paused process cannot hear that it should end.
            signal.pidfd_send_signal(descriptor, signal.SIGCONT)
        if wait:
            waiting = select.poll()
            waiting.register(descriptor, select.POLLIN)
            return bool(waiting.poll(wait * 1000))
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
