# SPDX-License-Identifier: Apache-2.0
"""The state of the qubits of some shots that have been alike so far, and what instructions do to it.

Shots whose measurements gave the same have the same state. With noise it is a density matrix, so that errors do not
make shots differ; for more qubits than that allows, each shot follows a pure state, and errors are drawn.
"""

import dataclasses
import functools
from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import Operation
from qiskit.circuit.library import Initialize
from qiskit.quantum_info import Kraus, Operator, SuperOp

from chandelier.engines import gates, matrices, noise
from chandelier.engines import target as targets
from chandelier.formats import qobj

Complex = NDArray[np.complex128]

#: Most qubits of a density matrix, and of a pure state.
MAX_MIXED: Final = 8
MAX_PURE: Final = 24

#: What an instruction does: the qubits, and operators that are drawn from if there are several.
_Act = tuple[tuple[int, ...], tuple[Complex, ...]]


@dataclasses.dataclass(frozen=True, eq=False)
class World:
    """What the states of a circuit have in common.

    Attributes:
        target: The device.
        qubits: Those that anything happens to, ascending; the first is the least significant.
        mixed: Whether states are density matrices.
        drawn: Whether channels act on pure states, so that every shot has one of its own.
        acts: What instructions do, found once for each.
    """

    target: targets.Target
    qubits: tuple[int, ...]
    mixed: bool
    drawn: bool
    acts: dict[Any, _Act] = dataclasses.field(default_factory=dict)

    @property
    def noisy(self) -> bool:
        """Whether gates have errors."""
        return not self.target.simulator


def world(target: targets.Target, qubits: Collection[int], *, channels: bool) -> World:
    """Prepare for circuits on some qubits.

    Args:
        target: The device.
        qubits: Those that anything happens to.
        channels: Whether a circuit has channels of its own.
    """
    noisy = channels or not target.simulator
    small = len(qubits) <= MAX_MIXED
    return World(target, tuple(sorted(qubits)), mixed=noisy and small, drawn=noisy and not small)


def ground(of: World) -> Complex:
    """All qubits in 0: complex128, shape (2,) * qubits of a pure state, (2,) * 2·qubits of a density matrix.

    Axes go from the most significant qubit to the least; of a density matrix rows come before columns.
    """
    axes = len(of.qubits) * (2 if of.mixed else 1)
    state = np.zeros((2,) * axes, dtype=np.complex128)
    state[(0,) * axes] = 1
    return state


def acted(of: World, state: Complex, step: qobj.Instruction, rng: np.random.Generator) -> Complex:
    """What a gate, a channel or a wait makes of a state."""
    act = _act(of, step)
    if act is None:
        return state
    places, operators = act
    if of.mixed:
        return _applied(state, operators[0], [*_columns(of, places), *_rows(of, places)])
    axes = _rows(of, places)
    if len(operators) == 1:
        return _applied(state, operators[0], axes)
    return _drawn(state, operators, axes, rng)


def chance(of: World, state: Complex, qubit: int) -> float:
    """The probability that a qubit is 1."""
    place = of.qubits.index(qubit)
    ones = probabilities(of, state).reshape(-1, 2, 1 << place).sum(axis=(0, 2))
    return float(ones[1] / ones.sum())


def probabilities(of: World, state: Complex) -> NDArray[np.float64]:
    """The probabilities of all outcomes, float64 of shape (2**qubits,)."""
    if not of.mixed:
        return (state.real**2 + state.imag**2).reshape(-1)
    size = 1 << len(of.qubits)
    return np.maximum(np.diagonal(state.reshape(size, size)).real, 0.0)


def projected(of: World, state: Complex, qubit: int, outcome: int, *, flipped: bool = False) -> Complex:
    """The state after a qubit was found to have a value; then 0, if it is flipped where it was 1 (a reset)."""
    (row,), (column,) = _rows(of, (qubit,)), _columns(of, (qubit,))
    kept = np.zeros_like(state)
    index: list[Any] = [slice(None)] * state.ndim
    goal = list(index)
    for axis in (row, column) if of.mixed else (row,):
        index[axis] = outcome
        goal[axis] = 0 if flipped else outcome
    kept[tuple(goal)] = state[tuple(index)]
    norm = probabilities(of, kept).sum()
    normed: Complex = kept / (norm if of.mixed else np.sqrt(norm))
    return normed


def _rows(of: World, places: Sequence[int]) -> list[int]:
    """Axes of some qubits, most significant first."""
    count = len(of.qubits)
    return [count - 1 - of.qubits.index(qubit) for qubit in reversed(places)]


def _columns(of: World, places: Sequence[int]) -> list[int]:
    return [axis + len(of.qubits) for axis in _rows(of, places)]


def _applied(state: Complex, matrix: Complex, axes: Sequence[int]) -> Complex:
    """Apply a matrix to some axes, the first of which is the most significant."""
    count = len(axes)
    tensor = matrix.reshape((2,) * (2 * count))
    made = np.tensordot(tensor, state, axes=(range(count, 2 * count), axes))
    return np.moveaxis(made, range(count), axes)


def _drawn(state: Complex, operators: Sequence[Complex], axes: Sequence[int], rng: np.random.Generator) -> Complex:
    """Apply one of the Kraus operators of a channel, each with the chance that it has."""
    left = rng.random()
    for matrix in operators:
        made = _applied(state, matrix, axes)
        weight = float(np.vdot(made, made).real)
        left -= weight
        if left < 0:
            break
    return made / np.linalg.norm(made)


def _act(of: World, step: qobj.Instruction) -> _Act | None:
    qubits = step.qubits or ()
    params = step.params
    key = (step.name, qubits, tuple(params) if params and not isinstance(params[0], list) else id(step))
    if key not in of.acts:
        of.acts[key] = _made(of, step, qubits)
    return of.acts[key]


def _made(of: World, step: qobj.Instruction, qubits: tuple[int, ...]) -> Any:
    channels: list[Any] = []
    if step.name == "delay":
        waits = noise.relaxation(of.target, qubits[0], float(step.params[0])) if of.noisy else None
        channels = [] if waits is None else [SuperOp(waits)]
    else:
        channels = [_operator(step, len(qubits))]
        if of.noisy:
            site = (step.name, qubits)
            error = noise.errors_of(of.target, [site])[site]
            channels += [] if error is None else [SuperOp(error)]
    if not channels:
        return None
    if len(channels) == 1 and isinstance(channels[0], Operator) and not of.mixed:
        return qubits, (channels[0].data,)
    whole = functools.reduce(lambda one, other: one.compose(other), [SuperOp(channel) for channel in channels])
    return qubits, ((whole.data,) if of.mixed else tuple(Kraus(whole).data))


def _operator(step: qobj.Instruction, count: int) -> Any:
    """A unitary operator, or a channel."""
    if step.name in gates.SHAPES:
        params = gates.parameters(step.name, count, step.params)
        return Operator(gates.operation(step.name, count, params, frozenset()))
    operation: Operation = matrices.operation(step)
    if step.name in {"kraus", "superop"}:
        return SuperOp(Kraus(list(operation.params)))
    if isinstance(operation, Initialize):
        return SuperOp(operation)
    return Operator(operation)
