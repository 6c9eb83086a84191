# SPDX-License-Identifier: Apache-2.0
"""How many jobs may wait or run on a device: those of a user, and those of a project, group or hub together."""

from collections.abc import Iterator
from typing import Final

import msgspec

from chandelier import errors
from chandelier.devices import Device
from chandelier.fairshare import standing
from chandelier.jobs import counts, lifecycle
from chandelier.jobs.lifecycle import State
from chandelier.store import Transaction
from chandelier.tenancy import grants, network
from chandelier.tenancy.network import Level, Node, Place
from chandelier.tenancy.users import UserId

#: What the fair-share accounts do not count.
_ELSEWHERE: Final = lifecycle.ACTIVE - {State.QUEUED}


class Room(msgspec.Struct, frozen=True):
    """What is left to a user on a device.

    Attributes:
        most: Jobs that the user may have there at present; -1 for any number.
        there: Jobs that the user has there.
    """

    most: int
    there: int


def check(tx: Transaction, user_id: UserId, place: Place, device: Device, most: int) -> None:
    """Make sure that one more job is allowed, and keep others from taking its place until the transaction ends.

    Args:
        most: Jobs that one user may have on one device; -1 for any number.

    Raises:
        errors.LimitReached: It is not.
    """
    if most >= 0:
        tx.alone(f"pending:{device.id}:{user_id}")
        there = counts.active(tx, device.id, user_id)
        if there >= most:
            raise _reached(f"You have {there} jobs", device, most)
    for level, node, limit in _limited(tx, place, device):
        tx.alone(f"pending:{device.id}:{node.id}")
        there = _count(tx, level, node, device)
        if there >= limit:
            raise _reached(f"The {level} {node.name} has {there} jobs", device, limit)


def room(tx: Transaction, user_id: UserId, place: Place, device: Device, most: int) -> Room:
    """Return how many jobs a user may have on a device and has; the least of all limits, of which none is told.

    Args:
        most: As of `check`.
    """
    there = counts.active(tx, device.id, user_id)
    limits = [most] if most >= 0 else []
    for level, node, limit in _limited(tx, place, device):
        limits.append(there + max(0, limit - _count(tx, level, node, device)))
    return Room(min(limits, default=-1), there)


def _limited(tx: Transaction, place: Place, device: Device) -> Iterator[tuple[Level, Node, int]]:
    """Give the nodes on the way to a place whose jobs on a device are limited, from the top."""
    way = place.spot.way
    known = {each.node_id: each.limits.max_pending for each in grants.on_device(tx, place, device.id)}
    for level, node in zip(network.LEVELS, way, strict=True):
        limit = known.get(node.id)
        if limit is not None:
            yield level, node, limit


def _count(tx: Transaction, level: Level, node: Node, device: Device) -> int:
    """Count the jobs of a node on a device that have not ended; those that wait to run are known already."""
    projects = network.projects_below(tx, level, node.id)
    return standing.waiting(tx, device.id, node.id).jobs + counts.of_projects(tx, device.id, projects, _ELSEWHERE)


def _reached(have: str, device: Device, most: int) -> errors.LimitReached:
    return errors.LimitReached(
        f"{have} on {device.name} that have not ended; {most} are allowed. Wait for one of them to end, or cancel one.",
        3458,
    )
