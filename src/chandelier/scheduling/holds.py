# SPDX-License-Identifier: Apache-2.0
"""What holds jobs back although their device is free: one answer for the scheduler and for who asks why."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from chandelier.scheduling import limits
from chandelier.store import Transaction


class Hold(msgspec.Struct, frozen=True):
    """Why a project's jobs do not start on a device now.

    Attributes:
        kind: `running` for a limit of jobs that run at once.
        text: A sentence for who waits, without a full stop.
    """

    kind: str
    text: str


#: Returns what holds a project's jobs on a device, or None; both by id.
Gate = Callable[[str, str], Hold | None]


def at(tx: Transaction, now: datetime) -> Gate:
    """Return what holds at a moment."""
    assert now.tzinfo is not None
    barred = limits.barred(tx)

    def gate(device: str, project: str) -> Hold | None:
        for each in barred:
            if device == each.device_id and project in each.project_ids:
                return Hold("running", f"the {each.level} may run {each.most} jobs at once on this device, and does")
        return None

    return gate
