from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from bot.jobs import Platform
from bot.store import Store, StoreError
from bot.store.database import Database
from bot.store.statements import unfinished_query
from bot.store.tables import metadata
from tests.support.clock import NOON
from tests.support.factories import database_url, person, submission

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Select
    from sqlalchemy.ext.asyncio import AsyncConnection


async def test_migrating_from_nothing_gives_the_tables(database: Database) -> None:
    def differences(connection: Connection) -> object:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)

    assert await database.read(lambda connection: connection.run_sync(differences)) == []


async def test_migrating_from_nothing_gives_every_index_and_constraint(database: Database) -> None:
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'"

    async def schema(connection: AsyncConnection) -> dict[str, str]:
        rows = await connection.exec_driver_sql(query)
        return {row.name: normalised(row.sql) for row in rows}

    async def rebuild(connection: AsyncConnection) -> None:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)

    migrated = await database.read(schema)
    await database.write(rebuild)

    assert migrated == await database.read(schema)


def normalised(sql: str) -> str:
    """The clauses of a CREATE statement in alphabetical order, on single spaces."""
    return ", ".join(sorted(" ".join(sql.split()).replace(" )", ")").split(", ")))


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    database = await Database.open(database_url(tmp_path))
    await database.write(
        lambda connection: connection.exec_driver_sql("UPDATE alembic_version SET version_num='9'")
    )
    await database.close()

    with pytest.raises(StoreError) as refusal:
        await Store.open(database_url(tmp_path))

    assert str(refusal.value) == (
        "The database was written by a newer version of the bot (schema 9): "
        "install that version, or start with another DATABASE_URL."
    )


async def test_opening_needs_no_particular_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    store = await Store.open("sqlite:///here/imagine.db")

    await store.close()
    assert (tmp_path / "here" / "imagine.db").is_file()


async def test_hot_queries_use_their_index(database: Database) -> None:
    job = await Store(database).accept(submission(), now=NOON, allowance_count=0)

    plans = [
        await plan(database, query)
        for query in (
            first_job_query(job),
            unfinished_query([Platform.DISCORD, Platform.X]),
            used_count_query(person(), NOON.date()),
        )
    ]

    assert plans[0] == [
        "SEARCH jobs USING INDEX sqlite_autoindex_jobs_2 (platform=? AND event_id=?)"
    ]
    assert plans[1][0] == "SEARCH jobs USING INDEX ix_jobs_unfinished (platform=?)"
    by_day = "sqlite_autoindex_quota_days_1 (platform=? AND person_id=? AND day=?)"
    assert plans[2] == [f"SEARCH quota_days USING INDEX {by_day}"]


async def plan(database: Database, query: Select[int]) -> list[str]:
    async def use_case(connection: AsyncConnection) -> list[str]:
        compiled = query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")
        return [row.detail for row in rows]

    return await database.read(use_case)
