# SPDX-License-Identifier: Apache-2.0
"""How many jobs there are of which kind; each is answered from an index."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

import sqlalchemy as sa

from chandelier.devices import DeviceId
from chandelier.fairshare.standing import Work
from chandelier.jobs import lifecycle, tables
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.store import Transaction, database
from chandelier.store.prepared import Prepared
from chandelier.tenancy.network import ProjectId
from chandelier.tenancy.users import UserId

#: No poll counts further than this: a long queue must not make each look at it slow.
COUNTED: Final = 2000

_ON_DEVICE: Final = tables.jobs.c.device_id == sa.bindparam("device")


def _counting(*conditions: sa.ColumnElement[bool]) -> sa.Select[int]:
    """Return the statement that counts jobs up to `:most`."""
    first = (
        sa.select(sa.literal(1))
        .select_from(tables.jobs)
        .where(*conditions)
        .limit(sa.bindparam("most", type_=sa.Integer))
    )
    return sa.select(sa.func.count()).select_from(first.subquery())


_EARLIER: Final = sa.tuple_(tables.jobs.c.created, tables.jobs.c.id) < sa.tuple_(
    sa.bindparam("created", type_=database.UtcMilliseconds()), sa.bindparam("job", type_=sa.String())
)
_ACTIVE_OF: Final = Prepared(
    sa.select(sa.func.count()).where(
        _ON_DEVICE,
        tables.jobs.c.user_id == sa.bindparam("user"),
        tables.jobs.c.state.in_(sorted(lifecycle.ACTIVE)),
        tables.jobs.c.deleted.is_(None),
    )
)
_OF_PROJECTS: Final = Prepared(
    sa.select(sa.func.count()).where(
        _ON_DEVICE,
        tables.jobs.c.state.in_(sa.bindparam("states", expanding=True)),
        tables.jobs.c.project_id.in_(sa.bindparam("projects", expanding=True)),
        tables.jobs.c.deleted.is_(None),
    )
)
_WAITING: Final = Prepared(_counting(_ON_DEVICE, tables.jobs.c.state.in_(sorted(lifecycle.ACTIVE - {State.CREATING}))))
_AHEAD: Final = Prepared(
    _counting(
        _ON_DEVICE,
        tables.jobs.c.state == State.QUEUED,
        tables.jobs.c.project_id == sa.bindparam("project"),
        _EARLIER,
    )
)


def active(tx: Transaction, device_id: DeviceId, user_id: UserId) -> int:
    """Count the jobs of a user on a device that are not final."""
    return int(tx.execute(_ACTIVE_OF, {"device": device_id, "user": user_id}).scalar_one())


def of_projects(
    tx: Transaction, device_id: DeviceId, project_ids: Collection[ProjectId], states: Collection[State]
) -> int:
    """Count the jobs of some projects on a device in some states."""
    values = {"device": device_id, "projects": sorted(project_ids), "states": sorted(states)}
    return int(tx.execute(_OF_PROJECTS, values).scalar_one())


def by_user(tx: Transaction, state: State, among: sa.Select[tuple[str]]) -> Counter[UserId]:
    """Count the jobs in a state by user, of few jobs: a sub-select of ids, built once."""
    # The state is looked at here, lest the database look for the few among all in this state.
    query = sa.select(tables.jobs.c.user_id, tables.jobs.c.state).where(tables.jobs.c.id.in_(among))
    return Counter(UserId(row.user_id) for row in tx.execute(query) if row.state == state)


def queued(tx: Transaction) -> dict[tuple[DeviceId, ProjectId], Work]:
    """Count what waits, by device and project."""
    columns = (tables.jobs.c.device_id, tables.jobs.c.project_id)
    sums = (sa.func.count(), sa.func.coalesce(sa.func.sum(tables.jobs.c.estimate), 0.0))
    query = sa.select(*columns, *sums).where(tables.jobs.c.state == State.QUEUED).group_by(*columns)
    return {(row[0], row[1]): Work(int(row[2]), float(row[3])) for row in tx.execute(query)}


def running(tx: Transaction) -> dict[tuple[str, str], int]:
    """Count the jobs that run, by device and project."""
    columns = (tables.jobs.c.device_id, tables.jobs.c.project_id)
    query = sa.select(*columns, sa.func.count()).where(tables.jobs.c.state == State.RUNNING).group_by(*columns)
    return {(row[0], row[1]): int(row[2]) for row in tx.execute(query)}


def seconds_running(tx: Transaction) -> dict[tuple[str, str], float]:
    """Return what the jobs that run are expected to take together, s, by device and project."""
    columns = (tables.jobs.c.device_id, tables.jobs.c.project_id)
    seconds = sa.func.coalesce(sa.func.sum(tables.jobs.c.estimate), 0.0)
    query = sa.select(*columns, seconds).where(tables.jobs.c.state == State.RUNNING).group_by(*columns)
    return {(row[0], row[1]): float(row[2]) for row in tx.execute(query)}


def unfinished(tx: Transaction) -> dict[tuple[str, str], dict[State, int]]:
    """Count the jobs that were handed over and have not ended, by device and project, and by state."""
    columns = (tables.jobs.c.device_id, tables.jobs.c.project_id, tables.jobs.c.state)
    handed_over = tables.jobs.c.state.in_(sorted(lifecycle.ACTIVE - {State.CREATING}))
    found: dict[tuple[str, str], dict[State, int]] = {}
    for device_id, project_id, state, count in tx.execute(
        sa.select(*columns, sa.func.count()).where(handed_over).group_by(*columns)
    ):
        found.setdefault((device_id, project_id), {})[State(state)] = int(count)
    return found


def waiting(tx: Transaction, device_id: DeviceId) -> int:
    """Count the jobs of a device that were handed over and have not ended, up to `COUNTED`."""
    return int(tx.execute(_WAITING, {"device": device_id, "most": COUNTED}).scalar_one())


def ahead(tx: Transaction, job: Job) -> int | None:
    """Count the queued jobs of the same project and device that were created before; None if `COUNTED` or more."""
    values = {"device": job.device_id, "project": job.project_id, "most": COUNTED}
    values |= {"created": job.created, "job": job.id}
    count = int(tx.execute(_AHEAD, values).scalar_one())
    return count if count < COUNTED else None


def by_state(tx: Transaction) -> Mapping[str, int]:
    """Count the jobs that are not final, by state; answered from an index."""
    query = sa.select(tables.jobs.c.state, sa.func.count()).where(tables.jobs.c.state.in_(lifecycle.ACTIVE))
    return {row[0]: row[1] for row in tx.execute(query.group_by(tables.jobs.c.state))}
