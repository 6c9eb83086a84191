# SPDX-License-Identifier: Apache-2.0
"""What holds jobs back although their device is free: one answer for the scheduler and for who asks why."""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from chandelier.fairshare.rules import Allowed
from chandelier.scheduling import limits, reservations
from chandelier.scheduling.limits import Barred, Spent
from chandelier.scheduling.reservations import Kept
from chandelier.store import Transaction
from chandelier.tenancy import allowances


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


def free(tx: Transaction, now: datetime, reserved: Sequence[Kept] | None = None) -> Allowed:
    """Return what tells whether nothing holds a project's jobs on a device: the bare fact, which costs no query.

    Args:
        reserved: The reservations of this moment, where they are known.
    """
    cause = _causes(tx, now, reserved)
    return lambda device, project: cause(device, project) is None


def at(tx: Transaction, now: datetime) -> Gate:
    """Return what holds at a moment, in words."""
    cause = _causes(tx, now, None)
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


def _causes(tx: Transaction, now: datetime, reserved: Sequence[Kept] | None) -> Callable[[str, str], _Cause | None]:
    """Return what looks up why a project's jobs do not start on a device; all is read beforehand."""
    assert now.tzinfo is not None
    known: dict[tuple[str, str], Barred | Spent] = {}
    for barred in limits.barred(tx):
        for project in barred.project_ids:
            known.setdefault((barred.device_id, project), barred)
    for spent in limits.spent(tx, now):
        for project in spent.project_ids:
            known.setdefault((spent.allowance.device_id, project), spent)
    kept = {str(each.device_id): each for each in (reservations.in_force(tx, now) if reserved is None else reserved)}

    def cause(device: str, project: str) -> _Cause | None:
        those = kept.get(device)
        if those is not None and those.keeps_out(device, project):
            return those
        return known.get((device, project)) or known.get((allowances.ALL, project))

    return cause
