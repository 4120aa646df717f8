"""Reads the mentions of the account, each at least once, oldest first.

The cursor is the newest post id up to which everything has been handed on. It moves only
after all pages of a poll were handed on, so a crash in between reads them again; handing a
mention on twice is harmless. Each poll starts a minute before the cursor, since X does not
promise that posts become visible in the order of their ids.

A mention that cannot be taken (a mistake of ours, a field that X never sent before) holds
the cursor back for a few polls, and never the mentions beside it. Then it is passed over.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from bot.x.mentions import UnreadablePostError, read_mention

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bot.jobs import Cursors
    from bot.x.api import Account, Post, XApi
    from bot.x.mentions import Mention
    from bot.x.pauses import Pause

CURSOR_NAME = "x.mentions"

# A post id holds its time: milliseconds since 2010-11-04T01:42:54.657Z, shifted by 22 bits.
_OVERLAP = 60_000 << 22
# Source: X API docs, "User mention timeline": at most the 800 newest mentions.
_REACHABLE_COUNT = 800
MAX_TAKE_COUNT = 3

_log = logging.getLogger(__name__)


class MentionPoll:
    """Finds new mentions and hands them on.

    Args:
        api: The port to X.
        me: The bot's account.
        cursors: Keeps the cursor.
        pause: Holds polls back when X asks for it.
        take: Called with each request; returns when it is stored or done with.
        not_now: What ``take`` raises when no mention can be taken just now.
    """

    def __init__(
        self,
        api: XApi,
        *,
        me: Account,
        cursors: Cursors,
        pause: Pause,
        take: Callable[[Mention], Awaitable[None]],
        not_now: tuple[type[Exception], ...],
    ) -> None:
        self._api = api
        self._me = me
        self._cursors = cursors
        self._pause = pause
        self._take = take
        self._not_now = not_now
        self._failure_counts: Counter[str] = Counter()
        self._done_ids: set[int] = set()  # of the overlap only

    async def poll_once(self) -> None:
        """Hand all new mentions on, then move the cursor.

        Raises:
            Exception: One of ``not_now``; the cursor stays where it is.
            UnreadablePostError: X has changed its fields; the cursor stays where it is.
        """
        cursor = await self._cursors.read_cursor(CURSOR_NAME)
        if cursor is None:
            await self._begin()
            return
        since = max(int(cursor) - _OVERLAP, 0)
        posts = await self._pause.call(lambda: self._posts_since(since))
        fresh = {number: post for number, post in posts.items() if number not in self._done_ids}
        mentions = self._readable([fresh[number] for number in sorted(fresh)])
        if not all([await self._is_done_with(mention) for mention in mentions]):
            return  # the next poll reads them again; taking one twice is harmless
        newest = max([int(cursor), *posts])
        if newest != int(cursor):
            await self._cursors.write_cursor(CURSOR_NAME, str(newest))
        self._done_ids = {number for number in posts if number > newest - _OVERLAP}
        self._failure_counts.clear()

    async def _is_done_with(self, mention: Mention) -> bool:
        """Hand a mention on; whether the cursor may pass it."""
        try:
            await self._take(mention)
        except self._not_now:
            raise
        except Exception:  # noqa: BLE001 - one request: the others must not wait for it
            self._failure_counts[mention.root_id] += 1
            is_given_up = self._failure_counts[mention.root_id] >= MAX_TAKE_COUNT
            what = "given up" if is_given_up else "kept for another look"
            _log.exception("x mention failed root_id=%s and is %s", mention.root_id, what)
            return is_given_up
        return True

    async def _begin(self) -> None:
        """Start at the newest mention there is: what came before the bot is not answered."""
        page = await self._pause.call(
            lambda: self._api.mentions(self._me.id, since_id=None, page_token=None)
        )
        self._done_ids = {int(post["id"]) for post in page.posts}
        newest = max(self._done_ids, default=0)
        await self._cursors.write_cursor(CURSOR_NAME, str(newest))

    async def _posts_since(self, since: int) -> dict[int, Post]:
        """Walk down all pages. X shows at most the 800 newest."""
        found: dict[int, Post] = {}
        token: str | None = None
        while True:
            page = await self._api.mentions(
                self._me.id, since_id=str(since) if since else None, page_token=token
            )
            new = {int(post["id"]): post for post in page.posts if int(post["id"]) not in found}
            found |= new
            token = page.next_token
            if token is None or not new:  # X was seen to repeat a token for ever
                break
        if since and len(found) >= _REACHABLE_COUNT:
            _log.warning("x mentions beyond the reachable ones may be lost")
        return found

    def _readable(self, posts: Sequence[Post]) -> list[Mention]:
        """Return the requests among ``posts``.

        Raises:
            UnreadablePostError: Not one post has the fields that are needed: X has changed
                them, and answering would be guessing. The cursor stays where it is.
        """
        mentions: list[Mention] = []
        unreadable: list[UnreadablePostError] = []
        for post in posts:
            try:
                mention = read_mention(post, self._me)
            except UnreadablePostError as error:
                unreadable.append(error)
            else:
                mentions += [mention] if mention else []
        if unreadable and len(unreadable) == len(posts):
            raise unreadable[0]
        for error in unreadable:
            _log.warning("x post skipped missing_field=%s", error)
        return mentions
