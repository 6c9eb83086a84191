# SPDX-License-Identifier: Apache-2.0
"""Run more jobs through IBMQJobManager than the device lets wait at a time."""

from account import Diary, attempt, enable, report, slow
from qiskit import QuantumCircuit
from qiskit.providers.ibmq.managed import IBMQJobManager


def numbered(number: int) -> QuantumCircuit:
    """Return a circuit whose outcome tells its number (0 to 7)."""
    circuit = QuantumCircuit(3, 3, name=f"number-{number}")
    for bit in range(3):
        if number >> bit & 1:
            circuit.x(bit)
    circuit.measure(range(3), range(3))
    return circuit


diary = Diary()
provider = enable()
simulator = provider.get_backend("ibmq_qasm_simulator")
limit = simulator.job_limit()

waiting = [simulator.run(slow(), shots=8000) for _ in range(limit.maximum_jobs)]
full = simulator.job_limit()
remaining = simulator.remaining_jobs_count()
over = attempt(simulator.run, numbered(0))
for job in waiting:
    job.cancel()

manager = IBMQJobManager()
# The first circuits take a while, so that the limit is really met.
first = IBMQJobManager().run([slow()] * limit.maximum_jobs, simulator, max_experiments_per_job=1, shots=400)
job_set = manager.run(
    [numbered(number) for number in range(8)],
    simulator,
    name="numbers",
    max_experiments_per_job=1,
    shots=20,
    job_tags=["managed"],
)
results = job_set.results()
first.results()  # those that came first may end last
retrieved = manager.retrieve_job_set(job_set.job_set_id(), provider, refresh=True)
report(
    provider,
    limit=limit.maximum_jobs,
    active_when_full=full.active_jobs,
    remaining=remaining,
    over=over,
    counts=[results.get_counts(number) for number in range(8)],
    statuses=[status.name for status in job_set.statuses()],
    names=sorted(job.name() for job in job_set.jobs()),
    retrieved=sorted(job.job_id() for job in retrieved.jobs()) == sorted(job.job_id() for job in job_set.jobs()),
    waited=diary.count("Job limit reached, waiting for job"),
    first=[status.name for status in first.statuses()],
    report=manager.report(),
)
