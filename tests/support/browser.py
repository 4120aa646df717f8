"""A real browser for tests: Debian's Chromium, driven over its DevTools protocol.

Source: https://chromedevtools.github.io/devtools-protocol/ (domains Target, Page, Runtime,
Input, Emulation, Network, Log).
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import time
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

PROGRAM: Final = next(
    (path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None
)
ABSENT: Final = "no browser: install chromium (Debian: apt-get install chromium)"

_START_WITHIN_S: Final = 60.0
_ANSWER_WITHIN_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.02
_SHIFT: Final = 8

# Name, its code and its number on a keyboard; what it types, where it types.
_KEYS: Final = {
    "Enter": ("Enter", 13, "\r"),
    "Escape": ("Escape", 27, ""),
    "Tab": ("Tab", 9, ""),
    " ": ("Space", 32, " "),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
}

_NAMED_ROLES: Final = frozenset(
    {"button", "link", "textbox", "slider", "image", "dialog", "progressbar", "navigation"}
    | {"DisclosureTriangle", "region"}
)

_VISIBLE: Final = """
(selector) => {
  const element = document.querySelector(selector);
  if (!element || !element.checkVisibility({ visibilityProperty: true })) return null;
  element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
  const box = element.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
}
"""


class PageError(AssertionError):
    """A script of the page failed, or the browser was asked for what it cannot do."""


@contextmanager
def chromium(folder: Path) -> Generator[str]:
    """Run a browser without a window; gives the address of its DevTools."""
    if PROGRAM is None:
        raise PageError(ABSENT)
    process = subprocess.Popen(  # noqa: S603 # a program of the system
        [
            PROGRAM,
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--no-first-run", "--disable-extensions", "--disable-background-networking"),
            *("--hide-scrollbars", "--force-color-profile=srgb"),
            *("--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{_port(process, folder / 'DevToolsActivePort')}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port(process: subprocess.Popen[bytes], file: Path) -> int:
    """Read the port that the browser notes once it listens."""
    deadline = time.monotonic() + _START_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise PageError(f"the browser ended with {process.returncode}")
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        if lines:
            return int(lines[0])
        time.sleep(_LOOK_EVERY_S)
    raise PageError("the browser did not start")


class Tab:
    """One window with cookies and storage of its own.

    Everything is done as a person does it: keys and clicks go through the browser's input.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, session_id: str) -> None:
        self._socket = socket
        self._session_id = session_id
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.troubles: list[str] = []
        self._listening = asyncio.create_task(self._listen(), name="browser")

    async def close(self) -> None:
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the protocol and wait for its answer."""
        number = next(self._numbers)
        answer = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        message = {"id": number, "method": method, "params": parameters}
        await self._socket.send_json({**message, "sessionId": self._session_id})
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            return await answer

    async def prepare(self, *, width: int, height: int, is_dark: bool) -> None:
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.send(f"{domain}.enable")
        await self.resize(width, height)
        await self.send("Emulation.setLocaleOverride", locale="en-GB")
        await self.send("Emulation.setTimezoneOverride", timezoneId="UTC")
        await self.send(
            "Emulation.setEmulatedMedia",
            features=[
                {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ],
        )

    async def resize(self, width: int, height: int) -> None:
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def go(self, url: str) -> None:
        await self.evaluate("window.isOld = true")
        answer = await self.send("Page.navigate", url=url)
        if "errorText" in answer:
            raise PageError(f"{url}: {answer['errorText']}")
        await self.until("!window.isOld && document.readyState === 'complete'")

    async def evaluate(self, expression: str) -> Any:
        """Run JavaScript in the page and return what comes of it."""
        answer = await self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if details := answer.get("exceptionDetails"):
            raise PageError(f"{expression}: {_words(details)}")
        return answer["result"].get("value")

    async def until(self, condition: str, *, limit_s: float = 30.0) -> None:
        """Wait until a JavaScript expression is true."""
        deadline = time.monotonic() + limit_s
        while True:
            try:
                if await self.evaluate(f"Boolean({condition})"):
                    return
            except PageError:  # between two pages
                pass
            if time.monotonic() > deadline:
                text = await self.evaluate("document.body.innerText")
                raise PageError(f"never: {condition}\n{text}\n{self.troubles}")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def until_text(self, selector: str, text: str, *, limit_s: float = 30.0) -> None:
        """Wait until an element is shown with exactly this text."""
        element = f"document.querySelector({json.dumps(selector)})"
        shown = f"{element}?.checkVisibility() && {element}.innerText.trim()"
        await self.until(f"({shown}) === {json.dumps(text)}", limit_s=limit_s)

    async def text(self, selector: str) -> str:
        return await self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")

    async def is_shown(self, selector: str) -> bool:
        element = f"document.querySelector({json.dumps(selector)})"
        return await self.evaluate(f"Boolean({element}?.checkVisibility())")

    async def click(self, selector: str) -> None:
        """Click into the middle of an element, which must be visible and on top there."""
        await self.until(f"({_VISIBLE})({json.dumps(selector)})")
        x, y = await self.evaluate(f"({_VISIBLE})({json.dumps(selector)})")
        hit = f"document.elementFromPoint({x}, {y})?.closest({json.dumps(selector)})"
        if not await self.evaluate(f"Boolean({hit})"):
            raise PageError(f"{selector} is covered")
        for kind in ("mousePressed", "mouseReleased"):
            await self.send(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    async def type(self, text: str) -> None:
        """Type where the focus is."""
        await self.send("Input.insertText", text=text)

    async def press(self, key: str, *, with_shift: bool = False) -> None:
        """Press a key and let it go."""
        code, number, text = _KEYS[key]
        pressed = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        pressed["modifiers"] = _SHIFT if with_shift else 0
        typed = {"text": text} if text else {}
        kind = "keyDown" if text else "rawKeyDown"
        await self.send("Input.dispatchKeyEvent", type=kind, **pressed, **typed)
        await self.send("Input.dispatchKeyEvent", type="keyUp", **pressed)

    async def nameless(self) -> list[str]:
        """Roles of what can be used or looked at and has no name for a screen reader."""
        tree = await self.send("Accessibility.getFullAXTree")
        shown = [node for node in tree["nodes"] if not node["ignored"]]
        named = [(node["role"]["value"], node.get("name", {}).get("value")) for node in shown]
        return [role for role, name in named if role in _NAMED_ROLES and not name]

    async def focused(self) -> str:
        """The id of the element that has the focus, or its text where it has none."""
        return await self.evaluate(
            "document.activeElement.id || document.activeElement.innerText.trim()"
        )

    async def picture(self, path: Path) -> None:
        """Take a picture of the whole page, not only of what the window shows."""
        size = (await self.send("Page.getLayoutMetrics"))["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        await self._take(path, clip=clip, captureBeyondViewport=True)

    async def picture_of_window(self, path: Path) -> None:
        await self._take(path)

    async def _take(self, path: Path, **how: Any) -> None:
        shot = await self.send("Page.captureScreenshot", format="png", **how)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))

    async def _listen(self) -> None:
        async for frame in self._socket:
            message: dict[str, Any] = json.loads(frame.data)
            answer = self._answers.pop(message.get("id", 0), None)
            if answer is None:
                self._note(message.get("method", ""), message.get("params", {}))
            elif "error" in message:
                answer.set_exception(PageError(str(message["error"])))
            elif not answer.done():
                answer.set_result(message["result"])

    def _note(self, method: str, event: dict[str, Any]) -> None:
        """Remember what a developer would see in red in the browser's console."""
        if method == "Runtime.exceptionThrown":
            self.troubles.append(_words(event["exceptionDetails"]))
        elif method == "Log.entryAdded" and event["entry"]["level"] == "error":
            entry = event["entry"]
            self.troubles.append(f"{entry['text']} {entry.get('url', '')}")


def _words(details: dict[str, Any]) -> str:
    return str(details.get("exception", {}).get("description") or details["text"])


GALLERY_IS_THERE: Final = (
    "document.querySelector('#pictures').dataset.holds === location.pathname.split('/').at(-1)"
)
"""Whether the page shows the pictures of the job that its address names."""


@asynccontextmanager
async def tab(
    devtools: str, *, width: int = 1_200, height: int = 900, is_dark: bool = False
) -> AsyncGenerator[Tab]:
    """Open a window that knows nothing of others; closed at the end."""
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{devtools}/json/version") as answer:
            url = (await answer.json(content_type=None))["webSocketDebuggerUrl"]
        async with http.ws_connect(url, max_msg_size=0) as socket:
            context = await _ask(socket, "Target.createBrowserContext", disposeOnDetach=True)
            target = await _ask(socket, "Target.createTarget", url="about:blank", **context)
            session = await _ask(socket, "Target.attachToTarget", **target, flatten=True)
            opened = Tab(socket, session["sessionId"])
            try:
                await opened.prepare(width=width, height=height, is_dark=is_dark)
                yield opened
            finally:
                await opened.close()


async def _ask(
    socket: aiohttp.ClientWebSocketResponse, method: str, **parameters: Any
) -> dict[str, Any]:
    """Ask the browser itself, before anybody listens to events."""
    await socket.send_json({"id": 0, "method": method, "params": parameters})
    while True:
        message = await socket.receive_json()
        if message.get("id") == 0:
            return message["result"]
