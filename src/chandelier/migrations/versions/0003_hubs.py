# SPDX-License-Identifier: Apache-2.0
"""Hubs that their administrators run: roles at every level, grants with limits, invitations, usage and audit."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NAMES = {"hubs": ("name",), "groups": ("hub_id", "name"), "projects": ("group_id", "name")}
_SUMS = ("executions", "queue_ms", "run_ms", "cost_ms")


def upgrade() -> None:
    """Add what the tables of this release have and those before had not."""
    for table, columns in _NAMES.items():
        name = f"uq_{table}_{'_'.join(columns)}"
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(name, type_="unique")
        there = sa.text("deleted IS NULL")
        op.create_index(name, table, list(columns), unique=True, sqlite_where=there, postgresql_where=there)
    _replace_members()
    _replace_grants()
    _add_tables()
    _fill_usage()


def _replace_members() -> None:
    """Let members have nodes of any level."""
    op.execute("CREATE TABLE old_members AS SELECT * FROM members")
    op.drop_table("members")
    op.create_table(
        "members",
        sa.Column("node_id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("joined", sa.BigInteger(), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_members_user_id")),
        sa.PrimaryKeyConstraint("node_id", "user_id", name=op.f("pk_members")),
    )
    op.create_index(op.f("ix_members_user_id"), "members", ["user_id"], unique=False)
    op.execute(
        "INSERT INTO members (node_id, user_id, level, joined, removed) "
        "SELECT project_id, user_id, 'project', joined, removed FROM old_members"
    )
    op.drop_table("old_members")


def _replace_grants() -> None:
    """Let groups and hubs have devices; all have those of their projects."""
    op.execute("CREATE TABLE old_grants AS SELECT * FROM grants")
    op.drop_table("grants")
    op.create_table(
        "grants",
        sa.Column("node_id", sa.String(length=24), nullable=False),
        sa.Column("device_id", sa.String(length=24), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("max_shots", sa.BigInteger(), nullable=True),
        sa.Column("max_experiments", sa.Integer(), nullable=True),
        sa.Column("open_pulse", sa.Boolean(), nullable=True),
        sa.Column("pulse_qubits", sa.Integer(), nullable=True),
        sa.Column("pulse_channels", sa.Integer(), nullable=True),
        sa.Column("max_running", sa.Integer(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_grants_device_id")),
        sa.PrimaryKeyConstraint("node_id", "device_id", name=op.f("pk_grants")),
    )
    columns = "INSERT INTO grants (node_id, device_id, level, priority, created, withdrawn) "
    op.execute(
        f"{columns} SELECT project_id, device_id, 'project', priority, created, withdrawn FROM old_grants"  # noqa: S608
    )
    above = "FROM old_grants o JOIN projects p ON p.id = o.project_id JOIN groups g ON g.id = p.group_id"
    for level, node in (("group", "g.id"), ("hub", "g.hub_id")):
        op.execute(
            f"{columns} SELECT {node}, o.device_id, '{level}', 1000, MIN(o.created), NULL {above} "
            f"WHERE o.withdrawn IS NULL GROUP BY {node}, o.device_id"
        )
    op.drop_table("old_grants")


def _add_tables() -> None:
    op.create_table(
        "invitations",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("node_id", sa.String(length=24), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
    )
    op.create_index(op.f("ix_invitations_email"), "invitations", ["email"], unique=False)
    op.create_index(op.f("ix_invitations_node_id"), "invitations", ["node_id"], unique=False)
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=255), nullable=False),
        sa.Column("act", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(length=200), nullable=False),
        sa.Column("hub_id", sa.String(length=24), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_hub_id_number", "audit", ["hub_id", "number"], unique=False)
    op.create_table(
        "usage",
        sa.Column("job_id", sa.String(length=24), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("device_id", sa.String(length=24), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _SUMS),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_usage")),
    )
    op.create_index(op.f("ix_usage_ended"), "usage", ["ended"], unique=False)
    op.create_table(
        "usage_days",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("device_id", sa.String(length=24), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("jobs", *_SUMS)),
        sa.PrimaryKeyConstraint("day", "project_id", "user_id", "device_id", name=op.f("pk_usage_days")),
    )


def _fill_usage() -> None:
    """Enter the jobs that ended before there was a ledger."""
    experiments = {
        "sqlite": "COALESCE(json_extract(summary, '$.experiments'), 0)",
        "postgresql": "COALESCE((summary ->> 'experiments')::bigint, 0)",
    }[op.get_bind().dialect.name]
    cost = "CAST(ROUND(CAST(COALESCE(cost, 0) * 1000 AS NUMERIC)) AS BIGINT)"
    op.execute(
        "INSERT INTO usage (job_id, ended, project_id, user_id, device_id, executions, queue_ms, run_ms, cost_ms) "  # noqa: S608
        f"SELECT id, ended, project_id, user_id, device_id, CASE WHEN started IS NULL THEN 0 ELSE {experiments} END, "
        "COALESCE(started, ended) - created, CASE WHEN started IS NULL THEN 0 ELSE ended - started END, "
        f"{cost} FROM jobs WHERE ended IS NOT NULL"
    )
    op.execute(
        "INSERT INTO usage_days (day, project_id, user_id, device_id, jobs, executions, queue_ms, run_ms, cost_ms) "
        "SELECT ended / 86400000, project_id, user_id, device_id, COUNT(*), SUM(executions), SUM(queue_ms), "
        "SUM(run_ms), SUM(cost_ms) FROM usage GROUP BY 1, 2, 3, 4"
    )
