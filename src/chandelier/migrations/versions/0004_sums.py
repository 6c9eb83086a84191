# SPDX-License-Identifier: Apache-2.0
"""Sums of usage over longer times and whole projects, how many jobs ran, and an index for the lists of projects."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KEYS = ("project_id", "user_id", "device_id")
_SUMS = ("jobs", "executions", "queue_ms", "run_ms", "cost_ms", "ran")
#: The days that each table sums up in a row, and its keys.
_TABLES = {
    "usage_months": (32, _KEYS),
    "usage_days": (1, _KEYS),
    "usage_project_months": (32, _KEYS[:1]),
    "usage_project_days": (1, _KEYS[:1]),
}
_DAY_MS = 86_400_000


def upgrade() -> None:
    """Add what the tables of this release have and those before had not; all sums are counted again."""
    for name in ("queue_ms", "run_ms"):
        op.execute(f"UPDATE usage SET {name} = 0 WHERE {name} < 0")  # noqa: S608
    op.drop_table("usage_days")
    for name, (days, keys) in _TABLES.items():
        op.create_table(
            name,
            sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
            *(sa.Column(key, sa.String(length=24), nullable=False) for key in keys),
            *(sa.Column(each, sa.BigInteger(), nullable=False) for each in _SUMS),
            sa.PrimaryKeyConstraint("day", *keys, name=op.f(f"pk_{name}")),
        )
        by = ", ".join(keys)
        op.execute(
            f"INSERT INTO {name} (day, {by}, {', '.join(_SUMS)}) "  # noqa: S608  # of names that are ours
            f"SELECT ended / {days * _DAY_MS} * {days}, {by}, COUNT(*), SUM(executions), SUM(queue_ms), SUM(run_ms), "
            f"SUM(cost_ms), SUM(CASE WHEN run_ms > 0 THEN 1 ELSE 0 END) FROM usage "
            f"GROUP BY ended / {days * _DAY_MS}, {by}"
        )
    there = sa.text("deleted IS NULL")
    columns = ("project_id", "device_id", "state", "created", "id")
    name = "ix_jobs_" + "_".join(columns)
    op.create_index(name, "jobs", list(columns), unique=False, sqlite_where=there, postgresql_where=there)
