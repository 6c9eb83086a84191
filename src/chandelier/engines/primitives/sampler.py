# SPDX-License-Identifier: Apache-2.0
"""The sampler: what a measurement of each circuit with each set of values shows, shot by shot.

Source: protocol, Runtime API, sections 7.2 and 8; `qiskit_ibm_runtime/options/sampler_options.py`.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import ControlFlowOp, QuantumCircuit

from chandelier import errors
from chandelier.engines import shots
from chandelier.engines import target as targets
from chandelier.engines.primitives import decoupling, twirling, work
from chandelier.formats import options, pubs, tagged, tasks

#: Whether what is wanted of a measurement are points, and whether their average over the shots.
_LEVELS: Final[Mapping[str, tuple[int, bool]]] = {
    "classified": (shots.CLASSIFIED, False),
    "kerneled": (shots.KERNELED, False),
    "avg_kerneled": (shots.KERNELED, True),
}


@dataclasses.dataclass(frozen=True, eq=False)
class _Sample:
    """One pub.

    Attributes:
        circuits: One for each randomization, with what is to be flipped back.
        values: Shape (sets of values, parameters).
        shape: Shape of the sets of values.
        shots: Shots of each set of values.
        each: Shots of each randomization; together they may be more.
        metadata: Of the pub's result.
    """

    circuits: Sequence[twirling.Flipped]
    values: NDArray[np.float64]
    shape: tuple[int, ...]
    shots: int
    each: int
    metadata: Mapping[str, Any]

    @property
    def count(self) -> int:
        """Circuits that are run: each randomization with each set of values, the randomizations next to each other."""
        return len(self.circuits) * len(self.values)


def open_(body: bytes, target: targets.Target, limits: tasks.Limits) -> work.Work:
    """Open a sampler job.

    With twirling, every set of values is run in several randomizations, whose outcomes are flipped back and put one
    after another; what exceeds the shots wanted is cut off. The randomizations are the same for all sets of values.
    A job with a seed gives the same outcomes each time.

    Raises:
        errors.ProgramRefused: The parameters are wrong, or the device cannot do what they ask for.
    """
    params = pubs.decode_sampler(body)
    wanted = params.options
    decoupling.check(wanted.dynamical_decoupling, target)
    if (wanted.twirling.enable_gates or wanted.twirling.enable_measure) and wanted.execution.meas_type != "classified":
        raise errors.ProgramRefused(
            f"execution.meas_type {wanted.execution.meas_type!r} and twirling exclude each other: "
            "points of the signal cannot be flipped back.",
            8040,
        )
    delay = work.rep_delay(wanted.execution, target)
    samples, asked = [], list[shots.Asked]()
    for index, pub in enumerate(params.pubs):
        seed = wanted.simulator.seed_simulator
        source = work.random(seed, index)
        sample = _sample(pub, f"pubs[{index}]", wanted, target, source)
        samples.append(sample)
        asked += _asked(sample, _LEVELS[wanted.execution.meas_type], delay, source, seed)
    told = functools.partial(_told, samples, wanted, qiskit=params.qiskit)
    return work.measured(asked, target, limits, told, besides=work.PUB * len(samples))


def _sample(
    pub: pubs.SamplerPub,
    where: str,
    wanted: options.SamplerOptions,
    target: targets.Target,
    source: np.random.Generator,
) -> _Sample:
    circuit = work.circuit(pub.circuit, where)
    if not _measures(circuit):
        raise errors.ProgramRefused(
            f"{where}: the circuit measures nothing, so there is nothing to sample. Add measurements.", 8044
        )
    if not circuit.cregs:
        raise errors.ProgramRefused(
            f"{where}: the circuit measures into bits of no register, of which a result has no place. "
            "Use a ClassicalRegister.",
            8044,
        )
    values = pubs.bound(pub.values, [parameter.name for parameter in circuit.parameters], where)
    count = wanted.default_shots if pub.shots is None else pub.shots
    metadata: dict[str, Any] = {"circuit_metadata": circuit.metadata or {}}
    twirled = wanted.twirling.enable_gates or wanted.twirling.enable_measure
    rounds, each = options.randomizations(count, wanted.twirling) if twirled else (1, count)
    work.check_randomizations(len(values), rounds, where, gates=wanted.twirling.enable_gates)
    circuits = _randomized(circuit, rounds, wanted.twirling, source, target)
    if twirled:
        metadata["num_randomizations"] = rounds
    if wanted.dynamical_decoupling.enable:
        made = {id(one): decoupling.decoupled(one.circuit, wanted.dynamical_decoupling, target) for one in circuits}
        metadata["dynamical_decoupling"] = {"sequences": max(one.sequences for one in made.values())}
        circuits = [one._replace(circuit=made[id(one)].circuit) for one in circuits]
    shape = values.shape[:-1]
    flat = values.reshape(math.prod(shape), values.shape[-1])
    return _Sample(circuits, flat, shape, min(count, rounds * each), each, metadata)


def _randomized(
    circuit: QuantumCircuit, count: int, wanted: options.Twirling, source: np.random.Generator, target: targets.Target
) -> list[twirling.Flipped]:
    """The randomizations of a circuit; if only measurements are twirled, some may be the same object."""
    if not wanted.enable_gates:
        if wanted.enable_measure:
            return twirling.measurements(circuit, count, source, target)
        return [twirling.Flipped(circuit, {})]
    made = [twirling.gates(circuit, source, target, wanted.strategy) for _ in range(count)]
    if not wanted.enable_measure:
        return [twirling.Flipped(one, {}) for one in made]
    return [twirling.measurements(one, 1, source, target)[0] for one in made]


def _measures(circuit: QuantumCircuit) -> bool:
    """Whether a circuit, or a branch of it, measures something."""
    return any(
        step.name == "measure"
        or (isinstance(step.operation, ControlFlowOp) and any(map(_measures, step.operation.blocks)))
        for step in circuit.data
    )


def _asked(
    sample: _Sample, level: tuple[int, bool], delay: float | None, source: np.random.Generator, seed: int | None
) -> list[shots.Asked]:
    return [
        shots.Asked(
            circuit=one.circuit,
            shots=sample.each,
            seed=work.draw(source, seed),
            level=level[0],
            averaged=level[1],
            values=values if len(values) else None,
            rep_delay=delay,
        )
        for values in sample.values
        for one in sample.circuits
    ]


def _told(
    samples: Sequence[_Sample], wanted: options.SamplerOptions, taken: Sequence[shots.Taken], *, qiskit: bool
) -> bytes:
    results, place = [], 0
    for sample in samples:
        mine = taken[place : place + sample.count]
        results.append((tagged.DataBin(sample.shape, _fields(sample, mine)), sample.metadata))
        place += sample.count
    return pubs.encode_sampler(results, _metadata(samples, wanted, taken), qiskit=qiskit)


def _fields(sample: _Sample, taken: Sequence[shots.Taken]) -> dict[str, tagged.BitArray | NDArray[np.complex128]]:
    """What each register showed, in the order of the circuit."""
    fields: dict[str, tagged.BitArray | NDArray[np.complex128]] = {}
    for register in sample.circuits[0].circuit.cregs:
        name = register.name
        if taken and taken[0].iq:
            points = [one.iq[name] for one in taken]
            fields[name] = np.array(points).reshape(*sample.shape, *points[0].shape)
            continue
        flips = [one.flips.get(name) for one in sample.circuits] * len(sample.values)
        shown = zip([one.bits[name] for one in taken], flips, strict=True)
        bits = [seen if flip is None else seen ^ flip for seen, flip in shown]
        size = (len(sample.values), len(sample.circuits) * sample.each, len(register))
        whole = np.array(bits, dtype=np.bool_).reshape(size)[:, : sample.shots]
        fields[name] = tagged.bits(whole.reshape(*sample.shape, sample.shots, len(register)))
    return fields


def _metadata(
    samples: Sequence[_Sample], wanted: options.SamplerOptions, taken: Sequence[shots.Taken]
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"execution": {"execution_spans": _spans(samples, wanted.twirling, taken)}}
    if wanted.dynamical_decoupling.enable:
        metadata["dynamical_decoupling"] = msgspec.to_builtins(wanted.dynamical_decoupling)
    if wanted.twirling.enable_gates or wanted.twirling.enable_measure:
        metadata["twirling"] = msgspec.to_builtins(wanted.twirling)
    return metadata


def _spans(samples: Sequence[_Sample], wanted: options.Twirling, taken: Sequence[shots.Taken]) -> tagged.Spans:
    """When the shots were taken: all pubs were run together."""
    if not taken:
        return tagged.Spans(())
    twirled = wanted.enable_gates or wanted.enable_measure
    slices: dict[int, tuple[tuple[int, ...], *tuple[int | bool, ...]]] = {}
    for index, sample in enumerate(samples):
        if not twirled:
            slices[index] = ((*sample.shape, sample.shots), 0, len(sample.values), 0, sample.shots)
            continue
        shape = (*sample.shape, len(sample.circuits), sample.each)
        slices[index] = (shape, False, 0, sample.count, 0, sample.each, sample.shots)
    kind = "TwirledSliceSpanV2" if twirled else "DoubleSliceSpan"
    started, stopped = min(one.started for one in taken), max(one.stopped for one in taken)
    return tagged.Spans((tagged.Span(kind, started, stopped, slices),))
