# SPDX-License-Identifier: Apache-2.0
"""A circuit with statements as a list of orders with jumps: stretches of plain instructions, tests, assignments."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from qiskit.circuit import (
    CASE_DEFAULT,
    BoxOp,
    BreakLoopOp,
    CircuitInstruction,
    Clbit,
    ContinueLoopOp,
    ControlFlowOp,
    ForLoopOp,
    IfElseOp,
    QuantumCircuit,
    Qubit,
    Store,
    SwitchCaseOp,
    WhileLoopOp,
)
from qiskit.circuit.classical import expr

from chandelier import errors
from chandelier.engines import expressions, lowering, programs, transcript
from chandelier.formats import qobj

#: Deepest that statements may be nested.
MAX_DEPTH: Final = 100
#: Copying a block for one round of a loop takes as long as so many instructions.
_ROUND: Final = 20
_STATEMENTS: Final = (ControlFlowOp, Store, BreakLoopOp, ContinueLoopOp)

#: Bits of a block, by their memory slots.
Slots = Mapping[Clbit, int]


@dataclasses.dataclass(frozen=True, eq=False)
class Stretch:
    """Instructions without a choice.

    Attributes:
        steps: With the waiting times of the device, in seconds.
    """

    steps: tuple[qobj.Instruction, ...]


@dataclasses.dataclass(eq=False)
class Test:
    """Goes on if a condition holds, else elsewhere."""

    condition: Any
    slots: Slots
    otherwise: int = -1


@dataclasses.dataclass(eq=False)
class Select:
    """Goes where the case of a value is."""

    value: Any
    slots: Slots
    cases: dict[int, int] = dataclasses.field(default_factory=dict)
    otherwise: int = -1


@dataclasses.dataclass(eq=False)
class Jump:
    """Goes elsewhere."""

    to: int = -1


@dataclasses.dataclass(frozen=True, eq=False)
class Assign:
    """Stores a value."""

    place: expr.Expr
    value: expr.Expr
    slots: Slots


Order = Stretch | Test | Select | Jump | Assign


def compiled(circuit: QuantumCircuit) -> list[Order]:
    """Write the orders of a circuit without free parameters.

    Raises:
        errors.ProgramRefused: It has what cannot be done, or too much of it.
    """
    compiler = _Compiler(circuit)
    qubits = {qubit: index for index, qubit in enumerate(circuit.qubits)}
    try:
        compiler.block(circuit, qubits, {bit: index for index, bit in enumerate(circuit.clbits)}, 0)
    except RecursionError as error:
        raise errors.ProgramRefused("Its statements are nested too deeply.", 8010) from error
    except lowering.UNSOUND as error:
        raise lowering.unsound(error) from error
    return compiler.orders


class _Compiler:
    """Writes orders; what belongs together before it is known where it ends is patched afterwards."""

    def __init__(self, circuit: QuantumCircuit) -> None:
        self._whole = circuit
        self._budget = transcript.Budget(lowering.MAX_INSTRUCTIONS)
        self._loops: list[tuple[list[Jump], list[Jump]]] = []
        self.orders: list[Order] = []
        if circuit.num_input_vars:
            names = ", ".join(var.name[:40] for var in circuit.iter_input_vars())
            raise errors.ProgramRefused(f"The circuit's input variables ({names}) have no values.", 8038)

    def block(self, circuit: QuantumCircuit, qubits: Mapping[Qubit, int], slots: Slots, depth: int) -> None:
        """Write a block.

        Args:
            circuit: The block.
            qubits: The index of each of its qubits.
            slots: The memory slot of each of its bits.
            depth: Of blocks around it.
        """
        if depth > MAX_DEPTH:
            programs.refuse(8010, "Its statements are nested too deeply")
        waiting: list[CircuitInstruction] = []
        for step in circuit.data:
            operation = step.operation
            if not isinstance(operation, _STATEMENTS):
                waiting.append(step)
                continue
            self._stretch(waiting, qubits, slots)
            waiting = []
            self._budget.spend()
            if isinstance(operation, Store):
                self._assign(operation, slots)
            else:
                self._statement(step, operation, qubits, slots, depth)
        self._stretch(waiting, qubits, slots)

    def _stretch(self, waiting: list[CircuitInstruction], qubits: Mapping[Qubit, int], slots: Slots) -> None:
        if not waiting:
            return
        whole = self._whole
        plain = QuantumCircuit(whole.num_qubits, whole.num_clbits)
        for step in waiting:
            plain.append(
                step.operation,
                [qubits[qubit] for qubit in step.qubits],
                [slots[bit] for bit in step.clbits],
                copy=False,
            )
        self.orders.append(Stretch(lowering.lower(plain, self._budget).instructions))

    def _assign(self, operation: Store, slots: Slots) -> None:
        expressions.check(operation.rvalue)
        expressions.check(operation.lvalue)
        if not isinstance(operation.lvalue, expr.Var | expr.Index):
            programs.refuse(8010, "It stores into something that is no variable")
        self.orders.append(Assign(operation.lvalue, operation.rvalue, slots))

    def _statement(
        self,
        step: CircuitInstruction,
        operation: Any,
        qubits: Mapping[Qubit, int],
        slots: Slots,
        depth: int,
    ) -> None:
        def write(block: QuantumCircuit) -> None:
            inner = {one: qubits[other] for one, other in zip(block.qubits, step.qubits, strict=True)}
            bits = {one: slots[other] for one, other in zip(block.clbits, step.clbits, strict=True)}
            self.block(block, inner, {**slots, **bits}, depth + 1)

        if isinstance(operation, IfElseOp):
            self._choose(operation, slots, write)
        elif isinstance(operation, WhileLoopOp):
            self._repeat(operation, slots, write)
        elif isinstance(operation, ForLoopOp):
            self._count(operation, write)
        elif isinstance(operation, SwitchCaseOp):
            self._switch(operation, slots, write)
        elif isinstance(operation, BoxOp):
            write(operation.blocks[0])
        elif isinstance(operation, BreakLoopOp | ContinueLoopOp) and self._loops:
            jump = Jump()
            self._loops[-1][isinstance(operation, ContinueLoopOp)].append(jump)
            self.orders.append(jump)
        else:
            programs.refuse(8010, f"A {operation.name} is not possible here")

    def _choose(self, operation: IfElseOp, slots: Slots, write: Callable[[QuantumCircuit], None]) -> None:
        test = self._test(operation.condition, slots)
        write(operation.blocks[0])
        if len(operation.blocks) == 1:
            test.otherwise = len(self.orders)
            return
        jump = Jump()
        self.orders.append(jump)
        test.otherwise = len(self.orders)
        write(operation.blocks[1])
        jump.to = len(self.orders)

    def _test(self, condition: Any, slots: Slots) -> Test:
        if isinstance(condition, expr.Expr):
            expressions.check(condition)
        test = Test(condition, slots)
        self.orders.append(test)
        return test

    def _repeat(self, operation: WhileLoopOp, slots: Slots, write: Callable[[QuantumCircuit], None]) -> None:
        start = len(self.orders)
        test = self._test(operation.condition, slots)
        self._loops.append(([], []))
        write(operation.blocks[0])
        self.orders.append(Jump(start))
        self._closed(start)
        test.otherwise = len(self.orders)

    def _closed(self, again: int) -> None:
        """Let go of a loop: what breaks it goes to its end, what continues it to its next round."""
        leaving, continuing = self._loops.pop()
        for jump in leaving:
            jump.to = len(self.orders)
        for jump in continuing:
            jump.to = again

    def _count(self, operation: ForLoopOp, write: Callable[[QuantumCircuit], None]) -> None:
        if not isinstance(operation.params[1], expr.Var):
            rounds = lowering.rounds(operation)
        else:
            rounds = self._numbered_rounds(operation)
        leaving: list[Jump] = []
        for block in rounds:
            self._budget.spend(_ROUND)
            self._loops.append((leaving, []))
            write(block)
            _, continuing = self._loops.pop()
            for jump in continuing:
                jump.to = len(self.orders)
        for jump in leaving:
            jump.to = len(self.orders)

    def _numbered_rounds(self, operation: ForLoopOp) -> Iterator[QuantumCircuit]:
        indices, variable, body = operation.params
        for index in indices:
            self.orders.append(Assign(variable, expr.Value(index, variable.type), {}))
            yield body

    def _switch(self, operation: SwitchCaseOp, slots: Slots, write: Callable[[QuantumCircuit], None]) -> None:
        if isinstance(operation.target, expr.Expr):
            expressions.check(operation.target)
        select = Select(operation.target, slots)
        self.orders.append(select)
        ends: list[Jump] = []
        for labels, block in operation.cases_specifier():
            for label in labels:
                if label is CASE_DEFAULT:
                    select.otherwise = len(self.orders)
                else:
                    select.cases.setdefault(int(label), len(self.orders))
            write(block)
            ends.append(Jump())
            self.orders.append(ends[-1])
        for jump in ends:
            jump.to = len(self.orders)
        if select.otherwise < 0:
            select.otherwise = len(self.orders)
