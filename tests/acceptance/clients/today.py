# SPDX-License-Identifier: Apache-2.0
"""What the scripts for the clients of the Runtime API share: circuits, looking again, reporting."""

import json
import time
import warnings
from collections.abc import Callable
from typing import Any

from qiskit import QuantumCircuit

warnings.simplefilter("ignore")


def report(**seen: Any) -> None:
    """Print what was seen."""
    print(json.dumps(seen))  # noqa: T201


def attempt(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """Return the name and text of the exception that a call raises; empty when it raises none."""
    try:
        call(*arguments, **options)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the observation
        return f"{type(error).__name__}: {error}"
    return ""


def eventually(look: Callable[[], Any], wanted: Any, limit: float = 30.0) -> Any:
    """Return what is seen once it is what is wanted, or else at the end."""
    end = time.monotonic() + limit
    while (seen := look()) != wanted and time.monotonic() < end:
        time.sleep(0.1)
    return seen


def bell() -> QuantumCircuit:
    """Return a Bell circuit that measures all."""
    circuit = QuantumCircuit(2, name="bell")
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def flipped(qubits: int = 1) -> QuantumCircuit:
    """Return a circuit without any chance, in gates that every device since 2021 has."""
    circuit = QuantumCircuit(qubits, name="flipped")
    circuit.x(range(qubits))
    circuit.measure_all()
    return circuit


def slow() -> QuantumCircuit:
    """Return a circuit that is evolved shot by shot, at some hundred shots a second.

    The measurements behind each layer and a gate of five qubits take every short cut away.
    """
    qubits = 12
    circuit = QuantumCircuit(qubits, qubits, name="slow")
    for _ in range(3):
        for qubit in range(qubits):
            circuit.rx(0.3 + 0.1 * qubit, qubit)
        for qubit in range(qubits - 1):
            circuit.cx(qubit, qubit + 1)
        circuit.mcx([0, 3, 6, 9], 11)
        circuit.measure(range(qubits), range(qubits))
    return circuit
