# SPDX-License-Identifier: Apache-2.0
"""How much device time each hub may reserve in any 28 days; the only writer of this table."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from chandelier import errors
from chandelier.store import Transaction, database
from chandelier.tenancy import audit
from chandelier.tenancy.audit import By
from chandelier.tenancy.network import HubId, Spot

#: No window of this length may have more than the quota.
WINDOW: Final = timedelta(days=28)
_MOST_SECONDS: Final = 1e9

#: A time from one moment to a later one.
Span = tuple[datetime, datetime]

_quotas: Final = sa.Table(
    "reservation_quotas",
    database.metadata,
    sa.Column("hub_id", sa.ForeignKey("hubs.id"), primary_key=True),
    sa.Column("seconds", sa.Float(53), nullable=False),
)


def find(tx: Transaction, hub_id: HubId | str) -> float | None:
    """Return what the operator set for a hub, s of all devices together; None where nothing was set."""
    return tx.execute(sa.select(_quotas.c.seconds).where(_quotas.c.hub_id == hub_id)).scalar()


def set_(tx: Transaction, by: By, hub: Spot, seconds: float) -> None:
    """Set how much a hub may reserve in any 28 days, s; what is reserved already stays.

    Raises:
        errors.Invalid: It cannot be a quota.
    """
    if not 0 <= seconds <= _MOST_SECONDS:
        raise errors.Invalid(f"A quota is 0 to {_MOST_SECONDS / 3600:g} hours, not {seconds / 3600:g}.", 1001)
    known = find(tx, hub.hub.id)
    if not database.insert_if_absent(tx, _quotas, {"hub_id": hub.hub.id, "seconds": seconds}):
        tx.execute(sa.update(_quotas).where(_quotas.c.hub_id == hub.hub.id).values(seconds=seconds))
    before = None if known is None else {"seconds": known}
    audit.write(tx, by.who, "reservation.quota", Spot(hub.hub), by.now, before=before, after={"seconds": seconds})


def peak(spans: Iterable[Span], around: Span) -> float:
    """Return the most seconds of some spans that any window of 28 days has, of the windows that touch `around`.

    What a window has, as it moves, changes its rate only where an end of it meets an end of a span.
    """
    low, high = around[0], around[1] + WINDOW
    bends = [(low, 0), (high, 0)]
    for begins, ends in spans:
        bends += [(begins, 1), (ends, -1), (begins + WINDOW, -1), (ends + WINDOW, 1)]
    bends.sort()
    most, held, rate, last = timedelta(), timedelta(), 0, bends[0][0]
    for moment, change in bends:
        held += rate * (moment - last)
        rate, last = rate + change, moment
        if low <= moment <= high:
            most = max(most, held)
    return most.total_seconds()
