# SPDX-License-Identifier: Apache-2.0
"""What is asked for, written down, checked and planned: a circuit is read once, and planned once for all its values."""

import dataclasses
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import QuantumCircuit

from chandelier.engines import dynamic, lowering, patterns, programs, routes, transcript, validation
from chandelier.engines import target as targets
from chandelier.formats import qobj, tasks

#: Levels of measurement: points in the plane of the signal, or bits.
KERNELED: Final = 1
CLASSIFIED: Final = 2

_SEEDS: Final = 1 << 31
_NOTHING: Final = msgspec.Raw(b"{}")


@dataclasses.dataclass(frozen=True, eq=False)
class Asked:
    """One circuit, to be repeated.

    Asking for many values of one circuit costs least if they share the circuit object, for it is read once.

    Attributes:
        circuit: Qubit i is qubit i of the device.
        shots: Repetitions.
        seed: Makes the shots reproducible, together with the place among what is asked for.
        level: `CLASSIFIED` or `KERNELED`.
        averaged: Whether points are averaged over all shots.
        values: float64, shape (parameters,): a value for each of `circuit.parameters`; None if it has none.
        noise_model: Noise that a simulator should add, as Aer writes it; a device has its own.
        rep_delay: Wait between shots, µs; None for that of the device.
    """

    circuit: QuantumCircuit
    shots: int
    seed: int | None = None
    level: int = CLASSIFIED
    averaged: bool = False
    values: NDArray[np.float64] | None = None
    noise_model: msgspec.Raw | None = None
    rep_delay: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One that is asked for, with its way.

    Attributes:
        asked: What is asked for.
        index: Its place.
        same: The first place at which the same is asked for.
        seed: Asked for, or drawn.
        lowered: Of a circuit that a Qobj can say, as it is written down.
        pattern: Its way.
        angles: What its free angles are, where the way was found with others.
        flow: Of a circuit that no Qobj can say.
    """

    asked: Asked
    index: int
    same: int
    seed: int
    lowered: lowering.Lowered | None
    pattern: patterns.Pattern | None
    angles: Sequence[float]
    flow: dynamic.Flow | None

    @property
    def slots(self) -> int:
        """Number of memory slots."""
        width: int = self.asked.circuit.num_clbits
        return width

    def way(self) -> routes.Route | None:
        """The way, with its own angles and settings."""
        if self.pattern is None or self.lowered is None:
            return None
        made = lowering.filled(self.lowered, self.angles) if self.angles else {}
        return self.pattern.filled(made, _settings(self.asked, self.index, self.seed))


def find(asked: Sequence[Asked], target: targets.Target, limits: tasks.Limits) -> list[Case]:
    """Write down, check and plan.

    Args:
        asked: The circuits.
        target: The device, as `dynamic.able` makes it.
        limits: What all of them together may use.

    Raises:
        errors.ProgramRefused: A circuit is not one for this device, or costs too much.
    """
    budget = transcript.Budget(lowering.MAX_INSTRUCTIONS)
    circuits = {id(one.circuit): one.circuit for one in asked}
    flowing = {key for key, circuit in circuits.items() if lowering.flows(circuit)}
    lowered = {key: lowering.lower(circuit, budget) for key, circuit in circuits.items() if key not in flowing}
    seeds = [secrets.randbelow(_SEEDS) if one.seed is None else one.seed for one in asked]
    first: dict[tuple[Any, ...], int] = {}
    same = [first.setdefault(_key(one), index) for index, one in enumerate(asked)]
    angles = {
        index: lowering.angles(lowered[id(asked[index].circuit)], asked[index].values)
        for index in first.values()
        if id(asked[index].circuit) not in flowing
    }
    chosen = _chosen(asked, lowered, angles, target)
    known = _planned(asked, lowered, {index: seeds[index] for index in chosen.values()}, target, limits)
    flows = {
        index: dynamic.prepare(_assigned(asked[index]), _settings(asked[index], index, seeds[index]), target, limits)
        for index in first.values()
        if id(asked[index].circuit) in flowing
    }
    return [
        Case(
            asked=one,
            index=index,
            same=own,
            seed=seeds[index],
            lowered=lowered.get(id(one.circuit)),
            pattern=known[chosen[own]] if own in chosen else None,
            angles=angles[own] if own in chosen and chosen[own] != own else (),
            flow=flows.get(own),
        )
        for index, (one, own) in enumerate(zip(asked, same, strict=True))
    ]


def _planned(
    asked: Sequence[Asked],
    lowered: Mapping[int, lowering.Lowered],
    seeds: Mapping[int, int],
    target: targets.Target,
    limits: tasks.Limits,
) -> dict[int, patterns.Pattern]:
    """Find the way of each that `seeds` has."""
    opened = {
        index: _opened(asked[index], lowered[id(asked[index].circuit)], index, seed) for index, seed in seeds.items()
    }
    _check(asked, opened, lowered, target)
    ways = routes.find(_program(list(opened.values())), target, limits) if opened else []
    found = {}
    for (index, one), way in zip(opened.items(), ways, strict=True):
        holes = lowered[id(asked[index].circuit)].holes
        found[index] = patterns.of(way, {id(one.instructions[place]): place for place in holes})
    return found


def _chosen(
    asked: Sequence[Asked],
    lowered: Mapping[int, lowering.Lowered],
    angles: Mapping[int, Sequence[float]],
    target: targets.Target,
) -> dict[int, int]:
    """For each place in `angles` the first with the same way, which is planned for all of them."""
    first: dict[tuple[Any, ...], int] = {}
    chosen = {}
    for index, found in angles.items():
        written = lowered[id(asked[index].circuit)]
        if written.timed:
            chosen[index] = index
            continue
        sort = target.simulator and bool(found) and patterns.kind(lowering.filled(written, found), target)
        chosen[index] = first.setdefault((*_kind(asked[index]), sort), index)
    return chosen


def _key(one: Asked) -> tuple[Any, ...]:
    """Equal for what is planned alike."""
    values = b"" if one.values is None else np.asarray(one.values, dtype=np.float64).tobytes()
    return *_kind(one), values


def _kind(one: Asked) -> tuple[Any, ...]:
    """Equal for what is planned alike but for its values."""
    return id(one.circuit), one.shots, one.level, one.averaged, bytes(one.noise_model or b""), one.rep_delay


def _config(one: Asked, seed: int) -> qobj.Config:
    return qobj.Config(
        shots=one.shots,
        n_qubits=one.circuit.num_qubits,
        memory_slots=one.circuit.num_clbits,
        seed_simulator=seed,
        meas_level=one.level,
        meas_return="avg" if one.averaged else "single",
        noise_model=one.noise_model or qobj.ABSENT,
        rep_delay=one.rep_delay,
    )


def _settings(one: Asked, index: int, seed: int) -> programs.Opened:
    """What is asked for, without its instructions."""
    return programs.Opened(
        index=index,
        instructions=(),
        header=_NOTHING,
        config=_config(one, seed),
        slots=one.circuit.num_clbits,
        phase=0.0,
    )


def _opened(one: Asked, lowered: lowering.Lowered, index: int, seed: int) -> programs.Opened:
    instructions = lowering.bound(lowered, one.values)
    return dataclasses.replace(_settings(one, index, seed), instructions=instructions, phase=lowered.phase)


def _assigned(one: Asked) -> QuantumCircuit:
    parameters = tuple(one.circuit.parameters)
    lowering.check_values(parameters, one.values)
    if not parameters:
        return one.circuit
    return one.circuit.assign_parameters(np.asarray(one.values, dtype=np.float64).tolist())


def _program(experiments: Sequence[programs.Opened]) -> programs.Program:
    envelope = qobj.Envelope("", "QASM", "", _NOTHING, qobj.Config(), [])
    return programs.Program(envelope, tuple(experiments))


def _check(
    asked: Sequence[Asked],
    opened: Mapping[int, programs.Opened],
    lowered: Mapping[int, lowering.Lowered],
    target: targets.Target,
) -> None:
    """Check each circuit once with each kind of settings: what other angles could spoil, `lowering.bound` sees."""
    places: dict[int, int] = {}
    seen: set[tuple[Any, ...]] = set()
    chosen: list[programs.Opened] = []
    for index, experiment in opened.items():
        one = asked[index]
        place = places.setdefault(id(one.circuit), len(places))
        if _kind(one) not in seen or lowered[id(one.circuit)].timed:
            seen.add(_kind(one))
            chosen.append(dataclasses.replace(experiment, index=place))
    # How many circuits a job of a Qobj may have says nothing about sets of values.
    validation.check(_program(chosen), dataclasses.replace(target, max_experiments=None))
