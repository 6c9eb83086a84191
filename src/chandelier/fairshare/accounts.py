# SPDX-License-Identifier: Apache-2.0
"""The fair-share tree in the database: what each node has used of each pool, and what waits where; their only writer.

Written in the transactions that move a job, by `jobs.records`, so that a job is counted and charged exactly once
whatever dies when. An index holds the nodes that have work on a device in the order in which they are due, so that
choosing costs a few probes, however many jobs wait.
"""

import itertools
import math
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from chandelier import devices
from chandelier.devices import DeviceId
from chandelier.fairshare import rules, tree
from chandelier.fairshare.rules import Allowed, Choice, Rules, Turn, Usage
from chandelier.fairshare.tree import Tree
from chandelier.store import Transaction, database
from chandelier.tenancy import grants, network
from chandelier.tenancy.network import ProjectId

QPUS: Final = "qpus"
SIMULATORS: Final = "simulators"
_PROJECT: Final = len(rules.LEVELS)
_PAGE: Final = 64

_rules: Final = sa.Table(
    "fair_rules",
    database.metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    *(sa.Column(name, sa.Float(53), nullable=False) for name in Rules.__struct_fields__),
)
_accounts: Final = sa.Table(
    "fair_accounts",
    database.metadata,
    sa.Column("pool", sa.String(16), primary_key=True),
    sa.Column("node_id", sa.String(24), primary_key=True),
    sa.Column("weight", sa.Float(53), nullable=False),
    sa.Column("value", sa.Float(53), nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
)
#: The work of a node on a device; a device's pool is the node at the top, of level 0.
_lanes: Final = sa.Table(
    "fair_lanes",
    database.metadata,
    sa.Column("device_id", sa.ForeignKey("devices.id"), primary_key=True),
    sa.Column("node_id", sa.String(24), primary_key=True),
    sa.Column("pool", sa.String(16), nullable=False),
    sa.Column("parent_id", sa.String(24), nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("weight", sa.Float(53), nullable=False),
    sa.Column("key", sa.Float(53), nullable=False),
    sa.Column("queued", sa.Integer, nullable=False),
    sa.Column("seconds", sa.Float(53), nullable=False),
    sa.Column("since", sa.Float(53), nullable=False),
    sa.Column("reached", sa.Float(53), nullable=False),
    sa.Column("budget", sa.Float(53), nullable=False),
    sa.Index("ix_fair_lanes_node_id", "node_id"),
    sa.Index(
        "ix_fair_lanes_device_id_parent_id_key",
        "device_id",
        "parent_id",
        "key",
        "since",
        "node_id",
        sqlite_where=sa.text("queued > 0"),
        postgresql_where=sa.text("queued > 0"),
    ),
    sa.Index(
        "ix_fair_lanes_device_id_since",
        "device_id",
        "since",
        "node_id",
        sqlite_where=sa.text("queued > 0 AND level = 3"),
        postgresql_where=sa.text("queued > 0 AND level = 3"),
    ),
)


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


#: Ways never change, and no id is used twice.
_WAYS: Final[dict[tuple[str, str], tuple[str, ...]]] = {}
_MOST_WAYS: Final = 100_000

# Built once, because each job runs them.
# There is one row of rules, or none: then the defaults hold.
_ANY: Final = sa.true()
_POLICY: Final = tuple(_rules.c[name] for name in Rules.__struct_fields__)
_LANE: Final = tuple(_lanes.c[name] for name in Lane.__struct_fields__)
_WAY: Final[sa.BindParameter[Any]] = sa.bindparam("way", expanding=True)
# Written into the statements: an index of a condition serves no parameter.
_NONE: Final[sa.ColumnElement[int]] = sa.literal_column("0")
_WITH_WORK: Final = (_lanes.c.device_id == sa.bindparam("device"), _lanes.c.queued > _NONE)
_OF_WAY: Final = (
    sa.select(_accounts, *_POLICY)
    .select_from(_accounts.join(_rules, _ANY, isouter=True))
    .where(_accounts.c.pool == sa.bindparam("pool"), _accounts.c.node_id.in_(_WAY))
)
_SET_USAGE: Final = (
    sa.update(_accounts)
    .where(_accounts.c.pool == sa.bindparam("p"), _accounts.c.node_id == sa.bindparam("n"))
    .values(value=sa.bindparam("v"), at=sa.bindparam("t"))
)
_LANES_OF_WAY: Final = sa.select(*_LANE).where(
    _lanes.c.node_id.in_(_WAY), _lanes.c.pool == sa.bindparam("pool"), _lanes.c.queued > _NONE
)
_SET_LANE: Final = (
    sa.update(_lanes)
    .where(_lanes.c.device_id == sa.bindparam("d"), _lanes.c.node_id == sa.bindparam("n"))
    .values(key=sa.bindparam("k"), since=sa.bindparam("s"), reached=sa.bindparam("r"), budget=sa.bindparam("b"))
)
_MOVE: Final = (
    sa.update(_lanes)
    .where(_lanes.c.device_id == sa.bindparam("device"), _lanes.c.node_id.in_(_WAY))
    .values(
        queued=_lanes.c.queued + sa.bindparam("jobs"),
        seconds=_lanes.c.seconds + sa.bindparam("more"),
        reached=sa.case((_lanes.c.queued + sa.bindparam("jobs") <= 0, rules.UNUSED), else_=_lanes.c.reached),
    )
    .returning(*_LANE)
)
_CHILDREN: Final = (
    sa.select(_lanes.c.node_id, _lanes.c.key, _lanes.c.since)
    .where(
        *_WITH_WORK,
        _lanes.c.parent_id == sa.bindparam("parent"),
        sa.tuple_(_lanes.c.key, _lanes.c.since, _lanes.c.node_id)
        > sa.tuple_(sa.bindparam("key"), sa.bindparam("since"), sa.bindparam("after")),
    )
    .order_by(_lanes.c.key, _lanes.c.since, _lanes.c.node_id)
    .limit(_PAGE)
)
_LATE: Final = (
    sa.select(_lanes.c.since, _lanes.c.node_id)
    .where(
        *_WITH_WORK,
        _lanes.c.level == sa.literal_column(str(_PROJECT)),
        _lanes.c.since <= sa.bindparam("since"),
        sa.tuple_(_lanes.c.since, _lanes.c.node_id) > sa.tuple_(sa.bindparam("last"), sa.bindparam("after")),
    )
    .order_by(_lanes.c.since, _lanes.c.node_id)
    .limit(_PAGE)
)
_ACTIVE_POOLS: Final = sa.select(_lanes.c.pool).where(_lanes.c.parent_id == "", _lanes.c.queued > _NONE).distinct()
_LEAST_OTHER: Final = sa.select(sa.func.min(_lanes.c.key)).where(
    *_WITH_WORK, _lanes.c.parent_id == sa.bindparam("parent"), _lanes.c.node_id != sa.bindparam("node")
)
_WEIGHTS: Final = sa.select(sa.func.sum(_lanes.c.weight)).where(
    _lanes.c.device_id == sa.bindparam("device"), _lanes.c.parent_id == sa.bindparam("parent")
)
_ELSEWHERE: Final = sa.select(_lanes.c.node_id).where(
    _lanes.c.node_id.in_(_WAY),
    _lanes.c.pool == sa.bindparam("pool"),
    _lanes.c.device_id != sa.bindparam("device"),
    _lanes.c.queued > _NONE,
)
_SINCE: Final = sa.select(_lanes.c.since).where(
    _lanes.c.device_id == sa.bindparam("device"), _lanes.c.node_id == sa.bindparam("node")
)
_WORK: Final = sa.select(_lanes.c.queued, _lanes.c.seconds).where(
    _lanes.c.device_id == sa.bindparam("device"), _lanes.c.node_id == sa.bindparam("node")
)


def _roots() -> sa.Select[*tuple[Any, ...]]:
    """Return what asks for the devices that have work, each with who is due there, in one statement."""
    root = _lanes.alias("root")

    def due(parent: Any, name: str) -> sa.ScalarSelect[Any]:
        below = _lanes.alias(name)
        query = sa.select(below.c.node_id).where(
            below.c.device_id == root.c.device_id, below.c.parent_id == parent, below.c.queued > _NONE
        )
        order = (below.c.key, below.c.since, below.c.node_id)
        return query.order_by(*order).limit(1).correlate(root).scalar_subquery()

    def way(name: str) -> list[sa.ScalarSelect[Any]]:
        found: list[Any] = [root.c.node_id]
        for level in rules.LEVELS:
            found.append(due(found[-1], f"{name}_{level}"))
        return found[1:]

    late = _lanes.alias("late")
    longest = sa.select(sa.func.min(late.c.since)).where(
        late.c.device_id == root.c.device_id, late.c.queued > _NONE, late.c.level == sa.literal_column(str(_PROJECT))
    )
    columns = [root.c.device_id, root.c.pool, root.c.budget, longest.correlate(root).scalar_subquery().label("longest")]
    columns += [each.label(level) for level, each in zip(rules.LEVELS, way("due"), strict=True)]
    there = root.join(_rules, _ANY, isouter=True)
    return sa.select(*columns, *_POLICY).select_from(there).where(root.c.parent_id == "", root.c.queued > _NONE)


_ROOTS: Final = _roots()


def set_rules(tx: Transaction, policy: Rules, now: datetime) -> None:
    """Write the numbers of the policy; where they change, everybody's place is worked out anew."""
    known, values = _policy(tx), msgspec.structs.asdict(policy)
    if not database.insert_if_absent(tx, _rules, {"number": 1} | values):
        tx.execute(sa.update(_rules).values(**values))
    if known == policy:
        return
    for (pool, node), used in usages(tx).items():
        moment = max(used.at, now.timestamp())
        _write_usage(tx, pool, {node: Usage(used.now(moment, known.half_life), moment)})
    _rekey(tx, policy)


def enter(tx: Transaction, device_id: DeviceId, project_id: ProjectId, seconds: float, now: datetime) -> None:
    """Let a job wait for a device.

    Args:
        seconds: What it is expected to take, s.
    """
    way = _way(tx, device_id, project_id)
    found = _moved(tx, device_id, way, 1, seconds)
    if len(found) < len(way):
        _add_lanes(tx, device_id, way, now)
        found |= _moved(tx, device_id, [node for node in way if node not in found], 1, seconds)
    begun = [node for node in way if found[node].queued == 1]
    if not begun:
        return
    policy, used = _standing(tx, way[0], begun)
    there = {row[0] for row in tx.execute(_ELSEWHERE, {"way": begun, "pool": way[0], "device": device_id})}
    new: dict[str, Usage] = {}
    for parent, node in zip((None, *way[:-1]), way, strict=True):
        if node in begun and node not in there:
            above = None if parent is None else found[parent]
            new[node] = _clamped(tx, found[node], above, used[node], policy, now.timestamp())
    _write_usage(tx, way[0], {node: usage for node, usage in new.items() if usage != used[node]})
    _write_lanes(tx, (found[node] for node in begun), used | new, policy, since=now)


def leave(tx: Transaction, device_id: DeviceId, project_id: ProjectId, seconds: float) -> None:
    """Take a job out of a device's queue; `seconds` as when it entered."""
    _moved(tx, device_id, _way(tx, device_id, project_id), -1, -seconds)


def start(
    tx: Transaction,
    device_id: DeviceId,
    project_id: ProjectId,
    seconds: float,
    now: datetime,
    *,
    turn: Turn = "due",
) -> None:
    """Take a job that begins out of the queue and charge its project what it is expected to take.

    Args:
        seconds: As when it entered.
        turn: Why it goes.
    """
    way = _way(tx, device_id, project_id)
    found = _moved(tx, device_id, way, -1, -seconds)
    cost = rules.cost(seconds)
    policy, new = _charge(tx, way, cost, now)
    if turn == "due":
        for parent, node in itertools.pairwise(way):
            reached = max(found[parent].reached, found[node].key) if found[parent].queued else rules.UNUSED
            found[parent] = msgspec.structs.replace(found[parent], reached=reached)
    root = found[way[0]]
    budget = tree.saved(root.budget, cost, policy, guarded=turn == "guarded")
    found[way[0]] = msgspec.structs.replace(root, budget=budget)
    _write_lanes(tx, found.values(), new, policy, since=now)
    _write_lanes(tx, (lane for lane in _active(tx, way) if lane.device_id != device_id), new, policy)


def correct(tx: Transaction, device_id: DeviceId, project_id: ProjectId, difference: float, began: datetime) -> None:
    """Charge a project more, or less, for a job that began at a moment."""
    if difference:
        way = _way(tx, device_id, project_id)
        policy, new = _charge(tx, way, difference, began)
        _write_lanes(tx, _active(tx, way), new, policy)


def choose(
    tx: Transaction, devices: Collection[str], now: datetime, allowed: Allowed = rules.everyone
) -> Choice | None:
    """Return who goes next on any of some devices, or None; only a look, which changes nothing."""
    source = _Source(tx)
    if source.policy is None:
        return None
    return rules.choose(source, devices, now.timestamp(), source.policy, allowed)


def waiting(tx: Transaction, device_id: str, node_id: str) -> Work:
    """Return what waits for a device, of a pool, hub, group or project."""
    row = tx.execute(_WORK, {"device": device_id, "node": node_id}).first()
    return Work() if row is None else Work(int(row[0]), max(0.0, row[1]))


def lanes(tx: Transaction, device_id: str | None = None) -> list[Lane]:
    """Return the nodes that ever had work on a device, or on all."""
    query = sa.select(*(_lanes.c[name] for name in Lane.__struct_fields__))
    if device_id is not None:
        query = query.where(_lanes.c.device_id == device_id)
    return [Lane(*row) for row in tx.execute(query.order_by(_lanes.c.device_id, _lanes.c.level, _lanes.c.node_id))]


def usages(tx: Transaction) -> dict[tuple[str, str], Usage]:
    """Return what each node has used of each pool, by pool and node."""
    query = sa.select(_accounts.c.pool, _accounts.c.node_id, _accounts.c.value, _accounts.c.at)
    return {(pool, node): Usage(value, at) for pool, node, value, at in tx.execute(query)}


def load(tx: Transaction) -> Tree:
    """Return the whole as a tree in memory, in which nodes are called as `label` calls them."""
    known = lanes(tx)
    own = {label(row.pool, row.node_id): row.weight for row in tx.execute(sa.select(_accounts))}
    weights = {(label(lane.pool, lane.node_id), str(lane.device_id)): lane.weight for lane in known}
    loaded = Tree(_policy(tx), lambda node, device: own[node] if device is None else weights[node, device])
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
    return loaded


def label(pool: str, node_id: str) -> str:
    """Return what a node is called in a tree in memory, which holds several pools."""
    return f"{pool}:{node_id}"


def reweigh(tx: Transaction, now: datetime) -> None:
    """Take over weights that administrators have changed; who is due more from now on gets no more than the credit."""
    policy = _policy(tx)
    own, granted = network.weights(tx), grants.weights(tx)
    for row in tx.execute(sa.select(_accounts)).all():
        weight = float(own.get(row.node_id, 1))
        if weight != row.weight:
            where = (_accounts.c.pool == row.pool, _accounts.c.node_id == row.node_id)
            tx.execute(sa.update(_accounts).where(*where).values(weight=weight))
    known = lanes(tx)
    for lane in known:
        weight = _weight(lane.node_id, lane.device_id, own, granted)
        if weight == lane.weight:
            continue
        where = (_lanes.c.device_id == lane.device_id, _lanes.c.node_id == lane.node_id)
        tx.execute(sa.update(_lanes).where(*where).values(weight=weight))
        changed = msgspec.structs.replace(lane, weight=weight)
        _, used = _standing(tx, lane.pool, [lane.node_id])
        if weight > lane.weight and lane.queued:
            above = next((each for each in known if _is_above(each, lane)), None)
            new = {lane.node_id: _clamped(tx, changed, above, used[lane.node_id], policy, now.timestamp())}
            _write_usage(tx, lane.pool, new)
            own_lanes = [each for each in _active(tx, (lane.pool, lane.node_id)) if each.node_id == lane.node_id]
            _write_lanes(tx, own_lanes, used | new, policy)
        else:
            _write_lanes(tx, [changed], used, policy)


def recount(tx: Transaction, waiting: Mapping[tuple[DeviceId, ProjectId], Work], now: datetime) -> int:
    """Set what waits to what was counted; charges stay as they are.

    Returns:
        How many lanes were wrong.
    """
    true: dict[tuple[str, str], Work] = {}
    for (device_id, project_id), work in waiting.items():
        way = _way(tx, device_id, project_id)
        _add_lanes(tx, device_id, way, now)
        for node in way:
            known = true.get((device_id, node), Work())
            true[device_id, node] = Work(known.jobs + work.jobs, known.seconds + work.seconds)
    policy, used, wrong = _policy(tx), usages(tx), 0
    for lane in lanes(tx):
        work = true.get((lane.device_id, lane.node_id), Work())
        where = (_lanes.c.device_id == lane.device_id, _lanes.c.node_id == lane.node_id)
        if lane.queued != work.jobs:
            wrong += 1
            tx.execute(sa.update(_lanes).where(*where).values(queued=work.jobs))
            there = {lane.node_id: used[lane.pool, lane.node_id]}
            _write_lanes(tx, [lane], there, policy, since=None if lane.queued else now)
        tx.execute(sa.update(_lanes).where(*where).values(seconds=work.seconds))
    return wrong


class _Source:
    """The tree in the database, as the walk asks for it."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        rows = tx.execute(_ROOTS).all()
        self._roots = {row.device_id: row for row in rows}
        self.policy = _policy_in(rows[0]) if rows else None
        #: Who is due below a node of a device, as far as the first statement told.
        self._due = {
            (row.device_id, parent): node
            for row in rows
            for parent, node in itertools.pairwise((row.pool, *(getattr(row, level) for level in rules.LEVELS)))
        }

    def roots(self) -> Sequence[tuple[str, str]]:
        """Return the devices that have work, each with its pool."""
        return [(row.device_id, row.pool) for row in self._roots.values()]

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
        found = self._tx.execute(_OF_WAY, {"pool": way[0], "way": way}).all()
        half_life = _policy_in(found[0]).half_life
        keys = {row.node_id: rules.key(Usage(row.value, row.at), row.weight, half_life) for row in found}
        since = self._tx.execute(_SINCE, {"device": device, "node": way[-1]}).scalar_one()
        return (*(keys[node] for node in way), since)


def _policy(tx: Transaction) -> Rules:
    row = tx.execute(sa.select(*_POLICY)).first()
    return Rules() if row is None else _policy_in(row)


def _policy_in(row: sa.Row[*tuple[Any, ...]]) -> Rules:
    """Return the policy that stands beside a row; it is joined to it where each job pays for every statement."""
    return Rules() if row.half_life is None else Rules(*(getattr(row, name) for name in Rules.__struct_fields__))


def _way(tx: Transaction, device_id: DeviceId, project_id: ProjectId) -> tuple[str, ...]:
    """Return the way from a device's pool to a project."""
    way = _WAYS.get((device_id, project_id))
    if way is None:
        pool = SIMULATORS if devices.get_by_id(tx, device_id).simulator else QPUS
        way = (pool, *(node.id for node in network.get(tx, project_id).spot.way))
        if len(_WAYS) >= _MOST_WAYS:
            _WAYS.clear()
        _WAYS[device_id, project_id] = way
    return way


def _moved(tx: Transaction, device_id: DeviceId, way: Sequence[str], jobs: int, seconds: float) -> dict[str, Lane]:
    """Change how many jobs wait on a way, and return its lanes as they are now."""
    values = {"device": device_id, "way": list(way), "jobs": jobs, "more": seconds}
    return {row.node_id: Lane(*row) for row in tx.execute(_MOVE, values)}


def _active(tx: Transaction, way: Sequence[str]) -> list[Lane]:
    """Return the lanes of nodes of one pool, named first, that have work."""
    return [Lane(*row) for row in tx.execute(_LANES_OF_WAY, {"way": list(way), "pool": way[0]})]


def _add_lanes(tx: Transaction, device_id: DeviceId, way: tuple[str, ...], now: datetime) -> None:
    """Add what is missing of a way on a device."""
    own, granted = network.weights(tx, way), grants.weights(tx, way)
    for level, (parent, node) in enumerate(zip(("", *way[:-1]), way, strict=True)):
        account = {"pool": way[0], "node_id": node, "weight": float(own.get(node, 1)), "value": 0.0, "at": 0.0}
        database.insert_if_absent(tx, _accounts, account | {"at": now.timestamp()})
        row = {"device_id": device_id, "node_id": node, "pool": way[0], "parent_id": parent, "level": level}
        row |= {"weight": _weight(node, device_id, own, granted), "key": rules.UNUSED, "queued": 0}
        database.insert_if_absent(
            tx, _lanes, row | {"seconds": 0.0, "since": 0.0, "reached": rules.UNUSED, "budget": 0.0}
        )


def _weight(node: str, device_id: str, own: Mapping[str, int], granted: Mapping[tuple[str, str], int]) -> float:
    """Return a node's weight on a device: its share of the device where one is set, else its own."""
    return float(granted.get((node, device_id), own.get(node, 1)))


def _standing(tx: Transaction, pool: str, nodes: Sequence[str]) -> tuple[Rules, dict[str, Usage]]:
    """Return the policy and what nodes have used, locked where several may charge them at once."""
    query = _OF_WAY.with_for_update(of=_accounts) if tx.skips_locked else _OF_WAY
    rows = tx.execute(query, {"pool": pool, "way": list(nodes)}).all()
    return _policy_in(rows[0]), {row.node_id: Usage(row.value, row.at) for row in rows}


def _is_above(lane: Lane, below: Lane) -> bool:
    return lane.device_id == below.device_id and lane.node_id == below.parent_id


def _clamped(tx: Transaction, lane: Lane, above: Lane | None, usage: Usage, policy: Rules, moment: float) -> Usage:
    """Return the usage with which a node begins to compete on a device."""
    least, weights = _competition(tx, lane, above, policy)
    return usage if least is None else rules.clamped(usage, lane.weight, least, weights, moment, policy)


def _competition(tx: Transaction, lane: Lane, above: Lane | None, policy: Rules) -> tuple[float | None, float]:
    """Return how far siblings with work have been served, and the sum of their weights and the node's."""
    if above is None:
        rivals = [row[0] for row in tx.execute(_ACTIVE_POOLS) if row[0] != lane.pool]
        keys = [rules.key(_standing(tx, pool, [pool])[1][pool], 1.0, policy.half_life) for pool in rivals]
        return (min(keys) if keys else None), 1.0 + len(rivals)
    values = {"device": lane.device_id, "parent": lane.parent_id, "node": lane.node_id}
    least = tx.execute(_LEAST_OTHER, values).scalar()
    if least is None:
        return None, 0.0
    # Newcomers among the siblings do not draw others back.
    # Source: P. Goyal, H. Vin, H. Cheng, Start-time Fair Queueing (1996), the virtual time of a server.
    return max(least, above.reached), float(tx.execute(_WEIGHTS, values).scalar_one())


def _charge(tx: Transaction, way: tuple[str, ...], cost: float, moment: datetime) -> tuple[Rules, dict[str, Usage]]:
    """Charge a project and all above it as of a moment; return the policy, and what they have used now."""
    policy, known = _standing(tx, way[0], way)
    stamp = moment.timestamp()
    new = {node: rules.charged(usage, cost, stamp, policy.half_life) for node, usage in known.items()}
    _write_usage(tx, way[0], new)
    return policy, new


def _write_usage(tx: Transaction, pool: str, new: Mapping[str, Usage]) -> None:
    rows = [{"p": pool, "n": node, "v": usage.value, "t": usage.at} for node, usage in new.items()]
    if rows:
        tx.execute(_SET_USAGE, rows)


def _write_lanes(
    tx: Transaction,
    changed: Iterable[Lane],
    used: Mapping[str, Usage],
    policy: Rules,
    *,
    since: datetime | None = None,
) -> None:
    """Put nodes into their places by what they have used.

    Args:
        since: When they got something, or began to wait; None where neither is so.
    """
    rows = [
        {
            "d": lane.device_id,
            "n": lane.node_id,
            "k": rules.key(used[lane.node_id], lane.weight, policy.half_life),
            "s": lane.since if since is None else since.timestamp(),
            "r": lane.reached,
            "b": lane.budget,
        }
        for lane in changed
    ]
    if rows:
        tx.execute(_SET_LANE, rows)


def _rekey(tx: Transaction, policy: Rules) -> None:
    """Put everybody into their places anew."""
    known = usages(tx)
    for lane in lanes(tx):
        _write_lanes(tx, [lane], {lane.node_id: known[lane.pool, lane.node_id]}, policy)
