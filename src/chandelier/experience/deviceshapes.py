# SPDX-License-Identifier: Apache-2.0
"""The shapes of devices, their calibrations, queues and reservations."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta

from chandelier.experience.shapes import Amount, Count, Coupling, Date, Maybe, Object, Priority, Second, Version


class Booking(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A time for which a device is reserved; `why` is why it was over before its end. Source: protocol 4.3."""

    initial_date: Date
    end_date: Date
    mode: Maybe[str] = UNSET
    id: Maybe[str] = UNSET
    creation_date: Maybe[Date] = UNSET
    backend_name: Maybe[str] = UNSET
    hub_info: Maybe[Object] = UNSET
    why: Maybe[Literal["cancelled", "idle", "gone"]] = UNSET


class Gate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A gate; a client drops a device whose gates have any other key. Source: protocol 9.1."""

    name: str
    parameters: list[str]
    qasm_def: str
    coupling_map: Maybe[Coupling] = UNSET
    latency_map: Maybe[list[list[int]]] = UNSET
    conditional: Maybe[bool] = UNSET
    description: Maybe[str] = UNSET


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """What a device is. Times are in ns (`dt`) and µs, frequencies in GHz. Source: protocol 9."""

    backend_name: str
    backend_version: Version
    n_qubits: Priority
    basis_gates: list[str]
    gates: list[Gate]
    coupling_map: Coupling | None
    online_date: Second
    local: bool
    simulator: bool
    conditional: bool
    open_pulse: bool
    memory: bool
    max_shots: Priority
    max_experiments: Priority
    allow_object_storage: bool
    allow_q_object: bool
    description: Maybe[str] = UNSET
    input_allowed: Maybe[list[str]] = UNSET
    quantum_volume: Maybe[int] = UNSET
    processor_type: Maybe[Object] = UNSET
    dt: Maybe[Amount] = UNSET


class Entry(Configuration, frozen=True, kw_only=True):
    """A configuration with the keys of the first API beside its own. Source: protocol 4.1."""

    name: str
    status: str
    id: str
    topology_id: str = msgspec.field(name="topologyId")
    coupling: Coupling | Literal["all-to-all"] = msgspec.field(name="couplingMap")
    basis: str = msgspec.field(name="basisGates")
    qubits: Priority = msgspec.field(name="nQubits")
    online: Second = msgspec.field(name="onlineDate")
    chip_name: str = msgspec.field(name="chipName")
    url: str
    version: Version
    serial_number: str = msgspec.field(name="serialNumber")
    allows_qobj: bool = msgspec.field(name="allowQObject")


class HubDevice(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A device as the scripts of hub administrators see it. Source: D2, `GET /Network/{hub}/devices`."""

    id: str
    name: str
    status: str
    deleted: bool
    backend_name: str
    version: Version
    specific_configuration: Maybe[Object] = UNSET


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A measured number; a fifth key is an error in a client. Source: protocol 10."""

    date: Second
    name: str
    unit: str
    value: float


class GateRecords(msgspec.Struct, frozen=True, kw_only=True):
    """The measured numbers of one gate on its qubits; `parametres` is the same list in the seed's spelling."""

    qubits: list[Count]
    gate: str
    name: str
    parameters: list[Record]
    parametres: Maybe[list[Record]] = UNSET


class Properties(msgspec.Struct, frozen=True, kw_only=True):
    """What a calibration measured; empty for a device that has none. Source: protocol 10."""

    backend_name: Maybe[str] = UNSET
    backend_version: Maybe[Version] = UNSET
    last_update_date: Maybe[Second] = UNSET
    qubits: Maybe[list[list[Record]]] = UNSET
    gates: Maybe[list[GateRecords]] = UNSET
    general: Maybe[list[Record]] = UNSET


class QueueStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a device starts jobs and how many wait. Source: protocol 4.2."""

    state: bool
    status: str
    message: str
    length: Count = msgspec.field(name="lengthQueue")
    backend_version: Version
    busy: bool


class JobsLimit(msgspec.Struct, frozen=True, rename="camel"):
    """How many jobs the caller may have on a device (-1: any number), and has. Source: protocol 4.2."""

    maximum_jobs: Annotated[int, Meta(ge=-1)]
    running_jobs: Count
