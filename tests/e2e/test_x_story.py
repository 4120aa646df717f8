"""Somebody mentions the bot on X, and the real process answers there."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.looks import border, decoded, middle, strongest
from tests.support.waiting import until
from tests.support.x_server import impatient_x
from tests.support.x_world import MENTIONS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from PIL import Image

    from tests.support.bot_process import BotProcess
    from tests.support.x_server import XServer

    NewBot = Callable[..., BotProcess]

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]

DRAWN_WITHIN_S = 120.0
LISTENS_WITHIN_S = 30.0


@pytest.fixture
async def x() -> AsyncIterator[XServer]:
    async with impatient_x() as server:
        yield server


def variables(x: XServer) -> dict[str, str]:
    return x.environment() | {"X_POLL_INTERVAL_S": "0.2", "DAILY_PICTURES": "9"}


@asynccontextmanager
async def running(bot: BotProcess, x: XServer) -> AsyncGenerator[None]:
    """Start and stop it in a thread: the loopback X needs this one's loop."""
    await start(bot, x)
    yield
    assert await asyncio.to_thread(bot.stop) == 0


async def start(bot: BotProcess, x: XServer) -> None:
    """Start it and wait for its second look: the first only finds out where to begin."""
    look_count = x.world.calls.count(MENTIONS) + 2
    await asyncio.to_thread(bot.start)
    await until(lambda: x.world.calls.count(MENTIONS) >= look_count, limit_s=LISTENS_WITHIN_S)


async def test_a_mention_is_answered_with_pictures_and_the_allowance_survives_a_restart(
    new_bot: NewBot, x: XServer
) -> None:
    """One story, because each step needs what the one before it left behind."""
    bot = new_bot(**variables(x))
    async with running(bot, x):
        first = x.world.mention("ada", "@imagine_bot a red circle on a blue background")
        await until(lambda: bool(x.world.replies_to(first)), limit_s=DRAWN_WITHIN_S)

    (reply,) = x.world.replies_to(first)
    (media,) = reply.media
    assert reply.text.partition(" (ref ")[0] == (
        "Here are your 9 pictures, drawn by an AI, best first."
    )
    assert reply.made_with_ai
    assert media.alt_text == (
        "A grid of 9 pictures, drawn by an AI from the words: a red circle on a blue background"
    )
    best = first_of_nine(decoded(media.picture))
    assert (strongest(middle(best)), strongest(border(best))) == ("red", "blue")

    async with running(bot, x):
        second = x.world.mention("ada", "@imagine_bot a green cube")
        await until(lambda: bool(x.world.replies_to(second)))

    (refusal,) = x.world.replies_to(second)
    assert refusal.text.startswith(
        "Today's allowance of 9 pictures is used up. It reopens at 00:00 UTC on "
    )
    assert refusal.media == ()
    assert "Traceback" not in bot.output
    assert "red circle" not in bot.output


async def test_check_looks_at_x_without_posting(new_bot: NewBot, x: XServer) -> None:
    bot = new_bot(**variables(x))
    x.world.mention("ada", "@imagine_bot a yellow square")

    looked = await asyncio.to_thread(bot.imagine, "check")

    assert looked.returncode == 0
    [line] = [line for line in looked.stdout.splitlines() if line.startswith("x ")]
    assert re.fullmatch(
        r"x +ok: @imagine_bot, 100000 looks in 15 min, clock \d s apart, fields seen on 1", line
    )
    assert set(x.world.calls) == {"GET /2/users/me", MENTIONS}


async def test_wrong_keys_end_the_process_with_a_sentence(new_bot: NewBot, x: XServer) -> None:
    bot = new_bot(**variables(x) | {"X_ACCESS_TOKEN_SECRET": "a-wrong-secret"})

    ended = await asyncio.to_thread(bot.imagine, "run")

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "X does not accept the keys of the bot (Unauthorized). Check X_API_KEY, X_API_SECRET, "
        "X_ACCESS_TOKEN and X_ACCESS_TOKEN_SECRET: all four belong to one app, which may read "
        "and write, and the access token belongs to the bot's own account."
    )
    assert "a-wrong-secret" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


def first_of_nine(grid: Image.Image) -> Image.Image:
    w, h = grid.size
    return grid.crop((0, 0, w // 3, h // 3))
