# SPDX-License-Identifier: Apache-2.0
"""A second simulator: Qulacs, which knows the gates only by the matrices of `definitions`."""

from collections.abc import Sequence

import definitions
import numpy as np
from numpy.typing import NDArray
from physics import Json
from qulacs import QuantumState
from qulacs.gate import DenseMatrix

#: Chances of words of memory, float64, shape (2**slots,).
Chances = NDArray[np.float64]


def evolved(steps: Sequence[Json], qubits: int, start: definitions.Matrix | None = None) -> definitions.Matrix:
    """The state that gates make, complex128, shape (2**qubits,); from |0…0⟩ unless another one is given."""
    state = QuantumState(qubits)
    if start is not None:
        state.load(start.tolist())
    for step in steps:
        if step["name"] != "barrier":
            places = step["qubits"]
            factor = definitions.matrix(step["name"], step.get("params", ()), len(places))
            DenseMatrix(places, factor.tolist()).update_quantum_state(state)
    found: definitions.Matrix = state.get_vector()
    return found


def unitary(steps: Sequence[Json], qubits: int) -> definitions.Matrix:
    """The matrix of gates, column by column."""
    return np.stack([evolved(steps, qubits, column) for column in np.eye(1 << qubits, dtype=np.complex128)], axis=1)


def chances(state: definitions.Matrix, slots: Sequence[tuple[int, int]]) -> Chances:
    """What is read of a state.

    Args:
        state: complex128, shape (2**qubits,).
        slots: Pairs of a qubit and the memory slot that it is measured into.
    """
    memory = np.zeros(1 << 1 + max(slot for _, slot in slots))
    outcomes = np.arange(len(state))
    words = sum((outcomes >> qubit & 1) << slot for qubit, slot in slots)
    np.add.at(memory, words, np.abs(state) ** 2)
    return memory
