"""Read-modify-write: read all siblings with their context, write their union and one element more."""

from __future__ import annotations

from ..history import OK
from .work import Worker, Workload

# How many elements a key takes before the workers go on to the next.
FULL = 60


async def run(worker: Worker) -> None:
    page = 0

    async def turn(number: int) -> None:
        nonlocal page
        key = f"c{worker.cycle}k{number % 2}p{page}"
        read = worker.op("read", key)
        context = await worker.read(read)
        if read.outcome != OK:
            return
        elements = sorted({element for value in read.seen for element in value.split()})
        if len(elements) >= FULL:
            page += 1
            return
        value = " ".join([*elements, f"{worker.name}n{number}"])
        await worker.write(worker.op("write", key, value, read.seen), context)

    await worker.turns(turn)


WORKLOAD = Workload("updates", 4, 0.06, run, {"conflict": "siblings"})
