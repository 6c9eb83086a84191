# SPDX-License-Identifier: Apache-2.0
"""What who watches many jobs asks for at once: which moved, their states, their rows, their order in a queue."""

import itertools
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from chandelier.devices import DeviceId
from chandelier.jobs import counts, records, tables
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job, JobId
from chandelier.store import Transaction
from chandelier.store.prepared import Prepared
from chandelier.tenancy.network import ProjectId

#: Ids in one statement; a longer list is cut, for databases limit how many parameters a statement may have.
_CHUNK: Final = 500

_AMONG: Final = (
    tables.jobs.c.id.in_(sa.bindparam("ids", expanding=True)),
    tables.jobs.c.deleted.is_(None),
)
_STATES: Final = sa.select(tables.jobs.c.id, tables.jobs.c.state).where(*_AMONG)
_ROWS: Final = sa.select(*records.COLUMNS).where(*_AMONG)
_QUEUE: Final = (
    sa.select(tables.jobs.c.id)
    .where(
        tables.jobs.c.device_id == sa.bindparam("device"),
        tables.jobs.c.project_id == sa.bindparam("project"),
        tables.jobs.c.state == State.QUEUED,
        tables.jobs.c.created <= sa.bindparam("until"),
    )
    .order_by(tables.jobs.c.created, tables.jobs.c.id)
    .limit(counts.COUNTED)
)
_LATEST: Final = Prepared(sa.select(sa.func.max(tables.events.c.number)))
_MOVED: Final = Prepared(
    sa.select(tables.events.c.job_id).where(
        tables.events.c.number > sa.bindparam("after"), tables.events.c.number <= sa.bindparam("until")
    )
)


def latest_move(tx: Transaction) -> int:
    """Return the number of the last move of any job; 0 if there was none."""
    return tx.execute(_LATEST).scalar() or 0


def list_moved(tx: Transaction, after: int, until: int) -> set[str]:
    """Return the ids of the jobs that moved since the move `after`, up to the move `until`.

    Moves are numbered in the order of their commits on SQLite. On PostgreSQL one may be committed after others with
    higher numbers, and so be missed here.
    """
    return {row.job_id for row in tx.execute(_MOVED, {"after": after, "until": until})}


def list_states(tx: Transaction, ids: Iterable[str]) -> dict[str, State]:
    """Return the states of jobs by id; without those that do not exist, or were deleted."""
    return {row.id: State(row.state) for chunk in _chunks(ids) for row in tx.execute(_STATES, {"ids": chunk}).all()}


def list_jobs(tx: Transaction, ids: Iterable[str]) -> list[Job]:
    """Return jobs in no particular order; without those that do not exist, or were deleted."""
    return [job for chunk in _chunks(ids) for job in records.jobs_of(tx, tx.execute(_ROWS, {"ids": chunk}).all())]


def list_queue(tx: Transaction, device_id: DeviceId, project_id: ProjectId, until: datetime) -> list[JobId]:
    """Return the queued jobs of a project on a device, oldest first: those created until a moment, up to `COUNTED`.

    A job's place in it is what `counts.ahead` counts, for a whole queue in one look.
    """
    values = {"device": device_id, "project": project_id, "until": until}
    return [row.id for row in tx.execute(_QUEUE, values)]


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while chunk := list(itertools.islice(rest, _CHUNK)):
        yield chunk
