# SPDX-License-Identifier: Apache-2.0
"""Running experiments on Aer, each in a call of its own, so that its shots do not depend on the others.

Aer seeds its experiments, and the shots that it follows singly, with consecutive numbers: in one call, or with seeds
that are close together, they would have shots in common.
"""

import collections
import dataclasses
import functools
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from chandelier import errors
from chandelier.engines import circuits, methods, noise, programs, readout, routes, sampling, saved, usernoise
from chandelier.engines import target as targets
from chandelier.formats import results, tasks

Json = dict[str, Any]

#: Aer's seeds are below this.
SEED_RANGE: Final = 1 << 62
#: Words of Aer by which it can be told that memory was the reason.
_EXHAUSTED: Final[Mapping[str, int]] = {"nsufficient memory": 8008, "bad_alloc": 8022}

#: Threads pay from 2 to this many numbers on; with fewer they only wait for each other.
PARALLEL_FROM: Final = 16
#: Logarithm of the numbers that a method holds for each qubit. The others gain nothing from threads.
_BITS: Final[Mapping[str, int]] = {
    methods.STATEVECTOR: 1,
    methods.DENSITY_MATRIX: 2,
    methods.UNITARY: 2,
    methods.SUPEROP: 4,
}
#: Address space of a thread more, bytes: its stack and a heap of its own. It counts as the job's memory.
THREAD_BYTES: Final = 80 << 20


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one experiment.

    Attributes:
        result: Its entry in the result document.
        code: 0, or why it failed, as in `errors.CODES`.
        message: Empty, or why it failed.
    """

    result: results.ExperimentResult
    code: int = 0
    message: str = ""


def run(ways: Sequence[routes.Route], target: targets.Target, limits: tasks.Limits) -> list[Outcome]:
    """Run experiments.

    Args:
        ways: One for each experiment.
        target: The device.
        limits: What Aer may use.

    Returns:
        One outcome for each experiment, in their order.
    """
    return [_run(way, target, limits) for way in ways]


def _run(way: routes.Route, target: targets.Target, limits: tasks.Limits) -> Outcome:
    given = way.experiment.seed
    seed = secrets.randbelow(1 << 31) if given is None else given
    try:
        circuit = build(way, target)
        report = _call(way, circuit, target, limits, own_seed(seed, way.experiment.index))
    except Exception as error:  # noqa: BLE001 -- whatever one experiment does, the others go on
        return failure(way, *reason(error))
    return _outcome(way, circuit, report, seed, target)


def own_seed(seed: int, experiment: int) -> int:
    """Make Aer's seed of an experiment, far from those of others.

    Args:
        seed: As the program asks for.
        experiment: Index of the experiment in the program.
    """
    return int(sampling.generator(seed, experiment).spawn(1)[0].integers(SEED_RANGE))


def wide(way: routes.Route) -> bool:
    """Whether an experiment is so large that threads pay."""
    return _BITS.get(way.plan.method, 0) * len(programs.active(way.steps)) >= PARALLEL_FROM


def threads(ways: Sequence[routes.Route], limits: tasks.Limits, available: int) -> int:
    """How many threads compute some experiments that are equally wide.

    Args:
        ways: The experiments.
        limits: What the job may use; what is left of the memory goes to threads.
        available: Number of cores.
    """
    if not wide(ways[0]):
        return 1
    spare = limits.memory_bytes - max(way.plan.memory_bytes for way in ways)
    return 1 + max(min(available - 1, spare // THREAD_BYTES), 0)


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _listed(experiment: programs.Opened) -> bool:
    """Whether the outcome of each shot is needed; points in the plane of the signal are drawn for each."""
    return bool(experiment.config.memory) or readout.level(experiment.config) == 1


def build(way: routes.Route, target: targets.Target) -> circuits.Circuit:
    """Make the circuit of an experiment, with the noise of its waiting times."""
    idle = circuits.no_idle if target.simulator else functools.partial(noise.relaxation, target)
    own = usernoise.read(way.experiment.config.noise_model) if target.simulator else None
    return circuits.build(
        way.steps,
        slots=way.experiment.slots,
        phase=way.experiment.phase,
        native=methods.native(way.plan.method),
        idle=idle,
        noisy=circuits.no_errors if own is None else functools.partial(usernoise.attached, own.errors),
        among=way.layout,
    )


def noise_model(ways: Sequence[routes.Route], target: targets.Target) -> NoiseModel | None:
    """The noise of everything that some experiments do; on a simulator the noise that they bring along.

    Args:
        ways: Experiments with one layout.
        target: The device.
    """
    layout = ways[0].layout
    if target.simulator:
        own = usernoise.read(ways[0].experiment.config.noise_model)
        return None if own is None else usernoise.assembled(own, [step for way in ways for step in way.steps], layout)
    sites: set[targets.Site] = set()
    measured: set[int] = set()
    for step in (step for way in ways for step in way.steps):
        qubits = step.qubits or ()
        if step.name == "measure":
            measured.update(qubits if readout.level(ways[0].experiment.config) == 2 else ())
        elif step.name == "reset":
            sites.update(("reset", (index,)) for index in qubits)
        elif programs.acts(step):
            sites.add((step.name, qubits))
    return noise.model(target, sites, measured, layout)


def _call(way: routes.Route, circuit: circuits.Circuit, target: targets.Target, limits: tasks.Limits, seed: int) -> Any:
    experiment = way.experiment
    job = simulator(way.plan.method, threads([way], limits, cores())).run(
        circuit.circuit,
        shots=experiment.shots,
        memory=_listed(experiment),
        seed_simulator=seed,
        noise_model=noise_model([way], target),
        max_memory_mb=max(limits.memory_bytes >> 20, 1),
    )
    result = job.result()
    if not result.results:  # Aer gave up on the call as a whole
        raise errors.ProgramRefused(str(result.status).removeprefix("ERROR:").strip(), 8021)
    return result.results[0]


@functools.cache
def simulator(method: str, count: int = 1) -> AerSimulator:
    """Make a simulator with some threads.

    The threads share one state: if each had shots of its own, it would take memory for each, and the counts of a
    seed would depend on the number of cores.
    """
    return AerSimulator(method=method, max_parallel_threads=count, max_parallel_shots=1, max_parallel_experiments=1)


def reason(error: Exception) -> tuple[int, str]:
    """The code and the message of an experiment that failed."""
    if isinstance(error, errors.ProgramRefused):
        return error.code, error.message
    if isinstance(error, MemoryError):
        return 8022, "It used more memory than a job may."
    return 8021, _short(f"{type(error).__name__}: {error}")


def _outcome(way: routes.Route, circuit: circuits.Circuit, report: Any, seed: int, target: targets.Target) -> Outcome:
    if not report.success:
        message = _short(str(report.status).removeprefix("ERROR:").strip())
        return failure(way, next((code for words, code in _EXHAUSTED.items() if words in message), 8021), message)
    details = report.metadata or {}
    try:
        data = _data(way, circuit, report.data.to_dict(), seed, target)
    except saved.NotFiniteError:
        return failure(way, 8021, "A value that it saves is not a finite number.")
    return success(
        way,
        data,
        seed,
        float(report.time_taken),
        qubits=len(programs.active(way.steps)),
        noise=str(details.get("noise", "")),
        sampled=bool(details.get("measure_sampling", False)),
    )


def success(
    way: routes.Route, data: Json, seed: int, seconds: float, *, qubits: int, noise: str, sampled: bool = True
) -> Outcome:
    """What became of an experiment that ran to its end, whoever computed it.

    Args:
        data: Counts, shots and what was saved.
        seed: Asked for, or drawn where none was.
        seconds: Time that it took, s.
        qubits: Qubits on which anything happened.
        noise: What kind of noise there was, by Aer's word.
        sampled: Whether all shots were drawn from one evolution.
    """
    experiment = way.experiment
    return Outcome(
        results.ExperimentResult(
            shots=experiment.shots,
            success=True,
            status="DONE",
            data=data,
            header=experiment.header,
            circ_id=experiment.index,
            **readout.described(experiment.config),
            time_taken=seconds,
            seed_simulator=seed,
            metadata={"method": way.plan.method, "active_qubits": qubits, "noise": noise, "sampled": sampled},
        )
    )


def failure(way: routes.Route, code: int, message: str) -> Outcome:
    """What became of an experiment that failed."""
    experiment = way.experiment
    entry = results.failed(reason=message, shots=experiment.shots, header=experiment.header, circ_id=experiment.index)
    return Outcome(entry, code, message)


def _data(
    way: routes.Route, circuit: circuits.Circuit, raw: Mapping[str, Any], seed: int, target: targets.Target
) -> Json:
    """The data of an experiment: counts and shots without the hidden bits, and what was saved."""
    experiment = way.experiment
    rng = sampling.generator(seed, experiment.index)
    visible = (1 << circuit.slots) - 1
    data = saved.collected(raw, way.steps, slots=circuit.slots, hidden=circuit.circuit.num_clbits > circuit.slots)
    if not circuit.measures and data:
        return data
    tally: dict[int, int] = {}
    for key, number in (raw.get("counts") or {"0x0": experiment.shots}).items():
        bits = int(key, 16) & visible
        tally[bits] = tally.get(bits, 0) + int(number)
    if not _listed(experiment):
        return {**data, "counts": results.counts(readout.misread(rng, tally, way.steps))}
    words = [int(shot, 16) & visible for shot in raw.get("memory") or ["0x0"] * experiment.shots]
    if readout.level(experiment.config) == 1:
        average = readout.averages(experiment.config)
        seen = readout.kerneled(rng, words, way.steps, target, slots=circuit.slots, average=average)
        return {**data, "memory": seen}
    words = readout.misread_shots(rng, words, way.steps)
    return {**data, "counts": results.counts(collections.Counter(words)), "memory": results.memory(words)}


def _short(text: str) -> str:
    return text if len(text) <= 500 else f"{text[:500]} …"
