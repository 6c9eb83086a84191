# SPDX-License-Identifier: Apache-2.0
"""Run circuits through the job manager of early 2020, and meet the job limit; for Python 3.7."""

from __future__ import annotations

from account import attempt, enable, slow
from early import report
from qiskit import QuantumCircuit, assemble
from qiskit.providers.ibmq.managed import IBMQJobManager


def numbered(number: int) -> QuantumCircuit:
    """Return a circuit whose outcome tells its number (0 to 7)."""
    circuit = QuantumCircuit(3, 3, name=f"number-{number}")
    for bit in range(3):
        if number >> bit & 1:
            circuit.x(bit)
    circuit.measure(range(3), range(3))
    return circuit


provider = enable()
simulator = provider.get_backend("ibmq_qasm_simulator")
manager = IBMQJobManager()
job_set = manager.run(
    [numbered(number) for number in range(8)], simulator, name="numbers", max_experiments_per_job=3, shots=20
)
results = job_set.results()
retrieved = manager.retrieve_job_set(job_set.job_set_id(), provider, refresh=True)

limit = simulator.job_limit().maximum_jobs
waiting = [simulator.run(assemble(slow(), shots=8000)) for _ in range(limit)]
full = simulator.job_limit()
remaining = simulator.remaining_jobs_count()
over = attempt(simulator.run, assemble(numbered(0)))
for job in waiting:
    job.cancel()

report(
    provider,
    counts=[results.get_counts(number) for number in range(8)],
    statuses=[status.name for status in job_set.statuses()],
    names=sorted(job.name() for job in job_set.jobs()),
    retrieved=sorted(job.job_id() for job in retrieved.jobs()) == sorted(job.job_id() for job in job_set.jobs()),
    report=manager.report(),
    limit=limit,
    active_when_full=full.active_jobs,
    remaining=remaining,
    over=over,
)
