"""A worker's place in a run: its client, its pace, its notes."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from ..client import Client
from ..history import History, Op


@dataclass
class Worker:
    """One client of one workload in one cycle."""

    workload: str
    cycle: int
    index: int
    client: Client
    history: History
    zero: float
    stop: asyncio.Event
    # Seconds between the beginnings of two turns; one that is late does not catch up.
    pace: float

    @property
    def rng(self) -> random.Random:
        return self.client.rng

    @property
    def bucket(self) -> str:
        return f"chaos-{self.workload}"

    @property
    def name(self) -> str:
        """Unique in the run: it begins every value that this worker writes."""
        return f"c{self.cycle}w{self.index}"

    def now(self) -> float:
        return time.monotonic() - self.zero

    def op(self, kind: str, key: str, value: str | None = None, seen: list[str] | None = None) -> Op:
        return Op(self.workload, kind, key, self.cycle, self.now(), value=value, seen=seen or [])

    def done(self, op: Op) -> None:
        op.end = self.now()
        self.history.add(op)

    async def write(self, op: Op, context: str = "", strict: bool = False, delete: bool = False) -> str:
        context = await self.client.write(op, self.bucket, context, strict, delete)
        self.done(op)
        return context

    async def read(self, op: Op, strict: bool = False) -> str:
        context = await self.client.read(op, self.bucket, strict)
        self.done(op)
        return context

    async def turns(self, turn: Callable[[int], Awaitable[None]]) -> None:
        """Turn after turn at this worker's pace, until all shall stop."""
        await asyncio.sleep(self.rng.random() * self.pace)
        number = 0
        while not self.stop.is_set():
            begin = time.monotonic()
            await turn(number)
            number += 1
            await asyncio.sleep(max(0.0, self.pace - (time.monotonic() - begin)))


@dataclass(frozen=True)
class Workload:
    """`share`: of the rate of adds; `settings`: of its bucket."""

    name: str
    workers: int
    share: float
    run: Callable[[Worker], Coroutine[Any, Any, None]]
    settings: dict[str, str]
