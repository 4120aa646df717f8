"""Two ways to X, one behaviour: tweepy over a wire and the port in memory raise the same errors.

Thousands of histories rest on the port in memory, so it is held to what the real tweepy makes
of the same fault, call by call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.x.api import PausedError, Span, XApiError
from bot.x.client import TweepyApi
from tests.support.clock import NOON
from tests.support.scripted_engine import solid_png
from tests.support.x_histories import COMMITTED, LOST, REFUSED
from tests.support.x_line import x_config
from tests.support.x_memory import MemoryApi
from tests.support.x_server import XServer
from tests.support.x_world import (
    BLOCKED,
    BOT_ID,
    BOT_NAME,
    CREATE,
    DELETE,
    EDITED,
    LOOKUP,
    ME,
    MENTIONS,
    METADATA,
    OWN_POSTS,
    SEARCH,
    UPLOAD,
    Fault,
    XWorld,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.x.api import XApi

CALLS: dict[str, Callable[[XApi, int], Awaitable[object]]] = {
    ME: lambda api, _: api.who_am_i(),
    MENTIONS: lambda api, _: api.mentions(BOT_ID, Span()),
    SEARCH: lambda api, _: api.search(BOT_NAME, Span()),
    OWN_POSTS: lambda api, _: api.own_posts(BOT_ID, Span()),
    LOOKUP: lambda api, post_id: api.post(post_id),
    UPLOAD: lambda api, _: api.upload_picture(solid_png(1, 2, 3)),
    METADATA: lambda api, _: api.describe_picture("1900000000000000000", "A square"),
    CREATE: lambda api, post_id: api.reply("Here.", to_id=post_id, media_id=None),
    DELETE: lambda api, post_id: api.erase(post_id),
}
FAULTS = [
    *LOST,
    *REFUSED,
    Fault(kind="answer", status=404, detail="Not Found"),
    Fault(kind="answer", status=403, detail=BLOCKED),
    Fault(kind="answer", status=403, detail=EDITED),
    Fault(kind="html", status=413),
]
# What these answer is not read, so a body that makes no sense does not matter there. A lookup
# that tells only errors is X's way to say that the post is gone.
UNREAD = {
    (METADATA, "null"),
    (METADATA, "errors"),
    (DELETE, "null"),
    (DELETE, "errors"),
    (LOOKUP, "errors"),
}


async def live_on() -> None:
    """Nobody dies here."""


async def outcome(api: XApi, world: XWorld, call: str, *faults: Fault) -> tuple[object, ...]:
    """What a call comes to: whether it worked, or the kind of error and all it says."""
    post_id = int(world.mention("ada", f"@{BOT_NAME} a cube"))
    world.upload(solid_png(1, 2, 3), "tweet_image")
    world.fail(call, *faults)
    try:
        await CALLS[call](api, post_id)
    except PausedError as error:
        pause_s = (error.retry_at - NOON).total_seconds()
        return (type(error), pause_s, error.is_for_all, error.is_growing)
    except XApiError as error:
        return (type(error), getattr(error, "reason", None))
    return ("worked",)


@pytest.fixture
def quick_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time-out in memory takes as long as the one on the wire."""
    monkeypatch.setattr("tests.support.x_memory.TIMEOUT_S", 0.0)


@pytest.mark.usefixtures("quick_hang")
@pytest.mark.parametrize("call", CALLS)
async def test_every_fault_of_every_call_is_the_same_error_either_way(call: str) -> None:
    for fault in FAULTS:
        if (call, fault.kind) in UNREAD:
            continue
        async with XServer(clock=lambda: NOON) as server:
            # aiohttp repeats GET and DELETE once by itself when the connection breaks.
            twice = (fault, fault) if fault.kind == "reset" else (fault,)
            wired = TweepyApi(x_config(server, call_timeout_s=0.3), clock=lambda: NOON)
            on_the_wire = await outcome(wired, server.world, call, *twice)
            await wired.close()
        world = XWorld(clock=lambda: NOON)
        in_memory = await outcome(MemoryApi(world, live_on), world, call, fault)

        assert on_the_wire == in_memory, fault


@pytest.mark.usefixtures("quick_hang")
@pytest.mark.parametrize("fault", COMMITTED, ids=lambda fault: f"{fault.kind}-{fault.status}")
async def test_what_is_committed_before_the_answer_is_lost_is_there_either_way(
    fault: Fault,
) -> None:
    async with XServer(clock=lambda: NOON) as server:
        wired = TweepyApi(x_config(server, call_timeout_s=0.3), clock=lambda: NOON)
        await outcome(wired, server.world, CREATE, fault)
        await wired.close()
        world = XWorld(clock=lambda: NOON)
        await outcome(MemoryApi(world, live_on), world, CREATE, fault)

        assert len(server.world.bot_posts()) == len(world.bot_posts()) == 1
