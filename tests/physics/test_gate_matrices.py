# SPDX-License-Identifier: Apache-2.0
"""Every gate a program may name does what its published definition says, whoever computes it."""

import math
import zlib
from typing import Any

import definitions
import dense
import judging
import numpy as np
import paths
import pytest
from physics import Bench, Json, gate, measure, program

from chandelier.engines import cost, gates

SIMULATOR = "ibmq_qasm_simulator"
CASES = [
    (name, more) for name, shape in sorted(gates.SHAPES.items()) for more in ((0, 2) if shape.controlled else (0,))
]
#: A gate is wrong if a fidelity misses so much of 1, or a probability differs by so much.
INFIDELITY = 1e-10
EXACT = 1e-10
#: Gates with more qubits than this are done by Aer where there is noise.
WIDEST = 3
#: How much of a qubit is depolarised.
DEPOLARISED = 0.3


def made(name: str, more: int) -> tuple[np.random.Generator, Json, int]:
    """A gate with parameters and qubits at random, and the number of qubits: one more than it has."""
    rng = np.random.default_rng(zlib.crc32(f"{name} {more}".encode()))
    count = gates.SHAPES[name].qubits + more
    places = [int(place) for place in rng.permutation(count + 1)[:count]]
    return rng, gate(name, places, *rng.uniform(-3, 3, gates.SHAPES[name].params).tolist()), count + 1


def state(rng: np.random.Generator, qubits: int) -> definitions.Matrix:
    """A state at random."""
    values: definitions.Matrix = rng.standard_normal((1 << qubits, 2)) @ np.array([1, 1j])
    return values / np.linalg.norm(values)


def pairs(values: definitions.Matrix) -> list[Any]:
    """Complex numbers as a program has them."""
    return np.stack([values.real, values.imag], axis=-1).tolist()  # type: ignore[no-any-return]  # nested lists


def numbers(found: list[Any]) -> definitions.Matrix:
    """Complex numbers as a result has them."""
    values: definitions.Matrix = np.array(found) @ np.array([1, 1j])
    return values


def bases(rng: np.random.Generator, qubits: int) -> list[Json]:
    """A basis at random for each qubit."""
    return [gate("u3", [place], *rng.uniform(-3, 3, 3).tolist()) for place in range(qubits)]


def test_every_gate_has_a_definition() -> None:
    """The definitions and the gates of programs are the same set."""
    assert definitions.FIXED.keys() | definitions.CONTROLLED.keys() == gates.SHAPES.keys()


@pytest.mark.parametrize(("name", "more"), CASES)
def test_the_matrix_of_a_gate(bench: Bench, name: str, more: int) -> None:
    """The matrix that is saved of a gate is the defined one, with qubits in any order, up to a phase of everything."""
    _, step, qubits = made(name, more)
    every = list(range(qubits))
    steps = [*(gate("h", [place]) for place in every), step]
    result = bench.run(program([*steps, gate("save_unitary", every)]), SIMULATOR)
    found = numbers(result["results"][0]["data"]["unitary"])
    lost = 1 - abs(np.trace(dense.unitary(steps, qubits).conj().T @ found) / len(found)) ** 2
    judging.figure(f"matrix of {name}, {more} more controls", f"1 - F = {abs(lost):.1e}")

    assert result["results"][0]["metadata"]["method"] == "unitary"
    assert lost < INFIDELITY


@pytest.mark.parametrize(("name", "more"), CASES)
def test_a_gate_on_a_state(bench: Bench, name: str, more: int) -> None:
    """A gate on some qubits of an entangled state, in any order, makes the defined state of it."""
    rng, step, qubits = made(name, more)
    start, every = state(rng, qubits), list(range(qubits))
    steps = [gate("initialize", every, *pairs(start)), step, gate("save_statevector", every)]
    result = bench.run(program(steps), SIMULATOR)
    found = numbers(result["results"][0]["data"]["statevector"])
    lost = 1 - abs(np.vdot(dense.evolved([step], qubits, start), found)) ** 2
    judging.figure(f"state after {name}, {more} more controls", f"1 - F = {abs(lost):.1e}")

    assert lost < INFIDELITY


@pytest.mark.parametrize(("name", "more"), CASES)
def test_a_gate_without_noise(name: str, more: int) -> None:
    """The path without noise gives the defined probabilities of a state after a gate, in any basis."""
    rng, step, qubits = made(name, more)
    simulator, start = paths.device(SIMULATOR), state(rng, qubits)
    for _ in range(2):
        steps = [step, *bases(rng, qubits)]
        wanted = program([gate("initialize", range(qubits), *pairs(start)), *steps, measure(*range(qubits))])
        found = paths.chances(paths.route(wanted, simulator, cost.IDEAL), simulator)
        gap = np.abs(found - np.abs(dense.evolved(steps, qubits, start)) ** 2).max()
        judging.figure(f"{name} without noise, {more} more controls", f"largest gap {gap:.1e}")

        assert gap < EXACT


@pytest.mark.parametrize(("name", "more"), [case for case in CASES if gates.SHAPES[case[0]].qubits + case[1] <= WIDEST])
def test_a_gate_with_noise(name: str, more: int) -> None:
    """The path with noise gives the defined probabilities of a state after a gate and a depolarised qubit."""
    rng, step, qubits = made(name, more)
    simulator = paths.device(SIMULATOR)
    paulis = [definitions.matrix(pauli, (), 1) for pauli in ("id", "x", "y", "z")]
    weights = [1 - 3 * DEPOLARISED / 4, *[DEPOLARISED / 4] * 3]
    kraus = [pairs(math.sqrt(weight) * pauli) for weight, pauli in zip(weights, paulis, strict=True)]
    steps = [*bases(rng, qubits), step, *bases(rng, qubits)]
    wanted = program([*steps, gate("kraus", [0], *kraus), measure(*range(qubits))])
    found = paths.chances(paths.route(wanted, simulator, cost.EXACT), simulator)
    pure = np.abs(dense.evolved(steps, qubits)) ** 2
    mixed = np.repeat(pure.reshape(-1, 2).mean(axis=1), 2)
    gap = np.abs(found - (1 - DEPOLARISED) * pure - DEPOLARISED * mixed).max()
    judging.figure(f"{name} with noise, {more} more controls", f"largest gap {gap:.1e}")

    assert gap < EXACT
