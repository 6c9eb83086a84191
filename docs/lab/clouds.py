# SPDX-License-Identifier: Apache-2.0
"""Readout clouds: where in the plane lie the shots of states 0, 1 and 2, and how well can they be told apart?

State 2 is reached through state 1 by a pulse at the frequency of the second step up, which is lower than that of the
first by the anharmonicity. A discriminator is trained on one half of the shots and judged on the other.
"""

import numpy as np
from lab import bench, fit, picture, tell
from qiskit import pulse

QUBIT = 0
here = bench("ibmq_manila", shots=2000, needs=("anharmonicity", "prob_meas1_prep0", "prob_meas0_prep1"))
known = here.device.properties()
flip = here.gate("x", QUBIT).instructions[0][1].pulse
anharmonicity = known.qubit_property(QUBIT, "anharmonicity")[0]
line = pulse.DriveChannel(QUBIT)


def experiment(state: int, amplitude: float) -> pulse.Schedule:
    """Prepare a state, measure."""
    with pulse.build(here.device, name=f"state-{state}-{amplitude:.3f}", default_alignment="sequential") as program:
        if state > 0:
            pulse.call(here.gate("x", QUBIT))
        if state > 1:
            pulse.shift_frequency(anharmonicity, line)
            pulse.play(pulse.Gaussian(flip.duration, amplitude, flip.sigma), line)
        pulse.measure(QUBIT)
    return program


def wave(amplitude: np.ndarray, half: float, height: float, middle: float) -> np.ndarray:
    """Return the signal after a pulse; `half` is the amplitude that turns by half a circle."""
    return middle + height * np.cos(np.pi * amplitude / half)


def chance(count: np.ndarray, of: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of counts in so many shots, and its standard error, which is that of one shot if none was."""
    share = count / of
    return share, np.maximum(np.sqrt(share * (1 - share) / of), 1 / of)


# How strong must the second step be? The matrix element is larger by the square root of 2.
amplitudes = np.linspace(0, min(1.0, 2 * abs(flip.amp)), 25)
averages = here.run([experiment(2, amplitude) for amplitude in amplitudes], meas_level=1, meas_return="avg")
points = np.array([averages.get_memory(number)[0] for number in range(len(amplitudes))])
across = points - points.mean()
signal = (across * np.exp(-0.5j * np.angle(np.sum(across**2)))).real
signal *= np.sign(signal[0]) / np.abs(signal).max()
expected = abs(flip.amp) / np.sqrt(2)
(half, *_), errors = fit(wave, amplitudes, signal, [expected, 1.0, 0.0])
tell("pi amplitude from 1 to 2", half, expected, error=errors[0])

shots = here.run([experiment(state, half) for state in range(3)], meas_level=1, meas_return="single")
clouds = [shots.get_memory(state)[:, 0] for state in range(3)]
trained, judged = zip(*((cloud[::2], cloud[1::2]) for cloud in clouds), strict=True)
centres = np.array([np.median(cloud.real) + 1j * np.median(cloud.imag) for cloud in trained])

counts = np.array([np.bincount(np.abs(cloud[:, None] - centres).argmin(1), minlength=3) for cloud in judged])
for state, row in enumerate(counts):
    found = ", ".join(f"{share:.3f} +- {error:.2g}" for share, error in zip(*chance(row, row.sum()), strict=True))
    print(f"prepared {state}, found 0, 1, 2: {found}")  # noqa: T201
share, error = chance(counts[2, 2], counts[2].sum())
tell("2 told from 0 and 1", share, error=error)
two = [np.abs(cloud[:, None] - centres[:2]).argmin(1) for cloud in judged]
for name, wrong, published in (
    ("1 read after 0", two[0] == 1, "prob_meas1_prep0"),
    ("0 read after 1", two[1] == 0, "prob_meas0_prep1"),
):
    share, error = chance(wrong.sum(), wrong.size)
    tell(name, share, known.qubit_property(QUBIT, published)[0], error=error)

with picture(here, "Three clouds of points, one for each state", "in phase / 10⁶", "in quadrature / 10⁶") as axes:
    if axes is not None:
        for state, (cloud, colour) in enumerate(zip(clouds, ("#0e7490", "#a21caf", "#d97706"), strict=True)):
            some = cloud[:600] / 1e6
            axes.plot(some.real, some.imag, ".", markersize=3, alpha=0.4, color=colour, label=f"prepared {state}")
        axes.plot(centres.real / 1e6, centres.imag / 1e6, "+", markersize=14, color="black", label="centres")
        axes.set_aspect("equal")
