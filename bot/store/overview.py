"""Who waits for what: the unfinished jobs of everybody, counted for metrics and admins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import case, func, select

from bot.jobs import JobState, Platform
from bot.store.house_tables import reports
from bot.store.rows import job_of
from bot.store.tables import FINISHED, UNFINISHED, jobs

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.jobs import Job
    from bot.store.database import Database

SHOWN_PEOPLE_COUNT: Final = 20
SHOWN_JOB_COUNT: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Unfinished jobs of a platform that stand at the same point.

    Attributes:
        oldest_at: When the oldest of them was accepted (aware).
    """

    platform: Platform
    state: JobState
    job_count: int
    picture_count: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLoad:
    """Unfinished jobs of one person."""

    platform: Platform
    person_id: str
    job_count: int
    picture_count: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Who waits.

    Attributes:
        people: Those with the most pictures to come.
        jobs: The oldest unfinished jobs.
    """

    people: tuple[PersonLoad, ...]
    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What became of the requests of a platform.

    Attributes:
        error_label: What ended them, by ``bot.outcomes``; ``None`` where nothing did.
        picture_count: Pictures that were asked for and, where delivered, have arrived.
    """

    platform: Platform
    state: JobState
    error_label: str | None
    job_count: int
    picture_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What happened to the requests that were accepted since some moment.

    Attributes:
        tallies: By platform, state and error.
        people_count: Who asked.
        durations_s: From acceptance to delivery, shortest first.
    """

    tallies: tuple[Tally, ...]
    people_count: int
    durations_s: tuple[float, ...]


class Overview:
    """Reads across all people. Every method may raise ``StoreError``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def loads(self) -> tuple[Load, ...]:
        """The unfinished jobs, by platform and state."""

        async def use_case(connection: AsyncConnection) -> tuple[Load, ...]:
            rows = await connection.execute(loads_query())
            return tuple(
                Load(
                    platform=Platform(row.platform),
                    state=JobState(row.state),
                    job_count=row.job_count,
                    picture_count=row.picture_count,
                    oldest_at=row.oldest_at,
                )
                for row in rows
            )

        return await self._database.read(use_case)

    async def crowd(self) -> Crowd:
        """The people with the most pictures to come, and the oldest unfinished jobs."""

        async def use_case(connection: AsyncConnection) -> Crowd:
            people = await connection.execute(people_query())
            oldest = await connection.execute(oldest_query())
            return Crowd(
                people=tuple(
                    PersonLoad(
                        platform=Platform(row.platform),
                        person_id=row.person_id,
                        job_count=row.job_count,
                        picture_count=row.picture_count,
                        oldest_at=row.oldest_at,
                    )
                    for row in people
                ),
                jobs=tuple(job_of(row) for row in oldest),
            )

        return await self._database.read(use_case)

    async def open_report_count(self) -> int:
        """How many reports no admin has seen to yet."""
        counting = select(func.count()).where(reports.c.closed_at.is_(None))

        async def use_case(connection: AsyncConnection) -> int:
            return await connection.scalar(counting) or 0

        return await self._database.read(use_case)

    async def since(self, moment: datetime) -> Span:
        """What happened to the requests that were accepted since then, in the database."""

        async def use_case(connection: AsyncConnection) -> Span:
            tallies = await connection.execute(tallies_query(moment))
            people = await connection.execute(asking_query(moment))
            times = await connection.execute(times_query(moment))
            lengths = ((row.finished_at - row.accepted_at).total_seconds() for row in times)
            return Span(
                tallies=tuple(
                    Tally(
                        platform=Platform(row.platform),
                        state=JobState(row.state),
                        error_label=row.error_label,
                        job_count=row.job_count,
                        picture_count=row.picture_count,
                    )
                    for row in tallies
                ),
                people_count=len(people.all()),
                durations_s=tuple(sorted(lengths)),
            )

        return await self._database.read(use_case)


_SUMS: Final = (
    func.count().label("job_count"),
    func.sum(jobs.c.picture_count).label("picture_count"),
    func.min(jobs.c.accepted_at).label("oldest_at"),
)


def loads_query() -> Select[*tuple[Any, ...]]:
    """Unfinished jobs by platform and state."""
    point = (jobs.c.platform, jobs.c.state)
    return select(*point, *_SUMS).where(UNFINISHED).group_by(*point).order_by(*point)


def people_query() -> Select[*tuple[Any, ...]]:
    """Those with the most pictures to come."""
    who = (jobs.c.platform, jobs.c.person_id)
    most = func.sum(jobs.c.picture_count).desc()
    return (
        select(*who, *_SUMS)
        .where(UNFINISHED)
        .group_by(*who)
        .order_by(most, *who)
        .limit(SHOWN_PEOPLE_COUNT)
    )


def oldest_query() -> Select[*tuple[Any, ...]]:
    """The oldest unfinished jobs of all platforms."""
    return (
        select(jobs)
        .where(UNFINISHED)
        .order_by(jobs.c.accepted_at, jobs.c.id)
        .limit(SHOWN_JOB_COUNT)
    )


def tallies_query(moment: datetime) -> Select[*tuple[Any, ...]]:
    """Requests since then, by what became of them; a delivered one counts what it paid for."""
    end = (jobs.c.platform, jobs.c.state, jobs.c.error_label)
    is_paid = jobs.c.state == JobState.DELIVERED
    pictures = case((is_paid, jobs.c.held_count), else_=jobs.c.picture_count)
    sums = (func.count().label("job_count"), func.sum(pictures).label("picture_count"))
    return select(*end, *sums).where(jobs.c.accepted_at >= moment).group_by(*end).order_by(*end)


def asking_query(moment: datetime) -> Select[*tuple[Any, ...]]:
    """Who asked since then."""
    who = (jobs.c.platform, jobs.c.person_id)
    return select(*who).where(jobs.c.accepted_at >= moment).distinct()


def times_query(moment: datetime) -> Select[*tuple[Any, ...]]:
    """When the requests since then were accepted and delivered."""
    return select(jobs.c.accepted_at, jobs.c.finished_at).where(
        jobs.c.accepted_at >= moment, jobs.c.state == JobState.DELIVERED, FINISHED
    )
