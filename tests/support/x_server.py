"""``XWorld`` over HTTP on a free loopback port, with the OAuth 1.0a signature checked.

The faults of the world become what they are on a wire: a connection that breaks, a body that
is cut off, a page of HTML, an answer that never comes.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, unquote

from aiohttp import web

from tests.support.x_world import (
    CREATE,
    DELETE,
    LOOKUP,
    LOOKUPS,
    ME,
    MENTIONS,
    METADATA,
    OWN_POSTS,
    SEARCH,
    UPLOAD,
    USAGE,
    Answer,
    Fault,
    XWorld,
    problem,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from datetime import datetime

    Handler = Callable[[web.Request, Any], Answer]

API_KEY = "loopback-api-key"
API_SECRET = "loopback-api-secret"
ACCESS_TOKEN = "4242-loopback-access-token"
ACCESS_TOKEN_SECRET = "loopback-access-token-secret"
SIGNED_BASE = "https://api.twitter.com"

TRICKLE_S = 0.05

_BODIES = {
    "html": ("<html>Something went wrong</html>", "text/html"),
    "null": ("null", "application/json"),
    "errors": ('{"errors": [{"title": "Wrong"}]}', "application/json"),
    "badjson": ("{", "application/json"),
}
_KNOWN_QUERY = {
    "max_results", "since_id", "until_id", "pagination_token", "next_token", "tweet.fields",
    "query", "start_time", "end_time", "ids",
}  # fmt: skip


class XServer:
    """Use it as ``async with XServer() as server``; what happens is in ``server.world``."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] | None = None,
        date: str | None = None,
        access_level: str | None = None,
    ) -> None:
        self.world = XWorld(clock=clock)
        self.date = date
        self.access_level = access_level
        self._ending = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        for call, handler in self._handlers().items():
            method, path = call.split()
            app.router.add_route(method, path, self._served(call, handler))
        app.router.add_post("/2/oauth2/token", self._refresh)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ending.set()
        assert self._runner is not None
        await self._runner.cleanup()

    def environment(self) -> dict[str, str]:
        """The variables that turn the real process to this server."""
        return {
            "X_API_KEY": API_KEY,
            "X_API_SECRET": API_SECRET,
            "X_ACCESS_TOKEN": ACCESS_TOKEN,
            "X_ACCESS_TOKEN_SECRET": ACCESS_TOKEN_SECRET,
            "X_API_BASE": self.url,
        }

    def _headers(self) -> dict[str, str]:
        """What every answer tells beside its body."""
        told = {"Date": self.date, "x-access-level": self.access_level}
        return {name: value for name, value in told.items() if value is not None}

    def _handlers(self) -> dict[str, Handler]:
        world = self.world
        return {
            # The search comes before the lookup of one post: the first route that fits wins.
            SEARCH: lambda request, _: world.search(request.query),
            ME: lambda _request, _: world.me(),
            MENTIONS: lambda request, _: world.mentions(request.match_info["id"], request.query),
            OWN_POSTS: lambda request, _: world.own_posts(request.match_info["id"], request.query),
            LOOKUP: lambda request, _: world.lookup(request.match_info["id"]),
            UPLOAD: lambda _, body: self._upload(body),
            METADATA: lambda _, body: world.describe(
                body["id"],
                body["metadata"]["alt_text"]["text"],
                is_sensitive=_is_warned_of(body["metadata"]),
            ),
            CREATE: lambda _, body: world.create(body),
            DELETE: lambda request, _: world.erase(request.match_info["id"]),
            LOOKUPS: lambda request, _: world.lookups(request.query.get("ids", "")),
            USAGE: lambda _request, _: world.usage(),
        }

    def _upload(self, body: dict[str, Any]) -> Answer:
        if body.keys() != {"media", "media_category"}:
            return problem(400, "media and media_category are required, nothing else")
        try:
            picture = _media(body["media"])
        except binascii.Error:
            return problem(400, "media is not base64")
        return self.world.upload(picture, body["media_category"])

    async def _refresh(self, request: web.Request) -> web.Response:
        """The one route that no signature belongs to."""
        return _on_wire(self.world.refreshed(await request.post()), self._headers())

    def _served(self, call: str, handler: Handler) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            if not _is_signed(request):
                return _on_wire(problem(401, "Unauthorized"), self._headers())
            if not request.query.keys() <= _KNOWN_QUERY:
                return _on_wire(problem(400, "unknown query parameter"), self._headers())
            body = await _body(request)
            answer, fault = self.world.serve(call, lambda: handler(request, body), late=body)
            if fault is None:
                return _on_wire(answer, self._headers())
            return await self._spoilt(answer, fault, request)

        return handle

    async def _spoilt(
        self, answer: Answer, fault: Fault, request: web.Request
    ) -> web.StreamResponse:
        if fault.kind == "answer":
            return _on_wire(answer, self._headers())
        if fault.kind in _BODIES:
            status = fault.status if fault.kind == "html" else 201
            text, content_type = _BODIES[fault.kind]
            return web.Response(status=status, text=text, content_type=content_type)
        if fault.kind == "hang":
            await self._ending.wait()
            return web.Response()
        if fault.kind == "truncated":
            await _begin(request)
        if fault.kind == "slow":
            await self._trickle(request)
        assert request.transport is not None
        request.transport.abort()  # a reset
        return web.Response()

    async def _trickle(self, request: web.Request) -> None:
        """Send spaces, which JSON does not mind, until the client has had enough."""
        answer = await _begin(request)
        with suppress(ConnectionError):
            while not self._ending.is_set():
                await answer.write(b" ")
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._ending.wait(), TRICKLE_S)


async def _body(request: web.Request) -> Any:
    if request.content_type == "multipart/form-data":
        form = await request.post()
        return {name: _part(value) for name, value in form.items()}
    return await request.json() if request.can_read_body else None


def _part(value: object) -> object:
    return value.file.read() if isinstance(value, web.FileField) else value


def _media(media: str | bytes) -> bytes:
    """A picture from JSON, where it is base64, or from a form, where it is a file.

    Raises:
        binascii.Error: It is not base64.
    """
    return media if isinstance(media, bytes) else base64.b64decode(media, validate=True)


def _on_wire(answer: Answer, headers: dict[str, str]) -> web.Response:
    return web.json_response(answer.body, status=answer.status, headers=answer.headers | headers)


async def _begin(request: web.Request) -> web.StreamResponse:
    """Send the beginning of an answer."""
    answer = web.StreamResponse(status=201, headers={"Content-Length": "500"})
    answer.content_type = "application/json"
    await answer.prepare(request)
    await answer.write(b'{"data": {"id": ')
    return answer


def _is_warned_of(metadata: dict[str, Any]) -> bool:
    """X knows three kinds of warnings, each of them true or false."""
    warning: dict[str, bool] = metadata.get("sensitive_media_warning", {})
    if not warning.keys() <= {"adult_content", "graphic_violence", "other"}:
        raise ValueError("an unknown kind of warning")
    return any(warning.values())


def _is_signed(request: web.Request) -> bool:
    """Check the OAuth 1.0a signature (RFC 5849, section 3.4) over X's own address."""
    header = request.headers.get("Authorization", "")
    pairs = re.findall(r'(\w+)="([^"]*)"', header.removeprefix("OAuth "))
    given = {name: unquote(value) for name, value in pairs}
    signature = given.pop("oauth_signature", "")
    known = {"oauth_consumer_key": API_KEY, "oauth_token": ACCESS_TOKEN}
    if not known.items() <= given.items() or not _is_recent(given.get("oauth_timestamp", "")):
        return False
    signed = [*given.items(), *request.query.items()]
    parameters = "&".join(sorted(f"{_escape(name)}={_escape(value)}" for name, value in signed))
    base = "&".join(map(_escape, (request.method, SIGNED_BASE + request.path, parameters)))
    key = f"{_escape(API_SECRET)}&{_escape(ACCESS_TOKEN_SECRET)}"
    digest = hmac.new(key.encode(), base.encode(), hashlib.sha1).digest()
    return hmac.compare_digest(base64.b64encode(digest).decode(), signature)


def _is_recent(timestamp: str) -> bool:
    return timestamp.isdigit() and abs(time.time() - int(timestamp)) < 300


def _escape(text: str) -> str:
    return quote(text, safe="~")


@asynccontextmanager
async def impatient_x() -> AsyncGenerator[XServer]:
    """An X where a bot may look for mentions as often as it likes, and breaks no rule of it."""
    async with XServer() as server:
        server.world.limits[MENTIONS] = 100_000
        yield server
        assert server.world.violations == []
