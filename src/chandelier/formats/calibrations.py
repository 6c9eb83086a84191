# SPDX-License-Identifier: Apache-2.0
"""A device's properties in the forms that clients before 2019 ask for: `calibration` and `parameters`.

The first API told what was measured in two documents, by qubit and by gate, where the later one has `properties`.
Source: protocol 4.2; the form is that of a recorded answer of September 2018 for ibmqx4 (Qiskit pull request 870)
and of what XACC and qiskit-js read.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from chandelier.formats import device
from chandelier.formats.device import Document

#: The gate of one pulse, by which a qubit was judged then: the first of these that the device has.
PULSES: Final = ("u2", "sx", "x", "u3", "id")

#: Unknown things as the first API showed them.
UNKNOWN: Final = "-"

#: Spelling of units then, where it differs from today's.
UNITS: Final[Mapping[str, str]] = {"us": "µs", "μs": "µs"}

#: Gates followed each other without a pause: the published lengths have the buffer in them. ns.
BUFFER_NS: Final = 0


def errors_of(configuration: Mapping[str, Any], properties: Document | None) -> Document:
    """Tell the errors of gates and readout, by qubit and by gate on several qubits; never empty.

    Args:
        configuration: The device's; dates a device that has no properties.
        properties: As `device.normalise_properties` makes them; None for simulators, which have no errors.
    """
    known = properties or {"qubits": [], "gates": []}
    pulses = _pulses(known["gates"])
    return {
        "lastUpdateDate": _updated(configuration, properties),
        "qubits": [
            {"name": f"Q{index}"}
            | _error("gateError", pulses.get(index, {}).get("gate_error"))
            | _error("readoutError", _by_name(records).get("readout_error"))
            for index, records in enumerate(known["qubits"])
        ],
        "multiQubitGates": [_gate(gate) for gate in known["gates"] if len(gate["qubits"]) > 1],
    }


def parameters(configuration: Mapping[str, Any], properties: Document | None) -> Document:
    """Tell frequencies and times, by qubit, and of the refrigerator that there is none; never empty.

    The list of qubits is as long as that of `errors_of`: the client of 2018 merges them place by place.
    """
    known = properties or {"qubits": [], "gates": []}
    pulses = _pulses(known["gates"])
    return {
        "lastUpdateDate": _updated(configuration, properties),
        "fridgeParameters": {
            "cooldownDate": UNKNOWN,
            "Temperature": {"date": UNKNOWN, "value": [], "unit": UNKNOWN},
        },
        "qubits": [
            {"name": f"Q{index}"} | _times(_by_name(records), pulses.get(index, {}))
            for index, records in enumerate(known["qubits"])
        ],
    }


def with_parametres(properties: Document) -> Document:
    """Give each gate its parameters under the name `parametres` too, as the description of 2020 spells it.

    Source: seed document 000, `GET /backends/{device_name}/properties`; protocol 10.
    """
    gates = [{**gate, "parametres": gate["parameters"]} for gate in properties["gates"]]
    return {**properties, "gates": gates}


def _pulses(gates: Iterable[Mapping[str, Any]]) -> dict[int, dict[str, Document]]:
    """Return the records of each qubit's pulse, by name."""
    found: dict[int, tuple[int, dict[str, Document]]] = {}
    for gate in gates:
        if len(gate["qubits"]) == 1 and gate["gate"] in PULSES:
            (qubit,) = gate["qubits"]
            place = PULSES.index(gate["gate"])
            if qubit not in found or place < found[qubit][0]:
                found[qubit] = (place, _by_name(gate["parameters"]))
    return {qubit: records for qubit, (_, records) in found.items()}


def _gate(gate: Mapping[str, Any]) -> Document:
    kind = gate["gate"].upper()
    return {
        "qubits": gate["qubits"],
        "type": kind,
        "name": kind + "_".join(map(str, gate["qubits"])),
        **_error("gateError", _by_name(gate["parameters"]).get("gate_error")),
    }


def _times(records: Mapping[str, Document], pulse: Mapping[str, Document]) -> Document:
    """Return what is known of a qubit; what was not measured is not there."""
    known = {
        "gateTime": pulse.get("gate_length"),
        "T1": records.get("T1"),
        "T2": records.get("T2"),
        "frequency": records.get("frequency"),
    }
    told = {name: _measured(record) for name, record in known.items() if record is not None}
    date = records["T1"]["date"]
    return {"buffer": {"date": date, "value": BUFFER_NS, "unit": "ns"}, **told}


def _measured(record: Document) -> Document:
    return {"date": record["date"], "value": record["value"], "unit": UNITS.get(record["unit"], record["unit"])}


def _error(name: str, record: Document | None) -> Document:
    return {} if record is None else {name: {"date": record["date"], "value": record["value"]}}


def _by_name(records: Sequence[Document]) -> dict[str, Document]:
    return {record["name"]: record for record in records}


def _updated(configuration: Mapping[str, Any], properties: Document | None) -> str:
    """Return when the device was calibrated last, to the millisecond; a simulator when it went online."""
    date = properties["last_update_date"] if properties else configuration["online_date"]
    return device.utc(date).replace("Z", ".000Z")
