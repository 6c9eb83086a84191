# SPDX-License-Identifier: Apache-2.0
"""Shots of circuits on a device: what every program of today's clients asks for, whatever it makes of them.

A circuit is written down as a Qobj (`lowering`) and goes the way of one: checked against the device, planned by the
cheapest exact path, run with the device's noise. What no Qobj can say runs in `dynamic`. How often each outcome
occurs says everything about shots that are alike, so they are put into an order here, at random.
"""

import dataclasses
import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import QuantumCircuit

from chandelier import errors
from chandelier.engines import (
    cases,
    cost,
    dynamic,
    ideal,
    lowering,
    outcome,
    programs,
    readout,
    running,
    sampling,
    superops,
)
from chandelier.engines import (
    exact as exactly,
)
from chandelier.engines import target as targets
from chandelier.formats import tasks

Asked = cases.Asked
KERNELED: Final = cases.KERNELED
CLASSIFIED: Final = cases.CLASSIFIED

#: Time for a circuit with its values beside its computation, and for a bit of a shot in its register, s.
HANDLE: Final = 0.3e-3
READ: Final = 1.5e-9

#: Most circuits, each with its values, that are written out at a time.
_TOGETHER: Final = 256
_PLACE: Final = re.compile(r"^Experiment (?=\d)")


@dataclasses.dataclass(frozen=True, eq=False)
class Taken:
    """The shots of one circuit.

    Attributes:
        bits: For each classical register bool, shape (shots, width); column j is bit j of the register. Empty at
            level 1.
        iq: For each classical register complex128, shape (shots, width), or (width,) of averages; arbitrary units.
            Empty at level 2.
        metadata: How it was computed, JSON types only.
        started: When the first shot of all that was asked for together was taken.
        stopped: When the last of them was.
    """

    bits: Mapping[str, NDArray[np.bool_]]
    iq: Mapping[str, NDArray[np.complex128]]
    metadata: dict[str, Any]
    started: datetime.datetime
    stopped: datetime.datetime


class Plan(msgspec.Struct, frozen=True):
    """What some shots will cost.

    Attributes:
        seconds: Predicted processor time, s.
        memory_bytes: Predicted memory.
        device_seconds: Time for which the machine itself would be occupied, s.
        experiments: Number of circuits, each with its values.
        shots: The most repetitions of any circuit.
        qubits: Largest number of qubits that any circuit acts on.
        gates: Gates of all circuits.
    """

    seconds: float
    memory_bytes: int
    device_seconds: float
    experiments: int
    shots: int
    qubits: int
    gates: int


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared:
    """Shots that were checked and planned.

    Attributes:
        plan: What they will cost.
        run: Takes them.
    """

    plan: Plan
    run: Callable[[], list[Taken]]


def plan(asked: Sequence[Asked], target: targets.Target, limits: tasks.Limits) -> Plan:
    """Check some circuits against a device, and predict what their shots cost; see `prepare`."""
    return prepare(asked, target, limits).plan


def take(asked: Sequence[Asked], target: targets.Target, limits: tasks.Limits) -> list[Taken]:
    """Check some circuits and take their shots; see `prepare`.

    Returns:
        One for each that is asked for, in their order.
    """
    return prepare(asked, target, limits).run()


def prepare(asked: Sequence[Asked], target: targets.Target, limits: tasks.Limits) -> Prepared:
    """Check some circuits against a device and plan how their shots are computed.

    Args:
        asked: The circuits.
        target: The device.
        limits: What all of them together may use.

    Raises:
        errors.ProgramRefused: A circuit is not one for this device, or costs too much. Messages count the circuits
            that are different.
    """
    if not asked:
        return Prepared(Plan(0.0, 0, 0.0, 0, 0, 0, 0), list)
    target = dynamic.able(target)
    try:
        every = cases.find(asked, target, limits)
    except errors.ProgramRefused as error:
        raise errors.ProgramRefused(_PLACE.sub("Circuit ", error.message), error.code) from error
    found = _planned(every)
    _check_cost(found, every, limits)
    return Prepared(found, lambda: _taken(every, target, limits))


def exact(circuit: QuantumCircuit, target: targets.Target, limits: tasks.Limits) -> dict[int, float] | None:
    """Find the probabilities of all values of the classical bits; None where no path knows them without shots.

    Returns:
        The probability of each word that is possible, bit i of which is classical bit i.

    Raises:
        errors.ProgramRefused: As `prepare`.
    """
    target = dynamic.able(target)
    (case,) = cases.find([Asked(circuit, 1)], target, limits)
    way = case.way()
    if way is not None and way.order is not None and way.order.branching is None:
        found = exactly.probabilities(way.order, superops.of_device(target))
        return _summed([(found, exactly.wiring(way.order))])
    if way is not None and way.circuit is not None and way.plan.path == cost.IDEAL:
        shares = ideal.shares(way.circuit)
        wirings = [
            sampling.Wiring(
                (), tuple((slot, share.wires.index(wire)) for slot, wire in way.circuit.slots if wire in share.wires)
            )
            for share in shares
        ]
        return _summed([(share.probabilities, wires) for share, wires in zip(shares, wirings, strict=True)])
    return None


def _summed(parts: Sequence[tuple[sampling.Floats, sampling.Wiring]]) -> dict[int, float]:
    """The probabilities of words of which independent parts make some bits each."""
    whole = {0: 1.0}
    for probabilities, wires in parts:
        possible = np.flatnonzero(probabilities > 0)
        made = zip(sampling.words(possible, wires), probabilities[possible].tolist(), strict=True)
        tally: dict[int, float] = {}
        for word, chance in made:
            tally[word] = tally.get(word, 0.0) + chance
        whole = {one | other: first * second for one, first in whole.items() for other, second in tally.items()}
    return whole


def _planned(every: Sequence[cases.Case]) -> Plan:
    flows = [case.flow for case in every if case.flow is not None]
    patterned = [(case, case.pattern) for case in every if case.pattern is not None]
    ways = [pattern.way for _, pattern in patterned]
    counted: dict[int, tuple[int, int]] = {}
    for way in ways:
        key = id(way.steps)
        if key not in counted:
            steps = way.experiment.instructions
            counted[key] = len(programs.active(steps)), sum(map(programs.acts, steps))
    sizes = [counted[id(way.steps)] for way in ways] + [(flow.qubits, flow.gates) for flow in flows]
    bits = sum(case.asked.shots * case.slots for case in every)
    held = sum(case.asked.shots * case.slots * _held(case.asked) for case in every)
    needed = max([*(way.plan.memory_bytes for way in ways), *(flow.memory_bytes for flow in flows)])
    # What is asked for again is drawn from the same probabilities.
    spent = sum(way.plan.seconds for way in ways) + sum(flow.seconds for flow in flows)
    spared = sum(pattern.shared for case, pattern in patterned if case.same != case.index)
    return Plan(
        seconds=spent - spared + HANDLE * len(every) + READ * bits,
        memory_bytes=needed + held,
        device_seconds=sum(way.device_seconds for way in ways) + sum(flow.device_seconds for flow in flows),
        experiments=len(every),
        shots=max(case.asked.shots for case in every),
        qubits=max(qubits for qubits, _ in sizes),
        gates=sum(number for _, number in sizes),
    )


def _held(asked: Asked) -> int:
    """Memory for a bit of a shot: in the whole and in its register, while it is put together."""
    return 3 if asked.level == CLASSIFIED else readout.POINT_HELD


def _check_cost(found: Plan, every: Sequence[cases.Case], limits: tasks.Limits) -> None:
    if found.seconds > limits.cpu_seconds:
        raise errors.ProgramRefused(
            f"Simulating all {len(every)} circuits takes about {found.seconds:.3g} s; a job may run for "
            f"{limits.cpu_seconds:.3g} s. Send fewer of them, or ask for fewer shots.",
            8009,
        )
    if found.memory_bytes > limits.memory_bytes:
        raise errors.ProgramRefused(
            f"The shots of all {len(every)} circuits take about {cost.readable(found.memory_bytes)} of memory; a job "
            f"may use {cost.readable(limits.memory_bytes)}. Ask for fewer shots, or split the job.",
            8008,
        )
    left = sum(case.pattern.way.result_bytes for case in every if case.pattern is not None and case.same == case.index)
    if left > limits.result_bytes:
        raise cost.too_large(left, limits)


def _taken(every: Sequence[cases.Case], target: targets.Target, limits: tasks.Limits) -> list[Taken]:
    """Take shots of all, some of them at a time: what is asked for again next to each other."""
    started = datetime.datetime.now(datetime.UTC)
    found: dict[int, Taken] = {}
    queue = sorted(every, key=lambda case: case.same)
    for start in range(0, len(queue), _TOGETHER):
        batch = queue[start : start + _TOGETHER]
        ways = [way for way in (case.way() for case in batch) if way is not None]
        ran = {one.result.circ_id: one for one in running.run(ways, target, limits)}
        for case in batch:
            one = ran[case.index] if case.flow is None else dynamic.run(case.flow, case.seed, case.index)
            if one.code:
                raise errors.ProgramRefused(f"Circuit {case.index}: {one.message}", one.code)
            found[case.index] = _read(case, one, started)
    stopped = datetime.datetime.now(datetime.UTC)
    return [dataclasses.replace(found[index], stopped=stopped) for index in range(len(every))]


def _read(case: cases.Case, one: outcome.Outcome, started: datetime.datetime) -> Taken:
    """What a circuit showed; it is not known yet when all have stopped."""
    data, metadata = one.result.data, one.result.metadata
    registers = lowering.registers(case.asked.circuit) if case.lowered is None else case.lowered.registers
    if case.asked.level == KERNELED:
        points = np.asarray(data["memory"], dtype=np.float64)
        shape = (case.slots,) if case.asked.averaged else (case.asked.shots, case.slots)
        whole = np.ascontiguousarray(points.reshape(*shape, 2)).view(np.complex128)[..., 0]
        iq = {register.name: whole[..., list(register.slots)] for register in registers}
        return Taken({}, iq, metadata, started, started)
    rows = ordered(data["counts"], case.slots, sampling.generator(case.seed, case.index).spawn(2)[1])
    bits = {register.name: rows[:, _columns(register.slots)] for register in registers}
    return Taken(bits, {}, metadata, started, started)


def _columns(slots: tuple[int, ...]) -> slice | list[int]:
    """Slots as an index, without a copy where they are neighbours."""
    neighbours = bool(slots) and slots == tuple(range(slots[0], slots[0] + len(slots)))
    return slice(slots[0], slots[0] + len(slots)) if neighbours else list(slots)


def ordered(counts: Mapping[str, int], width: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Put shots of which only the numbers are known into an order: all orders are equally likely.

    Args:
        counts: How often each outcome occurred, as a result writes it.
        width: Number of memory slots.
        rng: Decides on the order.

    Returns:
        bool, shape (shots, width); column j is memory slot j.
    """
    size = (width + 7) // 8
    packed = b"".join(int(outcome, 16).to_bytes(size, "little") for outcome in counts)
    rows = np.unpackbits(
        np.frombuffer(packed, dtype=np.uint8).reshape(len(counts), size), axis=1, count=width, bitorder="little"
    )
    order = np.repeat(np.arange(len(counts)), np.fromiter(counts.values(), dtype=np.int64, count=len(counts)))
    rng.shuffle(order)
    return rows.view(np.bool_)[order]
