# SPDX-License-Identifier: Apache-2.0
"""A slow and plain simulator to judge the fast ones by: every outcome of every measurement is a branch of its own."""

import functools
import operator as comparing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from physics import Json, gate, steps
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import Operator, Statevector

from chandelier.engines import circuits, gates, reduction
from chandelier.formats import qobj

State = NDArray[np.complex128]
#: Memory, registers, and a state whose squared norm is the chance of the branch.
Branch = tuple[dict[int, int], dict[int, int], State]

_RELATIONS: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "==": comparing.eq,
    "!=": comparing.ne,
    "<": comparing.lt,
    "<=": comparing.le,
    ">": comparing.gt,
    ">=": comparing.ge,
}


def probabilities(instructions: Sequence[Json], qubits: int) -> dict[int, float]:
    """The chance of each word of memory."""
    start = np.zeros(1 << qubits, dtype=np.complex128)
    start[0] = 1
    branches: list[Branch] = [({}, {}, start)]
    for step in steps(*instructions):
        branches = [after for before in branches for after in _after(before, step, qubits)]
    found: dict[int, float] = {}
    for memory, _, state in branches:
        word = sum(bit << slot for slot, bit in memory.items())
        found[word] = found.get(word, 0.0) + float(np.linalg.norm(state) ** 2)
    return found


def _after(branch: Branch, step: qobj.Instruction, qubits: int) -> list[Branch]:
    memory, registers, state = branch
    if step.conditional is not None and not _holds(step.conditional, memory, registers):
        return [branch]
    if step.name == "measure":
        return _measured(branch, step, qubits)
    if step.name in {"reset", "initialize"}:
        found = [branch]
        for qubit in step.qubits or ():
            found = [(m, r, _lowered(s, qubit, bit, qubits)) for m, r, s in found for bit in (0, 1)]
        if step.name == "initialize":
            found = [(m, r, _prepared(s, step)) for m, r, s in found]
        return [one for one in found if np.linalg.norm(one[2]) > 1e-15]
    if step.name == "bfunc":
        mask = qobj.number(step.mask or 0)
        value = sum(bit << slot for slot, bit in registers.items()) & mask
        truth = int(_RELATIONS[step.relation or "=="](value, qobj.number(step.val or 0)))
        return [(memory, {**registers, **dict.fromkeys(qobj.slots(step.register), truth)}, state)]
    if step.name == "copy":
        value = registers.get(step.register_orig or 0, 0)
        return [(memory, {**registers, **dict.fromkeys(qobj.slots(step.register_copy), value)}, state)]
    if step.name in {"barrier", "delay"}:
        return [branch]
    return [(memory, registers, Statevector(state).evolve(matrix(step), list(step.qubits or ())).data)]


def _holds(condition: int | qobj.Condition, memory: Mapping[int, int], registers: Mapping[int, int]) -> bool:
    if isinstance(condition, int):
        return bool(registers.get(condition, 0))
    value = sum(bit << slot for slot, bit in memory.items())
    return value & qobj.number(condition.mask) == qobj.number(condition.val)


def _measured(branch: Branch, step: qobj.Instruction, qubits: int) -> list[Branch]:
    found = [branch]
    memory, register = qobj.slots(step.memory), qobj.slots(step.register)
    for place, qubit in enumerate(step.qubits or ()):
        found = [
            (
                {**m, **({memory[place]: bit} if memory else {})},
                {**r, **({register[place]: bit} if register else {})},
                _projected(s, qubit, bit, qubits),
            )
            for m, r, s in found
            for bit in (0, 1)
        ]
    return [one for one in found if np.linalg.norm(one[2]) > 1e-15]


def _projected(state: State, qubit: int, bit: int, qubits: int) -> State:
    keep = (np.arange(1 << qubits) >> qubit & 1) == bit
    projected: State = np.where(keep, state, 0)
    return projected


def _lowered(state: State, qubit: int, bit: int, qubits: int) -> State:
    """The part of a state where a qubit has a value, with the qubit set to 0."""
    lowered: State = _projected(state, qubit, bit, qubits)[np.arange(1 << qubits) ^ (bit << qubit)]
    return lowered


def _prepared(state: State, step: qobj.Instruction) -> State:
    params: Any = step.params
    if isinstance(params, list) and isinstance(params[0], list):
        wanted = np.array([complex(*pair) for pair in params])
    elif isinstance(params, list) and isinstance(params[0], int):
        wanted = Statevector.from_int(params[0], 1 << len(step.qubits or ())).data
    else:
        wanted = Statevector.from_label("".join(params)).data
    whole = np.zeros((len(wanted), len(wanted)), dtype=np.complex128)
    whole[:, 0] = wanted
    prepared: State = Statevector(state).evolve(Operator(whole), list(step.qubits or ())).data
    return prepared


def matrix(step: qobj.Instruction) -> Operator:
    """The matrix of a gate, by Qiskit."""
    circuit = QuantumCircuit(len(step.qubits or ()))
    for operation, places in circuits.operations(step, frozenset(), circuit):
        circuit.append(operation, list(places))
    return Operator(circuit)


def distance(one: Mapping[int, float], other: Mapping[int, float]) -> float:
    """Total variation distance."""
    return sum(abs(one.get(word, 0.0) - other.get(word, 0.0)) for word in {*one, *other}) / 2


def random_steps(
    rng: np.random.Generator, qubits: int, length: int, names: Sequence[str], dynamic: Sequence[str] = ()
) -> list[Json]:
    """A random circuit of some gates, with measurements, resets and conditions where they are asked for.

    Args:
        rng: Source of randomness.
        qubits: Number of qubits.
        length: Number of instructions.
        names: Names of gates.
        dynamic: Some of `measure`, `reset`, `conditional`, `masked`.
    """
    found: list[Json] = []
    written: list[int] = []
    for _ in range(length):
        places = [int(place) for place in rng.permutation(qubits)]
        kind = str(rng.choice([*dynamic, *["gate"] * 6]))
        if kind in {"measure", "reset"}:
            slot = int(rng.integers(6))
            slots = {"memory": [slot], "register": [slot]} if kind == "measure" else {}
            written += [slot] * len(slots)
            found.append(gate(kind, places[:1], **slots))
            continue
        name = str(rng.choice(names))
        step = gate(name, places[: gates.SHAPES[name].qubits], *rng.uniform(-3, 3, gates.SHAPES[name].params).tolist())
        if kind in {"conditional", "masked"} and written:
            mask = 0
            for slot in rng.choice(written, 2):
                mask |= 1 << int(slot)
            asked = int(rng.integers(64)) & mask
            if kind == "masked":
                step["conditional"] = {"type": "equals", "mask": hex(mask), "val": hex(asked)}
            else:
                step["conditional"] = 7
                found.append({"name": "bfunc", "mask": hex(mask), "relation": "==", "val": hex(asked), "register": 7})
        found.append(step)
    return found


@functools.cache
def small_gates(most: int) -> tuple[str, ...]:
    """Names of gates on so many qubits at most."""
    return tuple(sorted(name for name, shape in gates.SHAPES.items() if shape.qubits <= most))


def reduced(instructions: Sequence[Json]) -> reduction.Reduced:
    """A circuit reduced."""
    return reduction.reduced(steps(*instructions))
