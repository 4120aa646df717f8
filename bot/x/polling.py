"""Reads the mentions of the account, each at least once, oldest first.

The cursor is the newest post id up to which everything has been handed on. It moves only
after all pages of a poll were handed on, so a crash in between reads them again; handing a
mention on twice is harmless. Each poll starts a minute before the cursor, since X does not
promise that posts become visible in the order of their ids.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bot.x.mentions import UnreadablePostError, read_mention

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bot.x.api import Account, Post, XApi
    from bot.x.cursors import Cursors
    from bot.x.mentions import Mention
    from bot.x.pauses import Pause

CURSOR_NAME = "x.mentions"

# A post id holds its time: milliseconds since 2010-11-04T01:42:54.657Z, shifted by 22 bits.
_OVERLAP = 60_000 << 22
# Source: X API docs, "User mention timeline": at most the 800 newest mentions.
_REACHABLE_COUNT = 800

_log = logging.getLogger(__name__)


class MentionPoll:
    """Finds new mentions and hands them on.

    Args:
        api: The port to X.
        me: The bot's account.
        cursors: Keeps the cursor.
        pause: Holds polls back when X asks for it.
        take: Called with each request; returns when it is stored or done with.
    """

    def __init__(
        self,
        api: XApi,
        *,
        me: Account,
        cursors: Cursors,
        pause: Pause,
        take: Callable[[Mention], Awaitable[None]],
    ) -> None:
        self._api = api
        self._me = me
        self._cursors = cursors
        self._pause = pause
        self._take = take
        self._done_ids: set[int] = set()  # of the overlap only

    async def poll_once(self) -> None:
        """Hand all new mentions on, then move the cursor."""
        cursor = await self._cursors.read_cursor(CURSOR_NAME)
        if cursor is None:
            await self._begin()
            return
        since = max(int(cursor) - _OVERLAP, 0)
        posts = await self._pause.call(lambda: self._posts_since(since))
        fresh = {number: post for number, post in posts.items() if number not in self._done_ids}
        for mention in self._readable([fresh[number] for number in sorted(fresh)]):
            await self._take(mention)
        newest = max([int(cursor), *posts])
        if newest != int(cursor):
            await self._cursors.write_cursor(CURSOR_NAME, str(newest))
        self._done_ids = {number for number in posts if number > newest - _OVERLAP}

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
