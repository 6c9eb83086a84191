# SPDX-License-Identifier: Apache-2.0
"""How the experiments of a program of pulses will be computed, and what that will cost.

The numbers are measured on one core (AMD Zen 4). A prediction of more than a second is meant to be right within a
factor of three.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

from chandelier import errors
from chandelier.engines import cost, programs
from chandelier.engines import target as targets
from chandelier.engines.pulses import acquisition, clusters, measuring, propagation, steps, timeline
from chandelier.engines.pulses import trajectories as waves
from chandelier.engines.pulses.model import LEVELS, Model
from chandelier.engines.pulses.opening import Scheduled
from chandelier.engines.pulses.timeline import Timeline, Tone
from chandelier.formats import tasks

#: The name that results give to the way in which pulses are computed.
METHOD: Final = "pulse"
#: Qubits that can be simulated together.
MAX_JOINED: Final = 5
#: Time for an experiment whatever it contains, and for a stretch of one qubit or of several, s.
START: Final = 0.4e-3
STRETCHES: Final = {1: 0.15e-3, 2: 1e-3}
#: Time for a sample of a cluster of one or two qubits, s.
SAMPLE: Final = {1: 4e-6, 2: 13e-6}
#: Time for a long rest of two qubits, of which 81 by 81 numbers are computed, and for the first of them, s.
LONG_REST: Final = 1e-3
FIRST_REST: Final = 10e-3
#: Time for a step of larger clusters: for each sounding qubit and block, and for an amplitude of a wave function, s.
STEP: Final = 9e-6
AMPLITUDE: Final = 2.5e-9
#: Time for a jump, s.
JUMP: Final = 0.15e-3
#: Memory for each sample on the way: what it does to one or two qubits, bytes.
HELD: Final = 1200
#: More branches than three to this power are as many as there are shots.
_MANY: Final = 40
#: Time to begin a stretch of a larger cluster, s per square of its number of states.
KICKS: Final = 0.2e-6
#: Time to measure one part of the shots, and more for a sample of two qubits for each part, s.
PARTED: Final = 0.15e-3
SAMPLE_PARTED: Final = 2e-6
#: Time for a shot of a measurement, s.
FOUND: Final = 0.5e-6
#: Time for a bit of a register in a function, for one shot, and for a look at the state, for each qubit, s.
BIT: Final = 0.15e-6
SNAPSHOT: Final = 2.5e-3
#: Size of an amplitude in the result, bytes.
AMPLITUDE_WRITTEN: Final = 10
#: How far a channel may be driven from its own frequency, Hz: twice of what devices say of their oscillators.
FARTHEST: Final = 1e9


@dataclasses.dataclass(frozen=True, eq=False)
class Look:
    """One qubit in one acquisition.

    Attributes:
        time: When it begins, dt.
        seconds: Its length, s.
        slot: Memory slot; None if none.
        register: Register slot; None if none.
    """

    qubit: int
    time: int
    seconds: float
    slot: int | None
    register: int | None


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """What happens to qubits that are simulated together.

    Attributes:
        qubits: In ascending order.
        tones: Of these qubits.
        events: Their measurements, in order of time.
        places: For each measurement of a qubit in the experiment that is one of theirs: its number, that of the event,
            and the column of the qubit in it.
        key: Equal for parts in which the same happens.
    """

    qubits: tuple[int, ...]
    tones: tuple[Tone, ...]
    events: tuple[waves.Event, ...]
    places: tuple[tuple[int, int, int], ...]
    key: object


@dataclasses.dataclass(frozen=True, eq=False)
class Course:
    """The way of one experiment.

    Attributes:
        scheduled: What the user sent.
        laid: Its schedule as it is played.
        parts: Its qubits, by who is simulated with whom: all that are driven or measured.
        looks: Its measurements of single qubits, in order of time.
        plan: What it will cost.
        result_bytes: The least that its entry in the result will take.
        device_seconds: Time for which the machine itself would be occupied, s.
    """

    scheduled: Scheduled
    laid: Timeline
    parts: tuple[Part, ...]
    looks: tuple[Look, ...]
    plan: cost.Plan
    result_bytes: float
    device_seconds: float

    @property
    def experiment(self) -> programs.Opened:
        """What all experiments have."""
        return self.scheduled.experiment


def find(opened: Sequence[Scheduled], target: targets.Target, model: Model, limits: tasks.Limits) -> list[Course]:
    """Find the way of every experiment.

    Raises:
        errors.ProgramRefused: Code 8008, 8009 or 8025: an experiment, or all together, would cost too much.
    """
    known: set[object] = set()
    shared = timeline.Shared()
    courses: list[Course] = []
    for one in opened:
        courses.append(_find(one, target, model, limits, known, shared))
        if shared.held > limits.memory_bytes:
            raise errors.ProgramRefused(
                f"Up to experiment {one.experiment.index} the pulses of the program take {cost.readable(shared.held)} "
                f"of memory in their frames; a job may use {cost.readable(limits.memory_bytes)}. Split the job, or use "
                "shorter pulses.",
                8008,
            )
    cost.check_together(
        courses,
        limits,
        f"Simulating the pulses of all {len(courses)} experiments",
        "Send fewer experiments, shorter schedules, or fewer shots",
    )
    return courses


def _find(
    one: Scheduled,
    target: targets.Target,
    model: Model,
    limits: tasks.Limits,
    known: set[object],
    shared: timeline.Shared,
) -> Course:
    where = f"Experiment {one.experiment.index}"
    laid = timeline.lay(one.schedule, model, one.oscillators, shared)
    check_frequencies(laid.tones, model, where)
    looks = _looks(laid, model.dt)
    groups = tuple(clusters.groups(laid.tones, one.measured(), model))
    largest = max(groups, key=len, default=())
    if len(largest) > MAX_JOINED:
        raise errors.ProgramRefused(
            f"{where}: its pulses join the qubits {', '.join(map(str, largest))}; up to {MAX_JOINED} can be simulated "
            "together. Split the experiment, or send a circuit.",
            8009,
        )
    parts = _parts(groups, laid, looks, model, shared)
    seconds, size = START + _besides(laid, model, one.experiment.shots), 0.0
    for part in parts:
        took, held = _predicted(part, model, one.experiment.shots, new=part.key not in known)
        known.add(part.key)
        seconds, size = seconds + took, max(size, held)
    for part in _looked_at(laid, parts):
        took, held = _predicted(part, model, 1, new=True)
        seconds, size = seconds + took, max(size, held)
    shown = acquisition.predicted(
        one.experiment.config,
        shots=one.experiment.shots,
        looks=len(looks),
        used={look.slot for look in looks if look.slot is not None},
        slots=one.experiment.slots,
        samples=one.samples,
    )
    plan = cost.Plan(METHOD, seconds + shown.seconds, int(cost.BASE_MEMORY + size), METHOD)
    if plan.memory_bytes > limits.memory_bytes:
        raise errors.ProgramRefused(
            f"{where}: simulating its pulses takes {cost.readable(plan.memory_bytes)} of memory; a job may use "
            f"{cost.readable(limits.memory_bytes)}. Use shorter pulses, or fewer at a time.",
            8008,
        )
    if plan.seconds > limits.cpu_seconds:
        raise errors.ProgramRefused(
            f"{where}: simulating its pulses ({_told(groups)}, {laid.duration * model.dt * 1e6:.3g} us, "
            f"{one.experiment.shots} shots) takes about {plan.seconds:.3g} s; a job may run for "
            f"{limits.cpu_seconds:.3g} s. Use fewer qubits together, shorter schedules or fewer shots.",
            8009,
        )
    return Course(
        scheduled=one,
        laid=laid,
        parts=parts,
        looks=looks,
        plan=cost.holding(plan, shown.held, limits),
        result_bytes=shown.written + len(laid.snapshots) * AMPLITUDE_WRITTEN * LEVELS**model.n_qubits,
        device_seconds=cost.device_seconds(one.experiment, laid.duration * model.dt, target),
    )


def _looks(laid: Timeline, dt: float) -> tuple[Look, ...]:
    found = []
    for one in laid.acquisitions:
        slots = one.slots or (None,) * len(one.qubits)
        registers = one.registers or (None,) * len(one.qubits)
        found += [
            Look(qubit, one.t0, one.duration * dt, slot, register)
            for qubit, slot, register in zip(one.qubits, slots, registers, strict=True)
        ]
    return tuple(found)


def check_frequencies(tones: Sequence[Tone], model: Model, where: str) -> None:
    """No channel is driven far from its oscillator: no device could, and what it does would be mere numerics.

    Raises:
        errors.ProgramRefused: Code 8004: one is.
    """
    for tone in tones:
        away = (tone.frequency - model.frequency(tone.channel, model.oscillators)) / (2 * math.pi)
        if abs(away) > FARTHEST:
            raise errors.ProgramRefused(
                f"{where}: at {tone.begin} the channel {tone.channel} is {away / 1e9:.3g} GHz off its frequency; up to "
                f"{FARTHEST / 1e9:g} GHz is possible.",
                8004,
            )


def _parts(
    groups: Sequence[tuple[int, ...]], laid: Timeline, looks: Sequence[Look], model: Model, shared: timeline.Shared
) -> tuple[Part, ...]:
    of = {qubit: number for number, group in enumerate(groups) for qubit in group}
    mine: list[list[tuple[int, Look]]] = [[] for _ in groups]
    heard: list[list[Tone]] = [[] for _ in groups]
    for index, look in enumerate(looks):
        mine[of[look.qubit]].append((index, look))
    for tone in laid.tones:
        heard[of[model.channels[tone.channel].qubit]].append(tone)
    return tuple(_part(*each, shared) for each in zip(groups, mine, heard, strict=True))


def _part(
    group: tuple[int, ...], own: Sequence[tuple[int, Look]], heard: Sequence[Tone], shared: timeline.Shared
) -> Part:
    looked: dict[int, set[int]] = {}
    for _, look in own:
        looked.setdefault(look.time, set()).add(group.index(look.qubit))
    events = [waves.Event(time, tuple(sorted(looked[time]))) for time in sorted(looked)]
    number = {event.time: place for place, event in enumerate(events)}
    places = [
        (index, number[look.time], events[number[look.time]].places.index(group.index(look.qubit)))
        for index, look in own
    ]
    tones = tuple(tone for tone in heard if not events or tone.begin < events[-1].time)
    sounds = tuple((tone.channel, tone.begin, tone.frequency, shared.content(tone.samples)) for tone in tones)
    return Part(group, tones, tuple(events), tuple(places), (group, sounds, tuple(events)))


def _looked_at(laid: Timeline, parts: Sequence[Part]) -> list[Part]:
    """What is simulated once more for looks at the state, up to the last of them."""
    if not laid.snapshots:
        return []
    last = laid.snapshots[-1].t0
    return [dataclasses.replace(part, events=(waves.Event(last, tuple(range(len(part.qubits)))),)) for part in parts]


def _besides(laid: Timeline, model: Model, shots: int) -> float:
    """Time for what is done besides simulating and reading out, s: functions of registers, looks at the state."""
    bits = sum(
        step.mask.bit_count() + 1 if isinstance(step, steps.Function) else len(step.destinations)
        for step in laid.functions
    )
    return shots * bits * BIT + len(laid.snapshots) * model.n_qubits * SNAPSHOT


def _predicted(part: Part, model: Model, shots: int, *, new: bool) -> tuple[float, float]:
    """What a part takes: s, and bytes.

    Args:
        new: Nothing like it was simulated before in the same job.
    """
    count, events = len(part.qubits), part.events
    if not events:
        return 0.0, 0.0
    found = list(timeline.spans(part.tones, 0, [event.time for event in events]))
    parting = _parting(part, shots)
    if count > measuring.DENSE_QUBITS:
        return _waves(part, model, shots, found, max(parting))
    sounding = sum((end - begin) * apart(tones, model) for begin, end, tones in found if tones)
    even = sum(max(end - begin - propagation.CHUNK, 0) for begin, end, tones in found if is_even(tones))
    worked = sounding - even if count == 1 else sounding
    resting = count > 1 and any(not tones for _, _, tones in found)
    rests = FIRST_REST + LONG_REST * sum(not tones for _, _, tones in found) if resting else 0.0
    once = worked * SAMPLE[count] + rests + len(found) * STRETCHES[count]
    again = (
        sum(parting) * PARTED
        + len(part.events) * shots * FOUND
        + (max(parting) - 1) * sounding * (SAMPLE_PARTED if count > 1 else 0.0)
    )
    size = 16.0 * LEVELS ** (2 * count) * (propagation.BLOCK + max(parting)) + HELD * worked
    return (once if new else 0.0) + again, size


def _parting(part: Part, shots: int) -> list[int]:
    """Into how many parts shots may have parted before each measurement: one of all qubits makes all alike again."""
    number, found = 1, []
    for event in part.events:
        found.append(min(number, shots))
        outcomes = LEVELS ** len(event.places)
        number = outcomes if len(event.places) == len(part.qubits) else min(number * outcomes, shots)
    return found


def apart(tones: Sequence[Tone], model: Model) -> int:
    """Steps within a sample that it takes because tones of one qubit turn apart."""
    most = 1
    for qubit in {model.channels[tone.channel].qubit for tone in tones}:
        own = [tone.frequency for tone in tones if model.channels[tone.channel].qubit == qubit]
        most = max(most, propagation.steps_apart(max(own) - min(own), model.dt))
    return most


def is_even(tones: Sequence[Tone]) -> bool:
    """Whether tones that sound together sound as one that stays the same."""
    return len({tone.frequency for tone in tones}) == 1 and all(timeline.is_even(tone.samples) for tone in tones)


def _waves(
    part: Part, model: Model, shots: int, found: Sequence[tuple[int, int, Sequence[Tone]]], parting: int
) -> tuple[float, float]:
    """What wave functions take: with each jump there is one more."""
    states = LEVELS ** len(part.qubits)
    sounding = sum((end - begin) * apart(tones, model) for begin, end, tones in found if tones)
    lasting = part.events[-1].time * model.dt
    rate = sum(1 / model.t1[index] + 1 / model.t2[index] for index in part.qubits)
    jumps = shots * rate * lasting / 4  # a qubit is in the upper level for half of the time, or less
    columns = min(parting + jumps / 2, shots)
    silent = sum(math.ceil((end - begin) * model.dt / waves.REST) for begin, end, tones in found if not tones)
    moves = sounding / waves.STEP + (silent if rate else 0)
    blocks = 2 * len(part.qubits) + 1
    seconds = moves * (blocks * STEP + states * columns * AMPLITUDE * len(part.qubits)) + jumps * JUMP
    seconds += len(found) * (STRETCHES[2] + KICKS * states**2) + len(part.events) * (columns * PARTED + shots * FOUND)
    return seconds, 16.0 * states * (8 * states + 4 * columns) + HELD * sounding


def _told(groups: Sequence[tuple[int, ...]]) -> str:
    sizes = [len(group) for group in groups]
    together = max(sizes, default=0)
    return f"{sum(sizes)} qubits, up to {together} together" if together > 1 else f"{sum(sizes)} qubits"
