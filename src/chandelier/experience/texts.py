# SPDX-License-Identifier: Apache-2.0
"""Jobs by OpenQASM text as clients of 2017 and 2018 see them: programs with their counts by bit strings.

Source: protocol 5.1 (family C), 6.1 and 6.6; QX2, `get_job`.
"""

from collections.abc import Sequence

from chandelier.devices import Device
from chandelier.experience import documents
from chandelier.experience.documents import Document
from chandelier.gateway import Call
from chandelier.jobs import executions
from chandelier.jobs.executions import Execution, Outcome
from chandelier.jobs.records import Job


def presented(call: Call, job: Job) -> Document:
    """Return what the unversioned full view of such a job has besides what every job has."""
    device = call.cloud.memory.device(call.tx, job.device_id)
    found = executions.of(call.cloud.store, call.tx, job)
    return {"qasms": [_program(job, device, entry, found.date) for entry in found.programs], "usedCredits": 0}


def weight(job: Job) -> int:
    """Return how many bytes the texts and outcomes of a job may take when they are shown, at most."""
    known = job.summary or {}
    slots, experiments = int(known.get("memory_slots", 0)), int(known.get("experiments", 0))
    outcomes = min(job.shots or 0, 2 ** min(slots, 60))
    return (job.input_bytes or 0) + (0 if job.result is None else experiments * outcomes * (slots + 16))


def status(job: Job, outcome: Outcome | None) -> str:
    """Return what became of one program: the job's fate, unless it has a result of its own."""
    return "DONE" if outcome is not None and outcome.success else documents.execution_status(job)


def bits(outcome: int, width: int) -> str:
    """Write an outcome as a bit string, the highest bit first.

    >>> bits(2, 5)
    '00010'
    """
    return f"{outcome:0{width}b}"


def labels(registers: Sequence[tuple[str, int]]) -> str:
    """Write the classical registers as the clients of 2018 read them, the highest first.

    >>> labels([("c", 2), ("d", 3)])
    'd[3] c[2]'
    """
    return " ".join(f"{name}[{size}]" for name, size in reversed(registers))


def _program(job: Job, device: Device, entry: Execution, date: str) -> Document:
    document: Document = {
        "qasm": entry.text,
        "status": status(job, entry.outcome),
        "executionId": documents.execution_id(job, entry.index),
    }
    if entry.name is not None:
        document["name"] = entry.name
    if entry.metadata is not None:
        document["metadata"] = entry.metadata
    if entry.outcome is not None and entry.outcome.success:
        by_qubit = entry.metadata is not None and not device.simulator
        document["result"] = {"date": date, "data": _data(entry.outcome, device.qubits if by_qubit else None)}
    return document


def _data(outcome: Outcome, qubits: int | None) -> Document:
    """Return the data of a program.

    Args:
        qubits: Number of qubits of the device, for outcomes by qubit; None for outcomes by memory slot.
    """
    tally: dict[str, int] = {}
    for value, number in outcome.counts.items():
        key = bits(value, outcome.slots) if qubits is None else bits(_moved(value, outcome.measured), qubits)
        tally[key] = tally.get(key, 0) + number
    return {
        "creg_labels": labels(outcome.registers),
        "additionalData": {"seed": outcome.seed},
        "time": outcome.seconds,
        "counts": tally,
    }


def _moved(outcome: int, measured: Sequence[int | None]) -> int:
    """Put each bit of an outcome where its qubit is: compiled programs are read so. Source: protocol 6.6."""
    pairs = ((slot, qubit) for slot, qubit in enumerate(measured) if qubit is not None)
    return sum((outcome >> slot & 1) << qubit for slot, qubit in pairs)
