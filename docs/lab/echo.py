# SPDX-License-Identifier: Apache-2.0
"""T2 echo: how long does a qubit keep its phase, if a turn in the middle undoes what is constant?"""

import numpy as np
from lab import FITTED, MEASURED, bench, fit, picture, samples, tell
from qiskit import pulse

QUBIT = 0
here = bench("ibmq_manila", shots=4096, needs=("T2",))
published = here.device.properties().t2(QUBIT)
dt = here.device.configuration().dt
halves = np.array([samples(wait / 2, here) for wait in np.linspace(0, 3 * published, 31)])


def experiment(half: int) -> pulse.Schedule:
    """A half turn, a wait, a turn, the same wait, a half turn."""
    with pulse.build(here.device, name=f"echo-{half}", default_alignment="sequential") as program:
        pulse.call(here.gate("sx", QUBIT))
        pulse.delay(half, pulse.drive_channel(QUBIT))
        pulse.call(here.gate("x", QUBIT))
        pulse.delay(half, pulse.drive_channel(QUBIT))
        pulse.call(here.gate("sx", QUBIT))
        pulse.measure(QUBIT)
    return program


def decay(microseconds: np.ndarray, t2: float, height: float, end: float) -> np.ndarray:
    """Return the share of ones."""
    return end - height * np.exp(-microseconds / t2)


ones = here.ones([experiment(int(half)) for half in halves], QUBIT)
microseconds = 2 * halves * dt * 1e6
(t2, height, end), errors = fit(decay, microseconds, ones, [published * 1e6, 0.5, 0.5])
tell("T2", t2, published * 1e6, "us", errors[0])

with picture(here, "Echo: the share of ones rises to one half within T2", "both waits / µs", "share of ones") as axes:
    if axes is not None:
        fine = np.linspace(0, microseconds[-1], 300)
        axes.plot(fine, decay(fine, t2, height, end), color=FITTED, label=f"fit: T2 = {t2:.1f} µs")
        axes.plot(microseconds, ones, "o", markersize=4, color=MEASURED, label=f"{here.shots} shots each")
        axes.plot([], [], " ", label=f"published: {published * 1e6:.1f} µs")
