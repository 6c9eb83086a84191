# SPDX-License-Identifier: Apache-2.0
"""Which job a free slot takes next: that of the project that is due, by fair share, those of a reservation first.

A `Ranking` is all that the rest of the house knows of the order.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import msgspec

from chandelier import devices
from chandelier.fairshare import standing
from chandelier.fairshare.rules import Allowed, Choice, Turn
from chandelier.jobs import counts, records
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

    On a device that is reserved those go first whom it is for. They also go before who waits for other devices, as
    long as no more of their jobs run than of all others; who is due among all that have reserved is by fair share.
    """
    free = occupancy.free(tx)
    reserved = reservations.in_force(tx, now)
    allowed = holds.free(tx, now, reserved)
    kept = {
        str(each.device_id): each
        for each in reserved
        if each.device_id in free and standing.waiting(tx, each.device_id, each.reservation.node_id).jobs
    }

    def theirs(device: str, project: str) -> bool:
        return project in kept[device].project_ids and allowed(device, project)

    crowding = _crowding(tx, reserved) & kept.keys() if kept else set()
    found = _first(tx, kept.keys() - crowding, now, theirs)
    if found is None and crowding:
        due = {device for device in crowding if standing.choose(tx, {device}, now, theirs) is not None}
        others = _first(tx, free - due, now, allowed)
        if others is not None:
            return _plain(*others)
        found = _first(tx, due, now, theirs)
    if found is not None:
        choice, job_id = found
        return Next(job_id, "reserved", dedicated=kept[choice.device].reservation.mode == "dedicated")
    anybody = _first(tx, free, now, allowed)
    return None if anybody is None else _plain(*anybody)


def _plain(choice: Choice, job_id: JobId) -> Next:
    return Next(job_id, "guarded" if choice.guarded else "due")


def _crowding(tx: Transaction, reserved: Sequence[Kept]) -> set[str]:
    """Return the reserved devices whose jobs take turns with those of others, because more of them run.

    A device that keeps the pace of a real machine never needs more than one slot, and does not count.
    """
    fast = {str(device) for device, pace in devices.runnable(tx).items() if pace == "fast"}
    kept = {str(each.device_id): each for each in reserved if each.device_id in fast}
    lead = 0
    for (device, project), count in (counts.running(tx) if kept else {}).items():
        if device in fast:
            lead += count if device in kept and project in kept[device].project_ids else -count
    return set(kept) if lead > 0 else set()


def _first(tx: Transaction, free: Collection[str], now: datetime, allowed: Allowed) -> tuple[Choice, JobId] | None:
    """Return the oldest job of the project that is due, of those that are allowed."""
    taken: set[tuple[str, str]] = set()
    free = set(free)

    def there(device: str, project: str) -> bool:
        return (device, project) not in taken and allowed(device, project)

    while free and (choice := standing.choose(tx, free, now, there)) is not None:
        if not occupancy.take(tx, choice.device):
            free.discard(choice.device)
            continue
        job_id = records.oldest_queued(tx, choice.device, choice.project)
        if job_id is not None:
            return choice, job_id
        taken.add((choice.device, choice.project))  # on PostgreSQL another worker has just this one in hand
    return None
