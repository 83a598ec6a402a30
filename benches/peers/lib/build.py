"""The two binaries: Quorate itself, and the client that drives all."""

import os
import subprocess
from pathlib import Path

from .process import Failed

ROOT = Path(__file__).resolve().parents[3]
LOAD = ROOT / "benches/peers/load"


def cargo(*arguments: str) -> None:
    command = [os.environ.get("CARGO", "cargo"), "build", "--locked", "--release", "--quiet", *arguments]
    if subprocess.run(command, cwd=ROOT).returncode != 0:
        raise Failed(f"{' '.join(command)} failed")


def target() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()


def given(variable: str) -> Path | None:
    path = os.environ.get(variable)
    if not path:
        return None
    if not os.access(path, os.X_OK):
        raise Failed(f"{variable}: {path} is no program")
    return Path(path).absolute()


def quorate() -> Path:
    binary = given("QUORATE")
    if binary is None:
        cargo()
        binary = target() / "release/quorate"
    return binary


def load(cassandra: bool) -> Path:
    binary = given("PEERS_LOAD")
    if binary is None:
        # Beside Quorate's own, where `cargo clean` finds it; Cassandra's client only for those who have Cassandra.
        folder = target() / "peers"
        features = ["--features", "cassandra"] if cassandra else []
        cargo("--manifest-path", str(LOAD / "Cargo.toml"), "--target-dir", str(folder), *features)
        binary = folder / "release/quorate-peers-load"
    return binary
