"""Our loopback Discord keeps Discord's rules, whoever talks to it."""

from __future__ import annotations

import asyncio
import io
import json
import zlib
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import pytest

from tests.support.discord_scene import (
    APPLICATION_ID,
    CHANNEL_ID,
    FOREIGN_CHANNEL_ID,
    TOKEN,
    VIEW_CHANNEL,
)
from tests.support.discord_server import DiscordServer, Fault, RateLimit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.discord_server import Interaction

COMMAND: dict[str, Any] = {"name": "imagine", "description": "Draw", "type": 1, "options": []}
V2 = 1 << 15
ANSWER = "messages/@original"


class Client:
    """As little of a bot as a test needs: no library between it and the wire."""

    def __init__(self, server: DiscordServer) -> None:
        self.server = server
        self.heard: list[dict[str, Any]] = []
        self._inflating = zlib.decompressobj()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        await self.call("PUT", f"applications/{APPLICATION_ID}/commands", [COMMAND])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def call(
        self, method: str, path: str, body: Any = None, files: dict[str, bytes] | None = None
    ) -> tuple[int, Any]:
        """Return the status, and the body or its error code."""
        headers = {"Authorization": f"Bot {TOKEN}"}
        form = None
        if files is not None:
            form = aiohttp.FormData()
            form.add_field("payload_json", json.dumps(body))
            for number, (name, data) in enumerate(files.items()):
                form.add_field(f"files[{number}]", io.BytesIO(data), filename=name)
        url = f"{self.server.api_base}/{path}"
        sent: dict[str, Any] = {"json": body} if form is None else {"data": form}
        async with self._session.request(method, url, headers=headers, **sent) as response:
            text = await response.text()
            told: dict[str, Any] = json.loads(text) if text else {}
            failed = response.status >= 400
            return response.status, told["code"] if failed else told

    async def download(self, url: str) -> bytes:
        async with self._session.get(url) as response:
            return await response.read()

    async def connect(self, *, query: str = "") -> aiohttp.ClientWebSocketResponse:
        return await self._session.ws_connect(self.server.gateway_url + query)

    async def identify(
        self, *, token: str = TOKEN, shard: tuple[int, int] = (0, 1), query: str = ""
    ) -> aiohttp.ClientWebSocketResponse:
        gateway = await self.connect(query=query)
        data: dict[str, Any] = {
            "token": token,
            "intents": 0,
            "shard": list(shard),
            "properties": {},
        }
        assert (await self.hear(gateway))["op"] == 10
        await gateway.send_json({"op": 2, "d": data})
        return gateway

    async def hear(self, gateway: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
        frame = await gateway.receive(timeout=10)
        if frame.type is aiohttp.WSMsgType.BINARY:
            return json.loads(self._inflating.decompress(frame.data))
        assert frame.type is aiohttp.WSMsgType.TEXT, (frame.type, frame.data)
        return json.loads(frame.data)

    async def answer(self, interaction: Interaction, body: Any) -> tuple[int, Any]:
        return await self.call(
            "POST", f"interactions/{interaction.id}/{interaction.token}/callback", body
        )

    async def edit(
        self, interaction: Interaction, body: Any, files: dict[str, bytes] | None = None
    ) -> tuple[int, Any]:
        path = f"webhooks/{APPLICATION_ID}/{interaction.token}/{ANSWER}"
        return await self.call("PATCH", path, body, files)


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        yield server


@pytest.fixture
async def client(server: DiscordServer) -> AsyncIterator[Client]:
    async with Client(server) as client:
        await client.identify()
        yield client


@pytest.fixture
async def asked(server: DiscordServer, client: Client) -> Interaction:
    assert client
    return await server.start_slash("imagine", {})


@pytest.fixture
async def deferred(client: Client, asked: Interaction) -> Interaction:
    assert (await client.answer(asked, {"type": 5}))[0] == 204
    return asked


# ------------------------------------------------------------------- the life of a token


async def test_three_seconds_after_the_event_it_is_too_late_to_answer(
    server: DiscordServer, client: Client, asked: Interaction
) -> None:
    server.advance(seconds=4)

    assert await client.answer(asked, {"type": 5}) == (404, 10062)
    assert server.violations == [f"interaction {asked.id} was not acknowledged"]


async def test_a_second_first_answer_is_refused(client: Client, deferred: Interaction) -> None:
    assert await client.answer(deferred, {"type": 5}) == (400, 40060)


async def test_before_the_first_answer_a_token_edits_nothing(
    client: Client, asked: Interaction
) -> None:
    assert await client.edit(asked, {"content": "early"}) == (404, 10015)


async def test_a_token_dies_after_fifteen_minutes_and_using_it_again_is_held_against_the_bot(
    server: DiscordServer, client: Client, deferred: Interaction
) -> None:
    assert (await client.edit(deferred, {"content": "in time"}))[0] == 200
    server.advance(minutes=16)

    assert await client.edit(deferred, {"content": "late"}) == (401, 50027)
    assert server.violations == []
    assert await client.edit(deferred, {"content": "later"}) == (401, 50027)
    assert len(server.violations) == 1


async def test_only_a_whisper_may_be_deferred(client: Client, asked: Interaction) -> None:
    assert await client.answer(asked, {"type": 5, "data": {"flags": V2}}) == (400, 50035)


async def test_a_guest_may_follow_up_five_times(server: DiscordServer, client: Client) -> None:
    server.world.commands[0]["integration_types"] = [1]
    asked = await server.start_slash("imagine", {}, place="elsewhere")
    await client.answer(asked, {"type": 4, "data": {"content": "first"}})
    path = f"webhooks/{APPLICATION_ID}/{asked.token}"

    statuses = [(await client.call("POST", path, {"content": "more"}))[0] for _ in range(6)]

    assert statuses == [200] * 5 + [400]


# ---------------------------------------------------------------- what a message may hold


def texts(*contents: str) -> dict[str, Any]:
    return {"flags": V2, "components": [{"type": 10, "content": each} for each in contents]}


BROKEN_BODIES: list[dict[str, Any]] = [
    texts("a" * 4_001),
    texts(*["a"] * 41),
    texts("a" * 2_001, "a" * 2_001),
    {**texts("a"), "content": "both"},
    {"components": [{"type": 10, "content": "without its flag"}]},
    {"content": "a" * 2_001},
    {"flags": V2, "components": [{"type": 12, "items": []}]},
    {"flags": V2, "components": [{"type": 99}]},
    {
        "flags": V2,
        "components": [{"type": 12, "items": [{"media": {"url": "attachment://b"}}]}],
    },
    {"content": "a", "attachments": [{"id": 0}]},
]


@pytest.mark.parametrize("body", BROKEN_BODIES, ids=range(len(BROKEN_BODIES)))
async def test_a_body_that_breaks_a_rule_is_refused_and_held_against_the_bot(
    server: DiscordServer, client: Client, deferred: Interaction, body: dict[str, Any]
) -> None:
    assert await client.edit(deferred, body) == (400, 50035)
    assert len(server.violations) == 1
    assert deferred.message is not None
    assert deferred.message.seen == []


async def test_files_are_limited_each_and_together(
    server: DiscordServer, client: Client, deferred: Interaction
) -> None:
    server.file_limit_bytes = 10
    assert await client.edit(deferred, {"content": "a"}, {"a.png": b"x" * 11}) == (413, 40005)
    server.file_limit_bytes = 2**30
    half = b"x" * (13 * 2**20)
    assert await client.edit(deferred, {}, {"a.png": half, "b.png": half}) == (413, 40005)
    eleven = {f"{number}.png": b"x" for number in range(11)}
    assert await client.edit(deferred, {}, eleven) == (400, 50035)


async def test_a_file_is_on_the_cdn_afterwards(client: Client, deferred: Interaction) -> None:
    status, message = await client.edit(deferred, {"content": "a"}, {"a.png": b"bytes"})

    assert status == 200
    assert await client.download(message["attachments"][0]["url"]) == b"bytes"


async def test_an_old_message_is_edited_a_few_times_only(
    server: DiscordServer, client: Client
) -> None:
    _, posted = await client.call("POST", f"channels/{CHANNEL_ID}/messages", {"content": "a"})
    server.advance(hours=2)
    path = f"channels/{CHANNEL_ID}/messages/{posted['id']}"

    answers = [await client.call("PATCH", path, {"content": "b"}) for _ in range(4)]

    assert [status for status, _ in answers] == [200, 200, 200, 429]
    assert answers[-1][1] == 30046


# ------------------------------------------------------------------- messages of its own


async def test_a_nonce_that_was_used_before_posts_nothing_new(
    server: DiscordServer, client: Client
) -> None:
    body = {"content": "a", "nonce": "same", "enforce_nonce": True}
    path = f"channels/{CHANNEL_ID}/messages"

    first, second = [await client.call("POST", path, body) for _ in range(2)]

    assert first[1]["id"] == second[1]["id"]
    assert len(server.posts) == 1


async def test_a_post_needs_the_right_to_see_to_write_and_to_be_heard(
    server: DiscordServer, client: Client
) -> None:
    async def post(channel_id: str) -> tuple[int, Any]:
        return await client.call("POST", f"channels/{channel_id}/messages", {"content": "a"})

    assert await post(FOREIGN_CHANNEL_ID) == (403, 50001)
    server.world.channel_permissions[CHANNEL_ID] = VIEW_CHANNEL
    assert await post(CHANNEL_ID) == (403, 50013)
    _, opened = await client.call("POST", "users/@me/channels", {"recipient_id": "42"})
    assert (await post(opened["id"]))[0] == 200
    server.closed_dms.add("42")
    assert await post(opened["id"]) == (403, 50007)


async def test_what_it_does_not_know_is_a_loud_404(server: DiscordServer, client: Client) -> None:
    status, _ = await client.call("GET", "voice/regions")

    assert status == 404
    assert server.violations == ["unknown to this Discord: GET /api/v10/voice/regions"]


# ------------------------------------------------------------------------ limits, faults


async def test_a_limit_lets_so_many_through_and_says_when_the_next_may_come(
    server: DiscordServer, client: Client, deferred: Interaction
) -> None:
    limit = RateLimit(method="PATCH", path=f"/{ANSWER}", count=2, window_s=60)
    server.limits.append(limit)

    statuses = [(await client.edit(deferred, {"content": "a"}))[0] for _ in range(3)]

    assert statuses == [200, 200, 429]
    assert (limit.refused_count, server.world.refused_count) == (1, 1)


async def test_a_fault_hits_the_request_it_was_meant_for(
    server: DiscordServer, client: Client, deferred: Interaction
) -> None:
    server.faults.append(Fault(method="PATCH", path=f"/{ANSWER}", status=502, skip=1))

    statuses = [(await client.edit(deferred, {"content": "a"}))[0] for _ in range(3)]

    assert statuses == [200, 502, 200]


@pytest.mark.parametrize("kind", ["reset", "close", "half"])
async def test_a_connection_can_break(
    server: DiscordServer, client: Client, deferred: Interaction, kind: Any
) -> None:
    server.faults.append(Fault(method="PATCH", path=f"/{ANSWER}", kind=kind))

    with pytest.raises(aiohttp.ClientError):
        await client.edit(deferred, {"content": "a"})

    assert deferred.message is not None
    assert deferred.message.seen == (["a"] if kind == "half" else [])


# ------------------------------------------------------------------------------- gateway


async def test_a_wrong_token_is_sent_away(server: DiscordServer) -> None:
    async with Client(server) as client:
        gateway = await client.identify(token="wrong")
        await gateway.receive(timeout=10)

        assert gateway.close_code == 4004


@pytest.mark.parametrize("query", ["", "?compress=zlib-stream"])
async def test_a_session_that_is_resumed_hears_what_it_missed(
    server: DiscordServer, query: str
) -> None:
    async with Client(server) as client:
        gateway = await client.identify(query=query)
        ready = await client.hear(gateway)
        asked = await server.hold_slash("imagine", {})
        await gateway.close()
        await server.until(lambda: not server.gateway.is_connected, 10, lambda: "not noticed")
        await server.dispatch(asked)
        again = await Client(server).__aenter__()
        gateway = await again.connect(query=query)
        await again.hear(gateway)
        resume = {"token": TOKEN, "session_id": ready["d"]["session_id"], "seq": ready["s"]}
        await gateway.send_json({"op": 6, "d": resume})

        heard = [(await again.hear(gateway))["t"] for _ in range(2)]
        await again.__aexit__()

    assert ready["d"]["shard"] == [0, 1]
    assert heard == ["INTERACTION_CREATE", "RESUMED"]
    assert server.gateway.resumed == [(0, 1)]


async def test_a_session_that_is_unknown_has_to_begin_anew(server: DiscordServer) -> None:
    async with Client(server) as client:
        gateway = await client.connect()
        await client.hear(gateway)
        await gateway.send_json({"op": 6, "d": {"token": TOKEN, "session_id": "?", "seq": 1}})

        assert await client.hear(gateway) == {"op": 9, "d": False}


async def test_each_shard_hears_of_its_own_servers(server: DiscordServer) -> None:
    async with Client(server) as client:
        gateways = [await client.identify(shard=(number, 2)) for number in range(2)]
        for gateway in gateways:
            await client.hear(gateway)
        await server.start_slash("imagine", {}, guild_id=str(5 << 22))

        heard = await client.hear(gateways[1])

    assert heard["d"]["guild_id"] == str(5 << 22)


async def test_a_bot_that_talks_too_much_is_cut_off(server: DiscordServer) -> None:
    async with Client(server) as client:
        gateway = await client.identify()
        for _ in range(120):
            await gateway.send_json({"op": 1, "d": None})
        while not gateway.closed:
            await asyncio.wait_for(gateway.receive(), 10)

    assert gateway.close_code == 4008
    assert server.violations == ["more than 120 gateway sends in a minute"]
