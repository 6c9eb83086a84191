# SPDX-License-Identifier: Apache-2.0
"""How long a small job takes from submission to result, and how many a second, beside bare Aer.

A Bell circuit on a simulator, inline and by upload, and a noisy GHZ circuit of five qubits on a device of 27.

    python benchmarks/submit_to_result.py [--rounds 6] [--seconds 8] [--clients 1,4,16,32] [--write]

Both sides take turns, so that a busy machine disturbs them alike; read the ratios before the milliseconds.
The server is the real one with its defaults: every submission and result is on disk before it is answered.
Clients run on the same machine and use its processors too.
"""

import argparse
import contextlib
import http.client
import itertools
import json
import math
import multiprocessing
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.sync.client import connect

SHOTS: Final = 1024
RESULTS: Final = Path(__file__).parent / "results" / "submit_to_result.json"
FINAL: Final = ("COMPLETED", "CANCELLED", "ERROR_")


@dataclass(frozen=True)
class Server:
    """Where the server is, and an access token for it; its data folder and its process."""

    port: int
    access: str
    folder: str = ""
    pid: int = 0


@dataclass(frozen=True)
class Latency:
    """Quantiles of a sample, in milliseconds."""

    name: str
    jobs: int
    median_ms: float
    p90_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Rate:
    """What was finished in a while."""

    name: str
    clients: int
    jobs: int
    per_second: float


class Client:
    """One connection that is kept, as every client library keeps it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._http = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        self._headers = {"X-Access-Token": server.access, "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        """Return the JSON answer of a request that must succeed."""
        self._http.request(method, f"/api{path}", body, self._headers)
        answer = self._http.getresponse()
        text = answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode(errors='replace')}")
        return json.loads(text)

    def submit(self, body: bytes | None = None) -> str:
        """Submit a job, a Bell job by default, and return its id."""
        return str(self.ask("POST", "/Jobs", body or BELL)["id"])

    def upload(self) -> str:
        """Submit a Bell job by way of the object storage, as clients since 2020 do, and return its id."""
        program = json.loads(BELL)
        wanted = {"backend": program["backend"], "allowObjectStorage": True, "shots": SHOTS}
        opened = self.ask("POST", "/Jobs", json.dumps(wanted).encode())
        self.send("PUT", opened["objectStorageInfo"]["uploadUrl"], json.dumps(program["qObject"]).encode())
        self.ask("POST", f"/Jobs/{opened['id']}/jobDataUploaded")
        return str(opened["id"])

    def download(self, job: str) -> None:
        """Read the result by way of the object storage and look whether it is whole."""
        url = self.ask("GET", f"/Jobs/{job}/resultDownloadUrl")["url"]
        counts = json.loads(self.send("GET", url))["results"][0]["data"]["counts"]
        if sum(counts.values()) != SHOTS:
            raise RuntimeError(f"job {job} has the counts {counts}")

    def send(self, method: str, url: str, body: bytes | None = None) -> bytes:
        """Return the answer of a request to a signed URL, which is on the same connection."""
        parts = urlsplit(url)
        self._http.request(method, f"{parts.path}?{parts.query}", body)
        answer = self._http.getresponse()
        content = answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{method} {url}: {answer.status}")
        return content

    def poll(self, job: str) -> None:
        """Ask for the state until it is final."""
        while not self.ask("GET", f"/Jobs/{job}/status/v/1")["status"].startswith(FINAL):
            pass

    def follow(self, job: str) -> None:
        """Follow the status stream until the state is final."""
        url = f"ws://127.0.0.1:{self._server.port}/jobs/{job}/status/v/1"
        with connect(url, proxy=None, compression=None) as socket:
            socket.send(json.dumps({"type": "authentication", "data": self._server.access}))
            socket.recv()
            while not json.loads(socket.recv())["data"]["status"].startswith(FINAL):
                pass

    def fetch(self, job: str) -> None:
        """Read the result and look whether it is whole."""
        counts = self.ask("GET", f"/Jobs/{job}")["qObjectResult"]["results"][0]["data"]["counts"]
        if sum(counts.values()) != SHOTS:
            raise RuntimeError(f"job {job} has the counts {counts}")


def ghz() -> bytes:
    """Return the body of a submission of a GHZ state of five neighbours on a device of 27 qubits, transpiled for it."""
    rz, sx = math.pi / 2, {"name": "sx", "qubits": [GHZ_WAY[0]], "params": []}
    turn = {"name": "rz", "qubits": [GHZ_WAY[0]], "params": [rz]}
    pairs = [{"name": "cx", "qubits": list(pair), "params": []} for pair in itertools.pairwise(GHZ_WAY)]
    measured = {"name": "measure", "qubits": list(GHZ_WAY), "memory": list(range(len(GHZ_WAY)))}
    experiment = {
        "header": {"name": "ghz", "n_qubits": 27, "memory_slots": 5, "creg_sizes": [["c", 5]]},
        "config": {"n_qubits": 27, "memory_slots": 5},
        "instructions": [turn, sx, turn, *pairs, measured],
    }
    program = {
        "qobj_id": "ghz",
        "type": "QASM",
        "schema_version": "1.3.0",
        "header": {},
        "config": {"shots": SHOTS, "memory_slots": 5},
        "experiments": [experiment],
    }
    return json.dumps({"qObject": program, "backend": {"name": GHZ_DEVICE}}).encode()


def bell() -> bytes:
    """Return the body of a submission."""
    experiment = {
        "header": {"name": "bell", "n_qubits": 2, "memory_slots": 2, "creg_sizes": [["c", 2]]},
        "config": {"n_qubits": 2, "memory_slots": 2},
        "instructions": [
            {"name": "h", "qubits": [0], "params": []},
            {"name": "cx", "qubits": [0, 1], "params": []},
            {"name": "measure", "qubits": [0, 1], "memory": [0, 1]},
        ],
    }
    program = {
        "qobj_id": "bell",
        "type": "QASM",
        "schema_version": "1.3.0",
        "header": {},
        "config": {"shots": SHOTS, "memory_slots": 2},
        "experiments": [experiment],
    }
    return json.dumps({"qObject": program, "backend": {"name": "ibmq_qasm_simulator"}}).encode()


#: Five qubits in a row, all of whose couplings work.
GHZ_WAY: Final = (0, 1, 2, 3, 5)
GHZ_DEVICE: Final = "ibm_hanoi"
BELL: Final = bell()
GHZ: Final = ghz()


@contextlib.contextmanager
def serving(
    prepare: Callable[[Path], None] = lambda _folder: None, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a server over a new folder, on a real disk where the temporary folder is one.

    Args:
        prepare: Called with the folder before the server is started.
        environment: Settings besides the defaults.
    """
    variables = dict(os.environ) | {"CHANDELIER_DRIFT": "off"} | dict(environment or {})  # noqa: TID251  # handed on to the server as it is
    with tempfile.TemporaryDirectory(prefix="chandelier-bench-") as folder:
        base = [sys.executable, "-m", "chandelier"]
        made = subprocess.run(
            [*base, "init", "--data", folder, "--json"], capture_output=True, text=True, check=True, env=variables
        )
        token = json.loads(made.stdout)["operator"]["token"]
        prepare(Path(folder))
        log = Path(folder) / "bench.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*base, "serve", "--data", folder, "--host", "127.0.0.1", "--port", "0"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=variables,
            )
        try:
            port = _port(process, log)
            yield Server(port, log_in(port, token), folder, process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    for _ in range(600):
        if ready := re.search(r"^ready http://127\.0\.0\.1:(\d+)", log.read_text(), re.MULTILINE):
            return int(ready.group(1))
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start:\n{log.read_text()}")


def log_in(port: int, token: str) -> str:
    """Return an access token for an API token."""
    body = json.dumps({"apiToken": token}).encode()
    return str(Client(Server(port, "")).ask("POST", "/users/loginWithToken", body)["id"])


def through(client: Client, wait: Callable[[str], None], body: bytes | None = None) -> Callable[[], None]:
    """Return a function that takes one job from submission to result."""

    def job() -> None:
        name = client.submit(body)
        wait(name)
        client.fetch(name)

    return job


def by_upload(client: Client) -> Callable[[], None]:
    """Return a function that takes one job through the object storage."""

    def job() -> None:
        name = client.upload()
        client.poll(name)
        client.download(name)

    return job


def bare() -> Callable[[], None]:
    """Return a function that runs the same circuit on Aer in this process, on one thread."""
    # Imported here: the processes that only speak to the server stay free of it.
    from qiskit import QuantumCircuit  # noqa: PLC0415
    from qiskit_aer import AerSimulator  # noqa: PLC0415

    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    simulator = AerSimulator(max_parallel_threads=1)

    def job() -> None:
        counts = simulator.run(circuit, shots=SHOTS).result().get_counts()
        if sum(counts.values()) != SHOTS:
            raise RuntimeError(f"Aer has the counts {counts}")

    return job


def bare_noisy() -> Callable[[], None]:
    """Return a function that runs the noisy circuit on Aer in this process, as a user would."""
    from qiskit import QuantumCircuit  # noqa: PLC0415
    from qiskit_aer import AerSimulator  # noqa: PLC0415
    from qiskit_ibm_runtime.fake_provider import FakeHanoiV2  # noqa: PLC0415

    circuit = QuantumCircuit(27, 5)
    circuit.rz(math.pi / 2, 0)
    circuit.sx(0)
    circuit.rz(math.pi / 2, 0)
    for pair in itertools.pairwise(GHZ_WAY):
        circuit.cx(*pair)
    circuit.measure(GHZ_WAY, range(5))
    simulator = AerSimulator.from_backend(FakeHanoiV2())

    def job() -> None:
        counts = simulator.run(circuit, shots=SHOTS).result().get_counts()
        if sum(counts.values()) != SHOTS:
            raise RuntimeError(f"Aer has the counts {counts}")

    return job


def latencies(ways: dict[str, Callable[[], None]], rounds: int, jobs: int = 50) -> list[Latency]:
    """Measure all ways in turns; the first round only warms up."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, job in ways.items():
            for _ in range(jobs if "noisy, bare" not in name else max(1, jobs // 10)):
                begun = time.perf_counter()
                job()
                if number:
                    taken[name].append((time.perf_counter() - begun) * 1000)
    return [_quantiles(name, times) for name, times in taken.items()]


def _quantiles(name: str, times: list[float]) -> Latency:
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return Latency(name, len(times), statistics.median(times), cuts[89], cuts[98])


def api_rate(server: Server, clients: int, seconds: float, *, uploads: bool = False) -> Rate:
    """Let clients submit, wait and read one job after the other for a while."""
    done = [0] * clients
    end = time.perf_counter() + seconds

    def work(number: int) -> None:
        client = Client(server)
        job = by_upload(client) if uploads else through(client, client.poll)
        while time.perf_counter() < end:
            job()
            done[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Rate(
        "API, by upload" if uploads else "API, inline", clients, sum(done), sum(done) / (time.perf_counter() - begun)
    )


def bare_rate(processes: int, seconds: float) -> Rate:
    """Let processes run the circuit on Aer for a while; nothing is stored."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        done = pool.map(_bare_worker, [seconds] * processes, chunksize=1)
    return Rate("bare Aer", processes, sum(done), sum(done) / seconds)


def _bare_worker(seconds: float) -> int:
    job = bare()
    for _ in range(20):
        job()
    done = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        job()
        done += 1
    return done


def table(rows: list[dict[str, Any]], against: float, key: str) -> str:
    """Return rows as text, with the ratio of one column to a number."""
    lines = []
    for row in rows:
        cells = [f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values()]
        lines.append([*cells, f"{row[key] / against:.2f}"])
    lines.insert(0, [*rows[0], "ratio"])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run everything and return the figures."""
    cores = os.cpu_count() or 1
    with serving() as server:
        client = Client(server)
        ways = {
            "bare Aer": bare(),
            "API, polled": through(client, client.poll),
            "API, followed": through(client, client.follow),
            "API, by upload": by_upload(client),
            "GHZ noisy, bare Aer": bare_noisy(),
            "GHZ noisy, API": through(client, client.poll, GHZ),
        }
        latency = [asdict(one) for one in latencies(ways, arguments.rounds)]
        rates = [bare_rate(processes, arguments.seconds) for processes in sorted({1, cores})]
        rates += [api_rate(server, clients, arguments.seconds) for clients in arguments.clients]
        rates.append(api_rate(server, 16, arguments.seconds, uploads=True))
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"system": platform.platform(), "cores": cores, "python": platform.python_version()},
        "versions": {name: version(name) for name in ("chandelier", "qiskit", "qiskit-aer")},
        "circuit": {"name": "Bell", "shots": SHOTS},
        "latency": latency,
        "rate": [asdict(one) for one in rates],
    }


def main() -> None:
    """Measure, print, and keep the figures when asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=6, help="rounds of 50 jobs for the latency")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each measurement of a rate")
    parser.add_argument(
        "--clients",
        type=lambda text: [int(number) for number in text.split(",")],
        default=[1, 4, 16, 32],
        help="numbers of concurrent clients",
    )
    parser.add_argument("--write", action="store_true", help=f"write the figures to {RESULTS}")
    arguments = parser.parse_args()
    figures = measure(arguments)
    print(f"Bell, {SHOTS} shots, {figures['machine']['cores']} cores, {figures['when']}\n")
    print("From submission to result, one client; ratio of the medians to bare Aer:")
    print(table(figures["latency"], figures["latency"][0]["median_ms"], "median_ms") + "\n")
    print("Jobs per second, sustained, everything stored; ratio to bare Aer in one process:")
    print(table(figures["rate"], figures["rate"][0]["per_second"], "per_second"))
    if arguments.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        print(f"\nWritten to {RESULTS}")


if __name__ == "__main__":
    main()
