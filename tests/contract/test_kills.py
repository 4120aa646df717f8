"""SIGKILL for the real process: at every point of its life in turn, and at random moments.

Whatever is killed whenever: each request that was accepted has one answer in the end, never
none and never two, and all quotas add up. How many random rounds are played is chosen by
``KILL_ROUNDS`` (``make soak`` plays many); what was played is printed.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from bot.jobs import JobState
from bot.store import Limits, Rules
from bot.store.database import Database
from bot.store.tables import jobs
from tests.support.audit import leaks
from tests.support.factories import database_url
from tests.support.killable import NEVER, Life, Wall, live, wishes

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

ROUNDS = int(os.environ.get("KILL_ROUNDS", "25"))
RULES = Rules(
    person=Limits(daily_count=12, burst_count=12, refill_s=3_600.0, jobs_count=4),
    community=Limits(jobs_count=20),
    bot=Limits(jobs_count=30),
)

# The interpreter and all modules are loaded once; each process is a fork of that, so that
# hundreds of lives fit into a minute.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.support.killable"])


@dataclass(frozen=True, slots=True)
class World:
    """One database and one wall, over any number of lives."""

    url: str
    wall: Wall

    async def live(
        self,
        *,
        burns_at: int = NEVER,
        killed_after_s: float | None = None,
        room: int = 6,
        pause_s: float = 0.0,
    ) -> bool:
        """Let a process live; say whether it came to its own end."""
        process = processes.Process(
            target=live,
            args=(
                Life(
                    url=self.url,
                    address=self.wall.address,
                    rules=RULES,
                    burns_at=burns_at,
                    room=room,
                    pause_s=pause_s,
                ),
            ),
        )
        process.start()
        await asyncio.to_thread(process.join, killed_after_s or 60.0)
        process.kill()
        await asyncio.to_thread(process.join)
        exitcode = process.exitcode
        process.close()
        assert exitcode in (0, -9), f"the process ended by itself with {exitcode}"
        return exitcode == 0

    async def mistakes(self) -> list[str]:
        """What is not as it must be once everything is done."""
        database = await Database.connect(self.url)
        found = await leaks(database) + await database.read(self._wrong_answers)
        await database.close()
        return found + [f"{event} was not submitted" for event in self.wall.wishes]

    async def _wrong_answers(self, connection: AsyncConnection) -> list[str]:
        rows = (await connection.execute(jobs.select())).all()
        known = {row.event_id for row in rows}
        wrong = [
            f"{row.event_id} is {row.state}, on the wall: {self.wall.posts[row.event_id]}"
            for row in rows
            if not is_right(row, self.wall.posts[row.event_id])
        ]
        strangers = [event for event, posts in self.wall.posts.items() if posts]
        return wrong + [f"{event} is no job" for event in strangers if event not in known]


def is_right(row: Row[Any], posts: list[str]) -> bool:
    if len(posts) != 1:
        return False
    if posts == ["pictures"]:
        return (row.state, row.held_count) == (JobState.DELIVERED, row.picture_count)
    return (row.state, row.held_count) == (JobState.FAILED, 0)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("prompt", ["a cube", "broken"])
async def test_killed_at_any_point_a_bot_answers_once_and_quotas_add_up(
    tmp_path: Path, migrated_sqlite: Path, prompt: str
) -> None:
    """One request; the process dies at its first point, the next at its second, and so on."""
    ends: Counter[str] = Counter()
    burns_at = 0
    for burns_at in count(1):
        path = tmp_path / str(burns_at)
        path.mkdir()
        shutil.copy(migrated_sqlite, path / "imagine.db")
        async with Wall(wishes([("ada", prompt, 3)])).standing() as wall:
            world = World(database_url(path), wall)
            is_over = await world.live(burns_at=burns_at)
            if not is_over:
                assert await world.live()
            assert await world.mistakes() == [], f"killed at point {burns_at}"
            ends.update(wall.posts["event-0"])
        if is_over:
            break
    print(f"killed at each of {burns_at - 1} points: {dict(ends)}")  # noqa: T201 - see above
    assert burns_at > 20
    expected = "pictures" if prompt == "a cube" else "apology for DrawingFailedError"
    assert ends.keys() == {expected}


@pytest.mark.timeout(120 + 6 * ROUNDS)
async def test_killed_at_random_a_bot_answers_once_and_quotas_add_up(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    random = Random(2_026)  # noqa: S311 - the same rounds each time
    totals: Counter[str] = Counter()
    for number in range(ROUNDS):
        path = tmp_path / str(number)
        path.mkdir()
        shutil.copy(migrated_sqlite, path / "imagine.db")
        async with Wall(wishes(some_wishes(random))).standing() as wall:
            world = World(database_url(path), wall)
            asked_count = len(wall.wishes)
            totals["kills"] += await killed_often(world, random)
            assert await world.live()
            assert await world.mistakes() == [], f"round {number}"
            answers = [post for posts in wall.posts.values() for post in posts]
            assert len(answers) + len(wall.refused) == asked_count
        totals.update(answers)
        totals.update({"asked": asked_count, "refused": len(wall.refused)})
        shutil.rmtree(path)
    print(f"{ROUNDS} rounds: {dict(totals)}")  # noqa: T201 - see above
    assert totals["pictures"] > ROUNDS
    assert totals["kills"] > ROUNDS


def some_wishes(random: Random) -> list[tuple[str, str, int]]:
    return [
        (
            random.choice(["ada", "bob", "eve"]),
            random.choice(["a cube", "a ball", "a cone", "broken"]),
            random.randint(1, 6),
        )
        for _ in range(random.randint(3, 10))
    ]


async def killed_often(world: World, random: Random) -> int:
    """Two to four lives that end early, at a random point or a random moment."""
    kill_count = 0
    for _ in range(random.randint(2, 4)):
        if random.random() < 0.5:
            is_over = await world.live(burns_at=random.randint(1, 120), pause_s=0.002)
        else:
            moment_s = random.uniform(0.01, 0.25)
            is_over = await world.live(killed_after_s=moment_s, room=3, pause_s=0.005)
        kill_count += not is_over
    return kill_count
