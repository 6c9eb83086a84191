# SPDX-License-Identifier: Apache-2.0
"""A circuit without noise reduced to what its counts depend on.

What is measured and used again is copied first, to a wire of its own that is measured at the end; what is reset goes
on as a new wire; what depends on a measured bit is controlled by that bit's wire. So every measurement comes last,
and one evolution of the state gives the probabilities of all outcomes. Then what no measurement depends on is left
out, and what is independent of each other is separated. All of that is exact.

Source: Nielsen and Chuang, Quantum Computation and Quantum Information, section 4.4, for deferred measurements.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from chandelier.engines import schedule, unitaries
from chandelier.formats import qobj

#: Values of wires, all of which must hold.
Truth = tuple[tuple[int, int], ...]


#: A gate: the instruction, or None for a copy of a bit, which is an `x` under one control; the wires that its qubits
#: are, or the wire that is copied and the one that it is copied to; what else must hold for it to happen.
Part = tuple[qobj.Instruction | None, tuple[int, ...], Truth]


class Piece(NamedTuple):
    """A part of a circuit that is independent of the rest.

    Attributes:
        wires: In ascending order.
        seen: Those of them that are measured, in ascending order.
        parts: Gates, in their order.
    """

    wires: tuple[int, ...]
    seen: tuple[int, ...]
    parts: tuple[Part, ...]


class Reduced(NamedTuple):
    """A circuit reduced.

    Attributes:
        pieces: Those with a measurement.
        slots: For each memory slot that can read 1, in ascending order, the slot and the wire whose outcome it shows.
    """

    pieces: tuple[Piece, ...]
    slots: tuple[tuple[int, int], ...]


class Unreducible(Exception):
    """A circuit depends on its measurements in a way that is not followed here."""


_IGNORED: Final = frozenset({"barrier", "delay", "id"})


def reduced(steps: Iterable[qobj.Instruction]) -> Reduced:
    """Reduce a circuit.

    Raises:
        Unreducible: It has conditional measurements or resets, or conditions that are not a conjunction.
    """
    flow = _Flow()
    for step in steps:
        flow.follow(step)
    slots = tuple((slot, wire) for slot, wire in sorted(flow.memory.items()) if wire in flow.touched)
    seen = {wire for _, wire in slots}
    return Reduced(_pieces(_needed(flow.parts, seen), seen), slots)


class _Flow:
    """The state of following a circuit: which wire each qubit is, and what is known of each classical bit."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.touched: set[int] = set()
        self.memory: dict[int, int] = {}
        self._wires: dict[int, int] = {}
        self._registers: dict[int, Truth] = {}
        self._kept: set[int] = set()  # wires whose value a bit shows: nothing may change it
        # For each wire the bits that were set to show it, some of which may show others by now.
        self._showing: dict[int, list[tuple[bool, int]]] = {}
        self._next = 0

    def follow(self, step: qobj.Instruction) -> None:
        """Take the next instruction."""
        flowing = _FLOWING.get(step.name)
        if flowing is None:
            if step.name == "pauli":
                self._paulis(step)
            elif step.name not in _IGNORED:
                self._gate(step)
        elif step.conditional is None:
            flowing(self, step)
        else:
            raise Unreducible(f"a conditional {step.name}")

    def _wire(self, qubit: int) -> int:
        wire = self._wires.get(qubit)
        return self._fresh(qubit) if wire is None else wire

    def _fresh(self, qubit: int | None = None) -> int:
        wire, self._next = self._next, self._next + 1
        if qubit is not None:
            self._wires[qubit] = wire
        return wire

    def _paulis(self, step: qobj.Instruction) -> None:
        """Apply Pauli operators one by one; their letters name them from the last qubit to the first."""
        for letter, qubit in zip(reversed(step.params[0]), step.qubits or (), strict=True):
            if letter != "I":
                self._gate(qobj.Instruction(name=letter.lower(), qubits=(qubit,), conditional=step.conditional))

    def _gate(self, step: qobj.Instruction) -> None:
        known, fresh = self._wires, self._fresh
        wires = tuple([known[qubit] if qubit in known else fresh(qubit) for qubit in step.qubits or ()])
        if self._kept and not self._kept.isdisjoint(wires):
            # What a gate only looks at may be kept, unless the gate's condition looks at it too.
            changed = wires[unitaries.controls(step) :] if step.conditional is None else wires
            for wire in changed:
                if wire in self._kept:
                    self._copy(wire)
        truth = () if step.conditional is None else self._truth(step.conditional)
        if truth is not None:
            self.parts.append((step, wires, truth))
            self.touched.update(wires)

    def _copy(self, wire: int) -> None:
        """Let the bits that show a wire show a copy of it, so that the wire is free to change."""
        self._kept.discard(wire)
        copy = self._fresh()
        if wire in self.touched:  # else it is 0, as is the copy
            self.parts.append((None, (wire, copy), ()))
            self.touched.add(copy)
        self._kept.add(copy)
        for in_memory, slot in self._showing.pop(wire, ()):
            if in_memory and self.memory[slot] == wire:
                self._remember(slot, copy)
            truth = () if in_memory else self._registers.get(slot, ())
            if any(shown == wire for shown, _ in truth):
                self._registers[slot] = tuple([(copy if shown == wire else shown, bit) for shown, bit in truth])
                self._showing.setdefault(copy, []).append((False, slot))

    def _remember(self, slot: int, wire: int) -> None:
        """Let a memory slot show a wire."""
        self.memory[slot] = wire
        self._showing.setdefault(wire, []).append((True, slot))

    def _show(self, slot: int, truth: Truth) -> None:
        """Let a register slot show wires."""
        self._registers[slot] = truth
        for wire, _ in truth:
            self._showing.setdefault(wire, []).append((False, slot))

    def measure(self, step: qobj.Instruction) -> None:
        """Let bits show wires."""
        wires = [self._wire(qubit) for qubit in step.qubits or ()]
        self._kept.update(wires)
        for slot, wire in zip(qobj.slots(step.memory), wires, strict=False):
            self._remember(slot, wire)
        for slot, wire in zip(qobj.slots(step.register), wires, strict=False):
            self._show(slot, ((wire, 1),))

    def reset(self, step: qobj.Instruction) -> None:
        """Go on with new wires."""
        for qubit in step.qubits or ():
            if self._wires.get(qubit) in self.touched:
                self._fresh(qubit)

    def prepare(self, step: qobj.Instruction) -> None:
        """Set the state of qubits: they go on as new wires."""
        self.reset(step)
        self._gate(step)

    def compare(self, step: qobj.Instruction) -> None:
        """Let registers show what others are compared to."""
        if qobj.slots(step.memory) or (step.relation or "==") not in {"==", "=", "!="}:
            raise Unreducible("a comparison that is no conjunction")
        mask, value = qobj.number(step.mask or 0), qobj.number(step.val or 0)
        found = self._equal(mask, value, self._registers)
        if step.relation == "!=":
            found = _not(found)
        self._set(qobj.slots(step.register), found)

    def _set(self, slots: Iterable[int], truth: Truth | None) -> None:
        for slot in slots:
            self._registers.pop(slot, None)  # a slot that is missing reads 0
            if truth is not None:
                self._show(slot, truth)

    def duplicate(self, step: qobj.Instruction) -> None:
        """Let registers show what another does."""
        self._set(qobj.slots(step.register_copy), self._registers.get(step.register_orig or 0))

    def _truth(self, condition: int | qobj.Condition) -> Truth | None:
        """What a condition asks for; None if it never holds."""
        if isinstance(condition, int):
            return self._registers.get(condition)
        mask = qobj.number(condition.mask)
        shown = {slot: ((self.memory[slot], 1),) for slot in schedule.bits(mask) if slot in self.memory}
        return self._equal(mask, qobj.number(condition.val), shown)

    def _equal(self, mask: int, value: int, bits: Mapping[int, Truth]) -> Truth | None:
        """What it takes for bits under a mask to have a value; None if that is impossible."""
        wanted: dict[int, int] = {}
        if value & ~mask:
            return None
        for place in schedule.bits(mask):
            truth, bit = bits.get(place), value >> place & 1
            if truth is None:  # it reads 0
                if bit:
                    return None
                continue
            asked = truth if bit else _not(truth)
            if asked is None or any(wanted.setdefault(wire, what) != what for wire, what in asked):
                return None
        return tuple(wanted.items())


def _not(truth: Truth | None) -> Truth | None:
    """The contrary; None is what never holds."""
    if truth is None:
        return ()
    if len(truth) > 1:
        raise Unreducible("a condition that is no conjunction")
    return tuple((wire, 1 - bit) for wire, bit in truth) or None


_FLOWING: Final = {
    "measure": _Flow.measure,
    "reset": _Flow.reset,
    "initialize": _Flow.prepare,
    "bfunc": _Flow.compare,
    "copy": _Flow.duplicate,
}


def _needed(parts: Sequence[Part], seen: Iterable[int]) -> list[Part]:
    """Leave out gates on which no measurement depends: those on other wires, and diagonal ones that nothing follows."""
    needed, stirred = set(seen), set[int]()
    kept: list[Part] = []
    for part in reversed(parts):
        step, wires, truth = part
        if needed.isdisjoint(wires):
            continue
        if step is None or step.name not in unitaries.DIAGONAL:
            stirred.update(wires)
        elif stirred.isdisjoint(wires):
            continue
        kept.append(part)
        needed.update(wires)
        if truth:
            needed.update([wire for wire, _ in truth])
    kept.reverse()
    return kept


def _pieces(parts: Sequence[Part], seen: Iterable[int]) -> tuple[Piece, ...]:
    """Separate what has no gate in common."""
    group: dict[int, set[int]] = {wire: {wire} for wire in seen}
    for _, wires, truth in parts:
        whole = group.setdefault(wires[0], {wires[0]})
        for wire in (*wires, *(wire for wire, _ in truth)) if truth else wires:
            if wire not in whole:
                other = group.get(wire, {wire})
                if len(other) > len(whole):
                    whole, other = other, whole
                whole |= other
                group.update(dict.fromkeys(other, whole))
    lists: dict[int, list[Part]] = {id(whole): [] for whole in group.values()}
    for part in parts:
        lists[id(group[part[1][0]])].append(part)
    wanted = set(seen)
    distinct = {id(whole): whole for whole in group.values()}
    return tuple(
        Piece(tuple(sorted(whole)), tuple(sorted(whole & wanted)), tuple(lists[key]))
        for key, whole in sorted(distinct.items(), key=lambda item: min(item[1]))
    )
