"""Looking at nodes without touching what is looked at: dumps, hints, readiness, memory, panics."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import owners, replicas, web
from .cluster import Cluster
from .words import Failed

# What a panic of a Rust thread says.
PANIC = "panicked at"
AGAIN = 0.5


def dumps(cluster: Cluster) -> dict[int, replicas.Dump]:
    """Every node's own records."""

    def dump(number: int) -> replicas.Dump:
        return replicas.parse(_dump(cluster, number))

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(cluster.numbers, pool.map(dump, cluster.numbers), strict=True))


def _dump(cluster: Cluster, number: int) -> str:
    return cluster.quorate("dump", "--local", "--node", cluster.native(number))


def hints(cluster: Cluster) -> int:
    """How many hints all nodes keep."""
    return sum(int(web.get(cluster.http(number), "/v1/hints")["pending"]) for number in cluster.numbers)


def unrest(cluster: Cluster, buckets: set[str], copies: int) -> tuple[str | None, dict[int, replicas.Dump]]:
    """Why the cluster has not come to rest, and what its nodes hold."""
    for number in cluster.numbers:
        reason = cluster.ready(number)
        if reason:
            return f"n{number} is not ready: {reason}", {}
    moving = owners.unsettled(cluster)
    if moving:
        return moving, {}
    try:
        pending = hints(cluster)
        if pending:
            return f"{pending} hints are pending", {}
        found = dumps(cluster)
    except (OSError, Failed) as error:
        return str(error), {}
    return replicas.disagreement(found, copies, buckets), found


def rest(
    cluster: Cluster, buckets: set[str], copies: int, limit: float
) -> tuple[float | None, str | None, dict[int, replicas.Dump]]:
    """Waits until all are ready, keep no hints and agree: (seconds or None, the last objection, dumps)."""
    begin = time.monotonic()
    while True:
        objection, found = unrest(cluster, buckets, copies)
        took = time.monotonic() - begin
        if objection is None:
            return took, None, found
        if took > limit:
            return None, objection, found
        time.sleep(AGAIN)


def picture(cluster: Cluster, folder: Path) -> None:
    """What each node says of itself and of the others, for whoever wants to know why there is no rest."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in cluster.numbers:
        for path in ("v1/status", "v1/hints", "v1/members", "metrics", "v1/local/partitions"):
            try:
                _, body = web.ask(cluster.http(number), "GET", f"/{path}")
            except OSError as error:
                body = str(error).encode()
            (folder / f"n{number}-{path.replace('/', '-')}").write_bytes(body)
        try:
            text = _dump(cluster, number)
        except Failed as error:
            text = str(error)
        (folder / f"n{number}-dump").write_text(text)


def silent(cluster: Cluster) -> list[str]:
    """Nodes whose logs cannot be read or hold nothing: a node that runs has said something."""
    return [f"n{number}" for number in cluster.numbers if not cluster.log(number).strip()]


def panics(cluster: Cluster) -> list[str]:
    """Lines of the nodes' logs."""
    return [
        f"n{number}: {line}"
        for number in cluster.numbers
        for line in cluster.log(number).splitlines()
        if PANIC in line
    ]
