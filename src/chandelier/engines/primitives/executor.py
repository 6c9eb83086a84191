# SPDX-License-Identifier: Apache-2.0
"""The program `executor`: circuits, each with an array of values, or with a samplex that draws an array of them.

What twirling and mitigation make of a user's circuits is the client's work, before and after; here every element of
an item is a circuit with numbers, and its shots are told as they are, with what the samplex says of them.

Source: protocol, Runtime API, sections 7.3 and 8; `ibm_quantum_schemas/executor/version_2_0/models.py`; names of
points in the plane: `qiskit_ibm_runtime/decoders/executor_sampler/converters.py`.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import QuantumCircuit

from chandelier import errors
from chandelier.engines import cost, qpy, readout, shots
from chandelier.engines import target as targets
from chandelier.engines.primitives import samplexes, work
from chandelier.formats import options, quantum_programs, tasks

#: The code of options that mean nothing on the device.
UNSUPPORTED: Final = 8010
#: Most elements of all items together.
MOST_ELEMENTS: Final = 100_000

#: What is appended to a register's name for its points.
SUFFIXES: Final[Mapping[str, str]] = {"kerneled": "_iq", "avg_kerneled": "_avg_iq", "both": "_iq"}
#: Options that would have to be answered and are not.
UNANSWERED: Final[Mapping[str, str]] = {
    "scheduler_timing": "the timing of circuits is not written down here",
    "stretch_values": "circuits with stretches are not run here",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Item:
    """One item of a program, drawn.

    Attributes:
        circuit: Its circuit.
        values: float64, shape (elements, parameters): in the order of `circuit.parameters`.
        shape: Shape of the elements.
        told: What is told beside the shots, each of shape (*shape, ...).
        chunk: Most elements that may run together; None if all.
    """

    circuit: QuantumCircuit
    values: NDArray[np.float64]
    shape: tuple[int, ...]
    told: Mapping[str, NDArray[Any]]
    chunk: int | None


@dataclasses.dataclass(frozen=True)
class Part:
    """Elements of one item that run together: from `start` up to `stop` of those of item `index`, flattened."""

    index: int
    start: int
    stop: int


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """A quantum program that was opened and checked.

    Attributes:
        plan: What it will take.
        params: What was asked for.
        items: Its items.
        chunks: What runs together, in order.
        target: The device.
        limits: What the job may use.
    """

    plan: shots.Plan
    params: quantum_programs.Params
    items: Sequence[Item]
    chunks: Sequence[tuple[tuple[Part, ...], shots.Prepared]]
    target: targets.Target
    limits: tasks.Limits

    def run(self) -> work.Done:
        """Take all shots and write the result document.

        Raises:
            errors.ProgramRefused: A circuit failed, or (8025) the document is larger than it may be.
        """
        taken: list[list[shots.Taken]] = [[] for _ in self.items]
        spans = []
        for parts, prepared in self.chunks:
            found = iter(prepared.run())
            for part in parts:
                taken[part.index] += itertools.islice(found, part.stop - part.start)
            last = [taken[part.index][-1] for part in parts]
            if last:
                span = min(one.started for one in last), max(one.stopped for one in last)
                spans.append(_span(*span, parts, self.items))
        results = [
            quantum_programs.ItemResult({**item.told, **_shown(item, own, self.params, self.target)})
            for item, own in zip(self.items, taken, strict=True)
        ]
        body = quantum_programs.encode(self.params, results, spans)
        if len(body) > self.limits.result_bytes:
            raise cost.too_large(len(body), self.limits)
        return work.Done(
            body=body,
            shots=self.params.shots * sum(len(own) for own in taken),
            spans=tuple((span.start, span.stop) for span in spans),
            metadata={"methods": work.methods([one for own in taken for one in own])},
        )


def open_(body: bytes, target: targets.Target, limits: tasks.Limits) -> work.Work:
    """Open a quantum program, draw what its samplexes draw, and plan its shots.

    Args:
        body: Params of an executor job, JSON.
        target: The device.
        limits: What the job may use.

    Raises:
        errors.ProgramRefused: Codes 8030 to 8034: it is not of the documented form. Code 8010: an option is not
            answered here. Codes 8045 and 8046: a samplex is wrong, or items and circuits do not belong together.
            Code 8025: it would leave too much. As `qpy.load` and `shots.prepare`.
    """
    params = quantum_programs.decode(body)
    for name, reason in UNANSWERED.items():
        if getattr(params.options, name):
            raise errors.ProgramRefused(f"The option `{name}` cannot be set: {reason}.", UNSUPPORTED)
    source = np.random.default_rng()
    circuits = _circuits(params.circuits)
    if len(circuits) != len(params.items):
        raise errors.ProgramRefused(
            f"The program has {len(params.items)} items and {len(circuits)} circuits; each item has one.",
            samplexes.UNFIT,
        )
    items, left, seconds = [], MOST_ELEMENTS, 0.0
    for index, (item, circuit) in enumerate(zip(params.items, circuits, strict=True)):
        try:
            made, took = _opened(item, circuit, source, left, limits)
        except errors.ProgramRefused as error:
            raise errors.ProgramRefused(f"Item {index}: {error.message}", error.code) from error
        left -= len(made.values)
        items.append(made)
        seconds += took
    _check_size(items, params, limits)
    return _planned(params, items, seconds, target, limits)


def _circuits(sent: quantum_programs.Circuits) -> list[QuantumCircuit]:
    if sent.qpy is not None:
        return list(qpy.load(sent.qpy))
    return [qpy.qasm3(text) for text in sent.qasm]


def _opened(
    item: quantum_programs.CircuitItem | quantum_programs.SamplexItem,
    circuit: QuantumCircuit,
    source: np.random.Generator,
    left: int,
    limits: tasks.Limits,
) -> tuple[Item, float]:
    """Draw an item; return it and the time that took, as predicted, s."""
    told: dict[str, NDArray[Any]] = {}
    if isinstance(item, quantum_programs.CircuitItem):
        shape, seconds = item.shape, 0.0
        _check_elements(shape, left)
        values: NDArray[Any] = quantum_programs.spread(item)
    else:
        samplex = samplexes.open_(item.samplex, item.ssv, item.arguments, item.shape)
        shape, seconds = samplex.shape, samplexes.predicted(samplex, limits)
        _check_elements(shape, left)
        _check_parameters(samplex.parameters, circuit)
        told = samplexes.sample(samplex, source)
        values = told.pop("parameter_values", np.empty((*shape, 0)))
        clash = sorted({register.name for register in circuit.cregs} & told.keys())
        if clash:
            raise errors.ProgramRefused(f"Register and samplex both give {clash[0]!r}.", samplexes.UNFIT)
    _check_parameters(values.shape[-1], circuit)
    flat = np.ascontiguousarray(values, np.float64).reshape(math.prod(shape), values.shape[-1])
    return Item(circuit, flat, shape, told, item.chunk_size), seconds


def _check_elements(shape: tuple[int, ...], left: int) -> None:
    if math.prod(shape) > left:
        raise errors.ProgramRefused(
            f"Its shape {list(shape)} has {math.prod(shape)} elements; a job may have {MOST_ELEMENTS} altogether.",
            samplexes.UNFIT,
        )


def _check_parameters(given: int, circuit: QuantumCircuit) -> None:
    if given != circuit.num_parameters:
        raise errors.ProgramRefused(
            f"Its circuit has {circuit.num_parameters} parameters, and its arguments are for {given}.", samplexes.UNFIT
        )


def _check_size(items: Sequence[Item], params: quantum_programs.Params, limits: tasks.Limits) -> None:
    """Refuse what would hold or leave more than a job may, before anything is run."""
    points = sum(len(item.values) * sum(register.size for register in item.circuit.cregs) for item in items) * (
        1 if params.meas_level == "avg_kerneled" else params.shots
    )
    each = {"classified": (1, 1 / 8), "both": (17, 16)}.get(params.meas_level, (16, 16))
    told = sum(values.nbytes for item in items for values in item.told.values())
    held = 2 * points * each[0] + told
    if held > limits.memory_bytes:
        raise errors.ProgramRefused(
            f"Its outcomes take {cost.readable(held)} of memory; a job may use {cost.readable(limits.memory_bytes)}. "
            "Ask for fewer shots, or split the job.",
            8008,
        )
    if points * each[1] > limits.result_bytes:
        raise cost.too_large(points * each[1], limits)


def _planned(
    params: quantum_programs.Params,
    items: Sequence[Item],
    seconds: float,
    target: targets.Target,
    limits: tasks.Limits,
) -> Job:
    chunks, delay = [], work.rep_delay(options.Execution(rep_delay=params.options.rep_delay), target)
    for parts in _chunks(items):
        asked = [one for part in parts for one in _asked(items[part.index], part, params, delay)]
        chunks.append((parts, shots.prepare(asked, target, limits)))
    plans = [prepared.plan for _, prepared in chunks]
    plan = shots.Plan(
        seconds=seconds + sum(one.seconds for one in plans),
        memory_bytes=max((one.memory_bytes for one in plans), default=0),
        device_seconds=sum(one.device_seconds for one in plans),
        experiments=sum(one.experiments for one in plans),
        shots=params.shots,
        qubits=max((one.qubits for one in plans), default=0),
        gates=sum(one.gates for one in plans),
    )
    if plan.seconds > limits.cpu_seconds:
        raise errors.ProgramRefused(
            f"Drawing and simulating all {plan.experiments} circuits takes about {plan.seconds:.3g} s; a job may run "
            f"for {limits.cpu_seconds:.3g} s. Send fewer items, elements or shots.",
            8009,
        )
    return Job(plan, params, items, chunks, target, limits)


def _chunks(items: Sequence[Item]) -> Iterator[tuple[Part, ...]]:
    """What runs together: everything, or of each item so many elements as it says."""
    if all(item.chunk is None for item in items):
        yield tuple(Part(index, 0, len(item.values)) for index, item in enumerate(items) if len(item.values))
        return
    for index, item in enumerate(items):
        step = item.chunk or len(item.values) or 1
        for start in range(0, len(item.values), step):
            yield (Part(index, start, min(start + step, len(item.values))),)


def _asked(item: Item, part: Part, params: quantum_programs.Params, delay: float | None) -> Iterator[shots.Asked]:
    for values in item.values[part.start : part.stop]:
        yield shots.Asked(
            circuit=item.circuit,
            shots=params.shots,
            level=shots.CLASSIFIED if params.meas_level == "classified" else shots.KERNELED,
            averaged=params.meas_level == "avg_kerneled",
            values=values if len(values) else None,
            rep_delay=delay,
        )


def _span(start: Any, stop: Any, parts: Sequence[Part], items: Sequence[Item]) -> quantum_programs.ChunkSpan:
    return quantum_programs.ChunkSpan(
        start,
        stop,
        tuple(
            quantum_programs.ChunkPart(
                idx_item=part.index,
                size=part.stop - part.start,
                permutation=tuple(range(len(items[part.index].shape))),
                element_range=(part.start, part.stop, 1),
            )
            for part in parts
        ),
    )


def _shown(
    item: Item, taken: Sequence[shots.Taken], params: quantum_programs.Params, target: targets.Target
) -> dict[str, NDArray[Any]]:
    """What an item's registers showed, by the names that the client looks for."""
    found: dict[str, NDArray[Any]] = {}
    for register in item.circuit.cregs:
        name, width = register.name, register.size
        if params.meas_level == "classified":
            found[name] = _stacked([one.bits[name] for one in taken], (*item.shape, params.shots, width), np.bool_)
            continue
        shape = (*item.shape, width) if params.meas_level == "avg_kerneled" else (*item.shape, params.shots, width)
        points = _stacked([one.iq[name] for one in taken], shape, np.complex128)
        found[name + SUFFIXES[params.meas_level]] = points
        if params.meas_level == "both":
            found[name] = _discriminated(points, _measured(item.circuit, name), target)
    return found


def _stacked(arrays: Sequence[NDArray[Any]], shape: tuple[int, ...], kind: type[np.generic]) -> NDArray[Any]:
    return np.stack(arrays).reshape(shape) if arrays else np.empty(shape, kind)


def _measured(circuit: QuantumCircuit, name: str) -> list[int | None]:
    """The qubit that is measured last into each bit of a register; None where none is."""
    last = {
        circuit.find_bit(step.clbits[0]).index: circuit.find_bit(step.qubits[0]).index
        for step in circuit.data
        if step.operation.name == "measure"
    }
    (register,) = [one for one in circuit.cregs if one.name == name]
    return [last.get(circuit.find_bit(bit).index) for bit in register]


def _discriminated(
    points: NDArray[np.complex128], qubits: Sequence[int | None], target: targets.Target
) -> NDArray[np.bool_]:
    """Tell 0 and 1 apart as the device does; bits that are never measured are 0."""
    shown = np.zeros(points.shape, np.bool_)
    for column, qubit in enumerate(qubits):
        if qubit is not None:
            where = readout.clouds(target.name, qubit, target.qubits[qubit])
            shown[..., column] = readout.discriminated(points[..., column], where)
    return shown
