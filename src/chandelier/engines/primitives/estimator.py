# SPDX-License-Identifier: Apache-2.0
"""The estimator: expectation values of observables after each circuit, with their standard errors.

Everything is estimated from shots: for each set of values, terms that can be are measured together, each such group
with as many shots as the precision asks for. On devices the estimates have the errors of gates and of readout unless
these are mitigated. An ideal simulator has none to mitigate: twirling and readout mitigation, which resilience level
1 asks for without being told, would change nothing there and are left out; the metadata say what was done. With a
precision of 0 it computes the values exactly, from the state.

Source: protocol, Runtime API, sections 7.2 and 8; `qiskit_ibm_runtime/options/estimator_options.py`.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from chandelier.engines import shots
from chandelier.engines import target as targets
from chandelier.engines.primitives import decoupling, exactly, mitigation, observables, sheets, work
from chandelier.formats import options, pubs, tagged, tasks

#: Most observables that are looked at together.
_TOGETHER: Final = 64

_Floats = NDArray[np.float64]
#: Processor time for an element of a result, s; measured.
_TOLD: Final = 50e-6


@dataclasses.dataclass(frozen=True, eq=False)
class _Job:
    options: options.EstimatorOptions
    target: targets.Target
    estimates: Sequence[sheets.Estimate]
    calibration: sheets.Calibration | None
    qiskit: bool


def open_(body: bytes, target: targets.Target, limits: tasks.Limits) -> work.Work:
    """Open an estimator job.

    Raises:
        errors.ProgramRefused: The parameters are wrong, or the device cannot do what they ask for.
    """
    params = pubs.decode_estimator(body)
    wanted = effective(params.options, target)
    decoupling.check(wanted.dynamical_decoupling, target)
    seed = wanted.seed_estimator
    estimates = []
    for index, pub in enumerate(params.pubs):
        source = work.random(seed, index)
        estimates.append(sheets.estimate(pub, wanted, target, limits, source=source, where=f"pubs[{index}]"))
    calibration = sheets.calibration(estimates, wanted, target, work.random(seed, len(estimates)))
    job = _Job(wanted, target, estimates, calibration, params.qiskit)
    delay = work.rep_delay(wanted.execution, target)
    asked = list(_asked(job, delay, work.random(seed, len(estimates) + 1)))
    besides = sum(work.PUB + _TOLD * len(one.wanted) + _exact_seconds(one) for one in estimates)
    return work.measured(asked, target, limits, functools.partial(_told, job), besides=besides)


def _exact_seconds(estimate: sheets.Estimate) -> float:
    """Processor time of values without errors, s."""
    return exactly.seconds(estimate.circuit, estimate.values, estimate.wanted) if estimate.precision == 0 else 0.0


def effective(wanted: options.EstimatorOptions, target: targets.Target) -> options.EstimatorOptions:
    """What is done of what is wanted: nothing against errors that there are none of."""
    twirled, resilience = wanted.twirling, wanted.resilience
    if target.simulator:
        twirled = msgspec.structs.replace(twirled, enable_gates=False, enable_measure=False)
        resilience = msgspec.structs.replace(resilience, measure_mitigation=False)
    return msgspec.structs.replace(wanted, twirling=twirled, resilience=resilience)


def _asked(job: _Job, delay: float | None, source: np.random.Generator) -> Iterator[shots.Asked]:
    """All circuits: those of the pubs in their order, then those that learn the readout."""
    seed, make = job.options.seed_estimator, functools.partial(shots.Asked, rep_delay=delay)
    for estimate in job.estimates:
        for point in estimate.points:
            values = point.values if len(point.values) else None
            for one in point.sheet.flat:
                yield make(circuit=one.circuit, shots=estimate.each, seed=work.draw(source, seed), values=values)
    if job.calibration is not None:
        for one in job.calibration.rounds:
            yield make(circuit=one.circuit, shots=job.calibration.each, seed=work.draw(source, seed))


def _told(job: _Job, taken: Sequence[shots.Taken]) -> bytes:
    rest = iter(taken)
    evidence = [
        [(point.elements, _evidence(point.sheet, rest)) for point in estimate.points] for estimate in job.estimates
    ]
    learned = None if job.calibration is None else _counted(job.calibration.rounds, rest)
    results = []
    for estimate, shown in zip(job.estimates, evidence, strict=True):
        fields, metadata = _result(job, estimate, shown, learned)
        results.append((tagged.DataBin(estimate.shape, fields), metadata))
    wanted = job.options
    metadata = {
        "dynamical_decoupling": msgspec.to_builtins(wanted.dynamical_decoupling),
        "twirling": msgspec.to_builtins(wanted.twirling),
        "resilience": {
            "measure_mitigation": wanted.resilience.measure_mitigation,
            "zne_mitigation": wanted.resilience.zne_mitigation,
            "pec_mitigation": False,
        },
    }
    return pubs.encode_estimator(results, metadata, qiskit=job.qiskit)


def _evidence(sheet: sheets.Sheet, taken: Iterator[shots.Taken]) -> mitigation.Evidence:
    counted = [[_counted(group, taken) for group in factor] for factor in sheet.rounds]
    return mitigation.Evidence(sheet.groups, counted, sheet.factors)


def _counted(rounds: Sequence[sheets.Round], taken: Iterator[shots.Taken]) -> observables.Counted:
    return observables.count([next(taken).bits[one.register] ^ one.flips for one in rounds])


def _result(
    job: _Job,
    estimate: sheets.Estimate,
    shown: Sequence[tuple[Sequence[int], mitigation.Evidence]],
    learned: observables.Counted | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields and the metadata of one pub."""
    metadata: dict[str, Any] = {
        "target_precision": estimate.precision,
        "shots": estimate.each * estimate.randomizations,
        "num_randomizations": estimate.randomizations,
        "resilience": {},
        **estimate.metadata,
    }
    if estimate.precision == 0:
        evs = exactly.values(estimate.circuit, estimate.values, estimate.wanted).reshape(estimate.shape)
        return {"evs": evs, "stds": np.zeros_like(evs), "ensemble_standard_error": np.zeros_like(evs)}, metadata
    nothing = np.zeros((len(estimate.wanted),))
    fields: dict[str, _Floats] = {"evs": nothing, "stds": nothing.copy()}
    names = np.full(len(estimate.wanted), "fallback", dtype=object)
    for elements, evidence in shown:
        readout = None if learned is None or job.calibration is None else _readout(evidence, job.calibration, learned)
        for start in range(0, len(elements), _TOGETHER):
            mine = elements[start : start + _TOGETHER]
            wanted = [estimate.wanted[element] for element in mine]
            for name, array in _fields(job, evidence, wanted, readout, names, mine).items():
                whole = fields.setdefault(name, np.zeros((len(estimate.wanted), *array.shape[1:])))
                whole[mine] = array
    if job.options.resilience.zne_mitigation:
        metadata["resilience"] = {"zne": _zne_metadata(job.options.resilience.zne, names, estimate, shown)}
    return {name: array.reshape((*estimate.shape, *array.shape[1:])) for name, array in fields.items()}, metadata


def _readout(
    evidence: mitigation.Evidence, calibration: sheets.Calibration, learned: observables.Counted
) -> mitigation.Readout:
    products = sorted({observables.support(term) for term in evidence.terms})
    return mitigation.Readout(learned, observables.Group(calibration.group.axes, tuple(products)))


def _fields(
    job: _Job,
    evidence: mitigation.Evidence,
    wanted: Sequence[dict[observables.Term, float]],
    readout: mitigation.Readout | None,
    names: NDArray[Any],
    elements: Sequence[int],
) -> dict[str, _Floats]:
    """What is said of some elements, shape (elements, ...)."""
    if not job.options.resilience.zne_mitigation:
        found = mitigation.estimated(evidence, wanted, readout)
        return {"evs": found.evs, "stds": found.stds, "ensemble_standard_error": found.pooled}
    every = mitigation.extrapolated(evidence, wanted, readout, job.options.resilience.zne)
    names[elements] = every.names
    return {
        "evs": every.best.evs,
        "stds": every.best.stds,
        "ensemble_standard_error": every.best.pooled,
        "evs_noise_factors": every.measured.evs,
        "stds_noise_factors": every.measured.stds,
        "ensemble_stds_noise_factors": every.measured.pooled,
        "evs_extrapolated": every.curves.evs,
        "stds_extrapolated": every.curves.stds,
    }


def _zne_metadata(
    zne: options.Zne,
    names: NDArray[Any],
    estimate: sheets.Estimate,
    shown: Sequence[tuple[Sequence[int], mitigation.Evidence]],
) -> dict[str, Any]:
    """How values were extrapolated; `reached` are the noise factors that the circuits really have."""
    return {
        "noise_factors": list(zne.noise_factors),
        "reached_noise_factors": shown[0][1].factors.tolist() if shown else [],
        "extrapolated_noise_factors": list(zne.extrapolated_noise_factors),
        "extrapolators": list(zne.extrapolator),
        "extrapolator": names.reshape(estimate.shape).tolist(),
    }
