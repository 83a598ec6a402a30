"""What clients did and were told: the only thing, beside what replicas hold at the end, that checkers look at."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

# How an operation ended. `no`: the answer promised that nothing changed. `unknown`: it may have happened.
OK, NO, UNKNOWN = "ok", "no", "unknown"


@dataclass
class Op:
    """One operation of one client; times are seconds since the run began."""

    workload: str
    kind: str
    key: str
    cycle: int
    begin: float
    end: float = 0.0
    outcome: str = UNKNOWN
    # The last answer's code, and how many tries it took.
    code: str = ""
    tries: int = 0
    # Whether the first try failed.
    stumbled: bool = False
    value: str | None = None
    # What its author had been shown: values that it replaces, or that a read returned.
    seen: list[str] = field(default_factory=list)


class History:
    """All operations of a run, in the order of their ends; also on disk, one JSON object a line."""

    def __init__(self, path: Path | None = None) -> None:
        self.ops: list[Op] = []
        self._file = open(path, "w") if path else None

    def add(self, op: Op) -> None:
        self.ops.append(op)
        if self._file:
            self._file.write(json.dumps(asdict(op), separators=(",", ":")) + "\n")

    def close(self) -> None:
        if self._file:
            self._file.close()
