"""What may be asked for, and the order of it all."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lib import build, machine
from lib.options import names, port
from lib.process import Failed, end_on_signals

from . import growth, latency, neighbours, slow
from .cluster import Cluster

PARTS = {"latency": latency, "slow": slow, "growth": growth, "neighbours": neighbours}


class Ground:
    """Where clusters stand, one after another."""

    def __init__(self, binary: Path, folder: Path, base_port: int, items: int) -> None:
        self.binary, self.folder, self.base_port, self.items = binary, folder, base_port, items
        self.count = 0

    @contextmanager
    def cluster(self, nodes: int, **env: str) -> Iterator[Cluster]:
        self.count += 1
        place = self.folder / f"cluster-{self.count}"
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, place, ignore_errors=True)
            yield Cluster(stack, self.binary, place, self.base_port, nodes, **env)


def parse(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benches/goals/run", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("."), help="on the disk to be measured (default: here)")
    parser.add_argument("--only", type=names(tuple(PARTS)), default=list(PARTS), metavar="A,B", help=", ".join(PARTS))
    parser.add_argument("--items", type=int, default=1_000_000, help="how many are many (default 1,000,000)")
    parser.add_argument("--base-port", type=port, default=19_600, help="100 ports from here on are used (default 19600)")
    return parser.parse_args()


def main(description: str) -> int:
    asked = parse(description)
    end_on_signals()
    if not asked.folder.is_dir():
        print(f"{asked.folder} is no folder", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="goals-", dir=asked.folder)).resolve()
    reports = []
    try:
        facts = machine.facts(folder, build.ROOT)
        if build.given("QUORATE"):
            facts["commit"] = "unknown: the binary was given"
        ground = Ground(build.quorate(), folder, asked.base_port, asked.items)
        for part in asked.only:
            reports.append(PARTS[part].measure(ground))
    except Failed as failed:
        print(failed, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n" + ", ".join(facts.values()))
    for report in reports:
        print("\n" + "\n".join(report.markdown()))
    return 0
