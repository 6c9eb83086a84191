# SPDX-License-Identifier: Apache-2.0
"""Schema changes, oldest first; brings a database, new or old, to the schema of this release."""

from pathlib import Path

import alembic.command
import alembic.config

# Every owner declares its tables when it is imported.
from chandelier.jobs import records
from chandelier.scheduling import claims
from chandelier.store import Store, Transaction, database
from chandelier.tenancy import grants

__all__ = ["configuration", "metadata", "upgrade"]

metadata = database.metadata
OWNERS = (records, claims, grants)


def upgrade(store: Store) -> None:
    """Apply what is missing; does nothing to a database that is up to date."""

    def work(tx: Transaction) -> None:
        config = configuration()
        config.attributes["connection"] = tx.connection
        alembic.command.upgrade(config, "head")

    store.write(work)


def configuration() -> alembic.config.Config:
    """Return what Alembic must know; a connection is passed in `attributes`."""
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
