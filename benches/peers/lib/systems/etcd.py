"""etcd: three members, with its defaults."""

import json
import shutil
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from ..process import environment, said, start, wait_until
from .system import System

# Its default of 2 GiB ends a run on a fast machine: it keeps every version of every key.
QUOTA_BYTES = 8 << 30


class Etcd(System):
    name = "etcd"
    title = "etcd"
    protocol = "etcd"
    durability = "acknowledged puts are synced on two disks"
    configuration = (
        "3 members, puts and gets linearizable, clients spread over the members, all else at its default (but a quota of 8 GiB)"
    )

    def missing(self) -> str | None:
        return None if shutil.which("etcd") else "there is no `etcd`: apt-get install etcd-server"

    def version(self) -> str:
        return said(["etcd", "--version"], env=environment("ETCD_")).splitlines()[0].split()[-1]

    def start(self, stack: ExitStack, folder: Path, port: int) -> None:
        peers = [f"http://127.0.0.1:{port + 10 * i + 1}" for i in range(3)]
        members = ",".join(f"m{i}={peer}" for i, peer in enumerate(peers))
        processes = []
        for i, peer in enumerate(peers):
            client = f"127.0.0.1:{port + 10 * i}"
            command = ["etcd", "--name", f"m{i}", "--data-dir", folder / f"m{i}", "--log-level", "error", "--logger", "zap"]
            command += ["--listen-client-urls", f"http://{client}", "--advertise-client-urls", f"http://{client}"]
            command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", members]
            command += ["--initial-cluster-state", "new", "--quota-backend-bytes", str(QUOTA_BYTES)]
            processes.append(start(stack, command, folder / f"m{i}.log", environment("ETCD_")))
            self.nodes.append(client)
        self.pids = [process.pid for process in processes]
        for node in self.nodes:
            wait_until(lambda: healthy(node), f"etcd at {node}", processes)  # noqa: B023 (called at once)


def healthy(node: str) -> bool:
    with urllib.request.urlopen(f"http://{node}/health", timeout=2) as answer:
        return json.load(answer).get("health") == "true"
