# SPDX-License-Identifier: Apache-2.0
"""A device as its documents describe it, in QuTiP: what our engine of pulses is compared with.

Nothing here comes from the engine. The terms of the published Hamiltonian are built as they stand, schedules are read
as clients write them, shapes of pulses are computed from their published formulas, each channel has an oscillator whose
phase is counted from sample to sample, and the equations of motion are integrated step by step with an adaptive
Runge-Kutta method.

Source: Qobj, arXiv:1809.03452, section 3.4 and appendix B; QuTiP 5, arXiv:2412.04705.
"""

import cmath
import dataclasses
import functools
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import qutip
from numpy.typing import NDArray
from scipy.optimize import root

from chandelier.formats.device import DeviceDocument

Json = dict[str, Any]
Complexes = NDArray[np.complex128]

LEVELS: Final = 3
#: Tolerances of the integration; no step is longer than a quarter of a sample.
TIGHT: Final = {"method": "vern7", "atol": 1e-13, "rtol": 1e-11, "nsteps": 10_000_000, "progress_bar": ""}
_STEPS: Final = 4
_NS: Final = 1e-9
_US: Final = 1e-6
_GHZ: Final = 2 * math.pi * 1e9


@dataclasses.dataclass(frozen=True)
class Tone:
    """What sounds on a qubit for some samples: amplitude × exp(-i (phase + frequency × (t - begin))), rad/s."""

    amplitude: complex
    phase: float
    frequency: float
    begin: float


@dataclasses.dataclass
class Oscillator:
    """A channel: what it will play, and where its oscillator stands."""

    qubit: int
    strength: float
    frequency: float
    frame: float = 0.0
    turned: float = 0.0
    since: float = 0.0
    held: complex = 0.0
    pulse: Complexes = dataclasses.field(default_factory=lambda: np.zeros(0, dtype=np.complex128))
    begin: int = 0

    def tone(self, sample: int, time: float) -> Tone:
        """What it plays during a sample."""
        place = sample - self.begin
        value = self.pulse[place] if 0 <= place < len(self.pulse) else self.held
        return Tone(self.strength / 2 * value * cmath.exp(1j * self.frame), self.at(time), self.frequency, time)

    def at(self, time: float) -> float:
        """Phase of the oscillator, rad."""
        return self.turned + self.frequency * (time - self.since)

    def retune(self, frequency: float, time: float) -> None:
        """Change the frequency, rad/s; the phase goes on from where it is."""
        self.turned, self.since, self.frequency = self.at(time), time, frequency


class Device:
    """Some qubits of a device.

    Args:
        document: Its documents.
        qubits: Which of its qubits are simulated, in the order of the tensor product.
        shifts: By how much the frequency of some qubits has moved since the calibration, Hz.
        levels: Of each qubit.
    """

    def __init__(
        self,
        document: DeviceDocument,
        qubits: Sequence[int],
        shifts: dict[int, float] | None = None,
        levels: int = LEVELS,
    ) -> None:
        configuration, properties = document.configuration, document.properties
        hamiltonian = configuration["hamiltonian"]
        self.qubits, self.levels, self.dt = tuple(qubits), levels, configuration["dt"] * _NS
        self.terms: list[str] = hamiltonian["h_str"]
        self.values = {name: value / _NS for name, value in hamiltonian["vars"].items()}
        self.sources = [[(one["q"], one["scale"][0]) for one in mix] for mix in configuration["u_channel_lo"] or []]
        assert document.defaults is not None
        self.oscillators = [frequency * _GHZ for frequency in document.defaults["qubit_freq_est"]]
        self.true = [self.values[f"wq{index}"] + 2 * math.pi * (shifts or {}).get(index, 0.0) for index in self.qubits]
        self.reference = self.true[0]
        self.lower = [self._of(place, qutip.destroy(levels)) for place in range(len(self.qubits))]
        self.number = [lower.dag() * lower for lower in self.lower]
        self.records = properties["qubits"] if properties else None

    def _of(self, place: int, operator: Any) -> Any:
        factors = [qutip.qeye(self.levels)] * len(self.qubits)
        factors[place] = operator
        return qutip.tensor(factors)

    @functools.cached_property
    def resting(self) -> Any:
        """The Hamiltonian without drives, in a frame that turns all qubits with `reference`, rad/s.

        `wq` are the frequencies at which qubits answer while their neighbours rest: those of the oscillators without
        couplings are found such that the energies of the coupled ones are these.
        """
        wanted = np.array(self.true) - self.reference

        def missed(bare: NDArray[np.float64]) -> NDArray[np.float64]:
            energies, states = self._hamiltonian(bare).eigenstates()
            singles = [self._like(states, self._label(place)) for place in range(len(self.qubits))]
            missing: NDArray[np.float64] = (energies[singles] - energies[self._like(states, 0)] - wanted) / 1e6
            return missing

        bare = wanted if len(self.qubits) == 1 else root(missed, wanted).x
        assert np.abs(missed(bare)).max() < 1e-6, "some frequencies are not those of the calibration"
        return self._hamiltonian(bare)

    def _hamiltonian(self, bare: Sequence[float] | NDArray[np.float64]) -> Any:
        total = 0
        for place, qubit in enumerate(self.qubits):
            number = self.number[place]
            total += bare[place] * number + self.values[f"delta{qubit}"] / 2 * (number * number - number)
        for term in self.terms:
            exchange = re.fullmatch(r"(jq\d+q\d+)\*Sp(\d+)\*Sm(\d+)", term)
            if exchange and {int(exchange[2]), int(exchange[3])} <= set(self.qubits):
                up, down = (self.qubits.index(int(exchange[group])) for group in (2, 3))
                product = self.lower[up].dag() * self.lower[down]
                total += self.values[exchange[1]] * (product + product.dag())
        return total

    def _label(self, place: int) -> int:
        """Number of the state in which one qubit is in level 1."""
        return int(self.levels ** (len(self.qubits) - 1 - place))

    @staticmethod
    def _like(states: Sequence[Any], label: int) -> int:
        return int(np.argmax([abs(state.full()[label, 0]) for state in states]))

    @functools.cached_property
    def dressed(self) -> Complexes:
        """The states of the coupled qubits at rest: column k is most like the product state k."""
        _, states = self.resting.eigenstates()
        found = np.zeros((len(states), len(states)), dtype=np.complex128)
        for label in range(len(states)):
            vector = states[self._like(states, label)].full()[:, 0]
            found[:, label] = vector * abs(vector[label]) / vector[label]
        return found

    def jumps(self) -> list[Any]:
        """How the qubits relax: a level n decays at n / T1, each level by itself, and loses phase as T2 says."""
        assert self.records is not None
        found = []
        for place, qubit in enumerate(self.qubits):
            times = {one["name"]: one["value"] * _US for one in self.records[qubit] if one["name"] in {"T1", "T2"}}
            t2 = min(times["T2"], 2 * times["T1"])
            for level in range(1, self.levels):
                decay = qutip.basis(self.levels, level - 1) * qutip.basis(self.levels, level).dag()
                found.append(math.sqrt(level / times["T1"]) * self._of(place, decay))
            dephasing = 1 / t2 - 1 / (2 * times["T1"])
            if dephasing > 0:
                found.append(math.sqrt(2 * dephasing) * self.number[place])
        return found

    def channels(self, tuned: dict[int, float] | None = None) -> dict[str, Oscillator]:
        """The channels that drive these qubits.

        Args:
            tuned: Local oscillators that a program sets, Hz.
        """
        local = [
            2 * math.pi * (tuned or {}).get(index, frequency / (2 * math.pi))
            for index, frequency in enumerate(self.oscillators)
        ]
        found = {}
        for qubit in self.qubits:
            found[f"d{qubit}"] = Oscillator(qubit, self.values[f"omegad{qubit}"], local[qubit])
        for term in self.terms:
            control = re.fullmatch(r"(omegad\d+)\*X(\d+)\|\|U(\d+)", term)
            if control and int(control[2]) in self.qubits:
                frequency = sum(scale * local[index] for index, scale in self.sources[int(control[3])])
                found[f"u{control[3]}"] = Oscillator(int(control[2]), self.values[control[1]], frequency)
        return found

    def segments(
        self, schedule: Sequence[Json], duration: int, tuned: dict[int, float] | None = None
    ) -> Iterator[tuple[int, int, list[list[Tone]]]]:
        """Cut a schedule into times in which every amplitude stays what it is.

        Yields:
            The first sample, the one after the last, and for each qubit what sounds.
        """
        channels = self.channels(tuned)
        order = sorted(schedule, key=lambda one: (one["t0"], "pulse" in one["name"]))
        marks = {0, duration, *(one["t0"] for one in order)}
        waiting = [one for one in order if one.get("ch") in channels]
        playing = [(one["t0"], shape(one)) for one in waiting if "pulse" in one["name"]]
        for begin, samples in playing:
            changes = np.flatnonzero(np.diff(samples)) + 1
            marks |= {begin, begin + len(samples), *(begin + changes).tolist()}
        marks = {mark for mark in marks if mark <= duration}
        for first, last in itertools.pairwise(sorted(marks)):
            while waiting and waiting[0]["t0"] <= first:
                one = waiting.pop(0)
                apply(one, channels[one["ch"]], first * self.dt)
            sounding: list[list[Tone]] = [[] for _ in self.qubits]
            for channel in channels.values():
                tone = channel.tone(first, first * self.dt)
                if tone.amplitude:
                    sounding[self.qubits.index(channel.qubit)].append(tone)
            yield first, last, sounding

    def evolution(self, state: Any, schedule: Sequence[Json], duration: int, **options: Any) -> Any:
        """Integrate the equations of motion.

        Args:
            state: A ket, an operator on which kets stand side by side, or a density matrix with `relaxing`.
            schedule: Instructions as in a Qobj.
            duration: dt.
            options: `relaxing`: whether the qubits relax; `tuned`: as of `channels`.
        """
        relaxing = options.pop("relaxing", False)
        jumps = self.jumps() if relaxing else []
        driven = qutip.QobjEvo(self._driven(), args={"sounding": [[] for _ in self.qubits]})
        settings = {**TIGHT, "max_step": self.dt / _STEPS}
        solver = qutip.MESolver(driven, jumps, options=settings) if jumps else qutip.SESolver(driven, options=settings)
        for first, last, sounding in self.segments(schedule, duration, options.pop("tuned", None)):
            if not any(sounding):
                state = self.rested(state, (last - first) * self.dt, jumps)
                continue
            solver.start(state, first * self.dt)
            state = solver.step(last * self.dt, args={"sounding": sounding}, copy=True)
        return state

    def _driven(self) -> list[Any]:
        parts: list[Any] = [self.resting]
        for place, lower in enumerate(self.lower):

            def up(t: float, sounding: list[list[Tone]], place: int = place) -> complex:
                return sum(
                    (
                        one.amplitude
                        * cmath.exp(1j * (self.reference * t - one.phase - one.frequency * (t - one.begin)))
                        for one in sounding[place]
                    ),
                    start=0j,
                )

            def down(t: float, sounding: list[list[Tone]], place: int = place) -> complex:
                return up(t, sounding, place).conjugate()

            parts += [[lower.dag(), up], [lower, down]]
        return parts

    def rested(self, state: Any, seconds: float, jumps: Sequence[Any] = ()) -> Any:
        """What a time without drives does."""
        if jumps:
            return qutip.vector_to_operator(
                (qutip.liouvillian(self.resting, jumps) * seconds).expm() * qutip.operator_to_vector(state)
            )
        return (-1j * seconds * self.resting).expm() * state

    def ground(self) -> Any:
        """The ket of all qubits at rest."""
        return qutip.tensor([qutip.basis(self.levels, 0)] * len(self.qubits))

    def seen(self, matrix: Any, duration: int) -> Complexes:
        """Kets, or kets side by side, as the dressed states see them, each qubit in a frame of its own frequency."""
        turning = sum(
            (frequency - self.reference) * number for frequency, number in zip(self.true, self.number, strict=True)
        )
        phases = np.exp(1j * np.diag(turning.full()).real * duration * self.dt)
        found: Complexes = phases[:, None] * (self.dressed.conj().T @ matrix.full())
        return found

    def seen_mixed(self, state: Any, duration: int) -> Complexes:
        """A density matrix, as `seen`."""
        half = self.seen(state, duration)
        return self.seen(qutip.Qobj(half.conj().T), duration).conj().T

    def unitary(self, schedule: Sequence[Json], duration: int, tuned: dict[int, float] | None = None) -> Complexes:
        """What a schedule does to the computational states: a column for each, in the basis of `seen`."""
        unit = qutip.qeye([self.levels] * len(self.qubits))
        whole = self.evolution(unit, schedule, duration, tuned=tuned)
        size = self.levels ** len(self.qubits)
        digits = np.indices((self.levels,) * len(self.qubits)).reshape(len(self.qubits), size)
        columns: Complexes = self.seen(whole, duration) @ self.dressed
        return columns[:, (digits < 2).all(axis=0)]


def apply(one: Json, channel: Oscillator, time: float) -> None:
    """Let a channel begin an instruction."""
    name = one["name"]
    if name == "fc":
        channel.frame += one["phase"]
    elif name == "setp":
        channel.frame = one["phase"]
    elif name == "setf":
        channel.retune(one["frequency"] * _GHZ, time)
    elif name == "shiftf":
        channel.retune(channel.frequency + one["frequency"] * _GHZ, time)
    elif name == "pv":
        channel.held = complex(*one["val"])
    elif name == "parametric_pulse":
        channel.pulse, channel.begin, channel.held = shape(one), one["t0"], 0.0
    elif name not in {"delay", "acquire"}:
        raise ValueError(name)


def shape(one: Json) -> Complexes:
    """Samples of a pulse, taken in the middle of each.

    Source: the documentation of `Gaussian`, `GaussianSquare`, `Drag` and `Constant` in `qiskit.pulse.library`.
    """
    given = one["parameters"]
    length = given["duration"]
    amplitude = complex(*given["amp"])
    middle = np.arange(length) + 0.5
    if one["pulse_shape"] == "constant":
        return np.full(length, amplitude)
    sigma = given["sigma"]
    if one["pulse_shape"] == "gaussian_square":
        flat, edge = given["width"], (length - given["width"]) / 2
        away = np.maximum(0.0, np.abs(middle - length / 2) - flat / 2)
        return (amplitude * lifted(away, edge + 1, sigma)).astype(np.complex128)
    bell = lifted(middle - length / 2, length / 2 + 1, sigma)
    if one["pulse_shape"] == "gaussian":
        return (amplitude * bell).astype(np.complex128)
    slope = -(middle - length / 2) / sigma**2 * bell
    dragged: Complexes = amplitude * (bell + 1j * given["beta"] * slope)
    return dragged


def lifted(away: NDArray[np.float64], zero: float, sigma: float) -> NDArray[np.float64]:
    """A Gaussian, lowered so that it is 0 at some distance from its middle, and stretched so that it is 1 there."""
    floor = math.exp(-((zero / sigma) ** 2) / 2)
    bell: NDArray[np.float64] = (np.exp(-((away / sigma) ** 2) / 2) - floor) / (1 - floor)
    return bell
