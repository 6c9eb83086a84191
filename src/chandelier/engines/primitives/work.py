# SPDX-License-Identifier: Apache-2.0
"""A job of a primitive once it is opened: what it will take, and what comes of it.

Every program makes circuits of its parameters, has all of them measured at once, and tells what they show; what
differs is only how the circuits are made and how their outcomes are told.
"""

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
import numpy as np
from qiskit.circuit import QuantumCircuit

from chandelier import errors
from chandelier.engines import cost, qpy, shots
from chandelier.engines import target as targets
from chandelier.formats import options, tagged, tasks

#: Most circuits, each with its values, that a pub may become.
MAX_CIRCUITS: Final = 50_000
#: Most circuits with twirled gates that are made of one: each takes some milliseconds.
MAX_TWIRLED: Final = 4_000
#: Processor time for telling of a pub, s; measured.
PUB: Final = 0.5e-3
#: From when to when something was measured.
Span = tuple[datetime.datetime, datetime.datetime]


@dataclasses.dataclass(frozen=True)
class Done:
    """What came of a job.

    Attributes:
        body: The result document, JSON.
        shots: Shots taken, over all circuits.
        spans: When each part of them was taken, in order.
        metadata: How it was computed, JSON types only.
    """

    body: bytes
    shots: int
    spans: tuple[Span, ...]
    metadata: Mapping[str, Any]


class Work(Protocol):
    """A job that was opened and checked."""

    @property
    def plan(self) -> shots.Plan:
        """What it will take."""

    def run(self) -> Done:
        """Do it.

        Raises:
            errors.ProgramRefused: It failed; the message says how.
        """


@dataclasses.dataclass(frozen=True)
class Measured:
    """A job of circuits that are measured once and then told of; `measured` makes one.

    Attributes:
        prepared: Its circuits, checked and planned.
        count: Shots of all circuits together.
        limits: What the job may use.
        told: Makes the result document of what the circuits showed, in their order.
        besides: Processor time that `told` is predicted to take, s.
    """

    prepared: shots.Prepared
    count: int
    limits: tasks.Limits
    told: Callable[[Sequence[shots.Taken]], bytes]
    besides: float = 0.0

    @property
    def plan(self) -> shots.Plan:
        """What it will take."""
        plan = self.prepared.plan
        return msgspec.structs.replace(plan, seconds=plan.seconds + self.besides)

    def run(self) -> Done:
        """Measure the circuits and write the result document.

        Raises:
            errors.ProgramRefused: A circuit failed, or (8025) the document is larger than it may be.
        """
        taken = self.prepared.run()
        body = self.told(taken)
        if len(body) > self.limits.result_bytes:
            raise cost.too_large(len(body), self.limits)
        spans = sorted({(one.started, one.stopped) for one in taken})
        return Done(body, self.count, tuple(spans), {"methods": methods(taken)})


def measured(
    asked: Sequence[shots.Asked],
    target: targets.Target,
    limits: tasks.Limits,
    told: Callable[[Sequence[shots.Taken]], bytes],
    *,
    besides: float = 0.0,
) -> Measured:
    """Check circuits and predict what they will take.

    Args:
        besides: As of `Measured`.

    Raises:
        errors.ProgramRefused: The device cannot run one of them, or not within the limits.
    """
    count = sum(one.shots for one in asked)
    made = Measured(shots.prepare(asked, target, limits), count, limits, told, besides)
    if made.plan.seconds > limits.cpu_seconds:
        raise errors.ProgramRefused(
            f"The job takes about {made.plan.seconds:.3g} s of processor time; it may take {limits.cpu_seconds:.3g} s. "
            "Split it into several.",
            8009,
        )
    return made


def check_randomizations(sets: int, rounds: int, where: str, *, gates: bool) -> None:
    """Refuse more randomizations of a pub than are made, before any is.

    Args:
        sets: Sets of values.
        rounds: Randomizations of the circuit.
        where: The pub, for messages.
        gates: Each of them is a circuit of its own, because gates are twirled.

    Raises:
        errors.ProgramRefused: Code 8042.
    """
    if max(1, sets) * rounds > MAX_CIRCUITS or (gates and rounds > MAX_TWIRLED):
        most = f"{MAX_TWIRLED} randomizations of the gates and " if gates else ""
        raise errors.ProgramRefused(
            f"{where}: {rounds} randomizations of {max(1, sets)} sets of values are too many: "
            f"{most}{MAX_CIRCUITS} circuits are possible. Set twirling.num_randomizations lower.",
            8042,
        )


def methods(taken: Sequence[shots.Taken]) -> list[str]:
    """Names of the methods that computed some circuits."""
    return sorted({str(one.metadata["method"]) for one in taken if "method" in one.metadata})


def circuit(given: tagged.Circuit | tagged.Text, where: str) -> QuantumCircuit:
    """Read the circuit of a pub.

    Args:
        given: As the pub has it.
        where: Its place, for messages.

    Raises:
        errors.ProgramRefused: It cannot be read, or (8044) it is none or more than one.
    """
    if isinstance(given, tagged.Text):
        return qpy.qasm3(given.qasm)
    circuits = qpy.load(given.qpy)
    if len(circuits) != 1:
        raise errors.ProgramRefused(f"{where}: the QPY holds {len(circuits)} circuits; a pub has one.", 8044)
    return circuits[0]


def rep_delay(wanted: options.Execution, target: targets.Target) -> float | None:
    """The wait between shots that a job asks for, µs; None for that of the device.

    Raises:
        errors.ProgramRefused: Code 8040: the device has no such choice, or not this one.
    """
    seconds = wanted.rep_delay
    if seconds is None:
        return None
    if target.rep_delay_range is None:
        raise errors.ProgramRefused(
            f"execution.rep_delay: the wait between shots of {target.name} cannot be chosen. Leave the option out.",
            8040,
        )
    shortest, longest = target.rep_delay_range
    if not shortest <= seconds <= longest:
        raise errors.ProgramRefused(
            f"execution.rep_delay is {seconds:g} s; {target.name} waits {shortest:g} to {longest:g} s.", 8040
        )
    return seconds * 1e6


def random(seed: int | None, *path: int) -> np.random.Generator:
    """A source of random numbers of its own for each place in a job.

    Args:
        seed: What the user asked for; None takes one from the operating system.
        path: Tells the places apart: equal seeds and paths give equal numbers.
    """
    if seed is None:
        return np.random.default_rng()
    return np.random.default_rng(np.random.SeedSequence([seed & _WORD, seed >> 64 & _WORD], spawn_key=path))


def draw(source: np.random.Generator, seed: int | None) -> int | None:
    """The seed of one circuit; None where the user asked for none."""
    return None if seed is None else int(source.integers(2**31 - 1))


_WORD = 2**64 - 1
