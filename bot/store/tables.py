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
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
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
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
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
    # The day whose allowance paid, and gets back what does not arrive.
    Column("quota_day", Date, nullable=False),
    Column("accepted_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("error", Text),
    # What ended the job, by its label in bot.outcomes: an apology can be made after a restart.
    Column("error_label", String(32)),
    Column("community", String(255)),
    # Pictures that the accounts have lost to this job: all of its own, what was delivered, or 0.
    Column("held_count", Integer, nullable=False),
    # How often drawing was begun without an orderly end.
    Column("begun_count", Integer, nullable=False),
    # The process that has taken the job up; nobody yet while it waits in its line.
    Column("worker", String(64)),
    # The account whose line it waits in, and its turn there: see bot.store.lines.
    Column("line", String(300), nullable=False),
    Column("turn", BigInteger, nullable=False),
    # Where in the community it was asked, and the job that it goes on with.
    Column("channel", String(255)),
    Column("origin", String(32)),
    # Whether its words call for care, and whether its pictures are looked at strictly.
    Column("is_soft", Boolean, nullable=False, server_default=false()),
    Column("strict", Boolean, nullable=False, server_default=false()),
    # The same event of a platform never makes a second job.
    UniqueConstraint("platform", "event_id"),
)

# Finished jobs pile up and waiting ones may be many: each question finds its few by an index.
UNFINISHED = jobs.c.finished_at.is_(None)
FINISHED = jobs.c.finished_at.is_not(None)
WAITING = and_(jobs.c.state == "accepted", jobs.c.worker.is_(None))
Index(
    "ix_jobs_unfinished",
    jobs.c.platform,
    jobs.c.accepted_at,
    sqlite_where=UNFINISHED,
    postgresql_where=UNFINISHED,
)
Index(
    "ix_jobs_waiting",
    jobs.c.line,
    jobs.c.turn,
    jobs.c.accepted_at,
    jobs.c.id,
    sqlite_where=WAITING,
    postgresql_where=WAITING,
)
Index(
    "ix_jobs_taken",
    jobs.c.worker,
    jobs.c.accepted_at,
    sqlite_where=UNFINISHED,
    postgresql_where=UNFINISHED,
)
Index("ix_jobs_history", jobs.c.platform, jobs.c.person_id, jobs.c.accepted_at, jobs.c.id)
Index("ix_jobs_finished", jobs.c.finished_at, sqlite_where=FINISHED, postgresql_where=FINISHED)

# What persons, communities and the bot have used (bot.store.quotas), and the line of those
# who have one (bot.store.lines). The row "bot" is always there: who changes any account locks
# it first, so that changes come one after the other and never wait for each other in a ring.
accounts = Table(
    "accounts",
    metadata,
    Column("id", String(300), primary_key=True),
    Column("platform", String(16), nullable=False),
    Column("tier", String(64)),
    Column("day", Date, nullable=False),
    Column("used_count", Integer, nullable=False),
    Column("burst_count", Double, nullable=False),
    Column("burst_at", UtcDateTime, nullable=False),
    Column("open_count", Integer, nullable=False),
    Column("open_picture_count", Integer, nullable=False),
    Column("waiting_count", Integer, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("reached", BigInteger, nullable=False),
    CheckConstraint("used_count >= 0", name="used_count_not_negative"),
    CheckConstraint("open_count >= 0", name="open_count_not_negative"),
    CheckConstraint("waiting_count >= 0", name="waiting_count_not_negative"),
)

HAS_WAITING = accounts.c.waiting_count > 0
Index(
    "ix_accounts_due",
    accounts.c.platform,
    accounts.c.due,
    accounts.c.id,
    sqlite_where=HAS_WAITING,
    postgresql_where=HAS_WAITING,
)
Index("ix_accounts_day", accounts.c.day)

# Pictures that were delivered, best first from 1. Their tokens (16 bit each, low byte first)
# are all that is needed to draw them again.
pictures = Table(
    "pictures",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("rank", Integer, primary_key=True),
    Column("candidate", Integer, nullable=False),
    Column("score", Double, nullable=False),
    Column("tokens", LargeBinary, nullable=False),
    # What the look at it said, an engine.api.Verdict.
    Column("verdict", String(16), nullable=False, server_default="safe"),
)

cursors = Table(
    "cursors",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("value", Text, nullable=False),
)
