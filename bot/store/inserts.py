"""The one kind of statement that SQLite and PostgreSQL write differently."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from sqlalchemy import Table

_INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def insert_into(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that can say what to do about rows that are there already."""
    return _INSERT[dialect](table)
