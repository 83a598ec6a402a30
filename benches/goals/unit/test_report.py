"""What is said of a goal."""

import contextlib
import io
import unittest

from parts.report import Report, ms


class Calm:
    def share(self) -> float:
        return 0.02


class Told(unittest.TestCase):
    def test_each_row_says_whether_its_goal_is_met(self) -> None:
        report = Report("latency", stolen=Calm())
        with contextlib.redirect_stdout(io.StringIO()) as said:
            report.tell("a sync", ms(81))
            report.judge("put, p50", ms(2_345), False)
            report.judge("get, p50", ms(99.6), True)
        self.assertEqual(
            report.markdown(),
            [
                "| latency | measured | goal | stolen by the host |",
                "|---|---|---|---|",
                "| a sync | 0.08 ms |  | 2% |",
                "| put, p50 | 2.35 ms | missed | 2% |",
                "| get, p50 | 0.10 ms | met | 2% |",
            ],
        )
        self.assertEqual(said.getvalue().splitlines()[1], "latency: put, p50: 2.35 ms, missed, 2% stolen")


if __name__ == "__main__":
    unittest.main()
