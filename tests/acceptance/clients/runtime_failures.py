# SPDX-License-Identifier: Apache-2.0
"""Do what does not work: refused, failed and cancelled jobs; the arguments are a bad token and URL and instance."""

import sys
import time
from typing import Any

from qiskit.circuit import Gate, QuantumCircuit
from qiskit_ibm_runtime import QiskitRuntimeService, SamplerV2
from today import attempt, bell, eventually, flipped, report, slow


def ended(job: Any) -> dict[str, str]:
    """Return how a job ended and what is said of it."""
    job.wait_for_final_state(timeout=60)
    return {"status": job.status(), "message": job.error_message() or "", "result": attempt(job.result)}


def refused(bad: str, url: str, instance: str) -> dict[str, Any]:
    """Come with a token that is none, and see how long the client takes to say so."""
    start = time.monotonic()
    service = QiskitRuntimeService(token=bad, url=url, instance=instance)
    # The first request of each instance is made at once; the client waits a minute before it asks again for a login.
    said = attempt(service.jobs, instance=f"{instance}x")
    return {"said": said, "seconds": time.monotonic() - start}


service = QiskitRuntimeService()
simulator, manila = service.backend("ibmq_qasm_simulator"), service.backend("ibmq_manila")
sampler = SamplerV2(mode=simulator)

running = sampler.run([slow()], shots=20000)
eventually(running.status, "RUNNING")
while_running = running.status()
# The project has one job more on this device than it may.
over = attempt(sampler.run, [bell()], shots=10)
running.cancel()
cancelled = {"while": while_running, **ended(service.job(running.job_id()))}
cancelled["again"] = attempt(service.job(running.job_id()).cancel)

unknown_gate = QuantumCircuit(1, name="unknown gate")
unknown_gate.append(Gate("mystery", 1, []), [0])
unknown_gate.measure_all()
experimental = SamplerV2(mode=manila)
experimental.options.experimental = {"flux_capacitor": 1}

report(
    over=over,
    cancelled=cancelled,
    failed=ended(sampler.run([unknown_gate], shots=10)),
    shots=attempt(lambda: SamplerV2(mode=manila).run([flipped()], shots=10**6).result()),
    option=attempt(lambda: experimental.run([flipped()], shots=10).result()),
    program=attempt(service._run, program_id="fortune-teller", inputs={}, options={"backend": manila}),
    small=sampler.run([flipped()], shots=10).result()[0].data.meas.get_counts(),
    bad_token=refused(*sys.argv[1:4]),
)
