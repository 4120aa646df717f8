"""Remember the image tokens to start from, and whether previews were asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("keep", sa.JSON, nullable=False, server_default="[]"))
    op.add_column(
        "jobs", sa.Column("preview", sa.Boolean, nullable=False, server_default=sa.false())
    )
