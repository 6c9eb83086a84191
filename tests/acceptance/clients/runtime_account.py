# SPDX-License-Identifier: Apache-2.0
"""Look around as whoever the surroundings say one is: a program that says nothing but `QiskitRuntimeService()`."""

from datetime import UTC, datetime
from typing import Any

from qiskit_ibm_runtime import QiskitRuntimeService
from today import attempt, report

YEAR_2000 = datetime(2000, 1, 1, tzinfo=UTC)


def described(backend: Any) -> dict[str, Any]:
    """Return what a device says of itself."""
    status, configuration, target = backend.status(), backend.configuration(), backend.target
    return {
        "qubits": backend.num_qubits,
        "gates": sorted(backend.operation_names),
        "pairs": sorted(map(list, backend.coupling_map.get_edges())),
        "dt": backend.dt,
        "status": [status.operational, status.status_msg, status.pending_jobs],
        "version": [status.backend_version, backend.backend_version],
        "simulator": configuration.simulator,
        "max_shots": configuration.max_shots,
        "cx": [target["cx"][0, 1].error, target["cx"][0, 1].duration],
        "readout": target["measure"][(0,)].error,
    }


def calibrated(backend: Any) -> dict[str, Any]:
    """Return what its calibrations say, now and then."""
    today = backend.properties()
    then = backend.properties(datetime=datetime.now(UTC))
    before = backend.properties(datetime=YEAR_2000)
    return {
        "t1": [today.t1(qubit) for qubit in range(backend.num_qubits)],
        "readout": [today.readout_error(qubit) for qubit in range(backend.num_qubits)],
        "cx": [today.gate_error("cx", [0, 1]), today.gate_length("cx", [0, 1])],
        "same": today.last_update_date == then.last_update_date,
        "refreshed": backend.properties(refresh=True).last_update_date == today.last_update_date,
        "before": None if before is None else before.last_update_date.isoformat(),
        "updated": today.last_update_date.isoformat(),
    }


service = QiskitRuntimeService()
names = [backend.name for backend in service.backends()]
manila = service.backend("ibmq_manila")
report(
    account=service.active_account(),
    instances=service.instances(),
    active=service.active_instance(),
    usage=service.usage(),
    names=names,
    simulators=[backend.name for backend in service.backends(simulator=True)],
    large=[backend.name for backend in service.backends(min_num_qubits=100)],
    dynamic=[backend.name for backend in service.backends(dynamic_circuits=True)],
    least_busy=service.least_busy(operational=True, simulator=False).name,
    least_busy_large=service.least_busy(min_num_qubits=100, simulator=False).name,
    manila=described(manila),
    calibrated=calibrated(manila),
    unknown=attempt(service.backend, "ibm_atlantis"),
    fractional=attempt(service.backend, "ibmq_manila", use_fractional_gates=True),
    unknown_job=attempt(service.job, "d2g8k6k1o6ac73f0unknown"),
    no_jobs=[job.job_id() for job in service.jobs()],
)
