# SPDX-License-Identifier: Apache-2.0
"""The fair-share tree in memory: for forecasts, experiments and tests.

Each node keeps, for each device, a heap of the children that have work there. Keys mostly grow, so an entry whose key
is out of date is mended when it comes to the top: beginning a job costs the logarithm of the number of siblings at
each level, however many jobs wait.
"""

import heapq
from collections.abc import Callable, Generator, Iterable

from chandelier.fairshare import rules
from chandelier.fairshare.rules import Allowed, Choice, Rules, Usage

#: Weight of a node: its own, or where a device is named, the one it has there.
Weigh = Callable[[str, str | None], float]


class _Lane:
    """The work of a node on one device."""

    __slots__ = ("budget", "entry", "listed", "queued", "since", "weight")

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.queued = 0
        self.entry = rules.UNUSED  # key of the one entry in the heap that counts
        self.since = 0.0  # since when a project with work has got nothing
        self.listed = False  # whether it has its entry among those that wait
        self.budget = 0.0


class Tree:
    """A tree of pools, hubs, groups and projects with what each has used and where each has work.

    Args:
        weigh: Returns weights; asked once for each node and device, and again on `reweigh`.
    """

    def __init__(self, policy: Rules, weigh: Weigh) -> None:
        self.rules = policy
        self._weigh = weigh
        self._usage: dict[str, Usage] = {}
        self._ways: dict[str, tuple[str, ...]] = {}
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self._roots: dict[str, str] = {}
        self._below: dict[tuple[str, str], list[str]] = {}
        self._heaps: dict[tuple[str, str], list[tuple[float, str]]] = {}
        self._waiting: dict[str, list[tuple[float, str]]] = {}
        self._active: dict[str, set[str]] = {}

    def add(self, device: str, way: tuple[str, ...]) -> None:
        """Make a project known on a device; `way` leads from the device's pool to it."""
        self._ways[way[-1]] = way
        self._roots[device] = way[0]
        for parent, node in zip(("", *way[:-1]), way, strict=True):
            if (device, node) not in self._lanes:
                self._lanes[device, node] = _Lane(self._weigh(node, device))
                self._below.setdefault((device, parent), []).append(node)
            self._usage.setdefault(node, Usage())
            self._active.setdefault(node, set())

    def set_usage(self, node: str, usage: Usage) -> None:
        """Begin with what a node has used; before any of its work enters."""
        self._usage[node] = usage

    def set_budget(self, device: str, seconds: float) -> None:
        """Begin with what is saved up on a device for projects that waited too long."""
        self._lanes[device, self._roots[device]].budget = seconds

    def usage(self, node: str) -> Usage:
        """Return what a node has used."""
        return self._usage[node]

    def queued(self, device: str, node: str) -> int:
        """Return how many jobs of a node wait for a device."""
        return self._lanes[device, node].queued

    def enter(self, device: str, project: str, moment: float, jobs: int = 1) -> None:
        """Let jobs of a project wait for a device."""
        way = self._ways[project]
        for parent, node in zip(("", *way[:-1]), way, strict=True):
            lane = self._lanes[device, node]
            lane.queued += jobs
            if lane.queued > jobs:
                continue
            if not self._active[node]:
                self._begin(device, parent, node, moment)
            self._active[node].add(device)
            self._push(device, parent, node)
        if lane.queued == jobs:
            lane.since = moment
            if not lane.listed:
                lane.listed = True
                heapq.heappush(self._waiting.setdefault(device, []), (moment, project))

    def leave(self, device: str, project: str) -> None:
        """Take a job of a project out of a device's queue."""
        for node in self._ways[project]:
            lane = self._lanes[device, node]
            lane.queued -= 1
            if not lane.queued:
                self._active[node].discard(device)

    def start(self, choice: Choice, cost: float, moment: float) -> None:
        """Begin the oldest job of who was chosen, and charge what it is expected to take, s."""
        self.leave(choice.device, choice.project)
        self.charge(choice.project, cost, moment)
        self._lanes[choice.device, choice.project].since = moment
        root = self._lanes[choice.device, self._roots[choice.device]]
        root.budget = saved(root.budget, cost, self.rules, guarded=choice.guarded)

    def charge(self, project: str, cost: float, moment: float) -> None:
        """Charge a project, and all above it, `cost` seconds as of a moment; a negative cost gives back."""
        way = self._ways[project]
        for parent, node in zip(("", *way[:-1]), way, strict=True):
            self._usage[node] = rules.charged(self._usage[node], cost, moment, self.rules.half_life)
            if cost < 0:
                self._moved(parent, node)

    def reweigh(self, way: tuple[str, ...], moment: float) -> None:
        """Ask anew for the weight of the last node of a way; one that is due more now gets no more than the credit."""
        parent, node = way[-2], way[-1]
        for device in sorted(device for device, known in self._lanes if known == node):
            before = self._lanes[device, node].weight
            self._lanes[device, node].weight = self._weigh(node, device)
            if self._lanes[device, node].weight > before and device in self._active[node]:
                self._begin(device, parent, node, moment)
        self._moved(parent, node)

    def choose(self, devices: Iterable[str], moment: float, allowed: Allowed = rules.everyone) -> Choice | None:
        """Return who goes next on any of some devices, or None."""
        return rules.choose(self, frozenset(devices), moment, self.rules, allowed)

    def roots(self) -> Iterable[tuple[str, str]]:
        """Return the devices that have work, each with its pool."""
        return [(device, pool) for device, pool in self._roots.items() if self._lanes[device, pool].queued]

    def children(self, device: str, parent: str) -> Generator[str]:
        """Give the nodes below one that have work for a device, the one that is due first."""
        heap = self._heaps.get((device, parent), [])
        passed: list[tuple[float, str]] = []
        try:
            while heap:
                entry, node = heap[0]
                lane = self._lanes[device, node]
                if not lane.queued or lane.entry != entry:
                    heapq.heappop(heap)
                    continue
                true = self._key(lane, node)
                if true != entry:
                    lane.entry = true
                    heapq.heapreplace(heap, (true, node))
                    continue
                yield node
                passed.append(heapq.heappop(heap))
        finally:
            for each in passed:
                heapq.heappush(heap, each)

    def waiting(self, device: str, since: float) -> Iterable[tuple[float, str]]:
        """Return the projects with work for a device that got nothing since a moment, the longest waiting first."""
        heap = self._waiting.get(device, [])
        found = []
        while heap and heap[0][0] <= since:
            entry, project = heapq.heappop(heap)
            lane = self._lanes[device, project]
            lane.listed = lane.queued > 0
            if lane.listed and lane.since > entry:
                heapq.heappush(heap, (lane.since, project))
            elif lane.listed:
                found.append((entry, project))
        for each in found:
            heapq.heappush(heap, each)
        return found

    def budget(self, device: str) -> float:
        """Return how much device time is saved up for projects that waited too long, s."""
        return self._lanes[device, self._roots[device]].budget

    def standing(self, pool: str, path: tuple[str, ...]) -> tuple[float, ...]:
        """Return the keys of a project's way, with the nodes' own weights."""
        return tuple(
            rules.key(self._usage[node], self._weigh(node, None), self.rules.half_life) for node in (pool, *path)
        )

    def _begin(self, device: str, parent: str, node: str, moment: float) -> None:
        """Let a node compete, not further behind its siblings than the credit."""
        with_work = (each for each in self.children(device, parent) if each != node)
        least = next(with_work, None)
        if least is None:
            return
        weights = sum(self._lanes[device, each].weight for each in self._below[device, parent])
        least_key = self._key(self._lanes[device, least], least)
        weight = self._lanes[device, node].weight
        self._usage[node] = rules.clamped(self._usage[node], weight, least_key, weights, moment, self.rules)

    def _key(self, lane: _Lane, node: str) -> float:
        return rules.key(self._usage[node], lane.weight, self.rules.half_life)

    def _push(self, device: str, parent: str, node: str) -> None:
        lane = self._lanes[device, node]
        lane.entry = self._key(lane, node)
        heapq.heappush(self._heaps.setdefault((device, parent), []), (lane.entry, node))

    def _moved(self, parent: str, node: str) -> None:
        """Enter a node again where its key has become less; what has grown is mended when it comes to the top."""
        for device in self._active[node]:
            lane = self._lanes[device, node]
            if self._key(lane, node) < lane.entry:
                self._push(device, parent, node)


def saved(budget: float, cost: float, policy: Rules, *, guarded: bool) -> float:
    """Return what is saved up for projects that waited too long, after a job of `cost` seconds has begun."""
    budget = min(policy.guard_burst, budget + policy.guard_fraction * cost)
    return budget - cost if guarded else budget
