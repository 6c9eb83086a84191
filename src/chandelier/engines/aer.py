# SPDX-License-Identifier: Apache-2.0
"""Running experiments on Aer, many in one call, so that none takes others with it when it fails."""

import collections
import dataclasses
import functools
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from chandelier import errors
from chandelier.engines import circuits, methods, noise, programs, readout, routes, sampling, saved, usernoise
from chandelier.engines import target as targets
from chandelier.formats import qobj, results, tasks

Json = dict[str, Any]

#: Where experiments that share a seed run in different calls, the seeds of the calls are this far apart.
SEED_STRIDE: Final = 1_000_003
SEED_RANGE: Final = 1 << 62
#: Words of Aer by which it can be told that memory was the reason.
_EXHAUSTED: Final[Mapping[str, int]] = {"nsufficient memory": 8008, "bad_alloc": 8022}


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


class _Group(NamedTuple):
    """What experiments must share to run in one call."""

    method: str
    shots: int
    memory: bool
    level: int
    seed: int | None
    noise: int
    layout: tuple[int, ...] | None


def run(ways: Sequence[routes.Route], target: targets.Target, limits: tasks.Limits) -> list[Outcome]:
    """Run experiments.

    Args:
        ways: One for each experiment.
        target: The device.
        limits: What Aer may use.

    Returns:
        One outcome for each experiment, in their order.
    """
    groups: dict[_Group, list[routes.Route]] = {}
    for way in ways:
        groups.setdefault(_group(way, target), []).append(way)
    outcomes: dict[int, Outcome] = {}
    calls: collections.Counter[int] = collections.Counter()
    for group, members in groups.items():
        seed = group.seed if group.seed is not None else secrets.randbelow(1 << 31)
        outcomes |= _run_group(members, target, limits, (seed + calls[seed] * SEED_STRIDE) % SEED_RANGE)
        calls[seed] += 1
    return [outcomes[way.experiment.index] for way in ways]


def _group(way: routes.Route, target: targets.Target) -> _Group:
    experiment = way.experiment
    noisy = not target.simulator or experiment.config.noise_model != qobj.ABSENT
    return _Group(
        method=way.plan.method,
        shots=experiment.shots,
        memory=_listed(experiment),
        level=readout.level(experiment.config),
        seed=experiment.seed,
        noise=id(experiment.config.noise_model),
        layout=way.layout if noisy else None,  # noise is for the qubits of the circuits, so they must agree on them
    )


def _listed(experiment: programs.Opened) -> bool:
    """Whether the outcome of each shot is needed; points in the plane of the signal are drawn for each."""
    return bool(experiment.config.memory) or readout.level(experiment.config) == 1


def _run_group(
    members: Sequence[routes.Route], target: targets.Target, limits: tasks.Limits, seed: int
) -> dict[int, Outcome]:
    outcomes: dict[int, Outcome] = {}
    built: list[tuple[routes.Route, circuits.Circuit]] = []
    for way in members:
        try:
            built.append((way, build(way, target)))
        except Exception as error:  # noqa: BLE001 -- whatever one experiment does, the others go on
            outcomes[way.experiment.index] = failure(way, *reason(error))
    try:
        reports = _call(built, target, limits, seed)
    except Exception as error:  # noqa: BLE001
        if len(built) > 1:
            for number, (way, _) in enumerate(built):
                outcomes |= _run_group([way], target, limits, (seed + number * SEED_STRIDE) % SEED_RANGE)
        else:
            outcomes |= {way.experiment.index: failure(way, *reason(error)) for way, _ in built}
        return outcomes
    for (way, circuit), report in zip(built, reports, strict=True):
        outcomes[way.experiment.index] = _outcome(way, circuit, report, target)
    return outcomes


def build(way: routes.Route, target: targets.Target) -> circuits.Circuit:
    """Make the circuit of an experiment, with the noise of its waiting times."""
    idle = circuits.no_idle if target.simulator else functools.partial(noise.relaxation, target)
    return circuits.build(
        way.steps,
        slots=way.experiment.slots,
        phase=way.experiment.phase,
        native=methods.native(way.plan.method),
        idle=idle,
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
        return usernoise.read(ways[0].experiment.config.noise_model, layout)
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


def _call(
    built: Sequence[tuple[routes.Route, circuits.Circuit]],
    target: targets.Target,
    limits: tasks.Limits,
    seed: int,
) -> list[Any]:
    if not built:
        return []
    ways = [way for way, _ in built]
    first = ways[0].experiment
    job = simulator(ways[0].plan.method).run(
        [circuit.circuit for _, circuit in built],
        shots=first.shots,
        memory=_listed(first),
        seed_simulator=seed,
        noise_model=noise_model(ways, target),
        max_memory_mb=max(limits.memory_bytes >> 20, 1),
    )
    result = job.result()
    if len(result.results) != len(built):  # Aer gave up on the call as a whole
        raise errors.ProgramRefused(str(result.status).removeprefix("ERROR:").strip(), 8021)
    return list(result.results)


@functools.cache
def simulator(method: str) -> AerSimulator:
    """One thread: Aer's own choice is many times slower as soon as two children share the machine."""
    return AerSimulator(method=method, max_parallel_threads=1, max_parallel_experiments=1)


def reason(error: Exception) -> tuple[int, str]:
    """The code and the message of an experiment that failed."""
    if isinstance(error, errors.ProgramRefused):
        return error.code, error.message
    if isinstance(error, MemoryError):
        return 8022, "It used more memory than a job may."
    return 8021, _short(f"{type(error).__name__}: {error}")


def _outcome(way: routes.Route, circuit: circuits.Circuit, report: Any, target: targets.Target) -> Outcome:
    if not report.success:
        message = _short(str(report.status).removeprefix("ERROR:").strip())
        return failure(way, next((code for words, code in _EXHAUSTED.items() if words in message), 8021), message)
    experiment = way.experiment
    details = report.metadata or {}
    return Outcome(
        results.ExperimentResult(
            shots=experiment.shots,
            success=True,
            status="DONE",
            data=_data(way, circuit, report.data.to_dict(), int(report.seed_simulator), target),
            header=experiment.header,
            circ_id=experiment.index,
            **readout.described(experiment.config),
            time_taken=float(report.time_taken),
            seed_simulator=int(report.seed_simulator),
            metadata={
                "method": way.plan.method,
                "active_qubits": len(programs.active(way.steps)),
                "noise": str(details.get("noise", "")),
                "sampled": bool(details.get("measure_sampling", False)),
            },
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
    rng = sampling.generator(seed if experiment.seed is None else experiment.seed, experiment.index)
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
