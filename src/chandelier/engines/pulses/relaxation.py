# SPDX-License-Identifier: Apache-2.0
"""How a cluster relaxes: each qubit loses energy and phase, exactly, whatever else happens between.

A level n decays to the one below at the rate n / T1, and the coherence of two levels k and l fades at the rate
(k - l)² (1 / T2 - 1 / (2 T1)) besides. A density matrix is kept as the cluster's, shape (states, states), or by qubits:
one axis for each, over the pairs of its levels, row first.

Source: G. Lindblad, Commun. Math. Phys. 48, 119 (1976); for the rates of an oscillator, H.-P. Breuer and
F. Petruccione, The Theory of Open Quantum Systems, section 3.4.
"""

import functools
import math

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from chandelier.engines.pulses import clusters, propagation
from chandelier.engines.pulses.clusters import Cluster
from chandelier.engines.pulses.model import LEVELS

Matrices = NDArray[np.complex128]


def dissipator(t1: float, t2: float) -> NDArray[np.float64]:
    """The generator of the relaxation of one oscillator, 1/s.

    Returns:
        float64, shape (LEVELS², LEVELS²): acts on a density matrix written row by row.
    """
    total: NDArray[np.float64] = sum(
        (rate * _damping(jump) for rate, jump in _jumps(t1, t2)), start=np.zeros((LEVELS**2, LEVELS**2))
    )
    return total


def _damping(jump: NDArray[np.float64]) -> NDArray[np.float64]:
    """The generator of one kind of jump: L ρ L† - ½ {L† L, ρ}."""
    unit = np.eye(len(jump))
    kept = jump.T @ jump
    made: NDArray[np.float64] = np.kron(jump, jump) - (np.kron(kept, unit) + np.kron(unit, kept)) / 2
    return made


def relaxes(cluster: Cluster) -> bool:
    """Whether any qubit of a cluster relaxes."""
    model = cluster.model
    return any(math.isfinite(model.t1[index]) or math.isfinite(model.t2[index]) for index in cluster.qubits)


def channels(cluster: Cluster, seconds: float) -> list[NDArray[np.float64]]:
    """What relaxation alone does in a time, s, to each qubit: matrices of shape (LEVELS², LEVELS²)."""
    model = cluster.model
    return [_channel(model.t1[index], model.t2[index], seconds) for index in cluster.qubits]


@functools.lru_cache(maxsize=4096)
def _channel(t1: float, t2: float, seconds: float) -> NDArray[np.float64]:
    made: NDArray[np.float64] = scipy.linalg.expm(dissipator(t1, t2) * seconds)
    return made


def relaxed(state: Matrices, acting: list[NDArray[np.float64]]) -> Matrices:
    """Let relaxation act on density matrices.

    Args:
        state: complex128, shape (..., states, states).
        acting: One matrix for each qubit.
    """
    count, shape = len(acting), state.shape
    leading = math.prod(shape[:-2])
    split = state.reshape((leading, *(LEVELS,) * (2 * count)))
    paired = [0, *(axis for place in range(count) for axis in (1 + place, 1 + count + place))]
    by_qubit = split.transpose(paired).reshape((leading, *(LEVELS**2,) * count))
    for place, matrix in enumerate(acting):
        moved = np.moveaxis(by_qubit, place + 1, -1) @ matrix.T
        by_qubit = np.moveaxis(moved, -1, place + 1)
    split = by_qubit.reshape((leading, *(LEVELS,) * (2 * count)))
    return split.transpose(np.argsort(paired)).reshape(shape)


def rested(cluster: Cluster, state: Matrices, duration: int) -> Matrices:
    """What time without tones makes of density matrices, in the frame of the cluster; exact, however long it is.

    Args:
        cluster: The qubits.
        state: complex128, shape (..., states, states).
        duration: In dt.
    """
    seconds = duration * cluster.model.dt
    if not relaxes(cluster):
        return turned(propagation.rested(cluster, duration), state)
    rates, modes, inverse = _modes(cluster)
    moved: Matrices = ((state.reshape(*state.shape[:-2], -1) @ inverse) * np.exp(rates * seconds)) @ modes
    return moved.reshape(state.shape)


def turned(acting: Matrices, state: Matrices) -> Matrices:
    """U ρ U†."""
    moved: Matrices = acting @ state @ np.swapaxes(acting.conj(), -1, -2)
    return moved


@functools.lru_cache(maxsize=64)
def _modes(cluster: Cluster) -> tuple[Matrices, Matrices, Matrices]:
    """What time without tones does to a density matrix written row by row: exponentials, 1/s, each of a mode.

    Returns:
        Rates, modes as rows, and as columns what finds how much of each is in a state.
    """
    rates, modes = np.linalg.eig(_resting_generator(cluster))
    return rates, np.ascontiguousarray(modes.T), np.ascontiguousarray(np.linalg.inv(modes).T)


def _resting_generator(cluster: Cluster) -> Matrices:
    hamiltonian = (cluster.dressed * cluster.energies) @ cluster.dressed.conj().T
    unit = np.eye(cluster.states)
    total: Matrices = -1j * (np.kron(hamiltonian, unit) - np.kron(unit, hamiltonian.T))
    for place, index in enumerate(cluster.qubits):
        for rate, jump in _jumps(cluster.model.t1[index], cluster.model.t2[index]):
            total = total + rate * _damping(clusters.acting_on(place, len(cluster.qubits), jump))
    return total


def _jumps(t1: float, t2: float) -> list[tuple[float, NDArray[np.float64]]]:
    """Rates, 1/s, and operators: each decay by itself, as their frequencies tell them apart, and loss of phase."""
    level = np.arange(LEVELS)
    decays = [(1 / t1, np.diag(np.where(level[1:] == upper, np.sqrt(level[1:]), 0.0), 1)) for upper in level[1:]]
    return [*decays, (2 * max(0.0, 1 / t2 - 1 / (2 * t1)), np.diag(level.astype(float)))]
