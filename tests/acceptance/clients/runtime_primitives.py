# SPDX-License-Identifier: Apache-2.0
"""Run every primitive of today's client, on a simulator without noise and on a device; all are submitted first."""

from collections.abc import Callable
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_ibm_runtime import (
    EstimatorV2,
    Executor,
    NoiseLearner,
    QiskitRuntimeService,
    QuantumProgram,
    SamplerV2,
    executor_estimator,
    executor_sampler,
)
from samplomatic import build
from samplomatic.transpiler import generate_boxing_pass_manager
from today import attempt, bell, report

ANGLES = np.linspace(0.3, 2.7, 5)
PAULIS = ("ZZ", "XX", "ZI")
SHOTS = 4000


def turned(*, measured: bool) -> QuantumCircuit:
    """Return cos(θ/2)|00⟩ + sin(θ/2)|11⟩, measured or not."""
    circuit = QuantumCircuit(2, name="turned")
    circuit.ry(Parameter("θ"), 0)
    circuit.cx(0, 1)
    if measured:
        circuit.measure_all()
    return circuit


def dynamic() -> QuantumCircuit:
    """Return a circuit whose second qubit follows what was measured of the first, and whose third does the opposite."""
    circuit = QuantumCircuit(3, 3, name="dynamic")
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)) as otherwise:
        circuit.x(1)
    with otherwise:
        circuit.x(2)
    circuit.measure([1, 2], [1, 2])
    return circuit


def numbers(values: Any) -> list[Any]:
    """Return an array as JSON has it."""
    listed: list[Any] = np.asarray(values, dtype=float).tolist()
    return listed


def estimated(job: Any) -> dict[str, Any]:
    """Return the first result of an estimator."""
    data = job.result()[0].data
    return {"evs": numbers(data.evs), "stds": numbers(data.stds)}


def sampled(job: Any, register: str = "meas") -> dict[str, int]:
    """Return the counts of the first result of a sampler."""
    counts: dict[str, int] = getattr(job.result()[0].data, register).get_counts()
    return counts


service = QiskitRuntimeService()
simulator, manila = service.backend("ibmq_qasm_simulator"), service.backend("ibmq_manila")
passes = generate_preset_pass_manager(backend=manila, optimization_level=1, initial_layout=[0, 1], seed_transpiler=7)
isa_bell, isa_turned, isa_state = passes.run([bell(), turned(measured=True), turned(measured=False)])
parity = SparsePauliOp("ZZ").apply_layout(isa_state.layout)
grid = [[SparsePauliOp(label)] for label in PAULIS]
jobs: dict[str, Any] = {}

# The sampler: parameters, registers, seeds.
sampler = SamplerV2(mode=simulator)
jobs["ideal_sampler"] = sampler.run([(turned(measured=True), ANGLES[:, None]), bell()], shots=SHOTS)
seeded = SamplerV2(mode=simulator, options={"simulator": {"seed_simulator": 11}})
jobs["seed"], jobs["same_seed"] = (seeded.run([bell()], shots=SHOTS) for _ in range(2))
jobs["sampler"] = SamplerV2(mode=manila).run([isa_bell])
twirled = SamplerV2(mode=manila)
twirled.options.twirling.enable_gates = True
twirled.options.twirling.enable_measure = True
twirled.options.dynamical_decoupling.enable = True
jobs["twirled_sampler"] = twirled.run([isa_bell], shots=SHOTS)

# The estimator: broadcasting, and what mitigation of readout changes.
ideal = EstimatorV2(mode=simulator, options={"resilience_level": 0})
jobs["ideal_estimator"] = ideal.run([(turned(measured=False), grid, ANGLES[:, None])], precision=0.02)
for level in (0, 1):
    estimator = EstimatorV2(mode=manila, options={"resilience_level": level})
    if level:
        # Readout errors of 0 and of 1 differ, and which of them a randomization shows is chance: take many.
        estimator.options.twirling.num_randomizations = 256
        estimator.options.resilience.measure_noise_learning.num_randomizations = 256
    jobs[f"estimator_{level}"] = estimator.run([(isa_state, parity, [0.0])], precision=0.004)
jobs["estimator"] = EstimatorV2(mode=manila).run([(isa_state, parity, [0.0])])

# The primitives on the executor, with default options; the executor itself.
jobs["executor_sampler"] = executor_sampler.Sampler(mode=manila).run([isa_bell])
jobs["executor_estimator"] = executor_estimator.Estimator(mode=manila).run([(isa_state, parity, [0.0])])
program = QuantumProgram(shots=50)
program.append_circuit_item(isa_turned, circuit_arguments=np.array([[0.0], [np.pi]]))
boxes = generate_boxing_pass_manager(enable_gates=True, enable_measures=True).run(isa_turned)
template, samplex = build(boxes)
arguments = {"parameter_values": np.array([0.0])} if boxes.num_parameters else {}
program.append_samplex_item(template, samplex=samplex, samplex_arguments=arguments, shape=(4,))
jobs["executor"] = Executor(mode=manila).run(program)

# The noise of the one layer of the Bell circuit.
learner = NoiseLearner(mode=manila)
learner.options.layer_pair_depths = [0, 2, 8]
learner.options.num_randomizations = 8
learner.options.shots_per_randomization = 64
jobs["learner"] = learner.run([isa_bell])

# Circuits that decide, where they can run: on the simulator, and on the first device of today's gates.
able = service.backends(
    dynamic_circuits=True, simulator=False, min_num_qubits=3, filters=lambda backend: "sx" in backend.operation_names
)
decided = {simulator.name: SamplerV2(mode=simulator).run([dynamic()], shots=1000)}
for backend in able[:1]:
    flow = generate_preset_pass_manager(backend=backend, optimization_level=1, seed_transpiler=7).run(dynamic())
    decided[backend.name] = SamplerV2(mode=backend).run([flow], shots=1000)


def swept() -> list[Any]:
    """Return the counts for each angle, those of the Bell circuit, and the shape of the first."""
    first, second = (pub.data.meas for pub in jobs["ideal_sampler"].result())
    return [[first.get_counts(index) for index in range(len(ANGLES))], second.get_counts(), list(first.shape)]


def spanned() -> list[Any]:
    """Return how long the job on the device took, from when to when."""
    spans = jobs["sampler"].result().metadata["execution"]["execution_spans"]
    return [spans.duration, spans.start.isoformat(), spans.stop.isoformat()]


def executed() -> dict[str, Any]:
    """Return what the executor's two items show."""
    plain, twirls = jobs["executor"].result()
    flips = np.asarray(twirls["measurement_flips.meas"])
    return {
        "shapes": [list(plain["meas"].shape), list(twirls["meas"].shape)],
        "ones": numbers(plain["meas"].mean(axis=(1, 2))),
        "twirled_ones": float((np.asarray(twirls["meas"]) ^ flips).mean()),
        "flips": list(flips.shape),
    }


def learned() -> list[dict[str, Any]]:
    """Return the noise of each layer."""
    return [
        {
            "qubits": list(layer.qubits),
            "generators": list(layer.error.generators.to_labels()),
            "rates": numbers(layer.error.rates),
        }
        for layer in jobs["learner"].result()
    ]


def tried(look: Callable[[], Any]) -> Any:
    """Return what is seen, or what is said instead: one failure hides no other observation."""
    try:
        return look()
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the observation
        return f"{type(error).__name__}: {error}"


report(
    ideal_sampler=tried(swept),
    seeds=tried(lambda: [sampled(jobs["seed"]), sampled(jobs["same_seed"])]),
    spans=tried(spanned),
    usage=tried(lambda: [jobs["sampler"].usage(), jobs["sampler"].metrics()["usage"]]),
    executor=tried(executed),
    learner=tried(learned),
    decided=tried(lambda: {name: sampled(job, "c") for name, job in decided.items()}),
    simulator_gate=attempt(lambda: SamplerV2(mode=manila).run([bell()])),
    **{
        name: tried(lambda name=name: sampled(jobs[name]))
        for name in ("sampler", "twirled_sampler", "executor_sampler")
    },
    **{
        name: tried(lambda name=name: estimated(jobs[name]))
        for name in ("ideal_estimator", "estimator_0", "estimator_1", "estimator", "executor_estimator")
    },
)
