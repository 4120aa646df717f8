"""The port ``bot.x.api.XApi`` through tweepy, and the border where its errors end.

What tweepy 4.17 does that a caller has to know:

* It has no setting for the server's address, so requests are turned to a loopback server
  by an aiohttp middleware. Its OAuth 1.0a signature stays the one for api.twitter.com.
* Without a session of our own it opens one per request and leaks it on errors.
* ``wait_on_rate_limit`` recurses without any pause when X sends no reset time.
* It knows neither the v2 media upload nor ``made_with_ai``; ``_make_request`` signs any
  route, which is why that private method is used here and nowhere else.
* An error page that is not JSON surfaces as ``aiohttp.ContentTypeError``.
* It hands out the body alone, so the headers (limits, X's clock) are noted on their way.

What each end of a call means stands in ``bot.x.verdicts``.

Source: tweepy 4.17.0 ``asynchronous/client.py``, each row tried against a loopback server.
"""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from json import dumps
from typing import TYPE_CHECKING, Any

import aiohttp
import tweepy  # pyright: ignore[reportMissingTypeStubs] (tweepy ships no types)
from tweepy.asynchronous import (  # pyright: ignore[reportMissingTypeStubs] (as above)
    AsyncClient,
)
from yarl import URL

from bot.x import verdicts
from bot.x.api import PAGE_SIZE, SEARCH_PAGE_SIZE, Account, DeclinedError, DeclineReason, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from bot.x.api import Post, Span
    from bot.x.config import XConfig

_POST_FIELDS = [
    "author_id", "created_at", "conversation_id", "display_text_range", "edit_history_tweet_ids",
    "entities", "in_reply_to_user_id", "note_tweet", "referenced_tweets", "text",
]  # fmt: skip

# A connection that X has closed in the meantime makes a POST's outcome unknown, so idle
# ones are dropped early.
_KEEPALIVE_S = 15.0
_CONNECT_S = 5.0

# What tweepy and aiohttp raise when an answer is cut off, late or not what it should be;
# RuntimeError is a session that was closed under the call.
_FOREIGN = (
    aiohttp.ClientError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    tweepy.TweepyException,
)


class TweepyApi:
    """Implements ``XApi``. Must be created inside the event loop it is used in.

    Attributes:
        skew_s: How far X's clock was ahead of ours when it last told the time.
        access_level: What the access token may do, where X tells it: ``"read"``,
            ``"read-write"`` or more. Source: Twitter API announcements, 30 June 2011,
            "The new permission model is now in effect".
    """

    def __init__(self, config: XConfig, *, clock: Callable[[], datetime]) -> None:
        self.skew_s: float | None = None
        self.access_level: str | None = None
        self._clock = clock
        self._limit_counts: dict[str, int] = {}
        self._session = _open_session(config, self._note)
        self._client: Any = AsyncClient(
            consumer_key=config.api_key,
            consumer_secret=config.api_secret,
            access_token=config.access_token,
            access_token_secret=config.access_token_secret,
            return_type=dict,  # pyright: ignore[reportArgumentType] (untyped in tweepy)
            wait_on_rate_limit=False,
        )
        self._client.session = _StreamedBodies(self._session)
        # At debug tweepy prints signatures and whole bodies.
        logging.getLogger(tweepy.__name__).setLevel(logging.INFO)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def who_am_i(self) -> Account:
        """Return the account that the keys belong to."""
        with self._border():
            data = _data(await self._client.get_me(user_auth=True))
            return Account(id=str(data["id"]), username=str(data["username"]))

    async def mentions(self, account_id: str, span: Span) -> Page:
        """Return posts that name the account."""
        return await self._page(
            self._client.get_users_mentions, account_id, span, f"/2/users/{account_id}/mentions"
        )

    async def own_posts(self, account_id: str, span: Span) -> Page:
        """Return posts and replies of the account itself."""
        return await self._page(
            self._client.get_users_tweets, account_id, span, f"/2/users/{account_id}/tweets"
        )

    async def search(self, username: str, span: Span) -> Page:
        """Return posts of the last 7 days that name the account."""
        return await self._page(
            self._client.search_recent_tweets,
            f"@{username}",
            span,
            "/2/tweets/search/recent",
            size=SEARCH_PAGE_SIZE,
            token_name="next_token",  # noqa: S106 (the name of a parameter)
        )

    async def _page(
        self,
        call: Callable[..., Any],
        subject: str,
        span: Span,
        route: str,
        *,
        size: int = PAGE_SIZE,
        token_name: str = "pagination_token",  # noqa: S107 (the name of a parameter)
    ) -> Page:
        # Without the bot's own token every post read would cost five times as much;
        # expansions would bill every author.
        options = {
            "since_id": span.since_id or None,
            "until_id": span.until_id,
            token_name: span.page_token,
        }
        given = {name: value for name, value in options.items() if value is not None}
        with self._border():
            answer = await call(
                subject, max_results=size, tweet_fields=_POST_FIELDS, user_auth=True, **given
            )
            return _as_page(answer, self._limit_counts.get(route))

    async def post(self, post_id: int) -> Post:
        """Return one post with the ids of all its versions."""
        with self._border():
            answer = await self._client.get_tweet(
                post_id, tweet_fields=_POST_FIELDS, user_auth=True
            )
            if not _mapping(answer).get("data") and _mapping(answer).get("errors"):
                raise DeclinedError("the post is not to be seen", reason=DeclineReason.GONE)
            return _data(answer)

    async def upload_picture(self, picture: bytes) -> str:
        """Store a picture at X for a day and return its media id."""
        body = {"media": base64.b64encode(picture).decode(), "media_category": "tweet_image"}
        with self._border():
            return str(_data(await self._call("POST", "/2/media/upload", body))["id"])

    async def describe_picture(
        self, media_id: str, alt_text: str, *, is_sensitive: bool = False
    ) -> None:
        """Give an uploaded picture its text, and a warning in front of it if need be."""
        metadata: dict[str, Any] = {"alt_text": {"text": alt_text}}
        if is_sensitive:
            metadata["sensitive_media_warning"] = {"other": True}
        body = {"id": media_id, "metadata": metadata}
        with self._border():
            await self._call("POST", "/2/media/metadata", body)

    async def reply(self, text: str, *, to_id: int, media_id: str | None) -> int:
        """Post a reply and return its id."""
        body: dict[str, Any] = {"text": text, "reply": {"in_reply_to_tweet_id": str(to_id)}}
        if media_id is not None:
            body |= {"media": {"media_ids": [media_id]}, "made_with_ai": True}
        with self._border(creates=True):
            return int(_data(await self._call("POST", "/2/tweets", body))["id"])

    async def erase(self, post_id: int) -> None:
        """Delete a post of the account; one that is gone already is no error."""
        try:
            with self._border():
                await self._client.delete_tweet(post_id, user_auth=True)
        except DeclinedError as error:
            if error.reason is not DeclineReason.GONE:
                raise

    async def _call(self, method: str, route: str, body: dict[str, Any]) -> Any:
        # The public methods know neither these routes nor ``made_with_ai``.
        return await self._client._make_request(  # noqa: SLF001 (no public way, see above)
            method, route, json=body, user_auth=True
        )

    def _note(self, path: str, headers: Mapping[str, str]) -> None:
        self.access_level = headers.get("x-access-level", self.access_level)
        with suppress(KeyError, ValueError):
            self._limit_counts[path] = int(headers["x-rate-limit-limit"])
        with suppress(KeyError, ValueError):
            told = parsedate_to_datetime(headers["date"])
            self.skew_s = (told - self._clock()).total_seconds()

    @contextmanager
    def _border(self, *, creates: bool = False) -> Generator[None]:
        """Turn every foreign exception into one of the four of ``bot.x.api``."""
        try:
            yield
        except tweepy.HTTPException as error:
            told: Any = error
            why = "; ".join(map(str, told.api_messages)) or str(error)
            status, headers = told.response.status, told.response.headers
            raise verdicts.refusal(
                status, why, headers, creates=creates, now=self._clock()
            ) from error
        except aiohttp.ClientResponseError as error:
            headers = error.headers or {}
            raise verdicts.refusal(
                error.status, error.message, headers, creates=creates, now=self._clock()
            ) from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise verdicts.doubt("X cannot be reached", creates=False, now=self._clock()) from error
        except _FOREIGN as error:
            why = f"{type(error).__name__} {error}"
            raise verdicts.doubt(why, creates=creates, now=self._clock()) from error


class _StreamedBodies:
    """What tweepy needs of a session; hands JSON on as a stream.

    A picture is more than aiohttp likes to send in one piece; it warns that this may block
    the event loop.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    def request(
        self, method: str, url: URL, *, json: object, **options: Any
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        data = None if json is None else io.BytesIO(dumps(json).encode())
        return self._session.request(method, url, data=data, **options)


def _open_session(
    config: XConfig, note: Callable[[str, Mapping[str, str]], None]
) -> aiohttp.ClientSession:
    turns = () if config.api_base is None else (_turned_to(URL(config.api_base)),)
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=config.call_timeout_s, connect=_CONNECT_S),
        connector=aiohttp.TCPConnector(keepalive_timeout=_KEEPALIVE_S),
        middlewares=(_noting(note), *turns),
    )


def _noting(note: Callable[[str, Mapping[str, str]], None]) -> aiohttp.ClientMiddlewareType:
    async def notice(
        request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        answer = await send(request)
        note(request.url.path, answer.headers)
        return answer

    return notice


def _turned_to(base: URL) -> aiohttp.ClientMiddlewareType:
    async def turn(
        request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        away = request.url.with_scheme(base.scheme)
        request.url = away.with_host(str(base.host)).with_port(base.port)
        return await send(request)

    return turn


def _data(answer: Any) -> Mapping[str, Any]:
    """Return the ``data`` of an answer.

    Raises:
        ValueError: It has none: X sends ``null`` or only ``errors`` with status 200, too.
    """
    data = _mapping(_mapping(answer).get("data"))
    if not data:
        raise ValueError("an answer without data")
    return data


def _as_page(answer: Any, limit_count: int | None) -> Page:
    """Read a page; an empty one has no ``data``.

    Raises:
        LookupError: It has no ``meta``, which every page has: taken for an empty page, it
            would hide a reply that is looked for.
    """
    whole = _mapping(answer)
    posts: list[Post] = whole.get("data") or []
    return Page(
        posts=tuple(map(_mapping, posts)),
        next_token=whole["meta"].get("next_token"),
        limit_count=limit_count,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}  # pyright: ignore[reportUnknownVariableType] (JSON)
