# SPDX-License-Identifier: Apache-2.0
"""What holds jobs back although their device is free: one answer for the scheduler and for who asks why."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from chandelier import devices
from chandelier.devices import DeviceId, Pace
from chandelier.fairshare import rules
from chandelier.fairshare.rules import Allowed
from chandelier.jobs import sessions
from chandelier.scheduling import limits, reservations
from chandelier.scheduling.limits import Barred, Spent
from chandelier.scheduling.reservations import Kept
from chandelier.store import Transaction
from chandelier.store.prepared import Prepared
from chandelier.tenancy import allowances, grants


class Hold(msgspec.Struct, frozen=True):
    """Why a project's jobs do not start on a device now.

    Attributes:
        kind: `running` for a limit of jobs that run at once, `reservation` where the device is kept for others,
            `session` where somebody's session keeps it, `time limit` where the device time is used up.
        text: A sentence for who waits, without a full stop.
    """

    kind: str
    text: str


#: Returns what holds a project's jobs on a device, or None; both by id.
Gate = Callable[[str, str], Hold | None]
_Cause = Kept | Barred | Spent | sessions.Hold


class Bounds(msgspec.Struct, frozen=True):
    """What bounds who may begin.

    Attributes:
        allowed: Tells whether nothing holds a project's jobs on a device: the bare fact, which costs no query.
        kept: The sessions that keep their devices, by device: of the project only their own jobs begin there.
    """

    allowed: Allowed = rules.everyone
    kept: Mapping[str, sessions.Hold] = {}


class Circumstances(msgspec.Struct, frozen=True):
    """What there is at a moment that may hold jobs back, told by one statement.

    Attributes:
        paces: The devices that start jobs, each with its pace.
        reservations: Whether any device is reserved.
        running_limits: Whether it is limited anywhere how many jobs run at once.
        allowances: Whether device time is limited anywhere.
        sessions: Whether there is any session that may keep its device.
    """

    paces: Mapping[DeviceId, Pace] = {}
    reservations: bool = True
    running_limits: bool = True
    allowances: bool = True
    sessions: bool = True


_LOOK: Final = Prepared(
    devices.RUNNABLE.add_columns(reservations.ANY, grants.ANY_RUNNING_LIMIT, allowances.ANY, sessions.ANY)
)


def look(tx: Transaction, now: datetime) -> Circumstances:
    """Return what may hold jobs back."""
    rows = tx.execute(_LOOK, {"now": now}).all()
    if not rows:
        return Circumstances()
    return Circumstances({row[0]: row[1] for row in rows}, *(bool(each) for each in rows[0][2:]))


def bounds(tx: Transaction, now: datetime, known: Circumstances, reserved: Sequence[Kept]) -> Bounds:
    """Return what bounds who may begin.

    Args:
        reserved: The reservations of this moment.
    """
    if not (known.running_limits or known.allowances or known.sessions or reserved):
        return Bounds()
    cause, kept = _causes(tx, now, reserved, known)
    return Bounds(lambda device, project: cause(device, project) is None, kept)


def kept(tx: Transaction, now: datetime) -> Mapping[str, sessions.Hold]:
    """Return the sessions that keep their devices at a moment, by device."""
    known = look(tx, now)
    return _causes(tx, now, reservations.in_force(tx, now), known)[1] if known.sessions else {}


def by_session(held: sessions.Hold) -> Hold:
    """Return what to tell who waits because a session keeps the device."""
    until = f"{held.until:%Y-%m-%d %H:%M} UTC"
    return Hold("session", f"a session keeps the device for its own jobs, until {until} at the latest")


def at(tx: Transaction, now: datetime) -> Gate:
    """Return what holds at a moment, in words."""
    cause, _ = _causes(tx, now, reservations.in_force(tx, now), Circumstances())
    known: dict[tuple[str, str], str] = {}

    def gate(device: str, project: str) -> Hold | None:
        found = cause(device, project)
        if found is None:
            return None
        if isinstance(found, Kept):
            until = f"{found.reservation.ends:%Y-%m-%d %H:%M} UTC"
            return Hold("reservation", f"the device is reserved for others until {until}")
        if isinstance(found, sessions.Hold):
            return by_session(found)
        if isinstance(found, Barred):
            return Hold("running", f"the {found.level} may run {found.most} jobs at once on this device, and does")
        limit = (found.allowance.node_id, found.allowance.device_id)
        if limit not in known:
            known[limit] = used_up(tx, found, now)
        return Hold("time limit", known[limit])

    return gate


def used_up(tx: Transaction, spent: Spent, now: datetime) -> str:
    """Return what to tell who waits because device time is used up."""
    limit = spent.allowance
    where = "on all devices together" if limit.device_id == allowances.ALL else "on this device"
    frees = allowances.frees(tx, limit, spent.running, now)
    again = "no jobs start again" if frees is None else f"jobs start again on {frees:%Y-%m-%d}, at midnight UTC"
    used = f"the {limit.level} has used {spent.used:.4g} of {limit.seconds:g} seconds {where} in {limit.days} days"
    return f"{used}; {again}"


def _causes(
    tx: Transaction, now: datetime, reserved: Sequence[Kept], circumstances: Circumstances
) -> tuple[Callable[[str, str], _Cause | None], Mapping[str, sessions.Hold]]:
    """Return what looks up why a project's jobs do not start on a device, and the sessions that keep devices.

    All is read beforehand.
    """
    assert now.tzinfo is not None
    known: dict[tuple[str, str], Barred | Spent] = {}
    for barred in limits.barred(tx) if circumstances.running_limits else ():
        for project in barred.project_ids:
            known.setdefault((barred.device_id, project), barred)
    spent = limits.spent(tx, now) if circumstances.allowances else ()
    for each in spent:
        for project in each.project_ids:
            known.setdefault((each.allowance.device_id, project), each)
    kept = {str(each.device_id): each for each in reserved}
    held = _sitting(sessions.holds(tx, now) if circumstances.sessions else (), kept, spent)

    def cause(device: str, project: str) -> _Cause | None:
        those = kept.get(device)
        if those is not None and those.keeps_out(device, project):
            return those
        holder = held.get(device)
        if holder is not None and holder.project_id != project:
            return holder
        return known.get((device, project)) or known.get((allowances.ALL, project))

    return cause, held


def _sitting(
    holds: Iterable[sessions.Hold], reserved: Mapping[str, Kept], spent: Sequence[Spent]
) -> dict[str, sessions.Hold]:
    """Return the session that keeps each device: of several the first.

    None does where others have reserved the device, or while its own jobs must wait because device time is used up.
    """
    found: dict[str, sessions.Hold] = {}
    for hold in holds:
        device, project = hold.device_id, hold.project_id
        others = device in reserved and project not in reserved[device].project_ids
        stuck = not hold.runs and any(each.holds(device, project) for each in spent)
        if not others and not stuck:
            found.setdefault(device, hold)
    return found
