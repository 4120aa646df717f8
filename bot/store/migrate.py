"""Brings a database to the newest schema with the migrations that ship with the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, select

import migrations
from bot.store.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection

# Any number that no other program uses: of two bots that start together, one migrates first.
_MIGRATING = 0x696D6167696E65


def migrate(connection: Connection) -> None:
    """Apply what is missing, in the caller's transaction.

    Raises:
        StoreError: The database was written by a newer version of the bot.
    """
    if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
    config = migration_config(connection)
    script = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in {known.revision for known in script.walk_revisions()}:
        raise StoreError(
            f"The database was written by a newer version of the bot (schema {current}): "
            "install that version, or start with another DATABASE_URL."
        )
    if current != script.get_current_head():
        command.upgrade(config, "head")


def migration_config(connection: Connection) -> Config:
    """Alembic's settings, found beside the ``migrations`` package: no ini file is needed."""
    (folder,) = (Path(place) for place in migrations.__path__)
    config = Config()
    # The option goes through configparser, to which a % is special.
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
