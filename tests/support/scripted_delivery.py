"""A delivery that remembers what it was asked for, and fails as a test tells it to."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.jobs import Job, Progress
    from engine.api import Drawn


class ScriptedDelivery:
    """Implements ``bot.jobs.Delivery`` without a platform.

    Each error put into ``errors`` fails one call of ``deliver``; ``progress_error`` fails
    every ``show_progress``, ``apology_error`` every ``apologise``, ``given_up_error`` every
    ``cancelled``; ``arrived_count`` is what ``deliver`` answers. Clear ``open`` to make
    deliveries wait.
    """

    def __init__(self) -> None:
        self.progress: list[Progress] = []
        self.attempts: list[Job] = []
        self.delivered: list[tuple[Job, Drawn]] = []
        self.apologies: list[tuple[Job, Exception]] = []
        self.postponed: list[Job] = []
        self.given_up: list[Job] = []
        self.errors: deque[Exception] = deque()
        self.progress_error: Exception | None = None
        self.apology_error: Exception | None = None
        self.given_up_error: Exception | None = None
        self.arrived_count: int | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def show_progress(self, job: Job, event: Progress) -> None:
        del job
        self.progress.append(event)
        if self.progress_error:
            raise self.progress_error

    async def deliver(self, job: Job, drawn: Drawn) -> int | None:
        self.attempts.append(job)
        await self.open.wait()
        if self.errors:
            raise self.errors.popleft()
        self.delivered.append((job, drawn))
        return self.arrived_count

    async def apologise(self, job: Job, error: Exception) -> None:
        self.apologies.append((job, error))
        if self.apology_error:
            raise self.apology_error

    async def postpone(self, job: Job) -> None:
        self.postponed.append(job)

    async def cancelled(self, job: Job) -> None:
        self.given_up.append(job)
        if self.given_up_error:
            raise self.given_up_error
