"""The tables of the X adapter. A change here needs a migration; a test compares the two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    or_,
)

from bot.store.tables import UtcDateTime, metadata
from bot.store.x_states import LIVE_OUTCOMES

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

x_mentions = Table(
    "x_mentions",
    metadata,
    # An edit gives a post a new id; the first one is what it is known by.
    Column("root_id", BigInteger, primary_key=True, autoincrement=False),
    Column("latest_id", BigInteger, nullable=False),
    Column("author_id", String(32), nullable=False),
    Column("conversation_id", String(32), nullable=False),
    Column("answers_id", BigInteger),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    # Emptied when the mention is done with.
    Column("prompt", Text, nullable=False),
    Column("command", String(16)),
    Column("sentence", Text),
    Column("erase_id", BigInteger),
    Column("try_count", Integer, nullable=False),
    Column("round_count", Integer, nullable=False),
    Column("not_before", UtcDateTime),
    Column("media_id", String(64)),
    Column("media_expires_at", UtcDateTime),
    Column("is_described", Boolean, nullable=False),
    Column("reply_id", BigInteger),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

# Finished mentions pile up; those in one state are asked for all the time. (Not a partial
# index: SQLite uses one only if its condition stands in the query word by word.)
Index("ix_x_mentions_state", x_mentions.c.state, x_mentions.c.root_id)
Index("ix_x_mentions_author", x_mentions.c.author_id, x_mentions.c.root_id)

x_attempts = Table(
    "x_attempts",
    metadata,
    Column("root_id", BigInteger, ForeignKey("x_mentions.root_id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("target_id", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    Column("body_sha256", String(64), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("outcome", String(16)),
    Column("look_count", Integer, nullable=False),
    Column("doubted_at", UtcDateTime),
    Column("next_look_at", UtcDateTime),
)

IS_LIVE: ColumnElement[bool] = or_(
    x_attempts.c.outcome.is_(None), x_attempts.c.outcome.in_([*LIVE_OUTCOMES])
)
# While an attempt runs, is in doubt or has worked, the database itself forbids a second.
Index(
    "uq_x_attempts_live",
    x_attempts.c.root_id,
    unique=True,
    sqlite_where=IS_LIVE,
    postgresql_where=IS_LIVE,
)
Index("ix_x_attempts_started_at", x_attempts.c.started_at)

x_gaps = Table(
    "x_gaps",
    metadata,
    Column("hi_id", BigInteger, primary_key=True, autoincrement=False),
    Column("lo_id", BigInteger, nullable=False),
    Column("next_until_id", BigInteger, nullable=False),
    Column("read_count", Integer, nullable=False),
    Column("is_search", Boolean, nullable=False),
)

x_people = Table(
    "x_people",
    metadata,
    Column("author_id", String(32), primary_key=True),
    Column("opted_out_at", UtcDateTime),
    Column("blocked_until", UtcDateTime),
    # The last day on which they were told something instead of pictures.
    Column("told_on", Date),
)

x_spend = Table(
    "x_spend",
    metadata,
    Column("day", Date, primary_key=True),
    Column("call", String(16), primary_key=True),
    Column("unit_count", Integer, nullable=False),
    Column("micros", BigInteger, nullable=False),
)
