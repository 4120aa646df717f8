"""Walks down timelines and looks at own posts, in memory and in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from bot.store import Store
from bot.x.api import PausedError, Span
from bot.x.config import XConfig
from bot.x.gates import Gates
from bot.x.looks import Looks
from bot.x.walks import IncompleteWalkError, next_step
from tests.support.inline_database import InlineDatabase
from tests.support.virtual_time import VirtualLoop, run_virtually
from tests.support.x_memory import MemoryApi
from tests.support.x_world import BOT_ID, BOT_NAME, OWN_POSTS, Fault, XWorld

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.store.database import Database

CONFIG = XConfig(api_key="", api_secret="", access_token="", access_token_secret="")


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


@pytest.fixture
def world(loop: VirtualLoop) -> XWorld:
    return XWorld(clock=loop.present)


async def live_on() -> None:
    """Nobody dies here, but others may go first."""
    await asyncio.sleep(0)


def api_of(world: XWorld, *, page_size: int = 5) -> MemoryApi:
    return MemoryApi(world, live_on, page_size=page_size)


async def walked(world: XWorld) -> list[str]:
    """The ids that a whole walk down the mentions finds."""
    api, span, found = api_of(world), Span(), list[str]()
    while True:
        step = await next_step(lambda asked: api.mentions(BOT_ID, asked), span)
        found += [post["id"] for post in step.posts]
        if step.next_until_id is None:
            return found
        span = Span(until_id=step.next_until_id)


def test_a_walk_finds_everything_even_if_tokens_repeat_for_ever(
    loop: VirtualLoop, world: XWorld
) -> None:
    world.has_stuck_tokens = True
    ids = [world.mention("ada", f"@{BOT_NAME} {number}") for number in range(17)]

    assert run_virtually(loop, walked(world)) == ids[::-1]


def test_a_walk_goes_on_below_a_page_whose_posts_were_all_deleted(
    loop: VirtualLoop, world: XWorld
) -> None:
    ids = [world.mention("ada", f"@{BOT_NAME} {number}") for number in range(17)]
    for post_id in ids[5:13]:
        world.delete(post_id)

    assert run_virtually(loop, walked(world)) == [*ids[:12:-1], *ids[4::-1]]


@pytest.mark.parametrize("trap", ["stuck", "expired"])
def test_a_walk_that_cannot_get_past_a_hole_says_so(
    loop: VirtualLoop, world: XWorld, trap: str
) -> None:
    ids = [world.mention("ada", f"@{BOT_NAME} {number}") for number in range(17)]
    for post_id in ids[5:13]:
        world.delete(post_id)
    world.has_stuck_tokens = trap == "stuck"
    world.token_life_s = 600.0 if trap == "stuck" else 0.0

    with pytest.raises(IncompleteWalkError):
        run_virtually(loop, walked(world))


def looks_at(world: XWorld, loop: VirtualLoop, database: InlineDatabase) -> Looks:
    store = Store(cast("Database", database))
    gates = Gates(CONFIG, store.x, store, clock=loop.present, sleep=asyncio.sleep)
    return Looks(
        api_of(world),
        account_id=BOT_ID,
        gate=gates.looks,
        records=store.x,
        prices=CONFIG.prices,
        clock=loop.present,
    )


def reply(world: XWorld, number: int) -> int:
    """The bot replies to a mention of its own."""
    mention_id = world.mention(f"person{number}", f"@{BOT_NAME} a cube")
    body = {"text": f"number {number}", "reply": {"in_reply_to_tweet_id": mention_id}}
    return int(world.create(body).body["data"]["id"])


def test_looks_that_are_due_together_share_one_walk_that_goes_back_far_enough(
    loop: VirtualLoop, world: XWorld
) -> None:
    database = InlineDatabase()
    looks = looks_at(world, loop, database)
    ids = [reply(world, number) for number in range(4)]

    async def look() -> list[list[int]]:
        asked = (looks.own_posts_since(since_id) for since_id in [ids[3], ids[2], ids[0], ids[1]])
        found = await asyncio.gather(*asked)
        return [[int(post["id"]) for post in posts] for posts in found]

    found = run_virtually(loop, look())

    assert found == [[], [ids[3], ids[2], ids[1]], *[[ids[3], ids[2], ids[1]]] * 2]
    assert world.calls == [OWN_POSTS, OWN_POSTS]
    spent = Store(cast("Database", database)).x.money.spent_micros(loop.present().date())
    assert run_virtually(loop, spent) == 3 * CONFIG.prices.own_post
    database.close()


def test_a_look_waits_until_a_whole_walk_has_worked(loop: VirtualLoop, world: XWorld) -> None:
    database = InlineDatabase()
    looks = looks_at(world, loop, database)
    reply_id = reply(world, 0)
    world.fail(OWN_POSTS, Fault(kind="reset"), Fault(kind="html", status=502))

    posts = run_virtually(loop, looks.own_posts_since(0))

    assert [int(post["id"]) for post in posts] == [reply_id]
    assert loop.time() >= 60
    database.close()


def test_a_paused_call_says_when_to_come_back(loop: VirtualLoop, world: XWorld) -> None:
    world.fail(OWN_POSTS, Fault(kind="answer", status=429))

    with pytest.raises(PausedError) as caught:
        run_virtually(loop, api_of(world).own_posts(BOT_ID, Span()))

    assert (caught.value.retry_at - loop.present()).total_seconds() == 60
