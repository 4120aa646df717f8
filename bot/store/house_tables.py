"""The tables of the house: rules, people, reports. A change here needs a migration."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from bot.store.tables import UtcDateTime, metadata

profiles = Table(
    "profiles",
    metadata,
    Column("platform", String(16), primary_key=True),
    Column("person_id", String(255), primary_key=True),
    Column("picture_count", Integer),
    Column("style", String(64)),
    Column("language", String(16)),
    Column("may_dm", Boolean, nullable=False, server_default=false()),
    Column("spoiler", Boolean, nullable=False, server_default=false()),
)

communities = Table(
    "communities",
    metadata,
    Column("platform", String(16), primary_key=True),
    Column("community", String(255), primary_key=True),
    Column("channels", JSON, nullable=False),
    Column("role_tiers", JSON, nullable=False),
    Column("moderation", String(16)),
    Column("language", String(16)),
    Column("is_paused", Boolean, nullable=False),
    Column("daily_pictures", Integer),
    Column("jobs_at_once", Integer),
)

# An empty community is everywhere: a primary key holds no NULL.
blocks = Table(
    "blocks",
    metadata,
    Column("platform", String(16), primary_key=True),
    Column("person_id", String(255), primary_key=True),
    Column("community", String(255), primary_key=True),
    Column("until", UtcDateTime),
    Column("reason", Text, nullable=False),
    Column("by", String(300), nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

# No foreign key: a report outlives the job that it is about. A reporter who had themselves
# erased is NULL.
reports = Table(
    "reports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", String(32), nullable=False),
    Column("platform", String(16), nullable=False),
    Column("person_id", String(255)),
    Column("owner_platform", String(16), nullable=False),
    Column("owner_id", String(255), nullable=False),
    Column("community", String(255)),
    Column("reason", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("closed_by", String(300)),
    # Everybody's word counts once for each job.
    UniqueConstraint("job_id", "platform", "person_id"),
)
Index("ix_reports_owner", reports.c.owner_platform, reports.c.owner_id)

strikes = Table(
    "strikes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("platform", String(16), nullable=False),
    Column("person_id", String(255), nullable=False),
    Column("event_id", String(255), nullable=False),
    Column("community", String(255)),
    Column("code", String(64), nullable=False),
    Column("prompt_hash", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    # The same event of a platform is never a second strike.
    UniqueConstraint("platform", "event_id"),
)
Index("ix_strikes_person", strikes.c.platform, strikes.c.person_id, strikes.c.at)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("by", String(300), nullable=False),
    Column("act", String(32), nullable=False),
    # As the ids of accounts: person/discord/7, community/discord/42, bot.
    Column("subject", String(300), nullable=False),
    Column("detail", Text, nullable=False),
)
Index("ix_audit_subject", audit.c.subject)

# Who asked to be erased while something of theirs could not go yet.
erasures = Table(
    "erasures",
    metadata,
    Column("platform", String(16), primary_key=True),
    Column("person_id", String(255), primary_key=True),
    Column("asked_at", UtcDateTime, nullable=False),
)
