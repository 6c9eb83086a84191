# SPDX-License-Identifier: Apache-2.0
"""T1: how long does an excited qubit stay excited?"""

import numpy as np
from lab import FITTED, MEASURED, bench, fit, picture, samples, tell
from qiskit import pulse

QUBIT = 0
here = bench("ibmq_manila", shots=4096, needs=("T1",))
published = here.device.properties().t1(QUBIT)
dt = here.device.configuration().dt
waits = np.array([samples(wait, here) for wait in np.linspace(0, 3.5 * published, 31)])


def experiment(wait: int) -> pulse.Schedule:
    """Excite, wait, measure."""
    with pulse.build(here.device, name=f"t1-{wait}", default_alignment="sequential") as program:
        pulse.call(here.gate("x", QUBIT))
        pulse.delay(wait, pulse.drive_channel(QUBIT))
        pulse.measure(QUBIT)
    return program


def decay(microseconds: np.ndarray, t1: float, height: float, end: float) -> np.ndarray:
    """Return the share of ones."""
    return end + height * np.exp(-microseconds / t1)


ones = here.ones([experiment(int(wait)) for wait in waits], QUBIT)
microseconds = waits * dt * 1e6
(t1, height, end), errors = fit(decay, microseconds, ones, [published * 1e6, 1.0, 0.0])
tell("T1", t1, published * 1e6, "us", errors[0])

with picture(here, "T1: the share of ones decays as published", "wait / µs", "share of ones") as axes:
    if axes is not None:
        fine = np.linspace(0, microseconds[-1], 300)
        axes.plot(fine, decay(fine, t1, height, end), color=FITTED, label=f"fit: T1 = {t1:.1f} µs")
        axes.plot(microseconds, ones, "o", markersize=4, color=MEASURED, label=f"{here.shots} shots each")
        axes.plot([], [], " ", label=f"published: {published * 1e6:.1f} µs")
