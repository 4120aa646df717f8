"""Create the tables of the house: profiles, communities, blocks, reports, strikes, audit.

Jobs learn of their channel and origin, pictures what the look at them said.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("channel", sa.String(255)))
    op.add_column("jobs", sa.Column("origin", sa.String(32)))
    for name in ("is_soft", "strict"):
        op.add_column(
            "jobs", sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())
        )
    op.add_column(
        "pictures", sa.Column("verdict", sa.String(16), nullable=False, server_default="safe")
    )
    _create_profiles()
    _create_communities()
    _create_blocks()
    _create_reports()
    _create_strikes()
    _create_audit()
    op.create_table(
        "erasures",
        *_person_columns(),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("platform", "person_id", name=op.f("pk_erasures")),
    )


def _person_columns() -> tuple[sa.Column[str], sa.Column[str]]:
    return (
        sa.Column("platform", sa.String(16), nullable=False),
        sa.Column("person_id", sa.String(255), nullable=False),
    )


def _create_profiles() -> None:
    op.create_table(
        "profiles",
        *_person_columns(),
        sa.Column("picture_count", sa.Integer),
        sa.Column("style", sa.String(64)),
        sa.Column("language", sa.String(16)),
        sa.Column("may_dm", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("spoiler", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("platform", "person_id", name=op.f("pk_profiles")),
    )


def _create_communities() -> None:
    op.create_table(
        "communities",
        sa.Column("platform", sa.String(16), nullable=False),
        sa.Column("community", sa.String(255), nullable=False),
        sa.Column("channels", sa.JSON, nullable=False),
        sa.Column("role_tiers", sa.JSON, nullable=False),
        sa.Column("moderation", sa.String(16)),
        sa.Column("language", sa.String(16)),
        sa.Column("is_paused", sa.Boolean, nullable=False),
        sa.Column("daily_pictures", sa.Integer),
        sa.Column("jobs_at_once", sa.Integer),
        sa.PrimaryKeyConstraint("platform", "community", name=op.f("pk_communities")),
    )


def _create_blocks() -> None:
    op.create_table(
        "blocks",
        *_person_columns(),
        sa.Column("community", sa.String(255), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True)),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("by", sa.String(300), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("platform", "person_id", "community", name=op.f("pk_blocks")),
    )


def _create_reports() -> None:
    op.create_table(
        "reports",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("platform", sa.String(16), nullable=False),
        sa.Column("person_id", sa.String(255)),
        sa.Column("owner_platform", sa.String(16), nullable=False),
        sa.Column("owner_id", sa.String(255), nullable=False),
        sa.Column("community", sa.String(255)),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.Column("closed_by", sa.String(300)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
        sa.UniqueConstraint(
            "job_id", "platform", "person_id", name=op.f("uq_reports_job_id_platform_person_id")
        ),
    )
    op.create_index(op.f("ix_reports_owner"), "reports", ["owner_platform", "owner_id"])


def _create_strikes() -> None:
    op.create_table(
        "strikes",
        sa.Column("id", sa.Integer, nullable=False),
        *_person_columns(),
        sa.Column("event_id", sa.String(255), nullable=False),
        sa.Column("community", sa.String(255)),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("prompt_hash", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_strikes")),
        sa.UniqueConstraint("platform", "event_id", name=op.f("uq_strikes_platform_event_id")),
    )
    op.create_index(op.f("ix_strikes_person"), "strikes", ["platform", "person_id", "at"])


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(300), nullable=False),
        sa.Column("act", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(300), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_subject"), "audit", ["subject"])
