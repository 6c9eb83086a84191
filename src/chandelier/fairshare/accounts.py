# SPDX-License-Identifier: Apache-2.0
"""What each node of the tree has used of each pool, and what waits where; the only writer of both.

Written in the transactions that move a job, by `jobs.records`, so that a job is counted and charged exactly once
whatever dies when.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
import sqlalchemy as sa

from chandelier import devices
from chandelier.devices import DeviceId
from chandelier.fairshare import rules, standing, tables, tree
from chandelier.fairshare.rules import Rules, Turn, Usage
from chandelier.fairshare.standing import Lane, Work
from chandelier.store import Transaction, database
from chandelier.tenancy import grants, network
from chandelier.tenancy.network import ProjectId

#: Ways never change, and no id is used twice.
_WAYS: Final[dict[tuple[str, str], tuple[str, ...]]] = {}
_MOST_WAYS: Final = 100_000

_lanes: Final = tables.lanes.c
# Built once, because each job runs them.
_SET_USAGE: Final = (
    sa.update(tables.accounts)
    .where(tables.accounts.c.pool == sa.bindparam("p"), tables.accounts.c.node_id == sa.bindparam("n"))
    .values(value=sa.bindparam("v"), at=sa.bindparam("t"))
)
_LANES_OF_WAY: Final = sa.select(*standing.LANE).where(
    _lanes.node_id.in_(standing.WAY),
    _lanes.pool == sa.bindparam("pool"),
    _lanes.queued > standing.NONE,
)
_SET_LANE: Final = (
    sa.update(tables.lanes)
    .where(_lanes.device_id == sa.bindparam("d"), _lanes.node_id == sa.bindparam("n"))
    .values(key=sa.bindparam("k"), since=sa.bindparam("s"), reached=sa.bindparam("r"), budget=sa.bindparam("b"))
)
_MOVE: Final = (
    sa.update(tables.lanes)
    .where(_lanes.device_id == sa.bindparam("device"), _lanes.node_id.in_(standing.WAY))
    .values(
        queued=_lanes.queued + sa.bindparam("jobs"),
        seconds=_lanes.seconds + sa.bindparam("more"),
        reached=sa.case((_lanes.queued + sa.bindparam("jobs") <= 0, rules.UNUSED), else_=_lanes.reached),
    )
    .returning(*standing.LANE)
)
_ACTIVE_POOLS: Final = sa.select(_lanes.pool).where(_lanes.parent_id == "", _lanes.queued > standing.NONE).distinct()
_LEAST_OTHER: Final = sa.select(sa.func.min(_lanes.key)).where(
    *standing.WITH_WORK,
    _lanes.parent_id == sa.bindparam("parent"),
    _lanes.node_id != sa.bindparam("node"),
)
_WEIGHTS: Final = sa.select(sa.func.sum(_lanes.weight)).where(
    _lanes.device_id == sa.bindparam("device"),
    _lanes.parent_id == sa.bindparam("parent"),
    sa.or_(_lanes.queued > standing.NONE, _lanes.node_id.not_in(network.GONE)),
)
_ELSEWHERE: Final = sa.select(_lanes.node_id).where(
    _lanes.node_id.in_(standing.WAY),
    _lanes.pool == sa.bindparam("pool"),
    _lanes.device_id != sa.bindparam("device"),
    _lanes.queued > standing.NONE,
)


def alone(tx: Transaction) -> None:
    """Let no other transaction move jobs until this one ends; to be called before any row is locked.

    Whoever moves a job changes the same few rows at the top of the tree, and would wait for others in another order.
    """
    tx.alone("fairshare")


def set_rules(tx: Transaction, policy: Rules, now: datetime) -> None:
    """Write the numbers of the policy; where they change, everybody's place is worked out anew."""
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
    policy, new = _charge(tx, device_id, way, cost, now)
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
    """Charge a project more, or less, for a job that began at a moment; one from before there were accounts too."""
    if difference:
        way = _way(tx, device_id, project_id)
        policy, new = _charge(tx, device_id, way, difference, began)
        _write_lanes(tx, _active(tx, way), new, policy)


def reweigh(tx: Transaction, now: datetime) -> None:
    """Take over weights that administrators have changed; who is due more from now on gets no more than the credit."""
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
        _, used = _standing(tx, lane.pool, [lane.node_id])
        if weight > lane.weight and lane.queued:
            above = next((each for each in known if _is_above(each, lane)), None)
            new = {lane.node_id: _clamped(tx, changed, above, used[lane.node_id], policy, now.timestamp())}
            _write_usage(tx, lane.pool, new)
            own_lanes = [each for each in _active(tx, (lane.pool, lane.node_id)) if each.node_id == lane.node_id]
            _write_lanes(tx, own_lanes, used | new, policy)
        else:
            _write_lanes(tx, [changed], used, policy)


def wait_from(tx: Transaction, device_id: DeviceId, now: datetime) -> None:
    """Let everybody wait from now on for a device that starts jobs again: until now nobody could get anything."""
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
        where = (_lanes.device_id == lane.device_id, _lanes.node_id == lane.node_id)
        if lane.queued != work.jobs:
            wrong += 1
            tx.execute(sa.update(tables.lanes).where(*where).values(queued=work.jobs))
            there = {lane.node_id: used[lane.pool, lane.node_id]}
            _write_lanes(tx, [lane], there, policy, since=None if lane.queued else now)
        tx.execute(sa.update(tables.lanes).where(*where).values(seconds=work.seconds))
    return wrong


def _way(tx: Transaction, device_id: DeviceId, project_id: ProjectId) -> tuple[str, ...]:
    """Return the way from a device's pool to a project."""
    way = _WAYS.get((device_id, project_id))
    if way is None:
        pool = standing.SIMULATORS if devices.get_by_id(tx, device_id).simulator else standing.QPUS
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
        database.insert_if_absent(tx, tables.accounts, account | {"at": now.timestamp()})
        row = {"device_id": device_id, "node_id": node, "pool": way[0], "parent_id": parent, "level": level}
        row |= {"weight": _weight(node, device_id, own, granted), "key": rules.UNUSED, "queued": 0}
        database.insert_if_absent(
            tx, tables.lanes, row | {"seconds": 0.0, "since": 0.0, "reached": rules.UNUSED, "budget": 0.0}
        )


def _weight(node: str, device_id: str, own: Mapping[str, int], granted: Mapping[tuple[str, str], int]) -> float:
    """Return a node's weight on a device: its share of the device where one is set, else its own."""
    return float(granted.get((node, device_id), own.get(node, 1)))


def _standing(tx: Transaction, pool: str, nodes: Sequence[str]) -> tuple[Rules, dict[str, Usage]]:
    """Return the policy and what nodes have used, locked where several may charge them at once."""
    query = standing.OF_WAY.with_for_update(of=tables.accounts) if tx.skips_locked else standing.OF_WAY
    rows = tx.execute(query, {"pool": pool, "way": list(nodes)}).all()
    policy = standing.policy_in(rows[0]) if rows else standing.policy(tx)
    return policy, {row.node_id: Usage(row.value, row.at) for row in rows}


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


def _charge(
    tx: Transaction, device_id: DeviceId, way: tuple[str, ...], cost: float, moment: datetime
) -> tuple[Rules, dict[str, Usage]]:
    """Charge a project and all above it as of a moment; return the policy, and what they have used now."""
    policy, known = _standing(tx, way[0], way)
    if len(known) < len(way):
        _add_lanes(tx, device_id, way, moment)
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
    known = standing.usages(tx)
    for lane in standing.lanes(tx):
        _write_lanes(tx, [lane], {lane.node_id: known[lane.pool, lane.node_id]}, policy)
