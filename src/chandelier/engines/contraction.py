# SPDX-License-Identifier: Apache-2.0
"""The state of a noisy circuit with the outcomes so far, moved on by one block after the other.

Nothing is drawn here: the state has an axis for each value, so it holds the probabilities of all outcomes.
"""

from typing import NamedTuple

import numpy as np

from chandelier.engines import blocks, frontier, superops, weaving

Floats = superops.Floats


class State(NamedTuple):
    """Pauli coefficients of the qubits in the state, for each combination of the values in it.

    Attributes:
        entries: float64, one for each combination of its axes, the first most significant.
        labels: The axes, as in `blocks`.
    """

    entries: Floats
    labels: blocks.Labels


def empty() -> State:
    """The state before anything has entered it."""
    return State(np.ones(1), [])


def advanced(state: State, woven: weaving.Woven, move: frontier.Move, kept: superops.Kept) -> State:
    """Apply a block."""
    block = woven.blocks[move.block]
    if block.kind == "reckon":
        state = _applied(state, *_reckoned(block))
    else:
        matrices, taken, given = blocks.make(woven, move, kept)
        if block.kind == "choose":
            value = ~block.reads[0]
            state = _applied(state, _either(*matrices), [value, *taken], [value, *given])
        else:
            state = _applied(state, matrices[0], taken, given)
    for value in move.dropped:
        place = state.labels.index(~value)
        entries = _shaped(state).sum(axis=place)
        state = State(entries, [label for label in state.labels if label != ~value])
    return state


def arranged(state: State, labels: blocks.Labels) -> Floats:
    """Give the axes an order.

    Returns:
        float64, one axis: one entry for each combination, the first label most significant.
    """
    if state.labels == labels:
        return state.entries.reshape(-1)
    return _shaped(state).transpose([state.labels.index(label) for label in labels]).reshape(-1)


def _shaped(state: State) -> Floats:
    return state.entries.reshape([4 if label >= 0 else 2 for label in state.labels])


def _applied(state: State, matrix: Floats, taken: blocks.Labels, given: blocks.Labels) -> State:
    """Multiply some axes by a matrix; what they become comes first."""
    entries, labels = state
    if not taken:
        return State(np.multiply.outer(matrix.reshape(-1), entries.reshape(-1)), given + labels)
    rest = [label for label in labels if label not in taken]
    if labels[: len(taken)] != taken:
        entries = arranged(state, taken + rest)
    return State(np.dot(matrix, entries.reshape(matrix.shape[1], -1)), given + rest)


def _either(zero: Floats, one: Floats) -> Floats:
    """The matrix on a value and some wires that does one thing or another to the wires."""
    rows, columns = zero.shape
    matrix = np.zeros((2, rows, 2, columns))
    matrix[0, :, 0], matrix[1, :, 1] = zero, one
    return matrix.reshape(2 * rows, 2 * columns)


def _reckoned(block: weaving.Block) -> tuple[Floats, blocks.Labels, blocks.Labels]:
    """The matrix that adds a value to those from which it follows."""
    truth = np.array(block.truth, dtype=float)
    matrix = np.concatenate([np.diag(1 - truth), np.diag(truth)])
    taken = [~value for value in block.reads]
    return matrix, taken, [~(block.writes or 0), *taken]
