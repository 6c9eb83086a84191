# SPDX-License-Identifier: Apache-2.0
"""Everything that the client of 2017 and 2018 does: experiments, jobs, devices, codes, credits, and what goes wrong."""

import contextlib
import json
import logging
import sys
import time
from typing import Any

from IBMQuantumExperience import IBMQuantumExperience

BELL = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[5];\ncreg c[5];\nh q[0];\ncx q[0],q[1];\nmeasure q -> c;\n'
FLIP = 'IBMQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; x q[1]; measure q -> c;'
BROKEN = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2];\nwobble q[0];'
WIDE = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[6]; creg c[6]; h q;'
QOBJ = {
    "qobj_id": "one",
    "type": "QASM",
    "schema_version": "1.0.0",
    "header": {},
    "config": {"shots": 20, "memory_slots": 1},
    "experiments": [
        {"header": {"memory_slots": 1}, "instructions": [{"name": "measure", "qubits": [0], "memory": [0]}]}
    ],
}


class Requests(logging.Handler):
    """Keeps the requests that went out, by method and path, as the library below the client logs them."""

    def __init__(self) -> None:
        """Listen."""
        super().__init__(logging.DEBUG)
        self.sent: list[str] = []
        logger = logging.getLogger("urllib3.connectionpool")
        logger.setLevel(logging.DEBUG)
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        if len(record.args or ()) == 8:
            _, _, _, method, path, _, status, _ = record.args  # type: ignore[misc]
            self.sent.append(f"{method} {str(path).partition('?')[0]} {status}")

    def during(self, work: Any) -> tuple[Any, list[str]]:
        """Return what something returns and what it sent."""
        before = len(self.sent)
        return work(), self.sent[before:]


def attempt(work: Any) -> str:
    """Return the kind and the text of the exception that something ends in."""
    try:
        return f"no exception: {work()}"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the observation
        return f"{type(error).__name__}: {error}"


def finished(api: Any, job_id: str) -> Any:
    """Ask for a job until it has ended."""
    deadline = time.monotonic() + 120
    while (job := api.get_job(job_id))["status"] in {"VALIDATING", "RUNNING"}:
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
    return job


def experiments(api: Any, requests: Requests) -> dict[str, Any]:
    """Run texts by the endpoints for codes."""
    ran, sent = requests.during(lambda: api.run_experiment(BELL, "simulator", shots=1000, name="a bell", seed=77))
    on_device = api.run_experiment(BELL, "real", shots=100)
    by_name = api.run_experiment(FLIP, "ibmq_qasm_simulator", shots=3)
    code = ran["idCode"]
    started = api.run_experiment(BROKEN, "simulator", shots=1, name="broken", timeout=0)
    deadline = time.monotonic() + 60
    while api.get_execution(started["idExecution"])["status"]["id"] == "WORKING_IN_PROGRESS":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return {
        "ran": ran,
        "sent": sent,
        "on_device": on_device,
        "by_name": by_name,
        "execution": api.get_execution(ran["idExecution"]),
        "result": api.get_result_from_execution(ran["idExecution"]),
        "code": api.get_code(code),
        "picture": api.get_image_code(code),
        "codes": api.get_last_codes(),
        "broken": api.get_execution(started["idExecution"]),
        "no_picture": api.get_image_code(started["idCode"]),
        "seed_on_device": attempt(lambda: api.run_experiment(BELL, "real", seed=7)),
        "unknown": attempt(lambda: api.run_experiment(BELL, "nothing")),
        "too_wide": attempt(lambda: api.run_experiment(WIDE, "real")),
    }


def jobs(api: Any, requests: Requests) -> dict[str, Any]:
    """Run texts and a Qobj as jobs."""
    texts = [{"qasm": BELL}, {"qasm": FLIP}]
    submitted, sent = requests.during(
        lambda: api.run_job(texts, "ibmq_qasm_simulator", shots=500, max_credits=3, seed=11)
    )
    ended = finished(api, submitted["id"])
    on_device = finished(api, api.run_job([{"qasm": BELL}], "ibmq_essex", shots=400)["id"])
    compiled = [{"qasm": FLIP, "name": "flip", "metadata": {"compiled_circuit": {}}}]
    indexed = finished(api, api.run_job(compiled, "ibmq_essex", shots=400)["id"])
    qobj = finished(api, api.run_job(QOBJ, "ibmq_qasm_simulator")["id"])
    broken = finished(api, api.run_job([{"qasm": BELL}, {"qasm": BROKEN}], "ibmq_qasm_simulator")["id"])
    long = api.run_job(
        [{"qasm": 'include "qelib1.inc"; qreg q[26]; creg c[26]; ' + "h q; " * 40}], "ibmq_qasm_simulator"
    )
    cancelled = api.cancel_job(long["id"])
    return {
        "submitted": submitted,
        "sent": sent,
        "ended": ended,
        "status": api.get_status_job(submitted["id"]),
        "on_device": on_device,
        "indexed": indexed,
        "qobj": qobj,
        "broken": broken,
        "cancelled": cancelled,
        "after_cancelling": api.get_status_job(long["id"]),
        "listed": api.get_jobs(limit=50),
        "completed": api.get_jobs(limit=50, only_completed=True),
        "states": api.get_status_jobs(limit=3, backend="ibmq_essex"),
        "unknown_device": attempt(lambda: api.run_job(texts, "nothing")),
        "too_wide": attempt(lambda: api.run_job([{"qasm": WIDE}], "ibmq_essex")),
        "wrong_seed": api.run_job(texts, "ibmq_qasm_simulator", seed="x1"),
        "missing": api.get_job("0" * 24),
    }


def devices(api: Any) -> dict[str, Any]:
    """Look at the devices."""
    return {
        "all": [entry["name"] for entry in api.available_backends()],
        "simulators": [entry["name"] for entry in api.available_backend_simulators()],
        "status": api.backend_status("ibmq_essex"),
        "calibration": api.backend_calibration("ibmq_essex"),
        "parameters": api.backend_parameters("ibmq_essex"),
        "of_a_simulator": api.backend_calibration("ibmq_qasm_simulator"),
    }


def main(url: str, token: str, email: str, password: str) -> dict[str, Any]:
    """Log in by token and by password, and go through everything."""
    requests = Requests()
    api = IBMQuantumExperience(token, {"url": url})
    other = IBMQuantumExperience(None, {"url": url, "email": email, "password": password})
    project = IBMQuantumExperience(token, {"url": f"{url}/Hubs/ibm-q/Groups/open/Projects/main"})
    # Its name for a job's collection in a project has a small letter.
    in_project = project.run_job([{"qasm": FLIP}], "ibmq_qasm_simulator", shots=5)
    return {
        "access_token": api.req.credential.get_token(),
        "other_token": other.req.credential.get_token(),
        "project_token": project.req.credential.get_token(),
        "version": api.api_version(),
        "credits": other.get_my_credits(),
        "devices": devices(api),
        "experiments": experiments(api, requests),
        "jobs": jobs(api, requests),
        "in_project": finished(project, in_project["id"]),
        "wrong_token": attempt(lambda: IBMQuantumExperience("wrong" * 10, {"url": url})),
        "wrong_password": attempt(lambda: IBMQuantumExperience(None, {"url": url, "email": email, "password": "no"})),
        "foreign_code": attempt(lambda: other.get_code(api.get_last_codes()[0]["id"])["error"]["code"]),
        "foreign_codes": other.get_last_codes(),
    }


if __name__ == "__main__":
    # The client says on the standard output that it waits.
    with contextlib.redirect_stdout(sys.stderr):
        found = main(*sys.argv[1:])
    print(json.dumps(found))  # noqa: T201
