# SPDX-License-Identifier: Apache-2.0
"""What administrators do to the tree, its people and its devices; each act is written down as it is done.

What changes a share changes the places in the queue with it. Whether somebody may do it is `access`'s business.
Source of the names of acts: this module, for the audit log.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from chandelier import devices
from chandelier.devices import Device, DeviceState, Pace
from chandelier.fairshare import accounts
from chandelier.store import Transaction
from chandelier.tenancy import audit, grants, members, network, users
from chandelier.tenancy.audit import By
from chandelier.tenancy.grants import Grant, Limits
from chandelier.tenancy.members import Member
from chandelier.tenancy.network import Node, ProjectId, Spot
from chandelier.tenancy.users import Token, User

#: What may be changed of a device.
_CONDUCTED: Final = ("state", "message", "pace", "overhead", "max_job_seconds", "drift")
#: The weight of a share, None for what it was or the node's own; and limits.
Terms = tuple[int | None, Limits]


def add_hub(tx: Transaction, by: By, name: str, **facts: Any) -> Spot:
    """Add a hub; as `network.add_hub`."""
    return _added(tx, by, Spot(network.add_hub(tx, name, by.now, **facts)))


def add_group(tx: Transaction, by: By, above: Spot, name: str, **facts: Any) -> Spot:
    """Add a group to a hub; as `network.add_hub`."""
    return _added(tx, by, Spot(above.hub, network.add_group(tx, above.hub, name, by.now, **facts)))


def add_project(tx: Transaction, by: By, above: Spot, name: str, **facts: Any) -> Spot:
    """Add a project to a group; as `network.add_hub`."""
    made = network.add_project(tx, above.node, name, by.now, **facts)
    return _added(tx, by, Spot(above.hub, above.group, made))


def change(tx: Transaction, by: By, spot: Spot, **facts: Any) -> Node:
    """Set `title`, `description` or `priority` of a node and return it.

    Raises:
        errors.Invalid: The priority cannot be one.
    """
    node = network.change(tx, spot, **facts)
    if "priority" in facts:
        grants.follow(tx, node.id, node.priority)
        accounts.reweigh(tx, by.now)
    before = {name: getattr(spot.node, name) for name in facts}
    audit.write(tx, by.who, f"{spot.level}.change", spot, by.now, before=before, after=facts)
    return node


def remove(tx: Transaction, by: By, spot: Spot) -> Node:
    """Delete a node with what is under it, and return it as it is now.

    Raises:
        errors.Conflict: It is part of the default place.
    """
    network.remove(tx, spot, by.now)
    audit.write(tx, by.who, f"{spot.level}.remove", spot, by.now, before=_facts(spot.node))
    return msgspec.structs.replace(spot.node, deleted=by.now)


def add_member(tx: Transaction, by: By, spot: Spot, email: str) -> Member:
    """Give somebody the role that a node has, or invite them; of who is there already nothing is written down.

    Raises:
        errors.Invalid: The address is not one.
    """
    member, new = members.add(tx, spot, email, by.now)
    if new:
        after = {"email": member.email, "role": member.role, "invited": member.invited}
        audit.write(tx, by.who, "member.add", spot, by.now, after=after)
    return member


def join(tx: Transaction, by: By, spot: Spot, user: User) -> None:
    """Make an account a member of a project, as `add_member`."""
    if members.join(tx, ProjectId(spot.node.id), user.id, by.now):
        after = {"email": user.email, "role": members.role_at(spot.level), "invited": False}
        audit.write(tx, by.who, "member.add", spot, by.now, after=after)


def welcome(tx: Transaction, by: By, user: User) -> list[Spot]:
    """Give a new account what its address was invited to, and return the nodes."""
    spots = members.welcome(tx, user, by.now)
    for spot in spots:
        before = {"email": user.email, "role": members.role_at(spot.level), "invited": True}
        audit.write(tx, by.who, "member.join", spot, by.now, before=before, after=before | {"invited": False})
    return spots


def remove_member(tx: Transaction, by: By, spot: Spot, email: str) -> None:
    """Take somebody's role at a node away, or their invitation.

    Raises:
        errors.NotFound: They have none there.
    """
    members.remove(tx, spot, email, by.now)
    before = {"email": email.strip().lower(), "role": members.role_at(spot.level)}
    audit.write(tx, by.who, "member.remove", spot, by.now, before=before)


def cancel_job(tx: Transaction, by: By, spot: Spot, job_id: str) -> None:
    """Write down that a job of somebody else is cancelled; `jobs.outcomes` cancels it."""
    audit.write(tx, by.who, "job.cancel", spot, by.now, after={"job": job_id})


def change_job(tx: Transaction, by: By, spot: Spot, job_id: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Write down that a job of somebody else is given another name, tags or share level; `jobs.records` does it."""
    known = {"job": job_id}
    audit.write(tx, by.who, "job.change", spot, by.now, before=known | before, after=known | after)


def delete_job(tx: Transaction, by: By, spot: Spot, job_id: str) -> None:
    """Write down that a job of somebody else is deleted; `jobs.outcomes` deletes it."""
    audit.write(tx, by.who, "job.delete", spot, by.now, before={"job": job_id})


def grant(tx: Transaction, by: By, spot: Spot, device: Device, terms: Callable[[Grant | None], Terms]) -> Grant:
    """Give a node a device, or another share of it or other limits.

    Args:
        terms: Says from the grant that stands what is to hold; nobody else changes that grant meanwhile.

    Raises:
        errors.Invalid: The priority or a limit cannot be one.
        errors.NotFound: The node above does not have the device.
    """
    tx.alone(f"grant:{spot.node.id}")
    known = grants.find(tx, spot.node.id, device.id)
    made = grants.grant(tx, spot, device, *terms(known), by.now)
    accounts.reweigh(tx, by.now)
    before = None if known is None else _terms(device, known)
    audit.write(tx, by.who, "grant.set", spot, by.now, before=before, after=_terms(device, made))
    return made


def withdraw(tx: Transaction, by: By, spot: Spot, device: Device) -> None:
    """Take a device from a node, and so from all under it.

    Raises:
        errors.NotFound: The node does not have it.
    """
    tx.alone(f"grant:{spot.node.id}")
    known = grants.find(tx, spot.node.id, device.id)
    grants.withdraw(tx, spot, device, by.now)
    assert known is not None
    audit.write(tx, by.who, "grant.remove", spot, by.now, before=_terms(device, known))


def set_state(tx: Transaction, by: By, name: str, state: DeviceState, message: str) -> Device:
    """Bring a device into a state; as `devices.set_state`."""
    before, after = devices.get(tx, name), devices.set_state(tx, name, state, message)
    if after.conduct.starts and not before.conduct.starts:
        accounts.wait_from(tx, after.id, by.now)
    return _conducted(tx, by, before, after)


def set_pace(tx: Transaction, by: By, name: str, pace: Pace, overhead: float | None) -> Device:
    """Let a device take as long as the machine would, or no longer; as `devices.set_pace`."""
    return _conducted(tx, by, devices.get(tx, name), devices.set_pace(tx, name, pace, overhead))


def set_max_job_seconds(tx: Transaction, by: By, name: str, seconds: float | None) -> Device:
    """Limit how long a job of a device may take; as `devices.set_max_job_seconds`."""
    return _conducted(tx, by, devices.get(tx, name), devices.set_max_job_seconds(tx, name, seconds))


def set_drift(tx: Transaction, by: By, name: str, *, drift: bool, frozen: tuple[str, str] | None) -> Device:
    """Let a device drift or stay as it is; as `devices.set_drift`."""
    before, after = devices.get(tx, name), devices.set_drift(tx, name, by.now, drift=drift, frozen=frozen)
    if before.calibrating is not None and after.calibrating is None:
        accounts.wait_from(tx, after.id, by.now)
    return _conducted(tx, by, before, after)


def order_calibration(tx: Transaction, by: By, device: Device, *, seeking: bool) -> Device:
    """Let a device be calibrated soon; as `devices.order_calibration`."""
    after = devices.order_calibration(tx, device, by.now, seeking=seeking)
    audit.write(tx, by.who, "device.calibrate", None, by.now, after={"device": device.name})
    return after


def _conducted(tx: Transaction, by: By, before: Device, after: Device) -> Device:
    facts = [fact for fact in _CONDUCTED if getattr(before, fact) != getattr(after, fact)]
    old, new = ({"device": after.name} | {fact: getattr(device, fact) for fact in facts} for device in (before, after))
    if facts:
        audit.write(tx, by.who, "device.set", None, by.now, before=old, after=new)
    return after


def issue_token(tx: Transaction, by: By, user: User, name: str) -> tuple[str, Token]:
    """Make an API token for somebody; return its text, which is never seen again, and its record."""
    text, token = users.issue(tx, user.id, "api", by.now, name=name)
    audit.write(tx, by.who, "token.issue", None, by.now, after=_holding(user, token))
    return text, token


def revoke_token(tx: Transaction, by: By, token_id: str) -> Token:
    """End a token, and every login made with it, at once.

    Raises:
        errors.NotFound: There is no such token, or it is revoked.
    """
    token = users.revoke(tx, token_id, by.now)
    audit.write(tx, by.who, "token.revoke", None, by.now, before=_holding(users.get(tx, token.user_id), token))
    return token


def _holding(user: User, token: Token) -> dict[str, Any]:
    return {"email": user.email, "token": token.id, "name": token.name}


def _added(tx: Transaction, by: By, spot: Spot) -> Spot:
    audit.write(tx, by.who, f"{spot.level}.add", spot, by.now, after=_facts(spot.node))
    return spot


def _facts(node: Node) -> dict[str, Any]:
    return {"title": node.title, "description": node.description, "priority": node.priority}


def _terms(device: Device, known: Grant) -> dict[str, Any]:
    limits = {name: value for name, value in msgspec.structs.asdict(known.limits).items() if value is not None}
    return {"device": device.name, "priority": known.priority} | limits
