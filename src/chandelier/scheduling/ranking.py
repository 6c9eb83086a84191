# SPDX-License-Identifier: Apache-2.0
"""Which job a free slot takes next: that of the project that is due, by fair share, those of a reservation first.

A `Ranking` is all that the rest of the house knows of the order.
"""

from collections.abc import Callable, Collection
from datetime import datetime

import msgspec

from chandelier.fairshare import standing
from chandelier.fairshare.rules import Allowed, Turn
from chandelier.jobs import records
from chandelier.jobs.records import JobId
from chandelier.scheduling import holds, occupancy, reservations
from chandelier.scheduling.reservations import Kept
from chandelier.store import Transaction


class Next(msgspec.Struct, frozen=True):
    """The job that goes next.

    Attributes:
        turn: Why it goes.
        dedicated: It goes in a reservation that keeps others out.
    """

    job_id: JobId
    turn: Turn = "due"
    dedicated: bool = False


#: Returns the queued job that goes next on any device that starts jobs, or None.
Ranking = Callable[[Transaction, datetime], Next | None]


def fair(tx: Transaction, now: datetime) -> Next | None:
    """Return the oldest job of the project that is due, of those that nothing holds back.

    Whoever has reserved a device goes before all others; who is due among them is by fair share too.
    """
    free = occupancy.free(tx)
    reserved = reservations.in_force(tx, now)
    gate = holds.at(tx, now, reserved)

    def open_(device: str, project: str) -> bool:
        return gate(device, project) is None

    for kept in reserved:
        if kept.device_id in free and standing.waiting(tx, kept.device_id, kept.reservation.node_id).jobs:
            following = _first(tx, {kept.device_id}, now, _among(kept, open_))
            if following is not None:
                dedicated = kept.reservation.mode == "dedicated"
                return msgspec.structs.replace(following, turn="reserved", dedicated=dedicated)
    return _first(tx, free, now, open_)


def _among(kept: Kept, open_: Allowed) -> Allowed:
    """Return what allows those alone whom a reservation is for."""
    return lambda device, project: project in kept.project_ids and open_(device, project)


def _first(tx: Transaction, free: Collection[str], now: datetime, allowed: Allowed) -> Next | None:
    """Return the oldest job of the project that is due, of those that are allowed."""
    taken: set[tuple[str, str]] = set()
    free = set(free)

    def there(device: str, project: str) -> bool:
        return (device, project) not in taken and allowed(device, project)

    while (choice := standing.choose(tx, free, now, there)) is not None:
        if not occupancy.take(tx, choice.device):
            free.discard(choice.device)
            continue
        job_id = records.oldest_queued(tx, choice.device, choice.project)
        if job_id is not None:
            return Next(job_id, "guarded" if choice.guarded else "due")
        taken.add((choice.device, choice.project))  # on PostgreSQL another worker has just this one in hand
    return None
