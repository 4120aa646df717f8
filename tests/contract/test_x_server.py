"""The X of the tests on its own: what it does for calls that no test of the bot makes.

Signed by oauthlib, so that the check of signatures is not our own word for it.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from oauthlib.oauth1 import Client
from yarl import URL

from tests.support.clock import NOON
from tests.support.scripted_engine import solid_png
from tests.support.x_line import SteppedTime
from tests.support.x_posts import weighted_length
from tests.support.x_server import (
    ACCESS_TOKEN,
    ACCESS_TOKEN_SECRET,
    API_KEY,
    API_SECRET,
    SIGNED_BASE,
    XServer,
)
from tests.support.x_world import BOT_ID, BOT_NAME, CREATE, LIMITS, USAGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MENTIONS = f"/2/users/{BOT_ID}/mentions"
PICTURE = solid_png(1, 2, 3)


@pytest.fixture
async def server() -> AsyncIterator[XServer]:
    async with XServer(clock=SteppedTime()) as server:
        yield server


async def call(server: XServer, method: str, path: str, **options: Any) -> tuple[int, Any]:
    """Make a signed call; returns its status and what it answers."""
    query = options.pop("query", {})
    signer: Any = Client(API_KEY, API_SECRET, ACCESS_TOKEN, ACCESS_TOKEN_SECRET)
    url, headers, _ = signer.sign(str(URL(SIGNED_BASE + path).with_query(query)), method)
    here = URL(server.url + path).with_query(URL(url).query)
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, here, headers=headers, **options) as answer,
    ):
        return answer.status, await answer.json()


async def ids(server: XServer, path: str, **query: str) -> list[str]:
    status, answer = await call(server, "GET", path, query=query)
    assert status == 200, answer
    return [post["id"] for post in answer.get("data", [])]


def moment(hours: int) -> str:
    return f"{NOON + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"


async def test_a_timeline_is_bounded_by_moments(server: XServer) -> None:
    time = server.world.clock
    assert isinstance(time, SteppedTime)
    made: list[str] = []
    for _ in range(4):
        made.append(server.world.mention("ada", "@imagine_bot a red cube"))
        time.now += timedelta(hours=1)

    within = await ids(server, MENTIONS, start_time=moment(1), end_time=moment(3))
    status, _ = await call(server, "GET", MENTIONS, query={"start_time": "yesterday"})

    assert within == [made[2], made[1]]
    assert status == 400


async def test_posts_are_searched_for_by_author_and_parent(server: XServer) -> None:
    search = "/2/tweets/search/recent"
    first, second = (server.world.mention(name, "@imagine_bot a cube") for name in ("ada", "bob"))
    body = {"text": "Here.", "reply": {"in_reply_to_tweet_id": second}}
    _, made = await call(server, "POST", "/2/tweets", json=body)

    by_ada = await ids(server, search, query="from:ada")
    replies = await ids(server, search, query=f"from:{BOT_NAME} in_reply_to_tweet_id:{second}")
    none = await ids(server, search, query=f"in_reply_to_tweet_id:{first}")
    status, _ = await call(server, "GET", search, query={"query": "cats OR dogs"})

    assert (by_ada, replies, none, status) == ([first], [made["data"]["id"]], [], 400)


async def test_many_posts_are_looked_up_and_hidden_ones_told_as_errors(server: XServer) -> None:
    names = ("ada", "bob", "eve")
    posts = [server.world.mention(name, "@imagine_bot a cube") for name in names]
    server.world.protected.add("bob")
    server.world.suspended.add("eve")

    _, answer = await call(server, "GET", "/2/tweets", query={"ids": ",".join(posts)})
    _, alone = await call(server, "GET", f"/2/tweets/{posts[1]}")
    status, _ = await call(server, "GET", "/2/tweets", query={"ids": "none"})

    assert [post["id"] for post in answer["data"]] == posts[:1]
    assert len(answer["errors"]) == 2
    assert "data" not in alone
    assert status == 400


async def test_the_posts_that_were_read_are_counted(server: XServer) -> None:
    for _ in range(3):
        server.world.mention("ada", "@imagine_bot a cube")
    await ids(server, MENTIONS)
    await ids(server, MENTIONS)  # each is billed once in a day

    _, answer = await call(server, "GET", "/2/usage/tweets")

    assert answer["data"]["project_usage"] == "3"
    assert server.world.calls.count(USAGE) == 1
    assert server.world.spend_micros[f"{NOON:%Y-%m-%d}"] == 3_000


async def test_a_picture_is_taken_from_a_form_as_from_json(server: XServer) -> None:
    form = aiohttp.FormData({"media_category": "tweet_image"})
    form.add_field("media", PICTURE, filename="grid.png")
    incomplete = aiohttp.FormData()
    incomplete.add_field("media", PICTURE, filename="grid.png")
    body = {"media": base64.b64encode(PICTURE).decode(), "media_category": "tweet_image"}

    _, from_form = await call(server, "POST", "/2/media/upload", data=form)
    _, from_json = await call(server, "POST", "/2/media/upload", json=body)
    status, _ = await call(server, "POST", "/2/media/upload", data=incomplete)

    kept = server.world.media
    assert kept[from_form["data"]["id"]].picture == kept[from_json["data"]["id"]].picture == PICTURE
    assert from_form["data"]["image"] == {"w": 16, "h": 16}
    assert status == 400


async def test_a_refresh_token_works_once(server: XServer) -> None:
    async def refresh(token: str) -> tuple[int, Any]:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{server.url}/2/oauth2/token", data=form) as answer,
        ):
            return answer.status, await answer.json()

    first = server.world.refresh
    status, told = await refresh(first)
    again, _ = await refresh(first)
    later, _ = await refresh(told["refresh_token"])

    assert (status, again, later) == (200, 400, 200)


async def test_the_names_that_x_puts_in_front_of_a_reply_are_hidden(server: XServer) -> None:
    post_id = server.world.mention("ada", "@imagine_bot a cube for @bob")
    body = {"text": "Here.", "reply": {"in_reply_to_tweet_id": post_id}}
    await call(server, "POST", "/2/tweets", json=body)

    query = {"tweet.fields": "display_text_range"}
    _, own = await call(server, "GET", f"/2/users/{BOT_ID}/tweets", query=query)

    (reply,) = own["data"]
    assert reply["text"] == "@ada @bob Here."
    assert reply["display_text_range"] == [10, 15]


async def test_an_answer_tells_the_limit_of_its_call(server: XServer) -> None:
    served = server.world.serve(CREATE, lambda: server.world.erase("1"))

    told = served.answer.headers
    assert told["x-rate-limit-limit"] == str(LIMITS[CREATE])
    assert told["x-rate-limit-remaining"] == str(LIMITS[CREATE] - 1)
    assert told["x-rate-limit-reset"] == f"{NOON.timestamp() + 900:.0f}"


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("a cube", 6),
        ("ein Würfel … größer", 20),
        ("立方体", 6),
        ("🧊", 2),
        ("https://x.com/a/b/c d", 25),
    ],
)
def test_a_text_is_as_long_as_x_counts_it(text: str, length: int) -> None:
    assert weighted_length(text) == length


async def test_a_text_that_x_counts_as_too_long_is_refused(server: XServer) -> None:
    post_id = server.world.mention("ada", "@imagine_bot a cube")

    async def post(text: str) -> int:
        body = {"text": text, "reply": {"in_reply_to_tweet_id": post_id}}
        return (await call(server, "POST", "/2/tweets", json=body))[0]

    assert (await post("立" * 141), await post("立" * 140)) == (400, 201)
