"""Adds and deletes: a delete removes what it was shown, for ever, and nothing else.

    shown to the author of an acknowledged delete    must not be there: no resurrection
    acknowledged, and shown to no delete at all       must be there: a concurrent add survives
    acknowledged, and shown to a delete of unknown outcome   may be either
"""

from __future__ import annotations

from ..history import NO, OK, Op
from ..replicas import Held
from .verdict import Verdict, held


def check(ops: list[Op], replicas: dict[str, Held]) -> Verdict:
    verdict = Verdict("adds and deletes")
    deleted: dict[str, set[str]] = {}
    maybe_deleted: dict[str, set[str]] = {}
    possible: dict[str, set[str]] = {}
    adds = [op for op in ops if op.kind == "add"]
    deletes = [op for op in ops if op.kind == "delete"]
    for op in deletes:
        if op.outcome == OK:
            deleted.setdefault(op.key, set()).update(op.seen)
        if op.outcome != NO:
            maybe_deleted.setdefault(op.key, set()).update(op.seen)
    for op in adds:
        assert op.value is not None
        if op.outcome != NO:
            possible.setdefault(op.key, set()).add(op.value)
        safe = op.value not in maybe_deleted.get(op.key, set())
        if op.outcome == OK and safe and op.value not in held(replicas, op.key).everywhere:
            verdict.lost.append(f"carts/{op.key}: {op.value}, acknowledged at {op.end:.3f} s, is lost")
    for name, key in sorted(replicas.items()):
        for value in sorted(key.anywhere & deleted.get(name, set())):
            verdict.wrong.append(f"carts/{name}: {value} was deleted and is back")
        for value in sorted(key.anywhere - possible.get(name, set())):
            verdict.phantom.append(f"carts/{name}: {value} is there, and nobody wrote it or it was refused")
        for value in sorted(key.twice):
            verdict.wrong.append(f"carts/{name}: {value} is there twice: a retry made a second sibling")
    verdict.counts = {
        "adds acknowledged": sum(op.outcome == OK for op in adds),
        "deletes acknowledged": sum(op.outcome == OK for op in deletes),
        "values deleted": sum(len(values) for values in deleted.values()),
    }
    return verdict
