# SPDX-License-Identifier: Apache-2.0
"""What lies ahead of hubs, groups and projects: each one's next job on each device; to be compared before a change."""

from collections.abc import Collection, Iterable
from datetime import datetime

import msgspec

from chandelier.devices import DeviceId
from chandelier.fairshare import standing
from chandelier.scheduling import forecast
from chandelier.scheduling.forecast import Forecast
from chandelier.scheduling.foresight import Expected
from chandelier.store import Transaction
from chandelier.tenancy import network
from chandelier.tenancy.network import Spot


class Outlook(msgspec.Struct, frozen=True):
    """The next job of a node on a device.

    Attributes:
        waiting: How many of its jobs wait there.
        place: 1-based place of the next among all jobs on the device; None if it is far behind.
        start: When it should start, s since 1970; None if nobody knows.
    """

    device_id: DeviceId
    path: str
    waiting: int
    place: int | None
    start: float | None


def next_of(seen: Forecast, device_id: str, project_ids: Collection[str]) -> Expected | None:
    """Return what is foretold of the job that goes first on a device among those of some projects, if anything."""
    label = seen.pools.get(device_id, "")
    lines = {(device_id, standing.label(label, project)) for project in project_ids}
    mine = (each for each in seen.course.expected.values() if each.line in lines and each.overall is not None)
    return min(mine, key=lambda each: each.overall or 0, default=None)


def look(tx: Transaction, now: datetime, slots: int, spots: Iterable[Spot]) -> list[Outlook]:
    """Return what lies ahead of some nodes where they have work, with the shares as they are in this transaction.

    Args:
        slots: How many jobs run at once.
    """
    seen = forecast.make(tx, now, slots)
    found = []
    for spot in spots:
        below = network.projects_below(tx, spot.level, spot.node.id)
        for device_id in sorted(seen.pools):
            standing = seen.standings.get((device_id, spot.node.id))
            if standing is None or not standing.queued:
                continue
            first = next_of(seen, device_id, below)
            place, start = (None, None) if first is None else (first.overall, first.start)
            found.append(Outlook(DeviceId(device_id), spot.path, standing.queued, place, start))
    return found
