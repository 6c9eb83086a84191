# SPDX-License-Identifier: Apache-2.0
"""Curves through values measured at several strengths of noise, and what they say of none.

A fit minimises the squared distances in units of the values' own errors. It also tells how its curve moves with each
of the values, so that their errors, correlated or not, can be carried over.

Source: K. Temme, S. Bravyi and J. Gambetta, Phys. Rev. Lett. 119, 180509 (2017); Z. Cai, npj Quantum Inf. 7, 80
(2021); names of the extrapolators: protocol, Runtime API, 7.2.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Largest error of a value at no noise with which a fit still counts as one; the values are between -1 and 1.
WORST: Final = 0.5
#: Rounds after which a fit that moves still counts as failed, and how little movement ends it.
_ROUNDS: Final = 100
_STILL: Final = 1e-10


class Fit(NamedTuple):
    """A curve through values of one term.

    Attributes:
        values: Shape (points): the curve.
        slopes: Shape (points, factors): how it moves with each value that was measured.
        good: Whether it is to be believed.
    """

    values: Floats
    slopes: Floats
    good: bool


class _Curve(NamedTuple):
    """A curve of given parameters: its values, and their derivatives by the parameters."""

    values: Floats
    jacobian: Floats


def fit(name: str, factors: Floats, values: Floats, stds: Floats, points: Floats) -> Fit:
    """Fit a curve.

    Args:
        name: One of the extrapolators of the protocol.
        factors: Strengths of the noise, shape (factors).
        values: What was measured, shape (factors); between -1 and 1 but for errors.
        stds: Standard errors of the values, positive.
        points: Strengths at which the curve is evaluated; the first of them is 0.

    Returns:
        A fit that failed is not good, and its curve is that of `fallback`.
    """
    if name == "fallback":
        return _fallback(factors, values, points, good=True)
    if name in _EXPONENTIALS:
        found = _exponential(_EXPONENTIALS[name], factors, values, stds, points)
    else:
        found = _polynomial(1 if name == "linear" else int(name.rsplit("_", 1)[1]), factors, values, stds, points)
    if found is None or not (np.isfinite(found.values).all() and np.isfinite(found.slopes).all()):
        return _fallback(factors, values, points, good=False)
    error = float(np.sqrt(((found.slopes[0] * stds) ** 2).sum()))
    return found._replace(good=found.good and error <= WORST and abs(float(found.values[0])) <= 1 + 3 * error)


#: Number of terms of each sum of exponentials.
_EXPONENTIALS: Final[Mapping[str, int]] = {"exponential": 1, "double_exponential": 2}

#: Number of noise factors that each extrapolator needs.
NEEDED: Final[Mapping[str, int]] = {
    "fallback": 1,
    "linear": 2,
    "exponential": 2,
    "double_exponential": 4,
    **{f"polynomial_degree_{degree}": degree + 1 for degree in range(1, 8)},
}


def _fallback(factors: Floats, values: Floats, points: Floats, *, good: bool) -> Fit:
    least = int(np.argmin(factors))
    slopes = np.zeros((len(points), len(factors)))
    slopes[:, least] = 1.0
    return Fit(np.full(len(points), values[least]), slopes, good)


def _polynomial(degree: int, factors: Floats, values: Floats, stds: Floats, points: Floats) -> Fit | None:
    powers = np.arange(degree + 1)
    design = factors[:, None] ** powers
    if np.linalg.matrix_rank(design) <= degree:
        return None
    solver = np.linalg.pinv(design / stds[:, None]) / stds
    slopes = points[:, None] ** powers @ solver
    return Fit(slopes @ values, slopes, good=True)


def _exponential(terms: int, factors: Floats, values: Floats, stds: Floats, points: Floats) -> Fit | None:
    """Fit a sum of Aᵢ·exp(−bᵢ·x): good if every rate is at least 0 and the sum at 0 is clearly not 0."""
    if len(np.unique(factors)) < 2 * terms or (np.sign(values) != np.sign(values[0])).any():
        return None
    rate, height = -np.polyfit(factors, np.log(np.abs(values)), 1) * (1, -1) if values.all() else (0.0, 0.0)
    spread = np.arange(1, terms + 1) / np.arange(1, terms + 1).mean()
    start = np.concatenate([np.full(terms, np.sign(values[0]) * np.exp(height) / terms), rate * spread])
    found = _least(lambda at: _sum(at, factors), start, values, stds)
    if found is None:
        return None
    jacobian = _sum(found, factors).jacobian / stds[:, None]
    if np.linalg.matrix_rank(jacobian) < 2 * terms:
        return None
    curve = _sum(found, points)
    slopes = curve.jacobian @ np.linalg.pinv(jacobian) / stds
    certain = abs(curve.values[0]) > 2 * np.sqrt(((slopes[0] * stds) ** 2).sum())
    return Fit(curve.values, slopes, good=bool((found[terms:] >= 0).all() and certain))


def _sum(parameters: Floats, factors: Floats) -> _Curve:
    heights, rates = np.split(parameters, 2)
    decays = np.exp(np.clip(-factors[:, None] * rates, -50.0, 50.0))
    return _Curve(decays @ heights, np.hstack([decays, -factors[:, None] * heights * decays]))


def _least(model: Callable[[Floats], _Curve], start: Floats, values: Floats, stds: Floats) -> Floats | None:
    """Minimise squared distances by the method of Levenberg and Marquardt; None if that does not come to rest."""
    at, damping = start, 1e-3
    curve = model(at)
    distance = ((values - curve.values) / stds) ** 2
    for _ in range(_ROUNDS):
        jacobian = curve.jacobian / stds[:, None]
        normal = jacobian.T @ jacobian
        scale = np.diag(np.diag(normal) + 1e-12)
        step = np.linalg.solve(normal + damping * scale, jacobian.T @ ((values - curve.values) / stds))
        tried = model(at + step)
        new = ((values - tried.values) / stds) ** 2
        if not new.sum() <= distance.sum():
            damping *= 10
            if damping > 1e12:
                return None
            continue
        moved = float(np.abs(step).max() / (1 + np.abs(at).max()))
        at, curve, distance, damping = at + step, tried, new, damping / 10
        if moved < _STILL:
            return at
    return None


def chosen(
    names: Sequence[str], fits: Sequence[Fit], factors: Floats, values: Floats, points: Floats
) -> tuple[str, Fit]:
    """The first fit that is good; `fallback` where none is."""
    for name, one in zip(names, fits, strict=True):
        if one.good:
            return name, one
    return "fallback", _fallback(factors, values, points, good=True)
