# SPDX-License-Identifier: Apache-2.0
"""Run circuits on a simulator and on a device and look at everything a job object offers."""

import time
from typing import Any

from account import Diary, attempt, bell, enable, report, slow
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, execute, transpile


def two_registers() -> QuantumCircuit:
    """Return a circuit whose only outcome is 1 in register a and 01 in register b."""
    qubits = QuantumRegister(3, "q")
    first, second = ClassicalRegister(1, "a"), ClassicalRegister(2, "b")
    circuit = QuantumCircuit(qubits, first, second, name="registers")
    circuit.x([0, 1])
    circuit.measure(qubits[0], first[0])
    circuit.measure(qubits[1], second[0])
    circuit.measure(qubits[2], second[1])
    return circuit


def rotation(name: str, flips: int) -> QuantumCircuit:
    """Return a circuit with as many X gates in a row."""
    circuit = QuantumCircuit(1, 1, name=name, metadata={"flips": flips})
    for _ in range(flips):
        circuit.x(0)
    circuit.measure(0, 0)
    return circuit


def watch(job: Any, diary: Diary) -> dict[str, Any]:
    """Wait for a job and tell by which way the client learned of its states."""
    states: list[str] = []
    job.wait_for_final_state(timeout=120, callback=lambda _id, status, _job, **_more: states.append(status.name))
    return {
        "states": states,
        "final": job.status().name,
        "opened": diary.count(f"Websocket connection established for job {job.job_id()}"),
        "messages": diary.count(f"Received message from websocket.*{job.job_id()}")
        or diary.count("Received message from websocket"),
        "polls": diary.count(f"{job.job_id()}/status/v/1. Method: GET"),
        "trouble": [line for line in diary.lines if "Error checking job status" in line],
    }


def on_simulator(provider: Any, diary: Diary) -> dict[str, Any]:
    """Run circuits on the ideal simulator."""
    simulator = provider.get_backend("ibmq_qasm_simulator")
    job = execute(bell(), simulator, shots=4000, seed_simulator=2718)
    watched = watch(job, diary)
    result = job.result()
    again, other = (simulator.run(bell(), shots=4000, seed_simulator=seed) for seed in (2718, 2719))
    remembering = simulator.run(bell(), shots=200, memory=True)
    several = simulator.run([rotation("none", 0), rotation("one", 1), rotation("two", 2)], shots=50)
    named = several.result()
    return {
        "watched": watched,
        "bell": result.get_counts(),
        "same_seed": again.result().get_counts(),
        "other_seed": other.result().get_counts(),
        "registers": simulator.run(two_registers(), shots=10).result().get_counts(),
        "memory": remembering.result().get_memory(),
        "memory_counts": remembering.result().get_counts(),
        "several": {name: named.get_counts(name) for name in ("none", "one", "two")},
        "metadata": [experiment.header.metadata for experiment in named.results],
        "result": {
            "backend": result.backend_name,
            "job": result.job_id == job.job_id(),
            "success": result.success,
            "shots": result.results[0].shots,
        },
        "methods": {
            name: execute(bell(), provider.get_backend(name), shots=100, seed_simulator=1).result().get_counts()
            for name in ("simulator_statevector", "simulator_mps", "simulator_stabilizer")
        },
    }


def on_device(provider: Any) -> dict[str, Any]:
    """Run circuits on a device of 2021 and look at the job afterwards."""
    device = provider.get_backend("ibmq_manila")
    circuit = transpile(bell(), device, initial_layout=[0, 1], seed_transpiler=1)
    job = device.run(circuit, shots=4000, seed_simulator=31415, job_name="first", job_tags=["red", "blue"])
    counts = job.result().get_counts()
    same = device.retrieve_job(job.job_id())
    seen = {
        "counts": counts,
        "armonk": execute(rotation("one", 1), provider.get_backend("ibmq_armonk"), shots=1000).result().get_counts(),
        "essex": execute(bell(), provider.get_backend("ibmq_essex"), shots=1000).result().get_counts(),
        "retrieved": {
            "counts": same.result().get_counts(),
            "name": same.name(),
            "tags": sorted(same.tags()),
            "backend": same.backend().name(),
            "steps": {step: moment.isoformat() for step, moment in same.time_per_step().items()},
            "created": same.creation_date().isoformat(),
            "queue": same.queue_info() is None and same.queue_position() is None,
            "circuits": [sorted(one.count_ops().items()) for one in same.circuits()],
            "shots": same.backend_options()["shots"],
            "t1": same.properties().t1(0),
            "mode": same.scheduling_mode(),
            "client": same.client_version,
            "error": same.error_message(),
        },
        "device_t1": device.properties().t1(0),
    }
    seen["renamed"] = [
        job.update_name("second"),
        device.retrieve_job(job.job_id()).name(),
        job.update_name(""),
    ]
    seen["retagged"] = [
        sorted(job.update_tags(replacement_tags=["green"], additional_tags=["blue"], removal_tags=["red"])),
        sorted(device.retrieve_job(job.job_id()).tags()),
    ]
    return seen


def refused(provider: Any) -> dict[str, Any]:
    """Send a device what it cannot run, and ask for what is not there."""
    device = provider.get_backend("ibmq_manila")
    job = device.run(bell(), shots=100)
    job.wait_for_final_state(timeout=60)
    return {
        "status": job.status().name,
        "message": job.error_message(),
        "result": attempt(job.result),
        "unknown": attempt(provider.backend.retrieve_job, "000000000000000000000000"),
    }


def cancelled(provider: Any) -> dict[str, Any]:
    """Cancel a job that runs and one that waits behind it; the next job must find its way free."""
    simulator = provider.get_backend("ibmq_qasm_simulator")
    jobs = [simulator.run(slow(), shots=8000) for _ in range(5)]
    end = time.monotonic() + 60
    while jobs[0].status().name != "RUNNING" and time.monotonic() < end:
        time.sleep(0.1)
    before = [jobs[0].status().name, jobs[-1].status().name]
    answers = [job.cancel() for job in (jobs[-1], jobs[0], *jobs[1:-1])]
    small = simulator.run(bell(), shots=100)
    small.wait_for_final_state(timeout=30)
    return {
        "before": before,
        "answers": answers,
        "after": [job.status().name for job in jobs],
        "result": attempt(jobs[0].result),
        "small": small.status().name,
        "finished": small.cancel(),
    }


diary = Diary()
provider = enable()
report(
    provider,
    simulator=on_simulator(provider, diary),
    device=on_device(provider),
    refused=refused(provider),
    cancelled=cancelled(provider),
)
