"""What clients felt during one cycle, and whether that is enough for the cycle to count."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .history import OK, Op

# A cycle counts when so many operations succeeded during its faults, and so many failed or were slowed.
SUCCEEDED = 0.30
DISTURBED = 0.01
# What is slow: this many times the 99th percentile of the calm before.
SLOW = 2.0


@dataclass
class Span:
    """A part of a run, in seconds since it began."""

    begin: float = 0.0
    end: float = 0.0

    @property
    def length(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True)
class Load:
    """Two counts over the whole cycle, two parts of what began during the faults."""

    operations: int = 0
    acknowledged_adds: int = 0
    succeeded: float = 0.0
    disturbed: float = 0.0

    @property
    def enough(self) -> bool:
        return self.succeeded >= SUCCEEDED and self.disturbed >= DISTURBED


def measure(ops: list[Op], faults: Span) -> Load:
    """The load of a cycle whose faults lasted from then to then; what began before them was calm."""
    calm = sorted(op.end - op.begin for op in ops if op.begin < faults.begin)
    # Without a calm nobody knows what is slow, so nothing is.
    usual = calm[int(len(calm) * 0.99)] if calm else math.inf
    under = [op for op in ops if faults.begin <= op.begin <= faults.end]
    adds = sum(op.workload == "adds" and op.outcome == OK for op in ops)
    if not under:
        return Load(len(ops), adds)
    good = sum(op.outcome == OK for op in under)
    bad = sum(op.outcome != OK or op.stumbled or op.end - op.begin > SLOW * usual for op in under)
    return Load(len(ops), adds, good / len(under), bad / len(under))
