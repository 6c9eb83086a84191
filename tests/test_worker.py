# SPDX-License-Identifier: Apache-2.0
"""The worker: whatever becomes of a child, every job ends as it should, and no lease is left behind."""

import signal
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

import fakes
from chandelier import devices, errors
from chandelier.formats import tasks
from chandelier.jobs import codes, intake, lifecycle, outcomes, records, sessions
from chandelier.jobs.intake import Order
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Draft, Job
from chandelier.jobs.sessions import Session, Terms
from chandelier.scheduling import claims, ranking
from chandelier.store import Store, database, parcels
from chandelier.tenancy import usage
from chandelier.worker import Budget, Worker
from factories import ACCEPTED, LIMITS, NOW, Town, a_job, a_program, kept, queued, reload, states, submitted
from fakes import Ending, ScriptedPool

PATIENCE = 30.0
BUDGET = Budget(memory_bytes=1000, seconds=7.0, validation_seconds=3.0)
COMPLETE = [
    State.CREATING,
    State.CREATED,
    State.VALIDATING,
    State.VALIDATED,
    State.QUEUED,
    State.RUNNING,
    State.COMPLETED,
]

Hire = Callable[..., Worker]


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it never came true")


@pytest.fixture(name="hire")
def _hire(store: Store) -> Iterator[Hire]:
    """Return a function that starts a worker on a scripted pool."""
    hired: list[Worker] = []

    def hire(pool: Any, *, slots: int = 2, runners: int = 1, alone: bool = True) -> Worker:
        worker = Worker(store, pool, ranking.fair, BUDGET, slots=slots, runners=runners)
        hired.append(worker)
        worker.start(alone=alone)
        return worker

    yield hire
    for worker in hired:
        worker.stop(0.0)


def ended(town: Town, job: Job) -> Job:
    """Wait for the end of a job, and for its lease to be gone, and return it."""
    eventually(lambda: reload(town.store, job).state in lifecycle.FINAL)
    eventually(lambda: leases(town.store) == 0)
    return reload(town.store, job)


def leases(store: Store) -> int:
    """Return how many jobs are held."""
    table = database.metadata.tables["leases"]
    return store.read(lambda tx: int(tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()))


def files(store: Store, folder: str) -> list[str]:
    """Return the names of what lies in a folder of the objects."""
    return [path.stem for path in (store.objects.root / folder).rglob("*") if path.is_file()]


def test_a_job_goes_from_submission_to_its_result(town: Town, hire: Hire) -> None:
    """Through all its states, each once; the result is an object and nothing is left lying about."""
    hire(ScriptedPool())
    job = ended(town, submitted(town))

    assert states(town.store, job) == COMPLETE
    assert (job.seconds, job.error_code, job.claims, job.deaths) == (0.25, None, 1, 0)
    assert town.store.objects.read("results", outcomes.result_of(job)) == fakes.RESULT
    assert files(town.store, "incoming") == []


def test_a_child_is_told_where_everything_is(town: Town, hire: Hire) -> None:
    """Program, device, result and budget; the same for both questions."""
    pool = ScriptedPool()
    hire(pool)
    job = ended(town, submitted(town))
    check, run = (call.task for call in pool.calls)
    objects = town.store.objects

    assert isinstance(check, tasks.Validate)
    assert isinstance(run, tasks.Run)
    for task in (check, run):
        assert task.job_id == job.id
        assert bytes(task.body) == kept(town.store, "programs", job.id)
        assert task.device == str(objects.path("devices", town.device.calibration))
        assert task.limits == tasks.Limits(1000, 7.0, small_bytes=parcels.MOST)


def test_a_large_program_is_a_file(town: Town, hire: Hire) -> None:
    """Of which a child is told the path."""
    pool = ScriptedPool()
    hire(pool)
    program = a_program() + b" " * parcels.MOST
    job = ended(
        town,
        intake.submit(
            town.store, town.ann, town.home, town.device, program, draft=Draft(), limits=LIMITS, now=datetime.now(UTC)
        ),
    )

    for task in (call.task for call in pool.calls):
        assert task.body == tasks.ABSENT
        assert task.program == str(town.store.objects.path("programs", job.id))


@pytest.mark.parametrize("at_once", [True, False])
def test_a_small_result_is_told_and_kept_with_the_job(town: Town, hire: Hire, at_once: bool) -> None:
    """No file is written for it."""
    told = msgspec.structs.replace(fakes.FINISHED, document=msgspec.Raw(fakes.RESULT))

    def check(_task: tasks.Task, _call: fakes.ScriptedCall, _timeout: float) -> bytes:
        return tasks.encode(msgspec.structs.replace(ACCEPTED, finished=told) if at_once else ACCEPTED)

    def run(_task: tasks.Task, _call: fakes.ScriptedCall, _timeout: float) -> bytes:
        return tasks.encode(told)

    hire(ScriptedPool(validations=(check,), runs=(run,)), slots=1)
    job = ended(town, submitted(town, datetime.now(UTC)))

    assert job.state is State.COMPLETED
    assert kept(town.store, "results", outcomes.result_of(job)) == fakes.RESULT
    assert files(town.store, "results") == []


def test_a_small_job_runs_as_soon_as_it_was_checked(town: Town, hire: Hire) -> None:
    """In one call, with all that another job leaves: its states in their order, its result, and what it used."""
    pool = ScriptedPool(validations=(fakes.accept_and_finish,))
    hire(pool, slots=1)
    job = ended(town, submitted(town, datetime.now(UTC)))

    assert [type(call.task) for call in pool.calls] == [tasks.Validate]
    assert (job.state, job.seconds, job.cost) == (State.COMPLETED, 0.25, 0.25)
    assert states(town.store, job) == COMPLETE
    assert job.result is not None
    assert town.store.objects.read("results", job.result) == fakes.RESULT
    assert job.started is not None
    assert job.ended is not None
    assert job.created <= job.started <= job.ended
    assert town.store.read(lambda tx: usage.total(tx, usage.Selection())).executions == 1
    assert files(town.store, "incoming") == []


def test_a_small_job_does_not_overtake(town: Town, hire: Hire) -> None:
    """Others that came while it was checked go first: what it left is thrown away, and it runs when it is due."""
    others: list[Job] = []

    def check(task: tasks.Task, call: fakes.ScriptedCall, timeout: float) -> bytes:
        if not others:
            others.append(queued(town, NOW, who=town.bob))  # created earlier
        return fakes.accept_and_finish(task, call, timeout)

    pool = ScriptedPool(validations=(check,))
    hire(pool, slots=1)
    small = ended(town, submitted(town, datetime.now(UTC)))
    other = ended(town, others[0])

    assert [call.task.job_id for call in pool.runs_begun(2)] == [other.id, small.id]
    assert small.state is other.state is State.COMPLETED
    assert len(files(town.store, "results")) == 2


def test_while_others_wait_nothing_runs_at_once(town: Town, hire: Hire) -> None:
    """It would only be in their way."""
    other = queued(town, NOW, who=town.bob)
    job = submitted(town, datetime.now(UTC))
    pool = ScriptedPool(validations=(fakes.accept_and_finish,))
    hire(pool, slots=1)
    ended(town, job)
    ended(town, other)
    checks = [call.task for call in pool.calls if isinstance(call.task, tasks.Validate)]

    assert [task.at_once for task in checks] == [None]


def test_a_run_at_once_that_takes_too_long_is_only_a_check(town: Town, hire: Hire) -> None:
    """A run may take longer than a check, so the program is checked again, and runs in its turn."""

    def check(task: tasks.Task, call: fakes.ScriptedCall, timeout: float) -> bytes:
        assert isinstance(task, tasks.Validate)
        return fakes.accept(task, call, timeout) if task.at_once is None else fakes.overrun(task, call, timeout)

    hire(ScriptedPool(validations=(check,)), slots=1)

    assert ended(town, submitted(town, datetime.now(UTC))).state is State.COMPLETED


def test_a_run_at_once_without_a_result_is_only_a_check(town: Town, hire: Hire) -> None:
    """The job runs in its turn."""

    def check(task: tasks.Task, _call: fakes.ScriptedCall, _timeout: float) -> bytes:
        assert isinstance(task, tasks.Validate)
        return tasks.encode(msgspec.structs.replace(ACCEPTED, finished=fakes.FINISHED))

    pool = ScriptedPool(validations=(check,))
    hire(pool, slots=1)
    job = ended(town, submitted(town, datetime.now(UTC)))

    assert job.state is State.COMPLETED
    assert len(pool.runs_begun(1)) == 1


def test_a_device_that_slows_down_meanwhile_is_occupied(town: Town, hire: Hire) -> None:
    """What ran while it was fast is thrown away: the machine would still be at it."""

    def check(task: tasks.Task, call: fakes.ScriptedCall, timeout: float) -> bytes:
        town.store.write(lambda tx: devices.set_pace(tx, town.device.name, "real", overhead=60.0))
        return fakes.accept_and_finish(task, call, timeout)

    table = database.metadata.tables["devices"]
    town.store.write(lambda tx: tx.execute(sa.update(table).values(simulator=False)) and None)
    pool = ScriptedPool(validations=(check,))
    hire(pool, slots=1)
    job = submitted(town, datetime.now(UTC))
    pool.runs_begun(1)
    eventually(lambda: reload(town.store, job).state is State.RUNNING)

    assert (reload(town.store, job).occupies or 0) >= 60


def test_what_its_limits_refuse_leaves_nothing(town: Town, hire: Hire) -> None:
    """Also if it ran at once: the limits of its project are looked at when it is known what it asks for."""
    table = database.metadata.tables["grants"]
    town.store.write(lambda tx: tx.execute(sa.update(table).values(max_shots=1)) and None)
    hire(ScriptedPool(validations=(fakes.accept_and_finish,)), slots=1)
    job = ended(town, submitted(town, datetime.now(UTC)))

    assert (job.state, job.error_code, job.result) == (State.ERROR_VALIDATING_JOB, 8006, None)
    eventually(lambda: files(town.store, "results") == files(town.store, "incoming") == [])


def test_news_goes_on_from_a_slot_without_a_child(town: Town, hire: Hire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another slot, which has one, takes the job."""
    monkeypatch.setattr("chandelier.worker._IDLE_SECONDS", 3 * PATIENCE)
    dead = threading.Event()

    class Pool(ScriptedPool):
        def slot(self, index: int) -> Any:
            return Broken() if index == 0 else self

    class Broken:
        def ready(self, timeout: float = 0.0) -> bool:
            return not dead.wait(timeout) if not dead.is_set() else False

    hire(Pool(), slots=2, runners=2)
    eventually(lambda: True)
    dead.set()

    assert ended(town, submitted(town, datetime.now(UTC))).state is State.COMPLETED


def test_a_job_that_is_cancelled_while_it_runs_at_once_leaves_nothing(town: Town, hire: Hire) -> None:
    """It stays cancelled."""
    jobs: list[Job] = []

    def check(task: tasks.Task, call: fakes.ScriptedCall, timeout: float) -> bytes:
        eventually(lambda: bool(jobs))
        town.store.write(lambda tx: outcomes.cancel(tx, reload(town.store, jobs[0]), datetime.now(UTC)))
        return fakes.accept_and_finish(task, call, timeout)

    hire(ScriptedPool(validations=(check,)), slots=1)
    jobs.append(submitted(town, datetime.now(UTC)))
    job = ended(town, jobs[0])

    assert (job.state, job.result) == (State.CANCELLED, None)
    eventually(lambda: files(town.store, "results") == files(town.store, "incoming") == [])


def test_jobs_that_were_there_before_are_done_in_their_order(town: Town, hire: Hire) -> None:
    """First come, first served."""
    jobs = [submitted(town) for _ in range(4)]
    pool = ScriptedPool()
    hire(pool, slots=1)
    for job in jobs:
        ended(town, job)

    assert [call.task.job_id for call in pool.runs_begun(4)] == [job.id for job in jobs]


def test_many_jobs_on_many_slots_all_end_once(town: Town, hire: Hire) -> None:
    """Each is validated once and run once."""
    pool = ScriptedPool()
    hire(pool, slots=4, runners=3)
    jobs = [submitted(town) for _ in range(20)]
    finished = [ended(town, job) for job in jobs]

    assert {job.state for job in finished} == {State.COMPLETED}
    assert sorted(call.task.job_id for call in pool.calls) == sorted(job.id for job in jobs * 2)


@pytest.mark.parametrize(
    ("validations", "runs", "state", "code"),
    [
        ((fakes.refuse(8001),), (), State.ERROR_VALIDATING_JOB, 8001),
        ((fakes.overrun,), (), State.ERROR_VALIDATING_JOB, 8023),
        ((fakes.die(-signal.SIGXCPU),), (), State.ERROR_VALIDATING_JOB, 8026),
        ((fakes.die(),), (), State.ERROR_VALIDATING_JOB, 8024),
        ((fakes.garbage,), (), State.ERROR_VALIDATING_JOB, 8024),
        ((fakes.forget_result,), (), State.ERROR_VALIDATING_JOB, 8021),
        ((fakes.accept,), (fakes.refuse(8022),), State.ERROR_RUNNING_JOB, 8022),
        ((fakes.accept,), (fakes.overrun,), State.ERROR_RUNNING_JOB, 8023),
        ((fakes.accept,), (fakes.die(-signal.SIGXCPU),), State.ERROR_RUNNING_JOB, 8026),
        ((fakes.accept,), (fakes.die(-signal.SIGSEGV),), State.ERROR_RUNNING_JOB, 8024),
        ((fakes.accept,), (fakes.die(1),), State.ERROR_RUNNING_JOB, 8024),
        ((fakes.accept,), (fakes.garble,), State.ERROR_RUNNING_JOB, 8024),
        ((fakes.accept,), (fakes.garbage,), State.ERROR_RUNNING_JOB, 8024),
        ((fakes.accept,), (fakes.forget_result,), State.ERROR_RUNNING_JOB, 8024),
        ((fakes.accept,), (fakes.accept,), State.ERROR_RUNNING_JOB, 8021),
    ],
)
def test_failures_end_the_job_with_their_code(
    town: Town, hire: Hire, validations: tuple[Ending, ...], runs: tuple[Ending, ...], state: State, code: int
) -> None:
    """Each way in which a child can fail for good, while it checks and while it runs; no result is left."""
    hire(ScriptedPool(validations=validations, runs=runs or (fakes.finish,)))
    job = ended(town, submitted(town))

    assert (job.state, job.error_code) == (state, code)
    assert job.error_code in errors.CODES
    assert job.error_message
    assert job.result is None
    assert job.deaths == (claims.MAX_DEATHS if code == 8024 else 0)
    assert files(town.store, "results") == files(town.store, "incoming") == []


def test_a_partial_failure_leaves_its_result(town: Town, hire: Hire) -> None:
    """Clients get what succeeded."""
    hire(ScriptedPool(runs=(fakes.finish_partly,)))
    job = ended(town, submitted(town))

    assert (job.state, job.error_code, job.error_message) == (State.ERROR_RUNNING_JOB, 8020, "one failed")
    assert town.store.objects.read("results", outcomes.result_of(job)) == fakes.RESULT


@pytest.mark.parametrize("ending", [fakes.die(), fakes.garbage, fakes.garble, fakes.forget_result])
def test_a_child_that_dies_by_chance_costs_nothing_but_time(town: Town, hire: Hire, ending: Ending) -> None:
    """The job is run again, and completes."""
    hire(ScriptedPool(validations=(fakes.die(), fakes.accept), runs=(ending, fakes.finish)))
    job = ended(town, submitted(town))

    assert (job.state, job.deaths, job.error_code) == (State.COMPLETED, 2, None)


def test_without_a_child_the_job_waits(town: Town, hire: Hire) -> None:
    """And nobody counts a death."""
    pool = ScriptedPool()
    pool.refusing = 1
    hire(pool, slots=1)
    job = ended(town, submitted(town))

    assert (job.state, job.claims, job.deaths) == (State.COMPLETED, 2, 0)


@pytest.mark.parametrize("stage", ["validate", "run"])
def test_cancelling_kills_the_child(town: Town, hire: Hire, stage: str) -> None:
    """The job stays cancelled, the next one is done, and nothing of the first is left."""
    endings = (fakes.hang, fakes.accept) if stage == "validate" else (fakes.accept,)
    pool = ScriptedPool(
        validations=endings, runs=(fakes.finish,) if stage == "validate" else (fakes.hang, fakes.finish)
    )
    hire(pool, slots=1)
    job = submitted(town)
    call = pool.calls_begun(1)[0] if stage == "validate" else pool.runs_begun(1)[0]
    town.store.write(lambda tx: outcomes.cancel(tx, records.get(tx, job.id), NOW))
    assert call.killed.wait(PATIENCE)
    job = ended(town, job)

    assert (job.state, job.deaths, job.result) == (State.CANCELLED, 0, None)
    assert states(town.store, job)[-1] is State.CANCELLED
    assert ended(town, submitted(town)).state is State.COMPLETED
    assert files(town.store, "incoming") == []


def test_a_job_cancelled_and_deleted_while_it_runs_is_gone(town: Town, hire: Hire) -> None:
    """Its child is killed, its lease ends, and the worker goes on."""
    pool = ScriptedPool(runs=(fakes.hang, fakes.finish))
    hire(pool)
    job = submitted(town)
    call = pool.runs_begun(1)[0]
    town.store.write(lambda tx: outcomes.cancel(tx, records.get(tx, job.id), NOW))
    town.store.write(lambda tx: records.delete(tx, job.id, NOW))

    assert call.killed.wait(PATIENCE)
    eventually(lambda: leases(town.store) == 0)
    assert ended(town, submitted(town)).state is State.COMPLETED


def test_a_result_that_comes_after_the_cancellation_is_thrown_away(town: Town, hire: Hire) -> None:
    """A child that finishes in the moment in which its job is cancelled changes nothing and leaves nothing."""

    def finish_late(task: tasks.Task, call: fakes.ScriptedCall, timeout: float) -> bytes:
        assert isinstance(task, tasks.Run)
        job_id = task.job_id
        town.store.write(lambda tx: outcomes.cancel(tx, records.get(tx, job_id), NOW))
        return fakes.finish(task, call, timeout)

    hire(ScriptedPool(runs=(finish_late,)))
    job = ended(town, submitted(town))

    assert (job.state, job.result) == (State.CANCELLED, None)
    eventually(lambda: files(town.store, "results") == files(town.store, "incoming") == [])


def test_bad_programs_are_refused_while_long_jobs_run(town: Town, hire: Hire) -> None:
    """The slot beyond the runners sees to it."""
    pool = ScriptedPool(validations=(fakes.accept, fakes.refuse(8002)), runs=(fakes.hang,))
    hire(pool, slots=2, runners=1)
    long = submitted(town)
    pool.runs_begun(1)
    bad = submitted(town)
    eventually(lambda: reload(town.store, bad).state is State.ERROR_VALIDATING_JOB)

    assert reload(town.store, long).state is State.RUNNING


def test_a_job_that_comes_just_after_another_is_not_forgotten(
    town: Town, hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slot that only validates waits its patience out for each, also when it looks but once for every bell."""

    def go_on(task: tasks.Task, call: fakes.ScriptedCall, timeout: float) -> bytes:
        call.killed.wait(3 * PATIENCE)
        return fakes.finish(task, call, timeout)

    monkeypatch.setattr("chandelier.worker._IDLE_SECONDS", 3 * PATIENCE)
    pool = ScriptedPool(validations=(fakes.accept, fakes.refuse(8002)), runs=(go_on,))
    hire(pool, slots=2, runners=1)
    long = submitted(town, datetime.now(UTC))
    pool.runs_begun(1)
    bad = submitted(town, datetime.now(UTC))
    eventually(lambda: reload(town.store, bad).state is State.ERROR_VALIDATING_JOB)

    assert reload(town.store, long).state is State.RUNNING


def test_a_slot_that_only_validates_runs_nothing(town: Town, hire: Hire) -> None:
    """What it has checked waits for another slot."""
    pool = ScriptedPool()
    hire(pool, slots=1, runners=0)
    job = submitted(town)
    eventually(lambda: reload(town.store, job).state is State.QUEUED)

    assert leases(town.store) == 0
    assert len(pool.calls) == 1


def test_a_paused_device_checks_and_does_not_run(town: Town, hire: Hire) -> None:
    """Until it goes on."""
    town.store.write(lambda tx: devices.set_state(tx, "device", "paused", ""))
    hire(ScriptedPool())
    job = submitted(town)
    eventually(lambda: reload(town.store, job).state is State.QUEUED)
    town.store.write(lambda tx: devices.set_state(tx, "device", "active", ""))

    assert ended(town, job).state is State.COMPLETED


@pytest.mark.parametrize("stage", ["validate", "run"])
def test_stopping_gives_jobs_back(town: Town, hire: Hire, stage: str) -> None:
    """The child is killed, the job waits as before, and the next worker completes it."""
    hanging = {"validations": (fakes.hang,)} if stage == "validate" else {"runs": (fakes.hang,)}
    pool = ScriptedPool(**hanging)
    worker = hire(pool)
    job = submitted(town)
    call = pool.calls_begun(1)[0] if stage == "validate" else pool.runs_begun(1)[0]
    worker.stop(0.0)

    assert call.killed.is_set()
    assert leases(town.store) == 0
    waiting = reload(town.store, job)
    assert waiting.state is (State.VALIDATING if stage == "validate" else State.QUEUED)
    assert (waiting.deaths, waiting.started) == (0, None)

    hire(ScriptedPool(), alone=False)
    assert ended(town, job).state is State.COMPLETED


def test_stopping_lets_short_jobs_end(town: Town, hire: Hire) -> None:
    """Within the grace given."""
    stopping = threading.Event()

    def finish_soon(task: tasks.Task, call: fakes.ScriptedCall, timeout: float) -> bytes:
        assert stopping.wait(PATIENCE)
        return fakes.finish(task, call, timeout)

    pool = ScriptedPool(runs=(finish_soon,))
    worker = hire(pool)
    job = submitted(town)
    call = pool.runs_begun(1)[0]
    threading.Timer(0.1, stopping.set).start()
    worker.stop(PATIENCE)

    assert not call.killed.is_set()
    assert reload(town.store, job).state is State.COMPLETED


def test_after_stopping_nothing_is_taken(town: Town, hire: Hire) -> None:
    """A job that comes later waits."""
    pool = ScriptedPool()
    hire(pool).stop(0.0)
    job = submitted(town)

    assert pool.calls == []
    assert reload(town.store, job) == job


@pytest.mark.parametrize("alone", [True, False])
def test_a_new_worker_takes_over_from_a_dead_one(town: Town, hire: Hire, alone: bool) -> None:
    """At once where no other server can be alive, else when the lease has run out."""

    def abandon(state: State) -> Job:
        return town.store.write(lambda tx: a_job(tx, town, state, now=NOW))

    running, checking = abandon(State.QUEUED), abandon(State.VALIDATING)
    moment = NOW if not alone else datetime.now(UTC)
    town.store.write(lambda tx: claims.claim_run(tx, ranking.fair, "dead", moment))
    town.store.write(lambda tx: claims.claim_validation(tx, "dead", moment))
    assert leases(town.store) == 2
    hire(ScriptedPool(), alone=alone)

    for job in (running, checking):
        assert ended(town, job).state is State.COMPLETED
    assert states(town.store, running).count(State.RUNNING) == 2


def test_the_lease_of_a_living_worker_is_respected(town: Town, hire: Hire) -> None:
    """A second server does not touch it."""
    pool = ScriptedPool(runs=(fakes.hang,))
    hire(pool)
    held = submitted(town)
    pool.runs_begun(1)
    hire(ScriptedPool(), alone=False)
    other = submitted(town)
    eventually(lambda: reload(town.store, other).state is State.COMPLETED)

    assert reload(town.store, held).state is State.RUNNING
    assert leases(town.store) == 1


def test_what_nobody_foresaw_stops_no_worker(town: Town, hire: Hire) -> None:
    """The job keeps its lease until that runs out; the others are done meanwhile."""
    hire(ScriptedPool(runs=(fakes.fail_unforeseen, fakes.finish)), slots=1)
    first = submitted(town)
    eventually(lambda: reload(town.store, first).state is State.RUNNING)
    second = submitted(town)
    eventually(lambda: reload(town.store, second).state is State.COMPLETED)
    assert reload(town.store, first).state is State.RUNNING

    town.store.write(lambda tx: claims.reap(tx, NOW, everything=True))
    assert ended(town, first).state is State.COMPLETED


def texts(town: Town, code: codes.Draft | None = None) -> Job:
    """Submit a text of Ann's."""
    asked = intake.Asked(b'[{"qasm": "qreg q[1];"}]')
    more: dict[str, Any] = {"draft": Draft(), "limits": LIMITS, "now": NOW, "code": code}
    return intake.submit_texts(town.store, town.ann, town.home, town.device, asked, **more)


def test_texts_are_made_into_what_is_run(town: Town, hire: Hire) -> None:
    """The child is told where to write the Qobj, which is kept beside the texts and run in their place."""
    pool = ScriptedPool(validations=(fakes.compile_texts,))
    hire(pool)
    job = ended(town, texts(town))
    check, run = (call.task for call in pool.calls)
    objects = town.store.objects

    assert states(town.store, job) == COMPLETE
    assert isinstance(check, tasks.Validate)
    assert (check.program, check.picture) == (str(objects.path("programs", job.id)), None)
    assert run.program == str(objects.path("converted", job.id))
    assert objects.read("converted", job.id) == fakes.PROGRAM
    assert files(town.store, "incoming") == files(town.store, "pictures") == []


@pytest.mark.parametrize("drawn", [True, False])
def test_codes_have_pictures(town: Town, hire: Hire, drawn: bool) -> None:
    """If the child could draw one; without it the job goes on all the same."""

    def without_picture(task: tasks.Task, call: fakes.ScriptedCall, timeout: float) -> bytes:
        assert isinstance(task, tasks.Validate)
        return fakes.compile_texts(msgspec.structs.replace(task, picture=None), call, timeout)

    hire(ScriptedPool(validations=(fakes.compile_texts if drawn else without_picture,)))
    job = ended(town, texts(town, codes.Draft("bell", "QASM2", "qreg q[1];")))

    assert job.state is State.COMPLETED
    assert files(town.store, "pictures") == ([job.id] if drawn else [])
    assert files(town.store, "incoming") == []


def test_a_child_that_leaves_no_program_is_tried_again(town: Town, hire: Hire) -> None:
    """It is a fault of the server, not of the texts."""
    hire(ScriptedPool(validations=(fakes.accept, fakes.compile_texts)))
    job = ended(town, texts(town))

    assert (job.state, job.deaths) == (State.COMPLETED, 1)


def test_texts_that_are_refused(town: Town, hire: Hire) -> None:
    """The job says why, and nothing is left lying about."""
    hire(ScriptedPool(validations=(fakes.refuse(8012),)))
    job = ended(town, texts(town))

    assert (job.state, job.error_code) == (State.ERROR_VALIDATING_JOB, 8012)
    assert files(town.store, "incoming") == files(town.store, "converted") == []


def sit(town: Town, idle: float = 3600.0) -> Session:
    """Open a session of Ann's."""
    terms = Terms(idle=idle)
    who, where = town.ann.user_id, town.home.project_id
    return town.store.write(
        lambda tx: sessions.open_(tx, who, where, town.device, "dedicated", datetime.now(UTC), terms=terms)
    )


def program(town: Town, session: Session | None = None, most_seconds: float | None = None) -> Job:
    """Submit a program of the Runtime API, of Ann's in a session or of Bob's."""
    order = Order("sampler", b"{}", None if session is None else session.id, most_seconds)
    who = town.bob if session is None else town.ann
    more: dict[str, Any] = {"draft": Draft(), "limits": LIMITS, "now": datetime.now(UTC)}
    return intake.submit_params(town.store, who, town.home, town.device, order, **more)


@pytest.mark.parametrize("check", [fakes.accept, fakes.accept_and_finish])
def test_while_a_session_keeps_a_device_only_its_jobs_run(town: Town, hire: Hire, check: Ending) -> None:
    """Also those that would run as soon as they were checked; others when it is closed."""
    session = sit(town)
    hire(ScriptedPool(validations=(check,)), slots=1)
    assert ended(town, program(town, session)).state is State.COMPLETED
    other = program(town)
    eventually(lambda: reload(town.store, other).state is State.QUEUED)
    assert ended(town, program(town, session)).state is State.COMPLETED
    assert reload(town.store, other).state is State.QUEUED
    town.store.write(lambda tx: sessions.close(tx, session, datetime.now(UTC)))

    assert ended(town, other).state is State.COMPLETED


def test_a_device_that_is_given_up_is_noticed(town: Town, hire: Hire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing happens but that time passes, and who waits begins."""
    monkeypatch.setattr("chandelier.worker._IDLE_SECONDS", 3 * PATIENCE)
    session = sit(town, idle=3.0)
    hire(ScriptedPool(), slots=1)
    ended(town, program(town, session))
    other = program(town)

    assert ended(town, other).state is State.COMPLETED
    assert town.store.read(lambda tx: sessions.standing(tx, session, datetime.now(UTC))).phase == "inactive"


def test_a_session_goes_on_after_a_crash(town: Town, hire: Hire) -> None:
    """The next worker runs its job first, and the device is kept."""
    session = sit(town)
    pool = ScriptedPool(runs=(fakes.finish, fakes.hang))
    worker = hire(pool, slots=1)
    ended(town, program(town, session))
    lost, other = program(town, session), program(town)
    pool.runs_begun(2)
    worker.stop(0.0)
    hire(ScriptedPool(), slots=1, alone=False)

    assert ended(town, lost).state is State.COMPLETED
    eventually(lambda: reload(town.store, other).state is State.QUEUED)
    town.store.write(lambda tx: sessions.close(tx, session, datetime.now(UTC) + timedelta(seconds=1)))
    assert ended(town, other).state is State.COMPLETED


@pytest.mark.parametrize(("most", "expected"), [(None, 7.0), (2.5, 2.5), (100.0, 7.0)])
def test_a_job_has_no_more_time_than_its_submitter_says(
    town: Town, hire: Hire, most: float | None, expected: float
) -> None:
    """Nor more than any job has; one that takes longer is stopped, and says so."""
    told: list[float] = []

    def overrun(task: tasks.Task, call: fakes.ScriptedCall, timeout: float) -> bytes:
        told.append(timeout)
        return fakes.overrun(task, call, timeout)

    hire(ScriptedPool(runs=(overrun,)), slots=1)
    job = ended(town, program(town, most_seconds=most))

    assert told == [expected]
    assert (job.state, job.error_code) == (State.ERROR_RUNNING_JOB, 8023)
    assert f"{expected:g} s" in (job.error_message or "")
