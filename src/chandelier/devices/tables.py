# SPDX-License-Identifier: Apache-2.0
"""The tables of devices, for the modules beside this one."""

from typing import Final

import sqlalchemy as sa

from chandelier.store import database

devices: Final = sa.Table(
    "devices",
    database.metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("name", sa.String(100), nullable=False, unique=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("version", sa.String(20), nullable=False),
    sa.Column("simulator", sa.Boolean, nullable=False),
    sa.Column("qubits", sa.Integer, nullable=False),
    sa.Column("max_shots", sa.Integer, nullable=False),
    sa.Column("max_experiments", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("message", sa.String(500), nullable=False),
    sa.Column("pace", sa.String(8), nullable=False),
    sa.Column("overhead", sa.Float(53), nullable=False),
    sa.Column("max_job_seconds", sa.Float(53)),
    sa.Column("created", database.UtcMilliseconds, nullable=False),
    sa.Column("calibration", sa.String(64), nullable=False),
    sa.Column("snapshot", sa.String(64), nullable=False),
    sa.Column("drift", sa.Boolean, nullable=False),
    sa.Column("begun", database.UtcMilliseconds),
    sa.Column("due", database.UtcMilliseconds),
    sa.Column("tuning", sa.String(64)),
    sa.Column("calibrator", sa.String(24)),
    sa.Column("held", database.UtcMilliseconds),
    sa.Column("calibrating", database.UtcMilliseconds),
    sa.Column("progress", sa.String(100), nullable=False),
)

calibrations: Final = sa.Table(
    "calibrations",
    database.metadata,
    sa.Column("device_id", sa.ForeignKey("devices.id"), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("taken", database.UtcMilliseconds, nullable=False),
    sa.Column("created", database.UtcMilliseconds, nullable=False),
)
