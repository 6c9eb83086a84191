# SPDX-License-Identifier: Apache-2.0
"""Fair share: what everybody has used, and what waits where.

Revision ID: 0005
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None

_NUMBERS = ("half_life", "credit", "max_gap", "guard_fraction", "guard_burst")


def upgrade() -> None:
    """Add the tables; a server that starts counts what waits."""
    op.add_column("jobs", sa.Column("previous", sa.String(length=24), nullable=True))
    op.create_table(
        "fair_rules",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Float(53), nullable=False) for name in _NUMBERS),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_fair_rules")),
    )
    op.create_table(
        "fair_accounts",
        sa.Column("pool", sa.String(length=16), nullable=False),
        sa.Column("node_id", sa.String(length=24), nullable=False),
        *(sa.Column(name, sa.Float(53), nullable=False) for name in ("weight", "value", "at")),
        sa.PrimaryKeyConstraint("pool", "node_id", name=op.f("pk_fair_accounts")),
    )
    op.create_table(
        "fair_lanes",
        sa.Column("device_id", sa.String(length=24), nullable=False),
        sa.Column("node_id", sa.String(length=24), nullable=False),
        sa.Column("pool", sa.String(length=16), nullable=False),
        sa.Column("parent_id", sa.String(length=24), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Float(53), nullable=False),
        sa.Column("key", sa.Float(53), nullable=False),
        sa.Column("queued", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Float(53), nullable=False) for name in ("seconds", "since", "budget")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_fair_lanes_device_id")),
        sa.PrimaryKeyConstraint("device_id", "node_id", name=op.f("pk_fair_lanes")),
    )
    op.create_index("ix_fair_lanes_node_id", "fair_lanes", ["node_id"], unique=False)
    for name, columns, condition in (
        ("ix_fair_lanes_device_id_parent_id_key", ["device_id", "parent_id", "key", "since", "node_id"], "queued > 0"),
        ("ix_fair_lanes_device_id_since", ["device_id", "since"], "queued > 0 AND level = 3"),
    ):
        where = sa.text(condition)
        op.create_index(name, "fair_lanes", columns, unique=False, sqlite_where=where, postgresql_where=where)
    where = sa.text("state = 'QUEUED'")
    op.create_index(
        "ix_jobs_device_id_project_id_created_id",
        "jobs",
        ["device_id", "project_id", "created", "id"],
        unique=False,
        sqlite_where=where,
        postgresql_where=where,
    )
