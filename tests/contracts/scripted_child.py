# SPDX-License-Identifier: Apache-2.0
"""An entry module whose child does what each message says."""

import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

_imported_by = os.getpid()
_warm: list[int] = []
_kept: list[bytearray] = []


def warm_up() -> None:
    """Leave a trace that a script can ask for."""
    _warm.append(os.getpid())


def serve(connection: Connection) -> None:
    """Follow one script after the other: a JSON list of steps, each a list of a name and arguments."""
    while True:
        try:
            script = connection.recv_bytes()
        except EOFError:
            return
        for name, *arguments in json.loads(script):
            STEPS[name](connection, *arguments)


def _answer(connection: Connection, value: Any) -> None:
    connection.send_bytes(json.dumps(value).encode())


def _facts(connection: Connection) -> None:
    facts = {
        "pid": os.getpid(),
        "imported_by": _imported_by,
        "warm": _warm == [os.getpid()],
        "modules": sorted(sys.modules),
    }
    facts["core_limit"] = resource.getrlimit(resource.RLIMIT_CORE)[0]
    facts["sigint_ignored"] = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    _answer(connection, facts)


def _spin(_connection: Connection, cpu_seconds: int) -> None:
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + cpu_seconds, resource.RLIM_INFINITY))
    while True:
        pass


def _allocate(connection: Connection, size: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
    try:
        bytearray(size)
    except MemoryError:
        _answer(connection, "MemoryError")


def _keep(_connection: Connection, size: int) -> None:
    _kept.append(bytearray(b"x") * size)


def _fill_and_free(_connection: Connection, size: int) -> None:
    assert len(bytearray(b"x") * size) == size


def _fill(connection: Connection, size: int) -> None:
    connection.send_bytes(bytes(size))


def _hold(_connection: Connection) -> None:
    # A PyDLL keeps the interpreter for itself during the call, as a simulation may.
    ctypes.PyDLL(None).sleep(3600)


def _exit(_connection: Connection, code: int) -> None:
    os._exit(code)


def _die(_connection: Connection, name: str) -> None:
    os.kill(os.getpid(), signal.Signals[name])


def _raw(connection: Connection, text: str) -> None:
    os.write(connection.fileno(), bytes.fromhex(text))


def _sleep(_connection: Connection, seconds: float) -> None:
    time.sleep(seconds)


def _close(connection: Connection) -> None:
    connection.close()
    time.sleep(3600)


STEPS: dict[str, Callable[..., None]] = {
    "allocate": _allocate,
    "answer": _answer,
    "close": _close,
    "die": _die,
    "exit": _exit,
    "facts": _facts,
    "fill": _fill,
    "fill_and_free": _fill_and_free,
    "hold": _hold,
    "keep": _keep,
    "raw": _raw,
    "sleep": _sleep,
    "spin": _spin,
}
