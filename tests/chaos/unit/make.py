"""Short ways to write histories and replicas down."""

from __future__ import annotations

import base64
import json
from typing import Any

from lib.history import OK, Op
from lib.replicas import Held


def op(
    kind: str, value: str | None = None, outcome: str = OK, at: float = 0, until: float | None = None, **more: Any
) -> Op:
    """An operation on key `k`; it takes a tenth of a second unless said."""
    end = at + 0.1 if until is None else until
    return Op("test", kind, more.pop("key", "k"), 1, at, end, outcome, value=value, **more)


def same(*values: str, key: str = "k") -> dict[str, Held]:
    """All three replicas hold just these."""
    return {key: Held(3, set(values), set(values))}


def torn(everywhere: set[str], anywhere: set[str]) -> dict[str, Held]:
    """Some values are on some replicas only."""
    return {"k": Held(3, everywhere, anywhere)}


def record(bucket: str, key: str, *values: str | None, vector: int = 1) -> dict[str, Any]:
    """One line of a dump; `None` is a tombstone."""
    siblings = [
        {"dot": f"a:{at}", "tombstone": True} if value is None else {"dot": f"a:{at}", "value": encode(value)}
        for at, value in enumerate(values)
    ]
    line = {"bucket": bucket, "key": encode(key), "sort": "", "siblings": siblings, "vector": {"a": vector}}
    copied: dict[str, Any] = json.loads(json.dumps(line))
    return copied


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
