# SPDX-License-Identifier: Apache-2.0
"""The last client of the channel `ibm_quantum`: look around, run primitives, a session, and a pulse gate.

The arguments are URL and token.
"""

import sys
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, pulse
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_ibm_runtime import EstimatorV2, QiskitRuntimeService, SamplerV2, Session
from today import attempt, bell, eventually, flipped, report


def pulsed() -> QuantumCircuit:
    """Return a circuit with a gate that is defined by a pulse."""
    circuit = flipped()
    with pulse.build(name="my x") as schedule:
        pulse.play(np.full(160, 0.1), pulse.DriveChannel(0))
    circuit.add_calibration("x", [0], schedule)
    return circuit


def counted(job: Any) -> dict[str, int]:
    """Return the counts of a job."""
    counts: dict[str, int] = job.result()[0].data.meas.get_counts()
    return counts


service = QiskitRuntimeService(channel="ibm_quantum", url=sys.argv[1], token=sys.argv[2])
manila, simulator = service.backend("ibmq_manila"), service.backend("ibmq_qasm_simulator")
passes = generate_preset_pass_manager(backend=manila, optimization_level=1, initial_layout=[0, 1], seed_transpiler=7)
isa_bell = passes.run(bell())
state = QuantumCircuit(2)
state.h(0)
state.cx(0, 1)
isa_state = passes.run(state)
parity = SparsePauliOp("ZZ").apply_layout(isa_state.layout)
sampler, estimator = SamplerV2(mode=manila), EstimatorV2(mode=manila)
sampler.options.environment.job_tags = ["of-2025"]
sampled, estimated = sampler.run([isa_bell], shots=2000), estimator.run([(isa_state, parity)], precision=0.02)
ideal = SamplerV2(mode=simulator).run([bell()], shots=2000)
with Session(backend=manila) as session:
    within = SamplerV2(mode=session).run([isa_bell], shots=100)
    within_counts = counted(within)
again = service.job(sampled.job_id())
data = estimated.result()[0].data
report(
    names=sorted(backend.name for backend in service.backends()),
    instances=service.instances(),
    usage=service.usage(),
    least_busy=service.least_busy(operational=True, simulator=False, min_num_qubits=100).name,
    readout=manila.properties().readout_error(0),
    qubits=manila.num_qubits,
    pulses=[
        manila.configuration().open_pulse,
        manila.defaults().qubit_freq_est[0],
        manila.properties().frequency(0),
    ],
    status=[manila.status().operational, manila.status().status_msg],
    ideal=counted(ideal),
    sampled=counted(sampled),
    estimated=[float(np.asarray(data.evs)), float(np.asarray(data.stds))],
    again=[again.status(), counted(again), again.backend().name, again.tags],
    listed=[job.job_id() for job in service.jobs(limit=None, job_tags=["of-2025"])] == [sampled.job_id()],
    total=len(service.jobs(limit=None)),
    session=[within.session_id == session.session_id, sum(within_counts.values())],
    closed=eventually(session.status, "Closed"),
    pulse=attempt(lambda: SamplerV2(mode=manila).run([pulsed()], shots=10).result()),
    bad_token=attempt(QiskitRuntimeService, channel="ibm_quantum", url=sys.argv[1], token="0" * 128),
    unknown_job=attempt(service.job, "no-such-job"),
)
