# SPDX-License-Identifier: Apache-2.0
"""Instructions given by numbers: states, matrices and channels.

Complex numbers are `[re, im]` on the wire; a real number may stand bare. In every matrix the instruction's
first qubit is the least significant.

Source: legacy API reference, section 12.2.
"""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import qiskit_aer.library as aer
from numpy.typing import NDArray
from qiskit.circuit import Instruction, Operation
from qiskit.circuit.library import DiagonalGate, Initialize, PauliGate, UnitaryGate
from qiskit.exceptions import QiskitError
from qiskit.quantum_info import Clifford, Kraus, SuperOp

from chandelier import errors
from chandelier.formats import qobj

Complex = NDArray[np.complex128]

#: Largest number of qubits of a matrix and of a channel, so that no instruction is bigger than a job.
MAX_MATRIX_QUBITS: Final = 10
MAX_CHANNEL_QUBITS: Final = 5
TOLERANCE: Final = 1e-6


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


def channel(matrix: Complex, count: int) -> SuperOp:
    """Make a channel of a superoperator.

    Args:
        matrix: Shape (4**count, 4**count), on columns of the density matrix one below the other.
        count: Number of qubits.

    Raises:
        errors.ProgramRefused: Code 8004 or 8010: of the wrong shape, too large, or not a channel.
    """
    _sized(count, MAX_CHANNEL_QUBITS)
    _shaped(matrix, (4**count, 4**count))
    found = SuperOp(matrix)
    if not found.is_cptp(atol=TOLERANCE, rtol=0):
        raise errors.ProgramRefused("its superoperator is not completely positive and trace preserving", 8004)
    return found


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
    found = channel(numbers(_only(instruction.params), 2), count)
    return Instruction("kraus", count, 0, list(Kraus(found).data))


def _initialize(instruction: qobj.Instruction, count: int) -> Operation:
    params = instruction.params
    if isinstance(params, str):
        params = list(params)
    if isinstance(params, list) and params and all(isinstance(part, str) for part in params):
        label = "".join(params)
        if len(label) != count or not set(label) <= set("01+-rl"):
            raise errors.ProgramRefused(f"its label {label!r} does not name a state of {count} qubits", 8004)
        return Initialize(label).definition.to_instruction()
    if isinstance(params, list) and len(params) == 1 and type(params[0]) is int:
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


def _set_unitary(instruction: qobj.Instruction, count: int) -> Operation:
    return aer.SetUnitary(unitary(numbers(_only(instruction.params), 2), count).params[0])


def _set_superop(instruction: qobj.Instruction, count: int) -> Operation:
    return aer.SetSuperOp(channel(numbers(_only(instruction.params), 2), count).data)


def _set_stabilizer(instruction: qobj.Instruction, count: int) -> Operation:
    """`params` is `[{"stabilizer": [labels], "destabilizer": [labels]}]`."""
    try:
        state = Clifford.from_dict(_only(instruction.params))
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, QiskitError) as error:
        raise errors.ProgramRefused("its parameter is not a list of stabilizers and destabilizers", 8004) from error
    if state.num_qubits != count:
        raise errors.ProgramRefused(f"its state is of {state.num_qubits} qubits, not {count}", 8004)
    return aer.SetStabilizer(state)


def _set_matrix_product_state(instruction: qobj.Instruction, count: int) -> Operation:
    """`params` is `[[sites, weights]]`: two matrices for each qubit, and the Schmidt numbers between neighbours."""
    try:
        sites, weights = _only(instruction.params)
        pairs = [(numbers(zero, 2), numbers(one, 2)) for zero, one in sites]
        bonds = [numbers(values, 1).real for values in weights]
    except (TypeError, ValueError) as error:
        raise errors.ProgramRefused("its parameter is not a matrix product state", 8004) from error
    if len(pairs) != count or len(bonds) != count - 1:
        raise errors.ProgramRefused(f"its state is of {len(pairs)} qubits, not {count}", 8004)
    widths = [1, *map(len, bonds), 1]
    for place, pair in enumerate(pairs):
        for matrix in pair:
            _shaped(matrix, (widths[place], widths[place + 1]))
    norm = _norm(pairs, bonds)
    if abs(norm - 1) > TOLERANCE:
        raise errors.ProgramRefused(f"its state has norm {norm:.6g}, not 1", 8004)
    return aer.SetMatrixProductState((pairs, bonds))


def _norm(pairs: Sequence[tuple[Complex, Complex]], bonds: Sequence[NDArray[np.float64]]) -> float:
    """Norm of a matrix product state: the product over the chain of its matrices with the numbers between them."""
    whole = np.ones((1, 1), dtype=np.complex128)
    for pair, bond in zip(pairs, [*bonds, np.ones(1)], strict=True):
        sites = np.stack(pair) * bond
        whole = np.einsum("sba,bc,scd->ad", sites.conj(), whole, sites)
    return math.sqrt(abs(complex(whole[0, 0])))


def _pauli(instruction: qobj.Instruction, count: int) -> Operation:
    label = _only(instruction.params)
    if not isinstance(label, str) or len(label) != count or not set(label) <= set("IXYZ"):
        raise errors.ProgramRefused(f"its label {label!r} does not name {count} Pauli operators", 8004)
    return PauliGate(label)


def _only(params: qobj.Json) -> qobj.Json:
    if not isinstance(params, list) or len(params) != 1:
        raise errors.ProgramRefused("it takes exactly one parameter", 8004)
    return params[0]


def number(value: qobj.Json) -> complex:
    """Read a complex number.

    Raises:
        TypeError, ValueError: It is none.
    """
    real, imaginary = value if isinstance(value, list | tuple) else (value, 0)
    if not _real(real) or not _real(imaginary):
        raise TypeError(f"{value!r:.40} is not a complex number")
    return complex(real, imaginary)


def _real(value: qobj.Json) -> bool:
    """Whether a value is a number that fits a double; to Python `true` is one too."""
    return type(value) is float or (type(value) is int and abs(value) <= sys.float_info.max)


def _nested(value: qobj.Json, depth: int) -> qobj.Json:
    return [_nested(part, depth - 1) for part in value] if depth else number(value)


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
    "set_density_matrix": _set_density_matrix,
    "set_matrix_product_state": _set_matrix_product_state,
    "set_stabilizer": _set_stabilizer,
    "set_statevector": _set_statevector,
    "set_superop": _set_superop,
    "set_unitary": _set_unitary,
    "superop": _superop,
    "unitary": _unitary,
}
