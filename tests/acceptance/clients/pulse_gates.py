# SPDX-License-Identifier: Apache-2.0
"""Run circuits whose gates are pulses of the user."""

import numpy as np
from account import enable, report
from qiskit import QuantumCircuit, pulse, transpile
from qiskit.circuit import Gate

SHOTS = 2000

provider = enable()
manila = provider.get_backend("ibmq_manila")
gates = manila.defaults().instruction_schedule_map


def flipped() -> QuantumCircuit:
    """Return a circuit that flips a qubit."""
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    return circuit


def calibrated(schedule: pulse.Schedule) -> QuantumCircuit:
    """Return it with other pulses for its gate."""
    circuit = flipped()
    circuit.add_calibration("x", [0], schedule)
    return circuit


def named(qubits: int, schedule: pulse.Schedule) -> QuantumCircuit:
    """Return a circuit with a gate that the device has no name for, after a turn by half of the first qubit."""
    circuit = QuantumCircuit(qubits, qubits)
    circuit.sx(0)
    circuit.append(Gate("mine", qubits, []), range(qubits))
    circuit.measure(range(qubits), range(qubits))
    circuit.add_calibration("mine", range(qubits), schedule)
    return circuit


nothing = pulse.Schedule(pulse.Play(pulse.Constant(160, 0.0), pulse.DriveChannel(0)), name="nothing")
backwards = pulse.Schedule(pulse.ShiftPhase(np.pi, pulse.DriveChannel(0)), name="backwards")
backwards |= gates.get("sx", 0) << backwards.duration
circuits = {
    "plain": flipped(),
    "nothing": calibrated(nothing),
    "its own": calibrated(gates.get("x", 0)),
    "mine": named(1, gates.get("sx", 0)),
    "backwards": named(1, backwards),
    "pair": named(2, gates.get("cx", [0, 1])),
}
ready = transpile(list(circuits.values()), manila, initial_layout=None, optimization_level=0)
result = manila.run(ready, shots=SHOTS).result()
report(
    provider,
    counts={name: result.get_counts(index) for index, name in enumerate(circuits)},
    calibrated=[sorted(circuit.calibrations) for circuit in ready],
)
