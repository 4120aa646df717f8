"""Pictures of the past: painted again, enlarged, varied, drawn anew, reported."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from bot.jobs import JobId, Platform, UnknownPictureError
from bot.observer import Observers
from bot.store import Store
from bot.studio import Studio, upper_part
from engine.api import InvalidRequestError, SamplingOptions
from tests.support.clock import NOON, Clock
from tests.support.factories import database_url, person, submission
from tests.support.scripted_engine import ScriptedEngine, drawn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.jobs import Job

OPTIONS = SamplingOptions(temperature=0.5, top_k=20)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(database_url(tmp_path))
    yield opened
    await opened.close()


@pytest.fixture
def studio(store: Store) -> Studio:
    return Studio(store=store, engine=ScriptedEngine(), clock=Clock())


async def delivered(store: Store) -> Job:
    job = await store.accept(submission(options=OPTIONS, preview=True), now=NOON)
    await store.begin_drawing(job.id)
    await store.begin_delivery(job.id)
    pictures = drawn(job.submission.request).pictures
    return await store.settle(job.id, now=NOON, pictures=pictures)


async def test_an_old_picture_is_painted_again_as_it_was(store: Store, studio: Studio) -> None:
    job = await delivered(store)
    best, _, last = drawn(job.submission.request).pictures

    assert await studio.picture(job.id, 1) == best.png
    assert await studio.picture(job.id, 3) == last.png


async def test_an_old_picture_is_enlarged_four_times(store: Store, studio: Studio) -> None:
    job = await delivered(store)

    enlarged = await studio.upscaled(job.id, 1)

    side = Image.open(io.BytesIO(await studio.picture(job.id, 1))).width
    assert Image.open(io.BytesIO(enlarged)).size == (4 * side, 4 * side)


async def test_variations_keep_the_upper_part_and_draw_the_rest_anew(
    store: Store, studio: Studio
) -> None:
    job = await delivered(store)
    before = job.submission.request

    request = await studio.variation(job.id, 2, picture_count=4)

    tokens = drawn(before).pictures[1].tokens
    assert request.keep == tokens[:24]  # three of eight rows
    assert request.seed != before.seed
    assert request.seed is not None
    assert request == replace(before, picture_count=4, seed=request.seed, keep=request.keep)


async def test_the_same_again_has_new_noise_and_nothing_else_that_is_new(
    store: Store, studio: Studio
) -> None:
    job = await delivered(store)
    before = job.submission.request

    again = await studio.redraw(job.id)
    more = await studio.redraw(job.id, picture_count=9)

    assert again == replace(before, seed=again.seed)
    assert again.seed not in (None, before.seed)
    assert more == replace(before, seed=more.seed, picture_count=9)
    assert more.seed != again.seed


async def test_as_many_variations_as_cannot_be_drawn_are_refused(
    store: Store, studio: Studio
) -> None:
    job = await delivered(store)

    with pytest.raises(InvalidRequestError):
        await studio.variation(job.id, 1, picture_count=99)


@pytest.mark.parametrize(("rank", "is_known"), [(4, True), (0, True), (1, False)])
async def test_of_what_is_not_kept_there_is_no_picture(
    store: Store, studio: Studio, rank: int, *, is_known: bool
) -> None:
    job = await delivered(store)
    job_id = job.id if is_known else JobId("gone")

    with pytest.raises(UnknownPictureError):
        await studio.picture(job_id, rank)
    with pytest.raises(UnknownPictureError):
        await studio.upscaled(job_id, rank)
    with pytest.raises(UnknownPictureError):
        await studio.variation(job_id, rank, picture_count=1)


async def test_of_a_job_that_is_gone_nothing_is_drawn_or_reported(studio: Studio) -> None:
    with pytest.raises(UnknownPictureError):
        await studio.redraw(JobId("gone"))
    with pytest.raises(UnknownPictureError):
        await studio.report(JobId("gone"), person(), reason="ugly")
    assert await studio.past(JobId("gone")) is None


async def test_a_report_is_kept_on_one_line_and_short(store: Store, studio: Studio) -> None:
    job = await delivered(store)

    await studio.report(job.id, person("bob"), reason=" it is\n\nugly " + "x" * 1_000)
    await studio.report(job.id, person("bob"), reason="again")

    (report,) = await store.people.reports(is_open=True)
    assert report.reason == ("it is ugly " + "x" * 1_000)[:500]
    assert report.at == NOON


async def test_each_new_report_is_counted_once(store: Store) -> None:
    heard: list[Platform] = []

    class Listener(Observers):
        def reported(self, platform: Platform) -> None:
            heard.append(platform)

    studio = Studio(store=store, engine=ScriptedEngine(), observer=Listener(), clock=Clock())
    job = await delivered(store)

    for who in (person("bob"), person("bob"), person("eve", Platform.WEB)):
        await studio.report(job.id, who, reason="ugly")

    assert heard == [Platform.DISCORD, Platform.WEB]


async def test_several_jobs_of_the_past_are_found_at_once(store: Store, studio: Studio) -> None:
    one, other = await delivered(store), await delivered(store)

    found = await studio.pasts([one.id, other.id, JobId("gone")])

    assert found == {job.id: await studio.past(job.id) for job in (one, other)}


async def test_history_and_queue_are_those_of_the_store(store: Store, studio: Studio) -> None:
    job = await delivered(store)
    waiting = await store.accept(submission(picture_count=2), now=NOON)

    history = await studio.history(person(), limit=5)
    queue = await studio.queue(person())

    assert {past.job.id for past in history} == {job.id, waiting.id}
    assert await studio.past(job.id) in history
    assert (queue.waiting_count, queue.waiting_picture_count) == (1, 2)
    assert queue.own == (waiting,)


def test_of_sixteen_rows_six_are_kept() -> None:
    tokens = tuple(range(256))

    assert upper_part(tokens) == tokens[:96]


def test_a_picture_of_one_token_is_kept_whole() -> None:
    assert upper_part((7,)) == (7,)
