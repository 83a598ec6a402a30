"""All judges, over a whole history."""

from __future__ import annotations

from collections.abc import Callable

from . import replicas
from .checkers import adds, carts, registers, updates, winners
from .checkers.verdict import Verdict
from .history import Op

CHECKERS: dict[str, Callable[[list[Op], dict[str, replicas.Held]], Verdict]] = {
    "adds": adds.check,
    "updates": updates.check,
    "registers": registers.check,
    "winners": winners.check,
    "carts": carts.check,
}


def judge(
    ops: list[Op], dumps: dict[int, replicas.Dump], copies: int, workloads: list[str]
) -> dict[str, Verdict]:
    """What each of them says of its own workload, also when no client did anything."""
    by_workload: dict[str, list[Op]] = {name: [] for name in workloads}
    for op in ops:
        by_workload[op.workload].append(op)
    return {
        name: CHECKERS[name](mine, replicas.held(dumps, f"chaos-{name}", copies))
        for name, mine in sorted(by_workload.items())
    }
