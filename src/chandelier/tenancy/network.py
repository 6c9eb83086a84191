# SPDX-License-Identifier: Apache-2.0
"""Hubs, groups and projects, and who is a member of which project; the only writer of these tables."""

import secrets
from datetime import datetime
from typing import Any, Final, NewType

import msgspec
import sqlalchemy as sa

from chandelier import errors
from chandelier.store import Transaction, database
from chandelier.tenancy.users import UserId

HubId = NewType("HubId", str)
GroupId = NewType("GroupId", str)
ProjectId = NewType("ProjectId", str)

#: The place every installation has, named as the public one of the former service, because a client hard-codes it.
#: Source: protocol 3.3 (ProjectQ).
DEFAULT_HUB: Final = "ibm-q"
DEFAULT_GROUP: Final = "open"
DEFAULT_PROJECT: Final = "main"
_DEFAULT_PRIORITY: Final = 1000

_NODE_COLUMNS: Final = ("id", "name", "title", "description", "priority", "created", "deleted")


def _node_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.String(24), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("description", sa.String(2000), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("created", database.UtcMilliseconds, nullable=False),
        sa.Column("deleted", database.UtcMilliseconds),
    ]


_hubs: Final = sa.Table("hubs", database.metadata, *_node_columns(), sa.UniqueConstraint("name"))
_groups: Final = sa.Table(
    "groups",
    database.metadata,
    *_node_columns(),
    sa.Column("hub_id", sa.ForeignKey("hubs.id"), nullable=False),
    sa.UniqueConstraint("hub_id", "name"),
)
_projects: Final = sa.Table(
    "projects",
    database.metadata,
    *_node_columns(),
    sa.Column("group_id", sa.ForeignKey("groups.id"), nullable=False),
    sa.UniqueConstraint("group_id", "name"),
)
_members: Final = sa.Table(
    "members",
    database.metadata,
    sa.Column("project_id", sa.ForeignKey("projects.id"), primary_key=True),
    sa.Column("user_id", sa.ForeignKey("users.id"), primary_key=True, index=True),
    sa.Column("joined", database.UtcMilliseconds, nullable=False),
    sa.Column("removed", database.UtcMilliseconds),
)


class Node(msgspec.Struct, frozen=True):
    """A hub, group or project.

    Attributes:
        priority: Its weight among its siblings.
        deleted: When it was deleted; None while it exists.
    """

    id: str
    name: str
    title: str
    description: str
    priority: int
    created: datetime
    deleted: datetime | None


class Place(msgspec.Struct, frozen=True):
    """A project with the way to it."""

    hub: Node
    group: Node
    project: Node

    @property
    def project_id(self) -> ProjectId:
        """The project's id."""
        return ProjectId(self.project.id)

    @property
    def path(self) -> str:
        """The three names, as people write them."""
        return f"{self.hub.name}/{self.group.name}/{self.project.name}"


_PLACE: Final = [table.c[name] for table in (_hubs, _groups, _projects) for name in _NODE_COLUMNS]
_TREE: Final = _projects.join(_groups, _groups.c.id == _projects.c.group_id).join(_hubs, _hubs.c.id == _groups.c.hub_id)
_EXISTS: Final = (_hubs.c.deleted.is_(None), _groups.c.deleted.is_(None), _projects.c.deleted.is_(None))
# Built once, because each poll runs it.
_BY_ID: Final = sa.select(*_PLACE).select_from(_TREE).where(_projects.c.id == sa.bindparam("id"))
_IS_DEFAULT: Final = sa.and_(
    _hubs.c.name == DEFAULT_HUB, _groups.c.name == DEFAULT_GROUP, _projects.c.name == DEFAULT_PROJECT
)
_ALL: Final = (
    sa.select(*_PLACE)
    .select_from(_TREE)
    .where(*_EXISTS)
    .order_by(sa.desc(_IS_DEFAULT), _hubs.c.created, _groups.c.created, _projects.c.created, _projects.c.id)
)


def ensure_default(tx: Transaction, now: datetime) -> Place:
    """Return the default project, creating what is missing of the way to it."""
    place = find(tx, DEFAULT_HUB, DEFAULT_GROUP, DEFAULT_PROJECT)
    if place is not None:
        return place
    hub = _add(tx, _hubs, DEFAULT_HUB, "Default hub", now)
    group = _add(tx, _groups, DEFAULT_GROUP, "Open group", now, hub_id=hub.id)
    project = _add(tx, _projects, DEFAULT_PROJECT, "Main project", now, group_id=group.id)
    return Place(hub, group, project)


def find(tx: Transaction, hub: str, group: str, project: str) -> Place | None:
    """Return the place of three names, if it exists."""
    query = sa.select(*_PLACE).select_from(_TREE)
    names = (_hubs.c.name == hub, _groups.c.name == group, _projects.c.name == project)
    row = tx.execute(query.where(*names, *_EXISTS)).first()
    return None if row is None else _place(row)


def get(tx: Transaction, project_id: str) -> Place:
    """Return the place of a project, also of one that is deleted.

    Raises:
        errors.NotFound: There is none of this id.
    """
    row = tx.execute(_BY_ID, {"id": project_id}).first()
    if row is None:
        raise errors.NotFound(f"No project has the id {project_id}.", 3001)
    return _place(row)


def places_of(tx: Transaction, user_id: UserId) -> list[Place]:
    """Return the places where a user is a member, the default project first and then the oldest."""
    return _places(tx, _members.c.user_id == user_id)


def all_places(tx: Transaction) -> list[Place]:
    """Return every place, the default project first and then the oldest."""
    return [_place(row) for row in tx.execute(_ALL)]


def join(tx: Transaction, project_id: ProjectId, user_id: UserId, now: datetime) -> None:
    """Make a user a member of a project; does nothing if they are."""
    tx.ring("network")
    row = {"project_id": project_id, "user_id": user_id, "joined": now, "removed": None}
    if not database.insert_if_absent(tx, _members, row):
        key = (_members.c.project_id == project_id, _members.c.user_id == user_id)
        tx.execute(sa.update(_members).where(*key).values(removed=None))


def is_member(tx: Transaction, project_id: ProjectId, user_id: UserId) -> bool:
    """Tell whether a user is a member of a project."""
    key = (_members.c.project_id == project_id, _members.c.user_id == user_id, _members.c.removed.is_(None))
    return tx.execute(sa.select(_members.c.joined).where(*key)).first() is not None


def _places(tx: Transaction, condition: sa.ColumnElement[bool]) -> list[Place]:
    mine = {
        row.project_id
        for row in tx.execute(sa.select(_members.c.project_id).where(condition, _members.c.removed.is_(None)))
    }
    return [place for place in all_places(tx) if place.project.id in mine]


def _add(tx: Transaction, table: sa.Table, name: str, title: str, now: datetime, **parent: str) -> Node:
    node = Node(secrets.token_hex(12), name, title, "", _DEFAULT_PRIORITY, now, None)
    tx.execute(sa.insert(table), msgspec.structs.asdict(node) | parent)
    tx.ring("network")
    return node


def _place(row: sa.Row[*tuple[Any, ...]]) -> Place:
    width = len(_NODE_COLUMNS)
    hub, group, project = (Node(*row[start : start + width]) for start in range(0, 3 * width, width))
    return Place(hub, group, project)
