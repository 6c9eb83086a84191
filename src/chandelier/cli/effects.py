# SPDX-License-Identifier: Apache-2.0
"""Whom an act concerns before it is done: projects, people, grants, and the jobs that wait and run there."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from chandelier.devices import Device
    from chandelier.store import Transaction
    from chandelier.tenancy.network import Spot

#: Names that are told; the others are counted.
_TOLD: Final = 3


def of(tx: "Transaction", spot: "Spot", device: "Device | None" = None) -> dict[str, Any]:
    """Return whom it concerns if a node goes or, with a device, if the device goes from it.

    People are those with a role there; where only a device goes, the members of the projects that have it.
    """
    from chandelier.tenancy import grants, members, network

    nodes = [spot, *network.below(tx, spot)]
    if device is not None:
        having = {
            each.node_id
            for each in grants.of_nodes(tx, [node.node.id for node in nodes])
            if each.device_id == device.id
        }
        nodes = [node for node in nodes if node.node.id in having]
    projects = [node for node in nodes if node.level == "project"]
    people = members.list_of(tx, projects if device else nodes)
    names = _names(tx)
    order = {node.node.id: place for place, node in enumerate(nodes)}
    granted = sorted(grants.of_nodes(tx, order), key=lambda each: (order[each.node_id], names[each.device_id]))
    return {
        "projects": [project.path for project in projects],
        "people": list(dict.fromkeys(person.email for each in people.values() for person in each)),
        "grants": [
            {"path": nodes[order[each.node_id]].path, "device": names[each.device_id]}
            for each in granted
            if device is None or each.device_id == device.id
        ],
        **_jobs(tx, projects, device),
    }


def told(facts: Mapping[str, Any], losing: str) -> list[str]:
    """Return effects in sentences.

    Args:
        losing: What the people lose.
    """
    lines = []
    if facts["projects"]:
        lines.append(f"{counted(len(facts['projects']), 'project')}: {few(facts['projects'])}")
    if facts["people"]:
        lines.append(f"{counted(len(facts['people']), 'person', 'people')} {losing}: {few(facts['people'])}")
    if facts["grants"]:
        ended = few([f"{each['device']} for {each['path']}" for each in facts["grants"]])
        lines.append(f"{counted(len(facts['grants']), 'grant')} no longer in force: {ended}")
    return [*lines, told_jobs(facts)]


def told_jobs(facts: Mapping[str, Any]) -> str:
    """Return what becomes of the jobs that are there."""
    waiting, running = facts["jobs_waiting"], facts["jobs_running"]
    if not waiting and not running:
        return "no job waits or runs there"
    wait = f"{counted(waiting, 'job')} {'waits' if waiting == 1 else 'wait'}"
    runs = f"{running} {'runs' if running == 1 else 'run'}"
    return f"{wait} and {runs} there; they go on: an accepted job is run unless it is cancelled"


def few(names: Sequence[str]) -> str:
    """Return the first names of some, and how many more there are.

    >>> few(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return f"{', '.join(names[:_TOLD])}{more}"


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun.

    >>> counted(1, "person", "people"), counted(0, "job")
    ('1 person', '0 jobs')
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def _names(tx: "Transaction") -> dict[str, str]:
    from chandelier import devices

    return {device.id: device.name for device in devices.list_(tx)}


def _jobs(tx: "Transaction", projects: "Iterable[Spot]", device: "Device | None") -> dict[str, int]:
    from chandelier.jobs import counts
    from chandelier.jobs.lifecycle import State

    there = {project.node.id for project in projects}
    found = {"jobs_waiting": 0, "jobs_running": 0}
    for (device_id, project_id), states in counts.unfinished(tx).items():
        if project_id in there and (device is None or device.id == device_id):
            for state, count in states.items():
                found["jobs_running" if state is State.RUNNING else "jobs_waiting"] += count
    return found
