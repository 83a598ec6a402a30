"""Shapes of partitions, the firewall's rules, bent cables, schedules."""

from __future__ import annotations

import random
import struct
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lib import cable, clock, firewall, netns, slow
from lib.cluster import Cluster, Facts
from lib.cuts import SHAPES, cuts
from lib.faults import FAULTS, Plan, processes
from lib.netns import Netns
from lib.schedule import is_gentle, schedule
from lib.words import CannotHere, Failed

NODES = [1, 2, 3, 4, 5]


def hears(made: set[tuple[int, int]], listener: int) -> list[int]:
    return [node for node in NODES if node != listener and (node, listener) not in made]


class Partitions(unittest.TestCase):
    def test_halves_hear_themselves_only(self) -> None:
        made = cuts("halves", NODES, [1, 4])
        self.assertEqual((hears(made, 1), hears(made, 2)), ([4], [3, 5]))
        self.assertEqual(made, cuts("udp-only", NODES, [1, 4]))
        self.assertEqual(hears(cuts("halves", NODES, []), 1), [2])

    def test_a_ring_hears_its_neighbours(self) -> None:
        made = cuts("ring", NODES, [])
        self.assertEqual((hears(made, 1), hears(made, 3)), ([2, 5], [2, 4]))

    def test_a_bridge_hears_all_and_joins_two_halves(self) -> None:
        made = cuts("bridge", NODES, [2])
        self.assertEqual((hears(made, 2), hears(made, 1), hears(made, 4)), ([1, 3, 4, 5], [2, 3], [2, 5]))

    def test_one_way_is_deaf_and_not_dumb(self) -> None:
        made = cuts("one-way", NODES, [3])
        self.assertEqual((hears(made, 3), hears(made, 1)), ([], [2, 3, 4, 5]))

    def test_the_rules_of_a_listener(self) -> None:
        addresses = {node: f"10.0.0.{node}" for node in NODES}
        rules = firewall.rules(1, {(2, 1), (3, 2)}, addresses, udp_only=True)
        self.assertIn("ip saddr 10.0.0.2 meta l4proto udp drop", rules)
        self.assertNotIn("10.0.0.3", rules)
        self.assertNotIn("chain", firewall.rules(1, set(), addresses, udp_only=False))


def frame(port: int, payload: bytes) -> bytes:
    """A UDP packet in IPv4 in Ethernet, with its checksum."""
    length = 8 + len(payload)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 1, 0, 64, 17, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
    bare = struct.pack("!HHHH", 4000, port, length, 0) + payload
    sum_ = cable.checksum(ip[12:20] + struct.pack("!BBH", 0, 17, length) + bare)
    return b"\xaa" * 12 + b"\x08\x00" + ip + bare[:6] + struct.pack("!H", sum_) + bare[8:]


def fits(packet: bytes) -> bool:
    datagram = packet[34:]
    pseudo = packet[26:34] + struct.pack("!BBH", 0, 17, len(datagram))
    return cable.checksum(pseudo + datagram) == 0


class Cables(unittest.TestCase):
    def test_one_bit_is_flipped_and_the_checksum_fits_only_when_mended(self) -> None:
        packet = frame(7610, b"hello, node")
        self.assertTrue(fits(packet))
        for mend in (False, True):
            spoilt = cable.spoil(packet, 0.5, 3, mend)
            bits = sum((a ^ b).bit_count() for a, b in zip(packet[42:], spoilt[42:], strict=True))
            self.assertEqual((bits, fits(spoilt)), (1, mend))

    def test_only_the_nodes_own_port_is_spoilt(self) -> None:
        for port, spoilt in ((7610, True), (7611, False)):
            bent = cable.Cable(cable.Bend(corrupt=100), 1)
            bent.take(0, frame(port, b"payload"), 0)
            [(carried, _)] = bent.due(0)
            self.assertEqual(carried != frame(port, b"payload"), spoilt)

    def test_loss_duplicates_delay_and_order(self) -> None:
        def through(bend: cable.Bend, until: float) -> list[bytes]:
            bent = cable.Cable(bend, 1)
            for at in range(100):
                bent.take(0, bytes([at]), 0)
            return [carried for carried, _ in bent.due(until)]

        sent = [bytes([at]) for at in range(100)]
        self.assertEqual(through(cable.Bend(), 0), sent)
        self.assertEqual(through(cable.Bend(loss=100), 9), [])
        self.assertTrue(30 < len(through(cable.Bend(loss=50), 9)) < 70)
        self.assertEqual(len(through(cable.Bend(duplicate=100), 9)), 200)
        self.assertEqual(through(cable.Bend(delay=1), 0.9), [])
        self.assertEqual(through(cable.Bend(delay=1), 1), sent)
        jumbled = through(cable.Bend(delay=1, jitter=0.5), 2)
        self.assertNotEqual(jumbled, sent)
        self.assertEqual(sorted(jumbled), sent)

    def test_a_cable_is_told_all_that_it_must_know(self) -> None:
        with mock.patch.object(netns, "NATIVE", 7000):
            flags = netns.cable_flags({"corrupt": 5.0, "jitter": 0.02})
        given, bend = cable.asked(["v1", "c1i", *flags])
        self.assertEqual((given.inside, given.outside, given.seed), ("v1", "c1i", 1))
        self.assertEqual(bend, cable.Bend(corrupt=5, jitter=0.02, port=7000))

    def test_junk_is_carried_unharmed(self) -> None:
        rng = random.Random(1)
        for length in range(80):
            junk = rng.randbytes(length)
            self.assertEqual(len(cable.spoil(junk, 0.99, 7, True)), length)


class Acts(unittest.TestCase):
    def test_every_node_of_the_plan_is_told_what_the_plan_says(self) -> None:
        for plan, begun, ended in (
            (Plan("skew", [1, 3], {"by": -30}), [mock.call.skew(1, -30), mock.call.skew(3, -30)], "unskew"),
            (Plan("slow-disk", [2], {"delay": 0.3}), [mock.call.slow(2, 0.3)], "unslow"),
            (Plan("full-disk", [2]), [mock.call.fill(2)], "unfill"),
        ):
            cluster = mock.create_autospec(Cluster, instance=True)
            FAULTS[plan.fault].begin(cluster, plan)
            FAULTS[plan.fault].end(cluster, plan)
            self.assertEqual(cluster.method_calls, begun + [getattr(mock.call, ended)(node) for node in plan.nodes])

    def test_a_fault_that_would_do_nothing_fails(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            cluster = Netns(Path(folder), Facts("netns", 5))
            cluster.node(1).mkdir()
            with mock.patch.object(Netns, "cut") as cut:
                for shape, nodes in (("halves", NODES), ("one-way", NODES), ("udp-only", [9])):
                    with self.assertRaises(Failed):
                        FAULTS["partition"].begin(cluster, Plan("partition", nodes, {"shape": shape}))
                cut.assert_not_called()
                FAULTS["partition"].begin(cluster, Plan("partition", [1], {"shape": "halves"}))
                cut.assert_called_once()
            # What the library in the node's process would take for junk, or for no delay at all.
            for seconds in (0, 0.0004, 10.1):
                with self.assertRaises(Failed):
                    slow.delay(cluster, 1, seconds)
            for seconds in (0.001, 0.3, 10):
                slow.delay(cluster, 1, seconds)
            self.assertEqual((cluster.node(1) / "sync_delay").read_text(), "10000\n")

    def test_a_static_binary_cannot_load_a_library(self) -> None:
        with tempfile.NamedTemporaryFile() as binary:
            for loader in (b"/lib64/ld-linux-x86-64.so.2", b"/lib/ld-linux-aarch64.so.1", b"/lib/ld-musl-x86_64.so.1"):
                Path(binary.name).write_bytes(b"\x7fELF" + bytes(600) + loader + bytes(9000))
                clock.needs_dynamic(binary.name)
            Path(binary.name).write_bytes(b"\x7fELF" + bytes(9000))
            with self.assertRaises(CannotHere):
                clock.needs_dynamic(binary.name)

    def test_only_processes_of_this_machine_are_prepared(self) -> None:
        for machines, prepared in ((False, [1, 2]), (True, [])):
            cluster = mock.create_autospec(Cluster, instance=True, machines=machines)
            act = mock.create_autospec(clock.prepare)
            processes(act)(cluster, Plan("skew", [1, 2]))
            self.assertEqual([call.args[1] for call in act.call_args_list], prepared)


class Schedules(unittest.TestCase):
    def test_the_seed_decides_and_every_kind_comes(self) -> None:
        kinds = list(FAULTS)
        self.assertEqual(schedule(4, 30, kinds, NODES), schedule(4, 30, kinds, NODES))
        self.assertNotEqual(schedule(4, 30, kinds, NODES), schedule(5, 30, kinds, NODES))
        for seed in range(200):
            plans = schedule(seed, len(kinds), kinds, NODES)
            self.assertEqual({cycle[0].fault for cycle in plans}, set(kinds))

    def test_disks_are_lost_alone_and_nobody_suffers_two_faults(self) -> None:
        for seed in range(200):
            for cycle in schedule(seed, 30, list(FAULTS), NODES):
                names = [plan.fault for plan in cycle]
                if any(FAULTS[name].loses_disk for name in names):
                    self.assertEqual(len(cycle), 1)
                if is_gentle(cycle[0]):
                    self.assertEqual(len(cycle), 2)
                if len(cycle) == 2:
                    self.assertFalse(set(cycle[0].nodes) & set(cycle[1].nodes))
                    self.assertTrue(cycle[1].nodes or cycle[1].how.get("shape") == "ring", cycle)
                self.assertTrue(all(plan.how.get("shape", "ring") in SHAPES for plan in cycle))


if __name__ == "__main__":
    unittest.main()
