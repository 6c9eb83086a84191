# SPDX-License-Identifier: Apache-2.0
"""Jobs shared with others: who may read them, and that nobody else may do more."""

from typing import Any

import desk as desks
import pytest
from desk import Desk

from chandelier.jobs.lifecycle import State
from chandelier.store import Transaction
from chandelier.tenancy import members, network, users
from factories import NOW, a_place, a_user

READS = ("/v/1", "", "/status/v/1", "/status", "/properties", "/jobDownloadUrl", "/resultDownloadUrl")
ANNEX = "/Network/{hub}/Groups/{group}/Projects/{project}"


def shared(desk: Desk, level: str | None) -> str:
    """Return a job of Ann's that has ended and is shared so."""
    more = {} if level is None else {"shareLevel": level}
    return desk.brought(State.COMPLETED, inline=True, **more)


def neighbours(desk: Desk) -> list[str]:
    """Return people ever further away from Ann: of her project, group and hub, and of none of them."""
    home = desk.town.home

    def work(tx: Transaction) -> None:
        beside = network.add_project(tx, home.group, "beside", NOW)
        other = network.add_group(tx, home.hub, "other", NOW)
        under = network.add_project(tx, other, "under", NOW)
        far = a_place(tx, "far", "away", "off").project
        for name, project in (("carl", beside), ("dora", under), ("evan", far)):
            principal = a_user(tx, f"{name}@example.org")
            members.join(tx, network.ProjectId(project.id), principal.user_id, NOW)
            desk.tokens[name] = users.issue(tx, principal.user_id, "access", desks.now())[0]

    desk.store.write(work)
    return ["bob", "carl", "dora", "evan"]


@pytest.mark.parametrize("level", [None, "none", "project", "group", "hub", "global"])
def test_a_job_is_read_by_those_it_is_shared_with(desk: Desk, level: str | None) -> None:
    """Bob is a member of Ann's project, Carl of another one of its group, Dora of its hub, and Evan of none."""
    job = shared(desk, level)
    readers = {None: "", "none": "", "project": "b", "group": "bc", "hub": "bcd", "global": "bcde"}[level]
    people = neighbours(desk)

    for who, letter in zip(people, "bcde", strict=True):
        for path in READS:
            answer = desk.ask("GET", f"/Jobs/{job}{path}", who)
            if letter in readers:
                assert "ip" not in desks.succeed(answer)
            else:
                desks.error(answer, 404, 3250)
        assert desk.listed(who=who) == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/cancel", None),
        ("PUT", "", {"name": "mine now"}),
        ("PUT", "", {"tags": ["mine"]}),
        ("DELETE", "", None),
        ("GET", "/jobUploadUrl", None),
        ("POST", "/jobDataUploaded", None),
    ],
)
def test_a_shared_job_is_only_read(desk: Desk, method: str, path: str, body: Any) -> None:
    """Whoever else may read it cannot tell that it could be changed."""
    job = shared(desk, "global")

    desks.error(desk.ask(method, f"/Jobs/{job}{path}", "bob", json=body), 404, 3250)


def test_a_shared_job_is_there_under_the_readers_own_project(desk: Desk) -> None:
    """Clients ask under the project that they are given; one that is not the reader's is none."""
    job = shared(desk, "global")
    who = neighbours(desk)[-1]
    places = desk.get("/Network", who)
    hub = places[0]["name"]
    group, projects = next(iter(places[0]["groups"].items()))
    project = next(iter(projects["projects"]))
    own = ANNEX.format(hub=hub, group=group, project=project)

    assert desk.get(f"{own}/Jobs/{job}/v/1", who)["id"] == job
    desks.error(desk.ask("GET", f"{desks.PROJECT}/Jobs/{job}/v/1", who), 404, 3001)


def test_a_level_can_be_changed(desk: Desk) -> None:
    """By the owner, at once, in both directions."""
    job = shared(desk, None)
    for level, status in (("project", 200), ("none", 404), ("global", 200)):
        assert desk.put(f"/Jobs/{job}", {"shareLevel": level}) == {"shareLevel": level}
        assert desk.ask("GET", f"/Jobs/{job}/status/v/1", "bob").status_code == status
        assert desk.get(f"/Jobs/{job}/v/1")["shareLevel"] == level
    desks.error(desk.ask("PUT", f"/Jobs/{job}", "bob", json={"shareLevel": "none"}), 404, 3250)
    desks.error(desk.ask("PUT", f"/Jobs/{job}", json={"shareLevel": "all"}), 400, 1001)


def test_several_things_are_changed_together(desk: Desk) -> None:
    """Or none of them, if one cannot be."""
    job = shared(desk, None)
    wanted = {"name": "new", "tags": ["b", "a"], "shareLevel": "hub"}
    assert desk.put(f"/Jobs/{job}", wanted) == wanted
    desks.error(desk.ask("PUT", f"/Jobs/{job}", json={"name": "newer", "shareLevel": "all"}), 400, 1001)
    found = desk.get(f"/Jobs/{job}/v/1")

    assert {key: found[key] for key in wanted} == wanted


@pytest.mark.parametrize("level", ["everybody", "Global", "", "project\x00"])
def test_an_unknown_level_is_refused(desk: Desk, level: str) -> None:
    """By name, with those that are known."""
    body = {"backend": {"name": "device"}, "allowObjectStorage": True, "shareLevel": level}
    failure = desks.error(desk.ask("POST", "/Jobs", json=body), 400, 1001)

    assert "shareLevel" in failure["message"]
    assert "hub" in failure["message"]


def test_a_download_url_of_a_shared_result_works(desk: Desk) -> None:
    """And brings what the owner gets."""
    job = shared(desk, "project")
    urls = {who: desk.get(f"/Jobs/{job}/resultDownloadUrl", who)["url"] for who in ("ann", "bob")}

    assert desk.http.get(urls["ann"]).content == desk.http.get(urls["bob"]).content != b""


def test_where_a_job_came_from_is_for_its_owner_and_the_operator(desk: Desk) -> None:
    """The address of the submitter, and places that nobody looks up."""
    job = shared(desk, "global")
    place = {"city": "", "country": "", "continent": ""}

    for who in ("ann", "root"):
        assert desk.get(f"/Jobs/{job}", who)["ip"] == {"ip": "testclient"} | place
    assert "ip" not in desk.get(f"/Jobs/{job}", "bob")
