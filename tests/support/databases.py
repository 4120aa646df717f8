"""Fresh databases of both kinds for tests, as a pytest plugin (see ``tests/conftest.py``)."""

from __future__ import annotations

import asyncio
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
    """The name of a migrated database to copy."""
    name = postgres.new_database()
    asyncio.run(_migrate(postgres.url(name)))
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a migrated, empty database: every test runs on SQLite and PostgreSQL."""
    if request.param == "sqlite":
        return database_url(tmp_path)
    server: PostgresServer = request.getfixturevalue("postgres")
    template: str = request.getfixturevalue("migrated_postgres")
    return server.url(server.new_database(template))


async def _migrate(url: str) -> None:
    store = await Store.open(url)
    await store.close()
