# SPDX-License-Identifier: Apache-2.0
"""A circuit of Qiskit as the instructions of a Qobj: gates by names that the engine knows, conditions by `bfunc`.

Gates that a text defines are unrolled until only known ones are left. Loops of a fixed number of rounds are
unrolled too. The work is bounded, because a few lines can define a gate of a billion instructions.

Source: legacy API reference, section 12.2.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from qiskit.circuit import (
    CONTROL_FLOW_OP_NAMES,
    Barrier,
    BoxOp,
    CircuitInstruction,
    Clbit,
    ControlFlowOp,
    Delay,
    ForLoopOp,
    Gate,
    IfElseOp,
    Measure,
    Operation,
    QuantumCircuit,
    Qubit,
    Reset,
)

from chandelier import errors
from chandelier.engines import gates

#: Where the gates live whose names mean what the engine means by them.
_LIBRARY: Final = "qiskit.circuit.library."
#: Most instructions of all programs of a job, and most steps of the work that finds them.
MAX_INSTRUCTIONS: Final = 100_000

#: Copying a block for one round of a loop takes as long as so many instructions.
_ROUND: Final = 20

#: Gates that a text of version 2 defines; of one name there is one only.
_OWN: Final = "qiskit.qasm2."

Json = dict[str, Any]
#: An operation, its qubits and its memory slots.
_Part = tuple[Operation, Sequence[int], Sequence[int]]


class Transcript(msgspec.Struct, frozen=True):
    """The instructions of a circuit.

    Attributes:
        instructions: As JSON, in the form of a Qobj.
        phase: Global phase, radians.
        measured: For each memory slot the qubit that was measured into it last; None where none was.
    """

    instructions: list[Json]
    phase: float
    measured: list[int | None]


class Budget:
    """How much work is left; shared by all programs of a job."""

    def __init__(self, steps: int = MAX_INSTRUCTIONS) -> None:
        self._most = self._left = steps

    def spend(self, steps: int = 1) -> None:
        """Take some steps.

        Raises:
            errors.ProgramRefused: Code 8013: there are no more.
        """
        self._left -= steps
        if self._left < 0:
            message = f"The job has more than {self._most} instructions, once gates and loops are unrolled."
            raise errors.ProgramRefused(message, 8013)


def of(circuit: QuantumCircuit, budget: Budget) -> Transcript:
    """Write down a circuit.

    Raises:
        errors.ProgramRefused: Code 8004, 8010 or 8013.
    """
    branches = any(isinstance(step.operation, ControlFlowOp) for step in circuit.data)
    writer = _Writer(circuit, budget, conditional=branches)
    writer.block(circuit, _Wires.of(circuit), None)
    return Transcript(writer.instructions, writer.phase, writer.measured)


@dataclasses.dataclass(frozen=True)
class _Wires:
    """Which qubit and which memory slot each wire of a block is."""

    qubits: Mapping[Qubit, int]
    slots: Mapping[Clbit, int]

    @classmethod
    def of(cls, circuit: QuantumCircuit) -> "_Wires":
        return cls(_numbered(circuit.qubits), _numbered(circuit.clbits))

    def inside(self, step: CircuitInstruction, block: QuantumCircuit) -> "_Wires":
        """The wires of a block of a step: they are those of the step, in their order."""
        qubits = dict(zip(block.qubits, (self.qubits[qubit] for qubit in step.qubits), strict=True))
        slots = dict(zip(block.clbits, (self.slots[bit] for bit in step.clbits), strict=True))
        # A condition names the bits of the whole circuit.
        return _Wires(qubits, {**self.slots, **slots})


class _Writer:
    """Writes instructions; register slots beyond the memory hold the conditions of the branches it is in."""

    def __init__(self, circuit: QuantumCircuit, budget: Budget, *, conditional: bool) -> None:
        self._budget = budget
        self._conditional = conditional
        self._free = len(circuit.clbits)
        self._known: dict[tuple[Any, ...], tuple[float, list[_Part]]] = {}
        self.instructions: list[Json] = []
        self.phase = _real(circuit.global_phase)
        self.measured: list[int | None] = [None] * len(circuit.clbits)

    def block(self, circuit: QuantumCircuit, wires: _Wires, condition: int | None) -> None:
        """Write a block.

        Args:
            circuit: The block.
            wires: What its wires are.
            condition: Register slot that must be 1 for it to run.
        """
        for step in circuit.data:
            operation = step.operation
            if operation.name in CONTROL_FLOW_OP_NAMES and isinstance(operation, ControlFlowOp):
                self._budget.spend()
                self._branch(step, operation, wires, condition)
            else:
                qubits = tuple(wires.qubits[qubit] for qubit in step.qubits)
                slots = tuple(wires.slots[bit] for bit in step.clbits)
                self._unroll(operation, qubits, slots, condition)

    def _unroll(self, operation: Operation, qubits: Sequence[int], slots: Sequence[int], condition: int | None) -> None:
        """Write an operation, or what it is defined by. No recursion: definitions may be nested thousands deep."""
        waiting: list[Iterator[_Part]] = [iter([(operation, qubits, slots)])]
        while waiting:
            following = next(waiting[-1], None)
            if following is None:
                waiting.pop()
                continue
            self._budget.spend()
            operation, qubits, slots = following
            written = _written(operation, qubits, slots)
            if written is not None:
                self._write(written, condition)
                continue
            phase, parts = self._defined(operation)
            self.phase += phase if condition is None else 0.0
            waiting.append(_placed(parts, qubits, slots))

    def _defined(self, operation: Operation) -> tuple[float, list[_Part]]:
        """What an operation consists of, by places among its own wires; found once for each gate of a text."""
        key = None
        if type(operation).__module__.startswith(_OWN):
            key = (operation.name, *operation.params)
            if key in self._known:
                return self._known[key]
        definition: QuantumCircuit | None = getattr(operation, "definition", None)
        if definition is None:
            raise _unsupported(f"{operation.name[:60]!r}, declared without a definition,")
        qubits, bits = _numbered(definition.qubits), _numbered(definition.clbits)
        parts: list[_Part] = [
            (step.operation, [qubits[qubit] for qubit in step.qubits], [bits[bit] for bit in step.clbits])
            for step in definition.data
        ]
        found = _real(definition.global_phase), parts
        if key is not None:
            self._known[key] = found
        return found

    def _write(self, instruction: Json, condition: int | None) -> None:
        if instruction["name"] == "measure":
            for qubit, slot in zip(instruction["qubits"], instruction["memory"], strict=True):
                self.measured[slot] = qubit
            if self._conditional:
                instruction["register"] = instruction["memory"]
        if condition is not None and instruction["name"] != "barrier":
            instruction["conditional"] = condition
        self.instructions.append(instruction)

    def _branch(self, step: CircuitInstruction, operation: ControlFlowOp, wires: _Wires, outer: int | None) -> None:
        if isinstance(operation, IfElseOp):
            self._choose(step, operation, wires, outer)
        elif isinstance(operation, ForLoopOp):
            for block in _rounds(operation):
                self._budget.spend(_ROUND)
                self.block(block, wires.inside(step, block), outer)
        elif isinstance(operation, BoxOp):
            (body,) = operation.blocks
            self.block(body, wires.inside(step, body), outer)
        else:
            raise _unsupported(f"a {operation.name.removesuffix('_loop')} statement")

    def _choose(self, step: CircuitInstruction, operation: IfElseOp, wires: _Wires, outer: int | None) -> None:
        before = self._free
        true = self._truth(operation.condition, wires)
        # Both are found before a branch can change the bits.
        slots = [self._both(true, outer)]
        if len(operation.blocks) > 1:
            slots.append(self._both(self._compare((true,), 0), outer))
        for block, slot in zip(operation.blocks, slots, strict=True):
            self.block(block, wires.inside(step, block), slot)
        self._free = before

    def _truth(self, condition: Any, wires: _Wires) -> int:
        """Write the instruction that finds whether a condition holds; return the register slot that says it."""
        if not isinstance(condition, tuple):
            raise _unsupported("a condition that is no comparison of a register with a number")
        bits, value = condition
        slots = [wires.slots[bit] for bit in ([bits] if isinstance(bits, Clbit) else bits)]
        return self._compare(slots, int(value))

    def _compare(self, slots: Sequence[int], value: int) -> int:
        """Compare the number that register slots make, the first of them the lowest bit, with a value."""
        spread = sum(1 << slot for place, slot in enumerate(slots) if value >> place & 1)
        if value >> len(slots):
            # More than the slots can hold: so is the first place that none of them has.
            spread |= 1 << (max(slots, default=-1) + 1)
        mask = sum(1 << slot for slot in slots)
        slot, self._free = self._free, self._free + 1
        self.instructions.append(
            {"name": "bfunc", "mask": hex(mask), "relation": "==", "val": hex(spread), "register": slot}
        )
        return slot

    def _both(self, one: int, other: int | None) -> int:
        return one if other is None else self._compare((one, other), 3)


def _rounds(loop: ForLoopOp) -> Iterator[QuantumCircuit]:
    indices, parameter, body = loop.params
    for index in indices:
        bound = parameter is not None and parameter in body.parameters
        yield body.assign_parameters({parameter: index}) if bound else body


def _written(operation: Operation, qubits: Sequence[int], slots: Sequence[int]) -> Json | None:
    """The instruction that an operation is; None if it has to be unrolled."""
    name = operation.name
    if isinstance(operation, Measure):
        return {"name": "measure", "qubits": list(qubits), "memory": list(slots)}
    if isinstance(operation, Delay):
        return {"name": "delay", "qubits": list(qubits), **_duration(operation)}
    if isinstance(operation, Reset | Barrier):
        return {"name": name, "qubits": list(qubits)}
    # A gate that a text defines may be called like one of ours and be another.
    if isinstance(operation, Gate) and name in gates.SHAPES and operation.base_class.__module__.startswith(_LIBRARY):
        values = [_real(value) for value in operation.params]
        return {"name": name, "qubits": list(qubits), **({"params": values} if values else {})}
    return None


def _duration(delay: Delay) -> Json:
    duration, unit = delay.duration, delay.unit
    if unit == "ps":
        return {"params": [_real(duration) / 1000], "unit": "ns"}
    return {"params": [duration if isinstance(duration, int) else _real(duration)], "unit": unit}


def _placed(parts: Iterable[_Part], qubits: Sequence[int], slots: Sequence[int]) -> Iterator[_Part]:
    for operation, quantum, classical in parts:
        yield operation, [qubits[place] for place in quantum], [slots[place] for place in classical]


def _numbered(bits: Iterable[Any]) -> dict[Any, int]:
    return {bit: index for index, bit in enumerate(bits)}


def _real(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise _unsupported(f"the parameter {str(value)[:60]!r}, which has no value,") from error
    if not math.isfinite(number):
        raise errors.ProgramRefused(f"A parameter is {number}; it must be finite.", 8004)
    return number


def _unsupported(what: str) -> errors.ProgramRefused:
    return errors.ProgramRefused(f"{what[:1].upper()}{what[1:]} is not supported.", 8010)
