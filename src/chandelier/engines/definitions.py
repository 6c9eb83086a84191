# SPDX-License-Identifier: Apache-2.0
"""What an operation of a circuit consists of, where the engine does not know it by its name."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import ControlledGate, Gate, Instruction, Operation, ParameterExpression, QuantumCircuit
from qiskit.exceptions import QiskitError
from qiskit.transpiler.passes import HighLevelSynthesis

from chandelier import errors
from chandelier.engines import gates

#: Where the gates live whose names mean what the engine means by them.
_LIBRARY: Final = ("qiskit.circuit.library.", "qiskit_aer.library.")
#: Instructions that a program gives by numbers.
NUMERIC: Final = frozenset({"diagonal", "initialize", "kraus", "pauli", "superop", "unitary"})
#: What is nothing but a name, unless it has a definition.
_BARE: Final = frozenset({ControlledGate, Gate, Instruction})

#: An operation, its qubits and its memory slots.
Part = tuple[Operation, Sequence[int], Sequence[int]]


def ours(operation: Operation) -> bool:
    """Whether an operation is a gate that the engine knows by its name.

    A gate that a program defines may be called like one of ours and be another; one that it only names can be
    none but the device's.
    """
    if not isinstance(operation, Gate) or operation.name not in gates.SHAPES:
        return False
    return operation.base_class.__module__.startswith(_LIBRARY) or operation.definition is None


def defined(operation: Operation, qubits: Sequence[int]) -> tuple[float, list[Part]]:
    """What an operation consists of, by places among its own wires."""
    if operation.num_qubits != len(qubits):
        raise errors.ProgramRefused(f"{operation.name[:60]!r} does not act on {len(qubits)} qubits.", 8004)
    definition: QuantumCircuit | None = getattr(operation, "definition", None)
    if definition is None and type(operation) not in _BARE:
        definition = _synthesized(operation)
    if definition is None:
        raise errors.ProgramRefused(
            f"{operation.name[:60]!r} is no gate of the device, and the circuit does not define it. "
            "Transpile the circuit for the device.",
            8001,
        )
    places, bits = numbered(definition.qubits), numbered(definition.clbits)
    parts: list[Part] = [
        (step.operation, [places[qubit] for qubit in step.qubits], [bits[bit] for bit in step.clbits])
        for step in definition.data
    ]
    return angle(definition.global_phase), parts


def _synthesized(operation: Operation) -> QuantumCircuit | None:
    """What an operation consists of that says by other means than a circuit what it does: a permutation, a tableau."""
    whole = QuantumCircuit(operation.num_qubits, operation.num_clbits)
    whole.append(operation, whole.qubits, whole.clbits)
    try:
        made: QuantumCircuit = HighLevelSynthesis()(whole)
    except (QiskitError, ValueError) as error:
        raise errors.ProgramRefused(
            f"{operation.name[:60]!r} cannot be decomposed: {str(error)[:200]}.", 8001
        ) from error
    return None if any(step.operation.name == operation.name for step in made.data) else made


def numbers(name: str, params: Sequence[Any]) -> Any:
    """The parameters of an instruction given by numbers, as JSON."""
    if name == "pauli" or all(isinstance(value, str) for value in params):
        return list(params)
    if name == "initialize" and len(params) == 1:
        return [int(np.real(params[0]))]
    if name in {"initialize", "diagonal"}:
        return _pairs(np.asarray(params, dtype=np.complex128))
    return [_pairs(np.asarray(value, dtype=np.complex128)) for value in params]


def _pairs(array: NDArray[np.complex128]) -> Any:
    return np.stack([array.real, array.imag], axis=-1).tolist()


def placed(parts: Iterable[Part], qubits: Sequence[int], slots: Sequence[int]) -> Iterator[Part]:
    """Put parts on the wires of the whole."""
    for operation, quantum, classical in parts:
        yield operation, [qubits[place] for place in quantum], [slots[place] for place in classical]


def numbered(bits: Iterable[Any]) -> dict[Any, int]:
    """The place of each wire."""
    return {bit: index for index, bit in enumerate(bits)}


def angle(value: Any) -> float:
    """A global phase, which no outcome depends on: 0 while a parameter is free."""
    return 0.0 if isinstance(value, ParameterExpression) and value.parameters else real(value)


def real(value: Any) -> float:
    """Read a number.

    Raises:
        errors.ProgramRefused: Code 8004: it is not real, or not finite.
    """
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise errors.ProgramRefused(f"The parameter {str(value)[:60]!r} is not a real number.", 8004) from error
    if not math.isfinite(number):
        raise errors.ProgramRefused(f"A parameter is {number}; it must be finite.", 8004)
    return number
