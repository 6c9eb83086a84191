# SPDX-License-Identifier: Apache-2.0
"""When the jobs that wait would start if nobody sent another: the scheduler replayed in simulated time; pure.

The first jobs are replayed one by one. Behind them each device's work is a fluid that flows at the rate of the replay.
What cannot start, because its device is closed or something holds it, gets a place behind the rest, but no time.
"""

import heapq
import itertools
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from chandelier.fairshare import replay
from chandelier.fairshare.replay import Job, Run
from chandelier.fairshare.rules import Allowed, Choice
from chandelier.fairshare.tree import Tree
from chandelier.scheduling.fluid import Fluid, Stream

#: So many jobs are replayed one by one.
HORIZON: Final = 1000

#: A project's line for a device: both by the names that the tree has for them.
Key = tuple[str, str]


class Line(msgspec.Struct, frozen=True):
    """What waits of a project for a device.

    Attributes:
        way: From the device's pool to the project.
        weights: Shares on this device of the nodes of the way behind the pool.
        jobs: How many jobs.
        seconds: What they are expected to take together.
    """

    way: tuple[str, ...]
    weights: tuple[float, ...]
    jobs: int
    seconds: float


class Cap(msgspec.Struct, frozen=True):
    """Projects that may run `most` jobs at once on a device."""

    device: str
    projects: frozenset[str]
    most: int


class Kept(msgspec.Struct, frozen=True):
    """A time from `begins` to before `ends`, s since 1970, at which some projects go first on a device.

    Attributes:
        alone: Nobody else's jobs begin.
    """

    device: str
    projects: frozenset[str]
    begins: float
    ends: float
    alone: bool


class Scene(msgspec.Struct, frozen=True):
    """All that decides what comes; the tree is changed by looking ahead.

    Attributes:
        moment: When it is so, s since 1970.
        oldest: Takes the oldest job of a line; asked for each once.
        running: What runs, with when it will end.
        slots: How many jobs run at once on devices that are not `serial`.
        serial: Devices that run one job at a time, and need no slot while they do.
        closed: Devices that start no jobs.
        held: Lines of which nothing starts until somebody decides.
    """

    moment: float
    tree: Tree
    lines: Mapping[Key, Line]
    oldest: Callable[[str, str], Job]
    running: Sequence[Run] = ()
    slots: int = 1
    serial: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()
    held: frozenset[Key] = frozenset()
    caps: Sequence[Cap] = ()
    kept: Sequence[Kept] = ()


class Expected(msgspec.Struct, frozen=True):
    """What is foretold of a job.

    Attributes:
        line: The device and the project that it belongs to.
        position: 1-based place among its project's jobs on the device, in the order in which they will start.
        overall: 1-based place among all jobs on the device; None far behind.
        start: When it will start, s since 1970; None if nobody knows.
        end: When it will have run.
    """

    line: Key
    position: int
    overall: int | None
    start: float | None
    end: float | None


class Tail(msgspec.Struct, frozen=True):
    """What of a line was not replayed.

    Attributes:
        taken: Jobs of the line that were.
        mean: What each of the others is expected to take, s.
        since: When the fluid begins to flow, s since 1970.
        rate: Work that is done each second; 0 if nothing flows.
    """

    way: tuple[str, ...]
    taken: int
    mean: float
    fluid: Fluid
    since: float
    rate: float

    def start(self, ahead: int) -> float | None:
        """Return when the job starts that has so many of its project before it."""
        if self.rate <= 0:
            return None
        return self.since + self.fluid.before(self.way, (ahead - self.taken) * self.mean) / self.rate


class Course(msgspec.Struct, frozen=True):
    """What comes: the jobs that were replayed, by name, and what is behind them."""

    expected: Mapping[str, Expected]
    tails: Mapping[Key, Tail]

    def of(self, name: str, line: Key, ahead: int | None, seconds: float) -> Expected | None:
        """Return what is foretold of a job, if anything.

        Args:
            ahead: How many jobs of its line are before it; None if nobody counted.
            seconds: What it is expected to take.
        """
        found = self.expected.get(name)
        if found is not None or ahead is None:
            return found
        tail = self.tails.get(line)
        start = None if tail is None or ahead < tail.taken else tail.start(ahead)
        return None if start is None else Expected(line, ahead + 1, None, start, start + seconds)


def look(scene: Scene, horizon: int = HORIZON) -> Course:
    """Look ahead.

    Args:
        horizon: How many jobs are replayed one by one.
    """
    devices = {device for device, _ in scene.lines}
    queue = _Queue(scene)
    runs = _replayed(scene, queue, devices - scene.closed, scene.running, scene.moment, horizon)
    last = max((run.start for run in runs), default=scene.moment)
    taken = Counter((run.job.device, run.job.project) for run in runs)
    spent = _spent(runs)
    tails = _tails(scene, runs, taken, spent, last)
    # Where all that can start has a time, the rest is put in order behind it, as if it could start then.
    settled = devices - {device for device, _ in tails}
    queue.release(settled)
    active = [run for run in (*scene.running, *runs) if run.end > last]
    behind = _replayed(scene, queue, settled, active, last, horizon)
    return Course(_placed(runs, behind), tails)


def following(scene: Scene) -> dict[str, Choice]:
    """Return who goes next on each device that has work which may start, as if it were free."""
    queue = _Queue(scene)
    queue.begin(scene.running)
    choices = {device: queue.first({device}, scene.moment) for device in sorted({device for device, _ in scene.lines})}
    return {device: choice for device, choice in choices.items() if choice is not None}


def _replayed(
    scene: Scene, queue: "_Queue", devices: Collection[str], running: Iterable[Run], since: float, most: int
) -> list[Run]:
    """Return the next jobs that begin; the first without a name is one that is gone."""
    running = list(running)
    queue.begin(running)
    found: list[Run] = []
    course = replay.replay(
        queue,
        (),
        oldest=scene.oldest,
        devices=devices,
        running=running,
        since=since,
        workers=scene.slots + len(scene.serial),
        serial=scene.serial,
        looks=[moment for kept in scene.kept for moment in (kept.begins, kept.ends) if moment > since],
    )
    for run in itertools.islice(course, most):
        queue.count(run)
        if run.job.name:
            found.append(run)
    course.close()
    return found


def _spent(runs: Iterable[Run]) -> Counter[Key]:
    spent: Counter[Key] = Counter()
    for run in runs:
        spent[run.job.device, run.job.project] += run.job.cost  # type: ignore[assignment]  # seconds count as well
    return spent


def _placed(runs: Iterable[Run], behind: Iterable[Run]) -> dict[str, Expected]:
    own: Counter[Key] = Counter()
    overall: Counter[str] = Counter()
    expected: dict[str, Expected] = {}
    for run, timed in (*((run, True) for run in runs), *((run, False) for run in behind)):
        job = run.job
        line = (job.device, job.project)
        own[line] += 1
        overall[job.device] += 1
        times = (run.start, run.end) if timed else (None, None)
        expected[job.name] = Expected(line, own[line], overall[job.device], *times)
    return expected


def _tails(scene: Scene, runs: Sequence[Run], taken: Counter[Key], spent: Counter[Key], last: float) -> dict[Key, Tail]:
    """Return what was not replayed of the lines that may start."""
    left = {
        key: line
        for key, line in scene.lines.items()
        if line.jobs > taken[key] and key not in scene.held and key[0] not in scene.closed
    }
    tails: dict[Key, Tail] = {}
    for device in {device for device, _ in left}:
        mine = {key: line for key, line in left.items() if key[0] == device}
        work = {key: max(line.seconds - spent[key], 0.001 * (line.jobs - taken[key])) for key, line in mine.items()}
        flowing = _fluid(scene, mine, work, last)
        since, rate = _flow(scene, device, runs, last)
        for key, line in mine.items():
            mean = work[key] / (line.jobs - taken[key])
            tails[key] = Tail(line.way, taken[key], mean, flowing, since, rate)
    return tails


def _fluid(scene: Scene, lines: Mapping[Key, Line], work: Mapping[Key, float], moment: float) -> Fluid:
    """Return what waits on one device as a fluid."""
    half_life = scene.tree.rules.half_life
    levels: dict[str, dict[str, Stream]] = {}
    for key, line in lines.items():
        for parent, node, weight in zip(line.way[:-1], line.way[1:], line.weights, strict=True):
            known = levels.setdefault(parent, {}).get(node)
            lead = scene.tree.usage(node).now(moment, half_life) / weight
            more = work[key] + (0.0 if known is None else known.work)
            levels[parent][node] = Stream(weight, more, lead)
    return Fluid(levels)


def _flow(scene: Scene, device: str, runs: Iterable[Run], last: float) -> tuple[float, float]:
    """Return when a device's fluid begins to flow, and at which rate: as the replay went on there."""
    mine = [run for run in runs if run.job.device == device]
    if not mine:
        return last, 0.0
    work = sum(run.job.cost for run in mine)
    if device not in scene.serial:
        until = last
        work = sum(min(run.job.cost, max(0.0, last - run.start)) for run in mine)
    else:
        until = mine[-1].end
    work += sum(max(0.0, min(run.end, until) - scene.moment) for run in scene.running if run.job.device == device)
    return until, work / (until - scene.moment) if until > scene.moment else 0.0


class _Queue:
    """The tree, as far as its lines may start."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._released: frozenset[str] | None = None
        self._busy = 0
        self._running: dict[Cap, int] = {}
        self._ends: list[tuple[float, int, Run]] = []
        self._counter = itertools.count()

    def begin(self, running: Iterable[Run]) -> None:
        """Forget what ran, and begin with what runs."""
        self._busy = 0
        self._running = dict.fromkeys(self._scene.caps, 0)
        self._ends.clear()
        for run in running:
            self.count(run)

    def release(self, devices: Collection[str]) -> None:
        """From now on let everything start on some devices, and nothing on others."""
        self._released = frozenset(devices)

    def count(self, run: Run) -> None:
        """Know of a job that runs."""
        self._change(run, 1)
        heapq.heappush(self._ends, (run.end, next(self._counter), run))

    def enter(self, device: str, project: str, moment: float) -> None:
        """Let a job wait."""
        self._scene.tree.enter(device, project, moment)

    def choose(self, devices: Collection[str], moment: float) -> Choice | None:
        """Return who goes next on any of some devices, or None."""
        while self._ends and self._ends[0][0] <= moment:
            self._change(heapq.heappop(self._ends)[2], -1)
        if self._released is not None:
            return self._scene.tree.choose(self._released & set(devices), moment)
        return self.first(self._scene.serial & set(devices) if self._busy >= self._scene.slots else devices, moment)

    def first(self, devices: Collection[str], moment: float) -> Choice | None:
        """Return who goes next of those who may, whether or not a slot is free."""
        scene = self._scene
        full = [cap for cap, running in self._running.items() if running >= cap.most]
        kept = [each for each in scene.kept if each.begins <= moment < each.ends and each.device in devices]

        def allowed(device: str, project: str) -> bool:
            return (
                (device, project) not in scene.held
                and not any(device == cap.device and project in cap.projects for cap in full)
                and not any(device == each.device and each.alone and project not in each.projects for each in kept)
            )

        return self._reserved(devices, moment, kept, allowed) or scene.tree.choose(devices, moment, allowed)

    def _reserved(
        self, devices: Collection[str], moment: float, kept: Sequence[Kept], allowed: Allowed
    ) -> Choice | None:
        """Return who goes next where devices are reserved, by the rule of `ranking.fair`, or None if nobody has."""
        tree, by_device = self._scene.tree, {each.device: each for each in kept}

        def theirs(device: str, project: str) -> bool:
            return project in by_device[device].projects and allowed(device, project)

        crowding = self._crowding(moment) & by_device.keys()
        first = tree.choose(by_device.keys() - crowding, moment, theirs)
        if first is not None or not crowding:
            return first
        due = {device for device in crowding if tree.choose({device}, moment, theirs) is not None}
        return tree.choose(set(devices) - due, moment, allowed) or tree.choose(due, moment, theirs)

    def _crowding(self, moment: float) -> set[str]:
        """Return the reserved devices whose jobs take turns with those of others, because more of them run."""
        kept = [each for each in self._scene.kept if each.begins <= moment < each.ends]
        fast = {each.device: each for each in kept if each.device not in self._scene.serial}
        lead = 0
        for _, _, run in self._ends if fast else ():
            device = run.job.device
            if device not in self._scene.serial:
                lead += 1 if device in fast and run.job.project in fast[device].projects else -1
        return set(fast) if lead > 0 else set()

    def _change(self, run: Run, by: int) -> None:
        self._busy += by if run.job.device not in self._scene.serial else 0
        for cap in self._running:
            if run.job.device == cap.device and run.job.project in cap.projects:
                self._running[cap] += by

    def start(self, choice: Choice, cost: float, moment: float) -> None:
        """Begin the oldest job of who was chosen, and charge what it is expected to take."""
        self._scene.tree.start(choice, cost, moment)

    def charge(self, project: str, cost: float, moment: float) -> None:
        """Charge more, or less, as of a moment."""
        self._scene.tree.charge(project, cost, moment)


class Lines:
    """Jobs that wait, read from wherever they are as they are asked for.

    Args:
        read: Returns the next jobs of a line, at least one and at most so many, behind the one of a name, or None;
            an empty list at the end.
    """

    def __init__(self, read: Callable[[Key, int], Sequence[Job]]) -> None:
        self._read = read
        self._known: dict[Key, deque[Job]] = {}
        self._more: Counter[Key] = Counter()

    def oldest(self, device: str, project: str) -> Job:
        """Take the oldest job of a line; one without a name if there is none, though some were counted."""
        key = (device, project)
        known = self._known.setdefault(key, deque())
        if not known:
            self._more[key] = min(256, max(8, 4 * self._more[key]))
            known.extend(self._read(key, self._more[key]))
        return known.popleft() if known else Job(0.0, device, project, 0.0, 0.0)
