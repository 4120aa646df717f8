"""Two real processes on one database: nobody exceeds a limit, and nothing is done twice."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from bot.clock import utc_now
from bot.jobs import Scope
from bot.store import Store
from bot.store.database import Database
from tests.support.audit import leaks
from tests.support.bot_process import ROOT
from tests.support.factories import person
from tests.support.greedy import PEOPLE, RULES

if TYPE_CHECKING:
    from asyncio.subprocess import Process


async def start(url: str, name: str) -> Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.greedy", url, name),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def outcome(process: Process) -> dict[str, Any]:
    output, _ = await process.communicate(b"go\n")
    assert process.returncode == 0
    return json.loads(output)


async def test_two_processes_exceed_no_limit_and_take_up_each_job_once(
    any_database_url: str,
) -> None:
    both = await asyncio.gather(start(any_database_url, "one"), start(any_database_url, "two"))
    one, two = await asyncio.gather(*map(outcome, both))

    granted, taken = one["granted"] + two["granted"], one["taken"] + two["taken"]
    assert one["granted"]
    assert two["granted"]
    assert len(granted) == len(set(granted)) == 40
    assert len(taken) == len(set(taken)) == 40
    assert set(taken) == set(granted)
    database = await Database.connect(any_database_url)
    assert await leaks(database) == []
    await database.close()
    await check_limits(any_database_url)


async def check_limits(url: str) -> None:
    store = await Store.open(url)
    for number in range(PEOPLE):
        left = await store.standing(
            person(f"p{number}"), rules=RULES, now=utc_now(), community=f"g{number % 2}"
        )
        account = left[Scope.PERSON]
        assert account.jobs_left_count is not None
        assert 0 <= account.jobs_left_count < 12
    assert left[Scope.BOT].jobs_left_count == 0
    await store.close()
