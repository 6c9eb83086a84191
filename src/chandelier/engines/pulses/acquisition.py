# SPDX-License-Identifier: Apache-2.0
"""What an acquisition shows of levels 0, 1 and 2 of its qubits: bits, points in the plane, or samples over time.

Every shot of an acquisition is one point, drawn from the clouds of its qubit. A bit (measurement level 2) is the side
of the line on which the point (level 1) lies, and the mean of the samples (level 0) is that point again. So the three
levels of one seed tell of the same shots.

Clouds are as wide as published errors want them for the published length of a measurement. Over another length the
noise of the mean changes as one over the square root of that length, and more or fewer shots of 1 relax on the way; the
line that tells 0 from 1 stays where it is, for that is how the device was set up.

Source: legacy API reference, section 12.4, for the shapes; J. Gambetta et al., arXiv:cond-mat/0701078, for the noise of
a boxcar filter and the relaxation during a measurement.
"""

import collections
import math
from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chandelier.engines import readout, sampling
from chandelier.engines import target as targets
from chandelier.formats import qobj, results

#: Samples of a slot at level 0 where the program does not say.
SAMPLES: Final = 100
#: Time in which the signal of a resonator rises to 1 - 1/e, s.
RISE: Final = 100e-9
#: No acquisition is shorter than this, s: noise without bound would not be a number.
SHORTEST: Final = 1e-9
#: Steps between the numbers of points and samples, per unit.
_STEPS: Final = 10
#: The cloud in which a lost shot of 0, 1 or 2 ends up.
_ELSEWHERE: Final = np.array([1, 0, 1], dtype=np.uint8)
#: Samples that are made at once.
_CHUNK: Final = 1 << 18

#: Size of a point that was measured, in the result, bytes; those of slots that nothing is measured into are smaller.
POINT_WRITTEN: Final = 20
#: Size of a word of the memory in the result without its digits, bytes: `"0x",`.
WORD_WRITTEN: Final = 5
#: Memory for a shot of one look, for the word of a shot, and for the samples that are made at once, bytes.
SHOT_HELD: Final = 32
WORD_HELD: Final = 128
CHUNK_HELD: Final = 80 * _CHUNK
#: Time to draw a shot of one look, to count a shot, to write a point, and to draw a sample and write it, s.
DRAW: Final = 80e-9
COUNT: Final = 0.3e-6
#: Time to put a bit of a word of the memory in its place, s.
PLACE: Final = 0.8e-6
WRITE: Final = 1.2e-6
SAMPLE: Final = 0.7e-6
#: More bits than this have more values than there are shots.
_MANY: Final = 60


class Look(NamedTuple):
    """One qubit in one acquisition.

    Attributes:
        qubit: Its index.
        slot: Memory slot that shows it; None if none does.
        seconds: Length of the acquisition, s; None for the published one.
    """

    qubit: int
    slot: int | None
    seconds: float | None = None


class Seen(NamedTuple):
    """The shots of some acquisitions.

    Attributes:
        looks: What was looked at.
        landed: uint8, shape (shots, looks): number of the cloud that a shot's point is in.
        points: complex128, shape (shots, looks), arbitrary units, rounded as results show them.
        bits: bool, shape (shots, looks): the points, told apart.
    """

    looks: tuple[Look, ...]
    landed: NDArray[np.uint8]
    points: NDArray[np.complex128]
    bits: NDArray[np.bool_]


class Size(NamedTuple):
    """What an experiment's shots are going to take.

    Attributes:
        written: In the result, bytes; the real size is rarely smaller.
        held: In memory, bytes.
        seconds: To draw and write them, s.
    """

    written: int
    held: int
    seconds: float


class _Signal(NamedTuple):
    """The clouds of a look: centres complex128 (3,); chances of being lost float64 (3,); standard deviation."""

    clouds: readout.Clouds
    centres: NDArray[np.complex128]
    lost: NDArray[np.float64]
    width: float


def _signal(look: Look, target: targets.Target) -> _Signal:
    """Find the clouds of an acquisition of a given length; at the published length those of the published errors.

    A shot that relaxes before the middle of the acquisition counts as one of the lower level. The published errors
    contain that for the published length, so that only the difference matters.
    """
    data = target.qubits[look.qubit] if target.qubits else None
    where = readout.clouds(target.name, look.qubit, data)
    width, (up, down), lower = where.width, where.lost, 0.0
    if data is not None:
        published = data.readout_length
        seconds = published if look.seconds is None else max(look.seconds, SHORTEST)
        lower = -math.expm1(-seconds / data.t1)  # level 2 relaxes twice as fast as level 1
        if published:
            width *= math.sqrt(published / seconds)
            down = max(1 - (1 - down) * math.exp((published - seconds) / (2 * data.t1)), 0.0)
    return _Signal(where, np.array([*where.centres, where.third]), np.array([up, down, lower]), width)


def seen(rng: np.random.Generator, levels: NDArray[np.uint8], looks: Sequence[Look], target: targets.Target) -> Seen:
    """Draw a point for each shot and look, and tell 0 from 1.

    Args:
        rng: Source of randomness.
        levels: uint8, shape (shots, looks): 0, 1 or 2, what a perfect measurement would find.
        looks: In the order of time; a qubit may be looked at more than once.
        target: The device, or an ideal simulator, whose clouds do not overlap.
    """
    shots = len(levels)
    landed = np.empty((shots, len(looks)), dtype=np.uint8)
    points = np.empty((shots, len(looks)), dtype=np.complex128)
    bits = np.empty((shots, len(looks)), dtype=np.bool_)
    for column, look in enumerate(looks):
        signal, true = _signal(look, target), levels[:, column]
        cloud = np.where(rng.random(shots) < signal.lost[true], _ELSEWHERE[true], true)
        noise = rng.standard_normal((shots, 2)).view(np.complex128)[:, 0]
        landed[:, column] = cloud
        # What is decided on is what is shown: a point on the line must not be told apart in another way.
        points[:, column] = (signal.centres[cloud] + signal.width * noise).round(1)
        bits[:, column] = readout.discriminated(points[:, column], signal.clouds)
    return Seen(tuple(looks), landed, points, bits)


def classified(bits: NDArray[np.bool_], slots: Sequence[int | None], *, memory: bool) -> dict[str, Any]:
    """Write the `data` of an experiment at level 2.

    Args:
        bits: bool, shape (shots, columns): of `Seen`, or with columns for what functions of the register left.
        slots: For each column its memory slot, None if it has none; of several columns of a slot the last counts.
        memory: Whether each shot is listed.
    """
    columns = {slot: column for column, slot in enumerate(slots) if slot is not None}
    chosen = bits[:, list(columns.values())].astype(np.uint8)
    shots = sampling.packed(chosen) if columns else [0] * len(bits)
    tally = collections.Counter(shots)
    words = {packed: sum((packed >> place & 1) << slot for place, slot in enumerate(columns)) for packed in tally}
    data: dict[str, Any] = {"counts": results.counts({words[packed]: number for packed, number in tally.items()})}
    if memory:
        texts = {packed: results.outcome(word) for packed, word in words.items()}
        data["memory"] = [texts[packed] for packed in shots]
    return data


def signals(
    rng: np.random.Generator,
    shown: Seen,
    target: targets.Target,
    config: qobj.Config,
    *,
    slots: int,
    samples: int = SAMPLES,
) -> dict[str, Any]:
    """Write the `data` of an experiment at level 1 or 0.

    Args:
        rng: Source of randomness; level 1 needs none.
        shown: The shots.
        target: As it was given to `seen`.
        config: Says the level, and whether to average over the shots.
        slots: Number of memory slots; those into which nothing is measured show 0.
        samples: Number of samples of a slot at level 0.

    Returns:
        `memory`: nested lists, shape (shots, slots, 2) at level 1, (shots, slots, samples, 2) at level 0; without the
        first axis if they are averages. The last axis has the real and the imaginary part.
    """
    average = readout.averages(config)
    columns = {look.slot: column for column, look in enumerate(shown.looks) if look.slot is not None}
    shape = (1 if average else len(shown.points), slots, *((samples,) if readout.level(config) == 0 else ()))
    every = np.zeros(shape, dtype=np.complex128)
    for slot, column in columns.items():
        points = shown.points[:, column]
        if average:
            points = points.mean(keepdims=True).round(1)
        if readout.level(config) == 0:
            _fill(rng, every[:, slot], points, shown, column, target)
        else:
            every[:, slot] = points
    pairs = every.view(np.float64).reshape(*shape, 2)
    return {"memory": (pairs[0] if average else pairs).tolist()}


def _fill(
    rng: np.random.Generator,
    rows: NDArray[np.complex128],
    points: NDArray[np.complex128],
    shown: Seen,
    column: int,
    target: targets.Target,
) -> None:
    """Make the samples of a slot, shape (rows, samples), from its points, shape (rows,)."""
    samples, look = rows.shape[1], shown.looks[column]
    signal = _signal(look, target)
    centres, spread = signal.centres[shown.landed[:, column]], signal.width * math.sqrt(samples)
    if len(rows) == 1:  # of one shot its average is the same
        centres, spread = centres.mean(keepdims=True), spread / math.sqrt(len(centres))
    seconds = look.seconds or (target.qubits[look.qubit].readout_length if target.qubits else 0.0)
    rise = envelope(samples, seconds)
    step = max(1, _CHUNK // samples)
    for begin in range(0, len(rows), step):
        part = slice(begin, begin + step)
        rows[part] = _traces(rng, points[part], centres[part], spread, rise)


def envelope(samples: int, seconds: float) -> NDArray[np.float64]:
    """How the signal rises while the resonator fills, in samples of equal length, with mean 1.

    Args:
        samples: Their number.
        seconds: Length of the acquisition, s; 0 if it is not known, for a signal that is there at once.

    Returns:
        float64, shape (samples,).
    """
    moments = (np.arange(samples) + 0.5) * (seconds / samples)
    rise = -np.expm1(-moments / RISE) if seconds else np.ones(samples)
    normal: NDArray[np.float64] = rise / rise.mean()
    return normal


def _traces(
    rng: np.random.Generator,
    points: NDArray[np.complex128],
    centres: NDArray[np.complex128],
    spread: float,
    rise: NDArray[np.float64],
) -> NDArray[np.complex128]:
    """Draw samples whose mean is a point: the signal of a cloud's centre, and white noise around it.

    White noise is its mean and, independent of that, what is left without it. The mean was drawn with the point, so
    the noise drawn here only gets another one. Samples are rounded so that none of their sums is off by more than
    half a step, and the whole sum not at all.

    Args:
        rng: Source of randomness.
        points: complex128, shape (rows,).
        centres: complex128, shape (rows,).
        spread: Standard deviation of a sample along each axis.
        rise: float64, shape (samples,), with mean 1.

    Returns:
        complex128, shape (rows, samples).
    """
    rows, samples = len(points), len(rise)
    drawn = rng.standard_normal((rows, samples, 2)).view(np.complex128)[..., 0]
    drawn *= spread
    drawn += (points - centres - drawn.mean(axis=1))[:, None]
    drawn += centres[:, None] * rise
    sums = np.zeros((rows, samples + 1), dtype=np.complex128)
    np.cumsum(drawn, axis=1, out=sums[:, 1:])
    sums *= _STEPS
    sums[:, -1] = points * (_STEPS * samples)
    traces: NDArray[np.complex128] = np.diff(sums.round(), axis=1) / _STEPS
    return traces


def predicted(
    config: qobj.Config, *, shots: int, looks: int, used: Collection[int], slots: int, samples: int = SAMPLES
) -> Size:
    """Foresee what the shots of an experiment take.

    Args:
        config: Says the level, whether to average, and whether each shot is listed.
        shots: Repetitions.
        looks: Number of looks.
        used: Slots that something is measured into.
        slots: Number of memory slots.
        samples: Number of samples of a slot at level 0.
    """
    held, seconds = shots * (looks + 2) * SHOT_HELD, shots * looks * DRAW
    level = readout.level(config)
    if level == 2:
        width = WORD_WRITTEN + (max(used, default=0) + 1) // 4
        words = min(shots, 1 << min(len(used), _MANY))
        written = width * (words + (shots if config.memory else 0))
        seconds += shots * COUNT + words * len(used) * PLACE
        return Size(written, held + shots * WORD_HELD + 4 * words * width, seconds)
    rows = 1 if readout.averages(config) else shots
    depth = samples if level == 0 else 1
    empty = max(slots - len(used), 0)
    written = rows * depth * (len(used) * POINT_WRITTEN + empty * readout.POINT_WRITTEN)
    drawing = 0.0 if level else rows * samples * len(used) * SAMPLE
    numbers = rows * depth * slots
    return Size(written, held + numbers * readout.POINT_HELD + CHUNK_HELD, seconds + drawing + numbers * WRITE)
