# SPDX-License-Identifier: Apache-2.0
"""Noisy experiments computed exactly: the probabilities of all outcomes, and one draw from them.

The state is held as in `superops`, and the blocks of `frontier` are applied to it in their order. Where there are far
more possible outcomes than shots, they are drawn on the way.
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np

from chandelier.engines import branches, contraction, frontier, outcome, routes, sampling, superops
from chandelier.engines import target as targets

_SEED_RANGE: Final = 1 << 31
#: Most probabilities that are kept for when the same circuit comes again.
_MOST: Final = 1 << 20
_ENCODER: Final = msgspec.msgpack.Encoder()


def runner(target: targets.Target) -> Callable[[routes.Route], outcome.Outcome]:
    """What runs an experiment whose plan is this path.

    Args:
        target: The device.
    """
    known = Known(superops.of_device(target))
    noise = "ideal" if target.simulator else "superop"
    return lambda way: _outcome(way, known, noise)


class Known:
    """The probabilities of circuits that were computed last: the same circuit is often asked for again.

    Attributes:
        kept: The matrices of the device.
        found: The probabilities, by what tells circuits apart; the oldest first.
        size: Their number.
    """

    def __init__(self, kept: superops.Kept) -> None:
        self.kept = kept
        self.found: dict[bytes, superops.Floats] = {}
        self.size = 0

    def probabilities(self, way: routes.Route, order: frontier.Order) -> superops.Floats:
        """As `probabilities`."""
        key = hashlib.blake2b(_ENCODER.encode(way.steps), digest_size=16).digest()
        found = self.found.get(key)
        if found is None:
            found = self.found[key] = probabilities(order, self.kept)
            self.size += len(found)
            while self.size > _MOST and len(self.found) > 1:
                self.size -= len(self.found.pop(next(iter(self.found))))
        return found


def _outcome(way: routes.Route, known: Known, noise: str) -> outcome.Outcome:
    started = time.perf_counter()
    experiment, order = way.experiment, way.order
    if order is None:
        raise ValueError(f"experiment {experiment.index} has no order")
    seed = secrets.randbelow(_SEED_RANGE) if experiment.seed is None else experiment.seed
    rng = sampling.generator(seed, experiment.index)
    words, numbers = _drawn(way, order, known, rng)
    data = sampling.data(rng, words, numbers, memory=bool(experiment.config.memory))
    qubits = len(set(order.woven.qubits))
    return outcome.success(way, data, seed, time.perf_counter() - started, qubits=qubits, noise=noise)


def _drawn(
    way: routes.Route, order: frontier.Order, known: Known, rng: np.random.Generator
) -> tuple[list[int], sampling.Integers]:
    """Draw words of memory, and how often each occurs; of several branches the word may be the same."""
    shots = way.experiment.shots
    if order.branching is None:
        drawn = sampling.draw(rng, known.probabilities(way, order), shots)
        return sampling.words(drawn.outcomes, wiring(order)), drawn.numbers
    found = branches.drawn(order, known.kept, rng, shots)
    tally: dict[int, int] = {}
    words = sampling.packed(branches.memory(found, sorted(order.woven.memory.items())))
    for word, number in zip(words, found.numbers.tolist(), strict=True):
        tally[word] = tally.get(word, 0) + number
    return list(tally), np.array(list(tally.values()))


def wiring(order: frontier.Order) -> sampling.Wiring:
    """Which bit of an outcome each memory slot shows."""
    place = {value: at for at, value in enumerate(order.values)}
    slots = sorted(order.woven.memory.items())
    return sampling.Wiring((), tuple((slot, place[value]) for slot, value in slots))


def probabilities(order: frontier.Order, kept: superops.Kept) -> superops.Floats:
    """Probabilities of all combinations of the values that are left.

    Returns:
        float64, shape (2**values,); bit i of an index is the i-th of `order.values`.
    """
    state = contraction.empty()
    for move in order.moves:
        state = contraction.advanced(state, order.woven, move, kept)
    return np.maximum(contraction.arranged(state, [~value for value in reversed(order.values)]), 0.0)
