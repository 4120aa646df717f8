"""The loopback Discord and a bot that talks to it; files with another server name their own."""

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
