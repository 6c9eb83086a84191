# SPDX-License-Identifier: Apache-2.0
"""The tree of a hub as its administrators run it: its groups and projects, all their jobs, and what was done.

A handler here is given the node that the path names, by which time the caller is known to have the right; those that
change something are given the transaction too.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from chandelier import acts, devices, errors
from chandelier.devices import Device
from chandelier.experience import bodies, filters, hubdocuments, shelf
from chandelier.experience.documents import Document
from chandelier.experience.hubdocuments import Granted, Held
from chandelier.gateway import Call, Json
from chandelier.scheduling import outlook
from chandelier.store import Transaction
from chandelier.tenancy import audit, grants, members, network, rules
from chandelier.tenancy.audit import By
from chandelier.tenancy.grants import Grant
from chandelier.tenancy.network import Node, Spot

Weight = Annotated[int, Meta(ge=rules.LEAST_PRIORITY, le=rules.MOST_PRIORITY)]
_DEFAULT_ACTS: Final = 100
_MAX_ACTS: Final = 1000


class Addition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST …/Groups` and `POST …/Projects`. Source: seed 001; scripts leave the priority out."""

    name: str
    title: str
    priority: Weight | UnsetType = UNSET
    description: str | UnsetType = UNSET
    access_token: str | UnsetType = UNSET


class Alteration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT` on a hub, group or project: what is to be another."""

    title: str | UnsetType = UNSET
    priority: Weight | UnsetType = UNSET
    description: str | UnsetType = UNSET
    access_token: str | UnsetType = UNSET


def get_hub(call: Call, spot: Spot) -> Json:
    """Return a hub with its groups, projects, devices and people. Source: seed 001, `GET /Network/{hub}`."""
    tree = groups(call.tx, spot.hub)
    nodes = [spot, *_spots(spot.hub, tree)]
    return Json(hubdocuments.hub(spot.hub, tree, granted(call.tx, nodes), members.list_of(call.tx, nodes)))


def get_group(call: Call, spot: Spot) -> Json:
    """Return a group with its projects, devices and people, in the style of `get_hub`."""
    around, projects = network.groups_of(call.tx, spot.hub), network.projects_of(call.tx, spot.node)
    under = [spot, *(Spot(spot.hub, spot.group, project) for project in projects)]
    # The shares are told among all groups of the hub.
    given = granted(call.tx, [*under, *(Spot(spot.hub, group) for group in around if group.id != spot.node.id)])
    return Json(hubdocuments.group(spot, around, projects, given, members.list_of(call.tx, under)))


def get_users(call: Call, spot: Spot) -> Json:
    """Return who has, or had, which role in a hub. Source: protocol 13, `GET /Network/{hub}/users`."""
    tree = groups(call.tx, spot.hub)
    people = members.list_of(call.tx, [spot, *_spots(spot.hub, tree)], ended=True)
    return Json(hubdocuments.hub_users(spot.hub, tree, people))


def list_jobs(call: Call, spot: Spot) -> Json:
    """Return the jobs of all users in a hub, group or project, those in deleted projects too.

    Without a limit in the filter there are as many as in any list. Nobody is told where a job came from.
    Source: seed 001, `GET …/jobs/all`; protocol 5.4.
    """
    wanted = filters.parse(call.query.get("filter"))
    found = shelf.search_all(call, wanted, network.projects_under(call.tx, spot))
    return Json([filters.project(wanted, _anonymous(entry.document)) for entry in found])


def list_acts(call: Call, spot: Spot) -> Json:
    """Return what was done in a hub, the last first."""
    limit = _number(call.query.get("limit"), "limit", _MAX_ACTS) or _DEFAULT_ACTS
    before = _number(call.query.get("before"), "before", filters.MAX_COUNT)
    found = audit.list_(call.tx, hub_id=spot.hub.id, before=before, limit=limit)
    return Json([hubdocuments.act(known) for known in found])


def add_group(tx: Transaction, call: Call, spot: Spot) -> Document:
    """Add a group to a hub. Source: seed 001, `POST …/Groups`."""
    asked = bodies.read(call, Addition)
    made = acts.add_group(tx, by(call), spot, asked.name, **_facts(asked))
    return hubdocuments.made(made, network.groups_of(tx, spot.hub))


def add_project(tx: Transaction, call: Call, spot: Spot) -> Document:
    """Add a project to a group. Source: seed 001, `POST …/Projects`."""
    asked = bodies.read(call, Addition)
    made = acts.add_project(tx, by(call), spot, asked.name, **_facts(asked))
    return hubdocuments.made(made, network.projects_of(tx, spot.node))


def alter(tx: Transaction, call: Call, spot: Spot) -> Document:
    """Set title, description or priority; the answer shows what the shares come to.

    What a hub weighs among the hubs is for the operator of the installation to say.
    """
    asked = bodies.read(call, Alteration)
    facts = _facts(asked)
    if not facts:
        raise errors.Invalid("Send `title`, `description` or `priority`.", 1001)
    if spot.level == "hub" and "priority" in facts and not call.principal.operator:
        raise errors.Forbidden("To change the hub's `priority` one must be an operator of the installation.", 2003)
    node = acts.change(tx, by(call), spot, **facts)
    return hubdocuments.changed(msgspec.structs.replace(spot, **{spot.level: node}), siblings(tx, spot))


def rehearse_alter(tx: Transaction, call: Call, spot: Spot) -> Document:
    """Do as `alter` in a transaction that is taken back, and tell what it would change."""
    return rehearsed(tx, call, spot, None, lambda: alter(tx, call, spot))


def remove_group(tx: Transaction, call: Call, spot: Spot) -> Document:
    """Delete a group with its projects; their jobs stay. Source: protocol 13, `DELETE …/Groups/{group}`."""
    acts.remove(tx, by(call), spot)
    return {"deleted": True}


def remove_project(tx: Transaction, call: Call, spot: Spot) -> Document:
    """Delete a project and return it; its jobs stay. Source: seed 001, `DELETE …/Projects/{project}`."""
    around = siblings(tx, spot)
    node = acts.remove(tx, by(call), spot)
    gone = hubdocuments.changed(msgspec.structs.replace(spot, project=node), around)
    return {"deleted": {name: value for name, value in gone.items() if not name.startswith("share")}}


def rehearsed(tx: Transaction, call: Call, spot: Spot, device: Device | None, act: Callable[[], Document]) -> Document:
    """Change a share, and tell what that does to the shares of its siblings and to the queue.

    What hubs are due among each other is told to the operator of the installation alone, who alone can change it.

    Args:
        device: Of which the share is; None for the node's own.
    """
    if spot.level == "hub" and not call.principal.operator:
        act()
        return hubdocuments.rehearsal((), ())
    _, seen = outlook.compare(tx, call.now, call.cloud.rules.runners, spot.above, device, act)
    return hubdocuments.rehearsal(outlook.weighed(seen.before, seen.after), seen.queue)


def by(call: Call) -> By:
    """Return who acts, and when."""
    return By(call.principal.email, call.now)


def groups(tx: Transaction, hub: Node) -> list[tuple[Node, list[Node]]]:
    """Return the groups of a hub with their projects."""
    return [(group, network.projects_of(tx, group)) for group in network.groups_of(tx, hub)]


def siblings(tx: Transaction, spot: Spot) -> list[Node]:
    """Return the nodes among which a group's or project's weight counts, itself too; of a hub none."""
    return [] if spot.above is None else [each.node for each in network.inside(tx, spot.above)]


def granted(tx: Transaction, spots: Sequence[Spot]) -> Granted:
    """Return the devices of nodes, by node, each in the order of the catalogue."""
    usable = grants.usable(tx, spots)
    by_device: dict[str, list[Grant]] = {}
    for grant in grants.of_nodes(tx, usable):
        by_device.setdefault(grant.device_id, []).append(grant)
    found: dict[str, list[Held]] = {}
    for device in devices.list_(tx):
        for grant in by_device.get(device.id, ()):
            found.setdefault(grant.node_id, []).append(Held(device, grant, device.id in usable[grant.node_id]))
    return found


def _spots(hub: Node, tree: Iterable[tuple[Node, Iterable[Node]]]) -> Iterable[Spot]:
    for group, projects in tree:
        yield Spot(hub, group)
        for project in projects:
            yield Spot(hub, group, project)


def _anonymous(document: Document) -> Document:
    return {name: value for name, value in document.items() if name != "ip"}


def _facts(asked: Addition | Alteration) -> dict[str, Any]:
    named = {"title": asked.title, "priority": asked.priority, "description": asked.description}
    return {name: value for name, value in named.items() if value is not UNSET}


def _number(text: str | None, field: str, most: int) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        raise errors.Invalid(f"`{field}` is {text[:40]!r}; it must be a whole number from 1 to {most}.", 1001)
    return int(text)
