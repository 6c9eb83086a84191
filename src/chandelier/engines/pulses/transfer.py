# SPDX-License-Identifier: Apache-2.0
"""What pulses do to the two lowest levels of some qubits, as one channel with all that goes wrong in them.

The qubits begin in the space of their two lowest levels and are looked at there when the pulses are over: what has left
for the third level counts as 1, as a measurement shows it, and is no longer coherent with the rest. Each qubit is seen
in the frame of its frequency. A turn that the frame of its drive channel has at the end is a turn about z, which what
follows sees.

Source: for channels as matrices, C. Wood, J. Biamonte and D. Cory, arXiv:1111.6950, section 4.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chandelier.engines.pulses import clusters, evolution, plans, propagation, relaxation, timeline
from chandelier.engines.pulses.clusters import Cluster
from chandelier.engines.pulses.model import LEVELS, Model
from chandelier.engines.pulses.timeline import Tone

Matrices = NDArray[np.complex128]

#: Qubits of one gate.
MAX_QUBITS: Final = 2
#: Time to make a channel whatever happens in it, and more for a sample of two qubits that relax, s.
START: Final = 2e-3
RELAXING: Final = 30e-6
#: Memory for a sample of a stretch of one or two qubits, while that is computed, bytes.
SAMPLE_HELD: Final = {1: 1100, 2: 1400}
#: Memory for one number of a channel, as a gate of a circuit keeps it, bytes.
NUMBER_HELD: Final = 150


class Cost(NamedTuple):
    """What it takes to make a channel.

    Attributes:
        seconds: Time, s.
        held: Memory while it is made, bytes.
        kept: Memory of what is made, bytes.
    """

    seconds: float
    held: float
    kept: float


@dataclasses.dataclass(frozen=True, eq=False)
class Played:
    """The pulses of a gate, as they are played.

    Attributes:
        qubits: Of the gate, in its order.
        groups: The same qubits, by who is simulated with whom.
        tones: What sounds on them.
        turns: Phase by which the frame of each qubit has turned at the end, radians.
        duration: dt.
        key: Equal for pulses that do the same.
    """

    qubits: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    tones: tuple[Tone, ...]
    turns: tuple[float, ...]
    duration: int
    key: bytes

    @functools.cached_property
    def channels(self) -> frozenset[str]:
        """Where something sounds."""
        return frozenset(tone.channel for tone in self.tones)


def predicted(played: Played, model: Model) -> Cost:
    """Predict what `superoperator` takes."""
    seconds, held = START, 0.0
    for group in played.groups:
        tones = _of(played.tones, group, model)
        found = list(timeline.spans(tones, 0, [played.duration]))
        lengths = [_worked(end - begin, sound, model, alone=len(group) == 1) for begin, end, sound in found]
        worked, longest = sum(lengths), max(lengths, default=0)
        sounding = sum(end - begin for begin, end, sound in found if sound)
        seconds += worked * plans.SAMPLE[len(group)] + len(found) * plans.STRETCHES[len(group)]
        held = max(held, longest * SAMPLE_HELD[len(group)] + min(worked * plans.HELD, evolution.REMEMBERED))
        if len(group) > 1:
            seconds += sounding * RELAXING + (plans.FIRST_REST if sounding < played.duration else 0.0)
    return Cost(seconds, held, 16.0 ** len(played.qubits) * NUMBER_HELD)


def superoperator(played: Played, model: Model) -> Matrices:
    """What the pulses of a gate do.

    Returns:
        complex128, shape (4**n, 4**n): on columns of the density matrix one below the other, the first qubit of the
        gate least significant. Completely positive and trace preserving.
    """
    whole: Matrices = np.ones((), dtype=np.complex128)
    axes: list[tuple[str, int]] = []
    for group in played.groups:
        whole = np.multiply.outer(whole, _channel(_formed(model, group), played, model))
        axes += [(side, qubit) for side in ("row", "column", "from row", "from column") for qubit in group]
    wanted = [
        (side, qubit) for side in ("column", "row", "from column", "from row") for qubit in reversed(played.qubits)
    ]
    size = 4 ** len(played.qubits)
    found = whole.transpose([axes.index(axis) for axis in wanted]).reshape(size, size)
    turned = np.ones(1, dtype=np.complex128)
    for turn in reversed(played.turns):
        turned = np.kron(turned, np.array([1.0, np.exp(-1j * turn)]))
    acting: Matrices = np.kron(turned.conj(), turned)[:, None] * found
    return acting


def _worked(duration: int, sounding: Sequence[Tone], model: Model, *, alone: bool) -> int:
    """How many steps of a stretch are computed: of one qubit alone those of an even one are not."""
    if not sounding:
        return 0
    if alone and plans.is_even(sounding):
        duration = min(duration, propagation.CHUNK)
    return duration * plans.apart(sounding, model) if len(sounding) > 1 else duration


@functools.lru_cache(maxsize=128)
def _formed(model: Model, group: tuple[int, ...]) -> Cluster:
    """The same for all gates, so that what is kept of a cluster is there for the next."""
    return clusters.form(model, group)


def _of(tones: Sequence[Tone], group: tuple[int, ...], model: Model) -> list[Tone]:
    return [tone for tone in tones if model.channels[tone.channel].qubit in group]


def _channel(cluster: Cluster, played: Played, model: Model) -> Matrices:
    """What happens to qubits that are simulated together, in the frames of their frequencies.

    Returns:
        complex128, an axis of length 2 for each qubit of: rows and columns of the density matrix after it, and rows and
        columns before it.
    """
    count = len(cluster.qubits)
    lowest = cluster.dressed[:, (cluster.digits < 2).all(axis=1)]
    units = np.einsum("ai,bj->ijab", lowest, lowest.conj()).reshape(-1, cluster.states, cluster.states)
    tones = _of(played.tones, cluster.qubits, model)
    after = evolution.Evolver(cluster).moved(units, tones, 0, played.duration)
    turned = np.exp(1j * propagation.at_rest(cluster) * played.duration * model.dt)
    onto = turned[:, None] * cluster.dressed.conj().T
    seen = sum(relaxation.turned(one @ onto, after) for one in _looks(count))
    assert isinstance(seen, np.ndarray)
    size = 2**count
    found: Matrices = seen.reshape(size, size, size, size).transpose(2, 3, 0, 1).reshape((2,) * (4 * count))
    return found


def _looks(count: int) -> list[NDArray[np.float64]]:
    """The operators, each of shape (2**count, states), by which three levels become two: the third is seen as 1."""
    kept, left = np.eye(2, LEVELS), np.zeros((2, LEVELS))
    left[1, 2] = 1.0
    found: list[NDArray[np.float64]] = [np.ones((1, 1))]
    for _ in range(count):
        found = [np.asarray(np.kron(before, one), dtype=np.float64) for before in found for one in (kept, left)]
    return found
