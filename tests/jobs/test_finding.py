# SPDX-License-Identifier: Apache-2.0
"""Finding jobs: what is found, in which order, page by page, and along which index."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from crowds import gather, naive, stand
from hypothesis import given, settings
from hypothesis import strategies as st

from chandelier.jobs import finding, records
from chandelier.jobs.finding import Choice, Page, Query
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.store import Store, Transaction
from chandelier.tenancy import network
from chandelier.tenancy.network import ProjectId
from factories import Town, a_job, a_place


@pytest.fixture(name="crowd")
def _crowd(town: Town) -> list[Job]:
    return gather(town)


def look(store: Store, query: Query) -> Page:
    """Return one page."""
    return store.read(partial(finding.find, query=query))


def pages(store: Store, query: Query) -> list[Page]:
    """Return all pages, each begun where the one before ended."""
    found = [look(store, query)]
    while found[-1].edge is not None:
        found.append(look(store, msgspec.structs.replace(query, past=found[-1].edge)))
    return found


def queries(town: Town, crowd: list[Job]) -> st.SearchStrategy[Query]:
    """Make queries whose values occur among the jobs, or nearly."""

    def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.none() | strategy

    moments = st.sampled_from([job.created + timedelta(milliseconds=shift) for job in crowd for shift in (-1, 0, 1)])
    everybody = [town.ann.user_id, town.bob.user_id, town.operator.user_id]
    tags = st.frozensets(st.sampled_from(["a", "b", "c", "ä", "A", "other"]))
    by_user = st.tuples(st.sampled_from(everybody), maybe(tags))
    return st.builds(
        lambda who, **more: Query(user_id=who[0], tags=who[1], **more),
        by_user | st.just((None, None)),
        project_ids=maybe(st.frozensets(st.sampled_from([town.home.project_id, town.annex.project_id]))),
        device_ids=maybe(st.frozensets(st.sampled_from([town.device.id, town.hidden.id, "other"]))),
        states=maybe(st.frozensets(st.sampled_from(sorted(State)))),
        created_from=maybe(moments),
        created_to=maybe(moments),
        ids=maybe(st.frozensets(st.sampled_from([*(job.id for job in crowd), "other"]))),
        past=maybe(st.sampled_from([stand(job) for job in crowd])),
        ascending=st.booleans(),
        limit=st.integers(1, 50),
    )


def test_find_is_the_naive_filter(town: Town, crowd: list[Job]) -> None:
    """For any mixture of conditions and any length of pages; no page reads more than its length."""

    @settings(max_examples=150)
    @given(query=queries(town, crowd))
    def check(query: Query) -> None:
        # Of ids and tags, ids are looked up, and tags left to the caller.
        wanted = naive(crowd, query if query.ids is None else msgspec.structs.replace(query, tags=None))
        found = pages(town.store, query)
        assert [job for page in found for job in page.jobs] == wanted
        assert all(len(page.jobs) <= page.read <= query.limit for page in found)

    check()


def test_find_narrows_by_each_condition(town: Town, crowd: list[Job]) -> None:
    """One at a time, so that none hides behind another; deleted jobs are never found."""
    some = crowd[len(crowd) // 2]
    for condition in (
        {},
        {"user_id": some.user_id},
        {"project_ids": frozenset({some.project_id})},
        {"device_ids": frozenset({some.device_id})},
        {"states": frozenset({some.state, State.RUNNING})},
        {"ids": frozenset({some.id})},
        {"user_id": some.user_id, "tags": frozenset({"b", "ä"})},
        {"created_from": some.created},
        {"created_to": some.created},
        {"past": stand(some)},
        {"past": stand(some), "ascending": True},
    ):
        query = Query(**condition)
        assert look(town.store, query).jobs == naive(crowd, query)
    assert len(look(town.store, Query()).jobs) == len(crowd)


@pytest.mark.parametrize("ascending", [False, True])
def test_pages_are_complete(town: Town, crowd: list[Job], ascending: bool) -> None:
    """Each job is on one page, also where several users' jobs have one creation time, and while others are added."""
    query = Query(ascending=ascending, limit=4)
    found = [look(town.store, query)]
    while found[-1].edge is not None:
        if not ascending:
            town.store.write(lambda tx: a_job(tx, town, State.CREATING, now=crowd[-1].created + timedelta(hours=1)))
        found.append(look(town.store, msgspec.structs.replace(query, past=found[-1].edge)))

    assert [job for page in found for job in page.jobs] == naive(crowd, query)
    assert len({job.created for job in crowd}) < len(crowd)


def test_many_tags_cost_no_more_than_few(town: Town, crowd: list[Job]) -> None:
    """They are left to the caller; and statements of few sizes are kept, however many are asked for."""
    finding._statement.cache_clear()
    for number in range(1, 200):
        tags = frozenset(f"tag{each}" for each in range(number)) | {"a"}
        page = look(town.store, Query(user_id=town.bob.user_id, tags=tags))
        mine = naive(crowd, Query(user_id=town.bob.user_id, tags=tags))
        assert [job for job in page.jobs if set(job.tags) & tags] == mine
    assert finding._statement.cache_info().currsize < 8


def test_many_projects_are_narrowed_to_those_with_jobs(town: Town) -> None:
    """A list by device or state is read along its index, whatever else the user is a member of."""

    def work(tx: Transaction) -> list[Job]:
        places = [a_place(tx, f"hub{number}", "g", "p") for number in range(30)]
        some = [places[index] for index in (3, 7, 29)]
        return [
            a_job(tx, town, state, place=place, device=device, who=town.ann)
            for place in some
            for state in (State.COMPLETED, State.CANCELLED, State.QUEUED)
            for device in (town.device, town.hidden)
        ]

    jobs = town.store.write(work)
    query = Query(user_id=town.ann.user_id, device_ids=frozenset({town.hidden.id}), limit=4)
    read = pages(town.store, query)

    assert [job for page in read for job in page.jobs] == naive(jobs, query)
    assert sum(page.read for page in read) == 9


def test_deleted_jobs_are_not_read(town: Town) -> None:
    """A page does not go through what was deleted before it."""
    kept = town.store.write(lambda tx: a_job(tx, town, State.COMPLETED))

    def work(tx: Transaction) -> None:
        for _ in range(50):
            records.delete(tx, a_job(tx, town, State.COMPLETED).id, kept.created)

    town.store.write(work)
    page = look(town.store, Query(user_id=town.ann.user_id, limit=5))

    assert (page.jobs, page.read, page.edge) == ([kept], 1, None)


def test_find_all_goes_through_every_page(town: Town, crowd: list[Job]) -> None:
    """However short the pages are."""
    query = Query(limit=3)

    assert town.store.read(partial(finding.find_all, query=query)) == naive(crowd, query)


def test_lists_of_projects_read_what_they_show(town: Town) -> None:
    """However rare a state or a device is among the jobs of many projects and people."""

    def work(tx: Transaction) -> list[Job]:
        places = [a_place(tx, f"hub{number}", "g", "p") for number in range(70)]
        many = [a_job(tx, town, State.COMPLETED, place=places[number % 3], who=town.bob) for number in range(60)]
        rare = [
            a_job(tx, town, state, place=places[number], device=device, who=who)
            for number, state, device, who in (
                (0, State.CANCELLED, town.device, town.ann),
                (2, State.CANCELLED, town.hidden, town.bob),
                (69, State.QUEUED, town.hidden, town.ann),
            )
        ]
        return [*many, *rare]

    jobs = town.store.write(work)
    hidden, every = frozenset({town.hidden.id}), frozenset(job.project_id for job in jobs)
    wide = every | {place.project_id for place in town.store.read(network.all_places)}
    for projects in (every, wide, frozenset({jobs[0].project_id})):
        for condition in (
            {"states": frozenset({State.CANCELLED})},
            {"states": frozenset({State.CANCELLED, State.QUEUED})},
            {"device_ids": hidden},
            {"device_ids": hidden, "states": frozenset({State.QUEUED, State.RUNNING})},
            {"user_id": town.ann.user_id, "device_ids": hidden},
            {"user_id": town.ann.user_id, "states": frozenset({State.CANCELLED})},
        ):
            query = Query(project_ids=projects, limit=2, **condition)
            wanted = naive(jobs, query)
            read = pages(town.store, query)
            assert [job for page in read for job in page.jobs] == wanted
            assert sum(page.read for page in read) == len(wanted)


def test_jobs_of_a_user_outside_the_projects_are_not_read(town: Town) -> None:
    """Who asks for a person's jobs in a hub does not read those that they have elsewhere."""

    def work(tx: Transaction) -> tuple[list[Job], frozenset[ProjectId]]:
        places = [a_place(tx, f"hub{number}", "g", "p") for number in range(30)]
        jobs = [a_job(tx, town, State.COMPLETED, who=town.ann) for _ in range(40)]
        jobs.append(a_job(tx, town, State.COMPLETED, who=town.ann, place=places[7]))
        return jobs, frozenset(place.project_id for place in places)

    jobs, projects = town.store.write(work)
    page = look(town.store, Query(user_id=town.ann.user_id, project_ids=projects, limit=20))

    assert (page.jobs, page.read) == ([jobs[-1]], 1)


def multiply(tx: Transaction, crowd: list[Job]) -> None:
    """Add thousands of jobs where the planner decides by their number."""
    if tx.connection.dialect.name != "postgresql":
        return
    names = [column["name"] for column in sa.inspect(tx.connection).get_columns("jobs")]
    others = {"id": "md5(id || n)::varchar(24)", "created": "created + n * 1000"}
    values = ", ".join(others.get(name, name) for name in names)
    series = f"SELECT {values} FROM jobs, generate_series(1, 300) AS n WHERE deleted IS NULL"
    tx.execute(sa.text(f"INSERT INTO jobs ({', '.join(names)}) {series.replace(':', chr(92) + ':')}"))
    tx.execute(sa.text("ANALYZE jobs"))
    assert crowd


def plans_of(town: Town, query: Query, prefix: str) -> list[list[str]]:
    """Return how the database reads what the statements of a query read, each line of each plan."""
    plans: list[list[str]] = []

    def note(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "WITH")):
            cursor.execute(f"{prefix} {statement}", parameters)
            plans.append([str(row[-1]) for row in cursor.fetchall()])

    def explain(tx: Transaction) -> None:
        engine = tx.connection.engine
        sa.event.listen(engine, "before_cursor_execute", note)
        try:
            finding.find(tx, query)
        finally:
            sa.event.remove(engine, "before_cursor_execute", note)

    town.store.read(explain)
    return plans


@pytest.mark.parametrize(
    ("condition", "columns"),
    [
        ((), ["project_id", "created"]),
        (("state",), ["project_id", "device_id", "state"]),
        (("device",), ["project_id", "device_id", "state"]),
        (("device", "state"), ["project_id", "device_id", "state"]),
    ],
    ids=str,
)
def test_every_list_of_a_project_is_read_along_its_index(
    town: Town, crowd: list[Job], condition: tuple[str, ...], columns: list[str]
) -> None:
    """On both databases, with no condition left to sift by: whoever's the jobs are, and however many there are."""
    given: dict[str, dict[str, Any]] = {
        "device": {"device_ids": frozenset({town.device.id})},
        "state": {"states": frozenset({State.COMPLETED})},
    }
    more: dict[str, Any] = {name: value for each in condition for name, value in given[each].items()}
    town.store.write(lambda tx: multiply(tx, crowd))
    query = Query(project_ids=frozenset({town.home.project_id}), limit=5, **more)
    embedded = town.store.database.embedded
    plans = plans_of(town, query, "EXPLAIN QUERY PLAN" if embedded else "EXPLAIN")
    *ranges, jobs = plans
    leaps = ranges[:-1]

    assert len(leaps) == (condition == ("state",)), plans
    index = "ix_jobs_" + "_".join(columns)
    fixed = " AND ".join(f"{column}=?" for column in columns if column != "created")
    assert any(index in line and (fixed in line or not embedded) for line in ranges[-1]), plans
    assert not any(words in line for line in ranges[-1] for words in ("SCAN jobs", "Seq Scan on jobs")), plans
    for plan in leaps if embedded else ():
        assert any(index in line and "project_id=? AND device_id=? AND state>?" in line for line in plan), plans
    assert any("autoindex" in line or "pk_jobs" in line for line in jobs), plans


def planned(town: Town, look: Callable[[Transaction], object]) -> list[str]:
    """Return how SQLite means to do the first statement of a look."""
    plans: list[str] = []

    def explain(tx: Transaction) -> None:
        def note(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            if statement.startswith("SELECT") and not plans:
                cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans.extend(row[3] for row in cursor.fetchall())

        engine = tx.connection.engine
        sa.event.listen(engine, "before_cursor_execute", note)
        try:
            look(tx)
        finally:
            sa.event.remove(engine, "before_cursor_execute", note)

    town.store.read(explain)
    return plans


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ({}, "uq_jobs_user_id_created (user_id"),
        ({"states": frozenset({State.COMPLETED})}, "ix_jobs_user_id_state_project_id_created"),
        ({"devices": True}, "ix_jobs_user_id_device_id_state_project_id_created"),
        ({"tags": frozenset({"a"})}, "ix_job_tags_user_id_tag_created"),
    ],
)
def test_every_list_of_a_user_is_read_along_its_index(town: Town, condition: dict[str, Any], index: str) -> None:
    """No list scans the table or sorts more than what has one creation time, however many jobs there are."""
    if town.store.database.url.get_backend_name() != "sqlite":
        pytest.skip("the planner of the other database decides by numbers of rows")
    if condition.pop("devices", False):
        condition["device_ids"] = frozenset({town.device.id})
    query = Query(user_id=town.ann.user_id, project_ids=frozenset({town.home.project_id}), **condition)
    if not condition:
        query = msgspec.structs.replace(query, project_ids=None)
    plans = planned(town, lambda tx: finding.find(tx, query))

    assert any(index in line for line in plans), plans
    assert not any(line.startswith(("SCAN jobs", "SCAN job_tags")) for line in plans), plans


def test_counting_a_users_jobs_reads_no_others(sqlite_town: Town) -> None:
    """However many jobs others have in the project."""
    town = sqlite_town
    choice = Choice(town.ann.user_id, frozenset({town.home.project_id}))
    plans = planned(town, lambda tx: finding.count(tx, choice))

    assert len(plans) == 1
    assert "(user_id=? AND state=? AND project_id=?)" in plans[0]


def test_a_users_jobs_are_chosen_and_counted(crowd: list[Job], town: Town) -> None:
    """By every condition, in either order, from anywhere on."""
    who = crowd[0].user_id
    mine = [job for job in crowd if job.user_id == who]
    newest = sorted(mine, key=lambda job: job.created, reverse=True)
    for choice, expected in (
        (Choice(who), newest),
        (Choice(who, states=frozenset({State.QUEUED})), [job for job in newest if job.state is State.QUEUED]),
        (Choice(who, device_id=mine[0].device_id), [job for job in newest if job.device_id == mine[0].device_id]),
        (Choice(who, created_from=newest[1].created), newest[:2]),
        (Choice(who, created_to=newest[-1].created), newest[-1:]),
        (Choice(who, programs=frozenset({None})), newest),
        (Choice(who, programs=frozenset({"sampler"})), []),
        (Choice(who, session_id="none"), []),
        (Choice(who, tags=mine[0].tags), [job for job in newest if set(mine[0].tags) <= set(job.tags)]),
    ):
        ids = [job.id for job in expected]
        found = town.store.read(partial(finding.choose, choice=choice, skip=0, limit=10_000))
        reverse = town.store.read(partial(finding.choose, choice=choice, skip=1, limit=3, ascending=True))
        assert [job.id for job in found] == ids
        assert [job.id for job in reverse] == ids[::-1][1:4]
        assert town.store.read(partial(finding.count, choice=choice)) == len(ids)
