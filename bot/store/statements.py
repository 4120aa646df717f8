"""The SQL of the store, for SQLite and PostgreSQL alike. Each runs in its caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.jobs import DuplicateEventError, JobState
from bot.store.errors import IllegalMoveError
from bot.store.jobs import sources_of
from bot.store.quotas import day_of, take
from bot.store.rows import job_of, values_of
from bot.store.tables import UNFINISHED, jobs, quota_days

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date

    from sqlalchemy import ColumnElement, Row, Select, Table
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.jobs import Job, JobId, Person, Platform

_INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


async def insert_if_new(
    connection: AsyncConnection, table: Table, values: Mapping[str, Any]
) -> bool:
    """Insert a row unless one with the same unique values is there; say whether it was new."""
    insert = _INSERT[connection.dialect.name](table).values(values).on_conflict_do_nothing()
    return (await connection.execute(insert)).rowcount == 1


async def insert_job(connection: AsyncConnection, job: Job) -> None:
    """Insert a new job.

    Raises:
        DuplicateEventError: Its event is a job already.
    """
    if not await insert_if_new(connection, jobs, values_of(job)):
        first = await connection.execute(first_job_query(job))
        raise DuplicateEventError(job_of(first.one()))


async def take_pictures(connection: AsyncConnection, job: Job, allowance_count: int) -> None:
    """Take the job's pictures from the day that pays for it.

    Raises:
        OverQuotaError: Fewer are left.
    """
    person, day = job.submission.person, day_of(job.accepted_at)
    key = {"platform": person.platform, "person_id": person.id, "day": day}
    await insert_if_new(connection, quota_days, {**key, "used_count": 0})
    # The row stays locked until the transaction ends: nobody else can take what is left.
    locked = await connection.scalars(used_count_query(person, day).with_for_update())
    wanted = job.submission.request.picture_count
    used_count = take(allowance_count, locked.one(), wanted, job.accepted_at)
    paying = _is_day(person.platform, person.id, day)
    await connection.execute(update(quota_days).where(paying).values(used_count=used_count))


async def give_pictures_back(connection: AsyncConnection, job_row: Row[Any]) -> None:
    """Give back to the day that paid for the job what it paid."""
    paid = _is_day(job_row.platform, job_row.person_id, job_row.quota_day)
    left = quota_days.c.used_count - job_row.picture_count
    await connection.execute(update(quota_days).where(paid).values(used_count=left))


async def move(
    connection: AsyncConnection, job_id: JobId, to: JobState, values: Mapping[str, Any]
) -> Row[Any]:
    """Move a job if ``LEGAL_MOVES`` lets it, setting ``values`` too; return its row.

    Raises:
        IllegalMoveError: It may not go there, or there is no such job.
    """
    moved = await connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state.in_(sources_of(to)))
        .values(state=to, **values)
        .returning(jobs)
    )
    row = moved.one_or_none()
    if row is None:
        raise IllegalMoveError(job_id, to)
    return row


def first_job_query(job: Job) -> Select[Any]:
    """The job that a platform's event became first."""
    submission = job.submission
    return select(jobs).where(
        jobs.c.platform == submission.person.platform, jobs.c.event_id == submission.event_id
    )


def unfinished_query(platforms: Collection[Platform]) -> Select[Any]:
    """Jobs that wait for something, oldest first."""
    return (
        select(jobs)
        .where(jobs.c.platform.in_(platforms), UNFINISHED)
        .order_by(jobs.c.accepted_at, jobs.c.id)
    )


def used_count_query(person: Person, day: date) -> Select[int]:
    """What a person's day has lost so far; no row is nothing."""
    return select(quota_days.c.used_count).where(_is_day(person.platform, person.id, day))


def _is_day(platform: str, person_id: str, day: date) -> ColumnElement[bool]:
    return and_(
        quota_days.c.platform == platform,
        quota_days.c.person_id == person_id,
        quota_days.c.day == day,
    )
