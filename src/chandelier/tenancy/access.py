# SPDX-License-Identifier: Apache-2.0
"""The one gate: who is asking, which places and devices are theirs, whose jobs they may see."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from chandelier import devices, errors
from chandelier.devices import Device
from chandelier.store import Transaction
from chandelier.tenancy import grants, network, users
from chandelier.tenancy.network import Place
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
    """A device that a project may use, and the weight of its share."""

    device: Device
    priority: int


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


def authenticate_all(tx: Transaction, tokens: Iterable[str], now: datetime) -> dict[str, Principal]:
    """Return who holds each of some access tokens; without those that are not valid (any more)."""
    holders = users.authenticate_all(tx, tokens, now)
    return {token: Principal(user.id, user.email, user.name, user.operator) for token, user in holders.items()}


def places(tx: Transaction, principal: Principal) -> list[Place]:
    """Return the places that the caller may use, the default one first."""
    return network.all_places(tx) if principal.operator else network.places_of(tx, principal.user_id)


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
    if found is not None and (principal.operator or network.is_member(tx, found.project_id, principal.user_id)):
        return found
    raise errors.NotFound(
        f"There is no project {'/'.join(names)}, or you are not a member. GET /Network lists yours.", 3001
    )


def available(tx: Transaction, place: Place) -> list[Available]:
    """Return the devices of a place, in the order of the catalogue."""
    shares = {grant.device_id: grant.priority for grant in grants.of_projects(tx, [place.project_id])}
    return [Available(device, shares[device.id]) for device in devices.list_(tx) if device.id in shares]


def device(tx: Transaction, place: Place, name: str) -> Device:
    """Return a device of a place.

    Raises:
        errors.NotFound: The place has no device of this name.
    """
    found = devices.find(tx, name)
    if found is not None and grants.stands(tx, place.project_id, found.id):
        return found
    raise errors.NotFound(
        f"The project {place.path} has no device {name!r}. List the devices to see their names.", 3100
    )


def any_device(tx: Transaction, principal: Principal, name: str) -> Device:
    """Return a device that any of the caller's places has.

    Raises:
        errors.NotFound: None has a device of this name.
    """
    mine = [mine.project_id for mine in places(tx, principal)]
    found = devices.find(tx, name)
    if found is None or found.id not in {grant.device_id for grant in grants.of_projects(tx, mine)}:
        raise errors.NotFound(f"You have no device {name!r}. List the devices to see their names.", 3100)
    return found


def may_act_on_job(principal: Principal, owner: str) -> bool:
    """Tell whether the caller may see, and act on, a job of `owner`: their own, and operators every one."""
    return principal.operator or principal.user_id == owner


def may_read_job(tx: Transaction, principal: Principal, owner: str, project_id: str, share: str | None) -> bool:
    """Tell whether the caller may read a job and its result: besides those who may act, those it is shared with.

    Args:
        share: With whom the owner shares it: members of its `project`, `group` or `hub`, or `global`: everybody.

    Source: protocol 5.1 and 6.3, `shareLevel`.
    """
    if may_act_on_job(principal, owner) or share == "global":
        return True
    if share not in {"project", "group", "hub"}:
        return False
    shared = getattr(network.get(tx, project_id), share).id
    return any(getattr(mine, share).id == shared for mine in places(tx, principal))
