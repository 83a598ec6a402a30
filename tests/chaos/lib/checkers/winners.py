"""Last writer wins: all replicas end with the same one value, which somebody wrote. Losses are counted, not judged.

Judged is one more thing: a write that had been shown the value it was to replace wins over it.
"""

from __future__ import annotations

from ..history import OK, Op
from ..replicas import Held
from .verdict import Verdict, anywhere, held, phantoms, written


def check(ops: list[Op], replicas: dict[str, Held]) -> Verdict:
    verdict = Verdict("last writer wins")
    writes = [op for op in ops if op.kind == "write"]
    by_key: dict[str, list[Op]] = {}
    for op in writes:
        by_key.setdefault(op.key, []).append(op)
    older_won = acknowledged = 0
    for key, mine in sorted(by_key.items()):
        state = held(replicas, key)
        acked = [op for op in mine if op.outcome == OK]
        acknowledged += len(acked)
        if len(state.anywhere) > 1:
            verdict.wrong.append(f"winners/{key}: several last writers: {sorted(state.anywhere)}")
        if acked and not state.everywhere:
            verdict.lost.append(f"winners/{key}: every write is lost")
        for winner in mine:
            if winner.value not in state.anywhere:
                continue
            for op in acked:
                if winner.value in op.seen:
                    verdict.wrong.append(f"winners/{key}: {op.value} had seen {winner.value}, which won all the same")
            older_won += sum(op.begin > winner.end for op in acked) if winner.outcome == OK else 0
    verdict.phantom = phantoms("winners", anywhere(replicas), written(writes))
    # Without a wrong clock or a late handover this is 0; the promise does not say so.
    verdict.counts = {"acknowledged": acknowledged, "later ones that lost to an earlier one": older_won}
    return verdict
