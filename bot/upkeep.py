"""What has to be done once a day: forget what was kept long enough."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from bot.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime, timedelta

    from bot.clock import Clock
    from bot.store import Store

EVERY_S: Final = 24 * 60 * 60.0

_log = logging.getLogger(__name__)


async def purge_daily(
    store: Store,
    *,
    kept_for: timedelta | None,
    clock: Clock,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Forget jobs and mentions finished ``kept_for`` ago, now and every day; never returns.

    ``None`` keeps them for ever. A database that fails is tried again the next day: whoever
    needs it sooner hears of it elsewhere.
    """
    while True:
        try:
            gone_count = await purge(store, kept_for=kept_for, now=clock())
        except StoreError as error:
            _log.error("old jobs not purged error=%s", error)
        else:
            _log.info("old jobs purged count=%d", gone_count)
        await sleep(EVERY_S)


async def purge(store: Store, *, kept_for: timedelta | None, now: datetime) -> int:
    """Forget what is older than ``kept_for``; return how many jobs that was."""
    before = None if kept_for is None else now - kept_for
    return await store.purge(finished_before=before, now=now)
