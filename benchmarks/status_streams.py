# SPDX-License-Identifier: Apache-2.0
"""What it costs to follow thousands of jobs over the status WebSocket, and how soon a change is told.

    python benchmarks/status_streams.py [--followers 5000] [--changes 200] [--idle 40] [--write]

The server is the real one with its defaults. Subscribers are another process; changes are made through the API (the
server commits them) and by a third process that opens the same store (the server only sees that something changed).
Beside it, with the same subscribers: an echo application on bare Starlette, and what polling would cost.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import math
import multiprocessing
import os
import platform
import resource
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import uvloop

from submit_to_result import Client, Server, log_in, serving, table

RESULTS: Final = Path(__file__).parent / "results" / "status_streams.json"
#: Clients of the former service that do not follow a job ask for its state this often, s.
POLL_SECONDS: Final = 5.0
_OF_ONE_USER: Final = 450
_AT_ONCE: Final = 100
_TEXT: Final = 0x81
_PONG: Final = 0x8A


@dataclass(frozen=True)
class Held:
    """What it costs to hold open streams on which nothing happens.

    Attributes:
        kb: Growth of resident memory for each stream, kB; `private_kb` without pages shared with other processes.
        accepted: Streams opened a second, the first status included.
        accept_us: Processor time of the server for each of them, us.
        idle_percent: Processor time while nothing happens (pings are answered), percent of one core.
    """

    name: str
    streams: int
    kb: float
    private_kb: float
    accepted: float
    accept_us: float
    idle_percent: float


@dataclass(frozen=True)
class Told:
    """How long changes took to reach their subscribers, ms."""

    name: str
    changes: int
    median_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float


class Subscriber(asyncio.Protocol):
    """One WebSocket that follows one job, by hand: it costs the machine little and notes when it is told."""

    def __init__(self, port: int, job: str, token: str) -> None:
        self._request = (
            f"GET /jobs/{job}/status/v/1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n"
        ).encode()
        self._greeting = json.dumps({"type": "authentication", "data": token}).encode()
        self._unread = b""
        self._open = False
        self.messages = 0
        self.told_at = 0
        self.code = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        """Ask for the upgrade."""
        self._transport = transport
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Read the upgrade's answer, then frames."""
        self._unread += data
        if not self._open:
            head, found, rest = self._unread.partition(b"\r\n\r\n")
            if not found:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._open, self._unread = True, rest
            self.say(_TEXT, self._greeting)
        while (frame := self._frame()) is not None:
            self._hear(*frame)

    def connection_lost(self, failure: Exception | None) -> None:
        """Fail who waits for the first status."""
        if not self.ready.done():
            self.ready.set_exception(failure or ConnectionError(f"closed with {self.code}"))

    def say(self, kind: int, content: bytes) -> None:
        """Send a short frame, masked with zeros."""
        length = bytes([0x80 | len(content)]) if len(content) < 126 else b"\xfe" + len(content).to_bytes(2, "big")
        self._transport.write(bytes([kind]) + length + bytes(4) + content)

    def _frame(self) -> tuple[int, bytes] | None:
        if len(self._unread) < 4:
            return None
        start, size = (4, int.from_bytes(self._unread[2:4], "big")) if self._unread[1] == 126 else (2, self._unread[1])
        if len(self._unread) < start + size:
            return None
        kind, content = self._unread[0], self._unread[start : start + size]
        self._unread = self._unread[start + size :]
        return kind, content

    def _hear(self, kind: int, content: bytes) -> None:
        if kind == 0x89:
            self.say(_PONG, content)
        elif kind == 0x88:
            self.code = int.from_bytes(content[:2], "big")
            self._transport.close()
        else:
            self.messages += 1
            self.told_at = time.monotonic_ns()
            if self.messages == 2 and not self.ready.done():
                self.ready.set_result(None)


class Subscribers:
    """The process that follows."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_subscribe, args=(theirs,), daemon=True)
        self._process.start()

    def dial(self, port: int, followed: Sequence[tuple[str, str]]) -> float:
        """Follow jobs, each with its token; return how long it took until all were told their state."""
        self._pipe.send((port, followed))
        answer = self._pipe.recv()
        if not isinstance(answer, float):
            raise RuntimeError(answer)  # noqa: TRY004  # it is the other process's complaint
        return answer

    def say(self, job: str, words: str) -> None:
        """Send something on a stream."""
        self._pipe.send((job, words))
        self._pipe.recv()

    def heard(self) -> dict[str, tuple[int, int, int]]:
        """Return for each job when it was last told (monotonic, ns), how many messages came, and the close code."""
        self._pipe.send(None)
        heard: dict[str, tuple[int, int, int]] = self._pipe.recv()
        return heard

    def end(self) -> None:
        """Let go of all streams."""
        self._process.terminate()
        self._process.join()


def _subscribe(pipe: Connection) -> None:
    raise_file_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_follow(pipe))


async def _follow(pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    open_: dict[str, Subscriber] = {}
    door = asyncio.Semaphore(_AT_ONCE)

    async def dial(port: int, job: str, token: str) -> None:
        async with door:
            _, subscriber = await loop.create_connection(lambda: Subscriber(port, job, token), "127.0.0.1", port)
            open_[job] = subscriber
            await subscriber.ready

    while True:
        match await asyncio.to_thread(pipe.recv):
            case None:
                pipe.send({job: (one.told_at, one.messages, one.code) for job, one in open_.items()})
            case (str(job), str(words)):
                open_[job].say(_TEXT, words.encode())
                pipe.send(None)
            case (port, followed):
                open_.clear()
                begun = time.perf_counter()
                try:
                    await asyncio.gather(*(dial(port, job, token) for job, token in followed))
                except (OSError, AssertionError) as failure:
                    pipe.send(f"A stream could not be opened: {failure!r}")
                else:
                    pipe.send(time.perf_counter() - begun)


def make_jobs(server: Server, count: int) -> list[tuple[str, str]]:
    """Return jobs that wait for their program, each with the token of who may follow it."""
    users = math.ceil(count / _OF_ONE_USER)
    made: list[tuple[str, str]] = []
    lock = threading.Lock()

    def work(number: int) -> None:
        command = [sys.executable, "-m", "chandelier", "user", "add", f"bench{number}@example.org", "--json"]
        done = subprocess.run([*command, "--data", server.folder], capture_output=True, text=True, check=True)
        access = log_in(server.port, json.loads(done.stdout)["token"])
        client = Client(Server(server.port, access))
        body = json.dumps({"backend": {"name": "ibmq_qasm_simulator"}, "allowObjectStorage": True}).encode()
        for _ in range(number, count, users):
            job = str(client.ask("POST", "/Jobs", body)["id"])
            with lock:
                made.append((job, access))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return made


def hold(name: str, server: Server, subscribers: Subscribers, followed: Sequence[tuple[str, str]], idle: float) -> Held:
    """Open streams and look at the server's process before, after, and while nothing happens."""
    before, private, spent = _resident(server.pid), _private(server.pid), _spent(server.pid)
    seconds = subscribers.dial(server.port, followed)
    accepting = _spent(server.pid) - spent
    time.sleep(3)
    grown, grown_private = _resident(server.pid) - before, _private(server.pid) - private
    spent = _spent(server.pid)
    time.sleep(idle)
    percent = (_spent(server.pid) - spent) / idle * 100
    count = len(followed)
    return Held(name, count, grown / count, grown_private / count, count / seconds, accepting / count * 1e6, percent)


def cancel_by_request(server: Server, chosen: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Cancel jobs one by one through the API; return when each was asked for (monotonic, ns)."""
    clients = {token: Client(Server(server.port, token)) for _, token in chosen}
    asked = {}
    for job, token in chosen:
        asked[job] = time.monotonic_ns()
        clients[token].ask("POST", f"/Jobs/{job}/cancel", b"{}")
        time.sleep(0.02)
    return asked


def cancel_by_process(server: Server, jobs: Sequence[str], *, together: bool) -> dict[str, int]:
    """Have another process cancel jobs, one by one or in one commit; return when each was committed."""
    command = [sys.executable, __file__, "--cancel", server.folder, *(["--together"] if together else [])]
    done = subprocess.run(command, input=json.dumps(jobs), capture_output=True, text=True, check=True)
    committed: dict[str, int] = json.loads(done.stdout)
    return committed


def _cancel(folder: str, *, together: bool) -> None:
    """Be that other process: read ids from the standard input, write when each was committed."""
    # Imported here: the other processes of the benchmark know the server by its API alone.
    from chandelier import settings, setup  # noqa: PLC0415
    from chandelier.jobs import outcomes, records  # noqa: PLC0415

    ids: list[str] = json.load(sys.stdin)
    committed: dict[str, int] = {}
    store = setup.open_store(settings.load({"data": Path(folder)}))
    with contextlib.closing(store):
        for batch in [ids] if together else [[one] for one in ids]:

            def work(tx: Any, batch: list[str] = batch) -> None:
                for job in batch:
                    outcomes.cancel(tx, records.get(tx, job), datetime.now(UTC))

            store.write(work)
            committed |= dict.fromkeys(batch, time.monotonic_ns())
            time.sleep(0.02)
    json.dump(committed, sys.stdout)


def told(name: str, subscribers: Subscribers, since: dict[str, int]) -> Told:
    """Wait until all changes were told and return how long each took."""
    for _ in range(300):
        heard = subscribers.heard()
        if all(heard[job][2] for job in since):
            break
        time.sleep(0.1)
    missing = [job for job in since if heard[job][2] != 4002 or heard[job][1] != 3]
    if missing:
        raise RuntimeError(f"{len(missing)} of {len(since)} changes were not told, such as {heard[missing[0]]}")
    # A change may be told before who made it is told that it is made.
    times = [max(0, heard[job][0] - at) / 1e6 for job, at in since.items()]
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return Told(name, len(times), statistics.median(times), cuts[89], cuts[98], max(times))


def poll_cost(server: Server, job: str, token: str, seconds: float = 5.0) -> float:
    """Return the processor time of the server for one status request, s."""
    client = Client(Server(server.port, token))
    for _ in range(100):
        client.ask("GET", f"/Jobs/{job}/status/v/1")
    spent, count = _spent(server.pid), 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        client.ask("GET", f"/Jobs/{job}/status/v/1")
        count += 1
    return (_spent(server.pid) - spent) / count


@contextlib.contextmanager
def bare_serving() -> Iterator[Server]:
    """Run the echo application on bare Starlette, with the server's own options for WebSockets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    process = subprocess.Popen([sys.executable, __file__, "--bare", str(port)])
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        yield Server(port, "", "", process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _serve_bare(port: int) -> None:
    import uvicorn  # noqa: PLC0415
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.routing import WebSocketRoute  # noqa: PLC0415
    from starlette.websockets import WebSocket, WebSocketDisconnect  # noqa: PLC0415

    status = json.dumps({"type": "job-status", "data": {"id": "0" * 24, "text": "x" * 500}}).encode()
    sockets: set[WebSocket] = set()

    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()
        await socket.send_bytes(b'{"type":"authenticated"}')
        await socket.send_bytes(status)
        sockets.add(socket)
        with contextlib.suppress(WebSocketDisconnect):
            while await socket.receive_text() == "tell all":
                await asyncio.gather(*(other.send_bytes(status) for other in sockets))
        sockets.remove(socket)

    uvicorn.run(
        Starlette(routes=[WebSocketRoute("/jobs/{job}/status/v/1", echo)]),
        port=port,
        log_level="warning",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        backlog=2048,
    )


def tell_all(subscribers: Subscribers, followed: Sequence[tuple[str, str]]) -> Told:
    """Have the echo application tell all its subscribers at once."""
    asked = time.monotonic_ns()
    subscribers.say(followed[0][0], "tell all")
    for _ in range(300):
        heard = subscribers.heard()
        if all(entry[1] == 3 for entry in heard.values()):
            break
        time.sleep(0.1)
    times = [(entry[0] - asked) / 1e6 for entry in heard.values()]
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return Told("bare Starlette, all at once", len(times), statistics.median(times), cuts[89], cuts[98], max(times))


def _resident(pid: int) -> float:
    return _memory(Path(f"/proc/{pid}/status"), ("VmRSS",))


def _private(pid: int) -> float:
    return _memory(Path(f"/proc/{pid}/smaps_rollup"), ("Private_Clean", "Private_Dirty"))


def _memory(file: Path, keys: tuple[str, ...]) -> float:
    lines = [line.split() for line in file.read_text(encoding="ascii").splitlines()]
    return sum(float(words[1]) for words in lines if words and words[0].rstrip(":") in keys)


def _spent(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def raise_file_limit() -> None:
    """Take as many open files as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def subscribing() -> Iterator[Subscribers]:
    """Run the process that follows."""
    subscribers = Subscribers()
    try:
        yield subscribers
    finally:
        subscribers.end()


def measure_server(followers: int, changes: int, idle: float) -> tuple[Held, list[Told], float]:
    """Return what holding the streams costs, how soon changes are told, and what one poll costs, s."""
    with serving() as server, subscribing() as subscribers:
        followed = make_jobs(server, followers + _AT_ONCE)
        cost = poll_cost(server, *followed[0])
        subscribers.dial(server.port, followed[followers:])  # loads what is loaded once
        held = hold("status streams", server, subscribers, followed[:followers], idle)
        jobs = [job for job, _ in followed]
        tellings = [
            told(
                "through the API, from the request",
                subscribers,
                cancel_by_request(server, followed[:changes]),
            ),
            told(
                "by another process, from the commit",
                subscribers,
                cancel_by_process(server, jobs[changes : 2 * changes], together=False),
            ),
            told(
                "by another process, all in one commit",
                subscribers,
                cancel_by_process(server, jobs[2 * changes : followers], together=True),
            ),
        ]
    return held, tellings, cost


def measure_bare(followers: int, idle: float) -> tuple[Held, Told]:
    """Return the same of the echo application."""
    followed = [(str(number), "0" * 64) for number in range(followers)]
    with bare_serving() as server, subscribing() as subscribers:
        subscribers.dial(server.port, followed[:_AT_ONCE])  # loads what is loaded once
        held = hold("bare Starlette, echo", server, subscribers, followed, idle)
        return held, tell_all(subscribers, followed)


def measure(followers: int, changes: int, idle: float) -> dict[str, Any]:
    """Run everything and return the figures."""
    raise_file_limit()
    bare, bare_told = measure_bare(followers, idle)
    held, tellings, cost = measure_server(followers, changes, idle)
    polls = followers / POLL_SECONDS
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "system": platform.platform(),
            "cores": os.cpu_count() or 1,
            "python": platform.python_version(),
        },
        "versions": {name: version(name) for name in ("chandelier", "uvicorn", "starlette", "websockets", "uvloop")},
        "held": [asdict(bare), asdict(held)],
        "told": [asdict(bare_told), *(asdict(one) for one in tellings)],
        "polling": {
            "every_seconds": POLL_SECONDS,
            "requests_per_second": polls,
            "us_per_request": cost * 1e6,
            "core_percent": polls * cost * 100,
            "mean_delay_ms": POLL_SECONDS / 2 * 1000,
        },
    }


def main() -> None:
    """Measure, print, and keep the figures when asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--followers", type=int, default=5000, help="streams that are open at the same time")
    parser.add_argument("--changes", type=int, default=200, help="changes that are made one by one, each way")
    parser.add_argument("--idle", type=float, default=40.0, help="seconds in which nothing happens")
    parser.add_argument("--write", action="store_true", help=f"write the figures to {RESULTS}")
    parser.add_argument("--cancel", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--together", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--bare", type=int, metavar="PORT", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cancel:
        _cancel(arguments.cancel, together=arguments.together)
        return
    if arguments.bare:
        _serve_bare(arguments.bare)
        return
    figures = measure(arguments.followers, arguments.changes, arguments.idle)
    print(f"{arguments.followers} streams, {figures['machine']['cores']} cores, {figures['when']}\n")
    print("Held while nothing happens; ratio of the memory to bare Starlette:")
    print(table(figures["held"], figures["held"][0]["kb"], "kb") + "\n")
    print("From a change to its subscriber; ratio of the medians to the mean delay of polling:")
    print(table(figures["told"], figures["polling"]["mean_delay_ms"], "median_ms") + "\n")
    print(f"Polling instead: {json.dumps(figures['polling'])}")
    if arguments.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        print(f"\nWritten to {RESULTS}")


if __name__ == "__main__":
    main()
