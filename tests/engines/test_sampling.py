# SPDX-License-Identifier: Apache-2.0
"""Tests of drawing shots: right frequencies, reproducible, and in the right memory slots."""

import numpy as np
import pytest
from physics import gate, measure, p_value, steps

from chandelier.engines import sampling


def drawn(probabilities: list[float], shots: int, seed: int = 1) -> dict[int, int]:
    """Counts by outcome of one draw."""
    found = sampling.draw(sampling.generator(seed, 0), np.array(probabilities), shots)
    return dict(zip(found.outcomes.tolist(), found.numbers.tolist(), strict=True))


@pytest.mark.parametrize("shots", [20, 5000])
def test_outcomes_occur_as_often_as_they_should(shots: int) -> None:
    """Many outcomes or many shots: the frequencies fit the probabilities, and the numbers sum to the shots."""
    weights = np.random.default_rng(3).random(256) ** 4
    weights /= weights.sum()
    total = np.zeros(256, dtype=int)
    for seed in range(200):
        for outcome, number in drawn(weights.tolist(), shots, seed).items():
            total[outcome] += number

    assert total.sum() == 200 * shots
    assert p_value(dict(enumerate(total.tolist())), weights) > 1e-4


@pytest.mark.parametrize("shots", [1, 100_000])
def test_what_is_impossible_does_not_occur(shots: int) -> None:
    """An outcome of probability 0 is never drawn, be it the first or the last, whatever rounding leaves over."""
    probabilities = [0.0, 1 / 3, 1 / 3, 1 / 3, 1e-33, *[0.0] * 11]

    assert set(drawn(probabilities, shots)) <= {1, 2, 3}


def test_a_seed_and_a_place_decide_everything() -> None:
    """The same seed and place give the same numbers; another seed, its negative, or another place give others."""
    first = sampling.generator(5, 2).random(4).tolist()

    assert sampling.generator(5, 2).random(4).tolist() == first
    for other in (sampling.generator(5, 3), sampling.generator(6, 2), sampling.generator(-5, 2)):
        assert other.random(4).tolist() != first
    assert sampling.generator(None, 0).random() != sampling.generator(None, 0).random()


def test_the_last_write_to_a_slot_counts() -> None:
    """A slot shows the qubit measured into it last; a qubit may show in several slots; others read 0."""
    wires = sampling.wiring(
        steps(measure(0, 1), gate("measure", [4], memory=[1]), gate("measure", [0], memory=[5]), gate("measure", [3]))
    )

    assert wires.qubits == (0, 4)
    assert sampling.words(np.array([0, 1, 2, 3]), wires) == [0, 0b100001, 0b10, 0b100011]


def test_words_may_be_wider_than_a_machine_word() -> None:
    """Slots beyond the 64th are as good as others."""
    wires = sampling.Wiring((0, 1), ((0, 1), (70, 0), (99, 1)))

    assert sampling.words(np.array([0, 1, 2]), wires) == [0, 1 << 70, 1 | 1 << 99]


def test_rows_of_bits_are_words() -> None:
    """Bit i of a word is the i-th of its row, for any width."""
    bits = np.zeros((2, 75), dtype=np.uint8)
    bits[0, [0, 74]] = 1

    assert sampling.packed(bits) == [1 | 1 << 74, 0]
    assert sampling.packed(np.zeros((0, 3), dtype=np.uint8)) == []


def test_readout_confuses_each_qubit() -> None:
    """The probabilities after readout are those of the tensor product of the qubits' confusion matrices."""
    rng = np.random.default_rng(4)
    probabilities = rng.dirichlet(np.ones(8))
    confusion = [np.array([[1 - up, up], [down, 1 - down]]) for up, down in rng.random((3, 2))]
    whole = np.kron(confusion[2], np.kron(confusion[1], confusion[0]))

    assert sampling.confused(probabilities, confusion) == pytest.approx(probabilities @ whole, abs=1e-15)


def test_memory_lists_the_shots_that_are_counted() -> None:
    """The list has every outcome as often as the counts say, in a random order, without leading zeros."""
    rng = sampling.generator(1, 0)
    data = sampling.data(rng, [1 << 70, 3], np.array([40, 60]), memory=True)

    assert data["counts"] == {"0x3": 60, hex(1 << 70): 40}
    assert {word: data["memory"].count(word) for word in set(data["memory"])} == data["counts"]
    assert data["memory"] not in (sorted(data["memory"]), sorted(data["memory"], reverse=True))
    assert "memory" not in sampling.data(rng, [0], np.array([5]), memory=False)


def test_independent_parts_are_independent() -> None:
    """Parts drawn by themselves are put together at random: each combination has the product of the frequencies."""
    parts = [([0, 1], np.array([2000, 6000])), ([0, 2], np.array([4000, 4000])), ([4], np.array([8000]))]
    words, numbers = sampling.joined(sampling.generator(2, 0), parts, 8000)
    tally = dict(zip(words, numbers.tolist(), strict=True))

    assert tally[5] + tally[7] == 6000
    expected = np.array([1, 3, 1, 3]) / 8
    assert p_value({word - 4: number for word, number in tally.items()}, expected) > 1e-3
    assert sampling.joined(sampling.generator(2, 0), [], 10)[0] == [0]
