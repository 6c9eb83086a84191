# SPDX-License-Identifier: Apache-2.0
"""The lives of devices: they are installed, drift or stay as they are, and are claimed by whoever calibrates them."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from chandelier import errors
from chandelier.devices import catalogue, epochs, tables
from chandelier.devices.catalogue import Device
from chandelier.formats import device as documents
from chandelier.store import Store, Transaction

_COLUMNS: Final = tables.devices.c
#: Whoever calibrates a device must say within this time that it still does.
HOLD: Final = timedelta(seconds=120)
#: The columns of a device that nobody calibrates.
_UNCLAIMED: Final[Mapping[str, Any]] = {"calibrator": None, "held": None, "calibrating": None, "progress": ""}


def install(
    store: Store, document: documents.DeviceDocument, taken: datetime, now: datetime, *, drift: bool = False
) -> Device:
    """Add a device, or give a known one another snapshot; does nothing where that is the one that it has.

    So what has drifted since, or was tuned, stays; with another snapshot, or where the documents of its calibration are
    lost, a device's life begins anew.

    Args:
        document: Configuration and properties as they will be served.
        taken: When the properties were measured.
        drift: A device that is new will drift, unless it is a simulator.
    """
    digest = epochs.keep(store, document)

    def work(tx: Transaction) -> Device:
        known = catalogue.find(tx, document.configuration["backend_name"])
        device = known or _add(tx, document, digest, now, drift=drift)
        epochs.write_calibration(tx, device.id, digest, taken, now)
        if device.snapshot != digest or not store.objects.exists("devices", device.calibration):
            facts = _facts(document) | {"calibration": digest, "snapshot": digest} | _newborn(now, drift=device.drift)
            device = catalogue.change(tx, device, **facts)
        return device

    return store.write(work)


def set_drift(
    tx: Transaction, name: str, now: datetime, *, drift: bool, frozen: tuple[str, str] | None = None
) -> Device:
    """Let a device drift, at first from its snapshot, or let it stay as it is now.

    Args:
        frozen: Of a device that is to stay as it is: the digest of its calibration, and what `freeze` made of that.

    Raises:
        errors.Conflict: It is a simulator, or was calibrated in this moment.
        errors.NotFound: There is no such device.
    """
    device = catalogue.get(tx, name)
    if device.simulator and drift:
        raise errors.Conflict(f"{name} is a simulator: there is nothing that could drift.", 3104)
    if device.drift == drift:
        return device
    if drift:
        return catalogue.change(tx, device, drift=True, begun=device.begun or now, due=now)
    assert frozen is not None
    if frozen[0] != device.calibration:
        raise errors.Conflict(f"{name} was calibrated at this moment. Try again.", 3104)
    facts: dict[str, Any] = {"calibration": frozen[1]} if frozen[0] != frozen[1] else {}
    if facts:
        epochs.write_calibration(tx, device.id, frozen[1], epochs.taken(tx, device), now)
    return catalogue.change(tx, device, drift=False, due=None, **_UNCLAIMED, **facts)


def freeze(store: Store, device: Device) -> tuple[str, str]:
    """Store a device's calibration as one of a device that does not drift; return the digests of both.

    Its frequencies wander no more, either.
    """
    still = msgspec.structs.replace(epochs.document(store, device.calibration), life=None)
    return device.calibration, epochs.keep(store, still)


def order_calibration(tx: Transaction, device: Device, now: datetime, *, seeking: bool) -> Device:
    """Let a device be calibrated as soon as a server has time for it.

    Args:
        seeking: As `seeks_pulses` says: its pulses are to be looked for.

    Raises:
        errors.Conflict: It does not drift, so it would be found as it is, and has all pulses that it can have.
    """
    if not (device.drift or seeking):
        raise errors.Conflict(f"{device.name} does not drift: a calibration would find it as it is.", 3104)
    return catalogue.change(tx, device, due=now)


def claim(tx: Transaction, device: Device, now: datetime, *, progress: str, closed: bool) -> Device | None:
    """Begin to calibrate a device, or to look for its pulses; None if somebody else does, or nothing is due any more.

    Args:
        progress: How far that is.
        closed: The device starts no jobs meanwhile.
    """
    facts = {
        "calibrator": secrets.token_hex(12),
        "held": now + HOLD,
        "calibrating": now if closed else None,
        "progress": progress,
    }
    free = (
        _COLUMNS.id == device.id,
        _COLUMNS.calibrator.is_(None),
        _COLUMNS.calibration == device.calibration,
    )
    if tx.execute(sa.update(tables.devices).where(*free).values(**facts)).rowcount != 1:
        return None
    tx.ring("queue")
    return catalogue.get(tx, device.name)


def renew(tx: Transaction, device: Device, progress: str, now: datetime) -> bool:
    """Say that a device is still being calibrated, and how far that is; false if it was taken away."""
    values = {"held": now + HOLD, "progress": progress}
    return tx.execute(sa.update(tables.devices).where(*_mine(device)).values(**values)).rowcount == 1


def release(tx: Transaction, device: Device, progress: str = "") -> bool:
    """Let a device go that was claimed, as it was; false if it was taken away.

    Args:
        progress: How far the search for its pulses is, which is gone on with later.
    """
    tx.ring("queue")
    values = {**_UNCLAIMED, "progress": progress}
    return tx.execute(sa.update(tables.devices).where(*_mine(device)).values(**values)).rowcount == 1


def reap(tx: Transaction, now: datetime, *, everything: bool = False) -> list[Device]:
    """Let devices go whose calibrator is gone, and return them.

    Args:
        everything: Nobody is there who could calibrate: the caller is the only server, and has just started.
    """
    held = [device for device in catalogue.list_(tx) if device.calibrator is not None]
    gone = [device for device in held if everything or _held(tx, device) < now]
    return [device for device in gone if release(tx, device)]


def calibrated(
    tx: Transaction,
    device: Device,
    digest: str,
    taken: datetime,
    now: datetime,
    *,
    due: datetime | None = None,
    tuning: str | None = None,
) -> Device | None:
    """Give a claimed device a new calibration and let it go; None if it was taken away meanwhile.

    Args:
        device: As it was claimed.
        digest: Names the documents, which are stored.
        taken: When the calibration was made.
        due: When it is calibrated next, unless something else was ordered since it was claimed; None if never.
        tuning: Name of the object with its pulses, if that changes.
    """
    column = _COLUMNS.due
    unless_ordered = sa.case((column.is_not_distinct_from(device.due), sa.literal(due, column.type)), else_=column)
    values = {
        "calibration": digest,
        "due": None if due is None else unless_ordered,
        "tuning": _COLUMNS.tuning if tuning is None else tuning,
        **_UNCLAIMED,
    }
    mine = (*_mine(device), _COLUMNS.calibration == device.calibration)
    if tx.execute(sa.update(tables.devices).where(*mine).values(**values)).rowcount != 1:
        return None
    epochs.write_calibration(tx, device.id, digest, taken, now)
    tx.ring("queue")
    return catalogue.get(tx, device.name)


def set_tuning(tx: Transaction, device: Device, tuning: str) -> None:
    """Name the object with what is known of a device's pulses."""
    tx.execute(sa.update(tables.devices).where(_COLUMNS.id == device.id).values(tuning=tuning))


def _newborn(now: datetime, *, drift: bool) -> dict[str, Any]:
    """Return the columns of a device whose life begins: if it drifts, it is calibrated as soon as a server is there."""
    since = now if drift else None
    return {"drift": drift, "begun": since, "due": since, "tuning": None, **_UNCLAIMED}


def _mine(device: Device) -> tuple[sa.ColumnElement[bool], ...]:
    return _COLUMNS.id == device.id, _COLUMNS.calibrator == device.calibrator


def _held(tx: Transaction, device: Device) -> datetime:
    held: datetime = tx.execute(sa.select(_COLUMNS.held).where(_COLUMNS.id == device.id)).scalar_one()
    return held


def _facts(document: documents.DeviceDocument) -> dict[str, object]:
    configuration = document.configuration
    return {
        "version": configuration["backend_version"],
        "simulator": configuration["simulator"],
        "qubits": configuration["n_qubits"],
        "max_shots": configuration["max_shots"],
        "max_experiments": configuration["max_experiments"],
    }


def _add(tx: Transaction, document: documents.DeviceDocument, digest: str, now: datetime, *, drift: bool) -> Device:
    position = tx.execute(sa.select(sa.func.count()).select_from(tables.devices)).scalar_one()
    row = {
        "id": secrets.token_hex(12),
        "name": document.configuration["backend_name"],
        "position": position,
        "state": "active",
        "message": "",
        "pace": "fast",
        "overhead": catalogue.OVERHEAD,
        "max_job_seconds": None,
        "created": now,
        "calibration": digest,
        "snapshot": digest,
        **_newborn(now, drift=drift and not document.configuration["simulator"] and document.properties is not None),
        **_facts(document),
    }
    tx.execute(sa.insert(tables.devices), row)
    tx.ring(catalogue.CALIBRATIONS)
    return catalogue.get(tx, str(row["name"]))
