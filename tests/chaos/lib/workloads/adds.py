"""Unique adds: several clients add to one key, without contexts, until it has enough siblings; then to the next."""

from __future__ import annotations

from .work import Worker, Workload

# Workers that share keys, and how many adds each of them makes to one: 20 siblings, of at most 100.
TOGETHER = 4
EACH = 5


async def run(worker: Worker) -> None:
    async def turn(number: int) -> None:
        key = f"c{worker.cycle}g{worker.index // TOGETHER}k{number // EACH}"
        await worker.write(worker.op("add", key, f"{worker.name}n{number}"))

    await worker.turns(turn)


WORKLOAD = Workload("adds", 32, 1.0, run, {"conflict": "siblings"})
