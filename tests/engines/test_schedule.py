# SPDX-License-Identifier: Apache-2.0
"""Instructions are placed as late as possible, and every wait of a qubit that is in use becomes a delay."""

from collections.abc import Mapping
from typing import Any

import pytest
from physics import gate, measure, steps, target

from chandelier import errors
from chandelier.engines import schedule

MANILA = target("ibmq_manila")
X = MANILA.length("x", (0,))
CX01 = MANILA.length("cx", (0, 1))
READOUT = MANILA.length("measure", (0,))


def timed(*instructions: Mapping[str, Any]) -> tuple[list[tuple[str, tuple[int, ...]]], dict[int, float], float]:
    """Names with qubits, total wait of each qubit, and the length."""
    found = schedule.alap(steps(*map(dict, instructions)), MANILA)
    waits: dict[int, float] = {}
    for step in found.instructions:
        if step.name == "delay":
            (index,) = step.qubits or ()
            waits[index] = waits.get(index, 0.0) + step.params[0]
    return [(step.name, step.qubits or ()) for step in found.instructions], waits, found.duration


def test_lengths_are_published() -> None:
    """Lengths of gates and of the readout come from the calibration, in seconds."""
    assert pytest.approx(35.56e-9, rel=1e-3) == X
    assert pytest.approx(5351e-9, rel=1e-3) == READOUT
    assert 200e-9 < CX01 < 600e-9


def test_a_late_start_is_no_wait() -> None:
    """A qubit whose partner is busy has its own gates right before they meet."""
    order, waits, duration = timed(gate("x", [1]), gate("x", [0]), gate("x", [0]), gate("cx", [0, 1]))

    assert waits == {}
    assert order == [("x", (1,)), ("x", (0,)), ("x", (0,)), ("cx", (0, 1))]
    assert duration == pytest.approx(2 * X + CX01)


def test_a_gap_is_a_wait() -> None:
    """Between two meetings the qubit with less to do waits."""
    order, waits, _ = timed(gate("cx", [0, 1]), gate("x", [0]), gate("x", [0]), gate("cx", [0, 1]))

    assert waits == {1: pytest.approx(2 * X)}
    assert order.index(("delay", (1,))) > 0


def test_an_early_finish_waits_for_the_common_measurement() -> None:
    """Measurements at the end coincide, so gates before them are late rather than early."""
    _, waits, duration = timed(gate("x", [0]), gate("x", [1]), gate("x", [1]), measure(0), measure(1))

    assert waits == {}
    assert duration == pytest.approx(2 * X + READOUT)


def test_a_barrier_holds_qubits_back() -> None:
    """A gate before a barrier waits for the others at the barrier; the barrier itself disappears."""
    order, waits, _ = timed(
        gate("x", [0]), gate("barrier", [0, 1]), gate("x", [1]), gate("x", [1]), measure(0), measure(1)
    )

    assert waits == {0: pytest.approx(2 * X)}
    assert "barrier" not in dict(order)


def test_a_barrier_without_qubits_holds_all() -> None:
    """A barrier that names no qubits is one for all."""
    _, waits, _ = timed(gate("x", [0]), {"name": "barrier"}, gate("x", [1]), gate("x", [1]), measure(0, 1))

    assert waits == {0: pytest.approx(2 * X)}


def test_a_measured_qubit_relaxes_while_it_is_read() -> None:
    """A qubit that is used after its measurement has waited for the length of the measurement."""
    order, waits, duration = timed(measure(0), gate("x", [0]))

    assert waits == {0: pytest.approx(READOUT)}
    assert order == [("measure", (0,)), ("delay", (0,)), ("x", (0,))]
    assert duration == pytest.approx(READOUT + X)


def test_spectators_wait_for_a_measurement() -> None:
    """A qubit whose gate depends on a measurement waits while that goes on."""
    _, waits, _ = timed(
        gate("x", [1]),
        gate("barrier", [0, 1]),
        gate("measure", [0], memory=[0], register=[0]),
        gate("x", [1], conditional=0),
        measure(1),
    )

    assert waits == {1: pytest.approx(READOUT)}


@pytest.mark.parametrize(
    ("unit", "value", "seconds"),
    [(None, 900, 200e-9), ("dt", 900, 200e-9), ("ns", 200, 200e-9), ("us", 0.2, 200e-9), ("s", 2e-7, 200e-9)],
)
def test_delays_in_any_unit(unit: str | None, value: float, seconds: float) -> None:
    """A delay of the user is a wait of that length; without a unit it counts samples."""
    more = {} if unit is None else {"unit": unit}
    _, waits, duration = timed(gate("x", [0]), gate("delay", [0], value, **more), gate("x", [0]))

    assert waits == {0: pytest.approx(seconds)}
    assert duration == pytest.approx(seconds + 2 * X)


def test_the_order_of_the_program_is_kept() -> None:
    """Placing instructions late never changes their order on a qubit."""
    program = [gate("x", [0]), gate("sx", [0]), gate("rz", [0], 0.1), gate("cx", [0, 1]), gate("x", [1])]
    order, _, _ = timed(*program)

    assert [name for name, _ in order if name != "delay"] == ["x", "sx", "rz", "cx", "x"]


def test_a_barrier_without_qubits_holds_what_is_not_used_after_it() -> None:
    """What stands before it is over when what stands behind it begins."""
    _, waits, duration = timed(gate("x", [0]), {"name": "barrier"}, measure(1))

    assert waits == {}
    assert duration == pytest.approx(READOUT + X)


def test_delays_add_up_to_a_day_at_most() -> None:
    """Each may be as long as a shot; together they may not be longer."""
    half = gate("delay", [0], schedule.LONGEST / 2, unit="s")
    assert timed(half, half)[2] == schedule.LONGEST
    with pytest.raises(errors.ProgramRefused) as refusal:
        timed(half, half, gate("x", [0]))

    assert refusal.value.code == 8004


def test_a_delay_is_waited_whatever_its_condition() -> None:
    """The branch that is not taken takes as long."""
    _, waits, _ = timed(
        gate("measure", [1], memory=[1], register=[1]), gate("delay", [0], 1, unit="us", conditional=1), measure(0)
    )

    assert waits == {0: pytest.approx(1e-6)}
