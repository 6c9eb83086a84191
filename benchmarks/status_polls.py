# SPDX-License-Identifier: Apache-2.0
"""How many status polls a second one core answers, beside bare Starlette and beside FastAPI with an ORM.

    python benchmarks/status_polls.py [--seconds 5] [--rounds 3] [--connections 32] [--write]

The server is the real one with its defaults: each poll has its token checked, and the job is on disk. Each server runs
on one core and the client on another; the servers take turns, so that a busy machine disturbs them alike.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, cast

import uvloop

from submit_to_result import Client, serving, table

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "results" / "status_polls.json"
CACHE: Final = HERE.parent / ".cache" / "peers"


@dataclass(frozen=True)
class Target:
    """A server that answers polls.

    Attributes:
        pid: The process that answers.
        request: What is sent.
    """

    name: str
    port: int
    pid: int
    request: bytes


@dataclass(frozen=True)
class Rate:
    """What a server did, by the clock and by its own processor time.

    Attributes:
        p99_ms: Time from request to answer that 99 of 100 keep, while all connections ask as fast as they can.
    """

    name: str
    polls: int
    per_second: float
    per_core_second: float
    p99_ms: float


class Asker(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, request: bytes, taken: list[float]) -> None:
        self._request = request
        self._taken = taken
        self._begun = 0.0
        self._missing = 0
        self._head = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is no subclass
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Look whether the answer is whole."""
        if self._missing:
            self._missing -= len(data)
        else:
            self._head += data
            head, found, body = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"answered {head!r}")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            self._missing = length - len(body)
        if self._missing == 0:
            self._taken.append(time.perf_counter() - self._begun)
            self._head = b""
            self._ask()

    def _ask(self) -> None:
        assert self._transport is not None
        self._begun = time.perf_counter()
        self._transport.write(self._request)


def measure(target: Target, connections: int, seconds: float) -> Rate:
    """Ask for a while."""

    async def ask() -> tuple[list[float], float, float]:
        taken: list[float] = []
        loop = asyncio.get_running_loop()
        made = [
            await loop.create_connection(lambda: Asker(target.request, taken), "127.0.0.1", target.port)
            for _ in range(connections)
        ]
        await asyncio.sleep(1)
        taken.clear()
        begun, used = time.perf_counter(), processor_seconds(target.pid)
        await asyncio.sleep(seconds)
        found, wall = list(taken), time.perf_counter() - begun
        spent = processor_seconds(target.pid) - used
        for transport, _ in made:
            transport.abort()
        return found, wall, spent

    taken, wall, spent = uvloop.run(ask())
    p99 = statistics.quantiles(taken, n=100)[98] * 1000
    return Rate(target.name, len(taken), len(taken) / wall, len(taken) / spent, p99)


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def request(path: str, token: str) -> bytes:
    """Return a poll as the client library sends it, without what no server looks at."""
    lines = (
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "User-Agent: python-requests/2.33.1",
        "Accept-Encoding: gzip, deflate",
        "Accept: */*",
        "Connection: keep-alive",
        "X-Qx-Client-Application: qiskit-ibmq-provider,qiskit-terra/0.20.2,0.24.1",
        f"X-Access-Token: {token}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@contextlib.contextmanager
def chandelier() -> Iterator[Target]:
    """Run the product, with one job that has ended, and poll it as the client of 2023 does: under its project."""
    with serving() as server:
        client = Client(server)
        job = client.submit()
        client.poll(job)
        path = f"/api/Network/ibm-q/Groups/open/Projects/main/Jobs/{job}/status/v/1"
        yield Target("Chandelier", server.port, server.pid, request(path, server.access))


@contextlib.contextmanager
def peer(name: str, python: Path, app: str, port: int, database: Path) -> Iterator[Target]:
    """Run an application with the same server."""
    process = subprocess.Popen(
        [str(python), "-m", "uvicorn", app, "--port", str(port), "--no-access-log", "--log-level", "warning"],
        cwd=HERE / "peers",
        env={"PEER_DATABASE": str(database)},
    )
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield Target(name, port, process.pid, request("/api/Jobs/job/status/v/1", "token"))
    finally:
        process.terminate()
        process.wait(10)


def peers_python() -> Path:
    """Return a Python with what the peers need, installed once."""
    python = CACHE / "bin" / "python"
    done = CACHE / "complete"
    if not done.exists():
        venv.create(CACHE, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]
        subprocess.run([*install, str(HERE / "peers" / "requirements.txt")], check=True)
        done.touch()
    return python


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    python = peers_python()
    rates: dict[str, list[Rate]] = {}
    with tempfile.TemporaryDirectory(prefix="peers-") as folder, contextlib.ExitStack() as stack:
        database = Path(folder) / "peer.sqlite"
        # Threads begin where the process that starts them may run, so the servers are started on their core.
        os.sched_setaffinity(0, cores[:1])
        targets = [
            stack.enter_context(chandelier()),
            stack.enter_context(peer("bare Starlette", Path(sys.executable), "starlette_app:app", 18761, database)),
            stack.enter_context(peer("FastAPI, SQLAlchemy ORM", python, "fastapi_app:app", 18762, database)),
        ]
        os.sched_setaffinity(0, cores[-1:])
        for _ in range(options.rounds):
            for target in targets:
                rates.setdefault(target.name, []).append(measure(target, options.connections, options.seconds))
    middle = [sorted(found, key=lambda rate: rate.per_core_second)[len(found) // 2] for found in rates.values()]
    base = next(rate for rate in middle if rate.name == "bare Starlette")
    print(table([asdict(rate) for rate in middle], base.per_core_second, "per_core_second"))
    if options.write:
        figures = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {"system": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()},
            "rates": [asdict(rate) for rate in middle],
        }
        RESULTS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
