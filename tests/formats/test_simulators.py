# SPDX-License-Identifier: Apache-2.0
"""The documents of the simulators are ones that every client accepts and that Aer can honour."""

import re

import pytest
from qiskit_aer import AerSimulator

from chandelier.formats import device, simulators

NAMES = sorted(simulators.SIMULATORS)

#: Instructions that are the identity, so that no engine needs a gate for them.
IDENTITIES = {"u0"}


def test_there_are_six() -> None:
    """The names are those that old notebooks hard-code, and one for pulses."""
    assert {document.configuration["backend_name"] for document in simulators.documents()} == {
        "ibmq_qasm_simulator",
        "simulator_statevector",
        "simulator_mps",
        "simulator_stabilizer",
        "simulator_extended_stabilizer",
        "simulator_pulse",
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_required_key_is_there(name: str) -> None:
    """A client drops a simulator that lacks one of them."""
    configuration = simulators.document(name).configuration

    assert {*device.REQUIRED, *device.ESSENTIAL} <= set(configuration)
    assert (configuration["coupling_map"] is None) is (name != simulators.PULSES)
    assert configuration["simulator"] is configuration["conditional"] is configuration["memory"] is True
    assert configuration["local"] is False
    assert configuration["open_pulse"] is (name == simulators.PULSES)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", configuration["online_date"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", configuration["backend_version"])


@pytest.mark.parametrize("name", NAMES)
def test_gates_are_in_strict_shape(name: str) -> None:
    """There is at least one gate, none is outside the basis, and the device rules find nothing to mend."""
    configuration = simulators.document(name).configuration

    assert configuration["gates"]
    assert {gate["name"] for gate in configuration["gates"]} <= set(configuration["basis_gates"])
    assert device.with_strict_gates(configuration) == configuration
    assert device.with_one_date(configuration) == configuration


@pytest.mark.parametrize("name", NAMES)
def test_aer_can_run_every_basis_gate(name: str) -> None:
    """Nothing is advertised that the simulation method lacks."""
    configuration = simulators.document(name).configuration
    aer = AerSimulator(method=configuration["simulation_method"]).configuration()
    missing = set(configuration["basis_gates"]) - {*aer.basis_gates, *aer.custom_instructions} - IDENTITIES

    assert missing == set()


@pytest.mark.parametrize("name", NAMES)
def test_basis_gates_are_listed_once(name: str) -> None:
    """Clients show the list as it is."""
    gates = simulators.document(name).configuration["basis_gates"]

    assert len(gates) == len(set(gates))


@pytest.mark.parametrize(
    ("name", "qubits", "method"),
    [
        ("ibmq_qasm_simulator", 32, "automatic"),
        ("simulator_statevector", 32, "statevector"),
        ("simulator_mps", 100, "matrix_product_state"),
        ("simulator_stabilizer", 5000, "stabilizer"),
        ("simulator_extended_stabilizer", 63, "extended_stabilizer"),
        ("simulator_pulse", 5, "automatic"),
    ],
)
def test_sizes_and_methods(name: str, qubits: int, method: str) -> None:
    """Each simulator has the size and the method of its original, and nothing to calibrate."""
    document = simulators.document(name)

    assert (document.configuration["n_qubits"], document.configuration["simulation_method"]) == (
        qubits,
        method,
    )
    assert document.properties is None
