# SPDX-License-Identifier: Apache-2.0
"""What a block of `weaving` does to the state, as one matrix: all of its gates, with what enters and what ends.

A matrix takes some axes of the state and gives others. An axis is a label: a wire (0, 1, 2, …) has 4 numbers, the
complement of a value (-1, -2, …) has 2.
"""

import functools
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from chandelier.engines import frontier, superops, weaving

_ONE: Final = np.eye(4)
_NATURAL: Final = tuple(tuple(range(count)) for count in range(weaving.MAX_GATE_QUBITS + 1))

Floats = superops.Floats
Labels = list[int]


class Made(NamedTuple):
    """What a block does.

    Attributes:
        matrices: One; of a block that depends on a value that for 0 and that for 1.
        taken: Axes of the state that it takes, in the order of the columns.
        given: Axes that it gives, in the order of the rows.
    """

    matrices: tuple[Floats, ...]
    taken: Labels
    given: Labels


def make(woven: weaving.Woven, move: frontier.Move, kept: superops.Kept) -> Made:
    """Make the matrices of a block of any kind but `reckon`."""
    block = woven.blocks[move.block]
    taken = [wire for place, wire in enumerate(block.wires) if place not in move.fresh]
    legs: list[Floats | None] = [None] * len(block.wires)
    for place in move.fresh:
        legs[place] = superops.GROUND
    ends, given = _ends(woven, block, move, kept)
    if block.kind == "act":
        return Made((_joined(_acted(None, legs, block.parts, kept), ends),), taken, given)
    if block.kind == "look":
        before = _acted(None, legs, block.parts, kept)
        seen = superops.looked_at(kept, woven.qubits[block.wires[0]])
        halves = [_joined(np.dot(part, before), ends) for part in seen]
        return Made((np.concatenate(halves),), taken, [~(block.writes or 0), *given])
    without = _acted(None, legs, block.parts[:-1], kept)
    chosen = _acted(without, [None] * len(legs), block.parts[-1:], kept)
    return Made((_joined(without, ends), _joined(chosen, ends)), taken, given)


def _ends(
    woven: weaving.Woven, block: weaving.Block, move: frontier.Move, kept: superops.Kept
) -> tuple[list[Floats | None], Labels]:
    """For each wire of a block what becomes of it at the end, and the axes that are left."""
    ends: list[Floats | None] = [None] * len(block.wires)
    given: Labels = []
    for place, wire in enumerate(block.wires):
        value = woven.ends[wire]
        if place not in move.done:
            given.append(wire)
        elif value is None or place not in move.measured:
            ends[place] = superops.TRACE
        else:
            given.append(~value)
            end = superops.measured(kept, woven.qubits[wire])
            for step in reversed(woven.tails[wire]):
                matrix = superops.single(kept, step)
                end = end if matrix is None else np.dot(end, matrix)
            ends[place] = end
    return ends, given


def _acted(
    whole: Floats | None,
    legs: list[Floats | None],
    parts: Sequence[weaving.Part],
    kept: superops.Kept,
) -> Floats:
    """Multiply what happened so far by some instructions.

    Args:
        whole: What happened to the wires together; None for nothing.
        legs: What happened to each of them alone after that; None for nothing.
        parts: The instructions.
        kept: Their matrices.
    """
    for places, step in parts:
        if len(places) == 1:
            matrix = superops.single(kept, step)
            before = legs[places[0]]
            if matrix is not None:
                legs[places[0]] = matrix if before is None else np.dot(matrix, before)
            continue
        matrix = superops.gate(kept, step)
        if places != _NATURAL[len(places)]:
            matrix = _permuted(matrix, places)
        whole = np.dot(matrix, _joined(whole, legs))
        legs = [None] * len(legs)
    return _joined(whole, legs)


def _joined(whole: Floats | None, legs: Sequence[Floats | None]) -> Floats:
    """Multiply what happened to wires together by what happened to each of them alone after that."""
    if len(legs) == 1:
        (leg,) = legs
        alone = _ONE if leg is None else leg
    elif any(leg is not None for leg in legs):
        alone = _product(_ONE if legs[0] is None else legs[0], _ONE if legs[1] is None else legs[1])
        for leg in legs[2:]:
            alone = _product(alone, _ONE if leg is None else leg)
    else:
        return _identity(len(legs)) if whole is None else whole
    return alone if whole is None else np.dot(alone, whole)


def _product(one: Floats, other: Floats) -> Floats:
    """The Kronecker product of two matrices, which NumPy's own takes ten times as long to begin with."""
    rows, columns = one.shape[0] * other.shape[0], one.shape[1] * other.shape[1]
    return (one[:, None, :, None] * other[None, :, None, :]).reshape(rows, columns)


@functools.cache
def _identity(wires: int) -> Floats:
    return np.eye(4**wires)


def _permuted(matrix: Floats, places: tuple[int, ...]) -> Floats:
    """Give a matrix the order of a block's wires; its own qubits are at these places of them."""
    count = len(places)
    order = [places.index(place) for place in range(count)]
    shaped = matrix.reshape([4] * (2 * count)).transpose([*order, *(count + place for place in order)])
    return shaped.reshape(matrix.shape)
