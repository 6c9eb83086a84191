# SPDX-License-Identifier: Apache-2.0
"""The whole cloud against a toy model: whatever happens in whatever order, some things always hold."""

import itertools
import os
import shutil
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
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
    rule,
    run_state_machine_as_test,
)

import factories
from chandelier import devices, errors
from chandelier.formats import tasks
from chandelier.jobs import finding, intake, lifecycle, outcomes, records
from chandelier.jobs.finding import Query
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Draft, Job, JobId
from chandelier.scheduling import claims, ranking
from chandelier.scheduling.claims import Claim, LeaseLost
from chandelier.store import Transaction, database, open_store
from factories import ACCEPTED, LIMITS, Town, a_program

GOOD = tasks.Finished(success=True, code=0, message="", seconds=0.5, bytes=2, experiments=1)
HELD = {State.VALIDATING, State.RUNNING}
#: What becomes of a call: its child answers well and the worker goes on with the job or not, or something is wrong.
endings = st.sampled_from(["goes on", "good", "refused", "killed", "died"])
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
    created: datetime
    holder: str | None = None
    deleted: bool = False
    deaths: int = 0
    end: Job | None = None


def unsynchronised(connection: Any, _record: object) -> None:
    """Let SQLite not wait for the disk."""
    connection.execute("PRAGMA synchronous=OFF")


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
        # Nobody pulls the plug in this test, and waiting for the disk would be most of its time.
        sa.event.listen(self.store.database._engine, "connect", unsynchronised)
        self.town = msgspec.structs.replace(town, store=self.store)
        self.latest = self.now = factories.NOW
        self.known: dict[JobId, Known] = {}
        self.paused = False
        self.claims: list[Claim] = []
        self.ghosts: list[Claim] = []

    def teardown(self) -> None:
        """Look at each job once more.

        The events of each are a path of the table of moves, from its beginning to its state, and no row has changed
        after its end.
        """
        for job_id, known in self.known.items():
            log = [state for state, _ in self.store.read(partial(records.events, job_id=job_id))]
            assert log[0] is State.CREATING
            assert log[-1] is known.state
            assert all(lifecycle.may_move(*pair) for pair in itertools.pairwise(log))
            if known.end is not None and not known.deleted:
                assert self.job(job_id) == known.end
        self.store.close()

    def job(self, job_id: JobId) -> Job:
        """Read a job."""
        return self.store.read(lambda tx: records.get(tx, job_id))

    def came(self, job: Job) -> JobId:
        """Let the model know of a new job."""
        theirs = [known for known in self.known.values() if known.owner == job.user_id and not known.deleted]
        assert all(job.created > known.created for known in theirs)
        self.known[job.id] = Known(job.user_id, job.device_id, job.state, job.created)
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

    @initialize(target=jobs, number=st.integers(1, 4))
    def begin(self, number: int) -> Any:
        """Begin with some jobs that are queued, and as many that are not checked yet."""
        begun = [self.submit_for(bob=index % 3 == 0) for index in range(2 * number)]
        for _ in range(number):
            claim = self.store.write(lambda tx: claims.claim_validation(tx, "worker", self.now))
            self.claimed(claim, self.waiting(State.VALIDATING))
            assert claim is not None
            self.validated(claim)
            self.moved(claim.job.id, State.QUEUED)
        return multiple(*begun)

    def validated(self, claim: Claim) -> None:
        """Write that a program can run; its job waits."""

        def write(tx: Transaction) -> None:
            outcomes.validated(tx, claim.job, ACCEPTED, self.now)

        self.written(claim, write)

    def submit_for(self, *, bob: bool) -> JobId:
        """Submit a program of Ann's to the common device, or of Bob's to his own."""
        who, place, device = (
            (self.town.bob, self.town.annex, self.town.hidden)
            if bob
            else (self.town.ann, self.town.home, self.town.device)
        )
        job = intake.submit(self.store, who, place, device, a_program(), draft=Draft(), limits=LIMITS, now=self.now)
        assert job.state is State.VALIDATING
        return self.came(job)

    @rule(target=jobs, bob=st.booleans())
    def submit(self, bob: bool) -> JobId:
        """A user submits a program with the request."""
        return self.submit_for(bob=bob)

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

    @rule(job_id=st.one_of(jobs, uploads), deletes=st.booleans())
    def end_by_owner(self, job_id: JobId, deletes: bool) -> None:
        """An owner cancels at any time, and deletes what has ended."""
        known = self.known[job_id]
        if known.deleted:
            return
        if deletes:
            self.delete(job_id, known)
            return
        cancelled = self.store.write(lambda tx: outcomes.cancel(tx, records.get(tx, job_id), self.now))
        assert cancelled == (known.state in lifecycle.ACTIVE)
        if cancelled:
            self.moved(job_id, State.CANCELLED)

    def delete(self, job_id: JobId, known: Known) -> None:
        """Delete a job, which works if it has ended."""
        try:
            self.store.write(lambda tx: records.delete(tx, job_id, self.now))
        except errors.Conflict:
            assert known.state in lifecycle.ACTIVE
        else:
            assert known.state in lifecycle.FINAL
            known.deleted = True

    def claimed(self, claim: Claim | None, waiting: list[JobId]) -> list[Claim]:
        """Compare a claim with those that could have been got: the oldest of each owner."""
        assert claim.job.id in self.firsts(waiting) if claim is not None else not waiting
        if claim is None:
            return []
        self.known[claim.job.id].holder = claim.token
        self.claims.append(claim)
        return [claim]

    def waiting(self, state: State) -> list[JobId]:
        """Return the jobs in a state that nobody holds, oldest first."""
        free = [job_id for job_id, known in self.known.items() if known.state is state and known.holder is None]
        return sorted(free, key=lambda job_id: (self.known[job_id].created, job_id))

    def firsts(self, waiting: list[JobId]) -> list[JobId]:
        """Return the first job of each owner; here each owner has a project and a device of their own."""
        owners = {self.known[job_id].owner: job_id for job_id in reversed(waiting)}
        return list(owners.values())

    @rule(target=held, runs=st.booleans(), times=st.integers(1, 4), how=endings | st.none())
    def work(self, runs: bool, times: int, how: str | None) -> Any:
        """Workers take jobs, to run or to validate, and end them at once, or later.

        What they never look after again is as if they had crashed.
        """
        got = [claim for _ in range(times) for claim in (self.claim_run() if runs else self.claim_validation())]
        if how is None:
            return multiple(*got)
        return multiple(*(running for claim in got for running in self.ended(claim, how)))

    def claim_validation(self) -> list[Claim]:
        """Take a job to validate, if there is one: of an owner of whose jobs the fewest are in hand."""
        waiting = self.waiting(State.VALIDATING)
        held = [known.owner for known in self.known.values() if known.state is State.VALIDATING and known.holder]
        fewest = min((held.count(self.known[job_id].owner) for job_id in waiting), default=0)
        claim = self.store.write(lambda tx: claims.claim_validation(tx, "worker", self.now))
        return self.claimed(claim, [job for job in waiting if held.count(self.known[job].owner) == fewest])

    def claim_run(self) -> list[Claim]:
        """Take a job to run, if there is one."""
        waiting = self.runnable()
        claim = self.store.write(lambda tx: claims.claim_run(tx, ranking.fair, "worker", self.now))
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

    @rule(target=held, claim=consumes(held), how=endings)
    def end_call(self, claim: Claim, how: str) -> Any:
        """A worker comes back to a job that it has claimed."""
        return multiple(*self.ended(claim, how))

    def ended(self, claim: Claim, how: str) -> list[Claim]:
        """End a call, and return the same claim if the worker goes on with the job."""
        if how in {"killed", "died"}:
            self.give_back(claim, died=how == "died")
        elif how == "refused":
            self.refuse(claim)
        elif claim.job.state is State.RUNNING:
            self.settle(claim)
        else:
            return self.validate(claim, goes_on=how == "goes on")
        return []

    def refuse(self, claim: Claim) -> None:
        """Write that the program cannot run."""
        good = self.mine(claim)
        self.written(claim, lambda tx: outcomes.refused(tx, claim.job, tasks.Refused(8001, "no"), self.now))
        if good:
            self.moved(claim.job.id, FAILED[claim.job.state])

    def settle(self, claim: Claim) -> None:
        """Write that the program ran."""
        good = self.mine(claim)
        self.written(claim, lambda tx: outcomes.settle(tx, claim.job, GOOD, claim.token, self.now))
        if good:
            self.moved(claim.job.id, State.COMPLETED)

    def validate(self, claim: Claim, *, goes_on: bool) -> list[Claim]:
        """Write that the program can run, and run it if it is next."""
        job, good = claim.job, self.mine(claim)
        paused = self.paused and job.device_id == self.town.device.id
        waiting = [job_id for job_id in self.runnable() if self.job(job_id).created < job.created]
        ahead = [job_id for job_id in waiting if self.known[job_id].owner == job.user_id]
        others = [job_id for job_id in self.runnable() if self.known[job_id].owner != job.user_id]

        def write(tx: Transaction) -> Claim | None:
            outcomes.validated(tx, job, ACCEPTED, self.now)
            return claims.go_on(tx, claim, ranking.fair, self.now) if goes_on else None

        running = self.written(claim, write)
        if not good:
            return []
        may = goes_on and not paused and not ahead
        assert may if running is not None else not may or others  # which of the owners is due is not modelled
        self.moved(job.id, State.QUEUED if running is None else State.RUNNING)
        return [] if running is None else [running]

    def released(self, claim: Claim) -> None:
        """Let go of a job that was lost, as a worker does."""
        self.store.write(lambda tx: claims.release(tx, claim))
        known = self.known[claim.job.id]
        if known.holder == claim.token:
            known.holder = None

    def give_back(self, claim: Claim, *, died: bool) -> None:
        """Let the job wait again because its child died, or because the worker stops."""
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

    @rule(event=st.sampled_from(["leases run out", "the clock goes back", "the device is paused or goes on"]))
    def something_happens(self, event: str) -> None:
        """What nobody in the cloud did."""
        if event == "leases run out":
            self.let_leases_run_out()
        elif event == "the clock goes back":
            self.now -= timedelta(seconds=5)
        else:
            self.paused = not self.paused
            state: devices.DeviceState = "paused" if self.paused else "active"
            self.store.write(lambda tx: devices.set_state(tx, "device", state, ""))

    def let_leases_run_out(self) -> None:
        """Wait for more than a lease lasts, and reap."""
        self.latest = self.now = max(self.latest, self.now) + claims.LEASE + timedelta(seconds=1)
        standing = self.leases()
        self.ghosts = [claim for claim in self.claims if standing.get(claim.job.id) == claim.token]
        self.store.write(lambda tx: claims.reap(tx, self.now))
        for job_id, known in self.known.items():
            if known.holder is not None and known.state is State.RUNNING:
                self.moved(job_id, State.QUEUED)
            known.holder = None
        assert self.leases() == {}

    def leases(self) -> dict[JobId, str]:
        """Return the token of each lease that stands."""
        table = database.metadata.tables["leases"]
        query = sa.select(table.c.job_id, table.c.token)
        return {row.job_id: row.token for row in self.store.read(lambda tx: tx.execute(query).all())}

    @invariant()
    def who_was_given_up_for_dead_stays_so(self) -> None:
        """Also where the job has been taken by another since."""
        for ghost in self.ghosts:
            with pytest.raises(LeaseLost):
                self.store.read(lambda tx: claims.hold(tx, ghost))  # noqa: B023  # called at once

    @invariant()
    def each_job_is_where_the_model_has_it(self) -> None:
        """And is found exactly by those whose it is; what was deleted is gone."""
        for who in (self.town.ann, self.town.bob):
            query = Query(user_id=who.user_id, limit=1000)
            found = self.store.read(partial(finding.find, query=query)).jobs
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


@pytest.fixture(name="village")
def _village(sqlite_template: Path, tmp_path: Path) -> tuple[Path, Town]:
    """A database with the usual people to copy, and who they are."""
    file = tmp_path / "village.sqlite"
    shutil.copy(sqlite_template, file)
    store = open_store(f"sqlite:///{file}", tmp_path / "objects", b"")
    town = factories.a_town(store)
    store.close()
    return file, town


def test_the_cloud_keeps_its_promises(
    village: tuple[Path, Town], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For any sequence of what users, workers and bad luck do."""
    template, town = village
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    # Jobs of one moment stand in the order of their ids: these must be the same when a failure is tried again.
    numbers = itertools.count()
    monkeypatch.setattr(records, "new_id", lambda: JobId(f"{next(numbers):024x}"))
    run_state_machine_as_test(
        partial(Cloud, template, tmp_path, town),  # type: ignore[arg-type]  # any maker will do, says its documentation
        settings=settings(
            max_examples=50,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
