"""One cycle: calm, faults under load, the healing, the wait for rest, the judgement.

    prepare ─ calm ──── faults begin ──────── faults end ── after ─┬─ workers stop ─ heal ─ at rest? ─ judge
              └────────────── workers at work ─────────────────────┘
                                              └───────── at most 60 s until all replicas are equal ──┘
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

from . import observe, replicas
from .client import Client
from .cluster import Cluster
from .faults import FAULTS, Plan
from .history import History
from .load import Load, Span, measure
from .words import Failed
from .workloads import WORKLOADS, Worker, Workload

# How long replicas may take to be equal, and how much longer is waited before all nodes are restarted.
REST = 60.0
PATIENCE = 30.0
COPIES = 3


@dataclass
class Pace:
    """How long the parts of a cycle are, in seconds, and how many adds are tried a second."""

    calm: float
    fault: float
    after: float
    rate: float


@dataclass
class Cycle:
    """What happened."""

    number: int
    plans: list[Plan]
    span: Span = field(default_factory=Span)
    faults: Span = field(default_factory=Span)
    load: Load = Load()
    rest: float | None = None
    objection: str = ""
    # Whether a cluster that did not come to rest did so after a restart of all nodes.
    mended: bool = False
    # Faults that did not begin or did not end.
    failures: list[str] = field(default_factory=list)
    judged: bool = False
    dumps: dict[int, replicas.Dump] = field(default_factory=dict, repr=False)

    @property
    def counts(self) -> bool:
        return self.load.enough and not self.failures

    @property
    def troubles(self) -> list[str]:
        """What people must know beside the numbers."""
        restless = [f"not equal until all nodes were restarted: {self.objection}"] if self.rest is None else []
        return [*self.failures, *restless]

    def words(self) -> str:
        return " and ".join(plan.words() for plan in self.plans)


class Player:
    """Plays cycles on one cluster."""

    def __init__(
        self, cluster: Cluster, history: History, zero: float, seed: int, workloads: list[str], pace: Pace
    ) -> None:
        self.cluster = cluster
        self.history = history
        self.zero = zero
        self.seed = seed
        self.workloads = [WORKLOADS[name] for name in workloads]
        self.pace = pace
        self.buckets = {f"chaos-{name}" for name in workloads}

    def now(self) -> float:
        return time.monotonic() - self.zero

    async def play(self, number: int, plans: list[Plan]) -> Cycle:
        """All of it but the judgement. Bounded by the sum of its parts' limits."""
        cycle = Cycle(number, plans)
        for plan in plans:
            await asyncio.to_thread(FAULTS[plan.fault].prepare, self.cluster, plan)
        await asyncio.to_thread(self.cluster.wait_ready, self.cluster.numbers)
        cycle.span.begin = self.now()
        first = len(self.history.ops)
        stop = asyncio.Event()
        clients: list[Client] = []
        tasks = [
            asyncio.create_task(workload.run(worker))
            for workload in self.workloads
            for worker in self._workers(workload, number, stop, clients)
        ]
        try:
            await asyncio.sleep(self.pace.calm)
            await self._faults(cycle)
            await asyncio.sleep(self.pace.after)
            stop.set()
            await asyncio.wait_for(asyncio.gather(*tasks), timeout=60)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for client in clients:
                client.close()
        await self._rest(cycle)
        cycle.span.end = self.now()
        cycle.load = measure(self.history.ops[first:], cycle.faults)
        return cycle

    def _workers(
        self, workload: Workload, number: int, stop: asyncio.Event, clients: list[Client]
    ) -> list[Worker]:
        addresses = [self.cluster.http(node) for node in self.cluster.numbers]
        workers = []
        for index in range(workload.workers):
            rng = random.Random(f"{self.seed}/{number}/{workload.name}/{index}")
            clients.append(Client(addresses, rng))
            pace = workload.workers / (self.pace.rate * workload.share)
            workers.append(
                Worker(workload.name, number, index, clients[-1], self.history, self.zero, stop, pace)
            )
        return workers

    async def _faults(self, cycle: Cycle) -> None:
        cycle.faults.begin = self.now()
        begun: list[Plan] = []
        try:
            for plan in cycle.plans:
                begun.append(plan)
                await asyncio.to_thread(FAULTS[plan.fault].begin, self.cluster, plan)
            left = self.pace.fault - (self.now() - cycle.faults.begin)
            await asyncio.sleep(max(0.0, left))
        except Failed as error:
            # A fault that fails is told, and so is what the clients saw; it is not a cycle that counts.
            cycle.failures.append(f"a fault failed: {error}")
        finally:
            for plan in reversed(begun):
                try:
                    await asyncio.to_thread(FAULTS[plan.fault].end, self.cluster, plan)
                except Failed as error:
                    cycle.failures.append(f"a fault did not end: {error}")
            cycle.faults.end = self.now()

    async def _rest(self, cycle: Cycle) -> None:
        try:
            await asyncio.to_thread(self.cluster.heal)
        except Failed as error:
            cycle.objection = str(error)
        for limit in (REST - (self.now() - cycle.faults.end), PATIENCE):
            if await self._is_at_rest(cycle, limit):
                cycle.rest = self.now() - cycle.faults.end
                return
        # This is a failure, and is told as one; what it looks like, and whether a restart mends it, helps to find it.
        folder = self.cluster.folder / f"unrest-{cycle.number}"
        await asyncio.to_thread(observe.picture, self.cluster, folder)
        for number in self.cluster.numbers:
            await asyncio.to_thread(self.cluster.stop, number)
            await asyncio.to_thread(self.cluster.start, number)
        cycle.mended = await self._is_at_rest(cycle, REST)

    async def _is_at_rest(self, cycle: Cycle, limit: float) -> bool:
        took, objection, cycle.dumps = await asyncio.to_thread(
            observe.rest, self.cluster, self.buckets, COPIES, max(limit, 1.0)
        )
        cycle.objection = cycle.objection or objection or ""
        return took is not None
