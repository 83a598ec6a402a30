"""What clients do while things break. Each worker is one client with its own seed and its own connections."""

from __future__ import annotations

from .work import Worker, Workload
from . import adds, carts, registers, updates, winners

WORKLOADS: dict[str, Workload] = {
    w.name: w for w in (adds.WORKLOAD, updates.WORKLOAD, registers.WORKLOAD, winners.WORKLOAD, carts.WORKLOAD)
}

__all__ = ["WORKLOADS", "Worker", "Workload"]
