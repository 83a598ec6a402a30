"""What is written: tables, the chart, a peer's configuration."""

import unittest
from xml.etree import ElementTree

from lib import chart, options, table
from lib.systems.cassandra import configured
from unit.test_figures import pair, run

FACTS = {"date": "d", "processor": "p <&>", "kernel": "k", "disk": "s", "commit": "c"}
ABOUT = {"version": "1", "durability": "d", "configuration": "c"}


PEERS = [run(1000, p50_us=200, cpu_us=40.0), run(1000, p50_us=200, cpu_us=40.0, errors=2, errors_by_kind={"x": 2}),
         run(900, p50_us=200, cpu_us=40.0)]


def etcd():
    made = pair("etcd", "put", [run(4000), run(5000), run(4500)], list(PEERS))
    made.about_quorate, made.about_peer = ABOUT, ABOUT
    return made


class Report(unittest.TestCase):
    def test_both_tables_hold_the_same_cells(self):
        said = table.report([etcd()], FACTS, "load", ["garage: there is none"], table.markdown)
        row = "| put, 64 x 1 | 4,500 (4,000 to 5,000) | 1,000 (900 to 1,000) | 5.00 (4.00 to 5.00) | 0.10 / 0.90 | 0.20 / 0.90 | 30.0 | 40.0 | 0 / 2 |"
        self.assertIn(row, said.splitlines())
        for words in ("skipped: garage: there is none", "2 errors of etcd: x", "not measured", "0.01 of a core", "0.02 of a core"):
            self.assertIn(words, said)
        plain = table.report([etcd()], FACTS, "load", [], table.plain)
        for cell in row.strip("| ").split(" | "):
            self.assertIn(cell, plain)

    def test_what_failed_is_said_and_breaks_nothing(self):
        broken = etcd()
        broken.failed = "it ended"
        broken.rows[0].theirs.clear()
        self.assertIn("NOT COMPLETE: it ended", table.report([broken], FACTS, "load", [], table.plain))
        ElementTree.fromstring(chart.svg([broken], FACTS))

    def test_a_busy_machine_and_a_full_client_are_marked(self):
        busy = pair("etcd", "put", [run(4000, load_cores=0.97, other_cores=0.5)], [run(1000, other_cores=0.5, stolen=0.07)])
        busy.about_quorate, busy.about_peer = ABOUT, ABOUT
        said = table.report([busy], FACTS, "load", [], table.markdown)
        for words in ("| 4,000* | 1,000 |", "THE MACHINE WAS NOT IDLE", "THE HOST WAS BUSY", "took 7% of", "The client had no CPU left"):
            self.assertIn(words, said)

    def test_the_chart_is_xml_and_its_bars_stay_inside(self):
        root = ElementTree.fromstring(chart.svg([etcd(), etcd()], FACTS))
        bars = [each for each in root.iter("{http://www.w3.org/2000/svg}rect") if each.get("height") == str(chart.BAR)]
        self.assertEqual(len(bars), 4)
        self.assertAlmostEqual(float(bars[0].get("width")), 4.5 * float(bars[1].get("width")), delta=1)
        self.assertEqual([each.get("fill") for each in bars[:2]], [chart.OURS, chart.THEIRS])
        for each in bars:
            self.assertLessEqual(float(each.get("x")) + float(each.get("width")), chart.WIDTH - chart.RIGHT)


class Configuration(unittest.TestCase):
    def test_a_setting_replaces_the_distributed_one_and_directories_go(self):
        given = "cluster_name: 'Test'\n# listen_address: x\ndata_file_directories:\n    - /a\nhints_directory: /b\n"
        given += "seed_provider:\n      - seeds: \"1\"\nnum_tokens: 16\n"
        made = configured(given, {"cluster_name": "bench", "listen_address": "127.0.0.2"}, "127.0.0.1:7")
        expected = ["seed_provider:", '      - seeds: "127.0.0.1:7"', "num_tokens: 16", "cluster_name: bench", "listen_address: 127.0.0.2"]
        self.assertEqual(made.splitlines(), expected)

    def test_quick_is_quick_unless_told_otherwise(self):
        asked = options.parse("", ["--quick", "--only", "redis,etcd", "--out", "x"])
        self.assertEqual((asked.runs, asked.seconds, asked.only), (1, 2.0, ["redis", "etcd"]))
        asked = options.parse("", ["--quick", "--runs", "3", "--out", "x"])
        self.assertEqual((asked.runs, [str(shape) for shape in asked.shapes]), (3, ["64 x 1", "16 x 16"]))
