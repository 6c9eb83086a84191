# SPDX-License-Identifier: Apache-2.0
"""A schedule as the device plays it: tones with their frequencies and phases, measurements, looks at the state.

Turns of frames and changes of frequencies are worked into the tones: a tone of frequency w and samples d drives its
qubit with Re[d(t) exp(-i w t)], where t counts from the beginning of the schedule. A change of frequency leaves the
phase of the oscillator as it is at that moment.

Source: legacy API reference, section 12.3.
"""

import dataclasses
import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chandelier.engines.pulses import steps
from chandelier.engines.pulses.model import Model

#: Channels whose pulses drive no qubit: they read one out.
_SILENT: Final = "ma"


@dataclasses.dataclass(frozen=True, eq=False)
class Tone:
    """A pulse on a qubit.

    Attributes:
        channel: Where it is played.
        begin: First sample, dt.
        samples: complex128, shape (duration,), with the phase of its frame; it may be a view of one value, and may be
            shared by equal pulses.
        frequency: rad/s.
    """

    channel: str
    begin: int
    samples: NDArray[np.complex128]
    frequency: float

    @property
    def end(self) -> int:
        """The sample after its last, dt."""
        return self.begin + len(self.samples)


def spans(tones: Iterable[Tone], begin: int, edges: Iterable[int]) -> Iterator[tuple[int, int, tuple[Tone, ...]]]:
    """Cut time where a tone begins or ends, and at some edges; the last edge is the end.

    Args:
        tones: In any order.
        begin: dt; what sounds before is left out.
        edges: dt.

    Yields:
        Beginning and end of each span, and what sounds in it.
    """
    marks = {begin, *edges}
    end = max(marks)
    waiting = sorted((tone for tone in tones if tone.begin < end and tone.end > begin), key=lambda tone: tone.begin)
    cuts = sorted({*marks, *(cut for tone in waiting for cut in (tone.begin, tone.end) if begin < cut < end)})
    sounding: list[Tone] = []
    place = 0
    for first, last in itertools.pairwise(cuts):
        while place < len(waiting) and waiting[place].begin <= first:
            sounding.append(waiting[place])
            place += 1
        sounding = [tone for tone in sounding if tone.end > first]
        yield first, last, tuple(sounding)


def content(samples: NDArray[np.complex128]) -> bytes:
    """Name samples by what they are: short, whatever their number."""
    if is_even(samples):
        return samples[:1].tobytes() + len(samples).to_bytes(8, "little")
    return hashlib.blake2b(samples.tobytes(), digest_size=24).digest()


def is_even(samples: NDArray[np.complex128]) -> bool:
    """Whether samples are a view of one value, which may last for long."""
    return samples.strides == (0,)


def scaled(samples: NDArray[np.complex128], factor: complex) -> NDArray[np.complex128]:
    """Multiply samples; those that are all equal become a view of one value."""
    if not is_even(samples) and len(samples) and (samples == samples[0]).all():
        samples = np.broadcast_to(samples[0], samples.shape)
    if is_even(samples):
        return np.broadcast_to(samples[0] * factor, samples.shape)
    multiplied: NDArray[np.complex128] = samples * factor
    return multiplied


@dataclasses.dataclass(frozen=True, eq=False)
class Timeline:
    """A schedule.

    Attributes:
        tones: In order of their beginnings.
        acquisitions: In order of their beginnings.
        snapshots: Looks at the state, in order.
        functions: What is done with registers, in order.
        frames: Phase of each channel at the end, where a frame was turned, radians.
        duration: When the last step ends, dt.
    """

    tones: tuple[Tone, ...]
    acquisitions: tuple[steps.Acquire, ...]
    snapshots: tuple[steps.Snapshot, ...]
    functions: tuple[steps.Function | steps.Copy, ...]
    frames: dict[str, float]
    duration: int


@dataclasses.dataclass
class _Voice:
    """A channel on the way through a schedule.

    Attributes:
        phase: Of its frame, radians; the part that keeps a changed frequency without a jump is in `slip`.
        frequency: rad/s.
        held: Since when it holds a value, and which.
    """

    frequency: float
    phase: float = 0.0
    slip: float = 0.0
    held: tuple[int, complex] | None = None


class Shared:
    """Samples with the phase of their frame, made once for equal pulses in equal frames."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, complex], NDArray[np.complex128]] = {}
        self._names: dict[int, bytes] = {}
        #: What is named by its identity must stay.
        self._kept: list[NDArray[np.complex128]] = []
        self.held = 0

    def scaled(self, samples: NDArray[np.complex128], factor: complex) -> NDArray[np.complex128]:
        """Multiply samples, as `scaled` does."""
        key = (id(samples), factor)
        if key not in self._made:
            self._made[key] = made = scaled(samples, factor)
            self._kept += [samples, made]
            self.held += 0 if is_even(made) else made.nbytes
        return self._made[key]

    def content(self, samples: NDArray[np.complex128]) -> bytes:
        """Name samples by what they are, as `content` does."""
        key = id(samples)
        if key not in self._names:
            self._names[key] = content(samples)
            self._kept.append(samples)
        return self._names[key]


def lay(
    schedule: Iterable[steps.Step], model: Model, oscillators: tuple[float, ...], shared: Shared | None = None
) -> Timeline:
    """Lay out a schedule.

    At equal times what takes no time comes first, so that a turned frame counts for the pulse that begins with it.

    Args:
        schedule: Steps in any order of time; those of one time and one channel in the order they are meant.
        model: The device.
        oscillators: Frequencies of the local oscillators of the qubits, Hz.
        shared: Samples of other schedules of the same program.
    """
    shared = shared or Shared()
    ordered = sorted(schedule, key=lambda step: (step.t0, step.duration > 0))
    end = max((step.t0 + step.duration for step in ordered), default=0)
    voices: dict[str, _Voice] = {}
    tones: list[Tone] = []
    for step in ordered:
        if isinstance(step, steps.Play | steps.Hold | steps.Phase | steps.Frequency) and step.channel[0] not in _SILENT:
            voice = voices.get(step.channel)
            if voice is None:
                voice = voices[step.channel] = _Voice(model.frequency(step.channel, oscillators))
            tones += _played(step, voice, model.dt, shared)
    for name, voice in voices.items():
        tones += _held(voice, name, end)
    return Timeline(
        tones=tuple(sorted((tone for tone in tones if _sounds(tone)), key=lambda tone: tone.begin)),
        acquisitions=tuple(step for step in ordered if isinstance(step, steps.Acquire)),
        snapshots=tuple(step for step in ordered if isinstance(step, steps.Snapshot)),
        functions=tuple(step for step in ordered if isinstance(step, steps.Function | steps.Copy)),
        frames={name: voice.phase for name, voice in voices.items() if voice.phase},
        duration=end,
    )


def _played(
    step: steps.Play | steps.Hold | steps.Phase | steps.Frequency, voice: _Voice, dt: float, shared: Shared
) -> Sequence[Tone]:
    """Let a channel do one step; return what it sounds."""
    before = _held(voice, step.channel, step.t0)
    if isinstance(step, steps.Phase):
        voice.phase = step.phase if step.absolute else voice.phase + step.phase
        return before
    if isinstance(step, steps.Frequency):
        wanted = 2 * math.pi * step.frequency + (0.0 if step.absolute else voice.frequency)
        voice.slip += (wanted - voice.frequency) * step.t0 * dt
        voice.frequency = wanted
        return before
    voice.held = (step.t0, step.value) if isinstance(step, steps.Hold) else None
    if isinstance(step, steps.Hold):
        return before
    return [*before, Tone(step.channel, step.t0, shared.scaled(step.samples, _turn(voice)), voice.frequency)]


def _held(voice: _Voice, channel: str, end: int) -> list[Tone]:
    """The tone of a value that was held until now, if there was one. It is held on: what follows may turn it."""
    if voice.held is None or voice.held[0] == end:
        return []
    begin, value = voice.held
    voice.held = (end, value)
    turned = np.complex128(value * _turn(voice))
    return [Tone(channel, begin, np.broadcast_to(turned, (end - begin,)), voice.frequency)]


def _sounds(tone: Tone) -> bool:
    return bool((tone.samples[:1] if is_even(tone.samples) else tone.samples).any())


def _turn(voice: _Voice) -> complex:
    return complex(np.exp(1j * (voice.phase + voice.slip)))
