# SPDX-License-Identifier: Apache-2.0
"""The whole cloud against a toy model: whatever happens in whatever order, some things always hold."""

import itertools
import shutil
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

import factories
from chandelier import devices, errors
from chandelier.formats import tasks
from chandelier.jobs import intake, lifecycle, outcomes, records
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Draft, Job, JobId, Query
from chandelier.scheduling import claims, ranking
from chandelier.scheduling.claims import Claim, LeaseLost
from chandelier.store import Transaction, database, open_store
from factories import ACCEPTED, LIMITS, Town, a_program

GOOD = tasks.Finished(success=True, code=0, message="", seconds=0.5, bytes=2)
HELD = {State.VALIDATING, State.RUNNING}
FAILED = {State.VALIDATING: State.ERROR_VALIDATING_JOB, State.RUNNING: State.ERROR_RUNNING_JOB}


class Known(msgspec.Struct):
    """What the model knows of a job.

    Attributes:
        holder: Token of the lease that stands; None if the job waits or has ended.
        end: The job as it ended.
    """

    owner: str
    device: str
    state: State
    holder: str | None = None
    deleted: bool = False
    deaths: int = 0
    end: Job | None = None


class Cloud(RuleBasedStateMachine):
    """Users, workers and bad luck, on a real database."""

    jobs: Bundle[JobId] = Bundle("jobs")
    uploads: Bundle[JobId] = Bundle("uploads")
    held: Bundle[Claim] = Bundle("held")

    def __init__(self, template: Path, folder: Path, town: Town) -> None:
        super().__init__()
        file = folder / f"{uuid.uuid4().hex}.sqlite"
        shutil.copy(template, file)
        self.store = open_store(f"sqlite:///{file}", folder / "objects", b"")
        self.town = msgspec.structs.replace(town, store=self.store)
        self.now = factories.NOW
        self.known: dict[JobId, Known] = {}
        self.last_created = datetime.min.replace(tzinfo=self.now.tzinfo)
        self.paused = False

    def teardown(self) -> None:
        """Close the database."""
        self.store.close()

    def job(self, job_id: JobId) -> Job:
        """Read a job."""
        return self.store.read(lambda tx: records.get(tx, job_id))

    def came(self, job: Job) -> JobId:
        """Let the model know of a new job."""
        assert job.created > self.last_created
        self.last_created = job.created
        self.known[job.id] = Known(job.user_id, job.device_id, job.state)
        return job.id

    def moved(self, job_id: JobId, state: State) -> None:
        """Let the model know of a move."""
        known = self.known[job_id]
        assert known.state not in lifecycle.FINAL
        known.state = state
        if state in lifecycle.FINAL:
            known.end = self.job(job_id)

    def mine(self, claim: Claim) -> bool:
        """Tell whether a claim should still be good."""
        known = self.known[claim.job.id]
        return known.holder == claim.token and known.state is claim.job.state

    @initialize()
    def begin(self) -> None:
        """Begin with the town as it is."""

    @rule(target=jobs, bob=st.booleans())
    def submit(self, bob: bool) -> JobId:
        """A user submits a program with the request, Bob to a device of his own."""
        who, place, device = (
            (self.town.bob, self.town.annex, self.town.hidden)
            if bob
            else (self.town.ann, self.town.home, self.town.device)
        )
        job = intake.submit(self.store, who, place, device, a_program(), draft=Draft(), limits=LIMITS, now=self.now)
        assert job.state is State.VALIDATING
        return self.came(job)

    @rule(target=uploads)
    def open_upload(self) -> JobId:
        """Ann begins an upload."""
        town = self.town
        return self.came(
            self.store.write(
                lambda tx: intake.open_(
                    tx, town.ann, town.home, town.device, draft=Draft(), limits=LIMITS, now=self.now
                )
            )
        )

    @rule(target=jobs, job_id=uploads, whole=st.booleans())
    def accept_upload(self, job_id: JobId, whole: bool) -> Any:
        """Ann says that the upload is done, perhaps for the second time, perhaps though it is not."""
        known = self.known[job_id]
        if known.deleted:
            return multiple()
        if whole:
            self.store.objects.put("programs", job_id, a_program())
        job = self.job(job_id)
        refused = job.state is State.CANCELLED or (
            job.state is State.CREATING and not self.store.objects.exists("programs", job_id)
        )
        try:
            after = intake.accept(self.store, job, self.now)
        except errors.Conflict:
            assert refused
            return multiple()
        assert not refused
        if known.state is State.CREATING:
            assert after.state is State.VALIDATING
            self.moved(job_id, State.VALIDATING)
            return job_id
        assert after.state is known.state
        return multiple()

    @rule(job_id=st.one_of(jobs, uploads))
    def cancel(self, job_id: JobId) -> None:
        """An owner cancels, at any time."""
        known = self.known[job_id]
        if known.deleted:
            return
        cancelled = self.store.write(lambda tx: outcomes.cancel(tx, records.get(tx, job_id), self.now))
        assert cancelled == (known.state in lifecycle.ACTIVE)
        if cancelled:
            self.moved(job_id, State.CANCELLED)

    @rule(job_id=st.one_of(jobs, uploads))
    def delete(self, job_id: JobId) -> None:
        """An owner deletes, which works for jobs that have ended."""
        known = self.known[job_id]
        if known.deleted:
            return
        job = self.job(job_id)
        try:
            outcomes.delete(self.store, job, self.now)
        except errors.Conflict:
            assert known.state in lifecycle.ACTIVE
        else:
            assert known.state in lifecycle.FINAL
            known.deleted = True

    def claimed(self, claim: Claim | None, waiting: list[JobId]) -> Any:
        """Compare a claim with the job that should have been got: the oldest one that waits."""
        if claim is None:
            assert waiting == []
            return multiple()
        assert claim.job.id == waiting[0]
        self.known[claim.job.id].holder = claim.token
        return claim

    def waiting(self, state: State) -> list[JobId]:
        """Return the jobs in a state that nobody holds, oldest first."""
        return [job_id for job_id, known in self.known.items() if known.state is state and known.holder is None]

    @rule(target=held)
    def claim_validation(self) -> Any:
        """A worker takes a job to validate."""
        claim = self.store.write(lambda tx: claims.claim_validation(tx, "worker", self.now))
        return self.claimed(claim, self.waiting(State.VALIDATING))

    @rule(target=held)
    def claim_run(self) -> Any:
        """A worker takes a job to run."""
        claim = self.store.write(lambda tx: claims.claim_run(tx, ranking.first_come, "worker", self.now))
        waiting = self.runnable()
        if claim is not None:
            self.moved(claim.job.id, State.RUNNING)
        return self.claimed(claim, waiting)

    def runnable(self) -> list[JobId]:
        """Return the queued jobs of devices that are not paused, oldest first."""
        off = {self.town.device.id} if self.paused else set()
        return [job_id for job_id in self.waiting(State.QUEUED) if self.known[job_id].device not in off]

    def written(self, claim: Claim, write: Callable[[Transaction], Claim | None]) -> Claim | None:
        """Write down how a call ended, as a worker does; the writing fails exactly if the job is lost."""

        def work(tx: Transaction) -> Claim | None:
            claims.hold(tx, claim)
            running = write(tx)
            if running is None:
                claims.release(tx, claim)
            return running

        good = self.mine(claim)
        try:
            running = self.store.write(work)
        except (LeaseLost, errors.Conflict):
            assert not good
            self.released(claim)
            return None
        assert good
        self.known[claim.job.id].holder = None if running is None else claim.token
        return running

    @rule(claim=consumes(held))
    def call_is_refused(self, claim: Claim) -> None:
        """A child says that the program cannot run."""
        job, good = claim.job, self.mine(claim)
        self.written(claim, lambda tx: outcomes.refused(tx, job, tasks.Refused(8001, "no"), self.now))
        if good:
            self.moved(job.id, FAILED[job.state])

    @rule(target=held, claim=consumes(held), goes_on=st.booleans())
    def call_succeeds(self, claim: Claim, goes_on: bool) -> Any:
        """A child has validated the program, and the worker may go on with it, or it has run it."""
        job, good = claim.job, self.mine(claim)
        paused = self.paused and job.device_id == self.town.device.id
        ahead = [job_id for job_id in self.runnable() if self.job(job_id).created < job.created]

        def write(tx: Transaction) -> Claim | None:
            if job.state is State.RUNNING:
                outcomes.settle(tx, job, GOOD, claim.token, self.now)
                return None
            outcomes.validated(tx, job, ACCEPTED, self.now)
            return claims.go_on(tx, claim, ranking.first_come, self.now) if goes_on else None

        running = self.written(claim, write)
        if not good:
            return multiple()
        if job.state is State.RUNNING:
            self.moved(job.id, State.COMPLETED)
            return multiple()
        assert (running is not None) == (goes_on and not paused and not ahead)
        self.moved(job.id, State.QUEUED if running is None else State.RUNNING)
        return multiple() if running is None else running

    def released(self, claim: Claim) -> None:
        """Let go of a job that was lost, as a worker does."""
        self.store.write(lambda tx: claims.release(tx, claim))
        known = self.known[claim.job.id]
        if known.holder == claim.token:
            known.holder = None

    @rule(claim=consumes(held), died=st.booleans())
    def give_back(self, claim: Claim, died: bool) -> None:
        """A child dies, or the worker stops."""
        good, known = self.mine(claim), self.known[claim.job.id]
        try:
            self.store.write(lambda tx: claims.give_back(tx, claim, self.now, died=died))
        except (LeaseLost, errors.Conflict):
            assert not good
            self.released(claim)
            return
        # A validation that was cancelled may be given back too: there is nothing to undo.
        assert good or known.holder == claim.token
        known.holder = None
        if not good:
            return
        known.deaths += died
        if died and claim.job.deaths + 1 >= claims.MAX_DEATHS:
            self.moved(claim.job.id, FAILED[known.state])
        elif known.state is State.RUNNING:
            self.moved(claim.job.id, State.QUEUED)

    @rule(claim=held)
    def renew(self, claim: Claim) -> None:
        """A worker renews; it learns whether the claim is lost."""
        lost = self.store.write(lambda tx: claims.renew(tx, [claim], self.now))
        assert lost == ([] if self.mine(claim) else [claim])

    @rule(claim=consumes(held))
    def crash(self, claim: Claim) -> None:
        """A worker is gone without a word: nothing happens until its lease runs out."""

    @rule()
    def time_passes(self) -> None:
        """More than a lease lasts; what nobody renewed is reaped."""
        self.now += claims.LEASE + timedelta(seconds=1)
        self.store.write(lambda tx: claims.reap(tx, self.now))
        for job_id, known in self.known.items():
            if known.holder is not None and known.state is State.RUNNING:
                self.moved(job_id, State.QUEUED)
            known.holder = None
        states = {known.state for known in self.known.values()}
        assert not states & {State.RUNNING}
        assert self.leases() == {}

    @rule()
    def clock_goes_back(self) -> None:
        """The time of day is put right."""
        self.now -= timedelta(seconds=5)

    @precondition(lambda self: self.known)
    @rule()
    def pause_or_resume(self) -> None:
        """The operator pauses the device, or lets it go on."""
        self.paused = not self.paused
        state: devices.DeviceState = "paused" if self.paused else "active"
        self.store.write(lambda tx: devices.set_state(tx, "device", state, ""))

    def leases(self) -> dict[JobId, str]:
        """Return the token of each lease that stands."""
        table = database.metadata.tables["leases"]
        query = sa.select(table.c.job_id, table.c.token)
        return {row.job_id: row.token for row in self.store.read(lambda tx: tx.execute(query).all())}

    @invariant()
    def each_job_is_where_the_model_has_it(self) -> None:
        """And is found exactly by those whose it is; what was deleted is gone."""
        for who in (self.town.ann, self.town.bob, self.town.operator):
            query = Query(user_id=who.user_id, limit=1000)
            found = self.store.read(lambda tx, query=query: records.find(tx, query))
            there = {
                job_id: known.state
                for job_id, known in self.known.items()
                if known.owner == who.user_id and not known.deleted
            }
            assert {job.id: job.state for job in found} == there
            assert [job.created for job in found] == sorted({job.created for job in found}, reverse=True)

    @invariant()
    def leases_are_those_of_the_model(self) -> None:
        """One for each job that is held; a job that runs is held by somebody."""
        held = {job_id: known.holder for job_id, known in self.known.items() if known.holder is not None}
        assert self.leases() == held
        for job_id, known in self.known.items():
            if job_id in held:
                assert known.state in HELD | {State.CANCELLED}
            assert known.state is not State.RUNNING or job_id in held

    @invariant()
    def logs_are_paths(self) -> None:
        """The events of each job are a path of the table of moves, from its beginning to its state."""
        for job_id, known in self.known.items():
            log = [state for state, _ in self.store.read(lambda tx, job_id=job_id: records.events(tx, job_id))]
            assert log[0] is State.CREATING
            assert log[-1] is known.state
            assert all(lifecycle.may_move(*pair) for pair in itertools.pairwise(log))

    @invariant()
    def what_has_ended_stays(self) -> None:
        """No row changes after its end."""
        for job_id, known in self.known.items():
            if known.end is not None and not known.deleted:
                assert self.job(job_id) == known.end


@pytest.fixture(name="village")
def _village(sqlite_template: Path, tmp_path: Path) -> tuple[Path, Town]:
    """A database with the usual people to copy, and who they are."""
    file = tmp_path / "village.sqlite"
    shutil.copy(sqlite_template, file)
    store = open_store(f"sqlite:///{file}", tmp_path / "objects", b"")
    town = factories.a_town(store)
    store.close()
    return file, town


def test_the_cloud_keeps_its_promises(village: tuple[Path, Town], tmp_path: Path) -> None:
    """For any sequence of what users, workers and bad luck do."""
    template, town = village
    run_state_machine_as_test(
        lambda: Cloud(template, tmp_path, town),
        settings=settings(
            max_examples=30,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
