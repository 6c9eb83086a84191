# SPDX-License-Identifier: Apache-2.0
"""Circuits on a device have the probabilities of Aer with the noise of the same device, scheduled alike."""

import functools
import math
import warnings
from collections.abc import Sequence

import judging
import numpy as np
import paths
import physics
import pytest
from physics import Bench, Json, counts, gate, measure, p_value, program
from qiskit.circuit import Delay, QuantumCircuit
from qiskit.quantum_info import SuperOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from chandelier.engines import cost, routes
from chandelier.formats import snapshots

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from qiskit_ibm_runtime.models import BackendProperties

DEVICE = "ibmq_manila"
QUBITS = range(5)
SEEDS = range(8)
LENGTH = 60
NAMES = ("sx", "x", "rz", "id", "cx")


@functools.cache
def theirs() -> AerSimulator:
    """Aer's density matrix with the noise that Aer derives from the same snapshot."""
    configuration, properties = snapshots.read(snapshots.DEFAULTS[DEVICE])
    known = physics.as_played(properties, paths.device(DEVICE))
    noise = NoiseModel.from_backend_properties(BackendProperties.from_dict(known), dt=configuration["dt"] * 1e-9)
    return AerSimulator(method="density_matrix", noise_model=noise)


def relaxation(qubit: int, seconds: float) -> SuperOp:
    """A qubit that relaxes. Source: Nielsen and Chuang, equation 8.123, with T1 and T2 for its rates."""
    data = paths.device(DEVICE).qubits[qubit]
    keep, coherence = math.exp(-seconds / data.t1), math.exp(-seconds / data.t2)
    return SuperOp(np.array([[1, 0, 0, 1 - keep], [0, coherence, 0, 0], [0, 0, coherence, 0], [0, 0, 0, keep]]))


@functools.cache
def error(name: str, qubits: tuple[int, ...]) -> SuperOp:
    """The error of a gate: as much depolarisation as the published error leaves to it, then relaxation."""
    data, size = paths.device(DEVICE).gates[name, qubits], 1 << len(qubits)
    relaxed = functools.reduce(lambda low, high: low.expand(high), [relaxation(one, data.length) for one in qubits])
    entangled = float(np.trace(relaxed.data).real) / size**2
    wanted = ((1 - (data.error or 0.0)) * (size + 1) - 1) / size
    lost = max(0.0, (entangled - wanted) / (entangled - 1 / size**2))
    mixed = np.outer(np.eye(size).reshape(-1), np.eye(size).reshape(-1)) / size
    return SuperOp((1 - lost) * np.eye(size**2) + lost * mixed).compose(relaxed)


def steps(seed: int) -> list[Json]:
    """A circuit of the device's gates at random, with waits and barriers."""
    rng = np.random.default_rng([9, seed])
    pairs = sorted(paths.device(DEVICE).edges["cx"])
    found: list[Json] = []
    for name in rng.choice(NAMES, LENGTH):
        where = pairs[rng.integers(len(pairs))] if name == "cx" else (int(rng.integers(5)),)
        found.append(gate(str(name), where, *([float(rng.uniform(-3, 3))] if name == "rz" else [])))
    found[LENGTH // 3 : LENGTH // 3] = [gate("delay", [int(rng.integers(5))], 8000), {"name": "barrier"}]
    return found


@functools.cache
def way(seed: int) -> routes.Route:
    """The way of a circuit of which everything is measured."""
    return paths.route(program([*steps(seed), measure(*QUBITS)]), paths.device(DEVICE), cost.EXACT)


def scheduled(seed: int, *, written_out: bool) -> QuantumCircuit:
    """A circuit with its waits, for Aer: with errors written out, or with what its noise model needs."""
    circuit = QuantumCircuit(len(QUBITS))
    for step in way(seed).steps:
        qubits = step.qubits or ()
        if step.name == "delay" and written_out:
            circuit.append(relaxation(qubits[0], step.params[0]).to_instruction(), list(qubits))
        elif step.name == "delay":
            circuit.append(Delay(step.params[0], unit="s"), list(qubits))
        elif step.name != "measure":
            getattr(circuit, step.name)(*(step.params or ()), *qubits)
            if written_out and step.name != "rz":
                circuit.append(error(step.name, qubits).to_instruction(), list(qubits))
    circuit.save_probabilities(list(QUBITS))
    return circuit


@functools.cache
def expected(seed: int) -> paths.Chances:
    """The chances of a circuit by Aer's density matrix, with all errors written out from the calibration."""
    return found_by(AerSimulator(method="density_matrix"), scheduled(seed, written_out=True))


def found_by(simulator: AerSimulator, circuit: QuantumCircuit) -> paths.Chances:
    """The chances of what is read at the end of a circuit."""
    result = simulator.run(circuit, shots=1, max_parallel_threads=1).result()
    assert result.success, result.status
    return misread(np.asarray(result.data()["probabilities"]), QUBITS)


def misread(chances: paths.Chances, qubits: Sequence[int]) -> paths.Chances:
    """What is read of qubits, the first least significant."""
    for place, qubit in enumerate(qubits):
        data = paths.device(DEVICE).qubits[qubit]
        flips = np.array([[1 - data.flip_up, data.flip_down], [data.flip_up, 1 - data.flip_down]])
        chances = np.einsum("ij,ajb->aib", flips, chances.reshape(-1, 2, 1 << place)).reshape(-1)
    return chances


def test_probabilities_follow_from_the_calibration() -> None:
    """The exact path gives what Aer's density matrix makes of the errors that the calibration's numbers mean."""
    gaps = [physics.distance(paths.chances(way(seed), paths.device(DEVICE)), expected(seed)) for seed in SEEDS]
    judging.figure("device against the calibration", f"largest distance {max(gaps):.1e}")

    assert max(gaps) < 1e-9


@pytest.mark.parametrize("seed", [0, 1])
def test_probabilities_are_those_of_aers_noise_model(seed: int) -> None:
    """The noise that Aer derives from the same snapshot differs by what Aer drops: terms below 1e-8 of each wait."""
    found = found_by(theirs(), scheduled(seed, written_out=False))
    gap = physics.distance(paths.chances(way(seed), paths.device(DEVICE)), found)
    judging.figure("device against Aer's noise model", f"distance {gap:.1e}")

    assert gap < 2e-8


def test_counts_follow_the_calibration(bench: Bench) -> None:
    """Counts of all circuits together are not too unlikely, and those of one circuit are so for another."""
    wanted = program(*([*steps(seed), measure(*QUBITS)] for seed in SEEDS), shots=8192, seed_simulator=13)
    result = bench.run(wanted, DEVICE)
    found = [p_value(counts(result, seed), expected(seed)) for seed in SEEDS]
    judging.figure("counts of a device", f"smallest p after Holm {judging.holm(found):.2g}")

    assert judging.holm(found) > judging.ALPHA
    assert p_value(counts(result, 0), expected(1)) < judging.ALPHA
