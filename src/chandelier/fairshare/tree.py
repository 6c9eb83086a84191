# SPDX-License-Identifier: Apache-2.0
"""The fair-share tree in memory: for forecasts, experiments and tests.

For each device, each node keeps its children that have work there in the order in which they are due. Beginning a job
costs the logarithm of the number of siblings at each level, however many jobs wait.
"""

import contextlib
import itertools
from collections.abc import Callable, Collection, Generator, Iterable, Sequence

from chandelier.fairshare import rules
from chandelier.fairshare.ordering import Order, Rank
from chandelier.fairshare.rules import Allowed, Choice, Rules, Usage

#: Weight of a node: its own, or where a device is named, the one it has there.
Weigh = Callable[[str, str | None], float]


class _Node:
    """What a node has used, and its work on each device."""

    __slots__ = ("lanes", "usage")

    def __init__(self) -> None:
        self.usage = Usage()
        self.lanes: dict[str, _Lane] = {}

    def set(self, usage: Usage) -> None:
        """Set what it has used; its keys follow when they are asked for."""
        self.usage = usage
        for lane in self.lanes.values():
            lane.key = None


class _Lane:
    """The work of a node on one device.

    Attributes:
        key: What siblings are ordered by; None until it is worked out anew.
        weights: Sum of the weights of all below.
        due: Those below that have work, the one that is due first; a pool's projects are in `waiting` besides.
        reached: The key up to which those below have been served since there was last no work here; what the guard lets
            go does not count.
        since: Since when it has work and has got nothing; decides between siblings that are due alike.
        budget: Of a pool: what is saved up for projects that waited too long, s.
    """

    __slots__ = (
        "above",
        "below",
        "budget",
        "due",
        "key",
        "name",
        "node",
        "queued",
        "reached",
        "since",
        "waiting",
        "weight",
        "weights",
    )

    def __init__(self, name: str, node: _Node, weight: float, above: "_Lane | None") -> None:
        self.name = name
        self.node = node
        self.weight = weight
        self.key: float | None = None
        self.above = above
        self.below: dict[str, _Lane] = {}
        self.weights = 0.0
        self.due = Order()
        self.waiting = Order()
        self.queued = 0
        self.reached = rules.UNUSED
        self.since = 0.0
        self.budget = 0.0


class Tree:
    """A tree of pools, hubs, groups and projects with what each has used and where each has work.

    Args:
        weigh: Returns weights; asked once for each node and device, and again on `reweigh`.
        levels: The levels below a pool.
    """

    def __init__(self, policy: Rules, weigh: Weigh, levels: Sequence[str] = rules.LEVELS) -> None:
        self.rules = policy
        self._weigh = weigh
        self._levels = len(levels)
        self._nodes: dict[str, _Node] = {}
        self._roots: dict[str, _Lane] = {}
        self._ways: dict[str, tuple[_Node, ...]] = {}
        self._lanes: dict[tuple[str, str], tuple[_Lane, ...]] = {}  # of a project on a device, from the pool to it

    def add(self, device: str, way: tuple[str, ...]) -> None:
        """Make a project known on a device; `way` leads from the device's pool to it."""
        lanes: list[_Lane] = []
        for name in way:
            node = self._nodes.setdefault(name, _Node())
            if device not in node.lanes:
                node.lanes[device] = self._lane(device, name, node, lanes[-1] if lanes else None)
            lanes.append(node.lanes[device])
        self._ways[way[-1]] = tuple(lane.node for lane in lanes)
        self._lanes[device, way[-1]] = tuple(lanes)

    def set_usage(self, node: str, usage: Usage) -> None:
        """Set what a node has used, as it is: nothing is raised."""
        self._nodes.setdefault(node, _Node()).set(usage)
        self._lowered(self._nodes[node])

    def set_lane(self, device: str, node: str, since: float, reached: float) -> None:
        """Set since when a node with work has got nothing on a device, and how far those below it have been served."""
        lane = self._nodes[node].lanes[device]
        lane.since, lane.reached = since, reached
        self._lowered(lane.node)

    def set_budget(self, device: str, seconds: float) -> None:
        """Set what is saved up on a device for projects that waited too long."""
        self._roots[device].budget = seconds

    def usage(self, node: str) -> Usage:
        """Return what a node has used."""
        return self._nodes[node].usage

    def queued(self, device: str, node: str) -> int:
        """Return how many jobs of a node wait for a device."""
        return self._nodes[node].lanes[device].queued

    def enter(self, device: str, project: str, moment: float, jobs: int = 1) -> None:
        """Let jobs of a project wait for a device."""
        lanes = self._lanes[device, project]
        for lane in lanes:
            lane.queued += jobs
            if lane.queued == jobs:
                self._begin(lane, moment)
        if lanes[-1].queued == jobs:
            self._waits(lanes)

    def leave(self, device: str, project: str) -> None:
        """Take a job of a project out of a device's queue."""
        for lane in self._lanes[device, project]:
            self._left(lane)

    def start(self, choice: Choice, cost: float, moment: float) -> None:
        """Begin the oldest job of who was chosen, and charge what it is expected to take, s."""
        lanes = self._lanes[choice.device, choice.project]
        if not choice.guarded:
            # Source: P. Goyal, H. Vin, H. Cheng, Start-time Fair Queueing (1996), the virtual time of a server.
            for above, lane in itertools.pairwise(lanes):
                above.reached = max(above.reached, self._key(lane))
        for lane in lanes:
            self._left(lane)
            lane.since = moment
        self.charge(choice.project, cost, moment)
        self._waits(lanes)
        lanes[0].budget = saved(lanes[0].budget, cost, self.rules, guarded=choice.guarded)

    def charge(self, project: str, cost: float, moment: float) -> None:
        """Charge a project, and all above it, `cost` seconds as of a moment; a negative cost gives back."""
        half_life = self.rules.half_life
        for node in self._ways[project]:
            node.set(rules.charged(node.usage, cost, moment, half_life))
            if cost < 0:
                self._lowered(node)

    def reweigh(self, node: str, moment: float) -> None:
        """Ask anew for the weight of a node; one that is due more now gets no more than the credit."""
        known = self._nodes[node]
        for device, lane in sorted(known.lanes.items()):
            before, lane.weight, lane.key = lane.weight, self._weigh(node, device), None
            if lane.above is not None:
                lane.above.weights = sum(each.weight for each in lane.above.below.values())
            if lane.weight > before and lane.queued:
                self._clamp(lane, moment)
        self._lowered(known)

    def choose(self, devices: Collection[str], moment: float, allowed: Allowed = rules.everyone) -> Choice | None:
        """Return who goes next on any of some devices, or None."""
        return rules.choose(self, devices, moment, self.rules, allowed, levels=self._levels)

    def roots(self) -> Iterable[tuple[str, str]]:
        """Return the devices that have work, each with its pool."""
        return [(device, lane.name) for device, lane in self._roots.items() if lane.queued]

    def children(self, device: str, parent: str) -> Generator[str]:
        """Give the nodes below one that have work for a device, the one that is due first."""
        return self._due(self._nodes[parent].lanes[device])

    def waiting(self, device: str, since: float) -> Generator[tuple[float, str]]:
        """Give the projects with work for a device that got nothing since a moment, the longest waiting first."""

        def rank(project: str) -> Rank | None:
            lane = self._lanes[device, project][-1]
            return (lane.since, 0.0) if lane.queued else None

        with contextlib.closing(self._roots[device].waiting.first(rank, (since, 0.0))) as projects:
            for project in projects:
                yield self._lanes[device, project][-1].since, project

    def budget(self, device: str) -> float:
        """Return how much device time is saved up for projects that waited too long, s."""
        return self._roots[device].budget

    def standing(self, device: str, way: tuple[str, ...]) -> tuple[float, ...]:
        """Return the keys of a project's way, with the nodes' own weights, and since when it waits on a device."""
        return (*(self._own_key(name) for name in way), self._lanes[device, way[-1]][-1].since)

    def _lane(self, device: str, name: str, node: _Node, above: _Lane | None) -> _Lane:
        lane = _Lane(name, node, self._weigh(name, device), above)
        if above is None:
            self._roots[device] = lane
        else:
            above.below[name] = lane
            above.weights += lane.weight
        return lane

    def _due(self, parent: _Lane) -> Generator[str]:
        below, key = parent.below, self._key

        def rank(name: str) -> Rank | None:
            lane = below[name]
            return (key(lane), lane.since) if lane.queued else None

        return parent.due.first(rank)

    @staticmethod
    def _left(lane: _Lane) -> None:
        lane.queued -= 1
        if not lane.queued:
            lane.reached = rules.UNUSED

    def _begin(self, lane: _Lane, moment: float) -> None:
        """Let a node compete on a device; if it had no work on any, not further behind its siblings than the credit."""
        if not any(each.queued for each in lane.node.lanes.values() if each is not lane):
            self._clamp(lane, moment)
        lane.since = moment
        if lane.above is not None:
            lane.above.due.put(lane.name, self._rank(lane))

    def _waits(self, lanes: Sequence[_Lane]) -> None:
        """Enter a project that has work among those that may wait too long."""
        if lanes[-1].queued:
            lanes[0].waiting.put(lanes[-1].name, (lanes[-1].since, 0.0))

    def _rank(self, lane: _Lane) -> Rank:
        return self._key(lane), lane.since

    def _key(self, lane: _Lane) -> float:
        if lane.key is None:
            lane.key = rules.key(lane.node.usage, lane.weight, self.rules.half_life)
        return lane.key

    def _clamp(self, lane: _Lane, moment: float) -> None:
        least, weights = (
            self._rivals(lane) if lane.above is None else (self._least(lane, lane.above), lane.above.weights)
        )
        if least is not None:
            lane.node.set(rules.clamped(lane.node.usage, lane.weight, least, weights, moment, self.rules))

    def _least(self, lane: _Lane, above: _Lane) -> float | None:
        """Return how far siblings that have work have been served: newcomers among them do not draw others back."""
        with contextlib.closing(self._due(above)) as due:
            name = next((name for name in due if name != lane.name), None)
        if name is None:
            return None
        sibling = above.below[name]
        return max(above.reached, self._key(sibling))

    def _rivals(self, lane: _Lane) -> tuple[float | None, float]:
        """Return the key of the least served other pool that has work, and the weights of those and this."""
        rivals = {root.name for root in self._roots.values() if root.queued} - {lane.name}
        weights = sum(self._weigh(name, None) for name in rivals) + lane.weight
        return min((self._own_key(name) for name in rivals), default=None), weights

    def _own_key(self, name: str) -> float:
        return rules.key(self._nodes[name].usage, self._weigh(name, None), self.rules.half_life)

    def _lowered(self, node: _Node) -> None:
        """Enter a node anew where it may be due sooner than it was."""
        for lane in node.lanes.values():
            if lane.queued and lane.above is not None:
                lane.above.due.put(lane.name, self._rank(lane))


def saved(budget: float, cost: float, policy: Rules, *, guarded: bool) -> float:
    """Return what is saved up for projects that waited too long, after a job of `cost` seconds has begun."""
    budget = min(policy.guard_burst, budget + policy.guard_fraction * cost)
    return budget - cost if guarded else budget
