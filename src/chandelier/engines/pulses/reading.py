# SPDX-License-Identifier: Apache-2.0
"""The instructions of a schedule as a client wrote them, read into steps.

What is checked here holds for every device: forms, times, amplitudes, slots, and that no channel plays two pulses at
once. Which qubits, channels, frequencies and kinds of snapshots there are is for whoever knows the device.

Source: legacy API reference, section 12.3; Qobj, arXiv:1809.03452, section 3.4; the codes are in `errors.CODES`.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from chandelier import errors
from chandelier.engines.pulses import steps, waveforms
from chandelier.formats import pulses, qobj

#: Longest schedule, dt: some 20 ms.
MAX_TIME: Final = 100_000_000
#: Samples of all pulses of one schedule together.
MAX_SAMPLES: Final = 10_000_000
MAX_REGISTERS: Final = 10_000
#: Widest mask of a function, bits.
MAX_COMPARED: Final = 256
#: No turn of a frame has to be larger; a phase beyond has lost its digits.
MAX_PHASE: Final = 1e9

Samples = NDArray[np.complex128]

#: As they are written, and as steps have them.
_RELATIONS: Final = {"==": "==", "=": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_CHANNEL: Final = re.compile(r"[duma](?:0|[1-9][0-9]{0,5})", re.ASCII)
_GHZ: Final = 1e9


@dataclasses.dataclass(frozen=True)
class _Around:
    """What an instruction is read with.

    Attributes:
        library: Pulses that the program gives by their samples.
        slots: Number of memory slots.
    """

    library: Mapping[str, Samples]
    slots: int


def read(
    instructions: Sequence[pulses.Instruction], library: Mapping[str, Samples], *, where: str, slots: int
) -> tuple[steps.Step, ...]:
    """Read a schedule.

    Args:
        instructions: As `formats.pulses` decodes them.
        library: Samples by name; see `pulses.library`.
        where: What the schedule is, to begin messages with, such as `Experiment 3`.
        slots: Number of memory slots.

    Returns:
        One step for each instruction, in the same order.

    Raises:
        errors.ProgramRefused: Code 8004, 8005 or 8010; the message names the instruction.
    """
    around = _Around(library, slots)
    found: list[steps.Step] = []
    played = 0
    for place, instruction in enumerate(instructions):
        try:
            step = _step(instruction, around)
            played += len(step.samples) if isinstance(step, steps.Play) else 0
            if played > MAX_SAMPLES:
                _refuse(8004, f"the pulses up to here have {played} samples; up to {MAX_SAMPLES} are possible")
        except errors.ProgramRefused as error:
            named = f"{where}, instruction {place} ({instruction.name[:80]})"
            raise errors.ProgramRefused(f"{named}: {error.message}", error.code) from error
        found.append(step)
    try:
        _check_overlaps(found)
    except errors.ProgramRefused as error:
        raise errors.ProgramRefused(f"{where}: {error.message}", error.code) from error
    return tuple(found)


def _step(instruction: pulses.Instruction, around: _Around) -> steps.Step:
    if instruction.conditional is not None:
        _refuse(8010, "it has a condition, which pulses cannot have here")
    if not 0 <= instruction.t0 <= MAX_TIME:
        _refuse(8004, f"its t0 is {pulses.shown(instruction.t0)}; it must be from 0 to {MAX_TIME}")
    reader = _READERS.get(instruction.name)
    if reader is None and instruction.name not in around.library:
        _refuse(8010, f"the program has no pulse of this name, and the instructions are {', '.join(_READERS)}")
    step = (reader or _named)(instruction, around)
    if step.t0 + step.duration > MAX_TIME:
        _refuse(8004, f"it ends at {step.t0 + step.duration}; a schedule may last up to {MAX_TIME}")
    return step


def _named(instruction: pulses.Instruction, around: _Around) -> steps.Play:
    return steps.Play(instruction.t0, _channel(instruction, "dum"), around.library[instruction.name])


def _shaped(instruction: pulses.Instruction, _around: _Around) -> steps.Play:
    if instruction.pulse_shape is None or instruction.parameters is None:
        _refuse(8004, "it needs pulse_shape and parameters")
    samples = waveforms.samples(instruction.pulse_shape, instruction.parameters)
    return steps.Play(instruction.t0, _channel(instruction, "dum"), samples)


def _shift_phase(instruction: pulses.Instruction, _around: _Around) -> steps.Phase:
    return steps.Phase(instruction.t0, _channel(instruction, "dum"), _phase(instruction))


def _set_phase(instruction: pulses.Instruction, _around: _Around) -> steps.Phase:
    return steps.Phase(instruction.t0, _channel(instruction, "dum"), _phase(instruction), absolute=True)


def _shift_frequency(instruction: pulses.Instruction, _around: _Around) -> steps.Frequency:
    return steps.Frequency(instruction.t0, _channel(instruction, "dum"), _frequency(instruction))


def _set_frequency(instruction: pulses.Instruction, _around: _Around) -> steps.Frequency:
    return steps.Frequency(instruction.t0, _channel(instruction, "dum"), _frequency(instruction), absolute=True)


def _hold(instruction: pulses.Instruction, _around: _Around) -> steps.Hold:
    value = instruction.val
    pair = value if isinstance(value, list) else [value, 0.0]
    if len(pair) != 2 or not all(isinstance(part, int | float) and not isinstance(part, bool) for part in pair):
        _refuse(8004, f"its val is {pulses.shown(value)}; it must be a number or [re, im]")
    if not all(abs(part) <= 1 + pulses.TOLERANCE for part in pair) or abs(complex(*pair)) > 1 + pulses.TOLERANCE:
        _refuse(8004, "the magnitude of its val is more than 1")
    held = complex(*pair)
    return steps.Hold(instruction.t0, _channel(instruction, "dum"), held / max(1.0, abs(held)))


def _wait(instruction: pulses.Instruction, _around: _Around) -> steps.Wait:
    return steps.Wait(instruction.t0, _channel(instruction, "duma"), _duration(instruction, 0))


def _acquire(instruction: pulses.Instruction, around: _Around) -> steps.Acquire:
    qubits = instruction.qubits or ()
    memory, registers = qobj.slots(instruction.memory_slot), qobj.slots(instruction.register_slot)
    if not qubits:
        _refuse(8004, "it needs qubits")
    for name, values in (("memory slots", memory), ("register slots", registers)):
        if len(values) not in {0, len(qubits)}:
            _refuse(8004, f"it measures {len(qubits)} qubits into {len(values)} {name}")
    for name, values in (("qubit", qubits), ("memory slot", memory), ("register slot", registers)):
        if len(set(values)) < len(values):
            _refuse(8005, f"it names a {name} twice")
    _check_slots(memory, around)
    _check_registers(registers)
    return steps.Acquire(instruction.t0, _duration(instruction, 1), qubits, memory, registers)


def _snapshot(instruction: pulses.Instruction, _around: _Around) -> steps.Snapshot:
    if instruction.label is None:
        _refuse(8004, "it needs a label")
    return steps.Snapshot(instruction.t0, instruction.label, instruction.kind or "statevector")


def _function(instruction: pulses.Instruction, around: _Around) -> steps.Function:
    registers, memory = qobj.slots(instruction.register), qobj.slots(instruction.memory)
    if instruction.mask is None or instruction.val is None or len(registers) != 1 or len(memory) > 1:
        _refuse(8004, "it needs mask, val and one register, and at most one memory slot")
    relation = _RELATIONS.get(instruction.relation or "==")
    if relation is None:
        known = ", ".join(_RELATIONS)
        _refuse(8004, f"its relation is {pulses.shown(instruction.relation)}; it must be one of {known}")
    _check_slots(memory, around)
    _check_registers(registers)
    return steps.Function(
        instruction.t0,
        mask=_bits("mask", instruction.mask),
        relation=relation,
        value=_bits("val", instruction.val),
        register=registers[0],
        slot=memory[0] if memory else None,
    )


def _copy(instruction: pulses.Instruction, _around: _Around) -> steps.Copy:
    destinations = qobj.slots(instruction.register_copy)
    if instruction.register_orig is None or not destinations:
        _refuse(8004, "it needs register_orig and register_copy")
    _check_registers([instruction.register_orig, *destinations])
    return steps.Copy(instruction.t0, instruction.register_orig, destinations)


#: By name; every other name is that of a pulse.
_READERS: Final[Mapping[str, Callable[[pulses.Instruction, _Around], steps.Step]]] = {
    "acquire": _acquire,
    "bfunc": _function,
    "copy": _copy,
    "delay": _wait,
    "fc": _shift_phase,
    "parametric_pulse": _shaped,
    "pv": _hold,
    "setf": _set_frequency,
    "setp": _set_phase,
    "shiftf": _shift_frequency,
    "snapshot": _snapshot,
}


def _channel(instruction: pulses.Instruction, kinds: str) -> str:
    name = instruction.ch or ""
    if _CHANNEL.fullmatch(name) is None:
        _refuse(8004, f"its channel ch is {pulses.shown(instruction.ch)}; it must be such as d0, u1, m0")
    if name[0] not in kinds:
        _refuse(8004, f"channel {name} only measures; nothing can be played on it")
    return name


def _phase(instruction: pulses.Instruction) -> float:
    phase = instruction.phase
    if not isinstance(phase, int | float):
        _refuse(8004, f"its phase is {pulses.shown(phase)}; it must be a number")
    if not abs(phase) <= MAX_PHASE:
        _refuse(8004, f"its phase is {phase:g}; up to {MAX_PHASE:g} is possible")
    return float(phase)


def _frequency(instruction: pulses.Instruction) -> float:
    if instruction.frequency is None:
        _refuse(8004, "it needs a frequency")
    if not abs(instruction.frequency) <= pulses.MAX_GHZ:
        _refuse(8004, f"its frequency is {instruction.frequency:g} GHz; up to {pulses.MAX_GHZ:g} is possible")
    return instruction.frequency * _GHZ


def _duration(instruction: pulses.Instruction, least: int) -> int:
    duration = instruction.duration
    if duration is None or not least <= duration <= MAX_TIME:
        _refuse(8004, f"its duration is {pulses.shown(duration)}; it must be from {least} to {MAX_TIME}")
    return duration


def _bits(name: str, value: object) -> int:
    try:
        number = qobj.number(value) if isinstance(value, int | str) and not isinstance(value, bool) else -1
    except ValueError:
        number = -1
    if number < 0:
        _refuse(8004, f"its {name} is {pulses.shown(value)}; it must be a non-negative integer or hexadecimal text")
    if number.bit_length() > MAX_COMPARED:
        _refuse(8010, f"its {name} has {number.bit_length()} bits; up to {MAX_COMPARED} are possible")
    return number


def _check_slots(memory: Iterable[int], around: _Around) -> None:
    for slot in memory:
        if slot >= around.slots:
            _refuse(8005, f"there is no memory slot {slot}; the program declares {around.slots}, numbered from 0")


def _check_registers(registers: Iterable[int]) -> None:
    for slot in registers:
        if slot >= MAX_REGISTERS:
            _refuse(8005, f"register slots are numbered from 0 to {MAX_REGISTERS - 1}; there is no slot {slot}")


def _check_overlaps(found: Iterable[steps.Step]) -> None:
    """A channel plays one pulse at a time and keeps value, frame and frequency; a qubit is measured once at a time."""
    busy: dict[str, list[tuple[int, int]]] = {}
    for step in found:
        for channel in _occupied(step):
            busy.setdefault(channel, []).append((step.t0, step.t0 + step.duration))
    for channel, spans in busy.items():
        # At the same time, what takes none comes first.
        spans.sort()
        ends = 0
        for begin, end in spans:
            if begin < ends:
                what = "measures its qubit" if channel[0] == "a" else "plays a pulse"
                _refuse(8005, f"channel {channel} {what} until {ends}, and something else begins on it at {begin}")
            ends = max(ends, end)


def _occupied(step: steps.Step) -> Sequence[str]:
    if isinstance(step, steps.Play | steps.Hold | steps.Phase | steps.Frequency):
        return (step.channel,)
    return [f"a{qubit}" for qubit in step.qubits] if isinstance(step, steps.Acquire) else ()


def _refuse(code: int, why: str) -> NoReturn:
    raise errors.ProgramRefused(f"{why}.", code)
