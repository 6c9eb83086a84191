# SPDX-License-Identifier: Apache-2.0
"""Tests of circuits without noise: their exact probabilities, for every instruction that is claimed."""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import branching
import numpy as np
import physics
import pytest
from physics import Bench, Json, gate, measure
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import random_statevector, random_unitary

from chandelier.engines import (
    acting,
    circuits,
    clifford,
    cost,
    gates,
    ideal,
    lightning,
    methods,
    reduction,
    running,
    sampling,
)
from chandelier.engines import aer as aers

SIMULATOR = "ibmq_qasm_simulator"
EXACT = 1e-9


def found(instructions: Sequence[Json]) -> dict[int, float]:
    """The chance of each word of memory, by the path of this module."""
    circuit = branching.reduced(instructions)
    chances = {0: 1.0}
    for share in ideal.shares(circuit):
        place = {wire: number for number, wire in enumerate(share.wires)}
        slots = tuple((slot, place[wire]) for slot, wire in circuit.slots if wire in place)
        words = sampling.words(np.arange(len(share.probabilities)), sampling.Wiring(share.wires, slots))
        joint: dict[int, float] = {}
        for before, chance in chances.items():
            for word, probability in zip(words, share.probabilities.tolist(), strict=True):
                joint[before | word] = joint.get(before | word, 0.0) + chance * probability
        chances = joint
    return chances


def pairs(values: np.ndarray[tuple[int, ...], np.dtype[np.complex128]]) -> list[object]:
    """Complex numbers as a Qobj has them."""
    nested: list[object] = np.stack([values.real, values.imag], axis=-1).tolist()
    return nested


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A child's tasks, without a process."""
    return Bench(tmp_path)


@pytest.mark.parametrize("name", sorted(gates.SHAPES))
@pytest.mark.parametrize("more", [0, 2])
def test_every_gate_is_the_one_that_qiskit_knows(name: str, more: int) -> None:
    """The matrix of each gate equals Qiskit's, phase included; with more controls, where it takes any number."""
    shape = gates.SHAPES[name]
    if more and not shape.controlled:
        return
    count = shape.qubits + more
    params = np.random.default_rng(len(name)).uniform(-3, 3, shape.params).tolist()
    if name == "mcu" and not more:
        params[3] = 0.0  # without a control it would be the phase of everything
    (step,) = physics.steps(gate(name, range(count), *params))
    wires = tuple(range(count))
    acts = acting.compiled(reduction.Piece(wires, wires, ((step, wires, ()),)))
    columns = [ideal.evolve(column.copy(), acts.acts, count) for column in np.eye(1 << count, dtype=np.complex128)]

    assert np.abs(np.transpose(columns) - branching.matrix(step).data).max() < 1e-12


@pytest.mark.parametrize("seed", range(12))
def test_random_circuits_of_all_gates_have_the_right_probabilities(seed: int) -> None:
    """Circuits of all gates on up to four qubits agree with branching, whatever is measured."""
    rng = np.random.default_rng(seed)
    steps = branching.random_steps(rng, 5, 40, branching.small_gates(4))
    steps.append(measure(*range(1 + seed % 5)))

    assert branching.distance(found(steps), branching.probabilities(steps, 5)) < EXACT


@pytest.mark.parametrize("dynamic", [("measure",), ("measure", "reset"), ("measure", "conditional", "masked")])
@pytest.mark.parametrize("seed", range(10))
def test_measurements_resets_and_conditions_in_between_are_exact(seed: int, dynamic: tuple[str, ...]) -> None:
    """Circuits that measure, reset and decide on the way agree with branching."""
    rng = np.random.default_rng(100 + seed)
    steps = [*branching.random_steps(rng, 4, 14, branching.small_gates(3), dynamic), measure(0, 1)]

    assert branching.distance(found(steps), branching.probabilities(steps, 4)) < EXACT


@pytest.mark.parametrize("seed", range(5))
def test_probabilities_equal_those_of_aer(seed: int) -> None:
    """Random circuits of the gates that Aer takes as they are agree with its state vector."""
    rng = np.random.default_rng(200 + seed)
    names = [name for name in branching.small_gates(3) if name in methods.native(methods.STATEVECTOR)]
    steps = branching.random_steps(rng, 5, 30, names)
    circuit = circuits.build(physics.steps(*steps), slots=0, phase=0.0, native=methods.native(methods.STATEVECTOR))
    whole = QuantumCircuit(5)
    whole.compose(circuit.circuit, range(circuit.circuit.num_qubits), inplace=True)
    whole.save_probabilities()
    wanted = aers.simulator(methods.STATEVECTOR).run(whole, shots=1).result().data()["probabilities"]
    ours = found([*steps, measure(0, 1, 2, 3, 4)])

    assert branching.distance(ours, dict(enumerate(wanted))) < EXACT


def test_instructions_given_by_numbers_are_exact() -> None:
    """States, matrices, diagonals, multiplexers and Pauli operators do what they say."""
    phases = np.exp(1j * np.arange(4))
    blocks = np.array([random_unitary(2, seed=seed).data for seed in (1, 2)])
    steps = [
        gate("initialize", [2, 0], *pairs(random_statevector(4, seed=7).data)),
        gate("initialize", [1], "l"),
        gate("unitary", [0, 3], pairs(random_unitary(4, seed=3).data)),
        gate("diagonal", [3, 1], *pairs(phases)),
        gate("h", [1]),
        gate("multiplexer", [1, 2], *pairs(blocks)),
        gate("pauli", [0, 2, 3], "XYZ"),
        gate("measure", [2], memory=[4]),
        gate("initialize", [0, 2], 2),
        gate("sx", [3]),
        measure(0, 1, 2, 3),
    ]

    assert branching.distance(found(steps), branching.probabilities(steps, 4)) < EXACT


def test_what_nothing_measured_depends_on_is_left_out() -> None:
    """Of forty qubits only those remain that a measurement depends on, and independent ones are apart."""
    steps = [gate("h", [index]) for index in range(40)]
    steps += [gate("rzz", [index, index + 1], 0.3) for index in range(39)]
    steps += [gate("ry", [3], 0.4), gate("rx", [3], 0.5), gate("cz", [3, 20]), gate("ry", [30], 0.7)]
    circuit = branching.reduced([*steps, gate("measure", [3, 30], memory=[0, 1])])

    assert [len(piece.wires) for piece in circuit.pieces] == [3, 3]
    near = [gate("h", [0]), gate("h", [1]), gate("h", [2]), gate("rzz", [0, 1], 0.3), gate("rzz", [1, 2], 0.3)]
    near += [gate("ry", [1], 0.4), gate("rx", [1], 0.5)]
    alone = branching.probabilities([*near, gate("measure", [1], memory=[0])], 3)
    ours = found([*steps, gate("measure", [3], memory=[0])])
    assert branching.distance(ours, alone) < EXACT


def test_pieces_that_are_too_many_to_multiply_are_drawn_apart() -> None:
    """Twenty biased qubits have the frequencies of twenty coins, none of which knows of another."""
    steps = [*[gate("ry", [index], 0.3 + 0.1 * index) for index in range(20)], measure(*range(20))]
    wanted = physics.program(steps, shots=4000)
    ways = physics.ways(wanted, physics.target(SIMULATOR))
    outcomes = shots_of(wanted)

    assert ways[0].plan.path == cost.IDEAL
    bits = np.array([[word >> index & 1 for index in range(20)] for word in outcomes], dtype=float)
    chances = np.sin((0.3 + 0.1 * np.arange(20)) / 2) ** 2
    assert np.abs(bits.mean(axis=0) - chances).max() < 5 * 0.5 / np.sqrt(4000)
    assert np.abs(np.corrcoef(bits.T) - np.eye(20)).max() < 5 / np.sqrt(4000)


def shots_of(wanted: Json) -> list[int]:
    """The shots of the first experiment of a program that lists them, run on its path."""
    on = physics.target(SIMULATOR)
    wanted = {**wanted, "config": {**wanted["config"], "memory": True}}
    (outcome,) = running.run(physics.ways(wanted, on), on, physics.LIMITS)
    return [int(word, 16) for word in outcome.result.data["memory"]]


def test_counts_follow_the_probabilities(bench: Bench) -> None:
    """A program's counts fit the exact probabilities, and its entry has the form of any other."""
    rng = np.random.default_rng(9)
    steps = [*branching.random_steps(rng, 4, 30, branching.small_gates(2)), measure(0, 1, 2, 3)]
    result = bench.run(physics.program(steps, shots=8192, memory=True), SIMULATOR)
    exact = branching.probabilities(steps, 4)
    (entry,) = result["results"]

    assert physics.p_value(physics.counts(result), np.array([exact.get(word, 0.0) for word in range(16)])) > 1e-3
    assert entry["success"]
    assert entry["shots"] == 8192
    assert entry["meas_level"] == 2
    assert entry["seed_simulator"] == 7
    assert entry["header"] == {"name": "experiment 0"}
    assert entry["metadata"]["method"] == "statevector"
    assert len(entry["data"]["memory"]) == 8192
    assert {word: entry["data"]["memory"].count(word) for word in entry["data"]["counts"]} == entry["data"]["counts"]


def test_a_seeded_experiment_does_not_depend_on_the_others(bench: Bench) -> None:
    """The second experiment of a seeded job gives the same whatever the first is; equal ones give different shots."""
    one = [gate("h", [0]), gate("ry", [1], 1.0), measure(0, 1)]
    first = physics.counts(bench.run(physics.program(one, one), SIMULATOR), 1)
    same = bench.run(physics.program(one, one), SIMULATOR)
    other = bench.run(physics.program([measure(0)], one), SIMULATOR)

    assert physics.counts(same, 1) == first
    assert physics.counts(other, 1) == first
    assert physics.counts(same, 0) != first


def test_slots_beyond_the_machine_word_and_unwritten_ones(bench: Bench) -> None:
    """Slot 70 shows as bit 70; slots between read 0; a circuit without measurements reads 0."""
    steps = [gate("x", [0]), gate("t", [1]), gate("measure", [0, 1], memory=[70, 3])]
    result = bench.run(physics.program(steps, [gate("h", [0])], memory_slots=80, memory=True, shots=3), SIMULATOR)

    assert physics.counts(result, 0) == {1 << 70: 3}
    assert result["results"][1]["data"] == {"counts": {"0x0": 3}, "memory": ["0x0"] * 3}


@pytest.mark.parametrize(
    "steps",
    [
        [gate("h", [0]), gate("save_statevector", [0]), measure(0)],
        [gate("h", [0]), gate("measure", [0], memory=[0], register=[0]), gate("reset", [1], conditional=0), measure(1)],
        [gate("kraus", [0], [[[1, 0], [0, 0]], [[0, 0], [1, 0]]]), measure(0)],
    ],
    ids=["save", "conditional reset", "channel"],
)
def test_what_is_not_claimed_goes_elsewhere(steps: list[Json], bench: Bench) -> None:
    """Saves, conditional resets and channels are left to other paths, and work there."""
    wanted = physics.program(steps)
    (way,) = physics.ways(wanted, physics.target(SIMULATOR))

    assert way.plan.path not in {cost.IDEAL, cost.CLIFFORD}
    assert bench.run(wanted, SIMULATOR)["success"]


def test_a_method_by_name_stays_that_method() -> None:
    """Who asks for a stabilizer gets one, for a state vector likewise; others are not replaced."""
    wanted = [gate("h", [0]), gate("cx", [0, 1]), measure(0, 1)]
    plans = {
        name: physics.ways(physics.program(wanted, method=name), physics.target(SIMULATOR))[0].plan
        for name in ("statevector", "stabilizer", "matrix_product_state")
    }

    assert {name: plan.method for name, plan in plans.items()} == {name: name for name in plans}
    assert [plan.path for plan in plans.values()] == [cost.IDEAL, cost.CLIFFORD, cost.AER]


def test_claims_and_tables_agree() -> None:
    """Every gate that a program may name is claimed, and every name that stim's table has is a Clifford gate."""
    assert gates.SHAPES.keys() <= ideal.KNOWN
    assert clifford.NAMES.keys() <= gates.CLIFFORD


def test_aer_takes_over_where_a_path_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An experiment whose path breaks is done by Aer, and its result is as good."""

    def broken(_circuit: reduction.Reduced) -> list[ideal.Share]:
        raise TypeError("a library changed")

    steps = [gate("h", [0]), gate("cx", [0, 1]), measure(0, 1)]
    monkeypatch.setattr(ideal, "shares", broken)
    result = bench.run(physics.program(steps, shots=2000), SIMULATOR)

    assert physics.p_value(physics.counts(result), np.array([0.5, 0, 0, 0.5])) > 1e-3


def test_memory_that_is_not_there_fails_one_experiment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An experiment that runs out of memory fails by itself; the others of the job have their results."""
    true = ideal.shares

    def exhausted(circuit: reduction.Reduced) -> list[ideal.Share]:
        if len(circuit.slots) == 2:
            raise MemoryError
        return true(circuit)

    monkeypatch.setattr(ideal, "shares", exhausted)
    steps = [gate("ry", [0], 1.0), gate("cx", [0, 1]), measure(0, 1)]
    result = bench.run(physics.program(steps, [gate("x", [0]), measure(0)]), SIMULATOR)

    assert [entry["success"] for entry in result["results"]] == [False, True]


@pytest.mark.skipif(not lightning.AVAILABLE, reason="the library is not installed")
@pytest.mark.parametrize("seed", range(4))
def test_the_library_agrees_with_ours(seed: int) -> None:
    """Lightning gives the probabilities that our tables give, for all gates, controls of 0, and prepared states."""
    rng = np.random.default_rng(300 + seed)
    start = gate("initialize", [0, 4], *pairs(random_statevector(4, seed=seed).data))
    steps = [start, *branching.random_steps(rng, 9, 60, branching.small_gates(4), ("measure", "masked"))]
    (piece, *_) = sorted(
        branching.reduced([*steps, measure(*range(5))]).pieces, key=lambda one: len(one.wires), reverse=True
    )
    acts = acting.compiled(piece)
    start_state = ideal.start(acts)
    theirs = lightning.probabilities(acts.acts, acts.size, acts.seen, start_state.copy())
    state = ideal.evolve(start_state, acts.acts, acts.size)

    assert np.abs(theirs - ideal.marginal(np.abs(state) ** 2, acts)).max() < 1e-12


def test_many_pauli_operators_are_gates_on_one_qubit_each() -> None:
    """However long their label is, no matrix of all its qubits is made, and it joins nothing."""
    wide = [gate("ry", [index], 0.1 + index) for index in range(12)]
    wide += [gate("pauli", range(12), "XYZI" * 3)] * 30
    circuit = branching.reduced([*wide, measure(*range(12))])
    acts = [acting.compiled(piece) for piece in circuit.pieces]

    assert [len(piece.wires) for piece in circuit.pieces] == [1] * 12
    assert [len(one.acts) for one in acts] == [1] * 12


def test_pauli_operators_under_a_condition_on_their_own_qubit_are_exact() -> None:
    """The bit that decides shows a qubit that the operators change."""
    steps = [
        gate("ry", [0], 0.7),
        gate("ry", [1], 1.1),
        gate("ry", [2], 0.4),
        gate("measure", [0], memory=[0], register=[5]),
        gate("pauli", [0, 1, 2], "YIX", conditional=5),
        gate("pauli", [2, 0], "XX", conditional={"mask": "0x1", "val": "0x1"}),
        gate("ry", [1], 0.3),
        gate("measure", [0, 1, 2], memory=[1, 2, 3]),
    ]

    assert branching.distance(found(steps), branching.probabilities(steps, 3)) < EXACT


@pytest.mark.parametrize("count", [6, 8])
def test_large_matrices_are_foreseen(count: int) -> None:
    """The memory of a matrix counts for each, and its time grows with its size."""
    size = 2**count
    matrix = gate("unitary", range(count), pairs(np.eye(size, dtype=np.complex128)))
    spread = [gate("h", [index]) for index in range(count)]
    once, thrice = (branching.reduced([matrix] * times + [*spread, measure(*range(count))]) for times in (1, 3))

    assert ideal.memory(thrice) - ideal.memory(once) == 2 * 16 * size**2
    assert ideal.seconds(thrice) - ideal.seconds(once) > 2e-7 * size**2


def test_bits_show_what_was_measured_last() -> None:
    """A slot that was written again no longer follows the qubit that it showed before."""
    steps = [
        gate("ry", [0], 0.7),
        gate("ry", [1], 1.1),
        gate("measure", [0, 1], memory=[0, 1], register=[0, 1]),
        {"name": "bfunc", "mask": "0x3", "relation": "==", "val": "0x3", "register": 2},
        {"name": "copy", "register_orig": 0, "register_copy": [3]},
        gate("measure", [1], memory=[0], register=[0]),
        gate("h", [0]),
        gate("ry", [1], 0.5, conditional=2),
        gate("ry", [0], 0.2, conditional=3),
        gate("ry", [2], 0.9, conditional=0),
        gate("measure", [0], memory=[2]),
        gate("h", [0]),
        gate("x", [2], conditional={"mask": "0x7", "val": "0x5"}),
        gate("measure", [0, 1, 2], memory=[3, 4, 5]),
    ]

    assert branching.distance(found(steps), branching.probabilities(steps, 3)) < EXACT


def test_a_bit_that_can_no_longer_be_1_stays_0() -> None:
    """A register that showed a qubit and is then compared to the impossible reads 0, also once the qubit changes."""
    steps = [
        gate("h", [0]),
        gate("measure", [0], memory=[0], register=[0]),
        {"name": "bfunc", "mask": "0x2", "relation": "==", "val": "0x2", "register": 0},
        gate("x", [0]),
        gate("x", [1], conditional=0),
        gate("measure", [0, 1], memory=[1, 2]),
    ]

    assert branching.distance(found(steps), {0b001: 0.5, 0b010: 0.5}) < EXACT


class Counted(dict[int, int]):
    """A memory that counts how often it is looked at, and is never listed."""

    looks = 0

    def __contains__(self, key: object) -> bool:
        """Count."""
        self.looks += 1
        return super().__contains__(key)

    def items(self) -> NoReturn:
        """Refuse."""
        raise AssertionError


def test_a_condition_looks_at_its_own_bits_only() -> None:
    """However many slots are in use, a condition costs a look for each bit of its mask."""
    flow = reduction._Flow()
    flow.memory = Counted()
    for slot in range(500):
        (step,) = physics.steps(gate("measure", [slot % 10], memory=[slot]))
        flow.follow(step)
    (step,) = physics.steps(gate("x", [1], conditional={"mask": "0x5", "val": "0x0"}))
    for _ in range(20):
        flow.follow(step)

    assert flow.memory.looks == 2 * 20
