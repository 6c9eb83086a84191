# SPDX-License-Identifier: Apache-2.0
"""The pacer: keeps jobs that have run until the machine itself would be done with them, then settles them.

On a device whose pace is `real` a result is there long before its time. Until then the job goes on RUNNING under its
lease, and needs neither a child nor a slot.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from chandelier import errors, telemetry
from chandelier.formats import tasks
from chandelier.jobs import outcomes, records
from chandelier.jobs.records import Job
from chandelier.scheduling import claims
from chandelier.scheduling.claims import Claim
from chandelier.store import Store, Transaction

_log = logging.getLogger(__name__)

#: The clock may be set meanwhile, so nobody sleeps for longer.
_LONGEST_SLEEP: Final = timedelta(seconds=5)


class _Parked(msgspec.Struct, frozen=True):
    """A job that has run.

    Attributes:
        result: The file with its result, which becomes an object in the end: should the server die, it is swept away.
            There is none if the result was told.
        due: When its device is free again.
        forget: Ends the listening for its cancellation.
    """

    claim: Claim
    finished: tasks.Finished
    result: Path
    due: datetime
    forget: Callable[[], None]


class Pacer:
    """Finished jobs whose devices are still occupied; `run` in a thread, `close` it and it ends.

    Args:
        clock: Returns the present moment.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._news = threading.Condition()
        self._parked: dict[str, _Parked] = {}
        self._until: datetime | None = None

    def held(self) -> list[Claim]:
        """Return the claims of what is parked; somebody must renew their leases."""
        with self._news:
            return [parked.claim for parked in self._parked.values()]

    def park(self, claim: Claim, finished: tasks.Finished, due: datetime, *, moved: Callable[[], None]) -> None:
        """Keep a job whose result has just arrived until it is due; after `close` it may have to wait again.

        Args:
            moved: Called when something happens to the job meanwhile.

        Raises:
            FileNotFoundError: No result has arrived.
        """
        incoming = self._store.objects.incoming
        result = incoming(f"{claim.token}-parked")
        if finished.document == tasks.ABSENT:
            incoming(claim.token).rename(result)
        forget = self._store.bell.listen(f"job:{claim.job.id}", moved)
        parked = _Parked(claim, finished, result, due, forget)
        with self._news:
            kept = self._until is None or due <= self._until
            if kept:
                self._parked[claim.token] = parked
                self._news.notify_all()
        if not kept:
            self._give_back(parked)

    def drop(self, claim: Claim) -> None:
        """Let go of a job that was cancelled, or is somebody else's now; its device is free."""
        with self._news:
            parked = self._parked.pop(claim.token, None)
        if parked is not None:
            self._abandon(parked)

    def close(self, until: datetime) -> None:
        """Settle what is due until a moment and let everything else wait again; then `run` returns."""
        with self._news:
            self._until = until
            self._news.notify_all()

    def run(self) -> None:
        """Settle each job when it is due, until closed."""
        while (parked := self._next()) is not None:
            try:
                if parked.due <= self._clock():
                    self._settle(parked)
                else:
                    self._give_back(parked)
            except Exception as failure:  # noqa: BLE001  # the loop outlives whatever happens to one job
                told = failure if isinstance(failure, errors.Unavailable) else None
                _log.error("A job could not be settled; trying again: %s", told or "", exc_info=told is None)
                with self._news:
                    self._parked[parked.claim.token] = parked
                    self._news.wait(1.0)

    def _next(self) -> _Parked | None:
        """Wait for a job that is due, or that will not be before the end; None when closed and nothing is left."""
        with self._news:
            while True:
                now = self._clock()
                waiting = sorted(self._parked.values(), key=lambda parked: parked.due)
                for parked in waiting:
                    if parked.due <= now or (self._until is not None and parked.due > self._until):
                        return self._parked.pop(parked.claim.token)
                if self._until is not None and self._until <= now:
                    return None
                ends = [now + _LONGEST_SLEEP, *(parked.due for parked in waiting)]
                ends += [] if self._until is None else [self._until]
                self._news.wait((min(ends) - now).total_seconds())

    def _settle(self, parked: _Parked) -> None:
        claim, finished, objects = parked.claim, parked.finished, self._store.objects
        try:
            # It is there already if the settlement is tried again.
            if finished.document == tasks.ABSENT and not objects.exists("results", claim.token):
                objects.adopt("results", claim.token, parked.result)
        except FileNotFoundError:
            _log.error("The result of job %s is gone", claim.job.id)
            self._give_back(parked, died=True)
            return

        def write(tx: Transaction) -> None:
            claims.hold(tx, claim)
            outcomes.settle(tx, claim.job, finished, claim.token, max(self._clock(), parked.due))
            claims.release(tx, claim)
            tx.ring("queue")

        try:
            self._store.write(write)
            telemetry.job_ended(finished.seconds)
        except (claims.LeaseLost, errors.Conflict):
            self._abandon(parked)
        parked.forget()

    def _give_back(self, parked: _Parked, *, died: bool = False) -> None:
        """Let a job wait again, because the server stops."""
        try:
            self._store.write(lambda tx: claims.give_back(tx, parked.claim, self._clock(), died=died))
        except (claims.LeaseLost, errors.Conflict):
            self._abandon(parked)
        parked.forget()
        parked.result.unlink(missing_ok=True)

    def _abandon(self, parked: _Parked) -> None:
        """Let go of what is not to be settled, and tell the slots that the device is free."""

        def write(tx: Transaction) -> bool:
            claims.let_go(tx, parked.claim)
            tx.ring("queue")
            return _has_settled(tx, parked.claim)

        parked.forget()
        settled = self._store.write(write)
        parked.result.unlink(missing_ok=True)
        if not settled:
            self._store.objects.delete("results", parked.claim.token)


def _has_settled(tx: Transaction, claim: Claim) -> bool:
    """Tell whether a job ended with this result after all: its settlement may have come through unheard."""
    try:
        return records.get(tx, claim.job.id).result == claim.token
    except errors.NotFound:
        return False


def occupation(job: Job) -> tasks.Occupation | None:
    """Return until when a job that runs occupies its device; None if only as long as it takes."""
    if job.occupies is None or job.started is None:
        return None
    return tasks.Occupation(job.occupies, job.started + timedelta(seconds=job.occupies))
