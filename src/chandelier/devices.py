# SPDX-License-Identifier: Apache-2.0
"""The catalogue of devices and their calibrations; the only writer of both tables.

A calibration's documents are one immutable object, named by its digest: whoever has read a digest may keep it.
"""

import functools
import secrets
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, NewType

import msgspec
import sqlalchemy as sa

from chandelier import errors
from chandelier.formats import calibrations, listings
from chandelier.formats import device as documents
from chandelier.store import Store, Transaction, database

DeviceId = NewType("DeviceId", str)
DeviceState = Literal["active", "paused"]
Terms = listings.Terms

_devices: Final = sa.Table(
    "devices",
    database.metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("name", sa.String(100), nullable=False, unique=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("version", sa.String(20), nullable=False),
    sa.Column("simulator", sa.Boolean, nullable=False),
    sa.Column("qubits", sa.Integer, nullable=False),
    sa.Column("max_shots", sa.Integer, nullable=False),
    sa.Column("max_experiments", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("message", sa.String(500), nullable=False),
    sa.Column("created", database.UtcMilliseconds, nullable=False),
    sa.Column("calibration", sa.String(64), nullable=False),
)

_calibrations: Final = sa.Table(
    "calibrations",
    database.metadata,
    sa.Column("device_id", sa.ForeignKey("devices.id"), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("taken", database.UtcMilliseconds, nullable=False),
    sa.Column("created", database.UtcMilliseconds, nullable=False),
)


class Device(msgspec.Struct, frozen=True):
    """A device as the catalogue knows it.

    Attributes:
        state: `active` devices start jobs; `paused` ones take jobs and keep them waiting.
        message: Shown to everybody beside the state.
        calibration: Digest of the current calibration's documents.
    """

    id: DeviceId
    name: str
    version: str
    simulator: bool
    qubits: int
    max_shots: int
    max_experiments: int
    state: DeviceState
    message: str
    created: datetime
    calibration: str


_DEVICE: Final = tuple(_devices.c[field] for field in Device.__struct_fields__)
# Statements that each poll runs are built once: building costs more than running.
_RUNNABLE: Final = sa.select(_devices.c.id).where(_devices.c.state == "active")
_BY_ID: Final = sa.select(*_DEVICE).where(_devices.c.id == sa.bindparam("id"))
_BY_NAME: Final = sa.select(*_DEVICE).where(_devices.c.name == sa.bindparam("name"))


def install(store: Store, document: documents.DeviceDocument, taken: datetime, now: datetime) -> Device:
    """Add a device, or give a known one a new calibration; does nothing where both are known.

    Args:
        document: Configuration and properties as they will be served.
        taken: When the properties were measured.
    """
    digest = documents.digest(document)
    if not store.objects.exists("devices", digest):
        store.objects.put("devices", digest, documents.to_json(document))

    def work(tx: Transaction) -> Device:
        device = find(tx, document.configuration["backend_name"]) or _add(tx, document, digest, now)
        calibrated = sa.select(_calibrations.c.digest).where(
            _calibrations.c.device_id == device.id, _calibrations.c.digest == digest
        )
        if tx.execute(calibrated).first() is None:
            row = {"device_id": device.id, "digest": digest, "taken": taken, "created": now}
            tx.execute(sa.insert(_calibrations), row)
        if device.calibration != digest:
            tx.execute(
                sa.update(_devices).where(_devices.c.id == device.id).values(**_facts(document), calibration=digest)
            )
        return get(tx, device.name)

    return store.write(work)


def find(tx: Transaction, name: str) -> Device | None:
    """Return the device of a name, if there is one."""
    row = tx.execute(_BY_NAME, {"name": name}).first()
    return None if row is None else Device(*row)


def get(tx: Transaction, name: str) -> Device:
    """Return the device of a name.

    Raises:
        errors.NotFound: There is none.
    """
    device = find(tx, name)
    if device is None:
        raise errors.NotFound(f"There is no device {name!r}. List the devices to see their names.", 3100)
    return device


def get_by_id(tx: Transaction, device_id: str) -> Device:
    """Return a device that a row of another table names."""
    return Device(*tx.execute(_BY_ID, {"id": device_id}).one())


def list_(tx: Transaction) -> list[Device]:
    """Return all devices in the order of the catalogue."""
    return [Device(*row) for row in tx.execute(sa.select(*_DEVICE).order_by(_devices.c.position))]


def runnable(tx: Transaction) -> frozenset[str]:
    """Return the ids of the devices that start jobs at present."""
    return frozenset(row[0] for row in tx.execute(_RUNNABLE))


def set_state(tx: Transaction, name: str, state: DeviceState, message: str) -> Device:
    """Pause or resume a device; jobs that run go on running.

    Raises:
        errors.NotFound: There is no such device.
    """
    device = get(tx, name)
    tx.execute(sa.update(_devices).where(_devices.c.id == device.id).values(state=state, message=message[:500]))
    tx.ring("queue")
    return msgspec.structs.replace(device, state=state, message=message[:500])


def properties_before(tx: Transaction, device: Device, moment: datetime) -> str | None:
    """Return the digest of the newest calibration taken before `moment`, if there is one."""
    query = sa.select(_calibrations.c.digest).where(
        _calibrations.c.device_id == device.id, _calibrations.c.taken < moment
    )
    return tx.execute(query.order_by(_calibrations.c.taken.desc()).limit(1)).scalar()


def document(store: Store, digest: str) -> documents.DeviceDocument:
    """Return the documents of a calibration; kept in memory, for they never change."""
    return _read(store.objects.path("devices", digest))


def entry(store: Store, device: Device) -> dict[str, Any]:
    """Return a device's configuration merged with the keys of the oldest API."""
    return listings.entry(document(store, device.calibration).configuration, _listed(device))


def hub_record(store: Store, device: Device, terms: Terms) -> dict[str, Any]:
    """Return a device as the administrators of a hub see it."""
    return listings.hub_record(document(store, device.calibration).configuration, _listed(device), terms)


def properties(store: Store, digest: str) -> dict[str, Any]:
    """Return the properties of a calibration as clients see them; `{}` for simulators."""
    return _presented(store.objects.path("devices", digest))


def errors_of(store: Store, device: Device) -> dict[str, Any]:
    """Return the errors of a device's gates and readout in the form of the oldest API."""
    known = document(store, device.calibration)
    return calibrations.errors_of(known.configuration, known.properties)


def parameters(store: Store, device: Device) -> dict[str, Any]:
    """Return frequencies and times of a device's qubits in the form of the oldest API."""
    known = document(store, device.calibration)
    return calibrations.parameters(known.configuration, known.properties)


def _listed(device: Device) -> listings.Facts:
    return listings.Facts(device.id, "on" if device.state == "active" else "off")


@functools.lru_cache(maxsize=256)
def _read(path: Path) -> documents.DeviceDocument:
    return documents.from_json(path.read_bytes())


@functools.lru_cache(maxsize=64)
def _presented(path: Path) -> dict[str, Any]:
    known = _read(path).properties
    return calibrations.with_parametres(known) if known else {}


def _facts(document: documents.DeviceDocument) -> dict[str, object]:
    configuration = document.configuration
    return {
        "version": configuration["backend_version"],
        "simulator": configuration["simulator"],
        "qubits": configuration["n_qubits"],
        "max_shots": configuration["max_shots"],
        "max_experiments": configuration["max_experiments"],
    }


def _add(tx: Transaction, document: documents.DeviceDocument, digest: str, now: datetime) -> Device:
    position = tx.execute(sa.select(sa.func.count()).select_from(_devices)).scalar_one()
    row = {
        "id": secrets.token_hex(12),
        "name": document.configuration["backend_name"],
        "position": position,
        "state": "active",
        "message": "",
        "created": now,
        "calibration": digest,
        **_facts(document),
    }
    tx.execute(sa.insert(_devices), row)
    return get(tx, str(row["name"]))
