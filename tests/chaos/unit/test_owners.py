"""When a change of owners is through, from what nodes say."""

from __future__ import annotations

import unittest
from typing import Any
from unittest import mock

from lib import owners
from lib.cluster import Cluster
from lib.faults import Plan
from lib.words import Failed


def ring(members: str, index: int = 5, change: Any = None, leaving: str = "", idle: str = "") -> dict[str, Any]:
    """What `/v1/ring` says; who is `idle` has no places."""
    listed = [{"name": name, "owned": 0 if name in idle.split() else 7} for name in members.split()]
    return {"index": index, "members": listed, "change": change, "leaving": leaving.split()}


class Settled(unittest.TestCase):
    def objection(self, ring_of_all: dict[str, Any], verdict: str = "healthy") -> str | None:
        cluster = mock.create_autospec(Cluster, instance=True, numbers=[1, 2, 3])
        answers = {"/v1/ring": ring_of_all, "/v1/status": {"verdict": verdict}}
        with mock.patch("lib.web.get", lambda _, path: answers[path]):
            return owners.unsettled(cluster)

    def test_all_have_places_and_nothing_moves(self) -> None:
        self.assertIsNone(self.objection(ring("n1 n2 n3")))

    def test_what_is_under_way_is_told(self) -> None:
        for given, verdict, told in (
            (ring("n1 n2"), "healthy", "no places of n3"),
            (ring("n1 n2 n3", idle="n2"), "healthy", "no places of n2"),
            (ring("n1 n2 n3", change={"words": "n3 joins"}), "healthy", "n3 joins"),
            (ring("n1 n2 n3", leaving="n3"), "healthy", "n3"),
            (ring("n1 n2 n3"), "4 partitions that others own now are being given away here", "others own"),
        ):
            self.assertIn(told, self.objection(given, verdict) or "")


class Members(unittest.TestCase):
    def is_member(self, rings: list[dict[str, Any]]) -> str | None:
        cluster = mock.create_autospec(Cluster, instance=True, numbers=[1, 2, 3])
        cluster.others.return_value = [2, 3]
        cluster.state.return_value = "up"
        with mock.patch("lib.web.get", side_effect=rings):
            return owners._is_member(cluster, 1)

    def test_the_newest_ring_decides(self) -> None:
        old, new = ring("n1 n2 n3", index=5), ring("n2 n3", index=6)
        self.assertIsNone(self.is_member([old, new]))
        self.assertIsNone(self.is_member([new, old]))
        self.assertEqual(self.is_member([old, old]), "n1 is a member still")

    def test_who_hears_nothing_knows_nothing(self) -> None:
        self.assertEqual(self.is_member([{}, {}]), "nobody knows")


class Replacing(unittest.TestCase):
    def test_it_takes_two(self) -> None:
        cluster = mock.create_autospec(Cluster, instance=True)
        with self.assertRaises(Failed):
            owners.replace(cluster, Plan("replace", [1]))
        cluster.kill.assert_not_called()


if __name__ == "__main__":
    unittest.main()
