# SPDX-License-Identifier: Apache-2.0
"""What holds jobs back although their device is free: one answer for the scheduler and for who asks why."""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from chandelier.scheduling import limits, reservations
from chandelier.scheduling.limits import Spent
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


def at(tx: Transaction, now: datetime, reserved: Sequence[Kept] | None = None) -> Gate:
    """Return what holds at a moment.

    Args:
        reserved: The reservations of this moment, where they are known.
    """
    assert now.tzinfo is not None
    barred, spent = limits.barred(tx), limits.spent(tx, now)
    kept = reservations.in_force(tx, now) if reserved is None else reserved

    def gate(device: str, project: str) -> Hold | None:
        for those in kept:
            if those.keeps_out(device, project):
                until = f"{those.reservation.ends:%Y-%m-%d %H:%M} UTC"
                return Hold("reservation", f"the device is reserved for others until {until}")
        for each in barred:
            if device == each.device_id and project in each.project_ids:
                return Hold("running", f"the {each.level} may run {each.most} jobs at once on this device, and does")
        for limit in spent:
            if limit.holds(device, project):
                return Hold("time limit", used_up(tx, limit, now))
        return None

    return gate


def used_up(tx: Transaction, spent: Spent, now: datetime) -> str:
    """Return what to tell who waits because device time is used up."""
    limit = spent.allowance
    where = "on all devices together" if limit.device_id == allowances.ALL else "on this device"
    frees = allowances.frees(tx, limit, spent.running, now)
    again = "no jobs start again" if frees is None else f"jobs start again on {frees:%Y-%m-%d}, at midnight UTC"
    used = f"the {limit.level} has used {spent.used:.4g} of {limit.seconds:g} seconds {where} in {limit.days} days"
    return f"{used}; {again}"
