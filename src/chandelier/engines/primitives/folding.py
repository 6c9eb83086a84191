# SPDX-License-Identifier: Apache-2.0
"""Circuits with more noise than they have: gates on two qubits, each followed by its inverse and itself again.

Folding a gate k times makes it 2k + 1 gates that do the same with so many times the error. For factors between, only
some of the gates are folded once more than the others.

Source: T. Giurgica-Tiron et al., arXiv:2005.10921, section III A; names of the amplifiers: protocol, Runtime API, 7.2.
"""

from typing import NamedTuple

import numpy as np
from qiskit.circuit import CircuitInstruction, Gate, QuantumCircuit

from chandelier.engines.primitives import rebuilding


class Folded(NamedTuple):
    """A circuit with more noise.

    Attributes:
        circuit: The circuit.
        factor: By how much the number of its gates on two qubits grew; 1 if it has none.
    """

    circuit: QuantumCircuit
    factor: float


def folded(circuit: QuantumCircuit, factor: float, amplifier: str, source: np.random.Generator) -> Folded:
    """Fold the two-qubit gates of a circuit.

    Args:
        circuit: Of which gates inside branches are left as they are.
        factor: By how much their number is to grow, at least 1; what comes closest is done.
        amplifier: Which gates are folded once more than others: `gate_folding` at random, `gate_folding_front` the
            first, `gate_folding_back` the last.
        source: Decides on them.
    """
    places = [index for index, step in enumerate(circuit.data) if _foldable(step.operation)]
    folds = round((factor - 1) / 2 * len(places))
    if not folds:
        return Folded(circuit, 1.0)
    each, more = divmod(folds, len(places))
    order = places[::-1] if amplifier == "gate_folding_back" else places
    if amplifier == "gate_folding":
        order = source.permutation(places).tolist()
    chosen = set(order[:more])
    times = {index: each + (index in chosen) for index in places}
    steps: list[CircuitInstruction] = []
    for index, step in enumerate(circuit.data):
        steps.append(step)
        if times.get(index):
            steps += [CircuitInstruction(step.operation.inverse(), step.qubits), step] * times[index]
    return Folded(rebuilding.rebuilt(circuit, steps), 1 + 2 * folds / len(places))


def _foldable(operation: object) -> bool:
    return isinstance(operation, Gate) and operation.num_qubits == 2
