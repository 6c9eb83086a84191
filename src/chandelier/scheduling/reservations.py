# SPDX-License-Identifier: Apache-2.0
"""Reservations: times at which a device is kept for a hub, a group or a project; the only writer of their table.

A reservation never stops a job that runs. It stands until it ends, is cancelled, or is given up because nobody used
it; what it kept until then counts against its hub's quota, what lay ahead is given back.
"""

import secrets
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec
import sqlalchemy as sa

from chandelier import devices, errors
from chandelier.devices import Device, DeviceId
from chandelier.jobs import counts
from chandelier.jobs.lifecycle import State
from chandelier.scheduling import limits, quotas
from chandelier.scheduling.limits import Spent
from chandelier.scheduling.quotas import Span
from chandelier.store import Transaction, database
from chandelier.store.prepared import Prepared
from chandelier.tenancy import audit, grants, network, usage
from chandelier.tenancy.audit import By
from chandelier.tenancy.network import HubId, Level, ProjectId, Spot

#: `priority`: its jobs go first; `dedicated`: no others run.
Mode = Literal["priority", "dedicated"]
#: Tells whether who asks may know whose reservation it is.
Known = Callable[[Spot], bool]
#: Why one does not last until its end: `cancelled` by an administrator, `idle` because nobody used it, `gone` because
#: who it was made for, or their device, is no longer there.
Why = Literal["cancelled", "idle", "gone"]

#: How long ago a reservation that begins now may begin: clocks differ.
_GRACE: Final = timedelta(minutes=1)
_FURTHEST: Final = timedelta(days=366)
_AT_WORK: Final = frozenset({State.VALIDATING, State.VALIDATED, State.RUNNING})

_reservations: Final = sa.Table(
    "reservations",
    database.metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("device_id", sa.ForeignKey("devices.id"), nullable=False),
    sa.Column("hub_id", sa.ForeignKey("hubs.id"), nullable=False),
    sa.Column("level", sa.String(8), nullable=False),
    sa.Column("node_id", sa.String(24), nullable=False),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("mode", sa.String(16), nullable=False),
    sa.Column("begins", database.UtcMilliseconds, nullable=False),
    sa.Column("ends", database.UtcMilliseconds, nullable=False),
    sa.Column("created", database.UtcMilliseconds, nullable=False),
    sa.Column("over", database.UtcMilliseconds),
    sa.Column("why", sa.String(16)),
    sa.Index("ix_reservations_ends", "ends"),
    sa.Index("ix_reservations_device_id_ends", "device_id", "ends"),
    sa.Index("ix_reservations_hub_id_ends", "hub_id", "ends"),
)


class Reservation(msgspec.Struct, frozen=True):
    """A time kept for a hub, a group or a project.

    Attributes:
        who: Who made it, as the audit log names them.
        over: When it was cancelled or given up.
    """

    id: str
    device_id: DeviceId
    hub_id: HubId
    level: Level
    node_id: str
    who: str
    mode: Mode
    begins: datetime
    ends: datetime
    created: datetime
    over: datetime | None = None
    why: Why | None = None

    @property
    def span(self) -> Span:
        """The time that it keeps, or kept, the device."""
        return self.begins, self.ends if self.over is None else min(self.ends, max(self.begins, self.over))


class Wanted(msgspec.Struct, frozen=True):
    """The time that somebody asks for; it ends before `ends`."""

    mode: Mode
    begins: datetime
    ends: datetime


class Terms(msgspec.Struct, frozen=True):
    """What reservations may be.

    Attributes:
        longest: Most seconds that one lasts.
        quota: Seconds that a hub may reserve in any 28 days where the operator set nothing else.
        idle: Seconds without any job of theirs that may run after which a dedicated one is given up.
    """

    longest: float = 24 * 3600.0
    quota: float = 40 * 3600.0
    idle: float = 15 * 60.0


class Kept(msgspec.Struct, frozen=True):
    """A reservation at a moment within it, with the projects that it is for."""

    reservation: Reservation
    project_ids: frozenset[ProjectId]

    @property
    def device_id(self) -> DeviceId:
        """The device that is kept."""
        return self.reservation.device_id

    def keeps_out(self, device: str, project: str) -> bool:
        """Tell whether a project's jobs must not begin on a device."""
        other = device == self.device_id and project not in self.project_ids
        return other and self.reservation.mode == "dedicated"


_COLUMNS: Final = tuple(_reservations.c[field] for field in Reservation.__struct_fields__)
_STANDS: Final = _reservations.c.over.is_(None)
_NOW: Final = sa.bindparam("now", type_=database.UtcMilliseconds())
_HOLDS_NOW: Final = (_reservations.c.ends > _NOW, _reservations.c.begins <= _NOW, _STANDS)
#: Whether any device is reserved at the moment `:now`.
ANY: Final = sa.exists().where(*_HOLDS_NOW)
_IN_FORCE: Final = Prepared(
    sa.select(*_COLUMNS).where(*_HOLDS_NOW).order_by(_reservations.c.begins, _reservations.c.id)
)


def nobodys(_whose: Spot) -> bool:
    """Let nothing be known."""
    return False


def add(
    tx: Transaction, by: By, spot: Spot, device: Device, wanted: Wanted, terms: Terms, known: Known = nobodys
) -> Reservation:
    """Keep a device for a node.

    Args:
        known: Whose reservations may be named to who asks; of others it is told when they are.

    Raises:
        errors.Invalid: The time cannot be reserved by anybody.
        errors.NotFound: The node does not have the device.
        errors.Conflict: The device is reserved at this time.
        errors.LimitReached: The hub has not so much left.
    """
    _check(wanted, by.now, terms)
    if not _has(tx, spot, device.id):
        raise errors.NotFound(f"{spot.path} has no device {device.name!r} to reserve.", 3100)
    tx.alone("reservations")  # of two that are asked for at once, the second must see the first
    _refuse_overlap(tx, device, wanted, known)
    _refuse_beyond_quota(tx, spot, wanted, terms)
    made = Reservation(
        secrets.token_hex(12),
        device.id,
        HubId(spot.hub.id),
        spot.level,
        spot.node.id,
        by.who,
        wanted.mode,
        wanted.begins,
        wanted.ends,
        by.now,
    )
    tx.execute(sa.insert(_reservations), msgspec.structs.asdict(made))
    audit.write(tx, by.who, "reservation.add", spot, by.now, after=_facts(made, device))
    tx.ring("queue")
    return made


def cancel(tx: Transaction, by: By, reservation: Reservation) -> Reservation:
    """End a reservation that stands, and return it as it is now; what lay ahead is given back.

    Raises:
        errors.Conflict: It is over.
    """
    if by.now >= reservation.ends or not _give_up(tx, reservation, by, "cancelled"):
        raise errors.Conflict(f"The reservation {reservation.id} is over.", 3110)
    return get(tx, reservation.id)


def get(tx: Transaction, reservation_id: str) -> Reservation:
    """Return a reservation, also one that is over.

    Raises:
        errors.NotFound: There is none.
    """
    row = tx.execute(sa.select(*_COLUMNS).where(_reservations.c.id == reservation_id)).first()
    if row is None:
        raise errors.NotFound(f"There is no reservation {reservation_id[:40]!r}.", 3110)
    return Reservation(*row)


def list_(
    tx: Transaction,
    *,
    device_id: DeviceId | None = None,
    node_ids: Collection[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Reservation]:
    """Return the reservations that stand, in the order of their beginning.

    Args:
        node_ids: Only those for one of these hubs, groups and projects.
        since: Only those that end after this moment.
        until: Only those that begin before this moment.
    """
    table = _reservations.c
    conditions: list[sa.ColumnElement[bool]] = [_STANDS]
    if device_id is not None:
        conditions.append(table.device_id == device_id)
    if node_ids is not None:
        conditions.append(table.node_id.in_(sorted(node_ids)))
    if since is not None:
        conditions.append(table.ends > since)
    if until is not None:
        conditions.append(table.begins < until)
    rows = tx.execute(sa.select(*_COLUMNS).where(*conditions).order_by(table.begins, table.id))
    return [Reservation(*row) for row in rows]


def in_force(tx: Transaction, now: datetime) -> list[Kept]:
    """Return the reservations of this moment; of a device there is at most one."""
    found = [Reservation(*row) for row in tx.execute(_IN_FORCE, {"now": now})]
    return [Kept(each, network.projects_below(tx, each.level, each.node_id)) for each in found]


def left(tx: Transaction, hub: Spot, around: Span, terms: Terms) -> float:
    """Return how many seconds a hub may still reserve around a time."""
    return max(0.0, _quota(tx, hub, terms) - quotas.peak(_spans(tx, hub, around), around))


def give_up_unused(tx: Transaction, idle: float, now: datetime, up: datetime | None = None) -> int:
    """End the dedicated reservations that nobody used for `idle` seconds, and those of who is gone; return how many.

    Jobs that wait because device time is used up are no use.

    Args:
        up: Since when the server runs; before that nobody could use them.
    """
    scheduler, limit, ended = By("scheduler", now), timedelta(seconds=idle), 0
    standing = list_(tx, since=now)
    spent = limits.spent(tx, now) if any(each.mode == "dedicated" for each in standing) else ()
    for each in standing:
        spot = network.spot_of(tx, each.level, each.node_id)
        if not _has(tx, spot, each.device_id) or any(node.deleted for node in spot.way):
            ended += _give_up(tx, each, scheduler, "gone")
        elif each.mode == "dedicated" and now - max(_idle_since(tx, each, spent, now), up or each.begins) >= limit:
            ended += _give_up(tx, each, scheduler, "idle")
    return ended


def _check(wanted: Wanted, now: datetime, terms: Terms) -> None:
    """Refuse a time that cannot be reserved by anybody.

    Raises:
        errors.Invalid: It cannot.
    """
    if wanted.begins < now - _GRACE:
        raise errors.Invalid(f"The reservation would begin in the past, at {_text(wanted.begins)}.", 1001)
    if wanted.begins >= wanted.ends or now >= wanted.ends:
        raise errors.Invalid(f"The reservation would end at {_text(wanted.ends)}, now or before it begins.", 1001)
    seconds = (wanted.ends - wanted.begins).total_seconds()
    if seconds > terms.longest:
        most = f"at most {terms.longest / 3600:g} hours are allowed"
        raise errors.Invalid(f"The reservation would last {seconds / 3600:g} hours; {most}.", 1001)
    if wanted.begins - now > _FURTHEST:
        raise errors.Invalid(f"Reservations begin within {_FURTHEST.days} days; ask again later.", 1001)


def _refuse_overlap(tx: Transaction, device: Device, wanted: Wanted, known: Known) -> None:
    standing = list_(tx, device_id=device.id, since=wanted.begins, until=wanted.ends)
    if standing:
        first = standing[0]
        whose = network.spot_of(tx, first.level, first.node_id)
        named = f" for {whose.path} (reservation {first.id})" if known(whose) else ""
        time = f"from {_text(first.begins)} to {_text(first.ends)}"
        raise errors.Conflict(f"{device.name} is reserved {time}{named}. Choose another time.", 3111)


def _refuse_beyond_quota(tx: Transaction, spot: Spot, wanted: Wanted, terms: Terms) -> None:
    new = (wanted.begins, wanted.ends)
    quota = _quota(tx, spot, terms)
    if quotas.peak([*_spans(tx, spot, new), new], new) > quota:
        rest = left(tx, spot, new, terms)
        allowed = f"The hub {spot.hub.name} may reserve {quota / 3600:g} hours of device time in any 28 days"
        asked = f"{(new[1] - new[0]).total_seconds() / 3600:.2f} were asked for"
        raise errors.LimitReached(
            f"{allowed}, and has {rest / 3600:.2f} left around this time; {asked}. Ask the operator for more.",
            3112,
            {"leftSeconds": rest},
        )


def _quota(tx: Transaction, hub: Spot, terms: Terms) -> float:
    known = quotas.find(tx, hub.hub.id)
    return terms.quota if known is None else known


def _spans(tx: Transaction, hub: Spot, around: Span) -> list[Span]:
    """Return what a hub kept, and keeps, within 28 days of a time."""
    table = _reservations.c
    near = (table.ends > around[0] - quotas.WINDOW, table.begins < around[1] + quotas.WINDOW)
    rows = tx.execute(sa.select(*_COLUMNS).where(table.hub_id == hub.hub.id, *near))
    return [Reservation(*row).span for row in rows]


def _idle_since(tx: Transaction, kept: Reservation, spent: Collection[Spent], now: datetime) -> datetime:
    """Return since when nothing of theirs that may run waits, runs or ended there; `now` if something does.

    What waits because of a limit of jobs at once waits for one that runs there, and counts.
    """
    if kept.begins > now:
        return now
    projects = network.projects_below(tx, kept.level, kept.node_id)
    may = {project for project in projects if not any(each.holds(kept.device_id, project) for each in spent)}
    if counts.of_projects(tx, kept.device_id, projects, _AT_WORK) or (
        may and counts.of_projects(tx, kept.device_id, may, {State.QUEUED})
    ):
        return now
    return usage.last_ended(tx, kept.device_id, projects, kept.begins) or kept.begins


def _give_up(tx: Transaction, kept: Reservation, by: By, why: Why) -> bool:
    """End a reservation; tell whether it stood."""
    done = tx.execute(
        sa.update(_reservations).where(_reservations.c.id == kept.id, _STANDS).values(over=by.now, why=why)
    )
    if done.rowcount != 1:
        return False
    act = "reservation.cancel" if why == "cancelled" else "reservation.release"
    before = _facts(kept, devices.get_by_id(tx, kept.device_id))
    audit.write(
        tx, by.who, act, network.spot_of(tx, kept.level, kept.node_id), by.now, before=before, after={"why": why}
    )
    tx.ring("queue")
    return True


def _has(tx: Transaction, spot: Spot, device_id: DeviceId) -> bool:
    """Tell whether a node has a device, and so has all above it."""
    granted = grants.of_nodes(tx, [node.id for node in spot.way])
    return sum(each.device_id == device_id for each in granted) == len(spot.way)


def _facts(kept: Reservation, device: Device) -> dict[str, Any]:
    times = {"begins": kept.begins.isoformat(), "ends": kept.ends.isoformat()}
    return {"id": kept.id, "device": device.name, "mode": kept.mode} | times


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
