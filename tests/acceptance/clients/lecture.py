# SPDX-License-Identifier: Apache-2.0
"""Let three users share one device as a class does; the tokens of the second and the third are arguments.

The fourth and the fifth argument name a device that drains and one in maintenance.
"""

import sys
from typing import Any

from account import attempt, report
from qiskit import IBMQ, QuantumCircuit

SHOTS = 1000


def enrol(token: str) -> Any:
    """Log in as one of several users; the provider goes on after the account is let go of."""
    provider = IBMQ.enable_account(token, sys.argv[1])
    IBMQ.disable_account()
    return provider


def flip() -> QuantumCircuit:
    """Return a circuit that needs no transpiler."""
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    return circuit


def glance(jobs: list[Any]) -> dict[str, Any]:
    """Look at the jobs, and again at the first of them, so that what was seen of the others was while it ran."""
    ahead = jobs[0].status().name
    others = [(job.status().name, job.queue_position(refresh=True)) for job in jobs[1:]]
    return {"ahead": (ahead, jobs[0].status().name), "others": others}


def described(job: Any) -> dict[str, Any]:
    """Return what is known of a job that has ended."""
    job.refresh()
    steps = job.time_per_step()
    return {
        "status": job.status().name,
        "began": steps["RUNNING"].isoformat(),
        "ended": steps["COMPLETED"].isoformat(),
        "taken": job.result().time_taken,
        "ones": job.result().get_counts().get("1", 0),
    }


users = [enrol(token) for token in sys.argv[2:5]]
backends = [user.get_backend("ibmq_manila") for user in users]
jobs = [backend.run(flip(), shots=SHOTS) for backend in backends]
seen = glance(jobs)
while seen["ahead"][0] in {"INITIALIZING", "VALIDATING", "QUEUED"} or seen["others"][-1][0] == "VALIDATING":
    seen = glance(jobs)
busy = backends[0].status()
for job in jobs:
    job.wait_for_final_state(timeout=120)
draining, maintained = (users[0].get_backend(name) for name in sys.argv[5:7])
report(
    users[0],
    seen=seen,
    busy=(busy.operational, busy.status_msg, busy.pending_jobs),
    jobs=[described(job) for job in jobs],
    draining=(draining.status().operational, draining.status().status_msg),
    maintained=(maintained.status().operational, maintained.status().status_msg),
    refused=attempt(draining.run, flip(), shots=SHOTS),
    waits=maintained.run(flip(), shots=SHOTS).status().name,
)
