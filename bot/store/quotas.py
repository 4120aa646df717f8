"""The arithmetic of quotas: pure functions of pictures, jobs and moments (UTC).

An *account* exists for each person on a platform, for each community and for the whole bot.
Every request is taken from all accounts it concerns, or from none. Each account keeps three
things, and its *limits* say how far each may go:

- a day's pictures. A job takes them when it is accepted; what is not delivered goes back to
  the day that paid, and to no other.
- a burst: a bucket from which pictures are taken and which fills again, one picture every
  ``refill_s``. It bounds what can be asked for in a short time.
- open jobs: accepted, and neither delivered nor given up.

A worked example: a bucket of 45 that refills one picture every 10 s. Somebody takes 45 at
12:00:00 and wants 9 more at 12:00:30. 3 have come back, 42 are still missing; 9 fit once at
most 36 are missing, which is 60 s later, at 12:01:30.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from bot.jobs import OverBurstError, OverQuotaError, Scope, TooManyJobsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NO_LIMIT = 0
UNLIMITED: Final = "unlimited"
"""The tier that is free of all limits; it need not be defined."""

# Rounding must not refuse somebody who comes back at the very moment that we named.
_HAIR = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far one account may go; ``None`` is no limit.

    Attributes:
        daily_count: Pictures a day.
        burst_count: Pictures that the bucket holds.
        refill_s: Seconds until one picture is back in the bucket; above 0.
        jobs_count: Open jobs at once.
    """

    daily_count: int | None = None
    burst_count: int | None = None
    refill_s: float = 1.0
    jobs_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """The limits of those who have the tier, instead of the usual ones where they are wider.

    Attributes:
        person: Of a person who has it, by a role or by a grant, and of everybody who asks
            in a community that has it.
        community: Of a community that has it.
    """

    person: Limits
    community: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All limits that an admin has set.

    Attributes:
        person: Of everybody.
        community: Of each community.
        bot: Of all together.
        tiers: Other limits, by name.
        narrowing: What the community of a request has set itself.
    """

    person: Limits = Limits()
    community: Limits = Limits()
    bot: Limits = Limits()
    tiers: Mapping[str, Tier] = field(default_factory=dict[str, Tier])
    narrowing: Limits = Limits()

    def narrowed(self, *, daily_count: int | None, jobs_count: int | None) -> Rules:
        """These rules for a community that has set itself limits of its own.

        They make its limits narrower and never wider, whatever tier it has; only who is
        free of all limits is free of them too.
        """
        if daily_count is None and jobs_count is None:
            return self
        return replace(self, narrowing=Limits(daily_count=daily_count, jobs_count=jobs_count))

    def limits(
        self, *, person_tiers: Iterable[str], community_tier: str | None
    ) -> Mapping[Scope, Limits]:
        """Say what holds for a request of somebody with these tiers.

        Tiers that are not defined (any more) count for nothing.
        """
        of_community = [] if community_tier is None else [community_tier]
        own = {*person_tiers}
        names = {*own, *of_community}
        if UNLIMITED in own:
            return dict.fromkeys(Scope, Limits())
        if UNLIMITED in names:
            return {**dict.fromkeys(Scope, Limits()), Scope.COMMUNITY: self.narrowing}
        tiers = [self.tiers[name] for name in names if name in self.tiers]
        wide = [self.tiers[name].community for name in of_community if name in self.tiers]
        return {
            Scope.PERSON: widest([self.person, *(tier.person for tier in tiers)]),
            Scope.COMMUNITY: narrower(widest([self.community, *wide]), self.narrowing),
            Scope.BOT: self.bot,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What an account has given so far.

    Attributes:
        day: The newest day (UTC) that something was taken from.
        used_count: Pictures that this day has lost.
        burst_count: Pictures that were missing from the bucket at ``burst_at``.
        burst_at: When the last pictures were taken from it.
        open_count: Open jobs.
        open_picture_count: Their pictures.
    """

    day: date
    burst_at: datetime
    used_count: int = 0
    burst_count: float = 0.0
    open_count: int = 0
    open_picture_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How much of its limits an account has left; ``None`` is no limit.

    Attributes:
        daily_left_count: Pictures left today.
        reopens_at: When the day's allowance is whole again.
        burst_left_count: Pictures left in the bucket.
        full_at: When the bucket is full again; in the past if it is.
        jobs_left_count: Further jobs that may wait.
    """

    daily_left_count: int | None
    reopens_at: datetime
    burst_left_count: int | None
    full_at: datetime
    jobs_left_count: int | None


def day_of(now: datetime) -> date:
    """The day that pays for what is asked for at ``now``."""
    return now.astimezone(UTC).date()


def reopens_at(now: datetime) -> datetime:
    """When the allowance is full again: the coming midnight, UTC."""
    return datetime.combine(day_of(now) + timedelta(days=1), time(), tzinfo=UTC)


def left_count(allowance_count: int, used_count: int) -> int | None:
    """How many are left; ``None`` is no limit.

    Never negative: an admin may lower the allowance below what was used already.
    """
    return None if allowance_count == NO_LIMIT else max(0, allowance_count - used_count)


def new_account(now: datetime) -> Account:
    """An account from which nothing was taken yet."""
    return Account(day=day_of(now), burst_at=now)


def widest(several: Iterable[Limits]) -> Limits:
    """For each thing the widest of several limits."""
    limits = list(several)
    return Limits(
        daily_count=_widest_count(each.daily_count for each in limits),
        burst_count=_widest_count(each.burst_count for each in limits),
        refill_s=min(each.refill_s for each in limits),
        jobs_count=_widest_count(each.jobs_count for each in limits),
    )


def narrower(limits: Limits, own: Limits) -> Limits:
    """``limits``, but no more pictures a day and no more jobs at once than ``own``."""
    return replace(
        limits,
        daily_count=_narrower_count(limits.daily_count, own.daily_count),
        jobs_count=_narrower_count(limits.jobs_count, own.jobs_count),
    )


def _narrower_count(one: int | None, other: int | None) -> int | None:
    return min((count for count in (one, other) if count is not None), default=None)


def _widest_count(counts: Iterable[int | None]) -> int | None:
    known = list(counts)
    return None if None in known else max(count for count in known if count is not None)


def take(
    account: Account, limits: Limits, picture_count: int, now: datetime, scope: Scope
) -> Account:
    """Take a job's pictures and return what the account is then.

    Raises:
        OverQuotaError: Or one of its subclasses: a limit does not cover them.
    """
    today = _rolled(account, limits, now)
    _check_day(today, limits, picture_count, now, scope)
    _check_burst(today, limits, picture_count, now, scope)
    _check_jobs(today, limits, scope)
    return replace(
        today,
        used_count=today.used_count + picture_count,
        burst_count=today.burst_count + picture_count,
        open_count=today.open_count + 1,
        open_picture_count=today.open_picture_count + picture_count,
    )


def close(account: Account, *, picture_count: int, back_count: int, paid_on: date) -> Account:
    """End a job of ``picture_count`` and give ``back_count`` of its pictures back.

    Needs neither limits nor the present: the bucket may as well be refilled afterwards. A day
    that is over gets nothing back.
    """
    back_to_day = back_count if account.day == paid_on else 0
    return replace(
        account,
        used_count=account.used_count - back_to_day,
        burst_count=max(0.0, account.burst_count - back_count),
        open_count=account.open_count - 1,
        open_picture_count=account.open_picture_count - picture_count,
    )


def standing(account: Account, limits: Limits, now: datetime) -> Standing:
    """How much is left at ``now``."""
    today = _rolled(account, limits, now)
    return Standing(
        daily_left_count=_left(limits.daily_count, today.used_count),
        reopens_at=reopens_at(now),
        burst_left_count=_burst_left(limits, today),
        full_at=now + timedelta(seconds=today.burst_count * limits.refill_s),
        jobs_left_count=_left(limits.jobs_count, today.open_count),
    )


def _rolled(account: Account, limits: Limits, now: datetime) -> Account:
    """Begin a new day where one has come, and refill the bucket.

    Clocks of two processes differ: a moment before the last one counts as that one.
    """
    refilled = max(0.0, (now - account.burst_at).total_seconds()) / limits.refill_s
    is_new_day = day_of(now) > account.day
    return replace(
        account,
        day=max(account.day, day_of(now)),
        used_count=0 if is_new_day else account.used_count,
        burst_count=max(0.0, account.burst_count - refilled),
        burst_at=max(account.burst_at, now),
    )


def _check_day(
    today: Account, limits: Limits, picture_count: int, now: datetime, scope: Scope
) -> None:
    left = _left(limits.daily_count, today.used_count)
    if limits.daily_count is not None and left is not None and picture_count > left:
        raise OverQuotaError(
            scope=scope,
            allowance_count=limits.daily_count,
            left_count=left,
            reopens_at=reopens_at(now),
        )


def _check_burst(
    today: Account, limits: Limits, picture_count: int, now: datetime, scope: Scope
) -> None:
    """A request that is bigger than the whole bucket may empty a full one."""
    if limits.burst_count is None:
        return
    surplus = today.burst_count + picture_count - max(limits.burst_count, picture_count)
    if surplus > _HAIR / limits.refill_s:
        raise OverBurstError(
            scope=scope,
            allowance_count=limits.burst_count,
            left_count=_burst_left(limits, today) or 0,
            reopens_at=now + timedelta(seconds=surplus * limits.refill_s),
        )


def _check_jobs(today: Account, limits: Limits, scope: Scope) -> None:
    if _left(limits.jobs_count, today.open_count) == 0:
        raise TooManyJobsError(
            scope=scope, allowance_count=limits.jobs_count or 0, left_count=0, reopens_at=None
        )


def _left(limit: int | None, used_count: int) -> int | None:
    return None if limit is None else max(0, limit - used_count)


def _burst_left(limits: Limits, today: Account) -> int | None:
    if limits.burst_count is None:
        return None
    return max(0, int(limits.burst_count - today.burst_count + _HAIR / limits.refill_s))
