"""A bot on the loopback Discord, inside the loop of the test, with a scripted engine."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.desk import Desk
from bot.discord.adapter import DiscordAdapter
from bot.discord.config import DiscordConfig
from bot.jobs import Person, Platform
from bot.service import Service
from bot.store import Limits, Rules, Store, Tier
from bot.studio import Studio
from tests.support.factories import database_url
from tests.support.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from tests.support.discord_server import DiscordServer

ADA = Person(platform=Platform.DISCORD, id="42")
RULES = Rules(
    person=Limits(daily_count=90),
    tiers={"gold": Tier(person=Limits(daily_count=900), community=Limits())},
)


class DiscordBot:
    """An adapter with everything around it. Its database outlives each ``running``."""

    def __init__(self, server: DiscordServer, folder: Path) -> None:
        self.config = DiscordConfig(
            token=server.token,
            api_base=server.api_base,
            gateway_url=server.gateway_url,
            progress_interval_s=0.01,
            reopen_wait_s=0.01,
            retry_waits_s=(0.01, 0.01, 0.01),
        )
        self.rules = RULES
        self.engine = ScriptedEngine()
        self.store: Store
        self.service: Service
        self.desk: Desk
        self._url = database_url(folder)

    @asynccontextmanager
    async def running(self, *, grace_s: float = 10.0) -> AsyncGenerator[DiscordAdapter]:
        """Start as ``bot.app`` does; at the end wait ``grace_s`` for running jobs."""
        store = self.store = await Store.open(self._url)
        service = self.service = Service(store=store, engine=self.engine, rules=self.rules)
        self.desk = Desk(store, tiers=self.rules.tiers, canceller=service)
        adapter = DiscordAdapter(
            self.config,
            service=service,
            cursors=store,
            studio=Studio(store=store, engine=self.engine),
            desk=self.desk,
        )
        service.register(Platform.DISCORD, adapter.delivery)
        try:
            await service.start()
            await adapter.start()
            yield adapter
        finally:
            await service.close(grace_s)
            await adapter.close()
            await store.close()


def now() -> datetime:
    return datetime.now(UTC)
