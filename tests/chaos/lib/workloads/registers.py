"""Single-writer registers under `strict`: one worker writes 1, 2, 3 … to its key, the others read all keys."""

from __future__ import annotations

from ..history import OK
from .work import Worker, Workload

WRITERS = 3


async def run(worker: Worker) -> None:
    context = ""

    async def write(number: int) -> None:
        nonlocal context
        op = worker.op("write", f"c{worker.cycle}r{worker.index}", str(number + 1))
        written = await worker.write(op, context, strict=True)
        # Of an unknown one the context is unknown too: the next write stands beside it.
        context = written if op.outcome == OK else context

    async def read(number: int) -> None:
        key = f"c{worker.cycle}r{worker.rng.randrange(WRITERS)}"
        await worker.read(worker.op("read", key), strict=True)

    await worker.turns(write if worker.index < WRITERS else read)


WORKLOAD = Workload("registers", 8, 0.16, run, {"conflict": "siblings"})
