"""Which backend a folder's cluster has."""

from __future__ import annotations

import json
from pathlib import Path

from .cluster import Cluster, Facts
from .local import Local, facts_of
from .netns import Netns, why_not
from .vagrant import Vagrant
from .words import Failed

BACKENDS: dict[str, type[Cluster]] = {"local": Local, "netns": Netns, "vagrant": Vagrant}


def make(folder: Path, facts: Facts) -> Cluster:
    return BACKENDS[facts.backend](folder, facts)


def opened(folder: Path) -> Cluster:
    """The cluster in a folder: one of `up`, or one of `quorate cluster start`."""
    chaos, plain = folder / "chaos.json", folder / "cluster.toml"
    if chaos.exists():
        return make(folder, Facts(**json.loads(chaos.read_text())))
    if plain.exists():
        return Local(folder, facts_of(plain.read_text()))
    raise Failed(f"there is no cluster in {folder}; begin with tests/chaos/up, or name its folder with --dir")


def best() -> tuple[str, str]:
    """The backend that can do most here, and why it is not another."""
    reason = why_not()
    return ("local", reason) if reason else ("netns", "")
