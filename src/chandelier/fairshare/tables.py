# SPDX-License-Identifier: Apache-2.0
"""The tables of fair share: `accounts` alone writes them, `standing` reads them too."""

from typing import Final

import sqlalchemy as sa

from chandelier.fairshare.rules import Rules
from chandelier.store import database

rules: Final = sa.Table(
    "fair_rules",
    database.metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    *(sa.Column(name, sa.Float(53), nullable=False) for name in Rules.__struct_fields__),
)
accounts: Final = sa.Table(
    "fair_accounts",
    database.metadata,
    sa.Column("pool", sa.String(16), primary_key=True),
    sa.Column("node_id", sa.String(24), primary_key=True),
    sa.Column("weight", sa.Float(53), nullable=False),
    sa.Column("value", sa.Float(53), nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
)
#: The work of a node on a device; a device's pool is the node at the top, of level 0.
lanes: Final = sa.Table(
    "fair_lanes",
    database.metadata,
    sa.Column("device_id", sa.ForeignKey("devices.id"), primary_key=True),
    sa.Column("node_id", sa.String(24), primary_key=True),
    sa.Column("pool", sa.String(16), nullable=False),
    sa.Column("parent_id", sa.String(24), nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("weight", sa.Float(53), nullable=False),
    sa.Column("key", sa.Float(53), nullable=False),
    sa.Column("queued", sa.Integer, nullable=False),
    sa.Column("seconds", sa.Float(53), nullable=False),
    sa.Column("since", sa.Float(53), nullable=False),
    sa.Column("reached", sa.Float(53), nullable=False),
    sa.Column("budget", sa.Float(53), nullable=False),
    sa.Index("ix_fair_lanes_node_id", "node_id"),
    sa.Index(
        "ix_fair_lanes_device_id_parent_id_key",
        "device_id",
        "parent_id",
        "key",
        "since",
        "node_id",
        sqlite_where=sa.text("queued > 0"),
        postgresql_where=sa.text("queued > 0"),
    ),
    sa.Index(
        "ix_fair_lanes_device_id_since",
        "device_id",
        "since",
        "node_id",
        sqlite_where=sa.text("queued > 0 AND level = 3"),
        postgresql_where=sa.text("queued > 0 AND level = 3"),
    ),
)
