from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.jobs import DuplicateEventError, JobId, JobState, Platform, Scope
from bot.store import KeptPicture, Rules
from bot.store.history import PURGED_TOGETHER, packed, unpacked
from bot.store.house import Grant
from bot.store.tables import jobs, pictures
from engine.api import Picture
from tests.support.audit import leaks
from tests.support.clock import NOON
from tests.support.factories import person, submission

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.jobs import Job
    from bot.store import Store
    from bot.store.database import Database

TOKENS = tuple(range(16_128, 16_384))


def picture(index: int, tokens: tuple[int, ...] = TOKENS) -> Picture:
    return Picture(png=b"not kept", score=10.0 - index, index=index, tokens=tokens)


async def delivered(store: Store, *, at: datetime = NOON, event_id: str | None = None) -> Job:
    job = await store.accept(submission(event_id=event_id), now=at)
    await store.begin_drawing(job.id)
    await store.begin_delivery(job.id)
    await store.settle(job.id, now=at, pictures=[picture(2), picture(0)])
    return job


async def tokens(store: Store, job_id: JobId, rank: int) -> tuple[int, ...] | None:
    kept = await store.archive.tokens(job_id, rank)
    return kept and kept.tokens


@given(before=st.lists(st.integers(0, 2**16 - 1)).map(tuple))
def test_tokens_come_back_as_they_were(before: tuple[int, ...]) -> None:
    assert unpacked(packed(before)) == before


def test_a_picture_of_256_tokens_is_512_bytes_low_byte_first() -> None:
    blob = packed(TOKENS)

    assert len(blob) == 512
    assert blob[:4] == bytes([0x00, 0x3F, 0x01, 0x3F])


async def test_what_was_delivered_can_be_drawn_again_without_its_file(store: Store) -> None:
    job = await delivered(store)

    assert await tokens(store, job.id, 1) == TOKENS
    assert await tokens(store, job.id, 2) == TOKENS
    assert await tokens(store, job.id, 3) is None
    assert await tokens(store, JobId("nobody"), 1) is None


async def test_the_history_tells_of_each_job_newest_first(store: Store) -> None:
    old = await delivered(store)
    new = await store.accept(submission(), now=NOON + timedelta(hours=1))
    await store.accept(submission(by=person("bob")), now=NOON)

    past = await store.archive.history(person())

    assert [entry.job.id for entry in past] == [new.id, old.id]
    assert [entry.finished_at for entry in past] == [None, NOON]
    assert past[0].pictures == ()
    assert past[1].pictures == (
        KeptPicture(rank=1, index=2, score=8.0),
        KeptPicture(rank=2, index=0, score=10.0),
    )
    assert past[1].job.state is JobState.DELIVERED


async def test_the_history_can_be_read_page_by_page(store: Store) -> None:
    sent = [
        await store.accept(submission(), now=NOON + timedelta(seconds=n // 2)) for n in range(5)
    ]

    seen: list[JobId] = []
    page = await store.archive.history(person(), limit=2)
    while page:
        seen += [entry.job.id for entry in page]
        page = await store.archive.history(person(), limit=2, before=seen[-1])

    assert sorted(seen) == sorted(job.id for job in sent)
    assert len(seen) == 5
    assert seen[0] == sent[4].id


async def test_old_jobs_are_forgotten_with_their_pictures_and_no_others(
    store: Store, database: Database
) -> None:
    old = await delivered(store, at=NOON - timedelta(days=90, seconds=1))
    kept = await delivered(store, at=NOON - timedelta(days=90))
    waiting = await store.accept(submission(), now=NOON - timedelta(days=100))

    gone_count = await store.purge(finished_before=NOON - timedelta(days=90), now=NOON)

    assert gone_count == 1
    assert await store.job(old.id) is None
    assert await tokens(store, old.id, 1) is None
    assert await database.read(picture_count) == 2
    left = await store.archive.history(person())
    assert {entry.job.id for entry in left} == {kept.id, waiting.id}


async def picture_count(connection: AsyncConnection) -> int:
    return len((await connection.execute(pictures.select())).all())


async def test_more_old_jobs_than_fit_one_transaction_are_all_forgotten(
    store: Store, database: Database
) -> None:
    first = await delivered(store)
    await database.write(lambda c: copy_job(c, first.id, PURGED_TOGETHER + 1))

    assert await store.purge(finished_before=NOON + timedelta(1), now=NOON) == PURGED_TOGETHER + 2
    assert await store.archive.history(person()) == []


async def copy_job(connection: AsyncConnection, job_id: JobId, count: int) -> None:
    row = (await connection.execute(jobs.select().where(jobs.c.id == job_id))).mappings().one()
    copies = [{**row, "id": f"copy-{n}", "event_id": f"copy-{n}"} for n in range(count)]
    await connection.execute(jobs.insert(), copies)


async def test_without_a_limit_of_age_every_job_is_kept(store: Store) -> None:
    job = await delivered(store, at=NOON - timedelta(days=9_000))

    assert await store.purge(finished_before=None, now=NOON) == 0
    assert await store.job(job.id) is not None


async def test_accounts_that_are_in_use_or_have_a_tier_are_kept(
    store: Store, database: Database
) -> None:
    long_ago = NOON - timedelta(days=60)
    await store.accept(submission(by=person("open")), now=long_ago)
    idle = await store.accept(submission(by=person("idle")), now=long_ago)
    await store.abandon(idle.id, now=long_ago)
    await store.house.grant(
        Grant(platform=Platform.DISCORD, scope=Scope.PERSON, of="friend", tier="friend"),
        by="admin",
        now=long_ago,
    )

    await store.purge(finished_before=None, now=NOON)

    names = await database.read(account_names)
    assert names == ["bot", "person/discord/friend", "person/discord/open"]
    assert await leaks(database) == []


async def account_names(connection: AsyncConnection) -> list[str]:
    rows = await connection.exec_driver_sql("SELECT id FROM accounts ORDER BY id")
    return [row.id for row in rows]


async def test_the_event_of_a_job_that_is_kept_is_still_known(store: Store) -> None:
    await delivered(store, event_id="1")

    await store.purge(finished_before=NOON - timedelta(days=1), now=NOON)

    with pytest.raises(DuplicateEventError):
        await store.accept(submission(event_id="1"), now=NOON, rules=Rules())
