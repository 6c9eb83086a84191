# SPDX-License-Identifier: Apache-2.0
"""Who administers hubs and groups and who is a member of projects: adding, inviting and removing people."""

from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from chandelier import acts, errors
from chandelier.experience import administration, bodies, hubdocuments
from chandelier.experience.documents import Document
from chandelier.gateway import Call, Json
from chandelier.store import Transaction
from chandelier.tenancy import members, network
from chandelier.tenancy.network import Spot

#: Most people in one request: each is written in the transaction that holds up all others.
_MOST: Final = 1000


class Administrator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who is to administer. Source: seed 001, `POST …/Groups/{group}/users`."""

    email: str
    role: Literal["admin"]


class Administrators(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST …/users` of a hub or group; the seed spells `remove` in two ways."""

    add: list[Administrator] | UnsetType = UNSET
    remove: list[str] | UnsetType = UNSET
    misspelt: list[str] | UnsetType = msgspec.field(default=UNSET, name="remomve")
    access_token: str | UnsetType = UNSET


class Members(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST …/users` of a project. Source: seed 001."""

    add: list[str] | UnsetType = UNSET
    remove: list[str] | UnsetType = UNSET
    misspelt: list[str] | UnsetType = msgspec.field(default=UNSET, name="remomve")
    access_token: str | UnsetType = UNSET


def change_admins(tx: Transaction, call: Call, spot: Spot) -> Document:
    """Add and remove administrators of a hub or group. Source: seed 001, `POST …/Groups/{group}/users`."""
    asked = bodies.read(call, Administrators)
    people = asked.add if asked.add is UNSET else [each.email for each in asked.add]
    _change(tx, call, spot, people, asked)
    added = hubdocuments.persons(spot.node, members.list_of(tx, [spot], ended=True)[spot.node.id])
    if spot.level == "group":
        added["projects"] = {project.name: {"name": project.name} for project in network.projects_of(tx, spot.node)}
    return {"added": added}


def list_members(call: Call, spot: Spot) -> Json:
    """Return who is, or was, a member of a project, in the form of a change's answer."""
    return Json(hubdocuments.persons(spot.node, members.list_of(call.tx, [spot], ended=True)[spot.node.id]))


def change_members(tx: Transaction, call: Call, spot: Spot) -> Document:
    """Add and remove users of a project. Source: seed 001, `POST …/Projects/{project}/users`."""
    asked = bodies.read(call, Members)
    _change(tx, call, spot, asked.add, asked)
    return {"added": hubdocuments.persons(spot.node, members.list_of(tx, [spot], ended=True)[spot.node.id])}


def _change(
    tx: Transaction, call: Call, spot: Spot, add: list[str] | UnsetType, asked: Administrators | Members
) -> None:
    if add is UNSET and asked.remove is UNSET and asked.misspelt is UNSET:
        raise errors.Invalid("Send `add`, `remove` or both: lists, also of one.", 1001)
    coming = [] if add is UNSET else add
    going = [email for part in (asked.remove, asked.misspelt) if part is not UNSET for email in part]
    if len(coming) + len(going) > _MOST:
        raise errors.Invalid(
            f"`add` and `remove` name {len(coming) + len(going)} people; at most {_MOST} may be.", 1001
        )
    both = {email.strip().lower() for email in coming} & {email.strip().lower() for email in going}
    if both:
        raise errors.Invalid(f"{min(both)[:100]!r} is in both `add` and `remove`.", 1001)
    for email in coming:
        acts.add_member(tx, administration.by(call), spot, email)
    for email in going:
        acts.remove_member(tx, administration.by(call), spot, email)
