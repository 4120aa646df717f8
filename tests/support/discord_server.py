"""A small Discord on a free loopback port: REST and gateway, one bot, faults on request.

It keeps the rules that a bot can trip over (three seconds to acknowledge, tokens that die
after fifteen minutes, one kind of components per message, limits of texts and uploads) and
answers with Discord's status and error codes. What it does not know is a loud 404.

Source: Discord API documentation v10 ("Receiving and Responding", "Message", "Components",
"Gateway"), and what discord.py 2.7.1 sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import itertools
import json
import re
import socket
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Self

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TOKEN = "loopback.bot.token"
APPLICATION_ID = "900000000000000001"
BOT_USER = {
    "id": APPLICATION_ID,
    "username": "imagine",
    "discriminator": "0000",
    "global_name": None,
    "avatar": None,
    "bot": True,
    "flags": 0,
}
GUILD_ID = "800000000000000001"
CHANNEL_ID = "700000000000000001"
DM_CHANNEL_ID = "700000000000000002"
# Who brought the application to the place: a server ("0"), or a person ("1").
OWNERS = {"guild": {"0": GUILD_ID}, "dm": {"0": "0"}, "elsewhere": {"1": "42"}}

DISCORD_EPOCH_MS = 1_420_070_400_000
ACK_WITHIN_S = 3.0
TOKEN_LIFE = timedelta(minutes=15)
FILE_LIMIT_BYTES = 10 * 1024 * 1024
REQUEST_LIMIT_BYTES = 25 * 1024 * 1024

LOADING = 1 << 7
COMPONENTS_V2 = 1 << 15
# View Channel, Send Messages, Attach Files
ALL_PERMISSIONS = (1 << 10) | (1 << 11) | (1 << 15)

TEXT_DISPLAY, MEDIA_GALLERY = 10, 12

Json = Any
Files = dict[int, tuple[str, bytes]]  # number in the form → name and content


@dataclass(frozen=True)
class Body:
    payload: Json
    files: Files


BODY = web.RequestKey("body", Body)


@dataclass(kw_only=True)
class Fault:
    """What happens to the next ``times`` requests that match.

    ``answer``: ``status`` and ``code`` instead of Discord's answer. ``reset``: the connection
    is reset before anything happens. ``commit then reset``: it happens, and then the
    connection is reset. ``hang``: no answer until ``release`` is set, then as usual.
    """

    method: str
    path: str
    kind: Literal["answer", "reset", "commit then reset", "hang"] = "answer"
    status: int = 503
    code: int = 0
    retry_after_s: float | None = None
    times: int = 1
    release: asyncio.Event = field(default_factory=asyncio.Event)

    def takes(self, request: web.Request) -> bool:
        return (
            self.times > 0
            and request.method == self.method
            and fnmatch.fnmatch(request.path, f"*{self.path}")
        )


@dataclass(kw_only=True)
class Exchange:
    """One request and the status it got; ``at_s`` on the loop's clock."""

    method: str
    path: str
    at_s: float
    payload: Json = None
    filenames: Sequence[str] = ()
    status: int | None = None


@dataclass(kw_only=True)
class Attachment:
    id: str
    filename: str
    description: str | None
    data: bytes


@dataclass(kw_only=True)
class Message:
    """A message as it stands now. ``seen`` holds the text of each of its states so far."""

    id: str
    channel_id: str
    flags: int = 0
    content: str = ""
    components: list[Json] = field(default_factory=list[Any])
    attachments: list[Attachment] = field(default_factory=list[Attachment])
    allowed_mentions: Json = None
    nonce: str | None = None
    seen: list[str] = field(default_factory=list[str])

    @property
    def text(self) -> str:
        """Content, or all text displays, one after the other."""
        displays = (c["content"] for c in walk(self.components) if c["type"] == TEXT_DISPLAY)
        return "\n".join([*([self.content] if self.content else []), *displays])

    @property
    def gallery(self) -> list[tuple[str, bytes]]:
        """Alt text and bytes of each picture shown, in order."""
        return [
            (item["description"], self._uploaded(item["media"]["url"]))
            for component in walk(self.components)
            if component["type"] == MEDIA_GALLERY
            for item in component["items"]
        ]

    def _uploaded(self, uri: str) -> bytes:
        name = uri.removeprefix("attachment://")
        return next(a.data for a in self.attachments if a.filename == name)

    def to_json(self) -> Json:
        return {
            "id": self.id,
            "channel_id": self.channel_id,
            "type": 0,
            "author": BOT_USER,
            "content": self.content,
            "timestamp": datetime.now(UTC).isoformat(),
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "attachments": [
                {
                    "id": a.id,
                    "filename": a.filename,
                    "description": a.description,
                    "size": len(a.data),
                    "url": f"http://127.0.0.1/{a.id}",
                    "proxy_url": f"http://127.0.0.1/{a.id}",
                }
                for a in self.attachments
            ],
            "embeds": [],
            "components": [],
            "pinned": False,
            "flags": self.flags,
        }


@dataclass(eq=False, kw_only=True)
class Interaction:
    """Somebody's use of a command, and what the bot made of it."""

    server: DiscordServer
    payload: Json
    sent_at_s: float
    sent_at: datetime
    ack_after_s: float | None = None
    message: Message | None = None

    @property
    def id(self) -> str:
        return self.payload["id"]

    @property
    def token(self) -> str:
        return self.payload["token"]

    async def message_when(
        self, predicate: Callable[[Message], bool], timeout_s: float = 10.0
    ) -> Message:
        """Wait until the bot's answer satisfies ``predicate`` and return it."""
        await self.server.until(
            lambda: self.message is not None and predicate(self.message),
            timeout_s,
            lambda: f"the answer is {self.message and self.message.text!r}",
        )
        assert self.message is not None
        return self.message

    async def pictures(self, timeout_s: float = 10.0) -> Message:
        """Wait until the answer shows pictures and return it."""
        return await self.message_when(lambda message: bool(message.gallery), timeout_s)


@dataclass
class _Session:
    """A gateway session: it outlives its connection, and replays what was missed."""

    id: str
    socket: web.WebSocketResponse | None
    events: list[Json] = field(default_factory=list[Any])


class ApiError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message}


class DiscordServer:
    """Use as an async context manager, inside the loop of the test."""

    def __init__(self) -> None:
        self.token = TOKEN
        self.journal: list[Exchange] = []
        self.faults: list[Fault] = []
        self.commands: list[Json] = []
        self.sync_count = 0
        self.interactions: dict[str, Interaction] = {}
        self.posts: list[Message] = []
        self.forbidden_channels: set[str] = set()
        self.close_gateway_with: int | None = None
        self.file_limit_bytes = FILE_LIMIT_BYTES
        self._clock_offset = timedelta()
        self._ids = itertools.count(1)
        self._changed = asyncio.Condition()
        self._session: _Session | None = None
        self._sockets: set[web.WebSocketResponse] = set()
        self._runner: web.AppRunner | None = None
        self._port = 0

    # ------------------------------------------------------------------ for tests

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._middleware], client_max_size=2**26)
        app.add_routes(self._routes())
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        for fault in self.faults:
            fault.release.set()
        for connection in list(self._sockets):
            await connection.close(code=1001)
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def api_base(self) -> str:
        return f"http://127.0.0.1:{self._port}/api/v10"

    @property
    def gateway_url(self) -> str:
        return f"ws://127.0.0.1:{self._port}/gateway"

    def advance(self, **duration: float) -> None:
        """Move Discord's clock forward, as in ``advance(minutes=16)``."""
        self._clock_offset += timedelta(**duration)

    async def slash(
        self,
        name: str,
        options: Mapping[str, Json],
        *,
        user_id: str = "42",
        place: Literal["guild", "dm", "elsewhere"] = "guild",
        permissions: int = ALL_PERMISSIONS,
    ) -> Interaction:
        """Use a slash command as a person does; returns once acknowledged or too late.

        ``elsewhere`` is a channel of a server that the bot is not in: the person brought it.
        """
        await self.until(self._is_connected, 30.0, lambda: "no bot is connected")
        command = self._command(name)
        _check_options(command, options)
        interaction = self._new_interaction(command, options, user_id, place, permissions)
        await self.dispatch(interaction)
        with contextlib.suppress(AssertionError):  # the test looks at ack_after_s
            await self.until(lambda: interaction.ack_after_s is not None, ACK_WITHIN_S, str)
        return interaction

    async def dispatch(self, interaction: Interaction) -> None:
        """Send the event of ``interaction`` to the bot (again)."""
        await self._send("INTERACTION_CREATE", interaction.payload)

    async def break_gateway(self, *, code: int = 1001) -> None:
        """Close the gateway's connection; the session can be resumed."""
        assert self._session is not None
        assert self._session.socket is not None
        await self._session.socket.close(code=code)

    async def post_when(self, count: int = 1, timeout_s: float = 10.0) -> Message:
        """Wait for the ``count``-th message that the bot posts by itself and return it."""
        await self.until(
            lambda: len(self.posts) >= count, timeout_s, lambda: f"{len(self.posts)} posts"
        )
        return self.posts[count - 1]

    async def until(
        self, condition: Callable[[], bool], timeout_s: float, describe: Callable[[], str]
    ) -> None:
        """Wait until ``condition`` holds; it is looked at whenever something happens here."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(condition)
        except TimeoutError:
            raise AssertionError(f"waited {timeout_s} s in vain: {describe()}") from None

    def requests(self, method: str, path: str) -> list[Exchange]:
        """Return the journal's entries whose path ends like the pattern ``path``."""
        return [
            exchange
            for exchange in self.journal
            if exchange.method == method and fnmatch.fnmatch(exchange.path, f"*{path}")
        ]

    # --------------------------------------------------------------- interactions

    def _is_connected(self) -> bool:
        session = self._session
        return session is not None and session.socket is not None and not session.socket.closed

    def _command(self, name: str) -> Json:
        return next(command for command in self.commands if command["name"] == name)

    def _new_interaction(
        self, command: Json, options: Mapping[str, Json], user_id: str, place: str, permissions: int
    ) -> Interaction:
        now = self._now()
        interaction = Interaction(
            server=self,
            payload={
                **self._interaction_head(now, place, permissions),
                **_who_and_where(user_id, place, now),
                "data": {
                    "id": command["id"],
                    "name": command["name"],
                    "type": 1,
                    "options": [
                        {"name": name, "value": value, "type": _option(command, name)["type"]}
                        for name, value in options.items()
                    ],
                },
            },
            sent_at=now,
            sent_at_s=asyncio.get_running_loop().time(),
        )
        self.interactions[interaction.token] = interaction
        return interaction

    def _interaction_head(self, now: datetime, place: str, permissions: int) -> Json:
        number = self._snowflake(now)
        return {
            "id": number,
            "application_id": APPLICATION_ID,
            "type": 2,
            "token": f"interaction-token-{number}",
            "version": 1,
            "attachment_size_limit": self.file_limit_bytes,
            "app_permissions": str(permissions),
            "entitlements": [],
            "authorizing_integration_owners": OWNERS[place],
            "context": 1 if place == "dm" else 0,
            "locale": "en-GB",
        }

    def _now(self) -> datetime:
        return datetime.now(UTC) + self._clock_offset

    def _snowflake(self, moment: datetime) -> str:
        milliseconds = int(moment.timestamp() * 1000) - DISCORD_EPOCH_MS
        return str((milliseconds << 22) | next(self._ids))

    # ----------------------------------------------------------------------- REST

    def _routes(self) -> list[web.RouteDef]:
        api, application = "/api/v10", "/applications/{application}"
        message = "/webhooks/{application}/{token}/messages/{message}"
        return [
            web.get("/gateway", self._gateway),
            web.get(f"{api}/users/@me", self._me),
            web.get(f"{api}/oauth2/applications/@me", self._application),
            web.put(f"{api}{application}/commands", self._put_commands),
            web.post(f"{api}/interactions/{{id}}/{{token}}/callback", self._callback),
            web.patch(f"{api}{message}", self._patch_message),
            web.post(f"{api}/channels/{{channel}}/messages", self._post_message),
        ]

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path == "/gateway":
            return await handler(request)
        exchange = await self._record(request)
        fault = next((fault for fault in self.faults if fault.takes(request)), None)
        response = await self._respond(request, handler, fault)
        exchange.status = response.status
        async with self._changed:
            self._changed.notify_all()
        return response

    async def _record(self, request: web.Request) -> Exchange:
        body = await _read_body(request)
        request[BODY] = body
        exchange = Exchange(
            method=request.method,
            path=request.path,
            at_s=asyncio.get_running_loop().time(),
            payload=body.payload,
            filenames=tuple(name for name, _ in body.files.values()),
        )
        self.journal.append(exchange)
        return exchange

    async def _respond(
        self, request: web.Request, handler: Any, fault: Fault | None
    ) -> web.Response:
        if fault is None:
            return await self._answer(request, handler)
        fault.times -= 1
        if fault.kind == "answer":
            return _fault_answer(fault)
        if fault.kind == "hang":
            await fault.release.wait()
            return await self._answer(request, handler)
        if fault.kind == "commit then reset":
            await self._answer(request, handler)
        _reset(request)
        return _json(500, {})

    async def _answer(self, request: web.Request, handler: Any) -> web.Response:
        try:
            return _json(200, await handler(request))
        except ApiError as error:
            return _json(error.status, error.body)
        except web.HTTPException as error:
            return _json(error.status, {"code": 0, "message": f"{error.status}: {request.path}"})

    def _check_token(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bot {self.token}":
            raise ApiError(401, 0, "401: Unauthorized")

    async def _me(self, request: web.Request) -> Json:
        self._check_token(request)
        return BOT_USER

    async def _application(self, request: web.Request) -> Json:
        self._check_token(request)
        return {
            "id": APPLICATION_ID,
            "name": "imagine",
            "icon": None,
            "description": "",
            "bot_public": True,
            "bot_require_code_grant": False,
            "owner": {"id": "1", "username": "admin", "discriminator": "0", "avatar": None},
            "verify_key": "00",
            "flags": 0,
        }

    async def _put_commands(self, request: web.Request) -> Json:
        self._check_token(request)
        self.sync_count += 1
        self.commands = [
            {
                **command,
                "id": self._snowflake(self._now()),
                "application_id": APPLICATION_ID,
                "version": "1",
                "default_member_permissions": None,
            }
            for command in request[BODY].payload
        ]
        return self.commands

    async def _callback(self, request: web.Request) -> Json:
        interaction = self.interactions.get(request.match_info["token"])
        if interaction is None or interaction.id != request.match_info["id"]:
            raise ApiError(404, 10062, "Unknown interaction")
        if interaction.message is not None:
            raise ApiError(400, 40060, "Interaction has already been acknowledged.")
        after_s = asyncio.get_running_loop().time() - interaction.sent_at_s
        if after_s > ACK_WITHIN_S:
            raise ApiError(404, 10062, "Unknown interaction")
        if request[BODY].payload["type"] != 5:
            raise ApiError(400, 50035, "this server knows only deferred answers (type 5)")
        interaction.ack_after_s = after_s
        interaction.message = self._new_message(interaction.payload["channel"]["id"], LOADING)
        return {
            "interaction": {
                "id": interaction.id,
                "type": 2,
                "response_message_id": interaction.message.id,
                "response_message_loading": True,
                "response_message_ephemeral": False,
            },
            "resource": {"type": 5, "message": interaction.message.to_json()},
        }

    async def _patch_message(self, request: web.Request) -> Json:
        interaction = self.interactions.get(request.match_info["token"])
        if interaction is None or interaction.message is None:
            raise ApiError(404, 10015, "Unknown Webhook")
        if self._now() - interaction.sent_at > TOKEN_LIFE:
            raise ApiError(401, 50027, "Invalid Webhook Token")
        if request.match_info["message"] not in {"@original", interaction.message.id}:
            raise ApiError(404, 10008, "Unknown Message")
        self._fill(interaction.message, request[BODY].payload, request[BODY].files)
        return interaction.message.to_json()

    async def _post_message(self, request: web.Request) -> Json:
        self._check_token(request)
        channel_id = request.match_info["channel"]
        if channel_id in self.forbidden_channels:
            raise ApiError(403, 50013, "Missing Permissions")
        payload = request[BODY].payload
        if payload.get("enforce_nonce"):
            if len(payload["nonce"]) > 25:
                raise ApiError(400, 50035, "nonce: Must be 25 or fewer in length.")
            for earlier in self.posts:
                if earlier.nonce == payload["nonce"]:
                    return earlier.to_json()
        message = self._new_message(channel_id, 0)
        self._fill(message, payload, request[BODY].files)
        self.posts.append(message)
        return message.to_json()

    def _new_message(self, channel_id: str, flags: int) -> Message:
        return Message(id=self._snowflake(self._now()), channel_id=channel_id, flags=flags)

    def _fill(self, message: Message, payload: Json, files: Files) -> None:
        """Change ``message`` as ``payload`` says, or refuse and leave it as it is."""
        flags = message.flags & ~LOADING | payload.get("flags", 0)
        content = payload.get("content", message.content)
        components = payload.get("components", message.components)
        attachments = self._attachments(message, payload, files)
        _check_message(content or "", components, attachments, is_v2=bool(flags & COMPONENTS_V2))
        message.flags, message.content = flags, content or ""
        message.components, message.attachments = components, attachments
        message.allowed_mentions = payload.get("allowed_mentions")
        message.nonce = payload.get("nonce")
        message.seen.append(message.text)

    def _attachments(self, message: Message, payload: Json, files: Files) -> list[Attachment]:
        if any(len(data) > self.file_limit_bytes for _, data in files.values()):
            raise ApiError(413, 40005, "Request entity too large")
        if "attachments" not in payload:
            return message.attachments
        kept = {attachment.id: attachment for attachment in message.attachments}
        return [
            kept[str(item["id"])]
            if str(item["id"]) in kept
            else Attachment(
                id=self._snowflake(self._now()),
                filename=files[int(item["id"])][0],
                description=item.get("description"),
                data=files[int(item["id"])][1],
            )
            for item in payload["attachments"]
        ]

    # -------------------------------------------------------------------- gateway

    async def _gateway(self, request: web.Request) -> web.WebSocketResponse:
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        self._sockets.add(connection)
        try:
            await connection.send_json({"op": 10, "d": {"heartbeat_interval": 41_250}})
            async for frame in connection:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    await self._on_frame(connection, json.loads(frame.data))
        finally:
            self._sockets.discard(connection)
            if self._session is not None and self._session.socket is connection:
                self._session.socket = None
        return connection

    async def _on_frame(self, connection: web.WebSocketResponse, frame: Json) -> None:
        match frame["op"]:
            case 1:
                await connection.send_json({"op": 11})
            case 2:
                await self._identify(connection, frame["d"])
            case 6:
                await self._resume(connection, frame["d"])
            case _:
                await connection.close(code=4001)

    async def _identify(self, connection: web.WebSocketResponse, data: Json) -> None:
        if data["token"] != self.token:
            await connection.close(code=4004, message=b"Authentication failed.")
        elif self.close_gateway_with is not None:
            await connection.close(code=self.close_gateway_with)
        else:
            self._session = _Session(f"session-{next(self._ids)}", connection)
            await self._send("READY", self._ready(self._session.id))

    def _ready(self, session_id: str) -> Json:
        return {
            "v": 10,
            "user": BOT_USER,
            "guilds": [],
            "session_id": session_id,
            "resume_gateway_url": self.gateway_url,
            "application": {"id": APPLICATION_ID, "flags": 0},
        }

    async def _resume(self, connection: web.WebSocketResponse, data: Json) -> None:
        session = self._session
        if session is None or session.id != data["session_id"] or data["token"] != self.token:
            await connection.send_json({"op": 9, "d": False})
            return
        session.socket = connection
        for event in session.events[data["seq"] :]:
            await connection.send_json(event)
        await self._send("RESUMED", {})

    async def _send(self, event: str, data: Json) -> None:
        session = self._session
        assert session is not None
        frame = {"op": 0, "t": event, "s": len(session.events) + 1, "d": data}
        session.events.append(frame)
        if session.socket is not None:
            await session.socket.send_json(frame)
        async with self._changed:
            self._changed.notify_all()


# ----------------------------------------------------------------- rules and formats


def walk(components: Sequence[Json]) -> list[Json]:
    """All components, each before those inside it."""
    return [
        found
        for component in components
        for found in (component, *walk(component.get("components", ())))
    ]


def _check_message(
    content: str, components: list[Json], attachments: list[Attachment], *, is_v2: bool
) -> None:
    parts = walk(components)
    texts = [part["content"] for part in parts if part["type"] == TEXT_DISPLAY]
    galleries = [part["items"] for part in parts if part["type"] == MEDIA_GALLERY]
    shown = [item["media"]["url"] for items in galleries for item in items]
    uploaded = {f"attachment://{attachment.filename}" for attachment in attachments}
    rules = {
        "content cannot be used with components v2": not (is_v2 and content),
        "components v2 need their flag": is_v2 or not texts,
        "Must be 2000 or fewer in length.": len(content) <= 2000,
        "no more than 40 components": len(parts) <= 40,
        "texts of at most 4000 characters": sum(map(len, texts)) <= 4000,
        "texts that are not empty": all(texts),
        "galleries of 1 to 10": all(1 <= len(items) <= 10 for items in galleries),
        "at most 10 attachments": len(attachments) <= 10,
        "alt texts of at most 1024": all(len(a.description or "") <= 1024 for a in attachments),
        "pictures that were uploaded": uploaded.issuperset(shown),
        "files with names of their own": len(uploaded) == len(attachments),
        "files that are shown": not is_v2 or uploaded.issubset(shown),
    }
    for rule, is_kept in rules.items():
        if not is_kept:
            raise ApiError(400, 50035, f"Invalid Form Body: {rule}")
    if not content and not parts and not attachments:
        raise ApiError(400, 50006, "Cannot send an empty message")


def _check_options(command: Json, options: Mapping[str, Json]) -> None:
    """Refuse what Discord's own client would not let a person send."""
    for option in command["options"]:
        assert option["name"] in options or not option["required"], f"{option['name']} is missing"
    for name, value in options.items():
        option = _option(command, name)
        size = len(value) if isinstance(value, str) else value
        low = option.get("min_length", option.get("min_value", size))
        high = option.get("max_length", option.get("max_value", size))
        assert low <= size <= high, f"{name} must be between {low} and {high}"


def _option(command: Json, name: str) -> Json:
    return next(option for option in command["options"] if option["name"] == name)


def _who_and_where(user_id: str, place: str, now: datetime) -> Json:
    user = {"id": user_id, "username": f"user{user_id}", "discriminator": "0", "avatar": None}
    if place == "dm":
        channel = {"id": DM_CHANNEL_ID, "type": 1, "recipients": [user], "flags": 0}
        return {"user": user, "channel": channel, "channel_id": DM_CHANNEL_ID}
    return {
        "guild_id": GUILD_ID,
        "guild": {"id": GUILD_ID, "locale": "en-GB", "features": []},
        "channel_id": CHANNEL_ID,
        "channel": {
            "id": CHANNEL_ID,
            "type": 0,
            "guild_id": GUILD_ID,
            "name": "pictures",
            "position": 0,
            "permission_overwrites": [],
            "nsfw": False,
            "parent_id": None,
            "topic": None,
            "flags": 0,
        },
        "member": {
            "user": user,
            "roles": [],
            "permissions": str(ALL_PERMISSIONS),
            "joined_at": now.isoformat(),
            "deaf": False,
            "mute": False,
            "flags": 0,
        },
    }


async def _read_body(request: web.Request) -> Body:
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


def _json(status: int, body: Json, **headers: str) -> web.Response:
    """Answer the way Discord does: without a charset, which discord.py would stumble over."""
    return web.Response(
        status=status,
        body=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Via": "1.1 google", **headers},
    )


def _fault_answer(fault: Fault) -> web.Response:
    body = {"code": fault.code, "message": f"fault {fault.status}"}
    if fault.retry_after_s is None:
        return _json(fault.status, body)
    return _json(fault.status, {**body, "retry_after": fault.retry_after_s, "global": False})


def _reset(request: web.Request) -> None:
    """Let the client see "connection reset by peer" rather than an orderly end."""
    transport = request.transport
    assert transport is not None
    wire = transport.get_extra_info("socket")
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
