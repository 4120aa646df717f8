"""Turns what the database drivers raise into a sentence for the admin: the store's border."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from bot.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from sqlalchemy import URL

_PERMISSION = (
    "The database {place} cannot be opened for writing: let the user that runs the bot "
    "write to the file and its folder, or set DATA_DIR or DATABASE_URL to another place."
)
_IN_USE = "The database {place} is locked by another process: stop that process and try again."

# Source: sqlite.org/rescode.html; the low byte of an extended code is its primary code.
SQLITE_SENTENCES: Final[Mapping[int, str]] = {
    sqlite3.SQLITE_CANTOPEN: _PERMISSION,
    sqlite3.SQLITE_PERM: _PERMISSION,
    sqlite3.SQLITE_READONLY: _PERMISSION,
    sqlite3.SQLITE_NOTADB: (
        "{place} is not a SQLite database: move it away, or set DATABASE_URL to another file."
    ),
    sqlite3.SQLITE_CORRUPT: (
        "The database {place} is damaged: stop the bot and put back a copy, "
        "or move the file away to begin with an empty one."
    ),
    sqlite3.SQLITE_FULL: (
        "The disk of the database {place} is full: free some space and start the bot again; "
        "it carries on with everything it had accepted."
    ),
    sqlite3.SQLITE_BUSY: _IN_USE,
    sqlite3.SQLITE_LOCKED: _IN_USE,
    sqlite3.SQLITE_IOERR: "The database {place} cannot be read or written: check its disk.",
}


@contextmanager
def translated(url: URL) -> Generator[None]:
    """Let nothing of a driver out of the block, only ``StoreError``.

    Raises:
        StoreError: From the driver's error.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise StoreError(_sentence(error, url)) from error


def _sentence(error: Exception, url: URL) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if url.get_backend_name() == "sqlite":
        place, advice = url.database, SQLITE_SENTENCES.get(_primary_code(cause))
    else:
        place, advice = url.render_as_string(hide_password=True), None
    kind = type((cause and cause.__cause__) or cause).__name__  # asyncpg's own is one below
    advice = advice or "The database {place} cannot be used ({kind}): check DATABASE_URL."
    return advice.format(place=place, kind=kind)


def _primary_code(cause: BaseException | None) -> int:
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF
