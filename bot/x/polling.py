"""Reads the mentions of the account and stores each of them, before anyone looks at it.

The cursor is the newest id up to which everything is stored. It moves in the transaction
that stores the last page of a walk. Each earlier page is stored together with a *gap* row,
which says how far the walk has come, so a crash in the middle loses nothing and reads
nothing twice: the next process goes on below that page. Each walk starts a minute before
the cursor, since X does not promise that posts become visible in the order of their ids;
what is known already makes no second row.

X's timeline reaches back over 800 mentions. A walk that comes to its end there, or to page
tokens that lead nowhere, goes on once in the search, which reaches back 7 days.

A post that lacks a field without which it may be misread is not answered. If that is so of
all posts of a page, X has changed its ways: nothing is stored, and the cursor stays.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bot.store.x_states import Gap, NewMention
from bot.x.api import PAGE_SIZE, DeclinedError, Span
from bot.x.ids import ids_in
from bot.x.looks import Billed
from bot.x.mentions import UnreadablePostError, read_mention
from bot.x.prices import Call
from bot.x.walks import IncompleteWalkError, Step, next_step

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.store.x_records import XRecords
    from bot.store.x_states import Cost
    from bot.x.api import Account, Page, Post, XApi
    from bot.x.config import XConfig
    from bot.x.gates import Gates

OVERLAP: Final = ids_in(timedelta(minutes=1))
_WINDOW_S: Final = 900.0
_LEAST_INTERVAL_S: Final = 3.0
# Somewhat slower than X allows: other calls of the account may count, too.
_MARGIN: Final = 1.05

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """What a poll came to.

    Attributes:
        new_count: Mentions that were not known before.
        is_full: There may be more at once: look again soon.
    """

    new_count: int
    is_full: bool


class MentionPoll:
    """Finds new mentions and stores them.

    Args:
        api: The port to X.
        me: The bot's account.
        config: Prices, pace and whom to ignore.
        records: Keeps mentions, cursor and gap.
        gates: Hold calls back.
        clock: Gives the present (aware, UTC).
    """

    def __init__(
        self,
        api: XApi,
        *,
        me: Account,
        config: XConfig,
        records: XRecords,
        gates: Gates,
        clock: Callable[[], datetime],
    ) -> None:
        self._api = api
        self._me = me
        self._config = config
        self._records = records
        self._gates = gates
        self._clock = clock
        self._billed = {call: Billed(clock=clock) for call in (Call.MENTION, Call.POST)}
        self._known_ids: set[int] = set()
        self._limit_count: int | None = None

    async def poll_once(self) -> Polled:
        """Store all new mentions, then move the cursor.

        Raises:
            UnreadablePostError: X has changed its fields; the cursor stays where it is.
            IncompleteWalkError: X does not even show where to begin.
            DeclinedError: X does not take the call; the gap stays open.
        """
        reading = await self._records.timeline.reading()
        if reading.cursor is None:
            return await self._begin()
        if reading.gap is not None:
            _log.info("x walk resumed read_count=%d", reading.gap.read_count)
            return await self._walk(reading.gap)
        return await self._walk(Gap(lo_id=max(reading.cursor - OVERLAP, reading.floor)))

    def interval_s(self, polled: Polled | None) -> float:
        """How long to wait before the next poll.

        After a full page as short as X allows, which depends on the plan; else as the admin
        chose, but never shorter than that.
        """
        least_s = _LEAST_INTERVAL_S
        if self._limit_count:
            least_s = _WINDOW_S / self._limit_count * _MARGIN
        is_full = polled is not None and polled.is_full
        return least_s if is_full else max(least_s, self._config.poll_interval_s)

    async def _begin(self) -> Polled:
        """Start at the newest mention there is: what came before the bot is not answered."""
        step = await self._gates.mentions.call(lambda: next_step(self._fetch_mentions, Span()))
        self._readable(step.posts)
        newest_id = max((int(post["id"]) for post in step.posts), default=0)
        cost = self._cost(Call.MENTION, step.posts)
        await self._records.timeline.begin_reading(newest_id, cost, now=self._clock())
        return Polled(new_count=0, is_full=False)

    async def _walk(self, gap: Gap) -> Polled:
        new_count, is_full, is_over = 0, False, False
        while not is_over:
            above, step = await self._step(gap)
            is_full |= len(step.posts) >= PAGE_SIZE
            gap, is_over = self._moved_on(above, step)
            new_count += await self._keep(step.posts, above, gap, is_last=is_over)
        return Polled(new_count=new_count, is_full=is_full)

    async def _step(self, gap: Gap) -> tuple[Gap, Step]:
        """Read the next page; where the timeline does not go on, from the search."""
        span = Span(since_id=gap.lo_id, until_id=gap.next_until_id)
        if not gap.is_search:
            try:
                return gap, await self._gates.mentions.call(
                    lambda: next_step(self._fetch_mentions, span)
                )
            except IncompleteWalkError as error:
                _log.warning("x timeline does not go on, searching reason=%s", error)
        return replace(gap, is_search=True), await self._search_step(span)

    async def _search_step(self, span: Span) -> Step:
        try:
            return await self._gates.search.call(lambda: next_step(self._fetch_search, span))
        except (DeclinedError, IncompleteWalkError) as error:
            _log.error(
                "x mentions lost since_id=%d until_id=%s reason=%s",
                span.since_id,
                span.until_id,
                error,
            )
            return Step(posts=(), next_until_id=None, limit_count=None)

    def _moved_on(self, gap: Gap, step: Step) -> tuple[Gap, bool]:
        """Return the gap below the page just read, and whether the walk is over."""
        ids = [int(post["id"]) for post in step.posts]
        gap = replace(
            gap,
            hi_id=gap.hi_id or max(ids, default=0),
            read_count=gap.read_count + len(ids),
            next_until_id=step.next_until_id or min(ids, default=gap.next_until_id),
        )
        if step.next_until_id is not None:
            return gap, False
        if not gap.is_search and gap.read_count >= self._config.reachable_count:
            _log.warning("x timeline ended after read_count=%d, searching", gap.read_count)
            return replace(gap, is_search=True), False
        return gap, True

    async def _keep(self, posts: tuple[Post, ...], above: Gap, gap: Gap, *, is_last: bool) -> int:
        """Store a page and how far the walk has come, unless there is nothing to store.

        Args:
            posts: What the page holds.
            above: The gap that was left before it was read.
            gap: The gap below it.
            is_last: The walk is over.
        """
        cost = self._cost(Call.POST if above.is_search else Call.MENTION, posts)
        try:
            mentions = self._readable(posts)
        except UnreadablePostError:
            await self._records.money.spend(cost, now=self._clock())
            raise
        fresh = [new for new in mentions if new.latest_id not in self._known_ids]
        has_row = above.next_until_id is not None
        new_count = 0
        if fresh or cost.unit_count or has_row or not is_last:
            new_count = await self._records.timeline.keep_page(
                fresh, gap, cost, is_last=is_last, now=self._clock()
            )
        known_ids = self._known_ids | {new.latest_id for new in mentions}
        self._known_ids = {known for known in known_ids if known > gap.hi_id - OVERLAP}
        return new_count

    def _cost(self, call: Call, posts: tuple[Post, ...]) -> Cost:
        return self._config.prices.cost(call, self._billed[call].new_count(posts))

    async def _fetch_mentions(self, span: Span) -> Page:
        page = await self._api.mentions(self._me.id, span)
        self._limit_count = page.limit_count or self._limit_count
        return page

    async def _fetch_search(self, span: Span) -> Page:
        return await self._api.search(self._me.username, span)

    def _readable(self, posts: tuple[Post, ...]) -> list[NewMention]:
        """Return what the posts are to the bot, oldest first.

        Raises:
            UnreadablePostError: Not one post has the fields that are needed.
        """
        mentions: list[NewMention] = []
        unreadable: list[UnreadablePostError] = []
        for post in reversed(posts):
            try:
                ignored_ids = self._config.ignored_ids
                mentions.append(read_mention(post, self._me, ignored_ids=ignored_ids))
            except UnreadablePostError as error:
                unreadable.append(error)
                mentions.append(_unreadable(post, error))
        if unreadable and len(unreadable) == len(posts):
            raise unreadable[0]
        for error in unreadable:
            _log.warning("x post ignored missing_field=%s", error)
        return mentions


def _unreadable(post: Post, error: UnreadablePostError) -> NewMention:
    """Keep a post that could be misread as one that is not answered."""
    post_id = int(post["id"])
    return NewMention(
        root_id=post_id,
        latest_id=post_id,
        author_id=str(post.get("author_id", "")),
        conversation_id=str(post.get("conversation_id", "")),
        answers_id=None,
        prompt="",
        command=None,
        ignored_because=f"unreadable: {error}",
    )
