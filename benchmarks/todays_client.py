# SPDX-License-Identifier: Apache-2.0
"""How long a small job takes through the unmodified client of today, beside the same client without any server.

    python benchmarks/todays_client.py [--rounds 5] [--write]

The server is the real one with its defaults; `qiskit-ibm-runtime` submits a sampler job to it and waits for the result
as anybody would. Beside it: `SamplerV2` of the same client in its local mode on a simulator of Aer, in the same
process; and the bare requests that the client makes for a job, one after the other, without the client. All take turns;
read the ratios before the milliseconds.
"""

import argparse
import http.client
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import submit_to_result

RESULTS: Final = Path(__file__).parent / "results" / "todays_client.json"
SHOTS: Final = 1024
JOBS: Final = 20
#: What both sides run, and where.
SIMULATOR: Final = "ibmq_qasm_simulator"


@dataclass(frozen=True)
class Figure:
    """Quantiles of a sample, in milliseconds, and how many requests a job took."""

    name: str
    jobs: int
    median_ms: float
    p90_ms: float
    requests: float | None = None


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with submit_to_result.serving() as server:
        told = subprocess.run(
            [
                sys.executable,
                "-m",
                "chandelier",
                "env",
                "--json",
                "--data",
                server.folder,
                "--url",
                f"http://127.0.0.1:{server.port}",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        # The client reads these when it is loaded, and nothing of it is loaded yet.
        os.environ.update(json.loads(told.stdout)["variables"])  # noqa: TID251  # for the client, as a shell would
        figures = measured(options.rounds)
    for each in figures:
        print(f"{each.name:45} {each.median_ms:8.1f} ms  {each.p90_ms:8.1f} ms (90 %)  requests {each.requests}")
    if options.write:
        facts = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": f"{os.cpu_count()} cores, {platform.system()}",
            "versions": {name: version(name) for name in ("qiskit", "qiskit-aer", "qiskit-ibm-runtime")},
            "shots": SHOTS,
            "figures": [asdict(each) for each in figures],
        }
        RESULTS.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def measured(rounds: int) -> list[Figure]:
    """Measure all ways in turns; the first round only warms up."""
    # Imported here, when the surroundings are set.
    from qiskit import QuantumCircuit  # noqa: PLC0415
    from qiskit_aer import AerSimulator  # noqa: PLC0415
    from qiskit_ibm_runtime import QiskitRuntimeService, SamplerV2  # noqa: PLC0415
    from qiskit_ibm_runtime.api import session  # noqa: PLC0415

    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    service = QiskitRuntimeService()
    there, here = SamplerV2(mode=service.backend(SIMULATOR)), SamplerV2(mode=AerSimulator(max_parallel_threads=1))
    asked = [0]
    request = session.RetrySession.request

    def counted(self: Any, *arguments: Any, **more: Any) -> Any:
        asked[0] += 1
        return request(self, *arguments, **more)

    session.RetrySession.request = counted

    def sample(sampler: Any) -> Callable[[], Any]:
        def job() -> Any:
            found = sampler.run([circuit], shots=SHOTS).result()[0].data.meas.get_counts()
            if sum(found.values()) != SHOTS:
                raise RuntimeError(f"the counts are {found}")

        return job

    ways: dict[str, Callable[[], Any]] = {
        "today's client, this server": sample(there),
        "the same requests without the client": bare(there, circuit),
        "today's client, local mode on Aer": sample(here),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    requests: dict[str, int] = dict.fromkeys(ways, 0)
    for number in range(rounds + 1):
        for name, job in ways.items():
            for _ in range(JOBS):
                before, begun = asked[0], time.perf_counter()
                job()
                if number:
                    taken[name].append((time.perf_counter() - begun) * 1000)
                    requests[name] += asked[0] - before
    found = []
    for name, times in taken.items():
        cuts = statistics.quantiles(times, n=10, method="inclusive")
        each = requests[name] / len(times)
        found.append(Figure(name, len(times), statistics.median(times), cuts[8], round(each, 2) if each else None))
    return found


def bare(sampler: Any, circuit: Any) -> Callable[[], None]:
    """Return a function that makes the requests of a job by itself: usage, status, job, its state, its result."""
    from qiskit_ibm_runtime import RuntimeEncoder  # noqa: PLC0415

    backend = sampler.backend()
    base = urlsplit(os.environ["QISKIT_IBM_URL"])  # noqa: TID251  # set above
    token = json.loads(_post_token())["access_token"]
    headers = {
        "Authorization": f"Bearer {token}",
        "Service-CRN": os.environ["QISKIT_IBM_INSTANCE"],  # noqa: TID251  # set above
        "IBM-API-Version": "2026-04-15",
        "Content-Type": "application/json",
    }
    params = {"pubs": [[circuit, [], SHOTS]], "options": {}, "version": 2, "support_qiskit": True}
    body = json.dumps({"program_id": "sampler", "backend": backend.name, "params": params}, cls=RuntimeEncoder)
    connection = http.client.HTTPConnection(base.hostname or "", base.port, timeout=60)

    def ask(method: str, path: str, content: str | None = None) -> Any:
        connection.request(method, base.path + path, content, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text!r}")
        return json.loads(text)

    def job() -> None:
        ask("GET", "/instances/usage")
        ask("GET", f"/backends/{backend.name}/status")
        name = ask("POST", "/jobs", body)["id"]
        while ask("GET", f"/jobs/{name}?exclude_params=true")["state"]["status"] != "Completed":
            pass
        ask("GET", f"/jobs/{name}/results")

    return job


def _post_token() -> bytes:
    url = urlsplit(os.environ["IAM_URL"])  # noqa: TID251  # set above
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)
    key = os.environ["QISKIT_IBM_TOKEN"]  # noqa: TID251  # set above
    form = f"grant_type=urn:ibm:params:oauth:grant-type:apikey&apikey={key}&response_type=cloud_iam"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", f"{url.path}/identity/token", form, kind)
    return connection.getresponse().read()


if __name__ == "__main__":
    main()
