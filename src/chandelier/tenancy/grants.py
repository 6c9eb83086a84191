# SPDX-License-Identifier: Apache-2.0
"""Which project may use which device, and with what share; the only writer of this table."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec
import sqlalchemy as sa

from chandelier.devices import DeviceId
from chandelier.store import Transaction, database
from chandelier.tenancy.network import ProjectId

_DEFAULT_PRIORITY: Final = 1000

_grants: Final = sa.Table(
    "grants",
    database.metadata,
    sa.Column("project_id", sa.ForeignKey("projects.id"), primary_key=True),
    sa.Column("device_id", sa.ForeignKey("devices.id"), primary_key=True),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("created", database.UtcMilliseconds, nullable=False),
    sa.Column("withdrawn", database.UtcMilliseconds),
)

# Built once, because each submission runs it.
_STANDS: Final = sa.select(_grants.c.priority).where(
    _grants.c.project_id == sa.bindparam("project"),
    _grants.c.device_id == sa.bindparam("device"),
    _grants.c.withdrawn.is_(None),
)


class Grant(msgspec.Struct, frozen=True):
    """A project's right to a device.

    Attributes:
        priority: The share's weight among the grants of this device.
    """

    project_id: ProjectId
    device_id: DeviceId
    priority: int


def allow(tx: Transaction, project_id: ProjectId, device_ids: Iterable[DeviceId], now: datetime) -> None:
    """Grant devices to a project; grants that exist, withdrawn ones too, stay as they are."""
    for device_id in device_ids:
        row = {
            "project_id": project_id,
            "device_id": device_id,
            "priority": _DEFAULT_PRIORITY,
            "created": now,
            "withdrawn": None,
        }
        database.insert_if_absent(tx, _grants, row)


def stands(tx: Transaction, project_id: ProjectId, device_id: DeviceId) -> bool:
    """Tell whether a project may use a device."""
    return tx.execute(_STANDS, {"project": project_id, "device": device_id}).first() is not None


def of_projects(tx: Transaction, project_ids: Iterable[ProjectId]) -> list[Grant]:
    """Return the grants of some projects."""
    query = sa.select(_grants.c.project_id, _grants.c.device_id, _grants.c.priority)
    mine = _grants.c.project_id.in_(list(project_ids))
    return [Grant(*row) for row in tx.execute(query.where(mine, _grants.c.withdrawn.is_(None)))]
