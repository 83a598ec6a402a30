"""What was measured, beside what is wanted."""

from dataclasses import dataclass, field

from lib.machine import Stolen


@dataclass
class Report:
    """Rows of a part; each says a figure, and what came of a goal."""

    part: str
    rows: list[tuple[str, str, str, str]] = field(default_factory=list)
    stolen: Stolen = field(default_factory=Stolen)

    def tell(self, what: str, figure: str) -> None:
        """A figure that no goal is about."""
        self._add(what, figure, "")

    def judge(self, what: str, figure: str, is_met: bool) -> None:
        self._add(what, figure, "met" if is_met else "missed")

    def _add(self, what: str, figure: str, verdict: str) -> None:
        # Since the row before: a tail under which the machine was away says nothing of Quorate.
        stolen = f"{self.stolen.share():.0%}"
        self.rows.append((what, figure, verdict, stolen))
        print(f"{self.part}: {what}: {figure}{', ' + verdict if verdict else ''}, {stolen} stolen", flush=True)

    def markdown(self) -> list[str]:
        head = [f"| {self.part} | measured | goal | stolen by the host |", "|---|---|---|---|"]
        return head + [f"| {' | '.join(row)} |" for row in self.rows]


def ms(microseconds: float) -> str:
    return f"{microseconds / 1000:.2f} ms"
