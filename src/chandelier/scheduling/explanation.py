# SPDX-License-Identifier: Apache-2.0
"""Why a job waits: who goes first at each level of the tree, what holds it, and when it should start."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from chandelier import devices
from chandelier.devices import Device
from chandelier.jobs import counts, lifecycle
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.scheduling import holds, reservations
from chandelier.scheduling.accuracy import Quality
from chandelier.scheduling.forecast import Forecast, Standing
from chandelier.scheduling.foresight import Expected
from chandelier.scheduling.holds import Hold
from chandelier.scheduling.quotas import Span
from chandelier.store import Transaction
from chandelier.tenancy import network
from chandelier.tenancy.network import Level, Place, Spot

#: Tells whether who asks may know a hub, group or project by its name.
Known = Callable[[Spot], bool]

#: By the kinds of `holds.Hold`.
_HELD_BY: Final = {
    "running": "a limit of jobs at once",
    "reservation": "a reservation of the device",
    "session": "a session that keeps the device",
    "time limit": "a limit of device time",
}

#: Of a project below its pool.
_DEPTH: Final = len(network.LEVELS)


class Rival(msgspec.Struct, frozen=True):
    """The sibling that goes first; its name only if who asks may know it."""

    name: str | None
    reason: str


class Step(msgspec.Struct, frozen=True):
    """How the job's hub, group or project stands among its siblings on the device.

    Attributes:
        share: Its weight.
        percent: What that is of all siblings' that have work there or have used something lately.
        usage: Device time that it has used, faded, s.
        priority: See `forecast.Standing.fairness`.
        waiting: How many of its jobs wait for the device.
        first: Whether it goes first; if not, and if anybody does, `rival` does.
    """

    level: Level
    name: str
    share: float
    percent: float
    usage: float
    priority: float
    waiting: int
    first: bool
    rival: Rival | None


class Estimate(msgspec.Struct, frozen=True):
    """When the job should start; the range is known when it is known how good estimates are on the device."""

    start: datetime
    end: datetime
    earliest: datetime | None = None
    latest: datetime | None = None
    quality: Quality | None = None


class Explanation(msgspec.Struct, frozen=True):
    """Why a job waits; of one that does not, only `lines` say something.

    Attributes:
        at: When it was so.
        position: 1-based place among its project's jobs on the device.
        overall: 1-based place among all jobs on the device, in the order in which they should start.
        steps: From the hub down.
        hold: What holds it although the device is free.
        lines: The same in sentences.
    """

    job: Job
    device: Device
    place: Place
    at: datetime
    position: int | None = None
    overall: int | None = None
    steps: tuple[Step, ...] = ()
    hold: Hold | None = None
    estimate: Estimate | None = None
    lines: tuple[str, ...] = ()


def explain(tx: Transaction, seen: Forecast, job: Job, known: Known) -> Explanation:
    """Return why a job waits, for somebody who may know some names."""
    device, place = devices.get_by_id(tx, job.device_id), network.get(tx, job.project_id)
    bare = Explanation(job, device, place, seen.at)
    if job.state is not State.QUEUED:
        return msgspec.structs.replace(bare, lines=(_elsewhere(job, device),))
    ahead = counts.ahead(tx, job)
    hold = _hold(seen, job)
    expected = seen.of(job.id, job.device_id, job.project_id, ahead, job.estimate)
    if hold is not None and hold.kind == "session" and expected is not None:
        # Nobody knows when the session is over.
        expected = msgspec.structs.replace(expected, start=None, end=None)
    found = msgspec.structs.replace(
        bare,
        position=None if ahead is None else ahead + 1,
        overall=None if expected is None or expected.overall is None else max(expected.overall, (ahead or 0) + 1),
        steps=tuple(step for level in range(_DEPTH) if (step := _step(tx, seen, bare, level, known)) is not None),
        hold=hold,
        estimate=_estimate(expected, seen.qualities.get(job.device_id), seen.at, _reserved(tx, seen.at, job)),
    )
    return msgspec.structs.replace(found, lines=tuple(_lines(tx, seen, found)))


def time(moment: datetime) -> str:
    """Return a moment as people read it."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float) -> str:
    """Return a length of time in the two largest units that it has."""
    left = round(seconds)
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if left >= size or (unit == "s" and not parts):
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2])


def _elsewhere(job: Job, device: Device) -> str:
    """Return what is to be said of a job that does not wait for its device."""
    if job.state in lifecycle.FINAL:
        return f"The job does not wait: it ended as {job.state}."
    if job.state is State.RUNNING:
        since = f" since {time(job.started)}" if job.started is not None else ""
        return f"The job does not wait: it runs on {device.name}{since}."
    if job.state in {State.CREATING, State.CREATED}:
        return "The job waits for its program, which has not been handed over yet."
    return f"The job's program is being checked; then the job waits for {device.name}."


def _hold(seen: Forecast, job: Job) -> Hold | None:
    """Return what holds a job although its device is free; a session holds those of its own project too."""
    kept = seen.kept.get(job.device_id)
    if kept is not None and job.session_id != kept.session_id:
        return seen.held.get((job.device_id, job.project_id), holds.by_session(kept))
    return seen.held.get((job.device_id, job.project_id))


def _step(tx: Transaction, seen: Forecast, asked: Explanation, number: int, known: Known) -> Step | None:
    """Return one step; None if nothing is known of it yet."""
    node, level = asked.place.spot.way[number], network.LEVELS[number]
    mine = seen.standings.get((asked.job.device_id, node.id))
    if mine is None:
        return None
    first = next((each for each in _siblings(seen, asked.job.device_id, mine) if each.due), None)
    rival = None
    if first is not None and first is not mine:
        spot = network.spot_of(tx, level, first.node_id)
        rival = Rival(spot.node.name if known(spot) else None, _reason(seen, asked.job, first, mine))
    return Step(
        level,
        node.name,
        mine.weight,
        100 * mine.fraction,
        mine.usage,
        mine.fairness,
        mine.queued,
        first is mine,
        rival,
    )


def _siblings(seen: Forecast, device_id: str, mine: Standing) -> list[Standing]:
    return [
        each for (device, _), each in seen.standings.items() if device == device_id and each.parent_id == mine.parent_id
    ]


def _reason(seen: Forecast, job: Job, first: Standing, mine: Standing) -> str:
    """Return why a sibling goes first, without a subject and a full stop."""
    if not _may_start(seen, job.device_id, mine):
        hold = seen.held.get((job.device_id, job.project_id))
        held = "" if hold is None else f", because what waits here is held by {_HELD_BY[hold.kind]}"
        return f"is the next that may start{held}"
    if first.usage / first.weight < mine.usage / mine.weight:
        return "has used less for its share"
    return "has used as little for its share, and came first"


def _may_start(seen: Forecast, device_id: str, mine: Standing) -> bool:
    """Tell whether a node has a project with work that nothing holds."""
    parents = {node: each.parent_id for (device, node), each in seen.standings.items() if device == device_id}
    for (device, node), each in seen.standings.items():
        if device == device_id and each.level == _DEPTH and each.queued > 0 and (device, node) not in seen.held:
            way = node
            while way != mine.node_id and way in parents:
                way = parents[way]
            if way == mine.node_id:
                return True
    return False


def _reserved(tx: Transaction, now: datetime, job: Job) -> list[Span]:
    """Return the times at which a job cannot start because its device is kept for others alone, the first first."""
    return [
        each.span
        for each in reservations.list_(tx, device_id=job.device_id, since=now)
        if each.mode == "dedicated" and job.project_id not in network.projects_below(tx, each.level, each.node_id)
    ]


def _free(moment: datetime, reserved: Iterable[Span]) -> datetime:
    """Return a moment, or the end of what is reserved then."""
    for begins, ends in reserved:
        if begins <= moment < ends:
            moment = ends
    return moment


def _estimate(
    expected: Expected | None, quality: Quality | None, now: datetime, reserved: Sequence[Span]
) -> Estimate | None:
    if expected is None or expected.start is None or expected.end is None:
        return None
    start = _free(max(now, datetime.fromtimestamp(expected.start, UTC)), reserved)
    found = Estimate(start, start + timedelta(seconds=expected.end - expected.start))
    if quality is None:
        return found
    off = timedelta(seconds=quality.p90)
    earliest = _free(max(now, start - off), reserved)
    return msgspec.structs.replace(found, earliest=earliest, latest=start + off, quality=quality)


def _lines(tx: Transaction, seen: Forecast, found: Explanation) -> list[str]:
    return [
        _place_in_line(found),
        *(_told(step) for step in found.steps),
        *_held(tx, seen, found),
        *_running(seen, found),
        _expected(found),
    ]


def _place_in_line(found: Explanation) -> str:
    own = f"The job waits for {found.device.name}"
    if found.position is None:
        return f"{own}, far back among the jobs of {found.place.path}."
    own = f"{own} as number {found.position} of the jobs of {found.place.path} there"
    return f"{own}." if found.overall is None else f"{own}, and as number {found.overall} of all."


def _told(step: Step) -> str:
    own = (
        f"The {step.level} {step.name} has a share of {step.percent:.3g} % among those who use the device "
        f"and has used {duration(step.usage)} of device time lately (priority {step.priority:.2f})"
    )
    if step.first:
        return f"{own}. It goes first among its siblings."
    if step.rival is None:
        return f"{own}. Nothing of it may start now."
    name = f"Another {step.level}" if step.rival.name is None else f"The {step.level} {step.rival.name}"
    return f"{own}. {name} goes before it: it {step.rival.reason}."


def _held(tx: Transaction, seen: Forecast, found: Explanation) -> list[str]:
    """Return what keeps the job from starting besides the order."""
    device, told = found.device, []
    if device.id in seen.closed:
        why = f": {device.message.rstrip('.')}" if device.message else ""
        told.append(f"{device.name} starts no jobs at present{why}.")
    if found.hold is not None:
        told.append(f"It cannot start now: {found.hold.text}.")
    following = seen.following.get(device.id)
    if following is not None and following.guarded:
        whose = "Its project" if following.project_id == found.job.project_id else "Another project"
        told.append(f"{whose} got nothing for so long that it goes next, whatever was used.")
    for kept in reservations.in_force(tx, seen.at):
        reserved = kept.reservation
        if reserved.device_id != device.id or (found.hold is not None and found.hold.kind == "reservation"):
            continue
        mine = found.job.project_id in kept.project_ids
        whom = "its own jobs" if mine else "the jobs of others"
        told.append(f"The device is reserved until {time(reserved.ends)}: {whom} go first.")
    return told


def _running(seen: Forecast, found: Explanation) -> list[str]:
    count = sum(each.device_id == found.device.id for each in seen.running)
    return [f"{count} job{'s run' if count > 1 else ' runs'} on the device now."] if count else []


def _expected(found: Explanation) -> str:
    estimate = found.estimate
    if estimate is None:
        return "It cannot be foretold when it starts."
    within = ""
    if estimate.earliest is not None and estimate.latest is not None:
        within = f", nine times of ten between {time(estimate.earliest)} and {time(estimate.latest)}"
    return (
        f"It should start about {time(estimate.start)}{within}, and end about {time(estimate.end)}. "
        "This is an estimate: it moves when others send jobs, or jobs take longer than expected."
    )
