# SPDX-License-Identifier: Apache-2.0
"""Creation times by user, lists that stay fast, codes, clients, reservations, and deletion in two steps."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_DROPPED = (
    "ix_jobs_device_id_state_created",
    "ix_jobs_project_id_created",
    "ix_jobs_state_created",
    "ix_jobs_user_id_created",
    "ix_jobs_user_id_state_created",
)
_INDEXES = (
    (("state", "created", "id"), None),
    (("device_id", "state", "created", "id"), None),
    (("project_id", "created", "id"), "deleted IS NULL"),
    (("user_id", "state", "project_id", "created"), "deleted IS NULL"),
    (("user_id", "device_id", "state", "project_id", "created"), "deleted IS NULL"),
    (("code_id", "created"), "code_id IS NOT NULL"),
    (("deleted",), "deleted IS NOT NULL AND purged IS NULL"),
)


def upgrade() -> None:
    """Add what the tables of this release have and those of the first had not."""
    _add_tables()
    for name in _DROPPED:
        op.drop_index(name, table_name="jobs")
    with op.batch_alter_table("jobs") as batch:
        batch.add_column(sa.Column("client", sa.JSON(), nullable=True))
        batch.add_column(sa.Column("code_id", sa.String(length=24), nullable=True))
        batch.add_column(sa.Column("purged", sa.BigInteger(), nullable=True))
        batch.create_foreign_key(op.f("fk_jobs_code_id"), "codes", ["code_id"], ["id"])
        batch.drop_constraint("uq_jobs_created", type_="unique")
    for columns, condition in _INDEXES:
        where = None if condition is None else sa.text(condition)
        name = "ix_jobs_" + "_".join(columns)
        op.create_index(name, "jobs", list(columns), unique=False, sqlite_where=where, postgresql_where=where)
    there = sa.text("deleted IS NULL")
    one = "uq_jobs_user_id_created"
    op.create_index(one, "jobs", ["user_id", "created"], unique=True, sqlite_where=there, postgresql_where=there)
    # Until now the objects of a job were removed with it.
    op.execute("UPDATE jobs SET purged = deleted WHERE deleted IS NOT NULL")
    _copy_to_tags()
    op.drop_table("job_clock")


def _add_tables() -> None:
    op.create_table(
        "codes",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_codes_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_codes")),
    )
    op.create_index("ix_codes_user_id_created", "codes", ["user_id", "created"], unique=False)
    op.create_table(
        "reservations",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("device_id", sa.String(length=24), nullable=False),
        sa.Column("project_id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("begins", sa.BigInteger(), nullable=False),
        sa.Column("ends", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("cancelled", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_reservations_device_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_reservations_project_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_reservations_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservations")),
    )
    op.create_index("ix_reservations_device_id_ends", "reservations", ["device_id", "ends"], unique=False)
    op.create_index(op.f("ix_reservations_project_id"), "reservations", ["project_id"], unique=False)


def _copy_to_tags() -> None:
    """Give each tag its job's user and creation time."""
    op.drop_index("ix_job_tags_tag", table_name="job_tags")
    with op.batch_alter_table("job_tags") as batch:
        batch.add_column(sa.Column("user_id", sa.String(length=24), nullable=True))
        batch.add_column(sa.Column("created", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE job_tags SET user_id = (SELECT user_id FROM jobs WHERE jobs.id = job_tags.job_id), "
        "created = (SELECT created FROM jobs WHERE jobs.id = job_tags.job_id)"
    )
    with op.batch_alter_table("job_tags") as batch:
        batch.alter_column("user_id", nullable=False)
        batch.alter_column("created", nullable=False)
    op.create_index("ix_job_tags_user_id_tag_created", "job_tags", ["user_id", "tag", "created"], unique=False)
