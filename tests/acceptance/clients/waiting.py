# SPDX-License-Identifier: Apache-2.0
"""Wait in the queue of a device that takes as long as a machine, and look at all that the client tells of it."""

import time
from typing import Any

from account import bell, enable, report
from qiskit import transpile


def foretold(job: Any) -> Any:
    """Return what the client knows of a job's place once its start is foretold; the last word if it never is."""
    for _ in range(100):
        info = job.queue_info()
        if info is not None and info.estimated_start_time is not None:
            return info
        time.sleep(0.1)
    return info


def told(job: Any) -> dict[str, Any]:
    """Return what the client tells of a job that waits."""
    info = foretold(job)
    return {
        "job": job.job_id(),
        "status": job.status().name,
        "place": job.queue_position(refresh=True),
        "position": info.position,
        "priorities": [info.hub_priority, info.group_priority, info.project_priority],
        "start": info.estimated_start_time.timestamp(),
        "end": info.estimated_complete_time.timestamp(),
        "text": info.format(),
        "asked": time.time(),
    }


provider = enable()
backend = provider.get_backend("ibmq_manila")
circuit = transpile(bell(), backend)
jobs = [backend.run(circuit, shots=100, job_name=f"number {number}") for number in range(3)]
while jobs[0].status().name != "RUNNING" or {job.status().name for job in jobs[1:]} != {"QUEUED"}:
    time.sleep(0.1)
seen = [told(job) for job in jobs[1:]]
running = jobs[0].queue_info()
pending = backend.status().pending_jobs
for job in reversed(jobs):
    job.cancel()
report(provider, waiting=seen, running=running is None, pending=pending)
