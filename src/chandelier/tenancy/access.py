# SPDX-License-Identifier: Apache-2.0
"""The one gate: who is asking, which places and devices are theirs, whose jobs they may see, what they administer."""

import enum
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import msgspec

from chandelier import devices, errors
from chandelier.devices import Device
from chandelier.store import Transaction
from chandelier.tenancy import grants, members, network, users
from chandelier.tenancy.grants import Limits
from chandelier.tenancy.network import Place, ProjectId, Spot
from chandelier.tenancy.users import UserId


class Principal(msgspec.Struct, frozen=True):
    """An authenticated caller.

    Attributes:
        operator: May see and do everything in the installation.
    """

    user_id: UserId
    email: str
    name: str
    operator: bool


class Available(msgspec.Struct, frozen=True):
    """A device that a project may use, the weight of its share, and what may be done with it there."""

    device: Device
    priority: int
    limits: Limits


class Role(enum.IntEnum):
    """What somebody is to a hub, a group or a project; each may do what those below it may."""

    NOBODY = 0
    MEMBER = 1
    GROUP_ADMIN = 2
    HUB_ADMIN = 3
    OPERATOR = 4


#: What may be administered, and who at least must be asking. Source: seed 001, "Requirements" of each entry; where it
#: is silent its introduction: a hub and a group are the hub admin's, a project is the hub's or the group's admin's.
RIGHTS: Final[Mapping[str, Role]] = {
    "read the hub": Role.HUB_ADMIN,
    "read the hub's jobs": Role.HUB_ADMIN,
    "read the hub's usage": Role.HUB_ADMIN,
    "read the hub's devices": Role.HUB_ADMIN,
    "read the hub's users": Role.HUB_ADMIN,
    "read the hub's audit log": Role.HUB_ADMIN,
    "read the hub's reservations": Role.HUB_ADMIN,
    "change the hub's reservations": Role.HUB_ADMIN,
    "change the hub": Role.HUB_ADMIN,
    "change the hub's admins": Role.OPERATOR,
    "change the hub's devices": Role.OPERATOR,
    "add a group": Role.HUB_ADMIN,
    "delete a group": Role.HUB_ADMIN,
    "read the group": Role.GROUP_ADMIN,
    "change a group": Role.HUB_ADMIN,
    "read the group's jobs": Role.HUB_ADMIN,
    "read the group's usage": Role.HUB_ADMIN,
    "read the group's devices": Role.HUB_ADMIN,
    "change the group's devices": Role.HUB_ADMIN,
    "change the group's admins": Role.GROUP_ADMIN,
    "read the group's reservations": Role.GROUP_ADMIN,
    "change the group's reservations": Role.GROUP_ADMIN,
    "add a project": Role.GROUP_ADMIN,
    "delete a project": Role.GROUP_ADMIN,
    "change a project": Role.GROUP_ADMIN,
    "read the project's jobs": Role.GROUP_ADMIN,
    "read the project's usage": Role.GROUP_ADMIN,
    "read the project's users": Role.GROUP_ADMIN,
    "read the project's devices": Role.MEMBER,
    "change the project's devices": Role.GROUP_ADMIN,
    "read the project's reservations": Role.MEMBER,
    "change the project's reservations": Role.GROUP_ADMIN,
    "change the project's users": Role.GROUP_ADMIN,
}

#: What may be read of deleted groups and projects too, because history is kept.
HISTORY: Final = frozenset(
    {"read the group's jobs", "read the group's usage", "read the project's jobs", "read the project's usage"}
)


def authenticate(tx: Transaction, token: str | None, now: datetime) -> Principal:
    """Return who holds an access token.

    Raises:
        errors.Unauthenticated: There is no token, or it is not valid (any more).
    """
    user = users.authenticate(tx, token, now) if token else None
    if user is None:
        reason = "The access token is not valid (any more)." if token else "No access token was sent."
        raise errors.Unauthenticated(f"{reason} Log in again.", 2001)
    return Principal(user.id, user.email, user.name, user.operator)


def of_api_token(tx: Transaction, token: str, now: datetime) -> tuple[str, Principal]:
    """Return the id of an API token, and who holds it.

    Raises:
        errors.Unauthenticated: It is not valid (any more).
    """
    found = users.of_api_token(tx, token, now)
    if found is None:
        raise errors.Unauthenticated("The API token is not valid. Copy it again from your account.", 2001)
    token_id, user = found
    return token_id, Principal(user.id, user.email, user.name, user.operator)


def of_token_id(tx: Transaction, token_id: str, now: datetime) -> Principal:
    """Return who holds the API token of an id.

    Raises:
        errors.Unauthenticated: It is not valid (any more).
    """
    user = users.by_token_id(tx, token_id, now)
    if user is None:
        raise errors.Unauthenticated("The API token was revoked. Get another one for your account.", 2001)
    return Principal(user.id, user.email, user.name, user.operator)


def authenticate_all(tx: Transaction, tokens: Iterable[str], now: datetime) -> dict[str, Principal]:
    """Return who holds each of some access tokens; without those that are not valid (any more)."""
    holders = users.authenticate_all(tx, tokens, now)
    return {token: Principal(user.id, user.email, user.name, user.operator) for token, user in holders.items()}


def of_user(tx: Transaction, user_id: str) -> Principal:
    """Return who an account is, whoever is asking.

    Raises:
        errors.NotFound: There is none of this id.
    """
    user = users.get(tx, user_id)
    return Principal(user.id, user.email, user.name, user.operator)


def places(tx: Transaction, principal: Principal) -> list[Place]:
    """Return the places that the caller may use, the default one first."""
    return network.all_places(tx) if principal.operator else members.places_of(tx, principal.user_id)


def role_at(tx: Transaction, principal: Principal, spot: Spot) -> Role:
    """Return what the caller is to a node of the tree."""
    if principal.operator:
        return Role.OPERATOR
    # With a hub all roles in it end; of groups and projects that are deleted the hub's administrators are left.
    if spot.hub.deleted is not None:
        return Role.NOBODY
    mine = members.nodes_of(tx, principal.user_id)
    if spot.hub.id in mine:
        return Role.HUB_ADMIN
    if spot.group is not None and spot.group.id in mine and spot.group.deleted is None:
        return Role.GROUP_ADMIN
    there = spot.project is not None and spot.project.id in mine and spot.project.deleted is None
    return Role.MEMBER if there else Role.NOBODY


def require(
    tx: Transaction, principal: Principal, right: str, hub: str, group: str | None = None, project: str | None = None
) -> Spot:
    """Return the node of one, two or three names if the caller has a right there.

    Of `HISTORY` it may be one that was deleted: the newest, if none of these names exists.

    Args:
        right: One of `RIGHTS`.

    Raises:
        errors.NotFound: There is no such node, or the caller has no place in that hub: the two are not told apart.
        errors.Forbidden: The caller has a place in the hub, but not the role.
    """
    above = network.spot(tx, hub)
    if above is None or not _has_place(tx, principal, above):
        raise errors.NotFound(f"There is no hub {hub!r}, or you have no place in it.", 3001)
    found = network.spot(tx, hub, group, project)
    if found is None and right in HISTORY:
        past = network.past_spot(tx, hub, group, project)
        if past is not None and role_at(tx, principal, past) >= RIGHTS[right]:
            return past
    nearest = found or (network.spot(tx, hub, group) if project is not None else None) or above
    role = role_at(tx, principal, nearest)
    if role < RIGHTS[right]:
        raise errors.Forbidden(f"To {right} one must be {NAMES[RIGHTS[right]]}.", 2003)
    if found is None:
        names = "/".join(name for name in (hub, group, project) if name is not None)
        raise errors.NotFound(f"There is no {names}.", 3001)
    return found


def _has_place(tx: Transaction, principal: Principal, hub: Spot) -> bool:
    return principal.operator or not members.nodes_of(tx, principal.user_id).isdisjoint(network.nodes_of(tx, hub.hub))


#: What the roles are called in messages and in the docs.
NAMES: Final[Mapping[Role, str]] = {
    Role.MEMBER: "a member of the project",
    Role.GROUP_ADMIN: "an administrator of the group or the hub",
    Role.HUB_ADMIN: "an administrator of the hub",
    Role.OPERATOR: "an operator of the installation",
}


def place(tx: Transaction, principal: Principal, names: tuple[str, str, str] | None) -> Place:
    """Return the place of three names, or the caller's default place where no names are given.

    Raises:
        errors.NotFound: There is no such place, or it is not the caller's.
    """
    if names is None:
        mine = places(tx, principal)
        if not mine:
            raise errors.NotFound("You are not a member of any project. Ask the operator to add you.", 3001)
        return mine[0]
    found = network.find(tx, *names)
    if found is not None and (principal.operator or members.is_member(tx, found.project_id, principal.user_id)):
        return found
    raise _no_place("/".join(names))


def visible(tx: Transaction, principal: Principal, names: tuple[str, str, str]) -> Place:
    """Return the place of three names, also to who administers it and is no member.

    Raises:
        errors.NotFound: There is no such place, or the caller has no role in it.
    """
    found = network.find(tx, *names)
    if found is not None and role_at(tx, principal, found.spot) > Role.NOBODY:
        return found
    raise _no_place("/".join(names))


def hold(tx: Transaction, principal: Principal, place: Place) -> None:
    """Make sure that the caller may use a place, and that this stays so until the end of the transaction.

    Whoever looked before the transaction began may have looked before somebody was removed.

    Raises:
        errors.NotFound: The place is deleted, or not the caller's (any more).
    """
    mine = principal.operator or members.stays_member(tx, place.project_id, principal.user_id)
    if not (mine and network.stays(tx, place.project_id)):
        raise _no_place(place.path)


def _no_place(path: str) -> errors.NotFound:
    return errors.NotFound(f"There is no project {path}, or you are not a member. GET /Network lists yours.", 3001)


def administered(tx: Transaction, principal: Principal) -> list[Spot]:
    """Return the groups that the caller administers, and the hubs in which these are or which they administer."""
    mine = members.nodes_of(tx, principal.user_id)
    found: list[Spot] = []
    for hub in network.hubs(tx) if mine or principal.operator else ():
        whole = principal.operator or hub.id in mine
        groups = [Spot(hub, group) for group in network.groups_of(tx, hub) if whole or group.id in mine]
        found += [Spot(hub), *groups] if whole or groups else []
    return found


def available(tx: Transaction, place: Place) -> list[Available]:
    """Return the devices of a place, in the order of the catalogue."""
    shares = grants.of_place(tx, place)
    return [
        Available(device, shares[device.id].priority, shares[device.id].limits)
        for device in devices.list_(tx)
        if device.id in shares
    ]


def device(tx: Transaction, place: Place, name: str) -> Available:
    """Return a device of a place.

    Raises:
        errors.NotFound: The place has no device of this name.
    """
    found = devices.find(tx, name)
    granted = None if found is None else grants.on_way(tx, place, found.id)
    if found is not None and granted is not None:
        return Available(found, granted.priority, granted.limits)
    raise errors.NotFound(
        f"The project {place.path} has no device {name!r}. List the devices to see their names.", 3100
    )


def any_device(tx: Transaction, principal: Principal, name: str) -> Available:
    """Return a device that any of the caller's places has, as the first of them has it.

    Raises:
        errors.NotFound: None has a device of this name.
    """
    found = devices.find(tx, name)
    for mine in places(tx, principal) if found is not None else ():
        assert found is not None
        granted = grants.on_way(tx, mine, found.id)
        if granted is not None:
            return Available(found, granted.priority, granted.limits)
    raise errors.NotFound(f"You have no device {name!r}. List the devices to see their names.", 3100)


def owns(principal: Principal, owner: str) -> bool:
    """Tell whether what is `owner`'s is the caller's: their own, and of operators everything."""
    return principal.operator or principal.user_id == owner


def may_act_on_job(tx: Transaction, principal: Principal, owner: str, project_id: str) -> bool:
    """Tell whether the caller may see, and do anything with, a job of `owner`: operators, and who submitted it.

    A job belongs to its project: who is removed from that has lost it. Of a project that was deleted nobody was
    removed.
    """
    if principal.operator:
        return True
    return principal.user_id == owner and members.is_member(tx, ProjectId(project_id), principal.user_id)


def may_cancel_job(tx: Transaction, principal: Principal, owner: str, project_id: str) -> bool:
    """Tell whether the caller may cancel a job of `owner`: besides those who may act on it, administrators."""
    return may_act_on_job(tx, principal, owner, project_id) or _administers(tx, principal, project_id)


def own_projects(tx: Transaction, principal: Principal) -> frozenset[ProjectId] | None:
    """Return the projects of the caller's own jobs; None where no job needs to be asked for its project."""
    if principal.operator or not members.has_left(tx, principal.user_id):
        return None
    return frozenset(ProjectId(node_id) for node_id in members.nodes_of(tx, principal.user_id))


def _administers(tx: Transaction, principal: Principal, project_id: str) -> bool:
    return role_at(tx, principal, network.get(tx, project_id).spot) >= Role.GROUP_ADMIN


def may_read_job(tx: Transaction, principal: Principal, owner: str, project_id: str, share: str | None) -> bool:
    """Tell whether the caller may read a job and its result: besides those who may act, administrators and sharers.

    Args:
        share: With whom the owner shares it: members of its `project`, `group` or `hub`, or `global`: everybody.

    Source: protocol 5.1 and 6.3, `shareLevel`.
    """
    if share == "global" or may_cancel_job(tx, principal, owner, project_id):
        return True
    if share not in {"project", "group", "hub"}:
        return False
    place = network.get(tx, project_id)
    return any(getattr(mine, share).id == getattr(place, share).id for mine in places(tx, principal))
