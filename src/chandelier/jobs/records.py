# SPDX-License-Identifier: Apache-2.0
"""Jobs, their tags and their events; the only writer of a job's state.

Every move goes through `advance`, a compare-and-set that also writes the event, so that the log cannot disagree with
the state.
"""

import functools
import itertools
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NewType

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from chandelier import errors
from chandelier.devices import DeviceId
from chandelier.fairshare import accounts
from chandelier.fairshare import rules as fairrules
from chandelier.fairshare.rules import Turn
from chandelier.jobs import lifecycle, tables
from chandelier.jobs.lifecycle import State
from chandelier.store import Transaction, database
from chandelier.store.prepared import ONE, Prepared
from chandelier.tenancy import allowances, usage
from chandelier.tenancy.network import ProjectId
from chandelier.tenancy.users import UserId

JobId = NewType("JobId", str)
#: How the program came in; the values are the wire's (protocol 6.2), but for OpenQASM texts and the programs of the
#: Runtime API, which have none there.
Kind = Literal["q-object", "q-object-external-storage", "qasm", "runtime"]


_TICK: Final = timedelta(milliseconds=1)
#: Moves to these change what waits, or what was used.
_ACCOUNTED: Final = frozenset({State.QUEUED, State.RUNNING}) | lifecycle.FINAL


class Job(msgspec.Struct, frozen=True):
    """A job as its row tells it.

    Attributes:
        created: Unique, at the millisecond, among the jobs of the user that are not deleted; later than each before it.
        client: Name and version of the program that submitted it, where it told.
        code_id: The code that it runs, if it was submitted as one.
        calibration: Digest of the device's documents that the job was, or is to be, run with.
        summary: `formats.tasks.Summary` as JSON, once the program was opened.
        estimate: How long it is expected to keep its device, s, once the program was opened.
        predicted: Processor time as the engine predicted it from the program's content, s.
        seconds: Time the run took, s.
        cost: Device time charged, s.
        occupies: For how long it occupies a device that keeps the pace of a real machine, s, since it started.
        run_mode: `dedicated` once it began in a reservation that keeps others out.
        result: Name of the result object: the claim under which it was computed.
        claims: How often a worker has taken it.
        deaths: How often a child process died over it.
        program: Which program of the Runtime API it is, such as `sampler`; None for Qobjs and texts.
        session_id: The session in which it was submitted.
        most_seconds: For how long it may occupy its device at most, as its submitter says, s.
        private: Its parameters are shown to nobody, its result to nobody but its submitter and operators.
        pinned: Its submitter chose the calibration; else it is the one of the moment in which it starts.
    """

    id: JobId
    created: datetime
    user_id: UserId
    project_id: ProjectId
    device_id: DeviceId
    kind: Kind
    state: State
    name: str | None
    share_level: str | None
    experiment_tag: str | None
    live_data: bool
    address: str
    client: dict[str, str | None] | None
    code_id: str | None
    shots: int | None
    input_bytes: int | None
    output_bytes: int | None
    summary: dict[str, Any] | None
    estimate: float | None
    predicted: float | None
    calibration: str
    started: datetime | None
    ended: datetime | None
    seconds: float | None
    cost: float | None
    occupies: float | None
    run_mode: str | None
    result: str | None
    error_code: int | None
    error_message: str | None
    claims: int
    deaths: int
    program: str | None
    session_id: str | None
    most_seconds: float | None
    private: bool
    pinned: bool
    tags: tuple[str, ...] = ()


class Draft(msgspec.Struct, frozen=True):
    """What a submitter says of a job besides its program."""

    name: str | None = None
    tags: tuple[str, ...] = ()
    share_level: str | None = None
    experiment_tag: str | None = None
    live_data: bool = False
    address: str = ""
    client: dict[str, str | None] | None = None
    code_id: str | None = None


#: What `jobs_of` needs of each row.
COLUMNS: Final = tuple(tables.jobs.c[field] for field in Job.__struct_fields__ if field != "tags")
_STATE: Final = Job.__struct_fields__.index("state")
# Statements that each poll or each job runs are built once: building costs more than running.
_GET: Final = Prepared(
    sa.select(*COLUMNS, sa.exists().where(tables.tags.c.job_id == tables.jobs.c.id).label("tagged")).where(
        tables.jobs.c.id == sa.bindparam("id"), tables.jobs.c.deleted.is_(None)
    )
)
_TAGS_OF: Final = Prepared(
    sa.select(tables.tags.c.job_id, tables.tags.c.tag)
    .where(tables.tags.c.job_id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(tables.tags.c.job_id, tables.tags.c.position)
)
_EVENTS_OF: Final = Prepared(
    sa.select(tables.events.c.state, tables.events.c.at)
    .where(tables.events.c.job_id == sa.bindparam("id"))
    .order_by(tables.events.c.number)
)
_EVENTS_OF_SEVERAL: Final = (
    sa.select(tables.events.c.job_id, tables.events.c.state, tables.events.c.at)
    .where(tables.events.c.job_id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(tables.events.c.number)
)
_LATEST: Final = Prepared(
    sa.select(sa.func.max(tables.jobs.c.created, type_=database.UtcMilliseconds())).where(
        tables.jobs.c.user_id == sa.bindparam("user"), tables.jobs.c.deleted.is_(None)
    )
)
_TAKE: Final = Prepared(
    sa.update(tables.jobs)
    .where(tables.jobs.c.id == sa.bindparam("job"))
    .values(claims=tables.jobs.c.claims + 1)
    .returning(*COLUMNS)
)


def in_state(state: State) -> sa.ColumnElement[bool]:
    """Return the condition of a partial index, which the database knows again when it is written out."""
    return tables.jobs.c.state == sa.literal_column(f"'{state}'")


_OLDEST_QUEUED: Final = Prepared(
    sa.select(tables.jobs.c.id)
    .where(
        in_state(State.QUEUED),
        tables.jobs.c.device_id == sa.bindparam("device"),
        tables.jobs.c.project_id == sa.bindparam("project"),
    )
    .order_by(tables.jobs.c.created, tables.jobs.c.id)
    .limit(ONE)
)


_OLDEST_IN_SESSION: Final = Prepared(
    sa.select(tables.jobs.c.id)
    .where(in_state(State.QUEUED), tables.jobs.c.session_id == sa.bindparam("session"))
    .order_by(tables.jobs.c.created, tables.jobs.c.id)
    .limit(ONE)
)


def _listing_submitters() -> sa.Select[tuple[str, datetime]]:
    """Return the statement that goes from user to user along an index, without looking at each one's other jobs."""
    users, there = tables.jobs.c.user_id, in_state(State.VALIDATING)
    ordered = sa.select(users).where(there).order_by(users).limit(ONE)
    found = sa.select(ordered.scalar_subquery().label("user_id")).cte("found", recursive=True)
    following = ordered.where(users > found.c.user_id).scalar_subquery()
    found = found.union_all(sa.select(following).where(found.c.user_id.is_not(None)))
    created = sa.select(tables.jobs.c.created).where(there, users == found.c.user_id)
    first = created.order_by(tables.jobs.c.created).limit(ONE).scalar_subquery()
    return sa.select(found.c.user_id, first.label("first")).where(found.c.user_id.is_not(None))


_SUBMITTERS: Final = Prepared(_listing_submitters())
_INSERT_EVENT: Final = Prepared(sa.insert(tables.events).inline())


def create(
    tx: Transaction,
    user_id: UserId,
    project_id: ProjectId,
    device_id: DeviceId,
    now: datetime,
    *,
    kind: Kind,
    calibration: str,
    draft: Draft,
    job_id: JobId | None = None,
    steps: Sequence[State] = (State.CREATING,),
    **facts: Any,
) -> Job:
    """Add a job that has gone through `steps`, the first of which is CREATING.

    Args:
        job_id: An id from `new_id`, where the program was stored under it before the row.
        steps: States that the job enters at once.
        facts: Columns to set besides.
    """
    assert steps[0] is State.CREATING
    values: dict[str, Any] = dict.fromkeys(Job.__struct_fields__) | {
        "id": job_id or new_id(),
        "created": _next_time(tx, user_id, now),
        "user_id": user_id,
        "project_id": project_id,
        "device_id": device_id,
        "kind": kind,
        "state": steps[-1],
        "name": draft.name,
        "share_level": draft.share_level,
        "experiment_tag": draft.experiment_tag,
        "live_data": draft.live_data,
        "address": draft.address,
        "client": draft.client,
        "code_id": draft.code_id,
        "calibration": calibration,
        "claims": 0,
        "deaths": 0,
        "private": False,
        "pinned": False,
        "tags": tuple(dict.fromkeys(draft.tags)),
    }
    job = _insert(tx, Job(**values | facts))
    _write_tags(tx, job)
    _log(tx, job.id, steps, job.created)
    return job


def new_id() -> JobId:
    """Return an id that no job has."""
    return JobId(secrets.token_hex(12))


def advance(
    tx: Transaction,
    job_id: JobId,
    steps: Sequence[State],
    now: datetime,
    *,
    turn: Turn = "due",
    began: datetime | None = None,
    executions: int = 0,
    **facts: Any,
) -> None:
    """Move a job through `steps`, write an event for each, and set `facts` (columns) with the last.

    Args:
        turn: Why a job goes that begins.
        began: When a job had begun that is to wait again.
        executions: Experiments that ran to their end, for the ledger; of a job without a result there are none.

    Raises:
        errors.Conflict: The job is not in a state from which it may go to the first step (or it does not exist).
    """
    if steps[-1] in _ACCOUNTED:
        accounts.alone(tx)
    facts = facts | {"state": steps[-1]}
    ends = steps[-1] in lifecycle.FINAL
    if ends:
        facts = {"ended": now} | facts
    row = _move(tx, job_id, steps[0], facts)
    _log(tx, job_id, steps, now)
    _account(tx, row, steps[-1], now, began=began, turn=turn)
    if ends:
        _record_use(tx, row, executions)


def run_through(
    tx: Transaction, job: Job, ending: State, begun: datetime, now: datetime, *, executions: int, **facts: Any
) -> None:
    """Move a job that is being checked to its end at once: it has run already, and nothing waited.

    Args:
        begun: When it began to run.
        executions: As of `advance`.
        facts: Columns to set; `estimate` and `cost` are among them.

    Raises:
        errors.Conflict: The job is not being checked (any more).
    """
    accounts.alone(tx)
    steps = (State.VALIDATED, State.QUEUED, State.RUNNING, ending)
    facts = facts | {"state": ending, "started": begun, "ended": now}
    row = _move(tx, job.id, steps[0], facts)
    _log(tx, job.id, steps, begun, ended=now)
    accounts.pass_through(tx, job.device_id, job.project_id, row.estimate, row.cost, begun)
    _record_use(tx, row, executions)


def _move(tx: Transaction, job_id: JobId, step: State, facts: Mapping[str, Any]) -> Any:
    """Move a job that may go to a step, and set columns; return its row.

    Raises:
        errors.Conflict: It may not.
    """
    row = tx.execute(_moving(step, tuple(sorted(facts))), {**facts, "job": job_id}).first()
    if row is None:
        raise errors.Conflict(f"Job {job_id} is not in a state from which it can become {step}.", 3251)
    return row


def _record_use(tx: Transaction, row: Any, executions: int) -> None:
    """Write what a job used that has ended."""
    used = _used(row, executions)
    usage.record(tx, used)
    allowances.spend(tx, used)


def note(tx: Transaction, job_id: JobId, **facts: Any) -> None:
    """Set columns of a job that are not its state."""
    assert "state" not in facts
    tx.execute(sa.update(tables.jobs).where(tables.jobs.c.id == job_id).values(**facts))


def count_claim(tx: Transaction, job_id: JobId) -> Job:
    """Count that a worker took the job; return it, without its tags."""
    return _job(tx.execute(_TAKE, {"job": job_id}).one(), ())


def count_death(tx: Transaction, job_id: JobId) -> None:
    """Count that a child process died over the job."""
    tx.execute(sa.update(tables.jobs).where(tables.jobs.c.id == job_id).values(deaths=tables.jobs.c.deaths + 1))


def get(tx: Transaction, job_id: str) -> Job:
    """Return a job.

    Raises:
        errors.NotFound: There is none of this id, or it was deleted.
    """
    row = tx.execute(_GET, {"id": job_id}).first()
    if row is None:
        raise errors.NotFound("Job not found.", 3250)
    return jobs_of(tx, [row])[0] if row.tagged else _job(row, ())


def oldest(
    tx: Transaction,
    state: State,
    *,
    without: sa.Select[tuple[str]] | None = None,
    entered_before: datetime | None = None,
    user_id: UserId | None = None,
    take: bool = False,
) -> JobId | None:
    """Return the id of the job in a state that was created first.

    Args:
        without: Not these jobs: a sub-select of ids, built once.
        entered_before: Only jobs created before this moment.
        user_id: Only jobs of this user.
        take: Not one that another worker is about to take, and keep it from others until the transaction ends.
    """
    given = {"moment": entered_before, "user": user_id}
    values = {name: value for name, value in given.items() if value is not None}
    query = _oldest(state, without, frozenset(values), locked=take and tx.skips_locked)
    found: JobId | None = tx.execute(query, values).scalar()
    return found


def submitters(tx: Transaction) -> dict[UserId, datetime]:
    """Return the users whose jobs wait to be validated, each with the creation of their first; a step for each."""
    return {UserId(row.user_id): row.first for row in tx.execute(_SUBMITTERS)}


def oldest_queued(tx: Transaction, device_id: str, project_id: str) -> JobId | None:
    """Return the id of a project's queued job that was created first."""
    found: JobId | None = tx.execute(_OLDEST_QUEUED, {"device": device_id, "project": project_id}).scalar()
    return found


def oldest_in_session(tx: Transaction, session_id: str) -> JobId | None:
    """Return the id of a session's queued job that was created first."""
    found: JobId | None = tx.execute(_OLDEST_IN_SESSION, {"session": session_id}).scalar()
    return found


def events(tx: Transaction, job_id: JobId) -> list[tuple[State, datetime]]:
    """Return every state the job has entered and when, in order."""
    return [(State(row.state), row.at) for row in tx.execute(_EVENTS_OF, {"id": job_id})]


def events_of(tx: Transaction, job_ids: Iterable[str]) -> dict[str, list[tuple[State, datetime]]]:
    """Return what `events` does for each of several jobs."""
    logs: dict[str, list[tuple[State, datetime]]] = {job_id: [] for job_id in job_ids}
    for row in tx.execute(_EVENTS_OF_SEVERAL, {"ids": list(logs)}):
        logs[row.job_id].append((State(row.state), row.at))
    return logs


def rename(tx: Transaction, job_id: JobId, name: str | None) -> None:
    """Give a job a name, or take it away."""
    tx.ring(f"job:{job_id}")
    tx.execute(sa.update(tables.jobs).where(tables.jobs.c.id == job_id).values(name=name))


def share(tx: Transaction, job_id: JobId, level: str | None) -> None:
    """Share a job with others, or no longer."""
    tx.ring(f"job:{job_id}")
    tx.execute(sa.update(tables.jobs).where(tables.jobs.c.id == job_id).values(share_level=level))


def retag(tx: Transaction, job: Job, tags: Iterable[str]) -> None:
    """Replace a job's tags."""
    tx.ring(f"job:{job.id}")
    tx.execute(sa.delete(tables.tags).where(tables.tags.c.job_id == job.id))
    _write_tags(tx, msgspec.structs.replace(job, tags=tuple(tags)))


def delete(tx: Transaction, job_id: JobId, now: datetime) -> None:
    """Hide a job that has ended; its row stays for the books.

    Raises:
        errors.Conflict: The job has not ended.
    """
    tx.ring(f"job:{job_id}")
    changed = tx.execute(
        sa.update(tables.jobs)
        .where(tables.jobs.c.id == job_id, tables.jobs.c.state.in_(lifecycle.FINAL))
        .values(deleted=now)
    )
    if changed.rowcount != 1:
        raise errors.Conflict("The job has not ended. Cancel it first, then delete it.", 3251)


def _next_time(tx: Transaction, user_id: UserId, now: datetime) -> datetime:
    latest = tx.execute(_LATEST, {"user": user_id}).scalar()
    return now if latest is None else max(now, latest + _TICK)


def _insert(tx: Transaction, job: Job) -> Job:
    """Add a row; on PostgreSQL another of the user's jobs may have taken the time meanwhile, so the next is tried."""
    row = msgspec.structs.asdict(job)
    del row["tags"]
    row["created"] = database.from_milliseconds(database.to_milliseconds(job.created))
    while tx.execute(_inserting(tx.skips_locked), row).rowcount != 1:
        row["created"] += _TICK
    return msgspec.structs.replace(job, created=row["created"])


@functools.cache
def _inserting(on_postgresql: bool) -> Prepared:
    insert = postgresql.insert if on_postgresql else sqlite.insert
    unless = insert(tables.jobs).on_conflict_do_nothing(
        index_elements=["user_id", "created"], index_where=tables.jobs.c.deleted.is_(None)
    )
    return Prepared(unless)


def deleted_before(tx: Transaction, moment: datetime, limit: int) -> list[tuple[JobId, str | None, str | None]]:
    """Return jobs deleted before `moment` whose objects are still kept: id, name of the result, id of the code."""
    query = sa.select(tables.jobs.c.id, tables.jobs.c.result, tables.jobs.c.code_id).where(
        tables.jobs.c.deleted < moment, tables.jobs.c.deleted.is_not(None), tables.jobs.c.purged.is_(None)
    )
    rows = tx.execute(query.order_by(tables.jobs.c.deleted).limit(limit))
    return [(JobId(row.id), row.result, row.code_id) for row in rows]


def purged(tx: Transaction, job_ids: Iterable[JobId], now: datetime) -> None:
    """Write that the objects of deleted jobs are gone."""
    tx.execute(sa.update(tables.jobs).where(tables.jobs.c.id.in_(list(job_ids))).values(purged=now))


def _used(row: Any, executions: int) -> usage.Entry:
    """Return what a job that has ended used."""
    begun = row.started or row.ended
    milliseconds = timedelta(milliseconds=1)
    return usage.Entry(
        row.id,
        row.ended,
        row.project_id,
        row.user_id,
        row.device_id,
        executions=executions,
        # Of several jobs that a user submits in one moment, the last are created a few moments later.
        queue_ms=max(0, (begun - row.created) // milliseconds),
        run_ms=max(0, (row.ended - begun) // milliseconds),
        cost_ms=round(1000 * (row.cost or 0.0)),
    )


def _account(
    tx: Transaction,
    row: Any,
    state: State,
    now: datetime,
    *,
    began: datetime | None,
    turn: Turn,
) -> None:
    """Keep the fair-share accounts of a job that has just moved: what waits, and what was charged for."""
    where, expected = (row.device_id, row.project_id), row.estimate or 0.0
    if state is State.RUNNING:
        accounts.start(tx, *where, expected, now, turn=turn)
    elif row.previous == State.RUNNING:
        # What was charged for in advance is made good as of when it was.
        actual = fairrules.cost(row.cost) if row.cost and state is not State.QUEUED else 0.0
        accounts.correct(tx, *where, actual - fairrules.cost(expected), began or row.started or now)
    elif row.previous == State.QUEUED:
        accounts.leave(tx, *where, expected)
    if state is State.QUEUED:
        accounts.enter(tx, *where, expected, now)


@functools.cache
def _moving(step: State, columns: tuple[str, ...]) -> Prepared:
    """Return the statement that moves the job `:job` to a step, if it may, and sets some columns."""
    allowed = sa.or_(sa.false(), *(tables.jobs.c.state == source for source in sorted(lifecycle.sources(step))))
    update = sa.update(tables.jobs).where(tables.jobs.c.id == sa.bindparam("job"), allowed)
    # On the right of an assignment stands the value from before.
    update = update.values({column: sa.bindparam(column) for column in columns} | {"previous": tables.jobs.c.state})
    told = (
        "id",
        "previous",
        "created",
        "started",
        "ended",
        "project_id",
        "user_id",
        "device_id",
        "estimate",
        "cost",
    )
    return Prepared(update.returning(*(tables.jobs.c[name] for name in told)))


@functools.cache
def _oldest(
    state: State,
    without: sa.Select[tuple[str]] | None,
    given: frozenset[str],
    *,
    locked: bool,
) -> Prepared:
    """Return the statement of `oldest`, with those of the conditions `:moment` and `:user` that are given."""
    query = sa.select(tables.jobs.c.id).where(in_state(state))
    if without is not None:
        query = query.where(tables.jobs.c.id.not_in(without))
    if "moment" in given:
        query = query.where(tables.jobs.c.created < sa.bindparam("moment"))
    if "user" in given:
        query = query.where(tables.jobs.c.user_id == sa.bindparam("user"))
    query = query.order_by(tables.jobs.c.created, tables.jobs.c.id).limit(ONE)
    return Prepared(query.with_for_update(skip_locked=True) if locked else query)


def _log(
    tx: Transaction, job_id: JobId, steps: Sequence[State], now: datetime, *, ended: datetime | None = None
) -> None:
    """Write an event for each step, and have the bell rung for who follows the job, or waits for work.

    Args:
        ended: The moment of the last step, if it is another one.
    """
    assert all(lifecycle.may_move(*pair) for pair in itertools.pairwise(steps)), steps
    moments = itertools.chain(itertools.repeat(now, len(steps) - 1), [ended or now])
    events = zip(steps, moments, strict=True)
    tx.execute(_INSERT_EVENT, [{"job_id": job_id, "state": state, "at": moment} for state, moment in events])
    tx.ring(f"job:{job_id}")
    if steps[-1] is State.CANCELLED:
        tx.ring(f"cancelled:{job_id}")
    if steps[-1] in {State.VALIDATING, State.QUEUED}:
        tx.ring("queue")
    if steps[-1] in {State.RUNNING, State.CANCELLED}:
        tx.ring("line")


def _write_tags(tx: Transaction, job: Job) -> None:
    known = {"job_id": job.id, "user_id": job.user_id, "created": job.created}
    rows = [known | {"position": position, "tag": tag} for position, tag in enumerate(dict.fromkeys(job.tags))]
    if rows:
        tx.execute(sa.insert(tables.tags), rows)


def jobs_of(tx: Transaction, rows: Sequence[Any]) -> list[Job]:
    """Return the jobs of rows that begin with `COLUMNS`, with their tags."""
    tags: dict[str, list[str]] = {row.id: [] for row in rows}
    if rows:
        for job_id, tag in tx.execute(_TAGS_OF, {"ids": list(tags)}):
            tags[job_id].append(tag)
    return [_job(row, tuple(tags[row.id])) for row in rows]


def _job(row: Any, tags: tuple[str, ...]) -> Job:
    values = list(row[: len(COLUMNS)])
    values[_STATE] = State(values[_STATE])
    return Job(**dict(zip(Job.__struct_fields__, (*values, tags), strict=True)))
