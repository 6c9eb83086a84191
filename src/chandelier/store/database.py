# SPDX-License-Identifier: Apache-2.0
"""The database: SQLite by default, PostgreSQL by URL; the only place that begins and ends transactions.

A write is a function of a `Transaction`. On SQLite one thread at a time writes, for all that have gathered (`sqlite`);
on PostgreSQL each write is a transaction of its own on a pooled connection (`postgresql`).
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as postgresql_dialect
from sqlalchemy.dialects import sqlite as sqlite_dialect

from chandelier import errors
from chandelier.store import postgresql, sqlite
from chandelier.store.bell import Bell
from chandelier.store.prepared import Prepared
from chandelier.store.transactions import Transaction, translated

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


def insert_if_absent(tx: Transaction, table: sa.Table, row: dict[str, Any]) -> bool:
    """Insert a row unless one of its key is there; return whether it was inserted."""
    return tx.execute(_inserting(table, tx.skips_locked), row).rowcount == 1


@functools.cache
def _inserting(table: sa.Table, on_postgresql: bool) -> Prepared:
    insert = postgresql_dialect.insert if on_postgresql else sqlite_dialect.insert
    return Prepared(insert(table).inline().on_conflict_do_nothing())


class Database:
    """An open database; `close` waits for the writes already taken.

    Args:
        url: An SQLAlchemy URL, `sqlite:///…` or `postgresql+psycopg://…`.
        bell: Rung after each commit with the topics that the transaction named, and for writes of other processes.

    Raises:
        errors.Unavailable: The URL is of another kind, or the database does not answer.
    """

    def __init__(self, url: str, bell: Bell) -> None:
        self.url = _parsed(url)
        self._bell = bell
        self._closed = threading.Event()
        backend = self.url.get_backend_name()
        if backend == "sqlite":
            self._engine = sqlite.engine(self.url)
            self._reading: dict[str, Any] = {}
            self._writer: sqlite.SqliteWriter | postgresql.PostgresWriter = sqlite.SqliteWriter(self._engine, bell)
        elif backend == "postgresql":
            self._engine = postgresql.engine(self.url)
            self._reading = postgresql.READING
            self._writer = postgresql.PostgresWriter(self._engine, bell)
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
            translated(),
            self._engine.connect().execution_options(**self._reading) as connection,
            connection.begin(),
        ):
            yield Transaction(connection, writing=False, rings=rings)

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one consistent view of the database and return what it returns."""
        with self.reading() as tx:
            return work(tx)

    def submit(self, work: Callable[[Transaction], T]) -> "Future[T]":
        """Have another thread do it; the future is done after the durable commit, or has what `work` raised."""
        return self._writer.submit(work)

    def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Run `work` in a transaction and return what it returns, after the commit.

        Args:
            durable: The commit is on disk; else the power may take it along, whole: nobody may be promised anything.
        """
        return self._writer.write(work, durable=durable)

    def alter(self, work: Callable[[Transaction], None]) -> None:
        """Run `work`, which changes the schema, in a transaction of its own."""
        if not self.embedded:
            self.write(work)
            return
        with translated(), self._engine.connect().execution_options(immediate=True) as connection:
            # SQLite changes a table by making it anew, and would delete with the old one what refers to it.
            sqlite.pragma(connection, "foreign_keys=OFF")
            try:
                with connection.begin():
                    work(Transaction(connection))
                    assert not sqlite.pragma(connection, "foreign_key_check")
            finally:
                sqlite.pragma(connection, "foreign_keys=ON")

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
