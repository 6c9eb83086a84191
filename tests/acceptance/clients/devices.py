# SPDX-License-Identifier: Apache-2.0
"""Log in and look at every device."""

from datetime import datetime
from typing import Any

from account import attempt, enable, report
from qiskit import IBMQ
from qiskit.providers.ibmq import least_busy


def describe(backend: Any) -> dict[str, Any]:
    """Return what the client makes of a device's documents."""
    configuration, status, limit = backend.configuration(), backend.status(), backend.job_limit()
    properties = None if configuration.simulator else backend.properties()
    seen = {
        "kind": type(backend).__name__,
        "n_qubits": configuration.n_qubits,
        "simulator": configuration.simulator,
        "open_pulse": configuration.open_pulse,
        "basis_gates": configuration.basis_gates,
        "max_shots": configuration.max_shots,
        "max_experiments": configuration.max_experiments,
        "online_date": configuration.online_date.isoformat(),
        "description": configuration.description,
        "dt": getattr(configuration, "dt", None),
        "operational": status.operational,
        "status": status.status_msg,
        "pending_jobs": status.pending_jobs,
        "version": [configuration.backend_version, status.backend_version],
        "limit": [limit.maximum_jobs, limit.active_jobs],
        "defaults": type(backend.defaults()).__name__,
        "target": attempt(lambda: backend.configuration().to_dict()),
    }
    if properties is not None:
        seen["properties"] = {
            "qubits": len(properties.qubits),
            "t1": [attempt_value(properties.t1, qubit) for qubit in range(len(properties.qubits))],
            "frequency": attempt_value(properties.frequency, 0),
            "readout_error": [
                attempt_value(properties.readout_error, qubit) for qubit in range(len(properties.qubits))
            ],
            "cx_error": attempt_value(properties.gate_error, "cx", [0, 1]),
            "cx_length": attempt_value(properties.gate_length, "cx", [0, 1]),
            "updated": properties.last_update_date.isoformat(),
            "before_there_were_any": backend.properties(datetime=datetime(2015, 1, 1)) is None,  # noqa: DTZ001
        }
    return seen


def attempt_value(call: Any, *arguments: Any) -> float | None:
    """Return what a call returns, or nothing when the device has no such gate."""
    return None if attempt(call, *arguments) else float(call(*arguments))


provider = enable()
backends = provider.backends()
report(
    provider,
    instance=[provider.credentials.hub, provider.credentials.group, provider.credentials.project],
    providers=len(IBMQ.providers()),
    active=IBMQ.active_account()["url"],
    devices={backend.name(): describe(backend) for backend in backends},
    named=provider.get_backend("ibmq_manila").name(),
    filtered=[backend.name() for backend in provider.backends(n_qubits=5, operational=True)],
    least_busy=least_busy(provider.backends(simulator=False)).name(),
    reservations=provider.backend.my_reservations(),
)
