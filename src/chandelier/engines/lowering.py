# SPDX-License-Identifier: Apache-2.0
"""A circuit of today's clients as the instructions of a Qobj, so that what checks and runs a Qobj serves it too.

Qubit i of the circuit is qubit i of the device, classical bit j is memory slot j, and registers are named groups of
slots. Gates that the engine knows stay as they are, for a device takes what it has and nothing else; what it does not
know is unrolled by its definition. A circuit with free parameters is written once, with holes that `bound` fills.

Conditions on measured bits become those of a Qobj. Loops whose length nobody knows, variables and expressions have
no form there: `flows` says so, and `dynamic` runs such a circuit.

Source: legacy API reference, section 12.2.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import (
    CONTROL_FLOW_OP_NAMES,
    Barrier,
    BoxOp,
    CircuitError,
    CircuitInstruction,
    Clbit,
    ControlFlowOp,
    Delay,
    ForLoopOp,
    IfElseOp,
    Measure,
    Operation,
    Parameter,
    ParameterExpression,
    QuantumCircuit,
    Qubit,
    Reset,
)
from qiskit.circuit.classical import expr
from qiskit.exceptions import QiskitError

from chandelier import errors
from chandelier.engines import definitions, durations, gates, transcript
from chandelier.formats import qobj

#: What only `dynamic` does, wherever it stands.
_OPEN: Final = frozenset({"break_loop", "continue_loop", "store"})
#: What reading a circuit that contradicts itself may raise.
UNSOUND: Final = (QiskitError, LookupError, RecursionError, TypeError, ValueError)
#: Most instructions of a circuit, and most steps of the work that finds them.
MAX_INSTRUCTIONS: Final = 1_000_000
#: Copying a block for one round of a loop takes as long as so many instructions.
_ROUND: Final = 20
#: Most parameters that a message names.
_NAMED: Final = 8


class Register(msgspec.Struct, frozen=True):
    """A classical register.

    Attributes:
        name: Its name.
        slots: The memory slot of each of its bits, the least significant first.
    """

    name: str
    slots: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Hole:
    """A parameter of an instruction that has no value yet.

    Attributes:
        place: Of the parameter among those of the instruction.
        formula: Which of `Lowered.formulas` it is.
    """

    place: int
    formula: int


@dataclasses.dataclass(frozen=True)
class Lowered:
    """A circuit written down.

    Attributes:
        instructions: In their order; a parameter without a value is NaN.
        phase: Global phase, radians; phases of branches are left out.
        slots: Number of memory slots.
        registers: In the order of the circuit.
        parameters: Free parameters, in the order in which values are given.
        formulas: What the holes say: the place of a parameter, or an expression.
        holes: For instructions that have some, by their index.
    """

    instructions: tuple[qobj.Instruction, ...]
    phase: float
    slots: int
    registers: tuple[Register, ...]
    parameters: tuple[Parameter, ...]
    formulas: tuple[int | ParameterExpression, ...]
    holes: Mapping[int, tuple[Hole, ...]]

    @property
    def timed(self) -> bool:
        """Whether values decide how long something takes."""
        return any(self.instructions[index].name == "delay" for index in self.holes)


def lower(circuit: QuantumCircuit, budget: transcript.Budget | None = None) -> Lowered:
    """Write down a circuit for which `flows` is false.

    Raises:
        errors.ProgramRefused: Code 8004, 8010 or 8013.
    """
    writer = _Writer(circuit, budget or transcript.Budget(MAX_INSTRUCTIONS))
    try:
        writer.block(circuit, _Wires.of(circuit), None)
    except RecursionError as error:
        raise errors.ProgramRefused("Its branches are nested too deeply.", 8010) from error
    except UNSOUND as error:
        raise unsound(error) from error
    return Lowered(
        instructions=tuple(writer.instructions),
        phase=writer.phase,
        slots=circuit.num_clbits,
        registers=registers(circuit),
        parameters=tuple(circuit.parameters),
        formulas=tuple(writer.formulas),
        holes=writer.holes,
    )


def registers(circuit: QuantumCircuit) -> tuple[Register, ...]:
    """The classical registers of a circuit."""
    slots = definitions.numbered(circuit.clbits)
    return tuple(Register(register.name, tuple(slots[bit] for bit in register)) for register in circuit.cregs)


def bound(lowered: Lowered, values: Sequence[float] | NDArray[np.float64] | None) -> tuple[qobj.Instruction, ...]:
    """Fill the holes of a circuit.

    Args:
        lowered: The circuit.
        values: float64, shape (parameters,); None for a circuit without free parameters.

    Raises:
        errors.ProgramRefused: Code 8038: there are more or fewer values than parameters; 8004: an angle is no number.
    """
    found = angles(lowered, values)
    if not lowered.holes:
        return lowered.instructions
    steps = list(lowered.instructions)
    for index, step in filled(lowered, found).items():
        steps[index] = step
    return tuple(steps)


def angles(lowered: Lowered, values: Sequence[float] | NDArray[np.float64] | None) -> list[float]:
    """What the formulas of a circuit are worth; as `bound`."""
    check_values(lowered.parameters, values)
    if not lowered.holes:
        return []
    given = np.asarray(values, dtype=np.float64).tolist()
    table = dict(zip(lowered.parameters, given, strict=True))
    return [given[formula] if isinstance(formula, int) else _valued(formula, table) for formula in lowered.formulas]


def filled(lowered: Lowered, found: Sequence[float]) -> dict[int, qobj.Instruction]:
    """The instructions of a circuit that have holes, filled.

    Args:
        lowered: The circuit.
        found: What its formulas are worth.

    Returns:
        Each by its place.
    """
    made = {}
    for index, holes in lowered.holes.items():
        step = lowered.instructions[index]
        params = list(step.params)
        for hole in holes:
            params[hole.place] = found[hole.formula]
        made[index] = qobj.Instruction(
            step.name, step.qubits, params, conditional=step.conditional, label=step.label, unit=step.unit
        )
    return made


def check_values(parameters: Sequence[Parameter], values: Sequence[float] | NDArray[np.float64] | None) -> None:
    """Refuse a circuit whose parameters have no values.

    Raises:
        errors.ProgramRefused: Code 8038; the message names the parameters.
    """
    given = 0 if values is None else len(values)
    if given == len(parameters):
        return
    names = ", ".join(parameter.name[:40] for parameter in parameters[:_NAMED])
    more = ", …" if len(parameters) > _NAMED else ""
    told = f" ({names}{more})" if names else ""
    raise errors.ProgramRefused(
        f"The circuit has {len(parameters)} free parameters{told}; {given} values are given. "
        "Assign every parameter, or send one value for each.",
        8038,
    )


def _valued(formula: ParameterExpression, table: Mapping[Parameter, float]) -> float:
    try:
        return definitions.real(formula.bind({parameter: table[parameter] for parameter in formula.parameters}))
    except (CircuitError, ArithmeticError, KeyError) as error:
        raise errors.ProgramRefused(f"The parameter {str(formula)[:60]} has no value: {error}.", 8004) from error


def flows(circuit: QuantumCircuit) -> bool:
    """Whether a circuit has control flow, variables or expressions that no Qobj can say.

    Raises:
        errors.ProgramRefused: Code 8004: it is not sound.
    """
    try:
        return _flows(circuit)
    except UNSOUND as error:
        raise unsound(error) from error


def unsound(error: Exception) -> errors.ProgramRefused:
    """What is told of a circuit that contradicts itself: a file can say anything."""
    return errors.ProgramRefused(f"The circuit is not sound: {str(error)[:200]}.", 8004)


def _flows(circuit: QuantumCircuit) -> bool:
    if circuit.num_vars or circuit.num_stretches:
        return True
    for step in circuit.data:
        if step.name in _OPEN:
            return True
        if step.name in CONTROL_FLOW_OP_NAMES and isinstance(step.operation, ControlFlowOp) and _open(step.operation):
            return True
    return False


def _open(operation: ControlFlowOp) -> bool:
    """Whether a statement, or one inside it, has no form in a Qobj."""
    if not isinstance(operation, IfElseOp | ForLoopOp | BoxOp):
        return True
    if isinstance(operation, IfElseOp) and _simple(operation.condition) is None:
        return True
    if isinstance(operation, ForLoopOp) and not isinstance(operation.params[1], Parameter | None):
        return True
    return any(_flows(block) for block in operation.blocks)


def _simple(condition: Any) -> tuple[Sequence[Clbit], int] | None:
    """Bits, the lowest first, and the value that they must have; None if the condition says something else."""
    if isinstance(condition, tuple):
        bits, value = condition
        return ([bits] if isinstance(bits, Clbit) else list(bits)), int(value)
    if isinstance(condition, expr.Var) and isinstance(condition.var, Clbit):
        return [condition.var], 1
    negated = isinstance(condition, expr.Unary) and condition.op in {expr.Unary.Op.LOGIC_NOT, expr.Unary.Op.BIT_NOT}
    if negated and isinstance(condition.operand, expr.Var) and isinstance(condition.operand.var, Clbit):
        return [condition.operand.var], 0
    if isinstance(condition, expr.Binary) and condition.op is expr.Binary.Op.EQUAL:
        return _equality(condition.left, condition.right) or _equality(condition.right, condition.left)
    return None


def _equality(left: expr.Expr, right: expr.Expr) -> tuple[Sequence[Clbit], int] | None:
    if not isinstance(left, expr.Var) or not isinstance(right, expr.Value) or isinstance(right.value, float):
        return None
    if isinstance(left.var, Clbit):
        return [left.var], int(right.value)
    return None if not hasattr(left.var, "__iter__") else (list(left.var), int(right.value))


@dataclasses.dataclass(frozen=True)
class _Wires:
    """Which qubit and which memory slot each wire of a block is."""

    qubits: Mapping[Qubit, int]
    slots: Mapping[Clbit, int]

    @classmethod
    def of(cls, circuit: QuantumCircuit) -> "_Wires":
        return cls(definitions.numbered(circuit.qubits), definitions.numbered(circuit.clbits))

    def inside(self, step: CircuitInstruction, block: QuantumCircuit) -> "_Wires":
        """The wires of a block of a step: they are those of the step, in their order."""
        qubits = dict(zip(block.qubits, (self.qubits[qubit] for qubit in step.qubits), strict=True))
        slots = dict(zip(block.clbits, (self.slots[bit] for bit in step.clbits), strict=True))
        # A condition names the bits of the whole circuit.
        return _Wires(qubits, {**self.slots, **slots})


class _Writer:
    """Writes instructions; register slots beyond the memory hold the conditions of the branches it is in."""

    def __init__(self, circuit: QuantumCircuit, budget: transcript.Budget) -> None:
        self._budget = budget
        self._conditional = any(step.name in CONTROL_FLOW_OP_NAMES for step in circuit.data)
        self._free = circuit.num_clbits
        self._places = {parameter: place for place, parameter in enumerate(circuit.parameters)}
        self._known: dict[ParameterExpression, int] = {}
        self.instructions: list[qobj.Instruction] = []
        self.formulas: list[int | ParameterExpression] = []
        self.holes: dict[int, tuple[Hole, ...]] = {}
        self.phase = definitions.angle(circuit.global_phase)

    def block(self, circuit: QuantumCircuit, wires: _Wires, condition: int | None) -> None:
        """Write a block.

        Args:
            circuit: The block.
            wires: What its wires are.
            condition: Register slot that must be 1 for it to run.
        """
        qubits, slots = wires.qubits, wires.slots
        for step in circuit.data:
            places = tuple([qubits[qubit] for qubit in step.qubits])
            name = step.name
            if step.is_standard_gate() and name in gates.SHAPES:
                self._budget.spend()
                self._gate(name, places, step.params, condition)
            elif name in CONTROL_FLOW_OP_NAMES and isinstance(step.operation, ControlFlowOp):
                self._budget.spend()
                self._branch(step, step.operation, wires, condition)
            else:
                self._unroll(step.operation, places, tuple(slots[bit] for bit in step.clbits), condition)

    def _unroll(self, operation: Operation, qubits: Sequence[int], slots: Sequence[int], condition: int | None) -> None:
        """Write an operation, or what it is defined by. No recursion: definitions may be nested thousands deep."""
        waiting: list[Iterator[definitions.Part]] = [iter([(operation, qubits, slots)])]
        while waiting:
            following = next(waiting[-1], None)
            if following is None:
                waiting.pop()
                continue
            self._budget.spend()
            operation, qubits, slots = following
            if self._written(operation, tuple(qubits), tuple(slots), condition):
                continue
            phase, parts = definitions.defined(operation, qubits)
            self.phase += phase if condition is None else 0.0
            waiting.append(definitions.placed(parts, qubits, slots))

    def _written(
        self, operation: Operation, qubits: tuple[int, ...], slots: tuple[int, ...], condition: int | None
    ) -> bool:
        """Write an operation as one instruction; false if it has to be unrolled."""
        name = operation.name
        if isinstance(operation, Measure):
            register = slots if self._conditional else None
            self._write(qobj.Instruction("measure", qubits, memory=slots, register=register, conditional=condition))
        elif isinstance(operation, Barrier):
            self._write(qobj.Instruction("barrier", qubits))
        elif isinstance(operation, Reset):
            self._write(qobj.Instruction("reset", qubits, conditional=condition))
        elif isinstance(operation, Delay):
            self._wait(operation, qubits, condition)
        elif definitions.ours(operation):
            self._gate(name, qubits, operation.params, condition)
        elif name in definitions.NUMERIC and type(operation).__module__.startswith("qiskit.") and operation.params:
            params = definitions.numbers(name, operation.params)
            self._write(qobj.Instruction(name, qubits, params, conditional=condition))
        elif name == "global_phase" and not qubits:
            self.phase += definitions.angle(operation.params[0]) if condition is None else 0.0
        else:
            return False
        return True

    def _gate(self, name: str, qubits: tuple[int, ...], params: Sequence[Any], condition: int | None) -> None:
        values = [value if type(value) is float else self._value(value) for value in params] if params else None
        self._write(qobj.Instruction(name, qubits, values, conditional=condition))

    def _value(self, value: Any) -> Any:
        """The number that a parameter is, or what is to become one."""
        if isinstance(value, ParameterExpression) and value.parameters:
            return value
        return definitions.real(value)

    def _wait(self, operation: Delay, qubits: tuple[int, ...], condition: int | None) -> None:
        duration, unit = durations.read(operation)
        value = duration if isinstance(duration, int) else self._value(duration)
        self._write(qobj.Instruction("delay", qubits, [value], unit=unit, conditional=condition))

    def _write(self, instruction: qobj.Instruction) -> None:
        params = instruction.params
        if params and type(params) is list and any(isinstance(value, ParameterExpression) for value in params):
            holes = tuple(
                Hole(place, self._formula(value))
                for place, value in enumerate(params)
                if isinstance(value, ParameterExpression)
            )
            self.holes[len(self.instructions)] = holes
            for hole in holes:
                params[hole.place] = math.nan
        self.instructions.append(instruction)

    def _formula(self, value: ParameterExpression) -> int:
        known = self._known.get(value)
        if known is None:
            known = self._known[value] = len(self.formulas)
            self.formulas.append(self._places.get(value, value))
        return known

    def _branch(self, step: CircuitInstruction, operation: ControlFlowOp, wires: _Wires, outer: int | None) -> None:
        if isinstance(operation, IfElseOp):
            self._choose(step, operation, wires, outer)
        elif isinstance(operation, ForLoopOp):
            for block in rounds(operation):
                self._budget.spend(_ROUND)
                self.block(block, wires.inside(step, block), outer)
        else:
            (body,) = operation.blocks
            self.block(body, wires.inside(step, body), outer)

    def _choose(self, step: CircuitInstruction, operation: IfElseOp, wires: _Wires, outer: int | None) -> None:
        before = self._free
        found = _simple(operation.condition)
        if found is None:
            raise errors.ProgramRefused("A condition is no comparison of a register with a number.", 8010)
        true = self._compare([wires.slots[bit] for bit in found[0]], found[1])
        # Both are found before a branch can change the bits.
        slots = [self._both(true, outer)]
        if len(operation.blocks) > 1:
            slots.append(self._both(self._compare((true,), 0), outer))
        for block, slot in zip(operation.blocks, slots, strict=True):
            self.block(block, wires.inside(step, block), slot)
        self._free = before

    def _compare(self, slots: Sequence[int], value: int) -> int:
        """Compare the number that register slots make, the first of them the lowest bit, with a value."""
        spread = sum(1 << slot for place, slot in enumerate(slots) if value >> place & 1)
        if value >> len(slots):
            # More than the slots can hold: so is the first place that none of them has.
            spread |= 1 << (max(slots, default=-1) + 1)
        mask = sum(1 << slot for slot in slots)
        slot: int = self._free
        self._free += 1
        self._write(qobj.Instruction("bfunc", mask=hex(mask), relation="==", val=hex(spread), register=slot))
        return slot

    def _both(self, one: int, other: int | None) -> int:
        return one if other is None else self._compare((one, other), 3)


def rounds(loop: ForLoopOp) -> Iterator[QuantumCircuit]:
    """Yield the body of a loop, for each of its rounds."""
    indices, parameter, body = loop.params
    for index in indices:
        held = parameter is not None and parameter in body.parameters
        yield body.assign_parameters({parameter: index}) if held else body
