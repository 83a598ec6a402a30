"""Garage: three nodes, its K2V API, with its defaults (which sync neither metadata nor data)."""

import secrets
import shutil
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from ..process import environment, said, start, wait_until
from .system import System

CONFIGURATION = """\
metadata_dir = "{folder}/meta"
data_dir = "{folder}/data"
replication_factor = 3
rpc_bind_addr = "127.0.0.1:{rpc}"
rpc_public_addr = "127.0.0.1:{rpc}"
rpc_secret = "{secret}"

[s3_api]
api_bind_addr = "127.0.0.1:{s3}"
s3_region = "garage"

[k2v_api]
api_bind_addr = "127.0.0.1:{k2v}"
"""


class Garage(System):
    name = "garage"
    title = "Garage, K2V"
    protocol = "garage"
    durability = "acknowledged puts are on two nodes, not synced (metadata_fsync and data_fsync are off by default)"
    configuration = "3 nodes, replication factor 3, consistent (two answer), K2V over HTTP/1.1, all else at its default"
    multiplexes = ()
    multiplexes_not = "HTTP/1.1 carries one request at a time"

    def missing(self) -> str | None:
        how = "cargo install garage --features k2v"
        if not shutil.which("garage"):
            return f"there is no `garage`: {how}"
        if "k2v" not in said(["garage", "--version"]):
            return f"this `garage` has no K2V: {how}"
        return None

    def version(self) -> str:
        words = said(["garage", "--version"]).split()
        return words[1].removeprefix("cargo:") if len(words) > 1 else "unknown"

    def start(self, stack: ExitStack, folder: Path, port: int) -> None:
        env = environment("GARAGE_", RUST_LOG="error")
        secret = secrets.token_hex(32)
        files, processes = [], []
        for i in range(3):
            node = folder / f"g{i}"
            node.mkdir()
            file = node / "garage.toml"
            first = port + 10 * i
            file.write_text(CONFIGURATION.format(folder=node.resolve(), rpc=first, s3=first + 1, k2v=first + 2, secret=secret))
            # It refuses a secret that others can read.
            file.chmod(0o600)
            files.append(file)
            processes.append(start(stack, ["garage", "-c", file, "server"], folder / f"g{i}.log", env))
            self.nodes.append(f"127.0.0.1:{first + 2}")
        self.pids = [process.pid for process in processes]

        def garage(i: int, *arguments: str) -> str:
            return said(["garage", "-c", files[i], *arguments], env=env)

        ids: list[str] = []
        for i in range(3):
            wait_until(lambda: bool(garage(i, "status")), f"Garage g{i}", processes)  # noqa: B023 (called at once)
            ids.append(garage(i, "node", "id", "-q").strip())
        for other in ids[1:]:
            wait_until(lambda: bool(garage(0, "node", "connect", other)) or True, "Garage's nodes", processes)  # noqa: B023
        for each in ids:
            garage(0, "layout", "assign", "-z", "local", "-c", "1G", each.split("@")[0])
        garage(0, "layout", "apply", "--version", "1")
        key, key_secret = "GK" + secrets.token_hex(12), secrets.token_hex(32)
        wait_until(lambda: bool(garage(0, "bucket", "create", "bench")) or True, "Garage's layout", processes)
        garage(0, "key", "import", "--yes", "-n", "bench", key, key_secret)
        garage(0, "bucket", "allow", "--read", "--write", "--owner", "bench", "--key", key)
        self.load_environment = {"GARAGE_KEY_ID": key, "GARAGE_SECRET_KEY": key_secret}
        for node in self.nodes:
            wait_until(lambda: answers(node), f"Garage's K2V at {node}", processes)  # noqa: B023 (called at once)


def answers(node: str) -> bool:
    """Whether anything speaks HTTP there; without a signature it refuses, which is an answer, too."""
    try:
        with urllib.request.urlopen(f"http://{node}/", timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
