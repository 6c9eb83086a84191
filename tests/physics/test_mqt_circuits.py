# SPDX-License-Identifier: Apache-2.0
"""The algorithms of MQT Bench, without noise, have the probabilities of a second simulator."""

import functools

import dense
import judging
import numpy as np
import paths
import pytest
from mqt.bench import BenchmarkLevel, get_benchmark
from physics import Bench, Json, counts, gate, p_value, program
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import Statevector
from qiskit.synthesis import synth_permutation_basic

from chandelier.engines import cost, gates

SIMULATOR = "ibmq_qasm_simulator"
EXACT = 1e-9

#: Algorithms without conditions, and the number of qubits with which each is tried.
SIZES = {
    "ae": 7,
    "bmw_quark_cardinality": 6,
    "bmw_quark_copula": 6,
    "bv": 8,
    "cdkm_ripple_carry_adder": 8,
    "dj": 8,
    "draper_qft_adder": 8,
    "full_adder": 8,
    "ghz": 10,
    "graphstate": 9,
    "grover": 6,
    "half_adder": 7,
    "hhl": 6,
    "hrs_cumulative_multiplier": 9,
    "modular_adder": 8,
    "multiplier": 8,
    "qaoa": 8,
    "qft": 9,
    "qftentangled": 9,
    "qnn": 7,
    "qpeexact": 9,
    "qpeinexact": 9,
    "qwalk": 7,
    "randomcircuit": 8,
    "rg_qft_multiplier": 8,
    "vbe_ripple_carry_adder": 7,
    "vqe_real_amp": 9,
    "vqe_su2": 9,
    "vqe_two_local": 9,
    "wstate": 10,
}

Slots = list[tuple[int, int]]


@functools.cache
def benchmark(name: str) -> QuantumCircuit:
    """A circuit; the one without measurements is measured."""
    circuit = get_benchmark(name, BenchmarkLevel.ALG, SIZES[name])
    if not circuit.num_clbits:
        circuit.measure_all()
    return circuit


@functools.cache
def written(name: str) -> tuple[list[Json], Slots]:
    """A circuit as instructions of a program without the measurements, and which qubit is measured into which slot."""
    circuit = benchmark(name)
    steps: list[Json] = []
    slots: Slots = []
    _write(circuit, list(range(circuit.num_qubits)), steps, slots)
    return steps, slots


def _write(circuit: QuantumCircuit, places: list[int], steps: list[Json], slots: Slots) -> None:
    """Take gates apart until programs know them."""
    for step in circuit.data:
        on = [places[circuit.find_bit(qubit).index] for qubit in step.qubits]
        operation = step.operation
        if operation.name == "measure":
            slots.append((on[0], circuit.find_bit(step.clbits[0]).index))
        elif operation.name in gates.SHAPES:
            steps.append(gate(operation.name, on, *map(float, operation.params)))
        elif operation.name == "permutation":
            _write(synth_permutation_basic(operation.pattern), on, steps, slots)
        elif operation.name != "barrier":
            _write(operation.definition, on, steps, slots)


@functools.cache
def expected(name: str) -> dense.Chances:
    """The chances of a circuit by the second simulator."""
    steps, slots = written(name)
    return dense.chances(dense.evolved(steps, SIZES[name]), slots)


def measured(name: str) -> list[Json]:
    """A circuit as a program has it."""
    steps, slots = written(name)
    return [*steps, gate("measure", [qubit for qubit, _ in slots], memory=[slot for _, slot in slots])]


@pytest.mark.parametrize("name", SIZES)
def test_an_algorithm_is_exact(name: str) -> None:
    """No probability of an algorithm is off, and the instructions say what the circuit does."""
    simulator = paths.device(SIMULATOR)
    way = paths.route(program(measured(name), method="statevector"), simulator, cost.IDEAL)
    whole = Statevector(benchmark(name).remove_final_measurements(inplace=False))
    gap = np.abs(paths.chances(way, simulator) - expected(name)).max()
    judging.figure(name, f"largest gap {gap:.1e}")

    assert gap < EXACT
    assert np.abs(dense.chances(whole.data, written(name)[1]) - expected(name)).max() < EXACT


def test_counts_follow_the_probabilities(bench: Bench) -> None:
    """Counts of all algorithms together are not too unlikely."""
    result = bench.run(program(*map(measured, SIZES), shots=8192, seed_simulator=12), SIMULATOR)
    found = [p_value(counts(result, index), expected(name)) for index, name in enumerate(SIZES)]
    judging.figure("counts of algorithms", f"smallest p after Holm {judging.holm(found):.2g}")

    assert judging.holm(found) > judging.ALPHA
