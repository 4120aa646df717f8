"""Searches the account's own posts for replies of which nobody knows whether they are out.

Looks that are due at the same time share one walk: it goes back as far as the oldest of
them needs. A walk that cannot be finished tells nothing; it never counts as "not there".
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.x.api import DeclinedError, PausedError, Span
from bot.x.prices import Call
from bot.x.verdicts import SHORT_PAUSE
from bot.x.walks import IncompleteWalkError, next_step

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.store.x_records import XRecords
    from bot.x.api import Post, XApi
    from bot.x.gates import Gate
    from bot.x.prices import Prices

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Walk:
    since_id: int
    done: asyncio.Future[list[Post]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Looks:
    """Reads own posts, one walk at a time for all who ask meanwhile.

    Args:
        api: The port to X.
        account_id: Whose posts are read.
        gate: Holds walks back.
        records: Keeps the spend.
        prices: What a post read costs.
        clock: Gives the present (aware, UTC).
    """

    def __init__(
        self,
        api: XApi,
        *,
        account_id: str,
        gate: Gate,
        records: XRecords,
        prices: Prices,
        clock: Callable[[], datetime],
    ) -> None:
        self._api = api
        self._account_id = account_id
        self._gate = gate
        self._records = records
        self._prices = prices
        self._clock = clock
        self._next: _Walk | None = None
        self._billed = Billed(clock=clock)

    async def own_posts_since(self, since_id: int) -> list[Post]:
        """Return all own posts above ``since_id``, as they are shown from now on.

        Waits as long as X asks for it.
        """
        if self._next is not None:  # not begun yet: it can go back a little further
            walk = self._next
            walk.since_id = min(walk.since_id, since_id)
            return await asyncio.shield(walk.done)
        self._next = walk = _Walk(since_id)
        try:
            posts = await self._gate.call(lambda: self._walk(walk))
        except BaseException as error:
            if self._next is walk:
                self._next = None
            _fail(walk, error)
            raise
        walk.done.set_result(posts)
        return posts

    async def _walk(self, walk: _Walk) -> list[Post]:
        if self._next is walk:  # who asks from now on needs a later walk
            self._next = None
        try:
            return await self._read(walk.since_id)
        except (IncompleteWalkError, DeclinedError) as error:
            _log.warning("x own posts cannot be read reason=%s", error)
            retry_at = self._clock() + SHORT_PAUSE
            raise PausedError("own posts", retry_at=retry_at, is_growing=True) from error

    async def _read(self, since_id: int) -> list[Post]:
        found: list[Post] = []
        span = Span(since_id=since_id)
        while True:
            step = await next_step(lambda asked: self._api.own_posts(self._account_id, asked), span)
            new_count = self._billed.new_count(step.posts)
            if new_count:
                cost = self._prices.cost(Call.OWN_POST, new_count)
                await self._records.money.spend(cost, now=self._clock())
            found += step.posts
            if step.next_until_id is None:
                return found
            span = Span(since_id=since_id, until_id=step.next_until_id)


class Billed:
    """Which posts were read today: X bills each once in a UTC day.

    After a restart they count again: rather too much than too little.
    """

    def __init__(self, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._day = clock().date()
        self._ids: set[str] = set()

    def new_count(self, posts: tuple[Post, ...]) -> int:
        """How many of ``posts`` are billed; from now on they were read."""
        today = self._clock().date()
        if today != self._day:
            self._day, self._ids = today, set()
        ids = {str(post["id"]) for post in posts} - self._ids
        self._ids |= ids
        return len(ids)


def _fail(walk: _Walk, error: BaseException) -> None:
    if isinstance(error, asyncio.CancelledError):
        walk.done.cancel()
    else:
        walk.done.set_exception(error)
        walk.done.exception()  # nobody else may be waiting
