"""How far the mentions of X were read, and the mentions on each page.

One use case, one transaction, one method.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.store import x_statements as sql
from bot.store.quotas import day_of
from bot.store.x_states import (
    Reading,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.database import Database
    from bot.store.x_states import Cost, Gap, NewMention


class XTimeline:
    """Keeps mentions page by page.

    Every method may raise ``StoreError``: the database failed, or a mention was moved that
    is not where the caller believes; the transaction was undone.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reading(self) -> Reading:
        """How far the mentions were read."""

        async def use_case(connection: AsyncConnection) -> Reading:
            rows = await connection.execute(sql.CURSORS)
            values = {row.name: int(row.value) for row in rows}
            return Reading(
                cursor=values.get(sql.CURSOR),
                floor=values.get(sql.FLOOR, 0),
                gap=await sql.first_gap(connection),
            )

        return await self._database.read(use_case)

    async def begin_reading(self, newest_id: int, cost: Cost, *, now: datetime) -> None:
        """Start after ``newest_id``: what is older is never answered."""

        async def use_case(connection: AsyncConnection) -> None:
            await sql.set_cursor(connection, sql.CURSOR, newest_id)
            await sql.set_cursor(connection, sql.FLOOR, newest_id)
            await sql.spend(connection, cost, day_of(now))

        await self._database.write(use_case)

    async def keep_page(
        self,
        mentions: Iterable[NewMention],
        gap: Gap,
        cost: Cost,
        *,
        is_last: bool,
        now: datetime,
    ) -> int:
        """Store a page together with how far the walk has come.

        Args:
            mentions: What the page holds.
            gap: Where the walk goes on.
            cost: What the page cost.
            is_last: The walk is complete: the gap is closed and the cursor moves to its top.
            now: The present.

        Returns:
            How many mentions were not known before.
        """

        async def use_case(connection: AsyncConnection) -> int:
            new_count = sum([await sql.keep_mention(connection, new, now) for new in mentions])
            await (sql.close_gap if is_last else sql.keep_gap)(connection, gap)
            if cost.unit_count:
                await sql.spend(connection, cost, day_of(now))
            return new_count

        return await self._database.write(use_case)
