# SPDX-License-Identifier: Apache-2.0
"""Which job a free slot takes next: that of the project that is due, by fair share, those of a reservation first.

A `Ranking` is all that the rest of the house knows of the order.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from chandelier.devices import DeviceId, Pace
from chandelier.fairshare import standing
from chandelier.fairshare.rules import Allowed, Choice, Turn
from chandelier.fairshare.standing import Look
from chandelier.jobs import counts, records, sessions
from chandelier.jobs.records import Job, JobId
from chandelier.scheduling import holds, occupancy, reservations
from chandelier.scheduling.holds import Bounds, Circumstances
from chandelier.scheduling.reservations import Kept
from chandelier.store import Transaction


class Next(msgspec.Struct, frozen=True):
    """The job that goes next.

    Attributes:
        turn: Why it goes.
        dedicated: It goes in a reservation that keeps others out.
        pace: That of its device.
    """

    job_id: JobId
    turn: Turn = "due"
    dedicated: bool = False
    pace: Pace = "fast"


#: Returns the queued job that goes next on any device that starts jobs, or None. Who begins it is `accounts.alone`.
Ranking = Callable[[Transaction, datetime], Next | None]


def fair(tx: Transaction, now: datetime) -> Next | None:
    """Return the oldest job of the project that is due, of those that nothing holds back.

    On a device that a session keeps only its jobs begin. As long as none of them runs they go before all others, but
    for devices that have waited since a job of it ended last; while one runs, when nobody else could go. On a device
    that is reserved those go first whom it is for. They also go before who waits for other devices, as long as no more
    of their jobs run than of all others; who is due among all that have reserved is by fair share.
    """
    look = standing.look(tx)
    if look is None:
        return None
    known = holds.look(tx, now)
    free = occupancy.free(tx, known.paces)
    reserved = reservations.in_force(tx, now) if known.reservations else []
    bounds = holds.bounds(tx, now, known, reserved)
    if not bounds.kept:
        return _among(tx, look, free, now, bounds.allowed, known, reserved)
    others = free - bounds.kept.keys()
    found = _sitting(tx, bounds, free, known)
    if found is None:
        return _among(tx, look, others, now, bounds.allowed, known, reserved)
    held, following = found
    if not held.runs:
        # In turns with the other devices, so that no session keeps the workers from them.
        others &= look.passed_over(held.last.timestamp()) if held.last is not None else set()
    return _among(tx, look, others, now, bounds.allowed, known, reserved) or following


def _among(
    tx: Transaction,
    look: Look,
    free: Collection[str],
    now: datetime,
    allowed: Allowed,
    known: Circumstances,
    reserved: Sequence[Kept],
) -> Next | None:
    """Return who goes next on some devices, those of a reservation first."""
    free = set(free)
    if not reserved:
        anybody = _first(tx, look, free, now, allowed)
        return None if anybody is None else _plain(*anybody, known)
    kept = {
        str(each.device_id): each
        for each in reserved
        if each.device_id in free and standing.waiting(tx, each.device_id, each.reservation.node_id).jobs
    }

    def theirs(device: str, project: str) -> bool:
        return project in kept[device].project_ids and allowed(device, project)

    crowding = _crowding(tx, reserved, known.paces) & kept.keys() if kept else set()
    found = _first(tx, look, kept.keys() - crowding, now, theirs)
    if found is None and crowding:
        due = {device for device in crowding if standing.choose(look, {device}, now, theirs) is not None}
        others = _first(tx, look, free - due, now, allowed)
        if others is not None:
            return _plain(*others, known)
        found = _first(tx, look, due, now, theirs)
    if found is not None:
        choice, job_id = found
        dedicated = kept[choice.device].reservation.mode == "dedicated"
        return Next(job_id, "reserved", dedicated=dedicated, pace=known.paces[DeviceId(choice.device)])
    anybody = _first(tx, look, free, now, allowed)
    return None if anybody is None else _plain(*anybody, known)


def _sitting(
    tx: Transaction, bounds: Bounds, free: Collection[str], known: Circumstances
) -> tuple[sessions.Hold, Next] | None:
    """Return the session that goes first of those that keep devices and have jobs that wait, and its next job.

    One without a running job does, and of several the one of which the last job ended first.
    """
    for each in sorted(bounds.kept.values(), key=lambda hold: (hold.runs, hold.last or hold.until, hold.session_id)):
        if each.device_id in free and bounds.allowed(each.device_id, each.project_id):
            job_id = records.oldest_in_session(tx, each.session_id)
            if job_id is not None:
                return each, Next(job_id, "session", pace=known.paces[each.device_id])
    return None


def is_unrivalled(tx: Transaction, job: Job, now: datetime) -> bool:
    """Tell whether a job would be the next if it began to wait now: nothing waits, and nothing holds it back.

    Who asks is `accounts.alone`. Where devices are reserved the answer is no, as it may be for nothing.
    """
    if standing.look(tx) is not None:
        return False
    known = holds.look(tx, now)
    if known.reservations or known.paces.get(job.device_id) != "fast":
        return False
    bounds = holds.bounds(tx, now, known, ())
    held = bounds.kept.get(job.device_id)
    if held is not None and held.session_id != job.session_id:
        return False
    return bounds.allowed(job.device_id, job.project_id)


def _plain(choice: Choice, job_id: JobId, known: Circumstances) -> Next:
    return Next(job_id, "guarded" if choice.guarded else "due", pace=known.paces[DeviceId(choice.device)])


def _crowding(tx: Transaction, reserved: Sequence[Kept], paces: Mapping[DeviceId, Pace]) -> set[str]:
    """Return the reserved devices whose jobs take turns with those of others, because more of them run.

    A device that keeps the pace of a real machine never needs more than one slot, and does not count.
    """
    fast = {str(device) for device, pace in paces.items() if pace == "fast"}
    kept = {str(each.device_id): each for each in reserved if each.device_id in fast}
    lead = 0
    for (device, project), count in (counts.running(tx) if kept else {}).items():
        if device in fast:
            lead += count if device in kept and project in kept[device].project_ids else -count
    return set(kept) if lead > 0 else set()


def _first(
    tx: Transaction, look: Look, free: Collection[str], now: datetime, allowed: Allowed
) -> tuple[Choice, JobId] | None:
    """Return the oldest job of the project that is due, of those that are allowed."""
    miscounted: set[tuple[str, str]] = set()

    def there(device: str, project: str) -> bool:
        return (device, project) not in miscounted and allowed(device, project)

    while (choice := standing.choose(look, free, now, there)) is not None:
        job_id = records.oldest_queued(tx, choice.device, choice.project)
        if job_id is not None:
            return choice, job_id
        miscounted.add((choice.device, choice.project))  # should not be; the next start counts again
    return None
