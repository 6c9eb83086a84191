# SPDX-License-Identifier: Apache-2.0
"""Tests of Clifford circuits: the space of their outcomes, and what is drawn from it."""

import math
from collections.abc import Sequence
from pathlib import Path

import branching
import numpy as np
import physics
import pytest
from physics import Bench, Json, gate, measure

from chandelier.engines import aer as aers
from chandelier.engines import circuits, clifford, cost, gates, methods, reduction, sampling

SIMULATOR = "simulator_stabilizer"
NAMES = sorted(clifford.NAMES)


def outcomes(instructions: Sequence[Json]) -> dict[int, float]:
    """The chance of each word of memory, by the path of this module."""
    assert clifford.claims(physics.steps(*instructions))
    circuit = branching.reduced(instructions)
    assert clifford.takes(circuit)
    space = clifford.space(circuit)
    words = [space.origin]
    for word in space.basis:
        words += [other ^ word for other in words]
    assert len(set(words)) == len(words)
    return dict.fromkeys(words, 1 / len(words))


def ghz(qubits: int) -> list[Json]:
    """A GHZ state, measured."""
    pairs = [gate("cx", [index, index + 1]) for index in range(qubits - 1)]
    return [gate("h", [0]), *pairs, measure(*range(qubits))]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A child's tasks, without a process."""
    return Bench(tmp_path)


@pytest.mark.parametrize("name", [*NAMES, "pauli"])
def test_every_gate_is_the_one_that_qiskit_knows(name: str) -> None:
    """A gate between random Clifford circuits leaves the probabilities that branching gives."""
    count = 2 if name == "pauli" else gates.SHAPES[name].qubits
    for seed in range(6):
        rng = np.random.default_rng(seed)
        before, after = (branching.random_steps(rng, 3, 8, NAMES) for _ in range(2))
        middle = gate(name, range(count), *(["YX"] if name == "pauli" else []))
        steps = [*before, middle, *after, measure(0, 1, 2)]

        assert branching.distance(outcomes(steps), branching.probabilities(steps, 3)) < 1e-9


@pytest.mark.parametrize("qubits", [5, 10])
@pytest.mark.parametrize("seed", range(5))
def test_random_circuits_have_the_right_outcomes(qubits: int, seed: int) -> None:
    """Random circuits of which all or some qubits are measured agree with branching."""
    rng = np.random.default_rng(seed)
    last = gate("measure", [9, 1, 4, 6], memory=[0, 3, 2, 5]) if qubits == 10 else measure(*range(5))
    steps = [*branching.random_steps(rng, qubits, 12 * qubits, NAMES), last]

    assert branching.distance(outcomes(steps), branching.probabilities(steps, qubits)) < 1e-9


@pytest.mark.parametrize("seed", range(12))
def test_measurements_and_resets_in_between_are_exact(seed: int) -> None:
    """Circuits that measure and reset on the way agree with branching."""
    rng = np.random.default_rng(50 + seed)
    steps = [*branching.random_steps(rng, 4, 20, NAMES, ("measure", "reset")), measure(0, 1)]

    assert branching.distance(outcomes(steps), branching.probabilities(steps, 4)) < 1e-9


@pytest.mark.parametrize("asked", [0, 1])
def test_pauli_corrections_on_a_measured_bit_are_exact(asked: int) -> None:
    """A state is teleported, with corrections that depend on two measured bits."""
    steps = [gate("sx", [0]), gate("h", [1]), gate("cx", [1, 2]), gate("cx", [0, 1]), gate("h", [0])]
    steps += [gate("measure", [place], memory=[place], register=[place]) for place in (0, 1)]
    steps += [{"name": "bfunc", "mask": "0x2", "relation": "==", "val": hex(2 * asked), "register": 5}]
    steps += [gate("x", [2], conditional=5), gate("z", [2], conditional=0), gate("sxdg", [2])]
    steps.append(gate("measure", [2], memory=[2]))
    found = outcomes(steps)

    assert branching.distance(found, branching.probabilities(steps, 3)) < 1e-9
    assert {word >> 2 for word in found} == ({0} if asked else {1})


@pytest.mark.parametrize(
    ("step", "claimed"),
    [
        (gate("rz", [0], math.pi / 2), True),
        (gate("u3", [0], math.pi / 2, math.pi, -math.pi / 2), True),
        (gate("p", [0], -3 * math.pi), True),
        (gate("r", [0], math.pi, math.pi / 4), False),
        (gate("rx", [0], math.pi / 4), False),
        (gate("rz", [0], math.pi / 2 + 1e-5), False),
        (gate("t", [0]), False),
        (gate("h", [0], conditional=0), False),
    ],
)
def test_rotations_by_quarter_turns_are_clifford_gates(step: Json, *, claimed: bool) -> None:
    """Rotations count by their angles, and are then right; a condition must choose a Pauli operator."""
    assert clifford.claims(physics.steps(step)) == claimed
    if claimed:
        steps = [gate("sx", [0]), step, gate("h", [0]), gate("s", [0]), gate("h", [0]), measure(0)]
        assert branching.distance(outcomes(steps), branching.probabilities(steps, 1)) < 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_counts_agree_with_the_stabilizer_method_of_aer(seed: int, bench: Bench) -> None:
    """Counts of Aer's stabilizer method fit the space; so do ours."""
    rng = np.random.default_rng(seed)
    steps = [*branching.random_steps(rng, 6, 60, NAMES), measure(*range(6))]
    native = methods.native(methods.STABILIZER)
    circuit = circuits.build(physics.steps(*steps), slots=6, phase=0.0, native=native)
    theirs = aers.simulator(methods.STABILIZER).run(circuit.circuit, shots=4000, seed_simulator=5).result().get_counts()
    space = outcomes(steps)
    exact = np.array([space.get(word, 0.0) for word in range(64)])
    ours = physics.counts(bench.run(physics.program(steps, shots=4000), SIMULATOR))

    assert physics.p_value({int(word, 2): number for word, number in theirs.items()}, exact) > 1e-3
    assert physics.p_value(ours, exact) > 1e-3


def test_a_hundred_qubits(bench: Bench) -> None:
    """A GHZ state of a hundred qubits reads all 0 or all 1, half and half, in words without leading zeros."""
    result = bench.run(physics.program(ghz(100), shots=8192, memory=True), SIMULATOR)
    counts = physics.counts(result)

    assert counts.keys() == {0, (1 << 100) - 1}
    assert abs(counts[0] - 4096) < 5 * math.sqrt(2048)
    assert result["results"][0]["data"]["memory"].count("0x0") == counts[0]
    assert result["results"][0]["metadata"]["method"] == "stabilizer"


def test_more_outcomes_than_could_ever_be_listed(bench: Bench) -> None:
    """Eighty fair coins, forty of them copied: every bit is fair, copies agree, others know nothing of each other."""
    steps = [*[gate("h", [index]) for index in range(80)], *[gate("cx", [index, 80 + index]) for index in range(40)]]
    steps += [gate("x", [100]), measure(*range(120))]
    words = list(physics.counts(bench.run(physics.program(steps, shots=5000), SIMULATOR)))
    bits = np.array([[word >> index & 1 for index in range(120)] for word in words])

    assert len(words) == 5000
    flipped = np.arange(80, 120) == 100
    assert np.array_equal(bits[:, 80:] ^ flipped, bits[:, :40])
    assert np.abs(bits[:, :80].mean(axis=0) - 0.5).max() < 5 * 0.5 / math.sqrt(5000)
    assert np.abs(np.corrcoef(bits[:, :80].T) - np.eye(80)).max() < 6 / math.sqrt(5000)


def test_a_seed_makes_it_reproducible(bench: Bench) -> None:
    """The same seed gives the same counts, another gives others, for few outcomes and for many."""
    many = [*[gate("h", [index]) for index in range(30)], measure(*range(30))]
    first, again, other = (
        [physics.counts(bench.run(physics.program(ghz(20), many, seed_simulator=seed), SIMULATOR), at) for at in (0, 1)]
        for seed in (3, 3, 4)
    )

    assert first == again
    assert first[0] != other[0]
    assert first[1] != other[1]


def test_the_space_does_not_depend_on_how_it_is_found() -> None:
    """The origin is 0 where the basis has its places, and each place is in one word of the basis only."""
    steps = [gate("h", [0]), gate("x", [1]), gate("cx", [0, 1]), gate("h", [2]), gate("cx", [2, 3]), gate("x", [2])]
    space = clifford.space(branching.reduced([*steps, measure(0, 1, 2, 3)]))

    assert space == clifford.Space(0b1010, (0b0011, 0b1100), 4)


def test_wide_circuits_choose_this_path_on_any_simulator() -> None:
    """Thirty qubits of Clifford gates go here by themselves; with a T gate that matters they do not."""
    on = physics.target("ibmq_qasm_simulator")
    (way,) = physics.ways(physics.program(ghz(30)), on)

    assert way.plan.path == cost.CLIFFORD
    assert way.plan.method == methods.STABILIZER
    assert way.plan.seconds < 0.05
    magic = [gate("h", [0]), gate("t", [0]), *ghz(12)]
    assert physics.ways(physics.program(magic), on)[0].plan.path == cost.IDEAL


def test_shots_are_drawn_evenly_among_many_outcomes() -> None:
    """Whether outcomes are listed or made shot by shot, they are equally likely."""
    space = clifford.Space(0b1000000, tuple(1 << place for place in range(6)), 7)
    for shots in (10, 20_000):
        total = np.zeros(64)
        for seed in range(400 if shots == 10 else 1):
            words, numbers = clifford.draw(sampling.generator(seed, 0), space, shots)
            for word, number in zip(words, numbers.tolist(), strict=True):
                total[word - 64] += number

        assert physics.p_value(dict(enumerate(total.astype(int).tolist())), np.full(64, 1 / 64)) > 1e-3


def reused(count: int, *between: Json) -> float:
    """The predicted time for a qubit that is measured and reset again and again, s."""
    again = [[*between, gate("measure", [0], memory=[slot]), gate("reset", [0])] for slot in range(count)]
    found = reduction.reduced(physics.steps(*(step for steps in again for step in steps)))
    return clifford.seconds(found, 1000)


def test_choices_have_their_price() -> None:
    """Qubits used again thousands of times are dear only as far as their outcomes are random."""
    coins, certain = reused(3000, gate("h", [0])), reused(3000, gate("x", [0]))

    assert certain < coins / 2 < 2
