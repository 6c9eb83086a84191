# SPDX-License-Identifier: Apache-2.0
"""What it costs to choose the next job, to begin it and to end it, with a thousand and with a million jobs waiting.

    python benchmarks/dispatch.py [--jobs 1000000] [--rounds 200] [--write]

Each step runs in the statements that the server runs, in one transaction that is undone at the end; the time of a
commit is not in it. Beside them stands first come, first served: the oldest queued job by an index.
"""

import argparse
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from chandelier import devices, migrations
from chandelier.devices import DeviceId
from chandelier.fairshare import accounts
from chandelier.jobs import counts, records
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import JobId
from chandelier.scheduling import ranking
from chandelier.store import Store, Transaction, open_store
from chandelier.tenancy import network, users
from listing import databases
from submit_to_result import table

RESULTS: Final = Path(__file__).parent / "results" / "dispatch.json"
FIRST: Final = datetime(2026, 1, 1, tzinfo=UTC)
HUBS: Final = 10
GROUPS: Final = 10
PROJECTS: Final = 10
_CHUNK: Final = 20_000


@dataclass(frozen=True)
class Taken:
    """How long one step took, ms."""

    database: str
    queued: int
    step: str
    median_ms: float
    p99_ms: float


class _Undo(Exception):
    """Undoes what was measured."""


def fill(store: Store, jobs: int) -> None:
    """Add a tree of a thousand projects, and jobs of all of them that wait for one device."""

    def places(tx: Transaction) -> tuple[list[str], str, devices.Device]:
        projects = []
        for hub in range(HUBS):
            made = network.add_hub(tx, f"hub{hub}", FIRST, priority=1 + hub)
            for group in range(GROUPS):
                under = network.add_group(tx, made, f"g{group}", FIRST, priority=1 + group)
                projects += [network.add_project(tx, under, f"p{each}", FIRST).id for each in range(PROJECTS)]
        user = users.create(tx, "bench@example.org", FIRST)
        return projects, user.id, device(tx)

    def device(tx: Transaction) -> devices.Device:
        row = {"id": "d" * 24, "name": "device", "position": 0, "version": "1", "simulator": False, "qubits": 5}
        row |= {"max_shots": 8192, "max_experiments": 100, "state": "active", "message": "", "created": FIRST}
        tx.execute(sa.insert(migrations.metadata.tables["devices"]), row | {"calibration": "0" * 64})
        return devices.get(tx, "device")

    projects, user, known = store.write(places)
    chance = random.Random(11)  # not for secrets
    jobs_table = migrations.metadata.tables["jobs"]
    for start in range(0, jobs, _CHUNK):
        rows = [
            {
                "id": f"{number:024x}",
                "created": FIRST + timedelta(milliseconds=number),
                "user_id": user,
                "project_id": projects[chance.randrange(len(projects))],
                "device_id": known.id,
                "kind": "q-object",
                "state": "QUEUED",
                "live_data": False,
                "address": "",
                "estimate": chance.lognormvariate(1.7, 1.0),
                "calibration": known.calibration,
                "claims": 0,
                "deaths": 0,
            }
            for number in range(start, min(start + _CHUNK, jobs))
        ]
        store.write(lambda tx, rows=rows: tx.execute(sa.insert(jobs_table), rows) and None)  # type: ignore[misc]
    store.write(lambda tx: accounts.recount(tx, counts.queued(tx), FIRST))


def measure(kind: str, url: str, jobs: int, rounds: int) -> list[Taken]:
    """Fill a database and take the steps of some jobs."""
    with tempfile.TemporaryDirectory(prefix="dispatch-") as folder:
        store = open_store(url or f"sqlite:///{folder}/bench.sqlite", Path(folder) / "objects", b"secret")
        try:
            migrations.upgrade(store)
            fill(store, jobs)
            engine = sa.create_engine(store.database.url)
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("ANALYZE")
            engine.dispose()
            taken: dict[str, list[float]] = {}
            try:
                store.write(lambda tx: steps(tx, rounds, taken))
            except _Undo:
                return [_summary(kind, jobs, step, times) for step, times in taken.items()]
            raise AssertionError
        finally:
            store.close()


def steps(tx: Transaction, rounds: int, taken: dict[str, list[float]]) -> None:
    """Choose, begin and end jobs one after the other."""

    def clocked(step: str, work: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        found = work()
        taken.setdefault(step, []).append((time.perf_counter() - begun) * 1000)
        return found

    now = FIRST + timedelta(days=1)
    for _ in range(rounds):
        now += timedelta(seconds=5)
        clocked("first come, first served: choose", lambda: records.oldest(tx, State.QUEUED))
        chosen = clocked("choose", lambda now=now: ranking.fair(tx, now))  # type: ignore[misc]
        job: JobId = chosen.job_id
        clocked("begin", lambda job=job, now=now: records.advance(tx, job, (State.RUNNING,), now, started=now))  # type: ignore[misc]
        clocked("end", lambda job=job, now=now: records.advance(tx, job, (State.COMPLETED,), now, cost=6.0))  # type: ignore[misc]
    where = (
        DeviceId("d" * 24),
        network.ProjectId(tx.execute(sa.text("SELECT project_id FROM jobs LIMIT 1")).scalar_one()),
    )
    for _ in range(rounds):
        clocked("charge alone", lambda: accounts.correct(tx, *where, 1.0, now))
    raise _Undo


def _summary(kind: str, jobs: int, step: str, times: list[float]) -> Taken:
    times = times[len(times) // 10 :]  # the first ones pay for compiled statements
    return Taken(kind, jobs, step, statistics.median(times), statistics.quantiles(times, n=100)[98])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    found: list[Taken] = []
    for jobs in (1000, options.jobs):
        with tempfile.TemporaryDirectory(prefix="dispatch-") as folder, databases(Path(folder)) as kinds:
            for kind, url in kinds.items():
                print(f"Filling {kind} with {jobs} jobs ...", file=sys.stderr)
                found += measure(kind, url, jobs, options.rounds)
    print(table([asdict(taken) for taken in found], found[0].median_ms, "median_ms"))
    if options.write:
        figures = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {"system": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()},
            "projects": HUBS * GROUPS * PROJECTS,
            "taken": [asdict(taken) for taken in found],
        }
        RESULTS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
