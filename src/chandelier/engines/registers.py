# SPDX-License-Identifier: Apache-2.0
"""How the wires of a circuit are called in the header of an experiment, by which clients cut outcomes."""

from collections.abc import Sequence

from qiskit.circuit import Clbit, QuantumCircuit, Qubit


def labels(circuit: QuantumCircuit, wires: Sequence[Qubit] | Sequence[Clbit], kind: str) -> list[tuple[str, int]]:
    """Register and place of each wire; one that is in no register is one of its own, named by its kind and number."""
    found = []
    for index, wire in enumerate(wires):
        registers = circuit.find_bit(wire).registers
        found.append((registers[0][0].name, registers[0][1]) if registers else (f"{kind}{index}", 0))
    return found


def sizes(labelled: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """The registers in the order of their wires, which add up to all of them."""
    found: dict[str, int] = {}
    for name, _ in labelled:
        found[name] = found.get(name, 0) + 1
    return list(found.items())
