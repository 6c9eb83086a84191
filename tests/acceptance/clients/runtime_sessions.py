# SPDX-License-Identifier: Apache-2.0
"""Keep a device for a while: sessions and batches, their states and times, and what becomes of their jobs.

The argument names a device that takes jobs but runs none.
"""

import sys
import time
from typing import Any

from qiskit_ibm_runtime import Batch, QiskitRuntimeService, SamplerV2, Session
from today import attempt, eventually, flipped, report

service = QiskitRuntimeService()
manila, simulator = service.backend("ibmq_manila"), service.backend("ibmq_qasm_simulator")


def counted(job: Any) -> dict[str, int]:
    """Return the counts of a job."""
    counts: dict[str, int] = job.result()[0].data.meas.get_counts()
    return counts


def dedicated() -> dict[str, Any]:
    """Run two jobs in a session, the second after the first."""
    with Session(backend=manila, max_time="10m") as session:
        created = session.status()
        sampler = SamplerV2(mode=session)
        first = sampler.run([flipped()], shots=100)
        ones = [counted(first)["1"]]
        between, details = session.status(), session.details()
        start = time.monotonic()
        second = sampler.run([flipped()], shots=100)
        ones.append(counted(second)["1"])
        taken = time.monotonic() - start
    return {
        "id": session.session_id,
        "statuses": [created, between, eventually(session.status, "Closed")],
        "details": details,
        "closed": session.details(),
        "usage": session.usage(),
        "ones": ones,
        "second": taken,
        "jobs": [first.job_id(), second.job_id()],
        "named": [first.session_id, service.job(second.job_id()).session_id],
        "listed": [job.job_id() for job in service.jobs(session_id=session.session_id)],
        "late": attempt(sampler.run, [flipped()], shots=1),
        "again": attempt(SamplerV2(mode=Session.from_id(session.session_id, service)).run, [flipped()], shots=1),
        "as_batch": attempt(Batch.from_id, session.session_id, service),
    }


def batched() -> dict[str, Any]:
    """Run three jobs that need not wait for each other."""
    with Batch(backend=manila) as batch:
        sampler = SamplerV2(mode=batch)
        jobs = [sampler.run([flipped(qubits)], shots=100) for qubits in (1, 2, 3)]
    outcomes = [max(counts, key=lambda bits: counts[bits]) for counts in map(counted, jobs)]
    return {
        "outcomes": outcomes,
        "status": eventually(batch.status, "Closed"),
        "details": batch.details(),
        "usage": batch.usage(),
    }


def cancelled() -> dict[str, Any]:
    """Cancel a session while its jobs wait."""
    session = Session(backend=service.backend(sys.argv[1]))
    sampler = SamplerV2(mode=session)
    jobs = [sampler.run([flipped()], shots=100) for _ in range(2)]
    session.cancel()
    return {
        "jobs": [eventually(job.status, "CANCELLED") for job in jobs],
        "status": eventually(session.status, "Closed"),
        "late": attempt(sampler.run, [flipped()], shots=1),
    }


def on_simulator() -> dict[str, Any]:
    """Simulators know no sessions, but a program may open one all the same."""
    with Session(backend=simulator) as session:
        return {"id": session.session_id, "counts": counted(SamplerV2(mode=session).run([flipped()], shots=10))}


report(
    session=dedicated(),
    batch=batched(),
    cancelled=cancelled(),
    simulator=on_simulator(),
    unknown=attempt(Session.from_id, "no-such-session", service),
)
