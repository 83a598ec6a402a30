"""A bent cable: carries frames between two devices, and loses, doubles, spoils, delays and reorders some.

    node's device ─ inside ═══ this process ═══ outside ─ the bridge

Not every kernel has netem. This runs as a process of its own inside the hub's namespace, and ends with SIGTERM.
Frames that are spoilt belong to the nodes' own port (not to clients, whose HTTP has nothing to notice it with); every
second of them gets fitting checksums again, so that only Quorate's own checksum is left to notice.
"""

from __future__ import annotations

import argparse
import heapq
import random
import select
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass, fields

# Beyond this many waiting frames new ones are lost, as in any switch.
QUEUE = 20_000
ETH_P_ALL = 3
PACKET_OUTGOING = 4
TCP, UDP = 6, 17


@dataclass
class Bend:
    """What the cable does, and its options. Percentages of frames; seconds; only this port's frames are spoilt."""

    loss: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    port: int = 7610


def checksum(data: bytes) -> int:
    """The Internet's: ones' complement of the sum of 16-bit words."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def transport(frame: bytes) -> tuple[int, int, int, int] | None:
    """(protocol, where its header begins, where its payload begins, where it ends) of an IPv4 frame."""
    if len(frame) < 34 or frame[12:14] != b"\x08\x00":
        return None
    begin = 14 + (frame[14] & 0x0F) * 4
    end = min(len(frame), 14 + struct.unpack("!H", frame[16:18])[0])
    protocol = frame[23]
    if protocol == UDP and end >= begin + 8:
        return protocol, begin, begin + 8, end
    if protocol == TCP and end >= begin + 20:
        return protocol, begin, begin + (frame[begin + 12] >> 4) * 4, end
    return None


def of_port(frame: bytes, port: int) -> bool:
    """Whether one of its ends is this port."""
    found = transport(frame)
    return found is not None and port in struct.unpack("!HH", frame[found[1] : found[1] + 4])


def spoil(frame: bytes, place: float, bit: int, mend: bool) -> bytes:
    """Flips one bit of the payload; `mend` makes the transport's checksum fit again."""
    found = transport(frame)
    if found is None or found[2] >= found[3]:
        return frame
    protocol, begin, payload, end = found
    spoilt = bytearray(frame)
    spoilt[payload + int(place * (end - payload))] ^= 1 << bit
    if mend:
        at = begin + (6 if protocol == UDP else 16)
        spoilt[at : at + 2] = b"\0\0"
        pseudo = bytes(spoilt[26:34]) + struct.pack("!BBH", 0, protocol, end - begin)
        sum_ = checksum(pseudo + bytes(spoilt[begin:end]))
        spoilt[at : at + 2] = struct.pack("!H", sum_ or 0xFFFF)
    return bytes(spoilt)


class Cable:
    """The frames that are under way."""

    def __init__(self, bend: Bend, seed: int) -> None:
        self.bend = bend
        self.random = random.Random(seed)
        self.waiting: list[tuple[float, int, bytes, int]] = []
        self.count = 0
        self.spoilt = 0

    def take(self, now: float, frame: bytes, to: int) -> None:
        """A frame enters at one end, for the end `to`."""
        bend, chance = self.bend, self.random.random
        if chance() * 100 < bend.loss:
            return
        if bend.corrupt and of_port(frame, bend.port) and chance() * 100 < bend.corrupt:
            self.spoilt += 1
            frame = spoil(frame, chance(), self.random.randrange(8), self.spoilt % 2 == 0)
        copies = 2 if chance() * 100 < bend.duplicate else 1
        for _ in range(copies):
            if len(self.waiting) >= QUEUE:
                return
            self.count += 1
            due = now + max(0.0, bend.delay + (chance() * 2 - 1) * bend.jitter)
            heapq.heappush(self.waiting, (due, self.count, frame, to))

    def due(self, now: float) -> list[tuple[bytes, int]]:
        """The frames that leave now."""
        ready = []
        while self.waiting and self.waiting[0][0] <= now:
            _, _, frame, to = heapq.heappop(self.waiting)
            ready.append((frame, to))
        return ready

    def patience(self, now: float) -> float:
        """How long nothing leaves by itself."""
        return max(0.0, self.waiting[0][0] - now) if self.waiting else 1.0


def port_of(device: str) -> socket.socket:
    """Raw frames of one device."""
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    end.bind((device, ETH_P_ALL))
    end.setblocking(False)
    return end


def carry(ends: list[socket.socket], cable: Cable) -> None:
    """Until SIGTERM."""
    while True:
        readable, _, _ = select.select(ends, [], [], cable.patience(time.monotonic()))
        for index, end in enumerate(ends):
            if end not in readable:
                continue
            for _ in range(256):
                try:
                    frame, where = end.recvfrom(65_536)
                except BlockingIOError:
                    break
                if where[2] != PACKET_OUTGOING:
                    cable.take(time.monotonic(), frame, 1 - index)
        for frame, to in cable.due(time.monotonic()):
            try:
                ends[to].send(frame)
            except OSError:
                # A full queue, or a device that goes away: a lost frame.
                continue


def asked(arguments: list[str]) -> tuple[argparse.Namespace, Bend]:
    """The command line, and the bend that it describes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("inside")
    parser.add_argument("outside")
    for field in fields(Bend):
        parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    return given, Bend(**{field.name: getattr(given, field.name) for field in fields(Bend)})


def main() -> int:
    given, bend = asked(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ends = [port_of(given.inside), port_of(given.outside)]
    print("carrying", flush=True)
    carry(ends, Cable(bend, given.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
