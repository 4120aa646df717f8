"""What calls to X cost. One use case, one transaction, one method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.store import x_statements as sql
from bot.store.quotas import day_of

if TYPE_CHECKING:
    from datetime import date, datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.database import Database
    from bot.store.x_states import Cost


class XMoney:
    """Adds up what each day has cost.

    Every method may raise ``StoreError``: the database failed, or a mention was moved that
    is not where the caller believes; the transaction was undone.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def spend(self, cost: Cost, *, now: datetime) -> None:
        """Note what a call costs."""

        async def use_case(connection: AsyncConnection) -> None:
            await sql.spend(connection, cost, day_of(now))

        await self._database.write(use_case)

    async def spent_micros(self, day: date) -> int:
        """What a day has cost so far, in millionths of a dollar."""

        async def use_case(connection: AsyncConnection) -> int:
            return await sql.spent_micros(connection, day)

        return await self._database.read(use_case)
