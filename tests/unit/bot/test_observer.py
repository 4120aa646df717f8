"""What an observer hears of the service."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.jobs import OverQuotaError, Platform
from bot.observer import Observers
from bot.service import Service
from bot.store import Store
from engine.api import DrawingFailedError
from tests.support.clock import Clock
from tests.support.factories import database_url, submission
from tests.support.scripted_delivery import ScriptedDelivery
from tests.support.scripted_engine import ScriptedEngine
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from bot.jobs import Job
    from engine.api import Drawn


class Heard:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def accepted(self, job: Job) -> None:
        self.words.append(f"accepted {job.submission.request.picture_count}")

    def refused(self, platform: Platform, label: str) -> None:
        self.words.append(f"refused {platform} {label}")

    def delivered(self, job: Job, drawn: Drawn, *, picture_count: int, duration_s: float) -> None:
        del job, drawn
        self.words.append(f"delivered {picture_count} after {duration_s:g} s")

    def failed(self, job: Job, label: str) -> None:
        del job
        self.words.append(f"failed {label}")

    def cancelled(self, job: Job) -> None:
        del job
        self.words.append("cancelled")


@asynccontextmanager
async def serving(
    folder: Path, engine: ScriptedEngine, heard: Heard, clock: Clock
) -> AsyncGenerator[Service]:
    store = await Store.open(database_url(folder))
    service = Service(
        store=store,
        engine=engine,
        daily_pictures=9,
        clock=clock,
        sleep=clock.sleep,
        observer=Observers([heard, Heard()]),
    )
    service.register(Platform.DISCORD, ScriptedDelivery())
    await service.start()
    yield service
    await service.close(0)
    await store.close()


async def test_it_hears_of_each_turn_once(tmp_path: Path) -> None:
    engine, heard, clock = ScriptedEngine(), Heard(), Clock()
    async with serving(tmp_path, engine, heard, clock) as service:
        engine.open.clear()
        await service.submit(submission(picture_count=4))
        await until(lambda: len(engine.requests) == 1)
        clock.advance(timedelta(seconds=3))
        engine.open.set()
        await until(lambda: heard.words[-1].startswith("delivered"))

        engine.errors.append(DrawingFailedError("broke"))
        await service.submit(submission(picture_count=2))
        await until(lambda: heard.words[-1].startswith("failed"))

        engine.open.clear()
        job = await service.submit(submission(picture_count=1))
        await service.cancel(job.id, job.submission.person)

        with pytest.raises(OverQuotaError):
            await service.submit(submission(picture_count=9))

    assert heard.words == [
        "accepted 4",
        "delivered 4 after 3 s",
        "accepted 2",
        "failed drawing_failed",
        "accepted 1",
        "cancelled",
        "refused discord over_quota",
    ]
