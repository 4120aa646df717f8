"""Somebody types /imagine on Discord, and the real process answers there."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.discord_server import DiscordServer
from tests.support.looks import border, decoded, middle, strongest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from tests.support.bot_process import BotProcess

    NewBot = Callable[..., BotProcess]

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]

DRAWN_WITHIN_S = 120.0
CARD = re.compile(r"\*\*(.+)\*\*\n-# 9 pictures, best first · seed (\d+) · demo · \d+ s")
SOLD_OUT = re.compile(
    r"You have 3 pictures left today, out of 21\. Ask for at most 3, or come back when your "
    r"allowance reopens <t:\d+:R>\."
)


@pytest.fixture
async def discord() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        yield server


def words_and_seed(text: str) -> tuple[str, ...]:
    card = CARD.fullmatch(text)
    assert card, text
    return card.groups()


def variables(discord: DiscordServer) -> dict[str, str]:
    return {
        "DISCORD_TOKEN": discord.token,
        "DISCORD_API_BASE": discord.api_base,
        "DISCORD_GATEWAY_URL": discord.gateway_url,
        "DAILY_PICTURES": "21",
    }


@asynccontextmanager
async def running(bot: BotProcess) -> AsyncGenerator[None]:
    """Start and stop it in a thread: the loopback Discord needs this one's loop."""
    await asyncio.to_thread(bot.start)
    yield
    assert await asyncio.to_thread(bot.stop) == 0


async def test_a_command_becomes_pictures_and_what_a_killed_process_left_is_finished_by_the_next(
    new_bot: NewBot, discord: DiscordServer
) -> None:
    """One story, because each step needs what the one before it left behind."""
    bot = new_bot(**variables(discord))
    await asyncio.to_thread(bot.start)
    interaction = await discord.slash(
        "imagine", {"prompt": "a red circle on a blue background", "seed": 7}
    )
    message = await interaction.pictures(DRAWN_WITHIN_S)
    interrupted = await discord.slash("imagine", {"prompt": "a yellow square", "seed": 5})
    await interrupted.message_when(lambda message: bool(message.text))
    await asyncio.to_thread(bot.kill)

    assert interaction.ack_after_s is not None
    assert words_and_seed(message.text) == ("a red circle on a blue background", "7")
    assert [alt for alt, _ in message.gallery] == [
        f"Picture {rank} of 9: a red circle on a blue background" for rank in range(1, 10)
    ]
    best = decoded(message.gallery[0][1])
    assert (strongest(middle(best)), strongest(border(best))) == ("red", "blue")

    async with running(bot):
        finished = await interrupted.pictures(DRAWN_WITHIN_S)
        refused = await discord.slash("imagine", {"prompt": "a green cube", "pictures": 4})
        answer = await refused.message_when(lambda message: bool(message.text))

    assert words_and_seed(finished.text) == ("a yellow square", "5")
    assert SOLD_OUT.fullmatch(answer.text), answer.text
    assert discord.sync_count == 1
    assert discord.posts == []
    assert discord.token not in bot.output
    assert "Traceback" not in bot.output


async def test_a_wrong_token_ends_the_process_with_a_sentence(
    new_bot: NewBot, discord: DiscordServer
) -> None:
    bot = new_bot(**variables(discord) | {"DISCORD_TOKEN": "a.wrong.token"})

    ended = await asyncio.to_thread(bot.imagine, "run")

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "DISCORD_TOKEN was refused by Discord: copy the bot token again from "
        "discord.com/developers, your application, Bot, Reset Token."
    )
    assert "a.wrong.token" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
