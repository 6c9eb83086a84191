# SPDX-License-Identifier: Apache-2.0
"""Sparse Pauli-Lindblad noise: which terms a layer's noise may have, which measurements tell them, and their rates.

A noise of terms k with rates λ multiplies a Pauli operator b by f_b = exp(−2 Σ λ_k), over the terms that do not
commute with b. A layer L, applied twice, leaves b as it is, so that of d pairs A (f_b f_Lb)^d is left. Only the product
can be told from errors of preparation and measurement, so terms that L makes of each other share one rate.

A Pauli operator is a row of numbers, one for each qubit: 0 for I, 1 for X, 2 for Z, 3 for Y; bit 0 is its x, bit 1
its z.

Source: E. van den Berg et al., Nature Physics 19, 1116 (2023), arXiv:2201.09866, sections II to IV of its supplement.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: uint8, shape (operators, qubits).
Paulis = NDArray[np.uint8]

#: Letters of the numbers.
LETTERS: Final = "IXZY"
#: How often data are drawn again to find how much rates would vary.
RESAMPLED: Final = 100
#: From this many random circuits on each is a block of shots; those of fewer are cut into at least so many blocks.
ENOUGH: Final = 4
BLOCKS: Final = 16

#: Steps of the fit of a decay, which is close from the beginning.
_STEPS: Final = 12
#: Least part of a pair that is left: what decays faster cannot be told apart.
_LEAST: Final = 1e-6


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """What the noise of a layer may be made of.

    Attributes:
        terms: One- and two-qubit operators, the latter on neighbours.
        groups: For each term the number of its rate.
        design: float64, shape (terms, rates): how much of each rate counts for the pair fidelity of each term, taken
            as an observable: ln(f_b f_Lb) = −2 design · rates.
        signs: float64, shape (terms,): 1, or −1 where two layers turn the observable around.
        settings: The bases to measure in, 1 to 3 for each qubit, so that every term is measured in one of them.
    """

    terms: Paulis
    groups: NDArray[np.intp]
    design: Floats
    signs: Floats
    settings: Paulis


@dataclasses.dataclass(frozen=True, eq=False)
class Rates:
    """What was learned of a layer.

    Attributes:
        rates: float64, one for each group of terms.
        spread: Their standard deviations.
        fidelities: float64, shape (terms,): f_b f_Lb of each term as an observable.
        fidelities_spread: Their standard deviations.
    """

    rates: Floats
    spread: Floats
    fidelities: Floats
    fidelities_spread: Floats


def model(pairs: Sequence[tuple[int, int]], action: NDArray[np.uint8], signs: NDArray[np.bool_]) -> Model:
    """Find terms, settings, and what can be told of them.

    Args:
        pairs: Neighbours among the layer's qubits.
        action: uint8, shape (2n, 2n): row i has x and z bits, all x before all z, of what the layer makes of the
            operator whose i-th bit alone is set. Twice the layer has to be the identity.
        signs: Whether two layers turn around the operator of each such bit, shape (2n,).
    """
    qubits = len(action) // 2
    terms = _terms(qubits, pairs)
    images = conjugated(terms, action)
    groups = _groups(terms, images)
    matrix = anticommute(terms, terms).astype(np.float64) + anticommute(images, terms)
    design: Floats = np.zeros((len(terms), int(groups.max(initial=-1)) + 1))
    np.add.at(design.T, groups, matrix.T)
    turned = ((bits(terms) @ signs.astype(np.uint8)) % 2).astype(np.float64)
    return Model(terms, groups, design, 1 - 2 * turned, _settings(qubits, pairs))


def bits(paulis: Paulis) -> NDArray[np.uint8]:
    """All x bits and then all z bits of operators: uint8, shape (operators, 2n)."""
    return np.concatenate([paulis & 1, paulis >> 1], axis=1)


def conjugated(paulis: Paulis, action: NDArray[np.uint8]) -> Paulis:
    """What a layer makes of operators, up to their signs."""
    made = (bits(paulis) @ action) % 2
    half = made.shape[1] // 2
    found: Paulis = made[:, :half] + 2 * made[:, half:]
    return found


def anticommute(left: Paulis, right: Paulis) -> NDArray[np.bool_]:
    """Which operators do not commute: bool, shape (left, right)."""
    crossed = (left & 1).astype(np.int64) @ (right >> 1).T + (left >> 1).astype(np.int64) @ (right & 1).T
    found: NDArray[np.bool_] = crossed % 2 == 1
    return found


def measured(terms: Paulis, settings: Paulis) -> NDArray[np.bool_]:
    """In which settings each term is measured: bool, shape (settings, terms)."""
    own, others = settings[:, None, :], terms[None, :, :]
    found: NDArray[np.bool_] = ((others == 0) | (others == own)).all(axis=2)
    return found


def learned(model: Model, depths: Sequence[int], blocks: Sequence[Sequence[Floats]], rng: np.random.Generator) -> Rates:
    """Find the rates that explain what was measured.

    Args:
        model: What is looked for.
        depths: Numbers of pairs; at least two that differ.
        blocks: For each setting and each depth float64, shape (blocks, terms): means of each term over blocks of
            shots; of terms that the setting does not measure anything.
        rng: Draws data again, to find how much rates would vary.
    """
    seen = measured(model.terms, model.settings)
    share = seen / np.maximum(seen.sum(axis=0), 1)
    values = np.zeros((RESAMPLED + 1, len(depths), len(model.terms)))
    variance = np.zeros((len(depths), len(model.terms)))
    turned = np.asarray(depths)[:, None] % 2 == 1
    for setting, rows in enumerate(blocks):
        for place, data in enumerate(rows):
            size = len(data)
            # Drawn again, few data vary less than they do by themselves.
            again = (rng.multinomial(size, [1 / size] * size, RESAMPLED) - 1) * math.sqrt(size / max(size - 1, 1))
            weights = np.vstack([np.zeros((1, size)), again]) / size + 1 / size
            values[:, place] += (weights @ data) * share[setting]
            variance[place] += share[setting] ** 2 * data.var(axis=0, ddof=min(size - 1, 1)) / size
    values *= np.where(turned, model.signs, 1.0)
    # A mean of few blocks that all agree is not known exactly.
    sigma = np.sqrt(np.maximum(variance, variance.mean() * 1e-2 + 1e-12))
    decay, error = _decays(values, sigma, np.asarray(depths, dtype=np.float64))
    return _solved(model, decay, error)


def _solved(model: Model, decay: Floats, error: Floats) -> Rates:
    """Non-negative least squares; a rate that is held at 0 varies as if it were not."""
    from scipy.optimize import nnls  # noqa: PLC0415 -- for noise learners alone

    matrix, wanted = model.design / error[:, None], decay / 2 / error
    free = wanted[1:] @ np.linalg.pinv(matrix).T
    left = np.exp(-decay)
    return Rates(nnls(matrix, wanted[0])[0], free.std(axis=0, ddof=1), left[0], left[1:].std(axis=0, ddof=1))


def _decays(values: Floats, sigma: Floats, depths: Floats) -> tuple[Floats, Floats]:
    """Fit A exp(−c d) to data at several depths.

    Args:
        values: shape (draws, depths, terms).
        sigma: Their standard deviations, shape (depths, terms).
        depths: shape (depths,).

    Returns:
        c, shape (draws, terms), and the standard deviation of c / 2, shape (terms,).
    """
    clear = np.where(values > 3 * sigma, values, 3 * sigma)
    weight = np.where(values > 3 * sigma, (values / sigma) ** 2, 1e-3)
    column = depths[None, :, None]
    total, first, second = (np.sum(weight * column**power, axis=1) for power in (0, 1, 2))
    height, slope = (np.sum(weight * np.log(clear) * column**power, axis=1) for power in (0, 1))
    scale = np.maximum(total * second - first**2, 1e-300)
    rate = np.clip((first * height - total * slope) / scale, 0.0, -np.log(_LEAST))
    size = np.log(np.clip(np.exp((height + first * rate) / total), 1e-3, 1.2))
    for _ in range(_STEPS):
        curve = np.exp(size[:, None, :] - rate[:, None, :] * column)
        pull, force = curve / sigma, (values - curve) / sigma
        a, b, c = (np.sum(pull**2 * column**power, axis=1) for power in (0, 1, 2))
        u, v = (np.sum(pull * force * column**power, axis=1) for power in (0, 1))
        # Curves that have died out leave nothing to move along.
        scale = np.maximum(a * c - b**2, 1e-9 * (a * c + 1e-30))
        size = np.clip(size + np.clip((c * u - b * v) / scale, -0.5, 0.5), np.log(1e-3), np.log(1.2))
        rate = np.clip(rate + np.clip((b * u - a * v) / scale, -0.5, 0.5), 0.0, -np.log(_LEAST))
    error: Floats = np.sqrt(a[0] / scale[0]) / 2
    return rate, np.clip(error, 1e-12, 1e6)


def _terms(qubits: int, pairs: Sequence[tuple[int, int]]) -> Paulis:
    """Every operator on one qubit, and every one on two neighbours."""
    rows = []
    for place in range(qubits):
        rows += [_row(qubits, {place: letter}) for letter in (1, 3, 2)]
    for first, second in pairs:
        rows += [_row(qubits, {first: a, second: b}) for a, b in itertools.product((1, 3, 2), repeat=2)]
    return np.array(rows, dtype=np.uint8).reshape(len(rows), qubits)


def _row(qubits: int, letters: dict[int, int]) -> list[int]:
    return [letters.get(place, 0) for place in range(qubits)]


def _groups(terms: Paulis, images: Paulis) -> NDArray[np.intp]:
    """Number the rates: a term and what the layer makes of it have the same, if both are terms."""
    places = {row.tobytes(): index for index, row in enumerate(terms)}
    first = [min(index, places.get(image.tobytes(), index)) for index, image in enumerate(images)]
    found: NDArray[np.intp] = np.unique(first, return_inverse=True)[1].astype(np.intp)
    return found


def _settings(qubits: int, pairs: Sequence[tuple[int, int]]) -> Paulis:
    """Bases such that neighbours meet in all nine combinations: an orthogonal array, a column for each colour."""
    colours = _colours(qubits, pairs)
    size = 1 if not pairs else 2
    while (3**size - 1) // 2 <= max(colours, default=0):
        size += 1
    runs = np.array(list(itertools.product(range(3), repeat=size)))
    # One vector of each direction: its first number that is not 0 is 1.
    columns = [row for row in runs if row.any() and row[np.flatnonzero(row)[0]] == 1]
    found: Paulis = np.stack([(runs @ columns[colour]) % 3 + 1 for colour in colours], axis=1).astype(np.uint8)
    return found


def _colours(qubits: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Colour qubits so that neighbours differ, those with most neighbours first."""
    near: dict[int, set[int]] = {place: set() for place in range(qubits)}
    for first, second in pairs:
        near[first].add(second)
        near[second].add(first)
    colours: dict[int, int] = {}
    for place in sorted(near, key=lambda one: (-len(near[one]), one)):
        taken = {colours[other] for other in near[place] if other in colours}
        colours[place] = next(colour for colour in itertools.count() if colour not in taken)
    return [colours[place] for place in range(qubits)]
