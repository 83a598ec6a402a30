"""The faults: what each of them prepares, begins and ends. The scripts and the schedule both use them.

`prepare` is what must be there before (a library in a process, an old copy); no fault yet, but it may restart the
node. `begin` is the fault. `end` takes it back where it does not end by itself.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import clock, cuts, disk, owners, slow
from .cluster import Cluster
from .words import Failed, names

# How long a node is gone before it comes back with nothing, or with an old copy.
GONE = 2.0


@dataclass
class Plan:
    """One fault of one cycle."""

    fault: str
    nodes: list[int]
    how: dict[str, Any] = field(default_factory=dict)

    def words(self) -> str:
        """For people."""
        shape = self.how.get("shape", "")
        rest = {name: value for name, value in self.how.items() if name != "shape"}
        said = " ".join(f"{name}={value}" for name, value in rest.items())
        whom = "+".join(f"n{node}" for node in self.nodes)
        return " ".join(word for word in (self.fault, shape, whom, said) if word)


Act = Callable[[Cluster, Plan], None]


def nothing(cluster: Cluster, plan: Plan) -> None:
    """There is nothing to do at this time."""


@dataclass(frozen=True)
class Fault:
    """One kind."""

    what: str
    begin: Act
    end: Act = nothing
    prepare: Act = nothing
    network: bool = False
    # It takes a disk's content: two of them may come only with a complete healing in between.
    loses_disk: bool = False


def each(act: Callable[..., None], *words: str) -> Act:
    """Does it to every node of the plan; `words` name what else of the plan it is told."""

    def do(cluster: Cluster, plan: Plan) -> None:
        for number in plan.nodes:
            act(cluster, number, *[plan.how[word] for word in words])

    return do


def processes(act: Callable[[Cluster, int], None]) -> Act:
    """Does it to every node that is a process of this machine; a machine of its own needs no such thing."""

    def do(cluster: Cluster, plan: Plan) -> None:
        if not cluster.machines:
            each(act)(cluster, plan)

    return do


def _kill(cluster: Cluster, number: int) -> None:
    cluster.kill(number)


def _pause(cluster: Cluster, number: int) -> None:
    cluster.pause(number)


def _start(cluster: Cluster, number: int) -> None:
    cluster.start(number, wait=False)


def _resume(cluster: Cluster, number: int) -> None:
    if cluster.state(number) == "paused":
        cluster.resume(number)


def _partition(cluster: Cluster, plan: Plan) -> None:
    shape = plan.how["shape"]
    strangers = [number for number in plan.nodes if number not in cluster.numbers]
    if strangers:
        raise Failed(f"there is no {names(strangers)} to cut off")
    made = cuts.cuts(shape, cluster.numbers, plan.nodes)
    if not made:
        raise Failed(f"{plan.words()}: all would go on hearing all")
    cluster.cut(made, udp_only=shape == "udp-only")


def _join(cluster: Cluster, plan: Plan) -> None:
    cluster.cut(set())


def _bend(cluster: Cluster, plan: Plan) -> None:
    for number in plan.nodes or cluster.numbers:
        cluster.bend(number, **plan.how)


def _straighten(cluster: Cluster, plan: Plan) -> None:
    cluster.straighten()


def _skew(cluster: Cluster, number: int, seconds: float) -> None:
    cluster.skew(number, seconds)


def _unskew(cluster: Cluster, number: int) -> None:
    cluster.unskew(number)


def _fill(cluster: Cluster, number: int) -> None:
    cluster.fill(number)


def _unfill(cluster: Cluster, number: int) -> None:
    cluster.unfill(number)


def _slow(cluster: Cluster, number: int, seconds: float) -> None:
    cluster.slow(number, seconds)


def _unslow(cluster: Cluster, number: int) -> None:
    cluster.unslow(number)


def _wipe(cluster: Cluster, number: int) -> None:
    cluster.kill(number)
    cluster.empty(number)
    time.sleep(GONE)
    cluster.start(number, wait=False)


def save_old(cluster: Cluster, number: int) -> None:
    """Keeps a copy of the node's data as they are now."""
    cluster.copy_data(number, cluster.folder / "old" / f"n{number}")


def put_old_back(cluster: Cluster, number: int) -> None:
    """Kills the node and starts it with the copy."""
    old = cluster.folder / "old" / f"n{number}"
    if not old.exists():
        raise Failed(f"there is no old copy of n{number}; take one with: restore-old {number} --save")
    cluster.kill(number)
    time.sleep(GONE)
    cluster.put_back(number, old)
    cluster.start(number, wait=False)


def _roll(cluster: Cluster, plan: Plan) -> None:
    for number in plan.nodes or cluster.numbers:
        cluster.stop(number)
        cluster.start(number)


FAULTS: dict[str, Fault] = {
    "kill": Fault("kill -9", each(_kill), each(_start)),
    "pause": Fault("the process stands still, its ports stay open", each(_pause), each(_resume)),
    "partition": Fault("some nodes cannot hear others", _partition, _join, network=True),
    "loss": Fault("frames are lost", _bend, _straighten, network=True),
    "duplicate": Fault("frames arrive twice", _bend, _straighten, network=True),
    "corrupt": Fault("frames between nodes are spoilt", _bend, _straighten, network=True),
    "delay": Fault("frames are late and out of order", _bend, _straighten, network=True),
    "skew": Fault("a node's clock jumps", each(_skew, "by"), each(_unskew), processes(clock.prepare)),
    "full-disk": Fault("a node's disk is full", each(_fill), each(_unfill), processes(disk.prepare)),
    "slow-disk": Fault(
        "a node's disk takes long to sync", each(_slow, "delay"), each(_unslow), processes(slow.prepare)
    ),
    "wipe": Fault("kill -9, and the disk comes back empty", each(_wipe), loses_disk=True),
    "restore-old": Fault(
        "kill -9, and the disk comes back as it was", each(put_old_back), nothing, each(save_old), loses_disk=True
    ),
    "leave": Fault("a node gives its places away, and comes back as a new one", owners.leave, owners.end_leave),
    "remove": Fault(
        "kill -9 for ever, and its places go to others", owners.remove, owners.end_remove, loses_disk=True
    ),
    "replace": Fault(
        "kill -9 for ever, and another node takes its places", owners.replace, owners.end_remove, loses_disk=True
    ),
    "rolling-restart": Fault("one node after the other stops in order and starts", _roll),
}


def possible(cluster: Cluster, name: str) -> None:
    """Raises `CannotHere` with the reason when this fault cannot be had."""
    if FAULTS[name].network:
        cluster.needs_network()
    if cluster.machines:
        return
    if name == "skew":
        clock.needs()
    if name == "slow-disk":
        slow.needs()
    if name == "full-disk":
        disk.needs(cluster.folder)


def draw(name: str, rng: random.Random, nodes: list[int]) -> Plan:
    """One fault of this kind, with whatever chance decides."""
    one = [rng.choice(nodes)]
    if name == "kill":
        return Plan(name, sorted(rng.sample(nodes, rng.choice((1, 1, 2)))))
    if name == "partition":
        shape = rng.choice(cuts.SHAPES)
        size = 2 if shape in ("halves", "udp-only") else 1
        return Plan(name, [] if shape == "ring" else sorted(rng.sample(nodes, size)), {"shape": shape})
    if name == "loss":
        return Plan(name, sorted(rng.sample(nodes, 2)), {"loss": rng.choice((5, 15, 30))})
    if name == "duplicate":
        return Plan(name, sorted(rng.sample(nodes, 2)), {"duplicate": rng.choice((20, 50)), "jitter": 0.02})
    if name == "corrupt":
        return Plan(name, sorted(rng.sample(nodes, 2)), {"corrupt": rng.choice((2, 5))})
    if name == "delay":
        late = rng.choice((0.05, 0.15, 0.4))
        return Plan(name, one, {"delay": late, "jitter": late / 2})
    if name == "skew":
        return Plan(name, one, {"by": rng.choice((-3600, -30, 5, 120, 86400))})
    if name == "slow-disk":
        return Plan(name, one, {"delay": rng.choice((0.3, 0.6, 1.5))})
    if name == "replace":
        return Plan(name, rng.sample(nodes, 2))
    if name == "rolling-restart":
        return Plan(name, [])
    return Plan(name, one)
