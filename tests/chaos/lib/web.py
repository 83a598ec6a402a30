"""The few plain HTTP requests that scripts make; the workloads have a client of their own."""

from __future__ import annotations

import http.client
import json
from typing import Any

LIMIT = 5.0

Address = tuple[str, int]


def ask(
    address: Address, method: str, path: str, body: Any = None, limit: float = LIMIT
) -> tuple[int, bytes]:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(*address, timeout=limit)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def get(address: Address, path: str, limit: float = LIMIT) -> Any:
    """JSON of a node that must have it."""
    status, body = ask(address, "GET", path, limit=limit)
    if status != 200:
        raise OSError(f"{path}: {status} {body[:200].decode(errors='replace')}")
    return json.loads(body)


def ready(address: Address) -> str | None:
    """Why a node is not ready; nothing when it is."""
    try:
        status, body = ask(address, "GET", "/readyz", limit=2)
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {error}"
    return None if status == 200 else body.decode(errors="replace").strip()
