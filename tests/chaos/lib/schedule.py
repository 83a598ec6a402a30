"""Which faults come when: from a seed, and from nothing else.

Every possible kind comes once before any comes twice, in an order that the seed decides. In every third cycle or so a
second fault of another kind joins in (always, where the first is one that clients hardly notice), except where a disk
loses its content: what one of N copies may lose is promised for one disk at a time.
"""

from __future__ import annotations

import random

from .faults import FAULTS, Plan, draw

# How often a second fault joins in.
COMPANY = 0.35
# Faults that fit beside another one: none of them needs the others' nodes.
COMPANIONS = ("kill", "pause", "partition", "loss", "duplicate", "corrupt", "delay", "skew")
# Faults that clients hardly notice by themselves: a cycle with nothing else would prove nothing.
GENTLE = ("skew", "full-disk", "slow-disk", "leave")


def is_gentle(plan: Plan) -> bool:
    """Gossip that is cut off is gentle too: data pass over TCP."""
    return plan.fault in GENTLE or plan.how.get("shape") == "udp-only"


def schedule(seed: int, cycles: int, kinds: list[str], nodes: list[int]) -> list[list[Plan]]:
    """The plans of each cycle."""
    rng = random.Random(seed)
    order: list[str] = []
    plans = []
    for _ in range(cycles):
        if not order:
            order = sorted(kinds)
            rng.shuffle(order)
        main = draw(order.pop(), rng, nodes)
        cycle = [main]
        company = [name for name in COMPANIONS if name in kinds and name != main.fault]
        if is_gentle(main):
            company = [name for name in company if name not in GENTLE] or company
        alone = FAULTS[main.fault].loses_disk or main.fault == "rolling-restart"
        # Always drawn, so that what comes later does not depend on what is possible here.
        wanted, choice = rng.random() < COMPANY, rng.random()
        if (wanted or is_gentle(main)) and company and not alone:
            other = draw(company[int(choice * len(company))], rng, nodes)
            # Two faults of one node's process would undo one another.
            free = [node for node in nodes if node not in main.nodes]
            other.nodes = [node for node in other.nodes if node in free] or ([free[0]] if other.nodes else [])
            if free:
                cycle.append(other)
        plans.append(cycle)
    return plans
