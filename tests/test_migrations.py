# SPDX-License-Identifier: Apache-2.0
"""The migrations make exactly the tables that their owners declare, on both databases."""

from pathlib import Path
from typing import Any

import alembic.autogenerate
import alembic.migration
import sqlalchemy as sa

from chandelier import migrations
from chandelier.store import Store, Transaction, database, open_store


def differences(store: Store) -> list[Any]:
    """Return what would have to be changed to come from the database to the declared tables."""

    def same_type(_context: Any, _column: Any, _meta: Any, found: Any, declared: Any) -> bool | None:
        # Times are declared by a type of our own, which the database knows as whole numbers.
        is_time = isinstance(declared, database.UtcMilliseconds) and isinstance(found, sa.BigInteger | sa.Integer)
        return False if is_time else None

    def compare(tx: Transaction) -> list[Any]:
        options = {"compare_type": same_type}
        context = alembic.migration.MigrationContext.configure(tx.connection, opts=options)
        return list(alembic.autogenerate.compare_metadata(context, migrations.metadata))

    return store.read(compare)


def opened(url: str, folder: Path) -> Store:
    """Return an open store without a schema."""
    return open_store(url, folder, b"secret")


def test_the_schema_is_the_declared_one(empty_database_url: str, tmp_path: Path) -> None:
    """After all migrations nothing is left to change."""
    store = opened(empty_database_url, tmp_path)
    migrations.upgrade(store)

    assert differences(store) == []
    store.close()


def test_the_comparison_finds_what_is_missing(empty_database_url: str, tmp_path: Path) -> None:
    """A database without a schema differs from the declared one, so the test above can fail."""
    store = opened(empty_database_url, tmp_path)

    assert len(differences(store)) >= len(migrations.metadata.tables)
    store.close()


def test_migrating_twice_changes_nothing(empty_database_url: str, tmp_path: Path) -> None:
    """A server that starts on an up-to-date database leaves it alone."""
    store = opened(empty_database_url, tmp_path)
    migrations.upgrade(store)
    migrations.upgrade(store)

    with store.database.reading() as tx:
        assert tx.execute(sa.text("SELECT version_num FROM alembic_version")).all() == [("0001",)]
    store.close()
