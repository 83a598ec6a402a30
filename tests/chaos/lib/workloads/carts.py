"""Adds and deletes on shared keys: add without a context; now and then delete what a read has shown."""

from __future__ import annotations

from ..history import OK
from .work import Worker, Workload

KEYS = 5


async def run(worker: Worker) -> None:
    async def turn(number: int) -> None:
        key = f"c{worker.cycle}k{worker.rng.randrange(KEYS)}"
        if number % 3 < 2:
            await worker.write(worker.op("add", key, f"{worker.name}n{number}"))
            return
        read = worker.op("read", key)
        context = await worker.read(read)
        if read.outcome == OK and read.seen:
            await worker.write(worker.op("delete", key, seen=read.seen), context, delete=True)

    await worker.turns(turn)


WORKLOAD = Workload("carts", 4, 0.1, run, {"conflict": "siblings"})
