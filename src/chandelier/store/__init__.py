# SPDX-License-Identifier: Apache-2.0
"""What every process opens: the database, the objects and the bell."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from chandelier.store import bell as bells
from chandelier.store import database as databases
from chandelier.store import objects as object_store
from chandelier.store.database import Transaction

__all__ = ["Store", "Transaction", "open_store"]

T = TypeVar("T")


class Store:
    """The three handles, opened together and closed together."""

    def __init__(self, database: databases.Database, objects: object_store.Objects, bell: bells.Bell) -> None:
        self.database = database
        self.objects = objects
        self.bell = bell

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one consistent view and return what it returns."""
        return self.database.read(work)

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction and return what it returns, after the durable commit."""
        return self.database.write(work)

    def close(self) -> None:
        """Finish writing and let go."""
        self.database.close()


def open_store(database_url: str, objects_root: Path, secret: bytes) -> Store:
    """Open database and objects; neither is created here beyond its folder."""
    bell = bells.Bell()
    return Store(databases.Database(database_url, bell), object_store.Objects(objects_root, secret), bell)
