"""The Discord adapter with everything around it that it needs, in the loop of the test."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bot.desk import Desk
from bot.discord.adapter import DiscordAdapter
from bot.discord.config import DiscordConfig
from bot.jobs import Person, Platform
from bot.service import Service
from bot.store import Limits, Rules, Store
from bot.studio import Studio
from tests.support.clock import Clock
from tests.support.factories import database_url
from tests.support.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from tests.support.discord_server import DiscordServer


class Bot:
    """An adapter with everything around it. Its database outlives each ``running``.

    The service lives in June 2026. The adapter lives in the present, as the tokens of
    interactions do, or ``ahead`` of it. ``tiers`` are the names that an admin may give.
    """

    def __init__(self, server: DiscordServer, folder: Path) -> None:
        self.config = DiscordConfig(
            token=server.token,
            api_base=server.api_base,
            gateway_url=server.gateway_url,
            progress_interval_s=0.01,
            reopen_wait_s=0.01,
            retry_waits_s=(0.01, 0.01, 0.01),
        )
        self.ahead = timedelta()
        self.daily_pictures = 90
        self.rules: Rules | None = None
        self.tiers: dict[str, Limits] = {}
        self.engine = ScriptedEngine()
        self.store: Store
        self.service: Service
        self.studio: Studio
        self.desk: Desk
        self._url = database_url(folder)

    @asynccontextmanager
    async def running(self, *, grace_s: float = 10.0) -> AsyncGenerator[DiscordAdapter]:
        """Start as ``bot.app`` does; at the end wait ``grace_s`` for running jobs."""
        clock = Clock()
        self.store = await Store.open(self._url)
        self.service = Service(
            store=self.store,
            engine=self.engine,
            rules=self.rules,
            daily_pictures=self.daily_pictures,
            clock=clock,
            sleep=clock.sleep,
        )
        self.studio = Studio(store=self.store, engine=self.engine, clock=clock)
        self.desk = Desk(self.store, clock=clock, tiers=self.tiers, canceller=self.service)
        adapter = DiscordAdapter(
            self.config,
            service=self.service,
            cursors=self.store,
            studio=self.studio,
            desk=self.desk,
            clock=self._present,
        )
        self.service.register(Platform.DISCORD, adapter.delivery)
        try:
            await adapter.log_in()
            await self.service.start()
            await adapter.start()
            yield adapter
            await adapter._clerk.finish(within_s=10)  # pyright: ignore[reportPrivateUsage] # to await what arrived
            await adapter._presses.finish(within_s=10)  # pyright: ignore[reportPrivateUsage] # likewise
        finally:
            await self.service.close(grace_s)
            await adapter.close()
            await self.store.close()

    async def allowance_left(self) -> int | None:
        """What the person may still ask for; only after ``running``."""
        store = await Store.open(self._url)
        ada = Person(platform=Platform.DISCORD, id="42")
        left = await store.allowance_left(ada, now=Clock()(), allowance_count=self.daily_pictures)
        await store.close()
        return left

    def _present(self) -> datetime:
        return datetime.now(UTC) + self.ahead
