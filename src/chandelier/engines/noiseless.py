# SPDX-License-Identifier: Apache-2.0
"""Running experiments without noise: what can happen is computed once, and all shots are drawn from it.

Experiments that do the same are computed once, and drawn from each with its own randomness.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import numpy as np

from chandelier.engines import clifford, cost, ideal, outcome, programs, reduction, routes, sampling
from chandelier.engines import target as targets

#: Draws shots: distinct words of memory, and how often each occurred.
Source = Callable[[np.random.Generator, int], tuple[list[int], sampling.Integers]]


def runner(_target: targets.Target) -> Callable[[routes.Route], outcome.Outcome]:
    """What runs experiments whose plan is one of these paths, one after the other."""
    known: dict[bytes, Source] = {}
    encode = msgspec.msgpack.Encoder().encode

    def run(way: routes.Route) -> outcome.Outcome:
        started = time.perf_counter()
        key = encode((way.plan.path, way.steps))
        if key not in known:
            known[key] = SOURCES[way.plan.path](way.circuit or reduction.reduced(way.steps))
        return _outcome(way, known[key], started)

    return run


def _outcome(way: routes.Route, source: Source, started: float) -> outcome.Outcome:
    experiment = way.experiment
    seed = experiment.seed if experiment.seed is not None else secrets.randbelow(1 << 31)
    rng = sampling.generator(seed, experiment.index)
    words, numbers = source(rng, experiment.shots)
    data = sampling.data(rng, words, numbers, memory=bool(experiment.config.memory))
    qubits = len(programs.active(way.steps))
    return outcome.success(way, data, seed, time.perf_counter() - started, qubits=qubits, noise="ideal")


def _from_state(circuit: reduction.Reduced) -> Source:
    shares = ideal.shares(circuit)
    places = [{wire: place for place, wire in enumerate(share.wires)} for share in shares]
    wirings = [
        sampling.Wiring(share.wires, tuple((slot, place[wire]) for slot, wire in circuit.slots if wire in place))
        for share, place in zip(shares, places, strict=True)
    ]

    def draw(rng: np.random.Generator, shots: int) -> tuple[list[int], sampling.Integers]:
        drawn = [sampling.draw(rng, share.probabilities, shots) for share in shares]
        parts = [(sampling.words(one.outcomes, wires), one.numbers) for one, wires in zip(drawn, wirings, strict=True)]
        return sampling.joined(rng, parts, shots)

    return draw


def _from_space(circuit: reduction.Reduced) -> Source:
    found = clifford.space(circuit)

    def draw(rng: np.random.Generator, shots: int) -> tuple[list[int], sampling.Integers]:
        return clifford.draw(rng, found, shots)

    return draw


#: For each path what knows what can happen.
SOURCES: Final[Mapping[str, Callable[[reduction.Reduced], Source]]] = {
    cost.IDEAL: _from_state,
    cost.CLIFFORD: _from_space,
}
