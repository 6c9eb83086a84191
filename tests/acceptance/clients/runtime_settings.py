# SPDX-License-Identifier: Apache-2.0
"""Reach the service in several ways; the argument is a JSON object of them, each the client's arguments by name.

An argument `resolved` stands for a `url_resolver` that returns it.
"""

import json
import sys
from typing import Any

from qiskit_ibm_runtime import QiskitRuntimeService, SamplerV2
from today import flipped, report


def reached(resolved: str = "", **arguments: Any) -> dict[str, Any]:
    """Return what one way leads to: a circuit is run there."""
    if resolved:
        arguments["url_resolver"] = lambda *_: resolved
    service = QiskitRuntimeService(**arguments)
    job = SamplerV2(mode=service.backend("ibmq_manila")).run([flipped()], shots=100)
    counts = job.result()[0].data.meas.get_counts()
    return {
        "account": service.active_account(),
        "instance": service.active_instance(),
        "instances": service.instances(),
        "shots": sum(counts.values()),
        "ones": counts.get("1", 0),
        "job": job.job_id(),
    }


report(**{name: reached(**arguments) for name, arguments in json.loads(sys.argv[1]).items()})
