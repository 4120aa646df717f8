"""SIGKILL for the whole bot while it answers on Discord: at each request, and at random.

The parent is Discord. It kills the bot before it takes a request, or after it took it and
before the bot learns so; or the engine does, between two of its events; or a clock. However
often that happens: each request that was accepted has exactly one result, never none and
never two, and all quotas add up. ``DISCORD_KILL_ROUNDS`` chooses how many random rounds are
played (``make soak`` plays 200); what was played is printed.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, Literal

import pytest
from sqlalchemy import select

from bot.jobs import JobState
from bot.store.database import Database
from bot.store.tables import jobs
from tests.support.audit import leaks
from tests.support.discord_server import DiscordServer, Fault
from tests.support.factories import database_url
from tests.support.killable import BROKEN
from tests.support.life import Life
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from tests.support.discord_server import Interaction, Message

ROUNDS = int(os.environ.get("DISCORD_KILL_ROUNDS", "3"))
ANSWERED_WITHIN_S = 60.0
ENDED = {JobState.DELIVERED, JobState.FAILED}
Moment = Literal["reset", "commit then reset"]


@dataclass(slots=True)
class World:
    """One Discord, one database, and the bots that lived on them one after the other."""

    server: DiscordServer
    life: Life
    url: str
    asked: list[Interaction]

    async def begin(self, *, burns_at: int | None = None) -> None:
        """Start a process and wait until it listens, or until it has died before it could."""
        identified = self.server.gateway.identified
        count = len(identified)
        self.life.begin(burns_at=burns_at)
        await until(lambda: len(identified) > count or self.life.is_over, limit_s=60)

    async def ask(self, user_id: str, prompt: str, count: int) -> None:
        """Ask for pictures without waiting; each person asks once, so answers tell who."""
        options = {"prompt": prompt, "pictures": count, "seed": 7}
        self.asked.append(await self.server.start_slash("imagine", options, user_id=user_id))

    async def jobs(self) -> Sequence[Row[Any]]:
        database = await Database.connect(self.url)

        async def use_case(connection: AsyncConnection) -> Sequence[Row[Any]]:
            return (await connection.execute(select(jobs))).all()

        rows = await database.read(use_case)
        await database.close()
        return rows

    async def finish(self) -> None:
        """Let a last process answer everything that is still owed, and stop it in order."""
        self.server.faults.clear()
        await self.begin()
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            while not all(row.state in ENDED for row in await self.jobs()):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.05)
        assert await self.life.stop() == 0

    def results_for(self, user_id: str) -> list[Message]:
        """All messages that tell this person how their request ended."""
        answers = [i.message for i in self.asked if i.scene.user_id == user_id and i.message]
        posts = [
            post
            for post in self.server.posts
            if f"<@{user_id}>" in post.text or post.scene.user_id == user_id
        ]
        return [message for message in (*answers, *posts) if is_result(message)]

    async def mistakes(self) -> list[str]:
        """What is not as it must be once everything is done."""
        database = await Database.connect(self.url)
        found = await leaks(database)
        await database.close()
        rows = await self.jobs()
        found += [
            f"{row.event_id} is {row.state} with {len(results)} results: "
            f"{[result.text for result in results]}"
            for row in rows
            for results in [self.results_for(row.person_id)]
            if not is_right(row, results)
        ]
        known = {row.event_id for row in rows}
        return found + [
            f"{each.id} is no job, but has a result"
            for each in self.asked
            if each.id not in known and self.results_for(each.scene.user_id)
        ]


def is_result(message: Message) -> bool:
    """Whether it shows the final pictures or says that there will be none."""
    return has_pictures(message) or is_apology(message)


def has_pictures(message: Message) -> bool:
    return message.shows_result


def is_apology(message: Message) -> bool:
    return "could not be drawn" in message.text or "broke down twice" in message.text


def is_right(row: Row[Any], results: list[Message]) -> bool:
    if len(results) != 1:
        return False
    if has_pictures(results[0]):
        return (row.state, row.held_count) == (JobState.DELIVERED, row.picture_count)
    return (row.state, row.held_count) == (JobState.FAILED, 0)


def new_world(server: DiscordServer, folder: Path, migrated: Path, *, pause_s: float) -> World:
    folder.mkdir()
    shutil.copy(migrated, folder / "imagine.db")
    variables = {**server.variables(), "daily_pictures": "12"}
    life = Life(folder, variables, pause_s)
    return World(server, life, database_url(folder), [])


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("case", "moment"),
    [
        ("a cube", "reset"),
        ("a cube", "commit then reset"),
        (BROKEN, "commit then reset"),
        ("late", "commit then reset"),
    ],
)
async def test_killed_at_any_request_to_discord_a_bot_answers_once(
    tmp_path: Path, migrated_sqlite: Path, case: str, moment: Moment
) -> None:
    """The bot dies at its first request after the command, then at the second, and so on."""
    ends: Counter[str] = Counter()
    kills = 0
    for number in count():
        async with DiscordServer() as server:
            world = new_world(server, tmp_path / str(number), migrated_sqlite, pause_s=0.02)
            is_over = await killed_at(world, number, case, moment)
            if is_over:
                break
            await world.finish()
            assert await world.mistakes() == [], f"killed at request {number}"
            kills += 1
            ends.update(kind_of(message) for message in world.results_for("42"))
    print(f"{case}, {moment}: killed at each of {kills} requests: {dict(ends)}")  # noqa: T201 - see above
    assert kills >= 2
    assert set(ends) <= {"apology" if case == BROKEN else "pictures"}


async def killed_at(world: World, number: int, case: str, moment: Moment) -> bool:
    """Let a bot answer one command and die at its ``number``-th request; say if it has fewer."""
    server, life = world.server, world.life
    await world.begin()
    fault = Fault(kind=moment, path="/*", skip=number, also=life.kill)
    server.faults.append(fault)
    await world.ask("42", "a cube" if case == "late" else case, 3)
    if case == "late":  # the token dies while the engine draws
        await server.until(lambda: world.asked[0].message is not None or fault.times == 0, 30, str)
        server.advance(minutes=16)
    await server.until(lambda: fault.times == 0 or bool(world.results_for("42")), 30, str)
    if fault.times == 0:
        assert await life.ended() == -9
        return False
    server.faults.clear()
    assert await life.stop() == 0
    return True


def kind_of(message: Message) -> str:
    return "pictures" if has_pictures(message) else "apology"


@pytest.mark.timeout(120 + 20 * ROUNDS)
async def test_killed_at_random_a_bot_on_discord_answers_everybody_once(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    random = Random(2_026)  # noqa: S311 - the same rounds each time
    totals: Counter[str] = Counter()
    for number in range(ROUNDS):
        async with DiscordServer() as server:
            folder = tmp_path / str(number)
            world = new_world(server, folder, migrated_sqlite, pause_s=0.02)
            for person in range(random.randint(2, 4)):
                await live_and_die(world, random, person)
            await world.finish()
            assert await world.mistakes() == [], f"round {number}"
            rows = await world.jobs()
            totals.update(asked=len(world.asked), accepted=len(rows), kills=world.life.kill_count)
            totals.update(
                kind_of(message) for row in rows for message in world.results_for(row.person_id)
            )
            shutil.rmtree(folder)
    print(f"{ROUNDS} rounds: {dict(totals)}")  # noqa: T201 - see above
    assert totals["kills"] >= ROUNDS
    assert totals["pictures"] >= ROUNDS


async def live_and_die(world: World, random: Random, life_number: int) -> None:
    """One bot, some people who ask it at once, and its end at a random moment."""
    server, life = world.server, world.life
    burns_at = random.choice([None, random.randint(1, 20)])
    await world.begin(burns_at=burns_at)
    for person in range(random.randint(1, 4)):
        prompt = random.choice(["a cube", "a ball", "a cone", BROKEN])
        if server.gateway.is_connected:  # it may be dead already
            await world.ask(f"9{life_number}{person}", prompt, random.randint(1, 5))
    if random.random() < 0.5:
        moment: Moment = random.choice(["reset", "commit then reset"])
        skip = random.randint(0, 12)
        server.faults.append(Fault(kind=moment, path="/*", skip=skip, also=life.kill))
    if random.random() < 0.2:
        server.advance(minutes=16)
    await life.ended(within_s=random.uniform(0.05, 0.6))
    life.kill()
    assert await life.ended() == -9
    server.faults.clear()
