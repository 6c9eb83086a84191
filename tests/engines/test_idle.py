# SPDX-License-Identifier: Apache-2.0
"""Idle qubits cost nothing, in circuits that branch as in others, and the active ones keep their meaning."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from physics import LIMITS, Bench, Json, counts, gate, p_value, program, target, ways

from chandelier.engines import aer
from chandelier.formats import tasks

SIMULATOR = "ibmq_qasm_simulator"


def branching(one: int, other: int, *more: Json) -> list[Json]:
    """A fair coin on one qubit, copied to another by a condition."""
    return [
        gate("h", [one]),
        gate("measure", [one], memory=[0], register=[0]),
        gate("x", [other], conditional=0),
        *more,
        gate("measure", [other], memory=[1]),
    ]


@pytest.mark.parametrize("on", [SIMULATOR, "simulator_statevector", "simulator_mps", "simulator_stabilizer"])
@pytest.mark.parametrize("condition", ["register", "memory"])
def test_a_branch_on_far_qubits(bench: Bench, on: str, condition: str) -> None:
    """A circuit on two qubits of many needs the memory of two, whichever form its condition has."""
    steps = branching(31, 29)
    if condition == "memory":
        steps[2] = gate("x", [29], conditional={"mask": "0x1", "val": "0x1", "type": "equals"})
    steps = [{"name": "barrier"}, gate("barrier", [3, 31]), gate("barrier", [4]), gate("delay", [7, 31], 100), *steps]
    found = counts(bench.run(program(steps, shots=4000), on, tasks.Limits(256 << 20, 60.0)))

    assert set(found) == {0b00, 0b11}
    assert p_value(found, np.array([0.5, 0, 0, 0.5])) > 1e-6


def test_a_branch_on_a_big_device() -> None:
    """On a device each active qubit keeps the noise of its own calibration, and the others cost nothing."""
    device = dataclasses.replace(target("ibm_sherbrooke"), conditional=True)
    steps = [
        gate("x", [126]),
        gate("measure", [126], memory=[0], register=[0]),
        gate("x", [40], conditional=0),
        gate("measure", [40], memory=[1]),
    ]
    wanted = program(steps, shots=8000)
    (way,) = ways(wanted, device)
    model = aer.noise_model([way], device)
    assert model is not None
    first, second = device.qubits[126], device.qubits[40]
    (outcome,) = aer.run([way], device, LIMITS)
    found = {int(key, 16): number for key, number in outcome.result.data["counts"].items()}
    up = 1 - (device.gates["x", (126,)].error or 0)
    up = up * (1 - first.flip_down) + (1 - up) * first.flip_up
    on = 1 - (device.gates["x", (40,)].error or 0)
    on = on * (1 - second.flip_down) + (1 - on) * second.flip_up
    expected = np.array([(1 - up) * (1 - second.flip_up), up * (1 - on), (1 - up) * second.flip_up, up * on])

    assert way.layout == (40, 126)
    assert aer.build(way, device).circuit.num_qubits == 2
    assert set(model.noise_qubits) == {0, 1}
    assert p_value(found, expected) > 1e-6


def readout(qubit: int, flip: float) -> dict[str, Any]:
    """An error that reads 1 after 0."""
    matrix = [[1 - flip, flip], [0, 1]]
    return {"type": "roerror", "operations": ["measure"], "probabilities": matrix, "gate_qubits": [[qubit]]}


def test_a_users_noise_follows_its_qubits(bench: Bench) -> None:
    """In one program each experiment has the noise of the qubits it names, however the simulator numbers them."""
    noise = {"errors": [readout(29, 0.25), readout(30, 0.75), readout(31, 0.0), readout(2, 0.5)]}
    quiet = [gate("reset", [29]), gate("reset", [30])]
    wanted = program(
        branching(31, 29, gate("reset", [29])),
        branching(31, 30, *quiet),
        [*quiet, gate("measure", [30], memory=[1])],
        shots=8000,
        noise_model=noise,
    )
    result = bench.run(wanted, SIMULATOR, tasks.Limits(256 << 20, 60.0))

    for index, flip in enumerate([0.25, 0.75, 0.75]):
        ones = sum(number for outcome, number in counts(result, index).items() if outcome & 2)
        assert p_value({0: 8000 - ones, 1: ones}, np.array([1 - flip, flip])) > 1e-6


def test_a_users_error_of_two_qubits(bench: Bench) -> None:
    """An error on two qubits acts on the qubits it names, in their order."""
    error = {
        "type": "qerror",
        "operations": ["cx"],
        "instructions": [[gate("x", [1])]],
        "probabilities": [1.0],
        "gate_qubits": [[31, 20], [31, 19]],
    }
    steps = [
        gate("measure", [31], memory=[0], register=[0]),
        gate("x", [20], conditional=0),
        gate("cx", [31, 20]),
        gate("measure", [20, 31], memory=[1, 2]),
    ]
    found = counts(bench.run(program(steps, noise_model={"errors": [error]}), SIMULATOR))

    assert found == {0b010: 1000}


@pytest.mark.parametrize("conditional", [True, False])
def test_what_is_saved_is_of_the_active_qubits(bench: Bench, conditional: bool) -> None:
    """A state saved of all qubits in use, the first least significant, is the same whether the circuit branches."""
    when = {"conditional": 0} if conditional else {}
    steps = [
        gate("x", [31]),
        gate("measure", [31], memory=[0], register=[0]),
        gate("x", [20], **when),
        gate("h", [5], **when),
        {"name": "snapshot", "label": "here", "snapshot_type": "statevector", "qubits": [5, 20, 31]},
        gate("save_density_matrix", [20]),
        gate("save_probabilities", [31, 5]),
    ]
    data = bench.run(program(steps, shots=5), SIMULATOR)["results"][0]["data"]
    state, *others = data["snapshots"]["statevector"]["here"]

    assert others == [state] * 4  # one for each shot, since they could differ
    assert np.array(state)[:, 0] == pytest.approx([0, 0, 0, 0, 0, 0, 0.5**0.5, 0.5**0.5])
    assert np.array(data["density_matrix"])[:, :, 0] == pytest.approx(np.diag([0, 1]))
    assert data["probabilities"] == pytest.approx([0, 0.5, 0, 0.5])


def test_a_branch_that_prepares_a_state(bench: Bench) -> None:
    """Preparing and setting states keeps its meaning where idle qubits are left out."""
    steps = [
        gate("initialize", [30, 31], [0, 0], [0, 0], [1, 0], [0, 0]),
        gate("measure", [31], memory=[0], register=[0]),
        gate("x", [30], conditional=0),
        gate("measure", [30], memory=[1]),
    ]

    assert counts(bench.run(program(steps), SIMULATOR)) == {0b11: 1000}


def test_a_wait_alone_on_a_condition() -> None:
    """A circuit in which qubits only wait reads 0."""
    steps = [{"name": "bfunc", "mask": 1, "relation": "==", "val": 0, "register": 1},
             gate("delay", [20], 1000, conditional=1)]  # fmt: skip
    for on in (SIMULATOR, "ibm_sherbrooke"):
        device = dataclasses.replace(target(on), conditional=True)
        (outcome,) = aer.run(ways(program(steps, memory_slots=1), device), device, LIMITS)

        assert outcome.result.data == {"counts": {"0x0": 1000}}, outcome
