"""The store's SQL on SQLite in memory, without threads: for tests that run by the thousand.

Stands in for ``bot.store.database.Database``. A use case gets the real tables, statements and
constraints; only the connection's awaits are answered at once, so that it runs in a loop whose
time is virtual. Like the real one, it undoes a use case that raises.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import create_engine, event, make_url
from sqlalchemy.pool import StaticPool

from bot.store.failures import translated
from bot.store.x_tables import x_mentions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

    T = TypeVar("T")
    UseCase = Callable[[AsyncConnection], Awaitable[T]]

URL = make_url("sqlite:///:memory:")


class _InlineConnection:
    """The three methods of ``AsyncConnection`` that use cases call."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.dialect = connection.dialect

    async def execute(self, statement: Any, values: Any = None) -> Any:
        return self._connection.execute(statement, values)

    async def scalar(self, statement: Any, values: Any = None) -> Any:
        return self._connection.scalar(statement, values)

    async def scalars(self, statement: Any) -> Any:
        return self._connection.scalars(statement)


class InlineDatabase:
    """One database in memory; ``clear`` makes it as new."""

    def __init__(self) -> None:
        self.url = URL
        self._engine = create_engine(
            URL, poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
        event.listen(self._engine, "connect", _prepare)
        self._metadata = x_mentions.metadata  # with all tables of the store
        self._metadata.create_all(self._engine)
        # One for all: a use case never waits, so no two are ever under way.
        self._connection = self._engine.connect()
        self._tables = [table.name for table in reversed(self._metadata.sorted_tables)]

    async def read(self, use_case: UseCase[T]) -> T:
        return await self.write(use_case)

    async def write(self, use_case: UseCase[T]) -> T:
        with translated(self.url), self._connection.begin():
            return await use_case(cast("AsyncConnection", _InlineConnection(self._connection)))

    def clear(self) -> None:
        """Empty all tables."""
        with self._connection.begin():
            for table in self._tables:
                self._connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 (our tables)

    def fail_next(self, table: str) -> None:
        """Let the next statement that inserts into ``table`` fail."""

        def fail(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if statement.startswith(f"INSERT INTO {table}"):
                event.remove(self._engine, "before_cursor_execute", fail)
                raise sqlite3.OperationalError("disk I/O error")

        event.listen(self._engine, "before_cursor_execute", fail)

    def rows(self, query: Any) -> list[Any]:
        """What a test wants to see."""
        with self._connection.begin():
            return [*self._connection.execute(query).all()]

    def close(self) -> None:
        self._connection.close()
        self._engine.dispose()


def _prepare(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys=ON")
