# SPDX-License-Identifier: Apache-2.0
"""What tones do to a cluster, sample by sample, without relaxation.

Between two changes of what sounds lies a stretch. Each stretch is computed in a frame that turns with one of its tones,
where it does not matter when it begins, so that equal stretches are computed once. Within a sample the oscillators
with their tones are exact; the coupling between them comes in kicks at the edges of the steps. Kicks of so high a
frequency act like the coupling itself, but for the energies that it moves, which `kicks` sets right, and for what a
drive changes about that. Two tones of different frequency on one qubit are looked at twice in each step, or in each
part of it if they turn apart too far in one.

Source: for the splitting, G. Strang, SIAM J. Numer. Anal. 5, 506 (1968); for tones that change within a step, S. Blanes
and P. C. Moan, Appl. Numer. Math. 56, 1519 (2006).
"""

import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chandelier.engines.pulses import clusters, timeline
from chandelier.engines.pulses.clusters import Cluster
from chandelier.engines.pulses.model import LEVELS
from chandelier.engines.pulses.timeline import Tone

Matrices = NDArray[np.complex128]

#: Steps within a sample, by the number of qubits of a cluster. One qubit alone is exact in one step.
SUBSTEPS: Final = {1: 1, 2: 4}
#: Samples after which relaxation acts, which is as good as if it acted all the time: what turns apart does so far
#: more slowly. With 16 or 8 samples, two levels of some pair turn apart by just once in that time, and it is not.
CHUNK: Final = 4
#: Samples that are computed at once.
BLOCK: Final = 256

#: Norm up to which the series is used as it is, and its order: the remainder is below 1e-14, so that not even
#: thousands of samples add up to something.
_NORM: Final = 0.25
_ORDER: Final = 10
#: Half turns of two states below which kicks move their energies as the coupling does, radians.
_TOGETHER: Final = 1e-4
#: How far two tones on one qubit may turn apart, radians, before what they do together is computed in shorter steps.
_APART: Final = 0.2
#: Times within a step at which they are looked at, and what each counts in each half of it.
_NODES: Final = 0.5 + np.array([-1, 1]) * math.sqrt(3) / 6
_WEIGHTS: Final = 0.5 + np.array([[1, -1], [-1, 1]]) * math.sqrt(3) / 3


@dataclasses.dataclass(frozen=True, eq=False)
class Voice:
    """A tone within a stretch.

    Attributes:
        place: Of its qubit in the cluster.
        samples: complex128, shape (duration,): half the strength times the samples, with the phase that the tone has
            in the frame of the stretch when that begins, rad/s.
        detuning: Its frequency less that of the frame, rad/s.
    """

    place: int
    samples: NDArray[np.complex128]
    detuning: float


@dataclasses.dataclass(frozen=True, eq=False)
class Stretch:
    """Time in which the same tones sound.

    Attributes:
        begin: First sample, dt.
        end: The sample after its last, dt.
        frame: Frequency of its frame, rad/s.
        voices: What sounds; nothing, if it is empty.
    """

    begin: int
    end: int
    frame: float
    voices: tuple[Voice, ...]

    @property
    def duration(self) -> int:
        """Number of samples."""
        return self.end - self.begin

    @property
    def is_even(self) -> bool:
        """Whether all its samples do the same."""
        return all(not voice.detuning and timeline.is_even(voice.samples) for voice in self.voices)

    def cut(self, duration: int) -> "Stretch":
        """Its beginning."""
        voices = tuple(dataclasses.replace(voice, samples=voice.samples[:duration]) for voice in self.voices)
        return dataclasses.replace(self, end=self.begin + duration, voices=voices)

    @functools.cached_property
    def key(self) -> tuple[object, ...]:
        """Equal for stretches that do the same."""
        heard = tuple((voice.place, voice.detuning, timeline.content(voice.samples)) for voice in self.voices)
        return self.duration, self.frame, heard


def stretches(cluster: Cluster, tones: Iterable[Tone], begin: int, edges: Iterable[int]) -> Iterator[Stretch]:
    """Cut a schedule where something begins, ends or is looked at.

    Args:
        cluster: Whose qubits the tones drive.
        tones: Of these qubits.
        begin: dt.
        edges: Times of looks, dt; the last one is the end.
    """
    for first, last, sounding in timeline.spans(tones, begin, edges):
        frame = sounding[0].frequency if sounding else cluster.reference
        yield Stretch(first, last, frame, tuple(_voice(cluster, tone, first, last, frame) for tone in sounding))


def _voice(cluster: Cluster, tone: Tone, begin: int, end: int, frame: float) -> Voice:
    channel = cluster.model.channels[tone.channel]
    detuning = tone.frequency - frame
    turned = np.exp(-1j * math.remainder(detuning * begin * cluster.model.dt, 2 * math.pi))
    samples = tone.samples[begin - tone.begin : end - tone.begin]
    factor = channel.strength / 2 * turned
    return Voice(cluster.qubits.index(channel.qubit), timeline.scaled(samples, factor), detuning)


def chunks(cluster: Cluster, stretch: Stretch) -> Matrices:
    """What a stretch does in its frame, in pieces of `CHUNK` samples; the last may be shorter.

    Returns:
        complex128, shape (pieces, states, states).
    """
    substeps = SUBSTEPS.get(len(cluster.qubits), 1)
    step = cluster.model.dt / substeps
    whole, half = kicks(cluster, step)
    found = []
    for first in range(0, stretch.duration, BLOCK):
        last = min(first + BLOCK, stretch.duration)
        acting = functools.reduce(
            _kron, (local(cluster, stretch, place, first, last, substeps) for place in range(len(cluster.qubits)))
        )
        if len(cluster.qubits) > 1:
            acting = whole @ acting
        found.append(products(acting, CHUNK * substeps))
    together = np.concatenate(found)
    return half.conj().T @ together @ half if len(cluster.qubits) > 1 else together


def local(cluster: Cluster, stretch: Stretch, place: int, first: int, last: int, substeps: int = 1) -> Matrices:
    """What some samples of a stretch do to one qubit, in the frame of the stretch.

    Returns:
        complex128, shape (steps, LEVELS, LEVELS): `substeps` for each sample.
    """
    step = cluster.model.dt / substeps
    voices = [voice for voice in stretch.voices if voice.place == place]
    detunings = {voice.detuning for voice in voices}
    times = (np.arange(first * substeps, last * substeps + 1)) * step
    if len(detunings) == 1:
        (turning,) = detunings
        samples = sum(voice.samples[first:last] for voice in voices)
        assert isinstance(samples, np.ndarray)
        acting = np.repeat(_unlike(cluster, stretch.frame + turning, place, samples, step), substeps, axis=0)
    else:
        turning = (min(detunings, default=0.0) + max(detunings, default=0.0)) / 2
        parts = steps_apart(2 * (max(detunings, default=0.0) - turning), step)
        begins = np.arange(first * substeps * parts, last * substeps * parts) * (step / parts)
        samples = np.zeros((len(begins), 2), dtype=np.complex128)
        for voice in voices:
            apart = np.exp(-1j * (voice.detuning - turning) * (begins[:, None] + _NODES * step / parts))
            samples += np.repeat(voice.samples[first:last], substeps * parts)[:, None] * apart
        halves = (samples @ _WEIGHTS).ravel()
        acting = products(_unlike(cluster, stretch.frame + turning, place, halves, step / parts / 2), 2 * parts)
    if not turning:
        return acting
    turns = np.exp(-1j * turning * np.multiply.outer(times, np.arange(LEVELS)))
    turned: Matrices = turns[1:, :, None] * acting * turns[:-1, None, :].conj()
    return turned


def _unlike(cluster: Cluster, frame: float, place: int, samples: NDArray[np.complex128], step: float) -> Matrices:
    """What each sample does to a qubit in the frame of its tone; equal neighbours are computed once."""
    if not len(samples):
        return np.zeros((0, LEVELS, LEVELS), dtype=np.complex128)
    changes = np.concatenate([[True], samples[1:] != samples[:-1]])
    different = samples[changes]
    level = np.arange(LEVELS)
    steep = cluster.model.anharmonicities[cluster.qubits[place]]
    resting = (cluster.bare[place] + cluster.reference - frame) * level + steep / 2 * level * (level - 1)
    raising = clusters.lowering().T
    generator = np.zeros((len(different), LEVELS, LEVELS), dtype=np.complex128)
    generator[:, level, level] = resting
    generator += different[:, None, None] * raising + different.conj()[:, None, None] * raising.T
    spread: Matrices = exponentials(-1j * step * generator)[np.cumsum(changes) - 1]
    return spread


def steps_apart(gap: float, step: float) -> int:
    """Into how many parts a step, s, is cut for tones on one qubit whose frequencies are a gap, rad/s, apart."""
    return max(1, math.ceil(gap * step / _APART))


def exponentials(generators: Matrices) -> Matrices:
    """Exponentials of many small matrices, by scaling, a power series and squaring. Shape (n, size, size) of both."""
    norm = float(np.abs(generators).sum(axis=-1).max(initial=0.0))
    squarings = max(0, math.ceil(math.log2(max(norm, 1e-300) / _NORM)))
    scaled = generators / 2.0**squarings
    unit = np.eye(generators.shape[-1])
    total = unit + scaled / _ORDER
    for order in range(_ORDER - 1, 0, -1):
        total = unit + scaled @ total / order
    for _ in range(squarings):
        total = total @ total
    return total


def unitary(cluster: Cluster, tones: Iterable[Tone], duration: int) -> Matrices:
    """What a whole schedule does, in the frame in which the dressed states rest.

    Returns:
        complex128, shape (states, states): in the dressed basis. Each qubit's frame turns at its own frequency, so
        that a schedule without tones does nothing but what the coupling does to more than one excitation.
    """
    return unitary_on(cluster, tones, duration, cluster.dressed)


def unitary_on(cluster: Cluster, tones: Iterable[Tone], duration: int, vectors: Matrices) -> Matrices:
    """What a whole schedule makes of some states, given in the bare basis, in the basis and the frame of `unitary`.

    Args:
        cluster: The qubits.
        tones: Of its qubits.
        duration: Of the schedule, dt.
        vectors: complex128, shape (states, n).
    """
    for stretch in stretches(cluster, tones, 0, [duration]):
        vectors = moved(cluster, stretch, vectors)
    return seen(cluster, vectors, duration)


def seen(cluster: Cluster, vectors: Matrices, time: int) -> Matrices:
    """States of the bare basis and the frame of the cluster, in the basis and the frame of `unitary`.

    Args:
        cluster: The qubits.
        vectors: complex128, shape (states, n).
        time: dt.
    """
    turned = np.exp(1j * at_rest(cluster) * time * cluster.model.dt)
    brought: Matrices = turned[:, None] * (cluster.dressed.conj().T @ vectors)
    return brought


def at_rest(cluster: Cluster) -> NDArray[np.float64]:
    """Energies of the dressed states as the device's frequencies have them: level times frequency, rad/s."""
    wanted = np.array([cluster.model.frequencies[index] for index in cluster.qubits]) - cluster.reference
    found: NDArray[np.float64] = cluster.digits @ wanted
    return found


def moved(cluster: Cluster, stretch: Stretch, vectors: Matrices) -> Matrices:
    """What a stretch makes of some states, in the frame of the cluster; no relaxation. Shape (states, n) of both."""
    if not stretch.voices:
        return rested(cluster, stretch.duration) @ vectors
    into, out = frames(cluster, stretch)
    product = products(chunks(cluster, stretch), stretch.duration)[0]
    brought: Matrices = out[:, None] * (product @ (into[:, None] * vectors))
    return brought


def frames(cluster: Cluster, stretch: Stretch) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Phases of the states that bring them into the frame of a stretch at its beginning, and back at its end."""
    turning = (stretch.frame - cluster.reference) * cluster.model.dt
    begun, ended = (math.remainder(turning * time, 2 * math.pi) for time in (stretch.begin, stretch.end))
    number = cluster.excitations
    return np.exp(1j * begun * number), np.exp(-1j * ended * number)


def rested(cluster: Cluster, duration: int) -> Matrices:
    """What time without tones does, in the frame of the cluster. Shape (states, states)."""
    return rested_for(cluster, duration * cluster.model.dt)


def rested_for(cluster: Cluster, seconds: float) -> Matrices:
    """What time, s, without tones does, in the frame of the cluster. Shape (states, states)."""
    turned = np.exp(-1j * cluster.energies * seconds)
    matrix: Matrices = (cluster.dressed * turned) @ cluster.dressed.conj().T
    return matrix


@functools.lru_cache(maxsize=64)
def kicks(cluster: Cluster, step: float) -> tuple[Matrices, Matrices]:
    """What the coupling does in a step, s, and in half of one."""
    strengths, modes = np.linalg.eigh(cluster.coupling + np.diag(_missing(cluster, step)))
    whole, half = ((modes * np.exp(-1j * strengths * time)) @ modes.T for time in (step, step / 2))
    return whole, half


def _missing(cluster: Cluster, step: float) -> NDArray[np.float64]:
    """By how much less kicks move the energies of the bare states than the coupling itself would, rad/s.

    Two states that are g apart and coupled by J move each other by J² / g; with kicks by J² / g × x cot x, where x is
    half of what they turn apart in a step. Shape (states,).
    """
    steep = np.array([cluster.model.anharmonicities[index] for index in cluster.qubits])
    energies = cluster.digits @ cluster.bare + (cluster.digits * (cluster.digits - 1) / 2) @ steep
    gaps = np.subtract.outer(energies, energies)
    turns = gaps * step / 2
    apart = (np.abs(turns) > _TOGETHER) & (np.abs(turns) < 1)
    gaps, turns = np.where(apart, gaps, 1.0), np.where(apart, turns, 1.0)
    missing: NDArray[np.float64] = (apart * cluster.coupling**2 / gaps * (1 - turns / np.tan(turns))).sum(axis=1)
    return missing


def _kron(first: Matrices, second: Matrices) -> Matrices:
    size = first.shape[-1] * second.shape[-1]
    product = first[:, :, None, :, None] * second[:, None, :, None, :]
    return product.reshape(-1, size, size)


def products(matrices: Matrices, number: int) -> Matrices:
    """Products of each `number` neighbours, the later ones to the left; the last may be of fewer."""
    pieces = -(-len(matrices) // number)
    missing = pieces * number - len(matrices)
    size = matrices.shape[-1]
    if missing:
        filling = np.broadcast_to(np.eye(size), (missing, size, size))
        matrices = np.concatenate([matrices, filling])
    left = matrices.reshape(pieces, number, size, size)
    while left.shape[1] > 1:
        if left.shape[1] % 2:
            last = left[:, -1:]
            left = np.concatenate([left[:, 1:-1:2] @ left[:, 0:-1:2], last], axis=1)
        else:
            left = left[:, 1::2] @ left[:, 0::2]
    return left[:, 0]
