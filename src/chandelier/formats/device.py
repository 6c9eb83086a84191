# SPDX-License-Identifier: Apache-2.0
"""Device documents: configuration and properties in the shape that every client accepts.

Published snapshots differ in shape from one year to the next, and a client drops a device without a word over
one null too many. Each rule below mends one such difference and is applied to every document. Numbers and
units stay as published; only the flags say what this server can do instead of what the original could.
"""

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from chandelier import errors

Document = dict[str, Any]
Rule = Callable[[Document], Document]


class Life(msgspec.Struct, frozen=True):
    """Where a calibration stands in the life of a device that drifts.

    Attributes:
        seed: Names the course of this device's life; two devices with the same seed live the same life.
        begun: When the device had the numbers of its snapshot.
        taken: When this calibration was made; frequencies wander from here on.
    """

    seed: str
    begun: datetime
    taken: datetime


class DeviceDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that an engine must know of a device, at one calibration; written as one JSON file per calibration.

    Attributes:
        configuration: The configuration as served (protocol 9): dt in ns, frequencies in GHz.
        properties: The properties as served (protocol 10); None for ideal simulators.
        defaults: The pulse defaults as served (protocol 11); None for devices without pulses.
        life: None for a device that does not drift.
    """

    configuration: dict[str, Any]
    properties: dict[str, Any] | None = None
    defaults: dict[str, Any] | None = None
    life: Life | None = None


#: Keys without which no client can list a device, and what stands in where a snapshot lacks one; the keys of
#: `ESSENTIAL` have no stand-in.
REQUIRED: Final[Mapping[str, Any]] = {
    "backend_version": "1.0.0",
    "conditional": False,
    "coupling_map": None,
    "gates": [],
    "local": False,
    "max_experiments": 300,
    "max_shots": 8192,
    "memory": True,
    "open_pulse": False,
    "simulator": False,
}
ESSENTIAL: Final = ("backend_name", "basis_gates", "n_qubits", "online_date")

#: What is true of every device of this server, whatever its original could do.
FLAGS: Final[Mapping[str, Any]] = {
    "allow_object_storage": True,
    "allow_q_object": True,
    "credits_required": False,
    "input_allowed": ["job"],
    "local": False,
    "measure_esp_enabled": False,
    "open_pulse": False,
    "simulator": False,
    "supported_features": ["qobj"],
}

#: Instructions that a device takes besides its basis gates.
CIRCUIT_INSTRUCTIONS: Final = frozenset({"barrier", "delay", "measure", "reset"})

#: The gates of the devices until January 2021. Those of 2021 still take them, as so many `sx` between `rz`, and
#: list them among their `supported_instructions` only.
RETIRED_GATES: Final[Mapping[str, int]] = {"u1": 0, "u2": 1, "u3": 2}

#: What today's clients are offered on the devices until January 2021, each by the gate that it is there, up to a phase:
#: rz(λ) = u1(λ), sx = u2(-π/2, π/2), x = u3(π, 0, π). They hide `u2` and `u3`.
SUCCESSORS: Final[Mapping[str, str]] = {"rz": "u1", "sx": "u2", "x": "u3"}

#: The only keys an element of `gates` may have: one more, and the client drops the whole device.
GATE_KEYS: Final = "name parameters qasm_def coupling_map latency_map conditional description"

#: Smallest sample time taken for nanoseconds. Real ones are 0.2 to 4 ns; one snapshot is in seconds.
SHORTEST_DT_NS: Final = 1e-3

#: Stands for a T1 or T2 that nobody could measure: no coherence to speak of. Noise models refuse 0 and take a
#: missing time for an endless one.
UNMEASURED_US: Final = 1e-3

_VERSION = re.compile(r"\d+\.\d+\.\d+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def without_blanks(configuration: Document) -> Document:
    """Leave out keys whose value is null or the text `None`; a null coupling map means all-to-all."""
    return {
        key: value
        for key, value in configuration.items()
        if key == "coupling_map" or (value is not None and value != "None")
    }


def with_required_keys(configuration: Document) -> Document:
    """Add the keys that clients insist on.

    Raises:
        errors.Invalid: A key of `ESSENTIAL` is missing.

    Source: protocol 9.1; the modern client reads `max_experiments` too.
    """
    missing = [key for key in ESSENTIAL if key not in configuration]
    if missing:
        raise errors.Invalid(f"The device configuration has no {', '.join(missing)}.", 1001)
    return {**REQUIRED, **configuration}


def in_wire_units(configuration: Document) -> Document:
    """Pass a configuration in nanoseconds and gigahertz unchanged.

    Raises:
        errors.Invalid: The sample time can only be in seconds, so every other number is in SI units as well.

    Source: protocol 9.3. Clients multiply by 1e-9, so SI numbers would come out 1e9 times too small.
    """
    shortest = configuration.get("dt", math.inf)
    if shortest < SHORTEST_DT_NS:
        raise errors.Invalid(f"The device configuration has dt = {shortest}; convert it to ns.", 1001)
    return configuration


def with_strict_gates(configuration: Document) -> Document:
    """Give each gate only the keys that clients know, with texts and lists instead of nulls.

    Source: protocol 9.1. A gate that acts everywhere (reset) has no coupling map rather than an empty one.
    """
    gates = []
    for raw in configuration["gates"]:
        gate = {key: raw[key] for key in GATE_KEYS.split() if raw.get(key) not in (None, [])}
        gates.append({"name": gate["name"], "parameters": [], "qasm_def": "", **gate})
    return {**configuration, "gates": gates}


def with_utc_online_date(configuration: Document) -> Document:
    """Write `online_date` as YYYY-MM-DDTHH:MM:SSZ, the only form that the Julia client parses."""
    return {**configuration, "online_date": utc(configuration["online_date"])}


def with_one_date(configuration: Document) -> Document:
    """Leave out every other text that starts like a date, since some clients parse such texts as dates."""
    return {
        key: value
        for key, value in configuration.items()
        if key == "online_date" or not (isinstance(value, str) and _DATE.match(value))
    }


def with_three_part_version(configuration: Document) -> Document:
    """Write `backend_version` as X.Y.Z, as the schema of early clients has it."""
    return {**configuration, "backend_version": three_parts(configuration["backend_version"])}


def with_flags(configuration: Document) -> Document:
    """Say what this server does with the device rather than what its original could do."""
    return {**configuration, **FLAGS}


def with_circuit_instructions(configuration: Document) -> Document:
    """List only what a circuit may hold here: no pulses, no second kind of measurement, no control flow.

    A retired gate stays where the device says that it takes it. A name in `gates` that Terra does not know keeps it
    from making a target of the device.
    """
    takes = CIRCUIT_INSTRUCTIONS.union(configuration["basis_gates"])
    gates = [gate for gate in configuration["gates"] if gate["name"] in takes]
    if "supported_instructions" not in configuration:
        return {**configuration, "gates": gates}
    if "sx" in takes:
        takes |= RETIRED_GATES.keys()
    listed = [name for name in configuration["supported_instructions"] if name in takes]
    return {**configuration, "gates": gates, "supported_instructions": listed}


#: In this order: later rules rely on the keys that earlier ones add.
CONFIGURATION_RULES: Final[Sequence[Rule]] = (
    without_blanks,
    with_required_keys,
    in_wire_units,
    with_strict_gates,
    with_utc_online_date,
    with_one_date,
    with_three_part_version,
    with_flags,
    with_circuit_instructions,
)


def normalise_configuration(raw: Mapping[str, Any], *, served_name: str, description: str) -> Document:
    """Bring a device's configuration into the shape of protocol 9.

    Pulse data (`hamiltonian`, `u_channel_lo`, `dt`, …) stay: they describe the device, and with `open_pulse`
    false every client lists it as one that takes no pulses.

    Args:
        raw: A configuration in wire units (ns, µs, GHz); not changed.
        served_name: Name under which users find the device.
        description: One sentence for users.

    Raises:
        errors.Invalid: A key that cannot be made up is missing, or the numbers are in other units.
    """
    document = {**raw, "backend_name": served_name, "description": description}
    for rule in CONFIGURATION_RULES:
        document = rule(document)
    return document


def with_all_lists(properties: Document) -> Document:
    """Add the lists that clients insist on, even where they are empty."""
    return {**properties, **{key: properties.get(key) or [] for key in ("qubits", "gates", "general")}}


def with_strict_records(properties: Document) -> Document:
    """Cut each record to date, name, unit and value, with the date in UTC; a record without a number goes.

    Source: protocol 10; a fifth key is a TypeError in Terra.
    """
    fallback = properties["last_update_date"]

    def strict(records: Sequence[Document]) -> list[Document]:
        return [
            record(r["name"], r["value"], r.get("unit"), r.get("date") or fallback) for r in filter(measured, records)
        ]

    return {
        **properties,
        "last_update_date": utc(fallback),
        "qubits": [strict(qubit) for qubit in properties["qubits"]],
        "gates": [{**gate, "parameters": strict(gate["parameters"])} for gate in properties["gates"]],
        "general": strict(properties["general"]),
    }


def with_gate_keys(properties: Document) -> Document:
    """Give each gate exactly qubits, gate, name and parameters; a missing name is made as in cx0_1."""
    gates = [
        {
            "qubits": gate["qubits"],
            "gate": gate["gate"],
            "name": gate.get("name") or gate["gate"] + "_".join(map(str, gate["qubits"])),
            "parameters": gate["parameters"],
        }
        for gate in properties["gates"]
    ]
    return {**properties, "gates": gates}


def with_gates_of(properties: Document, basis_gates: Sequence[str]) -> Document:
    """Keep the basis gates and reset only.

    Terra makes a target of every gate listed here, so also of gates that the device refuses, and fails at a
    measurement, which it adds itself from the readout records.
    """
    kept = {"reset", *basis_gates}
    return {**properties, "gates": [gate for gate in properties["gates"] if gate["gate"] in kept]}


def with_faults(properties: Document) -> Document:
    """Mark as not operational what a calibration could not calibrate.

    That is a gate with an error of 1 or more (which would otherwise be simulated as nothing but noise), and a
    qubit that has such a gate of its own or no measured T1 or T2.
    """
    date = properties["last_update_date"]
    fault = record("operational", 0, "", date)
    dead = {tuple(gate["qubits"]) for gate in properties["gates"] if failed(gate)}
    gates = [
        {**gate, "parameters": [*gate["parameters"], fault] if failed(gate) else gate["parameters"]}
        for gate in properties["gates"]
    ]
    qubits = [
        [*qubit, fault] if ((index,) in dead or lacks_coherence(qubit)) else qubit
        for index, qubit in enumerate(properties["qubits"])
    ]
    return {**properties, "gates": gates, "qubits": qubits}


def with_coherence_first(properties: Document) -> Document:
    """List T1 first and T2 second for each qubit, since widgets read them by position.

    A time that was not measured is `UNMEASURED_US`, on a qubit that `with_faults` has marked.
    """
    date = properties["last_update_date"]
    qubits = []
    for qubit in properties["qubits"]:
        by_name = {r["name"]: r for r in qubit}
        times = [by_name.get(name) or record(name, UNMEASURED_US, "us", date) for name in ("T1", "T2")]
        qubits.append([*times, *(r for r in qubit if r["name"] not in ("T1", "T2"))])
    return {**properties, "qubits": qubits}


#: In this order: faults are found before unmeasured times get a stand-in.
PROPERTIES_RULES: Final[Sequence[Rule]] = (
    with_all_lists,
    with_strict_records,
    with_gate_keys,
    with_faults,
    with_coherence_first,
)


def normalise_properties(raw: Mapping[str, Any], *, served_name: str, basis_gates: Sequence[str]) -> Document:
    """Bring a device's properties into the shape of protocol 10.

    Args:
        raw: Properties with times in us and ns, frequencies in GHz; not changed.
        served_name: Name under which users find the device.
        basis_gates: As in the configuration.

    Raises:
        errors.Invalid: There is no `last_update_date`, or a date cannot be read.
    """
    document = {
        **raw,
        "backend_name": served_name,
        "backend_version": three_parts(raw.get("backend_version", REQUIRED["backend_version"])),
        "last_update_date": utc(raw.get("last_update_date")),
    }
    for rule in PROPERTIES_RULES:
        document = rule(document)
    return with_gates_of(document, basis_gates)


def to_json(document: DeviceDocument) -> bytes:
    """Write a device document compactly; equal documents give equal bytes."""
    return msgspec.json.encode(document, order="deterministic")


def from_json(data: bytes) -> DeviceDocument:
    """Read what `to_json` wrote.

    Raises:
        errors.Invalid: The bytes are no device document.
    """
    try:
        return msgspec.json.decode(data, type=DeviceDocument)
    except msgspec.DecodeError as error:
        raise errors.Invalid(f"This is not a device document: {error}.", 1000) from error


def digest(document: DeviceDocument) -> str:
    """Name a document by its content: the SHA-256 of its JSON, 64 hexadecimal digits."""
    return hashlib.sha256(to_json(document)).hexdigest()


def record(name: str, value: float, unit: str | None, date: object) -> Document:
    """Make one record of the properties; `date` in any ISO form."""
    return {"date": utc(date), "name": name, "unit": unit or "", "value": value}


def measured(entry: Mapping[str, Any]) -> bool:
    """Tell whether a record holds a finite number."""
    value = entry.get("value")
    return isinstance(value, int | float) and math.isfinite(value)


def failed(gate: Mapping[str, Any]) -> bool:
    """Tell whether a gate of the properties has an error of 1 or more."""
    return any(r["name"] == "gate_error" and r["value"] >= 1 for r in gate["parameters"])


def lacks_coherence(qubit: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a qubit of the properties has no T1 or no T2."""
    return not {"T1", "T2"} <= {r["name"] for r in qubit}


def three_parts(version: str) -> str:
    """Fill or cut a version to X.Y.Z; one without any number becomes 1.0.0."""
    if _VERSION.fullmatch(version):
        return version
    numbers = re.findall(r"\d+", version) or ["1"]
    return ".".join([*numbers, "0", "0"][:3])


def utc(date: object) -> str:
    """Write an ISO date as YYYY-MM-DDTHH:MM:SSZ, in UTC; one without an offset is in UTC already.

    Raises:
        errors.Invalid: It is no ISO date.
    """
    try:
        moment = datetime.fromisoformat(str(date))
    except ValueError as error:
        raise errors.Invalid(f"{date!r} is not an ISO date.", 1001) from error
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return f"{aware:%Y-%m-%dT%H:%M:%SZ}"
