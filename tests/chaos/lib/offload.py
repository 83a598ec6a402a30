"""Switches off what a virtual network card leaves to the next one: checksums and cutting into packets.

A bent cable sees frames as they would be on a wire only if the sender's kernel has finished them. This is what
`ethtool -K DEV tx off tso off gso off` does, without ethtool.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct
import sys

SIOCETHTOOL = 0x8946
# set: receive checksums stay; transmit checksums, scatter-gather, TCP segments, generic segments, receive merging.
SWITCHES = (0x17, 0x19, 0x1F, 0x24, 0x2C)


def switch_off(device: str) -> None:
    """All of them, as far as the device has them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for switch in SWITCHES:
            value = array.array("B", struct.pack("II", switch, 0))
            request = struct.pack("16sP", device.encode(), value.buffer_info()[0])
            try:
                fcntl.ioctl(control, SIOCETHTOOL, request.ljust(40, b"\0"))
            except OSError:
                # It has no such switch, so there is nothing to switch off.
                continue


if __name__ == "__main__":
    for name in sys.argv[1:]:
        switch_off(name)
