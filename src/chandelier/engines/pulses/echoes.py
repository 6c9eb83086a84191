# SPDX-License-Identifier: Apache-2.0
"""Echoed cross resonances: what the pulses of a CX do to two coupled qubits, for many amplitudes in little time.

Only the two tones change while amplitudes are fitted, the second pair of them undoes the first up to the sign of both,
and most of a tone is one sample repeated, so that a fraction of the samples needs to be computed.

Source: S. Sheldon et al., Phys. Rev. A 93, 060302 (2016); legacy API reference, section 11.
"""

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chandelier.engines.pulses import clusters, fitting, propagation, singles, waveforms
from chandelier.engines.pulses.clusters import Cluster
from chandelier.engines.pulses.fitting import Matrix
from chandelier.engines.pulses.model import LEVELS, Model
from chandelier.engines.pulses.timeline import Tone
from chandelier.formats import tunings

#: CX with the first qubit, the more significant one, as its control.
CX: Final[Matrix] = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], dtype=np.complex128)


@dataclasses.dataclass(frozen=True)
class Shape:
    """All of an echo but its amplitudes.

    Attributes:
        control: Index of the qubit.
        target: Index of the qubit.
        channel: Number of the control channel.
        duration: Of one tone, dt.
        sigma: Of its edges, dt.
        width: Of its square, dt.
    """

    control: int
    target: int
    channel: int
    duration: int
    sigma: float
    width: int


@dataclasses.dataclass(frozen=True, eq=False)
class Echo:
    """A CX of two qubits whose tones have no amplitudes yet.

    Attributes:
        shape: Of its tones.
        cluster: Both qubits.
        envelope: complex128: a tone of amplitude 1 in which the repeated sample is there once.
        frame: Frequency of both tones, rad/s.
        before: What comes before the first tones, into the frame of the tones.
        between: The same of what comes between them.
        after: From the frame of the tones to the dressed states at rest, as `propagation.unitary` has them.
        order: Places of all states: first the four of two levels each, the control more significant, then the others.
    """

    shape: Shape
    cluster: Cluster
    envelope: NDArray[np.complex128]
    frame: float
    before: Matrix
    between: Matrix
    after: Matrix
    order: NDArray[np.int64]

    def made(self, amp: complex, cancel: complex) -> Matrix:
        """What all pulses make of the lowest levels of both qubits, without turns at the end. Shape (states, 4)."""
        tone = self._tone(amp, cancel)
        sign = 1.0 - 2.0 * (self.cluster.excitations % 2)
        other = sign[:, None] * tone * sign
        whole = self.after @ other @ self.between @ tone @ self.before
        found: Matrix = whole[np.ix_(self.order, self.order[:4])]
        return found

    def _tone(self, amp: complex, cancel: complex) -> Matrix:
        """What one pair of tones does in the frame of both."""
        model, edge = self.cluster.model, (len(self.envelope) - 1) // 2
        amplitudes = {f"u{self.shape.channel}": amp, f"d{self.shape.target}": cancel}
        voices = tuple(
            propagation.Voice(
                self.cluster.qubits.index(model.channels[name].qubit),
                self.envelope * (amplitude * model.channels[name].strength / 2),
                0.0,
            )
            for name, amplitude in amplitudes.items()
        )
        product = np.eye(self.cluster.states, dtype=np.complex128)
        for first, last, repeated in ((0, edge, 1), (edge, edge + 1, self.shape.width), (edge + 1, 2 * edge + 1, 1)):
            cut = tuple(dataclasses.replace(voice, samples=voice.samples[first:last]) for voice in voices)
            stretch = propagation.Stretch(first, last, self.frame, cut)
            chunks = propagation.chunks(self.cluster, stretch)
            once = propagation.products(chunks, len(chunks))[0]
            product = np.linalg.matrix_power(once, repeated) @ product
        return product


def sound(model: Model, shape: Shape, qubits: dict[int, tunings.Qubit]) -> Echo:
    """Compute all of a CX that does not depend on the amplitudes of its tones."""
    control, target = qubits[shape.control], qubits[shape.target]
    cluster = clusters.form(model, tuple(sorted((shape.control, shape.target))))
    frame = model.frequency(f"d{shape.target}", model.oscillators)
    begin = max(control.x.duration, target.sx.duration)
    turn = begin + shape.duration
    again = turn + control.x.duration
    first = [singles.tone(model, shape.control, 0, control.x), singles.tone(model, shape.target, 0, target.sx)]
    before = _passed(cluster, first, 0, begin) @ cluster.dressed
    between = _passed(cluster, [singles.tone(model, shape.control, turn, control.x)], turn, again)
    end = again + shape.duration
    rested = np.exp(1j * propagation.at_rest(cluster) * end * model.dt)
    entered, left = (_into(cluster, frame, time) for time in (begin, end))
    leaving, entering = (_into(cluster, frame, time) for time in (turn, again))
    digit = {qubit: place for place, qubit in enumerate(cluster.qubits)}
    unit = [LEVELS ** (1 - digit[qubit]) for qubit in (shape.control, shape.target)]
    within = (0, unit[1], unit[0], sum(unit))
    parameters = {"duration": shape.duration - shape.width + 1, "sigma": shape.sigma, "width": 1, "amp": 1.0}
    return Echo(
        shape=shape,
        cluster=cluster,
        envelope=waveforms.samples("gaussian_square", parameters),
        frame=frame,
        before=entered[:, None] * before,
        between=entering[:, None] * between * leaving.conj(),
        after=rested[:, None] * (cluster.dressed.conj().T * left.conj()),
        order=np.array([*within, *(place for place in range(cluster.states) if place not in within)]),
    )


def _passed(cluster: Cluster, tones: list[Tone], begin: int, end: int) -> Matrix:
    """What some tones do between two times, in the frame of the cluster."""
    total = np.eye(cluster.states, dtype=np.complex128)
    for stretch in propagation.stretches(cluster, tones, begin, [end]):
        if stretch.begin >= begin:
            total = propagation.moved(cluster, stretch, total)
    return total


def _into(cluster: Cluster, frame: float, time: int) -> NDArray[np.complex128]:
    """Phases that bring states from the frame of the cluster into that of the tones at some time, dt."""
    stretch = propagation.Stretch(time, time, frame, ())
    return propagation.frames(cluster, stretch)[0]


def tuned(echo: Echo, amp: complex, cancel: complex) -> tunings.Pair:
    """Put down what an echo with some amplitudes is, with the best turns after it."""
    made, shape = echo.made(amp, cancel), echo.shape
    turns = fitting.best_turns(made, CX)
    return tunings.Pair(
        control=shape.control,
        target=shape.target,
        channel=shape.channel,
        duration=shape.duration,
        sigma=float(shape.sigma),
        width=float(shape.width),
        amp=(amp.real, amp.imag),
        cancel=(cancel.real, cancel.imag),
        turns=turns,
        error=1.0 - fitting.fidelity(fitting.turned(made, turns), CX),
        leak=fitting.leak(made),
    )
