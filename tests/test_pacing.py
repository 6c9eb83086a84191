# SPDX-License-Identifier: Apache-2.0
"""The pace of a real machine: a job occupies its device for as long as the machine would be, and nothing else."""

import functools
import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

import fakes
from chandelier import devices, pacing
from chandelier.fairshare import standing
from chandelier.formats import tasks
from chandelier.jobs import lifecycle, outcomes, records
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.scheduling import claims, ranking
from chandelier.scheduling.claims import Claim
from chandelier.store import Store, database
from chandelier.tenancy import grants, usage
from chandelier.worker import Budget, Worker
from factories import ACCEPTED, NOW, Town, a_device_document, after, queued, reload, states, submitted
from fakes import Ending, ScriptedPool
from test_worker import eventually

BUDGET = Budget(memory_bytes=1000, seconds=7.0, validation_seconds=3.0)
FINISHED = tasks.Finished(success=True, code=0, message="", seconds=0.25, bytes=len(fakes.RESULT), experiments=1)
LONG = 3600.0

Hire = Callable[..., Worker]


def a_machine(town: Town, overhead: float) -> Town:
    """Return the town with a device in the place of its simulator that is occupied for `overhead` by every job."""
    machine = devices.install(town.store, a_device_document("machine", simulator=False), NOW, NOW)
    town.store.write(lambda tx: grants.allow(tx, town.home, [machine.id], NOW))
    paced = town.store.write(lambda tx: devices.set_pace(tx, "machine", "real", overhead))
    return msgspec.structs.replace(town, device=paced)


def set_overhead(town: Town, overhead: float) -> None:
    """Let jobs that start from now on occupy the machine for another time."""
    town.store.write(lambda tx: devices.set_pace(tx, "machine", "real", overhead))


def accepting(device_seconds: float) -> Ending:
    """Say that the program can run, and for how long its shots would occupy the machine."""
    summary = msgspec.structs.replace(ACCEPTED.summary, device_seconds=device_seconds)
    accepted = msgspec.structs.replace(ACCEPTED, summary=summary)
    return lambda _task, _call, _timeout: tasks.encode(accepted)


@pytest.fixture(name="hire")
def _hire(store: Store) -> Iterator[Hire]:
    """Return a function that starts a worker with one slot on a scripted pool."""
    hired: list[Worker] = []

    def hire(pool: Any = None, *, alone: bool = True) -> Worker:
        pool = ScriptedPool() if pool is None else pool
        worker = Worker(store, pool, ranking.fair, BUDGET, slots=1, runners=1)
        hired.append(worker)
        worker.start(alone=alone)
        return worker

    yield hire
    for worker in hired:
        worker.stop(0.0)


def ended(town: Town, job: Job) -> Job:
    """Wait for the end of a job, and return it."""
    eventually(lambda: reload(town.store, job).state in lifecycle.FINAL)
    return reload(town.store, job)


def parked(town: Town, job: Job) -> None:
    """Wait until a job has run and waits for its device."""
    eventually(lambda: any(name.endswith("-parked") for name in files(town.store, "incoming")))
    assert reload(town.store, job).state is State.RUNNING


def leases(store: Store) -> int:
    """Return how many jobs are held."""
    table = database.metadata.tables["leases"]
    return store.read(lambda tx: int(tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()))


def files(store: Store, folder: str) -> list[str]:
    """Return the names of what lies in a folder of the objects."""
    return [path.name for path in (store.objects.root / folder).rglob("*") if path.is_file()]


def charged(town: Town) -> float:
    """Return what the home project was charged in the tree, s; what fades in a test is nothing."""
    used = town.store.read(standing.usages)
    return sum(account.value for (_, node), account in used.items() if node == town.home.project_id)


def test_a_job_ends_when_the_machine_would_be_done(town: Town, hire: Hire) -> None:
    """Shots and overhead: that is its estimate, its cost and the time that its result tells."""
    there = a_machine(town, 0.2)
    pool = ScriptedPool(validations=(accepting(0.1),))
    hire(pool)
    job = ended(there, submitted(there))
    total = town.store.read(lambda tx: usage.total(tx, usage.Selection()))

    assert job.state is State.COMPLETED
    assert job.started is not None
    assert job.ended is not None
    assert job.ended - job.started >= timedelta(seconds=0.3)
    assert (job.estimate, job.seconds, job.cost) == pytest.approx((0.3, 0.3, 0.3))
    task = pool.runs_begun(1)[0].task
    assert isinstance(task, tasks.Run)
    assert task.occupation is not None
    assert task.occupation.seconds == pytest.approx(0.3)
    # The database keeps milliseconds.
    assert timedelta(0) <= task.occupation.ends - job.started - timedelta(seconds=0.3) < timedelta(milliseconds=1)
    assert town.store.objects.read("results", outcomes.result_of(job)) == fakes.RESULT
    assert (total.jobs, total.cost_ms) == (1, 300)
    assert charged(there) == pytest.approx(0.3, rel=1e-3)
    assert files(town.store, "incoming") == []
    assert leases(town.store) == 0


def test_a_simulation_that_takes_longer_ends_the_job_itself(town: Town, hire: Hire) -> None:
    """And is charged for as the machine would have been."""
    there = a_machine(town, 0.0)
    hire(ScriptedPool(validations=(accepting(1e-9),)))
    job = ended(there, submitted(there))

    assert (job.state, job.cost) == (State.COMPLETED, 1e-9)


def test_an_occupied_device_keeps_no_slot(town: Town, hire: Hire) -> None:
    """Jobs of other devices run meanwhile on the only slot there is."""
    there = a_machine(town, LONG)
    hire()
    job = submitted(there)
    parked(there, job)

    assert ended(town, submitted(town)).state is State.COMPLETED
    assert reload(town.store, job).state is State.RUNNING
    assert leases(town.store) == 1


def test_jobs_run_one_after_another(town: Town, hire: Hire) -> None:
    """Each begins when the one before it has ended."""
    there = a_machine(town, 0.05)
    hire()
    jobs = [ended(there, job) for job in [submitted(there) for _ in range(3)]]
    times = sorted((job.started, job.ended) for job in jobs if job.started and job.ended)

    assert len(times) == 3
    assert all(before[1] <= behind[0] for before, behind in itertools.pairwise(times))


def test_a_failure_frees_the_device_at_once(town: Town, hire: Hire) -> None:
    """A program that a child could not run has not kept the machine."""
    there = a_machine(town, LONG)
    hire(ScriptedPool(runs=(fakes.refuse(8022), fakes.finish)))
    assert ended(there, submitted(there)).error_code == 8022
    parked(there, submitted(there))


def test_cancelling_frees_the_device(town: Town, hire: Hire) -> None:
    """At once; what it occupied the device for is charged, and the next job begins."""
    there = a_machine(town, LONG)
    hire()
    first = submitted(there)
    parked(there, first)
    second = submitted(there)
    eventually(lambda: reload(town.store, second).state is State.QUEUED)
    started = reload(town.store, first).started
    assert started is not None
    moment = started + timedelta(seconds=60)
    town.store.write(lambda tx: outcomes.cancel(tx, records.get(tx, first.id), moment))
    eventually(lambda: reload(town.store, second).state is State.RUNNING)
    cancelled = reload(town.store, first)

    assert (cancelled.state, cancelled.cost, cancelled.result) == (State.CANCELLED, 60.0, None)
    eventually(lambda: leases(town.store) == 1)
    eventually(lambda: len(files(town.store, "incoming")) == 1)
    assert files(town.store, "results") == []


def test_stopping_lets_an_occupied_device_s_job_wait_again(town: Town, hire: Hire) -> None:
    """Without waiting for what will not end in time; nothing is charged until the job has run again."""
    there = a_machine(town, LONG)
    worker = hire()
    job = submitted(there)
    parked(there, job)
    worker.stop(600.0)
    waiting = reload(town.store, job)

    assert (waiting.state, waiting.started, waiting.occupies, waiting.deaths) == (State.QUEUED, None, None, 0)
    assert (leases(town.store), files(town.store, "incoming")) == (0, [])
    assert charged(there) == pytest.approx(0.0, abs=1e-6)
    set_overhead(there, 0.5)
    hire()
    again = ended(there, job)
    assert (again.state, again.cost) == (State.COMPLETED, 0.5)
    assert town.store.read(lambda tx: usage.total(tx, usage.Selection())).cost_ms == 500


def test_stopping_lets_jobs_end_that_are_soon_over(town: Town, hire: Hire) -> None:
    """Within the grace given."""
    there = a_machine(town, 0.5)
    worker = hire()
    job = submitted(there)
    parked(there, job)
    worker.stop(30.0)

    assert reload(town.store, job).state is State.COMPLETED


def test_a_job_whose_lease_ran_out_runs_again_and_is_charged_once(town: Town, hire: Hire) -> None:
    """Whoever kept it before notices and lets it go."""
    there = a_machine(town, LONG)
    hire()
    job = submitted(there)
    parked(there, job)
    set_overhead(there, 0.5)
    town.store.write(lambda tx: claims.reap(tx, NOW, everything=True))
    again = ended(there, job)

    assert (again.state, again.claims, again.cost) == (State.COMPLETED, 2, 0.5)
    assert states(town.store, job).count(State.RUNNING) == 2
    assert charged(there) == pytest.approx(0.5, rel=1e-3)
    eventually(lambda: files(town.store, "incoming") == [])
    assert town.store.objects.read("results", outcomes.result_of(again)) == fakes.RESULT


def test_after_the_death_of_a_server_the_job_runs_again(town: Town, hire: Hire) -> None:
    """A lease is all that is left of it."""
    there = a_machine(town, 0.5)
    job = begun(there)[0].job
    hire(alone=False)
    again = ended(there, job)

    assert (again.state, again.claims, again.cost) == (State.COMPLETED, 2, 0.5)


def begun(town: Town, number: int = 1) -> list[Claim]:
    """Let jobs of different devices, or of one that is fast meanwhile, begin long ago."""
    taken = []
    for _ in range(number):
        queued(town)
        claim = town.store.write(lambda tx: claims.claim_run(tx, ranking.fair, "somebody", NOW))
        assert claim is not None
        taken.append(claim)
    return taken


def finished(store: Store, claim: Claim) -> None:
    """Leave a result, as a child does."""
    store.objects.incoming(claim.token).write_bytes(fakes.RESULT)


def test_a_result_that_is_gone_is_a_death(sqlite_town: Town) -> None:
    """The job waits again, and will have another one."""
    there = a_machine(sqlite_town, 1.0)
    [claim] = begun(there)
    finished(there.store, claim)
    pacer = pacing.Pacer(there.store, lambda: after(5))
    pacer.park(claim, FINISHED, after(1), moved=lambda: None)
    there.store.objects.incoming(f"{claim.token}-parked").unlink()
    pacer.close(after(2))
    pacer.run()
    job = reload(there.store, claim.job)

    assert (job.state, job.deaths, leases(there.store)) == (State.QUEUED, 1, 0)


def test_a_child_that_left_nothing_is_not_parked(sqlite_town: Town) -> None:
    """The worker hears of it at once."""
    there = a_machine(sqlite_town, 1.0)
    [claim] = begun(there)
    pacer = pacing.Pacer(there.store, lambda: NOW)
    with pytest.raises(FileNotFoundError):
        pacer.park(claim, FINISHED, after(1), moved=lambda: None)

    assert pacer.held() == []


def test_a_settlement_that_came_through_unheard_keeps_its_result(sqlite_town: Town) -> None:
    """The database may answer a commit that it has made with an error; the second attempt changes nothing."""
    there = a_machine(sqlite_town, 1.0)
    [claim] = begun(there)
    finished(there.store, claim)
    pacer = pacing.Pacer(there.store, lambda: after(5))
    pacer.park(claim, FINISHED, after(1), moved=lambda: None)
    there.store.objects.put("results", claim.token, fakes.RESULT)
    there.store.write(lambda tx: outcomes.settle(tx, claim.job, FINISHED, claim.token, after(1)))
    pacer.close(after(2))
    pacer.run()

    assert reload(there.store, claim.job).state is State.COMPLETED
    assert there.store.objects.read("results", claim.token) == fakes.RESULT
    assert leases(there.store) == 0


def test_what_ends_while_the_server_stops_waits_again(sqlite_town: Town) -> None:
    """A child may hand over its result after the pacer was closed."""
    there = a_machine(sqlite_town, LONG)
    [claim] = begun(there)
    finished(there.store, claim)
    pacer = pacing.Pacer(there.store, lambda: after(1))
    pacer.close(after(1))
    pacer.run()
    pacer.park(claim, FINISHED, after(LONG), moved=lambda: None)

    assert reload(there.store, claim.job).state is State.QUEUED
    assert (leases(there.store), files(there.store, "incoming"), pacer.held()) == (0, [], [])


@settings(max_examples=15)
@given(dues=st.lists(st.integers(0, 20), min_size=1, max_size=5), end=st.integers(0, 20))
def test_what_is_due_at_the_end_is_settled_and_the_rest_waits_again(
    sqlite_town: Town, dues: list[int], end: int
) -> None:
    """Each job exactly once, in the order in which the machines are done."""
    store, heard = sqlite_town.store, list[str]()
    taken = begun(sqlite_town, len(dues))
    pacer = pacing.Pacer(store, lambda: after(end))
    for claim, due in zip(taken, dues, strict=True):
        finished(store, claim)
        pacer.park(claim, FINISHED, after(due), moved=functools.partial(heard.append, claim.job.id))
    pacer.close(after(end))
    pacer.run()
    became = {claim.job.id: reload(store, claim.job).state for claim in taken}
    order = [claim.job.id for _, _, claim in sorted(zip(dues, range(len(dues)), taken, strict=True))]

    assert heard == order
    for claim, due in zip(taken, dues, strict=True):
        assert became[claim.job.id] is (State.COMPLETED if due <= end else State.QUEUED)
    assert (leases(store), files(store, "incoming"), pacer.held()) == (0, [], [])
