"""A real Chromium without a window, driven over its debugging pipe, and what it has to say about a page."""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tools import tool

__all__ = ["Browser", "Tab", "running_browser"]

OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # needs no privileges in a container; the pages are ours
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
ANSWER_SECONDS = 30.0
Message = dict[str, object]


class Browser:
    """One process; every tab has storage of its own."""

    def __init__(self, profile: Path, *options: str) -> None:
        requests, self._write = os.pipe()
        self._read, answers = os.pipe()
        # Chromium reads from descriptor 3 and writes to descriptor 4.
        script = f'exec "$@" 3<&{requests} 4>&{answers}'
        command = [tool("chromium"), *OPTIONS, *options, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", *command],
            pass_fds=(requests, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(requests)
        os.close(answers)
        self._buffer = bytearray()
        self._number = 0
        self.events: list[Message] = []

    def ask(self, method: str, session: str | None = None, **parameters: object) -> Message:
        """Send a command and return its result; events that come meanwhile are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + ANSWER_SECONDS
        while (answer := self._receive(end)).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, (method, answer)
        result = answer["result"]
        assert isinstance(result, dict)
        return result

    def _receive(self, end: float) -> Message:
        while b"\0" not in self._buffer:
            readable, _, _ = select.select([self._read], [], [], max(0.0, end - time.monotonic()))
            assert readable, "chromium does not answer"
            data = os.read(self._read, 1 << 16)
            assert data, "chromium has ended"
            self._buffer += data
        text, _, rest = bytes(self._buffer).partition(b"\0")
        self._buffer = bytearray(rest)
        message = json.loads(text)
        assert isinstance(message, dict)
        return message

    def open(self, url: str) -> Tab:
        """Open a page in a tab that shares no storage with others."""
        context = self.ask("Target.createBrowserContext")["browserContextId"]
        target = self.ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = str(self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        tab = Tab(self, session)
        for domain in ("Runtime", "Log", "Page"):
            tab.ask(f"{domain}.enable")
        tab.ask("Page.navigate", url=url)
        tab.until("document.readyState === 'complete' && location.href !== 'about:blank'")
        return tab

    def close(self) -> None:
        """End the browser and all that it started."""
        os.close(self._write)
        os.close(self._read)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class Tab:
    """One page."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def ask(self, method: str, **parameters: object) -> Message:
        """Send a command to this page."""
        return self._browser.ask(method, self._session, **parameters)

    def reload(self) -> None:
        """Load the page anew, and wait until that is done: before, the old page may still answer."""
        self._browser.events.clear()
        self.ask("Page.reload")
        loaded = ("Page.loadEventFired", self._session)
        end = time.monotonic() + ANSWER_SECONDS
        while loaded not in [(item.get("method"), item.get("sessionId")) for item in self._browser.events]:
            assert time.monotonic() < end, "the page was not loaded anew"
            self._browser.ask("Browser.getVersion")  # not a question to the page, which is on its way out
            time.sleep(0.02)

    def value(self, expression: str) -> object:
        """Return the value of an expression, or of its promise; an exception is one here."""
        answer = self.ask(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
            allowUnsafeEvalBlockedByCSP=False,  # under the page's policy, as its own scripts are
        )
        assert "exceptionDetails" not in answer, answer
        result = answer["result"]
        assert isinstance(result, dict)
        return result.get("value")

    def text(self, selector: str) -> str:
        """Return the text of an element as it is drawn."""
        return str(self.value(f"document.querySelector({json.dumps(selector)}).innerText"))

    def until(self, expression: str, seconds: float = 15.0) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while self.value(expression) is not True:
            assert time.monotonic() < end, f"{expression} did not come true: {self.text('body')}"
            time.sleep(0.05)

    def type(self, text: str) -> None:
        """Type into what has the focus, and press Enter."""
        self.ask("Input.insertText", text=text)
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **key)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **key)

    def size(self, width: int, height: int) -> None:
        """Give the page a size in pixels."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def be_dark(self) -> None:
        """Say that the user likes it dark."""
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        self.ask("Emulation.setEmulatedMedia", features=features)

    def screenshot(self) -> bytes:
        """Return what is seen, as PNG."""
        return base64.b64decode(str(self.ask("Page.captureScreenshot", format="png")["data"]))

    def complaints(self) -> list[Message]:
        """Return exceptions, console messages and log entries (refused by policy, failed to load) so far."""
        kinds = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        self.value("1")  # takes in what is on its way
        return [
            event
            for event in self._browser.events
            if event.get("sessionId") == self._session and event.get("method") in kinds
        ]


@contextmanager
def running_browser(profile: Path, *options: str) -> Iterator[Browser]:
    """Run a browser on a profile folder of its own, with further options of its command line."""
    browser = Browser(profile, *options)
    try:
        yield browser
    finally:
        browser.close()
