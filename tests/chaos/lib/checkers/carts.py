"""Adds and deletes: a delete removes what it was shown, for ever, and nothing else.

    shown to the author of an acknowledged delete    must not be there: no resurrection
    acknowledged, and shown to no delete at all       must be there: a concurrent add survives
    acknowledged, and shown to a delete of unknown outcome   may be either
"""

from __future__ import annotations

from ..history import NO, OK, Op
from ..replicas import Held
from .verdict import Verdict, anywhere, doubles, held, phantoms, written


def check(ops: list[Op], replicas: dict[str, Held]) -> Verdict:
    verdict = Verdict("adds and deletes", ("adds acknowledged", "deletes acknowledged"))
    deleted: dict[str, set[str]] = {}
    maybe_deleted: dict[str, set[str]] = {}
    adds = [op for op in ops if op.kind == "add"]
    deletes = [op for op in ops if op.kind == "delete"]
    for op in deletes:
        if op.outcome == OK:
            deleted.setdefault(op.key, set()).update(op.seen)
        if op.outcome != NO:
            maybe_deleted.setdefault(op.key, set()).update(op.seen)
    for op in adds:
        assert op.value is not None
        safe = op.value not in maybe_deleted.get(op.key, set())
        if op.outcome == OK and safe and op.value not in held(replicas, op.key).everywhere:
            verdict.lost.append(f"carts/{op.key}: {op.value}, acknowledged at {op.end:.3f} s, is lost")
    for name, key in sorted(replicas.items()):
        for value in sorted(key.anywhere & deleted.get(name, set())):
            verdict.wrong.append(f"carts/{name}: {value} was deleted and is back")
    verdict.phantom = phantoms("carts", anywhere(replicas), written(adds))
    verdict.wrong += doubles("carts", replicas)
    verdict.counts = {
        "adds acknowledged": sum(op.outcome == OK for op in adds),
        "deletes acknowledged": sum(op.outcome == OK for op in deletes),
        "values deleted": sum(len(values) for values in deleted.values()),
    }
    return verdict
