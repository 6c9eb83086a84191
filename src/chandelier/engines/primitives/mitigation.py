# SPDX-License-Identifier: Apache-2.0
"""What measured terms say of observables, with the errors of readout divided out and those of gates extrapolated away.

All estimates here are functions of means over shots. Their variances follow from how they move with each mean, and
what was measured together is never taken for independent: a combination of terms has in each shot one value.

Readout (TREX): of a measurement with random flips, the expectation of a product of Zs shrinks by a factor that does
not depend on the state. The factor of each product is measured on the ground state, and divided out; its own error is
part of the result's.

Source: E. van den Berg, Z. Minev and K. Temme, Phys. Rev. A 105, 032620 (2022), eqs. 4 to 6.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chandelier.engines.primitives import extrapolation, observables
from chandelier.formats import options

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Readout:
    """What was learned of a device's readout.

    Attributes:
        counted: Outcomes of the ground state, flipped back.
        group: The products of Zs that were asked for, as terms.
    """

    counted: observables.Counted
    group: observables.Group

    def known(self) -> tuple[dict[observables.Term, int], NDArray[np.int8], Floats]:
        """Place of each product, its value for each outcome, and its factor."""
        worth = observables.values(self.group, self.counted.outcomes)
        places = {term: place for place, term in enumerate(self.group.terms)}
        return places, worth, observables.means(self.counted, worth)


@dataclasses.dataclass(frozen=True, eq=False)
class Evidence:
    """What one circuit with one set of values showed.

    Attributes:
        groups: What was measured together.
        counted: For each noise factor and group the outcomes.
        factors: Strengths of the noise, shape (factors).
    """

    groups: Sequence[observables.Group]
    counted: Sequence[Sequence[observables.Counted]]
    factors: Floats

    @property
    def terms(self) -> list[observables.Term]:
        """All terms, in the order of the groups."""
        return [term for group in self.groups for term in group.terms]


class Estimates(NamedTuple):
    """Values of some observables; each array is of shape (observables, ...).

    Attributes:
        evs: The values.
        stds: Their standard errors, from how far randomizations lie apart.
        pooled: Their standard errors, as if all shots came from one circuit.
    """

    evs: Floats
    stds: Floats
    pooled: Floats


class Extrapolated(NamedTuple):
    """What extrapolation says of some observables.

    Attributes:
        best: The values at no noise; for each term by the first fit that is good.
        measured: The values at each noise factor, shape (observables, factors).
        curves: The values of every fit, shape (observables, extrapolators, points).
        names: For each observable which fit gave its value, or `multiple`.
    """

    best: Estimates
    measured: Estimates
    curves: Estimates
    names: list[str]


class _Terms:
    """The terms of some evidence: their values, and how combinations of them err."""

    def __init__(self, evidence: Evidence, readout: Readout | None) -> None:
        self._evidence, self._readout = evidence, readout
        self._worth = [
            [observables.values(group, one.outcomes) for group, one in zip(evidence.groups, counted, strict=True)]
            for counted in evidence.counted
        ]
        self._slices = _slices([len(group.terms) for group in evidence.groups])
        raw = np.array(
            [
                np.concatenate(
                    [observables.means(one, worth) for one, worth in zip(counted, worths, strict=True)] or [np.zeros(0)]
                )
                for counted, worths in zip(evidence.counted, self._worth, strict=True)
            ]
        )
        self.shrunk = np.ones(raw.shape[1])
        if readout is not None:
            places, self._read_worth, factors = readout.known()
            self._places = np.array([places[observables.support(term)] for term in evidence.terms], dtype=np.intp)
            self.shrunk = factors[self._places] if len(self._places) else self.shrunk
        #: Terms of which the readout leaves nothing.
        self.lost = self.shrunk <= 0
        self.shrunk = np.where(self.lost, 1.0, self.shrunk)
        #: Shape (factors, terms).
        self.values: Floats = raw / self.shrunk

    def stds(self) -> Floats:
        """Standard errors of the terms, each for itself and without those of the readout, shape (factors, terms).

        Where all shots agreed, the error is not taken to be 0 but as if of all shots one had not.
        """
        rows = []
        for counted, worths in zip(self._evidence.counted, self._worth, strict=True):
            parts = [
                np.maximum(observables.stds(one, worth), 2.0 / one.shots)
                for one, worth in zip(counted, worths, strict=True)
            ]
            rows.append(np.concatenate(parts) if parts else np.zeros(0))
        return np.array(rows) / self.shrunk

    def variances(self, moves: Floats) -> observables.Variances:
        """Variances of quantities, given how they move with each term.

        Args:
            moves: Shape (factors, terms, quantities).
        """
        total = observables.Variances(np.zeros(moves.shape[2]), np.zeros(moves.shape[2]))
        for counted, worths, move in zip(self._evidence.counted, self._worth, moves, strict=True):
            weights = move / self.shrunk[:, None]
            for one, worth, part in zip(counted, worths, self._slices, strict=True):
                total += observables.variances(one, observables.weighed(worth, weights[part]))
        if self._readout is None or not len(self._places):
            return total
        pull = -(moves * (self.values / self.shrunk)[:, :, None]).sum(axis=0)
        by_product = np.zeros((self._read_worth.shape[1], moves.shape[2]))
        np.add.at(by_product, self._places, pull)
        return total + observables.variances(self._readout.counted, observables.weighed(self._read_worth, by_product))


def _slices(sizes: Sequence[int]) -> list[slice]:
    ends = np.cumsum(sizes).tolist()
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def estimated(
    evidence: Evidence, wanted: Sequence[dict[observables.Term, float]], readout: Readout | None
) -> Estimates:
    """Values of observables from evidence at one strength of noise.

    Args:
        evidence: Holds every term of the observables but the identity.
        wanted: The observables.
        readout: What was learned of the readout; None to leave its errors in.

    Returns:
        A value is NaN, and its error infinite, where the readout leaves nothing of a term.
    """
    terms = _Terms(evidence, readout)
    weights, constants = _weights(evidence, wanted)
    return _marked(terms, weights, _at(terms, weights, constants, 0))


def extrapolated(
    evidence: Evidence, wanted: Sequence[dict[observables.Term, float]], readout: Readout | None, zne: options.Zne
) -> Extrapolated:
    """Values of observables at no noise, from evidence at several strengths of it.

    Every term is extrapolated for itself. The noise factors are those that the circuits have.

    Args:
        evidence: As `estimated`.
        wanted: The observables.
        readout: As `estimated`.
        zne: Which fits are made, and where they are evaluated.
    """
    terms = _Terms(evidence, readout)
    weights, constants = _weights(evidence, wanted)
    points = np.array([0.0, *zne.extrapolated_noise_factors])
    values, stds = terms.values, terms.stds()
    every = [
        [
            extrapolation.fit(name, evidence.factors, values[:, term], stds[:, term], points)
            for term in range(values.shape[1])
        ]
        for name in zne.extrapolator
    ]
    best = [
        extrapolation.chosen(zne.extrapolator, fits, evidence.factors, values[:, term], points)
        for term, fits in enumerate(zip(*every, strict=True))
    ]
    measured = [_at(terms, weights, constants, place) for place in range(len(evidence.factors))]
    curves = [[_fitted(terms, weights, constants, fits, place) for place in range(1, len(points))] for fits in every]
    return Extrapolated(
        _marked(terms, weights, _fitted(terms, weights, constants, [one for _, one in best], 0)),
        _marked(terms, weights, _stacked(measured)),
        _marked(terms, weights, _stacked([_stacked(row) for row in curves], axis=1)),
        [_common([name for (name, _), weight in zip(best, column, strict=True) if weight]) for column in weights.T],
    )


def _weights(evidence: Evidence, wanted: Sequence[dict[observables.Term, float]]) -> tuple[Floats, Floats]:
    """Coefficients, shape (terms, observables), and what each observable is besides, shape (observables)."""
    places = {term: place for place, term in enumerate(evidence.terms)}
    weights, constants = np.zeros((len(places), len(wanted))), np.zeros(len(wanted))
    for column, observable in enumerate(wanted):
        for term, coefficient in observable.items():
            if term:
                weights[places[term], column] = coefficient
            else:
                constants[column] = coefficient
    return weights, constants


def _at(terms: _Terms, weights: Floats, constants: Floats, factor: int) -> Estimates:
    moves = np.zeros((len(terms.values), *weights.shape))
    moves[factor] = weights
    return _errors(terms, terms.values[factor] @ weights + constants, moves)


def _fitted(
    terms: _Terms, weights: Floats, constants: Floats, fits: Sequence[extrapolation.Fit], point: int
) -> Estimates:
    values = np.array([one.values[point] for one in fits])
    slopes = np.array([one.slopes[point] for one in fits]).reshape(len(fits), len(terms.values))
    return _errors(terms, values @ weights + constants, slopes.T[:, :, None] * weights)


def _errors(terms: _Terms, evs: Floats, moves: Floats) -> Estimates:
    found = terms.variances(moves)
    return Estimates(evs, np.sqrt(found.spread), np.sqrt(found.pooled))


def _marked(terms: _Terms, weights: Floats, found: Estimates) -> Estimates:
    """Take back what is said of observables with a term that is lost."""
    lost = (weights[terms.lost] != 0).any(axis=0)
    if not lost.any():
        return found
    for array, mark in zip(found, (np.nan, np.inf, np.inf), strict=True):
        array[lost] = mark
    return found


def _stacked(parts: Sequence[Estimates], axis: int = -1) -> Estimates:
    return Estimates(*(np.stack([one[place] for one in parts], axis=axis) for place in range(3)))


def _common(names: Sequence[str]) -> str:
    if not names:
        return "fallback"
    return names[0] if len(set(names)) == 1 else "multiple"
