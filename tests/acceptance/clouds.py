# SPDX-License-Identifier: Apache-2.0
"""A cloud as its user starts it: a folder, a process, a URL.

Everything here goes through the command line and through sockets; nothing of the package is imported, so that
these tests keep their meaning whatever the house looks like inside.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from api import Api

START_LIMIT: Final = 60.0
STOP_LIMIT: Final = 30.0

Seen = TypeVar("Seen")


class Cloud:
    """One data folder and the server process over it.

    Args:
        folder: An empty folder; holds `data/` and `server.log`.
        environment: All variables of the processes, settings included.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.data = folder / "data"
        self.log = folder / "server.log"
        # Unless a test asks for it, nothing changes by itself: numbers are those of the snapshots.
        self.environment = {"CHANDELIER_DRIFT": "off"} | dict(environment)
        #: Tokens and signed URLs that went over the wire; none of them may show up in a log.
        self.secrets: set[str] = set()
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.account: dict[str, Any] = self.json("init")
        self.secrets.add(self.token)

    @property
    def token(self) -> str:
        """The operator's API token."""
        return str(self.account["operator"]["token"])

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The server process, running or not."""
        assert self._process is not None, "the cloud was not started"
        return self._process

    @property
    def root(self) -> str:
        """The server's address without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The base URL that clients are given."""
        return f"{self.root}/api"

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a `chandelier` subcommand over the folder and return how it ended, failed or not."""
        return subprocess.run(
            [sys.executable, "-m", "chandelier", *arguments, "--data", str(self.data)],
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=START_LIMIT,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        """Run a subcommand that must succeed and return its `--json` answer."""
        done = self.command(*arguments, "--json")
        assert done.returncode == 0, f"chandelier {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def add_user(self, email: str, *options: str) -> dict[str, Any]:
        """Create a user; returns its `id`, `email` and API `token`."""
        user: dict[str, Any] = self.json("user", "add", email, *options)
        self.secrets.add(user["token"])
        return user

    def api(self, token: str | None = None) -> Api:
        """Speak to the server as the operator, or as the owner of an API token."""
        return Api(self.url, token or self.token, self.secrets)

    def start(self) -> None:
        """Serve until the ready line appears; a restart listens on the same port as before."""
        seen = self.log.stat().st_size if self.log.exists() else 0
        command = [sys.executable, "-m", "chandelier", "serve"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--data", str(self.data), "--host", "127.0.0.1", "--port", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )

        def ready() -> re.Match[bytes] | None:
            assert self.process.poll() is None, f"the server ended: {self.tail()}"
            return re.search(rb"^ready http://127\.0\.0\.1:(\d+)", self.log.read_bytes()[seen:], re.MULTILINE)

        self.port = int(eventually(ready, START_LIMIT, f"no ready line in {self.log}").group(1))

    def stop(self) -> int:
        """Ask the server to stop, as `kill` and service managers do, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_LIMIT)

    def kill(self) -> None:
        """Take the server away without a word; its children are left to themselves."""
        self.process.kill()
        self.process.wait(STOP_LIMIT)

    def clear(self) -> None:
        """End whatever still runs, children of a killed server included."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_LIMIT)

    def tail(self, characters: int = 3000) -> str:
        """Return the end of the log, for messages of failed tests."""
        return self.log.read_text(errors="replace")[-characters:]


#: Starts a private cloud; see the fixture `start_cloud`.
Start = Callable[..., Cloud]


def eventually(look: Callable[[], Seen | None], limit: float, complaint: str, every: float = 0.05) -> Seen:
    """Return what `look` returns once it is true.

    Args:
        look: Asked again and again.
        limit: Seconds after which the test fails.
        complaint: What did not happen, said in the failure.
        every: Seconds between two looks.
    """
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if seen := look():
            return seen
        time.sleep(every)
    raise AssertionError(f"{complaint} (waited {limit} s)")


def descendants(pid: int) -> set[int]:
    """Return the ids of a process's children, their children and so on (Linux)."""
    children: dict[int, list[int]] = {}
    for child, fields in _processes():
        children.setdefault(int(fields[1]), []).append(child)
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        new = children.get(waiting.pop(), [])
        found.update(new)
        waiting.extend(new)
    return found


def busiest(pids: set[int], over: float = 0.5) -> int:
    """Return which of the processes computes most during the next `over` seconds."""
    before = _ticks(pids)
    time.sleep(over)
    after = _ticks(pids)
    return max(after, key=lambda pid: after[pid] - before.get(pid, 0))


def kill(pid: int) -> None:
    """Take one process away without a word."""
    os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def paused(pids: set[int]) -> Iterator[None]:
    """Let processes stand still for a while."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def alive(pids: set[int]) -> set[int]:
    """Return those of the processes that still exist and are not waiting to be reaped."""
    return {pid for pid, fields in _processes() if pid in pids and fields[0] != "Z"}


def _ticks(pids: set[int]) -> dict[int, int]:
    return {pid: int(fields[11]) + int(fields[12]) for pid, fields in _processes() if pid in pids}


def _processes() -> Iterator[tuple[int, list[str]]]:
    """Yield each process id with the fields of its `stat` line from the state on.

    Source: proc_pid_stat(5); the command in parentheses may contain anything, so cut behind the last one.
    """
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "stat").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield int(folder.name), line.rpartition(")")[2].split()
