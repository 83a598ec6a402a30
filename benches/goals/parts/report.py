"""What was measured, beside what is wanted."""

from dataclasses import dataclass, field


@dataclass
class Report:
    """Rows of a part; each says a figure, and what came of a goal."""

    part: str
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def tell(self, what: str, figure: str) -> None:
        """A figure that no goal is about."""
        self._add(what, figure, "")

    def judge(self, what: str, figure: str, is_met: bool) -> None:
        self._add(what, figure, "met" if is_met else "missed")

    def _add(self, *row: str) -> None:
        self.rows.append(row)
        print(f"{self.part}: {row[0]}: {row[1]}{', ' + row[2] if row[2] else ''}", flush=True)

    def markdown(self) -> list[str]:
        head = [f"| {self.part} | measured | goal |", "|---|---|---|"]
        return head + [f"| {' | '.join(row)} |" for row in self.rows]


def ms(microseconds: float) -> str:
    return f"{microseconds / 1000:.2f} ms"
