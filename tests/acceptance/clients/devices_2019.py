# SPDX-License-Identifier: Apache-2.0
"""Log in with the client of early 2020 and look at every device; for Python 3.7."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from account import Diary, attempt, enable
from early import report
from qiskit import IBMQ
from qiskit.providers.ibmq import least_busy


def describe(backend: Any) -> dict[str, Any]:
    """Return what the client makes of a device's documents."""
    configuration, status, limit = backend.configuration(), backend.status(), backend.job_limit()
    seen = {
        "kind": type(backend).__name__,
        "n_qubits": configuration.n_qubits,
        "simulator": configuration.simulator,
        "object_storage": configuration.allow_object_storage,
        "basis_gates": configuration.basis_gates,
        "coupling_map": configuration.coupling_map,
        "max_shots": configuration.max_shots,
        "gates": [gate.name for gate in configuration.gates],
        "online_date": configuration.online_date.isoformat(),
        "operational": status.operational,
        "status": status.status_msg,
        "pending_jobs": status.pending_jobs,
        "version": [configuration.backend_version, status.backend_version],
        "limit": [limit.maximum_jobs, limit.active_jobs],
        "remaining": backend.remaining_jobs_count(),
        # Terra 0.12 cannot read a pulse that is written as a shape in any defaults, real ones included.
        "defaults": None if configuration.open_pulse else backend.defaults(),
    }
    if not configuration.simulator:
        seen["properties"] = calibration(backend)
    return seen


def calibration(backend: Any) -> dict[str, Any]:
    """Return what the client reads from a device's properties, and from those of other times."""
    properties = backend.properties()
    qubits = range(backend.configuration().n_qubits)
    two_qubit_gates = [gate for gate in properties.gates if len(gate.qubits) == 2]
    return {
        "qubits": len(properties.qubits),
        "first": [record.name for record in properties.qubits[0]][:2],
        "t1": [value(properties.t1, qubit) for qubit in qubits],
        "readout_error": [value(properties.readout_error, qubit) for qubit in qubits],
        "errors": [properties.gate_error(gate.gate, gate.qubits) for gate in two_qubit_gates],
        "lengths": [properties.gate_length(gate.gate, gate.qubits) for gate in two_qubit_gates],
        "updated": properties.last_update_date.isoformat(),
        "before_there_were_any": backend.properties(datetime=datetime(2015, 1, 1)) is None,  # noqa: DTZ001
        "today": backend.properties(datetime=datetime.now()).last_update_date.isoformat(),  # noqa: DTZ005
    }


def value(call: Any, *arguments: Any) -> float | None:
    """Return what a call returns, or nothing when the calibration has no such number."""
    return None if attempt(call, *arguments) else float(call(*arguments))


diary = Diary()
provider = enable()
report(
    provider,
    instance=[provider.credentials.hub, provider.credentials.group, provider.credentials.project],
    providers=len(IBMQ.providers()),
    active=IBMQ.active_account(),
    devices={backend.name(): describe(backend) for backend in provider.backends()},
    filtered=sorted(backend.name() for backend in provider.backends(n_qubits=5, operational=True)),
    least_busy=least_busy(provider.backends(simulator=False)).name(),
    discarded=[line for line in diary.lines if "could not be instantiated" in line],
    wrong_token=attempt(
        lambda: IBMQ.disable_account() or IBMQ.enable_account("0" * 128, provider.credentials.base_url)
    ),
)
