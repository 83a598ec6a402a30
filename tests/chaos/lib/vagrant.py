"""Vagrant machines, over ssh. Written, not tried: no hypervisor was at hand. See docs/chaos.md.

Machines n1, n2, … run the unit `quorate` with its data in /var/lib/quorate/data; their private network is
192.168.56.0/24, n1 at .11 (or $QUORATE_CHAOS_VAGRANT_NETWORK, such as 10.0.0.10, to which the number is added).
In a machine of its own a node can have netem, `date -s` and systemd's limits of disk operations.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from . import firewall, shell
from .cluster import SPARE, Cluster
from .cuts import Cuts
from .shell import until
from .words import Failed

UNIT = "quorate"
DATA = "/var/lib/quorate/data"
OLD = "/var/lib/quorate/old"
# While it is there, systemd does not start a killed node again.
DROP_IN = f"/run/systemd/system/{UNIT}.service.d/chaos.conf"


class Vagrant(Cluster):
    """What the others do with processes, done with `sudo` over `vagrant ssh`."""

    backend = "vagrant"
    machines = True

    def ssh(self, number: int, script: str, limit: float = shell.LIMIT) -> str:
        """A shell script on a machine, as root."""
        command = f"sudo sh -c {shlex.quote(script)}"
        return shell.run(["vagrant", "ssh", f"n{number}", "-c", command], limit=limit)

    def address(self, number: int) -> str:
        base = os.environ.get("QUORATE_CHAOS_VAGRANT_NETWORK", "192.168.56.10")
        head, _, tail = base.rpartition(".")
        return f"{head}.{int(tail) + number}"

    def node(self, number: int) -> Path:
        folder = super().node(number)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def native(self, number: int) -> str:
        return f"{self.address(number)}:7610"

    def http(self, number: int) -> tuple[str, int]:
        return (self.address(number), 7611)

    def up(self) -> None:
        shell.run(["vagrant", "up"], limit=3600)
        self.save()
        self.wait_ready(self.numbers)

    def down(self) -> None:
        """Heals; `vagrant halt` is for whoever started them."""
        self.heal()

    def spawn(self, number: int) -> None:
        again = f"rm -f {DROP_IN}; systemctl daemon-reload; systemctl reset-failed {UNIT} || true"
        start = f"systemctl start {UNIT}"
        if number in self.spares:
            start = f"systemctl set-environment {SPARE}=true; {start}; systemctl unset-environment {SPARE}"
        self.ssh(number, f"{again}; {start}")

    def state(self, number: int) -> str:
        script = f"p=$(systemctl show -P MainPID {UNIT}); cut -d' ' -f3 /proc/$p/stat 2>/dev/null || echo X"
        letter = self.ssh(number, script).strip()
        return {"T": "paused", "X": "down", "Z": "down"}.get(letter, "up")

    def memory(self, number: int) -> int:
        script = f"p=$(systemctl show -P MainPID {UNIT}); grep VmRSS /proc/$p/status || true"
        words = self.ssh(number, script).split()
        return int(words[1]) * 1024 if len(words) > 1 else 0

    def log(self, number: int) -> str:
        return self.ssh(number, f"journalctl -u {UNIT} -b --no-pager -o cat")

    def kill(self, number: int) -> None:
        stay_down = f"mkdir -p $(dirname {DROP_IN}); printf '[Service]\\nRestart=no\\n' > {DROP_IN}"
        self.ssh(number, f"{stay_down}; systemctl daemon-reload; systemctl kill -s KILL {UNIT} || true")
        until(f"n{number} is gone", 30, lambda: None if self.state(number) == "down" else "it is up")

    def stop(self, number: int) -> None:
        self.ssh(number, f"systemctl stop {UNIT}")

    def pause(self, number: int) -> None:
        self.ssh(number, f"systemctl kill -s STOP {UNIT}")

    def resume(self, number: int) -> None:
        self.ssh(number, f"systemctl kill -s CONT {UNIT}")

    def empty(self, number: int) -> None:
        if self.state(number) != "down":
            raise Failed(f"n{number} is up")
        self.ssh(number, f"find {DATA} -mindepth 1 -delete")

    def copy_data(self, number: int, to: Path) -> None:
        """The copy stays on the machine; `to` only says that there is one."""
        script = f"systemctl kill -s STOP {UNIT}; rm -rf {OLD}; cp -a {DATA} {OLD}; systemctl kill -s CONT {UNIT}"
        self.ssh(number, script)
        to.mkdir(parents=True, exist_ok=True)

    def put_back(self, number: int, copy: Path) -> None:
        self.empty(number)
        self.ssh(number, f"cp -a {OLD}/. {DATA}/")

    def cut(self, cuts: Cuts, udp_only: bool = False) -> None:
        addresses = {number: self.address(number) for number in self.numbers}
        for number in self.numbers:
            script = firewall.rules(number, cuts, addresses, udp_only)
            self.ssh(number, f"printf %s {shlex.quote(script)} | nft -f -")

    def _device(self, number: int) -> str:
        return f"$(ip -o -4 addr show to {self.address(number)} | awk '{{print $2}}')"

    def bend(self, number: int, **how: float) -> None:
        """With netem, which spoils before checksums are made: the network card's checksum does not notice."""
        words = []
        if how.get("delay") or how.get("jitter"):
            words.append(f"delay {how.get('delay', 0) * 1000:.0f}ms {how.get('jitter', 0) * 1000:.0f}ms")
        words += [f"{name} {how[name]}%" for name in ("loss", "duplicate", "corrupt") if how.get(name)]
        self.ssh(number, f"tc qdisc replace dev {self._device(number)} root netem {' '.join(words)}")

    def straighten(self) -> None:
        for number in self.numbers:
            self.ssh(number, f"tc qdisc del dev {self._device(number)} root 2>/dev/null || true")

    def heal(self, start: bool = True) -> None:
        self.cut(set())
        self.straighten()
        for number in self.numbers:
            self.unslow(number)
            self.unfill(number)
            if self.state(number) == "paused":
                self.resume(number)
            self.start(number, wait=False)
            self.unskew(number)
        self.wait_ready(self.numbers)

    # --- what the others do with libraries and mounts ----------------------------------------------------

    def skew(self, number: int, seconds: float) -> None:
        self.ssh(number, f"timedatectl set-ntp false; date -s @$(($(date +%s) + {seconds:.0f}))")
        (self.node(number) / "clock").touch()

    def unskew(self, number: int) -> None:
        if (self.node(number) / "clock").exists():
            self.ssh(number, "hwclock --hctosys 2>/dev/null || true; timedatectl set-ntp true")
            (self.node(number) / "clock").unlink()

    def fill(self, number: int) -> None:
        free = f"$(df --output=avail -B1 {DATA} | tail -n 1)"
        self.ssh(number, f"fallocate -l $(({free} - 8388608)) {DATA}.ballast")

    def unfill(self, number: int) -> None:
        self.ssh(number, f"rm -f {DATA}.ballast")

    def slow(self, number: int, seconds: float) -> None:
        writes = max(1, round(1 / max(seconds, 0.001)))
        self.ssh(number, f"systemctl set-property --runtime {UNIT} 'IOWriteIOPSMax={DATA} {writes}'")

    def unslow(self, number: int) -> None:
        self.ssh(number, f"systemctl set-property --runtime {UNIT} IOWriteIOPSMax= || true")
