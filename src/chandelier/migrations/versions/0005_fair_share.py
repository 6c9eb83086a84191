# SPDX-License-Identifier: Apache-2.0
"""Fair share: what everybody has used, and what waits where.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_NUMBERS = ("half_life", "credit", "max_gap", "guard_fraction", "guard_burst")


def upgrade() -> None:
    """Add the tables; a server that starts counts what waits."""
    op.add_column("jobs", sa.Column("run_mode", sa.String(length=16), nullable=True))
    _replace_reservations()
    _add_limits()
    _add_inheritance()
    op.add_column("jobs", sa.Column("previous", sa.String(length=24), nullable=True))
    op.add_column("jobs", sa.Column("occupies", sa.Float(), nullable=True))
    for pace in (
        sa.Column("pace", sa.String(length=8), nullable=False, server_default="fast"),
        sa.Column("overhead", sa.Float(53), nullable=False, server_default="2.0"),
    ):
        op.add_column("devices", pace)
    op.create_table(
        "forecast_errors",
        sa.Column("device_id", sa.String(length=24), nullable=False),
        sa.Column("seconds", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_forecast_errors_device_id")),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_forecast_errors")),
    )
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
        *(sa.Column(name, sa.Float(53), nullable=False) for name in ("seconds", "since", "reached", "budget")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_fair_lanes_device_id")),
        sa.PrimaryKeyConstraint("device_id", "node_id", name=op.f("pk_fair_lanes")),
    )
    op.create_index("ix_fair_lanes_node_id", "fair_lanes", ["node_id"], unique=False)
    for name, columns, condition in (
        ("ix_fair_lanes_device_id_parent_id_key", ["device_id", "parent_id", "key", "since", "node_id"], "queued > 0"),
        ("ix_fair_lanes_device_id_since", ["device_id", "since", "node_id"], "queued > 0 AND level = 3"),
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


def _replace_reservations() -> None:
    """Let hubs and groups have reservations too, and hubs a quota of them."""
    op.execute("CREATE TABLE old_reservations AS SELECT * FROM reservations")
    op.drop_table("reservations")
    op.create_table(
        "reservations",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("device_id", sa.String(length=24), nullable=False),
        sa.Column("hub_id", sa.String(length=24), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("node_id", sa.String(length=24), nullable=False),
        sa.Column("who", sa.String(length=255), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("begins", "ends", "created")),
        sa.Column("over", sa.BigInteger(), nullable=True),
        sa.Column("why", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_reservations_device_id")),
        sa.ForeignKeyConstraint(["hub_id"], ["hubs.id"], name=op.f("fk_reservations_hub_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservations")),
    )
    for columns in (["ends"], ["device_id", "ends"], ["hub_id", "ends"]):
        op.create_index(f"ix_reservations_{'_'.join(columns)}", "reservations", columns, unique=False)
    op.execute(
        "INSERT INTO reservations (id, device_id, hub_id, level, node_id, who, mode, begins, ends, created, over, why) "
        "SELECT r.id, r.device_id, g.hub_id, 'project', r.project_id, u.email, r.mode, r.begins, r.ends, r.created, "
        "r.cancelled, CASE WHEN r.cancelled IS NULL THEN NULL ELSE 'cancelled' END "
        "FROM old_reservations r JOIN projects p ON p.id = r.project_id JOIN groups g ON g.id = p.group_id "
        "JOIN users u ON u.id = r.user_id"
    )
    op.drop_table("old_reservations")
    op.create_table(
        "reservation_quotas",
        sa.Column("hub_id", sa.String(length=24), nullable=False),
        sa.Column("seconds", sa.Float(53), nullable=False),
        sa.ForeignKeyConstraint(["hub_id"], ["hubs.id"], name=op.f("fk_reservation_quotas_hub_id")),
        sa.PrimaryKeyConstraint("hub_id", name=op.f("pk_reservation_quotas")),
    )


def _add_limits() -> None:
    """Add what was learned of run times, limits of device time and of pending jobs, and turns at being checked."""
    op.add_column("jobs", sa.Column("predicted", sa.Float(), nullable=True))
    op.add_column("devices", sa.Column("max_job_seconds", sa.Float(53), nullable=True))
    op.add_column("grants", sa.Column("max_pending", sa.Integer(), nullable=True))
    op.create_table(
        "estimates",
        sa.Column("device_id", sa.String(length=24), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Float(53), nullable=False) for name in ("w", "wx", "wxx", "wy", "wxy", "spread")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_estimates_device_id")),
        sa.PrimaryKeyConstraint("device_id", "kind", name=op.f("pk_estimates")),
    )
    op.create_table(
        "allowances",
        sa.Column("node_id", sa.String(length=24), nullable=False),
        sa.Column("device_id", sa.String(length=24), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("seconds", sa.Float(53), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "device_id", name=op.f("pk_allowances")),
    )
    op.create_table(
        "allowance_days",
        sa.Column("node_id", sa.String(length=24), nullable=False),
        sa.Column("device_id", sa.String(length=24), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "device_id", "day", name=op.f("pk_allowance_days")),
    )
    op.create_table(
        "turns",
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_turns_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_turns")),
    )
    where = sa.text("state = 'VALIDATING'")
    op.create_index(
        "ix_jobs_state_user_id_created_id",
        "jobs",
        ["state", "user_id", "created", "id"],
        unique=False,
        sqlite_where=where,
        postgresql_where=where,
    )


def _add_inheritance() -> None:
    """Let the shares that nobody has set be those of the nodes themselves."""
    op.add_column("grants", sa.Column("inherits", sa.Boolean(), nullable=False, server_default=sa.false()))
    for level in ("hub", "group", "project"):
        own = f'SELECT priority FROM "{level}s" WHERE "{level}s".id = grants.node_id'  # noqa: S608
        op.execute(
            f"UPDATE grants SET inherits = TRUE, priority = ({own}) WHERE level = '{level}' AND priority = 1000"  # noqa: S608
        )
