"""Fresh databases of both kinds for tests, as a pytest plugin (see ``tests/conftest.py``)."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest

from bot.store import Store
from tests.support import postgres as postgres_server
from tests.support.factories import database_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of our own, where one is installed."""
    programs = postgres_server.bin_dir()
    if programs is None:
        pytest.skip(postgres_server.NOT_INSTALLED)
    with postgres_server.running_server(programs) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_postgres(postgres: PostgresServer) -> str:
    """The name of a migrated database, which remembers what it was like."""
    name = postgres.new_database()
    asyncio.run(_migrate(postgres.url(name)))
    postgres.execute("CREATE SCHEMA fresh; CREATE TABLE fresh.accounts AS TABLE accounts", name)
    return name


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file to copy."""
    folder = tmp_path_factory.mktemp("migrated")
    asyncio.run(_migrate(database_url(folder)))
    return folder / "imagine.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a migrated, empty database: every test runs on SQLite and PostgreSQL."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "imagine.db")
        return database_url(tmp_path)
    server: PostgresServer = request.getfixturevalue("postgres")
    name: str = request.getfixturevalue("migrated_postgres")
    server.execute(_EMPTY, name)
    return server.url(name)


# Ten times as fast as a new database.
_EMPTY = """
DO $$ DECLARE tables text; BEGIN
  SELECT string_agg(quote_ident(tablename), ', ') INTO tables FROM pg_tables
  WHERE schemaname = 'public' AND tablename <> 'alembic_version';
  EXECUTE 'TRUNCATE ' || tables;
END $$;
INSERT INTO accounts SELECT * FROM fresh.accounts
"""


async def _migrate(url: str) -> None:
    store = await Store.open(url)
    await store.close()
