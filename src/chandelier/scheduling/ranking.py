# SPDX-License-Identifier: Apache-2.0
"""Which job a free slot takes next: that of the project that is due, by fair share.

A `Ranking` is all that the rest of the house knows of the order.
"""

from collections.abc import Callable
from datetime import datetime

import msgspec

from chandelier import devices
from chandelier.fairshare import accounts
from chandelier.jobs import records
from chandelier.jobs.records import JobId
from chandelier.scheduling import holds
from chandelier.store import Transaction


class Next(msgspec.Struct, frozen=True):
    """The job that goes next.

    Attributes:
        guarded: It goes because its project waited too long, not because it is due.
    """

    job_id: JobId
    guarded: bool = False


#: Returns the queued job that goes next on any device that starts jobs, or None.
Ranking = Callable[[Transaction, datetime], Next | None]


def fair(tx: Transaction, now: datetime) -> Next | None:
    """Return the oldest job of the project that is due, of those that nothing holds back."""
    free = devices.runnable(tx)
    gate = holds.at(tx, now)
    taken: set[tuple[str, str]] = set()

    def allowed(device: str, project: str) -> bool:
        return (device, project) not in taken and gate(device, project) is None

    while (choice := accounts.choose(tx, free, now, allowed)) is not None:
        job_id = records.oldest_queued(tx, choice.device, choice.project)
        if job_id is not None:
            return Next(job_id, choice.guarded)
        taken.add((choice.device, choice.project))  # on PostgreSQL another worker has just this one in hand
    return None
