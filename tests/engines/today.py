# SPDX-License-Identifier: Apache-2.0
"""Today's client with its own backend class, whose service runs jobs in this process instead of sending them."""

import dataclasses
import functools
import json
from typing import Any

import msgspec
import physics
from qiskit.circuit import QuantumCircuit
from qiskit_ibm_runtime import RuntimeEncoder
from qiskit_ibm_runtime.decoders.defaults import DEFAULT_DECODERS
from qiskit_ibm_runtime.ibm_backend import IBMBackend
from qiskit_ibm_runtime.utils.backend_decoder import configuration_from_server_data

from chandelier.engines import shots
from chandelier.engines import target as targets
from chandelier.engines.primitives import learner, programs, work
from chandelier.formats import tasks

LIMITS = tasks.Limits(memory_bytes=2 << 30, cpu_seconds=300.0)
#: Of learners whose client cannot name one.
SEED = 2026


class Job:
    """A job that was run when it was submitted."""

    def __init__(self, program: str, params: bytes, opened: work.Work) -> None:
        self.program, self.params, self.plan = program, params, opened.plan
        self.done = opened.run()

    def result(self) -> Any:
        """What the client makes of the result document."""
        steps = DEFAULT_DECODERS[self.program]
        return functools.reduce(
            lambda found, step: step.decode(found) if step.is_applicable(found) else found,
            steps,
            self.done.body.decode(),
        )


class Service:
    """Stands where the client sends jobs and asks for devices."""

    is_local = False

    def __init__(self, name: str, target: targets.Target) -> None:
        self.document, self.target = physics.document(name), target

    def _run(self, program_id: str, inputs: dict[str, Any], **_: Any) -> Job:
        body = json.dumps(inputs, cls=RuntimeEncoder).encode()
        opened = programs.open_(program_id, body, self.target, LIMITS)
        if isinstance(opened, learner.Job) and opened.seed is None:
            opened = dataclasses.replace(opened, seed=SEED)
        return Job(program_id, body, opened)

    def backend_properties(self, *_: Any, **__: Any) -> dict[str, Any]:
        """The device's calibration."""
        copied: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self.document.properties))
        return copied


def backend(name: str, target: targets.Target | None = None) -> IBMBackend:
    """A device as the client sees it.

    Args:
        name: Its name.
        target: What runs its jobs, if that is to be another than the device itself.
    """
    service = Service(name, target or physics.target(name))
    raw = msgspec.json.decode(msgspec.json.encode(service.document.configuration))
    return IBMBackend(configuration_from_server_data(raw), service, service)


def probabilities(circuit: QuantumCircuit, target: targets.Target) -> dict[int, float]:
    """The exact chance of each value of the classical bits, with the device's noise."""
    found = shots.exact(circuit, target, LIMITS)
    assert found is not None
    return found
