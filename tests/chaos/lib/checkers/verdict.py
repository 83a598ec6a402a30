"""What a judge says, and what several judges ask in the same way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..history import NO, Op
from ..replicas import Held


@dataclass
class Verdict:
    """`lost`, `phantom` and `wrong` are violations; `counts` are not. `basis` names those that must not be 0."""

    name: str
    basis: tuple[str, ...] = ("acknowledged",)
    counts: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    phantom: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def violations(self) -> list[str]:
        return [*self.lost, *self.phantom, *self.wrong]

    @property
    def missing(self) -> list[str]:
        """What never happened, so that nothing was judged by it."""
        return [name for name in self.basis if not self.counts.get(name)]


NOTHING = Held()


def held(replicas: dict[str, Held], key: str) -> Held:
    return replicas.get(key, NOTHING)


def value(op: Op) -> str:
    assert op.value is not None
    return op.value


def written(writes: list[Op], what: Callable[[Op], str] = value) -> dict[str, set[str]]:
    """What may be under each key: all that was not refused."""
    possible: dict[str, set[str]] = {}
    for op in writes:
        if op.outcome != NO:
            possible.setdefault(op.key, set()).add(what(op))
    return possible


def anywhere(replicas: dict[str, Held]) -> dict[str, set[str]]:
    """What at least one replica has under each key, also under those that no client knows."""
    return {name: key.anywhere for name, key in replicas.items()}


def phantoms(bucket: str, there: dict[str, set[str]], possible: dict[str, set[str]]) -> list[str]:
    return [
        f"{bucket}/{name}: {stranger} is there, and nobody wrote it or it was refused"
        for name, found in sorted(there.items())
        for stranger in sorted(found - possible.get(name, set()))
    ]


def doubles(bucket: str, replicas: dict[str, Held]) -> list[str]:
    return [
        f"{bucket}/{name}: {double} is there twice: a retry made a second sibling"
        for name, key in sorted(replicas.items())
        for double in sorted(key.twice)
    ]
