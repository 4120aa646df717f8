from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Date, column, insert, table
from sqlalchemy.ext.asyncio import create_async_engine

from bot.jobs import DuplicateEventError, JobState, Platform, Scope
from bot.store import Limits, Rules, Store, StoreError
from bot.store.database import Database
from bot.store.migrate import migration_config
from bot.store.tables import jobs, metadata
from engine.api import DrawRequest, SamplingOptions
from tests.support.clock import NOON
from tests.support.factories import database_url, person, submission

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

    from tests.support.postgres import PostgresServer


async def test_migrating_from_nothing_gives_the_tables(database: Database) -> None:
    def differences(connection: Connection) -> object:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)

    assert await database.read(lambda connection: connection.run_sync(differences)) == []


async def test_alembic_sees_nothing_left_to_migrate(database: Database) -> None:
    await database.read(lambda c: c.run_sync(lambda sync: command.check(migration_config(sync))))


async def test_migrating_from_nothing_gives_every_index_and_constraint(database: Database) -> None:
    async def rebuild(connection: AsyncConnection) -> None:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)

    migrated = await database.read(schema)
    await database.write(rebuild)

    assert migrated == await database.read(schema)
    assert len(migrated) > 10


SCHEMA = {
    "sqlite": (
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'"
    ),
    "postgresql": (
        "SELECT indexname AS name, indexdef AS sql FROM pg_indexes WHERE schemaname = 'public' "
        "AND indexname NOT LIKE 'alembic%' UNION "
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'alembic%'"
    ),
}


async def schema(connection: AsyncConnection) -> dict[str, str]:
    rows = await connection.exec_driver_sql(SCHEMA[connection.dialect.name])
    return {row.name: normalised(row.sql) for row in rows}


def normalised(sql: str) -> str:
    """The clauses of a CREATE statement in alphabetical order, on single spaces."""
    plain = " ".join(sql.replace('"', "").split()).replace(" )", ")").replace("( ", "(")
    opened, _, inner = plain.partition("(")
    clauses = sorted(inner.removesuffix(")").split(", "))
    return f"{opened.strip()} ({', '.join(clauses)})"


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


FIRST_JOB = """
    INSERT INTO jobs VALUES ('j1', 'discord', 'e1', 'ada', 'a cat', 3, 7, '{"top_k": 50}', '{}',
    'accepted', 0, '2026-06-01', '2026-06-01 12:00:00', NULL, NULL)
"""


async def test_jobs_of_the_first_version_are_drawn_by_this_one(tmp_path: Path) -> None:
    (tmp_path / "imagine.db").touch()
    engine = create_async_engine(database_url(tmp_path))
    async with engine.begin() as connection:
        await connection.run_sync(lambda c: command.upgrade(migration_config(c), "0001"))
        await connection.exec_driver_sql(FIRST_JOB)
    await engine.dispose()

    store = await Store.open(database_url(tmp_path))

    (job,) = await store.unfinished([Platform.DISCORD])
    await store.close()
    assert job.submission.request == DrawRequest(
        prompt="a cat",
        picture_count=3,
        seed=7,
        options=SamplingOptions(top_k=50),
        keep=(),
        preview=False,
    )


async def test_opening_needs_no_particular_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    store = await Store.open("sqlite:///here/imagine.db")

    await store.close()
    assert (tmp_path / "here" / "imagine.db").is_file()


# ------------------------------------------------------------------- a database of version 0.1

TODAY, YESTERDAY = date(2026, 6, 9), date(2026, 6, 8)
OLD_JOBS = (  # id, person, state, pictures, day
    ("waits", "ada", "accepted", 3, TODAY),
    ("draws", "ada", "drawing", 2, TODAY),
    ("done", "ada", "delivered", 1, TODAY),
    ("failed", "bob", "failed", 9, TODAY),
    ("before", "bob", "delivered", 4, YESTERDAY),
)
OLD_DAYS = (("ada", TODAY, 6), ("bob", TODAY, 0), ("bob", YESTERDAY, 4))
QUOTA_DAYS = table(
    "quota_days", *map(column, ("platform", "person_id")), column("day", Date), column("used_count")
)
RULES = Rules(person=Limits(daily_count=9, jobs_count=5), bot=Limits(daily_count=50, jobs_count=9))


@pytest.fixture(params=["sqlite", "postgresql"])
async def old_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that version 0.1 left behind, with jobs in every state of then."""
    if request.param == "sqlite":
        url = database_url(tmp_path)
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.url(server.new_database())
    await fill(url)
    return url


def old_job(id_: str, who: str, state: str, picture_count: int, day: date) -> dict[str, Any]:
    noon = datetime.combine(day, time(12), UTC)
    return {
        "id": id_,
        "platform": "discord",
        "event_id": id_,
        "person_id": who,
        "prompt": "a cube",
        "picture_count": picture_count,
        "seed": 7,
        "options": {},
        "address": {},
        "state": state,
        "attempt_count": 0,
        "quota_day": day,
        "accepted_at": noon,
        "finished_at": None if state in ("accepted", "drawing") else noon,
    }


async def fill(url: str) -> None:
    database = await Database.connect(url)

    def upgrade(connection: Connection) -> None:
        command.upgrade(migration_config(connection), "0001")

    async def use_case(connection: AsyncConnection) -> None:
        await connection.run_sync(upgrade)
        for id_, who, state, count, day in OLD_JOBS:
            await connection.execute(insert(jobs).values(**old_job(id_, who, state, count, day)))
        for who, day, used_count in OLD_DAYS:
            await connection.execute(
                insert(QUOTA_DAYS).values(
                    platform="discord", person_id=who, day=day, used_count=used_count
                )
            )

    await database.write(use_case)
    await database.close()


async def test_what_was_used_and_what_waits_is_carried_over(old_database_url: str) -> None:
    store = await Store.open(old_database_url)
    ada = await store.standing(person("ada"), rules=RULES, now=NOON)
    bob = await store.standing(person("bob"), rules=RULES, now=NOON)
    taken = await store.taken("bot", [Platform.DISCORD])
    waiting = await store.take_up([Platform.DISCORD], worker="bot", room=100)

    assert (ada[Scope.PERSON].daily_left_count, ada[Scope.PERSON].jobs_left_count) == (3, 3)
    assert (bob[Scope.PERSON].daily_left_count, bob[Scope.PERSON].jobs_left_count) == (9, 5)
    assert (ada[Scope.BOT].daily_left_count, ada[Scope.BOT].jobs_left_count) == (44, 7)
    assert [job.id for job in taken] == ["draws"]
    assert [job.id for job in waiting] == ["waits"]
    await store.close()


async def test_jobs_of_an_old_database_live_on(old_database_url: str) -> None:
    store = await Store.open(old_database_url)
    (draws,) = await store.taken("bot", [Platform.DISCORD])
    (waits,) = await store.take_up([Platform.DISCORD], worker="bot", room=100)

    await store.give_back(draws.id, reason="no room", now=NOON)
    await store.begin_drawing(waits.id)
    await store.begin_delivery(waits.id)
    settled = await store.settle(waits.id, now=NOON)
    with pytest.raises(DuplicateEventError):
        await store.accept(submission(event_id="before"), now=NOON, rules=RULES)

    assert settled.state is JobState.DELIVERED
    left = await store.standing(person("ada"), rules=RULES, now=NOON)
    assert (left[Scope.PERSON].daily_left_count, left[Scope.PERSON].jobs_left_count) == (5, 5)
    await store.close()


async def test_a_migration_that_fails_leaves_the_old_database_as_it_was(tmp_path: Path) -> None:
    url = database_url(tmp_path)
    await fill(url)
    database = await Database.connect(url)
    await database.write(lambda c: c.exec_driver_sql("CREATE TABLE pictures (id INTEGER)"))
    before = await database.read(schema)
    await database.close()

    with pytest.raises(StoreError):
        await Store.open(url)

    database = await Database.connect(url)
    assert await database.read(schema) == before
    assert await database.read(count_of_jobs) == len(OLD_JOBS)
    await database.close()


async def count_of_jobs(connection: AsyncConnection) -> Any:
    return (await connection.exec_driver_sql("SELECT count(*) FROM jobs")).scalar_one()
