"""The commands, as people use them at the loopback Discord."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.discord_bot import Bot
from tests.support.discord_server import DiscordServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        yield server
        assert not server.violations, "\n".join(server.violations)


@pytest.fixture
def bot(server: DiscordServer, tmp_path: Path) -> Bot:
    return Bot(server, tmp_path)


async def test_imagine_adds_the_words_of_a_style_and_keeps_the_options(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        asked = await server.slash(
            "imagine",
            {
                "prompt": "a cat",
                "pictures": 1,
                "seed": 7,
                "style": "pixels",
                "top_k": 5,
                "temperature": 0.5,
            },
        )
        message = await asked.pictures()

    [request] = bot.engine.requests
    assert message.text.startswith("**a cat, pixel art**")
    assert (request.options.top_k, request.options.temperature) == (5, 0.5)


async def test_help_quota_queue(server: DiscordServer, bot: Bot) -> None:
    async with bot.running():
        for name in ("help", "quota", "queue", "history", "settings", "privacy show"):
            asked = await server.slash(name, {})
            message = await asked.message_when(lambda m: bool(m.text))
            print(name, message.is_ephemeral, message.text)
