"""What the replicas hold, from each node's own records: nobody else is asked, and nothing is repaired by asking."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

Dump = list[dict[str, Any]]


@dataclass
class Held:
    """One key, over all nodes that have a record of it."""

    holders: int = 0
    # Live values that every holder has, and that at least one has.
    everywhere: set[str] = field(default_factory=set)
    anywhere: set[str] = field(default_factory=set)
    # Values that one record holds more than once.
    twice: set[str] = field(default_factory=set)


def parse(text: str) -> Dump:
    """The lines of `quorate dump --local`."""
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def name(item: dict[str, Any]) -> tuple[str, str]:
    """Bucket and key, the way the workloads write them."""
    return item["bucket"], base64.b64decode(item["key"]).decode()


def values(item: dict[str, Any]) -> list[str]:
    """The live ones."""
    shown = [s for s in item["siblings"] if s.get("value") is not None and not s.get("beaten")]
    return [base64.b64decode(s["value"]).decode() for s in shown]


def canonical(item: dict[str, Any]) -> str:
    """The same text for the same record: siblings have no order of their own."""
    siblings = sorted(json.dumps(sibling, sort_keys=True) for sibling in item["siblings"])
    return json.dumps([siblings, item["vector"]], sort_keys=True)


def disagreement(dumps: dict[int, Dump], replicas: int, buckets: set[str]) -> str | None:
    """The first key that is not the same on exactly so many nodes; nothing when all are."""
    found: dict[tuple[str, str], dict[str, list[int]]] = {}
    for number, dump in sorted(dumps.items()):
        for item in dump:
            if item["bucket"] in buckets:
                found.setdefault(name(item), {}).setdefault(canonical(item), []).append(number)
    for (bucket, key), versions in sorted(found.items()):
        holders = sorted(number for numbers in versions.values() for number in numbers)
        if len(versions) > 1:
            groups = " / ".join(str(numbers) for numbers in versions.values())
            return f"{bucket}/{key} differs between nodes {groups}"
        # A node that tells a record twice is still one replica.
        if not len(holders) == len(set(holders)) == replicas:
            return f"{bucket}/{key} is on nodes {holders}, not on {replicas}"
    return None


def held(dumps: dict[int, Dump], bucket: str, replicas: int) -> dict[str, Held]:
    """Every key of a bucket; nothing of a key is everywhere until so many nodes have a record of it."""
    keys: dict[str, Held] = {}
    for dump in dumps.values():
        for item in dump:
            if item["bucket"] != bucket:
                continue
            listed = values(item)
            live = set(listed)
            key = keys.setdefault(name(item)[1], Held())
            key.everywhere = live if key.holders == 0 else key.everywhere & live
            key.anywhere |= live
            key.holders += 1
            key.twice |= {value for value in live if listed.count(value) > 1}
    for key in keys.values():
        if key.holders < replicas:
            key.everywhere = set()
    return keys
