# SPDX-License-Identifier: Apache-2.0
"""What a measurement shows: points in the plane of the signal at level 1, bits read wrongly at level 2.

Every qubit has a cloud of points for each state, as wide as each other. A line half way between the mean points of 0
and of 1 tells these two apart with exactly the published errors. Where these differ, the one that is larger is due to
shots that end up in the other cloud, as a qubit does that relaxes before it is measured. Circuits know no third state;
pulses can reach it, and its cloud lies beside the other two, on the side of 1.

Nothing here knows how the true outcomes were found.

Source: legacy API reference, section 12.4, for the shapes; section 12.2 for `roerror`.
"""

import functools
import hashlib
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chandelier import errors
from chandelier.engines import matrices, programs
from chandelier.engines import target as targets
from chandelier.formats import qobj

#: Rarer errors are not told apart from none: clouds would be infinitely far from each other.
RAREST: Final = 1e-6
#: Most of the shots of one preparation that may end up in the other cloud.
MOST_LOST: Final = 0.999
#: Width of the clouds, and their distance from the origin, in the arbitrary units of a digitiser.
WIDTH: Final = (1.0e6, 2.0e6)
RADIUS: Final = (0.5e7, 2.0e7)
#: Distance between the clouds of 0 and 1 of a qubit without errors, in widths: none of 1e20 shots is on the wrong side.
PERFECT: Final = 20.0
#: Least and largest distance of the cloud of 2 from the line through the others, and its least distance from the line
#: that tells 0 from 1, in widths.
ASIDE: Final = (4.0, 20.0)
BEYOND: Final = 2.0
#: Both are drawn larger or smaller by such a factor, so that no two qubits look the same.
UNEVEN: Final = (0.9, 1.1)
#: Least size of one point in the result, bytes: `[0.0,0.0],`.
POINT_WRITTEN: Final = 10
#: Memory for one point: twice as an array, and as a list of two numbers.
POINT_HELD: Final = 32 + 128

#: Halvings of an interval until its ends are neighbours in double precision.
_HALVINGS: Final = 60

#: Largest number of slots that one `roerror` misreads together.
MAX_MISREAD: Final = 4


class Clouds(NamedTuple):
    """Where the points of a qubit lie.

    Attributes:
        centres: Centres of the cloud of 0 and of that of 1, complex, arbitrary units.
        lost: Chance that a shot of 0, or of 1, ends up in the cloud of the other.
        width: Standard deviation of both clouds along each axis, arbitrary units.
        axis: Direction in which the device reads 1, of length 1; a qubit that it reads the wrong way round has its
            cloud of 1 on the other side.
        third: Centre of the cloud of 2, complex, arbitrary units.
    """

    centres: tuple[complex, complex]
    lost: tuple[float, float]
    width: float
    axis: complex
    third: complex

    def means(self) -> tuple[complex, complex]:
        """Mean points of the shots of 0 and of those of 1."""
        zero, one = self.centres
        return (
            zero + self.lost[0] * (one - zero),
            one + self.lost[1] * (zero - one),
        )


@functools.lru_cache(maxsize=4096)
def clouds(name: str, qubit: int, data: targets.QubitData | None) -> Clouds:
    """Find the clouds that give a qubit its published errors.

    Args:
        name: The device; where its clouds lie depends on its name and on the qubit, and is the same for ever.
        qubit: Its index.
        data: Its calibration; None for a qubit of an ideal simulator, whose clouds are far apart.
    """
    seed = hashlib.sha256(f"{name}/{qubit}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(seed[:8], "little"))
    width = rng.uniform(*WIDTH)
    middle = rng.uniform(*RADIUS) * np.exp(1j * rng.uniform(0, 2 * math.pi))
    axis = np.exp(1j * rng.uniform(0, 2 * math.pi))
    zero, one, lost = -PERFECT / 2, PERFECT / 2, (0.0, 0.0)
    if data is not None:
        zero, one, lost = _solved(data.flip_up, data.flip_down)
    third = _third(rng, zero, one)
    centres = complex(middle + zero * width * axis), complex(middle + one * width * axis)
    return Clouds(centres, lost, float(width), complex(axis), complex(middle + third * width * axis))


def _third(rng: np.random.Generator, zero: float, one: float) -> complex:
    """Choose the centre of the cloud of 2, in widths: about as far along the axis as that of 1, and off the axis.

    Most of its shots are read as those of 1 are, as on the machines; in the plane all three can be told apart.
    """
    along = math.copysign(max(abs(one), BEYOND), one) * rng.uniform(*UNEVEN)
    aside = min(max(abs(one - zero), ASIDE[0]), ASIDE[1]) * rng.uniform(*UNEVEN)
    return complex(along, aside if rng.random() < 0.5 else -aside)


def _solved(up: float, down: float) -> tuple[float, float, tuple[float, float]]:
    """Solve for two Gaussian clouds of width 1 on a line, told apart at 0, where the means are balanced.

    Let the cloud of the better preparation have its centre at -d and error q, the other at e, of whose shots a
    part b is lost to the first. Then q = Q(d), the means balance if e = d (1 + b) / (1 - b), and the other error is
    (1 - b) Q(e) + b (1 - q), which grows with b from q to 1 - q.

    Returns:
        The centres of 0 and of 1, and the parts that are lost.
    """
    if up + down > 1:  # the qubit is read the wrong way round
        zero, one, lost = _solved(1 - up, 1 - down)
        return -zero, -one, lost
    if up > down:
        one, zero, (lost_one, lost_zero) = _solved(down, up)
        return -zero, -one, (lost_zero, lost_one)
    better, worse = max(up, RAREST), max(down, RAREST)
    near = -statistics.NormalDist().inv_cdf(better)

    def excess(part: float) -> float:
        tail = 0.5 * math.erfc(near * (1 + part) / (1 - part) / math.sqrt(2))
        return (1 - part) * tail + part * (1 - better) - worse

    part, most = 0.0, MOST_LOST
    if excess(0.0) < 0:
        for _ in range(_HALVINGS):
            middle = (part + most) / 2
            part, most = (middle, most) if excess(middle) < 0 else (part, middle)
    return -near, near * (1 + part) / (1 - part), (0.0, part)


def points(rng: np.random.Generator, outcomes: NDArray[np.bool_], where: Clouds) -> NDArray[np.complex128]:
    """Draw a point for each shot.

    Args:
        rng: Source of randomness.
        outcomes: bool, shape (shots,): what a perfect measurement would read.
        where: Clouds of the qubit.

    Returns:
        complex128, shape (shots,), arbitrary units.
    """
    shots = len(outcomes)
    chances = np.where(outcomes, where.lost[1], where.lost[0])
    side = outcomes ^ (rng.random(shots) < chances)
    noise = rng.standard_normal((shots, 2)) @ np.array([1, 1j])
    found: NDArray[np.complex128] = np.where(side, where.centres[1], where.centres[0]) + where.width * noise
    return found


def discriminated(values: NDArray[np.complex128], where: Clouds) -> NDArray[np.bool_]:
    """Tell 1 from 0 by the line half way between the mean points.

    Args:
        values: complex128, any shape.
        where: Clouds of the qubit.
    """
    zero, one = where.means()
    turned = (values - (zero + one) / 2) * np.conj(where.axis)
    decided: NDArray[np.bool_] = turned.real > 0
    return decided


def sources(steps: Sequence[qobj.Instruction]) -> dict[int, int]:
    """For each memory slot that is measured into the qubit that is measured into it last."""
    return {
        slot: qubit
        for step in steps
        if step.name == "measure"
        for slot, qubit in zip(qobj.slots(step.memory), step.qubits or (), strict=False)
    }


def kerneled(
    rng: np.random.Generator,
    words: Sequence[int],
    steps: Sequence[qobj.Instruction],
    target: targets.Target,
    *,
    slots: int,
    average: bool,
) -> list[Any]:
    """Write the `memory` of an experiment at level 1.

    Args:
        rng: Source of randomness.
        words: For each shot the memory that a perfect measurement would leave; bit i is slot i.
        steps: The experiment's instructions.
        target: The device.
        slots: Number of memory slots; those into which nothing is measured show 0.
        average: Whether to give the mean of all shots instead of each.

    Returns:
        Nested lists, shape (shots, slots, 2), or (slots, 2) of an average: real and imaginary part.
    """
    shown = np.zeros(slots if average else (len(words), slots), dtype=np.complex128)
    for slot, qubit in sorted(sources(steps).items()):
        outcomes = np.fromiter((word >> slot & 1 for word in words), dtype=np.bool_, count=len(words))
        column = points(rng, outcomes, clouds(target.name, qubit, target.qubits[qubit]))
        shown[..., slot] = column.mean() if average else column
    pairs = shown.view(np.float64).reshape(*shown.shape, 2).round(1)
    return pairs.tolist()  # type: ignore[no-any-return]  # nested lists of float


def written(experiment: programs.Opened) -> int:
    """The least size of an experiment's points in the result, bytes; 0 at level 2."""
    if level(experiment.config) == 2:
        return 0
    return POINT_WRITTEN * experiment.slots * (1 if averages(experiment.config) else experiment.shots)


def memory(experiment: programs.Opened) -> int:
    """The memory for an experiment's points, bytes; 0 at level 2."""
    return POINT_HELD * written(experiment) // POINT_WRITTEN


def level(config: qobj.Config) -> int:
    """The measurement level that an experiment asks for."""
    return 2 if config.meas_level is None else config.meas_level


def averages(config: qobj.Config) -> bool:
    """Whether an experiment asks for averages, as the first clients do unless told otherwise; levels 0 and 1."""
    return config.meas_return != "single"


def described(config: qobj.Config) -> dict[str, Any]:
    """What a result says of its measurement level."""
    if level(config) == 2:
        return {"meas_level": 2}
    return {"meas_level": level(config), "meas_return": "avg" if averages(config) else "single"}


def confusion(step: qobj.Instruction) -> NDArray[np.float64]:
    """Read the probabilities of a `roerror`.

    Returns:
        float64, shape (2**slots, 2**slots): row what the slots hold, column what they are read as. The first slot
        is the least significant bit.

    Raises:
        errors.ProgramRefused: Code 8004 or 8010.
    """
    count = len(qobj.slots(step.memory) or qobj.slots(step.register))
    if not 1 <= count <= MAX_MISREAD:
        raise errors.ProgramRefused(f"it misreads {count} slots; 1 to {MAX_MISREAD} are possible", 8010)
    rows = step.params
    if (
        isinstance(rows, list)
        and len(rows) == 1
        and isinstance(rows[0], list)
        and rows[0]
        and isinstance(rows[0][0], list)
    ):
        rows = rows[0]
    matrix: NDArray[np.float64] = matrices.numbers(rows, 2).real
    if matrix.shape != (2**count, 2**count):
        raise errors.ProgramRefused(f"its probabilities have shape {matrix.shape}, not {(2**count, 2**count)}", 8004)
    if matrix.min() < 0 or np.abs(matrix.sum(axis=1) - 1).max() > matrices.TOLERANCE:
        raise errors.ProgramRefused("its rows are not probabilities with sum 1", 8004)
    normed: NDArray[np.float64] = matrix / matrix.sum(axis=1, keepdims=True)
    return normed


def misread(rng: np.random.Generator, tally: Mapping[int, int], steps: Sequence[qobj.Instruction]) -> dict[int, int]:
    """Misread memory words as the `roerror` instructions of a circuit say, one after the other.

    Args:
        rng: Source of randomness.
        tally: How often each word occurred; bit i is memory slot i.
        steps: The experiment's instructions.
    """
    found = dict(tally)
    for step in steps:
        slots = qobj.slots(step.memory)
        if step.name != "roerror" or not slots:
            continue
        matrix = confusion(step)
        read: dict[int, int] = {}
        for word, number in found.items():
            row = sum((word >> slot & 1) << place for place, slot in enumerate(slots))
            rest = word & ~sum(1 << slot for slot in slots)
            for column, count in enumerate(rng.multinomial(number, matrix[row]).tolist()):
                seen = rest | sum((column >> place & 1) << slot for place, slot in enumerate(slots))
                if count:
                    read[seen] = read.get(seen, 0) + count
        found = read
    return found


def misread_shots(rng: np.random.Generator, words: Sequence[int], steps: Sequence[qobj.Instruction]) -> list[int]:
    """Misread the memory of each shot; see `misread`."""
    if all(step.name != "roerror" for step in steps):
        return list(words)
    return [word for shot in words for word in misread(rng, {shot: 1}, steps)]
