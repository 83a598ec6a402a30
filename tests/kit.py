"""What the checks against real nodes share: nodes on free ports, and a Python with packages in it."""

import os
import pathlib
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def quorate():
    """The binary that is tried."""
    return os.environ.get("QUORATE") or str(ROOT / "target/debug/quorate")


def pip(python):
    """The words that call pip for this Python: the machine's own where it can, for a pip of one's own takes seconds to make."""
    own = [sys.executable, "-m", "pip", "--python", python]
    can = subprocess.run([*own, "--version"], capture_output=True, timeout=60).returncode == 0
    return own if can else [python, "-m", "pip"]


def environment(folder, packages):
    """A Python of its own with these packages; None, having said why, where that cannot be made."""
    place = folder / "python"
    python = str(place / "bin/python")
    venv = [sys.executable, "-m", "venv", str(place)]
    try:
        # The first is enough for the machine's pip.
        subprocess.run([*venv, "--without-pip"], check=True, capture_output=True, timeout=120)
        if pip(python)[0] == python:
            subprocess.run(venv, check=True, capture_output=True, timeout=120)
        install = ["--quiet", "--disable-pip-version-check", "install", "--no-compile"]
        subprocess.run([*pip(python), *install, *packages], check=True, capture_output=True, timeout=300)
        return python
    except (OSError, subprocess.SubprocessError) as error:
        print(f"SKIPPED  {packages[0]} cannot be installed: {type(error).__name__}")
        return None


def free_base(nodes):
    """A base for the ports of a cluster: node i has base + 10 i and the two above."""
    for base in range(20_000, 32_000, 100):
        if all(is_free(base + 10 * node + port) for node in range(1, nodes + 1) for port in range(3)):
            return base
    sys.exit("FAIL  there are no free ports")


def is_free(port):
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        try:
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


class Cluster:
    """Nodes for as long as a block lasts."""

    def __init__(self, folder, nodes, settings=None):
        self.folder, self.nodes, self.base = folder, nodes, free_base(nodes)
        self.environment = {**os.environ, **(settings or {})}

    def command(self, *words):
        words = [quorate(), "cluster", *words, "--dir", str(self.folder)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, env=self.environment)
        if done.returncode != 0:
            sys.exit(f"FAIL  {' '.join(words)}: {done.stderr}")

    def __enter__(self):
        self.command("start", "--nodes", str(self.nodes), "--base-port", str(self.base))
        return self

    def __exit__(self, *_):
        self.command("kill", *[str(node) for node in range(1, self.nodes + 1)])

    def http(self, node):
        """The port at which a node speaks HTTP."""
        return self.base + 10 * node + 1

    def resp(self, node):
        """The port at which a node speaks Redis's protocol."""
        return self.base + 10 * node + 2
