# SPDX-License-Identifier: Apache-2.0
"""The client of 2023 and 2024, in which a backend runs circuits; the arguments are URL and token."""

import sys
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, pulse, transpile
from qiskit_ibm_provider import IBMProvider
from today import attempt, bell, eventually, flipped, report, slow


def conditional() -> QuantumCircuit:
    """Return a circuit whose second qubit follows what was measured of the first."""
    circuit = QuantumCircuit(2, 2, name="conditional")
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    return circuit


def pulsed() -> QuantumCircuit:
    """Return a circuit with a gate that is defined by a pulse."""
    circuit = flipped()
    with pulse.build(name="my x") as schedule:
        pulse.play(np.full(160, 0.1), pulse.DriveChannel(0))
    circuit.add_calibration("x", [0], schedule)
    return circuit


def cancelled(simulator: Any) -> dict[str, Any]:
    """Cancel a job that runs."""
    job = simulator.run(slow(), shots=20000)
    eventually(lambda: job.status().name, "RUNNING")
    return {"answer": job.cancel(), "status": job.status().name, "result": attempt(job.result)}


provider = IBMProvider(token=sys.argv[2], url=sys.argv[1])
manila, simulator = provider.get_backend("ibmq_manila"), provider.get_backend("ibmq_qasm_simulator")
compiled = [
    transpile(bell(), manila, initial_layout=[0, 1], seed_transpiler=7),
    transpile(flipped(), manila, initial_layout=[0], seed_transpiler=7),
]
job = manila.run(compiled, shots=2000, memory=True, job_tags=["of-2024"])
ideal = simulator.run(bell(), shots=1000, seed_simulator=5)
same = simulator.run(bell(), shots=1000, seed_simulator=5)
dynamic = simulator.run(conditional(), shots=100, dynamic=True)
result = job.result()
again = provider.retrieve_job(job.job_id())
with manila.open_session() as session:
    within = manila.run(compiled[1], shots=100)
    within_result = within.result()
manila.close_session()
refused = manila.run(pulsed(), shots=10)
refused.wait_for_final_state(timeout=60)
report(
    names=sorted(backend.name for backend in provider.backends()),
    instances=provider.instances(),
    status=[manila.status().operational, manila.status().status_msg],
    readout=manila.properties().readout_error(0),
    counts=[result.get_counts(circuit) for circuit in compiled],
    memory=len(result.get_memory(0)),
    names_of_results=[each.header.name for each in result.results],
    ideal=[ideal.result().get_counts(), same.result().get_counts()],
    dynamic=dynamic.result().get_counts(),
    again=[again.status().name, again.result().get_counts(0), again.backend().name, sorted(again.tags())],
    circuits=[circuit.name for circuit in again.circuits()],
    listed=[each.job_id() for each in provider.jobs(job_tags=["of-2024"])] == [job.job_id()],
    session=[session.session_id, sum(within_result.get_counts().values())],
    pulse=[refused.status().name, refused.error_message() or ""],
    cancelled=cancelled(simulator),
    bad_token=attempt(IBMProvider, token="0" * 128, url=sys.argv[1]),
)
