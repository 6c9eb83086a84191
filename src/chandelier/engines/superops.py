# SPDX-License-Identifier: Apache-2.0
"""What gates, their errors, waits and measurements do to a state, as real matrices that are made once and kept.

A state of n qubits is written by its Pauli coefficients tr(ρ·P), of which every one is real: 4ⁿ numbers instead of
the 4ⁿ complex ones of a density matrix, and a quarter of the work. A channel is then a real matrix, its Pauli
transfer matrix. The index of n qubits is that of the first one, times four, plus that of the second, and so on;
the four of a qubit are I, X, Y, Z.

Source: D. Greenbaum, arXiv:1509.02921, section 2.3.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from qiskit.quantum_info import SuperOp

from chandelier.engines import frontier, gates, matrices, noise, unitaries
from chandelier.engines import target as targets
from chandelier.formats import qobj

Floats = NDArray[np.float64]

#: Ground state.
GROUND: Final[Floats] = np.array([[1.0], [0.0], [0.0], [1.0]])
#: Outcomes of a measurement: row the outcome.
MEASURE: Final[Floats] = np.array([[0.5, 0.0, 0.0, 0.5], [0.5, 0.0, 0.0, -0.5]])
#: Forgetting a qubit.
TRACE: Final[Floats] = np.array([[1.0, 0.0, 0.0, 0.0]])
#: A measured qubit in the state that was found: for each outcome a matrix of its own.
COLLAPSE: Final[Floats] = np.stack([np.outer([1.0, 0.0, 0.0, sign], [0.5, 0.0, 0.0, 0.5 * sign]) for sign in (1, -1)])
RESET: Final[Floats] = np.outer([1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0])

#: Gates that turn about Z by their one angle; their phase does not matter.
TURNS: Final = frozenset({"rz", "u1", "p"})
_ONE: Final[Floats] = np.eye(4)

#: Most matrices of waits that are kept; beyond this they are forgotten and made again.
_MOST: Final = 20_000

_PAULIS: Final = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])

Key = tuple[object, ...]


class Kept:
    """The matrices of one device, or of one noise model.

    Attributes:
        error: Gives the matrix of the error of a gate on some qubits; None where it has none.
        qubits: Those that relax while they wait; empty where waiting does nothing.
        confusions: For each qubit that is misread float64, shape (2, 2): row what is read, column what is true.
        plain: Whether turns about Z have no error.
        alike: Whether a gate does the same on all qubits.
        made: Matrices of gates with their errors, by name, qubits and parameters; forgotten when they are too many.
        size: What these take, bytes.
        waits: Matrices of waits, by qubit and multiples of `noise.GRAIN`.
        ends: Matrices of measurements with their readout errors, by qubit.
    """

    def __init__(
        self,
        error: Callable[[str, tuple[int, ...]], Floats | None],
        qubits: Sequence[targets.QubitData] = (),
        confusions: dict[int, Floats] | None = None,
        *,
        alike: bool = False,
    ) -> None:
        self.error = error
        self.qubits = qubits
        self.confusions = confusions or {}
        self.plain: dict[targets.Site, bool] = {}
        self.alike = alike
        self.made: dict[Key, Floats] = {}
        self.size = 0
        self.waits: dict[tuple[int, int], Floats | None] = {}
        self.ends: dict[int, Floats] = {}


@functools.lru_cache(maxsize=8)
def of_device(target: targets.Target) -> Kept:
    """The matrices of a device, which are made when they are first used."""
    confusions = {
        index: np.array([[1 - data.flip_up, data.flip_down], [data.flip_up, 1 - data.flip_down]])
        for index, data in enumerate(target.qubits)
        if data.flip_up or data.flip_down
    }

    def error(name: str, qubits: tuple[int, ...]) -> Floats | None:
        found = noise.error(target, (name, qubits))
        return None if found is None else mistaken([target.qubits[index] for index in qubits], found)

    return Kept(error, target.qubits, confusions, alike=target.simulator)


def mistaken(qubits: Sequence[targets.QubitData], error: noise.Error) -> Floats:
    """The matrix of the error of a gate on some qubits."""
    matrix: Floats = np.ones((1, 1))
    for qubit in qubits:
        matrix = np.asarray(np.kron(matrix, relaxed(qubit, error.seconds)), dtype=np.float64)
    matrix[:, 1:] *= 1 - error.depolarised
    return matrix


def single(kept: Kept, step: qobj.Instruction) -> Floats | None:
    """The matrix of a gate, a reset or a wait of one qubit; None if it does nothing."""
    if step.name != "delay":
        return gate(kept, step)
    return wait(kept, (step.qubits or ())[0], float(step.params[0]))


def gate(kept: Kept, step: qobj.Instruction) -> Floats:
    """The matrix of a gate with its error."""
    name, qubits, params = step.name, step.qubits or (), step.params
    if name in TURNS and params and len(params) == 1:
        site = name, qubits
        plain = kept.plain.get(site)
        if plain is None:
            plain = kept.plain[site] = kept.error(name, qubits) is None
        if plain:
            return _turn(params[0])
    try:
        where = len(qubits) if kept.alike else qubits
        key: Key = (name, where, *params) if params else (name, where)
        found = kept.made.get(key)
    except TypeError:  # parameters that are lists: a matrix or a channel
        return _gate(kept, step)
    if found is None:
        found = _gate(kept, step)
        _keep(kept, key, found)
    return found


def _keep(kept: Kept, key: Key, matrix: Floats) -> None:
    kept.size += matrix.nbytes + frontier.KEY_BYTES
    if kept.size > frontier.KEPT_BYTES:
        kept.made.clear()
        kept.size = matrix.nbytes + frontier.KEY_BYTES
    kept.made[key] = matrix


def _gate(kept: Kept, step: qobj.Instruction) -> Floats:
    name, qubits = step.name, step.qubits or ()
    matrix = RESET if name == "reset" else ideal(step)
    error = kept.error(name, qubits)
    return matrix if error is None else np.dot(error, matrix)


def ideal(step: qobj.Instruction) -> Floats:
    """The matrix of a gate or channel without its error."""
    name, qubits = step.name, step.qubits or ()
    if name not in gates.SHAPES:
        return transfer(SuperOp(matrices.operation(step)).data)
    if name in TURNS:
        return _turn(gates.parameters(name, len(qubits), step.params)[0])
    return transfer_of_unitary(unitaries.whole(step))


def _turn(angle: float) -> Floats:
    """A turn about Z, radians."""
    matrix = _ONE.copy()
    sine = math.sin(angle)
    matrix[1, 1] = matrix[2, 2] = math.cos(angle)
    matrix[2, 1], matrix[1, 2] = sine, -sine
    return matrix


def wait(kept: Kept, qubit: int, seconds: float) -> Floats | None:
    """The matrix of a qubit that waits; None if nothing happens to it."""
    if not kept.qubits:
        return None
    key = (qubit, round(seconds / noise.GRAIN))
    if key not in kept.waits:
        if len(kept.waits) > _MOST:
            kept.waits.clear()
        data = kept.qubits[qubit]
        still = math.isinf(data.t1) and math.isinf(data.t2)
        kept.waits[key] = None if still else relaxed(data, key[1] * noise.GRAIN)
    return kept.waits[key]


def relaxed(qubit: targets.QubitData, seconds: float) -> Floats:
    """Relaxation to the ground state: populations decay with T1, coherences with T2."""
    keep, coherence = noise.decay(qubit, seconds)
    matrix = np.diag([1.0, coherence, coherence, keep])
    matrix[3, 0] = 1 - keep
    return matrix


def measured(kept: Kept, qubit: int) -> Floats:
    """The matrix from a qubit to what is read of it: float64, shape (2, 4)."""
    found = kept.ends.get(qubit)
    if found is None:
        confusion = kept.confusions.get(qubit)
        found = kept.ends[qubit] = MEASURE if confusion is None else confusion @ MEASURE
    return found


def looked_at(kept: Kept, qubit: int) -> Floats:
    """For each outcome that is read the matrix from a qubit to the qubit after that: float64, shape (2, 4, 4)."""
    confusion = kept.confusions.get(qubit, np.eye(2))
    return np.tensordot(confusion, COLLAPSE, axes=1)


def transfer(superop: NDArray[np.complex128]) -> Floats:
    """Write a superoperator by Pauli coefficients.

    Args:
        superop: complex128, shape (4ⁿ, 4ⁿ), on stacked columns of the density matrix; first qubit least significant.
    """
    basis = _stacked(round(math.log(superop.shape[0], 4)))
    return np.ascontiguousarray((basis.conj() @ superop @ basis.T).real / math.isqrt(superop.shape[0]))


def transfer_of_unitary(unitary: NDArray[np.complex128]) -> Floats:
    """Write a unitary by Pauli coefficients.

    Args:
        unitary: complex128, shape (2ⁿ, 2ⁿ), first qubit least significant.
    """
    size = unitary.shape[0]
    basis = _stacked(size.bit_length() - 1)
    turned = unitary @ basis.reshape(-1, size, size).transpose(0, 2, 1) @ unitary.conj().T
    columns = turned.transpose(0, 2, 1).reshape(-1, size * size)
    return np.ascontiguousarray((basis.conj() @ columns.T).real / size)


@functools.cache
def _stacked(qubits: int) -> NDArray[np.complex128]:
    """All Pauli operators of some qubits, each as its stacked columns: complex128, shape (4ⁿ, 4ⁿ)."""
    operators = np.ones((1, 1, 1), dtype=np.complex128)
    for _ in range(qubits):  # a later qubit is more significant in the operator, and less in the index
        operators = np.einsum("iab,jcd->ijcadb", operators, _PAULIS).reshape(
            len(operators) * 4, operators.shape[1] * 2, operators.shape[2] * 2
        )
    return np.ascontiguousarray(operators.transpose(0, 2, 1).reshape(len(operators), -1))
