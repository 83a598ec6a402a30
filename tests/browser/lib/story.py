"""What is looked at, in order."""

import argparse
import json
import os
import pathlib
import shutil
import tempfile
import time

from . import chromium
from .cluster import Cluster

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Within so many seconds of a death the page tells of it.
NOTICED = 15
# A name that would be markup, were it not text.
MARKUP = '<img src="x" onerror="window.harmed=1">'


def main(about):
    """Runs the story; the exit code."""
    arguments = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    binary = os.environ.get("QUORATE", str(target / "debug" / "quorate"))
    arguments.add_argument("--quorate", default=binary, help="the binary (default: %(default)s)")
    arguments.add_argument("--shots", help="a folder for pictures of the page")
    arguments = arguments.parse_args()
    browser = chromium.find()
    if browser is None:
        print("SKIPPED: there is no Chromium here; install one, or name it in QUORATE_BROWSER")
        return 0
    if shutil.which(arguments.quorate) is None:
        print(f"FAIL: there is no {arguments.quorate}: `cargo build`, or name one with --quorate")
        return 1
    with tempfile.TemporaryDirectory(prefix="quorate-browser-") as above:
        return Story(browser, arguments, pathlib.Path(above)).tell()


class Story:
    """One cluster, one page."""

    def __init__(self, browser, arguments, above):
        self.browser, self.above = browser, above
        self.quorate = arguments.quorate
        self.shots = pathlib.Path(arguments.shots) if arguments.shots else None
        if self.shots:
            self.shots.mkdir(parents=True, exist_ok=True)

    def tell(self):
        """All of it; whatever was started has ended after that."""
        cluster, page = None, None
        try:
            cluster = Cluster(self.quorate, str(self.above / "cluster"))
            page = chromium.Page(self.browser, self.above / "profile")
            self.steps(cluster, page)
        except (AssertionError, chromium.Gone) as error:
            print(f"FAIL {error}")
            if page and page.complaints:
                print("     the page said: " + "\n     ".join(page.complaints))
            return 1
        finally:
            if page:
                page.close()
            if cluster:
                cluster.end_traffic()
                cluster.run("stop")
        return 0

    def steps(self, cluster, page):
        """The story itself."""
        cluster.begin_traffic()
        page.look_like(1440, 900, "light")
        page.open(f"http://{cluster.http(1)}/")
        page.until("a healthy verdict", text("#verdict-word") + " === 'Healthy'", 60)
        facts = page.value(text("#verdict-facts"))
        check("the verdict is told in words", "3 of 3 alive" in facts and "every key has 3 live replicas" in facts, facts)
        page.until("three cards", "document.querySelectorAll('#nodes-cards .card').length === 3")
        ok("there are three node cards")
        page.until("what each node says of itself", "[...document.querySelectorAll('#nodes-cards .card')].every((card) => "
                   "['Keys', 'Disk', 'Local health'].every((name) => [...card.querySelectorAll('dl > div')]"
                   ".some((row) => !row.hidden && row.firstChild.textContent === name)))")
        ok("each card tells of keys, disk and local health")
        page.until("a ring", "document.querySelectorAll('#ring-picture .arc').length >= 3")
        ok("the ring is drawn")
        page.until("charts", "document.querySelectorAll('#charts canvas').length >= 6")
        ok("the charts are drawn")
        page.until("a level", text("#charts select") + ".includes('quorum')")
        ok("latency is told by level")
        self.demo(cluster, page)
        self.logs(cluster, page)
        self.keyboard(page)
        self.locate(page)
        self.pictures(page, "well")
        check("the console is silent", not page.complaints, page.complaints)
        self.death(cluster, page)
        self.staleness(cluster, page)
        origin = f"http://{cluster.http(1)}/"
        strangers = [url for url in page.requests if not url.startswith((origin, "about:", "data:"))]
        check("no request leaves the origin", not strangers, strangers)
        check("no name became markup", page.value("window.harmed === undefined"))

    def demo(self, cluster, page):
        """Run Demo, twice: each time all claims hold, and both figures are higher on the page and in /metrics."""
        check("there are no chaos buttons", page.value("document.getElementById('chaos').hidden"))
        for turn in (1, 2):
            shown, told = shown_figures(page), told_figures(cluster, 1)
            page.value("document.getElementById('demo-run').click()")
            page.until("the end of the demo", f"document.getElementById('demo').dataset.ended === '{turn}'", 90)
            said = page.value(text("#demo-state"))
            check(f"the demo's claims hold, run {turn}", "claims hold" in said, page.value(text("#demo-acts")))
            claims = page.value("document.querySelectorAll('#demo-acts [data-claim=ok]').length")
            check("every claim is shown", claims >= 10 and f"{claims} claims hold" in said, said)
            now = told_figures(cluster, 1)
            check("both figures are higher in /metrics", all(now[name] > told[name] for name in told), (told, now))
            page.until("both figures higher on the page",
                       " && ".join(f"{figure(name)} > {shown[name]}" for name in shown), 10)
            ok("both figures are higher on the page")
        check("the transcript can be saved", page.value("document.getElementById('demo-save').href.startsWith('blob:')"))
        self.pictures(page, "demo")

    def keyboard(self, page):
        """Without a mouse."""
        page.press("Tab")
        skip = page.value("document.activeElement.className")
        check("the first stop of the Tab key skips to the content", skip == "skip", skip)
        page.value("document.getElementById('ring-picture').focus()")
        page.press("ArrowRight")
        chosen = page.value(text("#ring-chosen"))
        check("arrow keys choose a partition", chosen.startswith("Partition 1:"), chosen)

    def locate(self, page):
        """Where a key is, also one with a strange name."""
        for key in ["k1", MARKUP]:
            page.value(f"""(() => {{
                const form = document.getElementById('locate');
                form.elements.bucket.value = 'carts';
                form.elements.key.value = {key!r};
                form.requestSubmit();
            }})()""")
            page.until("the key's replicas", f"{text('#ring-chosen')}.includes({key!r}) && "
                       "document.querySelectorAll('#locate-answer tbody tr').length === 3")
        images = page.value("document.querySelectorAll('main img').length")
        check("a key's replicas are told, and its name is text", images == 0, images)
        page.value("document.querySelector('#locate-recent li:last-child button').click()")
        page.until("the first key again", text("#ring-chosen") + ".includes('k1')")
        ok("a key that was looked for can be clicked")

    def death(self, cluster, page):
        """A node is killed, and comes back."""
        cluster.run("kill", "2")
        begun = time.monotonic()
        page.until("a verdict that is not healthy", "document.getElementById('verdict').dataset.tone !== 'good'", NOTICED)
        words = page.value(text("#verdict-word"))
        check("the verdict says it with a word", words in ("Attention", "At risk"), words)
        left = NOTICED - (time.monotonic() - begun)
        page.until("a death in the timeline", "!!document.querySelector('#timeline-list [data-what=dead]')", left)
        ok(f"the timeline tells of the death ({time.monotonic() - begun:.1f} s)")
        page.until("a hatched ring", "document.querySelectorAll('.hatched.shown').length >= 1")
        page.until("a dead card", "!!document.querySelector('.card[data-node=n2][data-tone=bad]')")
        ok("the ring is hatched, and the card says dead")
        self.pictures(page, "hurt")
        cluster.run("restart", "2")
        page.until("a healthy verdict again", text("#verdict-word") + " === 'Healthy'", 60)
        page.until("that it was handed off", "!!document.querySelector('#timeline-list [data-what=\"handed off\"]')", 60)
        page.until("that it was repaired", "!!document.querySelector('#timeline-list [data-what=repaired]')", 60)
        ok("back, handed off, repaired")
        self.pictures(page, "healed")

    def staleness(self, cluster, page):
        """The node that serves the page stands still."""
        cluster.run("pause", "1")
        page.until("a stale page", "document.body.classList.contains('stale')")
        said = page.value(text("#stream"))
        check("a stale page says since when", "no news since" in said, said)
        self.picture(page, "stale-light", 1440, 900, "light")
        cluster.run("resume", "1")
        page.until("a page that lives again", "!document.body.classList.contains('stale')", 30)
        ok("it lives again by itself")

    def logs(self, cluster, page):
        """Lines that were sent are found, at once and live, and none of them is markup."""
        def send(line):
            status, said = cluster.ask(1, "POST", "/v1/logs?source=web-1", body=f"ERROR {line}\n".encode())
            assert status == 200, said

        send(MARKUP)
        shown = text("#logs-lines")
        page.value("document.querySelector('#logs-form [name=source]').value = 'web-*'")
        page.value("document.getElementById('logs-form').requestSubmit()")
        page.until("the line that was sent", f"{shown}.includes({MARKUP!r})")
        page.until("a histogram", "document.querySelectorAll('#logs-bars rect').length > 0")
        ok(f"the log search finds what was sent: {page.value(text('#logs-facts'))}")
        page.value("document.getElementById('logs-tail').click()")
        page.until("the line again", f"{shown}.includes({MARKUP!r})")
        send("a line that came later")
        page.until("a line that came later", f"{shown}.includes('a line that came later')")
        page.value("document.getElementById('logs-tail').click()")
        ok("the live tail follows")
        self.pictures(page, "logs")

    def pictures(self, page, name):
        """On a desk, at night, on a telephone; nothing may stick out."""
        for shot, width, height, scheme in [
            ("light", 1440, 900, "light"), ("dark", 1440, 900, "dark"),
            ("360", 360, 740, "light"), ("wall", 2560, 1440, "dark"),
        ]:
            self.picture(page, f"{name}-{shot}", width, height, scheme)
        page.look_like(1440, 900, "light")

    def picture(self, page, name, width, height, scheme):
        """One of them."""
        page.look_like(width, height, scheme)
        page.painted()
        wide = page.value("document.documentElement.scrollWidth")
        check(f"{name}: it fits {width} px", wide <= width, wide)
        if self.shots:
            page.shoot(self.shots / f"{name}.png")


FIGURES = ("ingested", "repairs_completed")


def told_figures(cluster, node):
    """The two figures that a demo raises, as the node tells them to programs."""
    _, body = cluster.ask(node, "GET", "/metrics", {"Accept": "application/json"})
    told = json.loads(body)
    return {name: told[name] for name in FIGURES}


def figure(name):
    """One of the two as the page shows it, as an expression."""
    return f"Number(document.querySelector('#demo-figures [data-figure={name}]').textContent.replaceAll(',', ''))"


def shown_figures(page):
    """Both, when the page shows them."""
    page.until("the figures", f"{text('#demo-figures')} !== ''")
    return {name: page.value(figure(name)) for name in FIGURES}


def text(selector):
    """The text of an element, as an expression."""
    return f"(document.querySelector('{selector}')?.textContent ?? '').trim()"


def ok(what):
    """Something is as it should be."""
    print(f"ok   {what}", flush=True)


def check(what, holds, found=None):
    """It is so, or the story ends here."""
    assert holds, f"{what}: found {found!r}"
    ok(what)
