# SPDX-License-Identifier: Apache-2.0
"""The ledger is exact: its sums are those of the jobs, whatever is asked."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chandelier.jobs import outcomes, records
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.store import Transaction
from chandelier.store.prepared import Prepared
from chandelier.tenancy import usage
from chandelier.tenancy.network import ProjectId
from chandelier.tenancy.usage import Entry, Selection, Sums
from factories import ACCEPTED, NOW, Town, a_job, after, queued, reload

DAY = timedelta(days=1)
USERS, DEVICES, PROJECTS = ("u1", "u2"), ("d1", "d2"), ("p1", "p2")

hours = st.integers(-40, 40) | st.integers(-2000, 2000)
#: Also ends of days and of months: the first of them is the day 20512 = 641 * 32.
MIDNIGHT = datetime(2026, 2, 28, tzinfo=UTC)
moments = hours.map(lambda number: NOW + timedelta(hours=number, milliseconds=number)) | st.builds(
    lambda days, milliseconds: MIDNIGHT + timedelta(days=days, milliseconds=milliseconds),
    st.sampled_from([-32, -31, -1, 0, 1, 31, 32, 33]),
    st.integers(-1, 1),
)
entries = st.builds(
    Entry,
    job_id=st.uuids().map(lambda value: value.hex[:24]),
    ended=moments,
    project_id=st.sampled_from(PROJECTS),
    user_id=st.sampled_from(USERS),
    device_id=st.sampled_from(DEVICES),
    executions=st.integers(0, 5),
    queue_ms=st.integers(0, 1000),
    run_ms=st.just(0) | st.integers(0, 1000),
    cost_ms=st.integers(0, 1000),
)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy that may leave a condition out."""
    return st.none() | strategy


selections = st.builds(
    Selection,
    since=maybe(moments),
    until=maybe(moments),
    project_ids=maybe(st.sets(st.sampled_from(PROJECTS))),
    user_ids=maybe(st.sets(st.sampled_from(USERS))),
    device_ids=maybe(st.sets(st.sampled_from(DEVICES))),
)
columns_ = st.lists(st.sampled_from(["day", "project_id", "user_id", "device_id"]), unique=True).map(tuple)


def naive(found: list[Entry], selection: Selection, columns: tuple[str, ...]) -> dict[tuple[Any, ...], Sums]:
    """Count again, the simple way."""
    sums: dict[tuple[Any, ...], Sums] = {}
    for entry in found:
        if selection.since is not None and entry.ended < selection.since:
            continue
        if selection.until is not None and entry.ended >= selection.until:
            continue
        among = ((selection.project_ids, entry.project_id), (selection.user_ids, entry.user_id))
        if any(values is not None and value not in values for values, value in among):
            continue
        if selection.device_ids is not None and entry.device_id not in selection.device_ids:
            continue
        epoch = datetime(1970, 1, 1, tzinfo=NOW.tzinfo)
        named = {"day": (entry.ended - epoch) // DAY}
        key = tuple(named[name] if name == "day" else getattr(entry, name) for name in columns)
        old = sums.get(key, Sums())
        sums[key] = Sums(
            old.jobs + 1,
            old.executions + entry.executions,
            old.queue_ms + entry.queue_ms,
            old.run_ms + entry.run_ms,
            old.cost_ms + entry.cost_ms,
            old.ran + (entry.run_ms > 0),
        )
    return sums


def test_sums_are_those_of_a_recount(town: Town) -> None:
    """For any entries, any times, any conditions and any grouping; days and what sticks out of them agree."""
    known: list[Entry] = []

    @settings(max_examples=60)
    @given(more=st.lists(entries, max_size=6), selection=selections, columns=columns_)
    def check(more: list[Entry], selection: Selection, columns: tuple[str, ...]) -> None:
        def work(tx: Transaction) -> None:
            for entry in more:
                usage.record(tx, entry)

        town.store.write(work)
        there = {entry.job_id for entry in known}
        known.extend(
            entry for entry in {each.job_id: each for each in reversed(more)}.values() if entry.job_id not in there
        )
        found = town.store.read(lambda tx: usage.by(tx, selection, columns))
        assert found == naive(known, selection, columns)
        assert town.store.read(lambda tx: usage.total(tx, selection)) == naive(known, selection, ()).get((), Sums())

    check()


def test_an_entry_is_written_once(town: Town) -> None:
    """Whoever writes it a second time changes nothing."""
    entry = Entry("job", NOW, PROJECTS[0], USERS[0], DEVICES[0], 1, 2, 3, 4)  # type: ignore[arg-type]
    for _ in range(3):
        town.store.write(lambda tx: usage.record(tx, entry))

    assert town.store.read(lambda tx: usage.total(tx, Selection())) == Sums(1, 1, 2, 3, 4, 1)


def ended(town: Town, job: Job) -> Sums:
    """Return what is in the ledger, which must be what the one job that ended used."""
    sums = town.store.read(lambda tx: usage.total(tx, Selection()))
    now = reload(town.store, job)
    assert now.ended is not None
    begun = now.started or now.ended
    assert (sums.jobs, sums.ran) == (1, 0 if now.started is None else 1)
    assert sums.queue_ms == (begun - now.created) / timedelta(milliseconds=1)
    assert sums.run_ms == (now.ended - begun) / timedelta(milliseconds=1)
    return sums


@pytest.mark.parametrize(
    "how", ["completed", "failed", "cancelled while it ran", "cancelled while it waited", "refused"]
)
def test_every_end_of_a_job_is_in_the_ledger(town: Town, how: str) -> None:
    """With the move itself: in the same transaction, and in no other way."""
    if how == "refused":
        job = town.store.write(lambda tx: a_job(tx, town, State.VALIDATING))
    else:
        job = town.store.write(lambda tx: a_job(tx, town, State.VALIDATING))
        town.store.write(lambda tx: outcomes.validated(tx, job, ACCEPTED, after(1)))
    if how in {"completed", "failed", "cancelled while it ran"}:
        town.store.write(lambda tx: records.advance(tx, job.id, (State.RUNNING,), after(2), started=after(2)))
    assert town.store.read(lambda tx: usage.total(tx, Selection())) == Sums()
    last = {
        "completed": State.COMPLETED,
        "failed": State.ERROR_RUNNING_JOB,
        "refused": State.ERROR_VALIDATING_JOB,
    }.get(how, State.CANCELLED)
    done = {"completed": 3, "failed": 2}.get(how, 0)
    town.store.write(lambda tx: records.advance(tx, job.id, (last,), after(5), executions=done, cost=0.75))

    sums = ended(town, job)
    ran = how in {"completed", "failed", "cancelled while it ran"}
    assert (sums.executions, sums.cost_ms) == (done, 750)
    assert (sums.queue_ms, sums.run_ms) == ((2000, 3000) if ran else (5000, 0))


def test_no_time_is_less_than_nothing(town: Town) -> None:
    """Of jobs that are submitted in one moment, each is created a millisecond after the last; they may end sooner."""
    for _ in range(3):
        job = town.store.write(lambda tx: a_job(tx, town, State.VALIDATING))
        town.store.write(lambda tx, job=job: records.advance(tx, job.id, (State.ERROR_VALIDATING_JOB,), after(0)))  # type: ignore[misc]

    assert reload(town.store, job).created > after(0)
    assert town.store.read(lambda tx: usage.total(tx, Selection())) == Sums(jobs=3)


def test_a_move_that_fails_is_not_in_the_ledger(town: Town) -> None:
    """What is undone was never used."""
    job = queued(town)

    def work(tx: Transaction) -> None:
        outcomes.cancel(tx, job, after(1))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        town.store.write(work)
    assert town.store.read(lambda tx: usage.total(tx, Selection())) == Sums()


def test_averages_are_those_of_the_jobs_that_have_such_a_time() -> None:
    """Every job waits; one that never ran would only make the others look faster."""
    sums = Sums(jobs=4, queue_ms=100, run_ms=90, ran=3)

    assert (sums.average_run_ms, sums.average_queue_ms) == (30, 25)
    assert (Sums().average_run_ms, Sums().average_queue_ms) == (0, 0)


@pytest.mark.parametrize(
    ("selection", "columns", "tables"),
    [
        (Selection(), (), ["usage_project_months"]),
        (Selection(), ("project_id",), ["usage_project_months"]),
        (Selection(since=MIDNIGHT - timedelta(days=1)), (), ["usage_project_days", "usage_project_months"]),
        (Selection(project_ids={ProjectId("p1")}), ("project_id", "day"), ["usage_project_days"]),
        (Selection(), ("user_id",), ["usage_months"]),
        (Selection(device_ids={"d1"}), (), ["usage_months"]),
        (Selection(user_ids={"u1"}), ("day",), ["usage_days"]),
        (
            Selection(since=MIDNIGHT - timedelta(days=1), until=MIDNIGHT + timedelta(days=32, hours=1)),
            ("user_id",),
            ["usage", "usage_days", "usage_months"],
        ),
        (Selection(since=NOW, until=NOW + timedelta(hours=1)), (), ["usage"]),
    ],
    ids=str,
)
def test_long_times_are_read_from_few_rows(
    town: Town, monkeypatch: pytest.MonkeyPatch, selection: Selection, columns: tuple[str, ...], tables: list[str]
) -> None:
    """Of the tables of sums the coarsest that can answer; of the entries only hours."""
    asked: list[str] = []
    run = Prepared.run

    def note(prepared: Prepared, *arguments: Any) -> Any:
        asked.extend(re.findall(r"FROM (\w+)", str(prepared.statement)))
        return run(prepared, *arguments)

    monkeypatch.setattr(Prepared, "run", note)
    town.store.read(lambda tx: usage.by(tx, selection, columns))

    assert sorted(set(asked)) == tables
