# SPDX-License-Identifier: Apache-2.0
"""Noise models that users send to a simulator, read by allow-list.

Source: the JSON form of Aer's NoiseModel; its own reader is deprecated and wants complex numbers, not JSON.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from qiskit.circuit import QuantumCircuit
from qiskit_aer.noise import NoiseModel, QuantumError, ReadoutError
from qiskit_aer.noise.noiseerror import NoiseError

from chandelier import errors
from chandelier.engines import circuits, gates, methods
from chandelier.formats import qobj

MAX_ERRORS: Final = 10_000
MAX_ERROR_QUBITS: Final = 4

#: What an error may do to the qubits.
ALLOWED: Final = gates.CLIFFORD | {"kraus", "unitary", "superop", "reset", "t", "tdg"}


class _Error(msgspec.Struct, frozen=True):
    type: Literal["qerror", "roerror"]
    probabilities: list[Any]
    operations: list[str] = []
    instructions: list[list[qobj.Instruction]] = []
    gate_qubits: list[list[int]] | None = None


class _Model(msgspec.Struct, frozen=True):
    errors: Annotated[list[_Error], msgspec.Meta(max_length=MAX_ERRORS)] = []


def read(raw: msgspec.Raw, layout: Sequence[int] | None = None) -> NoiseModel | None:
    """Read a noise model; None if there is none, or an empty one.

    Args:
        raw: JSON.
        layout: The model's qubits in the order of the circuits'; errors of others are left out. None where both
            have the same numbers.

    Raises:
        errors.ProgramRefused: Code 8010; the message says what about the model is wrong.
    """
    document = qobj.document(raw)
    if not document:
        return None
    try:
        wire = msgspec.convert(document, _Model)
        noise = NoiseModel()
        for error in wire.errors:
            _add(noise, error, layout)
    except errors.ProgramRefused as error:
        raise errors.ProgramRefused(f"The noise model is not supported: {error.message}", 8010) from error
    except (NoiseError, ValueError, TypeError, msgspec.ValidationError) as error:
        raise errors.ProgramRefused(f"The noise model is not supported: {error}.", 8010) from error
    return noise


def _add(noise: NoiseModel, error: _Error, layout: Sequence[int] | None) -> None:
    sites = _sites(error.gate_qubits or [], layout)
    if error.type == "roerror":
        readout = ReadoutError(error.probabilities)
        if error.gate_qubits is None:
            noise.add_all_qubit_readout_error(readout, warnings=False)
        for qubits in sites:
            noise.add_readout_error(readout, qubits, warnings=False)
        return
    if len(error.instructions) != len(error.probabilities):
        raise ValueError(f"{len(error.instructions)} branches have {len(error.probabilities)} probabilities")
    quantum = _quantum(error)
    if error.gate_qubits is None:
        noise.add_all_qubit_quantum_error(quantum, error.operations, warnings=False)
    for qubits in sites:
        noise.add_quantum_error(quantum, error.operations, qubits, warnings=False)


def _sites(gate_qubits: list[list[int]], layout: Sequence[int] | None) -> list[list[int]]:
    """The qubits of an error by their numbers in the circuits."""
    if layout is None:
        return gate_qubits
    place = {index: number for number, index in enumerate(layout)}
    return [[place[index] for index in qubits] for qubits in gate_qubits if place.keys() >= set(qubits)]


def _quantum(error: _Error) -> QuantumError:
    steps = [step for branch in error.instructions for step in branch]
    width = 1 + max((index for step in steps for index in step.qubits or ()), default=0)
    if width > MAX_ERROR_QUBITS:
        raise ValueError(f"an error acts on {width} qubits; up to {MAX_ERROR_QUBITS} are possible")
    branches = [_branch(branch, width) for branch in error.instructions]
    return QuantumError(list(zip(branches, error.probabilities, strict=True)))


def _branch(steps: list[qobj.Instruction], width: int) -> QuantumCircuit:
    circuit = QuantumCircuit(width)
    for step in steps:
        if step.name not in ALLOWED or step.conditional is not None:
            raise ValueError(f"an error contains {step.name[:60]!r}")
        if step.name == "reset":
            circuit.reset(list(step.qubits or ()))
            continue
        for operation, places in circuits.operations(step, methods.native(methods.STATEVECTOR), circuit):
            circuit.append(operation, [(step.qubits or ())[place] for place in places])
    return circuit
