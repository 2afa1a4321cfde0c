"""A headless Chromium driven through pipes, by the DevTools protocol.

Pipes need neither a port nor a library: messages are JSON that ends in a zero byte.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 60.0
"""For any answer: a page of a large study is laid out in a few, on a busy machine."""

# The browser reads from 3 and writes to 4; both are first moved out of the way.
_EXEC = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(one), fcntl.F_DUPFD, 10) for one in sys.argv[1:3])
os.dup2(read, 3), os.dup2(write, 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One tab of a browser."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._buffer = b""
        self._last = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        """What the browser told without being asked, oldest first."""
        target = self.call("Target.createTarget", url="about:blank")
        attached = self.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the browser, and return its answer."""
        self._last += 1
        message: dict[str, Any] = {
            "id": self._last,
            "method": method,
            "params": parameters,
        }
        if self._session is not None:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        while (told := self._next()).get("id") != self._last:
            self.events.append(told)
        assert "error" not in told, f"{method}: {told['error']}"
        found: dict[str, Any] = told["result"]
        return found

    def open(self, page: Path) -> None:
        """Open a page, and wait until it is loaded."""
        before = len(self.events)
        self.call("Page.navigate", url=page.as_uri())
        while not any(
            one["method"] == "Page.loadEventFired" for one in self.events[before:]
        ):
            self.events.append(self._next())

    def run(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript in the page."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def look(self, width: int, *, scheme: str = "light", height: int = 900) -> None:
        """Have a window of some size, in `light` or `dark`."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.call(
            "Emulation.setEmulatedMedia",
            media="",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key and let it go."""
        held = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        typed = {"text": text} if text else {}
        kind = "keyDown" if text else "rawKeyDown"
        self.call("Input.dispatchKeyEvent", type=kind, **held, **typed)
        self.call("Input.dispatchKeyEvent", type="keyUp", **held)

    def shot(self, path: Path, *, whole: bool = True) -> None:
        """Write a picture of the page."""
        taken = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(taken["data"]))

    def requested(self) -> set[str]:
        """Return all addresses that were asked for."""
        return {
            one["params"]["request"]["url"]
            for one in self.events
            if one["method"] == "Network.requestWillBeSent"
        }

    def complaints(self) -> list[str]:
        """Return what the page wrote to the console, or failed at."""
        kinds = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        kinds += ("Log.entryAdded", "Network.loadingFailed")
        return [json.dumps(one) for one in self.events if one["method"] in kinds]

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + SECONDS
        while b"\0" not in self._buffer:
            left = until - time.monotonic()
            ready, _, _ = select.select([self._read], [], [], max(0.0, left))
            assert ready, f"the browser said nothing for {SECONDS} s"
            more = os.read(self._read, 1 << 20)
            assert more, "the browser ended"
            self._buffer += more
        one, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(one)
        return found


@contextmanager
def headless(profile: Path) -> Iterator[Browser | None]:
    """Start a browser; None where there is none.

    Args:
        profile: A folder for it to write to.
    """
    program = shutil.which("chromium")
    if program is None:
        yield None
        return
    to_browser, from_browser = os.pipe(), os.pipe()
    theirs, ours = (to_browser[0], from_browser[1]), (from_browser[0], to_browser[1])
    command = [sys.executable, "-c", _EXEC, *map(str, theirs), program]
    command += ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--remote-debugging-pipe", f"--user-data-dir={profile}"]
    process = subprocess.Popen(command, pass_fds=theirs, stderr=subprocess.DEVNULL)
    try:
        for one in theirs:
            os.close(one)
        browser = Browser(*ours)
        yield browser
        browser._session = None
        browser.call("Browser.close")
    finally:
        for one in ours:
            os.close(one)
        try:
            process.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
