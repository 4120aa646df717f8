"""What an observer hears of the service."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.jobs import OverQuotaError, Platform
from bot.observer import Observers, Showing, showings_of
from bot.service import Service
from bot.store import Store
from engine.api import DrawingFailedError, PicturesWithheldError, Verdict
from tests.support.clock import Clock
from tests.support.factories import a_job, database_url, submission
from tests.support.scripted_delivery import ScriptedDelivery
from tests.support.scripted_engine import ScriptedEngine, drawn
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
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

    def judged(self, platform: Platform, *, level: str, verdict: str, code: str) -> None:
        self.words.append(f"judged {platform} {level} {verdict} {code}")

    def struck(self, platform: Platform, *, code: str, is_blocked: bool) -> None:
        self.words.append(f"struck {platform} {code} {is_blocked}")

    def looked_at(self, job: Job, showings: Mapping[Showing, int]) -> None:
        del job
        told = ", ".join(f"{count} {showing}" for showing, count in showings.items())
        self.words.append(f"looked at: {told}")

    def reported(self, platform: Platform) -> None:
        self.words.append(f"reported {platform}")


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
        "looked at: 4 shown",
        "delivered 4 after 3 s",
        "accepted 2",
        "failed drawing_failed",
        "accepted 1",
        "cancelled",
        "refused discord over_quota",
    ]


async def test_it_hears_when_no_picture_may_be_shown(tmp_path: Path) -> None:
    engine, heard, clock = ScriptedEngine(), Heard(), Clock()
    async with serving(tmp_path, engine, heard, clock) as service:
        engine.errors.append(PicturesWithheldError("None."))
        await service.submit(submission(picture_count=4))
        await until(lambda: heard.words[-1].startswith("failed"))

    assert heard.words == ["accepted 4", "looked at: 4 withheld", "failed withheld"]


def test_doubtful_pictures_count_as_spoilers_and_so_do_all_of_soft_words() -> None:
    job, soft = a_job(), a_job(submission(is_soft=True))
    first, *rest = drawn(job.submission.request).pictures
    doubtful = replace(
        drawn(job.submission.request),
        pictures=(replace(first, verdict=Verdict.BORDERLINE), *rest),
        withheld_count=4,
    )

    assert showings_of(job, doubtful) == {"shown": 2, "spoiler": 1, "withheld": 4}
    assert showings_of(soft, doubtful) == {"spoiler": 3, "withheld": 4}
    assert showings_of(job, drawn(job.submission.request)) == {"shown": 3}


def test_several_observers_hear_the_same() -> None:
    one, other = Heard(), Heard()
    both = Observers([one, other])

    both.judged(Platform.X, level="strict", verdict="refuse", code="gore")
    both.struck(Platform.X, code="hate", is_blocked=True)
    both.looked_at(a_job(), {Showing.WITHHELD: 2})
    both.reported(Platform.WEB)

    assert (
        one.words
        == other.words
        == [
            "judged x strict refuse gore",
            "struck x hate True",
            "looked at: 2 withheld",
            "reported web",
        ]
    )
