# SPDX-License-Identifier: Apache-2.0
"""Leases: who works on which job, and until when; the only writer of leases, and of whose turn it is to be checked.

A worker that takes a job holds it for a while and renews; when it dies the lease runs out and the job waits again.

A claim is a random token, so a worker that was given up for dead cannot settle a job that somebody else has taken.
"""

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec
import sqlalchemy as sa

from chandelier import devices, errors
from chandelier.fairshare import accounts, standing
from chandelier.formats import tasks
from chandelier.jobs import counts, lifecycle, outcomes, records
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job, JobId
from chandelier.scheduling.ranking import Next, Ranking
from chandelier.store import Transaction, database, parcels
from chandelier.store.prepared import Prepared
from chandelier.tenancy.users import UserId

#: How long a lease lasts without being renewed.
LEASE: Final = timedelta(seconds=30)
#: A job whose lease runs out after it was taken this often (twice is normal) is given up: it may kill the workers.
MAX_CLAIMS: Final = 50
#: A job over which this many child processes died is given up.
MAX_DEATHS: Final = 3

_leases: Final = sa.Table(
    "leases",
    database.metadata,
    sa.Column("job_id", sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("token", sa.String(24), nullable=False),
    sa.Column("holder", sa.String(100), nullable=False, index=True),
    sa.Column("expires", database.UtcMilliseconds, nullable=False, index=True),
)

#: When a job of a user was last taken to be validated, s since 1970.
_turns: Final = sa.Table(
    "turns",
    database.metadata,
    sa.Column("user_id", sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("at", sa.Float(53), nullable=False),
)

# Built once, because each job runs them.
_TURNS: Final = Prepared(
    sa.select(_turns.c.user_id, _turns.c.at).where(_turns.c.user_id.in_(sa.bindparam("users", expanding=True)))
)
_END_TURN: Final = Prepared(
    sa.update(_turns).where(_turns.c.user_id == sa.bindparam("user")).values(at=sa.bindparam("moment"))
)
_LEASED: Final = sa.select(_leases.c.job_id)
_HOLDING: Final = Prepared(sa.select(_leases.c.token).where(_leases.c.job_id == sa.bindparam("job")).with_for_update())
_DROP: Final = Prepared(
    sa.delete(_leases).where(_leases.c.job_id == sa.bindparam("job"), _leases.c.token == sa.bindparam("token"))
)


class Claim(msgspec.Struct, frozen=True):
    """A job that a worker holds, to validate it or to run it (the job's state says which).

    Attributes:
        program: What was submitted, if it is small enough to be no file.
        at_once: Nothing waits in front of a job that is to be validated, so it may be run in the same breath.
    """

    job: Job
    token: str
    program: bytes | None = None
    at_once: bool = False


class LeaseLost(Exception):
    """The job is not the claimant's (any more): cancelled, reaped or taken by another."""


def is_waiting(tx: Transaction) -> bool:
    """Tell whether any job waits to be validated or to run; only a look, which promises nothing."""
    return records.oldest(tx, State.VALIDATING, without=_LEASED) is not None or standing.is_waiting(tx)


def claim_validation(
    tx: Transaction, holder: str, now: datetime, *, waiting_since: datetime | None = None
) -> Claim | None:
    """Take the oldest job that waits to be validated, of the user of whose jobs the fewest are being validated.

    Of several such users the one goes whose last turn is longest ago, so that whoever comes new is next, however many
    jobs of others wait.

    Args:
        waiting_since: Only jobs that were created before this moment.
    """
    for user_id in _in_turn(tx, waiting_since):
        job_id = records.oldest(
            tx, State.VALIDATING, without=_LEASED, entered_before=waiting_since, user_id=user_id, take=True
        )
        if job_id is not None and (claim := _take(tx, job_id, holder, now)) is not None:
            _end_turn(tx, user_id, now)
            fast = devices.get_by_id(tx, claim.job.device_id).pace == "fast"
            claim = msgspec.structs.replace(claim, job=_calibrated(tx, claim.job))
            return msgspec.structs.replace(claim, at_once=fast and not standing.is_waiting(tx))
    return None


def _in_turn(tx: Transaction, since: datetime | None) -> list[UserId]:
    """Return the users whose jobs wait to be validated (since before a moment), the one who is next first."""
    waiting = {user: first for user, first in records.submitters(tx).items() if since is None or first < since}
    if len(waiting) < 2:
        return list(waiting)
    in_hand = counts.by_user(tx, State.VALIDATING, _LEASED)
    turns = {row.user_id: row.at for row in tx.execute(_TURNS, {"users": list(waiting)})}
    return sorted(waiting, key=lambda user: (in_hand[user], turns.get(user, 0.0), waiting[user], user))


def _end_turn(tx: Transaction, user_id: UserId, now: datetime) -> None:
    row = {"user_id": user_id, "at": now.timestamp()}
    if tx.execute(_END_TURN, {"user": user_id, "moment": now.timestamp()}).rowcount != 1:
        database.insert_if_absent(tx, _turns, row)


def claim_run(tx: Transaction, ranking: Ranking, holder: str, now: datetime) -> Claim | None:
    """Take the job that goes next and begin to run it."""
    accounts.alone(tx)
    following = ranking(tx, now)
    if following is None:
        return None
    claim = _take(tx, following.job_id, holder, now)
    return None if claim is None else _begin(tx, claim, following, now)


def go_on(tx: Transaction, claim: Claim, ranking: Ranking, now: datetime) -> Claim | None:
    """Begin to run the job just validated, if it is the one that goes next; else let it go.

    Returns:
        The same claim on the running job, or None when the job now waits.
    """
    following = ranking(tx, now)
    if following is None or following.job_id != claim.job.id:
        _drop(tx, claim.job.id, claim.token)
        return None
    tx.hush("queue")  # it does not wait for anybody else to take it
    return _begin(tx, claim, following, now)


def hold(tx: Transaction, claim: Claim) -> None:
    """Make sure that the claim is still good, and keep it so until the transaction ends.

    A job that was cancelled meanwhile is found out by the move that follows, which raises `errors.Conflict`.

    Raises:
        LeaseLost: It is not.
    """
    accounts.alone(tx)
    token = tx.execute(_HOLDING, {"job": claim.job.id}).scalar()
    if token != claim.token:
        raise LeaseLost(claim.job.id)


def release(tx: Transaction, claim: Claim) -> None:
    """Let a job go that has ended, or that waits again."""
    _drop(tx, claim.job.id, claim.token)


def let_go(tx: Transaction, claim: Claim) -> None:
    """Let go of a job that ended in another way than the claimant meant.

    One that did not end keeps its lease, which runs out: it must not be left RUNNING with nobody to miss it.
    """
    job = _find(tx, claim.job.id)
    if job is None or job.state in lifecycle.FINAL:
        _drop(tx, claim.job.id, claim.token)


def give_back(tx: Transaction, claim: Claim, now: datetime, *, died: bool) -> None:
    """Let a job wait again because its worker stops, or because a child process died over it.

    A job over which too many died ends with an error.
    """
    hold(tx, claim)
    job = claim.job
    if died:
        records.count_death(tx, job.id)
    if died and job.deaths + 1 >= MAX_DEATHS:
        outcomes.refused(tx, job, _given_up(job.deaths + 1), now)
    else:
        outcomes.requeue(tx, job, now)
    _drop(tx, claim.job.id, claim.token)


def renew(tx: Transaction, claims: Iterable[Claim], now: datetime) -> list[Claim]:
    """Prolong leases; return the claims that are lost, because the job ended, was cancelled or went elsewhere."""
    lost = []
    for claim in claims:
        mine = (_leases.c.job_id == claim.job.id, _leases.c.token == claim.token)
        renewed = tx.execute(sa.update(_leases).where(*mine).values(expires=now + LEASE))
        job = _find(tx, claim.job.id)
        if renewed.rowcount != 1 or job is None or job.state not in lifecycle.WORKED_ON:
            lost.append(claim)
    return lost


def reap(tx: Transaction, now: datetime, *, everything: bool = False) -> int:
    """End the leases that ran out, and let their jobs wait again.

    Args:
        everything: End all leases: the caller is the only server, and has just started.

    Returns:
        How many leases were ended.
    """
    accounts.alone(tx)
    query = sa.select(_leases.c.job_id, _leases.c.token)
    rows = tx.execute(query if everything else query.where(_leases.c.expires < now)).all()
    for job_id, token in rows:
        if not _drop(tx, job_id, token):
            continue  # let go of in this moment by its holder
        job = _find(tx, job_id)
        if job is None or job.state not in {State.VALIDATING, State.RUNNING}:
            continue
        if job.claims >= MAX_CLAIMS:
            outcomes.refused(tx, job, _given_up(job.claims), now, ours=True)
        else:
            outcomes.requeue(tx, job, now)
    while (stray := records.oldest(tx, State.RUNNING, without=_LEASED)) is not None:
        outcomes.requeue(tx, records.get(tx, stray), now)
    return len(rows)


def _take(tx: Transaction, job_id: JobId, holder: str, now: datetime) -> Claim | None:
    token = secrets.token_hex(12)
    row = {"job_id": job_id, "token": token, "holder": holder, "expires": now + LEASE}
    if not database.insert_if_absent(tx, _leases, row):
        return None  # on PostgreSQL another worker may have been as quick
    return Claim(records.count_claim(tx, job_id), token, parcels.get(tx, "programs", job_id))


def _begin(tx: Transaction, claim: Claim, following: Next, now: datetime) -> Claim:
    """Begin to run a job under its lease: one that runs without would never be missed."""
    job = _calibrated(tx, claim.job)
    occupies = None if following.pace == "fast" else _occupies(tx, job)
    mode = "dedicated" if following.dedicated else None
    turn = following.turn
    records.advance(tx, job.id, (State.RUNNING,), now, turn=turn, started=now, occupies=occupies, run_mode=mode)
    running = msgspec.structs.replace(job, state=State.RUNNING, started=now, occupies=occupies)
    return msgspec.structs.replace(claim, job=running, at_once=False)


def _calibrated(tx: Transaction, job: Job) -> Job:
    """Let a job have the calibration that its device has now, unless its submitter chose one."""
    digest = devices.present_calibration(tx, job.device_id)
    if job.pinned or digest == job.calibration:
        return job
    records.note(tx, job.id, calibration=digest)
    return msgspec.structs.replace(job, calibration=digest)


def _occupies(tx: Transaction, job: Job) -> float | None:
    """Return for how long a job that begins occupies its device, s; None if no longer than it takes."""
    device = devices.get_by_id(tx, job.device_id)
    if device.pace == "fast":
        return None
    # Read again: a job that was validated under this claim was without a summary when it was taken.
    summary = records.get(tx, job.id).summary or {}
    occupies = devices.occupation(device, summary.get("device_seconds", 0.0))
    # Whatever takes longer is refused, but this may have been checked while the device was fast.
    return None if occupies is None else min(occupies, devices.LONGEST)


def _find(tx: Transaction, job_id: str) -> Job | None:
    try:
        return records.get(tx, job_id)
    except errors.NotFound:
        return None


def _drop(tx: Transaction, job_id: str, token: str) -> bool:
    """Remove a lease; tell whether it was there."""
    return tx.execute(_DROP, {"job": job_id, "token": token}).rowcount == 1


def _given_up(times: int) -> tasks.Refused:
    return tasks.Refused(
        8024, f"The worker that ran this job was lost {times} times, so the job was given up. Tell the operator."
    )
