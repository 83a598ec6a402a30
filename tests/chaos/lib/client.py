"""The workloads' HTTP client: one connection for each worker and node, tries again through another node.

A write carries one operation id through all its tries, so they are one write. An outcome is `no` only when every
try was told (or saw for itself) that nothing changed.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from .history import NO, OK, UNKNOWN, Op

# A try that takes longer is given up; the node is told a little less.
TRY = 1.2
NODE_LIMIT = "1s"
TRIES = 4
# Answers that promise that nothing changed (docs/consistency.md).
NOTHING_CHANGED = ("invalid", "too_large", "too_many_siblings", "overloaded", "disk_full", "unavailable", "forbidden")

Address = tuple[str, int]


@dataclass
class Answer:
    """What one try brought. `sent`: whether the node may have seen it."""

    status: int = 0
    code: str = ""
    context: str = ""
    body: bytes = b""
    sent: bool = True


class Line:
    """One keep-alive connection."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None
        # Whether anything of the request under way may have left.
        self.sent = False

    def close(self) -> None:
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None

    async def ask(self, head: bytes, body: bytes) -> Answer:
        """One request; fails like a socket."""
        self.sent = False
        try:
            return await asyncio.wait_for(self._ask(head + body), TRY)
        # Python 3.10 has two kinds of TimeoutError.
        except (OSError, EOFError, ValueError, TimeoutError, asyncio.TimeoutError) as error:
            self.close()
            slow = isinstance(error, (TimeoutError, asyncio.TimeoutError))
            return Answer(code="silent" if slow else "broken" if self.sent else "refused", sent=self.sent)
        except asyncio.CancelledError:
            self.close()
            raise

    async def _ask(self, request: bytes) -> Answer:
        if self.reader is None or self.writer is None or self.reader.at_eof():
            self.close()
            self.reader, self.writer = await asyncio.open_connection(*self.address)
        self.sent = True
        self.writer.write(request)
        return await self._answer(self.reader)

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
        length = int(headers.get("content-length", "0"))
        body = await reader.readexactly(length) if length else b""
        status = int(lines[0].split()[1])
        if headers.get("connection", "").lower() == "close":
            self.close()
        code = "" if status < 400 else _code(body)
        return Answer(status, code, headers.get("x-quorate-context", ""), body)


def _code(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return "unreadable"


@dataclass
class Client:
    """One worker's client; it goes to any node, at random."""

    addresses: list[Address]
    rng: random.Random
    lines: list[Line] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lines = [Line(address) for address in self.addresses]

    def close(self) -> None:
        for line in self.lines:
            line.close()

    async def _tries(self, op: Op, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        order = self.rng.sample(range(len(self.lines)), len(self.lines))[:TRIES]
        may_have_happened = False
        answer = Answer()
        for index in order:
            line = self.lines[index]
            extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            host = f"{line.address[0]}:{line.address[1]}"
            head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
            answer = await line.ask(head.encode(), body)
            op.tries += 1
            op.code = answer.code
            # A read may find nothing; a write that finds nothing to write to is no acknowledgement.
            nothing = method == "GET" and answer.code == "not_found"
            if answer.status and answer.status < 400 or nothing:
                op.outcome = OK
                return answer
            op.stumbled = True
            refused = not answer.sent or answer.code in NOTHING_CHANGED
            may_have_happened |= not refused
            if answer.code in ("invalid", "too_many_siblings", "too_large", "forbidden"):
                # The same everywhere.
                break
        op.outcome = UNKNOWN if may_have_happened else NO
        return answer

    async def write(
        self, op: Op, bucket: str, context: str = "", strict: bool = False, delete: bool = False
    ) -> str:
        """Stores `op.value` (or deletes); returns the new context. The outcome stands in `op`."""
        headers = {"X-Quorate-Operation": uuid.UUID(int=self.rng.getrandbits(128)).hex}
        if context:
            headers["X-Quorate-Context"] = context
        body = b"" if delete else (op.value or "").encode()
        answer = await self._tries(op, "DELETE" if delete else "PUT", _path(bucket, op.key, strict), headers, body)
        return answer.context

    async def read(self, op: Op, bucket: str, strict: bool = False) -> str:
        """Fills `op.seen`; returns the context."""
        answer = await self._tries(op, "GET", _path(bucket, op.key, strict), {"Accept": "application/json"}, b"")
        if op.outcome != OK:
            return ""
        if answer.status == 404:
            return answer.context
        found: Any = json.loads(answer.body)
        values = [sibling["value"] for sibling in found["siblings"] if sibling.get("value") is not None]
        op.seen = sorted(base64.b64decode(value).decode() for value in values)
        return found.get("context") or answer.context


def _path(bucket: str, key: str, strict: bool) -> str:
    tail = "&strict=true" if strict else ""
    return f"/v1/kv/{bucket}/{quote(key, safe='')}?consistency=quorum&timeout={NODE_LIMIT}{tail}"
