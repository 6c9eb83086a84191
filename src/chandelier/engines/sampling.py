# SPDX-License-Identifier: Apache-2.0
"""Shots from exact probabilities: one seeded draw, and what it leaves in the memory slots.

A path that knows the probabilities of all outcomes needs no loop over shots: how often each outcome occurs is one
multinomial draw, and the order of the shots a shuffle. The randomness of an experiment depends on the seed and on
its place in the program only, so it does not matter what else is in the job, or in which process it runs.
"""

import collections
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chandelier.formats import qobj, results

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Probabilities below this are rounding: so little never occurs.
DUST: Final = 1e-30
#: With this many times more outcomes than shots, single shots are drawn instead of every outcome's number.
_SPARSE: Final = 4
#: Widest memory whose words are made with 64-bit integers, bits.
_NARROW: Final = 63


class Wiring(NamedTuple):
    """Which measured qubit each memory slot shows at the end; slots that are not written read 0.

    Attributes:
        qubits: Qubits whose outcomes are still to be seen at the end, in ascending order. Bit i of an outcome is
            that of the i-th of them.
        slots: For each slot that is written, in ascending order, the slot and the place of its qubit in `qubits`.
    """

    qubits: tuple[int, ...]
    slots: tuple[tuple[int, int], ...]


class Drawn(NamedTuple):
    """How often outcomes occurred.

    Attributes:
        outcomes: int64, shape (distinct,): outcomes that occurred, ascending.
        numbers: int64, shape (distinct,): how often each of them did.
    """

    outcomes: Integers
    numbers: Integers


def wiring(steps: Sequence[qobj.Instruction]) -> Wiring:
    """Find what the final measurements of a circuit leave in the memory: the last that writes a slot counts."""
    last = {
        slot: qubit
        for step in steps
        if step.name == "measure"
        for qubit, slot in zip(step.qubits or (), qobj.slots(step.memory), strict=False)
    }
    qubits = tuple(sorted(set(last.values())))
    place = {qubit: number for number, qubit in enumerate(qubits)}
    return Wiring(qubits, tuple((slot, place[last[slot]]) for slot in sorted(last)))


def generator(seed: int | None, experiment: int) -> np.random.Generator:
    """Give the source of randomness of one experiment.

    Args:
        seed: As the program asks for; None for one that nobody can foresee.
        experiment: Index of the experiment in the program.
    """
    entropy = None if seed is None else [abs(seed), int(seed < 0)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy, spawn_key=(experiment,))))


def draw(rng: np.random.Generator, probabilities: Floats, shots: int) -> Drawn:
    """Draw how often each outcome occurs.

    Args:
        rng: Source of randomness.
        probabilities: float64, shape (outcomes,); their sum may differ from 1 by rounding.
        shots: Repetitions.
    """
    if len(probabilities) > _SPARSE * shots:
        heights = np.cumsum(np.maximum(probabilities, 0.0))
        found = np.searchsorted(heights, rng.random(shots) * heights[-1], side="right")
        return Drawn(*np.unique(np.minimum(found, len(heights) - 1), return_counts=True))
    # The last of the numbers is what the others leave, so it must not belong to something impossible.
    possible = np.flatnonzero(probabilities > DUST)
    chances = probabilities[possible]
    numbers = rng.multinomial(shots, chances / chances.sum())
    seen = np.flatnonzero(numbers)
    return Drawn(possible[seen], numbers[seen])


def confused(probabilities: Floats, confusion: Sequence[Floats]) -> Floats:
    """Misread every qubit with its own errors.

    Args:
        probabilities: float64, shape (2**qubits,); bit i of an index is the outcome of the i-th qubit.
        confusion: For each qubit float64, shape (2, 2): row the true outcome, column the outcome that is read.

    Returns:
        float64, shape (2**qubits,).
    """
    for place, matrix in enumerate(confusion):
        parts = probabilities.reshape(-1, 2, 1 << place)
        probabilities = np.einsum("tr,atb->arb", matrix, parts)
    return probabilities.reshape(-1)


def words(outcomes: Integers, wires: Wiring) -> list[int]:
    """Turn outcomes of the measured qubits into words of memory, bit i of which is memory slot i."""
    width = 1 + max((slot for slot, _ in wires.slots), default=0)
    if width <= _NARROW:
        made = np.zeros_like(outcomes)
        for slot, place in wires.slots:
            made |= (outcomes >> place & 1) << slot
        return made.tolist()  # type: ignore[no-any-return]  # a list of int
    bits = np.zeros((len(outcomes), width), dtype=np.uint8)
    for slot, place in wires.slots:
        bits[:, slot] = outcomes >> place & 1
    return packed(bits)


def joined(
    rng: np.random.Generator, parts: Sequence[tuple[list[int], Integers]], shots: int
) -> tuple[list[int], Integers]:
    """Put together what was drawn of independent parts of a circuit: each part's shots in an order of its own.

    Args:
        rng: Source of randomness.
        parts: Of each part distinct words of memory, in slots of its own, and how often each occurred.
        shots: Repetitions.

    Returns:
        Distinct words of memory, and how often each occurred.
    """
    if not parts:
        return [0], np.array([shots], dtype=np.int64)
    if len(parts) == 1:
        return parts[0]
    lists = []
    for found, numbers in parts:
        order = np.repeat(np.arange(len(found)), numbers)
        rng.shuffle(order)
        lists.append([found[place] for place in order.tolist()])
    tally = collections.Counter(map(sum, zip(*lists, strict=True)))
    return list(tally), np.fromiter(tally.values(), dtype=np.int64, count=len(tally))


def packed(bits: NDArray[np.uint8]) -> list[int]:
    """Turn rows of bits into words.

    Args:
        bits: uint8, shape (rows, slots): 0 or 1.

    Returns:
        For each row the word whose bit i is the row's bit i.
    """
    rows = np.packbits(bits, axis=1, bitorder="little")
    size, raw = rows.shape[1], rows.tobytes()
    return [int.from_bytes(raw[start : start + size], "little") for start in range(0, len(raw), size)] if size else []


def data(rng: np.random.Generator, memory_words: Sequence[int], numbers: Integers, *, memory: bool) -> dict[str, Any]:
    """Write what an experiment found, as the `data` of its result.

    Args:
        rng: Source of randomness; it decides on the order of the shots.
        memory_words: Distinct words of memory.
        numbers: int64, shape (words,): how often each occurred.
        memory: Whether each shot is listed.
    """
    written: dict[str, Any] = {"counts": results.counts(dict(zip(memory_words, numbers.tolist(), strict=True)))}
    if memory:
        texts = results.memory(memory_words)
        order = np.repeat(np.arange(len(texts)), numbers)
        rng.shuffle(order)
        written["memory"] = [texts[place] for place in order.tolist()]
    return written
