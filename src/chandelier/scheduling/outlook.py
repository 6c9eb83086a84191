# SPDX-License-Identifier: Apache-2.0
"""What a change of a share does: to the shares of its siblings, and to the next job of each on each device."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from chandelier import devices
from chandelier.devices import Device, DeviceId
from chandelier.fairshare import standing
from chandelier.scheduling import forecast
from chandelier.scheduling.forecast import Forecast
from chandelier.scheduling.foresight import Expected
from chandelier.store import Transaction
from chandelier.tenancy import grants, network, rules
from chandelier.tenancy.network import Spot

T = TypeVar("T")


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


class ShareChange(msgspec.Struct, frozen=True):
    """A share and what it is of all siblings' in per cent, before and after; None where there is none."""

    path: str
    share_before: int | None
    percent_before: float | None
    share_after: int | None
    percent_after: float | None


class NextChange(msgspec.Struct, frozen=True):
    """The place and the start of a node's next job on a device, before and after, as in `Outlook`."""

    path: str
    device: str
    waiting: int
    place_before: int | None
    place_after: int | None
    start_before: float | None
    start_after: float | None


class Comparison(msgspec.Struct, frozen=True):
    """What a change did: the shares of siblings by path, before and after, and what became of the queue."""

    before: Mapping[str, int]
    after: Mapping[str, int]
    queue: Sequence[NextChange]


def compare(
    tx: Transaction, now: datetime, slots: int | None, above: Spot | None, device: Device | None, act: Callable[[], T]
) -> tuple[T, Comparison]:
    """Do something in this transaction; return what it returns, and what it changes for what is in a hub or group.

    Args:
        slots: How many jobs run at once; None to leave the queue alone, since looking at it takes a moment.
        above: The hub or group; None for the hubs.
        device: Of which the shares are told; None for those of the nodes themselves.
    """
    inside = network.inside(tx, above)
    shares_before, ahead = shares(tx, above, device), [] if slots is None else look(tx, now, slots, inside)
    done = act()
    then = [] if slots is None or not ahead else look(tx, now, slots, inside)
    return done, Comparison(shares_before, shares(tx, above, device), _moved(tx, ahead, then))


def shares(tx: Transaction, above: Spot | None, device: Device | None = None) -> dict[str, int]:
    """Return the shares, by path, of what is in a hub or group; of a device's, those of who has it."""
    inside = network.inside(tx, above)
    if device is None:
        return {spot.path: spot.node.priority for spot in inside}
    granted = {
        each.node_id: each.priority
        for each in grants.of_nodes(tx, [spot.node.id for spot in inside])
        if each.device_id == device.id
    }
    return {spot.path: granted[spot.node.id] for spot in inside if spot.node.id in granted}


def percentages(known: Mapping[str, int]) -> dict[str, float]:
    """Return what each share is of their sum, in per cent."""
    whole = sum(known.values())
    return {path: rules.percent(share, whole) for path, share in known.items()}


def weighed(before: Mapping[str, int], after: Mapping[str, int]) -> list[ShareChange]:
    """Return how each share changes, those that come last."""
    old, new = percentages(before), percentages(after)
    return [
        ShareChange(path, before.get(path), old.get(path), after.get(path), new.get(path))
        for path in dict.fromkeys([*before, *after])
    ]


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


def _moved(tx: Transaction, before: Iterable[Outlook], after: Iterable[Outlook]) -> list[NextChange]:
    new = {(each.device_id, each.path): each for each in after}
    return [
        NextChange(
            path=old.path,
            device=devices.get_by_id(tx, old.device_id).name,
            waiting=old.waiting,
            place_before=old.place,
            place_after=then.place,
            start_before=old.start,
            start_after=then.start,
        )
        for old in before
        if (then := new.get((old.device_id, old.path))) is not None
    ]
