"""The truth about jobs, quotas and cursors: one use case, one transaction, one method."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, update

from bot.jobs import Job, JobId, JobState, Person, Platform, Scope, Submission
from bot.store import history, quotas, retention, statements
from bot.store.acceptance import Acceptance, Wish
from bot.store.archive import Archive
from bot.store.database import Database
from bot.store.errors import IllegalMoveError
from bot.store.house_records import HouseRecords
from bot.store.ledger import Ledger
from bot.store.overview import Overview
from bot.store.people_records import PeopleRecords
from bot.store.privacy import Privacy
from bot.store.quotas import Limits, Rules
from bot.store.rows import accounts_of, job_of
from bot.store.tables import cursors
from bot.store.x_records import XRecords

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.quotas import Standing
    from engine.api import Picture

DEFAULT_WORKER: Final = "bot"
"""The name of the process where there is only one; migration 0003 knows it too."""


class Store:
    """Jobs, quotas and cursors in a database. Close it when nobody uses it any more.

    Every method may raise ``StoreError``: the database failed, and the transaction was
    undone.

    Attributes:
        archive: Questions about jobs of the past and those that wait.
        house: What admins decide.
        people: What is kept about people besides their jobs.
        privacy: All that is kept about somebody.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._acceptance = Acceptance(database)
        self.archive = Archive(database)
        self.house = HouseRecords(database)
        self.people = PeopleRecords(database, self.house)
        self.privacy = Privacy(database)

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
        await self._acceptance.close()
        await self._database.close()

    @property
    def x(self) -> XRecords:
        """The tables of the X adapter, in the same database."""
        return XRecords(self._database)

    @property
    def overview(self) -> Overview:
        """Who waits for what, across all people."""
        return Overview(self._database)

    # -------------------------------------------------------------------- the life of a job

    async def accept(
        self,
        submission: Submission,
        *,
        now: datetime,
        rules: Rules | None = None,
        allowance_count: int = quotas.NO_LIMIT,
        worker: str | None = None,
    ) -> Job:
        """Store a submission as a job and take its pictures from all accounts that pay.

        The request must have a seed, so that it can be drawn again.

        Args:
            submission: What is asked for.
            now: The present (aware).
            rules: What must not be exceeded.
            allowance_count: Instead of ``rules``: a person's pictures a day, 0 is no limit.
            worker: The process that takes the job up at once; without one it waits in its
                line for ``take_up``.

        Raises:
            DuplicateEventError: The event is a job already; nothing was taken.
            OverQuotaError: A limit does not cover it; nothing was stored.
        """
        rules = rules or daily_rules(allowance_count)
        wish = Wish(job=_new_job(submission, now), rules=rules, worker=worker)
        return await self._acceptance.accept(wish)

    async def take_up(
        self, platforms: Collection[Platform], *, worker: str, room: int
    ) -> list[Job]:
        """Let waiting jobs, in fair order, leave their lines; nobody else gets them.

        Args:
            platforms: Whose jobs.
            worker: The process that will draw them, now or after a restart.
            room: For how many pictures; the last job may exceed it.
        """

        async def use_case(connection: AsyncConnection) -> list[Job]:
            return await statements.take_up(connection, platforms, worker=worker, room=room)

        return await self._database.write(use_case)

    async def begin_drawing(self, job_id: JobId, worker: str = DEFAULT_WORKER) -> Job:
        """Note that the job is being drawn, for the first time or again.

        Returns:
            The job, with how often this was begun before in ``begun_count``.

        Raises:
            IllegalMoveError: The job is finished or unknown.
        """

        async def use_case(connection: AsyncConnection) -> Job:
            return job_of(await statements.begin_drawing(connection, job_id, worker))

        begun = await self._database.write(use_case)
        return replace(begun, begun_count=begun.begun_count - 1)

    async def begin_delivery(self, job_id: JobId) -> Job:
        """Note one more attempt to deliver, before it is made.

        Returns:
            The job as its delivery must see it: ``attempt_count`` without this attempt.

        Raises:
            IllegalMoveError: The job is not drawn, finished or unknown.
        """
        return await self._count_attempt(job_id, JobState.DELIVERING, begun_count=0)

    async def settle(
        self,
        job_id: JobId,
        *,
        now: datetime,
        delivered_count: int | None = None,
        pictures: Sequence[Picture] = (),
    ) -> Job:
        """Note that pictures arrived, keep their tokens, and give back what did not arrive.

        Args:
            job_id: The job.
            now: The present (aware).
            delivered_count: How many arrived; ``None`` is all that were asked for.
            pictures: What was drawn, best first.

        Raises:
            IllegalMoveError: The job is not being delivered or unknown.
        """

        async def use_case(connection: AsyncConnection) -> Job:
            row = await statements.finish(
                connection,
                job_id,
                JobState.DELIVERED,
                kept_count=delivered_count,
                values={"finished_at": now},
            )
            await history.keep(connection, job_id, pictures)
            return job_of(row)

        return await self._database.write(use_case)

    async def give_back(self, job_id: JobId, *, reason: str, label: str = "", now: datetime) -> Job:
        """Note that there will be no pictures, give the quota back and owe an apology.

        This counts as the first attempt to apologise, as ``begin_delivery`` counts its own.

        Args:
            job_id: The job.
            reason: What ended it, for the admin and for ``bot.outcomes.revived``.
            label: What ended it, by its label in ``bot.outcomes``.
            now: The present (aware).

        Raises:
            IllegalMoveError: The job is finished or unknown; nothing was given back.
        """
        del now  # it is finished when the person has been told

        async def use_case(connection: AsyncConnection) -> Job:
            row = await statements.finish(
                connection,
                job_id,
                JobState.APOLOGISING,
                kept_count=0,
                values={"error": reason, "error_label": label or None},
                counted="attempt_count",
            )
            return _before_this_attempt(job_of(row))

        return await self._database.write(use_case)

    async def begin_apology(self, job_id: JobId) -> Job:
        """Note one more attempt to apologise, before it is made.

        Raises:
            IllegalMoveError: No apology is owed.
        """
        return await self._count_attempt(job_id, JobState.APOLOGISING)

    async def abandon(self, job_id: JobId, *, now: datetime, reason: str | None = None) -> Job:
        """Note that the job has failed and that nobody is to be told any more.

        Gives the quota back if that was not done before.

        Raises:
            IllegalMoveError: The job is finished or unknown.
        """
        values = {"finished_at": now} | ({} if reason is None else {"error": reason})

        async def use_case(connection: AsyncConnection) -> Job:
            return job_of(
                await statements.finish(
                    connection, job_id, JobState.FAILED, kept_count=0, values=values
                )
            )

        return await self._database.write(use_case)

    async def cancel(self, job_id: JobId, person: Person, *, now: datetime) -> Job | None:
        """Give up a job for its person, and give the quota back.

        Returns:
            The job, or ``None`` if it is unknown, another's, finished or (perhaps, after a
            crash) delivered: nothing was changed then.
        """

        async def use_case(connection: AsyncConnection) -> Job | None:
            await Ledger.open(connection)  # before looking: nothing changes from here on
            row = await statements.row_of(connection, job_id)
            if row is None or job_of(row).submission.person != person or row.attempt_count > 0:
                return None
            finished = {"finished_at": now}
            return job_of(
                await statements.finish(
                    connection, job_id, JobState.CANCELLED, kept_count=0, values=finished
                )
            )

        try:
            return await self._database.write(use_case)
        except IllegalMoveError:
            return None

    async def release(self, worker: str) -> None:
        """Note that a process ends in good order: what it was drawing did not make it crash."""
        await self._database.write(lambda connection: statements.release(connection, worker))

    # ------------------------------------------------------------------------ what there is

    async def job(self, job_id: JobId) -> Job | None:
        """The job, if there is one of that id."""

        async def use_case(connection: AsyncConnection) -> Job | None:
            row = await statements.row_of(connection, job_id)
            return None if row is None else job_of(row)

        return await self._database.read(use_case)

    async def unfinished(self, platforms: Collection[Platform]) -> list[Job]:
        """The jobs of these platforms for which something is to be done, oldest first.

        All of them, however many wait.
        """

        async def use_case(connection: AsyncConnection) -> list[Job]:
            rows = await connection.execute(statements.unfinished_query(platforms))
            return [job_of(row) for row in rows]

        return await self._database.read(use_case)

    async def taken(self, worker: str, platforms: Collection[Platform]) -> list[Job]:
        """The unfinished jobs that a process of this name had taken up, oldest first."""

        async def use_case(connection: AsyncConnection) -> list[Job]:
            rows = await connection.execute(statements.taken_query(worker))
            return [job_of(row) for row in rows if row.platform in platforms]

        return await self._database.read(use_case)

    async def failure(self, job_id: JobId) -> tuple[str, str]:
        """The label and the reason that ``give_back`` noted; empty where there are none."""

        async def use_case(connection: AsyncConnection) -> tuple[str, str]:
            row = await statements.row_of(connection, job_id)
            return ("", "") if row is None else (row.error_label or "", row.error or "")

        return await self._database.read(use_case)

    @property
    def open_picture_count(self) -> int:
        """Pictures of everybody that were to come when a job was accepted here last."""
        return self._acceptance.open_picture_count

    async def purge(self, *, finished_before: datetime | None, now: datetime) -> int:
        """Forget what was kept long enough, and complete erasures; return how many jobs went.

        Args:
            finished_before: Of which jobs and mentions; ``None`` keeps them all.
            now: The present (aware).
        """
        await self.privacy.complete(now=now)
        return await retention.purge(self._database, finished_before=finished_before, now=now)

    # ------------------------------------------------------------------------------- limits

    async def allowance_left(
        self, person: Person, *, now: datetime, allowance_count: int
    ) -> int | None:
        """How many pictures the person may still ask for today; ``None`` is no limit."""
        left = await self.standing(person, rules=daily_rules(allowance_count), now=now)
        return left[Scope.PERSON].daily_left_count

    async def standing(
        self,
        person: Person,
        *,
        rules: Rules,
        now: datetime,
        community: str | None = None,
        tiers: Collection[str] = (),
    ) -> dict[Scope, Standing]:
        """How much is left to somebody, here and now, in each account that would pay."""

        async def use_case(connection: AsyncConnection) -> dict[Scope, Standing]:
            ledger = await Ledger.peek(connection)
            ids = accounts_of(person, community)
            await ledger.load(ids.values())
            limits = ledger.limits(person, community, tiers, rules, now)
            return {
                scope: quotas.standing(
                    ledger.holder(id_, person.platform, now).account, limits[scope], now
                )
                for scope, id_ in ids.items()
            }

        return await self._database.read(use_case)

    # ------------------------------------------------------------------------------ cursors

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

    async def _count_attempt(self, job_id: JobId, to: JobState, **values: Any) -> Job:
        async def use_case(connection: AsyncConnection) -> Job:
            moved = statements.move(connection, job_id, to, values, counted="attempt_count")
            return job_of(await moved)

        return _before_this_attempt(await self._database.write(use_case))


def daily_rules(allowance_count: int) -> Rules:
    """Nothing but a person's pictures a day; 0 is no limit."""
    return Rules(person=Limits(daily_count=allowance_count or None))


def _before_this_attempt(counted: Job) -> Job:
    return replace(counted, attempt_count=counted.attempt_count - 1)


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
