# SPDX-License-Identifier: Apache-2.0
"""The tables of jobs, for the modules beside this one: `records` alone writes them, `finding` reads them too."""

from typing import Final

import sqlalchemy as sa

from chandelier.store import database


def _partial(condition: str, *columns: str, unique: bool = False) -> sa.Index:
    """Return an index of the jobs that a condition holds for."""
    where = sa.text(condition)
    name = "_".join(("uq" if unique else "ix", "jobs", *columns))
    return sa.Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


jobs: Final = sa.Table(
    "jobs",
    database.metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("created", database.UtcMilliseconds, nullable=False),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False),
    sa.Column("project_id", sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("device_id", sa.ForeignKey("devices.id"), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("state", sa.String(24), nullable=False),
    sa.Column("previous", sa.String(24)),
    sa.Column("name", sa.String(500)),
    sa.Column("share_level", sa.String(16)),
    sa.Column("experiment_tag", sa.String(500)),
    sa.Column("live_data", sa.Boolean, nullable=False),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("client", sa.JSON),
    sa.Column("code_id", sa.ForeignKey("codes.id")),
    sa.Column("shots", sa.BigInteger),
    sa.Column("input_bytes", sa.BigInteger),
    sa.Column("output_bytes", sa.BigInteger),
    sa.Column("summary", sa.JSON),
    sa.Column("estimate", sa.Float),
    sa.Column("predicted", sa.Float),
    sa.Column("calibration", sa.String(64), nullable=False),
    sa.Column("started", database.UtcMilliseconds),
    sa.Column("ended", database.UtcMilliseconds),
    sa.Column("seconds", sa.Float),
    sa.Column("cost", sa.Float),
    sa.Column("occupies", sa.Float),
    sa.Column("run_mode", sa.String(16)),
    sa.Column("result", sa.String(24)),
    sa.Column("error_code", sa.Integer),
    sa.Column("error_message", sa.Text),
    sa.Column("claims", sa.Integer, nullable=False),
    sa.Column("deaths", sa.Integer, nullable=False),
    sa.Column("deleted", database.UtcMilliseconds),
    sa.Column("purged", database.UtcMilliseconds),
    sa.Column("program", sa.String(32)),
    sa.Column("session_id", sa.String(24)),
    sa.Column("most_seconds", sa.Float),
    sa.Column("private", sa.Boolean, nullable=False),
    sa.Column("pinned", sa.Boolean, nullable=False),
    sa.Index("ix_jobs_state_created_id", "state", "created", "id"),
    sa.Index("ix_jobs_device_id_state_created_id", "device_id", "state", "created", "id"),
    # Lists are read from these; without deleted jobs, so that no list has to read past them. Clients page through a
    # user's jobs by creation time alone, so it is unique: protocol 8.
    _partial("deleted IS NULL", "user_id", "created", unique=True),
    _partial("deleted IS NULL", "project_id", "created", "id"),
    _partial("deleted IS NULL", "project_id", "device_id", "state", "created", "id"),
    _partial("deleted IS NULL", "user_id", "state", "project_id", "created"),
    _partial("deleted IS NULL", "user_id", "device_id", "state", "project_id", "created"),
    # Where the next job of a project is found, and its place in line. The condition is written into the queries.
    _partial("state = 'QUEUED'", "device_id", "project_id", "created", "id"),
    # Where the next job of a user is found that waits to be checked.
    _partial("state = 'VALIDATING'", "state", "user_id", "created", "id"),
    _partial("code_id IS NOT NULL", "code_id", "created"),
    _partial("session_id IS NOT NULL", "session_id", "created"),
    # What decides whether a session keeps its device: its first start, its last end, its first job that waits.
    _partial("session_id IS NOT NULL", "session_id", "started"),
    _partial("session_id IS NOT NULL", "session_id", "ended", "created"),
    _partial("deleted IS NOT NULL AND purged IS NULL", "deleted"),
)

tags: Final = sa.Table(
    "job_tags",
    database.metadata,
    sa.Column("job_id", sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("tag", sa.String(500), nullable=False),
    # Copies of the job's: they never change, and lists by tag are read in their order.
    sa.Column("user_id", sa.String(24), nullable=False),
    sa.Column("created", database.UtcMilliseconds, nullable=False),
    sa.Index("ix_job_tags_user_id_tag_created", "user_id", "tag", "created"),
)

events: Final = sa.Table(
    "job_events",
    database.metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("job_id", sa.ForeignKey("jobs.id"), nullable=False, index=True),
    sa.Column("state", sa.String(24), nullable=False),
    sa.Column("at", database.UtcMilliseconds, nullable=False),
)
