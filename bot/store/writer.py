"""Runs whole transactions in a thread of their own, one after the other, in fair order.

A use case is a coroutine that awaits nothing but its connection. Given a connection whose
every answer is there at once, it never waits, and so it runs from beginning to end in one go,
in any thread, without an event loop.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from sqlalchemy import Connection, CursorResult, Dialect, Engine
    from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")


class Writer:
    """One thread and the connection that it writes through.

    Args:
        engine: Of a driver that answers at once; the writer disposes of it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")

    async def transact(self, use_case: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run ``use_case`` in one transaction: all of it, or nothing when it raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._transact, use_case)

    async def close(self) -> None:
        """Let running transactions end, close the connection and end the thread."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown()

    def _transact(self, use_case: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        with self._engine.begin() as connection:
            immediate = cast("AsyncConnection", Immediate(connection))
            return run_now(_awaited(use_case(immediate)))


class Immediate:
    """The part of ``AsyncConnection`` that use cases know, answering at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def dialect(self) -> Dialect:
        """As in SQLAlchemy."""
        return self._connection.dialect

    async def execute(self, *arguments: Any) -> CursorResult[Any]:
        """As in SQLAlchemy."""
        return self._connection.execute(*arguments)

    async def scalar(self, *arguments: Any) -> Any:
        """As in SQLAlchemy."""
        return self._connection.scalar(*arguments)

    async def exec_driver_sql(self, *arguments: Any) -> CursorResult[Any]:
        """As in SQLAlchemy."""
        return self._connection.exec_driver_sql(*arguments)

    async def run_sync(self, work: Callable[[Connection], T]) -> T:
        """As in SQLAlchemy."""
        return work(self._connection)


def run_now(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits, and return what it returns.

    Raises:
        RuntimeError: It waits; it was closed.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        return cast("T", end.value)
    coroutine.close()
    raise RuntimeError("A use case must await nothing but its connection.")


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable
