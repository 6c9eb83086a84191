# SPDX-License-Identifier: Apache-2.0
"""What has to be run to estimate the observables of a pub: its groups of terms, and the circuits that measure them.

A circuit goes through these steps, as far as they are wanted: gates folded, gates twirled, the measurement of a group
added, the measurement twirled, waits filled. Circuits are made once for all sets of values that ask for the same terms.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import QuantumCircuit

from chandelier import errors
from chandelier.engines import target as targets
from chandelier.engines.primitives import decoupling, exactly, folding, observables, twirling, work
from chandelier.formats import options, pubs, tasks

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Round:
    """One randomization of the measurement of a group.

    Attributes:
        circuit: The circuit.
        register: Which of its registers is the outcome.
        flips: Shape (qubits measured): what is to be flipped back.
        sequences: Number of waits that were filled with pulses.
    """

    circuit: QuantumCircuit
    register: str
    flips: NDArray[np.bool_]
    sequences: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Sheet:
    """What has to be run to know some terms.

    Attributes:
        groups: The terms, shared out.
        rounds: For each noise factor and group its randomizations.
        factors: The noise factors that the circuits really have.
    """

    groups: Sequence[observables.Group]
    rounds: Sequence[Sequence[Sequence[Round]]]
    factors: Floats

    @property
    def flat(self) -> list[Round]:
        """All circuits, by noise factor, then group, then randomization."""
        return [one for factor in self.rounds for group in factor for one in group]


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """One set of values.

    Attributes:
        values: Shape (parameters).
        sheet: What is run with it.
        elements: Which elements of the pub it is for.
    """

    values: Floats
    sheet: Sheet
    elements: Sequence[int]


@dataclasses.dataclass(frozen=True, eq=False)
class Estimate:
    """One pub.

    Attributes:
        circuit: Without what is added to it.
        shape: Shape of the result.
        wanted: The observable of each element.
        points: What is run for which elements; empty if the values are computed from the state.
        values: Shape (elements, parameters): the values of each element.
        each: Shots of each circuit.
        randomizations: Randomizations of each group.
        precision: The standard error asked for.
        metadata: What else is to be said of it.
    """

    circuit: QuantumCircuit
    shape: tuple[int, ...]
    wanted: Sequence[dict[observables.Term, float]]
    points: Sequence[Point]
    values: Floats
    each: int
    randomizations: int
    precision: float
    metadata: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """The circuits from which errors of readout are learned.

    Attributes:
        group: The qubits that are measured.
        rounds: Randomizations of the ground state.
        each: Shots of each of them.
    """

    group: observables.Group
    rounds: Sequence[Round]
    each: int


def shots_for(precision: float) -> int:
    """Shots after which the mean of ±1 has at most a standard error.

    >>> shots_for(0.01)
    10000
    """
    return min(math.ceil(max(precision, 1e-8) ** -2 * (1 - 1e-9)), 2**53)


@dataclasses.dataclass(frozen=True, eq=False)
class _Recipe:
    """What is done to every circuit of a pub.

    Attributes:
        options: Of the job.
        target: The device.
        source: Decides on all that is random.
    """

    options: options.EstimatorOptions
    target: targets.Target
    source: np.random.Generator

    @property
    def factors(self) -> Sequence[float]:
        """The noise factors that are wanted."""
        return self.options.resilience.zne.noise_factors if self.options.resilience.zne_mitigation else (1.0,)

    def folded(self, circuit: QuantumCircuit, factor: float) -> folding.Folded:
        """Make the noise of a circuit stronger."""
        return folding.folded(circuit, factor, self.options.resilience.zne.amplifier, self.source)


def estimate(
    pub: pubs.EstimatorPub,
    wanted: options.EstimatorOptions,
    target: targets.Target,
    limits: tasks.Limits,
    *,
    source: np.random.Generator,
    where: str,
) -> Estimate:
    """Make the circuits of a pub.

    Args:
        pub: The pub.
        wanted: Options of the job.
        target: The device.
        limits: What the job may use.
        source: Decides on all that is random.
        where: The pub, for messages.

    Raises:
        errors.ProgramRefused: Its parts do not fit each other, or the device cannot do what they ask for.
    """
    circuit = work.circuit(pub.circuit, where)
    values = pubs.bound(pub.values, [parameter.name for parameter in circuit.parameters], where)
    shape = pubs.shape(values.shape[:-1], pub.observables.shape, where)
    parsed = _parsed(pub, circuit, wanted)
    which = np.broadcast_to(np.arange(len(parsed)).reshape(pub.observables.shape), shape).ravel()
    sets = np.arange(math.prod(values.shape[:-1])).reshape(values.shape[:-1])
    places = np.broadcast_to(sets, shape).ravel()
    flat = values.reshape(sets.size, values.shape[-1])
    mine = [parsed[index] for index in which]
    precision, count = _asked_for(pub, wanted)
    rounds, each = 1, count
    metadata: dict[str, Any] = {"circuit_metadata": circuit.metadata or {}}
    points: list[Point] = []
    if precision == 0:
        exactly.check(circuit, target, limits, where)
    else:
        if wanted.twirling.enable_gates or wanted.twirling.enable_measure:
            rounds, each = options.randomizations(count, wanted.twirling)
            work.check_randomizations(len(flat), rounds, where, gates=wanted.twirling.enable_gates)
        recipe = _Recipe(wanted, target, source)
        points = _points(recipe, circuit, flat, list(zip(places.tolist(), mine, strict=True)), rounds)
        if wanted.dynamical_decoupling.enable:
            filled = max((one.sequences for point in points for one in point.sheet.flat), default=0)
            metadata["dynamical_decoupling"] = {"sequences": filled}
    return Estimate(circuit, shape, mine, points, flat[places], each, rounds, precision, metadata)


def _parsed(
    pub: pubs.EstimatorPub, circuit: QuantumCircuit, wanted: options.EstimatorOptions
) -> list[dict[observables.Term, float]]:
    parsed = [observables.parse(dict(one.terms), circuit.num_qubits) for one in pub.observables.flat]
    if wanted.resilience.measure_mitigation or wanted.resilience.zne_mitigation:
        return [observables.paulis(one) for one in parsed]
    return parsed


def _asked_for(pub: pubs.EstimatorPub, wanted: options.EstimatorOptions) -> tuple[float, int]:
    """The precision of a pub, and the shots of each of its groups."""
    if pub.precision is None and wanted.default_shots is not None:
        return wanted.default_shots**-0.5, wanted.default_shots
    precision = wanted.default_precision if pub.precision is None else pub.precision
    return precision, shots_for(precision) if precision else 0


def _points(
    recipe: _Recipe,
    circuit: QuantumCircuit,
    flat: Floats,
    wanted: Sequence[tuple[int, dict[observables.Term, float]]],
    rounds: int,
) -> list[Point]:
    """What is run with each set of values.

    Args:
        recipe: What is done to every circuit.
        circuit: The circuit of the pub.
        flat: Sets of values, shape (sets, parameters).
        wanted: For each element which set it is of, and its observable.
        rounds: Randomizations.
    """
    elements: dict[int, list[int]] = {}
    for element, (place, _) in enumerate(wanted):
        elements.setdefault(place, []).append(element)
    sheets: dict[frozenset[int], Sheet] = {}
    points, total = [], 0
    for place, mine in elements.items():
        known = frozenset(id(wanted[element][1]) for element in mine)
        if known not in sheets:
            groups = observables.grouped({term for element in mine for term in wanted[element][1]})
            _check_count(total + len(groups) * rounds * len(recipe.factors))
            sheets[known] = _sheet(recipe, circuit, groups, rounds)
        points.append(Point(flat[place], sheets[known], mine))
        total += len(sheets[known].flat)
        _check_count(total)
    return points


def _sheet(recipe: _Recipe, circuit: QuantumCircuit, groups: Sequence[observables.Group], rounds: int) -> Sheet:
    made, factors = [], []
    for factor in recipe.factors:
        factors.append(recipe.folded(circuit, factor).factor)
        made.append([_rounds(recipe, circuit, group, factor, rounds) for group in groups])
    return Sheet(groups, made, np.array(factors))


def _rounds(
    recipe: _Recipe, circuit: QuantumCircuit, group: observables.Group, factor: float, count: int
) -> list[Round]:
    """The randomizations of a group; if only the measurement is twirled, they begin with the same circuit."""
    if not recipe.options.twirling.enable_gates:
        return _measured(recipe, recipe.folded(circuit, factor).circuit, group, count)
    made = []
    for _ in range(count):
        folded = recipe.folded(circuit, factor).circuit
        twirled = twirling.gates(folded, recipe.source, recipe.target, recipe.options.twirling.strategy)
        made += _measured(recipe, twirled, group, 1)
    return made


def _measured(recipe: _Recipe, circuit: QuantumCircuit, group: observables.Group, count: int) -> list[Round]:
    circuit, register = observables.measuring(circuit, group, recipe.target)
    if not recipe.options.twirling.enable_measure:
        still = np.zeros(len(group.axes), dtype=np.bool_)
        return [_filled(recipe, Round(circuit, register, still))] * count
    flipped = twirling.measurements(circuit, count, recipe.source, recipe.target)
    rounds = {id(one): _filled(recipe, Round(one.circuit, register, one.flips[register])) for one in flipped}
    return [rounds[id(one)] for one in flipped]


def _filled(recipe: _Recipe, one: Round) -> Round:
    """Fill the waits of a circuit with pulses, if that is wanted."""
    if not recipe.options.dynamical_decoupling.enable:
        return one
    made = decoupling.decoupled(one.circuit, recipe.options.dynamical_decoupling, recipe.target)
    return dataclasses.replace(one, circuit=made.circuit, sequences=made.sequences)


def _check_count(count: int) -> None:
    if count > work.MAX_CIRCUITS:
        raise errors.ProgramRefused(
            f"Its sets of values, groups of terms and randomizations make more than {work.MAX_CIRCUITS} circuits. "
            "Split the job, or set a lower resilience_level.",
            8042,
        )


def calibration(
    estimates: Sequence[Estimate],
    wanted: options.EstimatorOptions,
    target: targets.Target,
    source: np.random.Generator,
) -> Calibration | None:
    """How readout is learned: from the ground state of all qubits that the job measures, with random flips."""
    groups = [group for one in estimates for point in one.points for group in point.sheet.groups]
    if not wanted.resilience.measure_mitigation or not groups:
        return None
    learning = wanted.resilience.measure_noise_learning
    qubits = sorted({qubit for group in groups for qubit in group.qubits})
    group = observables.Group(tuple((qubit, "Z") for qubit in qubits), ())
    circuit, register = observables.measuring(QuantumCircuit(qubits[-1] + 1), group, target)
    flipped = twirling.measurements(circuit, learning.num_randomizations, source, target)
    rounds = [Round(one.circuit, register, one.flips[register]) for one in flipped]
    given, most = learning.shots_per_randomization, max(one.each * one.randomizations for one in estimates)
    each = given if isinstance(given, int) else math.ceil(most / learning.num_randomizations)
    return Calibration(group, rounds, each)
