# SPDX-License-Identifier: Apache-2.0
"""Randomized benchmarking on a device returns the errors of its calibration.

Source: direct randomized benchmarking, Proctor et al., Physical Review Letters 123, 030503 (2019): layers of random
gates, then a gate that leads to a known outcome. The chance of that outcome decays to 1/d with the length.
"""

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import definitions
import judging
import numpy as np
import paths
import pytest
from physics import Json, gate, measure, program
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import Clifford

from chandelier.engines import cost
from chandelier.engines import target as targets

DEVICE = "ibmq_manila"
QUBITS = range(5)
QUARTER = math.pi / 2

LENGTHS = (1, 1000, 3000)
PAIR_LENGTHS = (1, 30, 90)
#: So many circuits of each length, for each possible outcome.
SEEDS = range(3)
PAIR_SEEDS = range(6)

#: A ratio may be off by so much, or by three standard deviations of its fit.
TOLERANCE = 0.1


class Fit(NamedTuple):
    """A decay by a factor for each layer, and the standard deviation of the factor."""

    factor: float
    deviation: float


def decay(found: Mapping[int, Sequence[float]], floor: float) -> Fit:
    """Fit the chances of the known outcome above `floor` by the power of a factor.

    Args:
        found: For each length chances in several sets of circuits, each with every possible outcome once.
        floor: The mean chance of an outcome of which nothing is known.
    """
    lengths = np.array(list(found), dtype=float)
    chances = np.array([np.mean(values) for values in found.values()]) - floor
    errors = np.array([np.std(values, ddof=1) / math.sqrt(len(values)) for values in found.values()]) / chances
    weights = 1 / np.maximum(errors, 1e-9)
    (slope, _), covariance = np.polyfit(lengths, np.log(chances), 1, w=weights, cov="unscaled")
    return Fit(math.exp(slope), math.exp(slope) * math.sqrt(covariance[0, 0]))


def relaxed(data: targets.QubitData, seconds: float) -> float:
    """Process fidelity of a qubit that relaxes. Source: Nielsen and Chuang, section 8.3.5, traced."""
    return (1 + math.exp(-seconds / data.t1) + 2 * math.exp(-seconds / data.t2)) / 4


def limit(device: targets.Target, name: str, qubits: tuple[int, ...]) -> float:
    """The error of a gate that only relaxes: 1 − its average fidelity."""
    size = 1 << len(qubits)
    seconds = device.gates[name, qubits].length
    process = math.prod(relaxed(device.qubits[index], seconds) for index in qubits)
    return 1 - (size * process + 1) / (size + 1)


def published(device: targets.Target, name: str, qubits: tuple[int, ...]) -> float:
    """The error of a gate in the calibration, or what relaxation leaves it if that is worse."""
    return max(device.gates[name, qubits].error or 0.0, limit(device, name, qubits))


def chances(steps: Sequence[Json], qubits: Sequence[int]) -> paths.Chances:
    """Exact probabilities of a circuit on the device."""
    device = paths.device(DEVICE)
    return paths.chances(paths.route(program([*steps, measure(*qubits)]), device, cost.EXACT), device)


@functools.cache
def turned(quarters: int) -> definitions.Matrix:
    """A turn about Z."""
    return definitions.matrix("rz", [quarters * QUARTER], 1)


def ending(state: definitions.Matrix, outcome: int) -> tuple[int, int]:
    """Turns, with an `sx` after each, that lead one of the six states of a qubit to an outcome."""
    pulse = definitions.matrix("sx", (), 1)
    for first, second in itertools.product(range(4), repeat=2):
        if abs((pulse @ turned(second) @ pulse @ turned(first) @ state)[outcome]) > 0.999:
            return first, second
    raise AssertionError("the state is not one of the six")


def sequence(rng: np.random.Generator, qubit: int, length: int, outcome: int) -> list[Json]:
    """Random turns and pulses on a qubit that end in an outcome."""
    state: definitions.Matrix = np.array([1, 0], dtype=np.complex128)
    steps: list[Json] = []
    for name, quarters in zip(rng.choice(["sx", "x"], length), rng.integers(4, size=length), strict=True):
        state = definitions.matrix(str(name), (), 1) @ turned(int(quarters)) @ state
        steps += [gate("rz", [qubit], int(quarters) * QUARTER), gate(str(name), [qubit])]
    for quarters in ending(state, outcome):
        steps += [gate("rz", [qubit], quarters * QUARTER), gate("sx", [qubit])]
    return steps


@functools.cache
def one_qubit_decays() -> tuple[Fit, ...]:
    """The decays of all qubits, benchmarked at the same time."""
    found: list[dict[int, list[float]]] = [{} for _ in QUBITS]
    for length, seed in itertools.product(LENGTHS, SEEDS):
        means = np.zeros(len(QUBITS))
        for outcome in (0, 1):
            rng = np.random.default_rng([7, length, seed, outcome])
            steps = [step for qubit in QUBITS for step in sequence(rng, qubit, length, outcome)]
            joint = chances(steps, QUBITS)
            hits = [np.arange(len(joint)) >> qubit & 1 == outcome for qubit in QUBITS]
            means += [joint[hit].sum() / 2 for hit in hits]
        for qubit in QUBITS:
            found[qubit].setdefault(length, []).append(float(means[qubit]))
    return tuple(decay(one, 0.5) for one in found)


@pytest.mark.parametrize("qubit", QUBITS)
def test_the_error_of_a_pulse(qubit: int) -> None:
    """The error of `sx` and `x` found by benchmarking is the published one."""
    device = paths.device(DEVICE)
    fit = one_qubit_decays()[qubit]
    wanted = (published(device, "sx", (qubit,)) + published(device, "x", (qubit,))) / 2
    ratio, deviation = (1 - fit.factor) / 2 / wanted, fit.deviation / 2 / wanted
    judging.figure(f"pulses of qubit {qubit}", f"{ratio:.4f} ± {deviation:.4f}")

    assert abs(ratio - 1) < max(TOLERANCE, 3 * deviation)
    assert deviation < TOLERANCE


def clifford(rng: np.random.Generator, qubit: int) -> list[Json]:
    """A random Clifford gate of a qubit, always with two pulses."""
    turns = [gate("rz", [qubit], int(quarters) * QUARTER) for quarters in rng.integers(4, size=3)]
    return [turns[0], gate("sx", [qubit]), turns[1], gate("sx", [qubit]), turns[2]]


def inverse(steps: Sequence[Json], outcome: int) -> list[Json]:
    """Gates that lead what some gates on qubits 0 and 1 made to an outcome."""
    circuit = QuantumCircuit(2)
    for step in steps:
        if step["name"] == "rz":
            for _ in range(round(step["params"][0] / QUARTER)):
                circuit.s(step["qubits"][0])
        else:
            getattr(circuit, step["name"])(*step["qubits"])
    back = Clifford(circuit).adjoint().to_circuit()
    found: list[Json] = []
    for step in back.data:
        found += native(step.operation.name, [back.find_bit(qubit).index for qubit in step.qubits])
    return [*found, *(gate("x", [place]) for place in (0, 1) if outcome >> place & 1)]


def native(name: str, on: Sequence[int]) -> list[Json]:
    """A Clifford gate in the gates of the device."""
    if name == "h":
        return [gate("rz", on, QUARTER), gate("sx", on), gate("rz", on, QUARTER)]
    if name == "swap":
        return [gate("cx", on), gate("cx", on[::-1]), gate("cx", on)]
    if name == "cz":
        return [*native("h", on[1:]), gate("cx", on), *native("h", on[1:])]
    if name == "y":
        return [gate("rz", on, 2 * QUARTER), gate("x", on)]
    quarters = {"s": 1, "z": 2, "sdg": 3}.get(name)
    return [gate("rz", on, quarters * QUARTER)] if quarters else [gate(name, on)]


def test_the_error_of_cx() -> None:
    """The error of `cx` found by benchmarking, less that of the pulses between, is the published one.

    Depolarisation multiplies: of a layer by those of its gates.
    """
    device, pair = paths.device(DEVICE), (0, 1)
    found: dict[int, list[float]] = {}
    for length, seed in itertools.product(PAIR_LENGTHS, PAIR_SEEDS):
        total = 0.0
        for outcome in range(4):
            rng = np.random.default_rng([8, length, seed, outcome])
            steps: list[Json] = []
            for _ in range(length):
                steps += [*clifford(rng, 0), *clifford(rng, 1), gate("cx", pair)]
            total += chances([*steps, *inverse(steps, outcome)], pair)[outcome]
        found.setdefault(length, []).append(total / 4)
    fit = decay(found, 0.25)
    pulses = [(1 - 2 * published(device, "sx", (qubit,))) ** 2 for qubit in pair]
    process = math.prod((1 + 3 * factor) / 4 for factor in pulses)
    between = (16 * process - 1) / 15
    wanted = published(device, "cx", pair)
    ratio, deviation = (1 - fit.factor / between) * 3 / 4 / wanted, fit.deviation * 3 / 4 / wanted
    judging.figure("cx of qubits 0 and 1", f"{ratio:.4f} ± {deviation:.4f}")

    assert abs(ratio - 1) < max(TOLERANCE, 3 * deviation)
    assert deviation < TOLERANCE
