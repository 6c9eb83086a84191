# SPDX-License-Identifier: Apache-2.0
"""The steps of a schedule, whoever wrote them: a program, the calibration of a gate, or the device's own gates.

Times are in units of dt and count from the beginning of the schedule; frequencies are in Hz, phases in radians.

Source: legacy API reference, section 12.3; Qobj, arXiv:1809.03452, section 3.4.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, eq=False)
class Play:
    """A pulse.

    Attributes:
        t0: When it begins.
        channel: Such as `d0`, `u3` or `m0`.
        samples: complex128, shape (duration,), each at most 1 in magnitude.
    """

    t0: int
    channel: str
    samples: NDArray[np.complex128]

    @property
    def duration(self) -> int:
        """Number of samples."""
        return len(self.samples)


@dataclasses.dataclass(frozen=True)
class Hold:
    """A value that a channel keeps until its next pulse or its next value."""

    t0: int
    channel: str
    value: complex
    duration: int = 0


@dataclasses.dataclass(frozen=True)
class Phase:
    """A turn of the frame of a channel.

    Attributes:
        phase: Added to the phase of all later pulses, or that phase itself.
        absolute: Whether it is the phase itself.
    """

    t0: int
    channel: str
    phase: float
    absolute: bool = False
    duration: int = 0


@dataclasses.dataclass(frozen=True)
class Frequency:
    """A change of the frequency of a channel, without a jump of its phase.

    Attributes:
        frequency: Added to the frequency, or the frequency itself, Hz.
        absolute: Whether it is the frequency itself.
    """

    t0: int
    channel: str
    frequency: float
    absolute: bool = False
    duration: int = 0


@dataclasses.dataclass(frozen=True)
class Wait:
    """Time in which a channel does nothing."""

    t0: int
    channel: str
    duration: int


@dataclasses.dataclass(frozen=True)
class Acquire:
    """A measurement.

    Attributes:
        qubits: What is measured.
        slots: Memory slot for each qubit; empty if nothing is kept in the memory.
        registers: Register slot for each qubit; empty if nothing is kept in the register.
    """

    t0: int
    duration: int
    qubits: tuple[int, ...]
    slots: tuple[int, ...]
    registers: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A look at the state, which only a simulator can take.

    Attributes:
        kind: Such as `statevector`.
    """

    t0: int
    label: str
    kind: str
    duration: int = 0


@dataclasses.dataclass(frozen=True)
class Function:
    """A function of the register (`bfunc`): whether the bits under a mask are in a relation to a value.

    Attributes:
        register: Register slot for what comes out.
        slot: Memory slot for the same; None if it is not kept there.
    """

    t0: int
    mask: int
    relation: str
    value: int
    register: int
    slot: int | None = None
    duration: int = 0


@dataclasses.dataclass(frozen=True)
class Copy:
    """A register slot copied to others."""

    t0: int
    source: int
    destinations: tuple[int, ...]
    duration: int = 0


Step = Play | Hold | Phase | Frequency | Wait | Acquire | Snapshot | Function | Copy
