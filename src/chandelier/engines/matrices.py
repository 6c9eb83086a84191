# SPDX-License-Identifier: Apache-2.0
"""Instructions given by numbers: states, matrices and channels, and what a simulator is asked to save.

Complex numbers are `[re, im]` on the wire; a real number may stand bare. In every matrix the instruction's
first qubit is the least significant.

Source: legacy API reference, section 12.2.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import qiskit_aer.library as aer
from numpy.typing import NDArray
from qiskit.circuit import Instruction, Operation
from qiskit.circuit.library import DiagonalGate, Initialize, PauliGate, UnitaryGate
from qiskit.quantum_info import Kraus, SparsePauliOp, SuperOp

from chandelier import errors
from chandelier.formats import qobj

Complex = NDArray[np.complex128]

#: Largest number of qubits of a matrix and of a channel, so that no instruction is bigger than a job.
MAX_MATRIX_QUBITS: Final = 10
MAX_CHANNEL_QUBITS: Final = 5
TOLERANCE: Final = 1e-6

#: `snapshot_type` of a `snapshot`: the instruction that does the same.
SNAPSHOTS: Final[Mapping[str, str]] = {
    "statevector": "save_statevector",
    "density_matrix": "save_density_matrix",
    "probabilities": "save_probabilities_dict",
    "unitary": "save_unitary",
    "stabilizer": "save_stabilizer",
}

#: Start of the label under which a snapshot is saved, so that it can be told from what the user saved.
SNAPSHOT_PREFIX: Final = "snapshot:"

_SAVES: Final[Mapping[str, Callable[..., Instruction]]] = {
    "save_clifford": aer.SaveClifford,
    "save_density_matrix": aer.SaveDensityMatrix,
    "save_matrix_product_state": aer.SaveMatrixProductState,
    "save_probabilities": aer.SaveProbabilities,
    "save_probabilities_dict": aer.SaveProbabilitiesDict,
    "save_stabilizer": aer.SaveStabilizer,
    "save_state": aer.SaveState,
    "save_statevector": aer.SaveStatevector,
    "save_statevector_dict": aer.SaveStatevectorDict,
    "save_superop": aer.SaveSuperOp,
    "save_unitary": aer.SaveUnitary,
}

#: Saves that know nothing of conditional collection.
_UNCONDITIONAL: Final = frozenset({"save_clifford", "save_superop", "save_unitary"})


def numbers(value: qobj.Json, depth: int) -> Complex:
    """Read nested lists of complex numbers.

    Args:
        value: JSON: `depth` levels of lists around numbers, each bare or as `[re, im]`.
        depth: 1 for a vector, 2 for a matrix, 3 for a list of matrices.

    Returns:
        complex128, `depth` axes.

    Raises:
        errors.ProgramRefused: Code 8004.
    """
    try:
        array = np.array(_nested(value, depth), dtype=np.complex128)
    except (TypeError, ValueError) as error:
        raise errors.ProgramRefused(f"its numbers do not form an array of {depth} dimensions", 8004) from error
    if array.ndim != depth or not array.size or not np.all(np.isfinite(array)):
        raise errors.ProgramRefused(f"its numbers do not form a finite array of {depth} dimensions", 8004)
    return array


def operation(instruction: qobj.Instruction) -> Operation:
    """Make the operation of an instruction of `BUILDERS`, after checking that it is physical.

    Raises:
        errors.ProgramRefused: Code 8004 or 8010.
    """
    count = len(instruction.qubits or ())
    return BUILDERS[instruction.name](instruction, count)


def unitary(matrix: Complex, count: int) -> UnitaryGate:
    """Make a gate of a matrix.

    Args:
        matrix: Shape (2**count, 2**count).
        count: Number of qubits.

    Raises:
        errors.ProgramRefused: Code 8004: of the wrong shape, or not unitary.
    """
    _sized(count, MAX_MATRIX_QUBITS)
    _shaped(matrix, (2**count, 2**count))
    if np.abs(matrix @ matrix.conj().T - np.eye(2**count)).max() > TOLERANCE:
        raise errors.ProgramRefused("its matrix is not unitary", 8004)
    return UnitaryGate(matrix, check_input=False)


def _unitary(instruction: qobj.Instruction, count: int) -> Operation:
    return unitary(numbers(_only(instruction.params), 2), count)


def _diagonal(instruction: qobj.Instruction, count: int) -> Operation:
    entries = numbers(instruction.params, 1)
    _sized(count, MAX_MATRIX_QUBITS)
    _shaped(entries, (2**count,))
    if np.abs(np.abs(entries) - 1).max() > TOLERANCE:
        raise errors.ProgramRefused("its diagonal entries are not of modulus 1", 8004)
    return DiagonalGate(list(entries / np.abs(entries)))


def _multiplexer(instruction: qobj.Instruction, count: int) -> Operation:
    """One matrix for each value of the controls; the matrices' qubits come first."""
    blocks = numbers(instruction.params, 3)
    _sized(count, MAX_MATRIX_QUBITS)
    size = blocks.shape[1]
    if blocks.shape[0] * size != 2**count or blocks.shape[2] != size:
        raise errors.ProgramRefused(f"its matrices do not fit {count} qubits", 8004)
    whole = np.zeros((2**count, 2**count), dtype=np.complex128)
    for index, block in enumerate(blocks):
        start = index * size
        whole[start : start + size, start : start + size] = block
    return unitary(whole, count)


def _kraus(instruction: qobj.Instruction, count: int) -> Operation:
    matrices = numbers(instruction.params, 3)
    _sized(count, MAX_CHANNEL_QUBITS)
    _shaped(matrices[0], (2**count, 2**count))
    total = np.einsum("kji,kjl->il", matrices.conj(), matrices)
    if np.abs(total - np.eye(2**count)).max() > TOLERANCE:
        raise errors.ProgramRefused("its Kraus operators do not preserve the trace", 8004)
    return Instruction("kraus", count, 0, list(matrices))


def _superop(instruction: qobj.Instruction, count: int) -> Operation:
    """Any channel is a set of Kraus operators, which every method takes."""
    matrix = numbers(_only(instruction.params), 2)
    _sized(count, MAX_CHANNEL_QUBITS)
    _shaped(matrix, (4**count, 4**count))
    channel = SuperOp(matrix)
    if not channel.is_cptp(atol=TOLERANCE, rtol=0):
        raise errors.ProgramRefused("its superoperator is not completely positive and trace preserving", 8004)
    return Instruction("kraus", count, 0, list(Kraus(channel).data))


def _initialize(instruction: qobj.Instruction, count: int) -> Operation:
    params = instruction.params
    if isinstance(params, str):
        params = list(params)
    if isinstance(params, list) and params and all(isinstance(part, str) for part in params):
        label = "".join(params)
        if len(label) != count or not set(label) <= set("01+-rl"):
            raise errors.ProgramRefused(f"its label {label!r} does not name a state of {count} qubits", 8004)
        return Initialize(label).definition.to_instruction()
    if isinstance(params, list) and len(params) == 1 and isinstance(params[0], int):
        if not 0 <= params[0] < 2**count:
            raise errors.ProgramRefused(f"{params[0]} is not a state of {count} qubits", 8004)
        return Initialize(params[0], count).definition.to_instruction()
    return Initialize(_state(params, count))


def _state(params: qobj.Json, count: int) -> Complex:
    amplitudes = numbers(params, 1)
    _shaped(amplitudes, (2**count,))
    norm = float(np.linalg.norm(amplitudes))
    if abs(norm - 1) > TOLERANCE:
        raise errors.ProgramRefused(f"its amplitudes have norm {norm:.6g}, not 1", 8004)
    return amplitudes / norm


def _set_statevector(instruction: qobj.Instruction, count: int) -> Operation:
    params = instruction.params
    flat = params[0] if isinstance(params, list) and len(params) == 1 else params
    return aer.SetStatevector(_state(flat, count))


def _set_density_matrix(instruction: qobj.Instruction, count: int) -> Operation:
    matrix = numbers(_only(instruction.params), 2)
    _sized(count, MAX_MATRIX_QUBITS)
    _shaped(matrix, (2**count, 2**count))
    values = np.linalg.eigvalsh((matrix + matrix.conj().T) / 2)
    hermitian = np.abs(matrix - matrix.conj().T).max() <= TOLERANCE
    if not hermitian or abs(values.sum() - 1) > TOLERANCE or values[0] < -TOLERANCE:
        raise errors.ProgramRefused("its matrix is not a density matrix", 8004)
    return aer.SetDensityMatrix(matrix)


def _pauli(instruction: qobj.Instruction, count: int) -> Operation:
    label = _only(instruction.params)
    if not isinstance(label, str) or len(label) != count or not set(label) <= set("IXYZ"):
        raise errors.ProgramRefused(f"its label {label!r} does not name {count} Pauli operators", 8004)
    return PauliGate(label)


def _save(instruction: qobj.Instruction, count: int) -> Operation:
    name, how = instruction.name, instruction.snapshot_type or ""
    options: dict[str, Any] = {"pershot": how.endswith("list")}
    if name not in _UNCONDITIONAL:
        options["conditional"] = how.startswith("c_")
    if instruction.label:
        options["label"] = instruction.label
    return _SAVES[name](count, **options)


def _save_expectation(instruction: qobj.Instruction, count: int) -> Operation:
    """`params` is a list of `[Pauli label, [coefficient, of the variance]]`."""
    terms = instruction.params
    try:
        labels = [str(label) for label, _ in terms]
        weights = [float(np.ravel(weight)[0]) for _, weight in terms]
        observable = SparsePauliOp(labels, weights)
    except (TypeError, ValueError, IndexError) as error:
        raise errors.ProgramRefused("its parameters are not a list of Pauli terms", 8004) from error
    except Exception as error:
        raise errors.ProgramRefused(f"its Pauli terms are wrong: {error}", 8004) from error
    if observable.num_qubits != count:
        raise errors.ProgramRefused(f"its Pauli terms are of {observable.num_qubits} qubits", 8004)
    how = instruction.snapshot_type or ""
    variance = instruction.name == "save_expval_var"
    make = aer.SaveExpectationValueVariance if variance else aer.SaveExpectationValue
    label = instruction.label or ("expectation_value_variance" if variance else "expectation_value")
    return make(observable, label, pershot=how.endswith("list"), conditional=how.startswith("c_"))


def _save_amplitudes(instruction: qobj.Instruction, count: int) -> Operation:
    states = instruction.params
    if not isinstance(states, list) or not all(
        isinstance(state, int) and not isinstance(state, bool) and 0 <= state < 2**count for state in states
    ):
        raise errors.ProgramRefused("its parameters are not states of its qubits", 8004)
    squared = instruction.name == "save_amplitudes_sq"
    make = aer.SaveAmplitudesSquared if squared else aer.SaveAmplitudes
    label = instruction.label or ("amplitudes_squared" if squared else "amplitudes")
    return make(count, states, label)


def _snapshot(instruction: qobj.Instruction, count: int) -> Operation:
    kind = _kind(instruction)
    if kind not in SNAPSHOTS:
        raise errors.ProgramRefused(f"snapshots of type {kind!r} are not supported", 8010)
    label = f"{SNAPSHOT_PREFIX}{kind}:{instruction.label or ''}"
    return _SAVES[SNAPSHOTS[kind]](count, label=label)


def saved_as(instruction: qobj.Instruction) -> str:
    """Name of the instruction that does what this one does: a snapshot's by its type, else its own."""
    if instruction.name != "snapshot":
        return instruction.name
    return SNAPSHOTS.get(_kind(instruction), instruction.name)


def _kind(instruction: qobj.Instruction) -> str:
    return instruction.snapshot_type or instruction.kind or "statevector"


def _only(params: qobj.Json) -> qobj.Json:
    if not isinstance(params, list) or len(params) != 1:
        raise errors.ProgramRefused("it takes exactly one parameter", 8004)
    return params[0]


def _nested(value: qobj.Json, depth: int) -> qobj.Json:
    if depth:
        return [_nested(part, depth - 1) for part in value]
    if isinstance(value, list):
        real, imaginary = value
        return complex(real, imaginary)
    return complex(value)


def _sized(count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise errors.ProgramRefused(f"it acts on {count} qubits; 1 to {most} are possible", 8010)


def _shaped(array: Complex, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise errors.ProgramRefused(f"its numbers have shape {array.shape}, not {shape}", 8004)


#: Instructions given by numbers, and how each is made.
BUILDERS: Final[Mapping[str, Callable[[qobj.Instruction, int], Operation]]] = {
    "diagonal": _diagonal,
    "initialize": _initialize,
    "kraus": _kraus,
    "multiplexer": _multiplexer,
    "pauli": _pauli,
    "save_amplitudes": _save_amplitudes,
    "save_amplitudes_sq": _save_amplitudes,
    "save_expval": _save_expectation,
    "save_expval_var": _save_expectation,
    "set_density_matrix": _set_density_matrix,
    "set_statevector": _set_statevector,
    "snapshot": _snapshot,
    "superop": _superop,
    "unitary": _unitary,
    **dict.fromkeys(_SAVES, _save),
}
