# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of fair share, and the one walk down the tree; no clock, no database, no chance.

Usage is device time that fades: what was used one half-life ago counts half. It is kept as a value and the moment at
which it had that value, and compared by keys that need no bringing up to date: the base-2 logarithm of the usage per
unit of weight, plus the moment in half-lives. Fading takes the same amount off every key per second, so the order of
two siblings never changes by waiting.

Two forms of the tree share this module: `tree`, in memory, and `accounts`, in the database.
"""

import contextlib
import math
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from typing import Final, Literal, Protocol

import msgspec

#: The levels below a device's pool, from the top.
LEVELS: Final = ("hub", "group", "project")
#: The levels of the published rule of the former service, where groups of all hubs compete with one another.
WITHOUT_HUBS: Final = ("group", "project")
#: Least device time a job is charged, s: nothing is free.
LEAST_CHARGE: Final = 0.1
#: The key of who has used nothing.
UNUSED: Final = -1e300
#: Largest power of two, s for each unit of weight, that is worked with; a trillion years.
_LARGEST: Final = 65.0


class Rules(msgspec.Struct, frozen=True):
    """The numbers of the policy; times in seconds.

    Attributes:
        half_life: After this time usage counts half; 9.7 days have the mean age of a window of 28 days.
        credit: How far behind its siblings a node may begin: device time per unit of normalised share.
        max_gap: A project with work that got nothing for this long goes next.
        guard_fraction: Most of a device's time that may go to such projects.
        guard_burst: Most device time that may be saved up for them.
    """

    half_life: float = 9.7 * 86400
    credit: float = 6 * 3600.0
    max_gap: float = 2 * 3600.0
    guard_fraction: float = 0.05
    guard_burst: float = 3600.0


class Usage(msgspec.Struct, frozen=True):
    """Device time that fades: `value` seconds at the moment `at` (seconds since any fixed one)."""

    value: float = 0.0
    at: float = 0.0

    def now(self, moment: float, half_life: float) -> float:
        """Return what counts of it at a moment, s; before `at`, what counted then."""
        return self.value * math.exp2((self.at - moment) / half_life) if moment > self.at else self.value


def cost(seconds: float) -> float:
    """Return what a job of some device time is charged, s."""
    return max(LEAST_CHARGE, seconds)


def charged(usage: Usage, cost: float, moment: float, half_life: float) -> Usage:
    """Return usage with `cost` seconds more (or less) as of `moment`, which may lie in the past; never below 0."""
    if cost == 0:
        return usage  # bringing it up to date could round its key down
    if moment >= usage.at:
        return Usage(max(0.0, usage.now(moment, half_life) + cost), moment)
    return Usage(max(0.0, usage.value + cost * math.exp2((moment - usage.at) / half_life)), usage.at)


def key(usage: Usage, weight: float, half_life: float) -> float:
    """Return what siblings are ordered by; the least goes first. A weight is more than 0."""
    ratio = usage.value / weight
    return math.log2(ratio) + usage.at / half_life if ratio > 0 else UNUSED


def clamped(usage: Usage, weight: float, least_key: float, weights: float, moment: float, rules: Rules) -> Usage:
    """Return the usage with which a node begins to compete: not further behind than the credit.

    Args:
        least_key: Key of the least served sibling that has work.
        weights: Sum of the weights of all siblings and the node itself.
    """
    if least_key == UNUSED:
        return usage
    # A clock that was set back must not make what was used later too large for a number.
    now = max(moment, usage.at, (least_key - _LARGEST) * rules.half_life)
    floor = math.exp2(least_key - now / rules.half_life) - rules.credit / weights
    if usage.now(now, rules.half_life) / weight >= floor:
        return usage
    return Usage(floor * weight, now)


def way(pool: str, places: Sequence[str], levels: Sequence[str] = LEVELS) -> tuple[str, ...]:
    """Return the way from a pool to a project, given its hub, its group and itself, over the levels that count."""
    return (pool, *(place for level, place in zip(LEVELS, places, strict=True) if level in levels))


def fraction(shares: Iterable[tuple[float, float]]) -> float:
    """Return the part that is left at the end of a way; of each node its weight and that of all siblings with it.

    Where a level does not count, this is the weight of the nodes below it.
    """
    return math.prod(weight / siblings for weight, siblings in shares)


class Source(Protocol):
    """What the walk asks of a form of the tree."""

    def roots(self) -> Iterable[tuple[str, str]]:
        """Return the devices that have work, each with its pool."""

    def children(self, device: str, parent: str) -> Generator[str]:
        """Give the nodes below one that have work for a device, the one that is due first."""

    def waiting(self, device: str, since: float) -> Generator[tuple[float, str]]:
        """Give the projects with work for a device that got nothing since a moment, the longest waiting first."""

    def budget(self, device: str) -> float:
        """Return how much device time is saved up for such projects, s; negative when too much went to them."""

    def standing(self, device: str, way: tuple[str, ...]) -> tuple[float, ...]:
        """Return the keys of a project's way, with the nodes' own weights, and since when it waits on a device."""


#: Why somebody goes: by fair share, because they waited too long, because the device is reserved for them, or because
#: their session keeps it.
Turn = Literal["due", "guarded", "reserved", "session"]


class Choice(msgspec.Struct, frozen=True):
    """Who goes next, and where.

    Attributes:
        guarded: The project goes because it waited too long, not because it is due.
    """

    device: str
    project: str
    guarded: bool = False


#: Whether a project may have its work on a device begun now.
Allowed = Callable[[str, str], bool]


def everyone(_device: str, _project: str) -> bool:
    """Allow everything."""
    return True


def choose(
    source: Source,
    devices: Collection[str],
    moment: float,
    rules: Rules,
    allowed: Allowed,
    *,
    levels: int = len(LEVELS),
) -> Choice | None:
    """Return who goes next on any of some devices, or None.

    First whoever waited too long, while that is within its budget. Then each device proposes a project: from its pool
    down to hub, group and project, always to the child that is due and has work there. Of several proposals the one
    goes whose way is due first by the nodes' own weights; of one project's, where it waits longest.

    Args:
        levels: How many levels are below a pool.
    """
    roots = [(device, pool) for device, pool in source.roots() if device in devices]
    late = [
        (first[0], device, first[1])
        for device, _ in roots
        if source.budget(device) > 0 and (first := _late(source, device, moment - rules.max_gap, allowed)) is not None
    ]
    if late:
        _, device, project = min(late)
        return Choice(device, project, guarded=True)
    ways = [(device, found) for device, pool in roots if (found := _walk(source, device, (pool,), levels, allowed))]
    if len(ways) > 1:
        ways.sort(key=lambda each: (source.standing(*each), each[0]))
    return Choice(ways[0][0], ways[0][1][-1]) if ways else None


def _late(source: Source, device: str, since: float, allowed: Allowed) -> tuple[float, str] | None:
    """Return the project that waits longest for a device, of those that got nothing since a moment and may go."""
    with contextlib.closing(source.waiting(device, since)) as waiting:
        return next((each for each in waiting if allowed(device, each[1])), None)


def _walk(source: Source, device: str, above: tuple[str, ...], levels: int, allowed: Allowed) -> tuple[str, ...] | None:
    """Return the way on to the project that is due, or None if none below may go."""
    children = source.children(device, above[-1])
    try:
        for node in children:
            way = (*above, node)
            if len(way) <= levels:
                found = _walk(source, device, way, levels, allowed)
                if found is not None:
                    return found
            elif allowed(device, node):
                return way
    finally:
        children.close()
    return None
