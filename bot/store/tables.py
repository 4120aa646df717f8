"""The tables. A change here needs a migration; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy import Dialect


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored in UTC. SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn any zone into UTC."""
        del dialect
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Put the zone back where the database dropped it."""
        del dialect
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("platform", String(16), nullable=False),
    Column("event_id", String(255), nullable=False),
    Column("person_id", String(255), nullable=False),
    Column("prompt", Text, nullable=False),
    Column("picture_count", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("options", JSON, nullable=False),
    # The request's image tokens to start from, and whether it asked for previews.
    Column("keep", JSON, nullable=False, server_default="[]"),
    Column("preview", Boolean, nullable=False, server_default=false()),
    Column("address", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    # How often delivery was begun, counted before it begins.
    Column("attempt_count", Integer, nullable=False),
    # The day whose allowance paid, and gets it back should the job fail.
    Column("quota_day", Date, nullable=False),
    Column("accepted_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("error", Text),
    # The same event of a platform never makes a second job.
    UniqueConstraint("platform", "event_id"),
)

# Finished jobs pile up; the start asks only for the few that are not.
UNFINISHED = jobs.c.finished_at.is_(None)
Index(
    "ix_jobs_unfinished",
    jobs.c.platform,
    jobs.c.accepted_at,
    sqlite_where=UNFINISHED,
    postgresql_where=UNFINISHED,
)

quota_days = Table(
    "quota_days",
    metadata,
    Column("platform", String(16), primary_key=True),
    Column("person_id", String(255), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("used_count", Integer, nullable=False),
    CheckConstraint("used_count >= 0", name="used_count_not_negative"),
)

cursors = Table(
    "cursors",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("value", Text, nullable=False),
)
