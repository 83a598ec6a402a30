"""Owners change under load: a node leaves, is removed, takes another's places. What went comes back as a new node.

    leave     n2 gives its places away ──────────────► let go ─► emptied, started: it joins
    remove    n2 is killed ─ `remove n2` ────────────► moved  ─► emptied, started: it joins
    replace   n4 leaves, is emptied, stands by; n2 is killed ─ `replace n2` ─► moved ─► n2 emptied, started: it joins

Beginning only sets it going, so that other faults meet it on its way; ending sees it through.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from . import web
from .shell import until
from .words import Failed

if TYPE_CHECKING:
    from .cluster import Cluster
    from .faults import Plan

# How long it may take until a command is heard: the members may be busy with another change.
HEARD = 60.0
# How long a change of owners may take, with others away for a part of it.
CHANGED = 180.0
# What a node says while it still has data of others.
REMNANTS = "others own"


def leave(cluster: Cluster, plan: Plan) -> None:
    """Each node is told to go."""
    for number in plan.nodes:
        _insist(f"n{number} begins to leave", partial(_leave, cluster, number))


def end_leave(cluster: Cluster, plan: Plan) -> None:
    """Each is let go, and comes back empty."""
    for number in plan.nodes:
        _be_let_go(cluster, number)
        _come_back_empty(cluster, number)
    _settle(cluster)


def remove(cluster: Cluster, plan: Plan) -> None:
    """Each node is killed for good, and its places go to others."""
    for number in plan.nodes:
        cluster.kill(number)
        _insist(f"n{number} is being removed", partial(_ask, cluster, number, "remove", f"n{number}"))


def replace(cluster: Cluster, plan: Plan) -> None:
    """The second node takes the places of the first, which is killed for good."""
    if len(plan.nodes) != 2:
        raise Failed(f"{plan.words()}: name two nodes: whose places, and who takes them")
    old, new = plan.nodes
    _insist(f"n{new} begins to leave", partial(_leave, cluster, new))
    _be_let_go(cluster, new)
    cluster.kill(new)
    cluster.empty(new)
    cluster.start(new, wait=False, spare=True)
    until(f"n{new} stands by", CHANGED, partial(_is_no_member, cluster, new))
    cluster.kill(old)
    until(f"n{new} sees n{old} dead", HEARD, partial(_lives, cluster, old, new))
    _insist(f"n{new} replaces n{old}", partial(_replace, cluster, old, new))


def end_remove(cluster: Cluster, plan: Plan) -> None:
    """What was killed is no member any more, and comes back empty."""
    for number in plan.nodes[:1]:
        until(f"n{number} is no member any more", CHANGED, partial(_is_member, cluster, number))
        _come_back_empty(cluster, number)
    _settle(cluster)


def unsettled(cluster: Cluster) -> str | None:
    """Why owners are not settled: somebody is no member, or moves, or holds what is not its own."""
    try:
        for number in cluster.numbers:
            ring = web.get(cluster.http(number), "/v1/ring")
            missing = {f"n{other}" for other in cluster.numbers} - _owners(ring)
            if missing:
                return f"n{number} knows no places of {', '.join(sorted(missing))}"
            if ring["change"] is not None or ring["leaving"]:
                return f"n{number} sees owners change: {(ring['change'] or {}).get('words', ring['leaving'])}"
            verdict = web.get(cluster.http(number), "/v1/status")["verdict"]
            if REMNANTS in verdict:
                return f"n{number}: {verdict}"
    except (OSError, HTTPException) as error:
        return str(error)
    return None


def _owners(ring: Any) -> set[str]:
    return {member["name"] for member in ring["members"] if member["owned"]}


def _settle(cluster: Cluster) -> None:
    # Another fault may not have ended yet: who is down has places all the same.
    up = [number for number in cluster.numbers if cluster.state(number) == "up"]

    def objection() -> str | None:
        try:
            ring = web.get(cluster.http(up[0]), "/v1/ring")
        except (OSError, HTTPException) as error:
            return str(error)
        missing = {f"n{number}" for number in cluster.numbers} - _owners(ring)
        return f"no places for {', '.join(sorted(missing))}" if missing else None

    until("all have places", CHANGED, objection, every=0.5)


def _insist(what: str, act: Callable[[], None], every: float = 0.5) -> None:
    def objection() -> str | None:
        try:
            act()
        except Failed as error:
            return str(error)
        return None

    until(what, HEARD, objection, every)


def _leave(cluster: Cluster, number: int) -> None:
    # An earlier try may have been heard though its answer was not.
    if _is_member(cluster, number) is not None and f"n{number}" not in _leaving(cluster, number):
        cluster.quorate("leave", "--node", cluster.native(number))


def _replace(cluster: Cluster, old: int, new: int) -> None:
    if _is_member(cluster, old) is not None and f"n{old}" not in _leaving(cluster, old):
        cluster.quorate("replace", f"n{old}", "--node", cluster.native(new))


def _ask(cluster: Cluster, number: int, *words: str) -> None:
    if _is_member(cluster, number) is not None and f"n{number}" not in _leaving(cluster, number):
        [other, *_] = [other for other in cluster.others(number) if cluster.state(other) == "up"]
        cluster.quorate(*words, "--node", cluster.native(other))


def _rings(cluster: Cluster, number: int) -> list[Any]:
    """What the others know, the newest first."""
    rings = []
    for other in cluster.others(number):
        if cluster.state(other) != "up":
            continue
        try:
            rings.append(web.get(cluster.http(other), "/v1/ring"))
        except (OSError, HTTPException):
            continue
    return sorted((ring for ring in rings if ring.get("index")), key=lambda ring: int(ring["index"]), reverse=True)


def _leaving(cluster: Cluster, number: int) -> list[str]:
    rings = _rings(cluster, number)
    return [str(name) for name in rings[0]["leaving"]] if rings else []


def _is_member(cluster: Cluster, number: int) -> str | None:
    """An objection as long as it is one."""
    rings = _rings(cluster, number)
    if not rings:
        return "nobody knows"
    names = {member["name"] for member in rings[0]["members"]}
    return f"n{number} is a member still" if f"n{number}" in names else None


def _is_no_member(cluster: Cluster, number: int) -> str | None:
    """An objection until it is one."""
    return None if _is_member(cluster, number) else f"n{number} is no member yet"


def _lives(cluster: Cluster, number: int, for_whom: int) -> str | None:
    """An objection as long as one node sees the other alive."""
    try:
        members = web.get(cluster.http(for_whom), "/v1/members")["members"]
    except (OSError, HTTPException) as error:
        return str(error)
    # Its earlier lives may still be told of.
    states = {member["state"] for member in members if member["name"] == f"n{number}"}
    return f"it is {', '.join(sorted(states))}" if states - {"dead", "left"} else None


def _be_let_go(cluster: Cluster, number: int) -> None:
    until(f"n{number} is let go", CHANGED, partial(_is_member, cluster, number))


def _come_back_empty(cluster: Cluster, number: int) -> None:
    cluster.kill(number)
    cluster.empty(number)
    cluster.start(number, wait=False)
