# SPDX-License-Identifier: Apache-2.0
"""How near a pulse's matrix comes to that of its gate, and how to come nearer.

Turns about z after a gate cost nothing, since a frame takes them; so they are never fitted but found exactly.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

Matrix = NDArray[np.complex128]

#: Rounds in which the turns of two qubits are found in turn; each makes what is left ten times smaller or better.
_ROUNDS: Final = 200
_SETTLED: Final = 1e-12


def fidelity(made: Matrix, wanted: Matrix) -> float:
    """Average gate fidelity of what pulses make of the states of their qubits.

    Args:
        made: complex128, shape (states, d): what becomes of each state of the qubits. The first d rows are those of
            the qubits, the others what leaves them.
        wanted: The gate, shape (d, d).

    Source: L. H. Pedersen et al., Phys. Lett. A 367, 47 (2007), equation 3.
    """
    size = len(wanted)
    stayed = made[:size]
    alike, left = abs(complex(np.vdot(wanted, stayed))), float(np.vdot(stayed, stayed).real)
    return float(alike * alike + left) / float(size * (size + 1))


def leak(made: Matrix) -> float:
    """Chance to leave the states of the qubits, on average over them."""
    size = int(made.shape[1])
    return float(np.vdot(made[size:], made[size:]).real) / size


def turned(made: Matrix, turns: Sequence[float]) -> Matrix:
    """What was made, with a turn about z of each of two qubits after it; the first qubit is the more significant."""
    first, second = (np.array([np.exp(-0.5j * angle), np.exp(0.5j * angle)]) for angle in turns)
    result = made.copy()
    result[:4] *= np.kron(first, second)[:, None]
    return result


def best_turns(made: Matrix, wanted: Matrix) -> tuple[float, float]:
    """The turns about z of two qubits after a gate that bring it nearest to what is wanted.

    The trace is a sum of four numbers, one for each state, whose phases the two angles and their sum turn: for either
    angle the other is known, and the sum grows in every round. Of two beginnings the better one is kept.
    """
    weights = np.einsum("ij,ij->i", made[:4], wanted.conj()).reshape(2, 2)
    best = (-1.0, 0.0, 0.0)
    for start in (0.0, math.pi):
        second = start
        for _ in range(_ROUNDS):
            columns = weights @ np.array([1.0, np.exp(1j * second)])
            first = float(np.angle(columns[0] * columns[1].conj()))
            rows = np.array([1.0, np.exp(1j * first)]) @ weights
            before, second = second, float(np.angle(rows[0] * rows[1].conj()))
            if abs(math.remainder(second - before, 2 * math.pi)) < _SETTLED:
                break
        best = max(best, (float(abs(rows[0]) + abs(rows[1])), first, second))
    return best[1], best[2]


def distance(made: Matrix, wanted: Matrix) -> NDArray[np.float64]:
    """What is wrong with a gate, up to a phase, as real numbers whose squares add up to (d + 1)(1 - fidelity).

    So they do to the second order in what is wrong; what leaves the qubits is in it once, and in what is missing twice.

    Returns:
        float64, shape (2 d states,).
    """
    size = len(wanted)
    overlap = np.vdot(made[:size], wanted)
    off = made * (overlap / abs(overlap) if overlap else 1.0)
    off[:size] -= wanted
    off[size:] *= math.sqrt((size + 1) / size)
    return np.concatenate([off.real.ravel(), off.imag.ravel()])


def nearest(
    off: Callable[[NDArray[np.float64]], NDArray[np.float64]], start: Sequence[float], *, most: int
) -> NDArray[np.float64]:
    """Find the parameters near some others where the squares of a distance add up to least.

    Args:
        off: The distance; the parameters are numbers of the order of 1.
        start: Parameters to begin with.
        most: Steps, each of which takes one distance more than there are parameters.
    """
    found = optimize.least_squares(
        off, np.array(start), method="trf", diff_step=[1e-6], xtol=1e-10, ftol=1e-10, gtol=1e-12, max_nfev=most
    )
    best: NDArray[np.float64] = found.x
    return best
