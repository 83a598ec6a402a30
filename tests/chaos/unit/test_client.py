"""What the workloads' client makes of answers: acknowledged, refused or unknown."""

from __future__ import annotations

import asyncio
import json
import random
import unittest
from unittest import mock

from lib.client import TRIES, Answer, Client, Line
from lib.history import NO, OK, UNKNOWN, Op

from .make import encode, op

REFUSED = Answer(code="refused", sent=False)
SILENT = Answer(code="silent")
FULL = Answer(507, "disk_full")
LARGE = Answer(413, "too_large")
LOST = Answer(404, "not_found")
DONE = Answer(204, context="c")


def asked(one: Op, *answers: Answer) -> Op:
    """The operation after these answers, one for each try."""
    client = Client([("h", port) for port in range(5)], random.Random(1))
    act = client.read(one, "b") if one.kind == "read" else client.write(one, "b", delete=one.kind == "delete")
    with mock.patch.object(Line, "ask", mock.AsyncMock(side_effect=answers)):
        asyncio.run(act)
    return one


class Outcomes(unittest.TestCase):
    def check(self, kind: str, answers: list[Answer], outcome: str) -> None:
        one = asked(op(kind, "v", outcome=""), *answers)
        self.assertEqual((one.outcome, one.tries, one.stumbled), (outcome, len(answers), answers[0] != DONE))

    def test_a_write_is_acknowledged_refused_or_unknown(self) -> None:
        for kind in ("add", "delete"):
            self.check(kind, [DONE], OK)
            self.check(kind, [REFUSED, SILENT, DONE], OK)
            self.check(kind, [REFUSED, FULL] * (TRIES // 2), NO)
            self.check(kind, [REFUSED, SILENT, FULL, FULL], UNKNOWN)
            self.check(kind, [LARGE], NO)
            self.check(kind, [SILENT, LARGE], UNKNOWN)

    def test_a_write_of_which_nobody_knows_the_place_was_not_acknowledged(self) -> None:
        for kind in ("add", "delete"):
            self.check(kind, [LOST] * TRIES, UNKNOWN)

    def test_a_read_may_find_nothing(self) -> None:
        found = {"siblings": [{"value": encode("y")}, {"tombstone": True}, {"value": encode("x")}], "context": "c"}
        one = asked(op("read", outcome=""), Answer(200, body=json.dumps(found).encode()))
        self.assertEqual((one.outcome, one.seen), (OK, ["x", "y"]))
        nothing = asked(op("read", outcome=""), LOST)
        self.assertEqual((nothing.outcome, nothing.seen), (OK, []))


if __name__ == "__main__":
    unittest.main()
