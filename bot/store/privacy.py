"""What is kept about somebody: all of it, to be read or to be erased.

Erased are jobs with their pictures, choices, tiers, reports, and what is known of them on X.
What remains, because others need it, and until when:

- blocks, until they end; and a "stop" on X, until its person says "start"
- strikes and the lines of the audit log about them, until they are purged by their age; they
  hold none of the person's words
- what they have used of today's allowance: an erasure is no way around a limit. The account
  goes when it was not used for a while, as everybody's does
- the ids of mentions on X that could still be read again, and would be answered again

A job that is not finished cannot go while somebody carries it out. The erasure is noted and
completed by the next purge.
"""

from __future__ import annotations

import base64
from datetime import date
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from sqlalchemy import delete, exists, or_, select, update

from bot.jobs import JobId, Json, Person, Platform, Scope
from bot.store import house_rows as rows
from bot.store import x_pruning
from bot.store.house import Act, AuditEntry
from bot.store.house_tables import audit, blocks, erasures, profiles, reports, strikes
from bot.store.rows import account_id
from bot.store.tables import FINISHED, accounts, jobs, pictures
from bot.store.x_tables import x_attempts, x_mentions, x_people

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Select, Table
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.database import Database

IMPERSONAL: Final[Mapping[str, str]] = {
    "communities": "rules of a place",
    "cursors": "how far streams were read",
    "x_gaps": "which pages were not read yet",
    "x_spend": "what calls cost",
}
"""Tables that hold nothing about anybody, and what they hold."""

ERASED_TOGETHER: Final = 500


class Eraser(Protocol):
    """Somebody who keeps something of jobs outside the store, such as files of pictures."""

    async def __call__(self, person: Person, job_ids: Sequence[JobId], /) -> None:
        """Remove what is kept of these jobs of somebody. What is gone already is no error."""
        ...


class Privacy:
    """Reads and erases what is kept about somebody.

    Every method may raise ``StoreError``: the database failed, and the transaction was
    undone.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._erasers: list[Eraser] = []

    def on_erase(self, eraser: Eraser) -> None:
        """Let somebody who keeps files remove them before their jobs are erased.

        What it raises stops the erasure, which can then be asked for again.
        """
        self._erasers.append(eraser)

    async def export(self, person: Person) -> dict[str, Json]:
        """All that is kept about somebody, by table; what others have said stays theirs."""

        async def use_case(connection: AsyncConnection) -> dict[str, Json]:
            exported: dict[str, Json] = {"person": {"platform": person.platform, "id": person.id}}
            for name, query in export_queries(person).items():
                found = (await connection.execute(query)).mappings()
                exported[name] = [
                    {column: _json(value) for column, value in row.items()} for row in found
                ]
            return exported

        return await self._database.read(use_case)

    async def erase(self, person: Person, *, by: str, now: datetime) -> int:
        """Erase what is kept about somebody, or as much of it as can go now.

        Returns:
            How many jobs are gone.
        """
        entry = AuditEntry(act=Act.ERASE, by=by, at=now, subject=_account_of(person))
        return await self._erase(person, asked_at=now, now=now, entry=entry)

    async def remove_pictures(self, owner: Person, job_id: JobId, *, by: str, now: datetime) -> int:
        """Remove the pictures of a job, which itself stays, and close the reports about it.

        Nothing can be painted, enlarged or varied from then on.

        Returns:
            How many pictures are gone.
        """
        for eraser in self._erasers:
            await eraser(owner, [job_id])

        async def use_case(connection: AsyncConnection) -> int:
            gone = await connection.execute(delete(pictures).where(pictures.c.job_id == job_id))
            is_open = (reports.c.job_id == job_id) & reports.c.closed_at.is_(None)
            closing = update(reports).where(is_open).values(closed_at=now, closed_by=by)
            await connection.execute(closing)
            detail = f"{gone.rowcount} of job {job_id}"
            entry = AuditEntry(
                act=Act.REMOVE_PICTURES, by=by, at=now, subject=_account_of(owner), detail=detail
            )
            await rows.note(connection, entry)
            return gone.rowcount

        return await self._database.write(use_case)

    async def complete(self, *, now: datetime) -> None:
        """Go on with erasures that could not be completed."""

        async def use_case(connection: AsyncConnection) -> list[tuple[Person, datetime]]:
            found = await connection.execute(select(erasures))
            return [(rows.person_of(row), row.asked_at) for row in found]

        for person, asked_at in await self._database.read(use_case):
            await self._erase(person, asked_at=asked_at, now=now)

    async def _erase(
        self,
        person: Person,
        *,
        asked_at: datetime,
        now: datetime,
        entry: AuditEntry | None = None,
    ) -> int:
        gone = await self._database.read(lambda c: _finished(c, person, asked_at))
        for eraser in self._erasers:
            await eraser(person, gone)

        async def use_case(connection: AsyncConnection) -> None:
            await _erase_jobs(connection, gone)
            if entry is not None:  # what was chosen since is new
                await _erase_words(connection, person, now)
                await rows.note(connection, entry)
            if person.platform is Platform.X:
                await x_pruning.erase_mentions(connection, person.id, asked_at, now)
            await _note_rest(connection, person, asked_at)

        await self._database.write(use_case)
        return len(gone)


def export_queries(person: Person) -> dict[str, Select[Any]]:
    """What to select about somebody, by table."""
    own = select(jobs.c.id).where(rows.is_of(jobs, person))
    account = _account_of(person)
    queries: dict[str, Select[Any]] = {
        "accounts": select(accounts).where(accounts.c.id == account),
        "audit": _without(audit, "by").where(audit.c.subject == account),
        "blocks": _without(blocks, "by").where(rows.is_of(blocks, person)),
        "erasures": select(erasures).where(rows.is_of(erasures, person)),
        "jobs": select(jobs).where(rows.is_of(jobs, person)).order_by(jobs.c.accepted_at),
        "pictures": select(pictures).where(pictures.c.job_id.in_(own)),
        "profiles": select(profiles).where(rows.is_of(profiles, person)),
        "reports": select(reports).where(rows.is_of(reports, person)),
        "strikes": select(strikes).where(rows.is_of(strikes, person)),
    }
    if person.platform is Platform.X:
        roots = select(x_mentions.c.root_id).where(x_mentions.c.author_id == person.id)
        queries |= {
            "x_mentions": select(x_mentions).where(x_mentions.c.author_id == person.id),
            "x_attempts": select(x_attempts).where(x_attempts.c.root_id.in_(roots)),
            "x_people": select(x_people).where(x_people.c.author_id == person.id),
        }
    return queries


async def _finished(connection: AsyncConnection, person: Person, asked_at: datetime) -> list[JobId]:
    """The finished jobs that somebody had asked for until then."""
    asked_before = [rows.is_of(jobs, person), jobs.c.accepted_at <= asked_at]
    found = await connection.execute(select(jobs.c.id).where(*asked_before, FINISHED))
    return [JobId(row.id) for row in found]


async def _erase_jobs(connection: AsyncConnection, job_ids: Sequence[JobId]) -> None:
    """Erase jobs with their pictures."""
    for first in range(0, len(job_ids), ERASED_TOGETHER):
        some = job_ids[first : first + ERASED_TOGETHER]
        await connection.execute(delete(jobs).where(jobs.c.id.in_(some)))


async def _erase_words(connection: AsyncConnection, person: Person, now: datetime) -> None:
    """Erase what somebody has chosen and said, what was said of them, and their tier."""
    if person.platform is Platform.X:
        await x_pruning.erase_author(connection, person.id, now)
    await connection.execute(delete(profiles).where(rows.is_of(profiles, person)))
    await connection.execute(
        update(reports).where(rows.is_of(reports, person)).values(person_id=None)
    )
    is_about = (reports.c.owner_platform == person.platform) & (reports.c.owner_id == person.id)
    await connection.execute(delete(reports).where(is_about))
    await connection.execute(
        update(accounts).where(accounts.c.id == _account_of(person)).values(tier=None)
    )


async def _note_rest(connection: AsyncConnection, person: Person, asked_at: datetime) -> None:
    """Note whether something of somebody is still to be erased."""
    asked_before = [rows.is_of(jobs, person), jobs.c.accepted_at <= asked_at]
    left = exists().where(*asked_before)
    if person.platform is Platform.X:
        seen_before = [x_mentions.c.author_id == person.id, x_mentions.c.seen_at <= asked_at]
        left = or_(left, exists().where(*seen_before))
    if await connection.scalar(select(left)):
        mark = {"platform": person.platform, "person_id": person.id, "asked_at": asked_at}
        await rows.upsert(connection, erasures, mark)
    else:
        await connection.execute(delete(erasures).where(rows.is_of(erasures, person)))


def _account_of(person: Person) -> str:
    return account_id(Scope.PERSON, person.platform, person.id)


def _without(table: Table, name: str) -> Select[Any]:
    """All columns but one: which admin it was is the admin's own affair."""
    return select(*(column for column in table.c if column.name != name))


def _json(value: Any) -> Json:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, date):  # which a datetime is, too
        return value.isoformat()
    if isinstance(value, dict):  # an address may hold what lets its holder edit a message
        stored = cast("dict[str, Json]", value)
        return {name: each for name, each in stored.items() if "token" not in name}
    return value
