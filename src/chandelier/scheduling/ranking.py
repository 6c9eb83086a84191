# SPDX-License-Identifier: Apache-2.0
"""Which job a free slot takes next: first come, first served.

A `Ranking` is all that the rest of the house knows of the order, so another order is another function.
"""

from collections.abc import Callable

from chandelier import devices
from chandelier.jobs import records
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import JobId
from chandelier.scheduling import limits
from chandelier.store import Transaction

#: Returns the queued job that goes next on any device that starts jobs, or None.
Ranking = Callable[[Transaction], JobId | None]


def first_come(tx: Transaction) -> JobId | None:
    """Return the queued job that was created first, of those whose project may run one more."""
    return records.oldest(tx, State.QUEUED, devices=devices.RUNNABLE, barred=limits.barred(tx))
