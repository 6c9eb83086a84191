# SPDX-License-Identifier: Apache-2.0
"""Circuits without noise have the probabilities of a second simulator, and counts that follow them."""

import functools

import dense
import judging
import numpy as np
import paths
from physics import Bench, Json, counts, gate, measure, p_value, program

from chandelier.engines import cost, gates

SIMULATOR = "ibmq_qasm_simulator"
NAMES = sorted(name for name, shape in gates.SHAPES.items() if shape.qubits <= 4)
SEEDS = range(24)
LENGTH = 60
EXACT = 1e-9


@functools.cache
def circuit(seed: int) -> tuple[tuple[Json, ...], int]:
    """A circuit of all gates at random, and its number of qubits: 4 to 10."""
    rng = np.random.default_rng([2, seed])
    qubits = 4 + seed % 7
    steps = [gate("h", [place]) for place in range(qubits)]
    for name in rng.choice(NAMES, LENGTH):
        shape = gates.SHAPES[name]
        count = shape.qubits + (int(rng.integers(2)) if shape.controlled else 0)
        places = rng.permutation(qubits)[: min(count, qubits)].tolist()
        steps.append(gate(str(name), places, *rng.uniform(-3, 3, shape.params).tolist()))
    return tuple(steps), qubits


@functools.cache
def expected(seed: int) -> dense.Chances:
    """The chances of a circuit by the second simulator."""
    steps, qubits = circuit(seed)
    return dense.chances(dense.evolved(steps, qubits), [(place, place) for place in range(qubits)])


def test_random_circuits_are_exact() -> None:
    """No probability of a random circuit of all gates is off, on the path without noise."""
    simulator = paths.device(SIMULATOR)
    worst = 0.0
    for seed in SEEDS:
        steps, qubits = circuit(seed)
        way = paths.route(program([*steps, measure(*range(qubits))]), simulator, cost.IDEAL)
        worst = max(worst, float(np.abs(paths.chances(way, simulator) - expected(seed)).max()))
    judging.figure("random circuits", f"largest gap {worst:.1e}")

    assert worst < EXACT


def test_saved_probabilities_are_exact(bench: Bench) -> None:
    """Nor is one of those that a program asks to be saved."""
    wanted = [[*steps, gate("save_probabilities", range(qubits))] for steps, qubits in map(circuit, SEEDS)]
    entries = bench.run(program(*wanted), SIMULATOR)["results"]
    gaps = [np.abs(np.array(entries[seed]["data"]["probabilities"]) - expected(seed)).max() for seed in SEEDS]
    judging.figure("saved probabilities", f"largest gap {max(gaps):.1e}")

    assert max(gaps) < EXACT


def test_counts_follow_the_probabilities(bench: Bench) -> None:
    """Counts of all random circuits together are not too unlikely."""
    wanted = [[*steps, measure(*range(qubits))] for steps, qubits in map(circuit, SEEDS)]
    result = bench.run(program(*wanted, shots=8192, seed_simulator=11), SIMULATOR)
    found = [p_value(counts(result, seed), expected(seed)) for seed in SEEDS]
    judging.figure("counts of random circuits", f"smallest p after Holm {judging.holm(found):.2g}")

    assert judging.holm(found) > judging.ALPHA


def test_counts_of_another_circuit_do_not(bench: Bench) -> None:
    """Counts of a circuit with one angle changed a little are noticed, so the tests above can fail."""
    steps, qubits = circuit(0)
    changed = [*steps, gate("ry", [0], 0.2), measure(*range(qubits))]
    result = bench.run(program(changed, shots=8192, seed_simulator=11), SIMULATOR)

    assert p_value(counts(result), expected(0)) < judging.ALPHA
