# SPDX-License-Identifier: Apache-2.0
"""The exact probabilities that each fast path draws its shots from."""

import functools

import numpy as np
import physics
from numpy.typing import NDArray
from physics import Json

from chandelier.engines import clifford, cost, exact, ideal, routes, sampling, superops
from chandelier.engines import target as targets

Chances = NDArray[np.float64]


@functools.cache
def device(name: str) -> targets.Target:
    """A device or a simulator, always the same object, so that what is prepared for it is kept."""
    return physics.target(name)


def route(wanted: Json, on: targets.Target, path: str) -> routes.Route:
    """The way of a program of one experiment, which must be on a path."""
    (way,) = physics.ways(wanted, on)
    assert way.plan.path == path
    return way


def chances(way: routes.Route, on: targets.Target) -> Chances:
    """The chance of each word of memory, float64, shape (2**slots,)."""
    memory = np.zeros(1 << way.experiment.slots)
    if way.plan.path == cost.EXACT:
        assert way.order is not None
        found = exact.probabilities(way.order, superops.of_device(on))
        words = sampling.words(np.arange(len(found)), exact.wiring(way.order))
        np.add.at(memory, words, found)
        return memory
    assert way.circuit is not None
    if way.plan.path == cost.CLIFFORD:
        space = clifford.space(way.circuit)
        words = [space.origin]
        for word in space.basis:
            words += [other ^ word for other in words]
        memory[words] = 1 / len(words)
        return memory
    assert way.plan.path == cost.IDEAL
    memory[0] = 1.0
    for share in ideal.shares(way.circuit):
        place = {wire: number for number, wire in enumerate(share.wires)}
        slots = tuple((slot, place[wire]) for slot, wire in way.circuit.slots if wire in place)
        shown = sampling.words(np.arange(len(share.probabilities)), sampling.Wiring(share.wires, slots))
        before, memory = memory, np.zeros_like(memory)
        for word, chance in zip(shown, share.probabilities.tolist(), strict=True):
            memory[np.arange(len(memory)) ^ word] += before * chance
    return memory
