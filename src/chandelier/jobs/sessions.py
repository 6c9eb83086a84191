# SPDX-License-Identifier: Apache-2.0
"""Sessions: jobs of one user that belong together, on one device, for a limited time; the only writer of the table.

Kept is only what nobody can reckon: when a session was opened, when it stopped to take jobs, when it was closed.
Whether it is active, since when and for how long it has kept its device follows from its jobs, so that the two cannot
disagree.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NewType

import msgspec
import sqlalchemy as sa

from chandelier import errors
from chandelier.devices import Device, DeviceId
from chandelier.fairshare import accounts
from chandelier.jobs import lifecycle, records, spells, tables
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import JobId
from chandelier.jobs.spells import Span, Spell
from chandelier.store import Transaction, database
from chandelier.store.prepared import ONE, Prepared
from chandelier.tenancy.network import ProjectId
from chandelier.tenancy.users import UserId

SessionId = NewType("SessionId", str)
#: Sessions that one user may have open.
MOST_OPEN: Final = 100
#: Less than this is charged later, s.
_LEAST_CHARGE: Final = 0.1
#: `dedicated`: the device is kept between the jobs; `batch`: the jobs only belong together.
Mode = Literal["dedicated", "batch"]
#: `open`: no job has begun yet; `inactive`: the device was given up, until the next job begins.
Phase = Literal["open", "active", "inactive", "closed"]

_sessions: Final = sa.Table(
    "sessions",
    database.metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False),
    sa.Column("project_id", sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("device_id", sa.ForeignKey("devices.id"), nullable=False),
    sa.Column("mode", sa.String(16), nullable=False),
    sa.Column("created", database.UtcMilliseconds, nullable=False),
    sa.Column("max_ttl", sa.Float(53), nullable=False),
    sa.Column("interactive_ttl", sa.Float(53), nullable=False),
    sa.Column("stopped", database.UtcMilliseconds),
    sa.Column("closed", database.UtcMilliseconds),
    sa.Column("charged", sa.Float(53), nullable=False),
    sa.Index(
        "ix_sessions_device_id_created",
        "device_id",
        "created",
        sqlite_where=sa.text("closed IS NULL"),
        postgresql_where=sa.text("closed IS NULL"),
    ),
)


class Terms(msgspec.Struct, frozen=True):
    """How long sessions last, s.

    Attributes:
        usual: From the beginning of the first job, where nobody says for how long.
        longest: The most that may be asked for.
        idle: How long the device is kept for the next job.
    """

    usual: float = 7200.0
    longest: float = 28800.0
    idle: float = 60.0


class Session(msgspec.Struct, frozen=True):
    """A session as its row tells it.

    Attributes:
        max_ttl: How long it lasts from the beginning of its first job, s.
        interactive_ttl: How long the device is kept for the next job, s.
        stopped: Since when it takes no more jobs.
        closed: When it was closed, if that was written down: see `Standing.closed`.
        charged: What its project was charged for keeping the device while it had no jobs, s.
    """

    id: SessionId
    user_id: UserId
    project_id: ProjectId
    device_id: DeviceId
    mode: Mode
    created: datetime
    max_ttl: float
    interactive_ttl: float
    stopped: datetime | None
    closed: datetime | None
    charged: float = 0.0


class Standing(msgspec.Struct, frozen=True):
    """How a session is at a moment.

    Attributes:
        accepting: It takes jobs.
        activated: When its first job began.
        last_started: When its last job began.
        last_completed: When a job of it ended last.
        held: When it kept its device: from each moment in turn until the next; a batch, while jobs of it ran.
        idle: For how long of that none of its jobs ran or waited, s.
    """

    phase: Phase
    accepting: bool
    activated: datetime | None
    last_started: datetime | None
    last_completed: datetime | None
    closed: datetime | None
    held: tuple[Spell, ...]
    idle: float = 0.0

    @property
    def elapsed(self) -> float:
        """For how long it has kept its device, s."""
        return spells.length(self.held)


class Hold(msgspec.Struct, frozen=True):
    """A session that keeps its device at present.

    Attributes:
        until: When it will be over, whatever happens.
        last: When a job of it ended last.
        runs: Whether a job of it runs.
    """

    session_id: SessionId
    user_id: UserId
    project_id: ProjectId
    device_id: DeviceId
    until: datetime
    last: datetime | None
    runs: bool


#: Whether there is any session that may keep its device.
ANY: Final = sa.exists().where(_sessions.c.closed.is_(None), _sessions.c.mode == sa.literal_column("'dedicated'"))
_COLUMNS: Final = tuple(_sessions.c[name] for name in Session.__struct_fields__)
_jobs: Final = tables.jobs.c
_IS_OPEN: Final = _sessions.c.closed.is_(None)
_ANY_OPEN: Final = Prepared(sa.select(sa.exists().where(_IS_OPEN)))
_JOBS: Final = Prepared(
    sa.select(_jobs.created, _jobs.started, _jobs.ended).where(_jobs.session_id == sa.bindparam("session"))
)


def _looking() -> sa.Select[*tuple[Any, ...]]:
    """Return the statement that tells of sessions what `_Glance` has.

    It costs a few probes of indexes for each of them, however many jobs it has.
    """
    mine = _jobs.session_id == _sessions.c.id

    def first(column: sa.ColumnElement[Any], *those: sa.ColumnElement[bool], order: Sequence[Any]) -> Any:
        query = sa.select(column).where(mine, *those).order_by(*order).limit(ONE)
        return query.correlate(_sessions).scalar_subquery()

    columns = (
        first(_jobs.started, _jobs.started.is_not(None), order=[_jobs.started]),
        first(_jobs.ended, _jobs.ended.is_not(None), _jobs.started.is_not(None), order=[_jobs.ended.desc()]),
        # By `ended` too, which is nowhere set: so PostgreSQL knows the order of the index.
        first(_jobs.created, _jobs.ended.is_(None), _jobs.started.is_(None), order=[_jobs.ended, _jobs.created]),
    )
    named = (each.label(name) for each, name in zip(columns, ("activated", "last", "waiting"), strict=True))
    running = sa.select(_jobs.session_id).where(records.in_state(State.RUNNING), _jobs.session_id.is_not(None))
    return sa.select(*_COLUMNS, *named, _sessions.c.id.in_(running).label("runs"))


_OPEN: Final = Prepared(_looking().where(_IS_OPEN))
_LOOK: Final = Prepared(_looking().where(_IS_OPEN, _sessions.c.mode == sa.literal_column("'dedicated'")))
_ONE: Final = Prepared(_looking().where(_sessions.c.id == sa.bindparam("session")))


class _Glance(msgspec.Struct, frozen=True):
    """A session with what decides at present whether it is closed and keeps its device.

    Attributes:
        activated: When its first job began.
        last: When the last job ended of those that had begun.
        waiting: When the first was submitted of those that wait.
        runs: Whether a job of it does.
    """

    session: Session
    activated: datetime | None
    last: datetime | None
    waiting: datetime | None
    runs: bool

    def is_closed(self, now: datetime) -> bool:
        """Tell whether it is closed."""
        busy = self.runs or self.waiting is not None
        return _closed(self.session, self.activated, self.last, now, busy=busy) is not None

    def keeps(self, now: datetime) -> bool:
        """Tell whether it keeps its device."""
        patience = timedelta(seconds=self.session.interactive_ttl)
        keeps = spells.keeps(now, patience, runs=self.runs, last=self.last, waiting=self.waiting)
        return keeps and self.session.mode == "dedicated" and not self.is_closed(now)


def _glances(tx: Transaction, statement: Prepared, **values: Any) -> list[_Glance]:
    return [
        _Glance(Session(*facts), activated, last, waiting, bool(runs))
        for *facts, activated, last, waiting, runs in tx.execute(statement, values)
    ]


def open_(
    tx: Transaction,
    user_id: UserId,
    project_id: ProjectId,
    device: Device,
    mode: Mode,
    now: datetime,
    *,
    terms: Terms,
    max_ttl: float | None = None,
) -> Session:
    """Open a session.

    Args:
        max_ttl: How long it is to last, s.

    Raises:
        errors.Invalid: It would last too long.
        errors.LimitReached: The user has as many open ones as one may.
    """
    seconds = min(terms.usual, terms.longest) if max_ttl is None else max_ttl
    if not 1 <= seconds <= terms.longest:
        raise errors.Invalid(f"A session lasts 1 to {terms.longest:g} seconds here, not {seconds:g}.", 1001)
    mine = (_sessions.c.user_id == user_id, _sessions.c.closed.is_(None))
    if tx.execute(sa.select(sa.func.count()).select_from(_sessions).where(*mine)).scalar_one() >= MOST_OPEN:
        raise errors.LimitReached(f"You have {MOST_OPEN} open sessions. Close some of them.", 1007)
    made = SessionId(secrets.token_hex(12))
    session = Session(made, user_id, project_id, device.id, mode, now, seconds, terms.idle, None, None)
    tx.execute(sa.insert(_sessions), msgspec.structs.asdict(session))
    return session


def get(tx: Transaction, session_id: str, *, keep: bool = False) -> Session:
    """Return a session.

    Args:
        keep: Let nobody change it until the transaction ends.

    Raises:
        errors.NotFound: There is none of this id.
    """
    query = sa.select(*_COLUMNS).where(_sessions.c.id == session_id)
    row = tx.execute(query.with_for_update(read=True) if keep else query).first()
    if row is None:
        raise errors.NotFound("Session not found.", 1022)
    return Session(*row)


def standing(tx: Transaction, session: Session, now: datetime) -> Standing:
    """Return how a session is."""
    return reckon(session, [Span(*row) for row in tx.execute(_JOBS, {"session": session.id})], now)


def reckon(session: Session, spans: Sequence[Span], now: datetime) -> Standing:
    """Return how a session is whose jobs came, began and ended as they did; pure."""
    starts = [span.started for span in spans if span.started is not None]
    activated = min(starts, default=None)
    busy = any(span.ended is None for span in spans)
    gone = max((span.ended for span in spans if span.ended is not None), default=None)
    closed = _closed(session, activated, gone, now, busy=busy)
    until = now if closed is None else min(now, closed)
    runs = any(span.runs for span in spans)
    last = max((span.ended for span in spans if span.ended is not None and span.started is not None), default=None)
    if session.mode == "dedicated":
        patience = timedelta(seconds=session.interactive_ttl)
        waiting = min((span.created for span in spans if span.waits), default=None)
        held = spells.kept(spans, until, patience)
        active = spells.keeps(now, patience, runs=runs, last=last, waiting=waiting)
    else:
        held, active = spells.ran(spans, until), runs
    phase: Phase = "open" if activated is None else "active" if active else "inactive"
    return Standing(
        "closed" if closed is not None else phase,
        closed is None and session.stopped is None,
        activated,
        max(starts, default=None),
        last,
        closed,
        tuple(held),
        spells.idle(held, spans, until),
    )


def stop(tx: Transaction, session: Session, now: datetime, *, accepting: bool) -> None:
    """Let a session take no more jobs, or (`accepting`) again; those that it has go on.

    Raises:
        errors.Conflict: It is to take jobs again but is closed.
    """
    known = get(tx, session.id)
    if accepting and standing(tx, known, now).closed is not None:
        raise errors.Conflict(f"The session {session.id} is closed.", 1021)
    stopped = None if accepting else known.stopped or now
    tx.execute(sa.update(_sessions).where(_sessions.c.id == session.id).values(stopped=stopped))
    tx.ring("queue")


def close(tx: Transaction, session: Session, now: datetime) -> int:
    """Close a session at once and cancel its jobs that have not begun; return how many. Again it does nothing."""
    accounts.alone(tx)
    # Read anew: it may have been charged, or closed, since.
    known = get(tx, session.id)
    return 0 if known.closed is not None else _close(tx, known, standing(tx, known, now).closed or now, now)


def expire(tx: Transaction, now: datetime) -> int:
    """Close the sessions whose time is over or that have nothing more to do, and charge the others; return how many.

    A session is charged for the time in which it keeps its device and has no jobs; its jobs are charged as any other.
    """
    if not tx.execute(_ANY_OPEN).scalar():
        return 0
    accounts.alone(tx)
    ended = 0
    for seen in _glances(tx, _OPEN):
        session = seen.session
        if seen.is_closed(now):
            _close(tx, session, standing(tx, session, now).closed or now, now)
            ended += 1
        elif seen.keeps(now) and not seen.runs and seen.waiting is None:
            # What is due of one that has jobs can wait until it has none: to know it all of them are read.
            _charge(tx, session, standing(tx, session, now).idle, now, least=_LEAST_CHARGE)
    return ended


def _close(tx: Transaction, session: Session, moment: datetime, now: datetime) -> int:
    """Write that an open session was closed at a moment; return how many of its jobs were cancelled."""
    tx.execute(sa.update(_sessions).where(_sessions.c.id == session.id).values(closed=moment))
    waiting = (_jobs.session_id == session.id, _jobs.state.in_(sorted(lifecycle.ACTIVE - {State.RUNNING})))
    ids: list[JobId] = list(tx.execute(sa.select(_jobs.id).where(*waiting)).scalars())
    for job_id in ids:
        records.advance(tx, job_id, (State.CANCELLED,), now, cost=0.0, error_message="Its session was closed.")
    written = get(tx, session.id)
    _charge(tx, written, standing(tx, written, now).idle, now)
    tx.ring("queue")
    return len(ids)


def _charge(tx: Transaction, session: Session, idle: float, now: datetime, *, least: float = 0.0) -> None:
    """Charge a session's project for what was not charged yet, if it is more than the least; `alone`."""
    due = idle - session.charged
    if due > least:
        accounts.correct(tx, session.device_id, session.project_id, due, now)
        tx.execute(sa.update(_sessions).where(_sessions.c.id == session.id).values(charged=idle))


def check(
    tx: Transaction, session_id: str, user_id: UserId, project_id: ProjectId, device: Device, now: datetime
) -> None:
    """Make sure that a job may be submitted in a session.

    Raises:
        errors.Conflict: It is closed, takes no more jobs or is on another device.
        errors.NotFound: There is none of this id, or it is not theirs.
    """
    session = get(tx, session_id, keep=True)
    if (session.user_id, session.project_id) != (user_id, project_id):
        raise errors.NotFound("Session not found.", 1022)
    if session.device_id != device.id:
        raise errors.Conflict(f"The session {session_id} is not on {device.name}.", 1021)
    [seen] = _glances(tx, _ONE, session=session_id)
    closed = seen.is_closed(now)
    if closed or session.stopped is not None:
        how = "is closed" if closed else "takes no more jobs"
        raise errors.Conflict(f"The session {session_id} {how}. Open a new one.", 1021)


def holds(tx: Transaction, now: datetime) -> list[Hold]:
    """Return the sessions that keep their devices at present, in the order in which their first jobs began."""
    found = []
    for seen in _glances(tx, _LOOK):
        if seen.keeps(now) and seen.activated is not None:
            session = seen.session
            whose = (session.id, session.user_id, session.project_id, session.device_id)
            until = seen.activated + timedelta(seconds=session.max_ttl)
            found.append((seen.activated, Hold(*whose, until, seen.last, seen.runs)))
    return [hold for _, hold in sorted(found, key=lambda each: (each[0], each[1].session_id))]


def _closed(
    session: Session, activated: datetime | None, last: datetime | None, now: datetime, *, busy: bool
) -> datetime | None:
    """Return when a session was closed, if it is.

    Args:
        last: When a job of it ended last, whether or not it had begun.
    """
    if session.closed is not None:
        return session.closed
    ends = []
    if session.stopped is not None and not busy:
        ends.append(max(session.stopped, last or session.stopped))
    # Who waits in the queue for longer than the session is to last need not begin again.
    if activated is not None or not busy:
        ends.append((activated or session.created) + timedelta(seconds=session.max_ttl))
    over = min(ends, default=None)
    return over if over is not None and over <= now else None
