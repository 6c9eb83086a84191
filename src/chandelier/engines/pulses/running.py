# SPDX-License-Identifier: Apache-2.0
"""Running programs of pulses: what is equal in all experiments is simulated once, each is read out by itself."""

import logging
import operator
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chandelier.engines import outcome, readout
from chandelier.engines import target as targets
from chandelier.engines.pulses import acquisition, clusters, measuring, propagation, steps, trajectories
from chandelier.engines.pulses.evolution import Evolver
from chandelier.engines.pulses.model import LEVELS, Model
from chandelier.engines.pulses.plans import Course, Part
from chandelier.engines.pulses.timeline import Tone

_log = logging.getLogger(__name__)

Levels = NDArray[np.uint8]

_Compared = Callable[[NDArray[np.object_], int], NDArray[np.object_]]

_RELATIONS: Final[Mapping[str, _Compared]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
#: Largest seed that is drawn where a program gives none: what all clients take.
_SEEDS: Final = 2**31


class Runner:
    """Runs the experiments of one job.

    Args:
        courses: Their ways.
        target: The device.
        model: Its model at the moment of the run.
    """

    def __init__(self, courses: Sequence[Course], target: targets.Target, model: Model) -> None:
        self._courses = courses
        self._target = target
        self._model = model
        self._evolvers: dict[tuple[int, ...], Evolver] = {}
        #: For each kind of part the experiments, by their place, that have it.
        self._wanted: dict[object, list[int]] = {}
        self._levels: dict[tuple[object, int], list[Levels]] = {}
        for place, course in enumerate(courses):
            for part in course.parts:
                self._wanted.setdefault(part.key, []).append(place)

    def run(self) -> list[outcome.Outcome]:
        """Run all experiments; one that fails does not keep the others from running."""
        outcomes = []
        for place, course in enumerate(self._courses):
            try:
                outcomes.append(self._one(place, course))
            except Exception as error:  # noqa: BLE001 -- an experiment that fails is an entry of the result
                _log.exception("an experiment of pulses failed")
                outcomes.append(outcome.failure(course, *outcome.reason(error)))
        return outcomes

    def _one(self, place: int, course: Course) -> outcome.Outcome:
        started, experiment = time.monotonic(), course.experiment
        seed = secrets.randbelow(_SEEDS) if experiment.seed is None else experiment.seed
        rng = np.random.default_rng([seed % 2**63, experiment.index])
        levels = np.zeros((experiment.shots, len(course.looks)), dtype=np.uint8)
        for part in course.parts:
            found = self._found(place, part, rng)
            for index, event, column in part.places:
                levels[:, index] = found[event][:, column]
        data = self._shown(course, levels, rng)
        if course.laid.snapshots:
            data["snapshots"] = self._snapshots(course)
        return outcome.success(
            course,
            data,
            seed,
            time.monotonic() - started,
            qubits=sum(len(part.qubits) for part in course.parts),
            noise="ideal" if self._target.simulator else "relaxation",
        )

    def _found(self, place: int, part: Part, rng: np.random.Generator) -> list[Levels]:
        """The levels in which a part of an experiment is found; all experiments that have the same are done at once."""
        if (part.key, place) not in self._levels:
            wanted = self._wanted[part.key]
            shots = [self._courses[other].experiment.shots for other in wanted]
            found = measuring.levels(self._evolver(part.qubits), part.tones, part.events, sum(shots), rng)
            begin = 0
            for other, number in zip(wanted, shots, strict=True):
                self._levels[part.key, other] = [seen[begin : begin + number] for seen in found]
                begin += number
        return self._levels.pop((part.key, place))

    def _evolver(self, qubits: tuple[int, ...]) -> Evolver:
        if qubits not in self._evolvers:
            self._evolvers[qubits] = Evolver(clusters.form(self._model, qubits))
        return self._evolvers[qubits]

    def _shown(self, course: Course, levels: Levels, rng: np.random.Generator) -> dict[str, Any]:
        experiment = course.experiment
        looks = [acquisition.Look(look.qubit, look.slot, look.seconds) for look in course.looks]
        seen = acquisition.seen(rng, levels, looks, self._target)
        if readout.level(experiment.config) == 2:
            memory = _remembered(course, seen.bits)
            bits = np.array([*memory.values()], dtype=bool).reshape(len(memory), experiment.shots).T
            return acquisition.classified(bits, [*memory], memory=bool(experiment.config.memory))
        return acquisition.signals(
            rng,
            seen,
            self._target,
            experiment.config,
            slots=experiment.slots,
            samples=course.scheduled.samples,
        )

    def _snapshots(self, course: Course) -> Mapping[str, Mapping[str, Any]]:
        """The states at the snapshots of an experiment, by kind and label."""
        shown: dict[str, dict[str, Any]] = {}
        groups = [part.qubits for part in course.parts]
        used = {index for group in groups for index in group}
        groups += [(index,) for index in range(self._model.n_qubits) if index not in used]
        tones = {group: _of(course, group, self._model) for group in groups}
        moved = {group: (0, self._evolver(group).cluster.dressed[:, :1]) for group in groups}
        for step in course.laid.snapshots:
            for group, (since, state) in moved.items():
                cluster = self._evolver(group).cluster
                moved[group] = step.t0, trajectories.moved(cluster, state, tones[group], since, step.t0)
            state = self._together({group: state for group, (_, state) in moved.items()}, step.t0)
            pairs = [[float(value.real), float(value.imag)] for value in state.round(12)]
            shown.setdefault(step.kind, {}).setdefault(step.label, []).append(pairs)
        return shown

    def _together(self, states: Mapping[tuple[int, ...], NDArray[np.complex128]], time: int) -> NDArray[np.complex128]:
        """The wave function of all qubits, each with `LEVELS` levels, the first qubit least significant."""
        total: NDArray[np.complex128] = np.ones(1, dtype=np.complex128)
        order: list[int] = []
        for group, state in states.items():
            own = propagation.seen(self._evolver(group).cluster, state, time)[:, 0]
            total = np.multiply.outer(total, own).ravel()
            order += group
        axes = [order.index(index) for index in reversed(range(self._model.n_qubits))]
        return total.reshape((LEVELS,) * len(order)).transpose(axes).ravel()


def _of(course: Course, group: tuple[int, ...], model: Model) -> list[Tone]:
    return [tone for tone in course.laid.tones if model.channels[tone.channel].qubit in group]


def _remembered(course: Course, bits: NDArray[np.bool_]) -> dict[int, NDArray[np.bool_]]:
    """What each memory slot holds in the end: bits of measurements, and what functions make of them."""
    registers: dict[int, NDArray[np.bool_]] = {}
    memory: dict[int, NDArray[np.bool_]] = {}
    empty = np.zeros(len(bits), dtype=np.bool_)
    moves: list[tuple[int, int, Any]] = [(look.time, 0, index) for index, look in enumerate(course.looks)]
    moves += [(step.t0, 1, step) for step in course.laid.functions]
    for _, kind, what in sorted(moves, key=lambda move: move[:2]):
        if kind == 0:
            look = course.looks[what]
            if look.slot is not None:
                memory[look.slot] = bits[:, what]
            if look.register is not None:
                registers[look.register] = bits[:, what]
        elif isinstance(what, steps.Copy):
            for destination in what.destinations:
                registers[destination] = registers.get(what.source, empty)
        else:
            registers[what.register] = value = _function(what, registers, empty)
            if what.slot is not None:
                memory[what.slot] = value
    return memory


def _function(
    step: steps.Function, registers: Mapping[int, NDArray[np.bool_]], empty: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Whether the bits of the register under the mask are in the relation to the value, for each shot."""
    words = np.zeros(len(empty), dtype=np.object_)  # Python's integers: a register may have more than 64 bits
    for place in range(step.mask.bit_length()):
        if step.mask >> place & 1:
            words += registers.get(place, empty).astype(np.object_) * (1 << place)
    return _RELATIONS[step.relation](words, step.value).astype(np.bool_)
