# SPDX-License-Identifier: Apache-2.0
"""Hubs, groups and projects as documents for those who administer them; pure.

Everything is spelled as documented, misprints included. What is not documented is added under names of its own:
`share` is the percentage that a weight comes to among its siblings.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec

from chandelier.devices import Device
from chandelier.experience import documents
from chandelier.experience.documents import Document
from chandelier.scheduling.outlook import NextChange, ShareChange
from chandelier.tenancy import rules
from chandelier.tenancy.audit import Act
from chandelier.tenancy.grants import Grant, Limits
from chandelier.tenancy.members import Member
from chandelier.tenancy.network import Node, Spot


class Held(msgspec.Struct, frozen=True):
    """A device that a node has, and whether it can be used there: not where a level above has it no more."""

    device: Device
    grant: Grant
    usable: bool


#: Devices by node.
Granted = Mapping[str, Iterable[Held]]
#: Members by node.
People = Mapping[str, Iterable[Member]]
#: Groups with their projects, in order.
Tree = Iterable[tuple[Node, Iterable[Node]]]


def hub(known: Node, tree: Tree, granted: Granted, people: People) -> Document:
    """Return a hub with all that is in it. Source: seed 001, `GET /Network/{hub}`; protocol 13.

    `ownerId` is the administrator who was first, `providerNodeId` the hub's own id.
    """
    listed = [(group, list(projects)) for group, projects in tree]
    groups = [node for node, _ in listed]
    document = documents.hub(known) | _inside(known, granted, people)
    document["groups"] = {
        node.name: group(Spot(known, node), groups, projects, granted, people) for node, projects in listed
    }
    owners = [member.id for member in people.get(known.id, ()) if not member.ended and not member.invited]
    document |= {"analytics": True, "ui": {}, "providerNodeId": known.id}
    return document | {"ownerId": owners[0]} if owners else document


def group(
    known: Spot, siblings: Iterable[Node], projects: Iterable[Node], granted: Granted, people: People
) -> Document:
    """Return a group with all that is in it, as it stands in its hub."""
    under = list(projects)
    inside = {project.name: _below(Spot(known.hub, known.group, project), under, granted, people) for project in under}
    return _below(known, siblings, granted, people) | {"projects": inside}


def hub_users(known: Node, tree: Tree, people: People) -> Document:
    """Return who has, or had, which role in a hub.

    Source: protocol 13, `GET /Network/{hub}/users`; a script reads `users` of each group and project.
    """
    groups = {
        group.name: {
            "name": group.name,
            "users": users(people.get(group.id, ())),
            "projects": {project.name: persons(project, people.get(project.id, ())) for project in projects},
        }
        for group, projects in tree
    }
    return {"users": users(people.get(known.id, ())), "groups": groups, "hubId": known.id, "id": known.id}


def persons(project: Node, people: Iterable[Member]) -> Document:
    """Return a project with its users. Source: seed 001, `POST …/Projects/{project}/users`."""
    return {"name": project.name, "users": users(people), "deleted": project.deleted is not None}


def users(people: Iterable[Member]) -> Document:
    """Return people by id: of users theirs, of the invited the invitation's. Source: seed 001, `POST …/users`."""
    return {member.id: _user(member) for member in people}


def _user(member: Member) -> Document:
    document = {
        "role": member.role,
        "deleted": member.ended,
        "email": member.email,
        "name": member.name,
        "dateJoined": documents.date(member.joined),
    }
    return document | {"invited": True} if member.invited else document


def made(spot: Spot, siblings: Iterable[Node]) -> Document:
    """Return a group or project that was added. Source: seed 001, `POST …/Groups`, with its double y."""
    known = spot.node
    document = {
        "title": known.title,
        "creationDate": documents.date(known.created),
        "priorityy": known.priority,
        "priority": known.priority,
        "name": known.name,
    }
    if spot.level == "group":
        document["projects"] = {}
    if known.description:
        document["description"] = known.description
    return document | _shares(known, siblings)


def changed(spot: Spot, siblings: Iterable[Node]) -> Document:
    """Return a node as it is after a change; of a hub without the shares, which are the operator's business."""
    document = documents.node(spot) | {"priorityy": spot.node.priority}
    return document if spot.level == "hub" else document | _shares(spot.node, siblings)


def rehearsal(shares: Iterable[ShareChange], queue: Iterable[NextChange]) -> Document:
    """Return what a change of a share would do; null where there is no share, or where nobody can tell."""
    return {
        "dryRun": True,
        "shares": [
            {
                "path": each.path,
                "shareBefore": each.share_before,
                "percentBefore": each.percent_before,
                "shareAfter": each.share_after,
                "percentAfter": each.percent_after,
            }
            for each in shares
        ],
        "queue": [
            {
                "path": each.path,
                "device": each.device,
                "waiting": each.waiting,
                "placeBefore": each.place_before,
                "placeAfter": each.place_after,
                "startBefore": _moment(each.start_before),
                "startAfter": _moment(each.start_after),
            }
            for each in queue
        ],
    }


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else documents.date(datetime.fromtimestamp(seconds, UTC))


def grants(granted: Iterable[Held], weights: Mapping[str, int] | None = None) -> Document:
    """Return devices of a node, by id. Source: protocol 3.3; seed 001, `POST …/Groups/{group}/devices`.

    A device that a level above has no more is marked: it cannot be used until that is granted it again.

    Args:
        weights: Sums of the weights that the node and its siblings have for a device, by id; where they are known the
            share is told.
    """
    return {
        held.device.id: {
            "priority": held.grant.priority,
            "deleted": False,
            "name": held.device.name,
            "configuration": documents.capabilities(held.grant.limits),
            "specificConfiguration": {},
        }
        | _standing(held, (weights or {}).get(held.device.id))
        for held in granted
    }


def _standing(held: Held, weight: int | None) -> Document:
    """Return what a device's weight comes to, if that is known, and that it cannot be used, if so."""
    share = {} if weight is None else {"share": rules.percent(held.grant.priority, weight)}
    return share if held.usable else share | {"usable": False}


def details(own: Limits, effective: Limits | None = None) -> Document:
    """Return what was set for a device at a level, and nothing else. Source: seed 001, `configurationDetails`.

    Args:
        effective: What finally holds; told beside it, if it is known.
    """
    document: Document = {"capabilities": {}} | documents.capabilities(own)
    if effective is not None:
        document["effective"] = {"capabilities": {}} | documents.capabilities(effective)
    return document


def act(known: Act) -> Document:
    """Return one entry of the audit log."""
    return {
        "number": known.number,
        "date": documents.date(known.at),
        "who": known.who,
        "act": known.act,
        "path": known.path,
        "before": known.before,
        "after": known.after,
    }


def _inside(known: Node, granted: Granted, people: People) -> Document:
    present = (member for member in people.get(known.id, ()) if not member.ended)
    return {"devices": grants(granted.get(known.id, ())), "users": users(present)}


def _below(spot: Spot, siblings: Iterable[Node], granted: Granted, people: People) -> Document:
    """Return a group or project with its devices and people, and what its weights come to among its siblings."""
    around = list(siblings)
    weights: dict[str, int] = {}
    for sibling in around:
        for held in granted.get(sibling.id, ()):
            weights[held.device.id] = weights.get(held.device.id, 0) + held.grant.priority
    inside = _inside(spot.node, granted, people) | {"devices": grants(granted.get(spot.node.id, ()), weights)}
    return documents.node(spot) | inside | {"share": _share(spot.node, around)}


def _shares(known: Node, siblings: Iterable[Node]) -> Document:
    around = list(siblings)
    return {"share": _share(known, around), "shares": {each.name: _share(each, around) for each in around}}


def _share(known: Node, siblings: Iterable[Node]) -> float:
    return rules.percent(known.priority, sum(each.priority for each in siblings))
