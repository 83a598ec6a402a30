"""A cluster that faults act on: what each backend can do, and what they share because nodes are processes.

    D/chaos.json     backend, number of nodes, addresses, settings of the nodes' environment
    D/n1/ …          as `quorate cluster` has them: data/ node.toml node.log pid
    D/n1/preload.json  more environment for this node, from the faults that need a library in its process
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from . import clock, disk, process, shell, slow, web
from .cuts import Cuts
from .shell import program, until
from .words import CannotHere, Failed

STOP = 20.0
READY = 60.0
# The setting with which a node that is new stands by.
SPARE = "QUORATE_CLUSTER__SPARE"


@dataclass
class Facts:
    """`D/chaos.json`."""

    backend: str
    nodes: int
    base_port: int = 7600
    tag: str = ""
    settings: dict[str, str] = field(default_factory=dict)


def fresh_tag() -> str:
    """Tells the namespaces of one cluster from those of another."""
    return f"{os.getpid() & 0xFFFF:04x}{random.randrange(256):02x}"

class Cluster:
    """Nodes that are processes of this machine. What only some backends can do says so."""

    backend = ""
    # Why the network cannot be bent here; empty where it can.
    no_network = ""
    # Whether each node has a machine of its own, whose clock and disk can be bent without a library or a mount.
    machines = False

    def __init__(self, folder: Path, facts: Facts) -> None:
        self.folder = folder.resolve()
        self.facts = facts
        # Who is started to stand by.
        self.spares: set[int] = set()

    # --- names -----------------------------------------------------------------------------------------

    @property
    def numbers(self) -> list[int]:
        return list(range(1, self.facts.nodes + 1))

    def others(self, number: int) -> list[int]:
        return [other for other in self.numbers if other != number]

    def node(self, number: int) -> Path:
        """A node's folder."""
        if number not in self.numbers:
            raise Failed(f"there is no n{number}: the cluster has {self.facts.nodes} nodes")
        return self.folder / f"n{number}"

    def data(self, number: int) -> Path:
        return self.node(number) / "data"

    def native(self, number: int) -> str:
        return f"127.0.0.1:{self.facts.base_port + 10 * number}"

    def http(self, number: int) -> tuple[str, int]:
        return ("127.0.0.1", self.facts.base_port + 10 * number + 1)

    def save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "chaos.json").write_text(json.dumps(asdict(self.facts), indent=1) + "\n")

    # --- life ------------------------------------------------------------------------------------------

    def up(self) -> None:
        """Founds it, or starts what is down."""
        raise NotImplementedError

    def spawn(self, number: int) -> None:
        """Starts a node's process, which is down."""
        raise NotImplementedError

    def down(self) -> None:
        """Ends every node and takes back what was set up; the folder stays."""
        self.heal(start=False)
        for number in self.numbers:
            self.kill(number)

    def enter(self) -> None:
        """From now on this process reaches the nodes' addresses."""

    def state(self, number: int) -> str:
        return process.state(self.node(number))

    def memory(self, number: int) -> int:
        return process.memory(self.node(number))

    def log(self, number: int) -> str:
        try:
            return (self.node(number) / "node.log").read_text(errors="replace")
        except OSError:
            return ""

    def environment(self, number: int) -> dict[str, str]:
        """What a node's process is started with."""
        own = self._preloaded(number)
        strip = ("QUORATE_NODE", "QUORATE_LISTEN__", "QUORATE_CLUSTER__")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(strip)}
        libraries = own.pop("LD_PRELOAD", {})
        if libraries:
            own["LD_PRELOAD"] = " ".join(libraries.values())
        spare = {SPARE: "true"} if number in self.spares else {}
        return inherited | self.facts.settings | own | spare

    def preload(self, number: int, library: str, path: str, extra: dict[str, str]) -> None:
        """Restarts a node with a library in its process, unless it has it already."""
        own = self._preloaded(number)
        if own.get("LD_PRELOAD", {}).get(library) == path and self.state(number) == "up":
            return
        own = own | extra
        own["LD_PRELOAD"] = own.get("LD_PRELOAD", {}) | {library: path}
        (self.node(number) / "preload.json").write_text(json.dumps(own))
        self.stop(number)
        self.start(number)

    def _preloaded(self, number: int) -> dict[str, Any]:
        file = self.node(number) / "preload.json"
        own: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        return own

    def ready(self, number: int) -> str | None:
        """Why a node is not ready; nothing when it is."""
        return web.ready(self.http(number))

    def wait_ready(self, numbers: list[int], limit: float = READY) -> None:
        for number in numbers:
            until(f"n{number} becomes ready", limit, partial(self.ready, number))

    def start(self, number: int, wait: bool = True, spare: bool = False) -> None:
        """Starts a node that is down, and waits until it is ready where that is asked. A spare that is new stands by."""
        if self.state(number) == "down":
            (self.spares.add if spare else self.spares.discard)(number)
            self.spawn(number)
        if wait:
            self.wait_ready([number])

    def kill(self, number: int) -> None:
        """SIGKILL; returns when it is gone."""
        if self.state(number) != "down":
            if not process.send(self.node(number), signal.SIGKILL, process.GONE):
                if self.state(number) != "down":
                    raise Failed(f"n{number} is still there {process.GONE:.0f} s after SIGKILL")

    def stop(self, number: int) -> None:
        """An orderly stop; SIGKILL when it takes too long."""
        if not process.send(self.node(number), signal.SIGTERM, STOP):
            self.kill(number)

    def pause(self, number: int) -> None:
        self._send(number, signal.SIGSTOP)

    def resume(self, number: int) -> None:
        self._send(number, signal.SIGCONT)

    def _send(self, number: int, what: signal.Signals) -> None:
        if not process.send(self.node(number), what):
            raise Failed(f"n{number} is down")

    # --- disks -----------------------------------------------------------------------------------------

    def empty(self, number: int) -> None:
        """Removes the data of a node that is down; the folder may be a disk of its own."""
        data = self.data(number)
        if self.state(number) != "down":
            raise Failed(f"n{number} is up")
        for entry in data.iterdir() if data.exists() else []:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def copy_data(self, number: int, to: Path) -> None:
        """A copy of one moment: the process stands still while it is made, as for a snapshot of a disk."""
        running = self.state(number) == "up"
        if running:
            self.pause(number)
        try:
            shutil.rmtree(to, ignore_errors=True)
            # Reached before the copy begins; a process stops at the end of its current system call.
            until(f"n{number} stands still", 5, lambda: None if self.state(number) != "up" else "runs")
            shutil.copytree(self.data(number), to)
        finally:
            if running:
                self.resume(number)

    def put_back(self, number: int, copy: Path) -> None:
        """Replaces the data of a node that is down."""
        self.empty(number)
        shutil.copytree(copy, self.data(number), dirs_exist_ok=True)

    def fill(self, number: int) -> None:
        """Its disk is full."""
        disk.fill(self, number)

    def unfill(self, number: int) -> None:
        disk.free(self, number)

    def slow(self, number: int, seconds: float) -> None:
        """Every sync takes so much longer."""
        slow.delay(self, number, seconds)

    def unslow(self, number: int) -> None:
        slow.reset(self, number)

    # --- clocks ----------------------------------------------------------------------------------------

    def skew(self, number: int, seconds: float) -> None:
        """Its clock is so much ahead; negative: behind."""
        clock.skew(self, number, seconds)

    def unskew(self, number: int) -> None:
        clock.reset(self, number)

    # --- network ---------------------------------------------------------------------------------------

    def needs_network(self) -> None:
        if self.no_network:
            raise CannotHere(self.no_network)

    def cut(self, cuts: Cuts, udp_only: bool = False) -> None:
        """Sets who cannot hear whom; an empty set ends it."""
        raise CannotHere(self.no_network)

    def bend(self, number: int, **how: float) -> None:
        """Adds to what the cable of a node does to frames; see `cable.Bend`."""
        raise CannotHere(self.no_network)

    def straighten(self) -> None:
        """Ends all of that."""

    # --- everything ------------------------------------------------------------------------------------

    def quorate(self, *arguments: str, limit: float = shell.LIMIT) -> str:
        """The product's command line, where the nodes can be reached."""
        return shell.run([program(), *arguments], limit=limit)

    def heal(self, start: bool = True) -> None:
        """Ends every fault, whoever began it; starts what is down."""
        if not self.no_network:
            self.cut(set())
            self.straighten()
        for number in self.numbers:
            if not self.node(number).exists():
                continue
            if self.state(number) == "paused":
                self.resume(number)
            self.unskew(number)
            self.unslow(number)
            disk.restore(self, number)
            if start:
                self.start(number, wait=False)
        if start:
            self.wait_ready(self.numbers)
