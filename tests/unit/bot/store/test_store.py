from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bot.jobs import DuplicateEventError, JobId, JobState, OverQuotaError, Platform
from bot.store import IllegalMoveError, Store
from engine.api import SamplingOptions
from tests.support.clock import NOON
from tests.support.factories import person, submission

if TYPE_CHECKING:
    from pathlib import Path

    from bot.jobs import Job, Person, Submission

TOMORROW = datetime(2026, 6, 10, tzinfo=UTC)


async def accept(store: Store, wanted: Submission, allowance_count: int = 9) -> Job:
    return await store.accept(wanted, now=NOON, allowance_count=allowance_count)


async def left(store: Store, whose: Person, now: datetime = NOON) -> int | None:
    return await store.allowance_left(whose, now=now, allowance_count=9)


async def test_an_accepted_job_is_read_back_as_it_was(store: Store) -> None:
    wanted = submission(
        prompt="a “fox” 🦊",
        seed=2**32 - 1,
        options=SamplingOptions(top_k=50, temperature=0.9),
        address={"channel": "42", "nested": [1, None, {"deep": True}]},
        keep=(0, 16_383, 7),
        preview=True,
    )

    job = await accept(store, wanted)

    assert await store.job(job.id) == job
    assert (job.submission, job.state, job.attempt_count) == (wanted, JobState.ACCEPTED, 0)
    assert job.accepted_at == NOON


async def test_an_unknown_job_is_none(store: Store) -> None:
    assert await store.job(JobId("nobody")) is None


async def test_a_job_without_a_seed_is_a_mistake_of_the_caller(store: Store) -> None:
    with pytest.raises(ValueError, match="a job needs a seed"):
        await accept(store, submission(seed=None))


async def test_a_second_delivery_of_an_event_creates_no_job(store: Store) -> None:
    first = await accept(store, submission(event_id="1", prompt="a cube"))

    with pytest.raises(DuplicateEventError) as refusal:
        await accept(store, submission(event_id="1", prompt="a ball"))

    assert refusal.value.job == first
    assert await store.unfinished([Platform.DISCORD]) == [first]
    assert await left(store, person()) == 6


async def test_the_same_event_id_of_two_platforms_is_two_events(store: Store) -> None:
    on_x = person(platform=Platform.X)

    await accept(store, submission(event_id="1"))
    await accept(store, submission(event_id="1", by=on_x))

    assert await left(store, person()) == await left(store, on_x) == 6


async def test_who_is_over_quota_leaves_nothing_behind(store: Store) -> None:
    await accept(store, submission(picture_count=7))

    with pytest.raises(OverQuotaError) as refusal:
        await accept(store, submission(event_id="late", picture_count=3))

    error = refusal.value
    assert (error.allowance_count, error.left_count, error.reopens_at) == (9, 2, TOMORROW)
    assert await left(store, person()) == 2
    again = await accept(store, submission(event_id="late", picture_count=2))
    assert again.submission.event_id == "late"


async def test_an_allowance_of_zero_is_no_limit(store: Store) -> None:
    for _ in range(3):
        await accept(store, submission(picture_count=16), allowance_count=0)

    assert await store.allowance_left(person(), now=NOON, allowance_count=0) is None
    assert await left(store, person()) == 0


async def test_a_new_day_has_a_new_allowance(store: Store) -> None:
    await accept(store, submission(picture_count=9))

    assert await left(store, person(), TOMORROW - timedelta(seconds=1)) == 0
    assert await left(store, person(), TOMORROW) == 9


async def test_two_hundred_requests_at_once_never_exceed_the_quota(store: Store) -> None:
    results = await asyncio.gather(
        *(accept(store, submission(picture_count=1)) for _ in range(200)), return_exceptions=True
    )

    refusals = [result for result in results if isinstance(result, OverQuotaError)]
    assert len(refusals) == 191
    assert len(await store.unfinished([Platform.DISCORD])) == 9
    assert await left(store, person()) == 0


async def test_two_stores_share_one_quota(store: Store, any_database_url: str) -> None:
    other = await Store.open(any_database_url)

    results = await asyncio.gather(
        *(accept(each, submission(picture_count=1)) for _ in range(10) for each in (store, other)),
        return_exceptions=True,
    )

    await other.close()
    assert sum(isinstance(result, OverQuotaError) for result in results) == 11
    assert await left(store, person()) == 0


async def test_one_event_delivered_many_times_at_once_is_one_job(store: Store) -> None:
    results = await asyncio.gather(
        *(accept(store, submission(event_id="1")) for _ in range(20)), return_exceptions=True
    )

    (job,) = await store.unfinished([Platform.DISCORD])
    duplicates = [result for result in results if isinstance(result, DuplicateEventError)]
    assert [error.job for error in duplicates] == [job] * 19
    assert await left(store, person()) == 6


async def test_quotas_and_jobs_survive_a_restart(any_database_url: str) -> None:
    before = await Store.open(any_database_url)
    job = await accept(before, submission(picture_count=7))
    await before.close()

    after = await Store.open(any_database_url)

    assert await left(after, person()) == 2
    assert await after.unfinished([Platform.DISCORD]) == [job]
    await after.close()


async def test_a_delivered_job_keeps_its_pictures(store: Store) -> None:
    job = await accept(store, submission())
    await store.begin_drawing(job.id)
    await store.begin_delivery(job.id)

    settled = await store.settle(job.id, now=NOON)

    assert settled.state is JobState.DELIVERED
    assert await left(store, person()) == 6
    assert await store.unfinished([Platform.DISCORD]) == []


async def test_a_failed_job_gives_its_pictures_back_once(store: Store) -> None:
    job = await accept(store, submission())

    failed = await store.give_back(job.id, reason="no room", now=NOON)
    await store.abandon(job.id, now=NOON)
    with pytest.raises(IllegalMoveError):
        await store.give_back(job.id, reason="no room", now=NOON)

    assert failed.state is JobState.APOLOGISING
    assert await left(store, person()) == 9
    assert await store.unfinished([Platform.DISCORD]) == []


async def test_pictures_of_a_day_that_is_over_are_not_given_to_the_next(store: Store) -> None:
    job = await accept(store, submission())
    await store.accept(submission(), now=TOMORROW, allowance_count=9)

    await store.give_back(job.id, reason="no room", now=TOMORROW)

    assert await left(store, person(), TOMORROW) == 6


async def test_each_delivery_is_told_how_many_were_begun_before_it(store: Store) -> None:
    job = await accept(store, submission())
    await store.begin_drawing(job.id)

    attempts = [(await store.begin_delivery(job.id)).attempt_count for _ in range(3)]
    drawn_again = await store.begin_drawing(job.id)

    assert attempts == [0, 1, 2]
    assert drawn_again.attempt_count == 3


async def test_unfinished_jobs_come_oldest_first_and_only_of_the_platforms_asked_for(
    store: Store,
) -> None:
    later = await store.accept(submission(), now=TOMORROW, allowance_count=9)
    earlier = await accept(store, submission())
    await accept(store, submission(by=person(platform=Platform.WEB)))

    assert await store.unfinished([Platform.DISCORD, Platform.X]) == [earlier, later]
    assert await store.unfinished([]) == []


async def test_a_cursor_is_what_was_written_last(store: Store) -> None:
    assert await store.read_cursor("x/since_id") is None

    await store.write_cursor("x/since_id", "1")
    await store.write_cursor("x/since_id", "2")
    await store.write_cursor("another", "3")

    assert await store.read_cursor("x/since_id") == "2"


@pytest.mark.parametrize("turns", range(12))
async def test_a_cancelled_caller_leaves_a_whole_transaction_or_none(
    store: Store, turns: int
) -> None:
    task = asyncio.create_task(accept(store, submission(event_id="1")))
    for _ in range(turns):
        await asyncio.sleep(0)

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    # The line of writers is free again, and quota and job agree.
    await store._acceptance.close()  # pyright: ignore[reportPrivateUsage] # it may be under way
    await store.write_cursor("after", "1")
    job_count = len(await store.unfinished([Platform.DISCORD]))
    assert await left(store, person()) == 9 - 3 * job_count


@pytest.mark.parametrize("any_database_url", ["sqlite"], indirect=True)
async def test_a_store_says_where_it_is_without_its_password(store: Store, tmp_path: Path) -> None:
    assert repr(store) == f"<Store sqlite+aiosqlite:///{tmp_path}/imagine.db>"
