# SPDX-License-Identifier: Apache-2.0
"""Ramsey: how far is the qubit from the frequency that was found at its last calibration?

The oscillator is set 80 kHz too high on purpose, so that the direction is seen as well. Between two half turns the
qubit falls behind, and the signal beats with the difference. What is more or less than 80 kHz is the wander of the
qubit since its calibration.
"""

import numpy as np
from lab import FITTED, MEASURED, bench, fit, picture, samples, tell
from qiskit import pulse

QUBIT, DETUNING = 0, 80e3
here = bench("ibmq_manila", shots=4096, needs=("T2",))
dt = here.device.configuration().dt
frequency = here.device.defaults().qubit_freq_est[QUBIT]
t2 = here.device.properties().t2(QUBIT)
waits = np.array([samples(wait, here) for wait in np.linspace(0, 1.5 * t2, 61)])


def experiment(wait: int) -> pulse.Schedule:
    """Two half turns with a wait in between."""
    with pulse.build(here.device, name=f"ramsey-{wait}", default_alignment="sequential") as program:
        pulse.set_frequency(frequency + DETUNING, pulse.drive_channel(QUBIT))
        pulse.call(here.gate("sx", QUBIT))
        pulse.delay(wait, pulse.drive_channel(QUBIT))
        pulse.call(here.gate("sx", QUBIT))
        pulse.measure(QUBIT)
    return program


def fringe(time: np.ndarray, beat: float, lasting: float, height: float, phase: float, middle: float) -> np.ndarray:
    """Return the share of ones; `time` and `lasting` in µs, `beat` in MHz."""
    return middle + height * np.exp(-time / lasting) * np.cos(2 * np.pi * beat * time + phase)


ones = here.ones([experiment(int(wait)) for wait in waits], QUBIT)
microseconds = waits * dt * 1e6
spectrum = np.abs(np.fft.rfft(ones - ones.mean()))
guess = np.fft.rfftfreq(len(ones), microseconds[1])[spectrum.argmax()]
(beat, lasting, height, phase, middle), errors = fit(fringe, microseconds, ones, [guess, t2 * 1e6, 0.5, 0.0, 0.5])
wander = DETUNING / 1e3 - abs(beat) * 1e3
tell("beat", abs(beat) * 1e3, DETUNING / 1e3, "kHz", errors[0] * 1e3)
tell("wander of the qubit", wander, None, "kHz", errors[0] * 1e3)
tell("T2 of the fringes", lasting, t2 * 1e6, "us", errors[1])

with picture(here, "Ramsey: the share of ones beats with the detuning and fades", "wait / µs", "share of ones") as axes:
    if axes is not None:
        fine = np.linspace(0, microseconds[-1], 600)
        label = f"fit: {abs(beat) * 1e3:.2f} kHz,\nso {wander:+.2f} kHz of wander"
        axes.plot(fine, fringe(fine, beat, lasting, height, phase, middle), color=FITTED, label=label)
        axes.plot(microseconds, ones, "o", markersize=4, color=MEASURED, label=f"{here.shots} shots each")
