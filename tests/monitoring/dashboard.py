#!/usr/bin/env python3
"""What Grafana and Prometheus are told to show, against what a node exposes.

    dashboard.py shape              the dashboard is one that Grafana takes
    dashboard.py rules              its queries as a file of rules, for `promtool check rules`
    dashboard.py exposed METRICS    every quorate_ name in configs/ and docs/ is in METRICS, what /metrics answered
    dashboard.py commands           the `quorate …` commands that the alerts tell people to type

Needs Python 3.10 and nothing else.
"""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "configs/grafana/quorate.json"
ALERTS = ROOT / "configs/prometheus/alerts.yml"
# Whatever names a metric. Tests of alerts are among them: a rule on a renamed metric would pass its own test.
NAMING = [DASHBOARD, ALERTS, ROOT / "configs/prometheus/alerts_test.yml", ROOT / "docs/monitoring.md"]
SOURCE = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
WIDTH = 24
# What Grafana puts in for its variables, for instance.
VARIABLES = {"$__rate_interval": "1m", "$instance": ".*"}


def panels():
    """All that ask something."""
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def queries():
    """Panel and query, as Prometheus gets it."""
    for panel in panels():
        for target in panel["targets"]:
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            yield panel["title"], query


def shape():
    """Fails where Grafana would stumble."""
    whole = json.loads(DASHBOARD.read_text())
    variables = {variable["name"]: variable for variable in whole["templating"]["list"]}
    assert variables["DS_PROMETHEUS"]["type"] == "datasource", "the data source is no variable"
    assert variables["instance"]["datasource"] == SOURCE, "the nodes are asked of another data source"
    assert whole["uid"] and whole["title"] and whole["schemaVersion"] >= 36, "it has no uid, title or schema"
    ids = [panel["id"] for panel in whole["panels"]]
    assert len(set(ids)) == len(ids), "two panels have the same id"
    taken = {}
    for panel in whole["panels"]:
        at, title = panel["gridPos"], panel["title"]
        assert at["x"] >= 0 and at["x"] + at["w"] <= WIDTH, f"{title} does not fit the width"
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                other = taken.setdefault((x, y), title)
                assert other is title, f"{title} lies over {other}"
    for panel in panels():
        title = panel["title"]
        assert panel["datasource"] == SOURCE, f"{title} asks another data source"
        assert panel.get("description"), f"{title} does not say what it shows"
        assert panel["targets"], f"{title} asks nothing"
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters), f"{title} has two queries of one letter"
        assert all(target["datasource"] == SOURCE for target in panel["targets"]), f"{title} asks another data source"
    for title, query in queries():
        assert "$" not in query, f"{title} has a variable that the dashboard does not define: {query}"
    print(f"{len(panels())} panels, {sum(1 for _ in queries())} queries")


def rules():
    """JSON is YAML."""
    listed = [{"record": f"panel:{number}", "expr": query} for number, (_, query) in enumerate(queries())]
    print(json.dumps({"groups": [{"name": "panels", "rules": listed}]}))


def exposed(path):
    """Fails on a name that is not among samples, nor a family's."""
    names = set()
    for line in pathlib.Path(path).read_text().splitlines():
        if line.startswith("# TYPE "):
            names.add(line.split()[2])
        elif line and not line.startswith("#"):
            names.add(re.match(r"[a-zA-Z0-9_:]+", line)[0])
    used = {}
    for file in NAMING:
        for name in re.findall(r"\bquorate_[a-z0-9_]+\b", file.read_text()):
            used.setdefault(name, file.relative_to(ROOT))
    assert used, "nothing names a metric"
    missing = [f"{name} ({file})" for name, file in sorted(used.items()) if name not in names]
    assert not missing, "a node does not expose " + ", ".join(missing)
    print(f"{len(used)} names")


def commands():
    """Words only: what `--help` after them can tell."""
    found = {match[0] for match in re.finditer(r"`quorate ([a-z]+(?: [a-z]+)?)[^`]*`", ALERTS.read_text())}
    for whole in sorted(found):
        words = whole.strip("`").split()[1:]
        verbs = [word for word in words if re.fullmatch(r"[a-z]+", word)]
        flags = [word for word in words if word.startswith("--")]
        print(" ".join(verbs), *flags)


def main():
    """One of the four; what is wrong, on one line."""
    verbs = {"shape": shape, "rules": rules, "exposed": exposed, "commands": commands}
    if len(sys.argv) < 2 or sys.argv[1] not in verbs:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        verbs[sys.argv[1]](*sys.argv[2:])
    except AssertionError as why:
        print(why, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
