"""The figures as tables, for the terminal and in Markdown: the same cells."""

from .figures import Figure, Pair, Row
from .goals import judged

HEAD = ("load", "Quorate", "{peer}", "ratio", "Quorate", "{peer}", "Quorate", "{peer}", "Quorate / {peer}")
UNDER = ("", "a second", "a second", "", "p50 / p99 ms", "p50 / p99 ms", "CPU µs", "CPU µs", "errors")
LIMIT_MARK = "*"
# The kernel's own work for disk and network is among it, so it is never nothing.
BUSY_CORES = 0.3
# Of all cores; on an idle host it is nothing.
STOLEN = 0.05


def number(figure: Figure | None, mark: bool = False) -> str:
    """A median with its spread, if it has one."""
    if figure is None:
        return "-"
    spread = f" ({figure.least:,.0f} to {figure.most:,.0f})" if figure.least < figure.most else ""
    return f"{figure.median:,.0f}{LIMIT_MARK if mark else ''}{spread}"


def ratio(figure: Figure | None, unit: str = "") -> str:
    if figure is None:
        return "-"
    spread = f" ({figure.least:.2f} to {figure.most:.2f})" if figure.least < figure.most else ""
    return f"{figure.median:.2f}{unit}{spread}"


def latency(p50: Figure | None, p99: Figure | None) -> str:
    return "-" if p50 is None or p99 is None else f"{p50.median / 1000:.2f} / {p99.median / 1000:.2f}"


def cost(figure: Figure | None) -> str:
    return "-" if figure is None else f"{figure.median:.1f}"


def cells(row: Row) -> list[str]:
    ours_full, theirs_full = row.client_was_the_limit()
    return [
        f"{row.workload}, {row.shape}",
        number(row.quorate("throughput"), ours_full),
        number(row.peer("throughput"), theirs_full),
        ratio(row.ratio()),
        latency(row.quorate("p50_us"), row.quorate("p99_us")),
        latency(row.peer("p50_us"), row.peer("p99_us")),
        cost(row.quorate("cpu_us")),
        cost(row.peer("cpu_us")),
        "{:,} / {:,}".format(*row.errors()),
    ]


def plain(table: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table)]
    lines = []
    for line in table:
        first, *others = (cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths)))
        lines.append("  ".join([first, *others]).rstrip())
    return lines


def markdown(table: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(line) + " |" for line in table]
    lines.insert(1, "|" + "---|" * len(table[0]))
    return lines


def about(pair: Pair) -> list[str]:
    said = []
    for title, facts in (("Quorate", pair.about_quorate), (pair.title, pair.about_peer)):
        said.append(f"{title}: version {facts['version']}; {facts['durability']}; {facts['configuration']}.")
    return said


def notes(pair: Pair) -> list[str]:
    said = []
    idle, other = pair.cores("idle_cores"), pair.cores("other_cores")
    if idle and other:
        said.append(f"The system that was not driven took {idle.median:.2f} of a core meanwhile, at most {idle.most:.2f}.")
        said.append(f"The rest of the machine took {other.median:.2f} of a core, at most {other.most:.2f}.")
        if other.median >= BUSY_CORES:
            said.append("THE MACHINE WAS NOT IDLE: somebody else was at work, and these figures say little.")
    stolen = pair.cores("stolen")
    if stolen:
        said.append(f"The host took {stolen.median:.0%} of all processors' time away meanwhile, at most {stolen.most:.0%}.")
        if stolen.median >= STOLEN:
            said.append("THE HOST WAS BUSY: what is left of a virtual machine then varies, and tails above all.")
    if any(any(row.client_was_the_limit()) for row in pair.rows):
        said.append(f"{LIMIT_MARK} The client had no CPU left: the system could have done more.")
    kinds: dict[str, int] = {}
    for row in pair.rows:
        for side, runs in (("Quorate", row.ours), (pair.title, row.theirs)):
            for run in runs:
                for kind, times in run["errors_by_kind"].items():
                    kinds[f"{side}: {kind}"] = kinds.get(f"{side}: {kind}", 0) + times
    said += [f"{times:,} errors of {kind}" for kind, times in kinds.items()]
    if pair.failed:
        said.append(f"NOT COMPLETE: {pair.failed}")
    return said


def of_pair(pair: Pair) -> list[list[str]]:
    return [[word.format(peer=pair.title) for word in HEAD], list(UNDER), *map(cells, pair.rows)]


def of_goals(pairs: list[Pair]) -> list[list[str]]:
    lines = [[goal.text, ratio(figure, goal.unit), verdict] for goal, figure, verdict in judged(pairs)]
    return [["goal", "measured", ""], *lines]


def report(pairs: list[Pair], facts: dict[str, str], load: str, skipped: list[str], render) -> str:
    """Everything there is to say; `render` makes lines of a table."""
    marks = ("## ", "- ") if render is markdown else ("", "  ")
    title, item = marks
    parts = [f"{title}Quorate beside its peers", ""]
    parts += [f"{item}{name}: {fact}" for name, fact in facts.items()] + [f"{item}load: {load}"]
    parts += [f"{item}skipped: {line}" for line in skipped]
    for pair in pairs:
        parts += ["", f"{title}Quorate, {pair.durability}, and {pair.title}", ""]
        parts += [f"{item}{line}" for line in about(pair)] + [""] + render(of_pair(pair)) + [""]
        parts += [f"{item}{line}" for line in notes(pair)]
    parts += ["", f"{title}Goals", ""] + render(of_goals(pairs))
    return "\n".join(parts) + "\n"
