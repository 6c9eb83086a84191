# SPDX-License-Identifier: Apache-2.0
"""What comes, as far as it is known now: the order and the start of the jobs that wait, and who is due and why.

Everything is read in one view of the database; its cost depends on the number of places in the tree and on how many
jobs are replayed, never on how many wait.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from chandelier import devices
from chandelier.fairshare import rules, standing
from chandelier.fairshare.replay import Job, Run
from chandelier.fairshare.rules import Usage
from chandelier.fairshare.standing import Lane
from chandelier.jobs import lines, records, sessions
from chandelier.jobs.lines import Running, Waiting
from chandelier.scheduling import accuracy, foresight, holds, reservations
from chandelier.scheduling.accuracy import Quality
from chandelier.scheduling.foresight import Cap, Course, Expected, Kept, Key, Line, Lines, Scene
from chandelier.scheduling.holds import Gate, Hold
from chandelier.store import Transaction
from chandelier.tenancy import grants, network

#: Holds that the replay knows when to lift; others last until somebody decides, or nobody knows.
_FORESEEN: Final = frozenset({"running", "reservation"})
_PROJECT: Final = len(rules.LEVELS)


class Standing(msgspec.Struct, frozen=True):
    """How a hub, group or project stands on a device.

    Attributes:
        parent_id: Of a hub: the pool.
        weight: Its share there.
        fraction: What that is of all siblings' that have work there or have used something lately.
        usage: Device time that it has used of the pool, faded, s.
        fairness: f / (f + u), where f is the fraction and u the part of the siblings' usage that is its own: 1 for who
            has used nothing, 0.5 for who has used just the share, less for who has used more.
        queued: How many of its jobs wait there.
        due: Whether it goes first of its siblings.
    """

    node_id: str
    parent_id: str
    level: int
    weight: float
    fraction: float
    usage: float
    fairness: float
    queued: int
    due: bool


class Following(msgspec.Struct, frozen=True):
    """The project that goes next on a device; `guarded` if because it waited too long."""

    project_id: str
    guarded: bool


class Forecast(msgspec.Struct, frozen=True):
    """What was known at a moment.

    Attributes:
        pools: The pool of each device that was ever used.
        standings: By device and node.
        held: What holds the lines that wait, by device and project.
        following: Who goes next, by device.
        closed: Devices that start no jobs.
        running: The jobs that run.
        qualities: How good forecasts were, by device.
        kept: The sessions that keep their devices, by device.
    """

    at: datetime
    pools: Mapping[str, str]
    course: Course
    standings: Mapping[tuple[str, str], Standing]
    held: Mapping[tuple[str, str], Hold]
    following: Mapping[str, Following]
    closed: frozenset[str]
    running: Sequence[Running]
    qualities: Mapping[str, Quality]
    kept: Mapping[str, sessions.Hold] = {}

    def of(
        self, job_id: str, device_id: str, project_id: str, ahead: int | None, estimate: float | None
    ) -> Expected | None:
        """Return what is foretold of a job that waits, if anything.

        Args:
            ahead: How many jobs of its project are before it; None if nobody counted.
            estimate: How long it is expected to take, s.
        """
        line = (device_id, standing.label(self.pools.get(device_id, ""), project_id))
        return self.course.of(job_id, line, ahead, estimate or 0.0)


def make(tx: Transaction, now: datetime, slots: int, horizon: int = foresight.HORIZON) -> Forecast:
    """Look ahead from now.

    Args:
        slots: How many jobs run at once.
        horizon: How many jobs are replayed one by one.
    """
    lanes, runnable, running = standing.lanes(tx), devices.runnable(tx), lines.list_running(tx)
    held, kept = _held(lanes, holds.at(tx, now)), holds.kept(tx, now)
    pools: dict[str, str] = {lane.device_id: lane.pool for lane in lanes}
    waiting = _lines(lanes)
    scene = Scene(
        moment=now.timestamp(),
        tree=standing.load(tx),
        lines=waiting,
        oldest=Lines(_reader(tx)).oldest,
        running=[_run(each, pools, now.timestamp()) for each in running],
        slots=slots,
        serial=frozenset(device for device, pace in runnable.items() if pace == "real"),
        closed=frozenset(device for device, _ in waiting if device not in runnable),
        held=frozenset(
            (device, standing.label(pools[device], project))
            for (device, project), hold in held.items()
            if hold.kind not in _FORESEEN
        )
        | _mixed(tx, pools, kept),
        caps=_caps(tx, pools),
        kept=_kept(tx, now, pools),
    )
    # Before the replay, which changes the tree.
    following = {
        device: Following(_id(choice.project), choice.guarded) for device, choice in foresight.following(scene).items()
    }
    return Forecast(
        at=now,
        pools=pools,
        course=foresight.look(scene, horizon),
        standings=_standings(lanes, standing.usages(tx), held, now.timestamp(), scene.tree.rules.half_life),
        held=held,
        following=following,
        closed=frozenset(pools) - runnable.keys(),
        running=running,
        qualities=accuracy.qualities(tx),
        kept=kept,
    )


def _held(lanes: Iterable[Lane], gate: Gate) -> dict[tuple[str, str], Hold]:
    """Return what holds each line that waits, by device and project."""
    return {
        (lane.device_id, lane.node_id): hold
        for lane in lanes
        if lane.level == _PROJECT and lane.queued > 0 and (hold := gate(lane.device_id, lane.node_id)) is not None
    }


def _mixed(tx: Transaction, pools: Mapping[str, str], kept: Mapping[str, sessions.Hold]) -> frozenset[Key]:
    """Return the lines in front of which is a job that a session of the same project passes over."""
    return frozenset(
        (device, standing.label(pools.get(device, ""), hold.project_id))
        for device, hold in kept.items()
        if records.oldest_queued(tx, device, hold.project_id) != records.oldest_in_session(tx, hold.session_id)
    )


def _lines(lanes: Iterable[Lane]) -> dict[Key, Line]:
    """Return what waits, by the names that the tree has."""
    known = {(lane.device_id, lane.node_id): lane for lane in lanes}
    found: dict[Key, Line] = {}
    for lane in known.values():
        if lane.level != _PROJECT or lane.queued <= 0:
            continue
        way = [lane]
        while way[0].parent_id:
            way.insert(0, known[lane.device_id, way[0].parent_id])
        names = tuple(standing.label(lane.pool, node.node_id) for node in way)
        weights = tuple(node.weight for node in way[1:])
        found[lane.device_id, names[-1]] = Line(names, weights, lane.queued, max(0.0, lane.seconds))
    return found


def _reader(tx: Transaction) -> Callable[[Key, int], Sequence[Job]]:
    """Return what reads the next jobs of a line, from its front."""
    last: dict[Key, Waiting] = {}

    def read(line: Key, most: int) -> Sequence[Job]:
        device, project = line
        found = lines.list_waiting(tx, device, _id(project), most, after=last.get(line))
        if found:
            last[line] = found[-1]
        return [_job(device, project, each.id, each.created, each.estimate) for each in found]

    return read


def _run(running: Running, pools: Mapping[str, str], moment: float) -> Run:
    """Return a job that runs; one that should have ended ends now."""
    device, started = running.device_id, running.started.timestamp()
    project = standing.label(pools.get(device, ""), running.project_id)
    job = _job(device, project, running.id, running.started, running.estimate)
    return Run(job, started, max(moment, started + job.cost))


def _job(device: str, project: str, name: str, at: datetime, estimate: float) -> Job:
    seconds = rules.cost(estimate)
    return Job(at.timestamp(), device, project, seconds, seconds, name)


def _caps(tx: Transaction, pools: Mapping[str, str]) -> list[Cap]:
    """Return how many jobs of whom may run at once."""
    found = []
    for grant, level in grants.list_running_limits(tx):
        below = network.projects_below(tx, level, grant.node_id)
        labels = frozenset(standing.label(pools.get(grant.device_id, ""), project) for project in below)
        assert grant.limits.max_running is not None
        found.append(Cap(grant.device_id, labels, grant.limits.max_running))
    return found


def _kept(tx: Transaction, now: datetime, pools: Mapping[str, str]) -> list[Kept]:
    """Return the times that are reserved, from now on."""
    found = []
    for each in reservations.list_(tx, since=now):
        below = network.projects_below(tx, each.level, each.node_id)
        labels = frozenset(standing.label(pools.get(each.device_id, ""), project) for project in below)
        times = (each.begins.timestamp(), each.ends.timestamp())
        found.append(Kept(each.device_id, labels, *times, alone=each.mode == "dedicated"))
    return found


def _id(label: str) -> str:
    """Return a node's id, given its name in the tree."""
    return label.partition(":")[2]


def _standings(
    lanes: Sequence[Lane],
    usages: Mapping[tuple[str, str], Usage],
    held: Mapping[tuple[str, str], Hold],
    moment: float,
    half_life: float,
) -> dict[tuple[str, str], Standing]:
    """Return how everybody stands on every device."""
    siblings: dict[tuple[str, str], list[Lane]] = {}
    for lane in lanes:
        siblings.setdefault((lane.device_id, lane.parent_id), []).append(lane)
    open_ = _open(lanes, held)
    found: dict[tuple[str, str], Standing] = {}
    for among in siblings.values():
        used = {lane.node_id: usages[lane.pool, lane.node_id].now(moment, half_life) for lane in among}
        due = min((lane for lane in among if (lane.device_id, lane.node_id) in open_), key=_rank, default=None)
        recent = [lane for lane in among if lane.queued > 0 or used[lane.node_id] > rules.LEAST_CHARGE]
        weights, whole = sum(lane.weight for lane in recent), sum(used[lane.node_id] for lane in recent)
        for lane in among:
            others = 0.0 if lane in recent else lane.weight
            fraction = lane.weight / (weights + others)
            part = used[lane.node_id] / whole if lane in recent and whole > 0 else 0.0
            found[lane.device_id, lane.node_id] = Standing(
                lane.node_id,
                lane.parent_id,
                lane.level,
                lane.weight,
                fraction,
                used[lane.node_id],
                fraction / (fraction + part),
                lane.queued,
                due is lane,
            )
    return found


def _open(lanes: Sequence[Lane], held: Mapping[tuple[str, str], Hold]) -> set[tuple[str, str]]:
    """Return, by device and node, who has work that may start."""
    found: set[tuple[str, str]] = set()
    for lane in sorted(lanes, key=lambda lane: -lane.level):
        here = (lane.device_id, lane.node_id)
        if here in found or (lane.level == _PROJECT and lane.queued > 0 and here not in held):
            found |= {here, (lane.device_id, lane.parent_id)}
    return found


def _rank(lane: Lane) -> tuple[float, float, str]:
    return lane.key, lane.since, lane.node_id
