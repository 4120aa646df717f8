"""Questions about jobs: one of the past, its pictures, those that wait, and how many there were."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.jobs import JobId, JobState, Platform
from bot.store.archive import QueueView
from bot.store.history import KeptPicture, KeptTokens
from bot.store.house import CommunityStats
from engine.api import Picture, Verdict
from tests.support.clock import NOON
from tests.support.factories import person, submission

if TYPE_CHECKING:
    from datetime import datetime

    from bot.jobs import Job, Submission
    from bot.store import Store


async def deliver(
    store: Store, wanted: Submission, *, at: datetime = NOON, arrived_count: int | None = None
) -> Job:
    job = await store.accept(wanted, now=at)
    await store.begin_drawing(job.id)
    await store.begin_delivery(job.id)
    picture = Picture(png=b"", score=1.5, index=2, tokens=(7, 8, 9), verdict=Verdict.BORDERLINE)
    return await store.settle(job.id, now=at, pictures=[picture], delivered_count=arrived_count)


async def test_a_job_of_the_past_is_told_with_all_that_was_asked_and_delivered(
    store: Store,
) -> None:
    wanted = submission(
        community="guild",
        channel="art",
        origin=JobId("first"),
        is_soft=True,
        strict=True,
        keep=(1, 2),
    )
    wanted = replace(wanted, request=replace(wanted.request, strict=True))
    job = await deliver(store, wanted)

    past = await store.archive.past(job.id)

    assert past is not None
    assert past.job.submission == wanted
    assert past.finished_at == NOON
    assert past.pictures == (KeptPicture(rank=1, index=2, score=1.5, verdict=Verdict.BORDERLINE),)
    assert await store.archive.past(JobId("nobody")) is None


async def test_what_was_hidden_behind_a_click_is_known_when_it_is_painted_again(
    store: Store,
) -> None:
    job = await store.accept(submission(), now=NOON)
    await store.begin_drawing(job.id)
    await store.begin_delivery(job.id)
    both = [
        Picture(png=b"", score=1.0, index=index, tokens=(7,), verdict=verdict)
        for index, verdict in enumerate([Verdict.BORDERLINE, Verdict.SAFE])
    ]
    await store.settle(job.id, now=NOON, pictures=both)

    past = await store.archive.past(job.id)

    assert past is not None
    assert [picture.verdict for picture in past.pictures] == [Verdict.BORDERLINE, Verdict.SAFE]


async def test_a_delivered_picture_is_kept_with_what_it_can_be_painted_from(store: Store) -> None:
    wanted = submission(seed=3)
    job = await deliver(store, wanted)

    kept = await store.archive.tokens(job.id, 1)

    assert kept == KeptTokens(request=wanted.request, index=2, tokens=(7, 8, 9))
    assert await store.archive.tokens(job.id, 2) is None
    assert await store.archive.tokens(JobId("nobody"), 1) is None


async def test_the_job_of_an_event_is_found(store: Store) -> None:
    job = await store.accept(submission(event_id="e1"), now=NOON)

    assert await store.archive.known(Platform.DISCORD, "e1") == job
    assert await store.archive.known(Platform.X, "e1") is None


async def test_the_queue_counts_those_who_wait_and_those_in_hand(store: Store) -> None:
    bob = person("bob")
    await deliver(store, submission(by=bob))
    drawn = await store.accept(submission(by=bob, picture_count=5), now=NOON, worker="bot")
    later = NOON + timedelta(seconds=1)
    waits = await store.accept(submission(by=bob, picture_count=2), now=later)
    await store.accept(submission(community="guild", picture_count=4), now=NOON)
    failed = await store.accept(submission(by=bob), now=NOON, worker="bot")
    await store.give_back(failed.id, reason="it broke", now=NOON)

    assert await store.archive.queue(bob) == QueueView(
        waiting_count=2, waiting_picture_count=6, drawing_count=1, own=(drawn, waits)
    )
    assert [job.id for job in await store.archive.open_jobs(bob)] == [drawn.id, waits.id]


async def test_an_empty_queue_is_empty(store: Store) -> None:
    assert await store.archive.queue(person()) == QueueView(
        waiting_count=0, waiting_picture_count=0, drawing_count=0, own=()
    )


async def test_the_jobs_of_a_community_are_counted_since_a_moment(store: Store) -> None:
    here = submission(community="guild", picture_count=3)

    def again(event_id: str) -> Submission:
        return replace(here, event_id=event_id)

    await deliver(store, again("old"), at=NOON - timedelta(days=2))
    await deliver(store, again("all"))
    await deliver(store, again("some"), arrived_count=1)
    await store.accept(submission(community="guild", by=person("bob")), now=NOON)
    failed = await store.accept(again("failed"), now=NOON)
    await store.abandon(failed.id, now=NOON)
    given_up = await store.accept(again("given up"), now=NOON)
    await store.cancel(given_up.id, person(), now=NOON)
    await deliver(store, submission(community="other"))

    stats = await store.archive.community_stats(
        Platform.DISCORD, "guild", since=NOON - timedelta(days=1)
    )

    assert stats == CommunityStats(
        request_count=5, picture_count=4, people_count=2, failed_count=1, cancelled_count=1
    )
    assert (await store.job(failed.id) or failed).state is JobState.FAILED


async def test_of_a_quiet_community_there_is_nothing_to_count(store: Store) -> None:
    stats = await store.archive.community_stats(Platform.DISCORD, "guild", since=NOON)

    assert stats == CommunityStats()
