"""How a script ends, and small things that all of them say in the same way."""

from __future__ import annotations

import re
import sys
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
        raise ValueError(f"{text!r} is no duration: use 250ms, 10s, 2m or 1h")
    return float(match[1]) * {"ms": 0.001, "s": 1, None: 1, "m": 60, "h": 3600}[match[2]]


def percent(text: str) -> float:
    """`5` or `5%` as a number from 0 to 100."""
    value = float(text.removesuffix("%"))
    if not 0 <= value <= 100:
        raise ValueError(f"{text!r} is no percentage")
    return value


def node_number(text: str) -> int:
    """`3` or `n3`."""
    number = int(text.removeprefix("n"))
    if number < 1:
        raise ValueError(f"{text!r} is no node: they count from 1")
    return number


def names(numbers: list[int]) -> str:
    """`n1, n4`."""
    return ", ".join(f"n{number}" for number in numbers)
