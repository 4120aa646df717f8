from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from bot.jobs import JobState, Platform
from bot.store.overview import SHOWN_JOB_COUNT, SHOWN_PEOPLE_COUNT, Load, Tally
from tests.support.clock import NOON
from tests.support.factories import person, submission

if TYPE_CHECKING:
    from datetime import datetime

    from bot.jobs import Job
    from bot.store import Store


async def accept(store: Store, name: str, count: int, *, at: datetime = NOON) -> Job:
    asked = submission(by=person(name), picture_count=count)
    return await store.accept(asked, now=at, allowance_count=0)


async def deliver(store: Store, job: Job, *, at: datetime, count: int | None = None) -> None:
    await store.begin_drawing(job.id)
    await store.begin_delivery(job.id)
    await store.settle(job.id, now=at, delivered_count=count)


async def test_unfinished_jobs_are_counted_by_platform_and_state(store: Store) -> None:
    later = NOON + timedelta(minutes=1)
    await accept(store, "ada", 3, at=later)
    await accept(store, "bea", 5)
    drawn = await accept(store, "ada", 9)
    await store.begin_drawing(drawn.id)
    on_x = submission(by=person("7", Platform.X), picture_count=1)
    await store.accept(on_x, now=NOON, allowance_count=0)
    await deliver(store, await accept(store, "ada", 2), at=later)

    discord, x = Platform.DISCORD, Platform.X
    assert await store.overview.loads() == (
        load(discord, JobState.ACCEPTED, jobs=2, pictures=8),
        load(discord, JobState.DRAWING, jobs=1, pictures=9),
        load(x, JobState.ACCEPTED, jobs=1, pictures=1),
    )


def load(platform: Platform, state: JobState, *, jobs: int, pictures: int) -> Load:
    return Load(
        platform=platform, state=state, job_count=jobs, picture_count=pictures, oldest_at=NOON
    )


async def test_those_with_the_most_pictures_to_come_and_the_oldest_jobs_are_shown(
    store: Store,
) -> None:
    for number in range(SHOWN_PEOPLE_COUNT + 3):
        await accept(store, f"p{number:02}", 1 + number % 9, at=NOON + timedelta(minutes=number))
    for _ in range(SHOWN_JOB_COUNT):
        await accept(store, "p00", 9, at=NOON - timedelta(minutes=1))

    crowd = await store.overview.crowd()

    assert len(crowd.people) == SHOWN_PEOPLE_COUNT
    first = crowd.people[0]
    assert (first.person_id, first.job_count, first.picture_count) == ("p00", 51, 451)
    assert first.oldest_at == NOON - timedelta(minutes=1)
    counts = [each.picture_count for each in crowd.people]
    assert counts == sorted(counts, reverse=True)
    assert len(crowd.jobs) == SHOWN_JOB_COUNT
    assert {job.submission.person.id for job in crowd.jobs} == {"p00"}


async def test_what_became_of_requests_is_counted_since_a_moment(store: Store) -> None:
    await deliver(store, await accept(store, "old", 9, at=NOON - timedelta(hours=2)), at=NOON)
    await deliver(store, await accept(store, "ada", 9), at=NOON + timedelta(seconds=3))
    await deliver(store, await accept(store, "ada", 9), at=NOON + timedelta(seconds=2), count=4)
    failed = await accept(store, "bea", 2)
    await store.begin_drawing(failed.id)
    await store.give_back(failed.id, reason="broke", label="drawing_failed", now=NOON)
    await store.abandon(failed.id, now=NOON)

    span = await store.overview.since(NOON - timedelta(hours=1))

    discord = Platform.DISCORD
    assert span.tallies == (
        tally(discord, JobState.DELIVERED, None, jobs=2, pictures=13),
        tally(discord, JobState.FAILED, "drawing_failed", jobs=1, pictures=2),
    )
    assert span.people_count == 2
    assert span.durations_s == (2.0, 3.0)


def tally(
    platform: Platform, state: JobState, error: str | None, *, jobs: int, pictures: int
) -> Tally:
    return Tally(
        platform=platform,
        state=state,
        error_label=error,
        job_count=jobs,
        picture_count=pictures,
    )
