"""Create the tables of the X adapter: mentions, attempts, gaps, people, spend."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_LIVE = "outcome IS NULL OR outcome IN ('unknown', 'sent')"


def upgrade() -> None:
    _create_mentions()
    _create_attempts()
    op.create_table(
        "x_gaps",
        sa.Column("hi_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("lo_id", sa.BigInteger, nullable=False),
        sa.Column("next_until_id", sa.BigInteger, nullable=False),
        sa.Column("read_count", sa.Integer, nullable=False),
        sa.Column("is_search", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("hi_id", name=op.f("pk_x_gaps")),
    )
    op.create_table(
        "x_people",
        sa.Column("author_id", sa.String(32), nullable=False),
        sa.Column("opted_out_at", sa.DateTime(timezone=True)),
        sa.Column("blocked_until", sa.DateTime(timezone=True)),
        sa.Column("told_on", sa.Date),
        sa.PrimaryKeyConstraint("author_id", name=op.f("pk_x_people")),
    )
    op.create_table(
        "x_spend",
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("call", sa.String(16), nullable=False),
        sa.Column("unit_count", sa.Integer, nullable=False),
        sa.Column("micros", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("day", "call", name=op.f("pk_x_spend")),
    )


def _create_mentions() -> None:
    op.create_table(
        "x_mentions",
        sa.Column("root_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("latest_id", sa.BigInteger, nullable=False),
        sa.Column("author_id", sa.String(32), nullable=False),
        sa.Column("conversation_id", sa.String(32), nullable=False),
        sa.Column("answers_id", sa.BigInteger),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("command", sa.String(16)),
        sa.Column("sentence", sa.Text),
        sa.Column("erase_id", sa.BigInteger),
        sa.Column("try_count", sa.Integer, nullable=False),
        sa.Column("round_count", sa.Integer, nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True)),
        sa.Column("media_id", sa.String(64)),
        sa.Column("media_expires_at", sa.DateTime(timezone=True)),
        sa.Column("is_described", sa.Boolean, nullable=False),
        sa.Column("reply_id", sa.BigInteger),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("root_id", name=op.f("pk_x_mentions")),
    )
    op.create_index(op.f("ix_x_mentions_state"), "x_mentions", ["state", "root_id"])
    op.create_index(op.f("ix_x_mentions_author"), "x_mentions", ["author_id", "root_id"])


def _create_attempts() -> None:
    op.create_table(
        "x_attempts",
        sa.Column("root_id", sa.BigInteger, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("target_id", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("body_sha256", sa.String(64), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(16)),
        sa.Column("look_count", sa.Integer, nullable=False),
        sa.Column("doubted_at", sa.DateTime(timezone=True)),
        sa.Column("next_look_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("root_id", "number", name=op.f("pk_x_attempts")),
        sa.ForeignKeyConstraint(["root_id"], ["x_mentions.root_id"]),
    )
    op.create_index(
        op.f("uq_x_attempts_live"),
        "x_attempts",
        ["root_id"],
        unique=True,
        sqlite_where=sa.text(_LIVE),
        postgresql_where=sa.text(_LIVE),
    )
    op.create_index(op.f("ix_x_attempts_started_at"), "x_attempts", ["started_at"])
