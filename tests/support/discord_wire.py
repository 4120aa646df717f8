"""How requests to our Discord are read and answered on the wire, and what goes wrong there."""

from __future__ import annotations

import asyncio
import fnmatch
import json
import re
import socket
import struct
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.support.discord_scene import Files, Json


@dataclass(frozen=True)
class Body:
    payload: Json
    files: Files


BODY = web.RequestKey("body", Body)


@dataclass(kw_only=True)
class Fault:
    """What happens to the next ``times`` requests that match, after ``skip`` that did not.

    ``answer``: ``status`` and ``code`` (or ``body``) instead of Discord's answer. ``reset``:
    the connection is reset before anything happens; ``close``: it is closed in good order.
    ``commit then reset``: it happens, and then the connection is reset; ``half``: and then
    half of the answer arrives. ``hang``: no answer until ``release`` is set, then as usual.
    ``also`` is called at that moment, before a ``reset`` and after a ``commit``.
    ``is_cloudflare``: the answer does not say that it comes from Discord.
    """

    method: str = "*"
    path: str = ""
    kind: Literal["answer", "reset", "close", "commit then reset", "half", "hang"] = "answer"
    status: int = 503
    code: int = 0
    body: Json = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    retry_after_s: float | None = None
    is_global: bool = False
    is_cloudflare: bool = False
    skip: int = 0
    times: int = 1
    release: asyncio.Event = field(default_factory=asyncio.Event)
    also: Callable[[], None] | None = None

    def matches(self, request: web.Request) -> bool:
        return (
            self.times > 0
            and fnmatch.fnmatch(request.method, self.method)
            and fnmatch.fnmatch(request.path, f"*{self.path}")
        )


@dataclass(kw_only=True)
class RateLimit:
    """``count`` requests within ``window_s`` for each path that matches, as Discord tells them."""

    method: str
    path: str
    count: int
    window_s: float
    refused_count: int = 0
    used: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque[float]))

    def matches(self, request: web.Request) -> bool:
        return request.method == self.method and fnmatch.fnmatch(request.path, f"*{self.path}")

    def take(self, path: str, now_s: float) -> tuple[int, float]:
        """Use one; return how many are left (-1: it is refused) and when the oldest returns."""
        used = self.used[path]
        while used and now_s - used[0] >= self.window_s:
            used.popleft()
        if len(used) >= self.count:
            self.refused_count += 1
            return -1, self.window_s - (now_s - used[0])
        used.append(now_s)
        return self.count - len(used), self.window_s - (now_s - used[0])


async def read_body(request: web.Request) -> Body:
    if not request.content_type.startswith("multipart/"):
        return Body(await request.json() if request.can_read_body else None, {})
    payload: Json = None
    files: Files = {}
    async for part in await request.multipart():
        assert isinstance(part, aiohttp.BodyPartReader)
        data = bytes(await part.read())
        if part.name == "payload_json":
            payload = json.loads(data)
        elif number := re.fullmatch(r"files\[(\d+)\]", part.name or ""):
            files[int(number[1])] = part.filename or "", data
    return Body(payload, files)


def json_answer(status: int, body: Json, **headers: str) -> web.Response:
    """Answer the way Discord does: without a charset, which discord.py would stumble over."""
    return web.Response(
        status=status,
        body=b"" if status == 204 else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Via": "1.1 google", **headers},
    )


def fault_answer(fault: Fault) -> web.Response:
    body = fault.body or {"code": fault.code, "message": f"fault {fault.status}"}
    headers = dict(fault.headers)
    if fault.retry_after_s is not None:
        body = {**body, "retry_after": fault.retry_after_s, "global": fault.is_global}
        headers["Retry-After"] = str(fault.retry_after_s)
    response = json_answer(fault.status, body, **headers)
    if fault.is_cloudflare:
        del response.headers["Via"]
    return response


def half_of(whole: web.Response, request: web.Request) -> web.Response:
    """Promise all of an answer, send half of it and hang up."""
    assert isinstance(whole.body, bytes)
    assert request.transport is not None
    head = f"HTTP/1.1 {whole.status} OK\r\nContent-Type: application/json\r\n"
    head += f"Via: 1.1 google\r\nContent-Length: {len(whole.body)}\r\n\r\n"
    request.transport.write(head.encode() + whole.body[: len(whole.body) // 2])
    request.transport.close()
    return whole


def reset_connection(request: web.Request) -> None:
    """Let the client see "connection reset by peer" rather than an orderly end."""
    transport = request.transport
    assert transport is not None
    wire = transport.get_extra_info("socket")
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
