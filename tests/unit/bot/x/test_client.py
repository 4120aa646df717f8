"""What each way of going wrong becomes at the border, with the real tweepy."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.x.api import (
    CredentialsError,
    DeclinedError,
    DeclineReason,
    PausedError,
    Span,
    UnknownOutcomeError,
)
from bot.x.client import TweepyApi
from tests.support.clock import NOON
from tests.support.scripted_engine import solid_png
from tests.support.x_line import x_config
from tests.support.x_server import XServer
from tests.support.x_world import (
    BOT_ID,
    BOT_NAME,
    CREATE,
    DELETE,
    LOOKUP,
    ME,
    METADATA,
    OWN_POSTS,
    SEARCH,
    UPLOAD,
    Fault,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


@pytest.fixture
async def server() -> AsyncIterator[XServer]:
    async with XServer() as server:
        yield server


@pytest.fixture
async def api(server: XServer, request: pytest.FixtureRequest) -> AsyncIterator[TweepyApi]:
    """A client that is patient, except where a test's fault is that no answer comes."""
    name = str(request.node.name)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] (pytest's node is untyped)
    patience_s = 0.5 if "hang" in name or "slow" in name else 30.0
    api = TweepyApi(x_config(server, call_timeout_s=patience_s), clock=lambda: NOON)
    yield api
    await api.close()


def answered(status: int, detail: str = "", **headers: str) -> Fault:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(kind="answer", status=status, detail=detail, headers=named)


async def post(server: XServer, api: TweepyApi) -> int:
    mention_id = server.world.mention("ada", "@imagine_bot a red cube")
    return await api.reply("Here you are.", to_id=int(mention_id), media_id=None)


HARMLESS: dict[str, Callable[[TweepyApi], Awaitable[object]]] = {
    OWN_POSTS: lambda api: api.own_posts(BOT_ID, Span()),
    UPLOAD: lambda api: api.upload_picture(solid_png(1, 2, 3)),
}

LOST = [
    Fault(kind="reset"),
    Fault(kind="hang"),
    Fault(kind="slow"),
    Fault(kind="truncated"),
    Fault(kind="null"),
    Fault(kind="errors"),
    Fault(kind="badjson"),
    Fault(kind="html", status=201),
    Fault(kind="html", status=502),
    answered(503, "Over capacity"),
    answered(403, "You are not allowed to create a Tweet with duplicate content."),
    Fault(kind="answer", status=403, detail="Status is a duplicate.", is_old_style=True),
]


@pytest.mark.parametrize("fault", LOST, ids=lambda fault: f"{fault.kind}-{fault.status}")
async def test_a_reply_without_a_clear_answer_is_in_doubt(
    server: XServer, api: TweepyApi, fault: Fault
) -> None:
    server.world.fail(CREATE, fault)

    with pytest.raises(UnknownOutcomeError):
        await post(server, api)


@pytest.mark.parametrize("fault", LOST[:10], ids=lambda fault: f"{fault.kind}-{fault.status}")
@pytest.mark.parametrize("call", HARMLESS)
async def test_a_harmless_call_without_a_clear_answer_may_be_repeated_soon(
    server: XServer, api: TweepyApi, call: str, fault: Fault
) -> None:
    server.world.fail(call, fault, fault)  # aiohttp repeats a GET once by itself

    with pytest.raises(PausedError) as caught:
        await HARMLESS[call](api)

    assert caught.value.retry_at - NOON == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (answered(404, "Not Found"), DeclineReason.GONE),
        (answered(403, "… a Tweet that is deleted or not visible to you."), DeclineReason.GONE),
        (
            answered(403, "You can only reply to or quote posts where you are mentioned or …"),
            DeclineReason.NOT_SUMMONED,
        ),
        (
            answered(403, "… because you have not been mentioned or otherwise engaged …"),
            DeclineReason.NOT_SUMMONED,
        ),
        (
            answered(403, "The original Tweet author restricted who can reply to this Tweet."),
            DeclineReason.RESTRICTED,
        ),
        (answered(403, "You have been blocked from the author"), DeclineReason.BLOCKED),
        (
            answered(403, "Sorry, you are not authorized to see this status."),
            DeclineReason.BLOCKED,
        ),
        (answered(403, "No status found with that ID."), DeclineReason.GONE),
        (answered(403, "There is a newer version of this post"), DeclineReason.EDITED),
        (
            answered(403, "You are not permitted to perform this action."),
            DeclineReason.NOT_PERMITTED,
        ),
        (answered(400, "Bad Request"), DeclineReason.OTHER),
        (Fault(kind="html", status=413), DeclineReason.OTHER),
    ],
)
async def test_a_clear_no_says_why(
    server: XServer, api: TweepyApi, fault: Fault, reason: DeclineReason
) -> None:
    server.world.fail(CREATE, fault)

    with pytest.raises(DeclinedError) as caught:
        await post(server, api)

    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("fault", "pause"),
    [
        (answered(402, "CreditsDepleted"), timedelta(minutes=15)),
        (answered(401, "Unauthorized"), timedelta(minutes=15)),
        (answered(403, "Your account is suspended"), timedelta(hours=1)),
        (answered(403, "Application cannot perform write actions."), timedelta(hours=1)),
        (
            Fault(kind="answer", status=429, detail="Rate limit exceeded", is_old_style=True),
            timedelta(seconds=60),
        ),
        (answered(403, "You have reached the daily limit"), timedelta(minutes=15)),
        (answered(429), timedelta(seconds=60)),
        (Fault(kind="html", status=429), timedelta(seconds=60)),
        (
            answered(429, x_rate_limit_reset=f"{NOON.timestamp() + 420:.0f}"),
            timedelta(minutes=7),
        ),
        (
            answered(429, x_rate_limit_reset=f"{NOON.timestamp() - 420:.0f}"),
            timedelta(seconds=5),
        ),
        (
            answered(
                429,
                x_rate_limit_reset=f"{NOON.timestamp() + 420:.0f}",
                x_user_limit_24hour_remaining="0",
                x_user_limit_24hour_reset=f"{NOON.timestamp() + 36_000:.0f}",
                x_app_limit_24hour_remaining="12",
                x_app_limit_24hour_reset=f"{NOON.timestamp() + 72_000:.0f}",
            ),
            timedelta(hours=10),
        ),
    ],
)
async def test_a_no_for_now_says_until_when(
    server: XServer, api: TweepyApi, fault: Fault, pause: timedelta
) -> None:
    server.world.fail(CREATE, fault)

    with pytest.raises(PausedError) as caught:
        await post(server, api)

    assert caught.value.retry_at - NOON == pause


async def test_a_server_that_is_not_there_was_not_asked(server: XServer) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
    api = TweepyApi(x_config(server, api_base=nobody), clock=lambda: NOON)

    with pytest.raises(PausedError, match="X cannot be reached"):
        await api.reply("Here you are.", to_id=1, media_id=None)
    await api.close()


async def test_mistyped_secrets_are_noticed(server: XServer) -> None:
    api = TweepyApi(x_config(server, access_token_secret="mistyped"), clock=lambda: NOON)

    with pytest.raises(CredentialsError, match="Unauthorized"):
        await api.who_am_i()
    await api.close()


async def test_every_call_is_signed_so_that_x_accepts_it(server: XServer, api: TweepyApi) -> None:
    me = await api.who_am_i()
    mention_id = server.world.mention("ada", "@imagine_bot a red cube: 100 % *sharp*")
    page = await api.mentions(me.id, Span(since_id=1))
    media_id = await api.upload_picture(solid_png(1, 2, 3, side_px=256))
    await api.describe_picture(media_id, "A plain square")
    reply_id = await api.reply("Here you are.", to_id=int(mention_id), media_id=media_id)
    own = await api.own_posts(me.id, Span())

    assert [str(shown["id"]) for shown in page.posts] == [mention_id]
    assert [int(shown["id"]) for shown in own.posts] == [reply_id]
    assert server.world.calls.count(METADATA) == server.world.calls.count(ME) == 1


async def test_a_picture_of_nearly_five_megabytes_is_taken(server: XServer, api: TweepyApi) -> None:
    png = solid_png(1, 2, 3)
    media_id = await api.upload_picture(png + bytes(4_900_000 - len(png)))

    assert len(server.world.media[media_id].picture) == 4_900_000


async def test_a_page_is_followed_by_its_token(server: XServer, api: TweepyApi) -> None:
    for number in range(130):
        server.world.mention("ada", f"@imagine_bot cube {number}")

    first = await api.mentions(BOT_ID, Span())
    second = await api.mentions(BOT_ID, Span(page_token=first.next_token))

    assert (len(first.posts), len(second.posts), second.next_token) == (100, 30, None)


async def test_a_page_can_be_asked_for_by_the_ids_around_it(
    server: XServer, api: TweepyApi
) -> None:
    ids = [int(server.world.mention("ada", f"@{BOT_NAME} cube {number}")) for number in range(4)]

    page = await api.mentions(BOT_ID, Span(since_id=ids[0], until_id=ids[3]))

    assert [int(post["id"]) for post in page.posts] == [ids[2], ids[1]]
    assert page.limit_count == 300


async def test_mentions_can_be_searched_for(server: XServer, api: TweepyApi) -> None:
    ids = [server.world.mention("ada", f"@{BOT_NAME} cube {number}") for number in range(25)]

    first = await api.search(BOT_NAME, Span())
    second = await api.search(BOT_NAME, Span(page_token=first.next_token))

    found = [post["id"] for post in (*first.posts, *second.posts)]
    assert found == ids[::-1]
    assert server.world.calls.count(SEARCH) == 2


async def test_a_post_is_looked_up_with_all_its_versions(server: XServer, api: TweepyApi) -> None:
    first = server.world.mention("ada", f"@{BOT_NAME} a cube")
    second = server.world.edit(first, f"@{BOT_NAME} a red cube")

    post = await api.post(int(first))

    assert post["edit_history_tweet_ids"] == [first, second]
    server.world.delete(second)
    with pytest.raises(DeclinedError) as caught:
        await api.post(int(first))
    assert caught.value.reason is DeclineReason.GONE
    assert server.world.calls.count(LOOKUP) == 2


async def test_deleting_a_post_twice_is_as_good_as_once(server: XServer, api: TweepyApi) -> None:
    reply_id = await post(server, api)

    await api.erase(reply_id)
    await api.erase(reply_id)

    assert server.world.posts[reply_id].is_deleted
    assert server.world.calls.count(DELETE) == 2


async def test_a_failed_deletion_may_be_repeated_soon(server: XServer, api: TweepyApi) -> None:
    reply_id = await post(server, api)
    server.world.fail(DELETE, answered(503))

    with pytest.raises(PausedError):
        await api.erase(reply_id)


async def test_the_clock_of_x_is_compared_with_ours() -> None:
    async with XServer(date="Tue, 09 Jun 2026 12:00:40 GMT") as server:
        api = TweepyApi(x_config(server), clock=lambda: NOON)
        await api.who_am_i()
        await api.close()

    assert api.skew_s == 40
