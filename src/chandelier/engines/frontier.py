# SPDX-License-Identifier: Apache-2.0
"""The order in which a noisy circuit is computed so that few of its qubits are in the state at any time.

Operations on different qubits commute, so nothing forces the order of the program: a qubit enters the state with its
first operation, and as soon as it has had its last one it is measured, after which it takes 2 numbers instead of 4,
or traced out. What no measurement depends on is left out. So the state of a long chain is that of two qubits and of
the outcomes so far.
"""

import heapq
import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from chandelier.engines import gates, weaving
from chandelier.formats import qobj

#: Largest state that is thought of, as the exponent of 2 of its entries.
MAX_SIZE: Final = 34
#: Most blocks that are looked at for an order.
MAX_STEPS: Final = 1_000_000

#: Measured times of a block whatever its size, of a gate in it, to move one entry, and to multiply one by a number, s.
BLOCK: Final = 18e-6
GATE: Final = 2e-6
MOVE: Final = 2.5e-9
MULTIPLY: Final = 0.12e-9
#: Time to divide the shots of one branch, and more to move an entry of branches, s.
DIVIDE: Final = 0.3e-6
SCATTER: Final = 8e-9
#: Time to note one outcome of one branch, and to write it at the end, s.
RECORD: Final = 20e-9

#: Time to make the matrix of a gate on 1, 2 and 3 qubits, and of one that is given by numbers, s. Gates on 1 and 2
#: qubits without parameters are made once for a device, and not counted.
MAKE: Final = (60e-6, 90e-6, 0.3e-3)
MAKE_NUMERIC: Final = (0.2e-3, 0.25e-3, 0.6e-3)
_CHEAP: Final = frozenset({"delay", "p", "reset", "rz", "u1"})
#: Matrices are kept up to this size in all, bytes; a gate that comes again is then not made again.
KEPT_BYTES: Final = 16 << 20
#: What a matrix takes with its key beyond its numbers, bytes.
KEY_BYTES: Final = 400

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
        known: Most values that are known at once.
    """

    woven: weaving.Woven
    moves: list[Move]
    seconds: float
    entries: float
    values: tuple[int, ...]
    branching: int | None
    known: int


def order(woven: weaving.Woven, shots: int) -> Order | None:
    """Put blocks in an order that keeps the state small: always next is the value that needs the fewest new qubits.

    Args:
        woven: The blocks.
        shots: Repetitions; where far more outcomes are possible, they are drawn on the way.

    Returns:
        None if the state would be larger than any memory, or the order takes too long to find.
    """
    wanted = tuple(sorted(set(woven.memory.values())))
    sequence = _Search(woven, wanted).sequence()
    return None if sequence is None else _priced(woven, _moves(woven, sequence, wanted), wanted, shots)


class _Search:
    """Finds the order of the values.

    Only those are compared that need no other value before; of each it is counted what it still needs, and a count
    changes only when a block that it needs has been placed.

    Attributes:
        steps: Blocks that were looked at.
    """

    def __init__(self, woven: weaving.Woven, wanted: Sequence[int]) -> None:
        self.woven = woven
        self.needs, self.fresh = _direct(woven)
        self.rank: dict[int, int] = {}  # of each block that makes a wanted value, the first of these
        for value in wanted:
            self.rank.setdefault(woven.makers[value], value)
        self.placed = [False] * len(woven.blocks)
        self.waiting: dict[int, list[int]] = {}  # for a block, makers that need it and another value
        self.compared: dict[int, list[int]] = {}  # for a block, makers that need it and are compared
        self.counts: dict[int, tuple[int, int]] = {}  # for a maker, the new qubits and the blocks that it needs
        self.heap: list[tuple[int, int, int, int]] = []
        self.steps = 0

    def sequence(self) -> list[int] | None:
        """The blocks in their order; None if that takes too long to find."""
        for maker in self.rank:
            self._compare(maker)
        found: list[int] = []
        while self.heap and self.steps <= MAX_STEPS:
            new, blocks, _, maker = heapq.heappop(self.heap)
            if self.placed[maker] or self.counts[maker] != (new, blocks):
                continue
            ready = sorted(self._missing(maker)[0])
            found += ready
            self._place(ready)
        return None if self.steps > MAX_STEPS else found

    def _missing(self, maker: int) -> tuple[list[int], int | None]:
        """The blocks that a maker needs, with itself; and one of them that makes a wanted value before it."""
        seen, stack = {maker}, [maker]
        while stack:
            for block in self.needs[stack.pop()]:
                if not self.placed[block] and block not in seen:
                    if block in self.rank:
                        self.steps += len(seen)
                        return [], block
                    seen.add(block)
                    stack.append(block)
        self.steps += len(seen)
        return list(seen), None

    def _compare(self, maker: int) -> None:
        if self.steps > MAX_STEPS or self.placed[maker]:
            return
        missing, before = self._missing(maker)
        if before is not None:
            self.waiting.setdefault(before, []).append(maker)
            return
        for block in missing:
            self.compared.setdefault(block, []).append(maker)
        self._count(maker, sum(self.fresh[block] for block in missing), len(missing))

    def _count(self, maker: int, new: int, blocks: int) -> None:
        self.counts[maker] = new, blocks
        heapq.heappush(self.heap, (new, blocks, self.rank[maker], maker))

    def _place(self, ready: Sequence[int]) -> None:
        changes: dict[int, tuple[int, int]] = {}
        for block in ready:
            self.placed[block] = True
            for maker in self.compared.pop(block, ()):
                new, blocks = changes.get(maker, (0, 0))
                changes[maker] = new + self.fresh[block], blocks + 1
        for maker, (new, blocks) in changes.items():
            if not self.placed[maker]:
                self._count(maker, self.counts[maker][0] - new, self.counts[maker][1] - blocks)
        for block in ready:
            for maker in self.waiting.pop(block, ()):
                self._compare(maker)


def _direct(woven: weaving.Woven) -> tuple[list[list[int]], list[int]]:
    """For each block those that it follows at once, and on how many wires it is the first."""
    needs: list[list[int]] = []
    fresh: list[int] = []
    last: dict[int, int] = {}
    for number, block in enumerate(woven.blocks):
        needs.append([last[wire] for wire in block.wires if wire in last])
        needs[-1] += [woven.makers[value] for value in block.reads]
        fresh.append(sum(wire not in last for wire in block.wires))
        last.update(dict.fromkeys(block.wires, number))
    return needs, fresh


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
    qubits = values = widest = 0
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
        parts = len(block.parts) + sum(len(woven.tails[block.wires[place]]) for place in move.measured)
        seconds += BLOCK + GATE * parts + MULTIPLY * 2.0 ** (before + rows) + MOVE * size
        if branching is not None:
            seconds += DIVIDE * 2.0**known + SCATTER * size
        most = max(most, size + 2.0**before)
        widest = max(widest, values + made)
        values += made - len(move.dropped)
    spent, kept = _making(woven, moves)
    seconds += spent + (RECORD * shots * widest if branching is not None else 0.0)
    most += kept / 8 + (shots * (widest + len(wanted)) / 8 if branching is not None else 0.0)
    return Order(woven, moves, seconds, most, wanted, branching, widest)


def _making(woven: weaving.Woven, moves: Sequence[Move]) -> tuple[float, float]:
    """Predict the time to make the matrices of gates, s, and the memory that they take, bytes."""
    each = once = numeric = size = 0.0
    seen: set[tuple[object, ...]] = set()
    for step in _steps(woven, moves):
        qubits, params = len(step.qubits or ()), step.params
        if qubits < weaving.MAX_GATE_QUBITS and not params:
            continue
        if step.name not in gates.SHAPES:
            numeric += MAKE_NUMERIC[qubits - 1]
            continue
        price = MAKE[qubits - 1]
        each += price
        key = (step.name, step.qubits, *(params or ()))
        if key not in seen:
            seen.add(key)
            once += price
            size += 8 * 16**qubits + KEY_BYTES
    return numeric + (each if size > KEPT_BYTES else once), min(size, KEPT_BYTES)


def _steps(woven: weaving.Woven, moves: Sequence[Move]) -> Iterator[qobj.Instruction]:
    """The instructions that are computed, delays and turns that cost nothing aside."""
    for move in moves:
        block = woven.blocks[move.block]
        yield from (step for _, step in block.parts if step.name not in _CHEAP)
        for place in move.measured:
            yield from (step for step in woven.tails[block.wires[place]] if step.name not in _CHEAP)
