"""Network namespaces on one host: every node has its own, and no packet leaves them.

    quorate-TAG-hub   br0 10.77.0.254, the clients' place
       ├─ v1 ═ eth0  quorate-TAG-n1  10.77.0.1     node 1
       ├─ v2 ═ eth0  quorate-TAG-n2  10.77.0.2     …
       └─ v3 ─ bent cable ─ c3i ═ c3o (in br0)     while the cable of node 3 is bent

The host's own namespace gets no device, no route and no rule. Needs root, `ip` and `nft`.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from . import firewall, shell
from .cluster import Cluster
from .cuts import Cuts
from .shell import program, until
from .words import CannotHere, Failed

PREFIX = "quorate-"
CLONE_NEWNET = 0x40000000
NATIVE, HTTP = 7610, 7611
HUB = "10.77.0.254"


def why_not() -> str | None:
    """Why there can be no namespaces here; nothing when there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool, package in (("ip", "iproute2"), ("nft", "nftables"), ("nsenter", "util-linux")):
        try:
            shell.needs(tool, package)
        except CannotHere as error:
            return str(error)
    name = f"{PREFIX}try-{os.getpid()}"
    try:
        shell.run(["ip", "netns", "add", name])
        shell.run(["ip", "-n", name, "link", "add", "name", "br0", "type", "bridge"])
        shell.run(["nsenter", f"--net=/run/netns/{name}", "nft", "-f", "-"], text="table inet t\n")
    except Failed as error:
        return f"this kernel or container forbids them: {error}"
    finally:
        shell.attempt(["ip", "netns", "del", name])
    return None


def inside(name: str) -> list[str]:
    """What runs a command in a namespace; mounts and everything else stay those of the host."""
    return ["nsenter", f"--net=/run/netns/{name}"]


def cable_flags(bent: dict[str, float]) -> list[str]:
    """The options of a bent cable; it must know the nodes' own port, or it spoils nothing."""
    return [f"--port={NATIVE}", *[f"--{name}={value}" for name, value in bent.items()]]


def end_namespace(name: str) -> None:
    """Ends the processes in a namespace of ours, and removes it."""
    for pid in shell.attempt(["ip", "netns", "pids", name]).split():
        # Those who only visit (this process, and a runner that entered the hub) live on.
        if b"lib/cable.py" in _command(int(pid)) or b"serve" in _command(int(pid)).split(b"\0"):
            try:
                os.kill(int(pid), 9)
            except ProcessLookupError:
                continue
    shell.attempt(["ip", "netns", "del", name])


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class Netns(Cluster):
    """Five networks in one machine."""

    backend = "netns"

    def namespace(self, number: int | None) -> str:
        place = "hub" if number is None else f"n{number}"
        return f"{PREFIX}{self.facts.tag}-{place}"

    def address(self, number: int) -> str:
        return f"10.77.0.{number}"

    def native(self, number: int) -> str:
        return f"{self.address(number)}:{NATIVE}"

    def http(self, number: int) -> tuple[str, int]:
        return (self.address(number), HTTP)

    # --- life ------------------------------------------------------------------------------------------

    def up(self) -> None:
        reason = why_not()
        if reason:
            raise CannotHere(reason)
        self.save()
        self._wire()
        self.enter()
        if not (self.folder / "founded").exists():
            # Before n1 stands nobody else exists, so founding again does no harm; after it nobody founds.
            self._spawn(1, found=True)
            self.wait_ready([1])
            (self.folder / "founded").touch()
        for number in self.numbers:
            self.start(number, wait=False)
        self.wait_ready(self.numbers)

    def _wire(self) -> None:
        existing = shell.run(["ip", "netns", "list"])
        hub = self.namespace(None)
        if hub in existing:
            return
        shell.run(["ip", "netns", "add", hub])
        batch = ["link set lo up", "link add name br0 type bridge forward_delay 0", f"addr add {HUB}/24 dev br0"]
        batch.append("link set br0 up")
        for number in self.numbers:
            name = self.namespace(number)
            shell.run(["ip", "netns", "add", name])
            batch.append(f"link add name v{number} type veth peer name eth0 netns {name}")
            batch.append(f"link set v{number} master br0 up")
        shell.run(["ip", "-n", hub, "-batch", "-"], text="\n".join(batch) + "\n")
        # A cable's free end must not answer for the bridge.
        ignore = "echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore"
        shell.run([*inside(hub), "sh", "-c", ignore])
        for number in self.numbers:
            own = [f"addr add {self.address(number)}/24 dev eth0", "link set lo up", "link set eth0 up"]
            shell.run(["ip", "-n", self.namespace(number), "-batch", "-"], text="\n".join(own) + "\n")
            self._switch_off(self.namespace(number), "eth0")
        self._switch_off(hub, "br0", *[f"v{number}" for number in self.numbers])

    def _switch_off(self, namespace: str, *devices: str) -> None:
        script = str(Path(__file__).with_name("offload.py"))
        shell.run([*inside(namespace), sys.executable, script, *devices])

    def spawn(self, number: int) -> None:
        self._spawn(number, found=False)

    def _spawn(self, number: int, found: bool) -> None:
        node = self.node(number)
        node.mkdir(parents=True, exist_ok=True)
        join = [] if found else [self.native(other) for other in self.others(number)]
        quoted = ", ".join(f'"{address}"' for address in join)
        (node / "node.toml").write_text(
            f'[node]\nname = "n{number}"\ndata_dir = "{self.data(number)}"\n\n'
            f'[listen]\nnative = "{self.native(number)}"\n'
            f'http = "{self.address(number)}:{HTTP}"\n\n'
            f"[cluster]\ninsecure = true\njoin = [{quoted}]\n"
        )
        serve = [program(), "serve", "--config", str(node / "node.toml"), "--detached"]
        if found:
            serve.append("--bootstrap")
        with open(node / "node.log", "ab") as log:
            child = subprocess.Popen(
                [*inside(self.namespace(number)), *serve],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(number),
                start_new_session=True,
            )
        (node / "pid").write_text(str(child.pid))
        # nsenter becomes the node; before that the pid is not believed.
        until(f"n{number} starts", 10, lambda: self._started(number, child), every=0.01)

    def _started(self, number: int, child: subprocess.Popen[bytes]) -> str | None:
        if child.poll() is not None:
            words = self.log(number).strip().splitlines()[-3:]
            raise Failed(f"n{number} ended with {child.returncode}: {' / '.join(words)}")
        return None if self.state(number) != "down" else "nsenter has not become it yet"

    def down(self) -> None:
        for number in self.numbers:
            self.kill(number)
        super().down()
        for place in [*self.numbers, None]:
            end_namespace(self.namespace(place))
        shutil.rmtree(self.folder / "old", ignore_errors=True)

    def enter(self) -> None:
        """Of this thread and those that it starts, so: before any other thread exists."""
        path = f"/run/netns/{self.namespace(None)}"
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Failed(f"{path}: {error.strerror}; start the cluster with tests/chaos/up") from error
        try:
            if libc.setns(descriptor, CLONE_NEWNET) != 0:
                raise CannotHere(f"cannot enter {path}: {os.strerror(ctypes.get_errno())}")
        finally:
            os.close(descriptor)

    # --- network ---------------------------------------------------------------------------------------

    def cut(self, cuts: Cuts, udp_only: bool = False) -> None:
        addresses = {number: self.address(number) for number in self.numbers}
        known = shell.run(["ip", "netns", "list"])
        for number in self.numbers:
            if self.namespace(number) in known:
                script = firewall.rules(number, cuts, addresses, udp_only)
                shell.run([*inside(self.namespace(number)), "nft", "-f", "-"], text=script)

    def bend(self, number: int, **how: float) -> None:
        hub, file = self.namespace(None), self.node(number) / "cable"
        bent: dict[str, float] = {}
        for word in file.read_text().split() if file.exists() else []:
            name, equals, value = word.partition("=")
            if equals:
                bent[name] = float(value)
        bent |= how
        self._unplug(number)
        near, far = f"c{number}i", f"c{number}o"
        batch = [
            f"link add name {near} type veth peer name {far}",
            f"link set {near} up",
            f"link set {far} master br0 up",
            f"link set v{number} nomaster",
        ]
        shell.run(["ip", "-n", hub, "-batch", "-"], text="\n".join(batch) + "\n")
        self._switch_off(hub, near, far)
        script = str(Path(__file__).with_name("cable.py"))
        with open(self.folder / "cable.log", "ab") as log:
            child = subprocess.Popen(
                [*inside(hub), sys.executable, script, f"v{number}", near, *cable_flags(bent)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert child.stdout is not None
        if child.stdout.readline() != b"carrying\n":
            raise Failed(f"the bent cable of n{number} broke: see {self.folder / 'cable.log'}")
        lines = [f"pid {child.pid}", *[f"{name}={value}" for name, value in bent.items()]]
        file.write_text("\n".join(lines) + "\n")

    def _unplug(self, number: int) -> None:
        """The straight cable again."""
        file, hub = self.node(number) / "cable", self.namespace(None)
        if not file.exists():
            return
        pid = int(file.read_text().split()[1])
        if b"lib/cable.py" in _command(pid):
            os.kill(pid, 15)
        shell.attempt(["ip", "-n", hub, "link", "del", f"c{number}i"])
        shell.attempt(["ip", "-n", hub, "link", "set", f"v{number}", "master", "br0"])
        file.unlink()
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            # Another script's child: it ends by itself.
            time.sleep(0.05)

    def straighten(self) -> None:
        for number in self.numbers:
            self._unplug(number)
