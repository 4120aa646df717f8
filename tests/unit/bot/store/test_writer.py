from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from bot.store.writer import run_now
from tests.support.clock import NOON
from tests.support.factories import submission

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store import Store
    from bot.store.database import Database

ONLY_SQLITE = pytest.mark.parametrize("any_database_url", ["sqlite"], indirect=True)


def test_a_coroutine_that_never_waits_runs_to_its_end() -> None:
    async def inner() -> int:
        return 6

    async def outer() -> int:
        return 7 * await inner()

    assert run_now(outer()) == 42


def test_what_a_coroutine_raises_comes_out() -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_now(broken())


def test_a_coroutine_that_waits_for_something_else_is_a_mistake() -> None:
    with pytest.raises(RuntimeError, match="await nothing but its connection"):
        run_now(asyncio.sleep(0))


@ONLY_SQLITE
async def test_a_transaction_runs_in_one_thread_that_is_not_the_event_loops(
    database: Database,
) -> None:
    threads: set[str] = set()

    async def use_case(connection: AsyncConnection) -> None:
        threads.add(threading.current_thread().name)
        await connection.exec_driver_sql("SELECT 1")
        threads.add(threading.current_thread().name)

    await asyncio.gather(*(database.write(use_case) for _ in range(3)))

    assert threads == {"store-writer_0"}


@ONLY_SQLITE
async def test_a_use_case_that_waits_leaves_nothing_behind(
    database: Database, store: Store
) -> None:
    async def use_case(connection: AsyncConnection) -> None:
        await connection.exec_driver_sql("DELETE FROM jobs")
        await asyncio.sleep(0)

    job = await store.accept(submission(), now=NOON)
    with pytest.raises(RuntimeError):
        await database.write(use_case)

    assert await store.job(job.id) == job


@ONLY_SQLITE
async def test_what_arrives_together_shares_a_commit(database: Database) -> None:
    connections: list[object] = []

    async def use_case(connection: AsyncConnection) -> None:
        connections.append(connection)

    async def slow(connection: AsyncConnection) -> None:
        while len(waiting) < 8:
            await connection.exec_driver_sql("SELECT 1")

    waiting: list[asyncio.Task[None]] = []
    first = asyncio.create_task(database.write(slow))
    waiting.extend(asyncio.create_task(database.write(use_case)) for _ in range(8))
    await asyncio.gather(first, *waiting)

    assert len(connections) == 8
    assert len(set(map(id, connections))) < 8


@ONLY_SQLITE
async def test_a_use_case_that_fails_undoes_nothing_of_those_it_ran_with(
    database: Database, store: Store
) -> None:
    async def broken(connection: AsyncConnection) -> None:
        await connection.exec_driver_sql("DELETE FROM cursors")
        raise ZeroDivisionError

    results = await asyncio.gather(
        *(store.write_cursor(f"before-{n}", "1") for n in range(3)),
        database.write(broken),
        *(store.write_cursor(f"after-{n}", "1") for n in range(3)),
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [type(None)] * 3 + [ZeroDivisionError] + [
        type(None)
    ] * 3
    for n in range(3):
        assert await store.read_cursor(f"before-{n}") == "1"
        assert await store.read_cursor(f"after-{n}") == "1"
