"""What may be asked for."""

import argparse
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from .systems import PEERS

WORKLOADS = ("put", "get", "mixed")


@dataclass(frozen=True)
class Shape:
    """How the client talks: so many connections, so many requests in flight on each."""

    connections: int
    in_flight: int

    def __str__(self) -> str:
        return f"{self.connections} x {self.in_flight}"

    @property
    def multiplexed(self) -> bool:
        return self.in_flight > 1


def positive(text: str) -> float:
    number = float(text)
    if not 0 < number <= 3600:
        raise argparse.ArgumentTypeError(f"{text}: above zero, at most 3600")
    return number


def count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text}: from 1 to 1,000,000")
    return number


def port(text: str) -> int:
    number = int(text)
    if not 1024 <= number <= 65_000:
        raise argparse.ArgumentTypeError(f"{text}: from 1024 to 65000")
    return number


def names(allowed: tuple[str, ...]):
    def parse(text: str) -> list[str]:
        wanted = [name for name in text.split(",") if name]
        for name in wanted:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"{name}: one of {', '.join(allowed)}")
        return wanted

    return parse


def parse(description: str, arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benches/peers/run", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("."), help="on the disk to be measured (default: here)")
    parser.add_argument("--out", type=Path, help="where results go (default: a new folder peers-TIME)")
    parser.add_argument("--only", type=names(tuple(PEERS)), default=list(PEERS), metavar="A,B", help=", ".join(PEERS))
    parser.add_argument("--workloads", type=names(WORKLOADS), default=list(WORKLOADS), metavar="A,B", help=", ".join(WORKLOADS))
    parser.add_argument("--quick", action="store_true", help="one run of two seconds each")
    parser.add_argument("--runs", type=count, help="runs of each (default 5)")
    parser.add_argument("--seconds", type=positive, help="of one run (default 6)")
    parser.add_argument("--clients", type=count, default=64, help="clients with one connection each (default 64)")
    parser.add_argument("--keys", type=count, default=10_000)
    parser.add_argument("--value-bytes", type=count, default=1024)
    parser.add_argument("--load-threads", type=count, default=1, help="threads of the client (default 1)")
    parser.add_argument("--base-port", type=port, default=18_600, help="140 ports from here on are used (default 18600)")
    parser.add_argument("--keep", action="store_true", help="keep data and logs of all systems")
    options = parser.parse_args(arguments)
    options.runs = options.runs or (1 if options.quick else 5)
    options.seconds = options.seconds or (2.0 if options.quick else 6.0)
    options.shapes = [Shape(options.clients, 1), Shape(16, 16)]
    if options.keys < max(shape.connections * shape.in_flight for shape in options.shapes):
        parser.error("--keys: at least as many as there are requests in flight")
    if options.out is None:
        options.out = Path(datetime.now(timezone.utc).strftime("peers-%Y%m%d-%H%M%S"))
    return options
