"""A headless Chromium, driven over chromedriver's own HTTP protocol (W3C WebDriver)."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

QUIET = [
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def missing() -> str:
    """The programs that are not installed, in words; empty where both are."""
    absent = [n for n in ("chromium", "chromedriver") if shutil.which(n) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


class Browser:
    """One session; elements are named by CSS selectors."""

    def __init__(self, root: str) -> None:
        self.root = root

    def call(self, way: str, path: str, **body: Any) -> Any:
        data = json.dumps(body).encode() if way == "POST" else None
        head = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.root + path, data, head, method=way)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()[:500]) from None

    def open(self, url: str) -> None:
        self.call("POST", "/url", url="about:blank")  # so that a change behind the # reloads
        self.call("POST", "/url", url=url)
        self.wait("document.documentElement.dataset.ready === 'yes'")

    def script(self, code: str) -> Any:
        """The value of a JavaScript expression."""
        return self.call("POST", "/execute/sync", script=f"return {code}", args=[])

    def wait(self, code: str, seconds: float = 10) -> None:
        until = time.monotonic() + seconds
        while not self.script(code):
            assert time.monotonic() < until, f"never came true: {code}"
            time.sleep(0.05)

    def find(self, selector: str) -> str:
        element = self.call("POST", "/element", using="css selector", value=selector)
        return str(element[ELEMENT])

    def click(self, selector: str) -> None:
        self.call("POST", f"/element/{self.find(selector)}/click")

    def keys(self, selector: str, text: str) -> None:
        self.call("POST", f"/element/{self.find(selector)}/value", text=text)

    def point_at(self, selector: str, x: int, y: int) -> None:
        """Moves the mouse to x, y from the middle of the element, after it came into view."""
        self.script(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
        origin = {ELEMENT: self.find(selector)}
        move = {"type": "pointerMove", "duration": 0, "origin": origin, "x": x, "y": y}
        mouse = {"type": "pointer", "id": "mouse", "actions": [move]}
        self.call("POST", "/actions", actions=[mouse])

    def size(self, width: int, height: int = 900) -> None:
        """The page as a screen of that width shows it, narrower than any window can be."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        command = "Emulation.setDeviceMetricsOverride"
        self.call("POST", "/goog/cdp/execute", cmd=command, params=screen)

    def complaints(self) -> list[str]:
        """Errors and warnings of the console since the last time."""
        lines = self.call("POST", "/se/log", type="browser")
        return [line["message"] for line in lines if line["level"] in ("SEVERE", "WARNING")]

    def pdf(self) -> bytes:
        return base64.b64decode(self.call("POST", "/print"))

    def screenshot(self) -> bytes:
        return base64.b64decode(self.call("GET", "/screenshot"))


@contextmanager
def browser() -> Iterator[Browser]:
    """A fresh browser, gone afterwards with all it wrote."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": home, "TMPDIR": home},
        )
        try:
            session = _session(f"http://127.0.0.1:{port}", home)
            try:
                yield session
            finally:
                session.call("DELETE", "")
        finally:
            driver.terminate()
            driver.wait(10)


def _session(root: str, home: str) -> Browser:
    arguments = [*QUIET, f"--user-data-dir={home}/profile"]
    if os.geteuid() == 0:  # Chromium's sandbox refuses root
        arguments.append("--no-sandbox")
    chromium = {"args": arguments, "binary": shutil.which("chromium")}
    options = {"goog:chromeOptions": chromium, "goog:loggingPrefs": {"browser": "ALL"}}
    for _ in range(100):
        try:
            session = Browser(root).call("POST", "/session", capabilities={"alwaysMatch": options})
            return Browser(f"{root}/session/{session['sessionId']}")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError("chromedriver did not start")
