"""The port ``bot.x.api.XApi`` through tweepy, and the border where its errors end.

What tweepy 4.17 does that a caller has to know:

* It has no setting for the server's address, so requests are turned to a loopback server
  by an aiohttp middleware. Its OAuth 1.0a signature stays the one for api.twitter.com.
* Without a session of our own it opens one per request and leaks it on errors.
* ``wait_on_rate_limit`` recurses without any pause when X sends no reset time.
* It knows neither the v2 media upload nor ``made_with_ai``; ``_make_request`` signs any
  route, which is why that private method is used here and nowhere else.
* An error page that is not JSON surfaces as ``aiohttp.ContentTypeError``.

Which end of a call means what::

    data.id in a 2xx answer                       done
    status 4xx, from tweepy or from aiohttp       not done
    no connection                                 not done
    anything else                                 not known

Source: tweepy 4.17.0 ``asynchronous/client.py``, each row tried against a loopback server.
"""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from json import dumps
from typing import TYPE_CHECKING, Any

import aiohttp
import tweepy  # pyright: ignore[reportMissingTypeStubs] (tweepy ships no types)
from tweepy.asynchronous import (  # pyright: ignore[reportMissingTypeStubs] (as above)
    AsyncClient,
)
from yarl import URL

from bot.x.api import (
    Account,
    CredentialsError,
    DeclinedError,
    DeclineReason,
    Page,
    PausedError,
    UnknownOutcomeError,
    XApiError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractAsyncContextManager

    from bot.x.api import Post
    from bot.x.config import XConfig

_POST_FIELDS = [
    "author_id", "created_at", "conversation_id", "display_text_range", "edit_history_tweet_ids",
    "entities", "in_reply_to_user_id", "note_tweet", "referenced_tweets", "text",
]  # fmt: skip
_PAGE_SIZE = 100

# A connection that X has closed in the meantime makes a POST's outcome unknown, so idle
# ones are dropped early.
_KEEPALIVE_S = 15.0
_CONNECT_S = 5.0

_SHORT_PAUSE = timedelta(seconds=30)
_LONG_PAUSE = timedelta(minutes=15)
_UNTOLD_PAUSE = timedelta(seconds=60)
_LEAST_PAUSE = timedelta(seconds=5)

_DUPLICATE = ("duplicate content",)
_ACCOUNT_LIMIT = ("daily limit", "over daily status update limit", "over the limit")
_ACCOUNT_BROKEN = ("suspended", "temporarily locked", "oauth1 app permissions", "automated")
_DECLINES = (
    ("not been mentioned", DeclineReason.NOT_SUMMONED),
    ("only reply to or quote posts where you are mentioned", DeclineReason.NOT_SUMMONED),
    ("deleted or not visible", DeclineReason.GONE),
    ("restricted who can reply", DeclineReason.RESTRICTED),
    ("blocked", DeclineReason.BLOCKED),
    ("newer version", DeclineReason.EDITED),
)
_BAD_REQUEST = 400
_NOT_FOUND = 404
_SERVER_ERROR = 500

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

# The pause after a 429 ends when each exhausted window has reopened. The main window is
# told on every answer; the 24-hour windows only on some plans.
_RESET_HEADERS = (
    ("x-rate-limit-reset", None),
    ("x-user-limit-24hour-reset", "x-user-limit-24hour-remaining"),
    ("x-app-limit-24hour-reset", "x-app-limit-24hour-remaining"),
)


class TweepyApi:
    """Implements ``XApi``. Must be created inside the event loop it is used in."""

    def __init__(self, config: XConfig, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._session = _open_session(config)
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

    async def mentions(
        self, account_id: str, *, since_id: str | None, page_token: str | None
    ) -> Page:
        """Return posts newer than ``since_id`` that name the account."""
        return await self._page(self._client.get_users_mentions, account_id, since_id, page_token)

    async def own_posts(
        self, account_id: str, *, since_id: str | None, page_token: str | None
    ) -> Page:
        """Return posts and replies of the account itself, newer than ``since_id``."""
        return await self._page(self._client.get_users_tweets, account_id, since_id, page_token)

    async def _page(
        self,
        call: Callable[..., Any],
        account_id: str,
        since_id: str | None,
        page_token: str | None,
    ) -> Page:
        # Without the bot's own token every post read would cost five times as much;
        # expansions would bill every author.
        options = {"since_id": since_id, "pagination_token": page_token}
        given = {name: value for name, value in options.items() if value is not None}
        with self._border():
            answer = await call(
                account_id,
                max_results=_PAGE_SIZE,
                tweet_fields=_POST_FIELDS,
                user_auth=True,
                **given,
            )
            return _as_page(answer)

    async def upload_picture(self, png: bytes) -> str:
        """Store a picture at X for a day and return its media id."""
        body = {"media": base64.b64encode(png).decode(), "media_category": "tweet_image"}
        with self._border():
            return str(_data(await self._post("/2/media/upload", body))["id"])

    async def describe_picture(self, media_id: str, alt_text: str) -> None:
        """Give an uploaded picture its text for people who cannot see it."""
        body = {"id": media_id, "metadata": {"alt_text": {"text": alt_text}}}
        with self._border():
            await self._post("/2/media/metadata", body)

    async def reply(self, text: str, *, to_id: str, media_id: str | None) -> str:
        """Post a reply and return its id."""
        body: dict[str, Any] = {"text": text, "reply": {"in_reply_to_tweet_id": to_id}}
        if media_id is not None:
            body |= {"media": {"media_ids": [media_id]}, "made_with_ai": True}
        with self._border(creates=True):
            return str(_data(await self._post("/2/tweets", body))["id"])

    async def _post(self, route: str, body: dict[str, Any]) -> Any:
        # The public methods know neither these routes nor ``made_with_ai``.
        return await self._client._make_request(  # noqa: SLF001 (no public way, see above)
            "POST", route, json=body, user_auth=True
        )

    @contextmanager
    def _border(self, *, creates: bool = False) -> Generator[None]:
        """Turn every foreign exception into one of the four of ``bot.x.api``."""
        try:
            yield
        except tweepy.HTTPException as error:
            told: Any = error
            why = "; ".join(map(str, told.api_messages)) or str(error)
            status, headers = told.response.status, told.response.headers
            raise self._refusal(status, why, headers, creates=creates) from error
        except aiohttp.ClientResponseError as error:
            headers = error.headers or {}
            raise self._refusal(error.status, error.message, headers, creates=creates) from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise self._pause("X cannot be reached", _SHORT_PAUSE) from error
        except _FOREIGN as error:
            raise self._doubt(f"{type(error).__name__} {error}", creates=creates) from error

    def _refusal(
        self, status: int, why: str, headers: Mapping[str, str], *, creates: bool
    ) -> XApiError:
        now = self._clock()
        if not _BAD_REQUEST <= status < _SERVER_ERROR:
            return self._doubt(f"status {status}", creates=creates)
        match status:
            case 401:
                return CredentialsError(why, retry_at=now + _LONG_PAUSE)
            case 402:
                return PausedError("no credit is left", retry_at=now + _LONG_PAUSE)
            case 403:
                return self._forbidden(why)
            case 429:
                return PausedError("rate limit", retry_at=_reset_at(headers, now))
            case _:
                reason = DeclineReason.GONE if status == _NOT_FOUND else DeclineReason.OTHER
                return DeclinedError(f"status {status}: {why}", reason=reason)

    def _forbidden(self, why: str) -> XApiError:
        folded = why.casefold()
        if _holds(folded, _DUPLICATE):  # a strong hint that an earlier attempt is out
            return UnknownOutcomeError(why)
        if _holds(folded, _ACCOUNT_LIMIT):
            return self._pause(why, _LONG_PAUSE)
        if _holds(folded, _ACCOUNT_BROKEN):
            return CredentialsError(why, retry_at=self._clock() + _LONG_PAUSE)
        reasons = (reason for needle, reason in _DECLINES if needle in folded)
        return DeclinedError(why, reason=next(reasons, DeclineReason.OTHER))

    def _doubt(self, why: str, *, creates: bool) -> XApiError:
        return UnknownOutcomeError(why) if creates else self._pause(why, _SHORT_PAUSE)

    def _pause(self, why: str, pause: timedelta) -> PausedError:
        return PausedError(why, retry_at=self._clock() + pause)


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


def _open_session(config: XConfig) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=config.call_timeout_s, connect=_CONNECT_S),
        connector=aiohttp.TCPConnector(keepalive_timeout=_KEEPALIVE_S),
        middlewares=() if config.api_base is None else (_turned_to(URL(config.api_base)),),
    )


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


def _as_page(answer: Any) -> Page:
    """Read a page; an empty one has no ``data``.

    Raises:
        LookupError: It has no ``meta``, which every page has: taken for an empty page, it
            would hide a reply that is looked for.
    """
    whole = _mapping(answer)
    posts: list[Post] = whole.get("data") or []
    return Page(posts=tuple(map(_mapping, posts)), next_token=whole["meta"].get("next_token"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}  # pyright: ignore[reportUnknownVariableType] (JSON)


def _reset_at(headers: Mapping[str, str], now: datetime) -> datetime:
    """Say when a rate limit is over, never sooner than a few seconds from ``now``."""
    resets = [
        datetime.fromtimestamp(int(headers[reset]), UTC)
        for reset, remaining in _RESET_HEADERS
        if headers.get(reset, "").isdigit() and (remaining is None or headers.get(remaining) == "0")
    ]
    return max([*resets, now + _LEAST_PAUSE]) if resets else now + _UNTOLD_PAUSE


def _holds(text: str, needles: tuple[str, ...]) -> bool:
    return any(needle in text for needle in needles)
