# SPDX-License-Identifier: Apache-2.0
"""The catalogue: which devices there are, what they do in each state, and how long they keep a job."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, NewType

import msgspec
import sqlalchemy as sa

from chandelier import errors
from chandelier.devices import tables
from chandelier.store import Transaction
from chandelier.store.prepared import Prepared

DeviceId = NewType("DeviceId", str)
DeviceState = Literal["active", "paused", "maintenance", "drain"]
#: `fast`: a job takes as long as its simulation; `real`: it occupies the device for as long as the machine would be.
Pace = Literal["fast", "real"]
#: No job occupies a device that keeps a machine's pace for longer, s.
LONGEST: Final = 8 * 3600.0
#: What is rung when a device may have to be calibrated.
CALIBRATIONS: Final = "calibrations"
#: What a machine needs for a job besides its shots, unless it is set, s. Source: IBM Quantum documentation, "Workload
#: usage": an overhead of about 2 s for each job.
OVERHEAD: Final = 2.0


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
        snapshot: Digest of the documents with which its life began.
        drift: It drifts and is calibrated each day; else it stays as it is.
        begun: When its life began; None if it never drifted.
        due: When it is to be calibrated next; None if that is never.
        tuning: Name of the object with its pulses, if some were looked for.
        calibrator: Who calibrates it, or looks for its pulses, at present.
        calibrating: Since when it is being calibrated, and starts no jobs.
        progress: How far that is, or the search for its pulses; empty if nothing is done.
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
    snapshot: str = ""
    drift: bool = False
    begun: datetime | None = None
    due: datetime | None = None
    tuning: str | None = None
    calibrator: str | None = None
    calibrating: datetime | None = None
    progress: str = ""

    @property
    def conduct(self) -> Conduct:
        """What it does at present: while it is calibrated it starts nothing."""
        usual = CONDUCT[self.state]
        return usual if self.calibrating is None else Conduct(takes=usual.takes, starts=False, offered=False)

    @property
    def status(self) -> str:
        """What users are told: its state, or that it is calibrated, if it would start jobs otherwise."""
        return "calibrating" if self.calibrating is not None and CONDUCT[self.state].starts else self.state

    @property
    def remark(self) -> str:
        """What users are told beside the status: how far a calibration is, or the message of the state."""
        return self.progress or self.message if self.status == "calibrating" else self.message


_COLUMNS: Final = tables.devices.c
_DEVICE: Final = tuple(_COLUMNS[field] for field in Device.__struct_fields__)
# Statements that each poll runs are built once: building costs more than running.
_STARTING: Final = sorted(state for state, conduct in CONDUCT.items() if conduct.starts)
#: The devices that start jobs, each with its pace; a statement may ask for more beside them.
RUNNABLE: Final = sa.select(_COLUMNS.id, _COLUMNS.pace).where(
    _COLUMNS.state.in_(_STARTING), _COLUMNS.calibrating.is_(None)
)
_RUNNABLE: Final = Prepared(RUNNABLE)
_BY_ID: Final = Prepared(sa.select(*_DEVICE).where(_COLUMNS.id == sa.bindparam("id")))
_BY_NAME: Final = Prepared(sa.select(*_DEVICE).where(_COLUMNS.name == sa.bindparam("name")))


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
    return [Device(*row) for row in tx.execute(sa.select(*_DEVICE).order_by(_COLUMNS.position))]


def runnable(tx: Transaction) -> dict[DeviceId, Pace]:
    """Return the ids of the devices whose state lets them start jobs, each with its pace."""
    return {row.id: row.pace for row in tx.execute(_RUNNABLE)}


def set_state(tx: Transaction, name: str, state: DeviceState, message: str) -> Device:
    """Bring a device into a state; jobs that run go on running.

    Raises:
        errors.NotFound: There is no such device.
    """
    return change(tx, get(tx, name), state=state, message=message[:500])


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
    return change(tx, device, pace=pace, overhead=device.overhead if overhead is None else overhead)


def set_max_job_seconds(tx: Transaction, name: str, seconds: float | None) -> Device:
    """Refuse jobs that are expected to take longer, or (None) no longer do; of those that are not checked yet.

    Raises:
        errors.Invalid: No job could run.
        errors.NotFound: There is no such device.
    """
    if seconds is not None and not 0 < seconds < math.inf:
        raise errors.Invalid(f"A job cannot be limited to {seconds:g} s; give more than 0.", 1001)
    return change(tx, get(tx, name), max_job_seconds=seconds)


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


def change(tx: Transaction, device: Device, **facts: Any) -> Device:
    """Write columns of a device and return what it is now; only for the modules of this package."""
    tx.execute(sa.update(tables.devices).where(_COLUMNS.id == device.id).values(**facts))
    tx.ring("queue", CALIBRATIONS)
    return get(tx, device.name)
