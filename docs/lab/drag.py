# SPDX-License-Identifier: Apache-2.0
"""DRAG: which derivative must a short pulse carry so that the third level does not disturb the qubit?

A turn forth and one back leave the qubit where it was, unless the derivative is wrong: then each pair turns it a little
about another axis, and many pairs add up. The best `beta` is where long sequences find no ones.
"""

import numpy as np
from lab import FITTED, MEASURED, bench, fit, picture, tell
from qiskit import pulse

QUBIT, PAIRS = 0, (4, 8, 12)
here = bench("ibmq_manila", shots=2048)
flip = here.gate("x", QUBIT).instructions[0][1].pulse
betas = np.linspace(flip.beta - 3, flip.beta + 3, 25)


def experiment(beta: float, pairs: int) -> pulse.Schedule:
    """Turns forth and back, so many times."""
    with pulse.build(here.device, name=f"drag-{beta:.2f}-{pairs}", default_alignment="sequential") as program:
        line = pulse.drive_channel(QUBIT)
        for _ in range(pairs):
            for angle in (0, np.pi):
                pulse.play(pulse.Drag(flip.duration, abs(flip.amp), flip.sigma, beta, angle=angle), line)
        pulse.measure(QUBIT)
    return program


def valley(beta: np.ndarray, best: float, turn: float, bottom: float) -> np.ndarray:
    """Return the share of ones after pairs that turn by `turn` for each unit of `beta` too much."""
    return bottom + 0.5 * (1 - np.cos(turn * (beta - best)))


ones = here.ones([experiment(beta, pairs) for pairs in PAIRS for beta in betas], QUBIT)
found = []
with picture(here, "DRAG: valleys of different depth have the same lowest point", "beta / dt", "share of ones") as axes:
    for pairs, shares, shade in zip(PAIRS, ones.reshape(len(PAIRS), -1), (0.35, 0.65, 1.0), strict=True):
        (best, turn, bottom), errors = fit(valley, betas, shares, [betas[shares.argmin()], 0.03 * pairs, 0.0])
        tell(f"beta from {pairs} pairs", best, flip.beta, "dt", errors[0])
        if axes is not None:
            fine = np.linspace(betas[0], betas[-1], 300)
            axes.plot(fine, valley(fine, best, turn, bottom), color=FITTED, alpha=shade)
            axes.plot(betas, shares, "o", markersize=4, color=MEASURED, alpha=shade, label=f"{pairs} pairs")
    if axes is not None:
        axes.axvline(flip.beta, color="gray", linestyle=":", label=f"its x: {flip.beta:.2f}")
