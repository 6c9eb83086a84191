# SPDX-License-Identifier: Apache-2.0
"""One open transaction, and what a database's failures are called in this house."""

import contextlib
import zlib
from collections.abc import Iterator
from typing import Any, Final, overload

import sqlalchemy as sa

from chandelier import errors
from chandelier.store.prepared import Prepared, Rows

_LOCK: Final = Prepared(sa.select(sa.func.pg_advisory_xact_lock(sa.bindparam("key", type_=sa.BigInteger))))


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


@contextlib.contextmanager
def translated() -> Iterator[None]:
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
