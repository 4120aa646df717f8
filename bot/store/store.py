"""The truth about jobs, quotas and cursors: one use case, one transaction, one method."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from bot.jobs import Job, JobId, JobState, Person, Platform, Submission
from bot.store import statements
from bot.store.database import Database
from bot.store.quotas import day_of, left_count
from bot.store.rows import job_of
from bot.store.tables import cursors, jobs
from bot.store.x_records import XRecords

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection


class Store:
    """Jobs, quotas and cursors in a database. Close it when nobody uses it any more.

    Every method may raise ``StoreError``: the database failed, and the transaction was
    undone.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def __repr__(self) -> str:
        return f"<Store {self._database.url.render_as_string(hide_password=True)}>"

    @classmethod
    async def open(cls, url: str) -> Store:
        """Open the database behind ``url``, created and migrated where needed.

        Raises:
            StoreError: With the sentence that says what to do.
        """
        return cls(await Database.open(url))

    async def close(self) -> None:
        """Let running transactions end and close all connections."""
        await self._database.close()

    @property
    def x(self) -> XRecords:
        """The tables of the X adapter, in the same database."""
        return XRecords(self._database)

    async def accept(self, submission: Submission, *, now: datetime, allowance_count: int) -> Job:
        """Store a submission as a job and take its pictures from the person's day.

        The request must have a seed, so that it can be drawn again.

        Raises:
            DuplicateEventError: The event is a job already; nothing was taken.
            OverQuotaError: The allowance does not cover it; nothing was stored.
        """
        job = _new_job(submission, now)

        async def use_case(connection: AsyncConnection) -> None:
            await statements.insert_job(connection, job)
            await statements.take_pictures(connection, job, allowance_count)

        await self._database.write(use_case)
        return job

    async def begin_drawing(self, job_id: JobId) -> Job:
        """Note that the job is being drawn, for the first time or again.

        Raises:
            IllegalMoveError: The job is finished or unknown.
        """
        return await self._move(job_id, JobState.DRAWING)

    async def begin_delivery(self, job_id: JobId) -> Job:
        """Note one more attempt to deliver, before it is made.

        Returns:
            The job as its delivery must see it: ``attempt_count`` without this attempt.

        Raises:
            IllegalMoveError: The job is not drawn, finished or unknown.
        """
        counted = await self._move(
            job_id, JobState.DELIVERING, attempt_count=jobs.c.attempt_count + 1
        )
        return replace(counted, attempt_count=counted.attempt_count - 1)

    async def settle(self, job_id: JobId, *, now: datetime) -> Job:
        """Note that the pictures arrived; what was taken for them stays taken.

        Raises:
            IllegalMoveError: The job is not being delivered or unknown.
        """
        return await self._move(job_id, JobState.DELIVERED, finished_at=now)

    async def give_back(self, job_id: JobId, *, reason: str, now: datetime) -> Job:
        """Note that there will be no pictures and give the person's day back what it paid.

        Raises:
            IllegalMoveError: The job is finished or unknown; nothing was given back.
        """

        async def use_case(connection: AsyncConnection) -> Job:
            values = {"finished_at": now, "error": reason}
            row = await statements.move(connection, job_id, JobState.FAILED, values)
            await statements.give_pictures_back(connection, row)
            return job_of(row)

        return await self._database.write(use_case)

    async def job(self, job_id: JobId) -> Job | None:
        """The job, if there is one of that id."""

        async def use_case(connection: AsyncConnection) -> Job | None:
            row = (await connection.execute(select(jobs).where(jobs.c.id == job_id))).first()
            return None if row is None else job_of(row)

        return await self._database.read(use_case)

    async def unfinished(self, platforms: Collection[Platform]) -> list[Job]:
        """The jobs of these platforms that are neither delivered nor failed, oldest first."""

        async def use_case(connection: AsyncConnection) -> list[Job]:
            rows = await connection.execute(statements.unfinished_query(platforms))
            return [job_of(row) for row in rows]

        return await self._database.read(use_case)

    async def allowance_left(
        self, person: Person, *, now: datetime, allowance_count: int
    ) -> int | None:
        """How many pictures the person may still ask for today; ``None`` is no limit."""

        async def use_case(connection: AsyncConnection) -> int | None:
            used_count = await connection.scalar(statements.used_count_query(person, day_of(now)))
            return left_count(allowance_count, used_count or 0)

        return await self._database.read(use_case)

    async def read_cursor(self, name: str) -> str | None:
        """What ``write_cursor`` last wrote under that name: how far a stream was read."""

        async def use_case(connection: AsyncConnection) -> str | None:
            return await connection.scalar(select(cursors.c.value).where(cursors.c.name == name))

        return await self._database.read(use_case)

    async def write_cursor(self, name: str, value: str) -> None:
        """Remember ``value`` under ``name``, in place of what was there."""

        async def use_case(connection: AsyncConnection) -> None:
            if not await statements.insert_if_new(
                connection, cursors, {"name": name, "value": value}
            ):
                await connection.execute(
                    update(cursors).where(cursors.c.name == name).values(value=value)
                )

        await self._database.write(use_case)

    async def _move(self, job_id: JobId, to: JobState, **values: Any) -> Job:
        async def use_case(connection: AsyncConnection) -> Job:
            return job_of(await statements.move(connection, job_id, to, values))

        return await self._database.write(use_case)


def _new_job(submission: Submission, now: datetime) -> Job:
    if submission.request.seed is None:
        raise ValueError("a job needs a seed, so that it can be drawn again")
    return Job(
        id=JobId(secrets.token_hex(10)),
        submission=submission,
        state=JobState.ACCEPTED,
        attempt_count=0,
        accepted_at=now,
    )
