# SPDX-License-Identifier: Apache-2.0
"""What holds for every row of the route table: who may ask, under which spelling, and for whose jobs."""

from typing import Any

import desk as desks
import httpx
import pytest
from desk import PROJECT, Desk

from chandelier.experience import ROUTES
from chandelier.gateway import Route
from chandelier.jobs.lifecycle import State

OBJECTS = "/objects/"
PRIVATE = [*desks.all_paths(public=False)]
OF_A_JOB = [(route, path) for route, path in PRIVATE if "{job}" in path]
#: What members ask for; the answers to who has another role in the hub are in the test of roles.
OF_A_PROJECT = [
    (route, path)
    for route, path in PRIVATE
    if "{project}" in path and not route.right and route.handler.__name__ != "list_entries"
]


def test_only_these_endpoints_are_public() -> None:
    """Version, logins, queue states and what a signature protects."""
    public = {route.path.split("/")[-1] for route in ROUTES if route.public and OBJECTS not in route.path}

    assert public == {"version", "login", "loginWithToken", "status"}
    assert {route.path for route in ROUTES if route.public and route.path.endswith("status")} == {
        f"{scope}/{noun}/{{device}}/queue/status"
        for scope in ("", "/Network/{hub}")
        for noun in ("devices", "Backends", "Backend")
    }


def test_every_other_endpoint_wants_a_token(desk: Desk) -> None:
    """Without one, and with a wrong one in any place, the answer is the same."""
    job = desk.opened()["id"]
    for route, path in PRIVATE:
        target = desks.filled(path, job=job)
        for more in (
            {},
            {"headers": {"X-Access-Token": "wrong"}},
            {"params": {"access_token": "wrong"}},
            {"json": {"access_token": "wrong"}},
            {"json": {"access_token": 1}},
        ):
            desks.error(desk.ask(route.method, target, None, **more), 401, 2001)


@pytest.mark.parametrize("way", ["header", "query", "body"])
def test_the_token_may_come_in_three_ways(desk: Desk, way: str) -> None:
    """Also in the body of a GET, where the author of one client put it."""
    token = desk.tokens["ann"]
    more: dict[str, Any] = {
        "header": {"headers": {"x-aCCESS-token": token}},
        "query": {"params": {"access_token": token}},
        "body": {"json": {"access_token": token}},
    }[way]
    for method, path in (("GET", "/users/me"), ("GET", "/jobs/"), ("GET", "/Network"), ("POST", "/Jobs")):
        body = {"backend": {"name": "device"}, "allowObjectStorage": True}
        sent = more if method == "GET" else more | {"json": body | more.get("json", {})}
        desks.succeed(desk.ask(method, path, None, **sent))


def test_the_first_token_wins(desk: Desk) -> None:
    """Header before query before body; an empty one is none."""
    ann, bob = desk.tokens["ann"], desk.tokens["bob"]

    def who(header: str | None, query: str | None, body: str | None) -> str:
        answer = desk.ask(
            "GET",
            "/users/me",
            None,
            headers={} if header is None else {"X-Access-Token": header},
            params={} if query is None else {"access_token": query},
            **({} if body is None else {"json": {"access_token": body}}),
        )
        return str(answer.json()["email"]) if answer.status_code == 200 else "nobody"

    assert who(ann, bob, bob) == who(None, ann, bob) == who("", "", ann) == "ann@example.org"
    assert who("wrong", ann, ann) == who(None, "wrong", ann) == "nobody"


def spelled(path: str) -> list[str]:
    """Return a path in other spellings of its static segments, parameters as they are."""
    parts = path.split("/")
    upper, lower = ("/".join(part if "{" in part else way(part) for part in parts) for way in (str.upper, str.lower))
    return [upper + "/", lower]


def test_static_segments_match_in_any_case_and_with_a_slash(desk: Desk) -> None:
    """Every path, without a redirect: a client would turn a redirected POST into a GET."""
    job = desk.brought(State.QUEUED)
    for route, path in desks.all_paths():
        if route.method == "DELETE" or route.handler.__name__ in {"cancel", "submit", "change"}:
            continue
        plain = desk.ask(route.method, desks.filled(path, job=job))
        for spelling in spelled(path):
            other = desk.ask(route.method, desks.filled(spelling, job=job))
            assert (other.status_code, shape(other)) == (plain.status_code, shape(plain)), spelling
            assert other.status_code < 300 or "error" in other.json()


def shape(answer: httpx.Response) -> Any:
    """Return what of an answer does not change from one to the next."""
    return lasting(answer.json())


def lasting(document: Any) -> Any:
    """Return a document without signatures, times of the request, and what is foretold meanwhile."""
    if isinstance(document, list):
        return [lasting(entry) for entry in document]
    if isinstance(document, dict):
        return {key: value for key, value in document.items() if key not in {"url", "lastConnection", "infoQueue"}}
    return document


@pytest.mark.parametrize("path", ["/jobs/", "/JOBS", "/jObS/", PROJECT.lower() + "/jobs", PROJECT.upper() + "/JOBS/"])
def test_a_job_may_be_posted_to_any_spelling(desk: Desk, path: str) -> None:
    """The names of hub, group and project keep their case, so only the static parts may differ."""
    names = path.upper().startswith("/NETWORK") and path.isupper()
    answer = desk.ask("POST", path, json={"backend": {"name": "device"}, "allowObjectStorage": True})

    if names:
        desks.error(answer, 404, 3001)
    else:
        assert desks.succeed(answer)["status"] == "CREATING"


@pytest.mark.parametrize("name", ["Device", "DEVICE"])
def test_parameters_keep_their_case(desk: Desk, name: str) -> None:
    """A device of another spelling is another device."""
    desks.error(desk.ask("GET", f"/devices/{name}/properties"), 404, 3100)
    desks.error(desk.ask("GET", f"/devices/{name}/queue/status", None), 404, 3100)


@pytest.mark.parametrize(
    ("route", "path"), OF_A_JOB, ids=lambda value: value.method if isinstance(value, Route) else value
)
def test_a_foreign_job_is_not_found(desk: Desk, route: Route, path: str) -> None:
    """Just like one that never was, in all that can be asked of a job, and nothing happens to it."""
    job = desk.inline("bob")
    before = desk.get(f"/Jobs/{job}/v/1", "bob")
    body = {"name": "mine", "tags": ["mine"]}
    foreign = desks.error(desk.ask(route.method, desks.filled(path, job=job), json=body), 404, 3250)
    unknown = desks.error(desk.ask(route.method, desks.filled(path), json=body), 404, 3250)

    assert foreign == unknown
    assert desk.get(f"/Jobs/{job}/v/1", "bob") == before


def test_an_operator_may_look_after_any_job(desk: Desk) -> None:
    """Seeing and cancelling it included; lists show an operator's own jobs only."""
    job = desk.inline("bob")

    assert desk.get(f"/Jobs/{job}/v/1", "root")["id"] == job
    assert desk.listed(who="root") == []
    assert desk.post(f"/Jobs/{job}/cancel", who="root") == {"cancelled": True}


@pytest.mark.parametrize("place", ["ibm-q/open/other", "nohub/open/main", "annex/main/main", "IBM-Q/open/main"])
def test_a_place_of_others_is_not_found(desk: Desk, place: str) -> None:
    """Under every path with a prefix; a place that is not there answers like one that is not the caller's."""
    hub, group, project = place.split("/")
    job = desk.opened()["id"]
    body = {"backend": {"name": "device"}, "allowObjectStorage": True, "name": "name"}
    for route, path in OF_A_PROJECT:
        target = desks.filled(path, hub=hub, group=group, project=project, job=job)
        desks.error(desk.ask(route.method, target, json=body), 404, 3001)


@pytest.mark.parametrize("hub", ["annex", "nohub", "IBM-Q"])
def test_a_hub_of_others_is_not_found(desk: Desk, hub: str) -> None:
    """Neither are its devices."""
    for tail in ("", *(f"/devices/device/{name}" for name in ("properties", "defaults", "jobsLimit"))):
        desks.error(desk.ask("GET", f"/Network/{hub}{tail}"), 404, 3001)


def test_a_job_is_found_under_its_own_project_only(desk: Desk) -> None:
    """Bob is a member of both projects; his job belongs to one."""
    job = desk.inline("bob")

    assert desk.get(f"{PROJECT}/Jobs/{job}/v/1", "bob")["id"] == job
    other = "/Network/annex/Groups/main/Projects/main"
    desks.error(desk.ask("GET", f"{other}/Jobs/{job}/v/1", "bob"), 404, 3250)
    assert [len(desk.listed(f"{place}/Jobs/status/v/1", "bob")) for place in ("", PROJECT, other)] == [1, 1, 0]


def test_the_prefix_chooses_the_project(desk: Desk) -> None:
    """Without it a job belongs to the default project."""
    body = {"backend": {"name": "device"}, "allowObjectStorage": True}
    there = desk.post("/Network/annex/Groups/main/Projects/main/Jobs", body, "bob")
    here = desk.post("/Jobs", body, "bob")

    assert there["hubInfo"]["hub"]["name"] == "annex"
    assert here["hubInfo"]["hub"]["name"] == "ibm-q"
    desks.error(desk.ask("POST", "/Jobs", "bob", json=body | {"backend": {"name": "hidden"}}), 404, 3100)
