"""A clock that stands still until a test moves it, and a sleep that takes no time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 6, 9, 12, 0, tzinfo=UTC)


class Clock:
    """Call it for the time; its ``sleep`` moves it instead of waiting.

    ``slept_s`` holds every pause that was asked for.
    """

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now
        self.slept_s: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.advance(timedelta(seconds=seconds))
        await asyncio.sleep(0)
