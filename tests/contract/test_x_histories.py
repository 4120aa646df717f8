"""A few random histories with everything real but X: tweepy, sockets, aiohttp.

Those in memory are many (``tests/unit/bot/x/test_histories.py``); these show that the wire
changes nothing.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from bot.store.x_states import OPEN
from bot.store.x_tables import x_mentions
from tests.support.x_histories import COMMITTED, LATE, LOST, REFUSED
from tests.support.x_line import Line, SteppedTime
from tests.support.x_server import XServer
from tests.support.x_world import CREATE, METADATA, OWN_POSTS, UPLOAD

if TYPE_CHECKING:
    from collections.abc import Callable

HISTORY_COUNT = 12
MENTION_COUNT = 4


@pytest.mark.parametrize("seed", range(HISTORY_COUNT))
async def test_over_the_wire_each_mention_is_answered_once_through_faults_and_deaths(
    seed: int,
) -> None:
    random = Random(seed)  # noqa: S311 (a history, not a secret)
    time = SteppedTime()
    async with XServer(clock=time) as server:
        line = Line(server, time)
        server.world.forbids_duplicates = False
        server.world.own_lag_s = random.choice([0.0, 40.0])
        async with line.running():
            pass  # what is mentioned from now on is new
        fail_at_random(line, random)
        posts = [server.world.mention(f"p{n}", "@imagine_bot a cube") for n in range(MENTION_COUNT)]
        for _ in range(2):
            await live_until(line, after_calls(line, random.randint(1, 12)))
        await live_until(line, lambda: all(line.world.replies_to(post) for post in posts))
        await live_until(line, nothing_is_open(line))

        assert [len(server.world.replies_to(post)) for post in posts] == [1] * MENTION_COUNT
        assert server.world.violations == []
        line.database.close()


def fail_at_random(line: Line, random: Random) -> None:
    line.world.fail(CREATE, *random.sample([*COMMITTED, *LATE, *LOST, *REFUSED], 2))
    for call in (UPLOAD, METADATA, OWN_POSTS):
        line.world.fail(call, *random.sample(LOST, random.randint(0, 1)))


async def live_until(line: Line, condition: Callable[[], bool]) -> None:
    """One life of the process, which ends in the middle of whatever it does."""
    async with line.running(call_timeout_s=0.5, poll_interval_s=20.0):
        await line.time.until(condition)
    if not line.has_noted_limit("posts"):  # who died before noting it cannot tell the next life
        line.world.closed_until.pop(CREATE, None)


def after_calls(line: Line, count: int) -> Callable[[], bool]:
    stop_at = len(line.world.calls) + count
    return lambda: len(line.world.calls) >= stop_at


def nothing_is_open(line: Line) -> Callable[[], bool]:
    query = select(x_mentions.c.root_id).where(x_mentions.c.state.in_(sorted(OPEN)))
    return lambda: not line.database.rows(query)
