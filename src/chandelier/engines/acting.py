# SPDX-License-Identifier: Apache-2.0
"""An independent part of a reduced circuit as matrices that act on places of a state."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chandelier.engines import reduction, unitaries

State = NDArray[np.complex128]
#: A place of a state, and the value that it must have.
Control = tuple[int, int]
#: Controls; the places that a matrix acts on, the least significant of its index first; the matrix.
Act = tuple[tuple[Control, ...], tuple[int, ...], unitaries.Small | unitaries.Complex]


class Acts(NamedTuple):
    """What happens to a state.

    Attributes:
        size: Number of places of the state.
        seen: Places that are measured at the end, in ascending order.
        prepared: Places whose state is set at the beginning, and that state: complex128, shape (2**places,).
        acts: Matrices, in their order.
    """

    size: int
    seen: tuple[int, ...]
    prepared: tuple[tuple[tuple[int, ...], State], ...]
    acts: tuple[Act, ...]


def compiled(piece: reduction.Piece) -> Acts:
    """Turn the gates of a piece into matrices; those on one qubit that follow each other are multiplied.

    Raises:
        errors.ProgramRefused: The parameters of an instruction are wrong.
    """
    place = {wire: number for number, wire in enumerate(piece.wires)}
    acts: list[Act] = []
    waiting: dict[int, unitaries.Small] = {}
    prepared: list[tuple[tuple[int, ...], State]] = []
    for step, wires, truth in piece.parts:
        if step is not None and step.name == "initialize":
            prepared.append((tuple([place[wire] for wire in wires]), unitaries.state(step)))
            continue
        count, matrix = (1, unitaries.X) if step is None else unitaries.of(step)
        if len(wires) == 1 and not truth and isinstance(matrix, tuple):
            where = place[wires[0]]
            before = waiting.get(where)
            waiting[where] = matrix if before is None else unitaries.multiplied(matrix, before)
            continue
        places = [place[wire] for wire in wires]
        controls = [(where, 1) for where in places[:count]]
        if truth:
            controls += [(place[wire], bit) for wire, bit in truth]
            _release(acts, waiting, [where for where, _ in controls])
        _release(acts, waiting, places)
        acts.append((tuple(controls), tuple(places[count:]), matrix))
    _release(acts, waiting, list(waiting))
    return Acts(len(place), tuple([place[wire] for wire in piece.seen]), tuple(prepared), tuple(acts))


def _release(acts: list[Act], waiting: dict[int, unitaries.Small], places: Sequence[int]) -> None:
    """Let what waits to be multiplied act."""
    acts += [((), (where,), waiting.pop(where)) for where in places if where in waiting]
