# SPDX-License-Identifier: Apache-2.0
"""Shots are of the circuit that was asked for, in registers as it has them, and what a device cannot do is refused."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from physics import LIMITS, p_value, target
from qiskit.circuit import ClassicalRegister, Clbit, Parameter, QuantumCircuit, QuantumRegister
from qiskit.compiler import transpile
from qiskit.quantum_info import Statevector
from scipy.stats import chi2_contingency

from chandelier import errors
from chandelier.engines import compiler, exact, routes, shots
from chandelier.formats import tasks

SIMULATOR = target("ibmq_qasm_simulator")
#: Five qubits, with noise; it has cx, id, rz, sx and x.
MANILA = target("ibmq_manila")


def entangled() -> QuantumCircuit:
    """Three qubits, two registers, angles that make no two outcomes alike."""
    circuit = QuantumCircuit(QuantumRegister(3, "q"), ClassicalRegister(2, "a"), ClassicalRegister(1, "b"))
    circuit.ry(0.7, 0)
    circuit.cx(0, 1)
    circuit.ry(1.9, 2)
    circuit.cx(1, 2)
    circuit.measure([0, 1, 2], [1, 0, 2])
    return circuit


def fitting(circuit: QuantumCircuit) -> QuantumCircuit:
    """A circuit made for the noisy device."""
    return transpile(circuit, target=compiler._machine(MANILA), seed_transpiler=1, optimization_level=1)


def words(taken: shots.Taken) -> NDArray[np.int64]:
    """The shots as numbers, the first register lowest."""
    bits = np.concatenate(list(taken.bits.values()), axis=1)
    found: NDArray[np.int64] = bits.astype(np.int64) @ (1 << np.arange(bits.shape[1]))
    return found


def counts(taken: shots.Taken) -> dict[int, int]:
    """How often each word occurred."""
    values, numbers = np.unique(words(taken), return_counts=True)
    return dict(zip(values.tolist(), numbers.tolist(), strict=True))


def known(circuit: QuantumCircuit, on: Any) -> NDArray[np.float64]:
    """Exact probabilities."""
    found = shots.exact(circuit, on, LIMITS)
    assert found is not None
    return np.array([found.get(word, 0.0) for word in range(1 << circuit.num_clbits)])


def refusal(act: Callable[[], Any]) -> errors.ProgramRefused:
    """Why something is refused."""
    with pytest.raises(errors.ProgramRefused) as caught:
        act()
    return caught.value


def test_exact_probabilities_are_those_of_the_state() -> None:
    """Without noise, in the order of the classical bits."""
    circuit = entangled()
    state = Statevector(circuit.remove_final_measurements(inplace=False)).probabilities([1, 0, 2])

    assert np.allclose(known(circuit, SIMULATOR), state)


@pytest.mark.parametrize("on", [SIMULATOR, MANILA], ids=lambda one: one.name)
def test_shots_have_the_exact_probabilities(on: Any) -> None:
    """On a simulator and on a device, whose readout errors are in them."""
    circuit = entangled() if on.simulator else fitting(entangled())
    (taken,) = shots.take([shots.Asked(circuit, 40_000, seed=5)], on, LIMITS)

    assert {name: bits.shape for name, bits in taken.bits.items()} == {"a": (40_000, 2), "b": (40_000, 1)}
    assert all(bits.dtype == np.bool_ for bits in taken.bits.values())
    assert p_value(counts(taken), known(circuit, on)) > 1e-3


def test_shots_come_in_no_order() -> None:
    """The first half of them is like the second."""
    (taken,) = shots.take([shots.Asked(fitting(entangled()), 20_000, seed=6)], MANILA, LIMITS)
    halves = np.split(words(taken), 2)
    table = np.array([np.bincount(half, minlength=8) for half in halves])

    assert chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue > 1e-3


def test_a_seed_repeats_and_places_differ() -> None:
    """The same request gives the same shots; the same circuit twice in one gives different ones."""
    circuit = entangled()
    asked = [shots.Asked(circuit, 500, seed=9), shots.Asked(circuit, 500, seed=9)]
    one, other = shots.take(asked, SIMULATOR, LIMITS), shots.take(asked, SIMULATOR, LIMITS)

    assert all(np.array_equal(words(first), words(second)) for first, second in zip(one, other, strict=True))
    assert not np.array_equal(words(one[0]), words(one[1]))


def test_values_are_as_good_as_angles() -> None:
    """A circuit with values gives, by the same seed, what the circuit with the values assigned gives."""
    circuit = QuantumCircuit(1, 1)
    circuit.rx(2 * Parameter("a"), 0)
    circuit.ry(Parameter("b"), 0)
    circuit.measure(0, 0)
    values = np.array([[0.3, 0.9], [1.2, -0.4]])
    whole = shots.take([shots.Asked(circuit, 1000, seed=3, values=row) for row in values], SIMULATOR, LIMITS)
    each = shots.take([shots.Asked(circuit.assign_parameters(row), 1000, seed=3) for row in values], SIMULATOR, LIMITS)

    assert all(np.array_equal(one.bits["c"], other.bits["c"]) for one, other in zip(whole, each, strict=True))


def swept(on: Any) -> QuantumCircuit:
    """Free angles before, between and after gates on two qubits, alone and in expressions, and in a branch."""
    first, second = Parameter("a"), Parameter("b")
    circuit = QuantumCircuit(3, 3)
    circuit.ry(first, 0)
    circuit.cx(0, 1)
    circuit.rx(first - 2 * second, 1)
    circuit.cx(1, 2)
    circuit.ry(second, 2)
    circuit.measure(0, 0)
    made = circuit if on.simulator else transpile(circuit, target=compiler._machine(on), optimization_level=1)
    measured = {made.find_bit(step.qubits[0]).index for step in made.data if step.name == "measure"}
    left = [qubit for qubit in range(made.num_qubits) if qubit not in measured]
    used = {made.find_bit(qubit).index for step in made.data for qubit in step.qubits}
    with made.if_test((made.clbits[0], 1)):
        getattr(made, "rz" if "rz" in on.basis else "u1")(second, min(used & set(left)))
    made.measure(sorted(used & set(left)), [1, 2])
    return made


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many ways were looked for at a time."""
    found: list[int] = []
    find = routes.find

    def counted(program: Any, on: Any, limits: tasks.Limits) -> Any:
        found.append(len(program.experiments))
        return find(program, on, limits)

    monkeypatch.setattr(routes, "find", counted)
    return found


@pytest.mark.parametrize("name", ["ibmq_manila", "ibm_hanoi", "ibmq_qasm_simulator"])
def test_a_way_with_other_angles_is_as_good(name: str, planned: list[int]) -> None:
    """It is found once; the same seed then gives the same shots as of circuits with the angles assigned."""
    on = target(name)
    circuit = swept(on)
    rows = np.random.default_rng(2).uniform(-3, 3, (6, 2))
    whole = shots.take([shots.Asked(circuit, 500, seed=4, values=row) for row in rows], on, LIMITS)
    assert planned == [1]
    each = shots.take([shots.Asked(circuit.assign_parameters(row), 500, seed=4) for row in rows], on, LIMITS)

    assert planned == [1, 6]
    assert all(np.array_equal(words(one), words(other)) for one, other in zip(whole, each, strict=True))
    assert len({words(one).tobytes() for one in whole}) == 6


def test_angles_that_make_clifford_gates_go_their_own_way(planned: list[int]) -> None:
    """Whichever comes first: a simulator computes them differently, and more qubits of them."""
    circuit = QuantumCircuit(32, 32)
    circuit.ry(Parameter("a"), 0)
    for qubit in range(31):
        circuit.cx(qubit, qubit + 1)
    circuit.measure(range(32), range(32))
    asked = [shots.Asked(circuit, 100, seed=1, values=np.array([angle])) for angle in (np.pi, 0.0, -np.pi)]
    small = QuantumCircuit(1, 1)
    small.ry(Parameter("a"), 0)
    small.measure(0, 0)
    asked += [shots.Asked(small, 2000, seed=1, values=np.array([angle])) for angle in (np.pi, 0.3, 0.0, 1.2)]
    found = shots.take(asked, SIMULATOR, LIMITS)

    assert planned == [3]
    assert [one.bits["c"].mean() for one in found[:3]] == [1.0, 0.0, 1.0]
    means = [one.bits["c"].mean() for one in found[3:]]
    assert means == pytest.approx([1.0, np.sin(0.15) ** 2, 0.0, np.sin(0.6) ** 2], abs=0.05)
    assert means[0] == 1.0


def test_waits_with_values_are_planned_each(planned: list[int]) -> None:
    """For they decide on the time of all that follows."""
    wait = Parameter("t")
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.delay(wait, 0, unit="us")
    circuit.measure([0, 1], [0, 1])
    asked = [shots.Asked(circuit, 2000, seed=1, values=np.array([time])) for time in (0.0, 100.0, 800.0)]
    found = shots.take(asked, MANILA, LIMITS)

    assert planned == [3]
    means = [one.bits["c"][:, 0].mean() for one in found]
    assert means[0] > means[1] + 0.1 > means[2] + 0.2


def test_the_same_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many shots are asked for, whatever else is between; and it is foretold."""
    computed: list[int] = []
    probabilities = exact.probabilities

    def counted(*arguments: Any) -> Any:
        computed.append(1)
        return probabilities(*arguments)

    monkeypatch.setattr(exact, "probabilities", counted)
    one, other = fitting(entangled()), fitting(entangled().reverse_bits())
    asked = [shots.Asked(circuit, count, seed=3) for count in (100, 300) for circuit in (one, other)] * 3
    found = shots.prepare(asked, MANILA, LIMITS)
    taken = found.run()

    assert len(computed) == 2
    assert [len(next(iter(one.bits.values()))) for one in taken] == [100, 100, 300, 300] * 3
    assert len({words(one).tobytes() for one in taken}) == 12
    assert p_value(counts(taken[10]), known(one, MANILA)) > 1e-3
    fresh = shots.plan([shots.Asked(one, 100)], MANILA, LIMITS).seconds
    assert found.plan.seconds < 12 * fresh


def test_many_keep_their_places() -> None:
    """Also where they are too many to be written out at once."""
    circuit = QuantumCircuit(9, 9)
    for qubit in range(9):
        circuit.rx(Parameter(f"a{qubit}"), qubit)
    circuit.measure(range(9), range(9))
    numbers = [(7 * place) % 300 for place in range(700)]
    values = [[np.pi * (number >> bit & 1) for bit in range(9)] for number in numbers]
    found = shots.take([shots.Asked(circuit, 1, values=np.array(row)) for row in values], SIMULATOR, LIMITS)

    assert [words(one).tolist() for one in found] == [[number] for number in numbers]


def test_the_same_is_planned_once(planned: list[int]) -> None:
    """However often it is asked for."""
    circuit = fitting(entangled())
    found = shots.prepare([shots.Asked(circuit, 100, seed=seed) for seed in range(50)], MANILA, LIMITS)

    assert planned == [1]
    assert found.plan.experiments == 50
    assert found.plan.device_seconds == pytest.approx(
        50 * shots.plan([shots.Asked(circuit, 100)], MANILA, LIMITS).device_seconds
    )
    assert len(found.run()) == 50


def test_there_may_be_more_sets_of_values_than_experiments() -> None:
    """How many circuits a Qobj may have is no bound of a sweep."""
    few = dataclasses.replace(SIMULATOR, max_experiments=2)
    circuit = QuantumCircuit(1, 1)
    circuit.rx(Parameter("a"), 0)
    circuit.measure(0, 0)
    asked = [shots.Asked(circuit, 10, values=np.array([value])) for value in np.linspace(0, 3, 20)]

    assert len(shots.take(asked, few, LIMITS)) == 20


def test_registers_may_be_wider_than_a_word() -> None:
    """Bit j of a register is in column j, also beyond 64, in overlapping registers and without any."""
    bits = [Clbit() for _ in range(90)]
    upper, backward = ClassicalRegister(name="upper", bits=bits[20:]), ClassicalRegister(name="back", bits=bits[::-1])
    circuit = QuantumCircuit(list(QuantumRegister(3, "q")), bits, upper, backward)
    circuit.x(1)
    circuit.measure(1, 25)
    circuit.measure(1, 88)
    (taken,) = shots.take([shots.Asked(circuit, 4)], SIMULATOR, LIMITS)

    assert taken.bits["upper"].shape == (4, 70)
    assert [np.flatnonzero(row).tolist() for row in taken.bits["upper"]] == [[5, 68]] * 4
    assert [np.flatnonzero(row).tolist() for row in taken.bits["back"]] == [[1, 64]] * 4


def test_a_circuit_without_bits_has_no_registers() -> None:
    """It runs, and shows nothing."""
    circuit = QuantumCircuit(1)
    circuit.x(0)

    assert shots.take([shots.Asked(circuit, 10)], SIMULATOR, LIMITS)[0].bits == {}


def test_points_of_the_signal() -> None:
    """Level 1 gives a complex number for each shot and bit, or the mean of them."""
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure([0, 1], [0, 1])
    asked = [shots.Asked(circuit, 300, seed=1, level=1, averaged=averaged) for averaged in (False, True)]
    single, mean = shots.take(asked, MANILA, LIMITS)

    assert single.bits == {}
    assert single.iq["c"].shape == (300, 2)
    assert mean.iq["c"].shape == (2,)
    assert abs(single.iq["c"].mean(axis=0) - mean.iq["c"]).max() < abs(mean.iq["c"]).max() / 10


def test_simple_branches_are_exact_on_a_device() -> None:
    """`if_else` on a measured bit goes the way of a Qobj's conditions."""
    circuit = QuantumCircuit(2, 2)
    circuit.sx(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)) as otherwise:
        circuit.x(1)
    with otherwise:
        circuit.x(0)
    circuit.measure([0, 1], [0, 1])
    (taken,) = shots.take([shots.Asked(circuit, 4000, seed=2)], MANILA, LIMITS)

    assert taken.metadata["noise"] == "superop"
    assert taken.bits["c"][:, 1].mean() == pytest.approx(0.5, abs=0.06)
    first = dataclasses.replace(MANILA, midcircuit=False)
    assert refusal(lambda: shots.plan([shots.Asked(circuit, 1)], first, LIMITS)).code == 8010


def _gate(name: str, *qubits: int) -> QuantumCircuit:
    circuit = QuantumCircuit(6, 1)
    getattr(circuit, name)(*qubits)
    circuit.measure(0, 0)
    return circuit


@pytest.mark.parametrize(
    ("circuit", "count", "code"),
    [(_gate("h", 0), 1, 8001), (_gate("cx", 0, 4), 1, 8002), (_gate("x", 5), 1, 8005), (_gate("x", 0), 10**9, 8006)],
)
def test_what_a_device_cannot_do_is_refused(circuit: QuantumCircuit, count: int, code: int) -> None:
    """With the codes of a Qobj; the message names the circuit."""
    error = refusal(lambda: shots.plan([shots.Asked(circuit, count)], MANILA, LIMITS))

    assert error.code == code
    assert error.message.startswith("Circuit 0")


def test_what_costs_too_much_is_refused() -> None:
    """Too much memory for one circuit, too much time for all of them, too many bits of all shots."""
    small = tasks.Limits(memory_bytes=1 << 20, cpu_seconds=60)
    assert refusal(lambda: shots.plan([shots.Asked(entangled(), 10)], SIMULATOR, small)).code == 8008
    short = tasks.Limits(memory_bytes=2 << 30, cpu_seconds=1e-6)
    assert refusal(lambda: shots.plan([shots.Asked(entangled(), 10)], SIMULATOR, short)).code == 8009
    many = QuantumCircuit(1, 9000)
    many.x(0)
    many.measure(0, 8999)
    asked = [shots.Asked(many, 100_000)] * 2
    assert refusal(lambda: shots.plan(asked, SIMULATOR, LIMITS)).code == 8008


def test_parameters_without_values_are_refused() -> None:
    """The message has their names, whether or not the circuit has a loop."""
    plain, looping = QuantumCircuit(1, 1), QuantumCircuit(1, 1)
    plain.rx(Parameter("omega"), 0)
    with looping.while_loop((looping.clbits[0], 1)):
        looping.rx(Parameter("omega"), 0)
    for circuit in (plain, looping):
        error = refusal(lambda circuit=circuit: shots.plan([shots.Asked(circuit, 1)], SIMULATOR, LIMITS))  # type: ignore[misc]
        assert error.code == 8038
        assert "omega" in error.message


def test_nothing_is_asked_for() -> None:
    """No circuits give no shots."""
    assert shots.take([], SIMULATOR, LIMITS) == []


def test_loops_have_values_too() -> None:
    """Circuits with statements, among others without, keep their places."""
    looping = QuantumCircuit(1, 1)
    looping.rx(Parameter("a"), 0)
    looping.measure(0, 0)
    with looping.while_loop((looping.clbits[0], 1)):
        looping.x(0)
        looping.measure(0, 0)
    plain = QuantumCircuit(1, 1)
    plain.x(0)
    plain.measure(0, 0)
    asked = [
        shots.Asked(plain, 20),
        shots.Asked(looping, 30, values=np.array([np.pi])),
        shots.Asked(plain, 40),
    ]
    found = shots.take(asked, SIMULATOR, LIMITS)

    assert [one.bits["c"].mean() for one in found] == [1.0, 0.0, 1.0]
    assert [len(one.bits["c"]) for one in found] == [20, 30, 40]
