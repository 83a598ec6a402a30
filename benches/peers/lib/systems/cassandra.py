"""Cassandra: three nodes at 127.0.0.1, .2 and .3, with the configuration of the unpacked distribution.

All nodes of one cluster share their ports, so each has an address of its own; all of 127.0.0.0/8 is loopback on Linux.
"""

import os
import re
import shutil
import socket
from contextlib import ExitStack
from pathlib import Path

from ..process import Failed, environment, said, start, wait_until
from .system import System

# A node waits for the others' gossip before it takes its share of the ring.
START_LIMIT = 180.0
# Heaps that let three of them live on one machine.
HEAP = {"MAX_HEAP_SIZE": "1G", "HEAP_NEWSIZE": "256M"}
# Below the storage directory, when they are not set.
DIRECTORIES = ("commitlog_directory", "saved_caches_directory", "hints_directory", "cdc_raw_directory", "data_file_directories")


class Cassandra(System):
    name = "cassandra"
    title = "Cassandra"
    protocol = "cassandra"
    durability = "acknowledged puts are on two nodes, commit log synced every 10 s (commitlog_sync: periodic, the default)"
    configuration = "3 nodes with 1 GiB of heap, replication factor 3, put and get QUORUM, a ring delay of 5 s, all else as it is distributed"

    @staticmethod
    def home() -> Path | None:
        home = os.environ.get("CASSANDRA_HOME")
        return Path(home) if home and (Path(home) / "bin/cassandra").exists() else None

    def missing(self) -> str | None:
        if self.home() is None:
            return "there is no Cassandra: unpack https://cassandra.apache.org/download and set CASSANDRA_HOME"
        return None if shutil.which("java") else "Cassandra needs java: apt-get install openjdk-17-jre-headless"

    def version(self) -> str:
        return said([self.home() / "bin/cassandra", "-v"]).split()[-1]

    def start(self, stack: ExitStack, folder: Path, port: int) -> None:
        home = self.home()
        if home is None:
            raise Failed("there is no Cassandra")
        processes = []
        for i in range(3):
            address, node = f"127.0.0.{i + 1}", folder / f"c{i}"
            shutil.copytree(home / "conf", node / "conf")
            settings = {
                "cluster_name": "bench",
                "listen_address": address,
                "rpc_address": address,
                "native_transport_port": str(port),
                "storage_port": str(port + 1),
                "ssl_storage_port": str(port + 2),
            }
            yaml = node / "conf/cassandra.yaml"
            yaml.write_text(configured(yaml.read_text(), settings, f"127.0.0.1:{port + 1}"))
            script = node / "conf/cassandra-env.sh"
            script.write_text(re.sub(r'JMX_PORT="\d+"', f'JMX_PORT="{port + 3 + i}"', script.read_text()))
            env = environment(
                "CASSANDRA_",
                CASSANDRA_HOME=str(home),
                CASSANDRA_CONF=str(node / "conf"),
                CASSANDRA_LOG_DIR=str(node / "log"),
                JVM_EXTRA_OPTS="-Dcassandra.ring_delay_ms=5000",
                **HEAP,
            )
            # In the foreground it stays the process that was started. As root it must be allowed.
            # By -D: the script sets a storage directory of its own behind all other options.
            storage = f"cassandra.storagedir={node.resolve()}"
            command = [home / "bin/cassandra", "-f", "-D", storage] + (["-R"] if os.geteuid() == 0 else [])
            processes.append(start(stack, command, folder / f"c{i}.log", env))
            # One after the other: two must not join at a time.
            wait_until(lambda: listens(address, port), f"Cassandra at {address}", processes, START_LIMIT)  # noqa: B023
            self.nodes.append(f"{address}:{port}")
        self.pids = [process.pid for process in processes]


def configured(yaml: str, settings: dict[str, str], seed: str) -> str:
    """The distributed file with these settings; directories are left to the storage directory."""
    lines, skipping = [], False
    for line in yaml.splitlines():
        name = re.match(r"#? ?(\w+):", line)
        if skipping and re.match(r"\s*-\s", line):
            continue
        skipping = False
        if name and name[1] in DIRECTORIES and not line.startswith("#"):
            skipping = True
            continue
        if name and name[1] in settings:
            continue
        lines.append(re.sub(r'- seeds: .*', f'- seeds: "{seed}"', line))
    return "\n".join(lines + [f"{name}: {value}" for name, value in settings.items()]) + "\n"


def listens(host: str, port: int) -> bool:
    with socket.create_connection((host, port), timeout=2):
        return True
