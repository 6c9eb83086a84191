# SPDX-License-Identifier: Apache-2.0
"""The model of a device that pulses act on: coupled Duffing oscillators that relax, in SI units.

Frequencies are those at which a qubit answers when all its neighbours rest. What a calibration publishes is the
frequency at the moment when it was taken; from then on the true one wanders.

Source: legacy API reference, sections 9.2 and 11; for the model, `formats.hamiltonians`.
"""

import dataclasses
import datetime
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from chandelier import errors
from chandelier.engines import target as targets
from chandelier.formats import device, drift, hamiltonians

#: Levels of an oscillator that are followed.
LEVELS: Final = 3
_GHZ: Final = 1e9


@dataclasses.dataclass(frozen=True)
class Channel:
    """What a drive or control channel does.

    Attributes:
        qubit: The oscillator that it drives.
        strength: A resonant sample of 1 turns the two lowest levels at this rate, rad/s.
        oscillators: Qubits whose oscillators give its frequency, each with its weight.
    """

    qubit: int
    strength: float
    oscillators: tuple[tuple[int, float], ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A device at one moment.

    Attributes:
        dt: Duration of a sample, s.
        frequencies: Of each qubit at this moment, rad/s.
        oscillators: Frequencies of the local oscillators unless a program chooses others, Hz.
        anharmonicities: How much more the second step up takes, rad/s.
        couplings: J of pairs, the smaller index first, rad/s.
        channels: By name, such as `d0` and `u3`.
        t1: Relaxation time of each qubit, s; infinite if it does not relax.
        t2: Dephasing time of each qubit, s, at most twice `t1`.
    """

    dt: float
    frequencies: tuple[float, ...]
    oscillators: tuple[float, ...]
    anharmonicities: tuple[float, ...]
    couplings: Mapping[tuple[int, int], float]
    channels: Mapping[str, Channel]
    t1: tuple[float, ...]
    t2: tuple[float, ...]

    @functools.cached_property
    def neighbours(self) -> tuple[tuple[int, ...], ...]:
        """For each qubit those that it is coupled to."""
        pairs = [pair for pair, strength in self.couplings.items() if strength]
        return tuple(
            tuple(sorted(sum(pair) - own for pair in pairs if own in pair)) for own in range(len(self.frequencies))
        )

    @property
    def n_qubits(self) -> int:
        """Number of qubits."""
        return len(self.frequencies)

    def frequency(self, channel: str, oscillators: tuple[float, ...]) -> float:
        """The frequency of a channel, rad/s, where the local oscillators have these frequencies, Hz."""
        weighted = self.channels[channel].oscillators
        return 2 * math.pi * sum(scale * oscillators[index] for index, scale in weighted)

    def mirrors(self, qubit: int) -> tuple[str, ...]:
        """The channels in whose frame a qubit turns: its own, and those that drive others at its frequency."""
        own = ((qubit, 1.0),)
        return tuple(name for name, channel in self.channels.items() if channel.oscillators == own)


def load(path: str, moment: datetime.datetime | None = None) -> Model:
    """Make the model of a device from its documents, which never change at their path; see `parse`.

    Raises:
        errors.Invalid: As of `parse`.
        errors.Unavailable: The documents are missing or not of the documented form.
    """
    document, resting = _resting(path)
    return resting if document.life is None or moment is None else _wandered(resting, document.life, moment)


@functools.lru_cache(maxsize=16)
def _resting(path: str) -> tuple[device.DeviceDocument, Model]:
    try:
        document = device.from_json(Path(path).read_bytes())
    except OSError as error:
        raise errors.Unavailable(f"The device's documents cannot be read: {error!r}.", 1008) from error
    return document, parse(document)


def _wandered(resting: Model, life: device.Life, moment: datetime.datetime) -> Model:
    moved = [
        frequency + 2 * math.pi * drift.wander(life, index, moment)
        for index, frequency in enumerate(resting.frequencies)
    ]
    return dataclasses.replace(resting, frequencies=tuple(moved))


def parse(document: device.DeviceDocument) -> Model:
    """Make the model of a device at the moment of its calibration.

    Args:
        document: Of a calibration, with a Hamiltonian in its configuration.

    Raises:
        errors.Invalid: Its Hamiltonian is not one that can be simulated.
    """
    configuration = document.configuration
    hamiltonian = hamiltonians.parse(configuration.get("hamiltonian"))
    count = configuration["n_qubits"]
    if set(hamiltonian.qubits) != set(range(count)):
        raise errors.Invalid(f"The Hamiltonian has {len(hamiltonian.qubits)} qubits; the device has {count}.", 1001)
    oscillators = _oscillators(document, hamiltonian)
    relaxed = targets.parse(document).qubits or (None,) * count
    return Model(
        dt=configuration["dt"] * 1e-9,
        frequencies=tuple(2 * math.pi * frequency for frequency in oscillators),
        oscillators=oscillators,
        anharmonicities=tuple(hamiltonian.qubits[index].anharmonicity for index in range(count)),
        couplings=hamiltonian.couplings,
        channels=_channels(configuration, hamiltonian),
        t1=tuple(math.inf if qubit is None else qubit.t1 for qubit in relaxed),
        t2=tuple(math.inf if qubit is None else qubit.t2 for qubit in relaxed),
    )


def _oscillators(document: device.DeviceDocument, hamiltonian: hamiltonians.Hamiltonian) -> tuple[float, ...]:
    """The frequencies that were found at the calibration, Hz: of the defaults, or before there are any the model's."""
    if document.defaults is not None:
        return tuple(frequency * _GHZ for frequency in document.defaults["qubit_freq_est"])
    return tuple(hamiltonian.qubits[index].frequency / (2 * math.pi) for index in sorted(hamiltonian.qubits))


def _channels(configuration: Mapping[str, Any], hamiltonian: hamiltonians.Hamiltonian) -> dict[str, Channel]:
    """All channels that drive something, with where their frequency comes from."""
    mixed = configuration.get("u_channel_lo") or []
    channels = {}
    for name, drive in hamiltonian.drives.items():
        index = int(name[1:])
        if name[0] == "d":
            sources: tuple[tuple[int, float], ...] = ((index, 1.0),)
        elif index < len(mixed):
            sources = tuple((entry["q"], float(entry["scale"][0])) for entry in mixed[index])
        else:
            raise errors.Invalid(f"The Hamiltonian has a channel u{index}, the device has {len(mixed)}.", 1001)
        channels[name] = Channel(drive.qubit, drive.strength, sources)
    return channels
