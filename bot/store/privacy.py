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
from typing import TYPE_CHECKING, Any, Final

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
    from collections.abc import Mapping
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


class Privacy:
    """Reads and erases what is kept about somebody.

    Every method may raise ``StoreError``: the database failed, and the transaction was
    undone.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

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

    async def erase(self, person: Person, *, by: str, now: datetime) -> list[JobId]:
        """Erase what is kept about somebody, or as much of it as can go now.

        Returns:
            The jobs that are gone.
        """
        entry = AuditEntry(act=Act.ERASE, by=by, at=now, subject=_account_of(person))

        async def use_case(connection: AsyncConnection) -> list[JobId]:
            erased = await _erase_jobs(connection, person, now)
            await _erase_words(connection, person)
            if person.platform is Platform.X:
                await x_pruning.erase(connection, person.id, now)
            if await _is_something_left(connection, person, now):
                mark = {"platform": person.platform, "person_id": person.id, "asked_at": now}
                await rows.upsert(connection, erasures, mark)
            await rows.note(connection, entry)
            return erased

        return await self._database.write(use_case)

    async def complete(self, now: datetime) -> dict[Person, list[JobId]]:
        """Go on with erasures that could not be completed; the jobs that are gone now."""

        async def use_case(connection: AsyncConnection) -> dict[Person, list[JobId]]:
            erased: dict[Person, list[JobId]] = {}
            for row in (await connection.execute(select(erasures))).all():
                person = rows.person_of(row)
                erased[person] = await _erase_jobs(connection, person, row.asked_at)
                if person.platform is Platform.X:
                    await x_pruning.erase(connection, person.id, now)
                if not await _is_something_left(connection, person, row.asked_at):
                    await connection.execute(delete(erasures).where(rows.is_of(erasures, person)))
            return erased

        return await self._database.write(use_case)


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


async def _erase_jobs(
    connection: AsyncConnection, person: Person, asked_at: datetime
) -> list[JobId]:
    """Erase the finished jobs that somebody had asked for until then, with their pictures."""
    gone = (
        delete(jobs)
        .where(rows.is_of(jobs, person), FINISHED, jobs.c.accepted_at <= asked_at)
        .returning(jobs.c.id)
    )
    return [JobId(row.id) for row in await connection.execute(gone)]


async def _erase_words(connection: AsyncConnection, person: Person) -> None:
    """Erase what somebody has chosen and said, what was said of them, and their tier."""
    await connection.execute(delete(profiles).where(rows.is_of(profiles, person)))
    await connection.execute(
        update(reports).where(rows.is_of(reports, person)).values(person_id=None)
    )
    is_about = (reports.c.owner_platform == person.platform) & (reports.c.owner_id == person.id)
    await connection.execute(delete(reports).where(is_about))
    await connection.execute(
        update(accounts).where(accounts.c.id == _account_of(person)).values(tier=None)
    )


async def _is_something_left(
    connection: AsyncConnection, person: Person, asked_at: datetime
) -> bool:
    asked_before = [rows.is_of(jobs, person), jobs.c.accepted_at <= asked_at]
    left = [exists().where(*asked_before)]
    if person.platform is Platform.X:
        left.append(exists().where(x_mentions.c.author_id == person.id))
    return bool(await connection.scalar(select(or_(*left))))


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
        return {name: each for name, each in value.items() if "token" not in name}
    return value
