# SPDX-License-Identifier: Apache-2.0
"""Circuits put together again from other instructions on the same wires."""

from collections.abc import Iterable

from qiskit.circuit import CircuitInstruction, QuantumCircuit


def rebuilt(circuit: QuantumCircuit, steps: Iterable[CircuitInstruction]) -> QuantumCircuit:
    """Make a circuit with the wires, registers and variables of another.

    Args:
        circuit: The other.
        steps: Its instructions.
    """
    made = circuit.copy_empty_like()
    if circuit.num_vars or circuit.num_stretches:
        for step in steps:
            made.append(step, copy=False)
    else:
        # The steps were checked with the other circuit; checking them again takes ten times as long.
        for step in steps:
            made._append(step)  # noqa: SLF001 -- Qiskit's own way to do that
    return made
