"""Redis: a primary and two replicas, all with an append-only file."""

import shutil
import socket
from contextlib import ExitStack
from pathlib import Path

from ..process import said, start, wait_until
from .system import System

DURABLE = {
    "always": "append-only file synced at every turn of its loop (appendfsync always), WAIT 1: one replica has it, too",
    "everysec": "append-only file synced every second (appendfsync everysec), WAIT 1: one replica has it, too",
}


class Redis(System):
    protocol = "redis"
    configuration = (
        "primary and 2 replicas, put: SET and WAIT 1 in one packet, get: GET from the primary alone, no snapshots, all else at its default"
    )
    multiplexes = ("get",)
    multiplexes_not = "WAIT blocks its connection"

    def __init__(self, appendfsync: str) -> None:
        super().__init__()
        self.appendfsync = appendfsync
        self.name = f"redis-{appendfsync}"
        self.title = f"Redis, {appendfsync}"
        self.durability = DURABLE[appendfsync]

    def missing(self) -> str | None:
        return None if shutil.which("redis-server") else "there is no `redis-server`: apt-get install redis-server"

    def version(self) -> str:
        words = said(["redis-server", "--version"]).split()
        return next((word[2:] for word in words if word.startswith("v=")), "unknown")

    def start(self, stack: ExitStack, folder: Path, port: int) -> None:
        processes = []
        for i in range(3):
            data = folder / f"r{i}"
            data.mkdir()
            command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port + 10 * i), "--dir", data]
            command += ["--appendonly", "yes", "--appendfsync", self.appendfsync, "--save", "", "--daemonize", "no"]
            # So that the replicas are there sooner: it changes the first seconds only.
            command += ["--repl-diskless-sync-delay", "0"]
            if i > 0:
                command += ["--replicaof", "127.0.0.1", str(port)]
            processes.append(start(stack, command, folder / f"r{i}.log"))
            wait_until(lambda: "PONG" in ask(port + 10 * i, "PING"), "Redis", processes)  # noqa: B023 (called at once)
        self.nodes = [f"127.0.0.1:{port}"]
        self.pids = [process.pid for process in processes]
        wait_until(lambda: ask(port, "INFO replication").count("state=online") == 2, "the replicas of Redis", processes)


def ask(port: int, command: str) -> str:
    """One inline command; what one packet of the answer holds, which is enough for these."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(command.encode() + b"\r\n")
        return connection.recv(1 << 16).decode(errors="replace")
