# SPDX-License-Identifier: Apache-2.0
"""The database: SQLite by default, PostgreSQL by URL; the only place that begins and ends transactions.

A write is a function of a `Transaction`. On SQLite one thread runs all writes: it takes what has gathered, runs each
function in a savepoint and answers them all after one durable commit, so that durability costs a crowd no more than
one caller. On PostgreSQL each write is a transaction of its own on a pooled connection.
"""

import contextlib
import functools
import queue
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar, overload

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from chandelier import errors
from chandelier.store import bell as bells
from chandelier.store.prepared import Prepared, Rows

T = TypeVar("T")

#: Every table of the house; each is declared, privately, by the one module that writes it.
metadata: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_BUSY_SECONDS: Final = 15.0
#: How often SQLite is asked whether another process (the command line) has written.
_POLL_SECONDS: Final = 0.02
_BATCH: Final = 64
#: How often a write is tried again that waited for another that waited for it.
_DEADLOCKS: Final = 5
_CHANNEL: Final = "chandelier"
#: By these codes PostgreSQL says that two transactions were in each other's way: `serialization_failure` and
#: `deadlock_detected`.
_CROSSED: Final = frozenset({"40001", "40P01"})
_LOCK: Final = Prepared(sa.select(sa.func.pg_advisory_xact_lock(sa.bindparam("key", type_=sa.BigInteger))))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class UtcMilliseconds(sa.types.TypeDecorator[datetime]):
    """An aware UTC time, kept as whole milliseconds since 1970: the precision that the wire shows."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: sa.Dialect) -> int | None:
        """Return milliseconds since 1970."""
        return None if value is None else to_milliseconds(value)

    def process_result_value(self, value: int | None, _dialect: sa.Dialect) -> datetime | None:
        """Return an aware UTC time."""
        return None if value is None else from_milliseconds(value)


def to_milliseconds(moment: datetime) -> int:
    """Return whole milliseconds since 1970; `moment` must be aware."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def from_milliseconds(milliseconds: int) -> datetime:
    """Return the aware UTC time of milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


class Transaction:
    """One open transaction: what core functions call `tx`."""

    def __init__(self, connection: sa.Connection, *, writing: bool = True, rings: int = -1) -> None:
        self._connection = connection
        self._writing = writing
        #: Of a view: how often the bell had rung when it was opened; what it shows may be older than any later ring.
        self.rings = rings
        self.topics: list[str] = []
        self._matters: set[str] = set()

    @property
    def connection(self) -> sa.Connection:
        """The connection, for schema changes and their tests."""
        return self._connection

    @property
    def skips_locked(self) -> bool:
        """Whether rows can be claimed by several writers at once (`FOR UPDATE SKIP LOCKED`)."""
        return self._writing and self._connection.dialect.name == "postgresql"

    @overload
    def execute(self, statement: Prepared, rows: Any = None) -> Rows: ...

    @overload
    def execute(self, statement: sa.Executable, rows: Any = None) -> sa.CursorResult[*tuple[Any, ...]]: ...

    def execute(self, statement: sa.Executable | Prepared, rows: Any = None) -> Any:
        """Run one statement (`rows`: one mapping or a list of them) and return its result."""
        if isinstance(statement, Prepared):
            return statement.run(self._connection, rows)
        result = self._connection.execute(statement, rows)
        assert isinstance(result, sa.CursorResult)
        return result

    def alone(self, matter: str) -> None:
        """Wait until no other writer is in the same matter, and keep others out until the end."""
        if self.skips_locked and matter not in self._matters:
            self._matters.add(matter)
            self.execute(_LOCK, {"key": zlib.crc32(matter.encode())})

    def ring(self, *topics: str) -> None:
        """Ask for the bell to be rung after the commit."""
        self.topics.extend(topics)

    def hush(self, topic: str) -> None:
        """Do not ring for a topic after all: what it was asked for has been seen to."""
        self.topics = [each for each in self.topics if each != topic]


def insert_if_absent(tx: Transaction, table: sa.Table, row: dict[str, Any]) -> bool:
    """Insert a row unless one of its key is there; return whether it was inserted."""
    return tx.execute(_inserting(table, tx.skips_locked), row).rowcount == 1


@functools.cache
def _inserting(table: sa.Table, on_postgresql: bool) -> Prepared:
    insert = postgresql.insert if on_postgresql else sqlite.insert
    return Prepared(insert(table).inline().on_conflict_do_nothing())


class Database:
    """An open database; `close` waits for the writes already taken.

    Args:
        url: An SQLAlchemy URL, `sqlite:///…` or `postgresql+psycopg://…`.
        bell: Rung after each commit with the topics that the transaction named, and for writes of other processes.

    Raises:
        errors.Unavailable: The URL is of another kind, or the database does not answer.
    """

    def __init__(self, url: str, bell: bells.Bell) -> None:
        self.url = _parsed(url)
        self._bell = bell
        self._closed = threading.Event()
        backend = self.url.get_backend_name()
        if backend == "sqlite":
            self._engine = _sqlite_engine(self.url)
            self._reading: dict[str, Any] = {}
            self._writer: _SqliteWriter | _PostgresWriter = _SqliteWriter(self._engine, bell)
        elif backend == "postgresql":
            self._engine = sa.create_engine(
                self.url, pool_size=16, max_overflow=16, pool_pre_ping=True, hide_parameters=True
            )
            self._reading = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            self._writer = _PostgresWriter(self._engine, bell)
        else:
            raise errors.Unavailable(f"database_url is of kind {backend!r}; use sqlite or postgresql+psycopg.", 1008)

    @property
    def embedded(self) -> bool:
        """Whether reads are so cheap (an indexed read: tens of microseconds) that the event loop may do them."""
        return self.url.get_backend_name() == "sqlite"

    @contextlib.contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Open one consistent view of the database; nothing may be written through it."""
        rings = self._bell.rings
        with (
            _translated(),
            self._engine.connect().execution_options(**self._reading) as connection,
            connection.begin(),
        ):
            yield Transaction(connection, writing=False, rings=rings)

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one consistent view of the database and return what it returns."""
        with self.reading() as tx:
            return work(tx)

    def submit(self, work: Callable[[Transaction], T]) -> "Future[T]":
        """Hand `work` to the writer; the future is done after the durable commit, or has what `work` raised."""
        return self._writer.submit(work)

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction and return what it returns, after the durable commit."""
        return self.submit(work).result()

    def alter(self, work: Callable[[Transaction], None]) -> None:
        """Run `work`, which changes the schema, in a transaction of its own."""
        if not self.embedded:
            self.write(work)
            return
        with _translated(), self._engine.connect().execution_options(immediate=True) as connection:
            # SQLite changes a table by making it anew, and would delete with the old one what refers to it.
            _pragma(connection, "foreign_keys=OFF")
            try:
                with connection.begin():
                    work(Transaction(connection))
                    assert not _pragma(connection, "foreign_key_check")
            finally:
                _pragma(connection, "foreign_keys=ON")

    def watch(self) -> None:
        """Begin to hear what other processes write; a server calls this once, the command line never."""
        self._writer.watch()

    def close(self) -> None:
        """Finish the writes already taken and let go of every connection."""
        if not self._closed.is_set():
            self._closed.set()
            self._writer.close()
            self._engine.dispose()


def _parsed(url: str) -> sa.URL:
    try:
        return sa.make_url(url)
    except sa.exc.ArgumentError as failure:
        raise errors.Unavailable(f"database_url is not a URL: {failure}", 1008) from failure


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn a database that does not answer into `errors.Unavailable`, a value it cannot hold into `errors.Invalid`."""
    try:
        yield
    except sa.exc.DataError as failure:
        raise errors.Invalid(f"The database cannot hold a value: {failure.orig}", 1001) from failure
    except (sa.exc.OperationalError, sa.exc.TimeoutError) as failure:
        reason = getattr(failure, "orig", None) or failure
        raise errors.Unavailable(f"The database does not answer: {reason}", 1008) from failure
    except sa.exc.DatabaseError as failure:
        if type(failure) is not sa.exc.DatabaseError:
            raise  # a constraint, say: a fault of ours, not of the database
        raise errors.Unavailable(
            f"The database is damaged: {failure.orig}. Restore it from a backup.", 1008
        ) from failure


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    # Parameters, which may be addresses and hashes, stay out of the messages of failures, and so out of the log.
    engine = sa.create_engine(
        url, pool_size=16, max_overflow=64, connect_args={"timeout": _BUSY_SECONDS}, hide_parameters=True
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        # The driver would begin transactions by its own rules; the "begin" event below does it by ours.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _pragma(connection: sa.Connection, text: str) -> list[tuple[Any, ...]]:
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
    """A function waiting for the writer, and the future its caller waits for."""

    def __init__(self, work: Callable[[Transaction], Any]) -> None:
        self.work = work
        self.future: Future[Any] = Future()
        self.topics: list[str] = []
        self.value: Any = None
        self.failure: Exception | None = None

    def run(self, connection: sa.Connection, *, alone: bool) -> None:
        """Run so that a failure undoes this write and no other: in a savepoint, unless it is the only one."""
        tx = Transaction(connection)
        try:
            with _translated(), contextlib.nullcontext() if alone else connection.begin_nested():
                self.value = self.work(tx)
        except Exception as failure:  # noqa: BLE001  # handed to the caller who waits
            self.failure = failure
        else:
            self.topics = tx.topics

    def answer(self) -> None:
        """Tell the caller; only after the commit."""
        if self.failure is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(self.failure)


class _SqliteWriter:
    """The one thread that writes to SQLite."""

    def __init__(self, engine: sa.Engine, bell: bells.Bell) -> None:
        self._engine = engine
        self._bell = bell
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._watching = False
        self._looked = 0.0
        self._version = 0

    def submit(self, work: Callable[[Transaction], T]) -> "Future[T]":
        write = _Write(work)
        with self._lock:
            if self._closed:
                raise errors.Unavailable("The server is stopping.", 1008)
            self._start()
            self._queue.put(write)
        return write.future

    def watch(self) -> None:
        self._watching = True
        self.submit(lambda _tx: None)  # starts the thread, or wakes it from a wait without end

    def close(self) -> None:
        with self._lock:
            self._closed = True
            thread = self._thread
            self._queue.put(None)
        if thread is not None:
            thread.join()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, name="database-writer", daemon=True)
            self._thread.start()

    def _loop(self) -> None:
        while True:
            try:
                with _translated(), self._engine.connect().execution_options(immediate=True) as connection:
                    self._version = self._data_version(connection)
                    self._work(connection)
                    return
            except Exception as failure:  # noqa: BLE001  # without this thread nobody would ever be answered
                if self._refuse(failure):
                    return

    def _work(self, connection: sa.Connection) -> None:
        """Write until closed."""
        open_ = True
        while open_:
            batch = self._gather()
            open_ = None not in batch
            self._commit(connection, [write for write in batch if write is not None])
            self._listen(connection)

    def _refuse(self, failure: Exception) -> bool:
        """Tell those who wait that the database cannot be opened; return whether the writer is closed."""
        batch = self._gather()
        for write in batch:
            if write is not None:
                write.failure = failure
                write.answer()
        return None in batch

    def _gather(self) -> "list[_Write | None]":
        try:
            batch = [self._queue.get(timeout=_POLL_SECONDS if self._watching else None)]
        except queue.Empty:
            return []
        with contextlib.suppress(queue.Empty):
            while len(batch) < _BATCH:
                batch.append(self._queue.get_nowait())
        return batch

    def _commit(self, connection: sa.Connection, batch: list[_Write]) -> None:
        if not batch:
            return
        try:
            with _translated(), connection.begin() as transaction:
                for write in batch:
                    write.run(connection, alone=len(batch) == 1)
                    _check_standing(connection, write)
                if len(batch) == 1 and batch[0].failure is not None:
                    transaction.rollback()
        except Exception as failure:  # noqa: BLE001  # every caller of the batch is told
            for write in batch:
                write.failure = write.failure or failure
        # Before the answers: whoever is answered must not be told afterwards what was remembered from before.
        self._bell.ring(*(topic for write in batch if write.failure is None for topic in write.topics))
        for write in batch:
            write.answer()

    def _listen(self, connection: sa.Connection) -> None:
        # The value changes only when *another* connection has committed, so our own writes do not ring twice.
        now = time.monotonic()
        if self._watching and now - self._looked >= _POLL_SECONDS:
            self._looked = now
            version = self._data_version(connection)
            if version != self._version:
                self._version = version
                self._bell.ring_all()

    @staticmethod
    def _data_version(connection: sa.Connection) -> int:
        return int(_pragma(connection, "data_version")[0][0])


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


class _PostgresWriter:
    """Writes on pooled connections, each a transaction; the bell crosses processes by LISTEN and NOTIFY."""

    def __init__(self, engine: sa.Engine, bell: bells.Bell) -> None:
        self._engine = engine
        self._bell = bell
        self._name = uuid.uuid4().hex
        self._threads = ThreadPoolExecutor(max_workers=12, thread_name_prefix="database-writer")
        self._closed = threading.Event()
        self._listener: threading.Thread | None = None

    def submit(self, work: Callable[[Transaction], T]) -> "Future[T]":
        try:
            return self._threads.submit(self._run, work)
        except RuntimeError as failure:
            raise errors.Unavailable("The server is stopping.", 1008) from failure

    def watch(self) -> None:
        self._listener = threading.Thread(target=self._listen, name="database-listener", daemon=True)
        self._listener.start()

    def close(self) -> None:
        self._closed.set()
        self._threads.shutdown(wait=True)
        if self._listener is not None:
            self._listener.join()

    def _run(self, work: Callable[[Transaction], T]) -> T:
        for _ in range(_DEADLOCKS):
            with contextlib.suppress(_Crossed):
                return self._try(work)
        raise errors.Unavailable("The database is too busy with other writes. Try again.", 1008)

    def _try(self, work: Callable[[Transaction], T]) -> T:
        with _translated(), _crossing(), self._engine.begin() as connection:
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
