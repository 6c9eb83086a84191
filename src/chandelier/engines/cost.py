# SPDX-License-Identifier: Apache-2.0
"""Which method simulates an experiment, and what that will cost.

The numbers are measured on one core (AMD Zen 4, Aer 0.18) and scale as the methods do: a state has 2ⁿ amplitudes,
a density matrix 4ⁿ, where n counts the qubits on which anything happens. A prediction of more than a second is
meant to be right within a factor of three; the limits of the operating system stop what was predicted too low.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from chandelier import errors
from chandelier.engines import frontier, methods, profiles, programs
from chandelier.engines import target as targets
from chandelier.formats import tasks

#: Time to touch one amplitude: of a state without noise, of a state in a noisy shot, of a density matrix, s.
PURE: Final = 5e-9
NOISY: Final = 35e-9
DENSITY: Final = 22e-9
#: Weight of a gate on one qubit against one on two.
SMALL: Final = 0.3
#: Time to prepare an instruction, and one with noise, whatever the size of the state, s.
PREPARE: Final = 40e-6
PREPARE_NOISY: Final = 0.6e-3
#: Time to check an entry of a matrix that is given by numbers, and to take it to the simulator, s.
ENTRY: Final = 1.2e-6
#: Time for an instruction in each shot, and for one with noise, whatever the size of the state, s.
STEP: Final = 5e-6
STEP_NOISY: Final = 15e-6
#: Time to draw one shot from a finished state, s.
DRAW: Final = 1e-6
#: Time for an experiment whatever it contains, s.
START: Final = 2e-3
#: The same of the exact path: for an experiment, for an outcome that is possible, and for a shot in a list, s.
START_EXACT: Final = 0.15e-3
DRAW_EXACT: Final = 40e-9
LIST_EXACT: Final = 0.2e-6
#: Time to count and to write an outcome that occurred, s.
COUNT: Final = 1e-6
#: Memory for a call of the simulator whatever it contains, and how much more than itself a density matrix takes.
BASE_MEMORY: Final = 64 << 20
SLACK: Final = 1.25

#: No occupation of a machine is told to be longer, s: a program may ask for delays whose sum JSON cannot write.
FOREVER: Final = 1e12

#: Above this many qubits a Clifford circuit goes to the stabilizer method; below, a state is faster.
STABILIZER_FROM: Final = 12
#: A matrix product state is predicted with bonds no larger than this.
LARGEST_BOND: Final = 64


#: Who computes an experiment: the public simulator, or a path of our own.
AER: Final = "aer"
EXACT: Final = "exact"
IDEAL: Final = "ideal"
CLIFFORD: Final = "clifford"


#: Least size of one shot in the result's memory: `"0x0",`.
SHOT_WRITTEN: Final = 6


@dataclasses.dataclass(frozen=True)
class Plan:
    """How an experiment is simulated.

    Attributes:
        method: By Aer's name.
        seconds: Predicted processor time, s.
        memory_bytes: Predicted memory.
        path: Who computes it.
    """

    method: str
    seconds: float
    memory_bytes: int
    path: str = AER


def exact(order: frontier.Order, *, shots: int, listed: int) -> Plan:
    """Predict the exact path.

    Args:
        order: Its blocks.
        shots: Repetitions.
        listed: Shots that are listed in the result.
    """
    outcomes = 2.0 ** len(order.values) if order.branching is None else 4.0 * shots
    seconds = START_EXACT + order.seconds + DRAW_EXACT * (outcomes + min(shots, outcomes)) + LIST_EXACT * listed
    size = 8 * order.entries + 40 * outcomes + 100 * (listed + min(shots, outcomes))
    return Plan(methods.DENSITY_MATRIX, seconds, int(BASE_MEMORY + min(size, 1e18)), EXACT)


def unrivalled(one: Plan, limits: tasks.Limits) -> bool:
    """Whether a plan fits, and is done before the public simulator has begun."""
    return one.seconds <= min(START, limits.cpu_seconds) and one.memory_bytes <= limits.memory_bytes


def plan(case: profiles.Profile, method: str, limits: tasks.Limits, offers: Sequence[Plan] = ()) -> Plan:
    """Choose the cheapest method that fits, or predict the one that is given.

    Args:
        case: The experiment.
        method: A method by Aer's name, or `automatic`.
        limits: What the job may use.
        offers: What other paths would take, which are as exact.

    Raises:
        errors.ProgramRefused: Code 8008 or 8009, with the prediction; 8010 if no method can do it.
    """
    choices = [_predicted(case, name) for name in _candidates(case, method)]
    for offer in offers:
        choices.insert(0 if not choices or offer.seconds <= choices[0].seconds else 1, offer)
    if not choices:
        raise errors.ProgramRefused("No method can do all of its instructions.", 8010)
    fitting = [one for one in choices if one.memory_bytes <= limits.memory_bytes]
    if not fitting:
        least = min(choices, key=lambda one: one.memory_bytes)
        raise unfitting(case.qubits, least.method, least.memory_bytes, limits)
    best = next((one for one in fitting if one.seconds <= limits.cpu_seconds), None)
    if best is None:
        best = min(fitting, key=lambda one: one.seconds)
        raise errors.ProgramRefused(
            f"Simulating its {case.qubits} active qubits, {case.small + case.large} gates and {case.shots} shots "
            f"({best.method}) takes about {best.seconds:.3g} s; a job may run for {limits.cpu_seconds:.3g} s. "
            "Use fewer qubits, gates or shots.",
            8009,
        )
    return best


def unfitting(qubits: int, method: str, size: float, limits: tasks.Limits) -> errors.ProgramRefused:
    """The refusal of an experiment that takes this much memory, bytes."""
    return errors.ProgramRefused(
        f"Simulating its {qubits} active qubits ({method}) takes {readable(size)} of memory; a job may use "
        f"{readable(limits.memory_bytes)}. Use fewer qubits.",
        8008,
    )


def holding(chosen: Plan, size: int, limits: tasks.Limits) -> Plan:
    """Add what an experiment holds beside its state, bytes, to a plan.

    Raises:
        errors.ProgramRefused: Code 8008: it does not fit.
    """
    whole = chosen.memory_bytes + size
    if whole > limits.memory_bytes:
        raise errors.ProgramRefused(
            f"Its points take {readable(size)} of memory beside its state; a job may use "
            f"{readable(limits.memory_bytes)}. Ask for averages, or for fewer shots or memory slots.",
            8008,
        )
    return dataclasses.replace(chosen, memory_bytes=whole)


def result_bytes(case: profiles.Profile, *, memory: bool) -> float:
    """The least that the result of an experiment takes, bytes.

    Args:
        case: The experiment.
        memory: Whether each shot is listed.
    """
    return case.written + (listed_bytes(case.shots) if memory else 0)


def listed_bytes(shots: int) -> float:
    """The least that a list of shots takes in the result, bytes."""
    return SHOT_WRITTEN * shots


def too_large(size: float, limits: tasks.Limits) -> errors.ProgramRefused:
    """The refusal of a program whose result takes this many bytes, or more."""
    return errors.ProgramRefused(
        f"The result takes {readable(size)} or more; a job may leave {readable(limits.result_bytes)}. "
        "Ask for fewer shots with `memory`, or split the job.",
        8025,
    )


class Priced(Protocol):
    """An experiment whose cost is predicted, whatever it is made of."""

    @property
    def plan(self) -> Plan:
        """What it takes by itself."""

    @property
    def result_bytes(self) -> float:
        """The least that its entry in the result takes."""


def check_together(priced: Sequence[Priced], limits: tasks.Limits, told: str, instead: str) -> None:
    """Make sure that experiments that fit one by one fit together.

    Args:
        priced: All of a program.
        limits: What the job may use.
        told: What takes the time, to begin a sentence with.
        instead: What to do, without its full stop.

    Raises:
        errors.ProgramRefused: Code 8009 or 8025, with the prediction.
    """
    seconds = sum(one.plan.seconds for one in priced)
    if seconds > limits.cpu_seconds:
        raise errors.ProgramRefused(
            f"{told} takes about {seconds:.3g} s; a job may run for {limits.cpu_seconds:.3g} s. {instead}.", 8009
        )
    left = sum(one.result_bytes for one in priced)
    if left > limits.result_bytes:
        raise too_large(left, limits)


def device_seconds(experiment: programs.Opened, duration: float, target: targets.Target) -> float:
    """Time for which the machine itself would be occupied, s: shots, each with its wait before the next.

    Args:
        experiment: Gives shots and, where the device allows it, the wait.
        duration: Length of one shot, s.
        target: A simulator is never occupied.
    """
    if target.simulator:
        return 0.0
    if target.rep_delay is None:
        return min(experiment.shots * max(target.rep_time, duration), FOREVER)
    wait = target.rep_delay
    asked = experiment.config.rep_delay
    if asked is not None and target.rep_delay_range is not None:
        shortest, longest = target.rep_delay_range
        wait = min(max(asked * 1e-6, shortest), longest)
    return min(experiment.shots * (wait + duration), FOREVER)


def _candidates(case: profiles.Profile, method: str) -> list[str]:
    """Methods that can do an experiment, the preferred first.

    The extended stabilizer method approximates, at 0.1 s and more for each shot; what it stands for is computed
    exactly where that is possible.
    """
    if method == methods.EXTENDED_STABILIZER:
        exact = [methods.STABILIZER] if case.clifford else []
        last = [] if case.dynamic else [method]
        return [name for name in [*exact, methods.STATEVECTOR, *last] if _saves_fit(case, name)]
    if method != methods.AUTOMATIC:
        return [method]
    for name, only in methods.DECISIVE.items():
        if name in case.saves:
            return [only] if _saves_fit(case, only) else []
    state = [methods.STATEVECTOR]
    if case.mixed and not case.dynamic:
        state.append(methods.DENSITY_MATRIX)
        state.sort(key=lambda name: _predicted(case, name).seconds)
    clifford = [methods.STABILIZER] if case.clifford and not case.mixed else []
    order = [*clifford, *state] if case.qubits > STABILIZER_FROM else [*state, *clifford]
    # With noise the time of a matrix product state cannot be foretold: a routed GHZ state of 14 qubits took seconds
    # for each shot where one along the chain took milliseconds.
    last = [] if case.mixed else [methods.MPS]
    return [name for name in [*order, *last] if _saves_fit(case, name)]


def _saves_fit(case: profiles.Profile, name: str) -> bool:
    return case.saves <= methods.METHODS[name].others


def _predicted(case: profiles.Profile, name: str) -> Plan:
    seconds, size = _MODELS[name](case)
    steps = case.small + case.large + case.waits + case.measures
    fixed = START + (PREPARE_NOISY if case.mixed else PREPARE) * steps + ENTRY * case.entries
    return Plan(name, fixed + seconds, int(BASE_MEMORY + min(size + case.saved, 1e18)))


def _statevector(case: profiles.Profile) -> tuple[float, float]:
    amplitudes = 2.0**case.qubits
    weight = case.large + SMALL * (case.small + case.waits)
    if case.mixed or case.dynamic or case.resets:
        touch, step = (NOISY, STEP_NOISY) if case.mixed else (2 * PURE, STEP)
        steps = case.large + case.small + case.waits + case.measures
        return case.shots * (touch * amplitudes * (weight + case.measures) + step * steps), 16 * amplitudes
    return PURE * amplitudes * (weight + 1) + DRAW * case.shots, 16 * amplitudes


def _density_matrix(case: profiles.Profile) -> tuple[float, float]:
    entries = 4.0**case.qubits
    once = DENSITY * entries * (case.large + SMALL * (case.small + case.waits) + 1)
    return once * (case.shots if case.dynamic else 1) + DRAW * case.shots, SLACK * 16 * entries


def _stabilizer(case: profiles.Profile) -> tuple[float, float]:
    n = case.qubits
    shot = case.measures * (0.4e-6 + 1.4e-10 * n * n)
    if case.dynamic:
        shot += (case.small + case.large) * (STEP + 1e-9 * n)
    return case.shots * shot, n * n


def _extended_stabilizer(case: profiles.Profile) -> tuple[float, float]:
    """For each shot, a walk of 5000 steps over the terms that the gates outside the Clifford group make."""
    terms = min(2.0 ** min(case.t_gates, 1000), 400 * 1.17 ** min(case.t_gates, 1000))
    step = 18e-6 + 6e-8 * terms * case.qubits
    return case.shots * 5000 * step, 16 * terms * case.qubits**2


def _mps(case: profiles.Profile) -> tuple[float, float]:
    """Bonds double at most with each gate across them, and are never wider than either side of the chain."""
    n = case.qubits
    widths = [2.0 ** min(count, place + 1, n - place - 1) for place, count in enumerate(case.bonds)]
    bond = min(max(widths, default=1.0), LARGEST_BOND)
    once = (sum(case.bonds) + SMALL * (case.small + case.waits)) * (10e-6 + 20e-9 * bond**3)
    draw = case.measures * (2e-6 + 2e-9 * bond**2)
    repeated = case.mixed or case.dynamic or case.resets
    memory = sum(32 * min(width, LARGEST_BOND) ** 2 for width in widths)
    return case.shots * (draw + once) if repeated else once + case.shots * draw, memory


def _unitary(case: profiles.Profile) -> tuple[float, float]:
    entries = 4.0**case.qubits
    return PURE * entries * (case.large + SMALL * case.small + 1), 16 * entries


def _superop(case: profiles.Profile) -> tuple[float, float]:
    entries = 16.0**case.qubits
    return DENSITY * entries * (case.large + SMALL * case.small + 1), 16 * entries


#: For each method, seconds beyond the fixed ones and bytes of the state.
_MODELS: Final[Mapping[str, Callable[[profiles.Profile], tuple[float, float]]]] = {
    methods.STATEVECTOR: _statevector,
    methods.DENSITY_MATRIX: _density_matrix,
    methods.STABILIZER: _stabilizer,
    methods.EXTENDED_STABILIZER: _extended_stabilizer,
    methods.MPS: _mps,
    methods.UNITARY: _unitary,
    methods.SUPEROP: _superop,
}


def readable(size: float) -> str:
    """Write a number of bytes with a unit."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} EiB"
