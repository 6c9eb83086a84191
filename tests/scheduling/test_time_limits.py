# SPDX-License-Identifier: Apache-2.0
"""Device time that a hub, group or project may use: beyond it jobs wait, nothing is cancelled, and it is said why."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Engine, event

from chandelier import devices, errors
from chandelier.devices import Device
from chandelier.formats import tasks
from chandelier.jobs import outcomes, records
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.scheduling import claims, holds, limits, ranking
from chandelier.scheduling.holds import Hold
from chandelier.store import Transaction
from chandelier.tenancy import allowances, grants, network
from chandelier.tenancy.audit import By
from chandelier.tenancy.network import Place, ProjectId, Spot
from factories import NOW, SUMMARY, Town, a_device_document, a_job, after, queued, reload

DAY = timedelta(days=1)
BY = By("operator", NOW)


def limit(town: Town, spot: Spot, seconds: float, device: Device | None = None, days: int = 28) -> None:
    """Limit the device time of a node."""
    town.store.write(lambda tx: allowances.set_(tx, BY, spot, device, seconds, days))


def ran(town: Town, seconds: float, place: Place | None = None, now: datetime = NOW, **details: Device) -> Job:
    """Let a job of a place run for some seconds."""

    def work(tx: Transaction) -> Job:
        job = a_job(tx, town, State.QUEUED, place=place or town.home, now=now, **details)
        records.advance(tx, job.id, (State.RUNNING,), now, started=now)
        records.advance(tx, job.id, (State.COMPLETED,), now, cost=seconds, seconds=seconds)
        return job

    return town.store.write(work)


def hold(town: Town, now: datetime = NOW, place: Place | None = None, device: Device | None = None) -> Hold | None:
    """Return what holds a place's jobs."""
    where = (device or town.device).id, (place or town.home).project_id
    return town.store.read(lambda tx: holds.at(tx, now)(*where))


def test_beyond_a_limit_jobs_wait_and_go_on(town: Town) -> None:
    """At the limit, not before; they run when the limit is raised, and others are not concerned."""
    limit(town, town.home.spot, 10)
    job = queued(town)
    ran(town, 9.5)
    before = hold(town)
    ran(town, 0.5)
    other = town.store.write(lambda tx: a_job(tx, town, State.QUEUED, place=town.annex, who=town.bob, now=after(1)))
    first, second = (town.store.write(lambda tx: claims.claim_run(tx, ranking.fair, "worker", NOW)) for _ in range(2))
    waited = reload(town.store, job).state
    limit(town, town.home.spot, 11)
    third = town.store.write(lambda tx: claims.claim_run(tx, ranking.fair, "worker", NOW))

    assert before is None
    assert (first and first.job.id, second, waited) == (other.id, None, State.QUEUED)
    assert third is not None
    assert third.job.id == job.id


def test_the_reason_names_whose_limit_it_is_and_when_it_ends(town: Town) -> None:
    """With what was used of how much, in how many days."""
    limit(town, Spot(town.home.hub, town.home.group), 10, days=7)
    ran(town, 4, now=NOW - 3 * DAY)
    ran(town, 8)
    found = hold(town)

    assert found is not None
    assert found.kind == "time limit"
    assert found.text == (
        "the group has used 12 of 10 seconds on all devices together in 7 days; jobs start again on 2026-03-18, "
        "at midnight UTC"
    )


def test_a_window_lets_go_of_the_oldest_days(town: Town) -> None:
    """At the midnight that was named, and not a millisecond before."""
    limit(town, town.home.spot, 10, days=7)
    ran(town, 4, now=NOW - 3 * DAY)
    ran(town, 8)
    freed = datetime(2026, 3, 18, tzinfo=NOW.tzinfo)

    assert hold(town, freed - timedelta(milliseconds=1)) is not None
    assert hold(town, freed) is None


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_limit_holds_for_all_below(town: Town, level: int) -> None:
    """A hub's and a group's for their projects together, a project's for itself alone."""
    sibling = town.store.write(lambda tx: network.add_project(tx, town.home.group, "other", NOW))
    second = Place(town.home.hub, town.home.group, sibling)
    limit(town, Spot(*town.home.spot.way[:level]), 10)
    ran(town, 6)
    ran(town, 6, second)

    assert [hold(town) is None, hold(town, place=second) is None] == [level == 3, level == 3]
    ran(town, 4)
    assert [hold(town) is None, hold(town, place=second) is None] == [False, level == 3]
    assert hold(town, place=town.annex) is None


def test_a_limit_of_one_device_counts_and_holds_there_alone(town: Town) -> None:
    """What was used elsewhere does not matter, nor do jobs elsewhere wait."""
    limit(town, town.annex.spot, 10, town.device)
    ran(town, 100, town.annex, device=town.hidden)
    assert hold(town, place=town.annex) is None
    ran(town, 10, town.annex)

    assert hold(town, place=town.annex) is not None
    assert hold(town, place=town.annex, device=town.hidden) is None


def test_what_was_used_before_the_limit_counts(town: Town) -> None:
    """As far as it is in the window; a changed limit has counted everything once."""
    ran(town, 6, now=NOW - 5 * DAY)
    ran(town, 6, now=NOW - 30 * DAY)
    limit(town, town.home.spot, 100)
    ran(town, 1)
    limit(town, town.home.spot, 7)
    [standing] = town.store.read(lambda tx: allowances.standings(tx, NOW))

    assert standing.used == 7.0
    assert hold(town) is not None


def test_what_runs_counts_as_what_it_is_expected_to_take(town: Town) -> None:
    """So that many short limits are not begun at once; of those that run elsewhere nothing counts."""
    limit(town, town.home.spot, 0.9)
    jobs = [queued(town) for _ in range(3)]  # each is expected to take half a second
    begun = [town.store.write(lambda tx: claims.claim_run(tx, ranking.fair, "worker", NOW)) for _ in jobs]

    assert [claim is not None for claim in begun] == [True, True, False]
    found = hold(town)
    assert found is not None
    assert "has used 1 of 0.9 seconds" in found.text


def test_a_limit_of_nothing_never_ends(town: Town) -> None:
    """There is no day to name."""
    limit(town, town.home.spot, 0)
    found = hold(town)

    assert found is not None
    assert found.text.endswith("; no jobs start again")


def test_a_limit_taken_away_holds_nobody(town: Town) -> None:
    """And is not there to be taken away again."""
    limit(town, town.home.spot, 1)
    ran(town, 2)
    town.store.write(lambda tx: allowances.remove(tx, BY, town.home.spot, None))

    assert hold(town) is None
    with pytest.raises(errors.NotFound):
        town.store.write(lambda tx: allowances.remove(tx, BY, town.home.spot, None))


@pytest.mark.parametrize(("seconds", "days"), [(-1, 28), (float("nan"), 28), (1e12, 28), (1, 0), (1, 367)])
def test_limits_that_make_no_sense_are_refused(town: Town, seconds: float, days: int) -> None:
    """And nothing is changed."""
    with pytest.raises(errors.Invalid):
        limit(town, town.home.spot, seconds, days=days)
    assert town.store.read(lambda tx: allowances.standings(tx, NOW)) == []


def test_without_limits_nothing_is_counted(town: Town) -> None:
    """No rows are written for nobody."""
    ran(town, 5)

    assert town.store.read(lambda tx: limits.spent(tx, NOW)) == ()


def test_a_job_that_would_take_too_long_is_refused(town: Town) -> None:
    """With the estimate in the message; without the limit it runs."""
    job = queued(town)
    town.store.write(lambda tx: devices.set_max_job_seconds(tx, "device", 5.0))

    def beyond(estimate: float) -> tasks.Refused | None:
        return town.store.read(lambda tx: limits.beyond(tx, job, SUMMARY, estimate))

    refused = beyond(61.25)
    assert beyond(5.0) is None
    assert refused is not None
    assert refused.code == 8009
    assert "61.2 s" in refused.message
    town.store.write(lambda tx: devices.set_max_job_seconds(tx, "device", None))
    assert beyond(61.25) is None


@pytest.mark.parametrize(
    ("overhead", "advice"),
    [
        (0.0, "Split it into several."),
        (2.0, "2 s are the device's overhead, however few its shots: ask for fewer shots, or split it into several "),
        (5.0, "no job fits, so the operator must allow longer ones or lower the overhead."),
    ],
)
def test_what_helps_depends_on_the_overhead(town: Town, overhead: float, advice: str) -> None:
    """Where a device keeps a machine's pace each part of a job has the overhead, so parts alone are no help."""
    device = devices.install(town.store, a_device_document("machine", simulator=False), NOW, NOW)

    def work(tx: Transaction) -> tasks.Refused | None:
        devices.set_max_job_seconds(tx, "machine", 5.0)
        devices.set_pace(tx, "machine", "real", overhead)
        return limits.beyond(tx, a_job(tx, town, State.VALIDATING, device=device), SUMMARY, 61.25)

    refused = town.store.write(work)

    assert refused is not None
    assert refused.code == 8009
    assert advice in refused.message
    assert ("shots of 3 s each" in refused.message) == (overhead == 2.0)


def test_a_cancelled_job_counts_for_what_it_ran(town: Town) -> None:
    """As it is charged."""
    limit(town, town.home.spot, 10)
    job = queued(town)
    town.store.write(lambda tx: records.advance(tx, job.id, (State.RUNNING,), NOW, started=NOW))
    town.store.write(lambda tx: outcomes.cancel(tx, reload(town.store, job), after(12)))

    assert hold(town) is not None
    assert ProjectId(town.home.project.id) in town.store.read(lambda tx: limits.spent(tx, NOW))[0].project_ids


def many(town: Town, count: int) -> list[Place]:
    """Return projects with a job each and nothing that they may use."""

    def work(tx: Transaction) -> list[Place]:
        found = []
        for number in range(count):
            made = network.add_project(tx, town.home.group, f"p{number}", NOW)
            found.append(Place(town.home.hub, town.home.group, made))
            grants.allow(tx, found[-1], [town.device.id], NOW)
            allowances.set_(tx, BY, found[-1].spot, None, 0)
            a_job(tx, town, State.QUEUED, place=found[-1], now=after(number))
        return found

    return town.store.write(work)


def statements(work: Callable[[], object]) -> int:
    """Return how many statements something runs."""
    run: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        run.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return len(run)


@pytest.mark.parametrize("count", [5, 40])
def test_who_is_held_makes_no_dispatch_slow(town: Town, count: int) -> None:
    """Choosing runs as many statements, however many projects have used up their time."""
    many(town, count)
    free = town.store.write(lambda tx: a_job(tx, town, State.QUEUED, now=after(100)))

    def choose(tx: Transaction) -> None:
        found = ranking.fair(tx, after(101))
        assert found is not None
        assert found.job_id == free.id

    assert statements(lambda: town.store.read(choose)) <= 16


def test_when_a_limit_frees_is_looked_up_once(town: Town) -> None:
    """Not for each project that it holds."""
    places = many(town, 3)
    for each in places:
        town.store.write(partial(allowances.remove, by=BY, spot=each.spot, device=None))
    limit(town, Spot(town.home.hub), 0)

    def look(tx: Transaction) -> list[int]:
        gate = holds.at(tx, NOW)
        return [statements(partial(gate, town.device.id, each.project_id)) for each in places]

    assert town.store.read(look) == [1, 0, 0]
