"""The SQL of jobs, for SQLite and PostgreSQL alike. Each runs in its caller's transaction."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select, update

from bot.jobs import JobState
from bot.store.errors import IllegalMoveError
from bot.store.inserts import insert_into
from bot.store.jobs import OPEN, sources_of
from bot.store.ledger import Ledger, is_waiting
from bot.store.rows import AccountId, job_of
from bot.store.tables import UNFINISHED, WAITING, jobs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import Row, Select, Table
    from sqlalchemy.ext.asyncio import AsyncConnection
    from sqlalchemy.sql.dml import ReturningUpdate

    from bot.jobs import Job, JobId, Platform


async def insert_if_new(
    connection: AsyncConnection, table: Table, values: Mapping[str, Any]
) -> bool:
    """Insert a row unless one with the same unique values is there; say whether it was new."""
    insert = insert_into(connection.dialect.name, table).values(values).on_conflict_do_nothing()
    return (await connection.execute(insert)).rowcount == 1


async def move(
    connection: AsyncConnection,
    job_id: JobId,
    to: JobState,
    values: Mapping[str, Any],
    *,
    counted: str | None = None,
) -> Row[Any]:
    """Move a job if ``LEGAL_MOVES`` lets it, setting ``values`` too; return its row.

    Args:
        connection: In a transaction.
        job_id: The job.
        to: Where to.
        values: Further columns.
        counted: A column to which one is added.

    Raises:
        IllegalMoveError: It may not go there, or there is no such job.
    """
    given = {f"new_{name}": value for name, value in values.items()}
    moved = await connection.execute(_move(to, tuple(values), counted), {"job_id": job_id, **given})
    row = moved.one_or_none()
    if row is None:
        unmoved = await connection.scalar(select(jobs.c.state).where(jobs.c.id == job_id))
        raise IllegalMoveError(job_id, to, None if unmoved is None else JobState(unmoved))
    return row


@cache
def _move(to: JobState, names: tuple[str, ...], counted: str | None) -> ReturningUpdate[Any]:
    """As all statements that run for every job: slow to build, so it is built once."""
    new: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
    if counted is not None:
        new[counted] = jobs.c[counted] + 1
    return (
        update(jobs)
        .where(jobs.c.id == bindparam("job_id"), jobs.c.state.in_(sources_of(to)))
        .values(state=to, **new)
        .returning(jobs)
    )


async def finish(
    connection: AsyncConnection,
    job_id: JobId,
    to: JobState,
    *,
    kept_count: int | None,
    values: Mapping[str, Any],
    counted: str | None = None,
) -> Row[Any]:
    """Move a job to where its pictures are no longer to come; settle its accounts if open.

    Args:
        connection: In a transaction.
        job_id: The job.
        to: A state that is not open.
        kept_count: How many of its pictures stay taken; ``None`` is all.
        values: Further columns.
        counted: A column to which one is added.

    Raises:
        IllegalMoveError: It may not go there, or there is no such job.
    """
    ledger = await Ledger.open(connection)
    before = await row_of(connection, job_id)
    if before is None or JobState(before.state) not in OPEN:
        return await move(connection, job_id, to, values, counted=counted)
    kept = before.held_count if kept_count is None else min(kept_count, before.held_count)
    held = {**values, "held_count": kept}
    row = await move(connection, job_id, to, held, counted=counted)
    await ledger.close(before, kept_count=kept)
    await ledger.write()
    return row


async def begin_drawing(connection: AsyncConnection, job_id: JobId, worker: str) -> Row[Any]:
    """Move a job to ``DRAWING``, out of its line if it still waits there.

    Raises:
        IllegalMoveError: It is finished or unknown.
    """
    before = await row_of(connection, job_id)
    if before is not None and is_waiting(before):
        await _leave_line(connection, job_id)
    return await move(
        connection, job_id, JobState.DRAWING, {"worker": worker}, counted="begun_count"
    )


async def take_up(
    connection: AsyncConnection, platforms: Collection[Platform], *, worker: str, room: int
) -> list[Job]:
    """Let the next jobs, in fair order, leave their lines for a process with this much room.

    Args:
        connection: In a transaction.
        platforms: Whose jobs.
        worker: The process.
        room: Pictures; the last job may exceed it.
    """
    ledger = await Ledger.open(connection)
    taken: list[Job] = []
    while room > 0 and (line := await ledger.next_line(platforms)) is not None:
        row = (await connection.execute(NEXT_JOB, {"line_id": line.id})).one()
        ledger.serve(line.id, turn=row.turn, picture_count=row.picture_count)
        await connection.execute(_TAKE, {"job_id": row.id, "new_worker": worker})
        await ledger.write()  # the next look must see whose turn it is then
        taken.append(job_of(row))
        room -= row.picture_count
    return taken


async def release(connection: AsyncConnection, worker: str) -> None:
    """Note that the process leaves what it was drawing in good order."""
    drawn_by_it = [
        jobs.c.worker == worker,
        UNFINISHED,
        jobs.c.state == JobState.DRAWING,
        jobs.c.begun_count > 0,
    ]
    one_less = jobs.c.begun_count - 1
    await connection.execute(update(jobs).where(*drawn_by_it).values(begun_count=one_less))


async def row_of(connection: AsyncConnection, job_id: JobId) -> Row[Any] | None:
    """The row of a job, if there is one."""
    return (await connection.execute(_JOB, {"job_id": job_id})).first()


async def _leave_line(connection: AsyncConnection, job_id: JobId) -> None:
    ledger = await Ledger.open(connection)
    row = await row_of(connection, job_id)  # again: now nobody else can take it up
    if row is not None and is_waiting(row):
        line_id = AccountId(row.line)
        await ledger.load([line_id])
        ledger.serve(line_id, turn=row.turn, picture_count=row.picture_count)
        await ledger.write()


def unfinished_query(platforms: Collection[Platform]) -> Select[Any]:
    """Jobs for which something is still to be done, oldest first."""
    return (
        select(jobs)
        .where(jobs.c.platform.in_(platforms), UNFINISHED)
        .order_by(jobs.c.accepted_at, jobs.c.id)
    )


def taken_query(worker: str) -> Select[Any]:
    """Unfinished jobs that a process had taken up, oldest first: few, whatever waits."""
    return (
        select(jobs)
        .where(jobs.c.worker == worker, UNFINISHED)
        .order_by(jobs.c.accepted_at, jobs.c.id)
    )


_JOB: Final = select(jobs).where(jobs.c.id == bindparam("job_id"))
_TAKE: Final = (
    update(jobs).where(jobs.c.id == bindparam("job_id")).values(worker=bindparam("new_worker"))
)
NEXT_JOB: Final = (
    select(jobs)
    .where(jobs.c.line == bindparam("line_id"), WAITING)
    .order_by(jobs.c.turn, jobs.c.accepted_at, jobs.c.id)
    .limit(1)
)
"""The job whose turn it is in the line ``line_id``."""
