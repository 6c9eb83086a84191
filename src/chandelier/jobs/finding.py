# SPDX-License-Identifier: Apache-2.0
"""Jobs found by what indexes know of them, a page at a time.

Each page is read along one index, in its order and within exact bounds. What a page costs therefore depends on its
length alone, never on how many jobs there are; what no index knows is left to the caller, who sees how much was read.
"""

import functools
import itertools
import operator
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from chandelier.jobs import records, tables
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job, JobId
from chandelier.store import Transaction, database
from chandelier.tenancy.network import ProjectId
from chandelier.tenancy.users import UserId

#: Ranges of an index that one statement merges. Of a user's jobs less is looked up and more is sifted out where more
#: would be needed; the jobs of more projects than that take several statements.
_MOST_RANGES: Final = 64

#: Where a job stands in lists: they are in the order of creation time, then of id.
Edge = tuple[datetime, JobId]


class Query(msgspec.Struct, frozen=True):
    """Which jobs to find; every condition narrows, absent ones do not.

    Attributes:
        tags: The job has at least one of them; only together with `user_id`.
        past: Only jobs that come, in the order of the list, behind this one.
        limit: Most jobs to look at for one page.
    """

    user_id: UserId | None = None
    project_ids: frozenset[ProjectId] | None = None
    device_ids: frozenset[str] | None = None
    states: frozenset[State] | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    ids: frozenset[str] | None = None
    tags: frozenset[str] | None = None
    past: Edge | None = None
    ascending: bool = False
    limit: int = 50


class Page(msgspec.Struct, frozen=True):
    """The jobs of one page.

    Attributes:
        read: How many were looked at; some of them the query does not ask for.
        edge: The last one looked at, from which the next page goes on; None at the end of the list.
    """

    jobs: list[Job]
    read: int
    edge: Edge | None


class _Shape(msgspec.Struct, frozen=True):
    """What statements that differ only in their values have in common.

    Attributes:
        columns: Columns of the index that each range fixes.
        ranges: Number of ranges.
        bounds: Which of `created_from`, `created_to` and `past` are given.
    """

    table: str
    columns: tuple[str, ...]
    ranges: int
    bounds: tuple[str, ...]
    ascending: bool


def find(tx: Transaction, query: Query) -> Page:
    """Return one page of the jobs of a query, newest first unless `ascending`."""
    if query.ids is not None:
        jobs = _read(tx, query, query.ids, bounded=True)
        edges = [(job.created, job.id) for job in jobs]
    else:
        edges = _edges(tx, query)
        jobs = _read(tx, query, [edge[1] for edge in edges])
    return Page(jobs, len(edges), edges[-1] if len(edges) >= query.limit else None)


def find_all(tx: Transaction, query: Query) -> list[Job]:
    """Return every job of a query; for those that cannot be many."""
    jobs: list[Job] = []
    page = find(tx, query)
    jobs += page.jobs
    while page.edge is not None:
        page = find(tx, msgspec.structs.replace(query, past=page.edge))
        jobs += page.jobs
    return jobs


def list_of_code(tx: Transaction, code_id: str, limit: int) -> list[Job]:
    """Return the jobs that run a code, the newest first."""
    jobs = tables.jobs.c
    statement = sa.select(*records.COLUMNS).where(jobs.code_id == code_id, jobs.deleted.is_(None))
    newest = statement.order_by(jobs.created.desc(), jobs.id.desc()).limit(limit)
    return records.jobs_of(tx, tx.execute(newest).all())


def _read(tx: Transaction, query: Query, ids: Iterable[str], *, bounded: bool = False) -> list[Job]:
    """Return the jobs of these ids that the query asks for, in its order."""
    # Looked up first: else the conditions and the order could make the planner go through an index instead.
    known = sa.select(*records.COLUMNS).where(tables.jobs.c.id.in_(sorted(ids)), tables.jobs.c.deleted.is_(None))
    jobs = known.cte("known").prefix_with("MATERIALIZED").c
    conditions = [*_bounds(query.ascending, _given(query), jobs.created, jobs.id)] if bounded else []
    if query.user_id is not None:
        conditions.append(jobs.user_id == query.user_id)
    among = ((jobs.project_id, query.project_ids), (jobs.device_id, query.device_ids), (jobs.state, query.states))
    conditions += [column.in_(sorted(values)) for column, values in among if values is not None]
    statement = _ordered(sa.select(*jobs).where(*conditions), query.ascending, jobs.created, jobs.id)
    return records.jobs_of(tx, tx.execute(statement, _values(query)).all())


def _given(query: Query) -> tuple[str, ...]:
    return tuple(name for name in ("created_from", "created_to", "past") if getattr(query, name) is not None)


def _values(query: Query) -> dict[str, Any]:
    """Return what is bound to the statements of a query, whatever its ranges."""
    values = {name: getattr(query, name) for name in ("created_from", "created_to", "limit")}
    if query.past is not None:
        values |= {"past_created": query.past[0], "past_id": query.past[1]}
    return {name: value for name, value in values.items() if value is not None}


def _edges(tx: Transaction, query: Query) -> list[Edge]:
    """Return where the jobs of the page stand, in order."""
    table, columns, ranges = _ranges(tx, query)
    if not ranges:
        return []
    found: list[Edge] = []
    for start in range(0, len(ranges), _MOST_RANGES):
        part = ranges[start : start + _MOST_RANGES]
        # Few different statements: each takes memory for as long as the server runs. No job has empty columns.
        part += [("",) * len(columns)] * (_rounded(len(part)) - len(part))
        shape = _Shape(table, columns, len(part), _given(query), query.ascending)
        values = _values(query)
        for number, fixed in enumerate(part):
            values |= {f"{column}_{number}": value for column, value in zip(columns, fixed, strict=True)}
        found += [(row.created, row.id) for row in tx.execute(_statement(shape), values)]
    if len(ranges) <= _MOST_RANGES:
        return found
    return sorted(dict.fromkeys(found), reverse=not query.ascending)[: query.limit]


def _rounded(number: int) -> int:
    """Return the next power of four."""
    return next(size for size in itertools.accumulate(itertools.repeat(4), operator.mul, initial=1) if size >= number)


#: The values of the fixed columns, for each range.
_Ranges = list[tuple[str, ...]]


def _ranges(tx: Transaction, query: Query) -> tuple[str, tuple[str, ...], _Ranges]:
    """Return the table whose index is read, the columns that are fixed, and the values of each range."""
    states = sorted(query.states if query.states is not None else State)
    if query.user_id is None:
        return _shared_ranges(tx, query, states)
    user = [query.user_id]
    if query.tags is not None and len(query.tags) <= _MOST_RANGES:
        return "tags", ("user_id", "tag"), list(itertools.product(user, sorted(query.tags)))
    plain = query.states is None and query.device_ids is None and query.project_ids is None
    projects = [] if plain else sorted(_projects_of(tx, query))
    devices = sorted(query.device_ids or ())
    if plain or len(states) * len(projects) > _MOST_RANGES:
        return "jobs", ("user_id",), [(query.user_id,)]
    if query.device_ids is None or len(devices) * len(states) * len(projects) > _MOST_RANGES:
        return "jobs", ("user_id", "state", "project_id"), list(itertools.product(user, states, projects))
    columns = ("user_id", "device_id", "state", "project_id")
    return "jobs", columns, list(itertools.product(user, devices, states, projects))


def _projects_of(tx: Transaction, query: Query) -> Collection[str]:
    """Return the projects wanted; of many, or if all are, those in which the user has jobs: found by leaping."""
    wanted = query.project_ids
    if wanted is not None and len(wanted) <= 1:
        return wanted
    found = {row[0] for row in tx.execute(_LEAPING, {"user": query.user_id})}
    return found if wanted is None else found & wanted


#: From project to project of a user, state by state; each leap is one look-up, however many jobs lie between.
_LEAPING: Final = sa.text(
    "WITH RECURSIVE states(state) AS ("  # noqa: S608  # of names that are ours
    + " UNION ALL ".join(f"SELECT '{state}'" for state in State)
    + "), found(state, project_id) AS ("
    "SELECT state, (SELECT MIN(project_id) FROM jobs WHERE user_id = :user AND jobs.state = states.state "
    "AND deleted IS NULL) FROM states "
    "UNION ALL "
    "SELECT state, (SELECT MIN(project_id) FROM jobs WHERE user_id = :user AND jobs.state = found.state "
    "AND deleted IS NULL AND jobs.project_id > found.project_id) FROM found WHERE found.project_id IS NOT NULL"
    ") SELECT DISTINCT project_id FROM found WHERE project_id IS NOT NULL"
)


def _shared_ranges(tx: Transaction, query: Query, states: Sequence[State]) -> tuple[str, tuple[str, ...], _Ranges]:
    """Do the same for jobs of any user."""
    if query.project_ids is None:
        return "jobs", ("state",), [(state,) for state in states]
    projects = sorted(query.project_ids)
    if query.states is None and query.device_ids is None:
        return "jobs", ("project_id",), [(project_id,) for project_id in projects]
    # What others do in their projects must not count here, so that the index begins with the project.
    columns = ("project_id", "device_id", "state")
    devices = sorted(query.device_ids or ())
    if query.device_ids is not None and len(projects) * len(devices) * len(states) <= _MOST_RANGES:
        return "jobs", columns, list(itertools.product(projects, devices, states))
    return (
        "jobs",
        columns,
        [
            (project_id, device_id, state)
            for project_id, device_id, state in _combinations(tx, projects)
            if state in states and (query.device_ids is None or device_id in query.device_ids)
        ],
    )


def _combinations(tx: Transaction, projects: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield which projects have jobs on which device in which state: found by leaping along an index."""
    for start in range(0, len(projects), _MOST_RANGES):
        part = projects[start : start + _MOST_RANGES]
        size = _rounded(len(part))
        values = dict(zip((f"project_{number}" for number in range(size)), [*part, *[""] * size], strict=False))
        yield from (tuple(row) for row in tx.execute(_leaping_shared(size), values))


@functools.cache
def _leaping_shared(size: int) -> sa.TextClause:
    """Return the statement that leaps from one device and state of a project to the next, from job to job."""
    order = "ORDER BY jobs.device_id, jobs.state, jobs.created, jobs.id LIMIT 1"
    next_ = "SELECT jobs.id FROM jobs WHERE jobs.project_id = last.project_id AND jobs.deleted IS NULL"
    wanted = " UNION ALL ".join(f"SELECT :project_{number}" for number in range(size))
    # Two look-ups for each leap, because only one column's range bounds that of an index.
    return sa.text(
        f"WITH RECURSIVE wanted(project_id) AS ({wanted}), found(id) AS ("  # noqa: S608  # of names that are ours
        "SELECT (SELECT jobs.id FROM jobs WHERE jobs.project_id = wanted.project_id AND jobs.deleted IS NULL "
        f"{order}) FROM wanted "
        "UNION ALL "
        f"SELECT COALESCE(({next_} AND jobs.device_id = last.device_id AND jobs.state > last.state {order}), "
        f"({next_} AND jobs.device_id > last.device_id {order})) "
        "FROM found JOIN jobs AS last ON last.id = found.id"
        ") SELECT jobs.project_id, jobs.device_id, jobs.state FROM found JOIN jobs ON jobs.id = found.id"
    )


@functools.lru_cache(maxsize=256)
def _statement(shape: _Shape) -> sa.Select[Any]:
    """Return the statement that merges the first of each range; built once, for building costs more than running."""
    source = getattr(tables, shape.table).c
    job_id = source.job_id if shape.table == "tags" else source.id
    parts = []
    for number in range(shape.ranges):
        conditions = [source[column] == sa.bindparam(f"{column}_{number}") for column in shape.columns]
        if shape.table == "jobs":
            conditions.append(source.deleted.is_(None))
        conditions += _bounds(shape.ascending, shape.bounds, source.created, job_id)
        part = sa.select(source.created, job_id.label("id")).where(*conditions)
        # A user's jobs have different creation times, and SQLite takes the index that gives the whole order.
        order = (source.created,) if "user_id" in shape.columns else (source.created, job_id)
        parts.append(_ordered(part, shape.ascending, *order))
    if len(parts) == 1:
        return parts[0]
    ranges = [sa.select(part.subquery(f"range_{number}")) for number, part in enumerate(parts)]
    # The same job may stand in several ranges, because it has several of the tags.
    merged = (sa.union if shape.table == "tags" else sa.union_all)(*ranges).subquery("merged")
    return _ordered(sa.select(merged.c.created, merged.c.id), shape.ascending, merged.c.created, merged.c.id)


def _bounds(
    ascending: bool, given: Sequence[str], created: sa.ColumnElement[Any], job_id: sa.ColumnElement[Any]
) -> Iterator[sa.ColumnElement[bool]]:
    moment = database.UtcMilliseconds()
    if "created_from" in given:
        yield created >= sa.bindparam("created_from", type_=moment)
    if "created_to" in given:
        yield created <= sa.bindparam("created_to", type_=moment)
    if "past" in given:
        edge = sa.bindparam("past_created", type_=moment)
        here, there = sa.tuple_(created, job_id), sa.tuple_(edge, sa.bindparam("past_id", type_=sa.String()))
        # Both conditions: only the first bounds the range of an index.
        yield created >= edge if ascending else created <= edge
        yield here > there if ascending else here < there


def _ordered(statement: sa.Select[Any], ascending: bool, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    order = (column.asc() if ascending else column.desc() for column in columns)
    return statement.order_by(*order).limit(sa.bindparam("limit", type_=sa.Integer()))


class Choice(msgspec.Struct, frozen=True):
    """Which of one user's jobs to choose, by what indexes know and what they do not; absent conditions do not narrow.

    Attributes:
        programs: Of the Runtime API; None among them stands for all other jobs.
        tags: The job has all of them.
    """

    user_id: UserId
    project_ids: frozenset[ProjectId] | None = None
    device_id: str | None = None
    states: frozenset[State] | None = None
    programs: frozenset[str | None] | None = None
    session_id: str | None = None
    tags: tuple[str, ...] = ()
    created_from: datetime | None = None
    created_to: datetime | None = None


def choose(tx: Transaction, choice: Choice, *, skip: int, limit: int, ascending: bool = False) -> list[Job]:
    """Return some of a user's jobs, newest first unless `ascending`; costs as much as the user has jobs, at most."""
    order = tables.jobs.c.created.asc() if ascending else tables.jobs.c.created.desc()
    ids = sa.select(tables.jobs.c.id).where(*_chosen(choice)).order_by(order).limit(limit).offset(skip)
    found: list[str] = list(tx.execute(ids).scalars())
    rows = tx.execute(sa.select(*records.COLUMNS).where(tables.jobs.c.id.in_(found))).all() if found else []
    return sorted(records.jobs_of(tx, rows), key=lambda job: found.index(job.id))


def count(tx: Transaction, choice: Choice) -> int:
    """Count a user's jobs of a choice."""
    # With their states the database counts along the index that begins with the user, not along one of the project.
    choice = msgspec.structs.replace(choice, states=frozenset(State) if choice.states is None else choice.states)
    return int(tx.execute(sa.select(sa.func.count()).select_from(tables.jobs).where(*_chosen(choice))).scalar_one())


def _chosen(choice: Choice) -> Iterator[sa.ColumnElement[bool]]:
    jobs, tags = tables.jobs.c, tables.tags.c
    yield jobs.deleted.is_(None)
    yield jobs.user_id == choice.user_id
    if choice.project_ids is not None:
        yield jobs.project_id.in_(sorted(choice.project_ids))
    if choice.device_id is not None:
        yield jobs.device_id == choice.device_id
    if choice.states is not None:
        yield jobs.state.in_(sorted(choice.states))
    if choice.programs is not None:
        named = jobs.program.in_(sorted(program for program in choice.programs if program is not None))
        yield sa.or_(named, jobs.program.is_(None)) if None in choice.programs else named
    if choice.session_id is not None:
        yield jobs.session_id == choice.session_id
    for tag in choice.tags:
        yield sa.exists().where(tags.user_id == choice.user_id, tags.tag == tag, tags.job_id == jobs.id)
    if choice.created_from is not None:
        yield jobs.created >= choice.created_from
    if choice.created_to is not None:
        yield jobs.created <= choice.created_to
