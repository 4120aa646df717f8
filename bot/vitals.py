"""How everything is at one moment: engine, queue, money, platforms. Read on demand.

A part that cannot be read is left out and named, never guessed: an admin who looks because
something is broken must still see the rest.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bot.store.quotas import day_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime
    from typing import TypeVar

    from bot.clock import Clock
    from bot.store import Store
    from bot.store.overview import Load
    from engine.api import Engine, EngineStats

    T = TypeVar("T")

READ_WITHIN_S: Final = 3.0
MICROS_PER_USD: Final = 1_000_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What was read at one moment.

    Attributes:
        at: When (aware).
        engine: How the engine is doing; ``None`` if it did not say in time.
        loads: The unfinished jobs, by platform and state; ``None`` if the database failed.
        x_spent_usd: What X has cost today (UTC); ``None`` where X is off or unknown.
        x_daily_usd: What it may cost; ``None`` is no limit.
        is_paused: Whether an admin has paused the whole bot; ``None`` if unknown.
        open_report_count: Reports that no admin has seen to; ``None`` if unknown.
        platforms: For each platform that is on, whether it is listened to.
    """

    at: datetime
    engine: EngineStats | None = None
    loads: tuple[Load, ...] | None = None
    x_spent_usd: float | None = None
    x_daily_usd: float | None = None
    is_paused: bool | None = None
    open_report_count: int | None = None
    platforms: Mapping[str, bool] = field(default_factory=dict[str, bool])

    @property
    def obstacles(self) -> tuple[str, ...]:
        """What keeps a new request from being drawn, by name; none is ready for work."""
        unreached = [name for name, is_up in self.platforms.items() if not is_up]
        has_engine = self.engine is not None and self.engine.slot_count > 0
        found = {"engine": not has_engine, "database": self.loads is None}
        return (*(name for name, is_missing in found.items() if is_missing), *unreached)


class VitalsReader:
    """Reads all vital signs at once.

    Args:
        engine: Asked how it is doing.
        store: Asked who waits, and what was spent.
        clock: Tells the present.
        is_paused: Tells whether an admin has paused the bot.
        platforms: Tells which platforms are on, and whether each is listened to.
        x_daily_usd: What a day on X may cost, 0 being no limit; ``None`` where X is off.
        within_s: How long each part may take to answer.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        store: Store,
        clock: Clock,
        is_paused: Callable[[], Awaitable[bool]],
        platforms: Callable[[], Mapping[str, bool]] = dict,
        x_daily_usd: float | None = None,
        within_s: float = READ_WITHIN_S,
    ) -> None:
        self._engine = engine
        self._store = store
        self._clock = clock
        self._is_paused = is_paused
        self._platforms = platforms
        self._x_daily_usd = x_daily_usd
        self._within_s = within_s

    async def read(self) -> Vitals:
        """Look at everything at once."""
        now = self._clock()
        engine, loads, spent_usd, is_paused, open_reports = await asyncio.gather(
            self._read("engine", self._engine.stats()),
            self._read("queue", self._store.overview.loads()),
            self._read("x_spend", self._spent_usd(now)),
            self._read("pause", self._is_paused()),
            self._read("reports", self._store.overview.open_report_count()),
        )
        return Vitals(
            at=now,
            engine=engine,
            loads=loads,
            x_spent_usd=spent_usd,
            x_daily_usd=self._x_daily_usd or None,
            is_paused=is_paused,
            open_report_count=open_reports,
            platforms=dict(self._platforms()),
        )

    async def _spent_usd(self, now: datetime) -> float | None:
        if self._x_daily_usd is None:
            return None
        return await self._store.x.money.spent_micros(day_of(now)) / MICROS_PER_USD

    async def _read(self, name: str, what: Awaitable[T]) -> T | None:
        try:
            async with asyncio.timeout(self._within_s):
                return await what
        except Exception as error:  # noqa: BLE001 # the other signs are wanted all the same
            _log.warning("vital sign not read name=%s error=%s", name, type(error).__name__)
            return None
