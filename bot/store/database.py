"""Opens the database and runs whole transactions on it; knows no table.

SQLite has one writer at a time. Within this process writers wait for each other in a fair
line instead of polling for the lock; ``BEGIN IMMEDIATE`` keeps other processes out from
the first statement on, so that what a transaction read is still true when it writes.
PostgreSQL needs neither: there rows are locked as they are read.

Through aiosqlite every statement travels to another thread and back several times, and each
time it waits for Python's global lock: under load that was ten times the work itself. So a
transaction that writes to SQLite runs as a whole in one thread (``bot.store.writer``); what
only reads, or is PostgreSQL's, goes the usual way. A use case sees no difference.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from bot.store.errors import StoreError
from bot.store.failures import translated
from bot.store.migrate import migrate
from bot.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    T = TypeVar("T")
    UseCase = Callable[[AsyncConnection], Awaitable[T]]

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}

# How long a writer waits for another process (the terminal beside the bot), in ms.
BUSY_TIMEOUT_MS = 10_000

PRAGMAS = (
    "PRAGMA journal_mode=WAL",  # readers and the writer do not wait for each other
    # A job is in the database before anyone is told so: even a power cut must not undo
    # that, and in WAL mode only FULL writes the log through to the disk at each commit.
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
)


class Database:
    """A migrated database. Safe to share between all callers of one event loop."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.url = engine.url
        self._engine = engine
        is_sqlite = engine.dialect.name == "sqlite"
        self._writer = Writer(_create_sqlite_writer(engine.url)) if is_sqlite else None
        self._writes = set[asyncio.Task[Any]]()

    @classmethod
    async def open(cls, url: str) -> Database:
        """Open the database, creating it where there is none, and migrate it.

        Raises:
            StoreError: With the sentence that says what to do.
        """
        database = await cls.connect(url)
        try:
            await database.write(lambda connection: connection.run_sync(migrate))
        except BaseException:
            await database.close()
            raise
        return database

    @classmethod
    async def connect(cls, url: str) -> Database:
        """Open the database, creating it where there is none, and leave it as it is.

        Raises:
            StoreError: With the sentence that says what to do.
        """
        parsed = _parse(url)
        _make_folder(parsed)
        engine = _create_engine(parsed)
        if engine.dialect.name == "sqlite":
            with translated(parsed):
                await asyncio.to_thread(_probe_sqlite, engine.dialect.create_connect_args(parsed))
        return cls(engine)

    async def read(self, use_case: UseCase[T]) -> T:
        """Run ``use_case`` on one consistent view of the data.

        Raises:
            StoreError: The database failed.
        """
        with translated(self.url):
            async with self._engine.connect() as connection:
                return await use_case(connection)

    async def write(self, use_case: UseCase[T]) -> T:
        """Run ``use_case`` in one transaction: all of it, or nothing when it raises.

        A caller who is cancelled leaves a whole transaction, not half of one.

        Raises:
            StoreError: The database failed.
        """
        task = asyncio.create_task(self._transact(use_case), name="store: write")
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Let running transactions end and close all connections."""
        await asyncio.gather(*self._writes, return_exceptions=True)
        await self._engine.dispose()
        if self._writer is not None:
            await self._writer.close()

    async def _transact(self, use_case: UseCase[T]) -> T:
        with translated(self.url):
            if self._writer is not None:
                return await self._writer.transact(use_case)
            async with self._engine.begin() as connection:
                return await use_case(connection)


def _parse(url: str) -> URL:
    """Read ``url``; a database named without a driver gets the one that we use."""
    wrong = StoreError(
        "DATABASE_URL must look like sqlite+aiosqlite:////folder/imagine.db "
        "or postgresql+asyncpg://user:password@host/name."
    )
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise wrong from None  # its message repeats the URL, and the password in it
    driver = DRIVERS.get(parsed.get_backend_name())
    if driver is None or parsed.drivername not in (driver, parsed.get_backend_name()):
        raise wrong
    if parsed.database in (None, "", ":memory:"):  # each connection would get its own
        raise wrong
    return parsed.set(drivername=driver)


def _make_folder(url: URL) -> None:
    if url.get_backend_name() != "sqlite" or url.query:
        return
    folder = Path(url.database or "").parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder {folder} of the database cannot be made ({error.strerror}): "
            "set DATA_DIR or DATABASE_URL to a place where the bot may write."
        ) from error


def _create_engine(url: URL) -> AsyncEngine:
    try:
        # Errors are logged with their cause: prompts and addresses must not be in it.
        engine = create_async_engine(url, pool_size=5, max_overflow=0, hide_parameters=True)
    except (ImportError, SQLAlchemyError) as error:
        raise StoreError(
            f"The driver of the database is not usable: pip install {url.get_driver_name()}."
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_reading)
    return engine


def _create_sqlite_writer(url: URL) -> Engine:
    engine = create_engine(url.set(drivername="sqlite"), pool_size=1, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_writing)
    return engine


def _probe_sqlite(how: tuple[Sequence[Any], Mapping[str, Any]]) -> None:
    """Find out without threads whether the file can be opened and written.

    When aiosqlite fails to open a file, its thread may outlive the event loop, and then
    prints a traceback of its own after the sentence that we show.
    """
    positional, named = how
    with contextlib.closing(sqlite3.connect(*positional, **named)) as connection:
        _prepare_sqlite(connection, None)
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins nothing on its own: we do
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_reading(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _begin_writing(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
