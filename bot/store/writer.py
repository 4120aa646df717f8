"""Runs whole transactions in a thread of their own, in fair order, several to a commit.

A use case is a coroutine that awaits nothing but its connection. Given a connection whose
every answer is there at once, it never waits, and so it runs from beginning to end in one go,
in any thread, without an event loop.

A commit waits for the disk. Use cases that arrive meanwhile share the next one. If any of
them fails, all that it shared is undone and each runs again in a transaction of its own: a
use case must not leave anything but what it writes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from sqlalchemy import Connection, CursorResult, Dialect, Engine
    from sqlalchemy.ext.asyncio import AsyncConnection

    UseCase = Callable[[AsyncConnection], Awaitable[Any]]

T = TypeVar("T")

# More would let the first of them wait too long for the last.
MAX_TOGETHER: Final = 8


class Writer:
    """One thread and the connection that it writes through.

    Args:
        engine: Of a driver that answers at once; the writer disposes of it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._waiting: deque[tuple[UseCase, Future[Any]]] = deque()

    async def transact(self, use_case: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run ``use_case``, all of it or nothing when it raises; it is on the disk then."""
        answer: Future[T] = Future()
        self._waiting.append((use_case, answer))
        self._thread.submit(self._run_next)
        return await asyncio.wrap_future(answer)

    async def close(self) -> None:
        """Let running transactions end, close the connection and end the thread."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown()

    def _run_next(self) -> None:
        """Run what waits, as far as it fits; it may have been run with others before it."""
        together: list[tuple[UseCase, Future[Any]]] = []
        while self._waiting and len(together) < MAX_TOGETHER:
            use_case, answer = self._waiting.popleft()
            if answer.set_running_or_notify_cancel():
                together.append((use_case, answer))
        if together:
            self._run(together)

    def _run(self, together: Sequence[tuple[UseCase, Future[Any]]]) -> None:
        try:
            results = self._transact([use_case for use_case, _ in together])
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            if len(together) == 1:
                together[0][1].set_exception(error)
                return
            for one in together:
                self._run([one])
            return
        for (_, answer), result in zip(together, results, strict=True):
            answer.set_result(result)

    def _transact(self, use_cases: Sequence[UseCase]) -> list[Any]:
        with self._engine.begin() as connection:
            immediate = cast("AsyncConnection", Immediate(connection))
            return [run_now(_awaited(use_case(immediate))) for use_case in use_cases]


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
