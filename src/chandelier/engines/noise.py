# SPDX-License-Identifier: Apache-2.0
"""The noise of a device: errors of gates, readout and waiting, from its calibration.

The error of a gate is thermal relaxation for its length, with as much depolarisation as it takes to reach the
published error; where relaxation alone exceeds the published error, relaxation remains. `error` says that in two
numbers. For Aer its own derivation makes operators of it, which is slow, so each is made once for a target, and only
the errors of a job's own gates go into its model.

Not modelled: crosstalk, leakage, errors of reset, measurements that disturb.
"""

import functools
import math
from collections.abc import Collection, Iterable, Sequence
from types import SimpleNamespace
from typing import Final, NamedTuple

import numpy as np
from qiskit.circuit import Instruction, QuantumCircuit
from qiskit_aer.noise import NoiseModel, QuantumError, ReadoutError, thermal_relaxation_error
from qiskit_aer.noise.device import basic_device_gate_errors

from chandelier.engines import target as targets

#: Instructions whose published error is that of the readout, which is modelled by itself.
_READOUT: Final = frozenset({"measure", "measure_2"})

#: Waiting times are rounded to this, s, so that equal waits share one error.
GRAIN: Final = 1e-15


class Error(NamedTuple):
    """The error of a gate: depolarisation of its qubits together, then relaxation of each.

    Attributes:
        depolarised: How much of every Pauli coefficient but that of the identity is lost.
        seconds: How long the qubits relax, s.
    """

    depolarised: float
    seconds: float


def error(target: targets.Target, site: targets.Site) -> Error | None:
    """Find the error of a gate; None where it has none.

    The average fidelity of both together is 1 − the published error.

    Source: Aer 0.18, `noise.device.models`; the fidelity of a channel: M. Nielsen, arXiv:quant-ph/0205035, eq. 3.
    """
    name, qubits = site
    data = target.gates.get(site)
    if data is None or name in _READOUT:
        return None
    kept = [decay(target.qubits[index], data.length) for index in qubits]
    size = 2 ** len(qubits)
    overlap = math.prod((1 + 2 * coherence + population) / 4 for population, coherence in kept)
    fidelity = (size * overlap + 1) / (size + 1)
    lost = 0.0
    if data.error is not None and data.error > 1 - fidelity:
        published = min(data.error, size / (size + 1))
        lost = min(size * (published - 1 + fidelity) / (size * fidelity - 1), size**2 / (size**2 - 1))
    return Error(lost, data.length) if lost or data.length else None


def decay(qubit: targets.QubitData, seconds: float) -> tuple[float, float]:
    """What is left after a time, s, of the population of 1, and of the coherence between 0 and 1."""
    return math.exp(-seconds / qubit.t1), math.exp(-seconds / qubit.t2)


def model(
    target: targets.Target,
    sites: Collection[targets.Site],
    measured: Iterable[int],
    layout: Sequence[int] | None = None,
) -> NoiseModel | None:
    """Put together the noise of some gates and measurements.

    Args:
        target: The device; an ideal simulator has no noise.
        sites: Gates with their qubits.
        measured: Qubits that are measured.
        layout: The device's qubits in the order of the circuits'; None where both have the same numbers.
    """
    if target.simulator:
        return None
    noise = NoiseModel()
    place = (layout or range(target.n_qubits)).index
    for (name, qubits), error in errors_of(target, sites).items():
        if error is not None:
            noise.add_quantum_error(error, name, [place(index) for index in qubits], warnings=False)
    for index in measured:
        data = target.qubits[index]
        if data.flip_up or data.flip_down:
            confusion = [[1 - data.flip_up, data.flip_up], [data.flip_down, 1 - data.flip_down]]
            noise.add_readout_error(ReadoutError(confusion), [place(index)])
    return noise


def errors_of(target: targets.Target, sites: Collection[targets.Site]) -> dict[targets.Site, QuantumError | None]:
    """The errors of some gates; None where a gate has none."""
    known = _prepared(target)
    missing = [site for site in sites if site not in known]
    known.update(dict.fromkeys(missing))
    known.update(((name, tuple(where)), error) for name, where, error in _gate_errors(target, missing))
    return {site: known[site] for site in sites}


def relaxation(target: targets.Target, qubit: int, seconds: float) -> QuantumError | None:
    """The error of a qubit that waits; None if it does not relax."""
    data = target.qubits[qubit]
    if math.isinf(data.t1) and math.isinf(data.t2):
        return None
    return _relaxed(data.t1, data.t2, round(seconds / GRAIN) * GRAIN)


@functools.lru_cache(maxsize=16384)
def _relaxed(t1: float, t2: float, seconds: float) -> QuantumError:
    if t2 <= t1:
        return thermal_relaxation_error(t1, t2, seconds)
    # The same channel where t2 > t1; made directly, because deriving it takes Aer 7 ms.
    keep, coherence = math.exp(-seconds / t1), math.exp(-seconds / t2)
    operators = [
        np.diag([1, coherence]),
        np.diag([0, math.sqrt(max(keep - coherence**2, 0.0))]),
        np.array([[0, math.sqrt(1 - keep)], [0, 0]]),
    ]
    circuit = QuantumCircuit(1)
    circuit.append(Instruction("kraus", 1, 0, [np.asarray(op, dtype=np.complex128) for op in operators]), [0])
    return QuantumError([(circuit, 1.0)])


@functools.lru_cache(maxsize=8)
def _prepared(_target: targets.Target) -> dict[targets.Site, QuantumError | None]:
    """The errors made so far for a target."""
    return {}


def _gate_errors(target: targets.Target, sites: Iterable[targets.Site]) -> list[tuple[str, list[int], QuantumError]]:
    """Have Aer derive the errors of some gates from an object that looks like its own properties."""
    gates = [
        SimpleNamespace(gate=name, qubits=list(qubits), parameters=_parameters(target.gates[name, qubits]))
        for name, qubits in sites
        if name not in _READOUT and (name, qubits) in target.gates
    ]
    if not gates:
        return []
    qubits = [
        [
            SimpleNamespace(name="T1", value=data.t1 * 1e9, unit="ns"),
            SimpleNamespace(name="T2", value=data.t2 * 1e9, unit="ns"),
        ]
        for data in target.qubits
    ]
    made: list[tuple[str, list[int], QuantumError]] = basic_device_gate_errors(
        SimpleNamespace(gates=gates, qubits=qubits)
    )
    return made


def _parameters(data: targets.GateData) -> list[SimpleNamespace]:
    parameters = [SimpleNamespace(name="gate_length", value=data.length * 1e9, unit="ns")]
    if data.error is not None:
        parameters.append(SimpleNamespace(name="gate_error", value=data.error, unit=""))
    return parameters
