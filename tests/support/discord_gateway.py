"""The gateway of our Discord: sessions of shards, heartbeats, replay, and how it breaks.

A session outlives its connection; what happens meanwhile is replayed to whoever resumes it.
Compressed as Discord does (one zlib stream for a connection) if the bot asks for that.

Source: Discord API documentation v10, "Gateway".
"""

from __future__ import annotations

import asyncio
import itertools
import json
import zlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from tests.support.discord_rules import channel_json
from tests.support.discord_scene import APPLICATION_ID, BOT_USER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.discord_scene import Json, Scene
    from tests.support.discord_state import World

HEARTBEAT_MS = 41_250
SENDS, SENDS_WITHIN_S = 120, 60.0
Shard = tuple[int, int]


@dataclass(eq=False)
class Session:
    """One shard's session: its events so far, and the connection that it has just now."""

    id: str
    shard: Shard
    connection: Connection | None
    events: list[Json] = field(default_factory=list[Any])


class Connection:
    """One web socket to a bot."""

    def __init__(self, socket: web.WebSocketResponse, *, is_compressed: bool) -> None:
        self.socket = socket
        self._zlib = zlib.compressobj() if is_compressed else None
        self._sent_at_s: deque[float] = deque(maxlen=SENDS)

    @property
    def is_open(self) -> bool:
        return not self.socket.closed

    async def send(self, frame: Json) -> None:
        text = json.dumps(frame)
        if self._zlib is None:
            await self.socket.send_str(text)
            return
        data = self._zlib.compress(text.encode()) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
        await self.socket.send_bytes(data)

    def sends_too_much(self) -> bool:
        """Note that the bot sent something; say whether that is over the limit."""
        now_s = asyncio.get_running_loop().time()
        is_full = len(self._sent_at_s) == SENDS
        is_over = is_full and now_s - self._sent_at_s[0] < SENDS_WITHIN_S
        self._sent_at_s.append(now_s)
        return is_over

    def abort(self, transport: asyncio.Transport | None) -> None:
        assert transport is not None
        transport.abort()


class Gateway:
    """All sessions of the bot.

    Attributes:
        shard_count: How many shards Discord recommends.
        refuse_with: Close every connection that identifies with this code.
        is_deaf: Answer no heartbeat any more.
        identified: The shards that identified, in that order; ``resumed`` likewise.
        guild_ids: Told in READY and created afterwards, if the bot asked for guilds.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.url = ""
        self.shard_count = 1
        self.refuse_with: int | None = None
        self.is_deaf = False
        self.identified: list[Shard] = []
        self.resumed: list[Shard] = []
        self.guild_ids: list[str] = []
        self._sessions: dict[int, Session] = {}
        self._open: dict[Connection, web.Request] = {}
        self._numbers = itertools.count(1)

    # ------------------------------------------------------------------ for tests

    async def wait_for_bot(self, scene: Scene) -> None:
        """Wait until the shard that hears of this scene is connected."""
        await self._world.until(
            lambda: self._connected(scene) is not None, 30.0, lambda: "no bot is connected"
        )

    @property
    def is_connected(self) -> bool:
        """Whether any shard is there."""
        sessions = self._sessions.values()
        return any(s.connection is not None and s.connection.is_open for s in sessions)

    async def send(self, event: str, data: Json, scene: Scene) -> None:
        """Tell the shard that hears of this scene."""
        session = self._session_of(scene)
        assert session is not None, "no bot ever connected"
        await self._tell(session, event, data)

    async def close(self, *, code: int = 1001, shard: int = 0) -> None:
        """Close a connection; its session can be resumed."""
        await self._connection(shard).socket.close(code=code)

    def abort(self, *, shard: int = 0) -> None:
        """Cut the connection without a word."""
        connection = self._connection(shard)
        connection.abort(self._open[connection].transport)

    async def ask_to_reconnect(self, *, shard: int = 0) -> None:
        """Op 7: come back on a new connection."""
        await self._connection(shard).send({"op": 7, "d": None})

    async def invalidate(self, *, resumable: bool, shard: int = 0) -> None:
        """Op 9: the session is over, or worth one try to resume it."""
        connection = self._connection(shard)
        if not resumable:
            del self._sessions[shard]
        await connection.send({"op": 9, "d": resumable})

    async def shut(self) -> None:
        for connection in list(self._open):
            await connection.socket.close(code=1001)

    # ---------------------------------------------------------------------- inside

    def _session_of(self, scene: Scene) -> Session | None:
        if not self._sessions:
            return None
        shard_count = next(iter(self._sessions.values())).shard[1]
        is_in_guild = scene.place == "guild"
        shard = (int(scene.guild_id) >> 22) % shard_count if is_in_guild else 0
        return self._sessions.get(shard)

    def _connected(self, scene: Scene) -> Connection | None:
        session = self._session_of(scene)
        connection = session and session.connection
        return connection if connection and connection.is_open else None

    def _connection(self, shard: int) -> Connection:
        connection = self._sessions[shard].connection
        assert connection is not None, "that shard is not connected"
        return connection

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Speak with a bot until its connection ends."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        is_compressed = request.query.get("compress") == "zlib-stream"
        connection = Connection(socket, is_compressed=is_compressed)
        self._open[connection] = request
        try:
            await connection.send({"op": 10, "d": {"heartbeat_interval": HEARTBEAT_MS}})
            async for frame in socket:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    await self._hear(connection, json.loads(frame.data))
        except ConnectionError:
            pass  # it went away while it was told something
        finally:
            del self._open[connection]
            for session in self._sessions.values():
                if session.connection is connection:
                    session.connection = None
        return socket

    async def _hear(self, connection: Connection, frame: Mapping[str, Json]) -> None:
        if connection.sends_too_much():
            self._world.blame("more than 120 gateway sends in a minute")
            await connection.socket.close(code=4008)
            return
        match frame["op"]:
            case 1 if self.is_deaf:
                pass
            case 1:
                await connection.send({"op": 11})
            case 2:
                await self._identify(connection, frame["d"])
            case 3 | 8:  # presence, asking for members
                pass
            case 6:
                await self._resume(connection, frame["d"])
            case _:
                self._world.blame(f"the gateway was sent op {frame['op']}")
                await connection.socket.close(code=4001)

    async def _identify(self, connection: Connection, data: Json) -> None:
        number, count = data.get("shard") or (0, 1)
        shard: Shard = number, count
        if data["token"] != self._world.token:
            await connection.socket.close(code=4004, message=b"Authentication failed.")
        elif self.refuse_with is not None:
            await connection.socket.close(code=self.refuse_with)
        elif not 0 <= shard[0] < shard[1]:
            self._world.blame(f"there is no shard {shard}")
            await connection.socket.close(code=4010)
        else:
            session = Session(f"session-{next(self._numbers)}", shard, connection)
            self._sessions[shard[0]] = session
            self.identified.append(shard)
            await self._greet(session, has_guilds=bool(data["intents"] & 1))

    async def _greet(self, session: Session, *, has_guilds: bool) -> None:
        guilds = [{"id": number, "unavailable": True} for number in self.guild_ids]
        await self._tell(
            session,
            "READY",
            {
                "v": 10,
                "user": BOT_USER,
                "guilds": guilds if has_guilds else [],
                "session_id": session.id,
                "session_type": "normal",
                "resume_gateway_url": self.url,
                "shard": list(session.shard),
                "application": {"id": APPLICATION_ID, "flags": 0},
            },
        )
        for number in self.guild_ids if has_guilds else ():
            await self._tell(session, "GUILD_CREATE", guild_json(number))

    async def _resume(self, connection: Connection, data: Json) -> None:
        session = next((s for s in self._sessions.values() if s.id == data["session_id"]), None)
        if session is None or data["token"] != self._world.token:
            await connection.send({"op": 9, "d": False})
            return
        session.connection = connection
        self.resumed.append(session.shard)
        for event in session.events[data["seq"] :]:
            await connection.send(event)
        await self._tell(session, "RESUMED", {})

    async def _tell(self, session: Session, event: str, data: Json) -> None:
        frame = {"op": 0, "t": event, "s": len(session.events) + 1, "d": data}
        session.events.append(frame)
        connection = session.connection
        if connection is not None and connection.is_open:
            try:
                await connection.send(frame)
            except ConnectionError:
                session.connection = None  # it is replayed to the next
        self._world.tell()


def guild_json(guild_id: str) -> Json:
    """A small server with one channel, as the bot is told of it."""
    return {
        "id": guild_id,
        "name": "a server",
        "owner_id": "1",
        "roles": [],
        "emojis": [],
        "features": [],
        "preferred_locale": "en-GB",
        "premium_tier": 0,
        "verification_level": 0,
        "default_message_notifications": 0,
        "explicit_content_filter": 0,
        "mfa_level": 0,
        "nsfw_level": 0,
        "system_channel_flags": 0,
        "channels": [channel_json("700000000000000001", guild_id)],
        "members": [],
        "threads": [],
        "member_count": 2,
    }
