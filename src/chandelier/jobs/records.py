# SPDX-License-Identifier: Apache-2.0
"""Jobs, their tags and their events; the only writer of a job's state.

Every move goes through `advance`, a compare-and-set that also writes the event, so that the log cannot disagree with
the state.
"""

import functools
import itertools
import operator
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NewType

import msgspec
import sqlalchemy as sa

from chandelier import errors
from chandelier.devices import DeviceId
from chandelier.jobs import lifecycle
from chandelier.jobs.lifecycle import State
from chandelier.store import Transaction, database
from chandelier.tenancy.network import ProjectId
from chandelier.tenancy.users import UserId

JobId = NewType("JobId", str)
#: How the program came in; the values are the wire's (protocol 6.2).
Kind = Literal["q-object", "q-object-external-storage"]

#: No poll counts further than this: a long queue must not make each look at it slow.
COUNTED: Final = 2000

_jobs: Final = sa.Table(
    "jobs",
    database.metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("created", database.UtcMilliseconds, nullable=False, unique=True),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False),
    sa.Column("project_id", sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("device_id", sa.ForeignKey("devices.id"), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("state", sa.String(24), nullable=False),
    sa.Column("name", sa.String(500)),
    sa.Column("share_level", sa.String(16)),
    sa.Column("experiment_tag", sa.String(500)),
    sa.Column("live_data", sa.Boolean, nullable=False),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("shots", sa.BigInteger),
    sa.Column("input_bytes", sa.BigInteger),
    sa.Column("output_bytes", sa.BigInteger),
    sa.Column("summary", sa.JSON),
    sa.Column("estimate", sa.Float),
    sa.Column("calibration", sa.String(64), nullable=False),
    sa.Column("started", database.UtcMilliseconds),
    sa.Column("ended", database.UtcMilliseconds),
    sa.Column("seconds", sa.Float),
    sa.Column("cost", sa.Float),
    sa.Column("result", sa.String(24)),
    sa.Column("error_code", sa.Integer),
    sa.Column("error_message", sa.Text),
    sa.Column("claims", sa.Integer, nullable=False),
    sa.Column("deaths", sa.Integer, nullable=False),
    sa.Column("deleted", database.UtcMilliseconds),
    sa.Index("ix_jobs_user_id_created", "user_id", "created"),
    sa.Index("ix_jobs_project_id_created", "project_id", "created"),
    sa.Index("ix_jobs_state_created", "state", "created"),
    sa.Index("ix_jobs_device_id_state_created", "device_id", "state", "created"),
    sa.Index("ix_jobs_user_id_state_created", "user_id", "state", "created"),
)
_tags: Final = sa.Table(
    "job_tags",
    database.metadata,
    sa.Column("job_id", sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("tag", sa.String(500), nullable=False, index=True),
)
_events: Final = sa.Table(
    "job_events",
    database.metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("job_id", sa.ForeignKey("jobs.id"), nullable=False, index=True),
    sa.Column("state", sa.String(24), nullable=False),
    sa.Column("at", database.UtcMilliseconds, nullable=False),
)
# One row, put there by the migration. Creation times strictly increase, because clients page by them: protocol 8.
_clock: Final = sa.Table(
    "job_clock",
    database.metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("last", database.UtcMilliseconds, nullable=False),
)


class Job(msgspec.Struct, frozen=True):
    """A job as its row tells it.

    Attributes:
        created: Unique over all jobs at the millisecond.
        calibration: Digest of the device's documents that the job was, or is to be, run with.
        summary: `formats.tasks.Summary` as JSON, once the program was opened.
        estimate: Predicted processor time, s, once the program was opened.
        seconds: Time the run took, s.
        cost: Device time charged, s.
        result: Name of the result object: the claim under which it was computed.
        claims: How often a worker has taken it.
        deaths: How often a child process died over it.
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
    shots: int | None
    input_bytes: int | None
    output_bytes: int | None
    summary: dict[str, Any] | None
    estimate: float | None
    calibration: str
    started: datetime | None
    ended: datetime | None
    seconds: float | None
    cost: float | None
    result: str | None
    error_code: int | None
    error_message: str | None
    claims: int
    deaths: int
    tags: tuple[str, ...] = ()


class Draft(msgspec.Struct, frozen=True):
    """What a submitter says of a job besides its program."""

    name: str | None = None
    tags: tuple[str, ...] = ()
    share_level: str | None = None
    experiment_tag: str | None = None
    live_data: bool = False
    address: str = ""


class Query(msgspec.Struct, frozen=True):
    """Which jobs to find; every condition narrows, absent ones do not. All of it is answered from indexes.

    Attributes:
        before: Only jobs created before this moment (exclusive): where the next page of a descending list begins.
        after: The same for an ascending list.
    """

    user_id: UserId | None = None
    project_id: ProjectId | None = None
    device_ids: frozenset[str] | None = None
    states: frozenset[State] | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    ids: frozenset[str] | None = None
    tags: frozenset[str] | None = None
    before: datetime | None = None
    after: datetime | None = None
    ascending: bool = False
    limit: int = 50


_COLUMNS: Final = tuple(_jobs.c[field] for field in Job.__struct_fields__ if field != "tags")
# Statements that each poll or each job runs are built once: building costs more than running.
_GET: Final = sa.select(*_COLUMNS).where(_jobs.c.id == sa.bindparam("id"), _jobs.c.deleted.is_(None))
_TAGS_OF: Final = (
    sa.select(_tags.c.job_id, _tags.c.tag)
    .where(_tags.c.job_id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(_tags.c.job_id, _tags.c.position)
)
_EVENTS_OF: Final = (
    sa.select(_events.c.state, _events.c.at).where(_events.c.job_id == sa.bindparam("id")).order_by(_events.c.number)
)
_TICK: Final = (
    sa.update(_clock)
    .values(
        last=sa.case(
            (
                sa.type_coerce(_clock.c.last, sa.BigInteger) >= sa.bindparam("now", type_=sa.BigInteger),
                sa.type_coerce(_clock.c.last, sa.BigInteger) + 1,
            ),
            else_=sa.bindparam("now", type_=sa.BigInteger),
        )
    )
    .returning(_clock.c.last)
)
_TAKE: Final = (
    sa.update(_jobs).where(_jobs.c.id == sa.bindparam("job")).values(claims=_jobs.c.claims + 1).returning(*_COLUMNS)
)


def _counting(*conditions: sa.ColumnElement[bool]) -> sa.Select[int]:
    """Return the statement that counts jobs up to `:most`."""
    first = sa.select(sa.literal(1)).select_from(_jobs).where(*conditions).limit(sa.bindparam("most", type_=sa.Integer))
    return sa.select(sa.func.count()).select_from(first.subquery())


_ON_DEVICE: Final = _jobs.c.device_id == sa.bindparam("device")
_ACTIVE_OF: Final = sa.select(sa.func.count()).where(
    _ON_DEVICE,
    _jobs.c.user_id == sa.bindparam("user"),
    _jobs.c.state.in_(sorted(lifecycle.ACTIVE)),
    _jobs.c.deleted.is_(None),
)
_WAITING: Final = _counting(_ON_DEVICE, _jobs.c.state.in_(sorted(lifecycle.ACTIVE - {State.CREATING})))
_AHEAD: Final = _counting(
    _ON_DEVICE,
    _jobs.c.state == State.QUEUED,
    _jobs.c.created < sa.bindparam("created"),
    _jobs.c.project_id == sa.bindparam("project"),
)
_INSERT: Final = sa.insert(_jobs)
_INSERT_EVENT: Final = sa.insert(_events)


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
        "created": _next_time(tx, now),
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
        "calibration": calibration,
        "claims": 0,
        "deaths": 0,
        "tags": tuple(dict.fromkeys(draft.tags)),
    }
    job = Job(**values | facts)
    row = msgspec.structs.asdict(job)
    del row["tags"]
    tx.execute(_INSERT, row)
    _write_tags(tx, job.id, job.tags)
    _log(tx, job.id, steps, job.created)
    return job


def new_id() -> JobId:
    """Return an id that no job has."""
    return JobId(secrets.token_hex(12))


def advance(tx: Transaction, job_id: JobId, steps: Sequence[State], now: datetime, **facts: Any) -> None:
    """Move a job through `steps`, write an event for each, and set `facts` (columns) with the last.

    Raises:
        errors.Conflict: The job is not in a state from which it may go to the first step (or it does not exist).
    """
    facts = facts | {"state": steps[-1]}
    if steps[-1] in lifecycle.FINAL:
        facts = {"ended": now} | facts
    changed = tx.execute(_moving(steps[0], tuple(sorted(facts))), facts | {"job": job_id})
    if changed.rowcount != 1:
        raise errors.Conflict(f"Job {job_id} is not in a state from which it can become {steps[0]}.", 3251)
    _log(tx, job_id, steps, now)


def note(tx: Transaction, job_id: JobId, **facts: Any) -> None:
    """Set columns of a job that are not its state."""
    assert "state" not in facts
    tx.execute(sa.update(_jobs).where(_jobs.c.id == job_id).values(**facts))


def count_claim(tx: Transaction, job_id: JobId) -> Job:
    """Count that a worker took the job; return it, without its tags."""
    return _job(tx.execute(_TAKE, {"job": job_id}).one(), ())


def count_death(tx: Transaction, job_id: JobId) -> None:
    """Count that a child process died over the job."""
    tx.execute(sa.update(_jobs).where(_jobs.c.id == job_id).values(deaths=_jobs.c.deaths + 1))


def get(tx: Transaction, job_id: str) -> Job:
    """Return a job.

    Raises:
        errors.NotFound: There is none of this id, or it was deleted.
    """
    row = tx.execute(_GET, {"id": job_id}).first()
    if row is None:
        raise errors.NotFound("Job not found.", 3250)
    return _jobs_of(tx, [row])[0]


def find(tx: Transaction, query: Query) -> list[Job]:
    """Return the jobs of a query, newest first unless `ascending`."""
    conditions: list[sa.ColumnElement[bool]] = [_jobs.c.deleted.is_(None)]
    equal = ((_jobs.c.user_id, query.user_id), (_jobs.c.project_id, query.project_id))
    conditions += [column == value for column, value in equal if value is not None]
    among = ((_jobs.c.device_id, query.device_ids), (_jobs.c.state, query.states), (_jobs.c.id, query.ids))
    conditions += [column.in_(sorted(values)) for column, values in among if values is not None]
    if query.tags is not None:
        tagged = sa.select(_tags.c.job_id).where(_tags.c.tag.in_(sorted(query.tags)))
        conditions.append(_jobs.c.id.in_(tagged))
    bounds = (
        (operator.ge, query.created_from),
        (operator.le, query.created_to),
        (operator.lt, query.before),
        (operator.gt, query.after),
    )
    conditions += [compare(_jobs.c.created, value) for compare, value in bounds if value is not None]
    order = _jobs.c.created.asc() if query.ascending else _jobs.c.created.desc()
    rows = tx.execute(sa.select(*_COLUMNS).where(*conditions).order_by(order).limit(query.limit))
    return _jobs_of(tx, rows.all())


def oldest(
    tx: Transaction,
    state: State,
    *,
    devices: sa.Select[tuple[str]] | None = None,
    without: sa.Select[tuple[str]] | None = None,
    entered_before: datetime | None = None,
) -> JobId | None:
    """Return the id of the job in a state that was created first, locked where several workers may ask at once.

    Args:
        devices: Only jobs of these devices: a sub-select of ids, built once.
        without: Not these jobs: a sub-select of ids, built once.
        entered_before: Only jobs created before this moment.
    """
    query = _oldest(state, devices, without, timed=entered_before is not None, locked=tx.skips_locked)
    return tx.execute(query, {"moment": entered_before} if entered_before is not None else {}).scalar()


def events(tx: Transaction, job_id: JobId) -> list[tuple[State, datetime]]:
    """Return every state the job has entered and when, in order."""
    return [(State(row.state), row.at) for row in tx.execute(_EVENTS_OF, {"id": job_id})]


def count_active(tx: Transaction, device_id: DeviceId, user_id: UserId) -> int:
    """Count the jobs of a user on a device that are not final."""
    return int(tx.execute(_ACTIVE_OF, {"device": device_id, "user": user_id}).scalar_one())


def count_waiting(tx: Transaction, device_id: DeviceId) -> int:
    """Count the jobs of a device that were handed over and have not ended, up to `COUNTED`."""
    return int(tx.execute(_WAITING, {"device": device_id, "most": COUNTED}).scalar_one())


def count_ahead(tx: Transaction, job: Job) -> int | None:
    """Count the queued jobs of the same project and device that were created before; None if `COUNTED` or more."""
    values = {"device": job.device_id, "project": job.project_id, "created": job.created, "most": COUNTED}
    count = int(tx.execute(_AHEAD, values).scalar_one())
    return count if count < COUNTED else None


def count_by_state(tx: Transaction) -> Mapping[str, int]:
    """Count the jobs that are not final, by state; answered from an index."""
    query = sa.select(_jobs.c.state, sa.func.count()).where(_jobs.c.state.in_(lifecycle.ACTIVE))
    return {row[0]: row[1] for row in tx.execute(query.group_by(_jobs.c.state))}


def rename(tx: Transaction, job_id: JobId, name: str | None) -> None:
    """Give a job a name, or take it away."""
    tx.execute(sa.update(_jobs).where(_jobs.c.id == job_id).values(name=name))


def retag(tx: Transaction, job_id: JobId, tags: Iterable[str]) -> None:
    """Replace a job's tags."""
    tx.execute(sa.delete(_tags).where(_tags.c.job_id == job_id))
    _write_tags(tx, job_id, tags)


def delete(tx: Transaction, job_id: JobId, now: datetime) -> None:
    """Hide a job that has ended; its row stays for the books.

    Raises:
        errors.Conflict: The job has not ended.
    """
    changed = tx.execute(
        sa.update(_jobs).where(_jobs.c.id == job_id, _jobs.c.state.in_(lifecycle.FINAL)).values(deleted=now)
    )
    if changed.rowcount != 1:
        raise errors.Conflict("The job has not ended. Cancel it first, then delete it.", 3251)


def _next_time(tx: Transaction, now: datetime) -> datetime:
    moment = tx.execute(_TICK, {"now": database.to_milliseconds(now)}).scalar_one()
    assert isinstance(moment, datetime)
    return moment


@functools.cache
def _moving(step: State, columns: tuple[str, ...]) -> sa.Update:
    """Return the statement that moves the job `:job` to a step, if it may, and sets some columns."""
    allowed = sa.or_(sa.false(), *(_jobs.c.state == source for source in sorted(lifecycle.sources(step))))
    update = sa.update(_jobs).where(_jobs.c.id == sa.bindparam("job"), allowed)
    return update.values({column: sa.bindparam(column) for column in columns})


@functools.cache
def _oldest(
    state: State,
    devices: sa.Select[tuple[str]] | None,
    without: sa.Select[tuple[str]] | None,
    *,
    timed: bool,
    locked: bool,
) -> sa.Select[tuple[str]]:
    """Return the statement of `oldest`; `:moment` is when a job must have been created before."""
    query = sa.select(_jobs.c.id).where(_jobs.c.state == state)
    if devices is not None:
        query = query.where(_jobs.c.device_id.in_(devices))
    if without is not None:
        query = query.where(_jobs.c.id.not_in(without))
    if timed:
        query = query.where(_jobs.c.created < sa.bindparam("moment"))
    query = query.order_by(_jobs.c.created).limit(1)
    return query.with_for_update(skip_locked=True) if locked else query


def _log(tx: Transaction, job_id: JobId, steps: Sequence[State], now: datetime) -> None:
    """Write an event for each step, and have the bell rung for who follows the job, or waits for work."""
    assert all(lifecycle.may_move(*pair) for pair in itertools.pairwise(steps)), steps
    tx.execute(_INSERT_EVENT, [{"job_id": job_id, "state": state, "at": now} for state in steps])
    tx.ring(f"job:{job_id}")
    if steps[-1] in {State.VALIDATING, State.QUEUED}:
        tx.ring("queue")


def _write_tags(tx: Transaction, job_id: JobId, tags: Iterable[str]) -> None:
    rows = [{"job_id": job_id, "position": position, "tag": tag} for position, tag in enumerate(dict.fromkeys(tags))]
    if rows:
        tx.execute(sa.insert(_tags), rows)


def _jobs_of(tx: Transaction, rows: Sequence[sa.Row[*tuple[Any, ...]]]) -> list[Job]:
    tags: dict[str, list[str]] = {row.id: [] for row in rows}
    if rows:
        for job_id, tag in tx.execute(_TAGS_OF, {"ids": list(tags)}):
            tags[job_id].append(tag)
    return [_job(row, tuple(tags[row.id])) for row in rows]


def _job(row: sa.Row[*tuple[Any, ...]], tags: tuple[str, ...]) -> Job:
    values = row._asdict()
    return Job(**values | {"state": State(row.state)}, tags=tags)
