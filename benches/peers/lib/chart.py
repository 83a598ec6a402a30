"""The figures as a picture: a panel per pair, two bars per row, the spread as a line across the end of each bar."""

from xml.sax.saxutils import escape

from .figures import Figure, Pair

WIDTH, LEFT, RIGHT = 860, 190, 150
BAR, GAP, ROW_GAP, PANEL_GAP, HEAD = 15, 2, 12, 26, 34
OURS, THEIRS, INK, QUIET = "#1f6f8b", "#c9a15a", "#222222", "#777777"


def text(x: float, y: float, words: str, size: int = 12, anchor: str = "start", colour: str = INK, weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" font-weight="{weight}">'
        f"{escape(words)}</text>"
    )


def bar(y: float, figure: Figure | None, colour: str, scale: float, suffix: str) -> list[str]:
    if figure is None:
        return [text(LEFT + 4, y + BAR - 3, "not measured", 11, colour=QUIET)]
    end, least, most = (LEFT + value * scale for value in (figure.median, figure.least, figure.most))
    middle = y + BAR / 2
    return [
        f'<rect x="{LEFT}" y="{y:.1f}" width="{max(end - LEFT, 1):.1f}" height="{BAR}" fill="{colour}"/>',
        f'<line x1="{least:.1f}" y1="{middle:.1f}" x2="{most:.1f}" y2="{middle:.1f}" stroke="{INK}" stroke-width="1.5"/>',
        text(max(end, most) + 6, y + BAR - 3, f"{figure.median:,.0f}{suffix}", 11),
    ]


def panel(pair: Pair, y: float) -> tuple[list[str], float]:
    drawn = [text(16, y + 14, f"Quorate, {pair.durability}, and {pair.title}", 14, weight="bold")]
    y += HEAD
    figures = [(row, row.quorate("throughput"), row.peer("throughput"), row.ratio()) for row in pair.rows]
    most = max((figure.most for _, *both, _ in figures for figure in both if figure), default=1) or 1
    scale = (WIDTH - LEFT - RIGHT) / most
    for row, ours, theirs, ratio in figures:
        drawn.append(text(LEFT - 10, y + BAR + 4, f"{row.workload}, {row.shape}", anchor="end"))
        drawn += bar(y, ours, OURS, scale, f"  ({ratio.median:.2f} x)" if ratio else "")
        drawn += bar(y + BAR + GAP, theirs, THEIRS, scale, "")
        y += 2 * BAR + GAP + ROW_GAP
    return drawn, y + PANEL_GAP - ROW_GAP


def svg(pairs: list[Pair], facts: dict[str, str]) -> str:
    drawn = [text(16, 26, "Requests a second, medians; the line is from the least to the most", 15, weight="bold")]
    drawn.append(text(16, 44, f"{facts['date']}, {facts['processor']}, {facts['kernel']}, commit {facts['commit']}", 11, colour=QUIET))
    y = 58.0
    for x, colour, words in ((16, OURS, "Quorate"), (110, THEIRS, "peer")):
        drawn.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour}"/>')
        drawn.append(text(x + 18, y + 11, words))
    y += 32
    for pair in pairs:
        lines, y = panel(pair, y)
        drawn += lines
    body = "\n".join(drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y:.0f}" viewBox="0 0 {WIDTH} {y:.0f}" '
        f'font-family="sans-serif">\n<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
    )
