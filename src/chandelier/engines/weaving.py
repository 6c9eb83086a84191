# SPDX-License-Identifier: Apache-2.0
"""A circuit cut into blocks, each all that happens to some qubits before others join them.

A qubit that is reset is a new wire; a measured bit is a value that is written once, whatever slots it is copied to.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from chandelier.engines import gates, methods, schedule
from chandelier.formats import qobj

#: Most qubits of one instruction, and most bits that a condition compares.
MAX_GATE_QUBITS: Final = 3
MAX_COMPARED: Final = 6
#: Instructions given by numbers that are channels or gates.
_NUMERIC: Final = frozenset({"unitary", "diagonal", "multiplexer", "pauli", "kraus", "superop"})

#: Most blocks: of all pairs of them it is noted whether one depends on the other.
MAX_BLOCKS: Final = 8192

Kind = Literal["act", "look", "choose", "reckon"]
#: Places of an instruction's qubits among the wires of a block, and the instruction.
Part = tuple[tuple[int, ...], qobj.Instruction]


class Block(NamedTuple):
    """What happens to some wires at once.

    Attributes:
        kind: `act`: gates. `look`: a measurement after which the qubit goes on. `choose`: the last part happens if
            the value that is read is 1. `reckon`: a value computed from others.
        wires: Qubits, each from a reset to the next.
        parts: Instructions in their order.
        reads: Values on which it depends.
        writes: Value that it makes; None for none.
        truth: Of `reckon`: for each combination of the values read whether the result is 1, the first read most
            significant.
    """

    kind: Kind
    wires: tuple[int, ...]
    parts: list[Part]
    reads: tuple[int, ...] = ()
    writes: int | None = None
    truth: tuple[bool, ...] = ()


class Woven(NamedTuple):
    """A circuit as blocks.

    Attributes:
        blocks: In an order in which they could happen.
        qubits: For each wire its qubit.
        tails: For each wire what happens to its qubit alone after its last block.
        ends: For each wire the value that it becomes when it is measured at its end; None where it is not.
        memory: For each memory slot that is written its final value.
        makers: For each value the block after which it is known.
    """

    blocks: list[Block]
    qubits: list[int]
    tails: list[list[qobj.Instruction]]
    ends: list[int | None]
    memory: dict[int, int]
    makers: list[int]


def weave(steps: Sequence[qobj.Instruction], *, waits: bool) -> Woven | None:
    """Cut a circuit into blocks.

    Args:
        steps: Checked instructions; delays in seconds.
        waits: Whether anything happens to a qubit that waits.

    Returns:
        None if it does something that blocks cannot, or too much.
    """
    loom = _Loom(waits=waits)
    if not all(loom.add(step) for step in steps):
        return None
    woven = loom.woven()
    return woven if len(woven.blocks) <= MAX_BLOCKS else None


class _Loom:
    """Makes blocks of one instruction after the other."""

    def __init__(self, *, waits: bool) -> None:
        self.waits = waits
        self.blocks: list[Block] = []
        self.wires: dict[int, int] = {}  # of each qubit the present one
        self.qubits: list[int] = []
        self.pending: list[list[qobj.Instruction]] = []  # of each wire
        self.last: list[int] = []  # of each wire the last block, or -1
        self.held: dict[int, int] = {}  # wires of which nothing is known since they were measured
        self.memory: dict[int, int] = {}
        self.registers: dict[int, int] = {}
        self.makers: list[int] = []

    def add(self, step: qobj.Instruction) -> bool:
        """Add an instruction; False if that is not possible."""
        name, qubits = step.name, step.qubits or ()
        if step.conditional is not None:
            return self._choose(step)
        if name in methods.STRUCTURE:
            return self._structure(step)
        if len(qubits) != 1 or not (name in gates.SHAPES or name in _NUMERIC):
            return self._act(step)
        self.pending[self._open(qubits[0])].append(step)
        return True

    def _structure(self, step: qobj.Instruction) -> bool:
        if step.name == "measure":
            self._measure(step)
        elif step.name == "delay":
            self._wait(step)
        elif step.name == "reset":
            for index, one in _each(step):
                self._start(index).append(one)
        elif step.name == "bfunc":
            return self._bfunc(step)
        elif step.name == "copy":
            source = self.registers.get(step.register_orig or 0)
            self._write(self.registers, qobj.slots(step.register_copy), source)
        return step.name != "roerror"

    def woven(self) -> Woven:
        """What has become of the instructions."""
        ends: list[int | None] = [None] * len(self.qubits)
        for wire, value in self.held.items():
            if self.last[wire] < 0:
                self._block("act", (wire,))
            ends[wire] = value
            self.makers[value] = self.last[wire]
        return Woven(self.blocks, self.qubits, self.pending, ends, self.memory, self.makers)

    def _start(self, qubit: int) -> list[qobj.Instruction]:
        """Begin a new wire for a qubit."""
        self.wires[qubit] = len(self.qubits)
        self.qubits.append(qubit)
        self.last.append(-1)
        self.pending.append([])
        return self.pending[-1]

    def _open(self, qubit: int) -> int:
        """The wire of a qubit to which something is going to happen."""
        wire = self.wires.get(qubit)
        if wire is None:
            self._start(qubit)
            return self.wires[qubit]
        if wire in self.held:
            self._look(wire)
        return wire

    def _look(self, wire: int) -> None:
        value = self.held.pop(wire)
        self.makers[value] = self._block("look", (wire,), writes=value)

    def _block(self, kind: Kind, wires: tuple[int, ...], reads: tuple[int, ...] = (), writes: int | None = None) -> int:
        """Begin a block with all that happened to each of its wires alone."""
        parts: list[Part] = []
        number = len(self.blocks)
        for place, wire in enumerate(wires):
            if self.pending[wire]:
                parts += [((place,), step) for step in self.pending[wire]]
                self.pending[wire] = []
            self.last[wire] = number
        self.blocks.append(Block(kind, wires, parts, reads, writes))
        return number

    def _wait(self, step: qobj.Instruction) -> None:
        """Add a wait of one qubit; in its ground state it stays in that."""
        for index in step.qubits or ():
            if self.waits and index in self.wires:
                self.pending[self._open(index)].append(step)

    def _act(self, step: qobj.Instruction) -> bool:
        qubits = step.qubits or ()
        if len(qubits) > MAX_GATE_QUBITS or not qubits or not (step.name in gates.SHAPES or step.name in _NUMERIC):
            return False
        wires = tuple([self._open(index) for index in qubits])
        number = self.last[wires[0]]
        same = number >= 0 and all(self.last[wire] == number for wire in wires)
        if not same or self.blocks[number].kind != "act" or len(self.blocks[number].wires) != len(wires):
            number = self._block("act", wires)
        block = self.blocks[number]
        places = tuple([block.wires.index(wire) for wire in wires])
        for place, wire in zip(places, wires, strict=True):
            if self.pending[wire]:
                block.parts.extend([((place,), one) for one in self.pending[wire]])
                self.pending[wire] = []
        block.parts.append((places, step))
        return True

    def _measure(self, step: qobj.Instruction) -> None:
        memory, register = qobj.slots(step.memory), qobj.slots(step.register)
        for place, index in enumerate(step.qubits or ()):
            wire = self._open(index)
            value = self.held[wire] = len(self.makers)
            self.makers.append(-1)
            if memory:
                self.memory[memory[place]] = value
            if register:
                self.registers[register[place]] = value

    def _choose(self, step: qobj.Instruction) -> bool:
        """Add an instruction that depends on a condition."""
        name, qubits, condition = step.name, step.qubits or (), step.conditional
        if name not in gates.SHAPES and name not in _NUMERIC and name not in {"delay", "reset"}:
            return False
        if len(qubits) > MAX_GATE_QUBITS:
            return False
        if name == "delay" and not self.waits:
            return True
        if isinstance(condition, qobj.Condition):
            mask, wanted = qobj.number(condition.mask), qobj.number(condition.val)
            if mask.bit_count() > MAX_COMPARED:
                return False
            value = self._reckon(self.memory, "==", mask, wanted)
        else:
            value = self.registers.get(condition or 0)
        if value is None:
            return True
        self._known(value)
        for one in [part for _, part in _each(step)] if name in {"delay", "reset"} else [step]:
            wires = tuple([self._open(index) for index in one.qubits or ()])
            number = self._block("choose", wires, (value,))
            self.blocks[number].parts.append((tuple(range(len(wires))), one))
        return True

    def _bfunc(self, step: qobj.Instruction) -> bool:
        mask, wanted = qobj.number(step.mask or 0), qobj.number(step.val or 0)
        if mask.bit_count() > MAX_COMPARED:
            return False
        value = self._reckon(self.registers, step.relation or "==", mask, wanted)
        self._write(self.registers, qobj.slots(step.register), value)
        self._write(self.memory, qobj.slots(step.memory), value)
        return True

    def _write(self, slots: dict[int, int], places: Sequence[int], value: int | None) -> None:
        for place in places:
            if value is None:
                slots.pop(place, None)
            else:
                slots[place] = value

    def _known(self, value: int) -> None:
        """See to it that a value that is going to be read is there before."""
        for wire, held in self.held.items():
            if held == value:
                self._look(wire)
                return

    def _reckon(self, slots: Mapping[int, int], relation: str, mask: int, wanted: int) -> int | None:
        """Make a value by comparing others; None if it is always 0."""
        places = [place for place in schedule.bits(mask) if place in slots]
        reads = tuple([slots[place] for place in places])
        compare = _COMPARE[relation]
        truth = []
        for number in range(1 << len(places)):
            bits = [number >> (len(places) - 1 - at) & 1 for at in range(len(places))]
            truth.append(compare(sum(bit << place for bit, place in zip(bits, places, strict=True)), wanted))
        if not any(truth):
            return None
        for value in reads:
            self._known(value)
        # Two slots can show the same value, of which only the combinations where they agree are possible.
        if len(set(reads)) < len(reads):
            reads, truth = _distinct(reads, truth)
        value = len(self.makers)
        self.makers.append(len(self.blocks))
        self.blocks.append(Block("reckon", (), [], reads, value, tuple(truth)))
        return value


def _each(step: qobj.Instruction) -> list[tuple[int, qobj.Instruction]]:
    """An instruction for each of its qubits."""
    qubits = step.qubits or ()
    if len(qubits) == 1:
        return [(qubits[0], step)]
    return [(index, msgspec.structs.replace(step, qubits=(index,))) for index in qubits]


_COMPARE: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "==": int.__eq__,
    "=": int.__eq__,
    "!=": int.__ne__,
    "<": int.__lt__,
    "<=": int.__le__,
    ">": int.__gt__,
    ">=": int.__ge__,
}


def _distinct(reads: Sequence[int], truth: Sequence[bool]) -> tuple[tuple[int, ...], list[bool]]:
    """Name every value once."""
    kept = tuple(dict.fromkeys(reads))
    short = []
    for number in range(1 << len(kept)):
        bits = {value: number >> (len(kept) - 1 - at) & 1 for at, value in enumerate(kept)}
        long = 0
        for value in reads:
            long = long << 1 | bits[value]
        short.append(truth[long])
    return kept, short
