# SPDX-License-Identifier: Apache-2.0
"""Tunings: the pulses of a device's gates, as found by calibrating its model; numbers only, no documents.

A tuning is made once for a device and a calibration. It is small, and `formats.defaults` makes of it what clients are
served. Times are in units of dt, amplitudes in units of the largest, angles in radians.
"""

import functools
from pathlib import Path
from typing import Final

import msgspec


class Drag(msgspec.Struct, frozen=True):
    """A DRAG pulse on a drive channel.

    Attributes:
        duration: In dt.
        sigma: Width of its Gaussian, dt.
        amp: Complex amplitude as (re, im).
        beta: Weight of the derivative, dt.
    """

    duration: int
    sigma: float
    amp: tuple[float, float]
    beta: float


class Qubit(msgspec.Struct, frozen=True):
    """The pulses of one qubit.

    Attributes:
        x: A turn by pi about the x axis.
        sx: A turn by half of that.
        errors: Infidelity of both in the model without relaxation, average over states.
    """

    x: Drag
    sx: Drag
    errors: tuple[float, float]


class Pair(msgspec.Struct, frozen=True):
    """A CX made of an echoed cross resonance.

    In this order: `x` on the control beside `sx` on the target; `amp` on the control channel beside `cancel` on the
    target's drive channel, both as a square with Gaussian edges; `x` on the control; both tones again with the other
    sign; then virtual turns about z of both qubits.

    Attributes:
        control: Index of the qubit.
        target: Index of the qubit.
        channel: Index of the control channel that drives the control at the frequency of the target.
        duration: Of one tone, dt.
        sigma: Of its edges, dt.
        width: Of its square, dt.
        amp: Complex amplitude on the control channel, (re, im).
        cancel: Complex amplitude on the target's drive channel, (re, im).
        turns: Angles of the virtual `rz` after all pulses, of control and target.
        error: Infidelity in the model without relaxation, average over states.
        leak: Population lost from both qubits' two levels, average over states.
    """

    control: int
    target: int
    channel: int
    duration: int
    sigma: float
    width: float
    amp: tuple[float, float]
    cancel: tuple[float, float]
    turns: tuple[float, float]
    error: float
    leak: float


class Missing(msgspec.Struct, frozen=True):
    """A pair that no pulses were found for.

    Attributes:
        qubits: Both, in ascending order.
        reason: A sentence without its full stop.
    """

    qubits: tuple[int, int]
    reason: str


class Tuning(msgspec.Struct, frozen=True):
    """What is known of a device's pulses.

    Attributes:
        model: Names what it was found for, as `openpulse.model` does.
        qubits: By index.
        pairs: One for each coupling that has pulses, in the direction that has them.
        missing: Couplings that have none.
        frequencies: Of the qubits when their pulses were found, GHz; of those that are not here, as in the snapshot.
    """

    model: str
    qubits: dict[int, Qubit] = {}
    pairs: tuple[Pair, ...] = ()
    missing: tuple[Missing, ...] = ()
    frequencies: dict[int, float] = {}


#: Reads one; raises `msgspec.DecodeError`.
decode = msgspec.json.Decoder(Tuning).decode

#: The tunings that come with this package, each named after its snapshot.
SHIPPED: Final = Path(__file__).parent / "tuned"


def encode(tuning: Tuning) -> bytes:
    """Write a tuning as JSON; equal tunings give equal bytes."""
    qubits, frequencies = dict(sorted(tuning.qubits.items())), dict(sorted(tuning.frequencies.items()))
    return msgspec.json.encode(msgspec.structs.replace(tuning, qubits=qubits, frequencies=frequencies))


def shipped(model: str) -> Tuning | None:
    """Return the tuning that comes with this package for a model; None if there is none."""
    return _shipped().get(model)


@functools.cache
def _shipped() -> dict[str, Tuning]:
    found = (decode(path.read_bytes()) for path in sorted(SHIPPED.glob("*.json")))
    return {tuning.model: tuning for tuning in found}
