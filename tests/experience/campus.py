# SPDX-License-Identifier: Apache-2.0
"""A hub with somebody in each role, for tests of administration.

    campus            hue administers it
    ├── lab           gil administers it
    │   ├── one       mia is a member
    │   └── two
    └── club          gus administers it
        └── solo      max is a member

Root is the operator, eve has no place. The device is granted everywhere, the hidden one to campus and lab.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import desk as desks
import msgspec
from desk import Desk

import factories
from chandelier.jobs import records
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.scheduling import reservations
from chandelier.scheduling.reservations import Mode, Terms, Wanted
from chandelier.store import Transaction
from chandelier.tenancy import grants, members, network, users
from chandelier.tenancy.access import Principal
from chandelier.tenancy.audit import By
from chandelier.tenancy.grants import Limits
from chandelier.tenancy.network import Place, Spot
from factories import NOW, after

HUB: Final = "/Network/campus"
LAB: Final = f"{HUB}/Groups/lab"
ONE: Final = f"{LAB}/Projects/one"
SOLO: Final = f"{HUB}/Groups/club/Projects/solo"
#: What each person has a role in.
ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "hue": ("campus",),
    "gil": ("campus", "lab"),
    "gus": ("campus", "club"),
    "mia": ("campus", "lab", "one"),
    "max": ("campus", "club", "solo"),
    "eve": (),
}
_PROJECTS: Final = (("lab", "one"), ("lab", "two"), ("club", "solo"))


class Campus(msgspec.Struct, frozen=True):
    """The cloud, and who there is."""

    desk: Desk
    people: dict[str, Principal]

    def spot(self, *names: str) -> Spot:
        """Return a node that must be there."""
        found = self.desk.store.read(lambda tx: network.spot(tx, *names))
        assert found is not None
        return found

    def place(self, group: str, project: str) -> Place:
        """Return a project that must be there."""
        found = self.desk.store.read(lambda tx: network.find(tx, "campus", group, project))
        assert found is not None
        return found

    def booked(self, *names: str, mode: Mode = "priority", begins: float = 0, hours: float = 1) -> str:
        """Reserve the device for a node, from some hours after now, and return the reservation's id."""
        spot, device, now = self.spot(*names), self.desk.town.device, desks.now()
        wanted = Wanted(mode, now + timedelta(hours=begins), now + timedelta(hours=begins + hours))
        return self.desk.store.write(
            lambda tx: reservations.add(tx, By("root", now), spot, device, wanted, Terms(quota=1e6))
        ).id

    def job(self, who: str, group: str, project: str, *, seconds: float = 0, state: State = State.CREATING) -> Job:
        """Return a new job of somebody in a project."""
        town, place = self.desk.town, self.place(group, project)
        return self.desk.store.write(
            lambda tx: factories.a_job(tx, town, state, who=self.people[who], place=place, now=after(seconds))
        )

    def ended(self, who: str, group: str, project: str, *, waits: float, runs: float, begins: float = 0) -> Job:
        """Return a job that waited and ran for some seconds, with one experiment."""
        job = self.job(who, group, project, seconds=begins, state=State.QUEUED)

        def work(tx: Transaction) -> None:
            started, summary = after(begins + waits), msgspec.to_builtins(factories.SUMMARY)
            records.advance(tx, job.id, (State.RUNNING,), started, started=started, summary=summary)
            end = after(begins + waits + runs)
            records.advance(tx, job.id, (State.COMPLETED,), end, executions=1, seconds=runs, cost=runs)

        self.desk.store.write(work)
        return job


def build(desk: Desk) -> Campus:
    """Add the hub and its people to a cloud."""

    def work(tx: Transaction) -> dict[str, Principal]:
        people = {name: factories.a_user(tx, f"{name}@example.org") for name in ROLES}
        for name, who in people.items():
            desk.tokens[name] = users.issue(tx, who.user_id, "access", desks.now())[0]
        network.add_hub(tx, "campus", NOW, title="The campus")
        return people

    campus = Campus(desk, desk.store.write(work))
    stage(campus)
    return campus


def stage(campus: Campus) -> None:
    """Bring the hub to its usual state, whatever was done to it."""
    desk = campus.desk

    def work(tx: Transaction) -> None:
        hub = network.spot(tx, "campus")
        assert hub is not None
        for group, project in _PROJECTS:
            above = network.spot(tx, "campus", group)
            known = (
                above.node
                if above is not None
                else network.add_group(tx, hub.hub, group, after(len(network.groups_of(tx, hub.hub))))
            )
            if network.spot(tx, "campus", group, project) is None:
                network.add_project(tx, known, project, after(len(network.projects_of(tx, known))))
        for extra in (network.spot(tx, "campus", "new"), network.spot(tx, "campus", "lab", "new")):
            if extra is not None:
                network.remove(tx, extra, desks.now())
        _free_devices(tx)
        for spot in _spots(tx):
            grants.grant(tx, spot, desk.town.device, 1000, Limits(), NOW)
            if spot.path in {"campus", "campus/lab"}:
                grants.grant(tx, spot, desk.town.hidden, 1000, Limits(), NOW)
        for name, names in ROLES.items():
            place = network.spot(tx, *names) if names else None
            if place is not None:
                members.add(tx, place, campus.people[name].email, NOW)

    desk.store.write(work)


def _free_devices(tx: Transaction) -> None:
    for kept in reservations.list_(tx, since=desks.now()):
        reservations.cancel(tx, By("root", desks.now()), kept)


def _spots(tx: Transaction) -> list[Spot]:
    hub = network.spot(tx, "campus")
    assert hub is not None
    groups = network.groups_of(tx, hub.hub)
    projects = [Spot(hub.hub, group, project) for group in groups for project in network.projects_of(tx, group)]
    return [hub, *(Spot(hub.hub, group) for group in groups), *projects]
