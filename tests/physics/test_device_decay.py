# SPDX-License-Identifier: Apache-2.0
"""What experiments on a device measure is what its calibration says: readout errors, T1, T2, and qubits that wait."""

import functools
import math
from collections.abc import Callable, Sequence

import judging
import numpy as np
import paths
import pytest
from physics import Bench, Json, counts, gate, measure, p_value, program
from scipy.optimize import curve_fit

from chandelier.engines import cost

DEVICE = "ibmq_manila"
QUBITS = range(5)
#: Waits of a decay, in units of the published time.
TIMES = np.linspace(0, 2.5, 9)

#: So many gates keep the others busy.
GATES = 600


def one(found: Sequence[Json], qubit: int) -> float:
    """The exact chance to read 1."""
    device = paths.device(DEVICE)
    wanted = program([*found, gate("measure", [qubit], memory=[0])])
    return float(paths.chances(paths.route(wanted, device, cost.EXACT), device)[1])


@functools.cache
def wait(qubit: int, seconds: float) -> Json:
    """A wait in whole steps of the device's clock."""
    return gate("delay", [qubit], round(seconds / (paths.device(DEVICE).dt or math.nan)))


def fitted(qubit: int, time: float, experiment: Callable[[Json], Sequence[Json]]) -> float:
    """The time of an exponential decay, fitted with its height and its floor, s."""
    dt = paths.device(DEVICE).dt or math.nan
    waits = [wait(qubit, scale * time) for scale in TIMES]
    seconds = np.array([step["params"][0] * dt for step in waits])
    chances = [one(experiment(step), qubit) for step in waits]

    def curve(x: judging.Floats, floor: float, height: float, rate: float) -> judging.Floats:
        fallen: judging.Floats = floor + height * np.exp(-x * rate / time)
        return fallen

    (_, _, rate), _ = curve_fit(curve, seconds, chances, p0=[chances[-1], chances[0] - chances[-1], 0.8])
    return time / float(rate)


@pytest.mark.parametrize("qubit", QUBITS)
def test_t1_is_published(qubit: int) -> None:
    """The excited state of a qubit that waits decays with the published T1."""
    published = paths.device(DEVICE).qubits[qubit].t1
    found = fitted(qubit, published, lambda step: [gate("x", [qubit]), step])
    judging.figure(f"T1 of qubit {qubit}", f"ratio {found / published:.6f}")

    assert found == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize("qubit", QUBITS)
def test_t2_is_published(qubit: int) -> None:
    """The contrast of Ramsey's experiment, without detuning and without echo, decays with the published T2."""
    published = paths.device(DEVICE).qubits[qubit].t2
    found = fitted(qubit, published, lambda step: [gate("sx", [qubit]), step, gate("sx", [qubit])])
    judging.figure(f"T2 of qubit {qubit}", f"ratio {found / published:.6f}")

    assert found == pytest.approx(published, rel=0.02)


def test_counts_decay_with_t1(bench: Bench) -> None:
    """Counts of a job decay with T1 between the published readout errors, nothing fitted."""
    data, dt = paths.device(DEVICE).qubits[1], paths.device(DEVICE).dt or math.nan
    waits = [wait(1, scale * data.t1) for scale in TIMES]
    wanted = program(*([gate("x", [1]), step, gate("measure", [1], memory=[0])] for step in waits), shots=8192)
    result = bench.run(wanted, DEVICE)
    error = paths.device(DEVICE).gates["x", (1,)].error or math.nan
    found = []
    for index, step in enumerate(waits):
        up = (1 - error) * math.exp(-step["params"][0] * dt / data.t1)
        chance = up * (1 - data.flip_down) + (1 - up) * data.flip_up
        found.append(p_value(counts(result, index), np.array([1 - chance, chance])))

    assert judging.holm(found) > judging.ALPHA


def test_readout_errors_are_published(bench: Bench) -> None:
    """Zeros and ones that are prepared are read wrong as often as published, ones also for the error of their gate."""
    shots, device = 20_000, paths.device(DEVICE)
    wanted = program([measure(*QUBITS)], [*(gate("x", [qubit]) for qubit in QUBITS), measure(*QUBITS)], shots=shots)
    result = bench.run(wanted, DEVICE)
    worst = 0.0
    for qubit in QUBITS:
        data, error = device.qubits[qubit], device.gates["x", (qubit,)].error or math.nan
        down = data.flip_down + (1 - data.flip_up - data.flip_down) * error
        for index, chance in ((0, data.flip_up), (1, down)):
            wrong = sum(number for word, number in counts(result, index).items() if word >> qubit & 1 != index)
            worst = max(worst, abs(wrong - shots * chance) / math.sqrt(shots * chance * (1 - chance)))
    judging.figure("readout", f"largest |z| {worst:.2f} of {2 * len(QUBITS)}")

    assert worst < 4


@pytest.mark.parametrize("busy", ["x", "cx"])
def test_a_neighbour_that_waits_decays(busy: str) -> None:
    """While others work, a qubit decays with its own T1 for just as long, and before its first gate not at all."""
    device = paths.device(DEVICE)
    on = [0] if busy == "x" else [0, 1]
    qubit, work = 2, [gate(busy, on)] * GATES
    fence, data = gate("barrier", [*on, 2]), device.qubits[2]
    floor, start = data.flip_up, one([gate("x", [qubit])], qubit)
    waited = one([gate("x", [qubit]), fence, *work, fence], qubit)
    late = one([*work, fence, gate("x", [qubit])], qubit)
    seconds = GATES * device.gates[busy, tuple(on)].length

    assert (waited - floor) / (start - floor) == pytest.approx(math.exp(-seconds / data.t1), abs=1e-7)
    assert waited < 0.9 * start
    assert late == pytest.approx(start, abs=1e-12)
