"""Last writer wins: half of the writes have read before, the others know nothing."""

from __future__ import annotations

from .work import Worker, Workload

KEYS = 6


async def run(worker: Worker) -> None:
    async def turn(number: int) -> None:
        key = f"c{worker.cycle}k{worker.rng.randrange(KEYS)}"
        context, seen = "", []
        if number % 2:
            read = worker.op("read", key)
            context = await worker.read(read)
            seen = read.seen
        await worker.write(worker.op("write", key, f"{worker.name}n{number}", seen), context)

    await worker.turns(turn)


WORKLOAD = Workload("winners", 4, 0.08, run, {"conflict": "lww"})
