# SPDX-License-Identifier: Apache-2.0
"""Programs of the Runtime API, and sessions.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let jobs be programs of the Runtime API, alone or in sessions."""
    for column in (
        sa.Column("program", sa.String(length=32), nullable=True),
        sa.Column("session_id", sa.String(length=24), nullable=True),
        sa.Column("most_seconds", sa.Float(), nullable=True),
        sa.Column("private", sa.Boolean(), nullable=False, server_default=sa.false()),
    ):
        op.add_column("jobs", column)
    op.create_table(
        "sessions",
        *(
            sa.Column(name, sa.String(length=24), nullable=False)
            for name in ("id", "user_id", "project_id", "device_id")
        ),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Float(53), nullable=False) for name in ("max_ttl", "interactive_ttl")),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in ("stopped", "closed")),
        sa.Column("charged", sa.Float(53), nullable=False),
        *(
            sa.ForeignKeyConstraint([f"{name}_id"], [f"{name}s.id"], name=op.f(f"fk_sessions_{name}_id"))
            for name in ("user", "project", "device")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    for name, table, columns, condition in (
        *(
            (f"ix_jobs_session_id_{'_'.join(names)}", "jobs", ["session_id", *names], "session_id IS NOT NULL")
            for names in (["created"], ["started"], ["ended", "created"])
        ),
        ("ix_sessions_device_id_created", "sessions", ["device_id", "created"], "closed IS NULL"),
    ):
        where = sa.text(condition)
        op.create_index(name, table, columns, unique=False, sqlite_where=where, postgresql_where=where)
