# SPDX-License-Identifier: Apache-2.0
"""Outcomes drawn as soon as they are known, where there are more possible ones than shots.

A state for each combination of outcomes that has occurred so far is a branch, and it knows the number of its shots.
When a qubit is measured, the shots of each branch divide between its outcomes, by the probabilities that they have in
it; so no more branches than shots are followed, however many qubits are measured. What is drawn has exactly the
distribution that drawing from all probabilities at the end would have (the chain rule of probability).
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chandelier.engines import blocks, contraction, frontier, superops, weaving

Bits = NDArray[np.uint8]


class Record:
    """The values of all branches. A branch keeps its column for good, so that only new ones are written.

    Attributes:
        bits: uint8, shape (values at once, branches at most).
        rows: For each value that is known its row.
    """

    def __init__(self, values: int, branches: int) -> None:
        self.bits: Bits = np.zeros((values, branches), dtype=np.uint8)
        self.rows: dict[int, int] = {}
        self._free = list(range(values))

    def of(self, value: int, count: int) -> Bits:
        """A value in each of the branches, of which there are so many."""
        return self.bits[self.rows[value], :count]

    def split(self, parents: NDArray[np.int64], count: int) -> None:
        """Give new branches, beyond so many, all that is known in their parents."""
        if len(parents) and self.rows:
            rows = np.array(list(self.rows.values()))
            self.bits[rows, count : count + len(parents)] = self.bits[rows[:, None], parents]

    def write(self, value: int, bits: NDArray[np.integer]) -> None:
        """Note a value that was not known."""
        self.rows[value] = self._free.pop()
        self.bits[self.rows[value], : len(bits)] = bits

    def forget(self, values: Sequence[int]) -> None:
        """Drop values."""
        self._free += [self.rows.pop(value) for value in values]


@dataclasses.dataclass(frozen=True)
class Branches:
    """The branches of an experiment.

    Attributes:
        entries: float64, shape (4**wires, branches): Pauli coefficients of the qubits in the state.
        wires: These, the first most significant.
        numbers: int64, shape (branches,): shots.
        record: The values that are known.
    """

    entries: superops.Floats
    wires: blocks.Labels
    numbers: NDArray[np.int64]
    record: Record


def drawn(order: frontier.Order, kept: superops.Kept, rng: np.random.Generator, shots: int) -> Branches:
    """Compute a circuit, drawing from `order.branching` on.

    Args:
        order: The circuit; it has a move from which on outcomes are drawn.
        kept: Its matrices.
        rng: Source of randomness.
        shots: Repetitions.
    """
    state, first = contraction.empty(), order.branching or 0
    for move in order.moves[:first]:
        state = contraction.advanced(state, order.woven, move, kept)
    record = Record(order.known, shots)
    one = Branches(state.entries.reshape(-1, 1), state.labels, np.array([shots]), record)
    branches = _divided(one, rng)
    for move in order.moves[first:]:
        branches = _advanced(branches, order.woven, move, kept, rng)
    return branches


def memory(branches: Branches, slots: Sequence[tuple[int, int]]) -> Bits:
    """What the memory shows in each branch.

    Args:
        branches: At the end of a circuit.
        slots: Slots with the values that they show.

    Returns:
        uint8, shape (branches, slots up to the last).
    """
    width = 1 + max((slot for slot, _ in slots), default=0)
    shown = np.zeros((len(branches.numbers), width), dtype=np.uint8)
    for slot, value in slots:
        shown[:, slot] = branches.record.of(value, len(branches.numbers))
    return shown


def _advanced(
    branches: Branches, woven: weaving.Woven, move: frontier.Move, kept: superops.Kept, rng: np.random.Generator
) -> Branches:
    block = woven.blocks[move.block]
    if block.kind == "reckon":
        _reckon(branches, block)
    else:
        matrices, taken, given = blocks.make(woven, move, kept)
        rest = [wire for wire in branches.wires if wire not in taken]
        entries = _arranged(branches, taken + rest).reshape(4 ** len(taken), -1)
        if block.kind == "choose":
            shaped = entries.reshape(4 ** len(taken), -1, len(branches.numbers))
            either = [np.tensordot(matrix, shaped, axes=1) for matrix in matrices]
            entries = np.where(branches.record.of(block.reads[0], len(branches.numbers)), either[1], either[0])
        else:
            entries = np.dot(matrices[0], entries)
        entries = entries.reshape(-1, len(branches.numbers))
        branches = _divided(dataclasses.replace(branches, entries=entries, wires=given + rest), rng)
    branches.record.forget(move.dropped)
    return branches


def _arranged(branches: Branches, wires: blocks.Labels) -> superops.Floats:
    if wires == branches.wires:
        return branches.entries
    shaped = branches.entries.reshape(*[4] * len(wires), -1)
    axes = [branches.wires.index(wire) for wire in wires]
    return shaped.transpose([*axes, len(wires)])


def _divided(branches: Branches, rng: np.random.Generator) -> Branches:
    """Divide the shots of each branch between the outcomes of new values, which are still axes of the state."""
    values = [~label for label in branches.wires if label < 0]
    if not values:
        return branches
    wires = [label for label in branches.wires if label >= 0]
    count = len(branches.numbers)
    shape = [4 if label >= 0 else 2 for label in branches.wires]
    places = [branches.wires.index(label) for label in [~value for value in values] + wires]
    shaped = branches.entries.reshape(*shape, count).transpose([*places, len(places)])
    entries = shaped.reshape(1 << len(values), 4 ** len(wires), count)
    chances = np.maximum(entries[:, 0, :], 0.0)  # the coefficient of the identity is the trace
    numbers = rng.multinomial(branches.numbers, (chances / chances.sum(axis=0)).T)
    origin, outcome = np.nonzero(numbers)
    if len(origin) > count:  # the first outcome of each branch stays in its place
        new = np.diff(origin, prepend=-1) == 0
        origin, outcome = (np.concatenate([part[~new], part[new]]) for part in (origin, outcome))
        branches.record.split(origin[count:], count)
    for place, value in enumerate(values):
        branches.record.write(value, outcome >> (len(values) - 1 - place) & 1)
    kept = np.ascontiguousarray(entries[outcome, :, origin].T)
    kept /= kept[0]
    return Branches(kept, wires, numbers[origin, outcome], branches.record)


def _reckon(branches: Branches, block: weaving.Block) -> None:
    count = len(branches.numbers)
    index = np.zeros(count, dtype=np.int64)
    for value in block.reads:
        index = index << 1 | branches.record.of(value, count)
    branches.record.write(block.writes or 0, np.array(block.truth, dtype=np.uint8)[index])
