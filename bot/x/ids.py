"""What an id on X tells of time: milliseconds since an epoch, shifted by 22 bits.

Source: X API docs "X IDs"; github.com/twitter-archive/snowflake, ``IdWorker.scala``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(2010, 11, 4, 1, 42, 54, 657_000, tzinfo=UTC)
_SHIFT: Final = 22

# X refuses signatures that are more than about 5 minutes off, so a clock that was further
# wrong could not have posted anything.
CLOCK_MARGIN: Final = timedelta(minutes=15)


def ids_in(span: timedelta) -> int:
    """Return by how much ids grow in ``span``."""
    return span // timedelta(milliseconds=1) << _SHIFT


def moment_of(post_id: int) -> datetime:
    """Return when a post was made."""
    return EPOCH + timedelta(milliseconds=post_id >> _SHIFT)


def oldest_possible_id(moment: datetime) -> int:
    """Return an id that any post made after ``moment`` exceeds, even by a clock that is off."""
    return max(0, ids_in(moment - CLOCK_MARGIN - EPOCH))
