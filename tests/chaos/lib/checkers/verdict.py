"""What a judge says."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..replicas import Held


@dataclass
class Verdict:
    """`lost`, `phantom` and `wrong` are violations; `counts` are not."""

    name: str
    counts: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    phantom: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def violations(self) -> list[str]:
        return [*self.lost, *self.phantom, *self.wrong]


NOTHING = Held()


def held(replicas: dict[str, Held], key: str) -> Held:
    return replicas.get(key, NOTHING)
