from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from bot.store import Store, StoreError
from tests.support.factories import database_url

if TYPE_CHECKING:
    from pathlib import Path

    from bot.store.database import Database
    from tests.support.postgres import PostgresServer


ONLY_SQLITE = pytest.mark.parametrize("any_database_url", ["sqlite"], indirect=True)


async def refusal(url: str) -> str:
    with pytest.raises(StoreError) as raised:
        await Store.open(url)
    return str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "imagine.db",
        "mysql://somebody:secret@host/name",
        "sqlite+pysqlite:///imagine.db",
        "sqlite+aiosqlite://",
        "sqlite+aiosqlite:///:memory:",
        "postgresql+psycopg2://somebody:secret@host/name",
    ],
)
async def test_an_address_that_is_of_no_use_says_what_one_looks_like(url: str) -> None:
    assert await refusal(url) == (
        "DATABASE_URL must look like sqlite+aiosqlite:////folder/imagine.db "
        "or postgresql+asyncpg://user:password@host/name."
    )


async def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "imagine.db"
    path.write_text("a shopping list, long enough to be looked at " * 50)

    assert await refusal(database_url(tmp_path)) == (
        f"{path} is not a SQLite database: move it away, or set DATABASE_URL to another file."
    )
    assert path.read_text().startswith("a shopping list")


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")

    assert await refusal(database_url(tmp_path / "data" / "deep")) == (
        f"The folder {tmp_path}/data/deep of the database cannot be made (Not a directory): "
        "set DATA_DIR or DATABASE_URL to a place where the bot may write."
    )


async def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    path = tmp_path / "imagine.db"
    path.mkdir()

    assert await refusal(database_url(tmp_path)) == (
        f"The database {path} cannot be opened for writing: let the user that runs the bot "
        "write to the file and its folder, or set DATA_DIR or DATABASE_URL to another place."
    )


async def test_a_database_without_permission_to_write_says_so(tmp_path: Path) -> None:
    path = tmp_path / "imagine.db"
    sqlite3.connect(path).close()

    assert await refusal(f"sqlite+aiosqlite:///file:{path}?mode=ro&uri=true") == (
        f"The database file:{path} cannot be opened for writing: let the user that runs the bot "
        "write to the file and its folder, or set DATA_DIR or DATABASE_URL to another place."
    )


@ONLY_SQLITE
async def test_a_full_disk_undoes_the_transaction_and_says_so(
    database: Database, store: Store, tmp_path: Path
) -> None:
    await store.write_cursor("name", "before")
    await database.write(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count=1"))

    with pytest.raises(StoreError) as raised:
        await store.write_cursor("name", "x" * 100_000)

    assert str(raised.value) == (
        f"The disk of the database {tmp_path}/imagine.db is full: free some space and start "
        "the bot again; it carries on with everything it had accepted."
    )
    assert await store.read_cursor("name") == "before"


async def test_a_database_that_cannot_be_reached_keeps_its_password_to_itself() -> None:
    sentence = await refusal("postgresql://somebody:secret@127.0.0.1:1/name")

    assert sentence == (
        "The database postgresql+asyncpg://somebody:***@127.0.0.1:1/name cannot be used "
        "(ConnectionRefusedError): check DATABASE_URL."
    )


async def test_a_driver_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "asyncpg", None)

    assert await refusal("postgresql://somebody:secret@127.0.0.1:1/name") == (
        "The driver of the database is not usable: pip install asyncpg."
    )


@ONLY_SQLITE
async def test_settings_that_keep_the_data_safe_are_on(database: Database) -> None:
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")

    values = [
        await database.read(
            lambda connection, name=name: connection.exec_driver_sql(f"PRAGMA {name}")
        )
        for name in pragmas
    ]

    assert [value.scalar() for value in values] == ["wal", 2, 1, 10_000]


async def test_a_postgresql_that_knows_no_such_database_says_which(
    postgres: PostgresServer,
) -> None:
    url = postgres.url("nowhere")

    assert await refusal(url) == (
        f"The database {make_url(url).render_as_string()} cannot be used "
        "(InvalidCatalogNameError): check DATABASE_URL."
    )


@pytest.mark.parametrize("any_database_url", ["postgresql"], indirect=True)
async def test_a_postgresql_that_goes_away_fails_one_call_and_comes_back(
    store: Store, postgres: PostgresServer
) -> None:
    await store.write_cursor("name", "before")

    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    with pytest.raises(StoreError, match="cannot be used"):
        await store.write_cursor("name", "lost")

    await store.write_cursor("name", "after")
    assert await store.read_cursor("name") == "after"
