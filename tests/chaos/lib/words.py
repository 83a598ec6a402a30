"""How a script ends, and small things that all of them say in the same way."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable


class Failed(Exception):
    """It was tried and did not work: exit code 1."""


class CannotHere(Exception):
    """This machine, user or backend cannot do it: exit code 2. Nothing was changed."""


def say(text: str) -> None:
    print(text, flush=True)


def warn(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def exit_code(name: str, act: Callable[[], int | None], interrupted: str = "") -> int:
    """Runs a script; says in one line why it could not."""
    try:
        return act() or 0
    except CannotHere as error:
        warn(f"{name}: cannot be done here: {error}")
        return 2
    except (Failed, OSError) as error:
        warn(f"{name}: {error}")
        return 1
    except KeyboardInterrupt:
        if interrupted:
            warn(f"{name}: {interrupted}")
        return 130


def seconds(text: str) -> float:
    """`250ms`, `10s`, `2m` as seconds; a plain number is seconds too."""
    match = re.fullmatch(r"([+-]?\d+(?:\.\d+)?)(ms|s|m|h)?", text)
    if match is None:
        raise ArgumentTypeError(f"{text!r} is no duration: use 250ms, 10s, 2m or 1h")
    return float(match[1]) * {"ms": 0.001, "s": 1, None: 1, "m": 60, "h": 3600}[match[2]]


def duration(text: str) -> float:
    """The same, of something that lasts."""
    value = seconds(text)
    if value < 0:
        raise ArgumentTypeError(f"{text!r} cannot be negative")
    return value


def percent(text: str) -> float:
    """`5` or `5%` as a number from 0 to 100."""
    match = re.fullmatch(r"(\d*\.?\d+)%?", text)
    if match is None or float(match[1]) > 100:
        raise ArgumentTypeError(f"{text!r} is no percentage")
    return float(match[1])


def count(text: str) -> int:
    """How many, where none would be nothing."""
    if not re.fullmatch(r"0*[1-9][0-9]*", text):
        raise ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)


def node_number(text: str) -> int:
    """`3` or `n3`."""
    try:
        return count(text.removeprefix("n"))
    except ArgumentTypeError:
        raise ArgumentTypeError(f"{text!r} is no node: they count from 1") from None


def names(numbers: list[int]) -> str:
    """`n1, n4`."""
    return ", ".join(f"n{number}" for number in numbers)
