# SPDX-License-Identifier: Apache-2.0
"""Qubits that pulses join are simulated together, the others each for itself.

A cluster lives in a frame that turns with one frequency for all its qubits. What a qubit is asked for, and where it
begins, are dressed states: those of the coupled oscillators at rest. Bare frequencies are chosen so that the dressed
ones are those of the device, whatever cluster a qubit is simulated in; the shifts by neighbours outside the cluster
are part of them already.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chandelier.engines.pulses.model import LEVELS, Model
from chandelier.engines.pulses.timeline import Tone

#: Rounds until bare frequencies give the dressed ones; each makes the error some 1000 times smaller.
_ROUNDS: Final = 6


@dataclasses.dataclass(frozen=True, eq=False)
class Cluster:
    """Qubits that are simulated together. Their states are numbered with the first qubit most significant.

    Attributes:
        qubits: In ascending order.
        model: The device.
        reference: Frequency of the frame, rad/s.
        bare: Frequencies of the oscillators without their couplings, less the reference, rad/s.
        digits: int64, shape (states, qubits): the level of each qubit in each state.
        coupling: float64, shape (states, states): the coupling of the oscillators, rad/s.
        energies: float64, shape (states,): of the dressed states at rest, less the frame's, rad/s.
        dressed: complex128, shape (states, states): column k is the dressed state k.
    """

    qubits: tuple[int, ...]
    model: Model
    reference: float
    bare: NDArray[np.float64]
    digits: NDArray[np.int64]
    coupling: NDArray[np.float64]
    energies: NDArray[np.float64]
    dressed: NDArray[np.complex128]

    @property
    def states(self) -> int:
        """Number of states."""
        return len(self.energies)

    @property
    def excitations(self) -> NDArray[np.int64]:
        """Sum of the levels in each state; the coupling does not change it. Shape (states,)."""
        total: NDArray[np.int64] = self.digits.sum(axis=1)
        return total


def lowering() -> NDArray[np.float64]:
    """The operator b of one oscillator, shape (LEVELS, LEVELS)."""
    return np.diag(np.sqrt(np.arange(1, LEVELS)), 1)


def groups(tones: Iterable[Tone], measured: Iterable[int], model: Model) -> list[tuple[int, ...]]:
    """Find which qubits belong together.

    A tone joins the qubit that it drives with a coupled neighbour whose frequency it is nearer to than to that of the
    qubit itself, which is a cross resonance, however it is played.

    Returns:
        Groups of qubits in ascending order: all that are driven or measured.
    """
    parents = {qubit: qubit for qubit in measured}

    def root(qubit: int) -> int:
        parents.setdefault(qubit, qubit)
        while parents[qubit] != qubit:
            qubit = parents[qubit]
        return qubit

    for tone in tones:
        own = model.channels[tone.channel].qubit
        root(own)
        away = abs(tone.frequency - model.frequencies[own])
        for other in model.neighbours[own]:
            if abs(tone.frequency - model.frequencies[other]) < away:
                parents[root(other)] = root(own)
    found: dict[int, list[int]] = {}
    for qubit in parents:
        found.setdefault(root(qubit), []).append(qubit)
    return sorted(tuple(sorted(group)) for group in found.values())


def form(model: Model, qubits: Sequence[int]) -> Cluster:
    """Put qubits together.

    Args:
        model: The device.
        qubits: In ascending order.
    """
    count = len(qubits)
    reference = sum(model.frequencies[index] for index in qubits) / count
    wanted = np.array([model.frequencies[index] - reference for index in qubits])
    digits = np.indices((LEVELS,) * count).reshape(count, -1).T
    steep = np.array([model.anharmonicities[index] for index in qubits])
    curved = (digits * (digits - 1) / 2) @ steep
    coupling = _coupling(model.couplings, qubits)
    singles = [0, *(LEVELS ** (count - 1 - place) for place in range(count))]
    bare = wanted.copy()
    for _ in range(_ROUNDS):
        energies, vectors = _labelled(np.diag(digits @ bare + curved) + coupling)
        bare += wanted - (energies[singles[1:]] - energies[0])
    energies, vectors = _labelled(np.diag(digits @ bare + curved) + coupling)
    return Cluster(tuple(qubits), model, reference, bare, digits, coupling, energies, vectors.astype(np.complex128))


def acting_on(place: int, count: int, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """An operator of one qubit, shape (LEVELS, LEVELS), among those of a cluster, shape (states, states)."""
    among: NDArray[np.float64] = np.kron(np.kron(np.eye(LEVELS**place), matrix), np.eye(LEVELS ** (count - 1 - place)))
    return among


def _coupling(couplings: Mapping[tuple[int, int], float], qubits: Sequence[int]) -> NDArray[np.float64]:
    lower, count = lowering(), len(qubits)
    total: NDArray[np.float64] = np.zeros((LEVELS**count,) * 2)
    for (first, second), strength in couplings.items():
        if first in qubits and second in qubits:
            hop = acting_on(qubits.index(first), count, lower.T) @ acting_on(qubits.index(second), count, lower)
            total += strength * (hop + hop.T)
    return total


def _labelled(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energies and states of a Hamiltonian, each at the place of the bare state that it is most like."""
    energies, vectors = np.linalg.eigh(matrix)
    overlap = np.abs(vectors) ** 2
    order = np.full(len(energies), -1)
    free = np.ones(len(energies), dtype=bool)
    for place in np.argsort(-overlap.max(axis=1)):
        best = int(np.argmax(np.where(free, overlap[place], -1.0)))
        order[place], free[best] = best, False
    chosen = vectors[:, order]
    return energies[order], chosen * np.sign(np.diag(chosen))
