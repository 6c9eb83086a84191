# SPDX-License-Identifier: Apache-2.0
"""Hubs, groups and projects as their members are shown them."""

import re
from typing import Any

import campus
import desk as desks
from desk import Desk

import factories
from chandelier.tenancy import members, network
from factories import NOW

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
NODE = {"name", "title", "description", "creationDate", "deleted", "isDefault"}
HUB = NODE | {"private", "licenseNotRequired", "analytics", "class", "id", "groups"}
SHARE = {"priority", "name", "deleted", "configuration", "specificConfiguration"}


def nodes(hubs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all hubs, groups and projects of a tree."""
    groups = [group for hub in hubs for group in hub["groups"].values()]
    return [*hubs, *groups, *(project for group in groups for project in group["projects"].values())]


def test_the_public_hub_is_named_as_a_client_hard_codes_it(desk: Desk) -> None:
    """Groups and projects are objects by name, the default is marked on each level."""
    [hub] = desk.get("/Network")
    group = hub["groups"]["open"]
    project = group["projects"]["main"]

    assert set(hub) >= HUB
    assert (hub["name"], hub["class"]) == ("ibm-q", "Open")
    assert [node["isDefault"] for node in (hub, group, project)] == [True, True, True]
    assert [*hub["groups"]] == ["open"]
    assert [*group["projects"]] == ["main"]
    [share] = project["devices"].items()
    assert share[0] == desk.town.device.id
    assert set(share[1]) >= SHARE
    assert share[1]["name"] == "device"


def test_every_node_has_the_typed_keys(desk: Desk) -> None:
    """Dates that can be parsed, texts and booleans, on each level."""
    for node in nodes(desk.get("/Network", "bob")):
        assert set(node) >= NODE
        assert DATE.fullmatch(node["creationDate"])
        assert [type(node[key]) for key in ("name", "title", "description")] == [str, str, str]
        assert (node["deleted"], type(node["isDefault"])) == (False, bool)


def test_the_default_comes_first(desk: Desk) -> None:
    """Clients take the first project for the default one, however early another hub was made."""

    def work(tx: Any) -> None:
        place = factories.a_place(tx, "ancient", "main", "main", NOW.replace(year=2000))
        members.join(tx, place.project_id, desk.town.bob.user_id, NOW)

    desk.store.write(work)
    hubs = desk.get("/Network", "bob")

    assert hubs[0]["name"] == "ibm-q"
    assert {hub["name"] for hub in hubs} == {"ibm-q", "annex", "ancient"}
    assert [hub["isDefault"] for hub in hubs] == [True, False, False]
    assert desk.opened("bob")["hubInfo"]["hub"]["name"] == "ibm-q"


def test_groups_and_projects_of_a_hub_stay_together(desk: Desk) -> None:
    """Several projects in several groups of one hub are one tree, in the order in which they were made."""
    store, bob = desk.store, desk.town.bob

    def work(tx: Any) -> None:
        hub = desk.town.annex.hub
        for group in ("b", "a"):
            made = network.add_group(tx, hub, group, NOW)
            for project in ("z", "y"):
                added = network.add_project(tx, made, project, NOW)
                members.join(tx, network.ProjectId(added.id), bob.user_id, NOW)

    store.write(work)
    [hub] = [hub for hub in desk.get("/Network", "bob") if hub["name"] == "annex"]

    assert {name: {*group["projects"]} for name, group in hub["groups"].items()} == {
        "main": {"main"},
        "b": {"z", "y"},
        "a": {"z", "y"},
    }


def test_a_hub_alone_is_for_its_administrators(desk: Desk) -> None:
    """Members are told that it takes a role, others that there is no such hub."""
    desks.error(desk.ask("GET", "/Network/ibm-q"), 403, 2003)
    desks.error(desk.ask("GET", "/Network/annex"), 404, 3001)
    alone, listed = desk.get("/Network/ibm-q", "root"), desk.get("/Network", "root")[0]

    assert set(listed) - set(alone) == set()
    assert [*alone["groups"]["open"]["projects"]] == [*listed["groups"]["open"]["projects"]]


def test_members_see_their_own_hubs_and_operators_all(desk: Desk) -> None:
    """Nothing tells Ann that there is an annex."""
    seen = {who: {hub["name"] for hub in desk.get("/Network", who)} for who in ("ann", "bob", "root")}

    assert seen == {"ann": {"ibm-q"}, "bob": {"ibm-q", "annex"}, "root": {"ibm-q", "annex"}}
    desks.error(desk.ask("GET", "/Network/annex"), 404, 3001)


def test_who_has_no_project_is_told_so(desk: Desk) -> None:
    """An empty list of hubs; a job has nowhere to go."""
    desk.store.write(lambda tx: tx.execute(members._members.delete()))

    assert desk.get("/Network") == []
    refusal = desks.error(
        desk.ask("POST", "/Jobs", json={"backend": {"name": "device"}, "allowObjectStorage": True}), 404, 3001
    )
    assert "operator" in refusal["message"]


def tree(hubs: list[dict[str, Any]]) -> dict[str, dict[str, list[str]]]:
    """Return the names of projects by group by hub."""
    return {hub["name"]: {name: [*group["projects"]] for name, group in hub["groups"].items()} for hub in hubs}


def test_administrators_find_their_hubs_and_groups(desk: Desk) -> None:
    """Without projects, unless they are members too: clients would take each for one to submit jobs in."""
    hub = campus.build(desk)
    seen = {who: tree(desk.get("/Network", who)) for who in ("hue", "gil", "gus", "mia", "eve")}

    assert seen == {
        "hue": {"campus": {"lab": [], "club": []}},
        "gil": {"campus": {"lab": []}},
        "gus": {"campus": {"club": []}},
        "mia": {"campus": {"lab": ["one"]}},
        "eve": {},
    }
    desk.post(f"{campus.ONE}/users", {"add": ["hue@example.org"]}, "gil")
    assert tree(desk.get("/Network", "hue")) == {"campus": {"lab": ["one"], "club": []}}
    assert tree(desk.get("/Network", "root"))["campus"] == {"lab": ["one", "two"], "club": ["solo"]}
    assert hub.desk is desk


def test_what_is_administered_comes_after_what_is_used(desk: Desk) -> None:
    """The default project stays first, also for who administers an older hub."""
    campus.build(desk)
    desk.post("/Network/ibm-q/Groups/open/Projects/main/users", {"add": ["hue@example.org"]}, "root")
    hubs = desk.get("/Network", "hue")

    assert tree(hubs) == {"ibm-q": {"open": ["main"]}, "campus": {"lab": [], "club": []}}
    for node in nodes(hubs):
        assert set(node) >= NODE
        assert node["isDefault"] is (node["name"] in {"ibm-q", "open", "main"})
    assert desk.opened("hue")["hubInfo"]["project"]["name"] == "main"


def test_what_was_deleted_is_nobodys(desk: Desk) -> None:
    """A group's administrator finds nothing more; the hub's finds the hub."""
    campus.build(desk)
    desks.succeed(desk.ask("DELETE", campus.LAB, "hue"))

    assert tree(desk.get("/Network", "gil")) == {}
    assert tree(desk.get("/Network", "hue")) == {"campus": {"club": []}}


def test_a_group_as_its_administrators_see_it(desk: Desk) -> None:
    """Just as it stands in its hub for the hub's administrators, who are members of nothing."""
    campus.build(desk)
    desk.post(f"{campus.LAB}/devices", {"name": "device", "priority": 3000, "limit": 4}, "hue")
    alone = desk.get(campus.LAB, "gil")

    assert alone == desk.get(campus.HUB, "hue")["groups"]["lab"]
    assert [*alone["projects"]] == ["one", "two"]
    assert [user["email"] for user in alone["users"].values()] == ["gil@example.org"]
    assert [user["email"] for user in alone["projects"]["one"]["users"].values()] == ["mia@example.org"]
    granted = alone["devices"][desk.town.device.id]
    assert (granted["share"], granted["configuration"]["limit"]) == (75.0, 4)


def test_a_group_admin_runs_the_projects_of_the_group(desk: Desk) -> None:
    """From the first to the last, knowing nothing but the token."""
    campus.build(desk)
    [(hub, groups)] = tree(desk.get("/Network", "gil")).items()
    [group] = groups
    path = f"/Network/{hub}/Groups/{group}"
    desk.post(f"{path}/Projects", {"name": "new", "title": "New"}, "gil")
    for device in desk.get(path, "gil")["devices"].values():
        desk.post(f"{path}/Projects/new/devices", {"name": device["name"], "priority": 1}, "gil")
    desk.post(f"{path}/Projects/new/users", {"add": ["eve@example.org"]}, "gil")
    job = desk.post(f"{path}/Projects/new/Jobs", {"backend": {"name": "hidden"}, "allowObjectStorage": True}, "eve")

    assert [entry["id"] for entry in desk.get(f"{path}/Projects/new/jobs/all", "gil")] == [job["id"]]
    assert desk.get(f"{path}/Projects/new/Jobs/{job['id']}/v/1", "gil")["status"] == "CREATING"
    assert desk.post(f"{path}/Projects/new/Jobs/{job['id']}/cancel", who="gil") == {"cancelled": True}
    usage = desk.get(f"{path}/Projects/new/analytics/system-usage", "gil", params={"options": '{"allTime": true}'})
    assert usage["data"]["jobs"] == 1
    assert [user["email"] for user in desk.get(f"{path}/Projects/new/users", "gil")["users"].values()] == [
        "eve@example.org"
    ]
    assert desk.put(f"{path}/Projects/new", {"title": "Newer"}, "gil")["title"] == "Newer"
    details = desk.get(f"{path}/Projects/new/devices/hidden/configurationDetails", "gil")
    assert details["capabilities"] == {}
    desks.succeed(desk.ask("DELETE", f"{path}/Projects/new/devices/hidden", "gil"))
    desks.succeed(desk.ask("DELETE", f"{path}/Projects/new", "gil"))
