# SPDX-License-Identifier: Apache-2.0
"""How a job gets on and ends: what a worker found is written here, and what is left is read here."""

from datetime import datetime
from typing import Final

import msgspec

from chandelier import errors
from chandelier.formats import tasks
from chandelier.jobs import codes, lifecycle, records
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.store import Store, Transaction, objects

_PURGED_AT_ONCE: Final = 500
#: Objects that are named by the job itself.
_OF_A_JOB: Final[tuple[objects.Kind, ...]] = ("programs", "converted", "pictures")


def validated(tx: Transaction, job: Job, accepted: tasks.Accepted, now: datetime) -> None:
    """Write that the program can run; the job waits for its device."""
    records.advance(
        tx,
        job.id,
        (State.VALIDATED, State.QUEUED),
        now,
        summary=msgspec.to_builtins(accepted.summary),
        estimate=accepted.seconds,
        shots=accepted.summary.shots,
    )


def refused(tx: Transaction, job: Job, refusal: tasks.Refused, now: datetime) -> None:
    """Write that the program cannot run, or that running it failed without a result."""
    state = State.ERROR_VALIDATING_JOB if job.state is State.VALIDATING else State.ERROR_RUNNING_JOB
    records.advance(
        tx,
        job.id,
        (state,),
        now,
        error_code=refusal.code,
        error_message=refusal.message,
        cost=_elapsed(job, now),
    )


def settle(tx: Transaction, job: Job, finished: tasks.Finished, result: str, now: datetime) -> None:
    """Write that the program ran and left a result, of all experiments or of some.

    Args:
        result: Name of the result object.
    """
    facts: dict[str, object] = {
        "seconds": finished.seconds,
        "cost": finished.seconds,
        "output_bytes": finished.bytes,
        "result": result,
    }
    state = State.COMPLETED if finished.success else State.ERROR_RUNNING_JOB
    if not finished.success:
        facts |= {"error_code": finished.code, "error_message": finished.message}
    records.advance(tx, job.id, (state,), now, executions=finished.experiments, **facts)


def requeue(tx: Transaction, job: Job, now: datetime) -> None:
    """Write that the worker was lost; a job that ran waits again, one that was being checked is checked again."""
    if job.state is State.RUNNING:
        records.advance(tx, job.id, (State.QUEUED,), now, started=None)
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
        records.purged(tx, [job_id for job_id, *_ in jobs], now)

    # Files first: should the server end in between, they are looked for once more.
    if jobs:
        store.write(work)
    return len(jobs)


def _elapsed(job: Job, now: datetime) -> float:
    return max(0.0, (now - job.started).total_seconds()) if job.started is not None else 0.0
