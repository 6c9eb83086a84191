# SPDX-License-Identifier: Apache-2.0
"""The circuits that learn the noise of a layer: it is repeated between random Pauli operators, and measured.

Every circuit is: a preparation, d pairs of the dressed layer, a rotation into the basis that is measured. A dressing is
one gate on each qubit, always of the same pulses, as twirled circuits of users have it, so that what is learned is the
noise of a layer with its dressing. All dressings are random, each undoes the one before, and the last turns
measurements around at random, which is told with them.

Source: E. van den Berg et al., arXiv:2201.09866, figure 1; for measurements: arXiv:2012.09738.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import Gate, ParameterVector, QuantumCircuit
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import Clifford, PauliList
from qiskit.synthesis import OneQubitEulerDecomposer

from chandelier import errors
from chandelier.engines import target as targets
from chandelier.engines.primitives import lindblad

#: The code of a layer that cannot be learned.
UNLEARNABLE: Final = 8047

#: Rotations beside a Pauli operator: none, and into X, Z and Y; see `lindblad` for the numbers.
_PLAIN: Final = 0
_PREPARE: Final = 0
_MEASURE: Final = 4

_OPERATORS: Final = np.array(
    [[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[1, 0], [0, -1]], [[0, -1j], [1j, 0]]], dtype=np.complex128
)
#: What makes an eigenstate of X, Z or Y of 0.
_BASES: Final = np.array(
    [[[1, 0], [0, 1]], [[1, 1], [1, -1]], [[1, 0], [0, 1]], [[1, 1], [1j, -1j]]], dtype=np.complex128
) / np.array([1, np.sqrt(2), 1, np.sqrt(2)]).reshape(4, 1, 1)


@dataclasses.dataclass(frozen=True)
class Layer:
    """Gates that happen at once.

    Attributes:
        qubits: The device's qubits that are twirled, in order.
        gates: Names, the device's qubits and the angles of its gates.
    """

    qubits: tuple[int, ...]
    gates: tuple[tuple[str, tuple[int, ...], tuple[float, ...]], ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Circuits:
    """Random circuits of one setting and depth.

    Attributes:
        values: float64, shape (randomizations, parameters).
        flips: bool, shape (randomizations, qubits): which measurements are turned around.
    """

    values: NDArray[np.float64]
    flips: NDArray[np.bool_]


def circuit(layer: Layer) -> QuantumCircuit:
    """The gates of a layer alone, on as many qubits as it has."""
    place = {qubit: index for index, qubit in enumerate(layer.qubits)}
    made = QuantumCircuit(len(layer.qubits))
    for name, qubits, params in layer.gates:
        made.append(_gate(name, params), [place[qubit] for qubit in qubits])
    return made


def _gate(name: str, params: Sequence[Any]) -> Gate:
    made: Gate = type(get_standard_gate_name_mapping()[name])(*params)
    return made


def neighbours(layer: Layer, target: targets.Target) -> list[tuple[int, int]]:
    """Pairs of a layer's qubits, by their places, that are coupled on the device."""
    place = {qubit: index for index, qubit in enumerate(layer.qubits)}
    coupled = {tuple(sorted(pair)) for sites in target.edges.values() for pair in sites if len(pair) == 2}
    return sorted((place[a], place[b]) for a, b in coupled if a in place and b in place)


def model(layer: Layer, target: targets.Target) -> lindblad.Model:
    """What can be learned of a layer.

    Raises:
        errors.ProgramRefused: Code 8047: its gates are no Clifford gates, or it does not undo itself.
    """
    clifford, action = _clifford(layer)
    if not np.array_equal(action @ action % 2, np.eye(len(action))):
        raise errors.ProgramRefused(
            f"The layer on qubits {list(layer.qubits)} is not its own inverse, which learning its noise takes.",
            UNLEARNABLE,
        )
    size = len(layer.qubits)
    eye = np.eye(2 * size, dtype=np.bool_)
    basis = PauliList.from_symplectic(eye[:, size:], eye[:, :size])
    twice = basis.evolve(clifford, frame="s").evolve(clifford, frame="s")
    return lindblad.model(neighbours(layer, target), action, twice.phase == 2)


def action(layer: Layer) -> NDArray[np.uint8]:
    """What a layer makes of the operators of single bits; see `lindblad.model`."""
    return _clifford(layer)[1]


def _clifford(layer: Layer) -> tuple[Clifford, NDArray[np.uint8]]:
    try:
        clifford = Clifford(circuit(layer))
    except Exception as error:
        names = sorted({name for name, _, _ in layer.gates})
        raise errors.ProgramRefused(
            f"The layer of {', '.join(names)} on qubits {list(layer.qubits)} is not one of Clifford gates.", UNLEARNABLE
        ) from error
    return clifford, clifford.symplectic_matrix.astype(np.uint8)


def template(layer: Layer, depth: int | None, target: targets.Target) -> QuantumCircuit:
    """The circuit of one depth, with an angle free for every rotation of every dressing.

    Args:
        layer: The layer.
        depth: Number of pairs; None for a dressed measurement alone.
        target: The device: its gates make the dressing.

    Raises:
        errors.ProgramRefused: Code 8047: no gates of the device make one.
    """
    dressings = 1 if depth is None else 2 * depth + 2
    angles = ParameterVector("a", 3 * dressings * len(layer.qubits))
    made = QuantumCircuit(target.n_qubits, len(layer.qubits))
    for place in range(dressings):
        own = angles[3 * place * len(layer.qubits) : 3 * (place + 1) * len(layer.qubits)]
        for index, qubit in enumerate(layer.qubits):
            _dress(made, qubit, own[3 * index : 3 * index + 3], target)
        made.barrier(layer.qubits)
        if 0 < place < dressings - 1:
            made.compose(circuit(layer), layer.qubits, inplace=True)
            made.barrier(layer.qubits)
    made.measure(layer.qubits, range(len(layer.qubits)))
    return made


def _dress(made: QuantumCircuit, qubit: int, angles: Sequence[Any], target: targets.Target) -> None:
    first, middle, last = angles
    if {"rz", "sx"} <= target.basis:
        made.rz(first, qubit)
        made.sx(qubit)
        made.rz(middle, qubit)
        made.sx(qubit)
        made.rz(last, qubit)
    elif "u3" in target.basis or "u" in target.basis:
        made.append(_gate("u3" if "u3" in target.basis else "u", (middle, last, first)), [qubit])
    else:
        raise errors.ProgramRefused(
            f"{target.name} has neither rz and sx nor u3, of which twirled layers are made.", UNLEARNABLE
        )


def draw(
    layer: Layer,
    setting: Sequence[int] | NDArray[np.uint8],
    depth: int | None,
    number: int,
    target: targets.Target,
    rng: np.random.Generator,
) -> Circuits:
    """Draw random circuits of one setting and depth.

    Args:
        layer: The layer.
        setting: For each qubit the basis that is prepared and measured.
        depth: Number of pairs; None for a dressed measurement alone, of qubits in 0.
        number: How many.
        target: The device.
        rng: Source of randomness.
    """
    size, made = len(layer.qubits), action(layer)
    angles = _angles("rz" if {"rz", "sx"} <= target.basis else "u")
    basis = np.asarray(setting)
    frame, rows = np.zeros((number, size), dtype=np.uint8), []
    if depth is not None:
        frame = rng.integers(0, 4, (number, size), dtype=np.uint8)
        rows.append(angles[_PREPARE + basis, frame])
    for _ in range(2 * (depth or 0)):
        drawn = rng.integers(0, 4, (number, size), dtype=np.uint8)
        rows.append(angles[_PLAIN, drawn ^ frame])
        frame = lindblad.conjugated(drawn, made)
    last = rng.integers(0, 4, (number, size), dtype=np.uint8)
    rows.append(angles[_MEASURE + basis, last ^ frame])
    crossed = (last & 1) * (basis >> 1) + (last >> 1) * (basis & 1)
    return Circuits(np.stack(rows, axis=1).reshape(number, -1), crossed % 2 == 1)


@functools.cache
def _angles(kind: str) -> NDArray[np.float64]:
    """Angles of a dressing: shape (8, 4, 3), by the rotation and the operator.

    Rotations 0 to 3 come before the operator and prepare; 4 to 7 come after it and undo that.
    """
    euler = OneQubitEulerDecomposer("U3")
    table = np.empty((8, 4, 3))
    for rotation in range(8):
        base = _BASES[rotation % 4]
        for place, operator in enumerate(_OPERATORS):
            whole = operator @ base if rotation < 4 else base.conj().T @ operator
            middle, last, first = euler.angles(whole)
            shift = np.pi if kind == "rz" else 0.0
            # U3(θ, φ, λ) = RZ(φ + π) SX RZ(θ + π) SX RZ(λ), up to a phase.
            table[rotation, place] = (first, middle + shift, last + shift)
    return table
