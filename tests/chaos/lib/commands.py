"""What people type: one script for each fault, `up`, `down`, `heal`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import cuts, disk, netns, shell
from .backends import BACKENDS, opened
from .backends import make as make_cluster
from .cluster import Cluster, Facts, fresh_tag
from .faults import FAULTS, Plan, nothing, possible, put_old_back, save_old
from .words import count, duration, exit_code, names, node_number, percent, say, seconds

FOLDER = "quorate-cluster"
ENDING = (
    "The cluster is the one in --dir: of `quorate cluster start`, or of tests/chaos/up. "
    "tests/chaos/heal ends every fault. Exit codes: 0 done, 1 failed, 2 cannot be done here or was not understood."
)

# Which nodes a script wants: exactly these words stand in its usage.
ALL = "all nodes unless named"

Command = Callable[[list[str]], None]
How = Callable[[argparse.Namespace], dict[str, Any]]


def parser(name: str, what: str, nodes: str = "") -> argparse.ArgumentParser:
    """The parser that all scripts share."""
    made = argparse.ArgumentParser(prog=f"tests/chaos/{name}", description=what, epilog=ENDING)
    if nodes:
        many = "*" if nodes == ALL else "+"
        made.add_argument("nodes", metavar="N", nargs=many, type=node_number, help=f"numbers of nodes: {nodes}")
    made.add_argument("--dir", type=Path, default=Path(FOLDER), help=f"the cluster's folder (default {FOLDER})")
    return made


def play(cluster: Cluster, plan: Plan, lasting: float | None) -> None:
    """Begins a fault; with a duration waits and ends it, also when interrupted."""
    fault = FAULTS[plan.fault]
    possible(cluster, plan.fault)
    fault.prepare(cluster, plan)
    try:
        fault.begin(cluster, plan)
        say(plan.words())
        time.sleep(lasting or 0)
    finally:
        # What breaks off while it begins may have begun on some nodes.
        if lasting is not None:
            fault.end(cluster, plan)
            say("ended")


def obey(name: str, made: argparse.ArgumentParser, arguments: list[str], how: How = lambda _: {}) -> None:
    """Reads the command line and plays the fault; `how` is what it must know beside its nodes."""
    if FAULTS[name].end is not nothing:
        made.add_argument("--for", dest="for_", type=duration, metavar="D", help="end it after so long (10s, 2m)")
    given = made.parse_args(arguments)
    play(opened(given.dir), Plan(name, given.nodes, how(given)), getattr(given, "for_", None))


def simple(name: str, nodes: str = "one or more") -> Command:
    """A fault that needs only nodes."""

    def command(arguments: list[str]) -> None:
        obey(name, parser(name, f"{FAULTS[name].what.capitalize()}.", nodes), arguments)

    return command


def cable_parser(name: str) -> argparse.ArgumentParser:
    """The parser of a fault of cables."""
    return parser(name, f"{FAULTS[name].what.capitalize()}; on the cables of these nodes, both ways.", ALL)


def bent(name: str) -> Command:
    """A fault that some frames suffer."""

    def command(arguments: list[str]) -> None:
        made = cable_parser(name)
        made.add_argument("--percent", type=percent, default=10.0, metavar="P", help="of the frames (default 10)")
        obey(name, made, arguments, lambda given: {name: given.percent})

    return command


def delay(arguments: list[str]) -> None:
    made = cable_parser("delay")
    made.add_argument("--by", type=duration, default=0.1, metavar="D", help="how late (default 100ms)")
    made.add_argument("--jitter", type=duration, metavar="D", help="more or less (default: half of it)")

    def how(given: argparse.Namespace) -> dict[str, Any]:
        return {"delay": given.by, "jitter": given.by / 2 if given.jitter is None else given.jitter}

    obey("delay", made, arguments, how)


def partition(arguments: list[str]) -> None:
    made = parser("partition", f"Some nodes cannot hear others.\n\n{cuts.HELP}")
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    made.add_argument("shape", choices=cuts.SHAPES)
    made.add_argument("nodes", metavar="N", nargs="*", type=node_number, help="the group (see above)")
    obey("partition", made, arguments, lambda given: {"shape": given.shape})


def skew(arguments: list[str]) -> None:
    made = parser("skew", "A node's clock jumps; it is restarted for that once, with libfaketime.", "one or more")
    made.add_argument("--by", type=seconds, default=60.0, metavar="D", help="ahead, or behind: --by=-30s (default 60s)")
    obey("skew", made, arguments, lambda given: {"by": given.by})


def slow_disk(arguments: list[str]) -> None:
    made = parser("slow-disk", "Every sync of a node takes longer; it is restarted for that once.", "one or more")
    made.add_argument("--delay", type=duration, default=0.2, metavar="D", help="how much longer (default 200ms)")
    obey("slow-disk", made, arguments, lambda given: {"delay": given.delay})


def resume(arguments: list[str]) -> None:
    given = parser("resume", "Lets nodes go on that stood still.", "one or more").parse_args(arguments)
    cluster = opened(given.dir)
    for number in given.nodes:
        cluster.resume(number)
    say(f"resumed {names(given.nodes)}")


def restore_old(arguments: list[str]) -> None:
    made = parser("restore-old", "A node's disk comes back as it was: take a copy, and put it back later.", "one or more")
    made.add_argument("--save", action="store_true", help="take a copy now")
    made.add_argument("--after", type=duration, metavar="D", help="take a copy, wait so long, put it back")
    given = made.parse_args(arguments)
    cluster = opened(given.dir)
    for number in given.nodes if given.save or given.after is not None else []:
        save_old(cluster, number)
        say(f"n{number}: copied")
    if given.save:
        return
    time.sleep(given.after or 0)
    for number in given.nodes:
        put_old_back(cluster, number)
        say(f"n{number}: the old copy is back")


def heal(arguments: list[str]) -> None:
    made = parser("heal", "Ends every fault, starts what is down, waits until all nodes are ready.")
    everything = "removes whatever these scripts left on this machine: namespaces, nodes in them, cables, small disks"
    made.add_argument("--all", action="store_true", help=everything)
    given = made.parse_args(arguments)
    if given.all:
        remove_all()
        return
    opened(given.dir).heal()
    say("healed: all nodes are ready")


def remove_all() -> None:
    """Found by their names, which begin with `quorate-`, and by nothing else."""
    listed = shell.attempt(["ip", "netns", "list"]) if shutil.which("ip") else ""
    for line in listed.splitlines():
        name = line.split()[0]
        if name.startswith(netns.PREFIX):
            netns.end_namespace(name)
            say(f"removed the namespace {name}")
    for mount in disk.mounts():
        shell.attempt(["umount", "-l", str(mount)])
        say(f"unmounted {mount}")


def up(arguments: list[str]) -> None:
    made = parser("up", "Founds a cluster that all faults can act on, or starts what is down of it.")
    made.add_argument("--backend", choices=sorted(BACKENDS), default="local")
    made.add_argument("--nodes", type=count, default=5)
    made.add_argument("--base-port", type=int, default=7600, help="local: node i at P+10*i (default 7600)")
    given = made.parse_args(arguments)
    if (given.dir / "chaos.json").exists():
        cluster = opened(given.dir)
    else:
        settings = {name: value for name, value in os.environ.items() if name.startswith("QUORATE_") and "__" in name}
        facts = Facts(given.backend, given.nodes, given.base_port, fresh_tag(), settings)
        cluster = make_cluster(given.dir, facts)
    cluster.up()
    for number in cluster.numbers:
        host, port = cluster.http(number)
        say(f"n{number}: {cluster.native(number)}, http://{host}:{port}/")
    if isinstance(cluster, netns.Netns):
        say(f"reached from its own network only: nsenter --net=/run/netns/{cluster.namespace(None)} quorate status …")


def down(arguments: list[str]) -> None:
    made = parser("down", "Ends every fault and every node, and takes back namespaces and mounts.")
    made.add_argument("--remove", action="store_true", help="remove the folder too")
    given = made.parse_args(arguments)
    cluster = opened(given.dir)
    cluster.down()
    if given.remove:
        shutil.rmtree(cluster.folder)
    say("down")


COMMANDS: dict[str, Command] = {
    **{name: simple(name) for name in ("kill", "pause", "wipe", "full-disk", "leave", "remove")},
    "replace": simple("replace", "two: whose places, and who takes them"),
    "rolling-restart": simple("rolling-restart", ALL),
    **{name: bent(name) for name in ("loss", "duplicate", "corrupt")},
    "delay": delay,
    "partition": partition,
    "skew": skew,
    "slow-disk": slow_disk,
    "resume": resume,
    "restore-old": restore_old,
    "heal": heal,
    "up": up,
    "down": down,
}


def enters(arguments: list[str]) -> None:
    """Where the nodes have a network of their own, this process joins it before it does anything."""
    if "--help" in arguments or "-h" in arguments or "--all" in arguments:
        return
    folder = Path(FOLDER)
    for at, argument in enumerate(arguments):
        if argument == "--dir" and at + 1 < len(arguments):
            folder = Path(arguments[at + 1])
        elif argument.startswith("--dir="):
            folder = Path(argument.removeprefix("--dir="))
    if (folder / "chaos.json").exists():
        opened(folder).enter()


def main(name: str) -> int:
    arguments = sys.argv[1:]

    def act() -> None:
        if name not in ("up", "down"):
            enters(arguments)
        COMMANDS[name](arguments)

    return exit_code(name, act)
