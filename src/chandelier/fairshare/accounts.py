# SPDX-License-Identifier: Apache-2.0
"""What each node of the tree has used of each pool, and what waits where; the only writer of both.

Written in the transactions that move a job, by `jobs.records`, so that a job is counted and charged exactly once
whatever dies when.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from chandelier import devices
from chandelier.devices import DeviceId
from chandelier.fairshare import rules, standing, tables, tree
from chandelier.fairshare.rules import Rules, Turn, Usage
from chandelier.fairshare.standing import Lane, Work
from chandelier.store import Transaction, database
from chandelier.store.prepared import ONE, Prepared
from chandelier.tenancy import grants, network
from chandelier.tenancy.network import ProjectId

#: The pool of each device; it never changes, and no id is used twice.
_POOLS: Final[dict[str, str]] = {}

_lanes: Final = tables.lanes.c
# Built once, because each job runs them.
_HERE_OR_WITH_WORK: Final = sa.or_(_lanes.device_id == sa.bindparam("device"), _lanes.queued > standing.NONE)
#: What a way's nodes have used, each with its place on a device, and its places on others where it has work.
_LOAD: Final = Prepared(
    sa.select(
        tables.accounts.c.node_id.label("account"),
        tables.accounts.c.value,
        tables.accounts.c.at,
        *standing.POLICY,
        *standing.LANE,
    )
    .select_from(
        tables.accounts.join(tables.rules, sa.true(), isouter=True).join(
            tables.lanes,
            sa.and_(
                _lanes.node_id == tables.accounts.c.node_id, _lanes.pool == tables.accounts.c.pool, _HERE_OR_WITH_WORK
            ),
            isouter=True,
        )
    )
    .where(tables.accounts.c.pool == sa.bindparam("pool"), tables.accounts.c.node_id.in_(standing.WAY))
)
_SET_USAGE: Final = Prepared(
    sa.update(tables.accounts)
    .where(tables.accounts.c.pool == sa.bindparam("p"), tables.accounts.c.node_id == sa.bindparam("n"))
    .values(value=sa.bindparam("v"), at=sa.bindparam("t"))
)
_WRITTEN: Final = ("key", "queued", "seconds", "since", "reached", "budget")
_SET_LANE: Final = Prepared(
    sa.update(tables.lanes)
    .where(_lanes.device_id == sa.bindparam("d"), _lanes.node_id == sa.bindparam("n"))
    .values({name: sa.bindparam(f"new_{name}") for name in _WRITTEN})
)
_ACTIVE_POOLS: Final = Prepared(
    sa.select(_lanes.pool).where(_lanes.parent_id == "", _lanes.queued > standing.NONE).distinct()
)


def _rivals() -> sa.Select[*tuple[Any, ...]]:
    """Return what asks for the least keys of a way's siblings with work on a device, and whether another pool has."""
    columns: list[sa.ScalarSelect[Any]] = []
    for level in range(1, len(rules.LEVELS) + 1):
        there = tables.lanes.alias(f"level_{level}")
        least = sa.select(sa.func.min(there.c.key)).where(
            there.c.device_id == sa.bindparam("device"),
            there.c.queued > standing.NONE,
            there.c.parent_id == sa.bindparam(f"parent_{level}"),
            there.c.node_id != sa.bindparam(f"node_{level}"),
        )
        columns.append(least.scalar_subquery())
    other = tables.lanes.alias("other")
    pool = sa.select(other.c.pool).where(
        other.c.parent_id == standing.TOP, other.c.queued > standing.NONE, other.c.pool != sa.bindparam("pool")
    )
    return sa.select(pool.limit(ONE).scalar_subquery(), *columns)


_RIVALS: Final = Prepared(_rivals())
_WEIGHTS: Final = Prepared(
    sa.select(sa.func.sum(_lanes.weight)).where(
        _lanes.device_id == sa.bindparam("device"),
        _lanes.parent_id == sa.bindparam("parent"),
        sa.or_(_lanes.queued > standing.NONE, _lanes.node_id.not_in(network.GONE)),
    )
)


class _Way(msgspec.Struct, frozen=True):
    """A project's way on a device, as the database has it.

    Attributes:
        nodes: From the device's pool down to the project.
        used: What each of them has used.
        here: Each of them on the device.
        elsewhere: Those that have work on other devices of the pool, there.
    """

    nodes: tuple[str, ...]
    policy: Rules
    used: dict[str, Usage]
    here: dict[str, Lane]
    elsewhere: list[Lane]


def alone(tx: Transaction) -> None:
    """Let no other transaction move jobs until this one ends; to be called before any row is locked.

    Whoever moves a job changes the same few rows at the top of the tree, and would wait for others in another order.
    """
    tx.alone("fairshare")


def set_rules(tx: Transaction, policy: Rules, now: datetime) -> None:
    """Write the numbers of the policy; where they change, everybody's place is worked out anew."""
    alone(tx)
    known, values = standing.policy(tx), msgspec.structs.asdict(policy)
    if not database.insert_if_absent(tx, tables.rules, {"number": 1} | values):
        tx.execute(sa.update(tables.rules).values(**values))
    if known == policy:
        return
    for (pool, node), used in standing.usages(tx).items():
        moment = max(used.at, now.timestamp())
        _write_usage(tx, pool, {node: Usage(used.now(moment, known.half_life), moment)})
    _rekey(tx, policy)


def enter(tx: Transaction, device_id: DeviceId, project_id: ProjectId, seconds: float, now: datetime) -> None:
    """Let a job wait for a device.

    Args:
        seconds: What it is expected to take, s.
    """
    way = _load(tx, device_id, project_id, now)
    begun = [node for node in way.nodes if way.here[node].queued == 0]
    moved = {node: _plus(way.here[node], 1, seconds) for node in way.nodes}
    new: dict[str, Usage] = {}
    if begun:
        there = {lane.node_id for lane in way.elsewhere}
        competing = [node for node in begun if node not in there]
        new = _let_in(tx, way, moved, competing, now.timestamp())
        moved |= {node: msgspec.structs.replace(moved[node], since=now.timestamp()) for node in begun}
    _write_usage(tx, way.nodes[0], {node: usage for node, usage in new.items() if usage != way.used[node]})
    _write_lanes(tx, moved.values(), way.used | new, way.policy)


def leave(tx: Transaction, device_id: DeviceId, project_id: ProjectId, seconds: float) -> None:
    """Take a job out of a device's queue; `seconds` as when it entered."""
    way = _read(tx, device_id, _way(tx, device_id, project_id))
    _write_lanes(tx, (_plus(lane, -1, -seconds) for lane in way.here.values()), way.used, way.policy)


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
    way = _load(tx, device_id, project_id, now)
    moved = {
        node: msgspec.structs.replace(_plus(lane, -1, -seconds), since=now.timestamp())
        for node, lane in way.here.items()
    }
    cost = rules.cost(seconds)
    new = _charged(way, cost, now)
    if turn == "due":
        for parent, node in itertools.pairwise(way.nodes):
            above = moved[parent]
            reached = max(above.reached, way.here[node].key) if above.queued else rules.UNUSED
            moved[parent] = msgspec.structs.replace(above, reached=reached)
    root = moved[way.nodes[0]]
    budget = tree.saved(root.budget, cost, way.policy, guarded=turn == "guarded")
    moved[root.node_id] = msgspec.structs.replace(root, budget=budget)
    _write_usage(tx, way.nodes[0], new)
    _write_lanes(tx, [*moved.values(), *way.elsewhere], new, way.policy)


def pass_through(
    tx: Transaction, device_id: DeviceId, project_id: ProjectId, expected: float, actual: float, began: datetime
) -> None:
    """Charge a job that began at a moment at which nothing waited: what `enter`, `start` and `correct` come to.

    Args:
        expected: What it was expected to take, s.
        actual: What it took, s.
    """
    way = _load(tx, device_id, project_id, began)
    new = _charged(way, rules.cost(actual), began)
    moved = {node: msgspec.structs.replace(lane, since=began.timestamp()) for node, lane in way.here.items()}
    root = moved[way.nodes[0]]
    budget = tree.saved(root.budget, rules.cost(expected), way.policy, guarded=False)
    moved[root.node_id] = msgspec.structs.replace(root, budget=budget)
    _write_usage(tx, way.nodes[0], new)
    _write_lanes(tx, moved.values(), new, way.policy)


def correct(tx: Transaction, device_id: DeviceId, project_id: ProjectId, difference: float, began: datetime) -> None:
    """Charge a project more, or less, for a job that began at a moment; one from before there were accounts too."""
    if difference:
        way = _load(tx, device_id, project_id, began)
        new = _charged(way, difference, began)
        _write_usage(tx, way.nodes[0], new)
        _write_lanes(tx, [*(lane for lane in way.here.values() if lane.queued), *way.elsewhere], new, way.policy)


def reweigh(tx: Transaction, now: datetime) -> None:
    """Take over weights that administrators have changed; who is due more from now on gets no more than the credit."""
    alone(tx)
    policy = standing.policy(tx)
    own, granted = network.weights(tx), grants.weights(tx)
    for row in tx.execute(sa.select(tables.accounts)).all():
        weight = float(own.get(row.node_id, 1))
        if weight != row.weight:
            where = (tables.accounts.c.pool == row.pool, tables.accounts.c.node_id == row.node_id)
            tx.execute(sa.update(tables.accounts).where(*where).values(weight=weight))
    known = standing.lanes(tx)
    for lane in known:
        weight = _weight(lane.node_id, lane.device_id, own, granted)
        if weight == lane.weight:
            continue
        where = (_lanes.device_id == lane.device_id, _lanes.node_id == lane.node_id)
        tx.execute(sa.update(tables.lanes).where(*where).values(weight=weight))
        changed = msgspec.structs.replace(lane, weight=weight)
        way = _read(tx, lane.device_id, (lane.pool, lane.node_id))
        least = _least_other(tx, lane) if weight > lane.weight and lane.queued else None
        if least is not None:
            above = next(each for each in known if _is_above(each, lane))
            usage = _clamped(tx, changed, above, way.used[lane.node_id], least, policy, now.timestamp())
            _write_usage(tx, lane.pool, {lane.node_id: usage})
            own_lanes = [each for each in (*way.here.values(), *way.elsewhere) if each.node_id == lane.node_id]
            _write_lanes(tx, own_lanes, {lane.node_id: usage}, policy)
        else:
            _write_lanes(tx, [changed], way.used, policy)


def wait_from(tx: Transaction, device_id: DeviceId, now: datetime) -> None:
    """Let everybody wait from now on for a device that starts jobs again: until now nobody could get anything."""
    alone(tx)
    waiting = (_lanes.device_id == device_id, _lanes.queued > standing.NONE)
    tx.execute(sa.update(tables.lanes).where(*waiting).values(since=now.timestamp()))


def recount(tx: Transaction, waiting: Mapping[tuple[DeviceId, ProjectId], Work], now: datetime) -> int:
    """Set what waits to what was counted, `alone`; charges stay as they are.

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
    policy, used, wrong = standing.policy(tx), standing.usages(tx), 0
    for lane in standing.lanes(tx):
        work = true.get((lane.device_id, lane.node_id), Work())
        wrong += lane.queued != work.jobs
        since = lane.since if lane.queued or not work.jobs else now.timestamp()
        counted = msgspec.structs.replace(lane, queued=work.jobs, seconds=work.seconds, since=since)
        _write_lanes(tx, [counted], {lane.node_id: used[lane.pool, lane.node_id]}, policy)
    return wrong


def _way(tx: Transaction, device_id: DeviceId, project_id: ProjectId) -> tuple[str, ...]:
    """Return the way from a device's pool to a project."""
    pool = _POOLS.get(device_id)
    if pool is None:
        pool = standing.SIMULATORS if devices.get_by_id(tx, device_id).simulator else standing.QPUS
        _POOLS[device_id] = pool
    return (pool, *network.way(tx, project_id))


def _load(tx: Transaction, device_id: DeviceId, project_id: ProjectId, now: datetime) -> _Way:
    """Return a project's way on a device, adding what is missing of it."""
    nodes = _way(tx, device_id, project_id)
    way = _read(tx, device_id, nodes)
    if len(way.here) == len(nodes):
        return way
    _add_lanes(tx, device_id, nodes, now)
    return _read(tx, device_id, nodes)


def _read(tx: Transaction, device_id: DeviceId, nodes: tuple[str, ...]) -> _Way:
    """Return nodes of one pool, named first, on a device, as far as they are known."""
    rows = tx.execute(_LOAD, {"device": device_id, "pool": nodes[0], "way": nodes}).all()
    lanes = [Lane(*row[-len(standing.LANE) :]) for row in rows if row.node_id is not None]
    return _Way(
        nodes,
        standing.policy_in(rows[0]) if rows else standing.policy(tx),
        {row.account: Usage(row.value, row.at) for row in rows},
        {lane.node_id: lane for lane in lanes if lane.device_id == device_id},
        [lane for lane in lanes if lane.device_id != device_id],
    )


def _plus(lane: Lane, jobs: int, seconds: float) -> Lane:
    """Return a lane with more, or fewer, jobs that wait."""
    queued = lane.queued + jobs
    reached = lane.reached if queued > 0 else rules.UNUSED
    return msgspec.structs.replace(lane, queued=queued, seconds=lane.seconds + seconds, reached=reached)


def _add_lanes(tx: Transaction, device_id: DeviceId, way: tuple[str, ...], now: datetime) -> None:
    """Add what is missing of a way on a device."""
    own, granted = network.weights(tx, way), grants.weights(tx, way)
    for level, (parent, node) in enumerate(zip(("", *way[:-1]), way, strict=True)):
        account = {"pool": way[0], "node_id": node, "weight": float(own.get(node, 1)), "value": 0.0, "at": 0.0}
        database.insert_if_absent(tx, tables.accounts, account | {"at": now.timestamp()})
        row = {"device_id": device_id, "node_id": node, "pool": way[0], "parent_id": parent, "level": level}
        row |= {"weight": _weight(node, device_id, own, granted), "key": rules.UNUSED, "queued": 0}
        database.insert_if_absent(
            tx, tables.lanes, row | {"seconds": 0.0, "since": 0.0, "reached": rules.UNUSED, "budget": 0.0}
        )


def _weight(node: str, device_id: str, own: Mapping[str, int], granted: Mapping[tuple[str, str], int]) -> float:
    """Return a node's weight on a device: its share of the device where one is set, else its own."""
    return float(granted.get((node, device_id), own.get(node, 1)))


def _least_other(tx: Transaction, lane: Lane) -> float | None:
    """Return the least key of a node's siblings with work on a device; None of a pool, which has none."""
    siblings = (_lanes.parent_id == lane.parent_id, _lanes.parent_id != "", _lanes.node_id != lane.node_id)
    query = sa.select(sa.func.min(_lanes.key)).where(*standing.WITH_WORK, *siblings)
    least: float | None = tx.execute(query, {"device": lane.device_id}).scalar()
    return least


def _is_above(lane: Lane, below: Lane) -> bool:
    return lane.device_id == below.device_id and lane.node_id == below.parent_id


def _let_in(
    tx: Transaction, way: _Way, lanes: Mapping[str, Lane], nodes: Sequence[str], moment: float
) -> dict[str, Usage]:
    """Return the usage with which nodes of a way begin to compete on its device."""
    if not nodes:
        return {}
    rivals = tx.execute(_RIVALS, _around(way)).one()
    new: dict[str, Usage] = {}
    for level, node in enumerate(way.nodes):
        if node not in nodes or rivals[level] is None:
            continue
        if level == 0:
            new[node] = _clamped_pool(tx, lanes[node], way.used[node], way.policy, moment)
        else:
            above = lanes[way.nodes[level - 1]]
            new[node] = _clamped(tx, lanes[node], above, way.used[node], rivals[level], way.policy, moment)
    return new


def _around(way: _Way) -> dict[str, str]:
    """Return the parameters of `_RIVALS`."""
    named = {"device": next(iter(way.here.values())).device_id, "pool": way.nodes[0]}
    for level, (parent, node) in enumerate(itertools.pairwise(way.nodes), 1):
        named |= {f"parent_{level}": parent, f"node_{level}": node}
    return named


def _clamped(
    tx: Transaction, lane: Lane, above: Lane, usage: Usage, least: float, policy: Rules, moment: float
) -> Usage:
    """Return the usage with which a node begins to compete; `least` is the key of the sibling served least."""
    weights = float(tx.execute(_WEIGHTS, {"device": lane.device_id, "parent": lane.parent_id}).scalar_one())
    # Newcomers among the siblings do not draw others back.
    # Source: P. Goyal, H. Vin, H. Cheng, Start-time Fair Queueing (1996), the virtual time of a server.
    return rules.clamped(usage, lane.weight, max(least, above.reached), weights, moment, policy)


def _clamped_pool(tx: Transaction, lane: Lane, usage: Usage, policy: Rules, moment: float) -> Usage:
    """Return the usage with which a pool begins to compete with the others that have work."""
    rivals = [row.pool for row in tx.execute(_ACTIVE_POOLS) if row.pool != lane.pool]
    keys = [rules.key(_read(tx, lane.device_id, (pool,)).used[pool], 1.0, policy.half_life) for pool in rivals]
    return rules.clamped(usage, lane.weight, min(keys), 1.0 + len(rivals), moment, policy)


def _charged(way: _Way, cost: float, moment: datetime) -> dict[str, Usage]:
    """Return what a project and all above it have used once they are charged as of a moment."""
    stamp, half_life = moment.timestamp(), way.policy.half_life
    return {node: rules.charged(usage, cost, stamp, half_life) for node, usage in way.used.items()}


def _write_usage(tx: Transaction, pool: str, new: Mapping[str, Usage]) -> None:
    rows = [{"p": pool, "n": node, "v": usage.value, "t": usage.at} for node, usage in new.items()]
    if rows:
        tx.execute(_SET_USAGE, rows)


def _write_lanes(tx: Transaction, changed: Iterable[Lane], used: Mapping[str, Usage], policy: Rules) -> None:
    """Write lanes, each in its place by what its node has used."""
    rows = [
        {
            "d": lane.device_id,
            "n": lane.node_id,
            "new_key": rules.key(used[lane.node_id], lane.weight, policy.half_life),
            "new_queued": lane.queued,
            "new_seconds": lane.seconds,
            "new_since": lane.since,
            "new_reached": lane.reached,
            "new_budget": lane.budget,
        }
        for lane in changed
    ]
    if rows:
        tx.execute(_SET_LANE, rows)


def _rekey(tx: Transaction, policy: Rules) -> None:
    """Put everybody into their places anew."""
    known = standing.usages(tx)
    for lane in standing.lanes(tx):
        _write_lanes(tx, [lane], {lane.node_id: known[lane.pool, lane.node_id]}, policy)
