"""Hot queries find their few rows among many by an index, and need not sort."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from bot.jobs import JobId, Platform
from bot.store import Store
from bot.store.acceptance import KNOWN
from bot.store.archive import IN_HAND, open_query
from bot.store.history import history_query, pictures_query, purge_query
from bot.store.ledger import HOLDERS, NEXT_LINE
from bot.store.rows import AccountId, holder_values, new_holder
from bot.store.statements import NEXT_JOB, taken_query, unfinished_query
from bot.store.tables import accounts, jobs, pictures
from tests.support.clock import NOON
from tests.support.factories import person, submission

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.database import Database

COUNT = 2_000
PEOPLE = 200

# What asks, by which index, and whether the order must come from it too.
QUERIES: dict[str, tuple[Select[*tuple[Any, ...]], str, bool]] = {
    "a known event": (
        KNOWN.params(platform="discord", event_ids=["1", "2"]),
        "event_id|autoindex",
        False,
    ),
    "accounts": (HOLDERS.params(ids=["bot", "x"]), "pk_acc|autoindex", False),
    "the next line": (NEXT_LINE.params(platform=Platform.DISCORD), "ix_accounts_due", True),
    "the next job": (NEXT_JOB.params(line_id="person/discord/7"), "ix_jobs_waiting", True),
    "jobs of a worker": (taken_query("worker-4"), "ix_jobs_taken", False),
    "unfinished jobs": (unfinished_query([Platform.X]), "ix_jobs_unfinished", False),
    "the history": (history_query(person("7"), limit=20, before=None), "ix_jobs_history", True),
    "an older page": (
        history_query(person("7"), limit=20, before=JobId("7")),
        "ix_jobs_history",
        True,
    ),
    "pictures": (pictures_query(["1", "2"]), "pk_pictures|autoindex", False),
    "open jobs of somebody": (open_query(person("7")), "ix_jobs_history", True),
    "jobs in hand": (IN_HAND, "ix_jobs_taken", False),
    "old jobs": (purge_query(NOON), "ix_jobs_finished", True),
}


async def test_hot_queries_use_their_index(database: Database) -> None:
    await fill(database)

    for name, (query, index, is_in_order) in QUERIES.items():
        found = await plan(database, query)

        assert re.search(index, found), f"{name}: {found}"
        assert not re.search(r"SCAN (jobs|accounts)(?! USING)|Seq Scan", found), f"{name}: {found}"
        if is_in_order:
            assert not re.search("TEMP B-TREE|Sort", found), f"{name}: {found}"


async def fill(database: Database) -> None:
    """Many jobs of many people, most of them finished or waiting, as in a long life."""
    first = await Store(database).accept(submission(), now=NOON)
    people = [new_holder(AccountId(f"person/discord/{n}"), "discord", NOON) for n in range(COUNT)]
    waiting = [holder_values(holder) | {"waiting_count": 1} for holder in people]
    picture = {"candidate": 0, "score": 0.0, "tokens": b""}

    async def use_case(connection: AsyncConnection) -> None:
        found = await connection.execute(jobs.select().where(jobs.c.id == first.id))
        row = found.mappings().one()
        copies = [{**row, **different(number)} for number in range(COUNT)]
        await connection.execute(insert(jobs), copies)
        await connection.execute(insert(accounts), waiting)
        ids = [{"job_id": copy["id"], "rank": 1, **picture} for copy in copies]
        await connection.execute(insert(pictures), ids)
        await connection.exec_driver_sql("ANALYZE")

    await database.write(use_case)


def different(number: int) -> dict[str, Any]:
    who, is_finished = number % PEOPLE, number % 2 == 0
    moment = NOON + timedelta(seconds=number)
    return {
        "id": str(number),
        "event_id": f"e{number}",
        "person_id": str(who),
        "line": f"person/discord/{who}",
        "turn": number,
        "accepted_at": moment,
        "state": "delivered" if is_finished else "accepted",
        "finished_at": moment if is_finished else None,
        "worker": f"worker-{number % 20}" if number % 4 == 0 else None,
    }


async def plan(database: Database, query: Select[*tuple[Any, ...]]) -> str:
    """How the database would answer, in one line."""

    async def use_case(connection: AsyncConnection) -> str:
        compiled = query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        is_sqlite = connection.dialect.name == "sqlite"
        explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        rows = await connection.exec_driver_sql(f"{explain} {compiled}")
        return "; ".join((row.detail if is_sqlite else row[0]).strip() for row in rows)

    return await database.read(use_case)
