from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.jobs import OverBurstError, OverQuotaError, Scope, TooManyJobsError
from bot.store.quotas import (
    UNLIMITED,
    Account,
    Limits,
    Rules,
    Tier,
    close,
    day_of,
    left_count,
    narrower,
    new_account,
    reopens_at,
    standing,
    take,
    widest,
)
from tests.support.clock import NOON

if TYPE_CHECKING:
    from collections.abc import Sequence

MOMENTS = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001 - hypothesis wants bounds without a zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001 - as above
    timezones=st.integers(-12, 14).map(lambda hours: timezone(timedelta(hours=hours))),
)
COUNTS = st.integers(0, 1_000)
WISHES = st.integers(1, 16)
PAUSES = st.timedeltas(timedelta(0), timedelta(hours=30))
LIMITS = st.builds(
    Limits,
    daily_count=st.none() | st.integers(1, 100),
    burst_count=st.none() | st.integers(1, 50),
    refill_s=st.floats(0.01, 3_600),
    jobs_count=st.none() | st.integers(1, 6),
)
NOBODY = new_account(NOON)


def taken(account: Account, limits: Limits, count: int, now: datetime = NOON) -> Account:
    return take(account, limits, count, now, Scope.PERSON)


def used(account: Account, count: int) -> Account:
    return replace(account, used_count=count)


# ------------------------------------------------------------------------------------ the day


@given(allowance_count=st.integers(1, 100), wishes=st.lists(WISHES, max_size=30))
def test_no_sequence_of_wishes_takes_more_than_the_allowance(
    allowance_count: int, wishes: list[int]
) -> None:
    account, limits = NOBODY, Limits(daily_count=allowance_count)
    for wish in wishes:
        if wish <= allowance_count - account.used_count:
            account = taken(account, limits, wish)
        else:
            with pytest.raises(OverQuotaError) as refusal:
                taken(account, limits, wish)
            assert refusal.value.left_count == allowance_count - account.used_count
    assert 0 <= account.used_count <= allowance_count


@given(used_count=COUNTS, wish=COUNTS)
def test_without_a_limit_every_wish_is_counted_and_none_refused(used_count: int, wish: int) -> None:
    assert taken(used(NOBODY, used_count), Limits(), wish).used_count == used_count + wish
    assert standing(used(NOBODY, used_count), Limits(), NOON).daily_left_count is None


@given(allowance_count=st.integers(1, 1_000), used_count=COUNTS)
def test_exactly_what_is_left_can_be_taken(allowance_count: int, used_count: int) -> None:
    account, limits = used(NOBODY, used_count), Limits(daily_count=allowance_count)
    left = standing(account, limits, NOON).daily_left_count

    assert left is not None
    assert left >= 0
    assert standing(taken(account, limits, left), limits, NOON).daily_left_count == 0
    with pytest.raises(OverQuotaError):
        taken(account, limits, left + 1)


@given(now=MOMENTS)
def test_the_allowance_reopens_within_a_day_on_the_next_date(now: datetime) -> None:
    opening = reopens_at(now)

    assert timedelta(0) < opening - now <= timedelta(days=1)
    assert (day_of(opening) - day_of(now)).days == 1
    assert day_of(opening - timedelta(microseconds=1)) == day_of(now)


def test_the_day_is_that_of_utc_wherever_the_clock_hangs() -> None:
    in_auckland = datetime(2026, 6, 10, 11, 0, tzinfo=timezone(timedelta(hours=12)))

    assert reopens_at(in_auckland) == datetime(2026, 6, 10, tzinfo=UTC)


def test_a_new_day_begins_with_nothing_used() -> None:
    limits = Limits(daily_count=9)
    account = taken(NOBODY, limits, 9)

    assert taken(account, limits, 9, reopens_at(NOON)).used_count == 9


def test_a_clock_that_lags_behind_at_midnight_gets_no_second_allowance() -> None:
    limits, midnight = Limits(daily_count=9), reopens_at(NOON)
    account = taken(NOBODY, limits, 9, midnight)

    with pytest.raises(OverQuotaError):
        taken(account, limits, 1, midnight - timedelta(seconds=1))


def test_zero_is_no_limit() -> None:
    assert left_count(0, 5) is None
    assert left_count(9, 5) == 4


# ---------------------------------------------------------------------------------- the burst

BUCKET = Limits(burst_count=45, refill_s=10.0)


def test_the_example_of_the_module_holds() -> None:
    account = taken(NOBODY, BUCKET, 45)

    with pytest.raises(OverBurstError) as refusal:
        taken(account, BUCKET, 9, NOON + timedelta(seconds=30))

    assert refusal.value.left_count == 3
    assert refusal.value.reopens_at == NOON + timedelta(seconds=90)


def test_a_request_that_is_bigger_than_the_bucket_waits_for_a_full_one() -> None:
    small = Limits(burst_count=4, refill_s=10.0)
    account = taken(NOBODY, small, 9)

    with pytest.raises(OverBurstError) as refusal:
        taken(account, small, 9, NOON + timedelta(seconds=89))

    assert refusal.value.reopens_at == NOON + timedelta(seconds=90)
    assert taken(account, small, 9, NOON + timedelta(seconds=90)).burst_count == 9


@given(
    burst_count=st.integers(1, 50),
    refill_s=st.floats(0.01, 3_600),
    steps=st.lists(st.tuples(PAUSES, WISHES), max_size=20),
    wish=WISHES,
)
def test_whoever_comes_back_at_the_moment_named_gets_what_they_asked_for(
    burst_count: int, refill_s: float, steps: list[tuple[timedelta, int]], wish: int
) -> None:
    limits = Limits(burst_count=burst_count, refill_s=refill_s)
    account, now = NOBODY, NOON
    for pause, count in steps:
        now += pause
        account = refusal_or_account(account, limits, count, now)[1]
    account = taken(account, Limits(refill_s=refill_s), 60, now)  # more than the bucket holds

    refusal, _ = refusal_or_account(account, limits, wish, now)

    assert refusal is not None
    assert refusal.reopens_at is not None
    assert refusal.reopens_at > now
    taken(account, limits, wish, refusal.reopens_at)


@given(burst_count=st.integers(1, 50), first=WISHES, wish=WISHES, pause=PAUSES)
def test_what_is_said_to_be_left_of_a_burst_can_be_taken(
    burst_count: int, first: int, wish: int, pause: timedelta
) -> None:
    limits = Limits(burst_count=burst_count, refill_s=600.0)
    account = taken(NOBODY, limits, first)
    left = standing(account, limits, NOON + pause).burst_left_count

    refusal, _ = refusal_or_account(account, limits, wish, NOON + pause)

    assert left is not None
    if refusal is not None:
        assert refusal.left_count == left < wish
    if left:
        taken(account, limits, left, NOON + pause)


def refusal_or_account(
    account: Account, limits: Limits, count: int, now: datetime
) -> tuple[OverQuotaError | None, Account]:
    try:
        return None, taken(account, limits, count, now)
    except OverQuotaError as refusal:
        return refusal, account


@given(
    burst_count=st.integers(16, 50),
    refill_s=st.floats(0.1, 100),
    steps=st.lists(st.tuples(st.timedeltas(timedelta(0), timedelta(minutes=9)), WISHES)),
)
def test_in_no_span_of_time_more_is_taken_than_the_bucket_and_what_refilled_it(
    burst_count: int, refill_s: float, steps: list[tuple[timedelta, int]]
) -> None:
    limits = Limits(burst_count=burst_count, refill_s=refill_s)
    account, now = NOBODY, NOON
    granted: list[tuple[datetime, int]] = []
    for pause, wish in steps:
        now += pause
        try:
            account = taken(account, limits, wish, now)
        except OverBurstError:
            continue
        granted.append((now, wish))
    assert all(
        sum(count for _, count in granted[first : last + 1])
        <= burst_count + (granted[last][0] - granted[first][0]).total_seconds() / refill_s + 0.1
        for first in range(len(granted))
        for last in range(first, len(granted))
    )


# ---------------------------------------------------------------------- jobs, and giving back


def test_as_many_jobs_as_allowed_may_be_open_at_once() -> None:
    limits = Limits(jobs_count=2)
    account = taken(taken(NOBODY, limits, 1), limits, 1)

    with pytest.raises(TooManyJobsError) as refusal:
        taken(account, limits, 1)

    assert (refusal.value.allowance_count, refusal.value.reopens_at) == (2, None)
    after_one = close(account, picture_count=1, back_count=0, paid_on=account.day)
    assert taken(after_one, limits, 1).open_count == 2


@given(
    limits=LIMITS,
    wishes=st.lists(st.tuples(PAUSES, WISHES, st.integers(0, 16)), max_size=20),
)
def test_what_was_taken_is_what_stays_taken_once_all_jobs_are_over(
    limits: Limits, wishes: list[tuple[timedelta, int, int]]
) -> None:
    account, now, kept_today = NOBODY, NOON, 0
    jobs: list[tuple[Account, int, int]] = []
    for pause, wish, arrives in wishes:
        now += pause
        try:
            account = taken(account, limits, wish, now)
        except OverQuotaError:
            continue
        jobs.append((account, wish, min(wish, arrives)))

    assert account.open_count == len(jobs)
    for at_start, wish, arrived in jobs:
        account = close(
            account, picture_count=wish, back_count=wish - arrived, paid_on=at_start.day
        )
        kept_today += arrived if at_start.day == account.day else 0

    assert (account.open_count, account.open_picture_count) == (0, 0)
    assert account.used_count == kept_today
    assert account.burst_count >= 0


@given(counts=st.lists(WISHES, min_size=1, max_size=5), pause=PAUSES, refill_s=st.floats(1, 100))
def test_a_bucket_is_the_same_whether_it_refills_before_or_after_giving_back(
    counts: Sequence[int], pause: timedelta, refill_s: float
) -> None:
    limits = Limits(burst_count=200, refill_s=refill_s)
    account = NOBODY
    for count in counts:
        account = taken(account, limits, count)
    later = NOON + pause

    back_first = close(account, picture_count=1, back_count=counts[0], paid_on=account.day)
    back_last = close(
        taken(account, limits, 0, later), picture_count=1, back_count=counts[0], paid_on=account.day
    )

    assert taken(back_first, limits, 0, later).burst_count == pytest.approx(back_last.burst_count)


def test_a_day_that_is_over_gets_nothing_back() -> None:
    paid_on = NOBODY.day
    account = taken(taken(NOBODY, Limits(), 9), Limits(), 4, reopens_at(NOON))

    assert close(account, picture_count=9, back_count=9, paid_on=paid_on).used_count == 4


# ---------------------------------------------------------------------------------- the tiers

RULES = Rules(
    person=Limits(daily_count=9, burst_count=9, refill_s=60.0, jobs_count=1),
    community=Limits(daily_count=100),
    bot=Limits(jobs_count=1_000),
    tiers={
        "friend": Tier(
            person=Limits(daily_count=90, burst_count=5, refill_s=5.0),
            community=Limits(daily_count=500),
        )
    },
)


def test_who_has_no_tier_has_the_usual_limits() -> None:
    assert RULES.limits(person_tiers=[], community_tier=None) == {
        Scope.PERSON: RULES.person,
        Scope.COMMUNITY: RULES.community,
        Scope.BOT: RULES.bot,
    }


def test_a_tier_widens_what_it_can_and_narrows_nothing() -> None:
    limits = RULES.limits(person_tiers=["friend"], community_tier=None)

    assert limits[Scope.PERSON] == Limits(
        daily_count=90, burst_count=9, refill_s=5.0, jobs_count=None
    )
    assert limits[Scope.COMMUNITY] == RULES.community


def test_the_tier_of_a_community_is_for_it_and_for_all_who_ask_there() -> None:
    limits = RULES.limits(person_tiers=[], community_tier="friend")

    assert limits[Scope.PERSON].daily_count == 90
    assert limits[Scope.COMMUNITY].daily_count == 500


@pytest.mark.parametrize("place", ["person", "community"])
def test_unlimited_is_free_of_every_limit(place: str) -> None:
    limits = RULES.limits(
        person_tiers=[UNLIMITED] if place == "person" else [],
        community_tier=UNLIMITED if place == "community" else None,
    )

    assert limits == dict.fromkeys(Scope, Limits())


def test_what_a_community_sets_itself_is_only_ever_narrower() -> None:
    narrow = RULES.narrowed(daily_count=10, jobs_count=3)
    usual = RULES.limits(person_tiers=[], community_tier="friend")

    limits = narrow.limits(person_tiers=[], community_tier="friend")

    assert limits[Scope.COMMUNITY] == replace(usual[Scope.COMMUNITY], daily_count=10, jobs_count=3)
    assert limits[Scope.PERSON] == usual[Scope.PERSON]
    assert limits[Scope.BOT] == usual[Scope.BOT]
    assert RULES.narrowed(daily_count=None, jobs_count=None) is RULES


def test_a_community_that_is_unlimited_may_still_limit_itself_but_not_who_is_unlimited() -> None:
    narrow = RULES.narrowed(daily_count=10, jobs_count=None)

    granted = narrow.limits(person_tiers=[], community_tier=UNLIMITED)
    free = narrow.limits(person_tiers=[UNLIMITED], community_tier=None)

    assert granted[Scope.COMMUNITY] == Limits(daily_count=10)
    assert free[Scope.COMMUNITY] == Limits()


@given(limits=LIMITS, own=LIMITS)
def test_the_narrower_of_two_limits_allows_only_what_both_allow(
    limits: Limits, own: Limits
) -> None:
    both = narrower(limits, own)

    for name in ("daily_count", "jobs_count"):
        counts = [getattr(each, name) for each in (limits, own) if getattr(each, name) is not None]
        assert getattr(both, name) == min(counts, default=None)
    assert (both.burst_count, both.refill_s) == (limits.burst_count, limits.refill_s)


def test_a_tier_that_is_not_defined_any_more_counts_for_nothing() -> None:
    assert RULES.limits(person_tiers=["gone"], community_tier="gone") == RULES.limits(
        person_tiers=[], community_tier=None
    )


@given(several=st.lists(LIMITS, min_size=1, max_size=4), wish=WISHES)
def test_the_widest_limits_allow_what_any_of_them_allows(several: list[Limits], wish: int) -> None:
    for limits in several:
        try:
            taken(NOBODY, limits, wish)
        except OverQuotaError:
            continue
        taken(NOBODY, widest(several), wish)
