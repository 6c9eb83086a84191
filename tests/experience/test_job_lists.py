# SPDX-License-Identifier: Apache-2.0
"""Lists of jobs: filters through HTTP, paging as clients do it, limits, and what entries have."""

import json
from datetime import timedelta
from typing import Any

import desk as desks
import pytest
from desk import PROJECT, Desk, OpenDesk

import factories
from chandelier.jobs.lifecycle import State
from chandelier.store import Transaction
from factories import NOW, after

#: What a real entry had in 2021. Source: protocol 6.3.
RECORDED = {"kind", "backend", "status", "creationDate", "hubInfo", "endDate", "runMode", "id", "userId"}


def fill(desk: Desk, count: int, **details: Any) -> list[str]:
    """Add jobs that were all submitted in the same instant, and return their ids, oldest first."""

    def work(tx: Transaction) -> list[str]:
        return [factories.a_job(tx, desk.town, State.CANCELLED, **details).id for _ in range(count)]

    return desk.store.write(work)


def pages(desk: Desk, *, order: str, size: int, where: dict[str, Any]) -> list[list[str]]:
    """Page through all jobs as the last provider does, and return the ids of each page.

    Source: protocol 8, "following pages".
    """
    found: list[list[str]] = []
    limits: dict[str, Any] = {}
    compare = "lte" if order == "DESC" else "gte"
    while len(found) < 50:
        page = desk.listed(where=where | limits, order=f"creationDate {order}", limit=size, skip=0)
        if not page:
            return found
        found.append([job["id"] for job in page])
        limits = {"creationDate": {compare: page[-1]["creationDate"]}, "id": {"nin": [page[-1]["id"]]}}
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("order", ["DESC", "ASC"])
def test_paging_by_date_shows_each_job_once(either: Desk, order: str) -> None:
    """Also jobs that were submitted in the same instant, over several pages."""
    jobs = fill(either, 65)
    fill(either, 3, who=either.town.bob)
    found = pages(either, order=order, size=20, where={"backend.name": "device"})

    assert [len(page) for page in found] == [20, 20, 20, 5]
    assert [job for page in found for job in page] == (jobs if order == "ASC" else jobs[::-1])


def test_dates_are_unique_at_the_precision_that_is_shown(either: Desk) -> None:
    """Clients page by them."""
    fill(either, 30)
    fill(either, 30, now=NOW - timedelta(days=1))
    dates = [job["creationDate"] for job in either.listed(limit=100)]

    assert len(set(dates)) == 60
    assert dates == sorted(dates, reverse=True)


def test_paging_by_skip_ends_with_an_empty_page(desk: Desk) -> None:
    """As clients before 0.8 do it, with `limit: 0` for no limit of theirs."""
    jobs = fill(desk, 25)
    found: list[str] = []
    while page := desk.listed("/Jobs/status", order="creationDate DESC", limit=0, skip=len(found)):
        found += [job["id"] for job in page]

    assert found == jobs[::-1]


@pytest.mark.parametrize("path", ["/Jobs", "/Jobs/v/1", "/Jobs/status", "/Jobs/status/v/1"])
@pytest.mark.parametrize("wanted", [None, "", "{}", '{"limit": 0}', '{"limit": null}', '{"where": {}, "order": null}'])
def test_without_a_limit_there_is_a_page_of_the_newest(open_desk: OpenDesk, path: str, wanted: str | None) -> None:
    """Never nothing: `limit: 0` means no limit of the client's."""
    desk = open_desk(default_list_limit=4)
    jobs = fill(desk, 6)
    page = desk.get(path, params={} if wanted is None else {"filter": wanted})

    assert [job["id"] for job in page] == jobs[:1:-1]


def test_a_list_has_no_more_than_the_server_allows(open_desk: OpenDesk) -> None:
    """The job manager asks for a thousand and goes on when it gets fewer."""
    desk = open_desk(max_list_limit=5)
    fill(desk, 7)

    assert [len(desk.listed(limit=1000, skip=skip)) for skip in (0, 5, 7)] == [5, 2, 0]


def test_work_without_bound_is_refused(open_desk: OpenDesk) -> None:
    """With the name of a condition that helps, and never as a short page."""
    desk = open_desk(max_filter_jobs=100)
    jobs = fill(desk, 450)
    wanted = {"where": {"name": {"regexp": "^never"}}}
    refusal = desks.error(desk.ask("GET", "/Jobs/status/v/1", params={"filter": json.dumps(wanted)}), 400, 1003)

    assert "creationDate" in refusal["message"]
    newest = {"creationDate": {"gt": desk.get(f"/Jobs/{jobs[-50]}/v/1")["creationDate"]}}
    assert desk.listed(where=wanted["where"] | newest) == []


@pytest.mark.parametrize("wanted", ["{", "[1]", '"x"', "nothing", '{"limit": -1}', '{"where": 1}'])
@pytest.mark.parametrize("path", ["/Jobs", "/Jobs/v/1", "/Jobs/status", f"{PROJECT}/jobs/status/v/1"])
def test_a_broken_filter_is_refused(desk: Desk, path: str, wanted: str) -> None:
    """By every list."""
    desks.error(desk.ask("GET", path, params={"filter": wanted}), 400, 1002)


#: A filter of each form that clients were seen to send, and which of the jobs of `mixed` it finds. Source: protocol 8.
SEEN: dict[str, tuple[Any, set[str]]] = {
    "device": ({"backend.name": "device"}, {"waiting", "running", "done", "refused", "cancelled"}),
    "other device": ({"backend.name": "hidden"}, set()),
    "initializing": ({"status": {"inq": ["CREATING", "CREATED"]}}, set()),
    "queued": ({"status": "QUEUED"}, {"waiting"}),
    "running": ({"status": "RUNNING"}, {"running"}),
    "done": ({"status": "COMPLETED"}, {"done"}),
    "failed": ({"status": {"regexp": "^ERROR"}}, {"refused"}),
    "active": ({"or": [{"status": "QUEUED"}, {"status": "RUNNING"}]}, {"waiting", "running"}),
    "name": ({"name": {"regexp": "ne$"}}, {"done"}),
    "any tag": ({"tags": {"inq": ["odd", "none"]}}, {"waiting", "done", "cancelled"}),
    "all tags": ({"and": [{"tags": "odd"}, {"tags": "last"}]}, {"cancelled"}),
    "experiment": ({"experimentTag": "e"}, {"done"}),
    "qubits": ({"summaryData.summary.qobj_config.n_qubits": {"gte": 2}}, {"waiting", "running", "done"}),
    "project": ({"hubInfo.project.name": "main"}, {"waiting", "running", "done", "refused", "cancelled"}),
    "odd element": ({"and": [{"neq": "2021-01-01"}, {"status": "QUEUED"}]}, set()),
    "unknown": ({"nothing": 1}, set()),
}
#: The same for the lists of clients before 2020, who write filters in their own words or in the newer ones.
SEEN_OLD: dict[str, tuple[Any, set[str]]] = {
    "running": ({"status": "RUNNING", "infoQueue": {"exists": False}}, {"running"}),
    "queued": ({"status": "RUNNING", "infoQueue.status": "PENDING_IN_QUEUE"}, {"waiting"}),
    "queued, newer": ({"status": "QUEUED"}, {"waiting"}),
    "done": ({"status": "COMPLETED"}, {"done"}),
    "failed": ({"status": {"regexp": "^ERROR"}}, {"refused"}),
}


def mixed(desk: Desk) -> dict[str, str]:
    """Make a job in each of several states and return their names by id."""
    more: dict[str, dict[str, Any]] = {
        "done": {"tags": ["odd"], "experimentTag": "e"},
        "refused": {},
        "cancelled": {"tags": ["odd", "last"]},
        "running": {},
        "waiting": {"tags": ["odd"]},
    }
    states = {"done": State.COMPLETED, "refused": State.ERROR_VALIDATING_JOB, "cancelled": State.CANCELLED}
    others = {"running": State.RUNNING, "waiting": State.QUEUED}
    return {desk.brought(state, name=name, **more[name]): name for name, state in (states | others).items()}


def test_filters_that_clients_send(either: Desk) -> None:
    """Each finds what its sender means."""
    names = mixed(either)
    for path, seen in (
        ("/Jobs/status/v/1", SEEN),
        ("/Jobs/v/1", SEEN),
        ("/Jobs/status", SEEN_OLD),
        ("/Jobs", SEEN_OLD),
    ):
        for name, (where, expected) in seen.items():
            found = {names[job["id"]] for job in either.listed(path, where=where, limit=100)}
            assert found == expected, (path, name)


def test_dates_in_filters_are_instants(either: Desk) -> None:
    """However they are written; bounds are included."""
    jobs = [fill(either, 1, now=after(hour * 3600))[0] for hour in range(4)]
    dates = [either.get(f"/Jobs/{job}/v/1")["creationDate"] for job in jobs]

    def found(condition: Any) -> list[int]:
        listed = either.listed(where={"creationDate": condition}, order="creationDate ASC")
        return [jobs.index(job["id"]) for job in listed]

    for spelling in (dates[1], dates[1].replace("Z", "000+00:00"), dates[1].replace("Z", "+00:00")):
        assert found({"gte": spelling}) == [1, 2, 3]
        assert found({"lt": spelling}) == [0]
        assert found(spelling) == [1]
    assert found({"between": [dates[1], dates[2].replace("Z", "000+00:00")]}) == [1, 2]
    assert found({"gt": "2026-03-14"}) == [0, 1, 2, 3]
    assert found({"gte": "9999-12-31T23:59:59Z"}) == found({"lte": "0001-01-01"}) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"id": True, "liveDataEnabled": True, "creationDate": True}, {"id", "liveDataEnabled", "creationDate"}),
        (["id", "status"], {"id", "status"}),
        ({"id": False, "tags": False}, None),
    ],
)
def test_fields_choose_what_is_shown(desk: Desk, fields: Any, expected: set[str] | None) -> None:
    """Names wanted, or names not wanted."""
    desk.brought(State.CANCELLED)
    whole = set(desk.listed("/Jobs/v/1")[0])
    [entry] = desk.listed("/Jobs/v/1", fields=fields)

    assert set(entry) == (whole - {"id", "tags"} if expected is None else expected)


@pytest.mark.parametrize("path", ["/Jobs/status/v/1", "/Jobs/status"])
def test_entries_of_status_lists_are_reduced(desk: Desk, path: str) -> None:
    """Without steps and without the program: the client asks for these by themselves."""
    desk.brought(State.COMPLETED, inline=True)
    [entry] = desk.listed(path)

    assert set(entry) >= RECORDED
    assert {"timePerStep", "qObject", "qObjectResult", "error", "infoQueue"} & set(entry) == set()


def test_full_lists_have_inline_jobs_first(desk: Desk) -> None:
    """A client of early 2019 stops at the first job of another kind."""
    jobs = [desk.inline(), desk.opened()["id"], desk.inline(), desk.opened()["id"]]

    assert [job["id"] for job in desk.listed("/Jobs")] == [jobs[2], jobs[0], jobs[3], jobs[1]]
    assert [job["kind"] for job in desk.listed("/Jobs")][:2] == ["q-object", "q-object"]
    assert [job["id"] for job in desk.listed("/Jobs/v/1")] == jobs[::-1]


@pytest.mark.parametrize(
    ("order", "expected"), [("name ASC", "abc"), ("name DESC", "cba"), (["status ASC", "name"], "abc")]
)
def test_lists_may_be_ordered_by_any_field(desk: Desk, order: Any, expected: str) -> None:
    """Before they are cut into pages."""
    for name in "bca":
        desk.opened(name=name)
    pages = [desk.listed(order=order, limit=2, skip=skip) for skip in (0, 2)]

    assert "".join(job["name"] for page in pages for job in page) == expected


def test_a_lost_program_hides_no_job(desk: Desk) -> None:
    """Neither the job itself nor the list that it is in."""
    jobs = [desk.inline() for _ in range(2)]
    factories.lose_program(desk.store, jobs[0])

    assert [("qObject" in job, job["id"]) for job in desk.listed("/Jobs")] == [(True, jobs[1]), (False, jobs[0])]
    assert desk.get(f"/Jobs/{jobs[0]}")["status"] == "VALIDATING"


def test_lists_never_show_jobs_of_others(desk: Desk) -> None:
    """Whoever is asked for."""
    job = desk.inline("bob")
    for path in ("/Jobs", "/Jobs/v/1", "/Jobs/status", "/Jobs/status/v/1"):
        for where in ({}, {"id": job}, {"userId": desk.town.bob.user_id}, {"or": [{"id": job}, {"id": {"neq": ""}}]}):
            assert desk.listed(path, where=where) == []


@pytest.mark.parametrize("where", [{}, {"userId": "somebody"}, {"status": "NONE"}, {"id": {"inq": []}}, {"": {}}])
def test_a_foreign_project_is_refused_whatever_the_filter_says(desk: Desk, where: dict[str, Any]) -> None:
    """Also where no job could match, so that nothing would have to be read."""
    place = "/Network/annex/Groups/main/Projects/main"
    for tail in ("", "/v/1", "/status", "/status/v/1"):
        answer = desk.ask("GET", f"{place}/Jobs{tail}", params={"filter": json.dumps({"where": where})})
        desks.error(answer, 404, 3001)
