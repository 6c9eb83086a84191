# SPDX-License-Identifier: Apache-2.0
"""What holds jobs back although their device is free: one answer for the scheduler and for who asks why."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from chandelier import devices
from chandelier.devices import DeviceId, Pace
from chandelier.fairshare import rules
from chandelier.fairshare.rules import Allowed
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
            `time limit` where the device time is used up.
        text: A sentence for who waits, without a full stop.
    """

    kind: str
    text: str


#: Returns what holds a project's jobs on a device, or None; both by id.
Gate = Callable[[str, str], Hold | None]
_Cause = Kept | Barred | Spent


class Circumstances(msgspec.Struct, frozen=True):
    """What there is at a moment that may hold jobs back, told by one statement.

    Attributes:
        paces: The devices that start jobs, each with its pace.
        reservations: Whether any device is reserved.
        running_limits: Whether it is limited anywhere how many jobs run at once.
        allowances: Whether device time is limited anywhere.
    """

    paces: Mapping[DeviceId, Pace] = {}
    reservations: bool = True
    running_limits: bool = True
    allowances: bool = True


_LOOK: Final = Prepared(devices.RUNNABLE.add_columns(reservations.ANY, grants.ANY_RUNNING_LIMIT, allowances.ANY))


def look(tx: Transaction, now: datetime) -> Circumstances:
    """Return what may hold jobs back."""
    rows = tx.execute(_LOOK, {"now": now}).all()
    if not rows:
        return Circumstances()
    return Circumstances({row[0]: row[1] for row in rows}, *(bool(each) for each in rows[0][2:]))


def free(tx: Transaction, now: datetime, known: Circumstances, reserved: Sequence[Kept]) -> Allowed:
    """Return what tells whether nothing holds a project's jobs on a device: the bare fact, which costs no query.

    Args:
        reserved: The reservations of this moment.
    """
    if not (known.running_limits or known.allowances or reserved):
        return rules.everyone
    cause = _causes(tx, now, reserved, known)
    return lambda device, project: cause(device, project) is None


def at(tx: Transaction, now: datetime) -> Gate:
    """Return what holds at a moment, in words."""
    cause = _causes(tx, now, reservations.in_force(tx, now), Circumstances())
    known: dict[tuple[str, str], str] = {}

    def gate(device: str, project: str) -> Hold | None:
        found = cause(device, project)
        if found is None:
            return None
        if isinstance(found, Kept):
            until = f"{found.reservation.ends:%Y-%m-%d %H:%M} UTC"
            return Hold("reservation", f"the device is reserved for others until {until}")
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
) -> Callable[[str, str], _Cause | None]:
    """Return what looks up why a project's jobs do not start on a device; all is read beforehand."""
    assert now.tzinfo is not None
    known: dict[tuple[str, str], Barred | Spent] = {}
    for barred in limits.barred(tx) if circumstances.running_limits else ():
        for project in barred.project_ids:
            known.setdefault((barred.device_id, project), barred)
    for spent in limits.spent(tx, now) if circumstances.allowances else ():
        for project in spent.project_ids:
            known.setdefault((spent.allowance.device_id, project), spent)
    kept = {str(each.device_id): each for each in reserved}

    def cause(device: str, project: str) -> _Cause | None:
        those = kept.get(device)
        if those is not None and those.keeps_out(device, project):
            return those
        return known.get((device, project)) or known.get((allowances.ALL, project))

    return cause
