# SPDX-License-Identifier: Apache-2.0
"""How each experiment of a program will be computed: its waiting times, its method, its predicted cost."""

import dataclasses

from chandelier import errors
from chandelier.engines import circuits, cost, programs, schedule, validation
from chandelier.engines import target as targets
from chandelier.formats import qobj, tasks


@dataclasses.dataclass(frozen=True)
class Route:
    """The way of one experiment.

    Attributes:
        experiment: What the user sent.
        steps: Its instructions, with the waiting times of the device.
        layout: Qubits of the device in the order of the circuit's; None where both have the same numbers.
        plan: The method, and what it will cost.
        result_bytes: The least that its entry in the result will take.
        device_seconds: Time for which the machine itself would be occupied, s.
    """

    experiment: programs.Opened
    steps: tuple[qobj.Instruction, ...]
    layout: tuple[int, ...] | None
    plan: cost.Plan
    result_bytes: float
    device_seconds: float


def find(program: programs.Program, target: targets.Target, limits: tasks.Limits) -> list[Route]:
    """Find the way of every experiment of a checked program.

    Raises:
        errors.ProgramRefused: Code 8008, 8009 or 8025: an experiment, or all together, would cost too much.
    """
    routes = [_find(experiment, target, limits) for experiment in program.experiments]
    seconds = sum(route.plan.seconds for route in routes)
    if seconds > limits.cpu_seconds:
        raise errors.ProgramRefused(
            f"Simulating all {len(routes)} experiments takes about {seconds:.3g} s; a job may run for "
            f"{limits.cpu_seconds:.3g} s. Send fewer experiments, or fewer shots.",
            8009,
        )
    left = sum(route.result_bytes for route in routes)
    if left > limits.result_bytes:
        raise cost.too_large(left, limits)
    return routes


def _find(experiment: programs.Opened, target: targets.Target, limits: tasks.Limits) -> Route:
    noisy = not target.simulator
    timed = schedule.alap(experiment.instructions, target) if noisy else schedule.Timed(experiment.instructions, 0)
    own = experiment.config.noise_model != qobj.ABSENT
    case = cost.profile(timed.instructions, shots=experiment.shots, noisy=noisy or own)
    try:
        plan = cost.plan(case, validation.method(experiment, target), limits)
    except errors.ProgramRefused as error:
        raise errors.ProgramRefused(f"Experiment {experiment.index}: {error.message}", error.code) from error
    return Route(
        experiment=experiment,
        steps=timed.instructions,
        layout=circuits.layout(timed.instructions),
        plan=plan,
        result_bytes=cost.result_bytes(case, memory=bool(experiment.config.memory)),
        device_seconds=cost.device_seconds(experiment, timed.duration, target),
    )
