# SPDX-License-Identifier: Apache-2.0
"""The ledger of usage: one entry for each job that ended, and sums of them that are kept; the only writer of both.

An entry and what it adds to the sums are written in the transaction that ends the job, so the ledger is exact. A time
is read from the longest spans that fit into it, its ends from shorter ones, and only the hours that are left from the
entries.
"""

import functools
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from chandelier.devices import DeviceId
from chandelier.store import Transaction, database
from chandelier.store.prepared import Prepared
from chandelier.tenancy.network import ProjectId
from chandelier.tenancy.users import UserId

_DAY_MS: Final = timedelta(days=1) // timedelta(milliseconds=1)
_AMOUNTS: Final = ("executions", "queue_ms", "run_ms", "cost_ms")
_SUMS: Final = ("jobs", *_AMOUNTS, "ran")
_KEYS: Final = ("project_id", "user_id", "device_id")

_entries: Final = sa.Table(
    "usage",
    database.metadata,
    sa.Column("job_id", sa.String(24), primary_key=True),
    sa.Column("ended", database.UtcMilliseconds, nullable=False, index=True),
    *(sa.Column(name, sa.String(24), nullable=False) for name in _KEYS),
    *(sa.Column(name, sa.BigInteger, nullable=False) for name in _AMOUNTS),
)


def _by(*keys: str) -> list[sa.Column[Any]]:
    """Return the columns of sums by some keys; `day` is the first one of the span, counted from 1970-01-01."""
    return [
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(key, sa.String(24), primary_key=True) for key in keys),
        *(sa.Column(each, sa.BigInteger, nullable=False) for each in _SUMS),
    ]


_months: Final = sa.Table("usage_months", database.metadata, *_by(*_KEYS))
_days: Final = sa.Table("usage_days", database.metadata, *_by(*_KEYS))
#: The same for all users and devices together, of which there are far fewer.
_project_months: Final = sa.Table("usage_project_months", database.metadata, *_by("project_id"))
_project_days: Final = sa.Table("usage_project_days", database.metadata, *_by("project_id"))
#: How many days each table sums up; all that are called months are as long.
_SPANS: Final[Mapping[sa.Table, int]] = {_months: 32, _days: 1, _project_months: 32, _project_days: 1}


class Entry(msgspec.Struct, frozen=True):
    """What one job used.

    Attributes:
        executions: Experiments that ran to their end.
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
    """What some jobs used together.

    Attributes:
        ran: How many of the jobs ran, for at least a millisecond.
    """

    jobs: int = 0
    executions: int = 0
    queue_ms: int = 0
    run_ms: int = 0
    cost_ms: int = 0
    ran: int = 0

    @property
    def average_run_ms(self) -> float:
        """How long a job ran, of those that did."""
        return self.run_ms / max(1, self.ran)

    @property
    def average_queue_ms(self) -> float:
        """How long a job waited, those that never ran included."""
        return self.queue_ms / max(1, self.jobs)


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
    day = database.to_milliseconds(entry.ended) // _DAY_MS
    sums = {"jobs": 1, "ran": int(entry.run_ms > 0)} | {name: row[name] for name in _AMOUNTS}
    for table, days in _SPANS.items():
        keys = {"day": day - day % days} | {name: row[name] for name in _KEYS if name in table.c}
        more = {f"in_{name}": value for name, value in keys.items()} | {f"more_{name}": sums[name] for name in _SUMS}
        while tx.execute(_adding(table), more).rowcount != 1 and not database.insert_if_absent(tx, table, keys | sums):
            pass  # another transaction inserted it in between


def total(tx: Transaction, selection: Selection) -> Sums:
    """Return the sums over all jobs of a selection."""
    return by(tx, selection, ()).get((), Sums())


def by(tx: Transaction, selection: Selection, columns: tuple[str, ...]) -> dict[tuple[Any, ...], Sums]:
    """Return the sums by some of `day`, `project_id`, `user_id` and `device_id`; days are numbered from 1970-01-01."""
    found: dict[tuple[Any, ...], Sums] = {}
    since = None if selection.since is None else database.to_milliseconds(selection.since)
    until = None if selection.until is None else database.to_milliseconds(selection.until)
    for table, low, high in _parts(since, until, _tables(selection, columns)):
        values = _conditions(table, low, high, selection)
        for row in tx.execute(_summing(table, frozenset(values), columns), values):
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


@functools.cache
def _adding(table: sa.Table) -> Prepared:
    """Return the statement that adds `:more_…` to the sums at `:in_…`; built once, because every job runs it."""
    where = [column == sa.bindparam(f"in_{column.name}") for column in table.primary_key]
    more = {name: table.c[name] + sa.bindparam(f"more_{name}") for name in _SUMS}
    return Prepared(sa.update(table).where(*where).values(more))


def _tables(selection: Selection, columns: Collection[str]) -> Sequence[sa.Table]:
    """Return the tables that can answer, the longest spans first."""
    together = {"user_id", "device_id"}.isdisjoint(columns) and selection.user_ids is selection.device_ids is None
    months, days = (_project_months, _project_days) if together else (_months, _days)
    return [days] if "day" in columns else [months, days]


def _parts(
    since: int | None, until: int | None, tables: Sequence[sa.Table]
) -> list[tuple[sa.Table, int | None, int | None]]:
    """Return which table answers for which part of the time, in ms since 1970; `until` is not included."""
    if not tables:
        return [(_entries, since, until)]
    table, *rest = tables
    span = _SPANS[table] * _DAY_MS
    first = None if since is None else -(-since // span) * span
    last = None if until is None else until // span * span
    if first is not None and last is not None and first >= last:
        return _parts(since, until, rest)
    parts: list[tuple[sa.Table, int | None, int | None]] = [(table, first, last)]
    if since != first:
        parts += _parts(since, first, rest)
    if until != last:
        parts += _parts(last, until, rest)
    return parts


@functools.cache
def _summing(table: sa.Table, given: frozenset[str], columns: tuple[str, ...]) -> Prepared:
    """Return the statement that sums up what a table has, with those of its conditions that are given.

    Args:
        given: Some of `low` and `high`, the bounds of the time, and of the keys, of which there are lists.
    """
    if table is _entries:
        moment: sa.ColumnElement[Any] = sa.type_coerce(table.c.ended, sa.BigInteger)
        jobs: sa.ColumnElement[Any] = sa.func.count()
        ran: sa.ColumnElement[Any] = sa.func.sum(sa.case((table.c.run_ms > 0, 1), else_=0))
        day: sa.ColumnElement[Any] = sa.cast(sa.func.floor(moment / sa.literal(_DAY_MS, sa.BigInteger)), sa.Integer)
    else:
        moment = day = table.c.day
        jobs, ran = sa.func.sum(table.c.jobs), sa.func.sum(table.c.ran)
    keys: Mapping[str, Any] = {"day": day} | {name: table.c[name] for name in _KEYS if name in table.c}
    sums = [jobs, *(sa.func.sum(table.c[name]) for name in _AMOUNTS), ran]
    query = sa.select(*(keys[name] for name in columns), *sums)
    if "low" in given:
        query = query.where(moment >= sa.bindparam("low", type_=sa.BigInteger))
    if "high" in given:
        query = query.where(moment < sa.bindparam("high", type_=sa.BigInteger))
    for name in _KEYS:
        if name in given:
            query = query.where(table.c[name].in_(sa.bindparam(name, expanding=True)))
    return Prepared(query.group_by(*(keys[name] for name in columns)) if columns else query)


def _conditions(table: sa.Table, low: int | None, high: int | None, selection: Selection) -> dict[str, Any]:
    """Return the values of the conditions of `_summing` that are given."""
    unit = 1 if table is _entries else _DAY_MS
    values: dict[str, Any] = {
        "low": None if low is None else low // unit,
        "high": None if high is None else high // unit,
    }
    wanted = zip(_KEYS, (selection.project_ids, selection.user_ids, selection.device_ids), strict=True)
    values |= {name: None if ids is None else sorted(ids) for name, ids in wanted}
    return {name: value for name, value in values.items() if value is not None}
