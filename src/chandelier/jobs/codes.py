# SPDX-License-Identifier: Apache-2.0
"""Codes: OpenQASM texts under a name, which clients of 2017 run and look up again."""

from typing import Final

import sqlalchemy as sa

from chandelier.store import database

_codes: Final = sa.Table(
    "codes",
    database.metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False),
    sa.Column("name", sa.String(500), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("created", database.UtcMilliseconds, nullable=False),
    sa.Index("ix_codes_user_id_created", "user_id", "created"),
)
