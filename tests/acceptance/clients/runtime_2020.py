# SPDX-License-Identifier: Apache-2.0
"""Use a device with the gates of January 2020 as today's client shows it: look, transpile, sample."""

import base64
import io
import warnings

from qiskit import QuantumCircuit, qpy
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_ibm_runtime import QiskitRuntimeService, SamplerV2
from today import report

warnings.simplefilter("ignore")

#: The newest that every server of today reads.
QPY_VERSION = 15

service = QiskitRuntimeService()
essex = service.backend("ibmq_essex")
circuit = QuantumCircuit(3)
circuit.h(0)
circuit.cx(0, 1)
circuit.cx(1, 2)
circuit.rx(0.7, 1)
circuit.x(0)
circuit.t(2)
circuit.h(2)
circuit.measure_all()
sent = generate_preset_pass_manager(backend=essex, optimization_level=1, seed_transpiler=1).run(circuit)
written = io.BytesIO()
qpy.dump(sent, written, version=QPY_VERSION)
duration = essex.target["sx"][0,].duration
report(
    operations=sorted(essex.target.operation_names),
    gates=dict(sent.count_ops()),
    circuit=base64.b64encode(written.getvalue()).decode(),
    counts=SamplerV2(mode=essex).run([sent], shots=8000).result()[0].data.meas.get_counts(),
    least_busy=service.least_busy().name,
    least_busy_of_five=service.least_busy(filters=lambda device: device.num_qubits == 5).name,
    seconds=duration,
)
