# SPDX-License-Identifier: Apache-2.0
"""A pool of child processes that run engine calls, each of which can be killed at any moment.

A pool has numbered slots; a slot has one child at a time and one call at a time. A child that dies is replaced
within a fraction of a second; one that has grown, or has worked for long, serves on until its successor is ready, and
is then replaced between two calls. The entry module is known by name only: its `serve(connection)` answers messages
until the pipe ends, and an optional `warm_up()` prepares a child before its first call.

Messages are small; programs and results travel as files.
"""

import atexit
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from chandelier import children, errors
from chandelier.children import Child

#: The entry module of a cloud's own pool; known by name only, so that the server process never loads the physics.
ENGINE: Final = "chandelier.engines.child"
#: After the end of its pipe a child has this many seconds to be dead.
DEATH_LIMIT: Final = 5.0
#: Seconds of pause after a child that ended without a call; they double from the first value to the second.
BACKOFF: Final = (0.1, 30.0)
#: A child that holds so many bytes more than at its start is replaced, so that what it keeps between calls, and what
#: the holes between that cost, never adds up. The caches of a child are well below.
GROWTH: Final = 256 << 20
#: A child is replaced after so many calls, for what a library loses a little of with each.
CALLS: Final = 100_000

_log = logging.getLogger(__name__)


class CallError(Exception):
    """Base of the ways in which a call ends without an answer. The child is gone in each of them."""


class ChildDied(CallError):
    """The child died of itself during the call.

    Args:
        exitcode: Its exit code, or the negative number of the signal that ended it: `-SIGXCPU` for the soft
            limit of processor time, `-SIGKILL` when the kernel ran out of memory (kills by this module raise
            other errors).
    """

    def __init__(self, exitcode: int) -> None:
        super().__init__(f"The child process ended with {children.ending(exitcode)}.")
        self.exitcode = exitcode
        self.signal_name = children.signal_name(exitcode)


class Overran(CallError):
    """The call took longer than `timeout` seconds and the child was killed."""

    def __init__(self, timeout: float) -> None:
        super().__init__(f"The call took longer than {timeout:g} seconds.")
        self.timeout = timeout


class Killed(CallError):
    """`Call.kill` or `Pool.close` ended the call."""

    def __init__(self) -> None:
        super().__init__("The call was killed.")


class Garbled(CallError):
    """The child did not answer with one whole message within the size limit, and was killed."""


State = Literal["starting", "idle", "busy", "failing", "closed"]


@dataclass(frozen=True)
class SlotHealth:
    """What is known of one slot.

    Attributes:
        state: `failing` means that the last child did not get ready; another attempt is made now and then.
        pid: Of the child that is ready or busy.
        started: When that child was started.
        restarts: Children started after the first.
        problem: Why the slot is failing; the end of the traceback if the entry module raised.
    """

    slot: int
    state: State
    pid: int | None
    started: datetime | None
    restarts: int
    problem: str | None


class Call:
    """One message given to a child, until `wait` ends.

    A kill concerns this call only: when it comes after the end of the call, nothing happens to the child.
    """

    def __init__(self, child: Child, finish: Callable[[Child, bool], None]) -> None:
        self.child = child
        self._finish = finish
        self._lock = threading.Lock()
        self._ended = False
        self._killed = False

    def kill(self) -> bool:
        """Kill the child if the call is still running, from any thread; say whether it was."""
        with self._lock:
            if self._ended:
                return False
            self._killed = True
            self.child.kill()
            return True

    def wait(self, timeout: float) -> bytes:
        """Return the answer; must be called once, for the slot is busy until then.

        Args:
            timeout: Seconds from now after which the child is killed.

        Raises:
            ChildDied: The child died of itself.
            Overran: The time was up.
            Killed: `kill` was called, or the pool was closed.
            Garbled: The child answered something else than one message.
        """
        assert not self._ended, "A call is waited for once."
        answer = self._receive(timeout)
        with self._lock:
            self._ended = True
            outcome = Killed() if self._killed else answer
        if isinstance(outcome, CallError):
            self.child.kill()
            self._finish(self.child, False)
            raise outcome
        self._finish(self.child, True)
        return outcome

    def _receive(self, timeout: float) -> bytes | CallError:
        connection = self.child.connection
        try:
            if connection.poll(max(timeout, 0.0)):
                return connection.recv_bytes(children.MESSAGE_LIMIT)
        except (EOFError, ConnectionError):
            return self._post_mortem()
        except OSError as error:
            return Garbled(f"The child's answer is broken: {error}.")
        return Overran(timeout)

    def _post_mortem(self) -> CallError:
        self.child.gone.wait(DEATH_LIMIT)
        if self.child.exitcode is None:
            return Garbled("The child closed its pipe without an answer and went on.")
        return ChildDied(self.child.exitcode)


class Slot:
    """A place for one child and one call at a time; a thread of its own replaces each child that dies.

    While a child is to be replaced there are two of each: the child's thread ends with it, that of its successor stays.
    """

    def __init__(self, index: int, entry: str) -> None:
        self._index = index
        self._entry = entry
        self._changed = threading.Condition()
        self._newest: Child | None = None  # started, perhaps not ready yet
        self._child: Child | None = None  # ready
        self._heir: Child | None = None  # ready too, while that has a call
        self._call: Call | None = None
        self._starts = 0
        self._idle_deaths = 0  # children in a row that ended without a call
        self._problem = ""
        self._closing = False
        self._keepers: list[threading.Thread] = []
        self._hire()

    def call(self, message: bytes, *, timeout: float) -> bytes:
        """Give `message` to the child and return its answer; raises what `start` and `Call.wait` raise."""
        return self.start(message).wait(timeout)

    def start(self, message: bytes) -> Call:
        """Give `message` to the child, once one is ready.

        Raises:
            errors.Unavailable: Children of this slot do not get ready, or the pool is closed. The message was
                not acted upon.
            ValueError: The message is longer than `children.MESSAGE_LIMIT`.
        """
        if len(message) > children.MESSAGE_LIMIT:
            raise ValueError(f"The message has {len(message)} bytes; at most {children.MESSAGE_LIMIT} are allowed.")
        for _ in range(3):
            child, call = self._take()
            with suppress(OSError):
                # What can be read before the question is an answer too many, or the end of the child.
                if not child.connection.poll(0):
                    child.connection.send_bytes(message)
                    child.calls += 1
                    return call
            child.kill()
            self._finish(child, False)
        raise errors.Unavailable(f"Child processes for {self._entry} die while they wait for a call.", 1011)

    def ready(self, timeout: float = 0.0) -> bool:
        """Whether a call could start at once; waits up to `timeout` seconds for it."""
        with self._changed:
            return self._changed.wait_for(lambda: self._child is not None and self._call is None, timeout)

    def health(self) -> SlotHealth:
        """Return what is known of the slot."""
        with self._changed:
            return SlotHealth(
                slot=self._index,
                state=self._state(),
                pid=self._child.pid if self._child else None,
                started=self._child.started if self._child else None,
                restarts=max(self._starts - 1, 0),
                problem=self._problem or None,
            )

    def close(self) -> None:
        """Kill the child, with the call that it has, and start no other."""
        with self._changed:
            self._closing = True
            if self._call is not None:
                self._call.kill()
            for child in (self._newest, self._child, self._heir):
                if child is not None:
                    child.kill()
            self._changed.notify_all()

    def join(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for the end of a closed slot's children."""
        with self._changed:
            keepers = list(self._keepers)
        for keeper in keepers:
            keeper.join(timeout)

    def _hire(self) -> None:
        self._keepers = [keeper for keeper in self._keepers if keeper.is_alive()]
        keeper = threading.Thread(target=self._keep, name=f"pool-slot-{self._index}", daemon=True)
        self._keepers.append(keeper)
        keeper.start()

    def _state(self) -> State:
        if self._closing:
            return "closed"
        if self._call is not None:
            return "busy"
        if self._child is not None:
            return "idle"
        return "failing" if self._problem else "starting"

    def _take(self) -> tuple[Child, Call]:
        def settled() -> bool:
            return self._child is not None or bool(self._problem) or self._closing

        with self._changed:
            assert self._call is None, "A slot takes one call at a time."
            self._changed.wait_for(settled, children.START_LIMIT)
            if self._closing:
                raise errors.Unavailable("The pool is closed.", 1008)
            if self._child is None:
                problem = self._problem or f"none was ready within {children.START_LIMIT:g} seconds"
                raise errors.Unavailable(f"No child process for {self._entry}: {problem}", 1011)
            self._call = Call(self._child, self._finish)
            return self._child, self._call

    def _finish(self, child: Child, healthy: bool) -> None:
        with self._changed:
            self._call = None
            if not healthy or child.gone.is_set():
                if self._child is child:  # else its replacement is ready by now
                    self._child = None
                child.connection.close()
            elif not (child.retiring or self._closing) and (child.calls >= CALLS or child.grown() > GROWTH):
                _log.info("Slot %d replaces its child, which has grown by %d bytes", self._index, child.grown())
                child.retiring = True
                self._hire()
            self._succeed()
            self._changed.notify_all()

    def _succeed(self) -> None:
        """Let the heir, if there is one, take the place of a child that has no call."""
        if self._heir is not None and (self._call is None or self._child is None):
            if self._child is not None:
                self._child.kill()
            self._child, self._heir = self._heir, None

    def _keep(self) -> None:
        while True:
            with self._changed:
                if self._idle_deaths:
                    first, longest = BACKOFF
                    pause = min(first * 2.0 ** min(self._idle_deaths - 1, 16), longest)
                    self._changed.wait_for(lambda: self._closing, pause)
                if self._closing:
                    return
                self._starts += 1
            child = self._occupy()
            if child is not None and child.retiring:
                return

    def _occupy(self) -> Child | None:
        """Start a child and stay with it until it is gone; None if it could not be started."""
        try:
            child = children.start(self._entry)
        except (EOFError, OSError) as error:
            self._fail(f"the fork server does not start it ({error!r}); its log has the reason")
            return None
        with self._changed:
            self._newest = child
            if self._closing:
                child.kill()
        problem = child.await_ready()
        if problem is None:
            with self._changed:
                self._problem = ""
                self._heir = child
                self._succeed()
                self._changed.notify_all()
        else:
            child.kill()
        exitcode = child.bury()
        if problem is not None:
            child.connection.close()
            self._fail(problem or f"it ended with {children.ending(exitcode)} before it was ready")
        else:
            self._lose(child)
        return child

    def _fail(self, problem: str) -> None:
        with self._changed:
            self._idle_deaths += 1
            self._problem = problem
            if not self._closing:
                _log.error("Slot %d has no child process for %s: %s", self._index, self._entry, problem)
            self._changed.notify_all()

    def _lose(self, child: Child) -> None:
        with self._changed:
            self._idle_deaths = 0 if child.calls else self._idle_deaths + 1
            if self._child is child:
                self._child = None
            if self._heir is child:
                self._heir = None
            self._succeed()
            if self._call is None or self._call.child is not child:  # else the call may be reading
                child.connection.close()
            self._changed.notify_all()


class Pool:
    """The slots, until `close`."""

    def __init__(self, entry: str, size: int) -> None:
        self._slots = tuple(Slot(index, entry) for index in range(size))
        # At exit `multiprocessing` kills the children that it knows and then waits for their replacements.
        atexit.register(self.close)

    def slot(self, index: int) -> Slot:
        """Return one of the slots, numbered from 0."""
        return self._slots[index]

    def health(self) -> list[SlotHealth]:
        """Return what is known of each slot."""
        return [slot.health() for slot in self._slots]

    def close(self) -> None:
        """Kill all children; calls that run end with `Killed`."""
        atexit.unregister(self.close)
        for slot in self._slots:
            slot.close()
        for slot in self._slots:
            slot.join(children.STALL_LIMIT)


def open_pool(entry: str, size: int) -> Pool:
    """Return at once a pool of `size` slots whose children are being started.

    Args:
        entry: Name of a module with `serve(connection)` and perhaps `warm_up()`; it never comes from input.
        size: Number of children.
    """
    return Pool(entry, size)
