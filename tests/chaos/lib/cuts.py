"""Who cannot hear whom: the shapes of a partition, as pairs (speaker, listener) of node numbers."""

from __future__ import annotations

SHAPES = ("halves", "ring", "bridge", "one-way", "udp-only")

HELP = """\
halves     the group | the rest; nobody named: the smaller half of all
udp-only   the same, for gossip's packets alone: TCP passes
ring       everybody hears the two neighbours only
bridge     the node named (or the middle one) hears all; the others fall into two halves
one-way    the group speaks to the rest and does not hear it
"""

Cuts = set[tuple[int, int]]


def both(groups: list[list[int]]) -> Cuts:
    """Nobody of one group and nobody of another one hear each other."""
    return {
        (a, b)
        for one in groups
        for other in groups
        if one is not other
        for a in one
        for b in other
    }


def split(nodes: list[int], group: list[int]) -> list[list[int]]:
    """The group, by default the smaller half, and the rest."""
    group = group or nodes[: len(nodes) // 2]
    return [group, [node for node in nodes if node not in group]]


def cuts(shape: str, nodes: list[int], group: list[int]) -> Cuts:
    """The cuts of a shape; see `HELP`."""
    if shape in ("halves", "udp-only"):
        return both(split(nodes, group))
    if shape == "one-way":
        deaf, rest = split(nodes, group or nodes[:1])
        return {(a, b) for a in rest for b in deaf}
    if shape == "bridge":
        bridge = group[0] if group else nodes[len(nodes) // 2]
        others = [node for node in nodes if node != bridge]
        return both([others[: len(others) // 2], others[len(others) // 2 :]])
    if shape == "ring":
        count = len(nodes)
        near = {(nodes[i], nodes[(i + step) % count]) for i in range(count) for step in (0, 1, -1)}
        return {(a, b) for a in nodes for b in nodes if (a, b) not in near}
    raise ValueError(f"{shape!r} is no shape: use one of {', '.join(SHAPES)}")
