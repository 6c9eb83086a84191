# SPDX-License-Identifier: Apache-2.0
"""The levels in which shots find the qubits of a cluster, measured one after the other or together.

Shots that have been alike go together: a measurement parts them by what they find, and each part goes on from the state
that it has found. Of one or two qubits the parts are density matrices; of more they are wave functions, from which
shots part one by one whenever a qubit of theirs jumps.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chandelier.engines.pulses import propagation, trajectories
from chandelier.engines.pulses.clusters import Cluster
from chandelier.engines.pulses.evolution import Evolver
from chandelier.engines.pulses.timeline import Tone
from chandelier.engines.pulses.trajectories import Event

#: Clusters of so many qubits have density matrices.
DENSE_QUBITS: Final = 2

Levels = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """Shots that have been alike.

    Attributes:
        shots: Their indices.
        state: What they have come to: as of `Evolver`.
    """

    shots: NDArray[np.int64]
    state: NDArray[np.complex128]


def levels(
    evolver: Evolver, tones: Sequence[Tone], events: Sequence[Event], shots: int, rng: np.random.Generator
) -> list[Levels]:
    """Measure.

    Args:
        evolver: Of the cluster.
        tones: Of its qubits.
        events: In order of time.
        shots: How often.
        rng: Source of randomness.

    Returns:
        For each event the levels that were found, uint8, shape (shots, places).
    """
    if len(evolver.cluster.qubits) > DENSE_QUBITS:
        return trajectories.levels(evolver.cluster, tones, events, shots, rng)
    parts = [Part(np.arange(shots), evolver.ground())]
    found: list[Levels] = []
    stretches = propagation.stretches(evolver.cluster, tones, 0, [event.time for event in events])
    time = 0
    for place, event in enumerate(events):
        states = np.array([part.state for part in parts])
        while time < event.time:
            stretch = next(stretches)
            states, time = evolver.through(states, stretch), stretch.end
        parts = [Part(part.shots, state) for part, state in zip(parts, states, strict=True)]
        seen = np.zeros((shots, len(event.places)), dtype=np.uint8)
        last = place == len(events) - 1
        parts = [kept for part in parts for kept in _measured(evolver, part, event, rng, seen, last=last)]
        if not last and len(event.places) == len(evolver.cluster.qubits):
            parts = _alike(parts, seen)
        found.append(seen)
    return found


def _measured(
    evolver: Evolver, part: Part, event: Event, rng: np.random.Generator, seen: Levels, *, last: bool
) -> Iterable[Part]:
    """Measure the shots of a part; return the parts that they come to be, unless nothing follows."""
    cluster = evolver.cluster
    drawn = rng.choice(cluster.states, size=len(part.shots), p=evolver.populations(part.state))
    outcomes = cluster.digits[drawn][:, list(event.places)]
    seen[part.shots] = outcomes
    if last:
        return []
    kinds, which = np.unique(outcomes, axis=0, return_inverse=True)
    return [
        Part(part.shots[which.ravel() == index], _projected(cluster, part.state, event.places, kind))
        for index, kind in enumerate(kinds)
    ]


def _alike(parts: Sequence[Part], seen: Levels) -> list[Part]:
    """Put shots together that found all qubits in the same levels: whatever they were before, they are alike now."""
    found: dict[bytes, list[Part]] = {}
    for part in parts:
        found.setdefault(seen[part.shots[0]].tobytes(), []).append(part)
    return [Part(np.concatenate([part.shots for part in same]), same[0].state) for same in found.values()]


def _projected(
    cluster: Cluster, state: NDArray[np.complex128], places: tuple[int, ...], kind: NDArray[np.int64]
) -> NDArray[np.complex128]:
    """The density matrix once some qubits were found in some levels."""
    chosen = cluster.dressed[:, (cluster.digits[:, list(places)] == kind).all(axis=1)]
    onto = chosen @ chosen.conj().T
    left = onto @ state @ onto
    normal: NDArray[np.complex128] = left / np.trace(left).real
    return normal
