# SPDX-License-Identifier: Apache-2.0
"""What the scripts for the old client share: logging in, watching its debug log, reporting."""

import json
import logging
import re
import sys
import warnings
from typing import Any

from qiskit import IBMQ, QuantumCircuit

warnings.simplefilter("ignore")


class Diary(logging.Handler):
    """Keeps what the client itself logs about its requests and its sockets."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        logger = logging.getLogger("qiskit.providers.ibmq")
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        # The client brings a handler of its own, which would tell all of this again on standard error.
        logger.handlers[:] = [self]

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(record.getMessage())

    def count(self, pattern: str) -> int:
        """Return how many lines match."""
        return sum(re.search(pattern, line) is not None for line in self.lines)


def enable() -> Any:
    """Log in as a user would, with the URL and the token of the command line; returns the provider."""
    return IBMQ.enable_account(sys.argv[2], sys.argv[1])


def report(provider: Any, **seen: Any) -> None:
    """Print what was seen."""
    print(json.dumps({"access_token": provider.credentials.access_token, **seen}))  # noqa: T201


def attempt(call: Any, *arguments: Any, **options: Any) -> str:
    """Return the name and text of the exception that a call raises; empty when it raises none."""
    try:
        call(*arguments, **options)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the observation
        return f"{type(error).__name__}: {error}"
    return ""


def bell() -> QuantumCircuit:
    """Return a Bell circuit."""
    circuit = QuantumCircuit(2, 2, name="bell")
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def slow() -> QuantumCircuit:
    """Return a circuit that is evolved shot by shot, at some hundred shots a second.

    The measurements behind each layer and a gate of four qubits take every short cut away.
    """
    qubits = 12
    nothing = [[float(row == column) for column in range(16)] for row in range(16)]
    circuit = QuantumCircuit(qubits, qubits, name="slow")
    for _ in range(3):
        for qubit in range(qubits):
            circuit.rx(0.3 + 0.1 * qubit, qubit)
        for qubit in range(qubits - 1):
            circuit.cx(qubit, qubit + 1)
        circuit.unitary(nothing, [0, 4, 8, 11])
        circuit.measure(range(qubits), range(qubits))
    return circuit
