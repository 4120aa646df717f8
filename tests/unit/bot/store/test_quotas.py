from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.jobs import OverQuotaError
from bot.store.quotas import day_of, left_count, reopens_at, take
from tests.support.clock import NOON

MOMENTS = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001 - hypothesis wants bounds without a zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001 - as above
    timezones=st.integers(-12, 14).map(lambda hours: timezone(timedelta(hours=hours))),
)
COUNTS = st.integers(0, 1_000)


@given(allowance_count=st.integers(1, 100), wishes=st.lists(st.integers(1, 16), max_size=30))
def test_no_sequence_of_wishes_takes_more_than_the_allowance(
    allowance_count: int, wishes: list[int]
) -> None:
    used_count = 0
    for wish in wishes:
        if wish <= allowance_count - used_count:
            used_count = take(allowance_count, used_count, wish, NOON)
        else:
            with pytest.raises(OverQuotaError) as refusal:
                take(allowance_count, used_count, wish, NOON)
            assert refusal.value.left_count == allowance_count - used_count
    assert 0 <= used_count <= allowance_count


@given(used_count=COUNTS, wish=COUNTS)
def test_without_a_limit_every_wish_is_counted_and_none_refused(used_count: int, wish: int) -> None:
    assert take(0, used_count, wish, NOON) == used_count + wish
    assert left_count(0, used_count) is None


@given(allowance_count=st.integers(1, 1_000), used_count=COUNTS)
def test_exactly_what_is_left_can_be_taken(allowance_count: int, used_count: int) -> None:
    left = left_count(allowance_count, used_count)

    assert left is not None
    assert left >= 0
    assert left_count(allowance_count, take(allowance_count, used_count, left, NOON)) == 0
    with pytest.raises(OverQuotaError):
        take(allowance_count, used_count, left + 1, NOON)


@given(now=MOMENTS)
def test_the_allowance_reopens_within_a_day_on_the_next_date(now: datetime) -> None:
    opening = reopens_at(now)

    assert timedelta(0) < opening - now <= timedelta(days=1)
    assert (day_of(opening) - day_of(now)).days == 1
    assert day_of(opening - timedelta(microseconds=1)) == day_of(now)


def test_the_day_is_that_of_utc_wherever_the_clock_hangs() -> None:
    in_auckland = datetime(2026, 6, 10, 11, 0, tzinfo=timezone(timedelta(hours=12)))

    assert reopens_at(in_auckland) == datetime(2026, 6, 10, tzinfo=UTC)
