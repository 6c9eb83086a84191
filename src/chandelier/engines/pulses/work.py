# SPDX-License-Identifier: Apache-2.0
"""A program of pulses in a child process: checked and planned, told of, and run."""

import dataclasses
import datetime
from collections.abc import Sequence

from chandelier.engines import outcome, programs
from chandelier.engines import target as targets
from chandelier.engines.pulses import opening, plans, running, steps
from chandelier.formats import tasks


@dataclasses.dataclass(frozen=True)
class Schedules:
    """A program of pulses; as of `engines.running.Planned`.

    Attributes:
        program: Its outer part.
        target: The device.
        path: Of the device's documents.
        ways: One for each experiment.
    """

    program: programs.Program
    target: targets.Target
    path: str
    ways: Sequence[plans.Course]

    def summary(self) -> tasks.Summary:
        """Tell what is in it; its gates are its pulses on qubits."""
        config, courses = self.program.envelope.config, self.ways
        played = [
            step
            for course in courses
            for step in course.scheduled.schedule
            if isinstance(step, steps.Play | steps.Hold)
        ]
        width = max(sum(len(part.qubits) for part in course.parts) for course in courses)
        return tasks.Summary(
            kind="PULSE",
            experiments=len(courses),
            shots=max(course.experiment.shots for course in courses),
            qubits=width,
            gates=sum(opening.drives(step.channel) for step in played),
            memory_slots=max(course.experiment.slots for course in courses),
            memory=any(course.experiment.config.memory for course in courses),
            n_qubits=config.n_qubits or 0,
            device_seconds=sum(course.device_seconds for course in courses),
            max_credits=config.max_credits or 0,
            rep_delay=config.rep_delay or 0.0,
            channels=max(len(course.scheduled.channels()) for course in courses),
            pulsed=width,
        )

    def run(self) -> list[outcome.Outcome]:
        """Run it, now: frequencies wander from one calibration to the next."""
        now = datetime.datetime.now(datetime.UTC)
        return running.Runner(self.ways, self.target, opening.modelled(self.path, now)).run()


def planned(program: programs.Program, target: targets.Target, path: str, limits: tasks.Limits) -> Schedules:
    """Open and check the experiments of a program, and plan each.

    Args:
        program: Of type PULSE.
        target: The device.
        path: Of its documents.
        limits: What the job may use.

    Raises:
        errors.ProgramRefused: The device takes no pulses, something is wrong, or it would cost too much.
    """
    if not target.pulse:
        raise opening.unsupported(target)
    known = opening.modelled(path)
    return Schedules(
        program, target, path, plans.find(opening.open_(program, target, known, limits), target, known, limits)
    )
