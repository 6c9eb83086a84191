# SPDX-License-Identifier: Apache-2.0
"""Running the experiments of a program, each on the path that its plan names."""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from chandelier import errors
from chandelier.engines import aer, cost, exact, noiseless, outcome, profiles, programs, routes, validation
from chandelier.engines import limits as held
from chandelier.engines import target as targets
from chandelier.engines.pulses import calibrated
from chandelier.formats import tasks

_log = logging.getLogger(__name__)

Runner = Callable[[routes.Route], outcome.Outcome]


class Planned(Protocol):
    """A program that was opened, checked and planned, whatever it is made of."""

    @property
    def ways(self) -> Sequence[outcome.Way]:
        """The way of each experiment."""

    def summary(self) -> tasks.Summary:
        """Tell what is in it."""

    def run(self) -> list[outcome.Outcome]:
        """Run it; one outcome for each experiment, in their order."""


@dataclasses.dataclass(frozen=True)
class Circuits:
    """A program of circuits.

    Attributes:
        program: Opened.
        target: The device.
        limits: What the job may use.
        ways: One for each experiment.
        pulsed: The gates of which the program gives the pulses; None if there are none.
    """

    program: programs.Program
    target: targets.Target
    limits: tasks.Limits
    ways: Sequence[routes.Route]
    pulsed: calibrated.Calibrated | None = None

    def summary(self) -> tasks.Summary:
        """Tell what is in it."""
        told = programs.summary(self.program, sum(way.device_seconds for way in self.ways))
        if self.pulsed is None:
            return told
        channels, qubits = self.pulsed.sizes()
        return msgspec.structs.replace(told, channels=channels, pulsed=qubits)

    def run(self) -> list[outcome.Outcome]:
        """Run it."""
        if self.pulsed is None:
            return run(self.ways, self.target, self.limits)
        ways = routes.find(self.pulsed.computed(), self.target, self.limits)
        return run(ways, self.target, self.limits)


def planned(program: programs.Program, target: targets.Target, path: str, limits: tasks.Limits) -> Circuits:
    """Check a program of circuits and plan each experiment.

    Args:
        program: Opened.
        target: The device.
        path: Of the device's documents.
        limits: What the job may use.

    Raises:
        errors.ProgramRefused: Something is wrong with it, or it would cost too much.
    """
    pulsed = calibrated.read(program, target, path, limits)
    if pulsed is None:
        validation.check(program, target)
        return Circuits(program, target, limits, routes.find(program, target, limits))
    validation.check(pulsed.program, target)
    ways = [
        dataclasses.replace(way, plan=_besides(way.plan, seconds, pulsed.memory_bytes))
        for way, seconds in zip(routes.find(pulsed.program, target, limits), pulsed.seconds, strict=True)
    ]
    return Circuits(pulsed.program, target, limits, ways, pulsed)


def _besides(plan: cost.Plan, seconds: float, memory_bytes: int) -> cost.Plan:
    """Add what comes before an experiment to its plan: some time, and memory that is given back."""
    return dataclasses.replace(plan, seconds=plan.seconds + seconds, memory_bytes=max(plan.memory_bytes, memory_bytes))


#: Who computes what a plan says, the public simulator aside.
RUNNERS: Final[Mapping[str, Callable[[targets.Target], Runner]]] = {
    cost.EXACT: exact.runner,
    cost.IDEAL: noiseless.runner,
    cost.CLIFFORD: noiseless.runner,
}


def run(ways: Sequence[routes.Route], target: targets.Target, limits: tasks.Limits) -> list[outcome.Outcome]:
    """Run experiments.

    Args:
        ways: One for each experiment.
        target: The device.
        limits: What the job may use.

    Returns:
        One outcome for each experiment, in their order.
    """
    parts: dict[str, list[routes.Route]] = {}
    for way in ways:
        parts.setdefault(way.plan.path, []).append(way)
    outcomes: dict[int, outcome.Outcome] = {}
    for path, members in parts.items():
        found = aer.run(members, target, limits) if path == cost.AER else _shared(path, members, target, limits)
        outcomes.update((way.experiment.index, one) for way, one in zip(members, found, strict=True))
    for way in ways:
        # Told by an allocation that failed, which knows no limit.
        if outcomes[way.experiment.index].code == held.OUT_OF_MEMORY:
            outcomes[way.experiment.index] = outcome.failure(way, held.OUT_OF_MEMORY, held.memory_exceeded(limits))
    return [outcomes[way.experiment.index] for way in ways]


def _shared(
    path: str, ways: Sequence[routes.Route], target: targets.Target, limits: tasks.Limits
) -> list[outcome.Outcome]:
    """Run experiments on a path of our own; should it fail for a reason of its own, Aer does the experiment."""
    runner, outcomes = RUNNERS[path](target), list[outcome.Outcome]()
    for way in ways:
        try:
            outcomes.append(runner(way))
        except (errors.ProgramRefused, MemoryError) as error:
            outcomes.append(outcome.failure(way, *outcome.reason(error)))
        except Exception:  # noqa: BLE001 -- whatever a path of ours does, the experiment is done
            _log.exception("the path %s failed; Aer takes over", path)
            outcomes.append(_by_aer(way, target, limits))
    return outcomes


def _by_aer(way: routes.Route, target: targets.Target, limits: tasks.Limits) -> outcome.Outcome:
    """Run an experiment on Aer, whatever its plan says, by the method that is cheapest there."""
    case = profiles.of(way.steps, shots=way.experiment.shots, noisy=not target.simulator)
    try:
        plan = cost.plan(case, validation.method(way.experiment, target), limits)
    except errors.ProgramRefused as error:
        return outcome.failure(way, error.code, error.message)
    return aer.run([dataclasses.replace(way, plan=plan, order=None, circuit=None)], target, limits)[0]
