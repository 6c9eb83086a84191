# SPDX-License-Identifier: Apache-2.0
"""What becomes of jobs, and when, if a queue is left to itself: for forecasts and experiments, in simulated time."""

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable
from typing import Protocol

import msgspec

from chandelier.fairshare.rules import Choice


class Job(msgspec.Struct, frozen=True):
    """A job, as it comes; times in seconds.

    Attributes:
        estimate: The device time that it is expected to take.
        cost: The device time that it takes.
        name: Whatever the caller knows it by.
    """

    arrival: float
    device: str
    project: str
    estimate: float
    cost: float
    name: str = ""


class Run(msgspec.Struct, frozen=True):
    """A job that has begun, and when it ends.

    Attributes:
        guarded: It went because its project had waited too long.
    """

    job: Job
    start: float
    end: float
    guarded: bool = False


class Queue(Protocol):
    """What decides which project goes next; `tree.Tree` is one."""

    def enter(self, device: str, project: str, moment: float) -> None:
        """Let a job wait."""

    def choose(self, devices: Collection[str], moment: float) -> Choice | None:
        """Return who goes next on any of some devices, or None."""

    def start(self, choice: Choice, cost: float, moment: float) -> None:
        """Begin the oldest job of who was chosen, and charge what it is expected to take."""

    def charge(self, project: str, cost: float, moment: float) -> None:
        """Charge more, or less, as of a moment."""


def replay(
    queue: Queue,
    jobs: Iterable[Job],
    *,
    waiting: Iterable[Job] = (),
    oldest: Callable[[str, str], Job | None] | None = None,
    devices: Collection[str] = (),
    running: Iterable[Run] = (),
    since: float = 0.0,
    workers: int = 1,
    serial: Collection[str] = (),
    looks: Iterable[float] = (),
) -> Generator[Run]:
    """Give the jobs that begin, in the order in which they do; the queue is changed on the way.

    A job is charged its estimate when it begins. When it ends, the difference from its cost is charged as of its
    beginning. All is over when nothing runs and nothing comes, though jobs may wait that the queue holds back.

    Args:
        jobs: Those that come, the first first; there may be no end of them.
        waiting: Those that the queue knows already, the oldest first.
        oldest: Takes the oldest of those that the queue knows and `waiting` leaves out, by device and project; None if
            there is no such job any more. They come before all others.
        devices: Those on which such jobs wait.
        running: Those that began before, and were charged.
        since: When it begins, s.
        workers: How many jobs may run at once.
        serial: Devices that run one job at a time.
        looks: Moments at which the queue may choose differently although nothing comes or ends.
    """
    floor = _Floor(workers, frozenset(serial), running, looks)
    floor.open(devices, oldest)
    for job in waiting:
        floor.put(job)
    coming = iter(jobs)
    following, moment = next(coming, None), since
    while True:
        for run in floor.ended(moment):
            queue.charge(run.job.project, run.job.cost - run.job.estimate, run.start)
        while following is not None and following.arrival <= moment:
            floor.put(following)
            queue.enter(following.device, following.project, following.arrival)
            following = next(coming, None)
        while (free := floor.free()) and (choice := queue.choose(free, moment)) is not None:
            run = floor.begin(choice, moment)
            queue.start(choice, run.job.estimate, moment)
            yield run
        moment = min(floor.next_event(), math.inf if following is None else following.arrival)
        if moment == math.inf:
            return


class _Floor:
    """What waits, oldest first for each project and device, and what runs."""

    def __init__(self, workers: int, serial: frozenset[str], running: Iterable[Run], looks: Iterable[float]) -> None:
        self._idle = workers
        self._serial = serial
        self._oldest: Callable[[str, str], Job | None] | None = None
        self._lines: dict[tuple[str, str], deque[Job]] = {}
        self._free: set[str] = set()  # devices that jobs were put on, without those that are serial and run one
        self._busy: set[str] = set()
        self._counter = itertools.count()
        self._events: list[tuple[float, int, Run | None]] = [(moment, next(self._counter), None) for moment in looks]
        heapq.heapify(self._events)
        for run in running:
            self._occupy(run)

    def open(self, devices: Collection[str], oldest: Callable[[str, str], Job | None] | None) -> None:
        """Know of devices on which jobs wait, and how to take the oldest of those that were not put here."""
        self._oldest = oldest
        self._free.update(device for device in devices if device not in self._busy)

    def put(self, job: Job) -> None:
        """Let a job wait behind those of its project on its device."""
        self._lines.setdefault((job.device, job.project), deque()).append(job)
        if job.device not in self._busy:
            self._free.add(job.device)

    def free(self) -> Collection[str]:
        """Return the devices on which a job may begin."""
        return self._free if self._idle > 0 else ()

    def begin(self, choice: Choice, moment: float) -> Run:
        """Take the oldest job of who was chosen."""
        job = None if self._oldest is None else self._oldest(choice.device, choice.project)
        if job is None:
            job = self._lines[choice.device, choice.project].popleft()
        run = Run(job, moment, moment + job.cost, choice.guarded)
        self._occupy(run)
        return run

    def ended(self, moment: float) -> Generator[Run]:
        """Give what has ended, and make its place free."""
        while self._events and self._events[0][0] <= moment:
            run = heapq.heappop(self._events)[2]
            if run is not None:
                self._idle += 1
                if run.job.device in self._busy:
                    self._busy.discard(run.job.device)
                    self._free.add(run.job.device)
                yield run

    def next_event(self) -> float:
        """Return when the next job ends, or somebody wants to look; infinity for never."""
        return self._events[0][0] if self._events else math.inf

    def _occupy(self, run: Run) -> None:
        self._idle -= 1
        if run.job.device in self._serial:
            self._busy.add(run.job.device)
            self._free.discard(run.job.device)
        heapq.heappush(self._events, (run.end, next(self._counter), run))
