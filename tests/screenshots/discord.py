"""``make screenshots``: cards of the bot on Discord for the README, with the demo model.

SimCord draws what a person sees, in the chromium of the system. ``python -m
tests.screenshots.discord FOLDER`` writes the pictures elsewhere, to look at.
"""

from __future__ import annotations

import asyncio
import importlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bot import app
from bot.settings import Settings
from tests.support.bot_process import ROOT
from tests.support.discord_state import walk
from tests.support.simulated import Theatre
from tests.support.waiting import until

if TYPE_CHECKING:
    from simcord import Env
    from simcord.results import InteractionResult

WORDS: Final = "a penguin"
SEED: Final = 7
DRAWN_WITHIN_S: Final = 600.0
CAPTURED_WITHIN_S: Final = 120.0
SIZE: Final = (700, 1_000)


async def take_all(folder: Path) -> None:
    """Ask for pictures, look at the card, and enlarge the best."""
    _use_the_chromium_of_the_system()
    with tempfile.TemporaryDirectory() as data_dir:
        settings = Settings(_env_file=None, data_dir=Path(data_dir))  # pyright: ignore[reportCallIssue] # pydantic's own
        engine = app.engine_of(settings)
        await engine.start()
        theatre = Theatre(Path(data_dir), engine=engine, patience_s=DRAWN_WITHIN_S)
        try:
            async with theatre.playing() as env:
                await _take(env, folder)
        finally:
            await engine.close()


async def _take(env: Env, folder: Path) -> None:
    guild = env.create_guild("friends of pictures")
    channel = guild.create_text_channel("pictures")
    ada = guild.add_member(env.create_user("ada", global_name="Ada"))
    async with env.preview(channel, viewers=[ada], width=SIZE[0], height=SIZE[1]) as preview:
        card = await ada.slash(channel, "imagine", prompt=WORDS, seed=SEED)
        await _shows(card, 9)
        await preview.screenshot(folder / "discord.png", target=card)
        assert card.response is not None
        menu = next(each for each in _ids(card) if each.startswith("im:upscale:"))
        larger = await ada.select(card.response.message, ["1"], custom_id=menu)
        await _shows(larger, 1)
        await preview.screenshot(folder / "discord-picture.png", target=larger)


async def _shows(result: InteractionResult, count: int) -> None:
    def is_there() -> bool:
        return result.response is not None and len(result.response.attachments) == count

    await until(is_there, limit_s=DRAWN_WITHIN_S)


def _ids(result: InteractionResult) -> list[str]:
    assert result.response is not None
    return [part.get("custom_id", "") for part in walk(result.response.components)]


def _use_the_chromium_of_the_system() -> None:
    """SimCord would start a browser that playwright has downloaded, and be in a hurry."""
    capture: Any = importlib.import_module("simcord.preview._capture")
    browser_type: Any = importlib.import_module("playwright.async_api").BrowserType
    capture._CAPTURE_DEADLINE = CAPTURED_WITHIN_S
    path = shutil.which("chromium")
    assert path is not None, "install chromium (Debian: apt-get install chromium)"
    launch = browser_type.launch

    async def launch_it(self: Any, **named: Any) -> Any:
        return await launch(self, executable_path=path, args=["--no-sandbox"], **named)

    browser_type.launch = launch_it


if __name__ == "__main__":
    asyncio.run(take_all(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs"))
