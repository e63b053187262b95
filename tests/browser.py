"""A headless Chromium that opens pages and tells what went wrong: its DevTools protocol over a pipe.

Messages are JSON objects ended by NUL; we write to its descriptor 3 and read from its descriptor 4.
"""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SECONDS = 60.0

# The WCAG contrast of every piece of text with what is behind it, the lowest first.
CONTRASTS = """(() => {
  const parts = colour => (colour.match(/[\\d.]+/g) || []).map(Number);
  const linear = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const colour = parts(getComputedStyle(element).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
  };
  return [...document.body.querySelectorAll("*")]
    .filter(element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
    .map(element => {
      const both = [light(parts(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a);
      return [(both[0] + 0.05) / (both[1] + 0.05), element.tagName + ": " + element.textContent.trim().slice(0, 40)];
    })
    .sort((a, b) => a[0] - b[0]);
})()"""
# Elements that stick out of a window WIDTH px wide, or whose text does, and of no box that scrolls by itself.
STICKING_OUT = """[...document.body.querySelectorAll("*")].filter(element => {
  const text = [...element.childNodes].filter(node => node.nodeType === 3).map(node => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return range;
  });
  if (![element, ...text].some(part => part.getBoundingClientRect().right > WIDTH + 0.5)) return false;
  for (let box = element; box !== document.body; box = box.parentElement)
    if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)) return false;
  return true;
}).map(element => element.tagName + ": " + element.textContent.trim().slice(0, 40))"""


def find_chromium() -> str | None:
    """Return the first browser of NAMES on PATH."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Shown(NamedTuple):
    """A page as it was shown."""

    problems: list[str]  # script errors, errors on the console, requests for other than the page itself
    width: int  # of the content; the window's where all of it fits
    sticking_out: list[str]
    contrasts: list[tuple[float, str]]  # of text, lowest first
    smallest_text: float  # px
    png: bytes


class Chromium:
    """Context manager."""

    def __init__(self, program: str, profile: Path):
        self._program, self._profile, self._last, self._rest = program, profile, 0, b""
        self._events: list[dict[str, Any]] = []

    def __enter__(self):
        ours, theirs = os.pipe(), os.pipe()  # theirs to read is ours[0], to write theirs[1]
        high = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (ours[0], theirs[1])]

        def place() -> None:
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        words = ["--headless", "--no-sandbox", "--remote-debugging-pipe", f"--user-data-dir={self._profile}"]
        words += ["--disable-gpu", "--no-first-run", "--hide-scrollbars", "--disable-background-networking"]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen([self._program, *words], preexec_fn=place, close_fds=False, **quiet)
        for end in (ours[0], theirs[1], *high):
            os.close(end)
        self._to, self._from = ours[1], theirs[0]
        os.set_blocking(self._from, False)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def show(self, page: Path, width: int, scheme: str) -> Shown:
        """Open the page in a window of `width` px, under the colour scheme "light" or "dark"."""
        target = self._ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self._ask("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]

        def ask(method: str, **parameters: Any) -> dict[str, Any]:
            return self._ask(method, parameters, session)

        def value(expression: str) -> Any:
            return ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"]["value"]

        for domain in ("Page", "Runtime", "Log", "Network"):
            ask(f"{domain}.enable")
        ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._events.clear()
        ask("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._events.append(self._receive())
        content = value("[document.scrollingElement.scrollWidth, document.scrollingElement.scrollHeight]")
        sizes = "[...document.body.querySelectorAll('*')].map(e => parseFloat(getComputedStyle(e).fontSize))"
        clip = {"x": 0, "y": 0, "width": width, "height": min(content[1], 16000), "scale": 1}
        shot = ask("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        shown = Shown(
            list(_problems(self._events, page.as_uri())),
            content[0],
            value(STICKING_OUT.replace("WIDTH", str(width))),
            [tuple(pair) for pair in value(CONTRASTS)],
            min(value(sizes)),
            base64.b64decode(shot["data"]),
        )
        self._ask("Target.closeTarget", {"targetId": target})
        return shown

    def _ask(self, method: str, parameters: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        """Send a command and return its result; events that come before it are kept."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        os.write(self._to, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._events.append(answer)

    def _receive(self) -> dict[str, Any]:
        give_up = time.monotonic() + _SECONDS
        while b"\0" not in self._rest:
            try:
                self._rest += os.read(self._from, 1 << 20)
            except BlockingIOError:
                assert time.monotonic() < give_up and self._process.poll() is None, "the browser does not answer"
                time.sleep(0.01)
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


def _problems(events: list[dict[str, Any]], page: str):
    """Yield what a page must not do: raise, write errors to the console, ask for other than itself, miss something."""
    for event in events:
        told = event.get("params", {})
        match event["method"]:
            case "Runtime.exceptionThrown":
                details = told["exceptionDetails"]
                yield f"script error: {details.get('exception', {}).get('description', details['text'])}"
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "assert", "warning"):
                yield f"console: {told['args']}"
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                yield f"log: {told['entry']['text']}"
            case "Network.loadingFailed":
                yield f"failed request: {told['errorText']}"
            case "Network.requestWillBeSent" if told["request"]["url"].partition("#")[0] != page:
                url = told["request"]["url"]
                if not url.startswith("data:"):
                    yield f"request: {url}"
