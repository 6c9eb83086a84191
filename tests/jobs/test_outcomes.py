# SPDX-License-Identifier: Apache-2.0
"""How jobs get on and end."""

from collections.abc import Callable
from functools import partial

import msgspec
import pytest

from chandelier import errors
from chandelier.formats import tasks
from chandelier.jobs import lifecycle, outcomes, records
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.store import Transaction
from chandelier.tenancy import usage
from factories import ACCEPTED, NOW, SUMMARY, Town, a_job, a_program, after, reload, states

RESULT = "feedfacefeedfacefeedface"
OTHER_RESULT = "b" * 24
GOOD = tasks.Finished(success=True, code=0, message="", seconds=1.5, bytes=1234, experiments=5)
BAD = tasks.Finished(success=False, code=8020, message="experiment 1 failed", seconds=2.5, bytes=99, experiments=4)


def add(town: Town, state: State) -> Job:
    """Add a job in a state."""
    return town.store.write(lambda tx: a_job(tx, town, state))


def running(town: Town) -> Job:
    """Add a job that has been running for a while."""
    job = add(town, State.RUNNING)
    return msgspec.structs.replace(job, started=NOW)


def test_a_validated_job_waits_with_what_is_known_of_it(town: Town) -> None:
    """Summary, shots and estimate."""
    job = add(town, State.VALIDATING)
    town.store.write(lambda tx: outcomes.validated(tx, job, ACCEPTED, after(1)))
    job = reload(town.store, job)

    assert (job.state, job.shots, job.estimate) == (State.QUEUED, SUMMARY.shots, ACCEPTED.seconds)
    assert job.summary == msgspec.to_builtins(SUMMARY)
    assert states(town.store, job)[-2:] == [State.VALIDATED, State.QUEUED]


@pytest.mark.parametrize(
    ("state", "end"),
    [(State.VALIDATING, State.ERROR_VALIDATING_JOB), (State.RUNNING, State.ERROR_RUNNING_JOB)],
)
def test_a_refusal_ends_the_job_with_its_reason(town: Town, state: State, end: State) -> None:
    """While it was checked or while it ran."""
    job = add(town, state)
    town.store.write(lambda tx: outcomes.refused(tx, job, tasks.Refused(8001, "no such gate"), after(1)))
    job = reload(town.store, job)

    assert (job.state, job.error_code, job.error_message) == (end, 8001, "no such gate")
    assert (job.ended, job.result) == (after(1), None)


def test_a_success_leaves_a_result(town: Town) -> None:
    """With time, cost and size."""
    job = running(town)
    town.store.write(lambda tx: outcomes.settle(tx, job, GOOD, RESULT, after(2)))
    job = reload(town.store, job)

    assert (job.state, job.seconds, job.cost, job.output_bytes) == (State.COMPLETED, 1.5, 1.5, 1234)
    assert (job.error_code, job.error_message, job.ended) == (None, None, after(2))
    assert outcomes.result_of(job) == RESULT


def test_a_partial_failure_leaves_a_result_too(town: Town) -> None:
    """And says what failed."""
    job = running(town)
    town.store.write(lambda tx: outcomes.settle(tx, job, BAD, RESULT, after(2)))
    job = reload(town.store, job)

    assert (job.state, job.error_code, job.error_message) == (State.ERROR_RUNNING_JOB, 8020, "experiment 1 failed")
    assert outcomes.result_of(job) == RESULT


@pytest.mark.parametrize("state", sorted(State))
def test_every_job_that_has_not_ended_can_be_cancelled(town: Town, state: State) -> None:
    """Of one that has, nothing changes."""
    job = add(town, state)
    cancelled = town.store.write(lambda tx: outcomes.cancel(tx, job, after(3)))
    now = reload(town.store, job)

    assert cancelled is (state in lifecycle.ACTIVE)
    if cancelled:
        assert (now.state, now.ended) == (State.CANCELLED, after(3))
    else:
        assert now == job


def test_a_cancelled_run_costs_what_it_took(town: Town) -> None:
    """And one that did not run costs nothing."""
    ran, waited = running(town), add(town, State.QUEUED)
    for job in (ran, waited):
        town.store.write(partial(outcomes.cancel, job=job, now=after(3)))

    assert reload(town.store, ran).cost == 3.0
    assert reload(town.store, waited).cost == 0.0


@pytest.mark.parametrize(
    ("how", "executions"),
    [
        (lambda tx, job: outcomes.settle(tx, job, GOOD, RESULT, after(2)), 5),
        (lambda tx, job: outcomes.settle(tx, job, BAD, RESULT, after(2)), 4),
        (lambda tx, job: outcomes.refused(tx, job, tasks.Refused(8021, ""), after(2)), 0),
        (lambda tx, job: outcomes.cancel(tx, job, after(2)), 0),
    ],
    ids=["completed", "failed in part", "failed", "cancelled"],
)
def test_the_ledger_has_the_experiments_that_ran(
    town: Town, how: Callable[[Transaction, Job], object], executions: int
) -> None:
    """Not those that the program has: a run that left no result counts none."""
    job = running(town)
    town.store.write(lambda tx: records.note(tx, job.id, summary=msgspec.to_builtins(SUMMARY), started=NOW))
    town.store.write(lambda tx: how(tx, job))

    assert town.store.read(lambda tx: usage.total(tx, usage.Selection())).executions == executions


def test_what_was_cancelled_cannot_be_settled(town: Town) -> None:
    """The worker that comes too late is told so, whatever it brings."""
    job = running(town)
    town.store.write(lambda tx: outcomes.cancel(tx, job, after(1)))
    before = reload(town.store, job)

    for settle in (
        lambda tx: outcomes.settle(tx, job, GOOD, RESULT, after(2)),
        lambda tx: outcomes.settle(tx, job, BAD, RESULT, after(2)),
        lambda tx: outcomes.refused(tx, job, tasks.Refused(8021, ""), after(2)),
        lambda tx: outcomes.requeue(tx, job, after(2)),
    ):
        with pytest.raises(errors.Conflict):
            town.store.write(settle)
    assert reload(town.store, job) == before


def test_a_lost_run_waits_again(town: Town) -> None:
    """As if it had never begun."""
    job = running(town)
    town.store.write(lambda tx: outcomes.requeue(tx, job, after(1)))
    job = reload(town.store, job)

    assert (job.state, job.started) == (State.QUEUED, None)


def test_a_lost_validation_is_done_again(town: Town) -> None:
    """The job never left its state, but workers are told."""
    heard: list[str] = []
    job = add(town, State.VALIDATING)
    town.store.write(lambda _tx: None)
    town.store.bell.listen("queue", lambda: heard.append("queue"))
    town.store.write(lambda tx: outcomes.requeue(tx, job, after(1)))
    town.store.write(lambda _tx: None)

    assert reload(town.store, job) == job
    assert heard == ["queue"]


@pytest.mark.parametrize("state", sorted(State))
def test_without_a_result_the_answer_says_why(town: Town, state: State) -> None:
    """Not found, with the state, and whether to wait for it."""
    job = add(town, state)
    with pytest.raises(errors.NotFound) as caught:
        outcomes.result_of(job)

    assert caught.value.code == 3252
    assert str(state) in caught.value.message
    assert caught.value.message.endswith("yet.") == (state in lifecycle.ACTIVE)


def test_what_a_deleted_job_left_is_removed_when_it_is_old_enough(town: Town) -> None:
    """Program and result; those of other jobs stay, and nothing is looked for twice."""
    job, other = running(town), running(town)
    for each, result in ((job, RESULT), (other, OTHER_RESULT)):
        town.store.objects.put("programs", each.id, a_program())
        town.store.objects.put("results", result, b"{}")
        town.store.write(partial(outcomes.settle, job=each, finished=GOOD, result=result, now=after(2)))
    town.store.write(lambda tx: records.delete(tx, job.id, after(3)))

    assert outcomes.purge(town.store, after(3), after(4)) == 0
    assert town.store.objects.exists("programs", job.id)
    assert outcomes.purge(town.store, after(3.001), after(4)) == 1
    assert not town.store.objects.exists("programs", job.id)
    assert not town.store.objects.exists("results", RESULT)
    assert town.store.objects.exists("programs", other.id)
    assert town.store.objects.exists("results", OTHER_RESULT)
    assert outcomes.purge(town.store, after(3.001), after(5)) == 0


def test_a_purge_that_was_interrupted_is_done_again(town: Town) -> None:
    """Files that are gone already are no failure."""
    job = running(town)
    town.store.write(lambda tx: outcomes.settle(tx, job, GOOD, RESULT, after(2)))
    town.store.write(lambda tx: records.delete(tx, job.id, after(3)))

    assert outcomes.purge(town.store, after(9), after(9)) == 1
