"""Forgets what was kept long enough, in small transactions so that nobody waits long."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete

from bot.store import history, house_rows, x_pruning
from bot.store.house_tables import audit, blocks, reports, strikes

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.database import Database

# An account says nothing once its day is over and its bucket is full; the slowest bucket that
# can be set (bot.settings) is full long before.
UNUSED_FOR: Final = timedelta(days=30)

RECORDS_KEPT_FOR: Final = timedelta(days=365)
"""How long the audit log, strikes, reports that are closed and blocks that have ended are kept."""


async def purge(database: Database, *, finished_before: datetime | None, now: datetime) -> int:
    """Forget old jobs with their pictures, old mentions, old records, and unused accounts.

    Args:
        database: Whose.
        finished_before: Of which jobs and mentions; ``None`` keeps them all.
        now: The present (aware).

    Returns:
        How many jobs.
    """
    await database.write(
        lambda connection: history.purge_accounts(connection, now, unused_for=UNUSED_FOR)
    )
    await database.write(lambda connection: purge_records(connection, now - RECORDS_KEPT_FOR))
    if finished_before is None:
        return 0
    gone_count = 0
    while count := await database.write(
        lambda connection: history.purge_jobs(connection, finished_before)
    ):
        gone_count += count
    while await database.write(
        lambda connection: x_pruning.purge_mentions(connection, finished_before, now)
    ):
        pass
    await database.write(lambda connection: x_pruning.purge_people(connection, finished_before))
    return gone_count


async def purge_records(connection: AsyncConnection, before: datetime) -> None:
    """Forget what admins have done, and refusals, of before then; what still holds stays."""
    for old in (
        delete(audit).where(audit.c.at < before),
        delete(strikes).where(strikes.c.at < before),
        delete(reports).where(reports.c.closed_at < before),
    ):
        await connection.execute(old)
    if (await connection.execute(delete(blocks).where(blocks.c.until < before))).rowcount:
        await house_rows.renew(connection)
