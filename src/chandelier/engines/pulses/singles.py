# SPDX-License-Identifier: Apache-2.0
"""DRAG pulses that turn one qubit by π or by half of that.

Source: F. Motzoi et al., Phys. Rev. Lett. 103, 110501 (2009).
"""

import cmath
import dataclasses
import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chandelier.engines.pulses import clusters, fitting, propagation, waveforms
from chandelier.engines.pulses.clusters import Cluster
from chandelier.engines.pulses.fitting import Matrix
from chandelier.engines.pulses.model import Model
from chandelier.engines.pulses.timeline import Tone
from chandelier.formats import tunings

#: The gates, and how much of a turn by π they are.
WANTED: Final[dict[str, tuple[Matrix, float]]] = {
    "x": (np.array([[0, 1], [1, 0]], dtype=np.complex128), 1.0),
    "sx": (np.array([[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]]), 0.5),
}
#: Steps of a fit.
_STEPS: Final = 25


@dataclasses.dataclass(frozen=True, eq=False)
class _Family:
    """Pulses of one length on one qubit.

    Attributes:
        unit: Amplitude of a Gaussian that turns by π.
    """

    cluster: Cluster
    duration: int
    unit: float

    def pulse(self, values: Sequence[float]) -> tunings.Drag:
        """Of an amplitude in units of `unit`, a beta, and an angle; without one for a pulse along x."""
        amp = cmath.rect(self.unit * values[0], values[2] if len(values) > 2 else 0.0)
        return tunings.Drag(self.duration, self.duration / 4, (amp.real, amp.imag), values[1])

    def made(self, values: Sequence[float]) -> Matrix:
        """What a pulse makes of both levels of the qubit. Shape (states, 2)."""
        whole = propagation.unitary(
            self.cluster, [tone(self.cluster.model, self._qubit, 0, self.pulse(values))], self.duration
        )
        return whole[:, :2]

    @property
    def _qubit(self) -> int:
        return self.cluster.qubits[0]


def fitted(
    model: Model, index: int, gate: str, duration: int, known: tunings.Drag | None
) -> tuple[tunings.Drag, float]:
    """Find the pulse of a gate.

    The angle of a pulse by π is left out: it would turn the axis, and the frame with it.

    Args:
        model: The device.
        index: Of the qubit.
        gate: A key of `WANTED`.
        duration: dt.
        known: A pulse to begin with.

    Returns:
        The pulse, and its infidelity.
    """
    area = float(samples(tunings.Drag(duration, duration / 4, (1.0, 0.0), 0.0)).real.sum())
    unit = math.pi / (model.channels[f"d{index}"].strength * area * model.dt)
    family = _Family(clusters.form(model, (index,)), duration, unit)
    wanted, part = WANTED[gate]
    start = [part, 1 / (2 * abs(model.anharmonicities[index]) * model.dt), 0.0]
    if known is not None and known.duration == duration:
        amp = complex(*known.amp)
        start = [abs(amp) / unit, known.beta, cmath.phase(amp)]
    best = fitting.nearest(
        lambda at: fitting.distance(family.made(at.tolist()), wanted),
        start[:2] if gate == "x" else start,
        most=_STEPS,
    ).tolist()
    return family.pulse(best), 1.0 - fitting.fidelity(family.made(best), wanted)


def tone(model: Model, qubit: int, begin: int, pulse: tunings.Drag) -> Tone:
    """A pulse on the drive channel of a qubit, at its frequency."""
    return Tone(f"d{qubit}", begin, samples(pulse), model.frequency(f"d{qubit}", model.oscillators))


def samples(pulse: tunings.Drag) -> NDArray[np.complex128]:
    """The samples of a pulse on one qubit."""
    parameters = {"duration": pulse.duration, "sigma": pulse.sigma, "amp": list(pulse.amp), "beta": pulse.beta}
    return waveforms.samples("drag", parameters)
