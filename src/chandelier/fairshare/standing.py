# SPDX-License-Identifier: Apache-2.0
"""How everybody stands in the fair-share tree of the database, and who is due: only looks, which change nothing.

An index holds the nodes that have work on a device in the order in which they are due, so that choosing costs a few
probes, however many jobs wait.
"""

import itertools
import math
from collections.abc import Collection, Generator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from chandelier import devices
from chandelier.devices import DeviceId
from chandelier.fairshare import rules, tables
from chandelier.fairshare.rules import Allowed, Choice, Rules, Usage
from chandelier.fairshare.tree import Tree
from chandelier.store import Transaction
from chandelier.store.prepared import ONE, Prepared

QPUS: Final = "qpus"
SIMULATORS: Final = "simulators"
_PROJECT: Final = len(rules.LEVELS)
_PAGE: Final = 64


class Work(msgspec.Struct, frozen=True):
    """What waits for a device, or of a node there.

    Attributes:
        jobs: How many jobs.
        seconds: What they are expected to take together, s.
    """

    jobs: int = 0
    seconds: float = 0.0


class Lane(msgspec.Struct, frozen=True):
    """A node on a device, as an explanation needs it.

    Attributes:
        weight: Its share there.
        key: What siblings are ordered by; the least is due.
        since: Since when it has work and has got nothing, s since 1970.
        reached: The key up to which those below have been served since there was last no work here.
        budget: Of a pool: what is saved up for projects that waited too long, s.
    """

    device_id: DeviceId
    node_id: str
    pool: str
    parent_id: str
    level: int
    weight: float
    key: float
    queued: int
    seconds: float
    since: float
    reached: float
    budget: float


_lanes: Final = tables.lanes.c
# Built once, because each job runs them.
# There is one row of rules, or none: then the defaults hold.
_ANY: Final = sa.true()
POLICY: Final = tuple(tables.rules.c[name] for name in Rules.__struct_fields__)
LANE: Final = tuple(tables.lanes.c[name] for name in Lane.__struct_fields__)
WAY: Final[sa.BindParameter[Any]] = sa.bindparam("way", expanding=True)
# Written into the statements: an index of a condition serves no parameter.
NONE: Final[sa.ColumnElement[int]] = sa.literal_column("0")
#: What is above a pool.
TOP: Final[sa.ColumnElement[str]] = sa.literal_column("''")
WITH_WORK: Final = (_lanes.device_id == sa.bindparam("device"), _lanes.queued > NONE)
_OF_WAY: Final = Prepared(
    sa.select(tables.accounts, *POLICY, _lanes.since)
    .select_from(
        tables.accounts.join(tables.rules, _ANY, isouter=True).join(
            tables.lanes,
            sa.and_(_lanes.node_id == tables.accounts.c.node_id, _lanes.device_id == sa.bindparam("device")),
        )
    )
    .where(tables.accounts.c.pool == sa.bindparam("pool"), tables.accounts.c.node_id.in_(WAY))
)
_CHILDREN: Final = Prepared(
    sa.select(_lanes.node_id, _lanes.key, _lanes.since)
    .where(
        *WITH_WORK,
        _lanes.parent_id == sa.bindparam("parent"),
        sa.tuple_(_lanes.key, _lanes.since, _lanes.node_id)
        > sa.tuple_(sa.bindparam("key"), sa.bindparam("since"), sa.bindparam("after")),
    )
    .order_by(_lanes.key, _lanes.since, _lanes.node_id)
    .limit(_PAGE)
)
_LATE: Final = Prepared(
    sa.select(_lanes.since, _lanes.node_id)
    .where(
        *WITH_WORK,
        _lanes.level == sa.literal_column(str(_PROJECT)),
        _lanes.since <= sa.bindparam("since"),
        sa.tuple_(_lanes.since, _lanes.node_id) > sa.tuple_(sa.bindparam("last"), sa.bindparam("after")),
    )
    .order_by(_lanes.since, _lanes.node_id)
    .limit(_PAGE)
)
_WORK: Final = Prepared(
    sa.select(_lanes.queued, _lanes.seconds).where(
        _lanes.device_id == sa.bindparam("device"), _lanes.node_id == sa.bindparam("node")
    )
)


def _roots() -> sa.Select[*tuple[Any, ...]]:
    """Return what asks for the devices that have work, each with who is due there, in one statement."""
    root = tables.lanes.alias("root")

    def due(parent: Any, name: str) -> sa.ScalarSelect[Any]:
        below = tables.lanes.alias(name)
        query = sa.select(below.c.node_id).where(
            below.c.device_id == root.c.device_id, below.c.parent_id == parent, below.c.queued > NONE
        )
        order = (below.c.key, below.c.since, below.c.node_id)
        return query.order_by(*order).limit(ONE).correlate(root).scalar_subquery()

    def way(name: str) -> list[sa.ScalarSelect[Any]]:
        found: list[Any] = [root.c.node_id]
        for level in rules.LEVELS:
            found.append(due(found[-1], f"{name}_{level}"))
        return found[1:]

    late = tables.lanes.alias("late")
    longest = sa.select(sa.func.min(late.c.since)).where(
        late.c.device_id == root.c.device_id, late.c.queued > NONE, late.c.level == sa.literal_column(str(_PROJECT))
    )
    columns = [
        root.c.device_id,
        root.c.pool,
        root.c.budget,
        root.c.since,
        longest.correlate(root).scalar_subquery().label("longest"),
    ]
    columns += [each.label(level) for level, each in zip(rules.LEVELS, way("due"), strict=True)]
    there = root.join(tables.rules, _ANY, isouter=True)
    return sa.select(*columns, *POLICY).select_from(there).where(root.c.parent_id == TOP, root.c.queued > NONE)


_ROOTS: Final = Prepared(_roots())
_STARTING: Final = sa.select(devices.RUNNABLE.subquery().c.id)
_WAITS: Final = Prepared(
    sa.select(sa.exists().where(_lanes.parent_id == TOP, _lanes.queued > NONE, _lanes.device_id.in_(_STARTING)))
)


def look(tx: Transaction) -> "Look | None":
    """Return the tree as it is now, to choose from; None if nothing waits."""
    rows = tx.execute(_ROOTS).all()
    return Look(tx, rows) if rows else None


def choose(look: "Look", among: Collection[str], now: datetime, allowed: Allowed = rules.everyone) -> Choice | None:
    """Return who goes next on any of some devices, or None; nothing is changed by it."""
    return rules.choose(look, among, now.timestamp(), look.policy, allowed)


def is_waiting(tx: Transaction) -> bool:
    """Tell whether anything waits for any device that starts jobs."""
    return bool(tx.execute(_WAITS).scalar())


def waiting(tx: Transaction, device_id: str, node_id: str) -> Work:
    """Return what waits for a device, of a pool, hub, group or project."""
    row = tx.execute(_WORK, {"device": device_id, "node": node_id}).first()
    return Work() if row is None else Work(int(row[0]), max(0.0, row[1]))


def lanes(tx: Transaction, device_id: str | None = None) -> list[Lane]:
    """Return the nodes that ever had work on a device, or on all."""
    query = sa.select(*(tables.lanes.c[name] for name in Lane.__struct_fields__))
    if device_id is not None:
        query = query.where(_lanes.device_id == device_id)
    return [Lane(*row) for row in tx.execute(query.order_by(_lanes.device_id, _lanes.level, _lanes.node_id))]


def usages(tx: Transaction) -> dict[tuple[str, str], Usage]:
    """Return what each node has used of each pool, by pool and node."""
    query = sa.select(tables.accounts.c.pool, tables.accounts.c.node_id, tables.accounts.c.value, tables.accounts.c.at)
    return {(pool, node): Usage(value, at) for pool, node, value, at in tx.execute(query)}


def load(tx: Transaction) -> Tree:
    """Return the whole as a tree in memory, in which nodes are called as `label` calls them."""
    known = lanes(tx)
    own = {label(row.pool, row.node_id): row.weight for row in tx.execute(sa.select(tables.accounts))}
    weights = {(label(lane.pool, lane.node_id), str(lane.device_id)): lane.weight for lane in known}
    loaded = Tree(policy(tx), lambda node, device: own[node] if device is None else weights[node, device])
    parents = {(lane.device_id, lane.node_id): lane.parent_id for lane in known}
    for lane in known:
        if lane.level == _PROJECT:
            way = [lane.node_id]
            while parents[lane.device_id, way[0]]:
                way.insert(0, parents[lane.device_id, way[0]])
            loaded.add(lane.device_id, tuple(label(lane.pool, node) for node in way))
    # After the work has entered: who has work now was let in when it came, and is not let in again.
    for lane in known:
        if lane.level == _PROJECT and lane.queued:
            loaded.enter(lane.device_id, label(lane.pool, lane.node_id), lane.since, lane.queued)
        elif lane.level == 0:
            loaded.set_budget(lane.device_id, lane.budget)
    for (pool, node), usage in usages(tx).items():
        loaded.set_usage(label(pool, node), usage)
    for lane in known:
        if lane.queued:
            loaded.set_lane(lane.device_id, label(lane.pool, lane.node_id), lane.since, lane.reached)
    return loaded


def label(pool: str, node_id: str) -> str:
    """Return what a node is called in a tree in memory, which holds several pools."""
    return f"{pool}:{node_id}"


def policy(tx: Transaction) -> Rules:
    """Return the numbers of the policy."""
    row = tx.execute(sa.select(*POLICY)).first()
    return Rules() if row is None else policy_in(row)


def policy_in(row: Any) -> Rules:
    """Return the policy that stands beside a row; it is joined to it where each job pays for every statement."""
    return Rules() if row.half_life is None else Rules(*(getattr(row, name) for name in Rules.__struct_fields__))


class Look:
    """The tree in the database, as the walk asks for it."""

    def __init__(self, tx: Transaction, rows: Sequence[Any]) -> None:
        self._tx = tx
        self._roots = {row.device_id: row for row in rows}
        self.policy = policy_in(rows[0])
        #: Who is due below a node of a device, as far as the first statement told.
        self._due = {
            (row.device_id, parent): node
            for row in rows
            for parent, node in itertools.pairwise((row.pool, *(getattr(row, level) for level in rules.LEVELS)))
        }

    def roots(self) -> Sequence[tuple[str, str]]:
        """Return the devices that have work, each with its pool."""
        return [(row.device_id, row.pool) for row in self._roots.values()]

    def passed_over(self, since: float) -> set[str]:
        """Return the devices with work on which no job has begun since a moment, s since 1970."""
        return {device for device, row in self._roots.items() if row.since < since}

    def children(self, device: str, parent: str) -> Generator[str]:
        """Give the nodes below one that have work for a device, the one that is due first."""
        first = self._due.get((device, parent))
        if first is not None:
            yield first
        values = {"device": device, "parent": parent, "key": -math.inf, "since": 0.0, "after": ""}
        while rows := self._tx.execute(_CHILDREN, values).all():
            yield from (row.node_id for row in rows if row.node_id != first)
            values |= {"key": rows[-1].key, "since": rows[-1].since, "after": rows[-1].node_id}

    def waiting(self, device: str, since: float) -> Generator[tuple[float, str]]:
        """Give the projects with work for a device that got nothing since a moment, the longest waiting first."""
        if self._roots[device].longest > since:
            return
        values = {"device": device, "since": since, "last": -math.inf, "after": ""}
        while rows := self._tx.execute(_LATE, values).all():
            yield from ((row.since, row.node_id) for row in rows)
            values |= {"last": rows[-1].since, "after": rows[-1].node_id}

    def budget(self, device: str) -> float:
        """Return how much device time is saved up for projects that waited too long, s."""
        return float(self._roots[device].budget)

    def standing(self, device: str, way: tuple[str, ...]) -> tuple[float, ...]:
        """Return the keys of a project's way, with the nodes' own weights, and since when it waits on a device."""
        found = self._tx.execute(_OF_WAY, {"device": device, "pool": way[0], "way": way}).all()
        half_life = policy_in(found[0]).half_life
        keys = {row.node_id: rules.key(Usage(row.value, row.at), row.weight, half_life) for row in found}
        since = next(row.since for row in found if row.node_id == way[-1])
        return (*(keys[node] for node in way), since)
