"""Unique adds under siblings: writes without a context replace nothing, so every acknowledged one is there.

    ok       must be on every replica, once
    unknown  may be there
    no       must not be there: it was said that nothing changed
"""

from __future__ import annotations

from ..history import NO, OK, Op
from ..replicas import Held
from .verdict import Verdict, anywhere, doubles, held, phantoms, written


def check(ops: list[Op], replicas: dict[str, Held]) -> Verdict:
    verdict = Verdict("unique adds")
    acknowledged = maybe = appeared = 0
    for op in ops:
        assert op.value is not None
        key = held(replicas, op.key)
        if op.outcome == OK:
            acknowledged += 1
            if op.value not in key.everywhere:
                where = "on some replicas only" if op.value in key.anywhere else "nowhere"
                verdict.lost.append(f"adds/{op.key}: {op.value}, acknowledged at {op.end:.3f} s, is {where}")
        if op.outcome not in (OK, NO):
            maybe += 1
            appeared += op.value in key.anywhere
    verdict.phantom = phantoms("adds", anywhere(replicas), written(ops))
    verdict.wrong = doubles("adds", replicas)
    verdict.counts = {"acknowledged": acknowledged, "unknown": maybe, "unknown that happened": appeared}
    return verdict
