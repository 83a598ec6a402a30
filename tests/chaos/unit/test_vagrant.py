"""No machine was at hand: at least every script that would be sent to one is a script."""

from __future__ import annotations

import random
import shlex
import subprocess
import tempfile
import unittest
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from lib import shell
from lib.cluster import Facts
from lib.faults import FAULTS, draw
from lib.vagrant import Vagrant


class Scripts(unittest.TestCase):
    def test_every_fault_sends_scripts_that_a_shell_understands(self) -> None:
        sent: list[str] = []

        def machine(command: Sequence[str], **_: Any) -> str:
            self.assertEqual(list(command[:2]), ["vagrant", "ssh"])
            root = shlex.split(command[4])
            self.assertEqual(root[:3], ["sudo", "sh", "-c"])
            sent.append(root[3])
            # Whoever asks for the state of a process that was just killed hears that it is gone.
            return "X\n" if any("KILL" in script for script in sent[-3:]) else "S\n"

        with tempfile.TemporaryDirectory() as folder:
            cluster = Vagrant(Path(folder), Facts("vagrant", 5))
            quiet = mock.patch.multiple("lib.faults.time", sleep=lambda _: None)
            # No node answers: what is asked of the members is asked once, and not waited for.
            once = mock.patch("lib.owners.until", lambda what, limit, look, every=0.1: look())
            silent = mock.patch("lib.web.get", side_effect=OSError)
            asked = mock.patch.object(Vagrant, "quorate")
            ready = mock.patch("lib.web.ready", lambda _: None)
            with mock.patch.object(shell, "run", machine), ready, quiet, once, silent, asked:
                for name, fault in FAULTS.items():
                    plan = draw(name, random.Random(1), cluster.numbers)
                    for act in (fault.prepare, fault.begin, fault.end):
                        act(cluster, plan)
                cluster.heal()
        self.assertGreater(len(sent), 40)
        for script in set(sent):
            done = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""), script)


if __name__ == "__main__":
    unittest.main()
