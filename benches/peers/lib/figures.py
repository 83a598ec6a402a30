"""Figures: of the runs of a row the median, the least and the most."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    median: float
    least: float
    most: float

    @staticmethod
    def of(values: Iterable[float | None]) -> "Figure | None":
        known = [value for value in values if value is not None]
        return Figure(statistics.median(known), min(known), max(known)) if known else None


@dataclass
class Row:
    """One workload in one shape, of one pair: the runs of both, in turns."""

    workload: str
    shape: str
    multiplexed: bool
    ours: list[dict] = field(default_factory=list)
    theirs: list[dict] = field(default_factory=list)

    def quorate(self, name: str) -> Figure | None:
        return Figure.of(run.get(name) for run in self.ours)

    def peer(self, name: str) -> Figure | None:
        return Figure.of(run.get(name) for run in self.theirs)

    def ratio(self, name: str = "throughput") -> Figure | None:
        """Quorate / peer, of neighbours in time: what slows the machine slows both."""
        return Figure.of(
            ours[name] / theirs[name] for ours, theirs in zip(self.ours, self.theirs) if ours.get(name) and theirs.get(name)
        )

    def errors(self) -> tuple[int, int]:
        return sum(run["errors"] for run in self.ours), sum(run["errors"] for run in self.theirs)

    def client_was_the_limit(self) -> tuple[bool, bool]:
        """Whether the client itself had no CPU left: then the system could have done more."""
        def full(runs: list[dict]) -> bool:
            busy = Figure.of(run["load_cores"] / run["load_threads"] for run in runs)
            return busy is not None and busy.median >= 0.95

        return full(self.ours), full(self.theirs)


@dataclass
class Pair:
    """Quorate as durable as it was, and a peer."""

    durability: str
    peer: str
    title: str
    about_quorate: dict[str, str] = field(default_factory=dict)
    about_peer: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    failed: str = ""

    def row(self, workload: str, multiplexed: bool = False) -> Row | None:
        return next((row for row in self.rows if (row.workload, row.multiplexed) == (workload, multiplexed)), None)

    def cores(self, name: str) -> Figure | None:
        """What somebody else took meanwhile: `idle_cores`, the system that was not driven; `other_cores`, all the rest of
        the machine; `stolen`, the host, of all cores."""
        return Figure.of(run.get(name) for row in self.rows for run in row.ours + row.theirs)
