# SPDX-License-Identifier: Apache-2.0
"""What a project may do with a device: the sizes of its jobs, how many run at once, and how long they may take."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from chandelier import devices
from chandelier.devices import Device, DeviceId
from chandelier.formats import tasks
from chandelier.jobs import counts
from chandelier.jobs.records import Job
from chandelier.store import Transaction
from chandelier.tenancy import allowances, grants, network
from chandelier.tenancy.allowances import Allowance, Standing
from chandelier.tenancy.grants import Limits
from chandelier.tenancy.network import Level, ProjectId


def beyond(tx: Transaction, job: Job, summary: tasks.Summary, estimate: float = 0.0) -> tasks.Refused | None:
    """Return why the limits of its project and its device do not allow a job, or None.

    Args:
        estimate: How long it is expected to keep its device, s.
    """
    limits = grants.limits_ever(tx, job.project_id, job.device_id)
    if limits.max_experiments is not None and summary.experiments > limits.max_experiments:
        text = f"The program has {summary.experiments} experiments; {_path(tx, job)} may run {limits.max_experiments}"
        return tasks.Refused(8007, f"{text} in one job on this device.")
    if limits.max_shots is not None and summary.shots > limits.max_shots:
        text = f"The program asks for {summary.shots} shots; {_path(tx, job)} may ask for {limits.max_shots}"
        return tasks.Refused(8006, f"{text} on this device.")
    if refused := _beyond_pulses(tx, job, summary, limits):
        return refused
    device = devices.get_by_id(tx, job.device_id)
    if device.max_job_seconds is not None and estimate > device.max_job_seconds:
        text = f"The job is expected to take {estimate:.3g} s; on {device.name} a job may take"
        return tasks.Refused(8009, f"{text} {device.max_job_seconds:g} s. {_advice(device, device.max_job_seconds)}")
    return _beyond_pace(device, summary)


def _beyond_pulses(tx: Transaction, job: Job, summary: tasks.Summary, limits: Limits) -> tasks.Refused | None:
    """Return why a project may not use the pulses of a program, or None; circuits that bring none are not concerned."""
    if not summary.pulsed:
        return None
    if limits.open_pulse is False:
        return tasks.Refused(8011, f"{_path(tx, job)} may not use pulses on this device.")
    for what, used, most in (
        ("act on", summary.pulsed, limits.pulse_qubits),
        ("use", summary.channels, limits.pulse_channels),
    ):
        if most is not None and used > most:
            kind = "qubits" if what == "act on" else "channels"
            text = f"The pulses of an experiment {what} {used} {kind}; {_path(tx, job)} may {what} {most}"
            return tasks.Refused(8015, f"{text} on this device.")
    return None


def _advice(device: Device, most: float) -> str:
    """Return what helps if a job may not take so long; of a device at a machine's pace each part has the overhead.

    Args:
        most: How long a job may take, s.
    """
    if device.pace != "real" or not device.overhead:
        return "Split it into several."
    overhead = f"Of each job {device.overhead:g} s are the device's overhead, however few its shots"
    if device.overhead >= most:
        return f"{overhead}: no job fits, so the operator must allow longer ones or lower the overhead."
    return (
        f"{overhead}: ask for fewer shots, or split it into several with shots of {most - device.overhead:.3g} s each."
    )


def _path(tx: Transaction, job: Job) -> str:
    return network.get(tx, job.project_id).path


def _beyond_pace(device: Device, summary: tasks.Summary) -> tasks.Refused | None:
    """Return why a job would keep a device from everybody else for too long, or None."""
    occupation = devices.occupation(device, summary.device_seconds)
    if occupation is None or occupation <= devices.LONGEST:
        return None
    hours = f"{occupation / 3600:.3g} hours; a job may occupy it for {devices.LONGEST / 3600:g}"
    return tasks.Refused(8014, f"{device.name} would be occupied for {hours}. Split the job, or ask for fewer shots.")


class Barred(msgspec.Struct, frozen=True):
    """Projects that run as many jobs on a device as may run at once.

    Attributes:
        level: Whose limit it is: the hub's, the group's or the project's.
    """

    device_id: DeviceId
    project_ids: frozenset[ProjectId]
    level: Level
    most: int


def barred(tx: Transaction) -> Sequence[Barred]:
    """Return whose jobs must wait because as many of their hub, group or project run as may run at once.

    Of several workers that count at once each must see what the others took, so who begins a job is `accounts.alone`.
    """
    limits = grants.list_running_limits(tx)
    if not limits:
        return ()
    running = counts.running(tx)
    found = []
    for grant, level in limits:
        there = {project: count for (device, project), count in running.items() if device == grant.device_id}
        most = grant.limits.max_running
        assert most is not None
        if sum(there.values()) < most:
            continue
        projects = network.projects_below(tx, level, grant.node_id)
        if sum(count for project, count in there.items() if project in projects) >= most:
            found.append(Barred(DeviceId(grant.device_id), projects, level, most))
    return found


class Spent(msgspec.Struct, frozen=True):
    """What some projects have used of the device time that they may use together.

    Attributes:
        used: What was used in the window, s, with what the jobs that run are expected to take.
        running: The latter alone, s.
    """

    allowance: Allowance
    project_ids: frozenset[ProjectId]
    used: float
    running: float

    @property
    def is_all(self) -> bool:
        """Whether nothing is left."""
        return self.used >= self.allowance.seconds

    def holds(self, device: str, project: str) -> bool:
        """Tell whether a project's jobs wait on a device if nothing is left."""
        return self.allowance.device_id in {allowances.ALL, device} and project in self.project_ids


def spent(tx: Transaction, now: datetime) -> Sequence[Spent]:
    """Return whose jobs must wait because their hub, group or project has used its device time.

    Jobs that run count as what they are expected to take, so that a limit is exceeded by no more than one job that
    begins below it, and by what was estimated too low.
    """
    standings = allowances.standings(tx, now)
    if not standings:
        return ()
    running = counts.seconds_running(tx)
    found = []
    for each in standings:
        here = _of_device(running, each.allowance.device_id)
        if each.used + sum(here.values()) < each.allowance.seconds:
            continue
        known = _spent(tx, each, here)
        if known.is_all:
            found.append(known)
    return found


def spending(tx: Transaction, now: datetime) -> Sequence[Spent]:
    """Return every limit of device time with what was used of it, whether or not anything is left."""
    running = counts.seconds_running(tx)
    return [_spent(tx, each, _of_device(running, each.allowance.device_id)) for each in allowances.standings(tx, now)]


def _spent(tx: Transaction, standing: Standing, here: Mapping[str, float]) -> Spent:
    """Return what was used of a limit.

    Args:
        here: What runs on its devices, by project, s.
    """
    projects = network.projects_below(tx, standing.allowance.level, standing.allowance.node_id)
    mine = sum(seconds for project, seconds in here.items() if project in projects)
    return Spent(standing.allowance, projects, standing.used + mine, mine)


def _of_device(running: Mapping[tuple[str, str], float], device_id: str) -> dict[str, float]:
    """Return what runs on a device, or on all, by project."""
    found: dict[str, float] = {}
    for (device, project), seconds in running.items():
        if device_id in {allowances.ALL, device}:
            found[project] = found.get(project, 0.0) + seconds
    return found
