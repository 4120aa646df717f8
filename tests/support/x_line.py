"""What the X adapter stands on in tests over loopback: time, a database, a service.

Here the calls are real (tweepy, sockets) and time is stepped by hand, so these lines are few;
the many are in ``tests.support.x_histories``.
"""

from __future__ import annotations

import asyncio
import heapq
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from sqlalchemy import select

from bot.store import Store
from bot.store.tables import cursors
from bot.x.adapter import XAdapter
from bot.x.config import XConfig
from tests.support.clock import NOON
from tests.support.inline_database import InlineDatabase
from tests.support.x_desk import Desk, Ledger
from tests.support.x_server import ACCESS_TOKEN, ACCESS_TOKEN_SECRET, API_KEY, API_SECRET

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from bot.store.database import Database
    from tests.support.x_server import XServer
    from tests.support.x_world import XWorld

DEADLINE_S = 60.0
A_DAY_S = 24 * 3600.0


class SteppedTime:
    """Time that jumps from one sleeper's end to the next, and only while ``until`` runs."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._count = 0

    def __call__(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self._count += 1
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + timedelta(seconds=seconds), self._count, end))
        await end

    def step(self) -> None:
        if self._sleepers:
            due, _, end = heapq.heappop(self._sleepers)
            self.now = max(self.now, due)
            if not end.done():
                end.set_result(None)

    async def until(self, condition: Callable[[], object]) -> None:
        """Let time pass until ``condition`` holds."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await asyncio.sleep(0.002)
                self.step()

    async def for_hours(self, hours: float) -> None:
        end = self.now + timedelta(hours=hours)
        await self.until(lambda: self.now >= end)


@dataclass(slots=True)
class Line:
    """What outlives a restart of the adapter."""

    server: XServer
    time: SteppedTime = field(default_factory=SteppedTime)
    database: InlineDatabase = field(default_factory=InlineDatabase)
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def world(self) -> XWorld:
        return self.server.world

    @property
    def store(self) -> Store:
        return Store(cast("Database", self.database))

    @property
    def prompts(self) -> list[str]:
        return self.ledger.prompts

    @asynccontextmanager
    async def running(self, **changes: object) -> AsyncGenerator[Running]:
        """An adapter that has read the mentions once, so that what follows is new to it."""
        store = self.store
        desk = Desk(self.ledger, clock=self.time, sleep=self.time.sleep)
        adapter = XAdapter(
            x_config(self.server, **changes),
            desk,
            store,
            store.x,
            clock=self.time,
            sleep=self.time.sleep,
        )
        desk.delivery = adapter
        desk.start()
        try:
            await adapter.start()
            await self.time.until(lambda: adapter.is_listening)
            yield Running(adapter=adapter, desk=desk)
        finally:
            await adapter.close()
            await desk.close()

    def has_noted_limit(self, gate: str) -> bool:
        """Whether a rate limit of that kind of call would survive a death now."""
        query = select(cursors.c.name).where(cursors.c.name == f"x.closed.{gate}")
        return bool(self.database.rows(query))

    async def states(self) -> dict[str, int]:
        """How many mentions are in each state."""
        return await self.store.x.mentions.state_counts()


@dataclass(frozen=True, slots=True)
class Running:
    """One life of the adapter and of the service behind it."""

    adapter: XAdapter
    desk: Desk


def x_config(server: XServer, **changes: object) -> XConfig:
    config = XConfig(
        api_key=API_KEY,
        api_secret=API_SECRET,
        access_token=ACCESS_TOKEN,
        access_token_secret=ACCESS_TOKEN_SECRET,
        api_base=server.url,
        close_grace_s=0.0,  # a death, unless a test says otherwise
        # On a busy machine time is stepped faster than calls come back.
        give_up_after_s=10_000 * A_DAY_S,
        sweep_interval_s=0.0,  # else time would jump a day whenever a call is under way
    )
    return replace(config, **changes)  # pyright: ignore[reportArgumentType] (a test's words)
