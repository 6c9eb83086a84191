# SPDX-License-Identifier: Apache-2.0
"""Experiments on fairness in simulated time: the scheduler's own tree, and other queues beside it.

Everything happens on one device with one worker, by `fairshare.replay`; estimates of run times are right, and chance is
seeded. Tests assert the numbers of the same experiments that `fairness.py` prints and draws.
"""

import heapq
import itertools
import math
import random
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from chandelier.fairshare import replay, rules
from chandelier.fairshare.replay import Job, Queue, Run
from chandelier.fairshare.rules import Choice, Rules
from chandelier.fairshare.tree import Tree

DAY: Final = 86400.0
HOUR: Final = 3600.0
DEVICE: Final = "device"
POOL: Final = "qpus"
#: Hubs with their weights, in them groups, in them projects.
Hubs = Mapping[str, tuple[float, Mapping[str, tuple[float, Mapping[str, float]]]]]

#: Two hubs, 3 to 2, with seven projects of fractions from 5 to 30 %.
TWO_HUBS: Final[Hubs] = {
    "A": (3, {"g1": (1, {"p1": 1, "p2": 1}), "g2": (2, {"p1": 3, "p2": 1})}),
    "B": (2, {"g1": (3, {"p1": 1, "p2": 2}), "g2": (1, {"p1": 1})}),
}


class Network:
    """Who shares the device.

    Attributes:
        places: Hub, group and project of each project, by names that are unique.
        weights: Of each of these, among its siblings.
        fractions: Their parts of the device while everybody has work.
    """

    def __init__(self, hubs: Hubs) -> None:
        self.places: dict[str, tuple[str, str, str]] = {}
        self.weights: dict[str, float] = {POOL: 1.0}
        self.fractions: dict[str, float] = {}
        for hub, (hub_weight, groups) in hubs.items():
            self._note(hub, hub_weight, 1.0, sum(weight for weight, _ in hubs.values()))
            for group, (group_weight, projects) in groups.items():
                name = f"{hub}/{group}"
                self._note(name, group_weight, self.fractions[hub], sum(weight for weight, _ in groups.values()))
                for project, weight in projects.items():
                    self._note(f"{name}/{project}", weight, self.fractions[name], sum(projects.values()))
                    self.places[f"{name}/{project}"] = (hub, name, f"{name}/{project}")

    def _note(self, name: str, weight: float, above: float, siblings: float) -> None:
        self.weights[name] = weight
        self.fractions[name] = above * rules.fraction([(weight, siblings)])


def fair(network: Network, policy: Rules = Rules(), levels: Sequence[str] = rules.LEVELS) -> Tree:  # noqa: B008
    """Return the scheduler's tree."""
    weights = dict(network.weights)
    if "hub" not in levels:  # groups compete with those of other hubs
        weights |= {group: network.fractions[group] for _, group, _ in network.places.values()}
    tree = Tree(policy, lambda node, _device: weights[node], levels)
    for places in network.places.values():
        tree.add(DEVICE, rules.way(POOL, places, levels))
    return tree


def memory_only(network: Network) -> Tree:
    """Return the tree without credit and guard: usage fades, and that is all."""
    return fair(network, Rules(credit=math.inf, guard_fraction=0.0))


class FirstCome:
    """One line for all."""

    def __init__(self, _network: Network) -> None:
        self._line: deque[str] = deque()

    def enter(self, _device: str, project: str, _moment: float) -> None:
        """Stand at the end."""
        self._line.append(project)

    def choose(self, _devices: Collection[str], _moment: float) -> Choice | None:
        """Return who stands first."""
        return Choice(DEVICE, self._line[0]) if self._line else None

    def start(self, _choice: Choice, _cost: float, _moment: float) -> None:
        """Take the first out of the line."""
        self._line.popleft()

    def charge(self, project: str, cost: float, moment: float) -> None:
        """Charge nobody."""


class AnybodyNext:
    """Somebody at random of those who have work."""

    def __init__(self, _network: Network) -> None:
        self._queued: Counter[str] = Counter()
        self._random = random.Random(5)

    def enter(self, _device: str, project: str, _moment: float) -> None:
        """Let a job wait."""
        self._queued[project] += 1

    def choose(self, _devices: Collection[str], _moment: float) -> Choice | None:
        """Return somebody who has work."""
        return Choice(DEVICE, self._random.choice(list(self._queued))) if self._queued else None

    def start(self, choice: Choice, _cost: float, _moment: float) -> None:
        """Take one of their jobs."""
        self._queued[choice.project] -= 1
        if not self._queued[choice.project]:
            del self._queued[choice.project]

    def charge(self, project: str, cost: float, moment: float) -> None:
        """Charge nobody."""


class RollingWindow:
    """The group that used least of its part in the last 28 days, of all hubs; of its projects the one that did.

    Source: the published description of the fair-share queue of the former service.
    """

    LENGTH: Final = 28 * DAY

    def __init__(self, network: Network) -> None:
        self._places = network.places
        self._part = {group: network.fractions[group] for _, group, _ in network.places.values()}
        self._part |= {project: network.weights[project] for project in network.places}
        self._queued: Counter[str] = Counter()
        self._days: dict[str, deque[tuple[float, float]]] = {name: deque() for name in self._part}
        self._used = dict.fromkeys(self._part, 0.0)

    def enter(self, _device: str, project: str, _moment: float) -> None:
        """Let a job wait."""
        self._queued[project] += 1

    def choose(self, _devices: Collection[str], moment: float) -> Choice | None:
        """Return the project that used least of its part."""
        ready = [project for project, jobs in self._queued.items() if jobs]
        if not ready:
            return None
        group = min({self._places[project][1] for project in ready}, key=lambda name: (self._ratio(name, moment), name))
        inside = [project for project in ready if self._places[project][1] == group]
        return Choice(DEVICE, min(inside, key=lambda name: (self._ratio(name, moment), name)))

    def start(self, choice: Choice, cost: float, moment: float) -> None:
        """Take a job and charge it."""
        self._queued[choice.project] -= 1
        self.charge(choice.project, cost, moment)

    def charge(self, project: str, cost: float, moment: float) -> None:
        """Write down what was used, and when."""
        for name in self._places[project][1:]:
            self._days[name].append((moment, cost))
            self._used[name] += cost

    def _ratio(self, name: str, moment: float) -> float:
        days = self._days[name]
        while days and days[0][0] < moment - self.LENGTH:
            self._used[name] -= days.popleft()[1]
        return self._used[name] / self._part[name]


class Reserved:
    """The tree, in which projects of one group go first for some time, if they have work."""

    def __init__(self, tree: Tree, members: Collection[str], begin: float, end: float) -> None:
        self._tree, self._members, self._begin, self._end = tree, frozenset(members), begin, end
        self.enter, self.start, self.charge = tree.enter, tree.start, tree.charge

    def choose(self, devices: Collection[str], moment: float) -> Choice | None:
        """Return who goes next."""
        if self._begin <= moment < self._end:
            first = self._tree.choose(devices, moment, lambda _device, project: project in self._members)
            if first is not None:
                return first
        return self._tree.choose(devices, moment)


#: The queues that are compared, by what they are called in tables and pictures.
QUEUES: Final[Mapping[str, Callable[[Network], Queue]]] = {
    "first come": FirstCome,
    "random user": AnybodyNext,
    "28-day window": RollingWindow,
    "fair tree": fair,
}


class Newcomer(NamedTuple):
    """What an incumbent gets after somebody with the same share came.

    Attributes:
        longest_gap: Longest time without a job of the incumbent, s.
        first_day: Its part of the first day.
        hours: Device time that it has had, h, at the end of each hour.
    """

    longest_gap: float
    first_day: float
    hours: list[float]


class Lesson(NamedTuple):
    """A class beside research.

    Attributes:
        served: Jobs of students that ran at all.
        median: Of their waits, s.
        most: What 95 of 100 students' jobs wait at most, s.
        research: Research jobs that ran.
    """

    served: int
    median: float
    most: float
    research: int


def lognormal(chance: random.Random, mean: float = 10.0, spread: float = 1.5) -> float:
    """Return a run time, s; `spread` is the standard deviation in units of the mean."""
    square = math.log1p(spread * spread)
    return math.exp(chance.gauss(math.log(mean) - square / 2, math.sqrt(square)))


def job(arrival: float, project: str, cost: float) -> Job:
    """Return a job of which all is known."""
    return Job(arrival, DEVICE, project, cost, cost)


def backlog(projects: Collection[str], each: int, seed: int) -> list[Job]:
    """Return as many jobs of each project, all there from the beginning, in any order."""
    chance = random.Random(seed)
    jobs = [job(0.0, project, lognormal(chance)) for project in projects for _ in range(each)]
    chance.shuffle(jobs)
    return jobs


def until(runs: Iterable[Run], moment: float) -> Iterator[Run]:
    """Give what begins before a moment."""
    return itertools.takewhile(lambda run: run.start < moment, runs)


def parts(runs: Iterable[Run], begin: float = 0.0, end: float = math.inf) -> dict[str, float]:
    """Return who had which part of the time that was used."""
    used: Counter[str] = Counter()
    for run in runs:
        used[run.job.project] += max(0.0, min(run.end, end) - max(run.start, begin))  # type: ignore[assignment]
    total = sum(used.values())
    return {project: seconds / total for project, seconds in used.items()}


def convergence(make: Callable[[Network], Queue], jobs: int, seed: int) -> float:
    """E1. Return by how much, relatively, any project misses its fraction after some jobs while all have work."""
    network = Network(TWO_HUBS)
    waiting = backlog(list(network.places), jobs // 2 + 50, seed)
    got = parts(itertools.islice(replay.replay(make(network), waiting), jobs))
    return max(abs(got.get(project, 0.0) / network.fractions[project] - 1) for project in network.places)


def spare_time(make: Callable[[Network], Queue], idle: str, jobs: int = 10_000) -> tuple[dict[str, float], float]:
    """E2. Return who gets the time of an idle part of the network, and how busy the device is."""
    network = Network(TWO_HUBS)
    projects = [project for project in network.places if not project.startswith(idle)]
    runs = list(itertools.islice(replay.replay(make(network), backlog(projects, jobs * 4 // 5, seed=1)), jobs))
    return parts(runs), sum(run.job.cost for run in runs) / runs[-1].end


def newcomer(
    make: Callable[[Network], Queue], before: float = 60 * DAY, after: float = 20 * DAY, others: int = 1
) -> Newcomer:
    """E3. Return what happens to who had the device for itself, when others with the same share come and stay."""
    coming_hubs = [f"new{index}" for index in range(others)]
    network = Network({hub: (1, {"g": (1, {"p": 1})}) for hub in ("old", *coming_hubs)})
    cost = 300.0

    # Each always has some jobs waiting; more would change nothing.
    def steady(hub: str, begin: float) -> Iterator[Job]:
        return (job(begin + max(0.0, (number - 5) * cost), f"{hub}/g/p", cost) for number in itertools.count())

    old, new = steady("old", 0.0), [steady(hub, before) for hub in coming_hubs]
    coming = heapq.merge(old, *new, key=lambda each: each.arrival)
    runs = [run for run in until(replay.replay(make(network), coming), before + after) if run.end > before]
    mine = [run for run in runs if run.job.project == "old/g/p"]
    moments = [before, *(moment for run in mine for moment in (run.start, run.end)), before + after]
    gaps = [end - begin for begin, end in zip(moments[::2], moments[1::2], strict=True)]
    hours = [0.0] * int(after / HOUR)
    for run in mine:
        for hour in range(int(max(0.0, run.start - before) / HOUR), len(hours)):
            hours[hour] += max(0.0, min(run.end, before + (hour + 1) * HOUR) - max(run.start, before)) / HOUR
    return Newcomer(max(gaps), parts(runs, before, before + DAY).get("old/g/p", 0.0), hours)


def starvation(make: Callable[[Network], Queue], days: int = 20) -> list[float]:
    """E4. Return the waits of one small job a day of weight 1, beside an endless backlog of weight 10 000, s."""
    network = Network({"big": (10_000, {"g": (1, {"p": 1})}), "small": (1, {"g": (1, {"p": 1})})})
    chance = random.Random(3)
    flood = [job(0.0, "big/g/p", lognormal(chance)) for _ in range(int(days * DAY / 10 * 1.1))]
    small = [job(day * DAY + 100, "small/g/p", 10.0) for day in range(1, days - 1)]
    runs = until(replay.replay(make(network), [*flood, *small]), days * DAY)
    waits = [run.start - run.job.arrival for run in runs if run.job.project == "small/g/p"]
    return waits + [math.inf] * (len(small) - len(waits))


def gaming(make: Callable[[Network], Queue], *, jobs: int, projects: int) -> float:
    """E5. Return what an honest group gets of its half, when the other has so many times the jobs, or projects."""
    greedy = {f"p{number:02d}": 1.0 for number in range(projects)}
    network = Network({"H": (1, {"honest": (1, {"p": 1}), "greedy": (1, greedy)})})
    chance = random.Random(4)
    waiting = [job(0.0, "H/honest/p", lognormal(chance)) for _ in range(6000)]
    waiting += [job(0.0, f"H/greedy/p{number % projects:02d}", lognormal(chance)) for number in range(6000 * jobs)]
    chance.shuffle(waiting)
    return parts(itertools.islice(replay.replay(make(network), waiting), 6000)).get("H/honest/p", 0.0)


def lesson(make: Callable[[Network], Queue], mean: float, *, reserved: bool = False) -> Lesson:
    """E7. Return how a class of 30 with a fifth of the device fares in a lab of 2 hours beside heavy research.

    Args:
        mean: Run time of students' jobs, s; each submits one every 10 minutes.
        reserved: The class goes first in these hours.
    """
    students = {f"s{number:02d}": 1.0 for number in range(30)}
    groups = {"class": (1.0, students), "first": (2.0, {"p": 1.0}), "second": (2.0, {"p": 1.0})}
    network = Network({"uni": (1.0, groups)})
    queue = make(network)
    if reserved:
        assert isinstance(queue, Tree)
        members = [project for project in network.places if project.startswith("uni/class/")]
        queue = Reserved(queue, members, 3 * HOUR, 5.25 * HOUR)
    chance = random.Random(8)
    jobs = [
        job(moment, f"uni/{chance.choice(('first', 'second'))}/p", lognormal(chance, 120.0, 1.0))
        for moment in poisson(chance, 1.3 / 120, 0.0, 8 * HOUR)
    ]
    for student in students:
        moments = poisson(chance, 1 / 600, 3 * HOUR, 5 * HOUR)
        jobs += [job(moment, f"uni/class/{student}", lognormal(chance, mean, 0.5)) for moment in moments]
    jobs.sort(key=lambda each: each.arrival)
    runs = list(until(replay.replay(queue, jobs), 12 * HOUR))
    waits = sorted(run.start - run.job.arrival for run in runs if run.job.project.startswith("uni/class/"))
    return Lesson(len(waits), waits[len(waits) // 2], waits[int(0.95 * len(waits))], len(runs) - len(waits))


def poisson(chance: random.Random, rate: float, begin: float, end: float) -> Iterator[float]:
    """Give moments at random, so many a second."""
    moment = begin + chance.expovariate(rate)
    while moment < end:
        yield moment
        moment += chance.expovariate(rate)
