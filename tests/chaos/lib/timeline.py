"""A picture of a run: faults as bars, acknowledged and disturbed operations a second, the moments of rest."""

from __future__ import annotations

from html import escape

from .cycle import Cycle
from .history import OK, Op

WIDTH, LEFT, RIGHT = 1400, 130, 20
LANE, GAP, CHART = 16, 26, 130
COLOURS = {
    "kill": "#c0392b",
    "pause": "#e67e22",
    "partition": "#8e44ad",
    "loss": "#2980b9",
    "duplicate": "#16a085",
    "corrupt": "#7f8c8d",
    "delay": "#3498db",
    "skew": "#d4ac0d",
    "full-disk": "#6e2c00",
    "slow-disk": "#a04000",
    "wipe": "#1b2631",
    "restore-old": "#515a5a",
    "leave": "#1abc9c",
    "remove": "#922b21",
    "replace": "#6c3483",
    "rolling-restart": "#27ae60",
}


def per_second(ops: list[Op], length: int) -> tuple[list[int], list[int]]:
    """In each second: how many operations ended well, and how many failed or needed another try."""
    good, bad = [0] * (length + 1), [0] * (length + 1)
    for op in ops:
        at = min(int(op.end), length)
        good[at] += op.outcome == OK
        bad[at] += op.outcome != OK or op.stumbled
    return good, bad


def svg(cycles: list[Cycle], ops: list[Op], title: str) -> str:
    """The whole picture; it needs nothing beside itself."""
    length = int(max([cycle.span.end for cycle in cycles] or [1])) + 1
    scale = (WIDTH - LEFT - RIGHT) / length
    lanes = [name for name in COLOURS if any(plan.fault == name for cycle in cycles for plan in cycle.plans)]
    top = 40
    charts = top + len(lanes) * LANE + GAP
    height = charts + 2 * (CHART + GAP) + 20

    def x(time: float) -> float:
        return round(LEFT + time * scale, 1)

    def during(cycle: Cycle) -> str:
        """Where the faults of a cycle stand, and how wide; short ones are seen too."""
        return f'x="{x(cycle.faults.begin)}" width="{max(1.0, round(cycle.faults.length * scale, 1))}"'

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>',
    ]
    for lane, name in enumerate(lanes):
        out.append(f'<text x="{LEFT - 8}" y="{top + lane * LANE + 11}" text-anchor="end">{name}</text>')
    for cycle in cycles:
        at = x(cycle.span.begin)
        out.append(f'<line x1="{at}" x2="{at}" y1="{top}" y2="{height - 20}" stroke="#eee"/>')
        out.append(f'<text x="{at}" y="{top - 4}" fill="#999" font-size="9">{cycle.number}</text>')
        for plan in cycle.plans:
            y = top + lanes.index(plan.fault) * LANE
            out.append(
                f'<rect {during(cycle)} y="{y + 1}" height="{LANE - 3}" fill="{COLOURS[plan.fault]}">'
                f"<title>{escape(plan.words())}</title></rect>"
            )
    good, bad = per_second(ops, length)
    shown = (("acknowledged/s", good, "#27ae60"), ("failed or retried/s", bad, "#c0392b"))
    for chart, (name, series, colour) in enumerate(shown):
        base = charts + chart * (CHART + GAP) + CHART
        most = max([*series, 1])
        points = " ".join(f"{x(second)},{base - value * CHART / most:.1f}" for second, value in enumerate(series))
        for cycle in cycles:
            out.append(f'<rect {during(cycle)} y="{base - CHART}" height="{CHART}" fill="#f4f4f4"/>')
        out.append(f'<text x="{LEFT - 8}" y="{base - CHART + 10}" text-anchor="end">{name}</text>')
        out.append(f'<text x="{LEFT - 8}" y="{base - CHART + 24}" text-anchor="end" fill="#999">up to {most}</text>')
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}" stroke="#999"/>')
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
    base = charts + CHART
    for cycle in cycles:
        if cycle.rest is not None:
            when = cycle.faults.end + cycle.rest
            out.append(
                f'<circle cx="{x(when)}" cy="{base + GAP / 2}" r="3" fill="#2c3e50">'
                f"<title>all replicas equal {cycle.rest:.1f} s after the healing</title></circle>"
            )
    out.append(f'<text x="{LEFT - 8}" y="{base + GAP / 2 + 4}" text-anchor="end">replicas equal</text>')
    for second in range(0, length, 60):
        out.append(f'<text x="{x(second)}" y="{height - 4}" fill="#999">{second} s</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"
