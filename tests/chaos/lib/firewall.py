"""Cuts as nftables rules, each in the namespace (or machine) of the one who does not hear."""

from __future__ import annotations

from .cuts import Cuts

TABLE = "inet quorate_chaos"


def rules(listener: int, cuts: Cuts, addresses: dict[int, str], udp_only: bool) -> str:
    """The script for `nft -f -` of one listener; it replaces what was there."""
    protocol = "meta l4proto udp " if udp_only else ""
    drops = [
        f"    ip saddr {addresses[speaker]} {protocol}drop"
        for speaker, whom in sorted(cuts)
        if whom == listener
    ]
    lines = [f"table {TABLE}", f"delete table {TABLE}"]
    if drops:
        lines += [f"table {TABLE} {{", "  chain input {"]
        lines += ["    type filter hook input priority filter; policy accept;", *drops, "  }", "}"]
    return "\n".join(lines) + "\n"
