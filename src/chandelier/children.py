# SPDX-License-Identifier: Apache-2.0
"""One child process of a pool: started by the fork server, ready to be called, killed, buried.

Children are forked from a server process that has the entry module imported already, so that another one is ready
within a fraction of a second.
"""

import fcntl
import gc
import importlib
import multiprocessing
import os
import resource
import signal
import socket
import struct
import threading
import time
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

#: Longest message in either direction, in bytes.
MESSAGE_LIMIT: Final = 1 << 20
#: A child that is not ready after this many seconds will not be.
START_LIMIT: Final = 60.0
#: A pipe that stands still for this many seconds in the middle of a message is broken.
STALL_LIMIT: Final = 10

_READY: Final = b"ready"
_HINT_LENGTH: Final = 4000

# Whenever `multiprocessing` starts a child it looks at all others, and an exit code can be read only once:
# without the lock one is lost now and then.
_fork_server = threading.Lock()


class Child:
    """One process and the server's end of its pipe.

    Attributes:
        calls: Messages that it was given.
        retiring: Another child is to take its place; it serves until that is ready.
        exitcode: None until it is buried.
    """

    def __init__(self, process: BaseProcess, connection: Connection) -> None:
        assert process.pid is not None
        self.connection = connection
        self.pid = process.pid
        self.started = datetime.now(UTC)
        self.calls = 0
        self.retiring = False
        self.exitcode: int | None = None
        self.gone = threading.Event()
        self._process = process
        self._lock = threading.Lock()
        self._at_start = 0

    def kill(self) -> None:
        """Kill the process unless it is known to be dead: its pid may be somebody else's by then."""
        with self._lock:
            if not self.gone.is_set():
                with suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)

    def await_ready(self) -> str | None:
        """Return None as soon as the child can be called, or why it never will; empty if it said nothing."""
        if not wait([self.connection, self._process.sentinel], START_LIMIT):
            return f"it is not ready after {START_LIMIT:g} seconds"
        try:
            word = self.connection.recv_bytes(MESSAGE_LIMIT) if self.connection.poll(0) else b""
        except (EOFError, OSError):
            return ""
        self._at_start = self._held()
        return None if word == _READY else word.decode(errors="replace")

    def grown(self) -> int:
        """Memory that the process holds beyond what it held when it got ready, bytes; 0 if the system does not tell."""
        return self._held() - self._at_start

    def _held(self) -> int:
        """Memory of its own, and what it shares with its siblings since it was forked, bytes; no files."""
        try:
            _, resident, shared, *_ = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()
        except (OSError, ValueError):
            return 0
        return (int(resident) - int(shared)) * resource.getpagesize()

    def bury(self) -> int:
        """Wait for the end of the process and return its exit code; only one thread may call this."""
        wait([self._process.sentinel])
        with _fork_server, self._lock:
            self.exitcode = exitcode = self._process.exitcode or 0
            # This closes the pipe that ties the child to us: it dies even if only the fork server was killed.
            self._process.close()
            self.gone.set()
        return exitcode


def prepare(entry: str) -> None:
    """Start the fork server, if there is none, and return at once, while it loads the entry module.

    Children that are started later wait for that, and so need not wait for what the caller does meanwhile.
    """
    with _fork_server, suppress(OSError):  # whoever starts a child tries again, and tells why it fails
        multiprocessing.get_context("forkserver").set_forkserver_preload([__name__, entry])
        forkserver.ensure_running()


def start(entry: str) -> Child:
    """Start a child.

    Raises:
        EOFError, OSError: The fork server does not start it.
    """
    context = multiprocessing.get_context("forkserver")
    # An entry module that fails with something else than ImportError ends the fork server that preloads it;
    # the later attempts therefore leave the import, and the report of its failure, to the child. They are several,
    # with growing pauses, because a fork server that is ending refuses for a while before it counts as dead.
    for attempt in range(7):
        preload = [__name__, entry] if attempt < 2 else [__name__]
        ours, theirs = multiprocessing.Pipe()
        process = context.Process(target=_live, args=(entry, theirs), name="chandelier-child", daemon=True)
        try:
            with _fork_server:
                context.set_forkserver_preload(preload)
                process.start()
            _limit_stalls(ours)
            return Child(process, ours)
        except (EOFError, OSError) as error:
            ours.close()
            failure = error
            time.sleep(0.05 * 2.0**attempt)
        finally:
            theirs.close()
    raise failure


def _limit_stalls(connection: Connection) -> None:
    limit = struct.pack("ll", STALL_LIMIT, 0)
    with socket.socket(fileno=os.dup(connection.fileno())) as pipe:
        pipe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        pipe.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def _live(entry: str, connection: Connection) -> None:
    """Be a child: load the entry module, say so, serve."""
    _die_with_server()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # else SIGXCPU writes the whole memory to disk
    try:
        module = importlib.import_module(entry)
        gc.freeze()  # else every collection looks at all modules, and thereby copies the memory that children share
        getattr(module, "warm_up", _nothing)()
        serve = module.serve
    except (Exception, SystemExit):  # noqa: BLE001 - whatever it is, the server tells it
        connection.send_bytes(traceback.format_exc().encode()[-_HINT_LENGTH:])
        return
    connection.send_bytes(_READY)
    serve(connection)


def _nothing() -> None:
    """Warm nothing up."""


def _die_with_server() -> None:
    """Arrange that this process ends when the server closes its end of their pipe, most of all by dying.

    Linux kills the process itself: the thread gets no turn while a library computes and holds the
    interpreter.
    """
    server = multiprocessing.parent_process()
    assert server is not None
    pipe = server.sentinel
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)

    def watch() -> None:
        wait([pipe])
        os._exit(1)

    threading.Thread(target=watch, name="server-watch", daemon=True).start()


def signal_name(exitcode: int) -> str | None:
    """Name the signal that ended a process; None if none did."""
    try:
        return signal.Signals(-exitcode).name if exitcode < 0 else None
    except ValueError:
        return f"signal {-exitcode}"


def ending(exitcode: int) -> str:
    """Say how a process ended."""
    return signal_name(exitcode) or f"exit code {exitcode}"
