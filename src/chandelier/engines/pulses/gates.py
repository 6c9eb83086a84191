# SPDX-License-Identifier: Apache-2.0
"""The pulses that a program gives for gates: read, checked, and found by gate, qubits and parameters.

Source: legacy API reference, sections 12.1 and 12.3.
"""

import bisect
import dataclasses
import functools
import hashlib
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from chandelier.engines import cost, methods, programs
from chandelier.engines import target as targets
from chandelier.engines.programs import refuse
from chandelier.engines.pulses import clusters, opening, plans, reading, steps, timeline, transfer
from chandelier.engines.pulses.model import Model
from chandelier.formats import pulses, qobj, tasks

#: How near parameters must be to those of a calibration, in units of their own or of 1.
_NEAR: Final = 1e-9
#: How near the frequency of a channel must be at the end to that of its beginning, Hz.
_SAME_HZ: Final = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class Entry:
    """A gate with its pulses.

    Attributes:
        gate: As the program has it, by today's name.
        schedule: Its pulses.
        library: Where it is kept.
    """

    gate: pulses.Calibration
    schedule: tuple[steps.Step, ...]
    library: "Library"

    @functools.cached_property
    def played(self) -> transfer.Played:
        """As of `played`."""
        return self.library.play(self.gate, self.schedule)

    @functools.cached_property
    def flaw(self) -> str | None:
        """Why it does not only measure its qubits, which are then read out as they always are; None if it does."""
        where = _named(self.gate)
        for step in self.schedule:
            channel = getattr(step, "channel", "")
            if isinstance(step, steps.Snapshot | steps.Function | steps.Copy) or (
                opening.drives(channel or "m") and not isinstance(step, steps.Wait)
            ):
                return f"{where} do more than to read out; those of a measure play on channels m, and acquire"
        acquired = {qubit for step in self.schedule if isinstance(step, steps.Acquire) for qubit in step.qubits}
        if not acquired.issuperset(self.gate.qubits):
            return f"{where} acquire nothing of its qubit; remove them, and it is measured as it always is"
        return None


@dataclasses.dataclass(frozen=True, eq=False)
class _Namesakes:
    """The entries of one gate on the same qubits, found by their parameters; of several that fit the first counts.

    Attributes:
        entries: In the order of the program.
    """

    entries: Sequence[Entry]

    @functools.cached_property
    def _values(self) -> list[float]:
        return sorted({value for entry in self.entries for value in entry.gate.params or ()})

    @functools.cached_property
    def _firsts(self) -> list[float]:
        """For each value the first of those that count as equal to it."""
        found: list[float] = []
        for value in self._values:
            found.append(found[-1] if found and _near(found[-1], value) else value)
        return found

    @functools.cached_property
    def _fitting(self) -> dict[tuple[float | None, ...], Entry]:
        return {tuple(map(self._standing, entry.gate.params or ())): entry for entry in reversed(self.entries)}

    def find(self, params: Any) -> Entry | None:
        """Find the entry with some parameters, of any type."""
        given = params or ()
        if not isinstance(given, list | tuple):
            return None
        return self._fitting.get(tuple(map(self._standing, given)))

    def _standing(self, value: Any) -> float | None:
        """The value that stands for all that are equal to this one; None if no entry has any of them."""
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > sys.float_info.max:
            return None
        place = bisect.bisect_left(self._values, value)
        around = range(max(place - 1, 0), min(place + 1, len(self._values)))
        nearest = min(around, key=lambda index: abs(self._values[index] - value), default=None)
        return None if nearest is None or not _near(self._values[nearest], value) else self._firsts[nearest]


def _near(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_NEAR, abs_tol=_NEAR)


def played(
    gate: pulses.Calibration, found: Sequence[steps.Step], known: Model, shared: timeline.Shared | None = None
) -> transfer.Played:
    """Find what is played for a gate.

    Args:
        gate: The gate.
        found: Its pulses, read.
        known: The model of the device.
        shared: Samples of other gates of the same program.

    Raises:
        errors.ProgramRefused: Code 8010: these are no pulses of a gate on these qubits. Code 8004: they are too far
            from the frequency of a channel.
    """
    shared = shared or timeline.Shared()
    where, qubits = _named(gate), gate.qubits
    if not 1 <= len(qubits) <= transfer.MAX_QUBITS:
        refuse(8010, f"{where} act on {len(qubits)} qubits; on one or two they can be simulated within a circuit")
    for step in found:
        if isinstance(step, steps.Acquire | steps.Snapshot | steps.Function | steps.Copy):
            refuse(8010, f"{where} have an instruction of kind {type(step).__name__.lower()}, which no gate has")
    laid = timeline.lay(found, known, known.oscillators, shared)
    plans.check_frequencies(laid.tones, known, where)
    for tone in laid.tones:
        driven = known.channels[tone.channel].qubit
        if driven not in qubits:
            refuse(8010, f"{where} drive qubit {driven}, on {tone.channel}; a gate drives its own qubits only")
    groups = clusters.groups(laid.tones, qubits, known)
    joined = {qubit for group in groups for qubit in group}.difference(qubits)
    if joined:
        refuse(
            8010, f"{where} drive at the frequency of qubit {min(joined)}, which they join; name it among its qubits"
        )
    slips = _slips(found, known, where)
    turns = tuple(laid.frames.get(f"d{qubit}", 0.0) + slips.get(f"d{qubit}", 0.0) for qubit in qubits)
    heard = [(tone.channel, tone.begin, tone.frequency, shared.content(tone.samples)) for tone in laid.tones]
    key = hashlib.blake2b(repr((qubits, laid.duration, turns, heard)).encode(), digest_size=24).digest()
    return transfer.Played(qubits, tuple(groups), laid.tones, turns, laid.duration, key)


#: Entries by name and qubits.
Book = Mapping[tuple[str, tuple[int, ...]], _Namesakes]


class Library:
    """Reads calibrations, each document once.

    Args:
        target: The device.
        model: Its model.
        limits: What the job may use.
    """

    def __init__(self, target: targets.Target, model: Model, limits: tasks.Limits) -> None:
        self.target = target
        self.model = model
        self.limits = limits
        self._books: dict[int, Book] = {}
        self._samples: dict[int, dict[str, reading.Samples]] = {}
        self._shared = timeline.Shared()
        #: Samples that are held, and by their identity which.
        self._held = 0
        self._counted: set[int] = set()

    def book(self, config: qobj.Config) -> Book:
        """The calibrations of some settings, whose documents must live on."""
        document, source = config.calibrations, config.pulse_library
        if id(document) not in self._books:
            if id(source) not in self._samples:
                self._samples[id(source)] = pulses.library(config)
            self._books[id(document)] = self._read(document, self._samples[id(source)])
        return self._books[id(document)]

    def _read(self, document: msgspec.Raw, samples: dict[str, reading.Samples]) -> Book:
        book: dict[tuple[str, tuple[int, ...]], list[Entry]] = {}
        for given in pulses.calibrations(document):
            gate = msgspec.structs.replace(given, name=programs.ALIASES.get(given.name, given.name))
            book.setdefault((gate.name, gate.qubits), []).append(self._entry(gate, samples))
        return {site: _Namesakes(entries) for site, entries in book.items()}

    def play(self, gate: pulses.Calibration, found: Sequence[steps.Step]) -> transfer.Played:
        """Find what is played for a gate, as `played`.

        Raises:
            errors.ProgramRefused: As of `played`, or code 8008: all those played take too much memory.
        """
        laid = played(gate, found, self.model, self._shared)
        self.check_fits(self._shared.held, "In their frames the pulses of the program's gates take")
        return laid

    def check_fits(self, size: float, what: str) -> None:
        """Check that something fits into the memory that a job may use.

        Raises:
            errors.ProgramRefused: Code 8008: it does not.
        """
        if size > self.limits.memory_bytes:
            refuse(
                8008,
                f"{what} {cost.readable(size)} of memory; a job may use {cost.readable(self.limits.memory_bytes)}. Use "
                "fewer or shorter pulses",
            )

    def _entry(self, gate: pulses.Calibration, samples: dict[str, reading.Samples]) -> Entry:
        where = _named(gate)
        if gate.name in methods.STRUCTURE - {"measure"}:
            refuse(8010, f"{where} cannot be played: a {gate.name} is no gate")
        if not gate.qubits or len(set(gate.qubits)) < len(gate.qubits):
            refuse(8005, f"{where} need qubits, each once")
        if max(gate.qubits) >= self.target.n_qubits:
            refuse(8005, f"{where}: {self.target.name} has qubits 0 to {self.target.n_qubits - 1}")
        found = reading.read(gate.instructions, samples, where=where, slots=opening.MAX_SLOTS)
        for step in found:
            opening.check_step(step, where, self.target, self.model)
        for step in found:
            if isinstance(step, steps.Play) and id(step.samples) not in self._counted:
                self._counted.add(id(step.samples))
                self._held += step.duration
        self.check_fits(opening.SAMPLE_HELD * self._held, "The pulses of the program's gates take")
        return Entry(gate, found, self)


def find(books: Sequence[Book], name: str, qubits: tuple[int, ...], params: Any) -> Entry | None:
    """Find a gate in books, the first of which comes first; its parameters may be of any type."""
    named = (book[name, qubits].find(params) for book in books if (name, qubits) in book)
    return next((entry for entry in named if entry is not None), None)


def _slips(found: Sequence[steps.Step], known: Model, where: str) -> dict[str, float]:
    """By how much changes of frequency have turned each channel, radians, once they are taken back.

    Raises:
        errors.ProgramRefused: Code 8010: some are not.
    """
    began: dict[str, float] = {}
    now: dict[str, float] = {}
    slips: dict[str, float] = {}
    changes = [step for step in found if isinstance(step, steps.Frequency) and opening.drives(step.channel)]
    for step in sorted(changes, key=lambda one: one.t0):
        channel = step.channel
        before = began.setdefault(channel, known.frequency(channel, known.oscillators) / (2 * math.pi))
        wanted = step.frequency + (0.0 if step.absolute else now.get(channel, before))
        moved = wanted - now.get(channel, before)
        slips[channel] = slips.get(channel, 0.0) + 2 * math.pi * moved * step.t0 * known.dt
        now[channel] = wanted
    for channel, frequency in now.items():
        if abs(frequency - began[channel]) > _SAME_HZ:
            refuse(
                8010,
                f"{where} leave {channel} at another frequency, which gates after it do not see; set it back to "
                f"{began[channel] * 1e-9:.9f} GHz at the end",
            )
    return slips


def _named(gate: pulses.Calibration) -> str:
    qubits = ", ".join(map(str, gate.qubits[:8]))
    return f"The pulses of {gate.name[:60]} on qubit{'s' if len(gate.qubits) > 1 else ''} {qubits}"
