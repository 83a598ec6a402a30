"""Read-modify-write with contexts: each value is a list of elements, and a writer adds one to all that it was shown.

A write replaces what it was shown, and carries it on; so an acknowledged element is in the union of what remains, and
siblings are what nobody has joined yet.
"""

from __future__ import annotations

from ..history import OK, Op
from ..replicas import Held
from .verdict import Verdict, anywhere, held, phantoms, value, written


def elements(values: set[str]) -> set[str]:
    """Values are elements with a space between."""
    return {element for value in values for element in value.split()}


def own(op: Op) -> str:
    """The element that a write added: the last of its value."""
    return value(op).split()[-1]


def check(ops: list[Op], replicas: dict[str, Held]) -> Verdict:
    verdict = Verdict("read-modify-write")
    writes = [op for op in ops if op.kind == "write"]
    acknowledged = 0
    for op in writes:
        if op.outcome == OK:
            acknowledged += 1
            if own(op) not in elements(held(replicas, op.key).everywhere):
                verdict.lost.append(f"updates/{op.key}: {own(op)}, acknowledged at {op.end:.3f} s, is lost")
    there = {name: elements(values) for name, values in anywhere(replicas).items()}
    verdict.phantom = phantoms("updates", there, written(writes, own))
    siblings = max((len(key.anywhere) for key in replicas.values()), default=0)
    verdict.counts = {"acknowledged": acknowledged, "most siblings left": siblings}
    return verdict
