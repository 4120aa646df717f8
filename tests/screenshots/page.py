"""``make screenshots``: pictures of the page for the README, with the real bot and its demo model.

``python -m tests.screenshots.page FOLDER`` writes them elsewhere, to look at.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image

from tests.support.bot_process import ROOT, BotProcess
from tests.support.browser import chromium, tab

if TYPE_CHECKING:
    from tests.support.browser import Tab

WORDS: Final = "a penguin"
OTHER_WORDS: Final = (
    "a guitar",
    "a blue cube",
    "a rocket",
    "three red hearts",
)
SEED: Final = 7
LOADED: Final = "[...document.images].every((image) => image.complete)"


async def take_all(url: str, devtools: str, folder: Path) -> None:
    """Use the page and take a picture at each stage."""
    async with tab(devtools, width=985, height=780) as browser:
        await browser.go(url)
        for words in OTHER_WORDS:
            await _draw(browser, words)
        await _draw(browser, WORDS)
        await browser.evaluate("document.activeElement.blur()")
        await _take(browser, folder / "page.png")
    async with tab(devtools, width=1_100, height=740, is_dark=True) as browser:
        await browser.go(f"{url}/history")
        await browser.click("#history a")
        await browser.until("document.querySelector('#pictures img')")
        await browser.click("button.open")
        await browser.click("#enlarge")
        await browser.until("document.querySelector('#enlarge').innerText.startsWith('Enlarged')")
        await _take(browser, folder / "page-picture.png", is_window=True)
    async with tab(devtools, width=390, height=844) as browser:
        await browser.go(url)
        await _take(browser, folder / "page-phone.png")


async def _draw(browser: Tab, words: str) -> None:
    await browser.click("#prompt")
    await browser.evaluate("document.querySelector('#prompt').select()")
    await browser.type(words)
    await browser.evaluate(f"document.querySelector('#seed').value = '{SEED}'")
    await browser.press("Enter")
    shown = "document.querySelector('#job-prompt').innerText"
    status = "document.querySelector('#status').innerText"
    await browser.until(
        f"{shown} === '{words}' && {status}.endsWith('the best match first.')", limit_s=120
    )


async def _take(browser: Tab, path: Path, *, is_window: bool = False) -> None:
    """Take a picture once everything is loaded."""
    await browser.until(LOADED)
    await (browser.picture_of_window(path) if is_window else browser.picture(path))
    await asyncio.to_thread(_pack, path)
    print(path)  # noqa: T201 - tells what was written


def _pack(path: Path) -> None:
    with Image.open(path) as image:
        image.convert("RGB").save(path, optimize=True)


def main() -> None:
    """Start the bot and a browser, take the pictures, and end both."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs"
    with tempfile.TemporaryDirectory() as scratch:
        bot = BotProcess(Path(scratch), {"DAILY_PICTURES": "0", "BURST_PICTURES": "0"})
        try:
            bot.start()
            with chromium(Path(scratch) / "chromium") as devtools:
                asyncio.run(take_all(bot.base_url, devtools, folder))
        finally:
            bot.reap()


if __name__ == "__main__":
    main()
