# SPDX-License-Identifier: Apache-2.0
"""Rabi: how strong must a pulse be to turn the qubit over?

The pulse has the shape of the device's `x`; its amplitude goes from nothing to the largest there is. What comes back is
the average point in the plane of the signal (measurement level 1), which moves back and forth between those of 0 and 1.
"""

import numpy as np
from lab import FITTED, MEASURED, bench, fit, picture, tell
from qiskit import pulse

QUBIT = 0
here = bench("ibmq_manila", shots=1024)
flip = here.gate("x", QUBIT).instructions[0][1].pulse
amplitudes = np.linspace(0, min(1.0, 2.5 * abs(flip.amp)), 41)


def experiment(amplitude: float) -> pulse.Schedule:
    """Play one pulse, then measure."""
    with pulse.build(here.device, name=f"rabi-{amplitude:.3f}", default_alignment="sequential") as program:
        shape = pulse.Drag(flip.duration, amplitude, flip.sigma, flip.beta)
        pulse.play(shape, pulse.drive_channel(QUBIT))
        pulse.measure(QUBIT)
    return program


def wave(amplitude: np.ndarray, half: float, height: float, middle: float) -> np.ndarray:
    """Return the signal after a pulse; `half` is the amplitude that turns by half a circle."""
    return middle - height * np.cos(np.pi * amplitude / half)


result = here.run([experiment(amplitude) for amplitude in amplitudes], meas_level=1, meas_return="avg")
points = np.array([result.get_memory(number)[0] for number in range(len(amplitudes))])

# The points lie on a line; its direction is that in which they scatter most.
centred = points - points.mean()
turn = np.exp(-0.5j * np.angle(np.sum(centred**2)))
signal = (centred * turn).real
signal *= -np.sign(signal[0]) / np.abs(signal).max()

(half, height, middle), errors = fit(wave, amplitudes, signal, [abs(flip.amp), 1.0, 0.0])
tell("pi amplitude", half, abs(flip.amp), error=errors[0])

with picture(
    here, "Rabi: the signal rises to a maximum at the amplitude of the device's x", "amplitude", "signal (scaled)"
) as axes:
    if axes is not None:
        fine = np.linspace(0, amplitudes[-1], 300)
        axes.plot(fine, wave(fine, half, height, middle), color=FITTED, label=f"fit: π at {half:.4f}")
        axes.plot(amplitudes, signal, "o", markersize=4, color=MEASURED, label=f"{here.shots} shots each")
        axes.axvline(abs(flip.amp), color="gray", linestyle=":", label=f"its x: {abs(flip.amp):.4f}")
