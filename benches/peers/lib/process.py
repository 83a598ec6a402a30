"""Processes: each is ended by its own id, by whoever started it, also when that one is interrupted."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

# How long a server may take to end before it is killed.
STOP_LIMIT = 15.0
# How much of what a command said about its failure is kept.
SAID_LIMIT = 600


class Failed(Exception):
    """This cannot be measured; what it says is for people."""


def end_on_signals() -> None:
    """INT, TERM and HUP end this process through its `finally`s, and a second one does not disturb them."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def end(number: int, _frame: object) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for each in signals:
        signal.signal(each, end)


def said(command: Sequence[str | Path], limit: float = 60.0, env: dict[str, str] | None = None) -> str:
    """Runs a command to its end, and returns what it printed."""
    try:
        # A session of its own: an interrupt at the terminal is for us, and we end what we started.
        done = subprocess.run(
            list(map(str, command)), env=env, timeout=limit, capture_output=True, text=True, start_new_session=True
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{Path(command[0]).name} took longer than {limit:.0f} s") from None
    if done.returncode != 0:
        # In one line, and without paths of this machine that the command may have: it may end up in a table.
        why = " ".join((done.stderr or done.stdout).split())[-SAID_LIMIT:]
        raise Failed(f"{Path(command[0]).name}: exit {done.returncode}: {why}")
    return done.stdout


def start(stack: ExitStack, command: Sequence[str | Path], log: Path, env: dict[str, str] | None = None) -> subprocess.Popen:
    """Starts a server; when the stack unwinds it is ended."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            list(map(str, command)), env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    stack.callback(stop, process)
    return process


def stop(process: subprocess.Popen) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until(ready: Callable[[], bool], what: str, processes: Sequence[subprocess.Popen] = (), limit: float = 60.0) -> None:
    """Waits for this to become true; fails at once when one of the processes has ended."""
    deadline = time.monotonic() + limit
    while True:
        for process in processes:
            if process.poll() is not None:
                raise Failed(f"{what}: {process.args[0]} ended with {process.returncode}")
        try:
            if ready():
                return
        except (OSError, ValueError, Failed):
            pass
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {limit:.0f} s")
        time.sleep(0.1)


def require_free(ports: Sequence[int], host: str = "127.0.0.1") -> None:
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                raise Failed(f"port {port} is taken: choose another --base-port") from None


def environment(without: str, **more: str) -> dict[str, str]:
    """The environment without variables of this beginning: what a user has set there must not change what is measured."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(without)}
    return kept | more
