# SPDX-License-Identifier: Apache-2.0
"""Wave functions of larger clusters: shots go together until a qubit jumps or is measured.

Without a jump all shots have the same wave function, of which the norm falls with the chance that none has jumped. Each
shot draws how far it lets it fall, and goes on alone from its jump. Each step is `STEP` samples: first what the tones
do, then coupling and rest, which leave the number of excitations as it is, and so act on blocks.

Source: J. Dalibard, Y. Castin and K. Mølmer, Phys. Rev. Lett. 68, 580 (1992).
"""

import dataclasses
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chandelier.engines.pulses import propagation
from chandelier.engines.pulses.clusters import Cluster
from chandelier.engines.pulses.model import LEVELS
from chandelier.engines.pulses.propagation import Stretch
from chandelier.engines.pulses.timeline import Tone

Waves = NDArray[np.complex128]
Levels = NDArray[np.uint8]

#: Samples of a step: the coupling acts once in each, which is as good as if it acted all the time as long as the
#: detunings of the qubits turn little in a step.
STEP: Final = 2
#: Steps between two looks for jumps.
LOOK: Final = 8
#: Longest rest between two looks for jumps, s.
REST: Final = 0.2e-6


class Event(NamedTuple):
    """A measurement of some qubits of a cluster.

    Attributes:
        time: dt.
        places: Of the qubits in the cluster.
    """

    time: int
    places: tuple[int, ...]


@dataclasses.dataclass
class _Crowd:
    """All shots.

    Attributes:
        waves: complex128, shape (states, parts): the wave function of each part, in the frame of the cluster.
        owners: For each part the shots that have it, int64.
        left: For each shot the norm at which it jumps, float64.
    """

    waves: Waves
    owners: list[NDArray[np.int64]]
    left: NDArray[np.float64]

    def norms(self) -> NDArray[np.float64]:
        """Squared norm of each part."""
        found: NDArray[np.float64] = np.einsum("ij,ij->j", self.waves.conj(), self.waves).real
        return found


class _Blocks(NamedTuple):
    """A matrix that leaves the number of excitations as it is: for each number, which states, and how they mix."""

    states: tuple[NDArray[np.int64], ...]
    matrices: tuple[Waves, ...]

    def applied(self, waves: Waves) -> Waves:
        """Let it act on wave functions, shape (states, parts)."""
        moved = np.empty_like(waves)
        for states, matrix in zip(self.states, self.matrices, strict=True):
            moved[states] = matrix @ waves[states]
        return moved


def levels(
    cluster: Cluster, tones: Sequence[Tone], events: Sequence[Event], shots: int, rng: np.random.Generator
) -> list[Levels]:
    """Measure a cluster; arguments and outcome as of `measuring.levels`."""
    ground = cluster.dressed[:, :1].copy()
    crowd = _Crowd(ground, [np.arange(shots)], rng.random(shots))
    rates = _rates(cluster)
    found = []
    stretches = propagation.stretches(cluster, tones, 0, [event.time for event in events])
    time = 0
    for event in events:
        while time < event.time:
            stretch = next(stretches)
            _move(cluster, crowd, stretch, rates, rng)
            time = stretch.end
        found.append(_measure(cluster, crowd, event, shots, rng))
    return found


def moved(cluster: Cluster, states: Waves, tones: Sequence[Tone], begin: int, end: int) -> Waves:
    """What time makes of wave functions of a cluster that does not relax, in its frame.

    Args:
        cluster: The qubits.
        states: complex128, shape (states, n).
        tones: Of these qubits.
        begin: dt.
        end: dt.
    """
    crowd = _Crowd(states.copy(), [np.arange(states.shape[1])], np.zeros(states.shape[1]))
    still, rng = np.zeros((2, len(cluster.qubits))), np.random.default_rng(0)
    for stretch in propagation.stretches(cluster, tones, begin, [end]):
        _move(cluster, crowd, stretch, still, rng)
    return crowd.waves


def _rates(cluster: Cluster) -> NDArray[np.float64]:
    """Rates of both kinds of jumps of each qubit, 1/s, shape (2, qubits): b and n."""
    model = cluster.model
    energy = np.array([1 / model.t1[index] for index in cluster.qubits])
    phase = np.array([2 * max(0.0, 1 / model.t2[index] - 0.5 / model.t1[index]) for index in cluster.qubits])
    return np.array([energy, phase])


def _fading(cluster: Cluster, rates: NDArray[np.float64], seconds: float, places: Collection[int]) -> Waves:
    """By how much the amplitudes of all states fade in a time, s, for what may happen to some qubits."""
    total = np.zeros(cluster.states)
    for place in places:
        level = cluster.digits[:, place]
        total += rates[0, place] * level + rates[1, place] * level**2
    faded: Waves = np.exp(-total * seconds / 2).astype(np.complex128)
    return faded


def _blocks(cluster: Cluster, matrix: Waves) -> _Blocks:
    number = cluster.excitations
    states = tuple(np.flatnonzero(number == total) for total in range(number.max() + 1))
    return _Blocks(states, tuple(np.ascontiguousarray(matrix[np.ix_(chosen, chosen)]) for chosen in states))


def _move(
    cluster: Cluster, crowd: _Crowd, stretch: Stretch, rates: NDArray[np.float64], rng: np.random.Generator
) -> None:
    if not stretch.voices:
        _rest(cluster, crowd, stretch.duration, rates, rng)
        return
    into, out = propagation.frames(cluster, stretch)
    crowd.waves = into[:, None] * crowd.waves
    sounding = sorted({voice.place for voice in stretch.voices})
    silent = [place for place in range(len(cluster.qubits)) if place not in sounding]
    for first, last, step in _pieces(stretch.duration):
        seconds = step * cluster.model.dt
        idle = _idle(cluster, stretch, silent, seconds) * _fading(cluster, rates, seconds, silent)
        kick, half = propagation.kicks(cluster, seconds)
        resting = _blocks(cluster, kick * idle[None, :])
        acting = {place: _acting(cluster, stretch, place, first, last, step, rates) for place in sounding}
        crowd.waves = half @ crowd.waves
        for index in range((last - first) // step):
            for place, matrices in acting.items():
                crowd.waves = _applied(matrices[index], crowd.waves, place)
            crowd.waves = resting.applied(crowd.waves)
            if index % LOOK == LOOK - 1:
                _look(cluster, crowd, rates, rng)
        crowd.waves = half.conj().T @ crowd.waves
    _look(cluster, crowd, rates, rng)
    crowd.waves = out[:, None] * crowd.waves


def _pieces(duration: int) -> Iterator[tuple[int, int, int]]:
    """Whole steps, and the sample that is left: first sample, the one after the last, samples of a step."""
    whole = duration - duration % STEP
    if whole:
        yield 0, whole, STEP
    if whole < duration:
        yield whole, duration, duration - whole


def _idle(cluster: Cluster, stretch: Stretch, silent: Iterable[int], seconds: float) -> Waves:
    """Phases that the states gain in a time, s, from qubits on which nothing sounds, in the frame of a stretch."""
    turned = np.zeros(cluster.states)
    for place in silent:
        level = cluster.digits[:, place]
        steep = cluster.model.anharmonicities[cluster.qubits[place]]
        turned += (cluster.bare[place] + cluster.reference - stretch.frame) * level + steep / 2 * level * (level - 1)
    phases: Waves = np.exp(-1j * turned * seconds)
    return phases


def _acting(
    cluster: Cluster, stretch: Stretch, place: int, first: int, last: int, step: int, rates: NDArray[np.float64]
) -> Waves:
    """What each step does to a qubit on which something sounds, shape (steps, LEVELS, LEVELS)."""
    level = np.arange(LEVELS)
    faded = np.exp(-(rates[0, place] * level + rates[1, place] * level**2) * step * cluster.model.dt / 2)
    acting: Waves = propagation.products(propagation.local(cluster, stretch, place, first, last), step) * faded
    return acting


def _applied(matrix: Waves, waves: Waves, place: int) -> Waves:
    """Let a matrix act on one qubit of wave functions, shape (states, parts)."""
    split = waves.reshape(LEVELS**place, LEVELS, -1)
    moved: Waves = (matrix @ split).reshape(waves.shape)
    return moved


def _rest(cluster: Cluster, crowd: _Crowd, duration: int, rates: NDArray[np.float64], rng: np.random.Generator) -> None:
    seconds = duration * cluster.model.dt
    pieces = max(1, math.ceil(seconds / REST)) if rates.any() else 1
    faded = _fading(cluster, rates, seconds / pieces / 2, range(len(cluster.qubits)))
    turned = propagation.rested_for(cluster, seconds / pieces)
    resting = _blocks(cluster, faded[:, None] * turned * faded)
    for _ in range(pieces):
        crowd.waves = resting.applied(crowd.waves)
        _look(cluster, crowd, rates, rng)


def _look(cluster: Cluster, crowd: _Crowd, rates: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Let the shots jump whose time has come: each becomes a part of its own."""
    if not rates.any():
        return
    owners, fresh, alone = [], [], []
    for part, norm in enumerate(crowd.norms()):
        shots = crowd.owners[part]
        jumps = crowd.left[shots] > norm
        if jumps.any():
            for shot in shots[jumps]:
                fresh.append(_jumped(cluster, crowd.waves[:, part], rates, rng))
                alone.append(np.array([shot]))
                crowd.left[shot] = rng.random()
            shots = shots[~jumps]
        owners.append(shots)
    if fresh:
        keeps = [part for part, shots in enumerate(owners) if len(shots)]
        crowd.waves = np.concatenate([crowd.waves[:, keeps], np.array(fresh).T], axis=1)
        crowd.owners = [owners[part] for part in keeps] + alone


def _jumped(cluster: Cluster, before: Waves, rates: NDArray[np.float64], rng: np.random.Generator) -> Waves:
    """The wave function after a jump, of norm 1.

    Each step down is a jump of its own, for the steps of an oscillator differ in frequency by its anharmonicity.
    """
    share = np.abs(before) ** 2
    chances = [
        share @ (cluster.digits == level) * rates[0] * level  # the loss of one excitation, from each level
        for level in range(1, LEVELS)
    ]
    chances.append(share @ cluster.digits**2 * rates[1])  # the loss of phase
    flat = np.concatenate(chances)
    kind, place = divmod(int(rng.choice(len(flat), p=flat / flat.sum())), len(cluster.qubits))
    jump = np.diag(np.arange(LEVELS)).astype(np.complex128)
    if kind < LEVELS - 1:
        jump = np.zeros((LEVELS, LEVELS), dtype=np.complex128)
        jump[kind, kind + 1] = 1
    after = _applied(jump, before[:, None], place)[:, 0]
    normal: Waves = after / np.linalg.norm(after)
    return normal


def _measure(cluster: Cluster, crowd: _Crowd, event: Event, shots: int, rng: np.random.Generator) -> Levels:
    """Measure some qubits; shots that find the same go on together."""
    seen = np.zeros((shots, len(event.places)), dtype=np.uint8)
    chosen = cluster.digits[:, list(event.places)]
    waves: list[Waves] = []
    owners: list[NDArray[np.int64]] = []
    for part, norm in enumerate(crowd.norms()):
        own = crowd.owners[part]
        dressed = cluster.dressed.conj().T @ crowd.waves[:, part]
        chances = np.abs(dressed) ** 2
        outcomes = chosen[rng.choice(cluster.states, size=len(own), p=chances / chances.sum())]
        seen[own] = outcomes
        crowd.left[own] = np.minimum(crowd.left[own] / norm, 1.0)
        kinds, which = np.unique(outcomes, axis=0, return_inverse=True)
        for index, kind in enumerate(kinds):
            left = cluster.dressed @ np.where((chosen == kind).all(axis=1), dressed, 0)
            waves.append(left / np.linalg.norm(left))
            owners.append(own[which.ravel() == index])
    if len(event.places) == len(cluster.qubits):
        waves, owners = _alike(waves, owners, seen)
    crowd.waves, crowd.owners = np.array(waves).T, owners
    return seen


def _alike(
    waves: Sequence[Waves], owners: Sequence[NDArray[np.int64]], seen: Levels
) -> tuple[list[Waves], list[NDArray[np.int64]]]:
    """Put shots together that found all qubits in the same levels: their wave functions differ by a phase at most."""
    found: dict[bytes, tuple[Waves, list[NDArray[np.int64]]]] = {}
    for wave, own in zip(waves, owners, strict=True):
        found.setdefault(seen[own[0]].tobytes(), (wave, []))[1].append(own)
    return [wave for wave, _ in found.values()], [np.concatenate(own) for _, own in found.values()]
