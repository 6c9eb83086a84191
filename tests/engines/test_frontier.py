# SPDX-License-Identifier: Apache-2.0
"""Orders of blocks are found in few steps; matrices and branches take no more than they must."""

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from physics import gate, measure, steps, target

from chandelier.engines import branches, frontier, superops, weaving


def repeated(count: int) -> weaving.Woven:
    """A qubit that is measured and reset again and again."""
    found = weaving.weave(
        steps(*(one for slot in range(count) for one in (gate("sx", [0]), gate("measure", [0], memory=[slot]),
                                                        gate("reset", [0])))), waits=True
    )  # fmt: skip
    assert found is not None
    return found


def looked_at(count: int) -> weaving.Woven:
    """A qubit that is measured again and again."""
    found = weaving.weave(
        steps(*(one for slot in range(count) for one in (gate("h", [0]), gate("measure", [0], memory=[slot])))),
        waits=False,
    )
    assert found is not None
    return found


@pytest.mark.parametrize("circuit", [repeated, looked_at])
def test_an_order_is_found_in_few_steps(circuit: Callable[[int], weaving.Woven]) -> None:
    """The blocks that are looked at for an order grow as the circuit does."""
    woven = circuit(2000)
    search = frontier._Search(woven, sorted(woven.memory.values()))
    found = search.sequence()

    assert found is not None
    assert len(found) == len(woven.blocks)
    assert search.steps <= 3 * len(woven.blocks)


def test_an_order_that_takes_too_long_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A circuit whose order is not found in time is left to others."""
    monkeypatch.setattr(frontier, "MAX_STEPS", 100)

    assert frontier.order(looked_at(20), 1000) is not None
    assert frontier.order(looked_at(200), 1000) is None


def test_making_matrices_has_its_price() -> None:
    """Gates that differ are priced one by one, gates that come again only once."""
    angles = [gate("mcu3", [0, 1, 2], 0.1, 0.2, 0.01 * number) for number in range(100)]
    same = [gate("mcu3", [0, 1, 2], 0.1, 0.2, 0.3)] * 100
    many, once = (weaving.weave(steps(*one, measure(0, 1, 2)), waits=False) for one in (angles, same))
    assert many is not None
    assert once is not None
    dear, cheap = frontier.order(many, 1000), frontier.order(once, 1000)
    assert dear is not None
    assert cheap is not None

    assert dear.seconds - cheap.seconds == pytest.approx(99 * frontier.MAKE[2])


def test_matrices_are_forgotten() -> None:
    """What is kept of gates stays within its bound, with parameters or without."""
    kept = superops.Kept(lambda _name, _qubits: None)
    for first, second in itertools.permutations(range(26), 2):
        superops.gate(kept, steps(gate("ccx", [first, second, 30]))[0])

    assert kept.size <= frontier.KEPT_BYTES
    assert sum(matrix.nbytes for matrix in kept.made.values()) <= kept.size
    assert len(kept.made) < 26 * 25


def test_a_simulators_gates_are_alike() -> None:
    """Without noise a gate is made once for all qubits."""
    kept = superops.of_device(dataclasses.replace(target("ibmq_qasm_simulator"), name="another"))
    for pair in itertools.permutations(range(5), 2):
        superops.gate(kept, steps(gate("cx", pair))[0])

    assert len(kept.made) == 1


def test_branches_keep_their_place() -> None:
    """Of many values only those of new branches are copied; each shot still shows all of its outcomes."""
    copied: list[int] = []

    class Counting(branches.Record):
        def split(self, parents: NDArray[np.int64], count: int) -> None:
            copied.append(len(parents))
            super().split(parents, count)

    record = Counting(2, 8)
    record.write(5, np.array([1]))
    record.split(np.array([0]), 1)
    record.write(7, np.array([0, 1]))
    record.split(np.array([1]), 2)
    record.forget([5])
    record.write(9, np.array([1, 0, 0]))

    assert copied == [1, 1]
    assert record.of(7, 3).tolist() == [0, 1, 1]
    assert record.of(9, 3).tolist() == [1, 0, 0]


def test_splits_are_no_more_than_shots(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many values are measured, a column is written for each shot once."""
    copied: list[int] = []
    split = branches.Record.split

    def counted(record: branches.Record, parents: NDArray[np.int64], count: int) -> None:
        copied.append(len(parents))
        split(record, parents, count)

    monkeypatch.setattr(branches.Record, "split", counted)
    order = frontier.order(repeated(60), 50)
    assert order is not None
    found = branches.drawn(order, superops.of_device(target("ibmq_manila")), np.random.default_rng(1), 50)

    assert sum(copied) == len(found.numbers) - 1 < 50
