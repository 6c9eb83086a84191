# SPDX-License-Identifier: Apache-2.0
"""Circuits run on Aer as its users do, in a process that knows nothing of Chandelier: what `engine.py` compares with.

It reads requests as lines of JSON, and answers each with a line. With `--once` it does the first and ends, as the child
of a server that starts a process for each job.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from qiskit import QuantumCircuit, transpile
from qiskit_aer import AerSimulator

Json = dict[str, Any]
Counts = dict[str, int]

#: Devices of the same files that the catalogue is made of.
FAKES: Final = {"ibmq_manila": "FakeManilaV2", "ibm_hanoi": "FakeHanoiV2", "ibm_sherbrooke": "FakeSherbrooke"}


class Desk:
    """What is taken for the next measurements."""

    def __init__(self) -> None:
        self._simulators: dict[tuple[str, int], AerSimulator] = {}
        self._job: Json = {}
        self._ready: list[QuantumCircuit] = []
        self._plain: list[QuantumCircuit] = []

    def transpiled(self, device: str, steps: list[Json], width: int) -> list[Json]:
        """Instructions of a circuit in the gates of a device."""
        circuit = transpile(built(steps, width), backend(device), optimization_level=1, seed_transpiler=1)
        return [
            {
                "name": step.operation.name,
                "qubits": [circuit.find_bit(qubit).index for qubit in step.qubits],
                "params": [float(value) for value in step.operation.params],
                "memory": [circuit.find_bit(bit).index for bit in step.clbits],
            }
            for step in circuit.data
            if step.operation.name != "barrier"
        ]

    def take(self, job: Json) -> None:
        """Get ready for a job: `device`, `width`, `shots`, `circuits`, and `plain`, the same without waits."""
        self._job = job
        self._ready = [built(steps, job["width"]) for steps in job["circuits"]]
        self._plain = [built(steps, job["width"]) for steps in job["plain"]]

    def counts(self, who: str) -> list[Counts]:
        """Run once."""
        return self._ways()[who]()

    def clocked(self, who: str, times: int) -> tuple[float, float]:
        """Run some times; processor time of this process and its children, and time by the clock, for each, s."""
        way = self._ways()[who]
        wall, cpu = time.perf_counter(), _spent()
        for _ in range(times):
            way()
        return (_spent() - cpu) / times, (time.perf_counter() - wall) / times

    def _ways(self) -> dict[str, Callable[[], list[Counts]]]:
        job = self._job
        several = len(self._ready) > 1

        def circuits() -> list[QuantumCircuit]:
            return [built(steps, job["width"]) for steps in job["circuits"]] if several else self._ready

        return {
            "Aer": lambda: run(self._simulator(0), circuits(), job["shots"]),
            "Aer, 1 thread": lambda: run(self._simulator(1), circuits(), job["shots"]),
            "Aer, unscheduled": lambda: run(self._simulator(0), self._plain, job["shots"]),
            "Aer, made anew for each job": lambda: run(simulator(job["device"], 0), self._ready, job["shots"]),
            "SamplerV2 of Aer": lambda: sampled(job["device"], self._ready, job["shots"]),
            "a process for each job": lambda: elsewhere(job),
        }

    def _simulator(self, threads: int) -> AerSimulator:
        key = (self._job["device"], threads)
        if key not in self._simulators:
            self._simulators[key] = simulator(*key)
        return self._simulators[key]


def backend(device: str) -> Any:
    """The device as its users have it."""
    # Imported here: it takes seconds, and a process that simulates without noise does not need it.
    from qiskit_ibm_runtime import fake_provider  # type: ignore[import-untyped]  # noqa: PLC0415

    return getattr(fake_provider, FAKES[device])()


def simulator(device: str, threads: int) -> AerSimulator:
    """A simulator of a device, or without noise; 0 threads leave the number to Aer."""
    options = {"max_parallel_threads": threads} if threads else {}
    return AerSimulator.from_backend(backend(device), **options) if device in FAKES else AerSimulator(**options)


def built(steps: list[Json], width: int) -> QuantumCircuit:
    """Make a circuit of instructions; waits are in seconds."""
    circuit = QuantumCircuit(width, 1 + max(slot for step in steps for slot in step.get("memory", ())))
    for step in steps:
        name, qubits = step["name"], step["qubits"]
        if name == "measure":
            circuit.measure(qubits, step["memory"])
        elif name == "delay":
            circuit.delay(step["params"][0], qubits[0], unit="s")
        else:
            getattr(circuit, name)(*step["params"], *qubits)
    return circuit


def run(aer: AerSimulator, circuits: list[QuantumCircuit], shots: int) -> list[Counts]:
    """Run circuits and count."""
    found = aer.run(circuits, shots=shots).result().get_counts()
    return found if isinstance(found, list) else [found]


def sampled(device: str, circuits: list[QuantumCircuit], shots: int) -> list[Counts]:
    """Run circuits by Aer's primitive."""
    from qiskit_aer.primitives import SamplerV2  # noqa: PLC0415

    made = _SAMPLERS.get(device) or _SAMPLERS.setdefault(device, SamplerV2.from_backend(simulator(device, 0)))
    return [result.data.c.get_counts() for result in made.run(circuits, shots=shots).result()]


_SAMPLERS: Final[dict[str, Any]] = {}


def elsewhere(job: Json) -> list[Counts]:
    """Run a job in a new process."""
    requests = json.dumps(["once", job])
    done = subprocess.run(
        [sys.executable, __file__, "--once"], input=requests, capture_output=True, text=True, check=True
    )
    found: list[Counts] = json.loads(done.stdout)
    return found


def once(job: Json) -> list[Counts]:
    """Run a job as if it were the only one."""
    circuits = [built(steps, job["width"]) for steps in job["circuits"]]
    return run(simulator(job["device"], 0), circuits, job["shots"])


def _spent() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main() -> None:
    """Answer requests until there are no more."""
    desk = Desk()
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        answer = once(*arguments) if what == "once" else getattr(desk, what)(*arguments)
        print(json.dumps(answer), flush=True)
        if "--once" in sys.argv:
            return


if __name__ == "__main__":
    main()
