# SPDX-License-Identifier: Apache-2.0
"""Calibrates the gates of a device on its model: `x` and `sx` of each qubit, a CX for each pair.

The single-qubit pulses are as long as those that were published. A CX is an echoed cross resonance. It may last as long
as the published one, half as long again, or twice as long, and have either qubit for its control; the shortest that is
good enough is taken. Nothing is random: the same device gives the same pulses.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chandelier import errors
from chandelier.engines.pulses import echoes, fitting, singles
from chandelier.engines.pulses import model as models
from chandelier.formats import defaults, openpulse, tunings
from chandelier.formats.device import DeviceDocument

#: A CX is good enough from here on.
MOST_ERROR: Final = 1e-3
MOST_LEAK: Final = 5e-4
MOST_AMP: Final = 0.9
#: A known CX is kept without another search if it is no worse than this, or than it was by half.
GOOD_ERROR: Final = 2e-4
#: Lengths that are tried, in units of the published one.
LENGTHS: Final = (1.0, 1.5, 2.0)
#: Widths of the edges of a tone that are tried, dt.
SIGMAS: Final = (64, 32)
#: Amplitudes of the tone on the control at which a search may begin.
_AMPS: Final = tuple(sign * step / 20 for step in range(1, 19) for sign in (1, -1))
#: Beginnings that are followed, if the squares of their distance do not add up to too much, and the steps of each; then
#: those of the best.
_FOLLOWED: Final = 3
_FAR: Final = 0.2
_STEPS: Final = 6
_LAST_STEPS: Final = 25
#: Steps that make a known CX a little better.
_FEW_STEPS: Final = 4


def tune(
    document: DeviceDocument, sites: Iterable[Sequence[int]], known: tunings.Tuning | None = None
) -> tunings.Tuning:
    """Find the pulses of some gates.

    Args:
        document: A device for which there is no `openpulse.obstacle`.
        sites: Qubits as `[q]` and pairs as `[a, b]`, in the order in which they are calibrated.
        known: Pulses found before, which are where the search begins.

    Returns:
        What was known, with what was asked for. The pulses of a pair's qubits are found along with it if they are
        not known.

    Raises:
        errors.Invalid: Code 1001: the device can have no pulses, or has no such qubit or pair.
    """
    obstacle = openpulse.obstacle(document.configuration, document.properties)
    if obstacle is not None:
        raise errors.Invalid(f"The device can have no pulses: {obstacle}.", 1001)
    document = openpulse.with_model(document)
    search = _Search(document, known or tunings.Tuning(model=""))
    for site in sites:
        search.find(tuple(sorted(site)))
    return search.found(openpulse.model(document))


def sites(document: DeviceDocument) -> list[list[int]]:
    """List all that can be calibrated: each qubit, then each coupled pair in ascending order."""
    configuration = document.configuration
    pairs = sorted({tuple(sorted(pair)) for pair in configuration.get("coupling_map") or ()})
    return [[index] for index in range(configuration["n_qubits"])] + [list(pair) for pair in pairs]


class _Search:
    """A device on the way from what is known of its pulses to what is wanted."""

    def __init__(self, document: DeviceDocument, known: tunings.Tuning) -> None:
        self.model = models.parse(document)
        self.lengths = openpulse.lengths(document.configuration, document.properties)
        self.grain = defaults.granularity(document.configuration)
        self.qubits = dict(known.qubits)
        self.pairs = {_both(pair): pair for pair in known.pairs}
        self.missing = {one.qubits: one for one in known.missing}

    def find(self, site: tuple[int, ...]) -> None:
        """Find the pulses of a qubit or of a pair."""
        if not 1 <= len(set(site)) == len(site) <= 2 or not set(site) <= set(range(self.model.n_qubits)):
            raise errors.Invalid(f"{list(site)} is neither a qubit nor a pair of the device.", 1001)
        if len(site) == 1:
            self.qubits[site[0]] = self._qubit(site[0])
            return
        first, second = site
        for index in site:
            if index not in self.qubits:
                self.qubits[index] = self._qubit(index)
        found = self._pair((first, second))
        self.pairs.pop((first, second), None)
        self.missing.pop((first, second), None)
        if isinstance(found, tunings.Pair):
            self.pairs[first, second] = found
        else:
            self.missing[first, second] = found

    def found(self, model: str) -> tunings.Tuning:
        """All that is known now."""
        return tunings.Tuning(
            model=model,
            qubits=dict(sorted(self.qubits.items())),
            pairs=tuple(pair for _, pair in sorted(self.pairs.items())),
            missing=tuple(one for _, one in sorted(self.missing.items())),
        )

    def _qubit(self, index: int) -> tunings.Qubit:
        known = self.qubits.get(index)
        x, x_error = singles.fitted(self.model, index, "x", self._length(index, "x"), known.x if known else None)
        sx, sx_error = singles.fitted(self.model, index, "sx", self._length(index, "sx"), known.sx if known else None)
        return tunings.Qubit(x, sx, (x_error, sx_error))

    def _length(self, index: int, gate: str) -> int:
        return max(round(self.lengths[gate, (index,)] / self.grain), 1) * self.grain

    def _pair(self, pair: tuple[int, int]) -> tunings.Pair | tunings.Missing:
        """Find a CX: the known one made a little better, or the first of all shapes that is good enough."""
        known = self.pairs.get(pair)
        if known is not None:
            shape = echoes.Shape(
                known.control, known.target, known.channel, known.duration, known.sigma, round(known.width)
            )
            better = _polished(echoes.sound(self.model, shape, self.qubits), known)
            if _passes(better) and better.error <= max(GOOD_ERROR, 1.5 * known.error):
                return better
        if not self.model.couplings.get(pair):
            return tunings.Missing(pair, "the Hamiltonian does not couple them")
        best: tunings.Pair | None = None
        for shape in self._shapes(pair):
            found = _searched(echoes.sound(self.model, shape, self.qubits))
            if _passes(found):
                return found
            if best is None or found.error < best.error:
                best = found
        if best is None:
            return tunings.Missing(pair, "no control channel joins them, or no length of a CX was published")
        return tunings.Missing(pair, _complaint(best))

    def _shapes(self, pair: tuple[int, int]) -> Iterator[echoes.Shape]:
        """All shapes of a CX that are tried, the shorter ones first, and of these the published direction."""
        published = {way: self.lengths[("cx", way)] for way in (pair, pair[::-1]) if ("cx", way) in self.lengths}
        if not published:
            return
        shortest = min(published.values())
        ways = sorted((pair, pair[::-1]), key=lambda way: published.get(way, math.inf))
        for factor in LENGTHS:
            for control, target in ways:
                yield from self._tones(control, target, shortest * factor)

    def _tones(self, control: int, target: int, samples: float) -> Iterator[echoes.Shape]:
        """The tones of a CX that lasts so long, with soft edges and with steeper ones, which do with less amplitude."""
        target_frequency = self.model.channels[f"d{target}"].oscillators
        names = [
            name
            for name, channel in self.model.channels.items()
            if name[0] == "u" and channel.qubit == control and channel.oscillators == target_frequency
        ]
        turn = self.qubits[control].x.duration
        pulses = max(turn, self.qubits[target].sx.duration) + turn
        duration = int((samples - pulses) / 2 / self.grain) * self.grain
        for name in names[:1]:
            for sigma in SIGMAS:
                if duration > 4 * sigma:
                    yield echoes.Shape(control, target, int(name[1:]), duration, sigma, duration - 4 * sigma)


def _both(pair: tunings.Pair) -> tuple[int, int]:
    return min(pair.control, pair.target), max(pair.control, pair.target)


def _off(echo: echoes.Echo, values: Sequence[float]) -> NDArray[np.float64]:
    made = echo.made(complex(values[0], values[1]), complex(values[2], values[3]))
    return fitting.distance(fitting.turned(made, fitting.best_turns(made, echoes.CX)), echoes.CX)


def _searched(echo: echoes.Echo) -> tunings.Pair:
    """Follow the most promising of several beginnings; none, if all are far from a CX."""
    starts = sorted((_far(echo, (amp, 0.0, 0.0, 0.0)), amp) for amp in _AMPS)
    if starts[0][0] > _FAR:
        return echoes.tuned(echo, starts[0][1], 0.0)
    ends = [_fitted(echo, (amp, 0.0, 0.0, 0.0), _STEPS) for _, amp in starts[:_FOLLOWED]]
    best = min(ends, key=lambda pair: (_largest(pair) > MOST_AMP, pair.error))
    return _fitted(echo, (*best.amp, *best.cancel), _LAST_STEPS)


def _far(echo: echoes.Echo, values: Sequence[float]) -> float:
    return float(np.square(_off(echo, values)).sum())


def _polished(echo: echoes.Echo, known: tunings.Pair) -> tunings.Pair:
    return _fitted(echo, [*known.amp, *known.cancel], _FEW_STEPS)


def _fitted(echo: echoes.Echo, start: Sequence[float], most: int) -> tunings.Pair:
    best = fitting.nearest(lambda at: _off(echo, at.tolist()), start, most=most).tolist()
    return echoes.tuned(echo, complex(best[0], best[1]), complex(best[2], best[3]))


def _passes(pair: tunings.Pair) -> bool:
    return pair.error < MOST_ERROR and pair.leak < MOST_LEAK and _largest(pair) <= MOST_AMP


def _largest(pair: tunings.Pair) -> float:
    return max(abs(complex(*pair.amp)), abs(complex(*pair.cancel)))


def _complaint(pair: tunings.Pair) -> str:
    """Say what keeps the best CX that was found from being good enough."""
    if _largest(pair) > MOST_AMP:
        return f"the best CX takes an amplitude of {_largest(pair):.2f}; up to {MOST_AMP} are used"
    if pair.leak >= MOST_LEAK:
        return f"the best CX loses {pair.leak:.1e} to the third levels; {MOST_LEAK:.0e} is the most"
    return f"the best CX has an error of {pair.error:.1e}; {MOST_ERROR:.0e} is the most"
