# SPDX-License-Identifier: Apache-2.0
"""Running the experiments of a program, each on the path that its plan names."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from chandelier.engines import aer, cost, exact, noiseless, routes
from chandelier.engines import limits as held
from chandelier.engines import target as targets
from chandelier.formats import tasks

Path = Callable[[Sequence[routes.Route], targets.Target, tasks.Limits], list[aer.Outcome]]

#: Who computes what a plan says.
PATHS: Final[Mapping[str, Path]] = {
    cost.AER: aer.run,
    cost.EXACT: exact.run,
    cost.IDEAL: noiseless.run,
    cost.CLIFFORD: noiseless.run,
}


def run(ways: Sequence[routes.Route], target: targets.Target, limits: tasks.Limits) -> list[aer.Outcome]:
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
    outcomes: dict[int, aer.Outcome] = {}
    for path, members in parts.items():
        found = PATHS[path](members, target, limits)
        outcomes.update((way.experiment.index, outcome) for way, outcome in zip(members, found, strict=True))
    for way in ways:
        if (
            outcomes[way.experiment.index].code == held.OUT_OF_MEMORY
        ):  # told by an allocation that failed, which knows no limit
            outcomes[way.experiment.index] = aer.failure(way, held.OUT_OF_MEMORY, held.memory_exceeded(limits))
    return [outcomes[way.experiment.index] for way in ways]
