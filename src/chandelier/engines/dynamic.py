# SPDX-License-Identifier: Apache-2.0
"""Circuits with loops, choices, variables and expressions, which no Qobj can say.

Such a circuit becomes a list of orders with jumps: stretches of plain instructions, tests, assignments. Shots that
have been alike so far go through it together (`population`); a measurement parts them, by one draw of how many of
them see 1. So branches have exactly the chances that they should have, and no shot is computed twice.

What a device has, it has here: its basis and couplings, the errors of its gates, its misread bits, and the relaxation
of qubits that wait. Stretches between statements are scheduled as a whole circuit is; at a statement all qubits wait
for the last. What is simplified, as everywhere: deciding takes no time.

Nobody knows how often a loop that waits for a measurement goes round: the prediction counts one round, and the limits
of the job hold.
"""

import collections
import dataclasses
import functools
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from qiskit.circuit import Clbit, QuantumCircuit
from qiskit.circuit.classical import expr

from chandelier import errors
from chandelier.engines import (
    cost,
    expressions,
    orders,
    outcome,
    population,
    programs,
    readout,
    sampling,
    schedule,
    validation,
)
from chandelier.engines import target as targets
from chandelier.formats import qobj, results, tasks

#: Most orders that a group of shots may go through: an endless loop is stopped.
MAX_ORDERS: Final = 1_000_000
#: What a loop without a known end is said to take at least, s: nobody should have to wait until one is checked.
UNBOUNDED: Final = 1.0
#: Measured times of an instruction whatever the size of the state, and to touch one number, s.
STEP: Final = 40e-6
TOUCH: Final = 15e-9
#: What a group of shots holds at a time, in states.
_COPIES: Final = 6

#: Instructions that turn pure states into mixed ones.
_CHANNELS: Final = frozenset({"initialize", "kraus", "superop"})
_NOTHING: Final = msgspec.Raw(b"{}")


@dataclasses.dataclass(frozen=True, eq=False)
class Flow:
    """A circuit that was checked and planned.

    Attributes:
        orders: What to do.
        experiment: Its settings, and the instructions of all branches one after the other.
        world: What its states have in common.
        seconds: Predicted processor time, s; of a loop without a known end that of one round, but `UNBOUNDED` at least.
        memory_bytes: Predicted memory.
        device_seconds: Time for which the machine itself would be occupied, s, if every branch were taken.
        qubits: Number of qubits that anything happens to.
        gates: Gates of all branches.
    """

    orders: tuple[orders.Order, ...]
    experiment: programs.Opened
    world: population.World
    seconds: float
    memory_bytes: int
    device_seconds: float
    qubits: int
    gates: int


@functools.lru_cache(maxsize=16)
def able(target: targets.Target) -> targets.Target:
    """The device as today's clients may use it: with gates that they know, and with conditions if it measures midway.

    The documents of devices say `conditional: false` of a Qobj's conditions, which no machine ever took; programs with
    statements ran on every machine that measures in the middle of a circuit.
    """
    target = targets.renewed(target)
    if target.conditional or not target.midcircuit:
        return target
    return dataclasses.replace(target, conditional=True)


def prepare(
    circuit: QuantumCircuit,
    experiment: programs.Opened,
    target: targets.Target,
    limits: tasks.Limits,
) -> Flow:
    """Check a circuit against a device and plan it.

    Args:
        circuit: Without free parameters.
        experiment: Its settings; the instructions are found here.
        target: The device.
        limits: What it may use.

    Raises:
        errors.ProgramRefused: The device does not take it, or it would cost too much.
    """
    if not target.conditional:
        programs.refuse(8010, f"{target.name} does not run circuits with conditions, loops or variables")
    config = experiment.config
    if readout.level(config) != 2 or config.noise_model != qobj.ABSENT:
        programs.refuse(8010, "Circuits with loops or variables give bits, and take no noise model of their own")
    found = orders.compiled(circuit)
    plain = [step for order in found if isinstance(order, orders.Stretch) for step in order.steps]
    experiment = dataclasses.replace(experiment, instructions=tuple(plain), slots=circuit.num_clbits)
    envelope = qobj.Envelope("", "QASM", "", _NOTHING, qobj.Config(), [])
    validation.check(programs.Program(envelope, (experiment,)), target)
    timed, duration = _timed(found, target)
    return _planned(timed, experiment, duration, target, limits)


def _planned(
    program: tuple[orders.Order, ...],
    experiment: programs.Opened,
    duration: float,
    target: targets.Target,
    limits: tasks.Limits,
) -> Flow:
    steps = [step for order in program if isinstance(order, orders.Stretch) for step in order.steps]
    active = programs.active(steps) or {0}
    world = population.world(target, active, channels=any(step.name in _CHANNELS for step in steps))
    if not world.mixed and len(active) > population.MAX_PURE:
        programs.refuse(
            8010,
            f"Circuit {experiment.index} has loops or variables and acts on {len(active)} qubits; "
            f"up to {population.MAX_PURE} are possible",
        )
    numbers = 4.0 ** len(active) if world.mixed else 2.0 ** len(active)
    measured = sum(len(step.qubits or ()) for step in steps if step.name in {"measure", "reset"})
    groups = experiment.shots if world.drawn else min(experiment.shots, 4.0 ** min(measured, 60))
    seconds = cost.START + groups * len(steps) * (STEP + TOUCH * numbers)
    if any(isinstance(order, orders.Jump) and order.to <= place for place, order in enumerate(program)):
        seconds = max(seconds, UNBOUNDED)
    size = int(cost.BASE_MEMORY + 16 * numbers * (_COPIES + min(measured, 64)))
    if size > limits.memory_bytes:
        raise errors.ProgramRefused(
            f"Circuit {experiment.index}: its state on {len(active)} qubits takes about {cost.readable(size)}; a job "
            f"may use {cost.readable(limits.memory_bytes)}.",
            8008,
        )
    return Flow(
        orders=program,
        experiment=experiment,
        world=world,
        seconds=seconds,
        memory_bytes=size,
        device_seconds=cost.device_seconds(experiment, duration, target),
        qubits=len(active),
        gates=sum(map(programs.acts, steps)),
    )


def _timed(program: Sequence[orders.Order], target: targets.Target) -> tuple[tuple[orders.Order, ...], float]:
    """The orders with the waiting times of a device, and how long all of them take, s."""
    if target.simulator:
        return tuple(program), 0.0
    plain = [step for order in program if isinstance(order, orders.Stretch) for step in order.steps]
    every = tuple(sorted(programs.active(plain)))
    found: list[orders.Order] = []
    total = 0.0
    for order in program:
        if isinstance(order, orders.Stretch):
            # Between statements all qubits wait for the last: they begin and end together.
            edge = [qobj.Instruction("delay", (qubit,), [0], unit="dt") for qubit in every]
            wall = qobj.Instruction("barrier", every)
            timed = schedule.alap([*edge, wall, *order.steps, wall, *edge], target)
            total += timed.duration
            found.append(orders.Stretch(timed.instructions))
        else:
            found.append(order)
    return tuple(found), total


@dataclasses.dataclass(eq=False)
class _Group:
    """Shots that have been alike so far.

    Attributes:
        number: How many.
        state: Of their qubits.
        memory: Bit j is memory slot j.
        variables: Values of variables.
        at: The order that comes next, and the step of it.
        done: Orders that were done.
    """

    number: int
    state: population.Complex
    memory: int
    variables: dict[Any, Any]
    at: tuple[int, int] = (0, 0)
    done: int = 0


def run(flow: Flow, seed: int, index: int) -> outcome.Outcome:
    """Take the shots of a circuit.

    Args:
        flow: The circuit.
        seed: Makes them reproducible, together with `index`.
        index: Place of the circuit among what is asked for.
    """
    started = time.perf_counter()
    rng = sampling.generator(seed, index)
    experiment = flow.experiment
    try:
        tally = _taken(flow, rng)
    except errors.ProgramRefused as error:
        header = experiment.header
        entry = results.failed(reason=error.message, shots=experiment.shots, header=header, circ_id=index)
        return outcome.Outcome(entry, error.code, error.message)
    words = sorted(tally)
    numbers = np.fromiter((tally[word] for word in words), dtype=np.int64, count=len(words))
    data = sampling.data(rng, words, numbers, memory=bool(experiment.config.memory))
    metadata = {
        "method": "density_matrix" if flow.world.mixed else "statevector",
        "active_qubits": flow.qubits,
        "noise": "superop" if flow.world.noisy else "ideal",
        "sampled": False,
    }
    return outcome.Outcome(
        results.ExperimentResult(
            shots=experiment.shots,
            success=True,
            status="DONE",
            data=data,
            header=experiment.header,
            circ_id=index,
            meas_level=2,
            time_taken=time.perf_counter() - started,
            seed_simulator=seed,
            metadata=metadata,
        )
    )


def _taken(flow: Flow, rng: np.random.Generator) -> dict[int, int]:
    """How often each word of memory is left."""
    shots = flow.experiment.shots
    ground = population.ground(flow.world)
    waiting = [_Group(1, ground, 0, {}) for _ in range(shots)] if flow.world.drawn else [_Group(shots, ground, 0, {})]
    tally: dict[int, int] = collections.defaultdict(int)
    while waiting:
        group = waiting.pop()
        while group is not None and group.at[0] < len(flow.orders):
            group.done += 1
            if group.done > MAX_ORDERS:
                raise errors.ProgramRefused(
                    f"A loop goes round without an end: after {MAX_ORDERS} statements it was stopped.", 8021
                )
            _advance(flow, group, waiting, rng)
        tally[group.memory] += group.number
    return tally


def _advance(flow: Flow, group: _Group, waiting: list[_Group], rng: np.random.Generator) -> None:
    """Do the order that comes next, or the rest of it."""
    number, _ = group.at
    order = flow.orders[number]
    if isinstance(order, orders.Stretch):
        _follow(flow, order, group, waiting, rng)
        return
    following = number + 1
    if isinstance(order, orders.Jump):
        following = order.to
    elif isinstance(order, orders.Assign):
        _assign(order, group)
    elif isinstance(order, orders.Test):
        following = following if _holds(order.condition, order.slots, group) else order.otherwise
    else:
        following = order.cases.get(int(_value(order.value, order.slots, group)), order.otherwise)
    group.at = (following, 0)


def _follow(flow: Flow, order: orders.Stretch, group: _Group, waiting: list[_Group], rng: np.random.Generator) -> None:
    number, start = group.at
    for place in range(start, len(order.steps)):
        step = order.steps[place]
        if step.name == "barrier":
            continue
        if step.name == "measure":
            (qubit,), (slot,) = step.qubits or (), qobj.slots(step.memory)
            _part(flow, group, qubit, slot, (number, place + 1), waiting, rng)
        elif step.name == "reset":
            (qubit,) = step.qubits or ()
            _part(flow, group, qubit, None, (number, place + 1), waiting, rng)
        else:
            group.state = population.acted(flow.world, group.state, step, rng)
    group.at = (number + 1, 0)


def _part(
    flow: Flow,
    group: _Group,
    qubit: int,
    slot: int | None,
    at: tuple[int, int],
    waiting: list[_Group],
    rng: np.random.Generator,
) -> None:
    """Look at a qubit: the group keeps one outcome, and others wait as groups of their own.

    Args:
        flow: The circuit.
        group: The shots.
        qubit: What is looked at.
        slot: Memory slot that the outcome goes to; None for a reset, which sees it rightly and puts the qubit into 0.
        at: Where the others go on.
        waiting: Gets the others.
        rng: Decides how many shots see what.
    """
    world = flow.world
    ones = int(rng.binomial(group.number, min(max(population.chance(world, group.state, qubit), 0.0), 1.0)))
    parts: list[tuple[int, population.Complex, int]] = []
    for bit, number in ((0, group.number - ones), (1, ones)):
        if not number:
            continue
        state = population.projected(world, group.state, qubit, bit, flipped=slot is None)
        if slot is None:
            parts.append((number, state, group.memory))
            continue
        wrong = int(rng.binomial(number, _flip(world, qubit, bit)))
        for read, some in ((bit, number - wrong), (1 - bit, wrong)):
            if some:
                parts.append((some, state, group.memory & ~(1 << slot) | read << slot))
    (group.number, group.state, group.memory), *others = parts
    waiting += [
        _Group(number, state, memory, dict(group.variables), at, group.done) for number, state, memory in others
    ]


def _flip(world: population.World, qubit: int, bit: int) -> float:
    """The chance that a bit is misread."""
    if world.target.simulator:
        return 0.0
    data = world.target.qubits[qubit]
    return data.flip_down if bit else data.flip_up


def _holds(condition: Any, slots: orders.Slots, group: _Group) -> bool:
    if isinstance(condition, tuple):
        bits, value = condition
        return _read(bits, slots, group) == int(value)
    return bool(_value(condition, slots, group))


def _value(node: Any, slots: orders.Slots, group: _Group) -> Any:
    if not isinstance(node, expr.Expr):
        return _read(node, slots, group)

    def look(name: Any) -> Any:
        if not isinstance(name, expr.Var):
            return bool(_read(name, slots, group)) if isinstance(name, Clbit) else _read(name, slots, group)
        if name not in group.variables:
            raise errors.ProgramRefused(f"The variable {name.name!r:.60} is read before it is set.", 8021)
        return group.variables[name]

    return expressions.evaluate(node, look)


def _read(bits: Any, slots: orders.Slots, group: _Group) -> int:
    """The number that a bit or a register holds."""
    if isinstance(bits, Clbit):
        return group.memory >> slots[bits] & 1
    return sum((group.memory >> slots[bit] & 1) << place for place, bit in enumerate(bits))


def _assign(order: orders.Assign, group: _Group) -> None:
    value, place = _value(order.value, order.slots, group), order.place
    index: int | None = None
    if isinstance(place, expr.Index):
        place, index = place.target, int(_value(place.index, order.slots, group))
    if not isinstance(place, expr.Var):
        raise errors.ProgramRefused("It stores into something that is no variable.", 8010)
    if place.standalone:
        if index is not None:
            value = group.variables.get(place, 0) & ~(1 << index) | int(value) << index
        group.variables[place] = value
        return
    bits = [place.var] if isinstance(place.var, Clbit) else list(place.var)
    chosen = enumerate(bits) if index is None else [(0, bits[index])]
    for shift, bit in chosen:
        slot = order.slots[bit]
        group.memory = group.memory & ~(1 << slot) | (int(value) >> shift & 1) << slot
