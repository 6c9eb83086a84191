# SPDX-License-Identifier: Apache-2.0
"""How long sums of usage and lists of a whole hub take with a million jobs, beside the same asked of the jobs table.

    python benchmarks/analytics.py [--jobs 1000000] [--rounds 9] [--write]

The jobs of 300 people in 33 projects on 10 devices, of 700 days, are put into a database of the second release, which
had no ledger; bringing it to the present schema fills the ledger, so that is measured too. What the core answers stands
beside what one would write in SQL without it: a GROUP BY over the jobs table, and the same page of jobs by the same
conditions. Both must come to the same. The two take turns, and the least of their times count. Nothing tells SQLite
how many rows there are (ANALYZE), because no server does.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from chandelier import migrations
from chandelier.jobs import finding
from chandelier.jobs.finding import Query
from chandelier.jobs.lifecycle import State
from chandelier.store import Store, Transaction, database, open_store
from chandelier.tenancy import network, usage
from chandelier.tenancy.usage import Selection
from listing import databases

RESULTS: Final = Path(__file__).parent / "results" / "analytics.json"
FIRST: Final = datetime(2024, 1, 1, tzinfo=UTC)
DAYS: Final = 700
USERS: Final = 300
#: Three of them are another hub's.
PROJECTS: Final = 33
DEVICES: Final = 10
HUB: Final = f"{0:024x}"
_DAY_MS: Final = 86_400_000
_SUMS: Final = (
    "COUNT(*), SUM({experiments}), SUM(COALESCE(started, ended) - created), SUM(COALESCE(ended - started, 0))"
)


@dataclass(frozen=True)
class Taken:
    """How long one question took, ms, and how often longer the jobs table took."""

    database: str
    question: str
    rows: int
    ms: float
    jobs_table_ms: float
    times: float


def fill(store: Store, jobs: int) -> None:
    """Add people, places, devices and jobs to a database of the second release; always the same."""

    def several(tx: Transaction, text: str, number: int) -> None:
        for each in range(number):
            tx.execute(sa.text(text), {"id": f"{each:024x}", "name": f"n{each}", "above": f"{each // 31:024x}"})

    def work(tx: Transaction) -> None:
        embedded = tx.connection.dialect.name == "sqlite"
        several(tx, "INSERT INTO users VALUES (:id, :name || '@example.org', '', NULL, FALSE, 1)", USERS)
        several(tx, "INSERT INTO devices VALUES (:id, :name, 0, '1', TRUE, 2, 1, 1, 'active', '', 1, 'x')", DEVICES)
        several(tx, "INSERT INTO hubs VALUES (:id, :name, '', '', 1, 1, NULL)", 2)
        several(tx, "INSERT INTO groups VALUES (:id, :name, '', '', 1, 1, NULL, :id)", 2)
        several(tx, "INSERT INTO projects VALUES (:id, :name, '', '', 1, 1, NULL, :above)", PROJECTS)
        step, first = DAYS * _DAY_MS // jobs, database.to_milliseconds(FIRST)
        series = (
            f"WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < {jobs - 1})"
            if embedded
            else f"WITH s AS (SELECT n FROM generate_series(0, {jobs - 1}) AS series(n))"
        )
        name = "printf('%024x', {})" if embedded else "lpad(to_hex({}), 24, '0')"
        user = f"(n * 31 % {USERS})"
        created = f"(CAST(n AS BIGINT) * {step} + {first})"
        state = (
            "CASE WHEN n % 20 = 0 THEN 'CANCELLED' WHEN n % 100003 = 1 THEN 'ERROR_RUNNING_JOB' ELSE 'COMPLETED' END"
        )
        started = f"CASE WHEN n % 20 = 0 THEN NULL ELSE {created} + n * 37 % 50000 END"
        summary = "'{\"experiments\": 3}'" + ("" if embedded else "::json")
        tx.execute(
            sa.text(
                "INSERT INTO jobs (id, created, user_id, project_id, device_id, kind, state, live_data, address, "
                "calibration, claims, deaths, summary, started, ended, cost) "
                f"{series} SELECT {name.format('n')}, {created}, {name.format(user)}, "
                f"{name.format(f'{user} % {PROJECTS}')}, {name.format(f'n / 7 % {DEVICES}')}, 'k', {state}, FALSE, '', "
                f"'x', 1, 0, {summary}, {started}, {created} + 50000 + n * 101 % 30000, 1.5 FROM s".replace(":", "\\:")
            )
        )

    store.write(work)


def asked_of_jobs(tx: Transaction, columns: tuple[str, ...], since: datetime | None, until: datetime | None) -> Any:
    """Return what the ledger knows, by SQL over the jobs table."""
    experiments = {
        "sqlite": "CASE WHEN started IS NULL THEN 0 ELSE COALESCE(json_extract(summary, '$.experiments'), 0) END",
        "postgresql": "CASE WHEN started IS NULL THEN 0 ELSE COALESCE((summary ->> 'experiments')\\:\\:bigint, 0) END",
    }[tx.connection.dialect.name]
    keys = [f"ended / {_DAY_MS}" if column == "day" else column for column in columns]
    when = [] if since is None else [f"ended >= {database.to_milliseconds(since)}"]
    when += [] if until is None else [f"ended < {database.to_milliseconds(until)}"]
    projects = f"SELECT p.id FROM projects p JOIN groups g ON g.id = p.group_id WHERE g.hub_id = '{HUB}'"
    where = " AND ".join(["ended IS NOT NULL", f"project_id IN ({projects})", *when])
    group = f" GROUP BY {', '.join(keys)}" if keys else ""
    sums = _SUMS.format(experiments=experiments)
    rows = tx.execute(sa.text(f"SELECT {', '.join([*keys, sums])} FROM jobs WHERE {where}{group}"))
    return {tuple(row[: len(keys)]): [int(value) for value in row[len(keys) :]] for row in rows}


def asked_of_ledger(tx: Transaction, columns: tuple[str, ...], since: datetime | None, until: datetime | None) -> Any:
    """Return the same from the ledger."""
    selection = Selection(since, until, project_ids=network.projects_below(tx, "hub", HUB))
    found = usage.by(tx, selection, columns)
    return {key: [sums.jobs, sums.executions, sums.queue_ms, sums.run_ms] for key, sums in found.items()}


def listed_by_sql(tx: Transaction, **conditions: Any) -> Any:
    """Return the ids of the newest jobs of the hub, by SQL."""
    projects = f"SELECT p.id FROM projects p JOIN groups g ON g.id = p.group_id WHERE g.hub_id = '{HUB}'"
    where = " AND ".join(
        [
            f"project_id IN ({projects})",
            "deleted IS NULL",
            *(f"{name} = '{value}'" for name, value in conditions.items()),
        ]
    )
    rows = tx.execute(sa.text(f"SELECT * FROM jobs WHERE {where} ORDER BY created DESC, id DESC LIMIT 20"))
    return {row.id: None for row in rows}


def listed(tx: Transaction, **conditions: Any) -> Any:
    """Return the same as the lists of a hub find them."""
    among = {"state": "states", "device_id": "device_ids"}
    wanted: dict[str, Any] = {among[name]: frozenset({value}) for name, value in conditions.items()}
    page = finding.find(tx, Query(project_ids=network.projects_below(tx, "hub", HUB), limit=20, **wanted))
    return {job.id: None for job in page.jobs}


def questions() -> Iterator[tuple[str, Callable[[Transaction], Any], Callable[[Transaction], Any]]]:
    """Yield each question, with how it is asked of the core and how of the jobs table."""
    begin = FIRST + timedelta(days=DAYS // 2)
    spans: Mapping[str, tuple[datetime | None, datetime | None]] = {
        "all time": (None, None),
        "28 days": (begin, begin + timedelta(days=28)),
        "28 days from noon": (begin + timedelta(hours=12), begin + timedelta(days=28, hours=12)),
    }
    groups = {"total": (), "project": ("project_id",), "user": ("user_id",), "device": ("device_id",), "day": ("day",)}
    for span, (since, until) in spans.items():
        for group, columns in groups.items():
            yield (
                f"{group}, {span}",
                partial(asked_of_ledger, columns=columns, since=since, until=until),
                partial(asked_of_jobs, columns=columns, since=since, until=until),
            )
    device = f"{3:024x}"
    lists: Mapping[str, dict[str, Any]] = {
        "newest page": {},
        "page by state, rare": {"state": State.ERROR_RUNNING_JOB},
        "page by state, absent": {"state": State.QUEUED},
        "page by device": {"device_id": device},
        "page by device and state, rare": {"device_id": device, "state": State.ERROR_RUNNING_JOB},
    }
    for name, conditions in lists.items():
        yield name, partial(listed, **conditions), partial(listed_by_sql, **conditions)


def clocked(store: Store, ask: Callable[[Transaction], Any]) -> tuple[float, Any]:
    """Ask once in a view of its own; return how long it took, ms, and the answer."""
    begun = time.perf_counter()
    with store.database.reading() as tx:
        answer = ask(tx)
    return (time.perf_counter() - begun) * 1000, answer


def measure(kind: str, url: str, folder: Path, jobs: int, rounds: int) -> tuple[list[Taken], float]:
    """Fill one database; return how long every question and the migration (s) took."""
    store = open_store(url, folder, b"no secret of any account here, 32")
    migrations.upgrade(store, "0002")
    fill(store, jobs)
    begun = time.perf_counter()
    migrations.upgrade(store)
    migrated = time.perf_counter() - begun
    if not store.database.embedded:
        store.write(lambda tx: tx.execute(sa.text("ANALYZE")))  # as the database does by itself after a while
    found = []
    for question, ours, theirs in questions():
        times: tuple[list[float], list[float]] = ([], [])
        for number in range(rounds):
            taken, answer = clocked(store, ours)
            times[0].append(taken)
            if number % 3 == 0:
                taken, expected = clocked(store, theirs)
                times[1].append(taken)
                if answer != expected:
                    raise RuntimeError(f"{question} is {answer}, and by the jobs table {expected}")
        least, other = min(times[0]), min(times[1])
        found.append(Taken(kind, question, len(answer), round(least, 2), round(other, 2), round(other / least, 1)))
    store.close()
    return found, migrated


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    found: list[Taken] = []
    migrated: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="analytics-") as folder, databases(Path(folder)) as kinds:
        for kind, url in kinds.items():
            print(f"Filling {kind} ...", file=sys.stderr)
            here = Path(folder) / kind
            here.mkdir()
            taken, migrated[kind] = measure(
                kind, url or f"sqlite:///{here}/chandelier.sqlite", here, options.jobs, options.rounds
            )
            found += taken
    for each in found:
        print(
            f"{each.database:>10}  {each.question:<30} {each.ms:>8.2f} ms, jobs table {each.jobs_table_ms:>8.2f} ms: "
            f"{each.times:.1f} times"
        )
    print("Migration, s:", {kind: round(seconds, 1) for kind, seconds in migrated.items()})
    if options.write:
        figures = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {"system": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()},
            "jobs": options.jobs,
            "rounds": options.rounds,
            "migration_seconds": {kind: round(seconds, 1) for kind, seconds in migrated.items()},
            "taken": [asdict(taken) for taken in found],
        }
        RESULTS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
