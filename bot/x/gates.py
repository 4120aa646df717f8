"""When X may be called. Nobody waits for X in any other place.

One gate for each kind of call lets calls through one at a time, because calls that were
under way together would all run into the limit that the first of them meets. A gate is
closed

* until the moment that X named (rate limit) or that a growing pause ends (keys refused,
  account limited, no credit; the last closes all gates),
* while the last 15 minutes or 3 hours hold as many posts as X allows,
* until midnight (UTC), when the day's money is used up.

A moment that X named survives a restart: a new process does not ask what the old one was
told. A pause of our own choosing does not: who has repaired the keys or bought credit starts
the bot again and need not wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from bot.store.quotas import day_of, reopens_at
from bot.x.api import CredentialsError, PausedError
from bot.x.prices import Call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bot.jobs import Cursors
    from bot.store.x_records import XRecords
    from bot.store.x_states import Cost
    from bot.x.config import XConfig

Result = TypeVar("Result")

MAX_PAUSE = timedelta(hours=1)

_log = logging.getLogger(__name__)


class Pauses:
    """Until when each kind of call, and all of them, is forbidden. Kept in the store."""

    ALL = "all"

    def __init__(self, cursors: Cursors, *, clock: Callable[[], datetime]) -> None:
        self._cursors = cursors
        self._clock = clock
        self._until: dict[str, datetime] = {}
        self._streaks: dict[str, int] = {}

    async def until(self, name: str) -> datetime:
        """When calls of this kind are allowed again; the past is now."""
        return max(await self._read(name), await self._read(self.ALL))

    async def begin(self, name: str, error: PausedError) -> None:
        """Forbid calls of this kind, or all, for as long as ``error`` says."""
        kind = self.ALL if error.is_for_all else name
        streak = self._streaks.get(kind, 0)
        until = error.retry_at
        if error.is_growing:
            self._streaks[kind] = streak + 1
            pause = error.retry_at - self._clock()
            until = self._clock() + max(pause, min(pause * 2**streak, MAX_PAUSE))
        self._until[kind] = max(await self._read(kind), until)
        is_broken = isinstance(error, CredentialsError)
        level = logging.ERROR if is_broken else logging.WARNING
        _log.log(level, "x paused kind=%s until=%s reason=%s", kind, self._until[kind], error)
        if not is_broken and not error.is_growing:  # X said how long
            await self._cursors.write_cursor(_key(kind), self._until[kind].isoformat())

    def succeed(self, name: str) -> None:
        """Forget how long pauses had become: a call has worked."""
        self._streaks.pop(name, None)
        self._streaks.pop(self.ALL, None)

    async def _read(self, kind: str) -> datetime:
        if kind not in self._until:
            stored = await self._cursors.read_cursor(_key(kind))
            self._until[kind] = _moment(stored) or datetime.min.replace(tzinfo=UTC)
        return self._until[kind]


class PostWindows:
    """How many posts lie in the last 15 minutes and 3 hours.

    They slide, which no window of X can be stricter than: a bucket that refills while it is
    emptied would let nearly twice as many through.

    Args:
        limits: Pairs of a span and how many posts it may hold.
        times: When earlier posts were begun, oldest first.
    """

    def __init__(
        self, limits: Iterable[tuple[timedelta, int]], times: Iterable[datetime] = ()
    ) -> None:
        self._limits = tuple(limits)
        self._times = deque(times)
        self.span = max(span for span, _ in self._limits)

    def open_at(self, now: datetime) -> datetime:
        """When one more post fits in."""
        while self._times and self._times[0] <= now - self.span:
            self._times.popleft()
        opens = [now]
        for span, limit_count in self._limits:
            if len(self._times) >= limit_count:
                opens.append(self._times[-limit_count] + span)
        return max(opens)

    def note(self, now: datetime) -> None:
        """Count a post that is about to be made."""
        self._times.append(now)


class Budget:
    """How much of the day's money is left."""

    def __init__(self, records: XRecords, *, limit_micros: int, reserve_micros: int) -> None:
        self._records = records
        self._limit_micros = limit_micros
        self._reserve_micros = reserve_micros

    async def open_at(self, price_micros: int, now: datetime) -> datetime:
        """When a call of this price is affordable: now, or at the coming midnight."""
        if self._limit_micros == 0:
            return now
        spent = await self._records.money.spent_micros(day_of(now))
        fits = spent + price_micros + self._reserve_micros <= self._limit_micros
        return now if fits else reopens_at(now)

    @property
    def limit_for_posts_micros(self) -> int:
        """What a day may have cost when a post has been paid; 0 is no limit."""
        return max(0, self._limit_micros - self._reserve_micros)


class Gate:
    """Lets calls of one kind through, one at a time, as soon as they are allowed."""

    def __init__(
        self,
        name: str,
        *,
        pauses: Pauses,
        budget: Budget,
        windows: PostWindows | None = None,
        price: Cost | None = None,
        records: XRecords,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._name = name
        self._pauses = pauses
        self._budget = budget
        self._windows = windows
        self._price = price
        self._records = records
        self._clock = clock
        self._sleep = sleep
        self._turn = asyncio.Lock()

    async def call(self, action: Callable[[], Awaitable[Result]]) -> Result:
        """Run ``action`` as soon as it is allowed, again after each pause.

        What ``action`` does before it raises ``PausedError`` is done again.
        """
        async with self._turn:
            while True:
                try:
                    return await self._once(action)
                except PausedError as error:
                    await self._pauses.begin(self._name, error)

    async def try_once(self, action: Callable[[], Awaitable[Result]]) -> Result:
        """Run ``action`` as soon as it is allowed, once.

        Raises:
            PausedError: X takes no calls of this kind; the gate is closed from now on.
        """
        async with self._turn:
            try:
                return await self._once(action)
            except PausedError as error:
                await self._pauses.begin(self._name, error)
                raise

    async def is_open(self) -> bool:
        """Whether a call would be let through at once."""
        return await self._open_at() <= self._clock()

    async def _once(self, action: Callable[[], Awaitable[Result]]) -> Result:
        await self._wait()
        if self._windows is not None:
            self._windows.note(self._clock())
        if self._price is not None:
            await self._records.money.spend(self._price, now=self._clock())
        result = await action()
        self._pauses.succeed(self._name)
        return result

    async def _wait(self) -> None:
        while (left_s := (await self._open_at() - self._clock()).total_seconds()) > 0:
            await self._sleep(left_s)

    async def _open_at(self) -> datetime:
        now = self._clock()
        price = 0 if self._price is None else self._price.micros
        moments = [
            now,
            await self._pauses.until(self._name),
            await self._budget.open_at(price, now),
        ]
        if self._windows is not None:
            moments.append(self._windows.open_at(now))
        return max(moments)


class Gates:
    """One gate for each kind of call.

    Args:
        config: Prices, limits.
        records: Keeps the spend and when posts were made.
        cursors: Keeps the pauses.
        clock: Gives the present (aware, UTC).
        sleep: ``asyncio.sleep``, or a test's.
        post_times: When posts were begun before this process, oldest first.
    """

    def __init__(
        self,
        config: XConfig,
        records: XRecords,
        cursors: Cursors,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
        post_times: Iterable[datetime] = (),
    ) -> None:
        prices = config.prices
        pauses = Pauses(cursors, clock=clock)
        self.budget = Budget(
            records,
            limit_micros=config.daily_limit_micros,
            reserve_micros=prices.reserve_micros,
        )

        def gate(name: str, price: Cost | None = None, windows: PostWindows | None = None) -> Gate:
            return Gate(
                name,
                pauses=pauses,
                budget=self.budget,
                windows=windows,
                price=price,
                records=records,
                clock=clock,
                sleep=sleep,
            )

        # Reads are paid by what they return, a reply when its attempt is committed.
        self.account = gate("account", prices.cost(Call.USER))
        self.mentions = gate("mentions")
        self.search = gate("search")
        self.looks = gate("looks")
        self.lookups = gate("lookups", prices.cost(Call.POST))
        self.uploads = gate("uploads")
        self.alt_texts = gate("alt_texts", prices.cost(Call.ALT_TEXT))
        self.posts = gate("posts", windows=PostWindows(config.post_limits, post_times))
        self.erasures = gate("erasures", prices.cost(Call.DELETE))


def _key(kind: str) -> str:
    return f"x.closed.{kind}"


def _moment(stored: str | None) -> datetime | None:
    return None if stored is None else datetime.fromisoformat(stored)
