"""No table is forgotten: what is about somebody is shown to them, and erased or kept on purpose.

A table that is new fails here until ``bot.store.privacy`` exports it (or names it impersonal),
until a row of it can be made below, and until an erasure removes that row, or ``KEPT`` says
that it stays.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import JSON, Column, MetaData, String, Table, insert

from bot.jobs import Person, Platform, Scope
from bot.store.privacy import IMPERSONAL, export_queries
from bot.store.rows import account_id
from bot.store.tables import UtcDateTime, metadata
from tests.support.clock import NOON
from tests.support.factories import person

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store import Store
    from bot.store.database import Database

LONG_AGO: Final = NOON - timedelta(days=30)
ON_X: Final = Person(platform=Platform.X, id="7")

KEPT: Final = {"accounts", "audit", "blocks", "strikes"}
"""Tables of which an erasure leaves something, for a reason that bot.store.privacy tells."""

# A mention that X could still show, without its words, and that its person is to be forgotten.
KEPT_OF_X: Final = {"x_mentions", "x_attempts", "erasures"}

# Names of columns that could tell of somebody: ids, words, or who did something.
PERSONAL: Final = re.compile(
    r"person|author|owner|user|member|subject|account|prompt|words|reason|text|address|^by$|_by$"
)


def forgotten(tables: Mapping[str, Table]) -> set[str]:
    """Tables that are neither exported nor known to be about nobody."""
    impersonal = {
        name
        for name in IMPERSONAL.keys() & tables.keys()
        if not any(PERSONAL.search(column.name) for column in tables[name].columns)
    }
    return tables.keys() - export_queries(ON_X).keys() - impersonal


def test_every_table_is_exported_or_says_nothing_about_anybody() -> None:
    assert forgotten(metadata.tables) == set()


def test_a_new_table_is_found_and_so_is_somebody_in_one_that_was_about_nobody() -> None:
    copy = MetaData()
    for table in metadata.sorted_tables:
        table.to_metadata(copy)
    Table("likes", copy, Column("person_id", String(255)))
    Table("weather", copy, Column("day", String(10)))
    copy.tables["x_spend"].append_column(Column("author_id", String(32)))

    assert forgotten(copy.tables) == {"likes", "weather", "x_spend"}


def a_row_of(table: Table, whose: Person) -> dict[str, Any]:
    """Something in a table about somebody: every column that must be filled, and who it is."""
    known = {
        "platform": whose.platform,
        "person_id": whose.id,
        "author_id": whose.id,
        "subject": account_id(Scope.PERSON, whose.platform, whose.id),
        "root_id": int(whose.id, 36),
        "job_id": f"job-{whose.id}",
        "event_id": f"event-{whose.id}",
        "finished_at": LONG_AGO,
        "verdict": "safe",
        ("accounts", "id"): account_id(Scope.PERSON, whose.platform, whose.id),
        ("jobs", "id"): f"job-{whose.id}",
        ("jobs", "state"): "delivered",
        ("reports", "job_id"): "another's",
        ("reports", "owner_id"): "another",
        ("x_mentions", "state"): "ignored",
    }
    return {
        column.name: known.get((table.name, column.name), known.get(column.name, _any(column)))
        for column in table.columns
        if column.name in known or not (column.nullable or _is_counted(column))
    }


def _any(column: Column[Any]) -> Any:
    if isinstance(column.type, UtcDateTime):
        return LONG_AGO
    if isinstance(column.type, JSON):
        return {}
    kind = column.type.python_type
    return LONG_AGO.date() if kind is date else kind()


def _is_counted(column: Column[Any]) -> bool:
    """Whether the database numbers it."""
    return column is column.table.autoincrement_column


async def live(database: Database, whose: Person) -> None:
    """Leave a trace of somebody in every table that is exported for them."""
    exported = export_queries(whose).keys() - {"erasures"}  # which asks for one

    async def use_case(connection: AsyncConnection) -> None:
        for table in metadata.sorted_tables:
            if table.name in exported:
                await connection.execute(insert(table).values(**a_row_of(table, whose)))

    await database.write(use_case)


async def tables_of(store: Store, whose: Person) -> set[str]:
    """Where something is told about somebody."""
    exported = await store.privacy.export(whose)
    return {name for name, rows in exported.items() if isinstance(rows, list) and rows}


@pytest.mark.parametrize(
    ("whose", "kept"), [(person(), KEPT), (ON_X, KEPT | KEPT_OF_X)], ids=["discord", "x"]
)
async def test_each_table_shows_its_trace_and_an_erasure_leaves_only_what_is_kept_on_purpose(
    store: Store, database: Database, whose: Person, kept: set[str]
) -> None:
    other = person("bob", whose.platform)
    await live(database, whose)
    await live(database, other)
    everything = export_queries(whose).keys() - {"erasures"}
    assert await tables_of(store, whose) == everything

    await store.privacy.erase(whose, by="boss", now=NOON)

    assert await tables_of(store, whose) == kept
    assert await tables_of(store, other) == everything
