# SPDX-License-Identifier: Apache-2.0
"""The ledger of usage: one entry for each job that ended, and their sums by day; the only writer of both.

An entry is written in the transaction that ends the job, so the ledger is exact. Sums over long times are read from
the days, and only the hours at both ends from the entries.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from chandelier.devices import DeviceId
from chandelier.store import Transaction, database
from chandelier.tenancy.network import ProjectId
from chandelier.tenancy.users import UserId

_DAY: Final = timedelta(days=1)
_SUMS: Final = ("jobs", "executions", "queue_ms", "run_ms", "cost_ms")
_KEYS: Final = ("project_id", "user_id", "device_id")

_entries: Final = sa.Table(
    "usage",
    database.metadata,
    sa.Column("job_id", sa.String(24), primary_key=True),
    sa.Column("ended", database.UtcMilliseconds, nullable=False, index=True),
    sa.Column("project_id", sa.String(24), nullable=False),
    sa.Column("user_id", sa.String(24), nullable=False),
    sa.Column("device_id", sa.String(24), nullable=False),
    *(sa.Column(name, sa.BigInteger, nullable=False) for name in _SUMS[1:]),
)
_days: Final = sa.Table(
    "usage_days",
    database.metadata,
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    *(sa.Column(name, sa.String(24), primary_key=True) for name in _KEYS),
    *(sa.Column(name, sa.BigInteger, nullable=False) for name in _SUMS),
)


class Entry(msgspec.Struct, frozen=True):
    """What one job used.

    Attributes:
        executions: Experiments that were run.
        queue_ms: Time from the job's creation to the beginning of its run, or to its end if it never ran, ms.
        run_ms: Time from the beginning of the run to the end of the job, ms; 0 if it never ran.
        cost_ms: Device time charged, ms.
    """

    job_id: str
    ended: datetime
    project_id: ProjectId
    user_id: UserId
    device_id: DeviceId
    executions: int
    queue_ms: int
    run_ms: int
    cost_ms: int


class Sums(msgspec.Struct, frozen=True):
    """What some jobs used together."""

    jobs: int = 0
    executions: int = 0
    queue_ms: int = 0
    run_ms: int = 0
    cost_ms: int = 0


class Selection(msgspec.Struct, frozen=True):
    """Which jobs count; every condition narrows, absent ones do not.

    Attributes:
        since: Jobs that ended at this moment or later.
        until: Jobs that ended before this moment.
    """

    since: datetime | None = None
    until: datetime | None = None
    project_ids: Collection[ProjectId] | None = None
    user_ids: Collection[str] | None = None
    device_ids: Collection[str] | None = None


def record(tx: Transaction, entry: Entry) -> None:
    """Write what a job used; a second entry for the same job changes nothing."""
    row = msgspec.structs.asdict(entry)
    if not database.insert_if_absent(tx, _entries, row):
        return
    key = {"day": _day(entry.ended)} | {name: row[name] for name in _KEYS}
    sums = {"jobs": 1} | {name: row[name] for name in _SUMS[1:]}
    while True:
        where = [_days.c[name] == value for name, value in key.items()]
        more = {name: _days.c[name] + value for name, value in sums.items()}
        if tx.execute(sa.update(_days).where(*where).values(**more)).rowcount == 1:
            return
        if database.insert_if_absent(tx, _days, key | sums):
            return


def total(tx: Transaction, selection: Selection) -> Sums:
    """Return the sums over all jobs of a selection."""
    return by(tx, selection, ()).get((), Sums())


def by(tx: Transaction, selection: Selection, columns: tuple[str, ...]) -> dict[tuple[Any, ...], Sums]:
    """Return the sums by some of `day`, `project_id`, `user_id` and `device_id`; days are numbered from 1970-01-01."""
    found: dict[tuple[Any, ...], Sums] = {}
    for table, low, high in _parts(selection):
        for row in tx.execute(_summing(table, low, high, selection, columns)):
            key, sums = tuple(row[: len(columns)]), Sums(*(int(value or 0) for value in row[len(columns) :]))
            if sums.jobs:
                found[key] = plus(found.get(key, Sums()), sums)
    return found


def last_ended(
    tx: Transaction, device_id: DeviceId, project_ids: Collection[ProjectId], since: datetime
) -> datetime | None:
    """Return when the last job of some projects on a device ended, if one did since a moment."""
    columns = _entries.c
    where = (columns.ended >= since, columns.device_id == device_id, columns.project_id.in_(sorted(project_ids)))
    return tx.execute(sa.select(sa.func.max(columns.ended, type_=database.UtcMilliseconds())).where(*where)).scalar()


def plus(one: Sums, two: Sums) -> Sums:
    """Return what two sums come to together."""
    return Sums(*(getattr(one, name) + getattr(two, name) for name in _SUMS))


def _parts(selection: Selection) -> list[tuple[sa.Table, int | None, int | None]]:
    """Return which table answers for which part of the time: whole days, and what sticks out at both ends.

    Bounds are milliseconds since 1970 for entries and days since 1970 for days; the upper one is not included.
    """
    day_ms = _DAY // timedelta(milliseconds=1)
    since = None if selection.since is None else database.to_milliseconds(selection.since)
    until = None if selection.until is None else database.to_milliseconds(selection.until)
    first = None if since is None else -(-since // day_ms)
    last = None if until is None else until // day_ms
    if first is not None and last is not None and first >= last:
        return [(_entries, since, until)]
    parts: list[tuple[sa.Table, int | None, int | None]] = [(_days, first, last)]
    if since is not None and first is not None and since < first * day_ms:
        parts.append((_entries, since, first * day_ms))
    if until is not None and last is not None and last * day_ms < until:
        parts.append((_entries, last * day_ms, until))
    return parts


def _summing(
    table: sa.Table, low: int | None, high: int | None, selection: Selection, columns: tuple[str, ...]
) -> sa.Select[Any]:
    moment = table.c.day if table is _days else sa.type_coerce(table.c.ended, sa.BigInteger)
    day = table.c.day if table is _days else moment / sa.literal(_DAY // timedelta(milliseconds=1), sa.BigInteger)
    if table is _entries:
        day = sa.cast(sa.func.floor(day), sa.Integer)
    keys: Mapping[str, Any] = {"day": day} | {name: table.c[name] for name in _KEYS}
    jobs = sa.func.sum(table.c.jobs) if table is _days else sa.func.count()
    sums = [jobs, *(sa.func.sum(table.c[name]) for name in _SUMS[1:])]
    query = sa.select(*(keys[name] for name in columns), *sums)
    if low is not None:
        query = query.where(moment >= low)
    if high is not None:
        query = query.where(moment < high)
    among = ((table.c.project_id, selection.project_ids), (table.c.user_id, selection.user_ids))
    for column, values in (*among, (table.c.device_id, selection.device_ids)):
        if values is not None:
            query = query.where(column.in_(sorted(values)))
    return query.group_by(*(keys[name] for name in columns)) if columns else query


def _day(moment: datetime) -> int:
    return database.to_milliseconds(moment) // (_DAY // timedelta(milliseconds=1))
