# SPDX-License-Identifier: Apache-2.0
"""How each experiment of a program will be computed: its waiting times, its method, its predicted cost."""

import dataclasses

from chandelier import errors
from chandelier.engines import (
    circuits,
    cost,
    frontier,
    methods,
    profiles,
    programs,
    readout,
    reduction,
    schedule,
    shortcuts,
    validation,
    weaving,
)
from chandelier.engines import target as targets
from chandelier.formats import qobj, tasks


@dataclasses.dataclass(frozen=True)
class Route:
    """The way of one experiment.

    Attributes:
        experiment: What the user sent.
        steps: Its instructions, with the waiting times of the device.
        layout: Qubits of the device in the order of the circuit's; None where both have the same numbers.
        plan: The method, the path, and what it will cost.
        order: The blocks of the exact path; None on others.
        circuit: What the paths without noise compute; None on others.
        result_bytes: The least that its entry in the result will take.
        device_seconds: Time for which the machine itself would be occupied, s.
    """

    experiment: programs.Opened
    steps: tuple[qobj.Instruction, ...]
    layout: tuple[int, ...] | None
    plan: cost.Plan
    order: frontier.Order | None
    circuit: reduction.Reduced | None
    result_bytes: float
    device_seconds: float


def find(program: programs.Program, target: targets.Target, limits: tasks.Limits) -> list[Route]:
    """Find the way of every experiment of a checked program.

    Raises:
        errors.ProgramRefused: Code 8008, 8009 or 8025: an experiment, or all together, would cost too much.
    """
    routes = [_find(experiment, target, limits) for experiment in program.experiments]
    told = f"Simulating all {len(routes)} experiments"
    cost.check_together(routes, limits, told, "Send fewer experiments, or fewer shots")
    return routes


def _find(experiment: programs.Opened, target: targets.Target, limits: tasks.Limits) -> Route:
    noisy = not target.simulator
    timed = schedule.alap(experiment.instructions, target) if noisy else schedule.Timed(experiment.instructions, 0)
    steps = timed.instructions
    method = validation.method(experiment, target)
    listed = experiment.shots if experiment.config.memory else 0
    own = experiment.config.noise_model != qobj.ABSENT
    shortcut = None if noisy or own else shortcuts.find(steps, method, shots=experiment.shots, listed=listed)
    order = _order(steps, method, experiment, target) if shortcut is None else None
    exact = None if order is None else cost.exact(order, shots=experiment.shots, listed=listed)
    offer = exact if shortcut is None else shortcut.plan
    if offer is not None and cost.unrivalled(offer, limits):
        plan, size = offer, cost.listed_bytes(listed)
    else:
        case = profiles.of(steps, shots=experiment.shots, noisy=noisy or own)
        try:
            plan = cost.holding(
                cost.plan(case, method, limits, [] if offer is None else [offer]), readout.memory(experiment), limits
            )
        except errors.ProgramRefused as error:
            raise errors.ProgramRefused(f"Experiment {experiment.index}: {error.message}", error.code) from error
        size = cost.result_bytes(case, memory=bool(experiment.config.memory)) + readout.written(experiment)
    return Route(
        experiment=experiment,
        steps=steps,
        layout=circuits.layout(steps),
        plan=plan,
        order=order if plan.path == cost.EXACT else None,
        circuit=shortcut.circuit if shortcut is not None and plan.path == shortcut.plan.path else None,
        result_bytes=size,
        device_seconds=cost.device_seconds(experiment, timed.duration, target),
    )


def _order(
    steps: tuple[qobj.Instruction, ...], method: str, experiment: programs.Opened, target: targets.Target
) -> frontier.Order | None:
    """The order in which the exact path would compute an experiment; None if it cannot, or others are better."""
    if target.simulator and (
        method not in {methods.AUTOMATIC, methods.DENSITY_MATRIX} or experiment.config.noise_model != qobj.ABSENT
    ):
        return None
    if readout.level(experiment.config) != 2:
        return None
    woven = weaving.weave(steps, waits=not target.simulator)
    return None if woven is None else frontier.order(woven, experiment.shots)
