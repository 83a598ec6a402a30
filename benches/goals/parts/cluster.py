"""A cluster of local processes, and the load on it."""

import json
import os
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from lib.process import Failed, environment, said, stop, wait_until

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
# How long the command line may take for anything.
PATIENCE = 3600.0
# The shorter of two runs, in seconds.
SHORT = 2


class Cluster:
    """It ends with the stack that it was started in."""

    def __init__(self, stack: ExitStack, binary: Path, folder: Path, port: int, nodes: int, **env: str) -> None:
        self.binary, self.folder, self.port, self.size = binary, folder, port, nodes
        self.env = environment("QUORATE_", **env)
        stack.callback(self._stop)
        self.start(nodes)

    def start(self, nodes: int) -> None:
        """Starts what is down of so many; those that are new join."""
        self.size = nodes
        self.cluster("start", "--nodes", nodes, "--base-port", self.port)

    def cluster(self, *words: object) -> str:
        return said([self.binary, "cluster", *map(str, words), "--dir", self.folder], PATIENCE, self.env)

    def client(self) -> list:
        """What begins a command of the client."""
        return [self.binary]

    def ask(self, *words: object, node: int = 1) -> object:
        """What a command of the client prints as JSON."""
        address = self.address(node)
        return json.loads(said([*self.client(), *map(str, words), "--node", address, "-o", "json"], PATIENCE, self.env))

    def discard(self, *words: object) -> None:
        """Runs a command of the client; nobody reads what it prints."""
        command = [*self.client(), *map(str, words), "--node", self.address(1)]
        done = subprocess.run(
            list(map(str, command)), env=self.env, timeout=PATIENCE, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )
        if done.returncode != 0:
            raise Failed(f"{' '.join(map(str, words))}: {' '.join(done.stderr.split())[-400:]}")

    def dump(self, bucket: str, node: int) -> list[dict]:
        """A node's own records of a bucket."""
        words = [*self.client(), "dump", "--local", "--bucket", bucket, "--node", self.address(node)]
        return [json.loads(line) for line in said(words, PATIENCE, self.env).splitlines()]

    def hints(self, nodes: int | None = None) -> int:
        return sum(self.ask("hints", node=node)["pending"] for node in range(1, (nodes or self.size) + 1))

    def address(self, node: int) -> str:
        return f"127.0.0.1:{self.port + 10 * node}"

    def addresses(self, nodes: int | None = None) -> str:
        return ",".join(map(self.address, range(1, (nodes or self.size) + 1)))

    def pids(self) -> list[int]:
        status = json.loads(self.cluster("status", "-o", "json"))
        return [node["pid"] for node in status["nodes"] if node["pid"]]

    def cpu(self) -> float:
        """Seconds of all nodes, since they began."""
        return sum(processor_seconds(pid) for pid in self.pids())

    def memory(self) -> list[int]:
        """What each node holds in memory, in bytes."""
        return [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE for pid in self.pids()]

    def load(self, workload: str, seconds: float, **options: object) -> dict:
        """A run of the load. Each has keys of its own; those that it reads are written before its clock starts."""
        return self.end_load(self.begin_load(workload, seconds, **options), seconds)

    def cost(self, workload: str, seconds: float, **options: object) -> dict:
        """The same, with what a request costs all processes in `cpu_us`: a short run before it tells what the beginning costs."""
        spent, runs = [], []
        for length in (SHORT, seconds):
            before = self.cpu()
            runs.append(self.load(workload, length, **options))
            spent.append(self.cpu() - before + runs[-1]["load_cpu"])
        requests = runs[1]["requests"] - runs[0]["requests"]
        return runs[1] | {"cpu_us": (spent[1] - spent[0]) / max(requests, 1) * 1e6}

    def begin_load(self, workload: str, seconds: float, nodes: int | None = None, **options: object) -> subprocess.Popen:
        """A run that goes on beside others."""
        words = [*self.client(), "bench", "--node", self.addresses(nodes), "--workload", workload, "--duration", f"{seconds}s", "-o", "json"]
        for name, value in options.items():
            words += [f"--{name.replace('_', '-')}", value]
        return subprocess.Popen(
            list(map(str, words)), env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )

    @staticmethod
    def end_load(process: subprocess.Popen, seconds: float) -> dict:
        before = os.times()
        try:
            out, err = process.communicate(timeout=seconds + PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed("the load did not end") from None
        finally:
            stop(process)
        if process.returncode != 0:
            raise Failed(f"the load: {' '.join(err.split())[-400:]}")
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        return json.loads(out) | {"load_cpu": spent}

    def rest(self) -> None:
        """Until no hint is kept and nothing is on the move."""
        def is_calm() -> bool:
            moving = self.ask("transfers")
            return self.hints() == 0 and not moving.get("change")

        wait_until(is_calm, "the cluster comes to rest", limit=PATIENCE)
        time.sleep(2)

    def _stop(self) -> None:
        if (self.folder / "cluster.toml").exists():
            try:
                self.cluster("stop")
            except Failed as failed:
                print(failed)


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
