"""Mentions that were settled long ago are forgotten, unless X may still show them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from bot.jobs import Platform
from bot.store.x_pruning import LEAST_AGE, MARGIN, PURGED_TOGETHER
from bot.store.x_states import OPEN, Cost, Gap, MentionState, NewMention
from bot.store.x_tables import x_attempts, x_mentions
from bot.x.ids import ids_in, oldest_possible_id
from bot.x.polling import OVERLAP
from tests.support.clock import NOON
from tests.support.factories import person, submission

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store import Store
    from bot.store.database import Database

FREE = Cost(call="reply", unit_count=0, unit_micros=0)
LONG_AGO = NOON - timedelta(days=400)
A_YEAR_AGO = NOON - timedelta(days=365)
# The ids of real posts; the newest one that was read is of now.
OLD = oldest_possible_id(LONG_AGO)
NEWEST = oldest_possible_id(NOON)


def mention(root_id: int = OLD, author: str = "ada") -> NewMention:
    return NewMention(
        root_id=root_id,
        latest_id=root_id,
        author_id=author,
        conversation_id="7",
        answers_id=None,
        prompt="a cube",
        command=None,
        ignored_because=None,
    )


async def settle(
    store: Store,
    *mentions: NewMention,
    at: datetime = LONG_AGO,
    to: MentionState = MentionState.IGNORED,
    read_up_to: int = NEWEST,
) -> None:
    gap = Gap(lo_id=0, hi_id=read_up_to)
    await store.x.timeline.keep_page(mentions, gap, FREE, is_last=True, now=at)
    for new in mentions:
        await store.x.mentions.decide(new.root_id, to, now=at)


async def ids(database: Database) -> list[int]:
    async def use_case(connection: AsyncConnection) -> list[int]:
        return list(await connection.scalars(select(x_mentions.c.root_id)))

    return sorted(await database.read(use_case))


async def purge(store: Store, *, before: datetime = A_YEAR_AGO) -> None:
    await store.purge(finished_before=before, now=NOON)


async def test_a_mention_that_was_settled_long_ago_is_forgotten_with_its_attempts(
    database: Database, store: Store
) -> None:
    gap = Gap(lo_id=0, hi_id=NEWEST)
    await store.x.timeline.keep_page([mention()], gap, FREE, is_last=True, now=LONG_AGO)
    await store.x.mentions.begin_drawing(OLD, now=LONG_AGO)
    await store.x.attempts.begin(OLD, "Here.", FREE, give_up_at=NOON, limit_micros=0, now=LONG_AGO)
    await purge(store)
    assert await ids(database) == [OLD]  # its attempt may be out

    await store.x.attempts.sent(OLD, 99, now=LONG_AGO)
    await purge(store)

    async def attempts(connection: AsyncConnection) -> list[Any]:
        return list(await connection.execute(select(x_attempts)))

    assert (await ids(database), await database.read(attempts)) == ([], [])


@pytest.mark.parametrize("state", sorted(OPEN))
async def test_a_mention_that_waits_for_something_is_kept(
    database: Database, store: Store, state: MentionState
) -> None:
    await settle(store, mention())

    async def reopen(connection: AsyncConnection) -> None:
        await connection.execute(x_mentions.update().values(state=state))

    await database.write(reopen)
    await purge(store)

    assert await ids(database) == [OLD]


async def test_a_mention_is_kept_for_eight_days_however_short_history_is(
    database: Database, store: Store
) -> None:
    old, young = mention(OLD), mention(OLD + 1)
    await settle(store, old, at=NOON - LEAST_AGE - timedelta(seconds=1))
    await settle(store, young, at=NOON - LEAST_AGE)

    await purge(store, before=NOON - timedelta(days=1))

    assert await ids(database) == [young.root_id]


async def test_mentions_that_the_next_read_may_show_again_are_kept(
    database: Database, store: Store
) -> None:
    """On an account that nobody mentions, the newest one is read again and again for months."""
    below, at_the_edge, newest = OLD - MARGIN - 1, OLD - MARGIN, OLD
    await settle(store, *map(mention, (below, at_the_edge, newest)), read_up_to=newest)

    await purge(store)

    assert await ids(database) == [at_the_edge, newest]
    assert MARGIN == ids_in(timedelta(hours=1)) > OVERLAP


async def test_mentions_that_an_unfinished_walk_may_show_again_are_kept(
    database: Database, store: Store
) -> None:
    await settle(store, mention(OLD), mention(OLD + 2 * MARGIN))
    walk = Gap(lo_id=OLD + 2 * MARGIN - 1, hi_id=NEWEST + 1, next_until_id=NEWEST, read_count=1)
    await store.x.timeline.keep_page([], walk, FREE, is_last=False, now=NOON)

    await purge(store)

    assert await ids(database) == [OLD + 2 * MARGIN]


async def test_mentions_of_a_person_with_an_unfinished_job_are_kept(
    database: Database, store: Store
) -> None:
    await settle(store, mention(OLD, "ada"), mention(OLD + 1, "bob"))
    await store.accept(submission(by=person("ada", Platform.X)), now=LONG_AGO)

    await purge(store)

    assert await ids(database) == [OLD]


async def test_more_old_mentions_than_fit_one_transaction_are_all_forgotten(
    database: Database, store: Store
) -> None:
    await settle(store, mention())

    async def copy(connection: AsyncConnection) -> None:
        row = (await connection.execute(select(x_mentions))).mappings().one()
        copies = [{**row, "root_id": OLD - n} for n in range(1, PURGED_TOGETHER + 2)]
        await connection.execute(x_mentions.insert(), copies)

    await database.write(copy)
    await purge(store)

    assert await ids(database) == []


async def test_without_a_limit_of_age_every_mention_is_kept(
    database: Database, store: Store
) -> None:
    await settle(store, mention())

    await store.purge(finished_before=None, now=NOON)

    assert await ids(database) == [OLD]


async def test_who_said_stop_is_remembered_when_the_mention_is_forgotten(
    database: Database, store: Store
) -> None:
    gap = Gap(lo_id=0, hi_id=NEWEST)
    stop, refused = mention(OLD, "ada"), mention(OLD + 1, "bob")
    await store.x.timeline.keep_page([stop, refused], gap, FREE, is_last=True, now=LONG_AGO)
    await store.x.people.opt_out(OLD, "ada", now=LONG_AGO)
    await store.x.people.say_once_a_day(OLD + 1, "bob", "No.", now=LONG_AGO)
    await store.x.mentions.decide(OLD + 1, MentionState.EXPIRED, now=LONG_AGO)

    await purge(store)

    assert await ids(database) == []
    assert await store.x.people.is_opted_out("ada")
    assert await people(database) == ["ada"]


async def people(database: Database) -> list[str]:
    async def use_case(connection: AsyncConnection) -> list[str]:
        rows = await connection.exec_driver_sql("SELECT author_id FROM x_people ORDER BY 1")
        return [row.author_id for row in rows]

    return await database.read(use_case)
