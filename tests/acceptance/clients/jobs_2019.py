# SPDX-License-Identifier: Apache-2.0
"""Run circuits with the client of early 2020: watch, read results, fail and cancel; for Python 3.7."""

from __future__ import annotations

import sys
from typing import Any

from account import Diary, attempt, bell, enable, slow
from early import disable, poll, report, until
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, assemble, execute, transpile

SHOTS = 2000


def two_registers() -> QuantumCircuit:
    """Return a circuit whose only outcome is 1 in register a and 01 in register b."""
    qubits = QuantumRegister(3, "q")
    first, second = ClassicalRegister(1, "a"), ClassicalRegister(2, "b")
    circuit = QuantumCircuit(qubits, first, second, name="registers")
    circuit.x(0)
    circuit.x(1)
    circuit.measure(qubits[0], first[0])
    circuit.measure(qubits[1], second[0])
    circuit.measure(qubits[2], second[1])
    return circuit


def flips(name: str, number: int) -> QuantumCircuit:
    """Return a circuit with as many X gates in a row."""
    circuit = QuantumCircuit(1, 1, name=name)
    for _ in range(number):
        circuit.x(0)
    circuit.measure(0, 0)
    return circuit


def watch(job: Any, longer: Any, diary: Diary) -> dict[str, Any]:
    """Wait for a job that waits behind another, and tell by which way the client learned of its states."""
    diary.lines.clear()
    heard: list[list[Any]] = []

    def hear(_id: str, status: Any, _job: Any, queue_info: Any) -> None:
        heard.append([status.name, queue_info and queue_info.position])
        if len(heard) == 1:
            longer.cancel()

    job.wait_for_final_state(timeout=120, wait=0.05, callback=hear)
    return {
        "states": heard,
        "final": job.status().name,
        "opened": diary.count(f"Starting new websocket connection: .*/jobs/{job.job_id()}/status$"),
        "binary": diary.count("Received message from websocket: b'"),
        "polls": diary.count("API job status = "),
        "trouble": [line for line in diary.lines if "error" in line.lower()],
    }


def behind_another(simulator: Any, diary: Diary) -> dict[str, Any]:
    """Watch a job that waits behind a longer one; the cloud runs one job at a time."""
    longer = simulator.run(assemble(slow(), shots=20000))
    until(lambda: longer.status().name == "RUNNING")
    job = simulator.run(assemble(bell(), shots=10))
    until(lambda: job.status().name == "QUEUED")
    info = job.queue_info()
    return {
        "positions": [job.queue_position(), info.position],
        "text": info.format(),
        "listed": [one.job_id() == job.job_id() for one in simulator.jobs(status="QUEUED")],
        "running": [one.job_id() == longer.job_id() for one in simulator.jobs(status="RUNNING", limit=None)],
        # In the words of the clients before this one, which knew no QUEUED.
        "earlier": [
            [one.job_id() == expected.job_id() for one in simulator.jobs(db_filter=words, limit=None)]
            for words, expected in (
                ({"status": "RUNNING", "infoQueue": {"exists": False}}, longer),
                ({"status": "RUNNING", "infoQueue.status": "PENDING_IN_QUEUE"}, job),
            )
        ],
        "active": len(simulator.active_jobs()),
        "pending": simulator.status().pending_jobs,
        "watched": watch(job, longer, diary),
    }


def on_simulator(simulator: Any) -> dict[str, Any]:
    """Run circuits on the ideal simulator."""
    several = simulator.run(assemble([flips("none", 0), flips("one", 1), flips("two", 2)], shots=50)).result()
    job = execute(bell(), simulator, shots=SHOTS, seed_simulator=2718)
    result = job.result()
    return {
        "storage": job.kind.value,
        "bell": result.get_counts(),
        "same_seed": execute(bell(), simulator, shots=SHOTS, seed_simulator=2718).result().get_counts(),
        "registers": simulator.run(assemble(two_registers(), shots=10)).result().get_counts(),
        "memory": simulator.run(assemble(bell(), shots=100, memory=True)).result().get_memory(),
        "several": {name: several.get_counts(name) for name in ("none", "one", "two")},
        "result": [result.backend_name, result.job_id == job.job_id(), result.success, result.results[0].shots],
    }


def on_device(device: Any) -> dict[str, Any]:
    """Run a circuit on a device of its time and look at the job afterwards."""
    circuit = transpile(bell(), device, initial_layout=[0, 1], seed_transpiler=1)
    program = assemble(circuit, device, shots=SHOTS, seed_simulator=31415)
    job = device.run(program, job_name="first", job_tags=["red", "blue"], job_share_level="project")
    counts = job.result().get_counts()
    same = device.retrieve_job(job.job_id())
    return {
        "counts": counts,
        "same": same.result().get_counts() == counts,
        "name": same.name(),
        "tags": sorted(same.tags()),
        "backend": same.backend().name(),
        "steps": same.time_per_step(),
        "created": same.creation_date(),
        "queue": [same.queue_info(), same.queue_position()],
        "program": same.qobj().to_dict() == program.to_dict(),
        "t1": [same.properties().t1(0), device.properties().t1(0)],
        "error": same.error_message(),
        "share": same.share_level,
    }


def refused(device: Any, simulator: Any) -> dict[str, Any]:
    """Send what cannot be run, and ask for what is not there."""
    job = device.run(assemble(bell(), shots=100))
    job.wait_for_final_state(timeout=60)
    program = assemble([flips("good", 1), bell()], shots=20)
    # The state of one qubit of two: only the simulation itself finds out.
    program.experiments[1].instructions.insert(2, part_of_a_state())
    partial = simulator.run(program)
    partial.wait_for_final_state(timeout=60)
    return {
        "status": job.status().name,
        "message": job.error_message(),
        "retrieved": device.retrieve_job(job.job_id()).error_message(),
        "result": attempt(job.result),
        "partial": [partial.status().name, partial.error_message(), partial.result(partial=True).get_counts("good")],
        "unknown": attempt(device.retrieve_job, "000000000000000000000000"),
        "elsewhere": attempt(simulator.retrieve_job, job.job_id()),
    }


def part_of_a_state() -> Any:
    """Return the instruction that asks for the state of one qubit, as later clients do."""
    circuit = QuantumCircuit(1, 1)
    circuit.snapshot("part", snapshot_type="statevector")
    instruction = assemble(circuit).experiments[0].instructions[0]
    instruction.name, instruction.snapshot_type = "save_statevector", "single"
    return instruction


def cancelled(simulator: Any) -> dict[str, Any]:
    """Cancel a job that runs and one that waits behind it."""
    running, waiting = (simulator.run(assemble(slow(), shots=8000)) for _ in range(2))
    until(lambda: running.status().name == "RUNNING")
    late = attempt(waiting.wait_for_final_state, timeout=1, wait=0.2)
    answers = [waiting.cancel(), running.cancel()]
    small = simulator.run(assemble(bell(), shots=10))
    small.wait_for_final_state(timeout=60)
    return {
        "late": late,
        "answers": answers,
        "after": [waiting.status().name, running.status().name],
        "result": attempt(running.result),
        "finished": [small.cancel(), small.status().name],
        "listed": len(simulator.jobs(status="CANCELLED", limit=None)),
    }


diary = Diary()
provider = enable()
simulator, device = provider.get_backend("ibmq_qasm_simulator"), provider.get_backend("ibmq_essex")
seen = {
    "watched": behind_another(simulator, diary),
    "simulator": on_simulator(simulator),
    "device": on_device(device),
    "refused": refused(device, simulator),
    "cancelled": cancelled(simulator),
    "fallbacks": diary.count("via object storage failed"),
}
disable()
seen["polled"] = behind_another(poll(sys.argv).get_backend("ibmq_qasm_simulator"), diary)
report(provider, **seen)
