"""A cycle's faults, without a node."""

from __future__ import annotations

import asyncio
import unittest
from unittest import mock

from lib.cluster import Cluster
from lib.cycle import Cycle, Pace, Player
from lib.faults import FAULTS, Fault, Plan
from lib.history import History
from lib.load import Load
from lib.words import Failed

WELL = Load(100, 50, 0.9, 0.2)


def fails(cluster: Cluster, plan: Plan) -> None:
    raise Failed("no room")


def works(cluster: Cluster, plan: Plan) -> None:
    pass


def suffered(fault: Fault) -> Cycle:
    """A cycle of which only the fault was played; the clients were well."""
    cluster = mock.create_autospec(Cluster, instance=True)
    player = Player(cluster, History(), 0, 1, ["adds"], Pace(0, 0, 0, 1))
    cycle = Cycle(1, [Plan("kill", [1])], load=WELL)
    with mock.patch.dict(FAULTS, {"kill": fault}):
        asyncio.run(player._faults(cycle))
    return cycle


class Faults(unittest.TestCase):
    def test_a_cycle_whose_fault_failed_does_not_count(self) -> None:
        well = suffered(Fault("a fault", works, works))
        self.assertEqual((well.counts, well.failures), (True, []))
        for fault, said in (
            (Fault("a fault", fails, works), "a fault failed: no room"),
            (Fault("a fault", works, fails), "a fault did not end: no room"),
        ):
            cycle = suffered(fault)
            self.assertEqual((cycle.counts, cycle.failures), (False, [said]))


if __name__ == "__main__":
    unittest.main()
