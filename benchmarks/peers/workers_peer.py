# SPDX-License-Identifier: Apache-2.0
"""Other ways to keep processes that run circuits: how soon one is there, killed, and there again.

    python benchmarks/peers/workers_peer.py [executor|process|ray]

Prints one line of JSON with times in seconds. Run by `benchmarks/workers.py`.
"""

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Final

SHOTS: Final = 1024
ROUNDS: Final = 5


def bell() -> int:
    """Run a Bell circuit on Aer, on one thread, and say in which process."""
    from qiskit import QuantumCircuit  # noqa: PLC0415  # only the workers pay for it
    from qiskit_aer import AerSimulator  # noqa: PLC0415

    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    counts = AerSimulator(max_parallel_threads=1).run(circuit, shots=SHOTS).result().get_counts()
    if sum(counts.values()) != SHOTS:
        raise RuntimeError(f"Aer has the counts {counts}")
    return os.getpid()


def work(seconds: float) -> None:
    """Compute for a while, as a simulation does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(10_000))


def gone(pid: int, since: float) -> float:
    """Return how long it takes until a process does no more work."""
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return time.perf_counter() - since
        if state == "Z":
            return time.perf_counter() - since
        time.sleep(0.0005)


def executor() -> dict[str, Any]:
    """A `ProcessPoolExecutor`, which is made anew when one of its processes was killed."""
    begun = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(1, mp_context=context)
    pid = pool.submit(bell).result()
    first, killed, again = time.perf_counter() - begun, [], []
    for _ in range(ROUNDS):
        task = pool.submit(work, 60.0)
        time.sleep(0.5)
        since = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        killed.append(gone(pid, since))
        with contextlib.suppress(BrokenProcessPool):
            task.result()
        pool.shutdown()
        pool = ProcessPoolExecutor(1, mp_context=context)
        pid = pool.submit(bell).result()
        again.append(time.perf_counter() - since)
    pool.shutdown()
    return {"first": first, "killed": killed, "again": again}


def process() -> dict[str, Any]:
    """A process for each job."""
    context = multiprocessing.get_context("spawn")

    def one() -> None:
        job = context.Process(target=bell)
        job.start()
        job.join()

    begun = time.perf_counter()
    one()
    first, killed, again = time.perf_counter() - begun, [], []
    for _ in range(ROUNDS):
        task = context.Process(target=work, args=(60.0,))
        task.start()
        time.sleep(1.0)
        since = time.perf_counter()
        task.kill()
        task.join()
        killed.append(time.perf_counter() - since)
        one()
        again.append(time.perf_counter() - since)
    return {"first": first, "killed": killed, "again": again}


def with_ray() -> dict[str, Any]:
    """Ray on one machine: a task is cancelled by force, which kills its worker."""
    import ray  # type: ignore[import-not-found]  # noqa: PLC0415

    begun = time.perf_counter()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    run = ray.remote(max_retries=0)(bell)

    @ray.remote(max_retries=0)  # type: ignore[untyped-decorator]
    def long(place: str) -> None:
        Path(place).write_text(str(os.getpid()), encoding="ascii")
        work(60.0)

    ray.get(run.remote())
    first, killed, again = time.perf_counter() - begun, [], []
    for number in range(ROUNDS):
        place = Path(f"/tmp/ray-peer-{os.getpid()}-{number}")
        task = long.remote(str(place))
        while not (place.exists() and place.read_text(encoding="ascii")):
            time.sleep(0.01)
        pid = int(place.read_text(encoding="ascii"))
        time.sleep(0.5)
        since = time.perf_counter()
        ray.cancel(task, force=True)
        killed.append(gone(pid, since))
        ray.get(run.remote())
        again.append(time.perf_counter() - since)
        place.unlink()
    ray.shutdown()
    return {"first": first, "killed": killed, "again": again, "version": ray.__version__}


WAYS: Final = {"executor": executor, "process": process, "ray": with_ray}

if __name__ == "__main__":
    print(json.dumps(WAYS[sys.argv[1]]()))
