# SPDX-License-Identifier: Apache-2.0
"""Writing to PostgreSQL: each write a transaction of its own; the bell crosses processes by LISTEN and NOTIFY."""

import contextlib
import functools
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from chandelier import errors
from chandelier.store.bell import Bell
from chandelier.store.transactions import Transaction, translated

T = TypeVar("T")

#: How many transactions write at once.
_MOST: Final = 12
#: How often a write is tried again that waited for another that waited for it.
_DEADLOCKS: Final = 5
_CHANNEL: Final = "chandelier"
#: By these codes PostgreSQL says that two transactions were in each other's way: `serialization_failure` and
#: `deadlock_detected`.
_CROSSED: Final = frozenset({"40001", "40P01"})
_RELAX: Final = sa.text("SET LOCAL synchronous_commit TO OFF")
#: How a view is opened.
READING: Final[dict[str, Any]] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def engine(url: sa.URL) -> sa.Engine:
    """Return what connects to a server."""
    return sa.create_engine(url, pool_size=16, max_overflow=16, pool_pre_ping=True, hide_parameters=True)


def _relaxed(work: Callable[[Transaction], T], tx: Transaction) -> T:
    tx.execute(_RELAX)
    return work(tx)


class _Crossed(Exception):
    """Two transactions waited for each other, and this one was undone."""


@contextlib.contextmanager
def _crossing() -> Iterator[None]:
    """Tell a transaction that may be tried again from one that failed."""
    try:
        yield
    except sa.exc.OperationalError as failure:
        if getattr(failure.orig, "sqlstate", None) in _CROSSED:
            raise _Crossed from failure
        raise


class PostgresWriter:
    """Writes on pooled connections, each a transaction; the bell crosses processes by LISTEN and NOTIFY."""

    def __init__(self, engine: sa.Engine, bell: Bell) -> None:
        self._engine = engine
        self._bell = bell
        self._name = uuid.uuid4().hex
        self._room = threading.BoundedSemaphore(_MOST)
        self._threads = ThreadPoolExecutor(max_workers=_MOST, thread_name_prefix="database-writer")
        self._closed = threading.Event()
        self._listener: threading.Thread | None = None

    def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Run a function in a transaction of its own, in the thread that calls.

        Args:
            durable: As of `sqlite.SqliteWriter.write`.
        """
        with self._room:
            if self._closed.is_set():
                raise errors.Unavailable("The server is stopping.", 1008)
            return self._run(work if durable else functools.partial(_relaxed, work))

    def submit(self, work: Callable[[Transaction], T]) -> "Future[T]":
        """The same in another thread."""
        try:
            return self._threads.submit(self.write, work)
        except RuntimeError as failure:
            raise errors.Unavailable("The server is stopping.", 1008) from failure

    def watch(self) -> None:
        """Begin to hear what other processes write."""
        self._listener = threading.Thread(target=self._listen, name="database-listener", daemon=True)
        self._listener.start()

    def close(self) -> None:
        """Wait for the writes already taken, and take no more."""
        self._threads.shutdown(wait=True)
        self._closed.set()
        for _ in range(_MOST):  # those that are at it
            self._room.acquire()
        self._room.release(_MOST)
        if self._listener is not None:
            self._listener.join()

    def _run(self, work: Callable[[Transaction], T]) -> T:
        for _ in range(_DEADLOCKS):
            with contextlib.suppress(_Crossed):
                return self._try(work)
        raise errors.Unavailable("The database is too busy with other writes. Try again.", 1008)

    def _try(self, work: Callable[[Transaction], T]) -> T:
        with translated(), _crossing(), self._engine.begin() as connection:
            tx = Transaction(connection)
            value = work(tx)
            if tx.topics:
                message = " ".join([self._name, *tx.topics])
                # NOTIFY takes at most 8000 bytes; a longer list means "look at everything".
                message = message if len(message) < 7000 else self._name
                connection.execute(sa.select(sa.func.pg_notify(_CHANNEL, message)))
        self._bell.ring(*tx.topics)
        return value

    def _listen(self) -> None:
        import psycopg  # noqa: PLC0415  # it takes long to load, and SQLite needs none of it

        url = self._engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        while not self._closed.is_set():
            try:
                with psycopg.connect(url, autocommit=True) as connection:
                    connection.execute(f"LISTEN {_CHANNEL}")
                    self._bell.ring_all()  # what was said before we listened
                    while not self._closed.is_set():
                        for notice in connection.notifies(timeout=0.2):
                            self._hear(notice.payload)
            except psycopg.Error:
                self._closed.wait(1.0)

    def _hear(self, message: str) -> None:
        name, *topics = message.split(" ")
        if name == self._name:
            return
        if topics:
            self._bell.ring(*topics)
        else:
            self._bell.ring_all()
