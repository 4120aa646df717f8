"""The arithmetic of the daily allowance: pure functions, pictures and UTC days.

A person has ``allowance_count`` pictures a day on each platform, 0 is no limit. A job
takes its pictures when it is accepted and gives them back, to the day it took them from,
when it fails. ``used_count`` is what that day has lost so far.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from bot.jobs import OverQuotaError

NO_LIMIT = 0


def day_of(now: datetime) -> date:
    """The day that pays for what is asked for at ``now``."""
    return now.astimezone(UTC).date()


def reopens_at(now: datetime) -> datetime:
    """When the allowance is full again: the coming midnight, UTC."""
    return datetime.combine(day_of(now) + timedelta(days=1), time(), tzinfo=UTC)


def left_count(allowance_count: int, used_count: int) -> int | None:
    """How many pictures are left of a day; ``None`` is no limit.

    Never negative: an admin may lower the allowance below what was used already.
    """
    if allowance_count == NO_LIMIT:
        return None
    return max(0, allowance_count - used_count)


def take(allowance_count: int, used_count: int, picture_count: int, now: datetime) -> int:
    """Take pictures from the day and return its new ``used_count``.

    Raises:
        OverQuotaError: Fewer are left than asked for.
    """
    left = left_count(allowance_count, used_count)
    if left is not None and picture_count > left:
        raise OverQuotaError(
            allowance_count=allowance_count, left_count=left, reopens_at=reopens_at(now)
        )
    return used_count + picture_count
