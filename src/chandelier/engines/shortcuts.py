# SPDX-License-Identifier: Apache-2.0
"""Whether an experiment without noise can be computed once for all of its shots, and what that costs."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from chandelier.engines import clifford, cost, ideal, methods, reduction
from chandelier.formats import qobj

#: Methods that a path of ours stands for, because it gives the same.
STATE: Final = frozenset({methods.AUTOMATIC, methods.STATEVECTOR, methods.EXTENDED_STABILIZER})
STABILIZER: Final = frozenset({methods.AUTOMATIC, methods.STABILIZER, methods.EXTENDED_STABILIZER})


class Shortcut(NamedTuple):
    """A way that is open.

    Attributes:
        circuit: What is left to compute.
        plan: The cheapest path, and what it takes.
    """

    circuit: reduction.Reduced
    plan: cost.Plan


def find(steps: Sequence[qobj.Instruction], method: str, *, shots: int, listed: int) -> Shortcut | None:
    """Find the cheapest path for an experiment without noise; None if there is none.

    Args:
        steps: Its instructions.
        method: The method that is asked for.
        shots: Repetitions.
        listed: Shots that are listed in the result.
    """
    state = method in STATE and ideal.claims(steps)
    stabilizer = method in STABILIZER and clifford.claims(steps)
    if not state and not stabilizer:
        return None
    try:
        circuit = reduction.reduced(steps)
    except reduction.Unreducible:
        return None
    outcomes = min(shots, 1 << min(len(circuit.slots), 60))
    counting = cost.LIST_EXACT * listed + cost.COUNT * outcomes
    size = int(cost.BASE_MEMORY + 200 * (outcomes + listed))
    plans = []
    if state and ideal.takes(circuit):
        needed = size + int(min(ideal.memory(circuit), 1e18))
        plans.append(cost.Plan(methods.STATEVECTOR, ideal.seconds(circuit) + counting, needed, cost.IDEAL))
    if stabilizer and clifford.takes(circuit):
        seconds = clifford.seconds(circuit, shots) + counting
        plans.append(cost.Plan(methods.STABILIZER, seconds, size + clifford.memory(circuit), cost.CLIFFORD))
    if not plans:
        return None
    return Shortcut(circuit, min(plans, key=lambda one: one.seconds))
