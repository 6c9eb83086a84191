# SPDX-License-Identifier: Apache-2.0
"""What every process opens: the database, the objects and the bell."""

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from chandelier.store import bell as bells
from chandelier.store import database as databases
from chandelier.store import objects as object_store
from chandelier.store import parcels
from chandelier.store.transactions import Transaction

__all__ = ["Store", "Transaction", "open_store"]

T = TypeVar("T")


class Store:
    """The three handles, opened together and closed together."""

    def __init__(
        self, database: databases.Database, objects: object_store.Objects, bell: bells.Bell, secret: bytes
    ) -> None:
        self._secret = secret
        self.database = database
        self.objects = objects
        self.bell = bell

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one consistent view and return what it returns."""
        return self.database.read(work)

    def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Run `work` in a transaction and return what it returns, after the commit, which is `durable` unless not."""
        return self.database.write(work, durable=durable)

    def find_object(self, tx: Transaction, kind: object_store.Kind, name: str) -> bytes | Path | None:
        """Return an object, or the file that holds it; None if it is not stored."""
        found = parcels.get(tx, kind, name)
        if found is not None:
            return found
        path = self.objects.path(kind, name)
        return path if path.is_file() else None

    def read_object(self, tx: Transaction, kind: object_store.Kind, name: str) -> bytes:
        """Return an object's bytes.

        Raises:
            errors.NotFound: It is not stored (any more).
        """
        found = parcels.get(tx, kind, name)
        return self.objects.read(kind, name) if found is None else found

    def rehearse(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction that is taken back, and return what it returns; nothing else stays of it."""

        def rehearsal(tx: Transaction) -> NoReturn:
            raise _RehearsedError(work(tx))

        try:
            self.write(rehearsal)
        except _RehearsedError as ended:
            result: T = ended.result
            return result
        raise AssertionError("A rehearsal always ends by its error.")

    def key(self, purpose: str) -> bytes:
        """Return a key of the installation's own, another for each purpose."""
        return hmac.digest(self._secret, f"key:{purpose}".encode(), hashlib.sha256)

    def close(self) -> None:
        """Finish writing and let go."""
        self.database.close()


class _RehearsedError(Exception):
    """Ends a rehearsal, so that its transaction is taken back."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result


def open_store(database_url: str, objects_root: Path, secret: bytes) -> Store:
    """Open database and objects; neither is created here beyond its folder."""
    bell = bells.Bell()
    return Store(databases.Database(database_url, bell), object_store.Objects(objects_root, secret), bell, secret)
