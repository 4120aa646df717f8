"""Two real processes on one database: nobody exceeds a limit, and nothing is done twice."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from bot.store.database import Database
from bot.store.tables import accounts
from tests.support.audit import leaks
from tests.support.bot_process import ROOT

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from sqlalchemy.ext.asyncio import AsyncConnection


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
    assert len(granted) == len(set(granted))
    assert len(taken) == len(set(taken))
    assert set(taken) == set(granted)
    database = await Database.connect(any_database_url)
    used = await database.read(used_counts)
    assert await leaks(database) == []
    await database.close()
    assert over_limits(used) == []
    picture_count, job_count = used["bot"]
    assert picture_count > 90 - 4 or job_count == 40, "much was refused that would have fitted"


def over_limits(used: dict[str, tuple[int, int]]) -> list[str]:
    """The accounts that were given more than ``tests.support.greedy.RULES`` allow."""
    most = {"p": (30, 12), "c": (70, 40), "b": (90, 40)}
    return [
        id_
        for id_, (picture_count, job_count) in used.items()
        if picture_count > most[id_[0]][0] or job_count > most[id_[0]][1]
    ]


async def used_counts(connection: AsyncConnection) -> dict[str, tuple[int, int]]:
    """Pictures of the day and open jobs, by account."""
    rows = await connection.execute(accounts.select())
    return {row.id: (row.used_count, row.open_count) for row in rows}
