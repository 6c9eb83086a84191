# SPDX-License-Identifier: Apache-2.0
"""Dynamical decoupling: pulses for qubits that would otherwise wait.

The circuit is placed in time, and every wait of a qubit that is long enough is filled with a sequence of pulses that
does nothing in total. The pulses are gates of the device with its errors.

What they are worth depends on the noise. A waiting qubit of these devices loses its state by relaxation alone, which
has no memory (see `engines.noise`): there is no slow drift of its phase, nor any coupling to its neighbours, that an
echo could undo. So pulses do not lengthen T2 here. What they do change: a qubit in an excited state spends half of
the wait in its ground state, which trades decay from 1 to 0 for excitation from 0 to 1; and each pulse adds its own
error. The metadata of a result says how many sequences there are.

Source: L. Viola and S. Lloyd, Phys. Rev. A 58, 2733 (1998); names of the sequences: protocol, Runtime API, 7.2.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from qiskit.circuit import CONTROL_FLOW_OP_NAMES, CircuitInstruction, Clbit, Delay, Gate, QuantumCircuit, Qubit
from qiskit.circuit.library import RZGate, XGate

from chandelier import errors
from chandelier.engines import durations, schedule
from chandelier.engines import target as targets
from chandelier.engines.primitives import rebuilding
from chandelier.formats import options, qobj

#: For each sequence the axes of its pulses, as angles in the plane of X and Y, radians.
SEQUENCES: Final[Mapping[str, tuple[float, ...]]] = {
    "XX": (0.0, 0.0),
    "XpXm": (0.0, math.pi),
    "XY4": (0.0, math.pi / 2, math.pi, -math.pi / 2),
}
#: What of a device they are made of: a pulse, and a turn of the frame for other axes, which takes no time.
_NEEDED: Final = frozenset({"x", "rz"})


class Decoupled(NamedTuple):
    """A circuit with its sequences.

    Attributes:
        circuit: Every wait between two instructions of a qubit is a delay or a sequence; without barriers.
        sequences: Number of waits that were filled.
    """

    circuit: QuantumCircuit
    sequences: int


class _Placed(NamedTuple):
    """An instruction and when it happens, s."""

    step: CircuitInstruction
    start: float
    stop: float


def check(wanted: options.Decoupling, target: targets.Target) -> None:
    """Refuse decoupling where it means nothing.

    Raises:
        errors.ProgramRefused: Code 8040.
    """
    if wanted.enable and (target.simulator or not target.delays or not target.basis >= _NEEDED):
        raise _refused(f"{target.name} has no timing that sequences of pulses could be fitted into")


def decoupled(circuit: QuantumCircuit, wanted: options.Decoupling, target: targets.Target) -> Decoupled:
    """Fill the waits of a circuit with sequences of pulses.

    Before its first instruction, and after a reset, a qubit is left alone only if that is wanted
    (`skip_reset_qubits`), although in the ground state it has nothing to lose.

    Raises:
        errors.ProgramRefused: Code 8040: the circuit branches, so that nobody knows how long its qubits wait.
    """
    if any(step.name in CONTROL_FLOW_OP_NAMES for step in circuit.data):
        raise _refused("the circuit branches, and how long its qubits wait is not known beforehand")
    steps, filled = list[CircuitInstruction](), 0
    placed, begins = _placed(circuit, target, late=wanted.scheduling_method == "alap")
    free: dict[Qubit, float] = {}
    fresh = set(circuit.qubits)
    for one in placed:
        for qubit in one.step.qubits:
            wait = one.start - free.get(qubit, begins)
            index = circuit.find_bit(qubit).index
            pauses = [] if wanted.skip_reset_qubits and qubit in fresh else _pauses(wait, index, wanted, target)
            filled += bool(pauses)
            if pauses:
                steps += _pulses(qubit, pauses, SEQUENCES[wanted.sequence_type])
            elif qubit in free:
                steps += _pause(qubit, wait)
            free[qubit] = one.stop
        (fresh.update if one.step.name == "reset" else fresh.difference_update)(one.step.qubits)
        steps.append(one.step)
    return Decoupled(rebuilding.rebuilt(circuit, steps), filled)


def _placed(circuit: QuantumCircuit, target: targets.Target, *, late: bool) -> tuple[list[_Placed], float]:
    """When each instruction happens, in the order of the circuit, and when the first does; s.

    Barriers and delays are not among them: what they ask for is in the times of the others.
    """
    steps = list(circuit.data)
    free: dict[Qubit | Clbit, float] = {}
    found: list[_Placed] = []
    for step in reversed(steps) if late else steps:
        wires: Sequence[Qubit | Clbit] = (*step.qubits, *step.clbits)
        start = max((free.get(wire, 0.0) for wire in wires), default=0.0)
        stop = start + _length(step, circuit, target)
        free.update(dict.fromkeys(wires, stop))
        if step.name not in {"barrier", "delay"}:
            found.append(_Placed(step, -stop, -start) if late else _Placed(step, start, stop))
    begins = min((one.start for one in found), default=0.0)
    return (found[::-1] if late else found), begins


def _length(step: CircuitInstruction, circuit: QuantumCircuit, target: targets.Target) -> float:
    """Length of an instruction, s."""
    qubits = tuple(circuit.find_bit(qubit).index for qubit in step.qubits)
    if step.name == "barrier":
        return 0.0
    if not isinstance(step.operation, Delay):
        return target.length(step.name, qubits)
    duration, unit = durations.read(step.operation)
    if not isinstance(duration, int | float):
        raise _refused("the length of a delay depends on a parameter")
    return schedule.delay(qobj.Instruction(name="delay", qubits=qubits, params=[duration], unit=unit), target)


def _pauses(wait: float, index: int, wanted: options.Decoupling, target: targets.Target) -> list[float]:
    """How long a qubit waits before, between and after the pulses of a sequence, s; empty if it is too short for one.

    Each is a whole number of the device's samples; what is left over goes where the options say.
    """
    count = len(SEQUENCES[wanted.sequence_type])
    left = wait - count * target.length("x", (index,))
    if left < schedule.SHORTEST_WAIT or ("x", (index,)) in target.faulty_gates:
        return []
    grain = target.dt or schedule.SHORTEST_WAIT
    inner = _whole(left / count, grain)
    pauses = [_whole(left / count / 2, grain), *[inner] * (count - 1), _whole(left / count / 2, grain)]
    slack = left - sum(pauses)
    if wanted.extra_slack_distribution == "middle":
        pauses[count // 2] += slack
    else:
        pauses[0] += _whole(slack / 2, grain)
        pauses[-1] += slack - _whole(slack / 2, grain)
    return pauses


def _whole(seconds: float, grain: float) -> float:
    """The most whole grains within a time, s; a time that is off by rounding counts as whole."""
    return math.floor(seconds / grain + 1e-6) * grain


def _pulses(qubit: Qubit, pauses: Sequence[float], angles: Sequence[float]) -> list[CircuitInstruction]:
    steps = _pause(qubit, pauses[0])
    for angle, pause in zip(angles, pauses[1:], strict=True):
        pulse: list[Gate] = [RZGate(-angle), XGate(), RZGate(angle)] if angle else [XGate()]
        steps += [CircuitInstruction(gate, (qubit,)) for gate in pulse]
        steps += _pause(qubit, pause)
    return steps


def _pause(qubit: Qubit, seconds: float) -> list[CircuitInstruction]:
    return [CircuitInstruction(Delay(seconds, "s"), (qubit,))] if seconds >= schedule.SHORTEST_WAIT else []


def _refused(why: str) -> errors.ProgramRefused:
    return errors.ProgramRefused(f"dynamical_decoupling.enable: {why}. Leave the option out.", 8040)
