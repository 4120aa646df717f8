"""What is kept about people besides their jobs: choices, reports, strikes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update

from bot.jobs import Person, Platform, Scope
from bot.store import house_rows as rows
from bot.store.house import Act, AuditEntry, Block, Profile, StrikeTally, Struck
from bot.store.house_tables import profiles, reports, strikes
from bot.store.inserts import insert_into
from bot.store.rows import account_id
from bot.store.tables import jobs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.jobs import JobId
    from bot.store.database import Database
    from bot.store.house import Report, Strike, StrikeLimit
    from bot.store.house_records import HouseRecords


class PeopleRecords:
    """Profiles, reports and strikes.

    Every method may raise ``StoreError``: the database failed, and the transaction was
    undone.
    """

    def __init__(self, database: Database, house: HouseRecords) -> None:
        self._database = database
        self._house = house

    async def profile(self, person: Person) -> Profile:
        """What somebody has chosen; nothing in particular if they never did."""
        query = select(profiles).where(rows.is_of(profiles, person))

        async def use_case(connection: AsyncConnection) -> Profile:
            row = (await connection.execute(query)).first()
            return Profile() if row is None else rows.profile_of(row)

        return await self._database.read(use_case)

    async def set_profile(self, person: Person, profile: Profile) -> None:
        """Put these choices in place of those of somebody."""
        values = rows.profile_values(person, profile)
        await self._database.write(lambda connection: rows.upsert(connection, profiles, values))

    async def report(
        self, job_id: JobId, reporter: Person, *, reason: str, now: datetime
    ) -> bool | None:
        """Keep somebody's word about the pictures of a job.

        Returns:
            Whether it was their first about this job; ``None`` if there is no such job.
        """
        about = select(jobs.c.platform, jobs.c.person_id, jobs.c.community)

        async def use_case(connection: AsyncConnection) -> bool | None:
            job = (await connection.execute(about.where(jobs.c.id == job_id))).first()
            if job is None:
                return None
            wanted = insert_into(connection.dialect.name, reports).values(
                job_id=job_id,
                platform=reporter.platform,
                person_id=reporter.id,
                owner_platform=job.platform,
                owner_id=job.person_id,
                community=job.community,
                reason=reason,
                at=now,
            )
            return (await connection.execute(wanted.on_conflict_do_nothing())).rowcount == 1

        return await self._database.write(use_case)

    async def reports(self, *, is_open: bool, community: str | None = None) -> list[Report]:
        """Reports that are (not) seen to, oldest first; only those from a community if named."""
        is_closed = reports.c.closed_at.is_not(None)
        query = select(reports).where(~is_closed if is_open else is_closed)
        if community is not None:
            query = query.where(reports.c.community == community)

        async def use_case(connection: AsyncConnection) -> list[Report]:
            found = await connection.execute(query.order_by(reports.c.id))
            return [rows.report_of(row) for row in found]

        return await self._database.read(use_case)

    async def report_of(self, id_: int) -> Report | None:
        """The report of that id, open or closed."""
        query = select(reports).where(reports.c.id == id_)

        async def use_case(connection: AsyncConnection) -> Report | None:
            row = (await connection.execute(query)).first()
            return None if row is None else rows.report_of(row)

        return await self._database.read(use_case)

    async def close_report(self, id_: int, *, by: str, now: datetime) -> bool:
        """Note that an admin has seen to a report; whether it was open."""
        closing = (
            update(reports)
            .where(reports.c.id == id_, reports.c.closed_at.is_(None))
            .values(closed_at=now, closed_by=by)
            .returning(reports)
        )

        async def use_case(connection: AsyncConnection) -> bool:
            row = (await connection.execute(closing)).first()
            if row is None:
                return False
            report = rows.report_of(row)
            owner = account_id(Scope.PERSON, report.owner.platform, report.owner.id)
            detail = f"report {id_} about job {report.job_id}"
            entry = AuditEntry(act=Act.CLOSE_REPORT, by=by, at=now, subject=owner, detail=detail)
            await rows.note(connection, entry)
            return True

        return await self._database.write(use_case)

    async def strike(self, strike: Strike, limit: StrikeLimit) -> Struck:
        """Keep a strike, and block its person everywhere if it is one too many.

        A second delivery of the same event changes nothing.
        """
        until = strike.at + limit.block_for
        counting = select(func.count()).where(
            rows.is_of(strikes, strike.person), strikes.c.at > strike.at - limit.within
        )
        block = Block(
            person=strike.person,
            community=None,
            until=until,
            reason=f"{limit.count} strikes, the last for {strike.code}",
            by="moderation",
            at=strike.at,
        )

        async def use_case(connection: AsyncConnection) -> Struck:
            wanted = insert_into(connection.dialect.name, strikes)
            values = rows.strike_values(strike)
            new = await connection.execute(wanted.values(**values).on_conflict_do_nothing())
            if new.rowcount == 0:
                return Struck(is_new=False)
            if (await connection.scalar(counting) or 0) < limit.count:
                return Struck(is_new=True)
            await rows.renew(connection)
            await rows.block_at_least(connection, block)
            return Struck(is_new=True, blocked_until=until)

        try:
            return await self._database.write(use_case)
        finally:
            self._house.forget()

    async def strikes(self, person: Person | None = None, *, limit: int) -> list[Strike]:
        """The newest strikes, newest first; of everybody, or of somebody."""
        query = select(strikes).order_by(strikes.c.id.desc()).limit(limit)
        if person is not None:
            query = query.where(rows.is_of(strikes, person))

        async def use_case(connection: AsyncConnection) -> list[Strike]:
            return [rows.strike_of(row) for row in await connection.execute(query)]

        return await self._database.read(use_case)

    async def struck_people(self, *, limit: int) -> list[StrikeTally]:
        """Those with strikes, whoever was struck last first."""

        async def use_case(connection: AsyncConnection) -> list[StrikeTally]:
            found = (await connection.execute(struck_query(limit))).all()
            people = [Person(platform=Platform(row.platform), id=row.person_id) for row in found]
            codes = await _codes_of(connection, people)
            return [
                StrikeTally(
                    person=person,
                    strike_count=row.strike_count,
                    last_at=row.last_at,
                    codes=tuple(sorted(codes[person])),
                )
                for person, row in zip(people, found, strict=True)
            ]

        return await self._database.read(use_case)


def struck_query(limit: int) -> Select[*tuple[Any, ...]]:
    """Who was struck how often, and when last."""
    who, last_at = (strikes.c.platform, strikes.c.person_id), func.max(strikes.c.at)
    counts = (func.count().label("strike_count"), last_at.label("last_at"))
    return select(*who, *counts).group_by(*who).order_by(last_at.desc(), *who).limit(limit)


async def _codes_of(
    connection: AsyncConnection, people: Sequence[Person]
) -> Mapping[Person, set[str]]:
    """By which rules each of them was struck."""
    codes: dict[Person, set[str]] = {person: set() for person in people}
    named = select(strikes.c.platform, strikes.c.person_id, strikes.c.code).distinct()
    are_theirs = strikes.c.person_id.in_([person.id for person in people])
    for row in await connection.execute(named.where(are_theirs)):
        person = Person(platform=Platform(row.platform), id=row.person_id)
        if person in codes:  # another platform may use the same id
            codes[person].add(row.code)
    return codes
