# SPDX-License-Identifier: Apache-2.0
"""The migrations make exactly the tables that their owners declare, on both databases."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import alembic.autogenerate
import alembic.migration
import alembic.script
import pytest
import sqlalchemy as sa

from chandelier import devices, migrations
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


def test_the_newest_revision_is_known_without_alembic(empty_database_url: str, tmp_path: Path) -> None:
    """The names of the files say what Alembic would say, and what a database says that is up to date."""
    store = opened(empty_database_url, tmp_path)
    migrations.upgrade(store)
    applied = store.read(lambda tx: alembic.migration.MigrationContext.configure(tx.connection).get_current_revision())
    store.close()
    known = alembic.script.ScriptDirectory.from_config(migrations.configuration())

    assert migrations.newest() == applied == known.get_current_head()


def test_migrating_twice_changes_nothing(empty_database_url: str, tmp_path: Path) -> None:
    """A server that starts on an up-to-date database leaves it alone."""
    store = opened(empty_database_url, tmp_path)
    migrations.upgrade(store)
    migrations.upgrade(store)

    with store.database.reading() as tx:
        assert tx.execute(sa.text("SELECT version_num FROM alembic_version")).all() == [(migrations.newest(),)]
    store.close()


#: A day of the ledger, in ms.
DAY: Final = 86_400_000
STARTED, ENDED = 40 * DAY + 10, 40 * DAY + 30


def of(experiments: int) -> str:
    """Return the summary of a job in SQL."""
    return f"""'{{"experiments": {experiments}}}'"""


#: What stands in a database of the second release, by table; some of everything is deleted, withdrawn or removed.
SECOND: Final[Mapping[str, tuple[str, ...]]] = {
    "users (id, email, name, password_hash, operator, created)": (
        "'u', 'ann@example.org', 'Ann', NULL, FALSE, 1",
        "'v', 'bob@example.org', 'Bob', NULL, TRUE, 2",
    ),
    "hubs (id, name, title, description, priority, created, deleted)": (
        "'h', 'hub', 'Hub', 'About', 7, 1, NULL",
        "'i', 'old', '', '', 1, 2, 9",
    ),
    "groups (id, name, title, description, priority, created, deleted, hub_id)": (
        "'g', 'group', 'Group', 'About', 8, 1, NULL, 'h'",
        "'f', 'group', '', '', 1, 2, 9, 'i'",
    ),
    "projects (id, name, title, description, priority, created, deleted, group_id)": (
        "'p', 'project', 'Project', 'About', 9, 1, NULL, 'g'",
        "'q', 'other', '', '', 1, 2, 9, 'g'",
        "'r', 'project', '', '', 1, 3, 9, 'f'",
    ),
    "devices (id, name, position, version, simulator, qubits, max_shots, max_experiments, state, message, created, "
    "calibration)": (
        "'d', 'device', 0, '1.0.0', TRUE, 2, 1, 1, 'active', '', 1, 'digest'",
        "'e', 'second', 1, '1.0.0', TRUE, 2, 1, 1, 'active', '', 2, 'digest'",
    ),
    "members (project_id, user_id, joined, removed)": ("'p', 'u', 3, NULL", "'q', 'u', 4, 5", "'p', 'v', 6, NULL"),
    "grants (project_id, device_id, priority, created, withdrawn)": (
        "'p', 'd', 11, 3, NULL",
        "'q', 'd', 12, 2, NULL",
        "'p', 'e', 13, 5, 6",
    ),
    "jobs (id, created, user_id, project_id, device_id, kind, state, live_data, address, calibration, claims, deaths, "
    "summary, started, ended, cost, deleted)": (
        # On the last millisecond of a day; on the first of the next; never ran; never ended; deleted by its user.
        f"'j1', 7, 'u', 'p', 'd', 'k', 'COMPLETED', FALSE, 'a', 'x', 1, 0, {of(3)}, 107, {DAY - 1}, 1.5, NULL",
        f"'j2', 8, 'u', 'p', 'd', 'k', 'COMPLETED', FALSE, '', 'x', 1, 0, {of(2)}, {DAY - 8}, {DAY}, 0.25, NULL",
        f"'j3', {DAY}, 'u', 'p', 'd', 'k', 'CANCELLED', FALSE, '', 'x', 0, 0, NULL, NULL, {DAY + 40}, NULL, NULL",
        f"'j4', 9, 'v', 'p', 'd', 'k', 'QUEUED', FALSE, '', 'x', 0, 0, {of(2)}, NULL, NULL, NULL, NULL",
        f"'j5', {40 * DAY}, 'v', 'q', 'e', 'k', 'FAILED', FALSE, '', 'x', 1, 0, {of(1)}, {STARTED}, {ENDED}, 2, 99",
    ),
    "job_tags (job_id, position, tag, user_id, created)": ("'j1', 0, 'blue', 'u', 7",),
    "job_events (number, job_id, state, at)": ("1, 'j1', 'CREATING', 7", "2, 'j1', 'COMPLETED', 8"),
    "leases (job_id, token, holder, expires)": ("'j4', 't', 'somebody', 5",),
}
LEDGER: Final = [
    ("j1", DAY - 1, "p", "u", "d", 3, 100, DAY - 108, 1500),
    ("j2", DAY, "p", "u", "d", 2, DAY - 16, 8, 250),
    ("j3", DAY + 40, "p", "u", "d", 0, 40, 0, 0),
    ("j5", 40 * DAY + 30, "q", "v", "e", 1, 10, 20, 2000),
]
#: Their sums: of days, of 32 days, and of days for everybody in a project.
SUMS: Final[Mapping[str, list[tuple[Any, ...]]]] = {
    "usage_days": [
        (0, "p", "u", "d", 1, 3, 100, DAY - 108, 1500, 1),
        (1, "p", "u", "d", 2, 2, DAY + 24, 8, 250, 1),
        (40, "q", "v", "e", 1, 1, 10, 20, 2000, 1),
    ],
    "usage_months": [
        (0, "p", "u", "d", 3, 5, DAY + 124, DAY - 100, 1750, 2),
        (32, "q", "v", "e", 1, 1, 10, 20, 2000, 1),
    ],
    "usage_project_months": [
        (0, "p", 3, 5, DAY + 124, DAY - 100, 1750, 2),
        (32, "q", 1, 1, 10, 20, 2000, 1),
    ],
    "usage_project_days": [
        (0, "p", 1, 3, 100, DAY - 108, 1500, 1),
        (1, "p", 2, 2, DAY + 24, 8, 250, 1),
        (40, "q", 1, 1, 10, 20, 2000, 1),
    ],
}
#: What the third release made anew: everybody's places, and devices of the nodes above the projects too. A share that
#: nobody has set is the node's own.
MEMBERS: Final = [("p", "u", "project", 3, None), ("p", "v", "project", 6, None), ("q", "u", "project", 4, 5)]
GRANTS: Final = [
    ("g", "d", "group", 8, 2, None),
    ("h", "d", "hub", 7, 2, None),
    ("p", "d", "project", 11, 3, None),
    ("p", "e", "project", 13, 5, 6),
    ("q", "d", "project", 12, 2, None),
]


def fill(store: Store, rows: Mapping[str, tuple[str, ...]]) -> None:
    """Insert rows, as they are written in SQL, into tables with the names of their columns."""

    def work(tx: Transaction) -> None:
        for table, values in rows.items():
            for row in values:
                # A colon would be taken for a parameter.
                tx.execute(sa.text(f"INSERT INTO {table} VALUES ({row.replace(':', chr(92) + ':')})"))

    store.write(work)


def rows_of(store: Store, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    """Return what stands in a table."""
    query = sa.text(f"SELECT {columns} FROM {table}")
    return store.read(lambda tx: sorted((tuple(row) for row in tx.execute(query)), key=repr))


def columns_of(table: str) -> str:
    """Return the columns that a table of `SECOND` is filled in."""
    named = next(each for each in SECOND if each.startswith(f"{table} "))
    return named.partition("(")[2].rstrip(")")


def everything(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that stands in a database."""
    names = store.read(lambda tx: sa.inspect(tx.connection).get_table_names())
    return {name: rows_of(store, name) for name in names}


#: What no migration after the second has changed.
KEPT: Final = ("users", "hubs", "groups", "projects", "devices", "jobs", "job_tags", "job_events", "leases")


def test_a_filled_database_of_the_second_release_is_kept(empty_database_url: str, tmp_path: Path) -> None:
    """Every row with every value, also of the tables that are made anew; and the ledger begins with all that ended."""
    store = opened(empty_database_url, tmp_path)
    migrations.upgrade(store, "0002")
    fill(store, SECOND)
    before = {table: rows_of(store, table, columns_of(table)) for table in KEPT}
    migrations.upgrade(store)

    assert {table: rows_of(store, table, columns_of(table)) for table in KEPT} == before
    assert rows_of(store, "members", "node_id, user_id, level, joined, removed") == MEMBERS
    assert rows_of(store, "grants", "node_id, device_id, level, priority, created, withdrawn") == GRANTS
    assert rows_of(store, "usage") == LEDGER
    assert {table: rows_of(store, table) for table in SUMS} == SUMS
    assert rows_of(store, "audit") == rows_of(store, "invitations") == []
    store.close()


def test_names_of_what_was_deleted_are_free_after_an_upgrade(empty_database_url: str, tmp_path: Path) -> None:
    """And those of what exists are not."""
    store = opened(empty_database_url, tmp_path)
    migrations.upgrade(store, "0002")
    fill(store, SECOND)
    migrations.upgrade(store)
    projects = next(each for each in SECOND if each.startswith("projects"))
    fill(store, {projects: ("'s', 'other', '', '', 1, 5, NULL, 'g'",)})

    with pytest.raises(sa.exc.IntegrityError):
        fill(store, {projects: ("'t', 'project', '', '', 1, 5, NULL, 'g'",)})
    store.close()


def test_a_filled_database_of_the_third_release_is_kept(empty_database_url: str, tmp_path: Path) -> None:
    """The sums are counted again; all else stays as it was, and so does everything when it is upgraded once more."""
    store = opened(empty_database_url, tmp_path)
    migrations.upgrade(store, "0002")
    fill(store, SECOND)
    migrations.upgrade(store, "0003")
    fill(
        store,
        {
            "invitations (id, email, node_id, level, created, ended)": (
                "'n', 'eve@example.org', 'g', 'group', 4, NULL",
            ),
            # Created a moment after its end, as the third release wrote it.
            "usage (job_id, ended, project_id, user_id, device_id, executions, queue_ms, run_ms, cost_ms)": (
                f"'j6', {41 * DAY}, 'q', 'v', 'e', 0, -2, 0, 0",
            ),
            "audit (number, at, who, act, path, hub_id)": ("1, 5, 'ann@example.org', 'hub.add', 'hub', 'h'",),
        },
    )
    before = everything(store)
    migrations.upgrade(store, "0004")
    after = everything(store)
    changed = {"alembic_version", "usage", *SUMS}
    more = (41, "q", "v", "e", 1, 0, 0, 0, 0, 0)

    assert {name: rows for name, rows in after.items() if name not in changed} == {
        name: rows for name, rows in before.items() if name not in changed
    }
    assert after["usage"] == [*LEDGER, ("j6", 41 * DAY, "q", "v", "e", 0, 0, 0, 0)]
    assert after["usage_days"] == [*SUMS["usage_days"], more]
    migrations.upgrade(store, "0004")
    assert everything(store) == after
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


def test_devices_of_the_seventh_schema_stay_as_they_are(empty_database_url: str, tmp_path: Path) -> None:
    """They do not drift until they are told to; a job that was given a calibration keeps it."""
    store = opened(empty_database_url, tmp_path)
    migrations.upgrade(store, "0007")
    names = "id, created, user_id, project_id, device_id, kind, state, live_data, address, calibration, claims, deaths"
    rows = {
        "users (id, email, name, operator, created)": "('u', 'ann@example.org', 'Ann', FALSE, 1)",
        "hubs": "('h', 'hub', '', '', 1, 1, NULL)",
        "groups": "('g', 'group', '', '', 1, 1, NULL, 'h')",
        "projects": "('p', 'project', '', '', 1, 1, NULL, 'g')",
        "devices (id, name, position, version, simulator, qubits, max_shots, max_experiments, state, message, pace, "
        "overhead, created, calibration)": "('d', 'device', 0, '1.0.0', FALSE, 2, 1, 1, 'active', '', 'fast', 2, 1, "
        "'new')",
        f"jobs ({names}, program)": "('j', 7, 'u', 'p', 'd', 'runtime', 'QUEUED', FALSE, '', 'old', 1, 0, 'sampler'), "
        "('k', 8, 'u', 'p', 'd', 'runtime', 'QUEUED', FALSE, '', 'new', 1, 0, 'sampler'), "
        "('l', 9, 'u', 'p', 'd', 'q-object', 'QUEUED', FALSE, '', 'old', 1, 0, NULL)",
    }

    def fill(tx: Transaction) -> None:
        for table, values in rows.items():
            tx.execute(sa.text(f"INSERT INTO {table} VALUES {values}"))

    store.write(fill)
    migrations.upgrade(store)
    device = store.read(lambda tx: devices.get(tx, "device"))
    pinned = store.read(lambda tx: tx.execute(sa.text("SELECT id, pinned FROM jobs ORDER BY id")).all())
    store.close()

    assert (device.snapshot, device.calibration, device.drift, device.begun, device.due) == (
        "new",
        "new",
        False,
        None,
        None,
    )
    assert (device.status, device.progress, device.tuning) == ("active", "", None)
    assert [(job, bool(told)) for job, told in pinned] == [("j", True), ("k", False), ("l", False)]
