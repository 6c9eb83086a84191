# SPDX-License-Identifier: Apache-2.0
"""Which hub, group and project has which device, with what share and within what limits; the only writer of this table.

A device belongs to hubs, is granted by a hub to its groups and by a group to its projects. What a project may do with
it is the least of what is allowed on the way down.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from chandelier import devices, errors
from chandelier.devices import Device, DeviceId
from chandelier.store import Store, Transaction, database
from chandelier.store.prepared import Prepared
from chandelier.tenancy import network, rules
from chandelier.tenancy.network import Level, Place, ProjectId, Spot

_grants: Final = sa.Table(
    "grants",
    database.metadata,
    sa.Column("node_id", sa.String(24), primary_key=True),
    sa.Column("device_id", sa.ForeignKey("devices.id"), primary_key=True),
    sa.Column("level", sa.String(8), nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("inherits", sa.Boolean, nullable=False),
    sa.Column("max_shots", sa.BigInteger),
    sa.Column("max_experiments", sa.Integer),
    sa.Column("open_pulse", sa.Boolean),
    sa.Column("pulse_qubits", sa.Integer),
    sa.Column("pulse_channels", sa.Integer),
    sa.Column("max_running", sa.Integer),
    sa.Column("max_pending", sa.Integer),
    sa.Column("created", database.UtcMilliseconds, nullable=False),
    sa.Column("withdrawn", database.UtcMilliseconds),
)


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """What may be done with a device; None where nothing was set at this level.

    Attributes:
        max_shots: Most shots of an experiment.
        max_experiments: Most experiments of a job.
        open_pulse: Whether pulses are allowed.
        pulse_qubits: Most qubits that pulses may act on.
        pulse_channels: Most channels that pulses may use.
        max_running: Most jobs that run at once.
        max_pending: Most jobs that wait or run.
    """

    max_shots: int | None = None
    max_experiments: int | None = None
    open_pulse: bool | None = None
    pulse_qubits: int | None = None
    pulse_channels: int | None = None
    max_running: int | None = None
    max_pending: int | None = None


class Grant(msgspec.Struct, frozen=True):
    """A node's right to a device.

    Attributes:
        priority: The share's weight among those of the node's siblings for this device.
        inherits: The share is the node's own, and follows it.
    """

    node_id: str
    device_id: DeviceId
    priority: int
    limits: Limits
    inherits: bool = False


_LIMITS: Final = tuple(_grants.c[name] for name in Limits.__struct_fields__)
_COLUMNS: Final = (_grants.c.node_id, _grants.c.device_id, _grants.c.priority, _grants.c.inherits, *_LIMITS)
# Built once, because each submission runs it.
_ON_WAY: Final = Prepared(
    sa.select(*_COLUMNS).where(
        _grants.c.node_id.in_(sa.bindparam("nodes", expanding=True)),
        _grants.c.device_id == sa.bindparam("device"),
        _grants.c.withdrawn.is_(None),
    )
)
_EVER: Final = Prepared(
    sa.select(*_COLUMNS).where(
        _grants.c.node_id.in_(sa.bindparam("nodes", expanding=True)), _grants.c.device_id == sa.bindparam("device")
    )
)
#: Whether any grant limits how many jobs run at once.
ANY_RUNNING_LIMIT: Final = sa.exists().where(_grants.c.max_running.is_not(None))
_OF_NODES: Final = Prepared(
    sa.select(*_COLUMNS).where(
        _grants.c.node_id.in_(sa.bindparam("nodes", expanding=True)), _grants.c.withdrawn.is_(None)
    )
)


def allow(tx: Transaction, place: Place, device_ids: Iterable[DeviceId], now: datetime) -> None:
    """Grant devices to a project and to all above it; grants that exist, withdrawn ones too, stay as they are."""
    for device_id in device_ids:
        for level, node in (("hub", place.hub), ("group", place.group), ("project", place.project)):
            database.insert_if_absent(
                tx, _grants, _row(node.id, level, device_id, node.priority, Limits(), now, inherits=True)
            )


def grant(tx: Transaction, spot: Spot, device: Device, priority: int | None, limits: Limits, now: datetime) -> Grant:
    """Give a node a device, or another share or other limits; the node above must have the device.

    Args:
        priority: None for what it was, or of a new grant for the node's own.

    Raises:
        errors.Invalid: The priority or a limit cannot be one.
        errors.NotFound: The node above does not have the device.
    """
    if priority is not None:
        rules.check_priority(priority)
    _check(limits)
    tx.ring("network")
    above = spot.way[-2] if len(spot.way) > 1 else None
    if above is not None and find(tx, above.id, device.id) is None:
        raise errors.NotFound(f"{above.name} has no device {device.name!r} to grant to {spot.node.name}.", 3100)
    made = Grant(spot.node.id, device.id, priority or spot.node.priority, limits, inherits=priority is None)
    if priority is None and (known := find(tx, spot.node.id, device.id)) is not None:
        made = msgspec.structs.replace(made, priority=known.priority, inherits=known.inherits)
    row = _row(made.node_id, spot.level, device.id, made.priority, limits, now, inherits=made.inherits)
    if not database.insert_if_absent(tx, _grants, row):
        del row["created"]
        tx.execute(sa.update(_grants).where(*_key(spot.node.id, device.id)).values(row))
    return made


def follow(tx: Transaction, node_id: str, priority: int) -> None:
    """Take over a node's own share where its grants have none of their own."""
    mine = (_grants.c.node_id == node_id, _grants.c.inherits.is_(True))
    tx.execute(sa.update(_grants).where(*mine).values(priority=priority))


def withdraw(tx: Transaction, spot: Spot, device: Device, now: datetime) -> None:
    """Take a device from a node, and so from all under it; what runs goes on, and what waits keeps waiting.

    Raises:
        errors.NotFound: The node does not have it.
    """
    tx.ring("network")
    gone = sa.update(_grants).where(*_key(spot.node.id, device.id), _grants.c.withdrawn.is_(None))
    if tx.execute(gone.values(withdrawn=now)).rowcount != 1:
        raise errors.NotFound(f"{spot.path} has no device {device.name!r}.", 3100)


def find(tx: Transaction, node_id: str, device_id: str) -> Grant | None:
    """Return the grant of one device to one node, if it stands."""
    row = tx.execute(sa.select(*_COLUMNS).where(*_key(node_id, device_id), _grants.c.withdrawn.is_(None))).first()
    return None if row is None else _grant(row)


def of_nodes(tx: Transaction, node_ids: Iterable[str]) -> list[Grant]:
    """Return the grants of some nodes that stand."""
    return [_grant(row) for row in tx.execute(_OF_NODES, {"nodes": list(node_ids)})]


def of_place(tx: Transaction, place: Place) -> dict[DeviceId, Grant]:
    """Return a project's devices, each with its share and the limits that hold for it there."""
    found: dict[DeviceId, dict[str, Grant]] = {}
    for each in of_nodes(tx, [node.id for node in place.spot.way]):
        found.setdefault(each.device_id, {})[each.node_id] = each
    return {device_id: _effective(place, by_node) for device_id, by_node in found.items() if len(by_node) == 3}


def on_way(tx: Transaction, place: Place, device_id: DeviceId) -> Grant | None:
    """Return what `of_place` does of one device; None if the project does not have it."""
    found = [grant for grant in way(tx, place.spot, device_id) if grant is not None]
    return _effective(place, {grant.node_id: grant for grant in found}) if len(found) == 3 else None


def way(tx: Transaction, spot: Spot, device_id: DeviceId) -> list[Grant | None]:
    """Return the grants of a device from the hub down to a node; None where there is none."""
    nodes = [node.id for node in spot.way]
    found = {row.node_id: _grant(row) for row in tx.execute(_ON_WAY, {"nodes": nodes, "device": device_id})}
    return [found.get(node_id) for node_id in nodes]


def of_device(store: Store, device: Device) -> Limits:
    """Return what a device itself does at most."""
    pulses = bool(devices.document(store, device.calibration).configuration["open_pulse"])
    return Limits(max_shots=device.max_shots, max_experiments=device.max_experiments, open_pulse=pulses)


def effective(tx: Transaction, store: Store, spot: Spot, device: Device) -> Limits | None:
    """Return what may finally be done with a device at a node; None if the node, or one above it, does not have it.

    It is the least of what is set on the way down and of what the device itself does.
    """
    granted = [grant for grant in way(tx, spot, device.id) if grant is not None]
    if len(granted) != len(spot.way):
        return None
    return narrowed([of_device(store, device), *(grant.limits for grant in granted)])


def usable(tx: Transaction, spots: Iterable[Spot]) -> dict[str, set[DeviceId]]:
    """Return by node which devices can be used there: those that all above it have too."""
    listed = list(spots)
    having: dict[str, set[DeviceId]] = {}
    for grant in of_nodes(tx, {node.id for spot in listed for node in spot.way}):
        having.setdefault(grant.node_id, set()).add(grant.device_id)
    return {spot.node.id: set.intersection(*(having.get(node.id, set()) for node in spot.way)) for spot in listed}


def on_device(tx: Transaction, place: Place, device_id: DeviceId) -> list[Grant]:
    """Return the grants of one device on the way to a project, from whatever level."""
    nodes = [node.id for node in place.spot.way]
    return [_grant(row) for row in tx.execute(_ON_WAY, {"nodes": nodes, "device": device_id})]


def list_running_limits(tx: Transaction) -> list[tuple[Grant, Level]]:
    """Return the grants that limit how many jobs run at once, each with the level of its node.

    Withdrawn ones too: what waits when a device is taken away still runs, within the limits it was submitted under.
    """
    limited = sa.select(*_COLUMNS, _grants.c.level).where(_grants.c.max_running.is_not(None))
    return [(_grant(row[:-1]), row.level) for row in tx.execute(limited)]


def limits_ever(tx: Transaction, project_id: ProjectId, device_id: DeviceId) -> Limits:
    """Return the limits that hold for a job of a project, also if the device was taken away meanwhile."""
    rows = tx.execute(_EVER, {"nodes": network.way(tx, project_id), "device": device_id})
    return narrowed(_grant(row).limits for row in rows)


def narrowed(limits: Iterable[Limits]) -> Limits:
    """Return the least of some limits."""
    known = list(limits)
    least: dict[str, Any] = {}
    for name in Limits.__struct_fields__:
        given = [value for each in known if (value := getattr(each, name)) is not None]
        if given:
            least[name] = min(given)
    return Limits(**least)


def weights(tx: Transaction, node_ids: Iterable[str] | None = None) -> dict[tuple[str, str], int]:
    """Return the shares of devices, also of withdrawn ones, by node and device; of all nodes, or of some."""
    query = sa.select(_grants.c.node_id, _grants.c.device_id, _grants.c.priority)
    if node_ids is not None:
        query = query.where(_grants.c.node_id.in_(list(node_ids)))
    return {(row.node_id, row.device_id): row.priority for row in tx.execute(query)}


def _effective(place: Place, by_node: Mapping[str, Grant]) -> Grant:
    own = by_node[place.project.id]
    return msgspec.structs.replace(own, limits=narrowed(each.limits for each in by_node.values()))


def _check(limits: Limits) -> None:
    for name in ("max_shots", "max_experiments", "pulse_qubits", "pulse_channels", "max_running", "max_pending"):
        value = getattr(limits, name)
        if value is not None:
            rules.check_number(name, value, 1, _MOST)


_MOST: Final = 2**31 - 1


def _key(node_id: str, device_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return _grants.c.node_id == node_id, _grants.c.device_id == device_id


def _row(
    node_id: str, level: str, device_id: DeviceId, priority: int, limits: Limits, now: datetime, *, inherits: bool
) -> dict[str, Any]:
    known = {"node_id": node_id, "level": level, "device_id": device_id, "priority": priority, "inherits": inherits}
    return known | msgspec.structs.asdict(limits) | {"created": now, "withdrawn": None}


def _grant(row: Sequence[Any]) -> Grant:
    return Grant(row[0], row[1], row[2], Limits(*row[4:]), row[3])
