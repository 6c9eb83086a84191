# SPDX-License-Identifier: Apache-2.0
"""Clifford circuits of up to 120 qubits, without noise and with Pauli noise, agree with Stim's sampler."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import definitions
import judging
import numpy as np
import paths
import pytest
import stim
from physics import Bench, Json, counts, gate, measure, program

from chandelier.engines import cost, gates

SIMULATOR = "simulator_stabilizer"
NAMES = sorted(gates.CLIFFORD - {"pauli"})
#: Those that the simulator does not take apart or know by another name, so that an error can be theirs.
WHOLE = sorted(set(NAMES) - {"CX", "dcx", "iswap", "nop", "u0"})
PAIRS = sorted(name for name in WHOLE if gates.SHAPES[name].qubits == 2)
#: Shots of Stim where it is compared with fewer of ours.
MANY = 100_000


class Hull(NamedTuple):
    """The smallest set of words that holds all outcomes and with any three of them their sum.

    Attributes:
        origin: Its smallest word.
        basis: Differences of its words, in reduced form: each has a highest bit that no other has.
    """

    origin: int
    basis: tuple[int, ...]


def hull(words: Iterable[int]) -> Hull:
    """Find the smallest such set."""
    origin, *others = words
    rows: dict[int, int] = {}
    for word in others:
        left = _less(word ^ origin, rows)
        if left:
            top = left.bit_length()
            rows = {place: row ^ left if row >> top - 1 & 1 else row for place, row in rows.items()}
            rows[top] = left
    return Hull(_less(origin, rows), tuple(sorted(rows.values())))


def _less(word: int, rows: Mapping[int, int]) -> int:
    for place, row in rows.items():
        if word >> place - 1 & 1:
            word ^= row
    return word


@functools.cache
def tableau(name: str) -> stim.Circuit:
    """A gate in Stim's terms, found from its matrix."""
    shape = gates.SHAPES[name]
    factor = definitions.matrix(name, [0.0] * shape.params, shape.qubits)
    return stim.Tableau.from_unitary_matrix(factor, endian="little").to_circuit()


def stimmed(steps: Sequence[Json], noise: Mapping[str, str] | None = None) -> stim.Circuit:
    """Instructions as a circuit of Stim, with an instruction of noise after each gate that has one.

    A measurement of noise is its probability of a wrong outcome.
    """
    circuit, errors = stim.Circuit(), noise or {}
    for step in steps:
        name, places = step["name"], step["qubits"]
        if name == "reset":
            circuit.append("R", places)
        elif name == "measure":
            circuit.append("M", places, float(errors.get("measure", 0.0)))
        else:
            for inner in tableau(name):
                on = [places[one.value] for one in inner.targets_copy()]
                circuit.append(inner.name, on)
            if name in errors:
                circuit.append_from_stim_program_text(f"{errors[name]} {' '.join(map(str, places))}")
    return circuit


def sampled(circuit: stim.Circuit, shots: int, seed: int) -> list[int]:
    """Outcomes that Stim draws, as words: the n-th measurement is bit n."""
    rows = circuit.compile_sampler(seed=seed).sample(shots, bit_packed=True)
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def shallow(qubits: int, layers: int, seed: int) -> list[Json]:
    """Layers of random gates on neighbours and on single qubits, not deep enough to make everything random."""
    rng = np.random.default_rng([3, seed])
    steps: list[Json] = []
    for layer in range(layers):
        for place in range(qubits):
            name = str(rng.choice(NAMES))
            shape = gates.SHAPES[name]
            if place + shape.qubits <= qubits:
                on = rng.permutation(range(place, place + shape.qubits)).tolist()
                steps.append(gate(name, on, *[0.0] * shape.params))
        if layer == 0:
            steps.append(gate("reset", rng.permutation(qubits)[: qubits // 5].tolist()))
    return steps


@pytest.mark.parametrize(("qubits", "layers"), [(5, 4), (12, 3), (40, 2), (75, 2), (120, 2), (120, 3)])
def test_outcomes_without_noise(bench: Bench, qubits: int, layers: int) -> None:
    """The outcomes span just what Stim's span, every one of them is possible, and parities are as random as Stim's."""
    steps = [*shallow(qubits, layers, qubits + layers), measure(*range(qubits))]
    wanted = program(steps, shots=4000)
    paths.route(wanted, paths.device(SIMULATOR), cost.CLIFFORD)
    ours = counts(bench.run(wanted, SIMULATOR))
    theirs = sampled(stimmed(steps), 4000, seed=5)
    rng = np.random.default_rng(qubits)
    masks = [sum(1 << int(place) for place in rng.permutation(qubits)[:size]) for size in (1, 2, 3, 5) * 20]
    worst = max(judging.excess(mean(ours, mask), mean(tally(theirs), mask), 4000, 4000) for mask in masks)
    judging.figure(f"{qubits} qubits, {layers} layers", f"largest deviation of {len(masks)} parities {worst:.2f} sigma")

    assert hull(ours) == hull(theirs)
    assert 0 < len(hull(ours).basis) < qubits or qubits == 5
    assert worst < judging.SIGMAS


def tally(words: Iterable[int]) -> dict[int, int]:
    """How often each word occurs."""
    found: dict[int, int] = {}
    for word in words:
        found[word] = found.get(word, 0) + 1
    return found


def mean(found: Mapping[int, int], mask: int) -> float:
    """The mean of a parity of bits: 1 if it is always even."""
    total = sum((1 - 2 * ((word & mask).bit_count() & 1)) * number for word, number in found.items())
    return total / sum(found.values())


class Noise(NamedTuple):
    """Pauli noise, as a program and as Stim have it."""

    model: Json
    channels: dict[str, str]


def pauli(labels: Sequence[str], rates: Sequence[float], names: Sequence[str]) -> dict[str, Any]:
    """An error of a noise model: Pauli operators, each letter for a qubit from the first, with their chances."""
    width = len(labels[0])
    branches = [[gate("pauli", range(width), label[::-1])] for label in labels]
    return {
        "type": "qerror",
        "operations": list(names),
        "instructions": [*branches, [gate("id", [0])]],
        "probabilities": [*rates, 1 - sum(rates)],
    }


def noisy(strength: float, seed: int) -> Noise:
    """Noise at random after every gate, and at each measurement."""
    rng = np.random.default_rng([4, seed])
    letters = "IXYZ"
    two = [one + other for one in letters for other in letters][1:]
    rates = (rng.dirichlet(np.ones(3)) * strength / 2).tolist()
    more = (rng.dirichlet(np.ones(15)) * strength).tolist()
    flip = 2 * strength
    single = [name for name in WHOLE if gates.SHAPES[name].qubits == 1]
    readout = {"type": "roerror", "operations": ["measure"], "probabilities": [[1 - flip, flip], [flip, 1 - flip]]}
    model = {"errors": [pauli("XYZ", rates, single), pauli(two, more, PAIRS), readout]}
    one, both = (", ".join(f"{rate:.17g}" for rate in values) for values in (rates, more))
    channels = dict.fromkeys(single, f"PAULI_CHANNEL_1({one})") | dict.fromkeys(PAIRS, f"PAULI_CHANNEL_2({both})")
    return Noise(model, {**channels, "measure": str(flip)})


def certain(steps: Sequence[Json], qubits: int) -> list[int]:
    """Parities of the outcomes that only noise changes: those even on every difference of two outcomes."""
    basis = {row.bit_length() - 1: row for row in hull(sampled(stimmed(steps), 4 * qubits + 100, seed=1)).basis}
    free = [place for place in range(qubits) if place not in basis]
    return [1 << place | sum(1 << top for top, row in basis.items() if row >> place & 1) for place in free]


@pytest.mark.parametrize(("qubits", "shots"), [(4, 8000), (10, 4000), (60, 600), (100, 300)])
def test_parities_with_pauli_noise(bench: Bench, qubits: int, shots: int) -> None:
    """Every parity that is certain without noise is as uncertain with a user's Pauli noise as Stim says."""
    noise = noisy(0.02, qubits)
    rng = np.random.default_rng([5, qubits])
    plain = [step for step in shallow(qubits, 2, qubits) if step["name"] in WHOLE]
    turned = [gate("s", [int(place)]) for place in rng.permutation(qubits)[: qubits // 3]]
    steps = [*plain, *turned, measure(*range(qubits))]
    wanted = program(steps, shots=shots, noise_model=noise.model, method="stabilizer")
    result = bench.run(wanted, SIMULATOR)
    ours, theirs = counts(result), tally(sampled(stimmed(steps, noise.channels), MANY, seed=6))
    masks = certain(steps, qubits)
    means = {mask: (mean(ours, mask), mean(theirs, mask)) for mask in masks}
    worst = max(judging.excess(one, other, shots, MANY) for one, other in means.values())
    weakest = min(abs(one) for one, _ in means.values())
    judging.figure(
        f"{qubits} qubits, Pauli noise", f"{worst:.2f} sigma of {len(masks)} parities, weakest {weakest:.3f}"
    )

    assert len(masks) > qubits // 8
    assert result["results"][0]["metadata"]["method"] == "stabilizer"
    assert weakest < 0.97
    assert worst < judging.SIGMAS
