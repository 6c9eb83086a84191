# SPDX-License-Identifier: Apache-2.0
"""The catalogue of devices and their calibrations; the only writer of both tables.

A calibration's documents are one immutable object, named by its digest: whoever has read a digest may keep it.
"""

import functools
import math
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, NewType

import msgspec
import sqlalchemy as sa

from chandelier import errors
from chandelier.formats import calibrations, listings
from chandelier.formats import device as documents
from chandelier.store import Store, Transaction, database
from chandelier.store.prepared import Prepared

DeviceId = NewType("DeviceId", str)
DeviceState = Literal["active", "paused", "maintenance", "drain"]
#: `fast`: a job takes as long as its simulation; `real`: it occupies the device for as long as the machine would be.
Pace = Literal["fast", "real"]
Terms = listings.Terms
SUCCESSORS: Final = documents.SUCCESSORS

#: No job occupies a device that keeps a machine's pace for longer, s.
LONGEST: Final = 8 * 3600.0
#: What a machine needs for a job besides its shots, unless it is set, s. Source: IBM Quantum documentation, "Workload
#: usage": an overhead of about 2 s for each job.
OVERHEAD: Final = 2.0

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
    sa.Column("pace", sa.String(8), nullable=False),
    sa.Column("overhead", sa.Float(53), nullable=False),
    sa.Column("max_job_seconds", sa.Float(53)),
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


class Conduct(msgspec.Struct, frozen=True):
    """What a device does in a state.

    Attributes:
        takes: It takes new jobs.
        starts: It starts jobs that wait; those that run go on in every state.
        offered: Clients are told that it is operational, and offer it to their users.
    """

    takes: bool
    starts: bool
    offered: bool


CONDUCT: Final[Mapping[DeviceState, Conduct]] = {
    "active": Conduct(takes=True, starts=True, offered=True),
    "paused": Conduct(takes=True, starts=False, offered=True),
    "maintenance": Conduct(takes=True, starts=False, offered=False),
    "drain": Conduct(takes=False, starts=True, offered=False),
}


class Device(msgspec.Struct, frozen=True):
    """A device as the catalogue knows it.

    Attributes:
        state: See `CONDUCT`.
        message: Shown to everybody beside the state.
        pace: Of simulators always `fast`.
        overhead: What a job occupies the device for besides its shots, s; counts only if the pace is `real`.
        max_job_seconds: Jobs that are expected to take longer are refused; None where any may run.
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
    pace: Pace = "fast"
    overhead: float = OVERHEAD
    max_job_seconds: float | None = None

    @property
    def conduct(self) -> Conduct:
        """What it does at present."""
        return CONDUCT[self.state]


_DEVICE: Final = tuple(_devices.c[field] for field in Device.__struct_fields__)
# Statements that each poll runs are built once: building costs more than running.
_STARTING: Final = sorted(state for state, conduct in CONDUCT.items() if conduct.starts)
#: The devices that start jobs, each with its pace; a statement may ask for more beside them.
RUNNABLE: Final = sa.select(_devices.c.id, _devices.c.pace).where(_devices.c.state.in_(_STARTING))
_RUNNABLE: Final = Prepared(RUNNABLE)
_BY_ID: Final = Prepared(sa.select(*_DEVICE).where(_devices.c.id == sa.bindparam("id")))
_BY_NAME: Final = Prepared(sa.select(*_DEVICE).where(_devices.c.name == sa.bindparam("name")))


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


def runnable(tx: Transaction) -> dict[DeviceId, Pace]:
    """Return the ids of the devices whose state lets them start jobs, each with its pace."""
    return {row.id: row.pace for row in tx.execute(_RUNNABLE)}


def set_state(tx: Transaction, name: str, state: DeviceState, message: str) -> Device:
    """Bring a device into a state; jobs that run go on running.

    Raises:
        errors.NotFound: There is no such device.
    """
    return _change(tx, get(tx, name), state=state, message=message[:500])


def set_pace(tx: Transaction, name: str, pace: Pace, overhead: float | None = None) -> Device:
    """Let a device take as long as the machine would, or no longer; for jobs that start from now on.

    Args:
        overhead: What a job occupies it for besides its shots, s; unchanged if None.

    Raises:
        errors.Invalid: It is a simulator, or the overhead cannot be one.
        errors.NotFound: There is no such device.
    """
    device = get(tx, name)
    if device.simulator and pace == "real":
        raise errors.Invalid(f"{name} is a simulator: there is no machine whose pace it could keep.", 1001)
    if overhead is not None and not 0 <= overhead <= LONGEST:
        raise errors.Invalid(f"An overhead of {overhead:g} s is not between 0 and {LONGEST:g} s.", 1001)
    return _change(tx, device, pace=pace, overhead=device.overhead if overhead is None else overhead)


def set_max_job_seconds(tx: Transaction, name: str, seconds: float | None) -> Device:
    """Refuse jobs that are expected to take longer, or (None) no longer do; of those that are not checked yet.

    Raises:
        errors.Invalid: No job could run.
        errors.NotFound: There is no such device.
    """
    if seconds is not None and not 0 < seconds < math.inf:
        raise errors.Invalid(f"A job cannot be limited to {seconds:g} s; give more than 0.", 1001)
    return _change(tx, get(tx, name), max_job_seconds=seconds)


def check_taking(device: Device) -> None:
    """Make sure that a device takes new jobs.

    Raises:
        errors.Conflict: It does not.
    """
    if not device.conduct.takes:
        reason = f" ({device.message.rstrip('.')})" if device.message else ""
        raise errors.Conflict(f"{device.name} takes no new jobs at present{reason}. Choose another device.", 3103)


def occupation(device: Device, shots_seconds: float) -> float | None:
    """Return for how long a job occupies a device, s; None if no longer than it takes.

    Args:
        shots_seconds: What the machine would need for the job's shots, s.
    """
    return shots_seconds + device.overhead if device.pace == "real" else None


def properties_before(tx: Transaction, device: Device, moment: datetime) -> str | None:
    """Return the digest of the newest calibration taken before `moment`, if there is one."""
    query = sa.select(_calibrations.c.digest).where(
        _calibrations.c.device_id == device.id, _calibrations.c.taken < moment
    )
    return tx.execute(query.order_by(_calibrations.c.taken.desc()).limit(1)).scalar()


def calibration(tx: Transaction, device: Device, digest: str) -> str:
    """Return the digest of a calibration if the device has had it.

    Raises:
        errors.NotFound: It has not.
    """
    query = sa.select(_calibrations.c.digest).where(
        _calibrations.c.device_id == device.id, _calibrations.c.digest == digest
    )
    found = tx.execute(query).scalar()
    if found is None:
        raise errors.NotFound(f"{device.name} has had no calibration {digest[:80]!r}.", 3102)
    return str(found)


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
    return listings.Facts(device.id, "on" if device.conduct.offered else "off")


@functools.lru_cache(maxsize=256)
def _read(path: Path) -> documents.DeviceDocument:
    return documents.from_json(path.read_bytes())


@functools.lru_cache(maxsize=64)
def _presented(path: Path) -> dict[str, Any]:
    known = _read(path).properties
    return calibrations.with_parametres(known) if known else {}


def _change(tx: Transaction, device: Device, **facts: Any) -> Device:
    tx.execute(sa.update(_devices).where(_devices.c.id == device.id).values(**facts))
    tx.ring("queue")
    return msgspec.structs.replace(device, **facts)


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
        "pace": "fast",
        "overhead": OVERHEAD,
        "max_job_seconds": None,
        "created": now,
        "calibration": digest,
        **_facts(document),
    }
    tx.execute(sa.insert(_devices), row)
    return get(tx, str(row["name"]))
