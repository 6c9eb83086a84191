# SPDX-License-Identifier: Apache-2.0
"""Cross resonance: what does driving one qubit at the frequency of another do to both?

The control is driven through its control channel for a while, in state 0 and in state 1, and the target's Bloch
vector is measured along three axes. It turns about an axis that depends on the control: half the sum of the two turns
is what the target sees anyway (IX, IY, IZ), half the difference is what entangles (ZX, ZY, ZZ). The `cx` of the device
is made of ZX.

Source: Sheldon, Magesan, Chow and Gambetta, Phys. Rev. A 93, 060302 (2016).
"""

import numpy as np
from lab import bench, picture, stop, tell
from qiskit import pulse
from scipy.optimize import least_squares
from scipy.special import erf

CONTROL, TARGET = 0, 1
here = bench("ibmq_manila", shots=2048, pair=(CONTROL, TARGET))
dt = here.device.configuration().dt
shape, channel = next(
    (one.pulse, one.channel)
    for _, one in here.gate("cx", CONTROL, TARGET).instructions
    if isinstance(one, pulse.Play) and isinstance(one.channel, pulse.ControlChannel)
)
if here.device.configuration().u_channel_lo[channel.index][0].q != TARGET:
    stop(f"{here.device.name()} makes this cx of pulses that go from qubit {TARGET} to qubit {CONTROL}.")
rise = (shape.duration - shape.width) // 2
widths = np.arange(0, 4 * shape.width + 1, 128)


def experiment(width: int, control: int, axis: str) -> pulse.Schedule:
    """Drive, and measure the target along an axis."""
    with pulse.build(here.device, name=f"{width}-{control}-{axis}") as program:
        if control:
            pulse.call(here.gate("x", CONTROL))
        pulse.barrier(CONTROL, TARGET, channel)
        flat = {"sigma": shape.sigma, "width": width, "angle": shape.angle}
        pulse.play(pulse.GaussianSquare(int(width + 2 * rise), shape.amp, **flat), channel)
        pulse.barrier(CONTROL, TARGET, channel)
        if axis == "x":
            pulse.shift_phase(-np.pi / 2, pulse.drive_channel(TARGET))
        if axis != "z":
            pulse.call(here.gate("sx", TARGET))
        pulse.barrier(CONTROL, TARGET)
        pulse.measure(TARGET)
    return program


def vectors(rates: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the Bloch vector that begins at 0 and turns at these rates (MHz), for each time (µs)."""
    size = np.linalg.norm(rates) + 1e-12
    axis, angles = rates / size, 2 * np.pi * size * times[:, None]
    up = np.array([0.0, 0.0, 1.0])
    return up * np.cos(angles) + np.cross(axis, up) * np.sin(angles) + axis * axis[2] * (1 - np.cos(angles))


every = [(width, control, axis) for control in (0, 1) for axis in "xyz" for width in widths]
ones = here.ones([experiment(*one) for one in every], TARGET).reshape(2, 3, -1)
seen = (1 - 2 * ones).transpose(0, 2, 1)

# The flanks count for as long as a flat top of their area.
low = np.exp(-(((rise + 1) / shape.sigma) ** 2) / 2)
area = shape.sigma * np.sqrt(np.pi / 2) * erf(rise / shape.sigma / np.sqrt(2))
flanks = 2 * (area - rise * low) / (1 - low)
times = (widths + flanks) * dt * 1e6


def off(rates: np.ndarray, control: int) -> np.ndarray:
    """Return by how much vectors with these rates miss what was seen."""
    return (vectors(rates, times) - seen[control]).ravel()


starts = [np.array([sign * size, 0.0, 0.05]) for size in np.linspace(0.1, 4.0, 40) for sign in (-1, 1)]
best = [min(starts, key=lambda start: np.sum(off(start, control) ** 2)) for control in (0, 1)]
fits = [least_squares(off, start, args=(control,)) for control, start in enumerate(best)]
rates = [fitted.x for fitted in fits]
spreads = [np.diag(np.linalg.inv(one.jac.T @ one.jac)) * 2 * one.cost / (seen[0].size - 3) for one in fits]
errors = np.sqrt(spreads[0] + spreads[1]) / 2
# The pulses of `cx` turn the target by a quarter of a circle in two halves.
wanted = 1 / (8 * (shape.width + flanks) * dt * 1e6)
for sign, letter in ((-1, "Z"), (1, "I")):
    for place, size in enumerate((rates[0] + sign * rates[1]) / 2):
        name = letter + "XYZ"[place]
        tell(name, size * 1e3, wanted * 1e3 if name == "ZX" else None, "kHz", errors[place] * 1e3)

with picture(
    here,
    "Bloch vectors of the target turn one way or the other with the state of the control",
    "time / µs",
    "Bloch vector of the target",
) as axes:
    if axes is not None:
        fine = np.linspace(times[0], times[-1], 300)
        for control, style in ((0, "-"), (1, "--")):
            curves = vectors(rates[control], fine)
            for place, colour in enumerate(("#0e7490", "#a21caf", "#d97706")):
                label = f"{'xyz'[place]}, control {control}"
                axes.plot(fine, curves[:, place], style, color=colour, label=label, linewidth=1)
                filled = "full" if control == 0 else "none"
                axes.plot(times, seen[control, :, place], "o", markersize=3.5, color=colour, fillstyle=filled)
