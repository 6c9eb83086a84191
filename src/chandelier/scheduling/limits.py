# SPDX-License-Identifier: Apache-2.0
"""What a project may do with a device: the sizes of its jobs, and how many of them run at once."""

from collections.abc import Sequence

import msgspec

from chandelier.devices import DeviceId
from chandelier.formats import tasks
from chandelier.jobs import records
from chandelier.jobs.records import Job
from chandelier.store import Transaction
from chandelier.tenancy import grants, network
from chandelier.tenancy.network import Level, ProjectId


def beyond(tx: Transaction, job: Job, summary: tasks.Summary) -> tasks.Refused | None:
    """Return why a project's limits do not allow a job, or None."""
    place = network.get(tx, job.project_id)
    limits = grants.limits_ever(tx, place, job.device_id)
    if limits.max_experiments is not None and summary.experiments > limits.max_experiments:
        text = f"The program has {summary.experiments} experiments; {place.path} may run {limits.max_experiments}"
        return tasks.Refused(8007, f"{text} in one job on this device.")
    if limits.max_shots is not None and summary.shots > limits.max_shots:
        text = f"The program asks for {summary.shots} shots; {place.path} may ask for {limits.max_shots}"
        return tasks.Refused(8006, f"{text} on this device.")
    return None


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
    """Return whose jobs must wait because as many of their hub, group or project run as may run at once."""
    limits = grants.list_running_limits(tx)
    if not limits:
        return ()
    tx.alone("running")  # of several workers that count at once, each must see what the others took
    running = records.count_running(tx)
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
