"""Single-writer registers under `strict` are regular, and reads do not go back.

The writer writes 1, 2, 3 …. What a read shows is the largest of its values (a write of unknown outcome may stand
beside its successor). It is at least the last one acknowledged before the read began, at least what any read that
had ended before showed, and at most the last one begun before the read ended. At the end it holds at least what was
acknowledged or read, and nothing that was refused.
"""

from __future__ import annotations

import bisect

from ..history import NO, OK, Op
from ..replicas import Held
from .verdict import Verdict, anywhere, held, phantoms, written


class Steps:
    """The largest number up to a time."""

    def __init__(self, events: list[tuple[float, int]]) -> None:
        self.times: list[float] = []
        self.largest: list[int] = []
        top = 0
        for time, number in sorted(events):
            top = max(top, number)
            self.times.append(time)
            self.largest.append(top)

    def before(self, time: float) -> int:
        at = bisect.bisect_left(self.times, time)
        return self.largest[at - 1] if at else 0


def check(ops: list[Op], replicas: dict[str, Held]) -> Verdict:
    verdict = Verdict("strict registers", ("acknowledged", "reads"))
    by_key: dict[str, list[Op]] = {}
    for op in ops:
        by_key.setdefault(op.key, []).append(op)
    reads_seen = writes_acked = 0
    for key, mine in sorted(by_key.items()):
        writes = [op for op in mine if op.kind == "write"]
        reads = [op for op in mine if op.kind == "read" and op.outcome == OK]
        acked = [(op.end, int(op.value or 0)) for op in writes if op.outcome == OK]
        begun = Steps([(op.begin, int(op.value or 0)) for op in writes])
        refused = {int(op.value or 0) for op in writes if op.outcome == NO}
        lower, shown = Steps(acked), Steps([(op.end, _largest(op.seen)) for op in reads])
        for op in reads:
            largest = _largest(op.seen)
            told = f"registers/{key}: the read from {op.begin:.3f} to {op.end:.3f} s shows {largest}"
            if largest < lower.before(op.begin):
                verdict.wrong.append(f"{told}, and {lower.before(op.begin)} was acknowledged before it began")
            elif largest < shown.before(op.begin):
                verdict.wrong.append(f"{told}, and {shown.before(op.begin)} was read before it began")
            if largest > begun.before(op.end):
                verdict.phantom.append(f"{told}, which nobody had begun to write")
            for number in sorted({int(value) for value in op.seen} & refused):
                verdict.phantom.append(f"{told} and {number}, which was refused")
        last = max((number for _, number in acked), default=0)
        final = _largest(sorted(held(replicas, key).everywhere))
        if final < max(last, shown.before(float("inf"))):
            verdict.lost.append(f"registers/{key}: holds {final} at the end, {last} was acknowledged")
        reads_seen += len(reads)
        writes_acked += len(acked)
    verdict.phantom += phantoms("registers", anywhere(replicas), written([op for op in ops if op.kind == "write"]))
    verdict.counts = {"acknowledged": writes_acked, "reads": reads_seen}
    return verdict


def _largest(values: list[str]) -> int:
    return max((int(value) for value in values), default=0)
