# SPDX-License-Identifier: Apache-2.0
"""How a job gets on and ends: what a worker found is written here, and what is left is read here."""

import math
from datetime import datetime
from typing import Any, Final

import msgspec

from chandelier import devices, errors
from chandelier.formats import tasks
from chandelier.jobs import codes, estimates, lifecycle, records
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.store import Store, Transaction, objects, parcels

_PURGED_AT_ONCE: Final = 500
_RUNNERS: Final = frozenset({"circuit-runner", "qasm3-runner"})
#: Objects that are named by the job itself.
_OF_A_JOB: Final[tuple[objects.Kind, ...]] = ("programs", "converted", "pictures")


def validated(
    tx: Transaction, job: Job, accepted: tasks.Accepted, now: datetime, *, estimate: float | None = None
) -> Job:
    """Write that the program can run; the job waits for its device. Return it as it is now.

    Args:
        estimate: What `expected` returns, where that is known already.
    """
    facts = _found(accepted, expected(tx, job, accepted) if estimate is None else estimate)
    records.advance(tx, job.id, (State.VALIDATED, State.QUEUED), now, **facts)
    return msgspec.structs.replace(job, state=State.QUEUED, **facts)


def expected(tx: Transaction, job: Job, accepted: tasks.Accepted, most: float = math.inf) -> float:
    """Return how long a job is expected to keep its device, s.

    Args:
        most: No simulation takes longer, s.
    """
    occupation = devices.occupation(devices.get_by_id(tx, job.device_id), accepted.summary.device_seconds)
    if occupation is not None:
        return occupation
    return estimates.expected(estimates.get(tx, job.device_id, accepted.summary.kind), accepted.seconds, most)


def refused(tx: Transaction, job: Job, refusal: tasks.Refused, now: datetime, *, ours: bool = False) -> None:
    """Write that the program cannot run, or that running it failed without a result.

    Args:
        ours: The failure is not the program's, so nothing is charged.
    """
    state = State.ERROR_VALIDATING_JOB if job.state is State.VALIDATING else State.ERROR_RUNNING_JOB
    records.advance(
        tx,
        job.id,
        (state,),
        now,
        error_code=refusal.code,
        error_message=refusal.message,
        cost=0.0 if ours else _elapsed(job, now),
    )


def settle(tx: Transaction, job: Job, finished: tasks.Finished, result: str, now: datetime) -> None:
    """Write that the program ran and left a result, of all experiments or of some.

    Args:
        result: Name of the result object; one that is told is kept here, any other is a file already.
    """
    state, facts = _came_of(tx, job, finished, result)
    records.advance(tx, job.id, (state,), now, executions=finished.experiments, **facts)


def ran_through(
    tx: Transaction,
    job: Job,
    accepted: tasks.Accepted,
    finished: tasks.Finished,
    result: str,
    begun: datetime,
    now: datetime,
    *,
    estimate: float,
) -> None:
    """Write that the program can run, and that it ran at once, since nothing waited: `validated` and `settle` in one.

    Args:
        result: As of `settle`.
        begun: When it began to run.
        estimate: What `expected` returns.
    """
    known = _found(accepted, estimate)
    state, facts = _came_of(tx, msgspec.structs.replace(job, **known), finished, result)
    records.run_through(tx, job, state, begun, now, executions=finished.experiments, **known, **facts)


def _found(accepted: tasks.Accepted, estimate: float) -> dict[str, Any]:
    """Return the columns that tell what a check found."""
    return {
        "summary": msgspec.to_builtins(accepted.summary),
        "estimate": estimate,
        "predicted": accepted.seconds,
        "shots": accepted.summary.shots,
    }


def _came_of(tx: Transaction, job: Job, finished: tasks.Finished, result: str) -> tuple[State, dict[str, Any]]:
    """Keep what a run left, and learn from it; return the state in which the job ends, and the columns to set."""
    if finished.document != tasks.ABSENT:
        parcels.put(tx, "results", result, bytes(finished.document))
    seconds = finished.seconds if job.occupies is None else job.occupies
    facts: dict[str, Any] = {
        "seconds": seconds,
        "cost": seconds,
        "output_bytes": finished.bytes,
        "result": result,
    }
    if finished.success and job.predicted is not None and job.occupies is None:
        kind = str((job.summary or {}).get("kind"))
        estimates.learn(tx, job.device_id, kind, job.predicted, finished.seconds)
    if finished.success:
        return State.COMPLETED, facts
    return State.ERROR_RUNNING_JOB, facts | {"error_code": finished.code, "error_message": finished.message}


def requeue(tx: Transaction, job: Job, now: datetime) -> None:
    """Write that the worker was lost; a job that ran waits again, one that was being checked is checked again."""
    if job.state is State.RUNNING:
        records.advance(tx, job.id, (State.QUEUED,), now, began=job.started, started=None, occupies=None)
    else:
        tx.ring("queue")


def cancel(tx: Transaction, job: Job, now: datetime) -> bool:
    """End a job at once, also while it runs; whoever runs it hears the bell and stops.

    Returns:
        Whether the job was cancelled; false when it had ended before.
    """
    if job.state in lifecycle.FINAL:
        return False
    records.advance(tx, job.id, (State.CANCELLED,), now, cost=_elapsed(job, now))
    return True


def result_of(job: Job) -> str:
    """Return the name of the job's result object.

    Raises:
        errors.NotFound: The job has left no result, or not yet.
    """
    if job.result is None:
        raise errors.NotFound(f"Job {job.id} is {job.state} and has no result" + ("." if job.ended else " yet."), 3252)
    return job.result


def ran_circuits(job: Job) -> bool:
    """Tell whether a job's result is that of circuits, in the form that clients of every age read."""
    return job.program is None or job.program in _RUNNERS


def program_of(job: Job) -> objects.Kind:
    """Return which object of the job is the Qobj that is run: what was sent, or what texts were made into."""
    return "converted" if job.kind == "qasm" else "programs"


def delete(tx: Transaction, job: Job, now: datetime) -> None:
    """Hide a job that has ended, and the code that it ran.

    Raises:
        errors.Conflict: The job has not ended.
    """
    records.delete(tx, job.id, now)
    if job.code_id is not None:
        codes.delete(tx, job.code_id, now)


def purge(store: Store, deleted_before: datetime, now: datetime) -> int:
    """Remove what jobs left that were deleted before a moment; return how many jobs."""
    jobs = store.read(lambda tx: records.deleted_before(tx, deleted_before, _PURGED_AT_ONCE))
    for job_id, result, _ in jobs:
        for kind in _OF_A_JOB:
            store.objects.delete(kind, job_id)
        if result is not None:
            store.objects.delete("results", result)

    def work(tx: Transaction) -> None:
        codes.purge(tx, [code_id for *_, code_id in jobs if code_id is not None])
        parcels.remove(tx, _OF_A_JOB, [job_id for job_id, *_ in jobs])
        parcels.remove(tx, ("results",), [result for _, result, _ in jobs if result is not None])
        records.purged(tx, [job_id for job_id, *_ in jobs], now)

    # Files first: should the server end in between, they are looked for once more.
    if jobs:
        store.write(work)
    return len(jobs)


def _elapsed(job: Job, now: datetime) -> float:
    return max(0.0, (now - job.started).total_seconds()) if job.started is not None else 0.0
