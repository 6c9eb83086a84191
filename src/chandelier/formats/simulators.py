# SPDX-License-Identifier: Apache-2.0
"""Simulators: the six noiseless devices that every installation has, as device documents."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from chandelier.formats import device, openpulse, snapshots, tunings


class Simulator(msgspec.Struct, frozen=True):
    """What sets one simulator apart from the others.

    Attributes:
        method: Simulation method, by Aer's name; old clients send it back with each program.
        n_qubits: Number of qubits advertised.
        basis_gates: Names of the instructions taken, in the order listed to clients, between blanks.
        description: One sentence for users.
    """

    method: str
    n_qubits: int
    basis_gates: str
    description: str


#: Version of our simulators; raise it when the set of instructions changes.
VERSION: Final = "1.0.0"
ONLINE_DATE: Final = "2025-01-01T00:00:00Z"
MAX_SHOTS: Final = 100_000
MAX_EXPERIMENTS: Final = 300

_UNIVERSAL = (
    "u1 u2 u3 u p r rx ry rz id x y z h s sdg sx t tdg swap cx cy cz csx cp cu1 cu2 cu3 rxx ryy rzz rzx ccx "
    "cswap mcx mcy mcz mcsx mcp mcu1 mcu2 mcu3 mcrx mcry mcrz mcr mcswap unitary diagonal multiplexer "
    "initialize kraus roerror delay"
)
_MPS = "unitary t tdg id cp u1 u2 u3 u cx cz x y z h s sdg sx swap p ccx delay roerror"
_CLIFFORD_T = "u0 u1 cx cz id x y z h s sdg sx t tdg swap p ccx ccz delay roerror"
_CLIFFORD = "cx cy cz id x y z h s sdg sx swap delay roerror"
_SAVES = "save_state save_expval save_expval_var save_probabilities save_probabilities_dict"
_VECTORS = "save_statevector save_density_matrix save_amplitudes save_amplitudes_sq"

#: The simulator that takes pulses, and the snapshot whose model it has.
PULSES: Final = "simulator_pulse"
PULSES_SNAPSHOT: Final = "manila"
#: What its configuration has of that device's, besides what every client insists on of a device with pulses.
_OF_SNAPSHOT: Final = (
    f"{openpulse.KEYS} coupling_map hamiltonian qubit_channel_mapping channels parametric_pulses timing_constraints "
    "rep_delay_range default_rep_delay uchannels_enabled acquisition_latency conditional_latency"
)

#: The simulators by name. The gates are those of the real ones (protocol 9.5), then what Aer adds for each.
SIMULATORS: Final[Mapping[str, Simulator]] = {
    "ibmq_qasm_simulator": Simulator(
        method="automatic",
        n_qubits=32,
        basis_gates=f"{_UNIVERSAL} superop set_statevector {_SAVES} {_VECTORS} save_statevector_dict",
        description="Simulator that picks a method for each circuit and runs a noise model sent along.",
    ),
    "simulator_statevector": Simulator(
        method="statevector",
        n_qubits=32,
        basis_gates=f"{_UNIVERSAL} set_statevector {_SAVES} {_VECTORS} save_statevector_dict",
        description="Simulator that keeps the whole wave function.",
    ),
    "simulator_mps": Simulator(
        method="matrix_product_state",
        n_qubits=100,
        basis_gates=f"{_MPS} {_SAVES} {_VECTORS} save_matrix_product_state",
        description="Matrix product state simulator, for many qubits with little entanglement.",
    ),
    "simulator_extended_stabilizer": Simulator(
        method="extended_stabilizer",
        n_qubits=63,
        basis_gates=f"{_CLIFFORD_T} save_statevector",
        description="Approximate simulator of Clifford circuits with a few T gates.",
    ),
    "simulator_stabilizer": Simulator(
        method="stabilizer",
        n_qubits=5000,
        basis_gates=f"{_CLIFFORD} {_SAVES} save_stabilizer save_clifford",
        description="Simulator of Clifford circuits.",
    ),
    PULSES: Simulator(
        method="automatic",
        n_qubits=5,
        basis_gates="id rz sx x cx",
        description="Simulator of pulses on five qubits that neither relax nor drift, with the model of ibmq_manila.",
    ),
}

#: The gates described to clients: parameters, then a definition in OpenQASM 2 over its builtin U and CX.
_DEFINITIONS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "u1": (("lambda",), "gate u1(lambda) q { U(0,0,lambda) q; }"),
    "u2": (("phi", "lambda"), "gate u2(phi,lambda) q { U(pi/2,phi,lambda) q; }"),
    "u3": (("theta", "phi", "lambda"), "gate u3(theta,phi,lambda) q { U(theta,phi,lambda) q; }"),
    "id": ((), "gate id q { U(0,0,0) q; }"),
    "x": ((), "gate x q { U(pi,0,pi) q; }"),
    "h": ((), "gate h q { U(pi/2,0,pi) q; }"),
    "s": ((), "gate s q { U(0,0,pi/2) q; }"),
    "cx": ((), "gate cx q1,q2 { CX q1,q2; }"),
    "rz": (("theta",), "gate rz(theta) q { U(0,0,theta) q; }"),
    "sx": ((), "gate sx q { U(pi/2,3*pi/2,pi/2) q; }"),
}


def document(name: str) -> device.DeviceDocument:
    """Make the document of one simulator; it has no properties, since nothing of it is calibrated.

    Args:
        name: A key of `SIMULATORS`.
    """
    simulator = SIMULATORS[name]
    configuration: dict[str, Any] = {
        "backend_name": name,
        "backend_version": VERSION,
        "n_qubits": simulator.n_qubits,
        "basis_gates": simulator.basis_gates.split(),
        "gates": gates(simulator),
        "coupling_map": None,
        "description": simulator.description,
        "online_date": ONLINE_DATE,
        "simulation_method": simulator.method,
        "max_shots": MAX_SHOTS,
        "max_experiments": MAX_EXPERIMENTS,
        "memory": True,
        "conditional": True,
        "n_registers": 1,  # the schema of early clients wants it wherever `conditional` is true
        "allow_object_storage": True,
        "allow_q_object": True,
        "credits_required": False,
        "input_allowed": ["job"],
        "local": False,
        "open_pulse": False,
        "simulator": True,
    }
    made = device.DeviceDocument(configuration)
    return _with_pulses(made) if name == PULSES else made


def _with_pulses(document: device.DeviceDocument) -> device.DeviceDocument:
    """Give a simulator the model of a snapshot, and pulses for it.

    Raises:
        errors.Unavailable: There is no such snapshot.
    """
    twin = snapshots.load(PULSES_SNAPSHOT)
    known = {key: twin.configuration[key] for key in _OF_SNAPSHOT.split() if key in twin.configuration}
    tuning = tunings.shipped(openpulse.model(twin))
    made = msgspec.structs.replace(document, configuration={**document.configuration, **known})
    return made if tuning is None else openpulse.with_pulses(made, tuning)


def documents() -> list[device.DeviceDocument]:
    """Make the documents of all simulators."""
    return [document(name) for name in SIMULATORS]


def gates(simulator: Simulator) -> list[dict[str, Any]]:
    """Describe those basis gates that have a definition; early clients refuse an empty list."""
    return [
        {"name": name, "parameters": list(parameters), "qasm_def": definition}
        for name, (parameters, definition) in _DEFINITIONS.items()
        if name in simulator.basis_gates.split()
    ]
