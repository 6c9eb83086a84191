# SPDX-License-Identifier: Apache-2.0
"""Writing to SQLite: one at a time, by whoever comes first, who writes for those that have gathered meanwhile.

A thread that wants to write does so itself if nobody writes. Else it waits, and when the writer is through it is told,
or takes over: then it runs all that has gathered, each function in a savepoint, and answers them after one durable
commit. So one who comes alone wakes no other thread, and a crowd shares a commit.

Source: D. Hendler, I. Incze, N. Shavit, M. Tzafrir, Flat Combining (SPAA 2010).
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from chandelier import errors
from chandelier.store.bell import Bell
from chandelier.store.transactions import Transaction, translated

T = TypeVar("T")

_BUSY_SECONDS: Final = 15.0
#: How often SQLite is asked whether another process (the command line) has written.
_POLL_SECONDS: Final = 0.02
#: Most writes that share a commit.
_BATCH: Final = 64


def engine(url: sa.URL) -> sa.Engine:
    """Return what connects to a file; its folder is made."""
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    # Parameters, which may be addresses and hashes, stay out of the messages of failures, and so out of the log.
    made = sa.create_engine(
        url, pool_size=16, max_overflow=64, connect_args={"timeout": _BUSY_SECONDS}, hide_parameters=True
    )

    @sa.event.listens_for(made, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        # The driver would begin transactions by its own rules; the "begin" event below does it by ours.
        connection.isolation_level = None
        for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {setting}")

    @sa.event.listens_for(made, "begin")
    def _begin(connection: sa.Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return made


def pragma(connection: sa.Connection, text: str) -> list[tuple[Any, ...]]:
    """Run a pragma by the driver itself, since it belongs to no transaction."""
    cursor = connection.connection.cursor()
    try:
        return list(cursor.execute(f"PRAGMA {text}").fetchall())
    finally:
        cursor.close()


def _check_standing(connection: sa.Connection, write: "_Write") -> None:
    """Raise what a write failed with if its neighbours are undone too, as SQLite does on a full disk.

    The commit would say nothing of it.
    """
    driver: Any = connection.connection.driver_connection
    if write.failure is not None and not driver.in_transaction:
        raise write.failure


class _Write:
    """A function that is to be run, and whoever waits for it."""

    __slots__ = ("_gate", "durable", "failure", "future", "leads", "topics", "value", "work")

    def __init__(
        self, work: Callable[[Transaction], Any], future: "Future[Any] | None" = None, *, durable: bool = True
    ) -> None:
        self.work = work
        self.durable = durable
        #: Told of the outcome, where nobody waits in `wait`.
        self.future = future
        self.leads = False
        self.topics: list[str] = []
        self.value: Any = None
        self.failure: Exception | None = None
        self._gate = threading.Lock()
        self._gate.acquire()

    def run(self, connection: sa.Connection, *, alone: bool) -> None:
        """Run so that a failure undoes this write and no other: in a savepoint, unless it is the only one."""
        if self.future is not None and not self.future.set_running_or_notify_cancel():
            self.failure = errors.Unavailable("The write was taken back.", 1008)
            return
        tx = Transaction(connection)
        try:
            with translated(), contextlib.nullcontext() if alone else connection.begin_nested():
                self.value = self.work(tx)
        except Exception as failure:  # noqa: BLE001  # handed to the caller who waits
            self.failure = failure
        else:
            self.topics = tx.topics

    def wait(self) -> None:
        """Wait until the outcome is there, or until it is one's turn to lead."""
        self._gate.acquire()

    def lead(self) -> None:
        """Tell who waits that it is their turn."""
        self.leads = True
        self._gate.release()

    def answer(self) -> None:
        """Tell who waits that the outcome is there; only after the commit."""
        if self.future is None:
            self._gate.release()
        elif self.future.cancelled():
            pass
        elif self.failure is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(self.failure)


class SqliteWriter:
    """Who writes to SQLite: one thread at a time, which leads."""

    def __init__(self, made: sa.Engine, bell: Bell) -> None:
        self._engine = made
        self._bell = bell
        #: Guards what follows.
        self._lock = threading.Lock()
        self._waiting: deque[_Write] = deque()
        self._led = False
        self._closed = False
        self._idle = threading.Condition(self._lock)
        self._helping = threading.Condition(self._lock)
        self._helper: threading.Thread | None = None
        #: Of the one who leads.
        self._connection: sa.Connection | None = None
        self._watching = False
        self._looked = 0.0
        self._version = 0

    def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Run a function in a transaction and return what it returns, after the commit.

        Args:
            durable: Nothing is answered before it is on disk; else the power may go with it, but not with part of it.
        """
        write = _Write(work, durable=durable)
        if not self._join(write):
            try:
                write.wait()
            except BaseException:  # interrupted: it may be its turn to lead by now
                self._abandon(write)
                raise
        if write.leads:
            self._lead()
        if write.failure is not None:
            raise write.failure
        value: T = write.value
        return value

    def submit(self, work: Callable[[Transaction], T]) -> "Future[T]":
        """The same in another thread."""
        future: Future[T] = Future()
        with self._lock:
            self._take(_Write(work, future))
            self._start_helper()
            self._helping.notify()
        return future

    def watch(self) -> None:
        """Begin to hear what other processes write."""
        with self._lock:
            self._watching = True
            self._start_helper()
            self._helping.notify()

    def close(self) -> None:
        """Wait for the writes already taken, and take no more."""
        with self._lock:
            self._closed = True
            self._helping.notify()
            self._idle.wait_for(lambda: not (self._led or self._waiting))
            helper = self._helper
        if helper is not None:
            helper.join()
        if self._connection is not None:
            self._connection.close()

    def _take(self, write: _Write) -> None:
        if self._closed:
            raise errors.Unavailable("The server is stopping.", 1008)
        self._waiting.append(write)

    def _join(self, write: _Write) -> bool:
        """Add a write; tell whether its thread leads, because nobody does and nobody waits."""
        with self._lock:
            write.leads = not (self._led or self._waiting)
            self._take(write)
            self._led = self._led or write.leads
            return write.leads

    def _lead(self) -> None:
        """Do what has gathered, then let another lead if more has come meanwhile."""
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        try:
            self._commit(batch)
        except BaseException:  # whoever leads is interrupted: the others must not wait for ever
            for write in batch:
                write.failure = write.failure or errors.Unavailable("The write was interrupted.", 1008)
            raise
        finally:
            for write in batch:
                if not write.leads:
                    write.answer()
            self._hand_on()

    def _abandon(self, write: _Write) -> None:
        """Leave the queue; who has been told to lead meanwhile lets another do so."""
        with self._lock:
            waits = write in self._waiting
            if waits:
                self._waiting.remove(write)
        if waits and write.leads:
            self._hand_on()

    def _hand_on(self) -> None:
        with self._lock:
            following = self._waiting[0] if self._waiting else None
            if following is not None and following.future is None:
                following.lead()
                return
            self._led = False
            if following is not None or self._closed:
                self._helping.notify()
            if following is None:
                self._idle.notify_all()

    def _commit(self, batch: list[_Write]) -> None:
        try:
            connection = self._connected()
            if batch:
                self._run(connection, batch)
            # Before the answers: whoever is answered must not be told afterwards what was remembered from before.
            self._bell.ring(*(topic for write in batch if write.failure is None for topic in write.topics))
            self._listen(connection)
        except Exception as failure:  # noqa: BLE001  # every caller of the batch is told
            self._connection = None  # it could not be opened, or is of no use any more
            for write in batch:
                write.failure = write.failure or failure

    def _connected(self) -> sa.Connection:
        if self._connection is None:
            with translated():
                connection = self._engine.connect().execution_options(immediate=True)
                self._version = _data_version(connection)
                self._connection = connection
        return self._connection

    @staticmethod
    def _run(connection: sa.Connection, batch: list[_Write]) -> None:
        # This changes only whether a commit is synced, not what is in it: with a write-ahead log the file stays whole
        # in any case. Source: SQLite, PRAGMA synchronous.
        relaxed = not any(write.durable for write in batch)
        if relaxed:
            pragma(connection, "synchronous=NORMAL")
        try:
            with translated(), connection.begin() as transaction:
                for write in batch:
                    write.run(connection, alone=len(batch) == 1)
                    _check_standing(connection, write)
                if len(batch) == 1 and batch[0].failure is not None:
                    transaction.rollback()
        except Exception as failure:  # noqa: BLE001  # every caller of the batch is told
            for write in batch:
                write.failure = write.failure or failure
        finally:
            if relaxed:
                pragma(connection, "synchronous=FULL")

    def _listen(self, connection: sa.Connection) -> None:
        # The value changes only when *another* connection has committed, so our own writes do not ring twice.
        now = time.monotonic()
        if self._watching and now - self._looked >= _POLL_SECONDS:
            self._looked = now
            version = _data_version(connection)
            if version != self._version:
                self._version = version
                self._bell.ring_all()

    def _start_helper(self) -> None:
        if self._helper is None:
            self._helper = threading.Thread(target=self._help, name="database-writer", daemon=True)
            self._helper.start()

    def _help(self) -> None:
        """Lead for those who do not wait themselves, and listen while nobody writes."""
        while True:
            with self._lock:
                self._helping.wait_for(self._is_help_wanted, _POLL_SECONDS if self._watching else None)
                if self._closed and not self._waiting:
                    return
                if self._led or not (self._waiting or self._watching):
                    continue
                self._led = True
            self._lead()

    def _is_help_wanted(self) -> bool:
        return (self._closed and not self._waiting) or bool(self._waiting and not self._led)


def _data_version(connection: sa.Connection) -> int:
    return int(pragma(connection, "data_version")[0][0])
