"""A headless Chromium that is told what to do over a pipe: no port, no driver, no package.

    we ── {"id", "method", "params"} NUL ──► fd 3        fd 4 ──► answers and events, each with a NUL behind it
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell"]
# Longer than the browser takes for anything that it is asked here, in seconds.
PATIENCE = 30


def find():
    """The browser's path; None if there is none."""
    told = os.environ.get("QUORATE_BROWSER")
    return told or next(filter(None, map(shutil.which, NAMES)), None)


class Gone(Exception):
    """The browser has ended, or does not answer."""


class Page:
    """One tab, and all that it complained about or asked for."""

    def __init__(self, binary, profile):
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        self.read, self.write = ours_in, ours_out
        self.buffer, self.number = b"", 0
        self.complaints, self.requests = [], []
        command = [
            binary, "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={profile}", "--no-first-run",
            "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--no-default-browser-check", "--hide-scrollbars",
            "--proxy-server=direct://",
        ]
        if os.geteuid() == 0:
            command.append("--no-sandbox")

        def place():
            # The protocol's two ends are 3 and 4. Copies first: either may be in the other's place.
            source, sink = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(source, 3)
            os.dup2(sink, 4)

        self.process = subprocess.Popen(
            [*command, "about:blank"], preexec_fn=place, close_fds=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.session = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Network", "Log"]:
            self.ask(f"{domain}.enable")

    def close(self):
        """Ends the browser."""
        try:
            self.session = None
            self.ask("Browser.close")
            self.process.wait(timeout=10)
        except (Gone, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.read)
        os.close(self.write)

    def ask(self, method, **params):
        """Asks, and gives back the result; what comes in between is noted."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while True:
            answer = self._message(end)
            if answer.get("id") == message["id"]:
                if "error" in answer:
                    raise Gone(f"{method}: {answer['error']}")
                return answer["result"]
            self._note(answer)

    def _message(self, end):
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.read], [], [], max(0, end - time.monotonic()))
            data = os.read(self.read, 1 << 20) if ready else b""
            if not data:
                raise Gone("the browser does not answer")
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event):
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            entry = params["entry"]
            self.complaints.append(f"{entry['text']} {entry.get('url', '')}")

    def open(self, url):
        """Goes there, and waits until the page is whole."""
        self.ask("Page.navigate", url=url)
        self.until(f"{url} to load", f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def value(self, expression):
        """What this is, in the page."""
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def until(self, what, expression, seconds=15):
        """Waits for something to be so; gives back what it is then."""
        end = time.monotonic() + seconds
        while True:
            value = self.value(expression)
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {what}")
            time.sleep(0.1)

    def painted(self):
        """Waits until what has changed is on the screen: charts draw a frame after they have learnt their size."""
        self.value("new Promise(done => { let left = 4; "
                   "const frame = () => left-- ? requestAnimationFrame(frame) : done(); frame(); })")

    def press(self, key):
        """A key, as a keyboard says it."""
        for kind in ["keyDown", "keyUp"]:
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                     windowsVirtualKeyCode={"Tab": 9, "Enter": 13, "ArrowRight": 39}.get(key, 0))

    def look_like(self, width, height, scheme):
        """A screen of this size, light or dark, and nothing moves."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                 mobile=width < 500)
        features = [{"name": "prefers-color-scheme", "value": scheme},
                    {"name": "prefers-reduced-motion", "value": "reduce"}]
        self.ask("Emulation.setEmulatedMedia", features=features)

    def shoot(self, path, whole=True):
        """A picture of the page."""
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))
