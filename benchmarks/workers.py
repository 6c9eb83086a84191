# SPDX-License-Identifier: Apache-2.0
"""How soon a server is there, how soon it has a result, what it holds in memory, and how fast a job is killed.

    python benchmarks/workers.py [--rounds 5] [--ray PYTHON] [--write]

The server is the real one with its defaults, over a folder that was made before. Other ways to keep processes that
run circuits stand beside it, in turns in the same run: `peers/workers_peer.py`.

Memory is the sum of the proportional set sizes (PSS): what is shared counts once in all, and so the sum is what the
machine would have back if the server ended. Resident set sizes (RSS) count what is shared once for each process.
"""

import argparse
import contextlib
import http.client
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import submit_to_result
from submit_to_result import BELL, FINAL, Client, Server

RESULTS: Final = Path(__file__).parent / "results" / "workers.json"
PEER: Final = Path(__file__).parent / "peers" / "workers_peer.py"
#: What is asked of each figure.
TARGETS: Final = {
    "http_ready_s": 1.0,
    "first_result_s": 2.5,
    "memory_mb": 350.0,
    "killed_ms": 50.0,
    "serving_again_ms": 200.0,
}
MB: Final = 1 << 20


def long_job(layers: int = 14, qubits: int = 17, shots: int = 400) -> bytes:
    """Return the submission of a job that computes for minutes: every shot is another evolution."""
    steps: list[dict[str, Any]] = []
    for layer in range(layers):
        steps += [
            {"name": "u3", "qubits": [qubit], "params": [0.3 + layer, 0.2 * qubit, 0.1]} for qubit in range(qubits)
        ]
        steps += [{"name": "cx", "qubits": [qubit, qubit + 1]} for qubit in range(layer % 2, qubits - 1, 2)]
        steps += [{"name": "measure", "qubits": [layer], "memory": [layer]}, {"name": "reset", "qubits": [layer]}]
    steps.append({"name": "measure", "qubits": list(range(qubits)), "memory": list(range(qubits))})
    program = json.loads(BELL)
    program["qObject"]["config"] = {"shots": shots, "memory_slots": qubits, "method": "statevector"}
    header = {"name": "long", "n_qubits": qubits, "memory_slots": qubits, "creg_sizes": [["c", qubits]]}
    config = {"n_qubits": qubits, "memory_slots": qubits}
    program["qObject"]["experiments"] = [{"header": header, "config": config, "instructions": steps}]
    return json.dumps(program).encode()


def environment(workers: int) -> dict[str, str]:
    """Return what a server is started with: compiled modules are kept, as an installer keeps them."""
    variables = dict(os.environ)  # noqa: TID251  # handed on to the server as it is
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    return variables | {"CHANDELIER_WORKERS": str(workers), "CHANDELIER_DRIFT": "off"}


@contextlib.contextmanager
def started(folder: Path, workers: int) -> Iterator[tuple[subprocess.Popen[bytes], int, float]]:
    """Start a server; yield its process, its port and when it was started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "chandelier", "serve", "--data", str(folder), "--port", str(port)]
    with (folder / "bench.log").open("ab") as log:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment(workers))
    try:
        yield process, port, begun
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def answers(port: int) -> None:
    """Wait until a request is answered."""
    for _ in range(20_000):
        http_ = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            http_.request("GET", "/api/version")
            http_.getresponse().read()
            return
        except ConnectionError:
            time.sleep(0.002)
        finally:
            http_.close()
    raise RuntimeError("the server does not answer")


def start(folder: Path, token: str) -> dict[str, float]:
    """Start a server, submit a job as soon as it answers, and measure both from the start of the process."""
    with started(folder, 2) as (process, port, begun):
        answers(port)
        ready = time.perf_counter() - begun
        client = Client(Server(port, submit_to_result.log_in(port, token)))
        job = client.submit()
        client.poll(job)
        client.fetch(job)
        first = time.perf_counter() - begun
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return {"http_ready_s": ready, "first_result_s": first, "server_cpu_s": used}


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int(
                (folder / "stat").read_text("ascii", "replace").rpartition(")")[2].split()[1]
            )
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def memory(folder: Path, token: str) -> dict[str, Any]:
    """Measure the memory of a server with two workers that have run jobs, of which one on a noisy device."""
    with started(folder, 2) as (process, port, _):
        answers(port)
        server = Server(port, submit_to_result.log_in(port, token))
        for _ in range(2):
            run_side_by_side(server, 20)
        held = {one: rollup(one) for one in family(process.pid)}
        names = {one: Path(f"/proc/{one}/cmdline").read_bytes().decode().replace("\0", " ") for one in held}
        kinds = {one: kind(one, process.pid, name) for one, name in names.items()}
    return {
        "pss_mb": sum(each["Pss"] for each in held.values()) / MB,
        "rss_mb": sum(each["Rss"] for each in held.values()) / MB,
        "processes": [
            {"what": kinds[one], "pss_mb": each["Pss"] / MB, "rss_mb": each["Rss"] / MB} for one, each in held.items()
        ],
    }


def kind(pid: int, server: int, command: str) -> str:
    """Name one process of a server."""
    if pid == server:
        return "server"
    if "resource_tracker" in command:
        return "resource tracker"
    ancestors = int(Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[1])
    return "fork server" if ancestors == server else "worker"


def rollup(pid: int) -> dict[str, int]:
    """Return the sums of a process's memory, bytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}


def run_side_by_side(server: Server, jobs: int) -> None:
    """Have two clients run jobs at the same time, so that both workers have some."""

    def work() -> None:
        client = Client(server)
        job = submit_to_result.through(client, client.poll)
        for _ in range(jobs):
            job()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def busy(pids: list[int]) -> int:
    """Return the process that computes most in half a second."""

    def used(pid: int) -> int:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = {pid: used(pid) for pid in pids}
    time.sleep(0.5)
    return max(pids, key=lambda pid: used(pid) - before[pid])


def exists(pid: int) -> bool:
    """Whether a process is there and not yet ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kills(folder: Path, token: str, rounds: int) -> dict[str, list[float]]:
    """Cancel a job that runs, on the only worker, for which another job waits."""
    killed, again, answered = [], [], []
    with started(folder, 1) as (process, port, _):
        answers(port)
        server = Server(port, submit_to_result.log_in(port, token))
        client, watcher = Client(server), Client(server)
        submit_to_result.through(client, client.poll)()
        body = long_job()
        for _ in range(rounds):
            long = client.ask("POST", "/Jobs", body)["id"]
            while client.ask("GET", f"/Jobs/{long}/status/v/1")["status"] != "RUNNING":
                time.sleep(0.01)
            waiting = client.submit()
            child = busy(family(process.pid)[1:])
            times: list[float] = []

            def watch(child: int = child, times: list[float] = times) -> None:
                while exists(child):
                    time.sleep(0.0005)
                times.append(time.perf_counter())

            thread = threading.Thread(target=watch)
            thread.start()
            since = time.perf_counter()
            client.ask("POST", f"/Jobs/{long}/cancel")
            answered.append(1000 * (time.perf_counter() - since))
            while not watcher.ask("GET", f"/Jobs/{waiting}/status/v/1")["status"].startswith(FINAL):
                time.sleep(0.0005)
            again.append(1000 * (time.perf_counter() - since))
            thread.join()
            killed.append(1000 * (times[0] - since))
    return {"cancel_answered_ms": answered, "killed_ms": killed, "serving_again_ms": again}


def peer(python: str, way: str) -> dict[str, Any] | None:
    """Measure another way in a process of its own; None where it cannot be run."""
    done = subprocess.run([python, str(PEER), way], capture_output=True, text=True, env=environment(1), check=False)
    if done.returncode:
        print(f"{way}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {
        "way": way,
        "version": found.get("version", platform.python_version()),
        "first_result_s": found["first"],
        "killed_ms": 1000 * statistics.median(found["killed"]),
        "serving_again_ms": 1000 * statistics.median(found["again"]),
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run everything and return the figures."""
    peers = []
    with tempfile.TemporaryDirectory(prefix="chandelier-bench-") as place:
        folder = Path(place)
        made = subprocess.run(
            [sys.executable, "-m", "chandelier", "init", "--data", place, "--json"],
            capture_output=True,
            text=True,
            check=True,
            env=environment(2),
        )
        token = json.loads(made.stdout)["operator"]["token"]
        start(folder, token)  # the first one compiles the modules
        starts = [start(folder, token) for _ in range(arguments.rounds)]
        ways = [(sys.executable, "executor"), (sys.executable, "process")]
        ways += [(arguments.ray, "ray")] if arguments.ray else []
        peers = [found for python, way in ways if (found := peer(python, way)) is not None]
        starts += [start(folder, token) for _ in range(arguments.rounds)]
        held = memory(folder, token)
        ended = kills(folder, token, arguments.rounds)
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load": os.getloadavg()[0],
        },
        "versions": {name: version(name) for name in ("chandelier", "qiskit", "qiskit-aer")},
        "targets": TARGETS,
        "start": {name: spread([one[name] for one in starts]) for name in starts[0]},
        "memory": held,
        "kill": {name: spread(values) for name, values in ended.items()},
        "peers": peers,
    }


def spread(values: list[float]) -> dict[str, float]:
    """Return the least, the median and the greatest of some values."""
    return {"least": min(values), "median": statistics.median(values), "most": max(values)}


def main() -> None:
    """Measure, print, and keep the figures when asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5, help="starts before and after the peers, and kills")
    parser.add_argument("--ray", help="interpreter of an environment that has Ray and qiskit-aer")
    parser.add_argument("--write", action="store_true", help=f"write the figures to {RESULTS}")
    arguments = parser.parse_args()
    figures = measure(arguments)
    print(f"{figures['machine']['cores']} cores, load {figures['machine']['load']:.1f}, {figures['when']}\n")
    for name, values in (figures["start"] | figures["kill"]).items():
        target = f"   target {TARGETS[name]:g}" if name in TARGETS else ""
        print(f"{name:20} {values['least']:8.3g} {values['median']:8.3g} {values['most']:8.3g}{target}")
    held = figures["memory"]
    print(f"memory: {held['pss_mb']:.0f} MB (PSS), {held['rss_mb']:.0f} MB (RSS)   target {TARGETS['memory_mb']:g}")
    for one in held["processes"]:
        print(f"    {one['what']:16} {one['pss_mb']:6.1f} {one['rss_mb']:6.1f}")
    for one in figures["peers"]:
        print({key: round(value, 3) if isinstance(value, float) else value for key, value in one.items()})
    if arguments.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        print(f"\nWritten to {RESULTS}")


if __name__ == "__main__":
    main()
