# SPDX-License-Identifier: Apache-2.0
"""Small objects, kept in the database: written in the transaction that names them, so that they cost no sync.

What is larger is a file (`objects`). An object is one or the other, never both.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import sqlalchemy as sa

from chandelier.store import database
from chandelier.store.objects import Kind
from chandelier.store.prepared import Prepared
from chandelier.store.transactions import Transaction

#: Largest object that is kept here, bytes: most programs and results of small circuits.
MOST: Final = 16384

_parcels: Final = sa.Table(
    "parcels",
    database.metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
)
# Built once, because each job runs them.
_GET: Final = Prepared(
    sa.select(_parcels.c.content).where(
        _parcels.c.name == sa.bindparam("name"), _parcels.c.kind == sa.bindparam("kind")
    )
)
_PUT: Final = Prepared(sa.insert(_parcels).inline())


def put(tx: Transaction, kind: Kind, name: str, content: bytes) -> None:
    """Keep an object that is new, of at most `MOST` bytes."""
    assert len(content) <= MOST, len(content)
    tx.execute(_PUT, {"name": name, "kind": kind, "content": content})


def get(tx: Transaction, kind: Kind, name: str) -> bytes | None:
    """Return an object, if it is kept here."""
    found = tx.execute(_GET, {"name": name, "kind": kind}).scalar()
    return None if found is None else bytes(found)


def remove(tx: Transaction, kinds: Sequence[Kind], names: Iterable[str]) -> None:
    """Remove the objects of some kinds and names, as far as they are here."""
    where = (_parcels.c.kind.in_(kinds), _parcels.c.name.in_(list(names)))
    tx.execute(sa.delete(_parcels).where(*where))
