# SPDX-License-Identifier: Apache-2.0
"""Reservations: times at which a device is kept for one project; the only writer of their table."""

import secrets
from collections.abc import Collection
from datetime import datetime
from typing import Final, Literal

import msgspec
import sqlalchemy as sa

from chandelier.devices import DeviceId
from chandelier.store import Transaction, database
from chandelier.tenancy.network import ProjectId
from chandelier.tenancy.users import UserId

#: `priority`: the project's jobs go first; `dedicated`: no others run.
Mode = Literal["priority", "dedicated"]

_reservations: Final = sa.Table(
    "reservations",
    database.metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("device_id", sa.ForeignKey("devices.id"), nullable=False),
    sa.Column("project_id", sa.ForeignKey("projects.id"), nullable=False, index=True),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False),
    sa.Column("mode", sa.String(16), nullable=False),
    sa.Column("begins", database.UtcMilliseconds, nullable=False),
    sa.Column("ends", database.UtcMilliseconds, nullable=False),
    sa.Column("created", database.UtcMilliseconds, nullable=False),
    sa.Column("cancelled", database.UtcMilliseconds),
    sa.Index("ix_reservations_device_id_ends", "device_id", "ends"),
)


class Reservation(msgspec.Struct, frozen=True):
    """A time kept for a project.

    Attributes:
        user_id: Who made it.
    """

    id: str
    device_id: DeviceId
    project_id: ProjectId
    user_id: UserId
    mode: Mode
    begins: datetime
    ends: datetime
    created: datetime


_COLUMNS: Final = tuple(_reservations.c[field] for field in Reservation.__struct_fields__)


def add(
    tx: Transaction,
    device_id: DeviceId,
    project_id: ProjectId,
    user_id: UserId,
    mode: Mode,
    begins: datetime,
    ends: datetime,
    now: datetime,
) -> Reservation:
    """Keep a device for a project from `begins` to `ends`."""
    made = Reservation(secrets.token_hex(12), device_id, project_id, user_id, mode, begins, ends, now)
    tx.execute(sa.insert(_reservations), msgspec.structs.asdict(made))
    return made


def list_(
    tx: Transaction,
    *,
    device_id: DeviceId | None = None,
    project_ids: Collection[ProjectId] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Reservation]:
    """Return the reservations that stand, in the order of their beginning.

    Args:
        since: Only those that end after this moment.
        until: Only those that begin before this moment.
    """
    table = _reservations.c
    conditions: list[sa.ColumnElement[bool]] = [table.cancelled.is_(None)]
    if device_id is not None:
        conditions.append(table.device_id == device_id)
    if project_ids is not None:
        conditions.append(table.project_id.in_(sorted(project_ids)))
    if since is not None:
        conditions.append(table.ends > since)
    if until is not None:
        conditions.append(table.begins < until)
    rows = tx.execute(sa.select(*_COLUMNS).where(*conditions).order_by(table.begins, table.id))
    return [Reservation(*row) for row in rows]
