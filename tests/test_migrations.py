# SPDX-License-Identifier: Apache-2.0
"""The migrations make exactly the tables that their owners declare, on both databases."""

from pathlib import Path
from typing import Any

import alembic.autogenerate
import alembic.migration
import sqlalchemy as sa

from chandelier import migrations
from chandelier.scheduling import reservations
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
        assert tx.execute(sa.text("SELECT version_num FROM alembic_version")).all() == [("0005",)]
    store.close()


def test_jobs_of_the_first_release_are_kept(empty_database_url: str, tmp_path: Path) -> None:
    """With their tags and their log, though their table is made anew."""
    store = opened(empty_database_url, tmp_path)
    migrations.upgrade(store, "0001")
    rows = {
        "users": "('u', 'ann@example.org', 'Ann', NULL, FALSE, 1)",
        "hubs": "('h', 'hub', '', '', 1, 1, NULL)",
        "groups": "('g', 'group', '', '', 1, 1, NULL, 'h')",
        "projects": "('p', 'project', '', '', 1, 1, NULL, 'g')",
        "devices": "('d', 'device', 0, '1.0.0', TRUE, 2, 1, 1, 'active', '', 1, 'digest')",
        "jobs (id, created, user_id, project_id, device_id, kind, state, live_data, address, calibration, claims, "
        "deaths, deleted)": "('j', 7, 'u', 'p', 'd', 'q-object', 'COMPLETED', FALSE, '', 'digest', 1, 0, NULL), "
        "('k', 8, 'u', 'p', 'd', 'q-object', 'COMPLETED', FALSE, '', 'digest', 1, 0, 9)",
        "job_tags": "('j', 0, 'blue')",
        "job_events": "(1, 'j', 'CREATING', 7)",
    }

    def fill(tx: Transaction) -> None:
        for table, values in rows.items():
            tx.execute(sa.text(f"INSERT INTO {table} VALUES {values}"))

    store.write(fill)
    migrations.upgrade(store)

    def read(tx: Transaction) -> list[tuple[Any, ...]]:
        query = "SELECT j.id, t.tag, t.user_id, t.created, e.state FROM jobs j JOIN job_tags t ON t.job_id = j.id "
        return [tuple(row) for row in tx.execute(sa.text(query + "JOIN job_events e ON e.job_id = j.id"))]

    assert store.read(read) == [("j", "blue", "u", 7, "CREATING")]
    kept = store.read(lambda tx: tx.execute(sa.text("SELECT id, purged FROM jobs ORDER BY id")).all())
    assert kept == [("j", None), ("k", 9)]
    store.close()


def test_reservations_of_projects_are_kept(empty_database_url: str, tmp_path: Path) -> None:
    """With whose they are, who made them, and that they were cancelled."""
    store = opened(empty_database_url, tmp_path)
    migrations.upgrade(store, "0003")
    rows = {
        "users (id, email, name, operator, created)": "('u', 'ann@example.org', 'Ann', FALSE, 1)",
        "hubs": "('h', 'hub', '', '', 1, 1, NULL)",
        "groups": "('g', 'group', '', '', 1, 1, NULL, 'h')",
        "projects": "('p', 'project', '', '', 1, 1, NULL, 'g')",
        "devices": "('d', 'device', 0, '1.0.0', TRUE, 2, 1, 1, 'active', '', 1, 'digest')",
        "reservations": "('r', 'd', 'p', 'u', 'dedicated', 10, 20, 5, NULL), "
        "('s', 'd', 'p', 'u', 'priority', 30, 40, 6, 35)",
    }

    def fill(tx: Transaction) -> None:
        for table, values in rows.items():
            tx.execute(sa.text(f"INSERT INTO {table} VALUES {values}"))

    store.write(fill)
    migrations.upgrade(store)
    kept = store.read(lambda tx: [reservations.get(tx, name) for name in "rs"])
    moments = [[database.to_milliseconds(moment) for moment in each.span] for each in kept]
    store.close()

    assert [(each.hub_id, each.level, each.node_id, each.device_id) for each in kept] == [
        ("h", "project", "p", "d")
    ] * 2
    assert {each.who for each in kept} == {"ann@example.org"}
    assert [(each.mode, each.why) for each in kept] == [("dedicated", None), ("priority", "cancelled")]
    assert moments == [[10, 20], [30, 35]]
