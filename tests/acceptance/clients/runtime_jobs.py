# SPDX-License-Identifier: Apache-2.0
"""Submit many jobs and find them again, change and delete them; the argument is the id of a job of the other face."""

import logging
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from qiskit_ibm_runtime import QiskitRuntimeService, SamplerV2
from today import attempt, bell, flipped, report

JOBS = 23
service = QiskitRuntimeService()
simulator = service.backend("ibmq_qasm_simulator")


def submitted(number: int) -> Any:
    """Submit the job of a number, with its tags."""
    sampler = SamplerV2(mode=simulator)
    sampler.options.environment.job_tags = [f"number{number}", "many", *(["even"] if number % 2 == 0 else [])]
    return sampler.run([flipped()], shots=10)


def ids(**filters: Any) -> list[str]:
    """Return the ids of a list."""
    return [job.job_id() for job in service.jobs(**filters)]


class Diary(logging.Handler):
    """Keeps which requests the client sends."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.requests: list[str] = []
        logger = logging.getLogger("urllib3.connectionpool")
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a request: method and path."""
        self.requests += re.findall(r'"([A-Z]+ [^ ?]+)', record.getMessage())


def polls(count: int) -> list[int]:
    """Return how often the client asks for the state of each of several small jobs, until it has the result."""
    diary, sampler, circuit = Diary(), SamplerV2(mode=simulator), bell()
    done: list[Any] = []
    for _ in range(count):
        done.append(sampler.run([circuit], shots=100))
        done[-1].result()
    return [sum(each.startswith("GET") and each.endswith(job.job_id()) for each in diary.requests) for job in done]


start = datetime.now(UTC) - timedelta(seconds=1)
jobs = [submitted(number) for number in range(JOBS)]
for job in jobs:
    job.wait_for_final_state(timeout=60)
end = datetime.now(UTC) + timedelta(seconds=1)
known = [job.job_id() for job in jobs]
many = {"job_tags": ["many"]}
lists = {
    "all": ids(limit=None, **many),
    "first": ids(limit=7, **many),
    "last": ids(limit=5, skip=20, **many),
    "oldest": ids(limit=3, descending=False, **many),
    "even": ids(limit=None, job_tags=["many", "even"]),
    "one": ids(job_tags=["number3"]),
    "pending": ids(pending=True, **many),
    "done": ids(limit=None, pending=False, **many),
    "here": ids(limit=None, backend_name="ibmq_qasm_simulator", **many),
    "elsewhere": ids(backend_name="ibmq_manila", **many),
    "samplers": ids(limit=None, program_id="sampler", **many),
    "estimators": ids(program_id="estimator", **many),
    "lately": ids(limit=None, created_after=start, created_before=end, **many),
    "earlier": ids(created_before=start, **many),
    "default": ids(),
}
again = QiskitRuntimeService().job(known[0])
retrieved = {
    "counts": again.result()[0].data.meas.get_counts(),
    "status": again.status(),
    "backend": again.backend().name,
    "tags": sorted(again.tags),
    "program": again.primitive_id,
    "created": again.creation_date.isoformat(),
    "instance": again.instance,
    "circuit": again.inputs["pubs"][0][0] == flipped(),
    "shots": again.inputs["pubs"][0][2],
    "metrics": again.metrics(),
    "usage": again.usage(),
    "logs": again.logs(),
    "session": again.session_id,
    "error": again.error_message(),
}
retagged = sorted(again.update_tags(["changed", "many"]))
service.delete_job(known[1])
other = service.job(sys.argv[1])
report(
    known=known,
    lists=lists,
    retrieved=retrieved,
    retagged=retagged,
    changed=ids(job_tags=["changed"]),
    deleted=attempt(service.job, known[1]),
    left=len(ids(limit=None, **many)),
    finished=attempt(jobs[2].cancel),
    other={
        "status": other.status(),
        "backend": other.backend().name,
        "listed": sys.argv[1] in ids(limit=None),
        "created": other.creation_date is not None,
    },
    polls=polls(20),
)
