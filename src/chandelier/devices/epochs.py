# SPDX-License-Identifier: Apache-2.0
"""The calibrations that devices have had, and the documents of each.

A calibration's documents are one immutable object, named by its digest: whoever has read a digest may keep it.
"""

import functools
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from chandelier import errors
from chandelier.devices import tables
from chandelier.devices.catalogue import Device
from chandelier.formats import calibrations, listings, openpulse
from chandelier.formats import device as documents
from chandelier.store import Store, Transaction, database
from chandelier.store.prepared import Prepared

Terms = listings.Terms
SUCCESSORS: Final = documents.SUCCESSORS
_COLUMNS: Final = tables.calibrations.c
_CALIBRATION: Final = Prepared(sa.select(tables.devices.c.calibration).where(tables.devices.c.id == sa.bindparam("id")))


def keep(store: Store, document: documents.DeviceDocument) -> str:
    """Store the documents of a calibration and return their digest."""
    digest = documents.digest(document)
    if not store.objects.exists("devices", digest):
        store.objects.put("devices", digest, documents.to_json(document))
    return digest


def document(store: Store, digest: str) -> documents.DeviceDocument:
    """Return the documents of a calibration; kept in memory, for they never change."""
    return _read(store.objects.path("devices", digest))


def present_calibration(tx: Transaction, device_id: str) -> str:
    """Return the digest of the calibration that a device has now."""
    return str(tx.execute(_CALIBRATION, {"id": device_id}).scalar_one())


def history(tx: Transaction, device: Device) -> list[tuple[datetime, str]]:
    """Return when each of a device's calibrations was taken, oldest first, and its digest; of each moment the last."""
    query = sa.select(_COLUMNS.taken, _COLUMNS.digest).where(_COLUMNS.device_id == device.id)
    rows = tx.execute(query.order_by(_COLUMNS.taken, _COLUMNS.created))
    return list({row.taken: (row.taken, str(row.digest)) for row in rows}.values())


def properties_before(tx: Transaction, device: Device, moment: datetime) -> str | None:
    """Return the digest of the newest calibration taken before `moment`, if there is one."""
    query = sa.select(_COLUMNS.digest).where(_COLUMNS.device_id == device.id, _COLUMNS.taken < moment)
    newest = query.order_by(_COLUMNS.taken.desc(), _COLUMNS.created.desc())
    return tx.execute(newest.limit(1)).scalar()


def calibration(tx: Transaction, device: Device, digest: str) -> str:
    """Return the digest of a calibration if the device has had it.

    Raises:
        errors.NotFound: It has not.
    """
    query = sa.select(_COLUMNS.digest).where(_COLUMNS.device_id == device.id, _COLUMNS.digest == digest)
    found = tx.execute(query).scalar()
    if found is None:
        raise errors.NotFound(f"{device.name} has had no calibration {digest[:80]!r}.", 3102)
    return str(found)


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


def seeks_pulses(store: Store, device: Device) -> bool:
    """Tell whether a device could take pulses and has none."""
    return _lacks_pulses(store.objects.path("devices", device.calibration))


def write_calibration(tx: Transaction, device_id: str, digest: str, taken: datetime, now: datetime) -> None:
    """Remember that a device has a calibration, unless it is known; only for the modules of this package."""
    row = {"device_id": device_id, "digest": digest, "taken": taken, "created": now}
    database.insert_if_absent(tx, tables.calibrations, row)


def taken(tx: Transaction, device: Device) -> datetime:
    """Return when a device's present calibration was made; only for the modules of this package."""
    query = sa.select(_COLUMNS.taken).where(_COLUMNS.device_id == device.id, _COLUMNS.digest == device.calibration)
    moment: datetime = tx.execute(query).scalar_one()
    return moment


def _listed(device: Device) -> listings.Facts:
    return listings.Facts(device.id, "on" if device.conduct.offered else "off")


@functools.lru_cache(maxsize=1024)
def _lacks_pulses(path: Path) -> bool:
    known = _read(path)
    configuration = known.configuration
    if known.defaults is not None or configuration["simulator"]:
        return False
    return openpulse.obstacle(configuration, known.properties) is None


# Of a large device one calibration takes some megabytes.
@functools.lru_cache(maxsize=64)
def _read(path: Path) -> documents.DeviceDocument:
    return documents.from_json(path.read_bytes())


@functools.lru_cache(maxsize=32)
def _presented(path: Path) -> dict[str, Any]:
    known = _read(path).properties
    return calibrations.with_parametres(known) if known else {}
