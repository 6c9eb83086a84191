# SPDX-License-Identifier: Apache-2.0
"""Running experiments on Aer, each in a call of its own, so that its shots do not depend on the others.

Aer seeds its experiments, and the shots that it follows singly, with consecutive numbers: in one call, or with seeds
that are close together, they would have shots in common.
"""

import collections
import functools
import os
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from chandelier import errors
from chandelier.engines import (
    circuits,
    cost,
    methods,
    noise,
    outcome,
    programs,
    readout,
    routes,
    sampling,
    saved,
    usernoise,
)
from chandelier.engines import limits as held
from chandelier.engines import target as targets
from chandelier.formats import results, tasks

Json = dict[str, Any]

#: Aer's seeds are below this.
SEED_RANGE: Final = 1 << 62
#: How Aer says that an experiment needs more memory than it may use, and how much, MiB.
_NEEDED: Final = re.compile(r"nsufficient memory.*Required memory: (\d+)M", re.DOTALL)
#: Words of Aer by which it can be told that memory was the reason.
_EXHAUSTED: Final = ("nsufficient memory", "bad_alloc")

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


def run(ways: Sequence[routes.Route], target: targets.Target, limits: tasks.Limits) -> list[outcome.Outcome]:
    """Run experiments.

    Args:
        ways: One for each experiment.
        target: The device.
        limits: What Aer may use.

    Returns:
        One outcome for each experiment, in their order.
    """
    return [_run(way, target, limits) for way in ways]


def _run(way: routes.Route, target: targets.Target, limits: tasks.Limits) -> outcome.Outcome:
    given = way.experiment.seed
    seed = secrets.randbelow(1 << 31) if given is None else given
    try:
        circuit = build(way, target)
        report = _call(way, circuit, target, limits, own_seed(seed, way.experiment.index))
    except Exception as error:  # noqa: BLE001 -- whatever one experiment does, the others go on
        return outcome.failure(way, *outcome.reason(error))
    if not report.success:
        return outcome.failure(way, *_why(way, str(report.status), limits))
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
        code, message = _why(way, str(result.status), limits)
        raise errors.ProgramRefused(message, code)
    return result.results[0]


@functools.cache
def simulator(method: str, count: int = 1) -> AerSimulator:
    """Make a simulator with some threads.

    The threads share one state: if each had shots of its own, it would take memory for each, and the counts of a
    seed would depend on the number of cores.
    """
    return AerSimulator(method=method, max_parallel_threads=count, max_parallel_shots=1, max_parallel_experiments=1)


def _why(way: routes.Route, status: str, limits: tasks.Limits) -> tuple[int, str]:
    """The code and the message of an experiment that failed on Aer, by what Aer says of it."""
    needed = _NEEDED.search(status)
    if needed is not None:
        qubits = len(programs.active(way.steps))
        refused = cost.unfitting(qubits, way.plan.method, float(needed[1]) * (1 << 20), limits)
        return refused.code, refused.message
    if any(words in status for words in _EXHAUSTED):
        return held.OUT_OF_MEMORY, held.memory_exceeded(limits)
    return 8021, outcome.short(status.removeprefix("ERROR:").strip())


def _outcome(
    way: routes.Route, circuit: circuits.Circuit, report: Any, seed: int, target: targets.Target
) -> outcome.Outcome:
    details = report.metadata or {}
    try:
        data = _data(way, circuit, report.data.to_dict(), seed, target)
    except saved.NotFiniteError:
        return outcome.failure(way, 8021, "A value that it saves is not a finite number.")
    return outcome.success(
        way,
        data,
        seed,
        float(report.time_taken),
        qubits=len(programs.active(way.steps)),
        noise=str(details.get("noise", "")),
        sampled=bool(details.get("measure_sampling", False)),
    )


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
