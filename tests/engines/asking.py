# SPDX-License-Identifier: Apache-2.0
"""Jobs of samplers and estimators: written by the real client, run in this process, read by the client."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import physics
from numpy.typing import NDArray
from qiskit import transpile
from qiskit.circuit import QuantumCircuit
from qiskit.primitives.containers import PrimitiveResult
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.quantum_info import SparsePauliOp, random_unitary
from qiskit_ibm_runtime import RuntimeEncoder
from qiskit_ibm_runtime.decoders.result_decoder import ResultDecoder

from chandelier.engines import shots
from chandelier.engines import target as targets
from chandelier.engines.primitives import estimator, observables, sampler, work

#: What a test's jobs may use.
LIMITS = physics.LIMITS
#: Gates of the devices in these tests.
BASIS = ["rz", "sx", "x", "cx"]


def params(program: ModuleType, pubs: Sequence[Any], options: Mapping[str, Any] | None = None, **more: Any) -> bytes:
    """The params of a job, encoded by the client."""
    kind = SamplerPub if program is sampler else EstimatorPub
    coerced = [kind.coerce(pub) for pub in pubs]
    document = {"pubs": coerced, "options": dict(options or {}), "version": 2, "support_qiskit": True, **more}
    return json.dumps(document, cls=RuntimeEncoder).encode()


def opened(
    program: ModuleType,
    pubs: Sequence[Any],
    target: targets.Target,
    options: Mapping[str, Any] | None = None,
    **more: Any,
) -> work.Work:
    """A job, opened."""
    made: work.Work = program.open_(params(program, pubs, options, **more), target, LIMITS)
    return made


def run(
    program: ModuleType,
    pubs: Sequence[Any],
    target: targets.Target,
    options: Mapping[str, Any] | None = None,
    **more: Any,
) -> PrimitiveResult[Any]:
    """The result of a job, decoded by the client."""
    body = opened(program, pubs, target, options, **more).run().body
    return ResultDecoder.decode(body.decode())


def sampled(
    pubs: Sequence[Any], target: targets.Target, options: Mapping[str, Any] | None = None
) -> PrimitiveResult[Any]:
    """The result of a sampler job."""
    return run(sampler, pubs, target, options)


def estimated(
    pubs: Sequence[Any], target: targets.Target, options: Mapping[str, Any] | None = None, level: int = 0
) -> PrimitiveResult[Any]:
    """The result of an estimator job."""
    return run(estimator, pubs, target, options, resilience_level=level)


def scrambled(width: int, seed: int, depth: int = 2) -> QuantumCircuit:
    """A random circuit on a line of qubits, in the gates of the devices."""
    circuit = QuantumCircuit(width)
    source = np.random.default_rng(seed)
    for layer in range(depth):
        for first in range(layer % 2, width - 1, 2):
            circuit.unitary(random_unitary(4, seed=int(source.integers(1 << 30))), [first, first + 1])
    return transpile(circuit, basis_gates=BASIS, optimization_level=1)


def noisy(circuit: QuantumCircuit, observable: SparsePauliOp, target: targets.Target) -> float:
    """The expectation value with all errors of a device, from its exact distributions."""
    terms = observables.parse(
        dict(zip(observable.paulis.to_labels(), observable.coeffs.real, strict=True)), circuit.num_qubits
    )
    total = terms.get((), 0.0)
    for group in observables.grouped(terms):
        measured, _ = observables.measuring(circuit, group, target)
        found = shots.exact(measured, target, LIMITS)
        assert found is not None
        first = circuit.num_clbits
        outcomes = np.array([[bool(word >> first + bit & 1) for bit in range(len(group.axes))] for word in found])
        worth = observables.values(group, outcomes)
        means = np.array(list(found.values())) @ worth
        total += sum(terms[term] * mean for term, mean in zip(group.terms, means, strict=True))
    return float(total)


def misread(target: targets.Target, up: float, down: float) -> targets.Target:
    """A device like another, with the same strong errors of readout on every qubit."""
    qubits = tuple(dataclasses.replace(one, flip_up=up, flip_down=down) for one in target.qubits)
    return dataclasses.replace(target, qubits=qubits)


def scores(estimates: NDArray[np.float64], stds: NDArray[np.float64], truth: float) -> tuple[float, float]:
    """Mean and standard deviation of how many standard errors some estimates are off."""
    off = (estimates - truth) / stds
    return float(off.mean()), float(off.std(ddof=1))
