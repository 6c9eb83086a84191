# SPDX-License-Identifier: Apache-2.0
"""Work as a fluid: how much of a device's work is done before a part of one project's, without naming any job.

Each node gives its children what it is given in proportion to their shares, while they have work; one that has used
more for its share than its siblings waits until they have caught up. So what a node was given follows from what one
of its children was given, level by level up to the device, each by a look into a sorted list.
"""

import bisect
from collections.abc import Mapping, Sequence

import msgspec


class Stream(msgspec.Struct, frozen=True):
    """What waits below a node.

    Attributes:
        weight: Its share; more than 0.
        work: What waits, s.
        lead: What it has used for each unit of its share, s.
    """

    weight: float
    work: float
    lead: float = 0.0


class Level:
    """The children of one node, served side by side.

    Source: generalised processor sharing, Parekh and Gallager 1993, eq. (1); each child begins at its lead.
    """

    def __init__(self, streams: Mapping[str, Stream]) -> None:
        self._streams = streams
        changes: list[tuple[float, float]] = []
        for stream in streams.values():
            changes += [(stream.lead, stream.weight), (stream.lead + stream.work / stream.weight, -stream.weight)]
        changes.sort()
        self._at: list[float] = []
        self._given: list[float] = []
        self._slopes: list[float] = []
        given = slope = 0.0
        for at, change in changes:
            given += slope * (at - self._at[-1]) if self._at else 0.0
            slope += change
            self._at.append(at)
            self._given.append(given)
            self._slopes.append(slope)

    def given(self, child: str, own: float) -> float:
        """Return what all children were given together when one of them was given `own` seconds."""
        stream = self._streams[child]
        at = stream.lead + min(own, stream.work) / stream.weight
        place = bisect.bisect_right(self._at, at) - 1
        return self._given[place] + self._slopes[place] * (at - self._at[place])


class Fluid:
    """What waits for one device.

    Args:
        levels: The children of each node that has any, by its name; the way to a project begins with the device's pool.
    """

    def __init__(self, levels: Mapping[str, Mapping[str, Stream]]) -> None:
        self._levels = {node: Level(streams) for node, streams in levels.items()}

    def before(self, way: Sequence[str], own: float) -> float:
        """Return how much work of all is done, s, when a project has had `own` seconds of its.

        Args:
            way: From the device's pool to the project.
        """
        for parent, child in zip(reversed(way[:-1]), reversed(way[1:]), strict=True):
            own = self._levels[parent].given(child, own)
        return own
