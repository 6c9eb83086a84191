# SPDX-License-Identifier: Apache-2.0
"""Programs of pulses: one experiment's instructions as a client wrote them, and the settings that only pulses have.

Times are in units of dt, as on the wire; frequencies leave here in Hz. Fields are taken by allow-list; other keys are
ignored. What the instructions mean is for `engines.pulses.reading`.

Source: legacy API reference, section 12.3; Qobj, arXiv:1809.03452, section 3.4.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from chandelier import errors
from chandelier.formats import qobj

#: Samples of all pulses of a program's library together. What a user draws lasts some hundred samples; a longer pulse
#: is named by its shape.
MAX_SAMPLES: Final = 1_000_000
#: How much more than 1 a sample may be for rounding; it is taken for 1.
TOLERANCE: Final = 1e-6
#: Of drive and measurement channels; no device comes near it.
MAX_GHZ: Final = 1000.0
MAX_CHANNELS: Final = 10_000
#: Samples kept of a measurement at level 0, and how many if the client does not say.
MAX_SLOT_SIZE: Final = 100_000
DEFAULT_SLOT_SIZE: Final = 100

#: Hz of a frequency on the wire.
_GHZ: Final = 1e9


class Option(msgspec.Struct, frozen=True):
    """A kernel or a discriminator, named with its parameters."""

    name: str = ""
    params: Any = None


class Instruction(msgspec.Struct, frozen=True):
    """One instruction of a schedule; which fields matter depends on `name`.

    Attributes:
        name: Name of a pulse of the library, or `parametric_pulse`, `fc`, `setp`, `setf`, `shiftf`, `pv`, `delay`,
            `acquire`, `bfunc`, `copy`, `snapshot`.
        t0: When it begins.
        ch: Channel, such as `d0`.
        duration: `delay`, `acquire`.
        phase: `fc`, `setp`: radians, or a text in which the parameters of a gate stand, which only the calibrations
            of gates may have.
        frequency: `setf`, `shiftf`: GHz.
        val: `pv`: a complex number; `bfunc`: what the masked register is compared with.
        pulse_shape: `parametric_pulse`: name of its shape.
        parameters: `parametric_pulse`: of its shape.
        qubits: `acquire`: what is measured.
        memory_slot: `acquire`: memory slots, pairwise with `qubits`.
        register_slot: `acquire`: register slots, pairwise with `qubits`.
        kernels: `acquire`: how samples become a point.
        discriminators: `acquire`: how a point becomes a bit.
        label: `snapshot`: its name.
        kind: `snapshot`: what it keeps (`type` on the wire).
        mask: `bfunc`: bits of the register that count.
        relation: `bfunc`: `==`, `!=`, `<`, `<=`, `>`, `>=`.
        register: `bfunc`: register slot for what comes out.
        memory: `bfunc`: memory slot for the same.
        register_orig: `copy`: source register slot.
        register_copy: `copy`: destination register slots.
        conditional: Register slot that must be 1.
    """

    name: str
    t0: int
    ch: str | None = None
    duration: int | None = None
    phase: float | str | None = None
    frequency: float | None = None
    val: Any = None
    pulse_shape: str | None = None
    parameters: dict[str, Any] | None = None
    qubits: tuple[qobj.Index, ...] | None = None
    memory_slot: tuple[qobj.Index, ...] | qobj.Index | None = None
    register_slot: tuple[qobj.Index, ...] | qobj.Index | None = None
    kernels: tuple[Option, ...] | None = None
    discriminators: tuple[Option, ...] | None = None
    label: str | None = None
    kind: str | None = msgspec.field(name="type", default=None)
    mask: int | str | None = None
    relation: str | None = None
    register: tuple[qobj.Index, ...] | qobj.Index | None = None
    memory: tuple[qobj.Index, ...] | qobj.Index | None = None
    register_orig: qobj.Index | None = None
    register_copy: tuple[qobj.Index, ...] | qobj.Index | None = None
    conditional: Any = None


class Calibration(msgspec.Struct, frozen=True):
    """The pulses of one gate of a circuit.

    Attributes:
        name: Of the gate.
        qubits: Those on which it is played so, in its order.
        instructions: Its pulses.
        params: The parameters with which it is played so.
    """

    name: str
    qubits: tuple[qobj.Index, ...]
    instructions: tuple[Instruction, ...]
    params: tuple[float, ...] | None = ()


class Experiment(msgspec.Struct, frozen=True):
    """One experiment, decoded.

    Attributes:
        instructions: In the order of the program.
        header: JSON object that the result repeats unchanged.
        config: Settings of this experiment alone.
        memory_slots: Number of memory slots that the header declares.
    """

    instructions: tuple[Instruction, ...]
    header: msgspec.Raw
    config: qobj.Config
    memory_slots: int | None = None


class _WireExperiment(msgspec.Struct, frozen=True):
    instructions: tuple[Instruction, ...]
    header: msgspec.Raw = msgspec.Raw(b"{}")
    config: qobj.Config | None = None


class _WireCalibrations(msgspec.Struct, frozen=True):
    gates: tuple[Calibration, ...] | None = None


class _WirePulse(msgspec.Struct, frozen=True):
    name: str
    samples: list[tuple[float, float] | float]


_experiment_decoder = msgspec.json.Decoder(_WireExperiment)
_calibrations_decoder = msgspec.json.Decoder(_WireCalibrations | None)
_library_decoder = msgspec.json.Decoder(list[msgspec.Raw] | None)
_pulse_decoder = msgspec.json.Decoder(_WirePulse)
_frequencies_decoder = msgspec.json.Decoder(list[float] | None)
_size_decoder: msgspec.json.Decoder[int | None] = msgspec.json.Decoder(int | None)


def decode_experiment(raw: msgspec.Raw, index: int) -> Experiment:
    """Read one experiment of a program of type PULSE.

    Args:
        raw: The experiment's JSON.
        index: Its place in the program, for messages.

    Raises:
        errors.ProgramRefused: Code 8000; the message names the experiment and the field.
    """
    wire, header, declared = qobj.decoded(_experiment_decoder, raw, index)
    return Experiment(
        instructions=wire.instructions,
        header=header,
        config=wire.config or qobj.Config(),
        memory_slots=qobj.count(declared.memory_slots),
    )


def sequence(values: Sequence[Any]) -> tuple[Instruction, ...]:
    """Read the `sequence` of a gate in a defaults document.

    Args:
        values: JSON objects.

    Raises:
        errors.ProgramRefused: Code 8000; the message names the field.
    """
    try:
        return msgspec.convert(values, tuple[Instruction, ...])
    except (ValueError, RecursionError) as error:
        raise errors.ProgramRefused(f"The pulses of a gate: {qobj.readable(error)}.", 8000) from error


def calibrations(document: msgspec.Raw) -> tuple[Calibration, ...]:
    """Read the pulses that a program gives for gates: `calibrations` of `qobj.Config`.

    Raises:
        errors.ProgramRefused: Code 8000; the message names the field.
    """
    try:
        wire = _calibrations_decoder.decode(document)
    except (ValueError, RecursionError) as error:
        raise errors.ProgramRefused(
            f"The pulses of gates (calibrations) cannot be read: {qobj.readable(error)}.", 8000
        ) from error
    return () if wire is None else wire.gates or ()


def library(config: qobj.Config) -> dict[str, NDArray[np.complex128]]:
    """Read the pulses that a program gives by their samples.

    Returns:
        By name: complex128, shape (duration,), read-only, each at most 1 in magnitude.

    Raises:
        errors.ProgramRefused: Code 8000: not of the documented form. Code 8004: a sample is more than 1, or there
            are too many.
    """
    # A comma ends every number but the last of a list: what is too long is refused before it is decoded.
    if bytes(config.pulse_library).count(b",") > 3 * MAX_SAMPLES:
        _refuse(f"it has more than {MAX_SAMPLES} samples", 8004)
    found: dict[str, NDArray[np.complex128]] = {}
    total = 0
    try:
        for raw in _library_decoder.decode(config.pulse_library) or ():
            pulse = _pulse_decoder.decode(raw)
            total += len(pulse.samples)
            samples = _samples(pulse)
            if not np.array_equal(found.setdefault(pulse.name, samples), samples):
                _refuse(f"it has two pulses with the name {pulse.name[:80]!r}", 8000)
    except (ValueError, RecursionError) as error:
        raise errors.ProgramRefused(f"The pulse library cannot be read: {qobj.readable(error)}.", 8000) from error
    if total > MAX_SAMPLES:
        _refuse(f"it has {total} samples; up to {MAX_SAMPLES} are possible", 8004)
    return found


def frequencies(document: msgspec.Raw, name: str) -> tuple[float, ...] | None:
    """Read a list of frequencies of the settings.

    Args:
        document: `qubit_lo_freq` or `meas_lo_freq` of `qobj.Config`.
        name: Which of them, for messages.

    Returns:
        Hz, by the number of the channel; None if the client left it out.

    Raises:
        errors.ProgramRefused: Code 8000: not a list of numbers. Code 8004: one is out of range.
    """
    try:
        values = _frequencies_decoder.decode(document)
    except (ValueError, RecursionError) as error:
        raise errors.ProgramRefused(f"The setting {name} cannot be read: {qobj.readable(error)}.", 8000) from error
    if values is None:
        return None
    if len(values) > MAX_CHANNELS:
        raise errors.ProgramRefused(f"The setting {name} has {len(values)} entries, more than any device.", 8004)
    for value in values:
        if not 0 < value <= MAX_GHZ:
            raise errors.ProgramRefused(f"The setting {name} has {value:g} GHz; up to {MAX_GHZ:g} is possible.", 8004)
    return tuple(value * _GHZ for value in values)


def slot_size(config: qobj.Config) -> int:
    """Number of samples kept of a measurement at level 0.

    Raises:
        errors.ProgramRefused: Code 8000: not an integer. Code 8004: it is out of range.
    """
    try:
        value = _size_decoder.decode(config.memory_slot_size)
    except (ValueError, RecursionError) as error:
        raise errors.ProgramRefused(
            f"The setting memory_slot_size cannot be read: {qobj.readable(error)}.", 8000
        ) from error
    if value is None:
        return DEFAULT_SLOT_SIZE
    if not 1 <= value <= MAX_SLOT_SIZE:
        raise errors.ProgramRefused(
            f"The setting memory_slot_size is {shown(value)}; 1 to {MAX_SLOT_SIZE} is possible.", 8004
        )
    return value


def shown(value: object) -> str:
    """A value of a program, short enough for a message."""
    if value is None:
        return "missing"
    if isinstance(value, list | tuple | dict):
        return "a list" if isinstance(value, list | tuple) else "an object"
    if isinstance(value, int) and value.bit_length() > 64:
        return "an integer of too many digits"
    return repr(value[:40] if isinstance(value, str) else value)


def _samples(pulse: _WirePulse) -> NDArray[np.complex128]:
    if not pulse.samples:
        _refuse(f"its pulse {pulse.name[:80]!r} has no samples", 8004)
    samples = np.array([complex(*value) if isinstance(value, tuple) else value for value in pulse.samples], complex)
    with np.errstate(over="ignore"):
        largest = np.abs(samples).max()
    if not math.isfinite(largest) or largest > 1 + TOLERANCE:
        _refuse(f"its pulse {pulse.name[:80]!r} has a sample of magnitude {largest:g}; 1 is the most", 8004)
    samples /= np.maximum(1.0, np.abs(samples))
    samples.flags.writeable = False
    return samples


def _refuse(why: str, code: int) -> NoReturn:
    raise errors.ProgramRefused(f"The pulse library cannot be used: {why}.", code)
