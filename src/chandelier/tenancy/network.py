# SPDX-License-Identifier: Apache-2.0
"""Hubs, groups and projects: the tree in which people and devices have their places; the only writer of its tables."""

import secrets
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final, Literal, NewType

import msgspec
import sqlalchemy as sa

from chandelier import errors
from chandelier.store import Transaction, database
from chandelier.store.prepared import Prepared
from chandelier.tenancy import rules

HubId = NewType("HubId", str)
GroupId = NewType("GroupId", str)
ProjectId = NewType("ProjectId", str)
Level = Literal["hub", "group", "project"]
LEVELS: Final[tuple[Level, ...]] = ("hub", "group", "project")

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
        sa.Column("title", sa.String(rules.LONGEST["title"]), nullable=False),
        sa.Column("description", sa.String(rules.LONGEST["description"]), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("created", database.UtcMilliseconds, nullable=False),
        sa.Column("deleted", database.UtcMilliseconds),
    ]


def _one_of_a_name(table: str, *columns: str) -> sa.Index:
    """Return what keeps siblings that exist from having one name; the name of a deleted one is free again."""
    there = sa.text("deleted IS NULL")
    name = f"uq_{table}_{'_'.join(columns)}"
    return sa.Index(name, *columns, unique=True, sqlite_where=there, postgresql_where=there)


_hubs: Final = sa.Table("hubs", database.metadata, *_node_columns(), _one_of_a_name("hubs", "name"))
_groups: Final = sa.Table(
    "groups",
    database.metadata,
    *_node_columns(),
    sa.Column("hub_id", sa.ForeignKey("hubs.id"), nullable=False),
    _one_of_a_name("groups", "hub_id", "name"),
)
_projects: Final = sa.Table(
    "projects",
    database.metadata,
    *_node_columns(),
    sa.Column("group_id", sa.ForeignKey("groups.id"), nullable=False),
    _one_of_a_name("projects", "group_id", "name"),
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
        return self.spot.path

    @property
    def spot(self) -> "Spot":
        """The project as a node of the tree."""
        return Spot(self.hub, self.group, self.project)


class Spot(msgspec.Struct, frozen=True):
    """A hub, a group or a project, with the way to it."""

    hub: Node
    group: Node | None = None
    project: Node | None = None

    @property
    def node(self) -> Node:
        """The node itself."""
        return self.project or self.group or self.hub

    @property
    def level(self) -> Level:
        """What it is."""
        return "project" if self.project else "group" if self.group else "hub"

    @property
    def way(self) -> tuple[Node, ...]:
        """The nodes from the hub down to this one."""
        return tuple(node for node in (self.hub, self.group, self.project) if node is not None)

    @property
    def above(self) -> "Spot | None":
        """What a group or project is in; None for a hub."""
        if self.group is None:
            return None
        return Spot(self.hub) if self.project is None else Spot(self.hub, self.group)

    @property
    def path(self) -> str:
        """Its names, as people write them."""
        return "/".join(node.name for node in self.way)

    @property
    def gone(self) -> bool:
        """Whether it, or what it is in, was deleted."""
        return any(node.deleted is not None for node in self.way)


#: The ids of what was deleted.
GONE: Final = sa.union_all(
    *(sa.select(each.c.id).where(each.c.deleted.is_not(None)) for each in (_hubs, _groups, _projects))
)
_PLACE: Final = [table.c[name] for table in (_hubs, _groups, _projects) for name in _NODE_COLUMNS]
_TREE: Final = _projects.join(_groups, _groups.c.id == _projects.c.group_id).join(_hubs, _hubs.c.id == _groups.c.hub_id)
_EXISTS: Final = (_hubs.c.deleted.is_(None), _groups.c.deleted.is_(None), _projects.c.deleted.is_(None))
# Built once, because each poll runs it.
_BY_ID: Final = Prepared(sa.select(*_PLACE).select_from(_TREE).where(_projects.c.id == sa.bindparam("id")))
# Built once, because each submission runs it. Who deletes what is above a project deletes the project too.
_IS_THERE: Final = sa.select(_projects.c.id).select_from(_TREE).where(_projects.c.id == sa.bindparam("id"), *_EXISTS)
_STANDING: Final = Prepared(_IS_THERE)
_STAYING: Final = Prepared(_IS_THERE.with_for_update(read=True, of=_projects))
#: Ways never change, and no id is used twice.
_WAYS: Final[dict[str, tuple[str, ...]]] = {}
_MOST_WAYS: Final = 100_000
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
    known = spot(tx, DEFAULT_HUB)
    hub = known.hub if known is not None else add_hub(tx, DEFAULT_HUB, now, title="Default hub")
    known = spot(tx, DEFAULT_HUB, DEFAULT_GROUP)
    group = known.node if known is not None else add_group(tx, hub, DEFAULT_GROUP, now, title="Open group")
    return Place(hub, group, add_project(tx, group, DEFAULT_PROJECT, now, title="Main project"))


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


def way(tx: Transaction, project_id: str) -> tuple[str, ...]:
    """Return the ids of a project's hub, its group and itself.

    Raises:
        errors.NotFound: There is none of this id.
    """
    known = _WAYS.get(project_id)
    if known is None:
        known = tuple(node.id for node in get(tx, project_id).spot.way)
        if len(_WAYS) >= _MOST_WAYS:
            _WAYS.clear()
        _WAYS[project_id] = known
    return known


def stays(tx: Transaction, project_id: str) -> bool:
    """Tell whether a project exists; nobody deletes it before this transaction has ended."""
    return tx.execute(_STAYING if tx.skips_locked else _STANDING, {"id": project_id}).first() is not None


def all_places(tx: Transaction) -> list[Place]:
    """Return every place, the default project first and then the oldest."""
    return [_place(row) for row in tx.execute(_ALL)]


def spot(tx: Transaction, hub: str, group: str | None = None, project: str | None = None) -> Spot | None:
    """Return the node of one, two or three names, if it exists."""
    found_hub = _find(tx, _hubs, _hubs.c.name == hub)
    if found_hub is None or group is None:
        return None if found_hub is None else Spot(found_hub)
    found_group = _find(tx, _groups, _groups.c.hub_id == found_hub.id, _groups.c.name == group)
    if found_group is None or project is None:
        return None if found_group is None else Spot(found_hub, found_group)
    found = _find(tx, _projects, _projects.c.group_id == found_group.id, _projects.c.name == project)
    return None if found is None else Spot(found_hub, found_group, found)


def spot_of(tx: Transaction, level: Level, node_id: str) -> Spot:
    """Return a hub, group or project that a row of another table names, also one that is deleted."""
    tables = {"hub": (_hubs,), "group": (_hubs, _groups), "project": (_hubs, _groups, _projects)}[level]
    query = sa.select(*(table.c[name] for table in tables for name in _NODE_COLUMNS))
    if len(tables) > 1:
        query = query.where(_groups.c.hub_id == _hubs.c.id)
    if len(tables) > 2:
        query = query.where(_projects.c.group_id == _groups.c.id)
    row, width = tx.execute(query.where(tables[-1].c.id == node_id)).one(), len(_NODE_COLUMNS)
    return Spot(*(Node(*row[start : start + width]) for start in range(0, len(tables) * width, width)))


def past_spot(tx: Transaction, hub: str, group: str | None = None, project: str | None = None) -> Spot | None:
    """Return the node of one, two or three names: the one that exists, or else the newest that was deleted."""
    found_hub = _newest(tx, _hubs, _hubs.c.name == hub)
    if found_hub is None or group is None:
        return None if found_hub is None else Spot(found_hub)
    if project is None:
        found = _newest(tx, _groups, _groups.c.hub_id == found_hub.id, _groups.c.name == group)
        return None if found is None else Spot(found_hub, found)
    # It may have been in a deleted group whose name another has now.
    names = (_hubs.c.id == found_hub.id, _groups.c.name == group, _projects.c.name == project)
    query = sa.select(*_PLACE).select_from(_TREE).where(*names)
    row = tx.execute(query.order_by(*_newest_first(_projects)).limit(1)).first()
    return None if row is None else _place(row).spot


def hubs(tx: Transaction) -> list[Node]:
    """Return all hubs, the oldest first."""
    return _list(tx, _hubs)


def groups_of(tx: Transaction, hub: Node) -> list[Node]:
    """Return the groups of a hub, the oldest first."""
    return _list(tx, _groups, _groups.c.hub_id == hub.id)


def inside(tx: Transaction, above: Spot | None) -> list[Spot]:
    """Return what is directly in a hub or a group, the oldest first; the hubs for None, nothing for a project."""
    if above is None:
        return [Spot(hub) for hub in hubs(tx)]
    if above.group is None:
        return [Spot(above.hub, group) for group in groups_of(tx, above.hub)]
    if above.project is None:
        return [Spot(above.hub, above.group, project) for project in projects_of(tx, above.group)]
    return []


def below(tx: Transaction, above: Spot) -> list[Spot]:
    """Return everything in a hub or a group, at any depth."""
    return [each for child in inside(tx, above) for each in (child, *below(tx, child))]


def nodes_of(tx: Transaction, hub: Node) -> list[str]:
    """Return the ids of a hub and of every group and project in it."""
    groups = sa.select(_groups.c.id).where(_groups.c.hub_id == hub.id, _groups.c.deleted.is_(None))
    projects = sa.select(_projects.c.id).where(_projects.c.group_id.in_(groups), _projects.c.deleted.is_(None))
    return [hub.id, *(row.id for row in tx.execute(sa.union_all(groups, projects)))]


def projects_of(tx: Transaction, group: Node) -> list[Node]:
    """Return the projects of a group, the oldest first."""
    return _list(tx, _projects, _projects.c.group_id == group.id)


def projects_under(tx: Transaction, above: Spot) -> frozenset[ProjectId]:
    """Return the ids of all projects that are, or ever were, under a hub or group; of a project its own."""
    return projects_below(tx, above.level, above.node.id)


def projects_below(tx: Transaction, level: Level, node_id: str) -> frozenset[ProjectId]:
    """Do the same for a node by its id."""
    if level == "project":
        return frozenset({ProjectId(node_id)})
    query = sa.select(_projects.c.id).join(_groups, _groups.c.id == _projects.c.group_id)
    within = _groups.c.hub_id == node_id if level == "hub" else _groups.c.id == node_id
    return frozenset(ProjectId(row[0]) for row in tx.execute(query.where(within)))


def add_hub(tx: Transaction, name: str, now: datetime, **more: Any) -> Node:
    """Add a hub; `more` are `title`, `description` and `priority`.

    Raises:
        errors.Invalid: The name, the priority or a text cannot be one.
        errors.Conflict: There is a hub of this name.
    """
    rules.check_name("hub", name)
    if spot(tx, name) is not None:
        raise errors.Conflict(f"There is a hub {name!r} already.", 3002)
    return _add(tx, _hubs, name, now, {}, more)


def add_group(tx: Transaction, hub: Node, name: str, now: datetime, **more: Any) -> Node:
    """Add a group to a hub; as `add_hub`."""
    rules.check_name("group", name)
    if _find(tx, _groups, _groups.c.hub_id == hub.id, _groups.c.name == name) is not None:
        raise errors.Conflict(f"The hub {hub.name} has a group {name!r} already.", 3002)
    return _add(tx, _groups, name, now, {"hub_id": hub.id}, more)


def add_project(tx: Transaction, group: Node, name: str, now: datetime, **more: Any) -> Node:
    """Add a project to a group; as `add_hub`."""
    rules.check_name("project", name)
    if _find(tx, _projects, _projects.c.group_id == group.id, _projects.c.name == name) is not None:
        raise errors.Conflict(f"The group {group.name} has a project {name!r} already.", 3002)
    return _add(tx, _projects, name, now, {"group_id": group.id}, more)


def remove(tx: Transaction, gone: Spot, now: datetime) -> None:
    """Delete a node and what is under it; its jobs and their history stay, and what runs goes on.

    Raises:
        errors.Conflict: It is part of the default place, without which no account could be added.
        errors.NotFound: It is deleted, also by somebody else in this moment.
    """
    if f"{DEFAULT_HUB}/{DEFAULT_GROUP}/{DEFAULT_PROJECT}/".startswith(f"{gone.path}/"):
        raise errors.Conflict(f"{gone.path} is where new accounts begin; it cannot be deleted.", 3003)
    tx.ring("network")
    under = sa.select(_groups.c.id).where(_groups.c.hub_id == gone.hub.id)
    if gone.project is not None:
        chosen = [(_projects, _projects.c.id == gone.project.id)]
    elif gone.group is not None:
        chosen = [(_projects, _projects.c.group_id == gone.group.id), (_groups, _groups.c.id == gone.group.id)]
    else:
        chosen = [
            (_projects, _projects.c.group_id.in_(under)),
            (_groups, _groups.c.hub_id == gone.hub.id),
            (_hubs, _hubs.c.id == gone.hub.id),
        ]
    for table, condition in chosen:  # the node itself is the last
        ended = tx.execute(sa.update(table).where(condition, table.c.deleted.is_(None)).values(deleted=now)).rowcount
    if ended != 1:
        raise _missing(gone)


def change(tx: Transaction, which: Spot, **facts: Any) -> Node:
    """Set `title`, `description` or `priority` of a node and return it.

    Raises:
        errors.Invalid: The priority or a text cannot be one.
        errors.NotFound: It is deleted, also by somebody else in this moment.
    """
    rules.check(facts)
    tx.ring("network")
    table = {"hub": _hubs, "group": _groups, "project": _projects}[which.level]
    known = sa.update(table).where(table.c.id == which.node.id, table.c.deleted.is_(None))
    if tx.execute(known.values(**facts)).rowcount != 1:
        raise _missing(which)
    return msgspec.structs.replace(which.node, **facts)


def weights(tx: Transaction, node_ids: Collection[str] | None = None) -> dict[str, int]:
    """Return the priorities of hubs, groups and projects, of deleted ones too; of all, or of some by their ids."""
    found: dict[str, int] = {}
    for table in (_hubs, _groups, _projects):
        query = sa.select(table.c.id, table.c.priority)
        if node_ids is not None:
            query = query.where(table.c.id.in_(list(node_ids)))
        found |= {row.id: row.priority for row in tx.execute(query)}
    return found


def _missing(gone: Spot) -> errors.NotFound:
    return errors.NotFound(f"There is no {gone.level} {gone.path}.", 3001)


def _find(tx: Transaction, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> Node | None:
    found = _list(tx, table, *conditions)
    return found[0] if found else None


def _newest(tx: Transaction, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> Node | None:
    query = sa.select(*(table.c[name] for name in _NODE_COLUMNS)).where(*conditions)
    row = tx.execute(query.order_by(*_newest_first(table)).limit(1)).first()
    return None if row is None else Node(*row)


def _newest_first(table: sa.Table) -> tuple[sa.ColumnElement[Any], ...]:
    return table.c.deleted.is_not(None), table.c.created.desc(), table.c.id.desc()


def _list(tx: Transaction, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> list[Node]:
    query = sa.select(*(table.c[name] for name in _NODE_COLUMNS)).where(table.c.deleted.is_(None), *conditions)
    return [Node(*row) for row in tx.execute(query.order_by(table.c.created, table.c.id))]


def _add(
    tx: Transaction, table: sa.Table, name: str, now: datetime, parent: Mapping[str, str], facts: Mapping[str, Any]
) -> Node:
    rules.check(facts)
    title, description = facts.get("title", ""), facts.get("description", "")
    node = Node(
        secrets.token_hex(12), name, title, description, facts.get("priority", _DEFAULT_PRIORITY), now, deleted=None
    )
    if not database.insert_if_absent(tx, table, msgspec.structs.asdict(node) | dict(parent)):
        raise errors.Conflict(f"There is {name!r} already.", 3002)  # added by somebody else in this moment
    tx.ring("network")
    return node


def _place(row: sa.Row[*tuple[Any, ...]]) -> Place:
    width = len(_NODE_COLUMNS)
    hub, group, project = (Node(*row[start : start + width]) for start in range(0, 3 * width, width))
    return Place(hub, group, project)
