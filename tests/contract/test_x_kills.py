"""SIGKILL for the whole bot while it answers on X: every mention has one reply afterwards.

``tests/unit/bot/x/test_histories.py`` lets thousands of processes die in memory, at any point;
these die as processes do, over TCP and with a file for a database.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from bot.jobs import JobState
from bot.store.database import Database
from bot.store.tables import jobs
from tests.support.factories import database_url
from tests.support.life import Life
from tests.support.waiting import until
from tests.support.x_server import impatient_x
from tests.support.x_world import CREATE, MENTIONS, METADATA, UPLOAD, Fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

    from tests.support.x_server import XServer

LIMIT_S = 60.0

# Where the process is killed: in the middle of a call to X.
DEATHS = {
    "while the picture is uploaded": (UPLOAD, Fault(kind="hang")),
    "before the alt text is there": (METADATA, Fault(kind="hang")),
    "when the reply is out and nobody knows": (CREATE, Fault(kind="hang", is_committed=True)),
}


@pytest.fixture
async def x() -> AsyncIterator[XServer]:
    async with impatient_x() as server:
        yield server


@pytest.fixture
def life(tmp_path: Path, migrated_sqlite: Path, x: XServer) -> Life:
    (tmp_path / "imagine.db").write_bytes(migrated_sqlite.read_bytes())
    variables = {"X_POLL_INTERVAL_S": "0.2", "DAILY_PICTURES": "0"}
    return Life(tmp_path, x.environment() | variables, pause_s=0.02)


async def begin(life: Life, x: XServer, *, burns_at: int | None = None) -> None:
    """Begin and wait for the second look: the first only finds out where to begin."""
    look_count = x.world.calls.count(MENTIONS) + 2
    life.begin(burns_at=burns_at)
    await until(lambda: x.world.calls.count(MENTIONS) >= look_count, limit_s=LIMIT_S)


async def all_delivered(life: Life, x: XServer, asked: Sequence[str]) -> None:
    """Wait until there is a reply to each mention, and the bot has noted it."""
    await until(lambda: all(x.world.replies_to(post_id) for post_id in asked), limit_s=LIMIT_S)
    database = await Database.connect(database_url(life.data_dir))

    async def use_case(connection: AsyncConnection) -> Sequence[str]:
        return (await connection.scalars(select(jobs.c.state))).all()

    async with asyncio.timeout(LIMIT_S):
        while [*await database.read(use_case)] != [JobState.DELIVERED] * len(asked):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)
    await database.close()


@pytest.mark.long
async def test_a_process_killed_at_any_moment_leaves_one_answer_to_each_mention(
    life: Life, x: XServer
) -> None:
    """Five lives on the same data, each but the last cut short."""
    await begin(life, x, burns_at=2)
    asked = [x.world.mention("ada", "@imagine_bot a yellow square")]
    assert await life.ended(LIMIT_S) == -9  # in the middle of drawing
    for number, (call, fault) in enumerate(DEATHS.values()):
        await begin(life, x)
        await all_delivered(life, x, asked)  # what was drawn in two deaths would be given up
        x.world.fail(call, fault)
        call_count = x.world.calls.count(call)
        asked.append(x.world.mention(f"person{number}", "@imagine_bot a yellow square"))
        await until(lambda: x.world.calls.count(call) > call_count, limit_s=LIMIT_S)  # noqa: B023 (of this round)
        life.kill()
        assert await life.ended() == -9

    await begin(life, x)
    await all_delivered(life, x, asked)
    assert await life.stop() == 0

    assert [len(x.world.replies_to(post_id)) for post_id in asked] == [1] * len(asked)
    assert x.world.calls.count(CREATE) == len(asked)


async def test_a_reply_whose_answer_is_lost_is_not_posted_twice(life: Life, x: XServer) -> None:
    x.world.fail(CREATE, Fault(kind="reset", is_committed=True))
    await begin(life, x)
    post_id = x.world.mention("ada", "@imagine_bot a yellow square")
    await all_delivered(life, x, [post_id])
    assert await life.stop() == 0

    assert len(x.world.replies_to(post_id)) == 1
    assert x.world.calls.count(CREATE) == 1
