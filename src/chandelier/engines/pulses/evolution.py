# SPDX-License-Identifier: Apache-2.0
"""A cluster's density matrix on its way through a schedule.

Of one qubit whole stretches become one matrix that acts on its density matrix, and equal stretches share it; of
several qubits the pieces of a stretch act one after the other, with relaxation half before and half after each.
"""

import functools
import itertools
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chandelier.engines.pulses import propagation, relaxation
from chandelier.engines.pulses.clusters import Cluster
from chandelier.engines.pulses.propagation import Stretch
from chandelier.engines.pulses.timeline import Tone

Matrices = NDArray[np.complex128]

#: Bytes of remembered stretches of a cluster.
REMEMBERED: Final = 64 << 20


class Evolver:
    """Moves density matrices of one cluster through stretches; remembers what it computed.

    Args:
        cluster: One qubit or two; of more the matrices would be too large.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._known: dict[object, Matrices] = {}
        self._held = 0

    def ground(self) -> Matrices:
        """The state in which all qubits rest. Shape (states, states)."""
        lowest = self.cluster.dressed[:, 0]
        return np.outer(lowest, lowest.conj())

    def moved(self, state: Matrices, tones: Iterable[Tone], begin: int, end: int) -> Matrices:
        """Move density matrices from one time to another, in the frame of the cluster.

        Args:
            state: complex128, shape (..., states, states).
            tones: Of the qubits of the cluster.
            begin: Time of the state, dt.
            end: dt.
        """
        for stretch in propagation.stretches(self.cluster, tones, begin, [end]):
            state = self.through(state, stretch)
        return state

    def populations(self, state: Matrices) -> NDArray[np.float64]:
        """Chances to find each dressed state, of which the sum is 1. Shape (..., states)."""
        dressed = self.cluster.dressed
        found = (dressed.conj() * (state @ dressed)).sum(axis=-2).real.clip(0.0)
        shares: NDArray[np.float64] = found / found.sum(axis=-1, keepdims=True)
        return shares

    def through(self, state: Matrices, stretch: Stretch) -> Matrices:
        """Move density matrices through a stretch, in the frame of the cluster. Shape (..., states, states)."""
        if not stretch.voices:
            return relaxation.rested(self.cluster, state, stretch.duration)
        into, out = propagation.frames(self.cluster, stretch)
        state = into[:, None] * state * into.conj()
        known = self._known.get(stretch.key)
        if known is None:
            known = self._computed(stretch)
            self._remember(stretch, known)
        state = self._applied(state, stretch, known)
        moved: Matrices = out[:, None] * state * out.conj()
        return moved

    def _computed(self, stretch: Stretch) -> Matrices:
        if len(self.cluster.qubits) > 1:
            return propagation.chunks(self.cluster, stretch)
        if not stretch.is_even or stretch.duration <= propagation.CHUNK:
            return self._joined(propagation.chunks(self.cluster, stretch), stretch.duration)
        number, left = divmod(stretch.duration, propagation.CHUNK)
        joined: Matrices = np.linalg.matrix_power(self._start(stretch, propagation.CHUNK), number)
        return self._start(stretch, left) @ joined if left else joined

    def _start(self, stretch: Stretch, duration: int) -> Matrices:
        """The beginning of a stretch of one qubit, as `_joined`."""
        return self._joined(propagation.chunks(self.cluster, stretch.cut(duration)), duration)

    def _applied(self, state: Matrices, stretch: Stretch, known: Matrices) -> Matrices:
        if len(self.cluster.qubits) == 1:
            moved: Matrices = (state.reshape(*state.shape[:-2], -1) @ known.T).reshape(state.shape)
            return moved
        if not relaxation.relaxes(self.cluster):
            for piece in known:
                state = relaxation.turned(piece, state)
            return state
        lengths = [0, *(_length(stretch.duration, place) for place in range(len(known)))]
        for piece, around in zip(known, itertools.pairwise(lengths), strict=True):
            state = relaxation.turned(piece, self._relaxed(state, sum(around)))
        return self._relaxed(state, lengths[-1])

    def _relaxed(self, state: Matrices, samples: int) -> Matrices:
        """Let relaxation act for half of some samples."""
        moved: Matrices = (state.reshape(*state.shape[:-2], -1) @ _half(self.cluster, samples)).reshape(state.shape)
        return moved

    def _joined(self, pieces: Matrices, duration: int) -> Matrices:
        """All pieces of a stretch of one qubit as one matrix on its density matrix, relaxation included."""
        size = self.cluster.states
        acting: Matrices = np.einsum("nij,nkl->nikjl", pieces, pieces.conj()).reshape(-1, size**2, size**2)
        whole, last = (
            _half(self.cluster, samples).T for samples in (propagation.CHUNK, _length(duration, len(pieces) - 1))
        )
        acting[:-1] = whole @ acting[:-1] @ whole
        acting[-1] = last @ acting[-1] @ last
        joined: Matrices = propagation.products(acting, len(acting))[0]
        return joined

    def _remember(self, stretch: Stretch, known: Matrices) -> None:
        if self._held + known.nbytes <= REMEMBERED:
            self._known[stretch.key] = known
            self._held += known.nbytes


def _length(duration: int, place: int) -> int:
    """Samples of a piece of a stretch."""
    return min(propagation.CHUNK, duration - place * propagation.CHUNK)


@functools.lru_cache(maxsize=128)
def _half(cluster: Cluster, samples: int) -> Matrices:
    """What relaxation does in half of some samples: row k is what it makes of number k of a density matrix."""
    each = np.eye(cluster.states**2, dtype=np.complex128).reshape(-1, cluster.states, cluster.states)
    made = relaxation.relaxed(each, relaxation.channels(cluster, samples * cluster.model.dt / 2))
    return np.ascontiguousarray(made.reshape(len(each), -1))
