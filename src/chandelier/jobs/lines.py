# SPDX-License-Identifier: Apache-2.0
"""The lines in which jobs wait for a device, read from the front a part at a time, and the jobs that run."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec
import sqlalchemy as sa

from chandelier.devices import DeviceId
from chandelier.jobs import tables
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import JobId
from chandelier.store import Transaction, database
from chandelier.tenancy.network import ProjectId

#: Ids in one statement; a longer list is cut, for databases limit how many parameters a statement may have.
_CHUNK: Final = 500


class Waiting(msgspec.Struct, frozen=True):
    """A job that waits for its device.

    Attributes:
        estimate: Device time that it is expected to take, s.
    """

    id: JobId
    created: datetime
    estimate: float


class Running(msgspec.Struct, frozen=True):
    """A job that runs.

    Attributes:
        estimate: Device time that it is expected to take since it started, s.
    """

    id: JobId
    device_id: DeviceId
    project_id: ProjectId
    started: datetime
    estimate: float


_ESTIMATE: Final = sa.func.coalesce(tables.jobs.c.estimate, 0.0)
_FIRST: Final = (
    sa.select(tables.jobs.c.id, tables.jobs.c.created, _ESTIMATE)
    .where(
        tables.jobs.c.device_id == sa.bindparam("device"),
        tables.jobs.c.project_id == sa.bindparam("project"),
        # As text, so that the index of what waits is used.
        tables.jobs.c.state == sa.literal_column(f"'{State.QUEUED}'"),
    )
    .order_by(tables.jobs.c.created, tables.jobs.c.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
)
_NEXT: Final = _FIRST.where(
    sa.tuple_(tables.jobs.c.created, tables.jobs.c.id)
    > sa.tuple_(
        sa.bindparam("created", type_=database.UtcMilliseconds()),
        sa.bindparam("after", type_=sa.String()),
    )
)
_RUNNING: Final = (
    sa.select(
        tables.jobs.c.id,
        tables.jobs.c.device_id,
        tables.jobs.c.project_id,
        sa.func.coalesce(tables.jobs.c.started, tables.jobs.c.created, type_=database.UtcMilliseconds()),
        sa.func.coalesce(tables.jobs.c.occupies, tables.jobs.c.estimate, 0.0),
    )
    .where(tables.jobs.c.state == State.RUNNING)
    .order_by(tables.jobs.c.started, tables.jobs.c.id)
)
_STARTS: Final = sa.select(tables.jobs.c.id, tables.jobs.c.started).where(
    tables.jobs.c.id.in_(sa.bindparam("ids", expanding=True)), tables.jobs.c.started.is_not(None)
)


def list_waiting(
    tx: Transaction, device_id: str, project_id: str, most: int, *, after: Waiting | None = None
) -> list[Waiting]:
    """Return up to `most` queued jobs of a project on a device, the oldest first.

    Args:
        after: Only those behind this one.
    """
    values = {"device": device_id, "project": project_id, "most": most}
    if after is None:
        return [Waiting(*row) for row in tx.execute(_FIRST, values)]
    return [Waiting(*row) for row in tx.execute(_NEXT, values | {"created": after.created, "after": after.id})]


def list_running(tx: Transaction) -> list[Running]:
    """Return the jobs that run, on any device, in the order in which they began."""
    return [Running(*row) for row in tx.execute(_RUNNING)]


def starts(tx: Transaction, ids: Iterable[str]) -> dict[str, datetime]:
    """Return when jobs began; without those that have not."""
    found: dict[str, datetime] = {}
    for chunk in _chunks(list(ids)):
        found |= {row.id: row.started for row in tx.execute(_STARTS, {"ids": chunk})}
    return found


def _chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))
