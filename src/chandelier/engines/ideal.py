# SPDX-License-Identifier: Apache-2.0
"""Exact probabilities of a circuit without noise, from one evolution of its state.

The circuit is reduced first (`reduction`). A gate is applied by gathering the amplitudes that it mixes: for few
qubits a table of indices, made once for each place of a gate, is faster than anything that looks at axes.
"""

import functools
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chandelier.engines import acting, lightning, reduction, sampling, unitaries
from chandelier.formats import qobj

#: Most wires of a state of ours; beyond, the tables no longer fit the caches.
MAX_WIRES: Final = 12
#: From so many wires on the library is faster, where it is installed; and the most that are tried with it.
LIBRARY_FROM: Final = 8
MAX_LIBRARY_WIRES: Final = 32
#: Pieces are drawn together up to so many outcomes.
MAX_JOINT: Final = 1 << 12

#: Instructions that a circuit may contain.
KNOWN: Final = unitaries.KNOWN | {"pauli", "initialize", "measure", "reset", "barrier", "delay", "bfunc", "copy"}

#: Measured times of a circuit, of an instruction, and to touch one amplitude with a gate, of ours and of the
#: library, and to look at one at the end, s.
START: Final = 60e-6
READ: Final = 7e-6
TOUCH: Final = 6e-9
TOUCH_LIBRARY: Final = 1e-9
LOOK: Final = 15e-9
#: The same to read an entry of a matrix, to multiply two when it is checked, and to multiply an amplitude by one, s.
ENTRY: Final = 0.8e-6
CHECK: Final = 0.6e-9
MIX: Final = 0.6e-9

Table = NDArray[np.intp]


class Share(NamedTuple):
    """The outcomes of an independent part of a circuit.

    Attributes:
        wires: Those that are measured.
        probabilities: float64, shape (2**wires,); bit i of an index is the outcome of wire i.
    """

    wires: tuple[int, ...]
    probabilities: sampling.Floats


def claims(steps: Sequence[qobj.Instruction]) -> bool:
    """Whether the instructions are known here."""
    return all(step.name in KNOWN for step in steps)


def seconds(circuit: reduction.Reduced) -> float:
    """Predict the time for a circuit's probabilities, s."""
    spent = START
    for piece in circuit.pieces:
        touch, entries = TOUCH_LIBRARY if _with_library(len(piece.wires)) else TOUCH, 2.0 ** len(piece.wires)
        spent += READ * len(piece.parts) + (touch * len(piece.parts) + LOOK) * entries
        spent += sum(ENTRY * size**2 + CHECK * size**3 + MIX * size * entries for size in _sizes(piece))
    return spent


def _sizes(piece: reduction.Piece) -> list[float]:
    """Rows of the matrices that a program gives."""
    return [2.0 ** len(wires) for step, wires, _ in piece.parts if step is not None and step.name in unitaries.NUMERIC]


def memory(circuit: reduction.Reduced) -> float:
    """Predict the memory for a circuit's probabilities and for drawing from them, bytes."""
    return max(
        (64 * 2.0 ** len(piece.wires) + 16 * sum(size**2 for size in _sizes(piece)) for piece in circuit.pieces),
        default=0.0,
    )


def takes(circuit: reduction.Reduced) -> bool:
    """Whether the states of a circuit are not too wide."""
    width = max((len(piece.wires) for piece in circuit.pieces), default=0)
    return width <= (MAX_LIBRARY_WIRES if lightning.AVAILABLE else MAX_WIRES)


def shares(circuit: reduction.Reduced) -> list[Share]:
    """Find the probabilities of all outcomes.

    Raises:
        errors.ProgramRefused: An instruction given by numbers is wrong.
    """
    joint: list[Share] = []
    for piece in circuit.pieces:
        share = Share(piece.seen, probabilities(acting.compiled(piece)))
        if joint and len(joint[-1].probabilities) * len(share.probabilities) <= MAX_JOINT:
            last = joint.pop()
            product = np.outer(share.probabilities, last.probabilities).reshape(-1)
            share = Share((*last.wires, *share.wires), product)
        joint.append(share)
    return joint


def probabilities(acts: acting.Acts) -> sampling.Floats:
    """Find the probabilities of the outcomes of the places that are measured.

    Returns:
        float64, shape (2**seen,); bit i of an index is the outcome of the i-th of them.
    """
    if _with_library(acts.size):
        return lightning.probabilities(acts.acts, acts.size, acts.seen, start(acts) if acts.prepared else None)
    state = evolve(start(acts), acts.acts, acts.size)
    return marginal(state.real**2 + state.imag**2, acts)


def marginal(found: sampling.Floats, acts: acting.Acts) -> sampling.Floats:
    """Sum the probabilities of all places, float64 of shape (2**size,), over those that are not measured."""
    if len(acts.seen) == acts.size:
        return found
    unseen = tuple(acts.size - 1 - place for place in range(acts.size) if place not in acts.seen)
    return np.asarray(np.sum(found.reshape((2,) * acts.size), axis=unseen)).reshape(-1)


def _with_library(size: int) -> bool:
    return lightning.AVAILABLE and size >= LIBRARY_FROM


def start(acts: acting.Acts) -> acting.State:
    """The state at the beginning: |0…0⟩, but for the places whose state is set, which happens before all else."""
    state = np.zeros(1 << acts.size, dtype=np.complex128)
    state[0] = 1
    for places, values in acts.prepared:
        table = _table(acts.size, (), places)
        state[table] = values[:, None] * state[table[0]]
    return state


def evolve(state: acting.State, acts: Sequence[acting.Act], size: int) -> acting.State:
    """Let matrices act on a state.

    Args:
        state: complex128, shape (2**size,), which this may change.
        acts: In their order.
        size: Number of places.
    """
    entries = np.array([matrix for _, _, matrix in acts if isinstance(matrix, tuple)], dtype=np.complex128)
    small = iter(entries.reshape(-1, 2, 2))
    for controls, targets, matrix in acts:
        dense = next(small) if isinstance(matrix, tuple) else matrix
        if matrix is unitaries.X:
            state = state[_flip(size, controls, targets[0])]
        else:
            table = _table(size, controls, targets)
            state[table] = dense @ state[table]
    return state


@functools.lru_cache(maxsize=512)
def _table(size: int, controls: tuple[acting.Control, ...], targets: tuple[int, ...]) -> Table:
    """Find the amplitudes that a matrix mixes.

    Returns:
        intp, shape (2**targets, 2**others): column by column the indices of amplitudes that differ in the targets.
    """
    others = [place for place in range(size) if place not in targets and (place, 0) not in controls]
    others = [place for place in others if (place, 1) not in controls]
    fixed = sum(value << place for place, value in controls)
    return (_spread(targets)[:, None] + _spread(others)[None, :]) | fixed


@functools.lru_cache(maxsize=512)
def _flip(size: int, controls: tuple[acting.Control, ...], target: int) -> Table:
    """Find where each amplitude comes from when a place is flipped."""
    source = np.arange(1 << size)
    table = _table(size, controls, (target,))
    source[table] = table[::-1]
    return source


def _spread(places: Sequence[int]) -> Table:
    """All values of some bits, with the bits put at their places."""
    values = np.zeros(1, dtype=np.intp)
    for place in places:
        values = np.concatenate([values, values | (1 << place)])
    return values
