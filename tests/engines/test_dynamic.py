# SPDX-License-Identifier: Apache-2.0
"""Loops, choices, variables and expressions do what they say, with exactly the chances that they should have."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from physics import LIMITS, p_value, target
from qiskit.circuit import ClassicalRegister, Gate, QuantumCircuit, QuantumRegister
from qiskit.circuit.classical import expr, types
from scipy.stats import chi2_contingency

from chandelier import errors
from chandelier.engines import dynamic, population, shots

SIMULATOR = target("ibmq_qasm_simulator")
MANILA = target("ibmq_manila")

Made = tuple[QuantumCircuit, ClassicalRegister, ClassicalRegister]


def blank() -> Made:
    """Two qubits, registers of two and three bits."""
    two, three = ClassicalRegister(2, "two"), ClassicalRegister(3, "three")
    return QuantumCircuit(QuantumRegister(2, "q"), two, three), two, three


def counted(circuit: QuantumCircuit, on: Any = SIMULATOR, number: int = 2000, seed: int = 3) -> dict[int, int]:
    """How often each word of all classical bits occurs."""
    (taken,) = shots.take([shots.Asked(circuit, number, seed=seed)], on, LIMITS)
    bits = np.concatenate(list(taken.bits.values()), axis=1)
    values, numbers = np.unique(bits.astype(np.int64) @ (1 << np.arange(bits.shape[1])), return_counts=True)
    return dict(zip(values.tolist(), numbers.tolist(), strict=True))


def refusal(act: Callable[[], Any]) -> errors.ProgramRefused:
    """Why something is refused."""
    with pytest.raises(errors.ProgramRefused) as caught:
        act()
    return caught.value


def uint(value: int, width: int = 3) -> expr.Value:
    """A number of some bits."""
    return expr.lift(value, types.Uint(width))


#: Values of expressions of a register that holds 6 and of a bit that is 1; integers have three bits.
VALUES: dict[str, tuple[Callable[[Any, Any], expr.Expr], int]] = {
    "add": (lambda six, _: expr.add(six, uint(3)), 1),
    "sub": (lambda six, _: expr.sub(uint(1), six), 3),
    "mul": (lambda six, _: expr.mul(six, uint(2)), 4),
    "div": (lambda six, _: expr.div(six, uint(4)), 1),
    "shift left": (lambda six, _: expr.shift_left(six, 1), 4),
    "shift right": (lambda six, _: expr.shift_right(six, 2), 1),
    "and": (lambda six, _: expr.bit_and(six, uint(3)), 2),
    "or": (lambda six, _: expr.bit_or(six, uint(1)), 7),
    "xor": (lambda six, _: expr.bit_xor(six, uint(5)), 3),
    "not": (lambda six, _: expr.bit_not(six), 1),
    "index": (lambda six, _: expr.cast(expr.index(six, 2), types.Uint(3)), 1),
    "cast": (lambda six, _: expr.cast(expr.cast(six, types.Bool()), types.Uint(3)), 1),
    "less": (lambda six, _: expr.cast(expr.less(six, uint(6)), types.Uint(3)), 0),
    "less or equal": (lambda six, _: expr.cast(expr.less_equal(six, uint(6)), types.Uint(3)), 1),
    "greater": (lambda six, _: expr.cast(expr.greater(six, uint(5)), types.Uint(3)), 1),
    "greater or equal": (lambda six, _: expr.cast(expr.greater_equal(six, uint(7)), types.Uint(3)), 0),
    "unequal": (lambda six, _: expr.cast(expr.not_equal(six, uint(6)), types.Uint(3)), 0),
    "logic": (lambda _, one: expr.cast(expr.logic_and(one, expr.logic_not(one)), types.Uint(3)), 0),
    "either": (lambda _, one: expr.cast(expr.logic_or(one, expr.logic_not(one)), types.Uint(3)), 1),
}


@pytest.mark.parametrize("name", sorted(VALUES))
def test_expressions_have_their_values(name: str) -> None:
    """Integers wrap around at their width."""
    make, wanted = VALUES[name]
    circuit, two, three = blank()
    circuit.x(0)
    circuit.measure(0, two[0])
    circuit.measure(0, three[1])
    circuit.measure(0, three[2])
    circuit.store(three, make(three, two[0]))

    assert counted(circuit, number=5) == {1 + 4 * wanted: 5}


def _while(circuit: QuantumCircuit, two: ClassicalRegister, three: ClassicalRegister) -> None:
    circuit.x(0)
    circuit.measure(0, two[0])
    with circuit.while_loop((two[0], 1)):
        circuit.store(three, expr.add(three, uint(1)))
        with circuit.if_test(expr.equal(three, uint(5))):
            circuit.x(0)
        circuit.measure(0, two[0])


def _for(circuit: QuantumCircuit, two: ClassicalRegister, three: ClassicalRegister) -> None:
    with circuit.for_loop(range(5)) as index:
        circuit.rx(np.pi * index, 0)
        circuit.measure(0, two[0])
        with circuit.if_test((two[0], 1)):
            circuit.continue_loop()
        circuit.store(three, expr.add(three, uint(1)))
        with circuit.if_test(expr.equal(three, uint(3))):
            circuit.break_loop()


def _switch(circuit: QuantumCircuit, two: ClassicalRegister, three: ClassicalRegister) -> None:
    circuit.x(0)
    circuit.measure(0, two[1])
    with circuit.switch(two) as case:
        with case(0, 1):
            circuit.store(three, uint(1))
        with case(2, 3):
            circuit.store(three, uint(5))
        with case(case.DEFAULT):
            circuit.store(three, uint(7))


def _default(circuit: QuantumCircuit, two: ClassicalRegister, three: ClassicalRegister) -> None:
    with circuit.switch(expr.bit_xor(two, expr.lift(3, types.Uint(2)))) as case:
        with case(1):
            circuit.store(three, uint(1))
        with case(case.DEFAULT):
            circuit.store(three, uint(6))


def _variable(circuit: QuantumCircuit, two: ClassicalRegister, three: ClassicalRegister) -> None:
    flag = circuit.add_var("flag", expr.lift(False))
    number = circuit.add_var("number", uint(2))
    circuit.x(0)
    circuit.measure(0, two[0])
    circuit.store(flag, two[0])
    with circuit.if_test(flag) as otherwise:
        circuit.store(number, expr.add(number, uint(3)))
    with otherwise:
        circuit.store(number, uint(0))
    circuit.store(three, number)


def _branch(circuit: QuantumCircuit, two: ClassicalRegister, three: ClassicalRegister) -> None:
    with circuit.if_test((two[0], 1)):
        circuit.store(three[0], expr.lift(True))


#: Circuits that leave one word, and that word: the first register lowest.
CERTAIN = {
    "while": (_while, 0 + 4 * 5),
    "for": (_for, 4 * 3),
    "switch": (_switch, 2 + 4 * 5),
    "default": (_default, 4 * 6),
    "variable": (_variable, 1 + 4 * 5),
    "a branch that is not taken": (_branch, 0),
}


@pytest.mark.parametrize("name", sorted(CERTAIN))
def test_statements_do_what_they_say(name: str) -> None:
    """Each of them where only one outcome is possible."""
    write, wanted = CERTAIN[name]
    circuit, two, three = blank()
    write(circuit, two, three)

    assert counted(circuit, number=20) == {wanted: 20}


def test_a_loop_until_success_goes_round_as_often_as_it_should() -> None:
    """The number of rounds is geometric: 1, 2, 3, … with 1/4, 3/16, 9/64, …, here up to seven."""
    circuit, two, three = blank()
    circuit.ry(np.pi / 3, 0)
    circuit.measure(0, two[0])
    circuit.store(three, uint(1))
    with circuit.while_loop(expr.logic_and(expr.logic_not(two[0]), expr.less(three, uint(7)))):
        circuit.reset(0)
        circuit.ry(np.pi / 3, 0)
        circuit.measure(0, two[0])
        circuit.store(three, expr.add(three, uint(1)))
    found = counted(circuit, number=40_000)
    wanted = np.zeros(32)
    for rounds in range(1, 8):
        wanted[4 * rounds + 1] = 0.25 * 0.75 ** (rounds - 1)
    wanted[4 * 7] = 0.75**7

    assert p_value(found, wanted) > 1e-3


def test_a_state_can_be_teleported() -> None:
    """Corrections that are chosen by a number keep amplitudes and their phase."""
    bits, out = ClassicalRegister(2, "bits"), ClassicalRegister(1, "out")
    circuit = QuantumCircuit(QuantumRegister(3, "q"), bits, out)
    circuit.u(1.1, 0.7, 0.2, 0)
    circuit.h(1)
    circuit.cx(1, 2)
    circuit.cx(0, 1)
    circuit.h(0)
    circuit.measure([0, 1], [1, 0])
    with circuit.switch(bits) as case:
        with case(1):
            circuit.x(2)
        with case(2):
            circuit.z(2)
        with case(3):
            circuit.x(2)
            circuit.z(2)
    circuit.append(QuantumCircuit(1).to_gate(label="nothing"), [2])
    circuit.rz(-0.7, 2)
    circuit.ry(-1.1, 2)
    circuit.measure(2, out[0])

    assert p_value(counted(circuit), np.array([0.25] * 4 + [0.0] * 4)) > 1e-3


def _noisy() -> QuantumCircuit:
    """Gates, waits, a reset and a measurement in the middle, of the device's gates."""
    circuit = QuantumCircuit(3, 3)
    circuit.sx(0)
    circuit.rz(0.4, 0)
    circuit.cx(0, 1)
    circuit.delay(20, 1, "us")
    circuit.sx(1)
    circuit.measure(0, 0)
    circuit.reset(0)
    circuit.sx(0)
    circuit.cx(1, 2)
    circuit.measure([0, 1, 2], [0, 1, 2])
    return circuit


@pytest.mark.parametrize("most", [population.MAX_MIXED, 0], ids=["density matrix", "pure states"])
def test_noise_is_that_of_any_other_circuit(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a variable that nothing depends on, a circuit has the outcomes that it has without."""
    monkeypatch.setattr(population, "MAX_MIXED", most)
    plain, flowing = _noisy(), _noisy()
    flowing.add_var("idle", expr.lift(True))
    number = 20_000 if most else 1500
    one, other = counted(plain, MANILA, 20_000), counted(flowing, MANILA, number)
    table = np.array([[found.get(word, 0) for word in range(8)] for found in (one, other)])

    assert chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue > 1e-3


def test_qubits_wait_while_others_are_in_a_branch() -> None:
    """Relaxation for as long as the statement takes: 1 decays by exp(-t/T1), and is read as it is read."""
    circuit = QuantumCircuit(2, 2)
    circuit.x(1)
    with circuit.if_test(expr.equal(circuit.cregs[0], expr.lift(0, types.Uint(2)))):
        circuit.store(circuit.clbits[0], expr.lift(False))
        circuit.delay(100, 0, "us")
    circuit.measure([0, 1], [0, 1])
    found = counted(circuit, MANILA, 20_000)
    data = MANILA.qubits[1]
    left = np.exp(-100e-6 / data.t1)
    wanted = left * (1 - data.flip_down) + (1 - left) * data.flip_up

    assert sum(number for word, number in found.items() if word >> 1) / 20_000 == pytest.approx(wanted, abs=0.015)


def test_an_endless_loop_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its shots fail, and the process does not hang."""
    monkeypatch.setattr(dynamic, "MAX_ORDERS", 1000)
    circuit = QuantumCircuit(1, 1)
    with circuit.while_loop((circuit.clbits[0], 0)):
        circuit.x(0)
        circuit.x(0)
        circuit.measure(0, 0)

    assert refusal(lambda: counted(circuit)).code == 8021


def test_what_stands_in_a_block_is_checked_too() -> None:
    """Basis, couplings, and opaque gates; a device without conditions takes none of it."""

    def within(write: Callable[[QuantumCircuit], Any]) -> QuantumCircuit:
        circuit = QuantumCircuit(5, 1)
        with circuit.while_loop((circuit.clbits[0], 1)):
            write(circuit)
            circuit.measure(0, 0)
        return circuit

    wrong = {
        8001: within(lambda circuit: circuit.h(0)),
        8002: within(lambda circuit: circuit.cx(0, 4)),
    }
    for code, circuit in wrong.items():
        assert refusal(lambda circuit=circuit: counted(circuit, MANILA)).code == code  # type: ignore[misc]
    opaque = within(lambda circuit: circuit.append(Gate("nobody", 1, []), [0]))
    assert refusal(lambda: counted(opaque)).code == 8001
    fine = within(lambda circuit: circuit.x(0))
    assert refusal(lambda: counted(fine, dataclasses.replace(MANILA, midcircuit=False))).code == 8010
    assert counted(fine, MANILA, 10)


def test_values_that_are_missing_or_impossible_fail_the_shots() -> None:
    """A variable that is read before it is set, and a division by 0."""
    unset, dividing = QuantumCircuit(1, 1), QuantumCircuit(1, 3)
    unset.add_uninitialized_var(expr.Var.new("v", types.Bool()))
    with unset.if_test(next(iter(unset.iter_declared_vars()))):
        unset.x(0)
    register = dividing.cregs[0]
    dividing.store(register, expr.div(uint(1), register))
    for circuit in (unset, dividing):
        assert refusal(lambda circuit=circuit: counted(circuit)).code == 8021  # type: ignore[misc]


def test_inputs_have_no_values() -> None:
    """Nothing gives them any."""
    circuit = QuantumCircuit(1, 1, inputs=[expr.Var.new("given", types.Bool())])

    error = refusal(lambda: counted(circuit))
    assert error.code == 8038
    assert "given" in error.message


def test_a_loop_without_a_known_end_is_no_small_job() -> None:
    """It may take any time, so it is not run before its turn; one with a known number of rounds may be small."""
    endless, counted = QuantumCircuit(1, 1), QuantumCircuit(1, 1)
    with endless.while_loop((endless.clbits[0], 0)):
        endless.measure(0, 0)
    with counted.for_loop(range(3)):
        counted.measure(0, 0)
        with counted.if_test((counted.clbits[0], 1)):
            counted.x(0)
    plans = [
        shots.plan([shots.Asked(circuit, 100)], target("ibmq_qasm_simulator"), LIMITS) for circuit in (endless, counted)
    ]

    assert plans[0].seconds >= dynamic.UNBOUNDED
    assert plans[1].seconds < dynamic.UNBOUNDED / 10
