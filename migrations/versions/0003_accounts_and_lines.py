"""Give persons, communities and the bot accounts; let jobs wait in lines; keep pictures.

What people have used of their day so far is carried over.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic import op

if TYPE_CHECKING:
    from collections.abc import Sequence

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
OPEN = ("accepted", "drawing", "delivering")

NEW_JOB_COLUMNS: Sequence[tuple[str, Any, bool]] = (  # name, type, may be null
    ("error_label", sa.String(32), True),
    ("community", sa.String(255), True),
    ("held_count", sa.Integer, False),
    ("begun_count", sa.Integer, False),
    ("worker", sa.String(64), True),
    ("line", sa.String(300), False),
    ("turn", sa.BigInteger, False),
)


def upgrade() -> None:
    _create_accounts()
    _widen_jobs()
    _carry_over()
    op.drop_table("quota_days")
    _create_pictures()


def _create_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(300), nullable=False),
        sa.Column("platform", sa.String(16), nullable=False),
        sa.Column("tier", sa.String(64)),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("used_count", sa.Integer, nullable=False),
        sa.Column("burst_count", sa.Double, nullable=False),
        sa.Column("burst_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("open_count", sa.Integer, nullable=False),
        sa.Column("open_picture_count", sa.Integer, nullable=False),
        sa.Column("waiting_count", sa.Integer, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("reached", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        *(
            sa.CheckConstraint(f"{name} >= 0", name=op.f(f"ck_accounts_{name}_not_negative"))
            for name in ("used_count", "open_count", "waiting_count")
        ),
    )
    has_waiting = sa.text("waiting_count > 0")
    op.create_index(
        op.f("ix_accounts_due"),
        "accounts",
        ["platform", "due", "id"],
        sqlite_where=has_waiting,
        postgresql_where=has_waiting,
    )
    op.create_index(op.f("ix_accounts_day"), "accounts", ["day"])


def _widen_jobs() -> None:
    for name, kind, _ in NEW_JOB_COLUMNS:
        op.add_column("jobs", sa.Column(name, kind))
    # Jobs that were begun are taken up by the first process that starts.
    op.execute(
        "UPDATE jobs SET begun_count = 0, turn = 0, "
        "line = 'person/' || platform || '/' || person_id, "
        "held_count = CASE WHEN state = 'failed' THEN 0 ELSE picture_count END, "
        "worker = CASE WHEN state = 'accepted' THEN NULL ELSE 'bot' END"
    )
    with op.batch_alter_table("jobs") as jobs:
        for name, kind, is_nullable in NEW_JOB_COLUMNS:
            if not is_nullable:
                jobs.alter_column(name, existing_type=kind, nullable=False)
    _create_job_index("waiting", ["line", "turn", "accepted_at", "id"], WAITING)
    _create_job_index("taken", ["worker", "accepted_at"], "finished_at IS NULL")
    _create_job_index("history", ["platform", "person_id", "accepted_at", "id"], None)
    _create_job_index("finished", ["finished_at"], "finished_at IS NOT NULL")


WAITING = "state = 'accepted' AND worker IS NULL"


def _create_job_index(name: str, columns: list[str], where: str | None) -> None:
    only = None if where is None else sa.text(where)
    op.create_index(
        op.f(f"ix_jobs_{name}"), "jobs", columns, sqlite_where=only, postgresql_where=only
    )


def _carry_over() -> None:
    jobs = sa.table("jobs", *map(sa.column, ("platform", "line", "state", "picture_count")))
    days = sa.table(
        "quota_days",
        sa.column("platform"),
        sa.column("person_id"),
        sa.column("day", sa.Date),
        sa.column("used_count"),
    )
    newest = (
        sa.select(days.c.platform, days.c.person_id, sa.func.max(days.c.day).label("day"))
        .group_by(days.c.platform, days.c.person_id)
        .subquery()
    )
    line = sa.literal("person/") + newest.c.platform + "/" + newest.c.person_id
    is_open = sa.and_(jobs.c.line == line, jobs.c.state.in_(OPEN))
    is_newest = sa.and_(
        days.c.platform == newest.c.platform,
        days.c.person_id == newest.c.person_id,
        days.c.day == newest.c.day,
    )
    persons = sa.select(
        line,
        newest.c.platform,
        newest.c.day,
        sa.select(days.c.used_count).where(is_newest).scalar_subquery(),
        *_burst_columns(),
        sa.select(sa.func.count()).where(is_open).scalar_subquery(),
        _sum(jobs, is_open),
        sa.select(sa.func.count())
        .where(jobs.c.line == line, jobs.c.state == "accepted")
        .scalar_subquery(),
        sa.literal(0),
        sa.literal(0),
    )
    op.execute(_ACCOUNTS.insert().from_select(_COLUMNS, persons))
    _create_bot(jobs, days)


def _create_bot(jobs: sa.TableClause, days: sa.TableClause) -> None:
    """The bot's own day begins with what all people have used of the newest one."""
    newest_day = sa.select(sa.func.max(days.c.day)).scalar_subquery()
    used = sa.select(sa.func.coalesce(sa.func.sum(days.c.used_count), 0)).where(
        days.c.day == newest_day
    )
    is_open = jobs.c.state.in_(OPEN)
    bot = sa.select(
        sa.literal("bot"),
        sa.literal(""),
        sa.func.coalesce(newest_day, sa.literal(LONG_AGO.date(), sa.Date)),
        used.scalar_subquery(),
        *_burst_columns(),
        sa.select(sa.func.count()).select_from(jobs).where(is_open).scalar_subquery(),
        _sum(jobs, is_open),
        sa.literal(0),
        sa.literal(0),
        sa.literal(0),
    )
    op.execute(_ACCOUNTS.insert().from_select(_COLUMNS, bot))


def _sum(jobs: sa.TableClause, where: sa.ColumnElement[bool]) -> Any:
    total = sa.func.coalesce(sa.func.sum(jobs.c.picture_count), 0)
    return sa.select(total).select_from(jobs).where(where).scalar_subquery()


def _burst_columns() -> tuple[Any, Any]:
    return sa.literal(0.0), sa.literal(LONG_AGO, sa.DateTime(timezone=True))


_COLUMNS = [
    "id",
    "platform",
    "day",
    "used_count",
    "burst_count",
    "burst_at",
    "open_count",
    "open_picture_count",
    "waiting_count",
    "due",
    "reached",
]
_ACCOUNTS = sa.table("accounts", *map(sa.column, _COLUMNS))


def _create_pictures() -> None:
    op.create_table(
        "pictures",
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("candidate", sa.Integer, nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("tokens", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "rank", name=op.f("pk_pictures")),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_pictures_job_id"), ondelete="CASCADE"
        ),
    )
