"""What is remembered about people on X. One use case, one transaction, one method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.store import x_statements as sql
from bot.store.quotas import day_of
from bot.store.x_states import (
    MentionState,
)

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.database import Database


class XPeople:
    """Opt-outs, blocks and who was told something today.

    Every method may raise ``StoreError``: the database failed, or a mention was moved that
    is not where the caller believes; the transaction was undone.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def say_once_a_day(
        self, root_id: int, author_id: str, sentence: str, *, now: datetime
    ) -> bool:
        """Say ``sentence`` unless its author was told something today; whether it is said."""

        async def use_case(connection: AsyncConnection) -> bool:
            known = await sql.person(connection, author_id)
            if known is not None and known.told_on == day_of(now):
                await sql.move(connection, root_id, MentionState.IGNORED, now, reason="told_today")
                return False
            await sql.note_person(connection, author_id, told_on=day_of(now))
            await sql.move(connection, root_id, MentionState.SAYING, now, sentence=sentence)
            return True

        return await self._database.write(use_case)

    async def is_opted_out(self, author_id: str) -> bool:
        """Whether an author said "stop"."""

        async def use_case(connection: AsyncConnection) -> bool:
            known = await sql.person(connection, author_id)
            return known is not None and known.opted_out_at is not None

        return await self._database.read(use_case)

    async def is_blocked(self, author_id: str, *, now: datetime) -> bool:
        """Whether an author had blocked the account not long ago."""

        async def use_case(connection: AsyncConnection) -> bool:
            known = await sql.person(connection, author_id)
            return bool(known and known.blocked_until and known.blocked_until > now)

        return await self._database.read(use_case)

    async def opt_out(self, root_id: int, author_id: str, *, now: datetime) -> None:
        """Obey "stop": nothing of this author that waits is answered, nor anything later."""

        async def use_case(connection: AsyncConnection) -> None:
            await sql.move(connection, root_id, MentionState.DONE, now, reason="stop")
            await sql.note_person(connection, author_id, opted_out_at=now)
            await sql.drop_waiting(connection, author_id, now)

        await self._database.write(use_case)

    async def opt_in(self, root_id: int, author_id: str, *, now: datetime) -> None:
        """Obey "start": take an author's "stop" back."""

        async def use_case(connection: AsyncConnection) -> None:
            await sql.move(connection, root_id, MentionState.DONE, now, reason="start")
            await sql.note_person(connection, author_id, opted_out_at=None)

        await self._database.write(use_case)
