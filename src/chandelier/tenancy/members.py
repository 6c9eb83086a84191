# SPDX-License-Identifier: Apache-2.0
"""Who has which role where: members of projects, administrators of groups and hubs, and who is invited.

The only writer of these tables. They say how it is now: a role that was taken away stays, marked, for lists to tell of
it, until it is given again. Who came and went when is in the audit log.
"""

import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

import msgspec
import sqlalchemy as sa

from chandelier import errors
from chandelier.store import Transaction, database
from chandelier.store.prepared import Prepared
from chandelier.tenancy import network, users
from chandelier.tenancy.network import Level, Place, ProjectId, Spot
from chandelier.tenancy.users import User, UserId

#: What one may be at a node; hubs and groups have administrators only, projects members only.
Role = Literal["admin", "member"]
Departures = tuple[int, datetime | None]

_members: Final = sa.Table(
    "members",
    database.metadata,
    sa.Column("node_id", sa.String(24), primary_key=True),
    sa.Column("user_id", sa.ForeignKey("users.id"), primary_key=True, index=True),
    sa.Column("level", sa.String(8), nullable=False),
    sa.Column("joined", database.UtcMilliseconds, nullable=False),
    sa.Column("removed", database.UtcMilliseconds),
)
_invitations: Final = sa.Table(
    "invitations",
    database.metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("email", sa.String(255), nullable=False, index=True),
    sa.Column("node_id", sa.String(24), nullable=False, index=True),
    sa.Column("level", sa.String(8), nullable=False),
    sa.Column("created", database.UtcMilliseconds, nullable=False),
    sa.Column("ended", database.UtcMilliseconds),
)
_STANDS: Final = _members.c.removed.is_(None)
# Built once, because each submission runs it.
_JOINED: Final = sa.select(_members.c.joined).where(
    _members.c.node_id == sa.bindparam("node"), _members.c.user_id == sa.bindparam("user"), _STANDS
)
_ROLE: Final = Prepared(_JOINED)
_ROLE_LOCKED: Final = Prepared(_JOINED.with_for_update(read=True))


class Member(msgspec.Struct, frozen=True):
    """Somebody's role at a node.

    Attributes:
        id: The user's id, or the invitation's.
        invited: The person has no account yet.
        ended: The role was taken away.
    """

    id: str
    email: str
    name: str
    role: Role
    joined: datetime
    invited: bool = False
    ended: bool = False


def role_at(level: Level) -> Role:
    """Return the role that somebody at a node of a level has."""
    return "member" if level == "project" else "admin"


def join(tx: Transaction, project_id: ProjectId, user_id: UserId, now: datetime) -> bool:
    """Make a user a member of a project; return whether they were none."""
    return _join(tx, project_id, "project", user_id, now)


def add(tx: Transaction, spot: Spot, email: str, now: datetime) -> tuple[Member, bool]:
    """Give somebody the role that a node has; who has no account is invited, and gets it with the account.

    Returns:
        What they are there now, and whether they were not before.

    Raises:
        errors.Invalid: The address is not one.
    """
    address = users.address(email)
    user = _account(tx, address)
    if user is not None:
        new = _join(tx, spot.node.id, spot.level, user.id, now)
        joined = now if new else tx.execute(_ROLE, {"node": spot.node.id, "user": user.id}).scalar_one()
        return Member(user.id, user.email, user.name, role_at(spot.level), joined), new
    standing = _invited(tx, spot.node.id, address)
    if standing is not None:
        return standing, False
    made = Member(secrets.token_hex(12), address, "", role_at(spot.level), now, invited=True)
    row = {"id": made.id, "email": address, "node_id": spot.node.id, "level": spot.level, "created": now}
    tx.execute(sa.insert(_invitations), row | {"ended": None})
    return made, True


def remove(tx: Transaction, spot: Spot, email: str, now: datetime) -> None:
    """Take somebody's role at a node away, at once; an invitation ends too.

    Raises:
        errors.NotFound: They have none there.
    """
    address = users.address(email)
    tx.ring("network")
    user = _account(tx, address)
    ended = tx.execute(
        sa.update(_invitations)
        .where(_invitations.c.node_id == spot.node.id, _invitations.c.email == address, _invitations.c.ended.is_(None))
        .values(ended=now)
    ).rowcount
    if user is not None:
        key = (_members.c.node_id == spot.node.id, _members.c.user_id == user.id, _STANDS)
        ended += tx.execute(sa.update(_members).where(*key).values(removed=now)).rowcount
    if not ended:
        raise errors.NotFound(f"{address} is no {role_at(spot.level)} of {spot.path}.", 3500)


def welcome(tx: Transaction, user: User, now: datetime) -> list[Spot]:
    """Give a new account what its address was invited to, but for what is deleted; return the nodes."""
    waiting = (_invitations.c.email == user.email, _invitations.c.ended.is_(None))
    query = sa.select(_invitations.c.node_id, _invitations.c.level).where(*waiting).order_by(_invitations.c.created)
    found = [_standing(tx, row.level, row.node_id) for row in tx.execute(query).all()]
    joined = [spot for spot in found if spot is not None]
    for spot in joined:
        _join(tx, spot.node.id, spot.level, user.id, now)
    tx.execute(sa.update(_invitations).where(*waiting).values(ended=now))
    return joined


def list_(tx: Transaction, spot: Spot) -> list[Member]:
    """Return who has a role at a node, those who joined first first, and then who is invited."""
    return list_of(tx, [spot])[spot.node.id]


def list_of(tx: Transaction, spots: Iterable[Spot], *, ended: bool = False) -> dict[str, list[Member]]:
    """Return the same of several nodes, by node.

    Args:
        ended: Those too whose role was taken away; they are marked.
    """
    levels = {spot.node.id: spot.level for spot in spots}
    query = sa.select(_members.c.node_id, _members.c.user_id, _members.c.joined, _members.c.removed)
    query = query.where(_members.c.node_id.in_(sorted(levels)), *(() if ended else (_STANDS,)))
    rows = tx.execute(query.order_by(_members.c.joined, _members.c.user_id)).all()
    known = users.find_all(tx, {row.user_id for row in rows})
    found: dict[str, list[Member]] = {node_id: [] for node_id in levels}
    for row in rows:
        user, role = known[row.user_id], role_at(levels[row.node_id])
        gone = row.removed is not None
        found[row.node_id].append(Member(user.id, user.email, user.name, role, row.joined, ended=gone))
    pending = sa.select(_invitations).where(_invitations.c.node_id.in_(sorted(levels)), _invitations.c.ended.is_(None))
    for row in tx.execute(pending.order_by(_invitations.c.created)):
        role = role_at(levels[row.node_id])
        found[row.node_id].append(Member(row.id, row.email, "", role, row.created, invited=True))
    return found


def is_member(tx: Transaction, project_id: ProjectId, user_id: UserId) -> bool:
    """Tell whether a user is a member of a project."""
    return has_role(tx, [project_id], user_id)


def stays_member(tx: Transaction, project_id: str, user_id: str) -> bool:
    """Tell the same; nobody removes a member before this transaction has ended."""
    key = {"node": project_id, "user": user_id}
    return tx.execute(_ROLE_LOCKED if tx.skips_locked else _ROLE, key).first() is not None


def has_left(tx: Transaction, user_id: UserId) -> bool:
    """Tell whether a role was ever taken from a user and not given back."""
    gone = sa.select(_members.c.joined).where(_members.c.user_id == user_id, _members.c.removed.is_not(None))
    return tx.execute(gone.limit(1)).first() is not None


def departures(tx: Transaction) -> Departures:
    """Return what is another whenever a role was taken from somebody: how many were, and the last time."""
    gone = sa.select(sa.func.count(), sa.func.max(_members.c.removed)).where(_members.c.removed.is_not(None))
    row = tx.execute(gone).one()
    return row[0], row[1]


def has_role(tx: Transaction, node_ids: Iterable[str], user_id: UserId) -> bool:
    """Tell whether a user has a role at one of some nodes."""
    key = (_members.c.node_id.in_(list(node_ids)), _members.c.user_id == user_id, _STANDS)
    return tx.execute(sa.select(_members.c.joined).where(*key).limit(1)).first() is not None


def administrators(tx: Transaction) -> frozenset[str]:
    """Return the ids of all users who administer a group or a hub."""
    above = sa.select(_members.c.user_id, _members.c.node_id).where(_members.c.level != "project", _STANDS)
    there = _administered(tx)
    return frozenset(row.user_id for row in tx.execute(above) if row.node_id in there)


def invited_administrators(tx: Transaction) -> dict[str, Spot]:
    """Return the addresses without an account that are invited to administer a group or a hub, each with one such."""
    above = (_invitations.c.level != "project", _invitations.c.ended.is_(None))
    there = _administered(tx)
    rows = tx.execute(sa.select(_invitations.c.email, _invitations.c.node_id).where(*above))
    return {row.email: there[row.node_id] for row in rows if row.node_id in there}


def nodes_of(tx: Transaction, user_id: UserId) -> frozenset[str]:
    """Return the ids of the nodes where a user has a role."""
    return frozenset(
        row.node_id for row in tx.execute(sa.select(_members.c.node_id).where(_members.c.user_id == user_id, _STANDS))
    )


def places_of(tx: Transaction, user_id: UserId) -> list[Place]:
    """Return the places where a user is a member, the default project first and then the oldest."""
    mine = nodes_of(tx, user_id)
    return [place for place in network.all_places(tx) if place.project.id in mine]


def administered_by(tx: Transaction, user_id: UserId) -> list[Spot]:
    """Return the hubs and groups that a user administers by a role there, each hub before its groups."""
    mine = nodes_of(tx, user_id)
    return sorted((spot for key, spot in _administered(tx).items() if key in mine), key=lambda spot: spot.path)


def _account(tx: Transaction, address: str) -> User | None:
    """Return the account of an address; if there is none, none is made before this transaction has ended."""
    user = users.find_by_email(tx, address)
    if user is None:
        # Else an invitation and an account that are made at the same moment would miss each other.
        users.reserve(tx, address)
        user = users.find_by_email(tx, address)
    return user


def _join(tx: Transaction, node_id: str, level: Level, user_id: UserId, now: datetime) -> bool:
    """Give a role, anew if it was taken away; return whether the user had none."""
    tx.ring("network")
    row = {"node_id": node_id, "level": level, "user_id": user_id, "joined": now, "removed": None}
    if database.insert_if_absent(tx, _members, row):
        return True
    gone = (_members.c.node_id == node_id, _members.c.user_id == user_id, _members.c.removed.is_not(None))
    return tx.execute(sa.update(_members).where(*gone).values(joined=now, removed=None)).rowcount == 1


def _administered(tx: Transaction) -> dict[str, Spot]:
    """Return the hubs and groups that exist, by id."""
    hubs = network.hubs(tx)
    groups = [Spot(hub, group) for hub in hubs for group in network.groups_of(tx, hub)]
    return {spot.node.id: spot for spot in (*(Spot(hub) for hub in hubs), *groups)}


def _standing(tx: Transaction, level: Level, node_id: str) -> Spot | None:
    """Return the node of an id, if it exists."""
    if level != "project":
        return _administered(tx).get(node_id)
    spot = network.get(tx, node_id).spot
    return None if spot.gone else spot


def _invited(tx: Transaction, node_id: str, address: str) -> Member | None:
    query = sa.select(_invitations).where(
        _invitations.c.node_id == node_id, _invitations.c.email == address, _invitations.c.ended.is_(None)
    )
    row = tx.execute(query).first()
    return None if row is None else Member(row.id, address, "", role_at(row.level), row.created, invited=True)
