# SPDX-License-Identifier: Apache-2.0
"""Measurements in the middle, resets and conditions on noisy devices are computed exactly, as branch by branch."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from noisy import computed
from physics import LIMITS, Json, distance, gate, p_value, program, target, ways
from qiskit.quantum_info import DensityMatrix, Operator, SuperOp

from chandelier.engines import cost, frontier, gates, noise, running
from chandelier.engines import target as targets
from chandelier.formats import qobj

Branches = dict[tuple[int, int], DensityMatrix]


def enumerated(steps: Sequence[qobj.Instruction], device: targets.Target) -> dict[int, float]:
    """Probabilities of the memory, by following every outcome: (memory, register) -> state with its weight."""
    width = 1 + max(index for step in steps for index in step.qubits or ())
    branches: Branches = {(0, 0): DensityMatrix.from_int(0, 2**width)}
    for step in steps:
        after: Branches = {}
        for (memory, register), state in branches.items():
            for key, new in followed(step, memory, register, state, device):
                after[key] = DensityMatrix(after[key].data + new.data) if key in after else new
        branches = after
    found: dict[int, float] = {}
    for (memory, _), state in branches.items():
        found[memory] = found.get(memory, 0.0) + float(state.trace().real)
    return found


def followed(
    step: qobj.Instruction, memory: int, register: int, state: DensityMatrix, device: targets.Target
) -> list[tuple[tuple[int, int], DensityMatrix]]:
    """What an instruction makes of one branch."""
    qubits = list(step.qubits or ())
    if isinstance(step.conditional, int) and not register >> step.conditional & 1:
        return [((memory, register), state)]
    condition = step.conditional
    if isinstance(condition, qobj.Condition) and memory & qobj.number(condition.mask) != qobj.number(condition.val):
        return [((memory, register), state)]
    if step.name == "bfunc":
        assert step.relation == "=="
        (slot,) = qobj.slots(step.register)
        truth = register & qobj.number(step.mask or 0) == qobj.number(step.val or 0)
        return [((memory, register & ~(1 << slot) | truth << slot), state)]
    if step.name == "copy":
        (slot,) = qobj.slots(step.register_copy)
        return [((memory, register & ~(1 << slot) | (register >> (step.register_orig or 0) & 1) << slot), state)]
    if step.name == "measure":
        return read(step, memory, register, state, device)
    if step.name == "delay":
        error = noise.relaxation(device, qubits[0], step.params[0])
        return [((memory, register), state.evolve(SuperOp(error), qubits) if error else state)]
    if step.name == "reset":
        state = state.evolve(SuperOp(np.array([[1, 0, 0, 1], *[[0] * 4] * 3])), qubits)
    else:
        state = state.evolve(Operator(gates.operation(step.name, len(qubits), step.params or [], frozenset())), qubits)
    site = step.name, tuple(qubits)
    error = noise.errors_of(device, [site])[site]
    return [((memory, register), state.evolve(SuperOp(error), qubits) if error else state)]


def read(
    step: qobj.Instruction, memory: int, register: int, state: DensityMatrix, device: targets.Target
) -> list[tuple[tuple[int, int], DensityMatrix]]:
    """What a measurement of one qubit makes of a branch: true outcomes, each read rightly or wrongly."""
    (index,) = step.qubits or ()
    data = device.qubits[index]
    found = []
    for true, seen in itertools.product((0, 1), repeat=2):
        flip = data.flip_down if true else data.flip_up
        projector = Operator(np.diag([1 - true, true]) * math.sqrt(flip if true != seen else 1 - flip))
        new_memory, new_register = memory, register
        for slot in qobj.slots(step.memory):
            new_memory = new_memory & ~(1 << slot) | seen << slot
        for slot in qobj.slots(step.register):
            new_register = new_register & ~(1 << slot) | seen << slot
        found.append(((new_memory, new_register), state.evolve(projector, [index])))
    return found


def into(qubit: int, slot: int) -> Json:
    """A measurement into the memory and the register slot of the same number."""
    return gate("measure", [qubit], memory=[slot], register=[slot])


START = [gate("sx", [0]), gate("rz", [0], 0.7), gate("sx", [0]), gate("cx", [0, 1]), gate("sx", [2])]

DYNAMIC: dict[str, list[Json]] = {
    "measured and used again": [*START, into(0, 0), gate("sx", [0]), gate("cx", [0, 1]), into(0, 1), into(1, 2)],
    "measured twice into one slot": [*START, into(0, 0), gate("x", [0]), into(0, 0), into(1, 1)],
    "a reset": [*START, gate("reset", [0]), gate("sx", [0]), gate("cx", [0, 1]), into(0, 0), into(1, 1)],
    "a reset of what was measured": [*START, into(0, 0), gate("reset", [0, 2]), gate("sx", [0]), into(0, 1)],
    "a bit decides": [*START, into(0, 0), gate("x", [2], conditional=0), gate("sx", [0]), into(2, 2), into(0, 1)],
    "a bit decides on two qubits": [*START, into(0, 0), gate("cx", [1, 2], conditional=0), into(1, 1), into(2, 2)],
    "a bit decides on the qubit": [*START, into(0, 0), gate("x", [0], conditional=0), into(0, 1), into(1, 2)],
    "a bit decides on a reset": [*START, into(0, 0), gate("reset", [1], conditional=0), into(1, 1)],
    "two bits decide": [
        *[*START, into(0, 0), into(1, 1)],
        {"name": "bfunc", "mask": "0x3", "relation": "==", "val": "0x2", "register": 5},
        *[gate("x", [2], conditional=5), gate("sx", [1], conditional=5), into(2, 2), into(1, 1)],
    ],
    "the memory decides": [
        *[*START, into(0, 0), into(1, 3)],
        gate("x", [2], conditional={"mask": "0x9", "val": "0x8", "type": "equals"}),
        gate("measure", [2], memory=[1]),
    ],
    "a register alone": [
        *[*START, gate("measure", [0], register=[0])],
        {"name": "copy", "register_orig": 0, "register_copy": [3]},
        *[gate("x", [2], conditional=3), gate("measure", [2, 1], memory=[0, 1])],
    ],
}


def dynamic(name: str) -> targets.Target:
    """A device that can do everything in the middle of a circuit."""
    return dataclasses.replace(target(name), conditional=True, midcircuit=True, basis=target(name).basis | {"reset"})


@pytest.mark.parametrize("case", DYNAMIC)
def test_measuring_in_the_middle(case: str) -> None:
    """Measurements in the middle, resets and conditions have the probabilities that following each outcome gives."""
    device = dynamic("ibmq_manila")
    (way,) = ways(program(DYNAMIC[case], memory_slots=4), device)
    single = [part for step in way.steps for part in ([step] if step.name not in {"reset", "measure"} else split(step))]
    expected = enumerated(single, device)
    found = computed(way, device)

    assert distance(found, np.array([expected.get(word, 0.0) for word in range(16)])) < 1e-9


def split(step: qobj.Instruction) -> list[qobj.Instruction]:
    """A measurement or a reset of each qubit."""
    memory, register = qobj.slots(step.memory), qobj.slots(step.register)
    return [
        qobj.Instruction(
            name=step.name,
            qubits=(index,),
            memory=memory[place : place + 1] or None,
            register=register[place : place + 1] or None,
            conditional=step.conditional,
        )
        for place, index in enumerate(step.qubits or ())
    ]


@pytest.mark.parametrize("case", DYNAMIC)
def test_outcomes_drawn_on_the_way(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing each outcome as soon as it is known gives counts that follow the exact probabilities."""
    device = dynamic("ibmq_manila")
    (way,) = ways(program(DYNAMIC[case], memory_slots=4, shots=20_000), device)
    expected = computed(way, device)
    monkeypatch.setattr(frontier, "ENOUGH", 0)
    monkeypatch.setattr(frontier, "CROWDED", 0)
    (branching,) = ways(program(DYNAMIC[case], memory_slots=4, shots=20_000), device)
    (found,) = running.run([branching], device, LIMITS)

    assert branching.order is not None
    assert branching.order.branching == 0
    assert p_value({int(key, 16): one for key, one in found.result.data["counts"].items()}, expected) > 1e-6


@pytest.mark.parametrize(
    "steps",
    [
        [gate("sx", [0]), into(0, 0), gate("measure", [1], memory=[1], conditional=0)],
        [gate("x", [0]), *[into(0, slot) for slot in range(8)],
         gate("x", [1], conditional={"mask": "0xff", "val": "0x1"}), into(1, 9)],
    ],
)  # fmt: skip
def test_what_goes_to_aer(steps: list[Json]) -> None:
    """What blocks cannot do is left to Aer."""
    (way,) = ways(program(steps), dynamic("ibmq_manila"))

    assert way.plan.path == cost.AER
