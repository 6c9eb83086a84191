# SPDX-License-Identifier: Apache-2.0
"""The order in which a noisy circuit is computed so that few of its qubits are in the state at any time.

Operations on different qubits commute, so nothing forces the order of the program: a qubit enters the state with its
first operation, and as soon as it has had its last one it is measured, after which it takes 2 numbers instead of 4,
or traced out. What no measurement depends on is left out. So the state of a long chain is that of two qubits and of
the outcomes so far.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from chandelier.engines import schedule, weaving

#: Largest state that is thought of, as the exponent of 2 of its entries.
MAX_SIZE: Final = 34

#: Measured times of a block whatever its size, of a gate in it, to move one entry, and to multiply one by a number, s.
BLOCK: Final = 18e-6
GATE: Final = 2e-6
MOVE: Final = 2.5e-9
MULTIPLY: Final = 0.12e-9
#: Time to divide the shots of one branch, and more to move an entry of branches, s.
DIVIDE: Final = 0.8e-6
SCATTER: Final = 8e-9

#: Outcomes are drawn on the way once there are so many possible ones, and so many times more than shots.
ENOUGH: Final = 4096
CROWDED: Final = 4


class Move(NamedTuple):
    """One block, when its time has come.

    Attributes:
        block: Its place in `weaving.Woven.blocks`.
        fresh: Places of wires that enter the state with it.
        done: Places of wires that leave the state after it.
        measured: Those of them that become values.
        dropped: Values on which nothing depends after it.
    """

    block: int
    fresh: tuple[int, ...]
    done: tuple[int, ...]
    measured: tuple[int, ...]
    dropped: tuple[int, ...]


class Order(NamedTuple):
    """The order of the blocks, and what it costs.

    Attributes:
        woven: The blocks.
        moves: In their order; blocks on which no outcome depends are missing.
        seconds: Predicted time until the probabilities are known, s.
        entries: Most numbers that are in memory at once.
        values: Values that are left at the end, ascending.
        branching: The move from which on outcomes are drawn; None where all probabilities are computed.
    """

    woven: weaving.Woven
    moves: list[Move]
    seconds: float
    entries: float
    values: tuple[int, ...]
    branching: int | None


def order(woven: weaving.Woven, shots: int) -> Order | None:
    """Put blocks in an order that keeps the state small: always next is the value that needs the fewest new qubits.

    Args:
        woven: The blocks.
        shots: Repetitions; where far more outcomes are possible, they are drawn on the way.

    Returns:
        None if the state would be larger than any memory.
    """
    before, touched = _ancestors(woven)
    wanted = tuple(sorted(set(woven.memory.values())))
    sequence: list[int] = []
    left = list(wanted)
    entered = finished = 0
    while left:
        best = min(
            left,
            key=lambda value: (
                (touched[woven.makers[value]] & ~entered).bit_count(),
                (before[woven.makers[value]] & ~finished).bit_count(),
            ),
        )
        maker = woven.makers[best]
        sequence += schedule.bits(before[maker] & ~finished)
        finished |= before[maker]
        entered |= touched[maker]
        left.remove(best)
    return _priced(woven, _moves(woven, sequence, wanted), wanted, shots)


def _ancestors(woven: weaving.Woven) -> tuple[list[int], list[int]]:
    """For each block the blocks that it needs, with itself, and the wires that these touch, as bit masks."""
    before: list[int] = []
    touched: list[int] = []
    last: dict[int, int] = {}
    for number, block in enumerate(woven.blocks):
        blocks, wires = 1 << number, 0
        for wire in block.wires:
            wires |= 1 << wire
            if wire in last:
                blocks |= before[last[wire]]
                wires |= touched[last[wire]]
            last[wire] = number
        for value in block.reads:
            blocks |= before[woven.makers[value]]
            wires |= touched[woven.makers[value]]
        before.append(blocks)
        touched.append(wires)
    return before, touched


def _moves(woven: weaving.Woven, sequence: Sequence[int], wanted: Sequence[int]) -> list[Move]:
    """Find what enters and leaves the state with each block."""
    blocks, ends = woven.blocks, woven.ends
    final: dict[int, int] = {}
    readers: dict[int | None, int] = dict.fromkeys(wanted, 1)
    for number in sequence:
        for wire in blocks[number].wires:
            final[wire] = max(number, final.get(wire, 0))
        for value in blocks[number].reads:
            readers[value] = readers.get(value, 0) + 1
    moves: list[Move] = []
    seen: set[int] = set()
    for number in sequence:
        block = blocks[number]
        fresh = tuple([place for place, wire in enumerate(block.wires) if wire not in seen])
        done = tuple([place for place, wire in enumerate(block.wires) if final[wire] == number])
        measured = tuple([place for place in done if ends[block.wires[place]] in readers])
        seen.update(block.wires)
        for value in block.reads:
            readers[value] -= 1
        dropped = [value for value in block.reads if not readers[value]]
        if block.writes is not None and block.writes not in readers:
            dropped.append(block.writes)
        moves.append(Move(number, fresh, done, measured, tuple(dropped)))
    return moves


def _priced(woven: weaving.Woven, moves: list[Move], wanted: tuple[int, ...], shots: int) -> Order | None:
    """Predict what an order costs; None if the state would be larger than any memory."""
    qubits = values = 0
    seconds, most, shot_bits = 0.0, 1.0, math.log2(shots)
    branching: int | None = None
    for at, move in enumerate(moves):
        block = woven.blocks[move.block]
        if branching is None and 2.0**values > max(ENOUGH, CROWDED * shots):
            branching = at
        known = values if branching is None else min(values, shot_bits)
        made = len(move.measured) + (block.writes is not None)
        rows = 2 * (len(block.wires) - len(move.done)) + made + len(block.reads)
        before = 2 * qubits + known
        qubits += len(move.fresh) - len(move.done)
        after = 2 * qubits + known + made
        if max(before, after) > MAX_SIZE:
            return None
        size = 2.0**before + 2.0**after
        seconds += BLOCK + GATE * len(block.parts) + MULTIPLY * 2.0 ** (before + rows) + MOVE * size
        if branching is not None:
            seconds += DIVIDE * 2.0**known + SCATTER * size
        most = max(most, size + 2.0**before)
        values += made - len(move.dropped)
    return Order(woven, moves, seconds, most, wanted, branching)
