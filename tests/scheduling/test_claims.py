# SPDX-License-Identifier: Apache-2.0
"""Leases: who holds which job, for how long, and what becomes of jobs that are let go."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from chandelier import devices, errors
from chandelier.formats import tasks
from chandelier.jobs import finding, outcomes, records
from chandelier.jobs.finding import Query
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.scheduling import claims, ranking
from chandelier.scheduling.claims import LEASE, MAX_CLAIMS, MAX_DEATHS, Claim, LeaseLost
from chandelier.store import Store, Transaction, database
from factories import ACCEPTED, NOW, Town, a_device_document, a_job, after, queued, reload, states, submitted

GOOD = tasks.Finished(success=True, code=0, message="", seconds=1.5, bytes=10, experiments=1)
PATIENCE = 30.0
LATE = LEASE.total_seconds() + 0.001


def check(store: Store, now: datetime = NOW, holder: str = "worker", since: datetime | None = None) -> Claim | None:
    """Claim a job to validate."""
    return store.write(lambda tx: claims.claim_validation(tx, holder, now, waiting_since=since))


def run(store: Store, now: datetime = NOW, holder: str = "worker") -> Claim | None:
    """Claim a job to run."""
    return store.write(lambda tx: claims.claim_run(tx, ranking.fair, holder, now))


def taken(claim: Claim | None) -> Claim:
    """Return a claim that must have been got."""
    assert claim is not None
    return claim


def leases(store: Store) -> dict[str, str]:
    """Return who holds which job."""
    table = database.metadata.tables["leases"]
    query = sa.select(table.c.job_id, table.c.holder)
    return store.read(lambda tx: {row.job_id: row.holder for row in tx.execute(query)})


def settle(store: Store, claim: Claim, now: datetime = NOW) -> None:
    """End a job as a worker does."""

    def work(tx: Transaction) -> None:
        claims.hold(tx, claim)
        outcomes.settle(tx, claim.job, GOOD, claim.token, now)
        claims.release(tx, claim)

    store.write(work)


def reap(store: Store, now: datetime, *, everything: bool = False) -> int:
    """End the leases that ran out."""
    return store.write(lambda tx: claims.reap(tx, now, everything=everything))


def give_back(store: Store, claim: Claim, *, died: bool) -> None:
    """Let a job wait again."""
    store.write(lambda tx: claims.give_back(tx, claim, NOW, died=died))


def test_an_empty_queue_gives_nothing(town: Town) -> None:
    """Neither to validate nor to run, also where there are jobs in other states."""
    for state in set(State) - {State.VALIDATING, State.QUEUED}:
        town.store.write(partial(a_job, town=town, state=state))

    assert check(town.store) is None
    assert run(town.store) is None


def test_validations_are_claimed_first_come_first_served(town: Town) -> None:
    """Each once, without leaving their state."""
    jobs = [submitted(town) for _ in range(3)]
    held = [taken(check(town.store)) for _ in jobs]

    assert [claim.job.id for claim in held] == [job.id for job in jobs]
    assert check(town.store) is None
    assert all(claim.job.state is State.VALIDATING and claim.job.claims == 1 for claim in held)
    assert len({claim.token for claim in held}) == 3
    assert leases(town.store) == {job.id: "worker" for job in jobs}


@pytest.mark.parametrize("stage", ["validate", "run"])
def test_a_look_takes_nothing_from_anybody(town: Town, stage: str) -> None:
    """While one worker looks whether there is something to do, another can take it."""
    job = (submitted if stage == "validate" else queued)(town)
    with town.store.database.reading() as tx:
        assert claims.is_waiting(tx)
        assert taken((check if stage == "validate" else run)(town.store)).job.id == job.id

    assert not town.store.read(claims.is_waiting)


def test_runs_are_claimed_first_come_first_served(town: Town) -> None:
    """By the time of creation, whatever order they were validated in."""
    jobs = [submitted(town) for _ in range(3)]
    for job in reversed(jobs):
        town.store.write(partial(outcomes.validated, job=job, accepted=ACCEPTED, now=NOW))
    held = [taken(run(town.store, after(1))) for _ in jobs]

    assert [claim.job.id for claim in held] == [job.id for job in jobs]
    assert run(town.store) is None
    for claim in held:
        assert (claim.job.state, claim.job.started) == (State.RUNNING, after(1))
        assert reload(town.store, claim.job) == claim.job


def test_new_jobs_are_left_to_others_for_a_while(town: Town) -> None:
    """A slot that asks for older ones gets them only."""
    job = submitted(town, after(1))

    assert check(town.store, after(1), since=after(1)) is None
    assert taken(check(town.store, after(2), since=after(1.5))).job.id == job.id


@pytest.mark.parametrize("stage", ["validate", "run"])
def test_no_job_is_claimed_twice(town: Town, stage: str) -> None:
    """However many workers ask at the same time, and none is overlooked."""
    make = submitted if stage == "validate" else queued
    jobs = [make(town) for _ in range(24)]
    start = threading.Barrier(6)

    def work(number: int) -> list[str]:
        got = []
        start.wait(PATIENCE)
        for _ in range(1000):
            claim = (check if stage == "validate" else run)(town.store, holder=f"worker {number}")
            if claim is not None:
                got.append(str(claim.job.id))
            elif len(leases(town.store)) == len(jobs):
                break
        return got

    with ThreadPoolExecutor(6) as threads:
        got = [job_id for one in threads.map(work, range(6)) for job_id in one]

    assert sorted(got) == sorted(job.id for job in jobs)
    assert set(leases(town.store)) == {job.id for job in jobs}
    assert {reload(town.store, job).claims for job in jobs} == {1}


def test_paused_devices_start_nothing_but_validate(town: Town) -> None:
    """Their jobs keep their place and go on when the device does."""
    first, second = queued(town), queued(town)
    other = town.store.write(lambda tx: a_job(tx, town, State.QUEUED, device=town.hidden))
    fresh = submitted(town)
    town.store.write(lambda tx: devices.set_state(tx, "device", "paused", "cooling down"))

    assert taken(run(town.store)).job.id == other.id
    assert run(town.store) is None
    assert taken(check(town.store)).job.id == fresh.id

    town.store.write(lambda tx: devices.set_state(tx, "device", "active", ""))
    assert [taken(run(town.store)).job.id for _ in range(2)] == [first.id, second.id]


def test_a_settled_job_is_free_of_leases(town: Town) -> None:
    """And cannot be settled again."""
    queued(town)
    claim = taken(run(town.store))
    settle(town.store, claim, after(1))

    assert leases(town.store) == {}
    assert reload(town.store, claim.job).result == claim.token
    with pytest.raises(LeaseLost):
        settle(town.store, claim, after(2))


def test_a_lease_that_ran_out_sends_a_run_back(town: Town) -> None:
    """The next worker gets it; the first one can do nothing any more."""
    queued(town)
    lost = taken(run(town.store))
    assert reap(town.store, NOW + LEASE) == 0
    assert reap(town.store, after(LATE)) == 1

    again = reload(town.store, lost.job)
    assert (again.state, again.started) == (State.QUEUED, None)
    assert leases(town.store) == {}
    second = taken(run(town.store, after(60), holder="another"))
    assert (second.job.id, second.job.claims) == (lost.job.id, 2)
    for attempt in (settle, lambda store, claim: give_back(store, claim, died=True)):
        with pytest.raises(LeaseLost):
            attempt(town.store, lost)
    assert town.store.write(lambda tx: claims.renew(tx, [lost, second], after(61))) == [lost]
    town.store.write(lambda tx: claims.release(tx, lost))
    assert leases(town.store) == {lost.job.id: "another"}
    settle(town.store, second, after(62))
    assert reload(town.store, lost.job).result == second.token


def test_a_lease_that_ran_out_sends_a_validation_back(town: Town) -> None:
    """The job stays where it is, and is free."""
    job = submitted(town)
    lost = taken(check(town.store))
    assert check(town.store) is None
    reap(town.store, after(LATE))
    second = taken(check(town.store))

    assert second.job.id == job.id
    with pytest.raises(LeaseLost):
        town.store.write(lambda tx: claims.hold(tx, lost))


def test_workers_hear_of_what_is_reaped(town: Town) -> None:
    """Whether it was being validated or run."""
    submitted(town)
    taken(check(town.store))
    queued(town)
    taken(run(town.store))
    town.store.write(lambda _tx: None)
    heard: list[str] = []
    town.store.bell.listen("queue", lambda: heard.append("queue"))
    assert reap(town.store, after(LATE)) == 2
    town.store.write(lambda _tx: None)

    assert heard == ["queue"]


def test_renewing_prolongs_the_lease(town: Town) -> None:
    """From the moment of renewal, for those that are renewed."""
    queued(town)
    queued(town)
    kept, left = taken(run(town.store)), taken(run(town.store))
    assert town.store.write(lambda tx: claims.renew(tx, [kept], after(20))) == []
    reap(town.store, after(LATE))

    assert list(leases(town.store)) == [kept.job.id]
    reap(town.store, after(20 + LATE))
    assert leases(town.store) == {}
    assert reload(town.store, left.job).state is State.QUEUED


def test_a_server_that_is_alone_ends_every_lease(town: Town) -> None:
    """Also those that have not run out: their holders are dead."""
    queued(town)
    submitted(town)
    claim, other = taken(run(town.store)), taken(check(town.store))
    assert reap(town.store, NOW) == 0
    assert reap(town.store, NOW, everything=True) == 2

    assert [reload(town.store, lost.job).state for lost in (claim, other)] == [State.QUEUED, State.VALIDATING]
    assert leases(town.store) == {}


@pytest.mark.parametrize("stage", ["validate", "run"])
def test_a_job_that_is_given_back_waits_again(town: Town, stage: str) -> None:
    """In its old place, and nobody holds it."""
    make, claim_one = (submitted, check) if stage == "validate" else (queued, run)
    job = make(town)
    make(town)
    give_back(town.store, taken(claim_one(town.store)), died=False)

    assert leases(town.store) == {}
    again = taken(claim_one(town.store))
    assert (again.job.id, again.job.claims, again.job.deaths) == (job.id, 2, 0)


@pytest.mark.parametrize(
    ("stage", "end"),
    [("validate", State.ERROR_VALIDATING_JOB), ("run", State.ERROR_RUNNING_JOB)],
)
def test_a_job_over_which_children_die_is_given_up(town: Town, stage: str, end: State) -> None:
    """After so many, not before; giving back alive does not count."""
    make, claim_one = (submitted, check) if stage == "validate" else (queued, run)
    job = make(town)
    for _ in range(MAX_DEATHS + 1):
        give_back(town.store, taken(claim_one(town.store)), died=False)
    for _ in range(MAX_DEATHS - 1):
        give_back(town.store, taken(claim_one(town.store)), died=True)
    assert reload(town.store, job).deaths == MAX_DEATHS - 1
    give_back(town.store, taken(claim_one(town.store)), died=True)
    ended = reload(town.store, job)

    assert (ended.state, ended.error_code, ended.deaths) == (end, 8024, MAX_DEATHS)
    assert leases(town.store) == {}
    assert claim_one(town.store) is None


def test_a_job_that_kills_its_workers_is_given_up(town: Town) -> None:
    """After so many leases ran out."""
    job = queued(town)
    moment = NOW
    for _ in range(MAX_CLAIMS - 1):
        taken(run(town.store, moment))
        moment += LEASE + timedelta(seconds=1)
        reap(town.store, moment)
    assert reload(town.store, job).state is State.QUEUED
    taken(run(town.store, moment))
    reap(town.store, moment + 2 * LEASE)
    ended = reload(town.store, job)

    assert (ended.state, ended.error_code) == (State.ERROR_RUNNING_JOB, 8024)
    assert leases(town.store) == {}


@pytest.mark.parametrize("stage", ["validate", "run"])
def test_a_cancelled_job_is_lost_to_its_worker(town: Town, stage: str) -> None:
    """Whatever the worker tries, the job stays cancelled; releasing it clears the lease."""
    make, claim_one = (submitted, check) if stage == "validate" else (queued, run)
    make(town)
    claim = taken(claim_one(town.store))
    town.store.write(lambda tx: outcomes.cancel(tx, reload(town.store, claim.job), after(1)))

    assert town.store.write(lambda tx: claims.renew(tx, [claim], after(2))) == [claim]
    tries: list[Callable[[Transaction], object]] = [
        lambda tx: outcomes.refused(tx, claim.job, tasks.Refused(8021, ""), after(2)),
        lambda tx: outcomes.validated(tx, claim.job, ACCEPTED, after(2)),
        lambda tx: outcomes.settle(tx, claim.job, GOOD, claim.token, after(2)),
        lambda tx: claims.give_back(tx, claim, after(2), died=stage == "validate"),
    ]
    for attempt in tries[: 3 if stage == "validate" else 4]:
        with pytest.raises(errors.Conflict):
            town.store.write(attempt)
    town.store.write(lambda tx: claims.release(tx, claim))
    assert states(town.store, claim.job)[-1] is State.CANCELLED
    assert leases(town.store) == {}


def test_a_cancelled_job_is_not_brought_back_by_reaping(town: Town) -> None:
    """Its lease ends, and nothing else happens."""
    queued(town)
    claim = taken(run(town.store))
    town.store.write(lambda tx: outcomes.cancel(tx, claim.job, after(1)))
    before = states(town.store, claim.job)

    assert reap(town.store, after(LATE)) == 1
    assert leases(town.store) == {}
    assert states(town.store, claim.job) == before


def test_a_deleted_job_takes_no_other_lease_with_it(town: Town) -> None:
    """Cancelled and deleted while it runs: it is lost, the others are renewed, and the lease is reaped."""
    queued(town)
    queued(town)
    gone, other = taken(run(town.store)), taken(run(town.store))
    town.store.write(lambda tx: outcomes.cancel(tx, gone.job, after(1)))
    town.store.write(lambda tx: records.delete(tx, gone.job.id, after(2)))

    assert town.store.write(lambda tx: claims.renew(tx, [gone, other], after(20))) == [gone]
    assert reap(town.store, after(20 + LATE)) == 2
    assert reload(town.store, other.job).state is State.QUEUED


def go_on(store: Store, claim: Claim, now: datetime = NOW) -> Claim | None:
    """Write that the claimed job can run, and go on with it if it is next."""

    def work(tx: Transaction) -> Claim | None:
        claims.hold(tx, claim)
        outcomes.validated(tx, claim.job, ACCEPTED, now)
        return claims.go_on(tx, claim, ranking.fair, now)

    return store.write(work)


def test_the_job_just_validated_runs_at_once_if_it_is_next(town: Town) -> None:
    """Under the same lease."""
    submitted(town)
    first = taken(check(town.store))
    claim = taken(go_on(town.store, first, after(1)))

    assert (claim.token, claim.job.state, claim.job.started) == (first.token, State.RUNNING, after(1))
    assert reload(town.store, claim.job).started == after(1)
    assert leases(town.store) == {claim.job.id: "worker"}
    settle(town.store, claim, after(2))
    assert reload(town.store, claim.job).state is State.COMPLETED


def test_the_job_just_validated_waits_behind_older_ones(town: Town) -> None:
    """It is let go, so that whoever is free takes the older one."""
    older = queued(town)
    younger = submitted(town)

    assert go_on(town.store, taken(check(town.store))) is None
    assert leases(town.store) == {}
    assert [taken(run(town.store)).job.id for _ in range(2)] == [older.id, younger.id]


def test_the_job_just_validated_waits_for_a_paused_device(town: Town) -> None:
    """It is queued, and not lost."""
    job = submitted(town)
    claim = taken(check(town.store))
    town.store.write(lambda tx: devices.set_state(tx, "device", "paused", ""))

    assert go_on(town.store, claim) is None
    assert reload(town.store, job).state is State.QUEUED
    assert leases(town.store) == {}


def test_another_order_is_another_function(town: Town) -> None:
    """Whatever the ranking says goes next."""

    def last_come(tx: Transaction, _now: datetime) -> ranking.Next | None:
        waiting = finding.find(tx, Query(states=frozenset({State.QUEUED}))).jobs
        return ranking.Next(waiting[0].id) if waiting else None

    jobs: list[Job] = [queued(town) for _ in range(3)]
    got = [town.store.write(lambda tx: claims.claim_run(tx, last_come, "worker", NOW)) for _ in jobs]

    assert [taken(claim).job.id for claim in got] == [job.id for job in reversed(jobs)]


def test_a_job_that_ended_otherwise_is_let_go(town: Town) -> None:
    """A cancelled job's lease goes when its worker hears of it."""
    job = queued(town)
    claim = taken(run(town.store))
    town.store.write(partial(outcomes.cancel, job=reload(town.store, job), now=after(1)))
    town.store.write(partial(claims.let_go, claim=claim))

    assert leases(town.store) == {}


def test_a_job_that_goes_on_is_not_let_go(town: Town) -> None:
    """A claim that came to nothing while the job runs keeps its lease, so that the job is missed and waits again."""
    job = queued(town)
    claim = taken(run(town.store))
    town.store.write(partial(claims.let_go, claim=claim))

    assert leases(town.store) == {job.id: "worker"}
    town.store.write(partial(claims.reap, now=after(LATE)))
    assert reload(town.store, job).state is State.QUEUED


def test_a_job_that_runs_without_a_lease_waits_again(town: Town) -> None:
    """Nothing stays RUNNING that nobody runs."""
    job = queued(town)
    taken(run(town.store))
    town.store.write(lambda tx: tx.execute(sa.delete(database.metadata.tables["leases"])))
    town.store.write(partial(claims.reap, now=after(1)))

    assert reload(town.store, job).state is State.QUEUED


def test_a_look_of_one_who_claims_locks_nothing(postgres_town: Town) -> None:
    """While one worker claims a job and looks whether there are more, another claims the next."""
    town = postgres_town
    jobs = [submitted(town, who=who) for who in (town.ann, town.bob)]
    looked, go_on = threading.Event(), threading.Event()

    def first(tx: Transaction) -> tuple[Claim | None, bool]:
        claim = claims.claim_validation(tx, "one", NOW)
        more = claims.is_waiting(tx)
        looked.set()
        assert go_on.wait(30)
        return claim, more

    with ThreadPoolExecutor() as threads:
        one = threads.submit(town.store.write, first)
        assert looked.wait(30)
        two = taken(town.store.write(lambda tx: claims.claim_validation(tx, "two", NOW)))
        go_on.set()
        claim, more = one.result()

    assert more
    assert {taken(claim).job.id, two.job.id} == {job.id for job in jobs}


@pytest.mark.parametrize("stage", ["validate", "run"])
@pytest.mark.parametrize("pinned", [False, True])
def test_a_job_has_the_calibration_of_the_moment_in_which_it_starts(town: Town, stage: str, pinned: bool) -> None:
    """Its device was calibrated since it was submitted; unless its submitter chose one, it gets the new one."""
    job = (submitted if stage == "validate" else queued)(town)
    town.store.write(lambda tx: records.note(tx, job.id, pinned=pinned))
    newer = devices.install(town.store, a_device_document("device", n_qubits=3), after(1), after(1))
    claim = taken((check if stage == "validate" else run)(town.store, after(2)))

    assert newer.calibration != job.calibration
    assert claim.job.calibration == (job.calibration if pinned else newer.calibration)
    assert reload(town.store, job).calibration == claim.job.calibration
