"""The port to X without a wire: ``XWorld`` behind ``XApi``, with a fuse at every await.

An answer becomes an error by the very rules of the product (``bot.x.verdicts``); a fault
becomes what tweepy was seen to make of it (``tests/contract/test_x_border.py`` holds the two
to each other).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bot.x import verdicts
from bot.x.api import Account, DeclinedError, DeclineReason, Page
from tests.support.x_world import (
    BOT_ID,
    BOT_NAME,
    CREATE,
    DELETE,
    LOOKUP,
    ME,
    MENTIONS,
    METADATA,
    OWN_POSTS,
    SEARCH,
    UPLOAD,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.x.api import Post, Span
    from tests.support.x_world import Answer, Fault, XWorld

TIMEOUT_S = 30.0
_OK = 300
_FIELDS = (
    "author_id,created_at,conversation_id,display_text_range,edit_history_tweet_ids,entities,"
    "in_reply_to_user_id,note_tweet,referenced_tweets,text"
)


class MemoryApi:
    """Implements ``XApi``.

    Args:
        world: What X knows.
        point: Awaited before and after every effect on the world: a test may let the
            process die there.
        page_size: Posts on a page; small ones make walks of many pages.
    """

    def __init__(
        self, world: XWorld, point: Callable[[], Awaitable[None]], *, page_size: int = 100
    ) -> None:
        self._world = world
        self._point = point
        self._page_size = page_size

    async def close(self) -> None:
        pass

    async def who_am_i(self) -> Account:
        await self._call(ME, self._world.me)
        return Account(id=BOT_ID, username=BOT_NAME)

    async def mentions(self, account_id: str, span: Span) -> Page:
        query = self._query(span)
        return _page(await self._call(MENTIONS, lambda: self._world.mentions(account_id, query)))

    async def own_posts(self, account_id: str, span: Span) -> Page:
        query = self._query(span)
        return _page(await self._call(OWN_POSTS, lambda: self._world.own_posts(account_id, query)))

    async def search(self, username: str, span: Span) -> Page:
        query = self._query(span) | {"query": f"@{username}", "max_results": "20"}
        return _page(await self._call(SEARCH, lambda: self._world.search(query)))

    async def post(self, post_id: int) -> Post:
        answer = await self._call(LOOKUP, lambda: self._world.lookup(str(post_id)))
        if "data" not in answer.body:
            raise DeclinedError("the post is not to be seen", reason=DeclineReason.GONE)
        return answer.body["data"]

    async def upload_picture(self, picture: bytes) -> str:
        answer = await self._call(UPLOAD, lambda: self._world.upload(picture, "tweet_image"))
        return str(answer.body["data"]["id"])

    async def describe_picture(
        self, media_id: str, alt_text: str, *, is_sensitive: bool = False
    ) -> None:
        await self._call(
            METADATA,
            lambda: self._world.describe(media_id, alt_text, is_sensitive=is_sensitive),
        )

    async def reply(self, text: str, *, to_id: int, media_id: str | None) -> int:
        body: dict[str, Any] = {"text": text, "reply": {"in_reply_to_tweet_id": str(to_id)}}
        if media_id is not None:
            body |= {"media": {"media_ids": [media_id]}, "made_with_ai": True}
        answer = await self._call(CREATE, lambda: self._world.create(body), late=body)
        return int(answer.body["data"]["id"])

    async def erase(self, post_id: int) -> None:
        try:
            await self._call(DELETE, lambda: self._world.erase(str(post_id)))
        except DeclinedError as error:
            if error.reason is not DeclineReason.GONE:
                raise

    def _query(self, span: Span) -> dict[str, str]:
        query = {"max_results": str(self._page_size), "tweet.fields": _FIELDS}
        if span.since_id:
            query["since_id"] = str(span.since_id)
        if span.until_id is not None:
            query["until_id"] = str(span.until_id)
        if span.page_token is not None:
            query["pagination_token"] = span.page_token
        return query

    async def _call(self, call: str, act: Callable[[], Answer], *, late: Any = None) -> Answer:
        await self._point()
        answer, fault = self._world.serve(call, act, late=late)
        await self._point()
        if fault is not None:
            await self._lose(call, fault)
        if answer.status >= _OK:
            raise self._refusal(call, answer.status, answer.detail, answer.headers)
        return answer

    async def _lose(self, call: str, fault: Fault) -> None:
        """Raise what is left of an answer that is lost; return if a plain one is to be read."""
        if fault.kind == "answer":
            return
        if fault.kind == "html" and fault.status >= _OK:
            raise self._refusal(call, fault.status, "text/html", dict(fault.headers))
        if fault.kind in {"hang", "slow"}:
            await asyncio.sleep(TIMEOUT_S)
        now = self._world.clock()
        raise verdicts.doubt(fault.kind, creates=call == CREATE, now=now)

    def _refusal(self, call: str, status: int, why: str, headers: dict[str, str]) -> Exception:
        now = self._world.clock()
        return verdicts.refusal(status, why, headers, creates=call == CREATE, now=now)


def _page(answer: Answer) -> Page:
    return Page(
        posts=tuple(answer.body.get("data", ())),
        next_token=answer.body["meta"].get("next_token"),
        limit_count=int(answer.headers["x-rate-limit-limit"]),
    )
