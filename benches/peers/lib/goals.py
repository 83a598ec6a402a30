"""What Quorate is to reach beside its peers, and whether it did."""

from collections.abc import Callable
from dataclasses import dataclass

from .figures import Figure, Pair, Row


@dataclass(frozen=True)
class Goal:
    """`measure` of this row of this pair is to be at least, or at most, `bound`."""

    text: str
    peer: str
    workload: str
    bound: float
    at_least: bool = True
    multiplexed: bool = False
    measure: Callable[[Row], Figure | None] = Row.ratio

    @property
    def unit(self) -> str:
        return " µs" if self.measure is cpu else " x"

    def verdict(self, pairs: list[Pair]) -> tuple[Figure | None, str]:
        pair = next((pair for pair in pairs if pair.peer == self.peer and not pair.failed), None)
        row = pair.row(self.workload, self.multiplexed) if pair else None
        figure = self.measure(row) if row else None
        if figure is None:
            return None, "not measured"
        met = figure.median >= self.bound if self.at_least else figure.median <= self.bound
        return figure, ("met" if met else "missed")


def p99(row: Row) -> Figure | None:
    return row.ratio("p99_us")


def cpu(row: Row) -> Figure | None:
    return row.quorate("cpu_us")


GOALS = (
    Goal("puts, sync: at least 4 x etcd", "etcd", "put", 4),
    Goal("puts, sync: p99 at most half of etcd's", "etcd", "put", 0.5, at_least=False, measure=p99),
    Goal("puts, sync: at least 1.3 x Redis, always, WAIT 1", "redis-always", "put", 1.3),
    Goal("puts, interval: at least 1 x Redis, everysec, WAIT 1", "redis-everysec", "put", 1),
    Goal("puts: at least 10 x Garage", "garage", "put", 10),
    Goal("puts: at least 6 x Cassandra", "cassandra", "put", 6),
    Goal("puts, sync: at most 50 µs of CPU, beside etcd", "etcd", "put", 50, at_least=False, measure=cpu),
    Goal("puts, sync: at most 50 µs of CPU, beside Redis", "redis-always", "put", 50, at_least=False, measure=cpu),
    Goal("gets: at least 7 x etcd", "etcd", "get", 7),
    Goal("gets: at least 5 x Garage", "garage", "get", 5),
    Goal("gets: at least 0.6 x one Redis, one connection a client", "redis-always", "get", 0.6),
    Goal("gets: at least 1 x one Redis, multiplexed", "redis-always", "get", 1, multiplexed=True),
    Goal("gets: at most 22 µs of CPU, beside etcd", "etcd", "get", 22, at_least=False, measure=cpu),
    Goal("gets: at most 22 µs of CPU, beside Redis", "redis-always", "get", 22, at_least=False, measure=cpu),
    Goal("half and half: at least 4 x etcd", "etcd", "mixed", 4),
)


def judged(pairs: list[Pair]) -> list[tuple[Goal, Figure | None, str]]:
    """Each goal, what was measured for it, and the verdict."""
    return [(goal, *goal.verdict(pairs)) for goal in GOALS]
