# SPDX-License-Identifier: Apache-2.0
"""Devices that drift and are calibrated, and jobs with a calibration of their submitter's choice.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let devices drift; those that are there stay as they are until they are told to."""
    for column in (
        sa.Column("snapshot", sa.String(length=64), nullable=False, server_default=""),
        sa.Column("tuning", sa.String(length=64), nullable=True),
        sa.Column("calibrator", sa.String(length=24), nullable=True),
        sa.Column("progress", sa.String(length=100), nullable=False, server_default=""),
    ):
        op.add_column("devices", column)
    op.add_column("devices", sa.Column("drift", sa.Boolean(), nullable=False, server_default=sa.false()))
    for name in ("begun", "due", "held", "calibrating"):
        op.add_column("devices", sa.Column(name, sa.BigInteger(), nullable=True))
    op.execute("UPDATE devices SET snapshot = calibration")
    # A job of the Runtime API whose calibration was not its device's at the time of this change may have been given
    # one; of the others nobody can tell, and they have the one that they run with.
    op.add_column("jobs", sa.Column("pinned", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(
        "UPDATE jobs SET pinned = TRUE WHERE program IS NOT NULL AND ended IS NULL AND calibration <> "
        "(SELECT calibration FROM devices WHERE devices.id = jobs.device_id)"
    )
