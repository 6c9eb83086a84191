# SPDX-License-Identifier: Apache-2.0
"""Schema changes, oldest first; brings a database, new or old, to the schema of this release."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

# Every owner declares its tables when it is imported.
from chandelier.fairshare import accounts
from chandelier.jobs import codes, estimates, records, sessions
from chandelier.scheduling import accuracy, claims, quotas, reservations
from chandelier.store import Store, Transaction, database, parcels
from chandelier.tenancy import allowances, audit, grants, members, usage

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = ["applied", "configuration", "metadata", "newest", "upgrade"]

metadata = database.metadata
OWNERS = (
    accounts,
    records,
    codes,
    estimates,
    sessions,
    accuracy,
    claims,
    quotas,
    reservations,
    allowances,
    grants,
    members,
    audit,
    usage,
    parcels,
)
#: Any number, as long as it stays the same: names the lock among those of the database.
_LOCK: Final = 7_311_846_022


def upgrade(store: Store, revision: str = "head") -> None:
    """Apply what is missing up to a revision; does nothing to a database that is up to date."""
    if revision == "head" and applied(store) == newest():
        return
    # Imported here, because nobody who has nothing to migrate should wait for it.
    import alembic.command

    def work(tx: Transaction) -> None:
        if tx.connection.dialect.name == "postgresql":
            # Of several servers that start at once, one migrates and the others wait.
            tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        config = configuration()
        config.attributes["connection"] = tx.connection
        alembic.command.upgrade(config, revision)

    store.database.alter(work)


def newest() -> str:
    """Return the newest revision: its number begins the name of its file."""
    return max(file.name.partition("_")[0] for file in (Path(__file__).parent / "versions").glob("[0-9]*_*.py"))


def applied(store: Store) -> str | None:
    """Return the revision of a database, found out without Alembic, which takes long to load; None without a schema."""

    def look(tx: Transaction) -> str | None:
        if not sa.inspect(tx.connection).has_table("alembic_version"):
            return None
        return tx.connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()

    return store.read(look)


def configuration() -> "Config":
    """Return what Alembic must know; a connection is passed in `attributes`."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
