"""Questions about jobs, those of the past and those that wait. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, case, distinct, func, or_, select

from bot.jobs import JobState
from bot.store import history, statements
from bot.store.house import CommunityStats
from bot.store.jobs import OPEN
from bot.store.ledger import Ledger
from bot.store.rows import job_of
from bot.store.tables import FINISHED, UNFINISHED, jobs

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.jobs import Job, JobId, Person, Platform
    from bot.store.database import Database
    from bot.store.history import KeptTokens, Past


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """Who waits just now.

    Attributes:
        waiting_count: Jobs of everybody that wait in their lines.
        waiting_picture_count: Their pictures.
        drawing_count: Jobs that are in hand: with an engine or on their way.
        own: The person's jobs whose pictures are still to come, oldest first.
    """

    waiting_count: int
    waiting_picture_count: int
    drawing_count: int
    own: tuple[Job, ...]


class Archive:
    """Answers questions about jobs.

    Every method may raise ``StoreError``: the database failed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def past(self, job_id: JobId) -> Past | None:
        """A job, whatever became of it, with what was delivered; while it is kept."""

        async def use_case(connection: AsyncConnection) -> Past | None:
            row = await statements.row_of(connection, job_id)
            found = await history.with_pictures(connection, [] if row is None else [row])
            return found[0] if found else None

        return await self._database.read(use_case)

    async def pasts(self, job_ids: Collection[JobId]) -> dict[JobId, Past]:
        """Several at once, by id; those that are not kept (any more) are missing."""

        async def use_case(connection: AsyncConnection) -> dict[JobId, Past]:
            query = select(jobs).where(jobs.c.id.in_(job_ids))
            found = (await connection.execute(query)).all()
            return {past.job.id: past for past in await history.with_pictures(connection, found)}

        return await self._database.read(use_case)

    async def history(
        self, person: Person, *, limit: int = 20, before: JobId | None = None
    ) -> list[Past]:
        """The newest jobs of somebody, newest first; or those older than the job ``before``."""

        async def use_case(connection: AsyncConnection) -> list[Past]:
            return await history.past_of(connection, person, limit=limit, before=before)

        return await self._database.read(use_case)

    async def tokens(self, job_id: JobId, rank: int) -> KeptTokens | None:
        """What a delivered picture (1 is the best) can be painted from, while it is kept."""
        return await self._database.read(
            lambda connection: history.tokens_of(connection, job_id, rank)
        )

    async def known(self, platform: Platform, event_id: str) -> Job | None:
        """The job that an event of a platform became."""
        query = select(jobs).where(jobs.c.platform == platform, jobs.c.event_id == event_id)

        async def use_case(connection: AsyncConnection) -> Job | None:
            row = (await connection.execute(query)).first()
            return None if row is None else job_of(row)

        return await self._database.read(use_case)

    async def open_jobs(self, person: Person) -> list[Job]:
        """The jobs of somebody whose pictures are still to come, oldest first."""

        async def use_case(connection: AsyncConnection) -> list[Job]:
            return [job_of(row) for row in await connection.execute(open_query(person))]

        return await self._database.read(use_case)

    async def queue(self, person: Person) -> QueueView:
        """Who waits just now: as quick for a hundred thousand jobs as for ten."""

        async def use_case(connection: AsyncConnection) -> QueueView:
            everybody = await Ledger.peek(connection)
            in_hand = (await connection.execute(IN_HAND)).one()
            own = await connection.execute(open_query(person))
            return QueueView(
                waiting_count=max(0, everybody.open_count - in_hand.job_count),
                waiting_picture_count=max(0, everybody.open_picture_count - in_hand.picture_count),
                drawing_count=in_hand.job_count,
                own=tuple(job_of(row) for row in own),
            )

        return await self._database.read(use_case)

    async def community_stats(
        self, platform: Platform, community: str, *, since: datetime
    ) -> CommunityStats:
        """What was asked for in a community since then, as far as it is kept."""

        async def use_case(connection: AsyncConnection) -> CommunityStats:
            row = (await connection.execute(stats_query(platform, community, since))).one()
            return CommunityStats(
                request_count=row.request_count,
                picture_count=row.picture_count or 0,
                people_count=row.people_count,
                failed_count=row.failed_count or 0,
                cancelled_count=row.cancelled_count or 0,
            )

        return await self._database.read(use_case)


# Few, however many wait: all that is not in hand does, and the bot's account counts all.
IN_HAND: Final = select(
    func.count().label("job_count"),
    func.coalesce(func.sum(jobs.c.picture_count), 0).label("picture_count"),
).where(UNFINISHED, jobs.c.worker.is_not(None), jobs.c.state.in_(sorted(OPEN)))


def open_query(person: Person) -> Select[Any]:
    """The jobs of somebody whose pictures are still to come, oldest first."""
    return (
        select(jobs)
        .where(
            jobs.c.platform == person.platform,
            jobs.c.person_id == person.id,
            UNFINISHED,
            jobs.c.state.in_(sorted(OPEN)),
        )
        .order_by(jobs.c.accepted_at, jobs.c.id)
    )


def stats_query(platform: Platform, community: str, since: datetime) -> Select[*tuple[Any, ...]]:
    """Count the jobs of a community that were accepted since then.

    What was accepted since then is not finished or was finished since then: both have an
    index, so that none of communities is needed, which every new job would have to pay for.
    """
    is_recent = or_(UNFINISHED, and_(FINISHED, jobs.c.finished_at >= since))
    return select(
        func.count().label("request_count"),
        func.count(distinct(jobs.c.person_id)).label("people_count"),
        _sum_where(jobs.c.state == JobState.DELIVERED, jobs.c.held_count).label("picture_count"),
        _sum_where(jobs.c.state == JobState.FAILED, 1).label("failed_count"),
        _sum_where(jobs.c.state == JobState.CANCELLED, 1).label("cancelled_count"),
    ).where(
        jobs.c.platform == platform,
        jobs.c.community == community,
        jobs.c.accepted_at >= since,
        is_recent,
    )


def _sum_where(condition: ColumnElement[bool], value: Any) -> ColumnElement[Any]:
    return func.sum(case((condition, value), else_=0))
