"""A SQLite database that fails at one kind of change, as a full disk would at any."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def forbid_state(database: Path, state: str) -> None:
    """Let the database fail whenever a job would get this state."""
    _execute(
        database,
        f"CREATE TRIGGER broken BEFORE UPDATE ON jobs WHEN NEW.state = '{state}' "
        "BEGIN SELECT RAISE(ABORT, 'broken'); END",
    )


def allow_states(database: Path) -> None:
    """Repair the database."""
    _execute(database, "DROP TRIGGER broken")


def lose_table(database: Path, name: str) -> None:
    """Let every statement that needs the table fail."""
    _execute(database, f"ALTER TABLE {name} RENAME TO lost_{name}")


def _execute(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(statement)
        connection.commit()
