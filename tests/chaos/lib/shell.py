"""Running other programs, and waiting for what they do, always with a limit of time."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .words import CannotHere, Failed

ROOT = Path(__file__).resolve().parents[3]
# No command of a script takes longer by itself; what waits says how long.
LIMIT = 60.0


def run(
    command: Sequence[str],
    *,
    limit: float = LIMIT,
    env: Mapping[str, str] | None = None,
    text: str | None = None,
) -> str:
    """Runs it to its end and returns what it said; fails with its complaint."""
    try:
        done = subprocess.run(
            list(command),
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            timeout=limit,
            env=None if env is None else dict(env),
            check=False,
        )
    except FileNotFoundError as error:
        raise CannotHere(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{' '.join(command)}: not done after {limit:.0f} s") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        # The rest says where to look further; a script's complaint is one line.
        complaint = lines[0]
        raise Failed(f"{' '.join(command)}: {complaint}")
    return done.stdout


def attempt(command: Sequence[str], *, limit: float = LIMIT) -> str:
    """The same for cleaning up: what does not work is not there any more."""
    try:
        return run(command, limit=limit)
    except (Failed, CannotHere):
        return ""


def needs(program: str, package: str) -> str:
    """The path of a program, or the package that would bring it."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin:/usr/bin:/bin")
    if path is None:
        raise CannotHere(f"{program} is not installed (Debian: apt-get install {package})")
    return path


def program() -> str:
    """The product: $QUORATE, else this checkout's build, else the one on the PATH."""
    builds = [ROOT / "target" / kind / "quorate" for kind in ("release", "debug")]
    told = os.environ.get("QUORATE")
    if told:
        return told
    for build in builds:
        if build.exists():
            return str(build)
    return needs("quorate", "nothing; build it with: cargo build --release")


def until(what: str, limit: float, look: Callable[[], str | None], every: float = 0.1) -> float:
    """Waits until `look` has nothing to object; returns how long it took."""
    begin = time.monotonic()
    while True:
        objection = look()
        took = time.monotonic() - begin
        if objection is None:
            return took
        if took > limit:
            raise Failed(f"{what}: not within {limit:.0f} s: {objection}")
        time.sleep(every)
