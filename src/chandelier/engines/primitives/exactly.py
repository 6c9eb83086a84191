# SPDX-License-Identifier: Apache-2.0
"""Expectation values without shots: those of the state at the end of a circuit."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import Gate, QuantumCircuit
from qiskit.quantum_info import SparsePauliOp, Statevector

from chandelier import errors
from chandelier.engines import target as targets
from chandelier.engines.primitives import observables
from chandelier.formats import tasks

#: Most qubits on which something happens.
MAX_QUBITS: Final = 20
#: Processor time for a state, for a gate and for a term, and that for each amplitude that one of them touches, s.
_STATE: Final = 500e-6
_GATE: Final = 30e-6
_TERM: Final = 150e-6
_AMPLITUDE: Final = 20e-9
#: Memory for an amplitude, while an operator acts on the state, bytes.
_HELD: Final = 64


def check(circuit: QuantumCircuit, target: targets.Target, limits: tasks.Limits, where: str) -> None:
    """Refuse a circuit whose expectation values are not to be had exactly.

    Raises:
        errors.ProgramRefused: Code 8041: the target is a device; 8040: it does something other than gates, or on too
            many qubits.
    """
    if not target.simulator:
        raise errors.ProgramRefused(
            f"{where}: {target.name} estimates from shots, so its precision cannot be 0. Ask for more than 0.", 8041
        )
    other = next((s.name for s in circuit.data if s.name != "barrier" and not isinstance(s.operation, Gate)), None)
    if other is not None:
        raise errors.ProgramRefused(
            f"{where}: values without errors are of a circuit of gates alone; this one has {other[:60]}. "
            "Ask for a precision of more than 0.",
            8040,
        )
    size = len(_active(circuit))
    if size > MAX_QUBITS or _HELD * 2**size > limits.memory_bytes:
        raise errors.ProgramRefused(
            f"{where}: values without errors are computed for up to {MAX_QUBITS} qubits; the circuit acts on {size}. "
            "Ask for a precision of more than 0.",
            8040,
        )


def seconds(
    circuit: QuantumCircuit, parameters: NDArray[np.float64], wanted: Sequence[Mapping[observables.Term, float]]
) -> float:
    """Processor time that `values` is predicted to take, s; measured to a factor of two or so."""
    amplitudes = 2.0 ** len(_active(circuit))
    states = len({row.tobytes() for row in parameters})
    terms = sum(len(observable) for observable in wanted)
    evolved = states * (_STATE + len(circuit.data) * (_GATE + _AMPLITUDE * amplitudes))
    return evolved + terms * (_TERM + 2 * _AMPLITUDE * amplitudes)


def values(
    circuit: QuantumCircuit, parameters: NDArray[np.float64], wanted: Sequence[Mapping[observables.Term, float]]
) -> NDArray[np.float64]:
    """Expectation values, shape (elements).

    Args:
        circuit: For which `check` has nothing to say.
        parameters: Values of its parameters, shape (elements, parameters).
        wanted: The observable of each element.
    """
    active = _active(circuit)
    states: dict[bytes, Statevector] = {}
    found = np.zeros(len(wanted))
    for element, (row, observable) in enumerate(zip(parameters, wanted, strict=True)):
        key = row.tobytes()
        if key not in states:
            states.clear()  # one state at a time may be all that fits
            states[key] = Statevector(_reduced(circuit.assign_parameters(row), active))
        found[element] = _expected(states[key], observable, active)
    return found


def _active(circuit: QuantumCircuit) -> list[int]:
    """Qubits on which something happens, in ascending order; the first if nothing does."""
    found = {circuit.find_bit(qubit).index for step in circuit.data if step.name != "barrier" for qubit in step.qubits}
    return sorted(found) or [0]


def _reduced(circuit: QuantumCircuit, active: Sequence[int]) -> QuantumCircuit:
    places = {index: place for place, index in enumerate(active)}
    made = QuantumCircuit(len(active))
    for step in circuit.data:
        if step.name != "barrier":
            made.append(step.operation, [places[circuit.find_bit(qubit).index] for qubit in step.qubits])
    return made


def _expected(state: Statevector, observable: Mapping[observables.Term, float], active: Sequence[int]) -> float:
    """Of an observable; a qubit that nothing happens to is in the ground state."""
    places = {index: place for place, index in enumerate(active)}
    total = 0.0
    for term, coefficient in observable.items():
        rest = {qubit: letter for qubit, letter in term if qubit not in places}
        weight = coefficient * math.prod(_GROUND[letter] for letter in rest.values())
        if not weight:
            continue
        inside = {tuple((places[qubit], letter) for qubit, letter in term if qubit in places): weight}
        listed = [
            ("".join(letter for _, letter in product), [place for place, _ in product], factor)
            for product, factor in observables.paulis(inside).items()
        ]
        operator = SparsePauliOp.from_sparse_list(listed, num_qubits=len(active))
        total += float(np.real(state.expectation_value(operator)))
    return total


#: What a factor is worth for a qubit in the ground state.
_GROUND: Final = {"X": 0.0, "Y": 0.0, "Z": 1.0, "0": 1.0, "1": 0.0, "+": 0.5, "-": 0.5, "r": 0.5, "l": 0.5}
