"""Forgets mentions on X that were settled long ago.

A mention that is forgotten while X may still show it would be new when it is read again, so
only those go that no read can reach: reads begin a minute below the cursor or at the lower
end of a walk that is not finished (``bot.x.polling``). None goes whose author has a job that
is not finished, since its delivery asks where the mention stands.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import (
    BigInteger,
    cast,
    delete,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    update,
)

from bot.jobs import Platform
from bot.store.quotas import day_of
from bot.store.tables import UNFINISHED, cursors, jobs
from bot.store.x_statements import CURSOR, drop_waiting
from bot.store.x_states import OPEN, MentionState
from bot.store.x_tables import x_attempts, x_gaps, x_mentions, x_people

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection

PURGED_TOGETHER: Final = 500

# X's search goes back 7 days.
LEAST_AGE: Final = timedelta(days=8)
# An hour of ids (22 bits below the milliseconds): far more than a read overlaps the last one.
MARGIN: Final = timedelta(hours=1) // timedelta(milliseconds=1) << 22

_SETTLED: Final = sorted(set(MentionState) - OPEN)


async def purge_mentions(
    connection: AsyncConnection, settled_before: datetime, now: datetime
) -> int:
    """Forget some mentions that were settled before then, with their attempts; say how many."""
    return await _forget(connection, old_query(min(settled_before, now - LEAST_AGE)))


async def _forget(connection: AsyncConnection, some: Select[int]) -> int:
    old = [row.root_id for row in await connection.execute(some)]
    await connection.execute(delete(x_attempts).where(x_attempts.c.root_id.in_(old)))
    await connection.execute(delete(x_mentions).where(x_mentions.c.root_id.in_(old)))
    return len(old)


async def purge_people(connection: AsyncConnection, settled_before: datetime) -> None:
    """Forget authors of whom nothing matters any more; who said "stop" stays."""
    before = settled_before
    await connection.execute(
        delete(x_people).where(
            x_people.c.opted_out_at.is_(None),
            or_(x_people.c.blocked_until.is_(None), x_people.c.blocked_until < before),
            or_(x_people.c.told_on.is_(None), x_people.c.told_on < day_of(before)),
        )
    )


async def erase_author(connection: AsyncConnection, author_id: str, now: datetime) -> None:
    """Answer nothing more that waits, and forget an author as far as nothing follows from it.

    Who said "stop", or has blocked the account, must not be written to.
    """
    await drop_waiting(connection, author_id, now)
    his = x_people.c.author_id == author_id
    matters = or_(x_people.c.opted_out_at.is_not(None), x_people.c.blocked_until > now)
    await connection.execute(update(x_people).where(his).values(told_on=None))
    await connection.execute(delete(x_people).where(his, not_(func.coalesce(matters, false()))))


async def erase_mentions(
    connection: AsyncConnection, author_id: str, seen_before: datetime, now: datetime
) -> None:
    """Forget an author's mentions of before then. The ids that a read can reach stay until then."""
    old = old_query(now - LEAST_AGE).where(
        x_mentions.c.author_id == author_id, x_mentions.c.seen_at <= seen_before
    )
    while await _forget(connection, old):
        pass


def old_query(settled_before: datetime) -> Select[int]:
    """The ids of some mentions that were settled before then and that no read can reach."""
    read_up_to = (
        select(cast(cursors.c.value, BigInteger)).where(cursors.c.name == CURSOR).scalar_subquery()
    )
    is_being_read = exists().where(x_gaps.c.lo_id - MARGIN < x_mentions.c.root_id)
    has_job = exists().where(
        jobs.c.platform == Platform.X, jobs.c.person_id == x_mentions.c.author_id, UNFINISHED
    )
    return (
        select(x_mentions.c.root_id)
        .where(
            x_mentions.c.state.in_(_SETTLED),
            x_mentions.c.updated_at < settled_before,
            x_mentions.c.root_id < func.coalesce(read_up_to, 0) - MARGIN,
            ~is_being_read,
            ~has_job,
        )
        .limit(PURGED_TOGETHER)
    )
