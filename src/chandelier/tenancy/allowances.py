# SPDX-License-Identifier: Apache-2.0
"""How much device time hubs, groups and projects may use in a window of days; the only writer of both tables.

A window is whole days in UTC, the present one included. What each limit counts is summed up by day in the transaction
that ends a job, so that looking costs the same however much was used.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from chandelier import errors
from chandelier.devices import Device
from chandelier.store import Transaction, database
from chandelier.store.prepared import Prepared
from chandelier.tenancy import audit, network, usage
from chandelier.tenancy.audit import By
from chandelier.tenancy.network import Level, Spot
from chandelier.tenancy.usage import Entry, Selection

#: In place of a device: of all devices together.
ALL: Final = ""
#: The window of the former service's usage.
USUAL_DAYS: Final = 28
_MOST_DAYS: Final = 366
_MOST_SECONDS: Final = 1e9
_DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_allowances: Final = sa.Table(
    "allowances",
    database.metadata,
    sa.Column("node_id", sa.String(24), primary_key=True),
    sa.Column("device_id", sa.String(24), primary_key=True),
    sa.Column("level", sa.String(8), nullable=False),
    sa.Column("seconds", sa.Float(53), nullable=False),
    sa.Column("days", sa.Integer, nullable=False),
)
_days: Final = sa.Table(
    "allowance_days",
    database.metadata,
    sa.Column("node_id", sa.String(24), primary_key=True),
    sa.Column("device_id", sa.String(24), primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("used_ms", sa.BigInteger, nullable=False),
)


class Allowance(msgspec.Struct, frozen=True):
    """A limit of the device time of a hub, group or project.

    Attributes:
        device_id: Of this device; `ALL` for all devices together.
        seconds: What may be used in a window, s.
        days: Length of the window, the present day included.
    """

    node_id: str
    device_id: str
    level: Level
    seconds: float
    days: int


class Standing(msgspec.Struct, frozen=True):
    """A limit and what jobs that have ended used of it in the present window, s."""

    allowance: Allowance
    used: float


_COLUMNS: Final = tuple(_allowances.c[name] for name in Allowance.__struct_fields__)
_ON_ALLOWANCE: Final = sa.and_(_days.c.node_id == _allowances.c.node_id, _days.c.device_id == _allowances.c.device_id)
# Built once, because each job runs them.
_STANDINGS: Final = Prepared(
    sa.select(*_COLUMNS, sa.func.coalesce(sa.func.sum(_days.c.used_ms), 0))
    .select_from(
        _allowances.outerjoin(_days, _ON_ALLOWANCE & (_days.c.day > sa.bindparam("today") - _allowances.c.days))
    )
    .group_by(*_COLUMNS)
    .order_by(_allowances.c.node_id, _allowances.c.device_id)
)
_CONCERNED: Final = Prepared(
    sa.select(_allowances.c.node_id, _allowances.c.device_id).where(
        _allowances.c.node_id.in_(sa.bindparam("way", expanding=True)),
        _allowances.c.device_id.in_([ALL, sa.bindparam("device")]),
    )
)
#: Whether there is any limit.
ANY: Final = sa.exists().where(_allowances.c.seconds >= 0)
_ANY: Final = Prepared(sa.select(ANY))
_MORE: Final = Prepared(
    sa.update(_days)
    .where(*(_days.c[name] == sa.bindparam(f"in_{name}") for name in ("node_id", "device_id", "day")))
    .values(used_ms=_days.c.used_ms + sa.bindparam("more"))
)


def set_(tx: Transaction, by: By, spot: Spot, device: Device | None, seconds: float, days: int = USUAL_DAYS) -> None:
    """Limit the device time of a node, of one device or (None) of all together; what was used before counts.

    Raises:
        errors.Invalid: It cannot be a limit.
    """
    if not 0 <= seconds <= _MOST_SECONDS:
        raise errors.Invalid(f"A limit is 0 to {_MOST_SECONDS:g} seconds, not {seconds:g}.", 1001)
    if not 1 <= days <= _MOST_DAYS:
        raise errors.Invalid(f"The window of a limit is 1 to {_MOST_DAYS} days, not {days}.", 1001)
    before = _forget(tx, spot, device)
    new = Allowance(spot.node.id, ALL if device is None else device.id, spot.level, seconds, days)
    tx.execute(sa.insert(_allowances), msgspec.structs.asdict(new))
    _count(tx, new, spot, by.now)
    audit.write(tx, by.who, "limit.set", spot, by.now, before=before, after=_facts(new, device))
    tx.ring("queue")


def remove(tx: Transaction, by: By, spot: Spot, device: Device | None) -> None:
    """Take a limit away.

    Raises:
        errors.NotFound: There is none.
    """
    before = _forget(tx, spot, device)
    if before is None:
        where = "on all devices together" if device is None else f"on {device.name}"
        raise errors.NotFound(f"{spot.path} has no limit of its device time {where}.", 3004)
    audit.write(tx, by.who, "limit.remove", spot, by.now, before=before)
    tx.ring("queue")


def find(tx: Transaction, spot: Spot, device: Device | None) -> Allowance | None:
    """Return a node's limit, if it has one."""
    row = tx.execute(sa.select(*_COLUMNS).where(*_key(_allowances, spot, device))).first()
    return None if row is None else Allowance(*row)


def standings(tx: Transaction, now: datetime) -> list[Standing]:
    """Return every limit with what was used of it."""
    rows = tx.execute(_STANDINGS, {"today": _day(now)})
    return [Standing(Allowance(*row[:-1]), int(row[-1]) / 1000) for row in rows]


def frees(tx: Transaction, allowance: Allowance, running: float, now: datetime) -> datetime | None:
    """Return when enough has left the window for jobs to start again; None if never (a limit of nothing).

    Args:
        running: What counts besides of jobs that run, s; as if they had ended today.
    """
    where = (_days.c.node_id == allowance.node_id, _days.c.device_id == allowance.device_id)
    today = _day(now)
    query = sa.select(_days.c.day, _days.c.used_ms).where(*where, _days.c.day > today - allowance.days)
    used: dict[int, float] = {row.day: row.used_ms / 1000 for row in tx.execute(query)}
    used[today] = used.get(today, 0.0) + running
    left = sum(used.values())
    for day in sorted(used):
        left -= used[day]
        if left < allowance.seconds:
            return _EPOCH + (day + allowance.days) * _DAY
    return None


def spend(tx: Transaction, entry: Entry) -> None:
    """Count what a job used that has just ended, once."""
    if not entry.cost_ms or not tx.execute(_ANY).scalar():
        return
    way = [node.id for node in network.get(tx, entry.project_id).spot.way]
    for row in tx.execute(_CONCERNED, {"way": way, "device": entry.device_id}).all():
        _add(tx, row.node_id, row.device_id, _day(entry.ended), entry.cost_ms)


def _count(tx: Transaction, new: Allowance, spot: Spot, now: datetime) -> None:
    """Count what the ledger has of the window; a job that ends in this moment elsewhere may be missed."""
    devices: Collection[str] | None = None if new.device_id == ALL else [new.device_id]
    projects = network.projects_under(tx, spot)
    selection = Selection(since=now - _MOST_DAYS * _DAY, project_ids=projects, device_ids=devices)
    for (day,), sums in usage.by(tx, selection, ("day",)).items():
        _add(tx, new.node_id, new.device_id, int(day), sums.cost_ms)


def _add(tx: Transaction, node_id: str, device_id: str, day: int, cost_ms: int) -> None:
    row = {"node_id": node_id, "device_id": device_id, "day": day, "used_ms": cost_ms}
    values = {"in_node_id": node_id, "in_device_id": device_id, "in_day": day, "more": cost_ms}
    while tx.execute(_MORE, values).rowcount != 1 and not database.insert_if_absent(tx, _days, row):
        pass  # another transaction inserted it in between


def _forget(tx: Transaction, spot: Spot, device: Device | None) -> dict[str, Any] | None:
    """Delete a limit and what it has counted; return what it was."""
    known = find(tx, spot, device)
    if known is None:
        return None
    for table in (_days, _allowances):
        tx.execute(sa.delete(table).where(*_key(table, spot, device)))
    return _facts(known, device)


def _key(table: sa.Table, spot: Spot, device: Device | None) -> Sequence[sa.ColumnElement[bool]]:
    return table.c.node_id == spot.node.id, table.c.device_id == (ALL if device is None else device.id)


def _facts(known: Allowance, device: Device | None) -> dict[str, Any]:
    named = {} if device is None else {"device": device.name}
    return named | {"seconds": known.seconds, "days": known.days}


def _day(moment: datetime) -> int:
    """Return the number of a day in UTC since 1970."""
    return (moment - _EPOCH) // _DAY
