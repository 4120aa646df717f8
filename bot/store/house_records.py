"""What admins decide: rules, blocks, pauses, tiers, each with its line in the audit log.

The rules are asked at every request, so each process keeps them in memory. What is changed
through this very object holds at once; what another process changes, a few seconds later.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, select

from bot.jobs import Platform, Scope
from bot.store import house_rows as rows
from bot.store.house import Act, AuditEntry, Grant, House
from bot.store.house_tables import audit, blocks, communities
from bot.store.ledger import Ledger
from bot.store.rows import account_id
from bot.store.tables import accounts, cursors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.jobs import Person
    from bot.store.database import Database
    from bot.store.house import Block, CommunityRules

LOOK_EVERY: Final = timedelta(seconds=2)


class HouseRecords:
    """Rules, blocks, pauses, tiers and the audit log.

    Every method may raise ``StoreError``: the database failed, and the transaction was
    undone.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._house = House()
        self._revision: str | None = None
        self._looked_at: datetime | None = None
        self._looking = asyncio.Lock()
        self._change_count = 0

    async def house(self, now: datetime) -> House:
        """All rules and blocks, as they were at most ``LOOK_EVERY`` ago."""
        if not self._is_fresh(now):
            async with self._looking:  # whoever waited here finds it done
                while not self._is_fresh(now):
                    await self._look(now)
        return self._house

    async def set_rules(
        self,
        platform: Platform,
        community: str,
        rules: CommunityRules,
        *,
        by: str,
        now: datetime,
    ) -> None:
        """Put these rules in place of those of a community."""
        values = rows.rules_values(platform, community, rules)
        decided = {name: values[name] for name in values if name not in ("platform", "community")}
        entry = AuditEntry(
            act=Act.SET_COMMUNITY,
            by=by,
            at=now,
            subject=account_id(Scope.COMMUNITY, platform, community),
            detail=_words(decided),
        )

        async def use_case(connection: AsyncConnection) -> None:
            await rows.upsert(connection, communities, values)
            await rows.note(connection, entry)

        await self._change(use_case)

    async def block(self, block: Block) -> None:
        """Block somebody, in place of an earlier block of the same place."""
        await self._change(lambda connection: rows.block(connection, block))

    async def unblock(
        self, person: Person, *, community: str | None, by: str, now: datetime
    ) -> bool:
        """End a block; whether there was one."""
        key = rows.block_key(person, community)
        subject = account_id(Scope.PERSON, person.platform, person.id)
        detail = _words({"community": community})
        entry = AuditEntry(act=Act.UNBLOCK, by=by, at=now, subject=subject, detail=detail)

        async def use_case(connection: AsyncConnection) -> bool:
            named = [blocks.c[name] == value for name, value in key.items()]
            was_there = (await connection.execute(delete(blocks).where(*named))).rowcount == 1
            if was_there:
                await rows.note(connection, entry)
            return was_there

        return await self._change(use_case)

    async def set_paused(self, is_paused: bool, *, by: str, now: datetime) -> None:  # noqa: FBT001 # the new state
        """Let the whole bot take no requests, or take them again."""
        entry = AuditEntry(act=Act.PAUSE if is_paused else Act.RESUME, by=by, at=now)

        async def use_case(connection: AsyncConnection) -> None:
            value = {"name": rows.PAUSED, "value": now.isoformat() if is_paused else ""}
            await rows.upsert(connection, cursors, value)
            await rows.note(connection, entry)

        await self._change(use_case)

    async def grant(self, grant: Grant, *, by: str, now: datetime) -> None:
        """Give a person or a community a tier that stays, or take it away again."""
        id_ = account_id(grant.scope, grant.platform, grant.of)
        detail = _words({"tier": grant.tier})
        entry = AuditEntry(act=Act.GRANT, by=by, at=now, subject=id_, detail=detail)

        async def use_case(connection: AsyncConnection) -> None:
            ledger = await Ledger.open(connection)
            await ledger.load([id_])
            holder = ledger.holder(id_, grant.platform, now)
            ledger.put(replace(holder, tier=grant.tier))
            await ledger.write()
            await rows.note(connection, entry)

        await self._database.write(use_case)

    async def grants(self) -> list[Grant]:
        """The tiers that persons and communities have for good."""
        query = select(accounts.c.id, accounts.c.tier).where(accounts.c.tier.is_not(None))

        async def use_case(connection: AsyncConnection) -> list[Grant]:
            found = await connection.execute(query.order_by(accounts.c.id))
            return [_grant_of(row.id, row.tier) for row in found]

        return await self._database.read(use_case)

    async def note(self, entry: AuditEntry) -> None:
        """Write a line of the audit log; the database gives it its id."""
        await self._database.write(lambda connection: rows.note(connection, entry))

    async def audit(self, *, limit: int, before: int | None = None) -> list[AuditEntry]:
        """The newest lines of the audit log, newest first; or those before the one of that id."""
        query = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.id < before)

        async def use_case(connection: AsyncConnection) -> list[AuditEntry]:
            return [rows.audit_of(row) for row in await connection.execute(query)]

        return await self._database.read(use_case)

    def forget(self) -> None:
        """Look at the rules again before they are told the next time."""
        self._change_count += 1
        self._looked_at = None

    async def _change(self, use_case: Callable[[AsyncConnection], Awaitable[Any]]) -> Any:
        """Change what ``house`` tells, here and in every other process."""

        async def changing(connection: AsyncConnection) -> Any:
            await rows.renew(connection)
            return await use_case(connection)

        try:
            return await self._database.write(changing)
        finally:
            self.forget()

    def _is_fresh(self, now: datetime) -> bool:
        looked_at = self._looked_at
        return looked_at is not None and timedelta(0) <= now - looked_at < LOOK_EVERY

    async def _look(self, now: datetime) -> None:
        """Read the rules again if anybody has changed them since."""
        known, change_count = self._revision, self._change_count

        async def use_case(connection: AsyncConnection) -> tuple[str, House | None]:
            query = select(cursors.c.value).where(cursors.c.name == rows.REVISION)
            revision: str = await connection.scalar(query) or ""
            is_new = revision != known
            return revision, await rows.read_house(connection) if is_new else None

        revision, house = await self._database.read(use_case)
        if change_count != self._change_count:
            return  # what was read may be from before a change of ours: look again
        self._looked_at, self._revision = now, revision
        self._house = self._house if house is None else house


def _words(decided: dict[str, Any]) -> str:
    """What was decided, for the audit log: "tier=friend"; what is empty is left out."""
    return ", ".join(f"{name}={value}" for name, value in decided.items() if value)


def _grant_of(id_: str, tier: str) -> Grant:
    scope, platform, of = id_.split("/", 2)
    return Grant(platform=Platform(platform), scope=Scope(scope), of=of, tier=tier)
