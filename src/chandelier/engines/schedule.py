# SPDX-License-Identifier: Apache-2.0
"""When each instruction happens on a device, and for how long its qubits wait in between.

A qubit that waits loses its state like one that is worked on, so the waiting times become `delay`
instructions that the noise model knows. Instructions are placed as late as possible, as the devices do it:
measurements at the end of a circuit coincide, and a qubit rests in its ground state, where nothing can happen
to it, until its first instruction.

What is simplified: a branch that is not taken takes as long as if it were, without relaxation; deciding on a
measured bit takes no time; a measured qubit that is used again has relaxed for the length of the measurement; a
delay under a condition is waited in any case, because the other branch takes as long.
"""

import dataclasses
from collections.abc import Sequence
from typing import Final

from chandelier import errors
from chandelier.engines import target as targets
from chandelier.formats import qobj

#: Waits shorter than this are rounding, s.
SHORTEST_WAIT: Final = 1e-12
#: Longest that one shot may be, s: a day.
LONGEST: Final = 86_400.0

#: Instructions that take their time in their own way, or share more than qubits with others.
_TIMED: Final = frozenset({"bfunc", "copy", "delay", "measure", "reset", "superop"})

#: A qubit, or a bit of the memory or of a register.
Wire = int | tuple[str, int]


class Lasting(qobj.Instruction, frozen=True):
    """A channel (`superop`) that takes its time: a gate of which a program gives the pulses.

    Attributes:
        seconds: How long it takes, s.
        stands_for: Name of the gate.
    """

    seconds: float = 0.0
    stands_for: str = ""


@dataclasses.dataclass(frozen=True)
class Timed:
    """A circuit with its waiting times.

    Attributes:
        instructions: Those of the program, without its barriers, with a `delay` in seconds for every wait.
        duration: Length of one shot, s.
    """

    instructions: tuple[qobj.Instruction, ...]
    duration: float


def alap(instructions: Sequence[qobj.Instruction], target: targets.Target) -> Timed:
    """Place instructions as late as possible.

    Args:
        instructions: In the order of the program, checked against the target.
        target: Gives the lengths.

    Raises:
        errors.ProgramRefused: Code 8004: a shot would be longer than `LONGEST`.
    """
    free: dict[int, float] = {}  # time from the end of the circuit at which a qubit's next instruction starts
    bound: dict[Wire, float] = {}  # the same of every wire, with barriers
    known, done = target.gates, list[qobj.Instruction]()
    last = held = 0.0  # the time at which the first instruction starts, and that from which a barrier holds back all
    for instruction in reversed(instructions):
        name, qubits = instruction.name, instruction.qubits or ()
        if name == "barrier":
            held = last if not qubits else held
            bound.update(dict.fromkeys(qubits, max((bound.get(wire, held) for wire in qubits), default=held)))
            continue
        plain = name not in _TIMED and instruction.conditional is None
        wires: Sequence[Wire] = qubits if plain else _wires(instruction)
        start = max([held, *[bound.get(wire, 0.0) for wire in wires]])
        if plain:
            data = known.get((name, qubits))
            end = start + data.length if data else start
        else:
            end = start + _length(instruction, target)
        for index in qubits:
            if index in free:
                wait = start - free[index] + (end - start if name == "measure" else 0.0)
                if wait >= SHORTEST_WAIT:
                    done.append(_wait(index, wait))
            free[index] = end
        for wire in wires:
            bound[wire] = end
        last = max(last, end)
        if name == "delay":
            done += _seconds(instruction, target)
        else:
            done.append(instruction)
    if last > LONGEST:
        raise errors.ProgramRefused(
            f"With its delays a shot takes {last:.3g} s; up to {LONGEST:g} s are possible.", 8004
        )
    done.reverse()
    return Timed(tuple(done), last)


def _length(instruction: qobj.Instruction, target: targets.Target) -> float:
    qubits = instruction.qubits or ()
    if instruction.name == "delay":
        return delay(instruction, target)
    if isinstance(instruction, Lasting):
        return instruction.seconds
    if instruction.name in {"measure", "reset"}:
        return max((target.length(instruction.name, (index,)) for index in qubits), default=0.0)
    return target.length(instruction.name, qubits)


def delay(instruction: qobj.Instruction, target: targets.Target) -> float:
    """Length of a `delay`, s."""
    params = instruction.params
    return float(params[0] if isinstance(params, list) else params) * unit(instruction, target)


def unit(instruction: qobj.Instruction, target: targets.Target) -> float:
    """The unit of a `delay`, s; 0 for samples of a target that has none."""
    name = instruction.unit or "dt"
    return target.dt or 0.0 if name == "dt" else targets.SECONDS[name]


def _seconds(instruction: qobj.Instruction, target: targets.Target) -> list[qobj.Instruction]:
    """A delay as one of each qubit, in seconds."""
    length = delay(instruction, target)
    return [_wait(index, length) for index in instruction.qubits or () if length >= SHORTEST_WAIT]


def _wait(index: int, length: float) -> qobj.Instruction:
    return qobj.Instruction(name="delay", qubits=(index,), params=[length], unit="s")


def _wires(instruction: qobj.Instruction) -> list[Wire]:
    """What an instruction shares with others: its qubits, and the bits it writes or depends on."""
    wires: list[Wire] = list(instruction.qubits or ())
    wires += [("m", slot) for slot in qobj.slots(instruction.memory)]
    wires += [("r", slot) for slot in qobj.slots(instruction.register)]
    wires += [("r", slot) for slot in qobj.slots(instruction.register_copy)]
    wires += [("r", slot) for slot in qobj.slots(instruction.register_orig)]
    if isinstance(instruction.conditional, int):
        wires.append(("r", instruction.conditional))
    elif instruction.conditional is not None:
        wires += [("m", bit) for bit in bits(qobj.number(instruction.conditional.mask))]
    if instruction.name == "bfunc" and instruction.mask is not None:
        wires += [("r", bit) for bit in bits(qobj.number(instruction.mask))]
    return wires


def bits(mask: int) -> list[int]:
    """Places of the ones of a mask.

    >>> bits(0b101)
    [0, 2]
    """
    return [place for place in range(mask.bit_length()) if mask >> place & 1]
