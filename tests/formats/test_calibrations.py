# SPDX-License-Identifier: Apache-2.0
"""What was measured, in the forms of the first API."""

import copy
import json
from typing import Any

import pytest

from chandelier.formats import calibrations, simulators, snapshots
from chandelier.formats.device import DeviceDocument

DATE = "2018-09-11T10:01:05Z"


def a_record(name: str, value: float, unit: str = "") -> dict[str, Any]:
    """One record of the properties."""
    return {"date": DATE, "name": name, "unit": unit, "value": value}


def a_gate(name: str, qubits: list[int], error: float, length: float) -> dict[str, Any]:
    """One calibrated gate."""
    parameters = [a_record("gate_error", error), a_record("gate_length", length, "ns")]
    return {"qubits": qubits, "gate": name, "name": "", "parameters": parameters}


#: The first qubit and the first gate of ibmqx4 on a day of 2018, as properties have them.
PROPERTIES: dict[str, Any] = {
    "backend_name": "ibmqx4",
    "backend_version": "1.0.0",
    "last_update_date": DATE,
    "qubits": [
        [a_record("T1", 44, "us"), a_record("T2", 52.9, "µs"), a_record("frequency", 5.24983, "GHz"),
         a_record("readout_error", 0.0835)],
        [a_record("T1", 50, "us"), a_record("T2", 20, "us")],
    ],
    "gates": [
        a_gate("u3", [0], 0.0014, 120),
        a_gate("u2", [0], 0.0007, 60),
        a_gate("u1", [0], 0, 0),
        a_gate("cx", [1, 0], 0.0254, 340),
    ],
    "general": [],
}  # fmt: skip
CONFIGURATION = {"online_date": "2017-09-18T00:00:00Z"}


def a_device(name: str) -> DeviceDocument:
    """A device of a public snapshot."""
    return snapshots.load(name)


def test_errors_have_the_form_of_2018() -> None:
    """Name by name as one recorded answer has it. Source: Qiskit pull request 870."""
    assert calibrations.errors_of(CONFIGURATION, PROPERTIES) == {
        "lastUpdateDate": "2018-09-11T10:01:05.000Z",
        "qubits": [
            {
                "name": "Q0",
                "gateError": {"date": DATE, "value": 0.0007},
                "readoutError": {"date": DATE, "value": 0.0835},
            },
            {"name": "Q1"},
        ],
        "multiQubitGates": [
            {"qubits": [1, 0], "type": "CX", "name": "CX1_0", "gateError": {"date": DATE, "value": 0.0254}}
        ],
    }


def test_parameters_have_the_form_of_2018() -> None:
    """Of the refrigerator, which is none, nothing is known, in the words that such answers had."""
    parameters = calibrations.parameters(CONFIGURATION, PROPERTIES)
    first, second = parameters["qubits"]

    assert list(parameters) == ["lastUpdateDate", "fridgeParameters", "qubits"]
    assert parameters["fridgeParameters"] == {
        "cooldownDate": "-",
        "Temperature": {"date": "-", "value": [], "unit": "-"},
    }
    assert first == {
        "name": "Q0",
        "buffer": {"date": DATE, "value": 0, "unit": "ns"},
        "gateTime": {"date": DATE, "value": 60, "unit": "ns"},
        "T1": {"date": DATE, "value": 44, "unit": "µs"},
        "T2": {"date": DATE, "value": 52.9, "unit": "µs"},
        "frequency": {"date": DATE, "value": 5.24983, "unit": "GHz"},
    }
    assert set(second) == {"name", "buffer", "T1", "T2"}


@pytest.mark.parametrize("name", ["rome", "essex", "armonk", "yorktown", "hanoi"])
def test_every_snapshot_has_both(name: str) -> None:
    """Each qubit and each two-qubit gate, and lists that the client of 2018 can merge place by place."""
    device = a_device(name)
    properties = device.properties
    assert properties is not None
    errors = calibrations.errors_of(device.configuration, properties)
    parameters = calibrations.parameters(device.configuration, properties)

    names = [f"Q{index}" for index in range(device.configuration["n_qubits"])]
    assert [qubit["name"] for qubit in errors["qubits"]] == names
    assert [qubit["name"] for qubit in parameters["qubits"]] == names
    assert all({"gateError", "readoutError"} <= set(qubit) for qubit in errors["qubits"])
    assert all({"gateTime", "T1", "T2", "frequency", "buffer"} <= set(qubit) for qubit in parameters["qubits"])
    assert {qubit["T1"]["unit"] for qubit in parameters["qubits"]} == {"µs"}
    pairs = {tuple(gate["qubits"]) for gate in errors["multiQubitGates"]}
    assert pairs <= {tuple(pair) for pair in device.configuration["coupling_map"] or []}
    assert len(pairs) == len(errors["multiQubitGates"]) == sum(len(gate["qubits"]) == 2 for gate in properties["gates"])
    assert json.loads(json.dumps([errors, parameters])) == [errors, parameters]


def test_the_pulse_of_a_newer_device_is_its_sx() -> None:
    """Whatever comes first in the properties."""
    device = a_device("rome")
    assert device.properties is not None
    (sx,) = [gate for gate in device.properties["gates"] if gate["gate"] == "sx" and gate["qubits"] == [0]]
    error, length = (record["value"] for record in sx["parameters"])

    told = calibrations.errors_of(device.configuration, device.properties)["qubits"][0]
    assert told["gateError"]["value"] == error
    assert calibrations.parameters(device.configuration, device.properties)["qubits"][0]["gateTime"]["value"] == length


@pytest.mark.parametrize("name", sorted(simulators.SIMULATORS))
def test_simulators_have_no_errors_but_an_answer(name: str) -> None:
    """An empty object would be asked for five times."""
    simulator = simulators.document(name)

    assert calibrations.errors_of(simulator.configuration, None) == {
        "lastUpdateDate": "2025-01-01T00:00:00.000Z",
        "qubits": [],
        "multiQubitGates": [],
    }
    assert set(calibrations.parameters(simulator.configuration, None)) == {
        "lastUpdateDate",
        "fridgeParameters",
        "qubits",
    }


def test_parameters_of_gates_are_spelled_in_two_ways() -> None:
    """As clients read them, and as the description of 2020 has them; nothing else changes."""
    before = copy.deepcopy(PROPERTIES)
    shown = calibrations.with_parametres(PROPERTIES)

    assert before == PROPERTIES
    assert all(gate["parametres"] == gate["parameters"] for gate in shown["gates"])
    assert all(set(gate) == {"qubits", "gate", "name", "parameters", "parametres"} for gate in shown["gates"])
    assert {key: value for key, value in shown.items() if key != "gates"} == {
        key: value for key, value in PROPERTIES.items() if key != "gates"
    }
