# SPDX-License-Identifier: Apache-2.0
"""Experiments of a Qobj as Qiskit circuits.

Every memory slot is a classical bit, and bit i of an outcome. Register slots that a condition reads are
further bits above them, which the result does not show: a measurement into a register is copied there, a
`bfunc` writes its value there, and a condition tests one of them.

Source: legacy API reference, section 12.2.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from qiskit.circuit import Clbit, Measure, Operation, QuantumCircuit, Qubit, Reset
from qiskit.circuit.classical import expr

from chandelier.engines import gates, matrices, methods, programs, saved, schedule
from chandelier.formats import qobj

#: What happens to a qubit that waits: its index and the time in seconds.
Idle = Callable[[int, float], Operation | None]
#: What stands for an instruction with its errors, given what stands for it without.
Noisy = Callable[[qobj.Instruction, list[gates.Part]], list[gates.Part]]


@dataclasses.dataclass(frozen=True)
class Circuit:
    """An experiment ready to run.

    Attributes:
        circuit: The circuit; its first `slots` classical bits are the memory.
        slots: Number of memory slots.
        measures: Whether anything is written to the memory.
    """

    circuit: QuantumCircuit
    slots: int
    measures: bool


@dataclasses.dataclass(frozen=True)
class _Wires:
    circuit: QuantumCircuit
    qubits: Mapping[int, Qubit]
    memory: Sequence[Clbit]
    registers: dict[int, Clbit]
    scratch: Clbit
    native: frozenset[str]
    idle: Idle
    noisy: Noisy
    hidden: bool


def no_idle(_qubit: int, _seconds: float) -> None:
    """What waiting does to a qubit without noise."""


def no_errors(_step: qobj.Instruction, parts: list[gates.Part]) -> list[gates.Part]:
    """What stands for an instruction where Aer adds all errors by itself."""
    return parts


def layout(instructions: Sequence[qobj.Instruction]) -> tuple[int, ...] | None:
    """The qubits that a circuit needs, where others would cost; None where they are free.

    Aer drops idle qubits by itself, but not from all circuits that branch.
    """
    if all(step.conditional is None for step in instructions):
        return None
    return tuple(sorted(programs.active(instructions))) or (0,)


def build(
    instructions: Sequence[qobj.Instruction],
    *,
    slots: int,
    phase: float,
    native: frozenset[str],
    idle: Idle = no_idle,
    noisy: Noisy = no_errors,
    among: Sequence[int] | None = None,
) -> Circuit:
    """Make the circuit of an experiment.

    Args:
        instructions: Checked instructions; delays in seconds, unless `idle` ignores them.
        slots: Number of memory slots.
        phase: Global phase, radians.
        native: Names that the simulator takes as they are.
        idle: Gives the operation that stands for a wait.
        noisy: Adds errors to what stands for an instruction.
        among: The qubits that the circuit has, in its order; at least the active ones. None for all up to the last.

    Raises:
        errors.ProgramRefused: An instruction given by numbers is not physical.
    """
    width = 1 + max((index for step in instructions for index in step.qubits or ()), default=0)
    qubits = {index: Qubit() for index in (range(width) if among is None else among)}
    memory = [Clbit() for _ in range(slots)]
    registers = {slot: Clbit() for slot in sorted(_registers(instructions))}
    scratch = Clbit()
    writes = any(step.name in {"measure", "bfunc"} and qobj.slots(step.memory) for step in instructions)
    unmeasured = writes and all(step.name != "measure" for step in instructions)
    needs_scratch = unmeasured or any(
        isinstance(step.conditional, qobj.Condition) or (step.name == "measure" and not qobj.slots(step.memory))
        for step in instructions
    )
    circuit = QuantumCircuit(
        [*qubits.values()], [*memory, *registers.values(), *([scratch] if needs_scratch else [])], global_phase=phase
    )
    hidden = needs_scratch or bool(registers)
    wires = _Wires(circuit, qubits, memory, registers, scratch, native, idle, noisy, hidden)
    for step in instructions:
        _append(wires, step)
    if unmeasured:  # Aer does not look at the memory of a circuit without measurements
        circuit.append(Measure(), [circuit.qubits[0]], [scratch], copy=False)
    return Circuit(circuit, slots, writes)


def _registers(instructions: Sequence[qobj.Instruction]) -> set[int]:
    """Register slots whose value matters: a condition, a `bfunc` or a `copy` reads or makes it."""
    used: set[int] = set()
    for step in instructions:
        if isinstance(step.conditional, int):
            used.add(step.conditional)
        if step.name == "bfunc":
            used.update(qobj.slots(step.register))
            used.update(schedule.bits(qobj.number(step.mask or 0)))
        if step.name == "copy":
            used.update(qobj.slots(step.register_orig), qobj.slots(step.register_copy))
    return used


def _append(wires: _Wires, step: qobj.Instruction) -> None:
    if step.name == "barrier":
        wires.circuit.barrier(_present(wires, step.qubits or wires.qubits))
    elif step.name in {"bfunc", "copy"}:
        _compute(wires, step)
    elif step.name != "roerror":  # which changes what is read, not what happens
        _guarded(wires, step)


def _guarded(wires: _Wires, step: qobj.Instruction) -> None:
    """Append an instruction, inside a branch if it has a condition."""
    condition = _condition(wires, step)
    if condition is None:
        _perform(wires, step, wires.circuit)
        return
    qubits = _present(wires, step.qubits or ())
    body = QuantumCircuit(qubits, wires.circuit.clbits)
    _perform(dataclasses.replace(wires, circuit=body), step, body)
    if body.data:
        wires.circuit.if_test((condition, True), body, qubits, wires.circuit.clbits)


def _perform(wires: _Wires, step: qobj.Instruction, circuit: QuantumCircuit) -> None:
    qubits = _present(wires, step.qubits or ())
    if step.name == "measure":
        _measure(wires, step, circuit)
    elif step.name == "reset":
        for qubit in qubits:
            circuit.append(Reset(), [qubit], copy=False)
    elif step.name == "delay":
        _wait(wires, step, circuit)
    elif methods.saves(step.name):
        circuit.append(saved.operation(step, listed=wires.hidden), qubits, copy=False)
    else:
        for operation, places in wires.noisy(step, operations(step, wires.native, circuit)):
            circuit.append(operation, [qubits[place] for place in places], copy=False)


def _present(wires: _Wires, indices: Iterable[int]) -> list[Qubit]:
    """The circuit's qubits among some; a barrier or a wait may name others, to which nothing happens."""
    return [wires.qubits[index] for index in indices if index in wires.qubits]


def operations(step: qobj.Instruction, native: frozenset[str], circuit: QuantumCircuit) -> list[gates.Part]:
    """The operations of a gate or of an instruction given by numbers; their phase goes to the circuit."""
    count = len(step.qubits or ())
    if step.name in gates.SHAPES:
        params = gates.parameters(step.name, count, step.params)
        operation: Operation = gates.operation(step.name, count, params, native)
    else:
        operation = matrices.operation(step)
    parts, phase = gates.flattened(operation, native)
    if phase:
        circuit.global_phase += phase
    return parts


def _wait(wires: _Wires, step: qobj.Instruction, circuit: QuantumCircuit) -> None:
    for index in step.qubits or ():
        if index not in wires.qubits:
            continue
        operation = None if wires.idle is no_idle else wires.idle(index, float(step.params[0]))
        alone = msgspec.structs.replace(step, qubits=(index,))
        for part, _ in wires.noisy(alone, [] if operation is None else [(operation, (0,))]):
            circuit.append(part, [wires.qubits[index]], copy=False)


def _measure(wires: _Wires, step: qobj.Instruction, circuit: QuantumCircuit) -> None:
    memory, register = qobj.slots(step.memory), qobj.slots(step.register)
    for place, index in enumerate(step.qubits or ()):
        bit = wires.memory[memory[place]] if memory else wires.scratch
        circuit.append(Measure(), [wires.qubits[index]], [bit], copy=False)
        if register and register[place] in wires.registers:
            circuit.store(wires.registers[register[place]], expr.lift(bit))


def _compute(wires: _Wires, step: qobj.Instruction) -> None:
    """Store what a `bfunc` or a `copy` makes.

    A condition becomes part of the value: Aer does what stands in a branch without qubits whether it is taken or not.
    """
    condition = _condition(wires, step)
    if step.name == "copy":
        value: expr.Expr = expr.lift(wires.registers[step.register_orig or 0])
        bits = [wires.registers[slot] for slot in qobj.slots(step.register_copy)]
    else:
        mask, compared = qobj.number(step.mask or 0), qobj.number(step.val or 0)
        value = comparison(step.relation or "==", mask, compared, lambda place: wires.registers[place])
        bits = [wires.registers[slot] for slot in qobj.slots(step.register)]
        bits += [wires.memory[slot] for slot in qobj.slots(step.memory)]
    # What is read may be among what is written: the value is found once, and the condition changes last.
    bits.sort(key=lambda bit: bit is condition)
    for bit in bits:
        if condition is None:
            wires.circuit.store(bit, value)
        else:
            kept = expr.logic_and(expr.logic_not(condition), bit)
            wires.circuit.store(bit, expr.logic_or(expr.logic_and(condition, value), kept))
        value = expr.lift(bits[0])


def _condition(wires: _Wires, step: qobj.Instruction) -> Clbit | None:
    if step.conditional is None:
        return None
    if isinstance(step.conditional, int):
        return wires.registers[step.conditional]
    mask, value = qobj.number(step.conditional.mask), qobj.number(step.conditional.val)
    wires.circuit.store(wires.scratch, comparison("==", mask, value, lambda place: wires.memory[place]))
    return wires.scratch


def comparison(relation: str, mask: int, value: int, bit: Callable[[int], Clbit]) -> expr.Expr:
    """The expression `(bits & mask) relation value`.

    Args:
        relation: One of `RELATIONS`.
        mask: Bits that count; the others read 0.
        value: What they are compared with, as a non-negative integer.
        bit: Gives the classical bit at a place of the mask.
    """
    kind, negated, shift = RELATIONS[relation]
    value += shift
    truth: expr.Expr | bool = kind == "equal"
    for place in range(max(mask.bit_length(), value.bit_length())):
        this: expr.Expr | bool = expr.lift(bit(place)) if mask >> place & 1 else False
        if not value >> place & 1:
            truth = _and(_not(this), truth)
        elif kind == "equal":
            truth = _and(this, truth)
        else:
            truth = _or(_not(this), truth)
    return expr.lift(_not(truth) if negated else truth)


#: How each relation follows from "equal" and "less": which of them, negated, of which larger value.
RELATIONS = {
    "==": ("equal", False, 0),
    "=": ("equal", False, 0),
    "!=": ("equal", True, 0),
    "<": ("less", False, 0),
    "<=": ("less", False, 1),
    ">": ("less", True, 1),
    ">=": ("less", True, 0),
}


def _not(one: expr.Expr | bool) -> expr.Expr | bool:
    return not one if isinstance(one, bool) else expr.logic_not(one)


def _and(one: expr.Expr | bool, other: expr.Expr | bool) -> expr.Expr | bool:
    if isinstance(one, bool):
        return other if one else False
    if isinstance(other, bool):
        return one if other else False
    return expr.logic_and(one, other)


def _or(one: expr.Expr | bool, other: expr.Expr | bool) -> expr.Expr | bool:
    if isinstance(one, bool):
        return True if one else other
    if isinstance(other, bool):
        return True if other else one
    return expr.logic_or(one, other)
