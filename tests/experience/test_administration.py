# SPDX-License-Identifier: Apache-2.0
"""What administrators do to groups, projects, devices and people, and what they are answered."""

import json
from typing import Any

import campus
import desk as desks
import pytest
from campus import HUB, LAB, ONE, SOLO, Campus
from desk import Desk, OpenDesk

import factories
from chandelier.jobs.lifecycle import State
from chandelier.store import Transaction
from chandelier.tenancy import grants, members, network, users
from chandelier.tenancy.grants import Limits
from chandelier.tenancy.network import Place
from factories import NOW


@pytest.fixture
def hub(desk: Desk) -> Campus:
    """The hub with somebody in each role."""
    return campus.build(desk)


def said(
    hub: Campus, method: str, path: str, body: object, who: str = "hue", status: int = 400, code: int = 1000
) -> str:
    """Return the message of a refusal."""
    return str(desks.error(hub.desk.ask(method, path, who, json=body), status, code)["message"])


def log(hub: Campus) -> list[tuple[str, str, Any, Any]]:
    """Return what was done, the last first."""
    return [(act["act"], act["path"], act["before"], act["after"]) for act in hub.desk.get(f"{HUB}/audit", "hue")]


def test_a_group_is_added(hub: Campus) -> None:
    """Both spellings of its priority, and what the shares come to among the groups."""
    made = hub.desk.post(f"{HUB}/Groups", {"name": "new", "title": "New", "priority": 2000}, "hue")

    assert (made["name"], made["title"], made["priority"], made["priorityy"]) == ("new", "New", 2000, 2000)
    assert made["projects"] == {}
    assert "description" not in made
    assert (made["share"], made["shares"]) == (50.0, {"lab": 25.0, "club": 25.0, "new": 50.0})
    assert hub.desk.get(HUB, "hue")["groups"]["new"]["priority"] == 2000


def test_a_project_is_added_with_its_description(hub: Campus) -> None:
    """By the administrator of the group; without a priority it weighs as much as the first ones."""
    made = hub.desk.post(f"{LAB}/Projects", {"name": "new", "title": "New", "description": "Noise"}, "gil")

    assert (made["description"], made["priority"], made["shares"]) == (
        "Noise",
        1000,
        {"one": 33.333, "two": 33.333, "new": 33.333},
    )
    assert "projects" not in made
    assert hub.desk.get(HUB, "hue")["groups"]["lab"]["projects"]["new"]["description"] == "Noise"


@pytest.mark.parametrize("path", [f"{HUB}/Groups", f"{LAB}/Projects"])
@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"title": "New"}, 1000, ["name"]),
        ({"name": "new"}, 1000, ["title"]),
        ({"name": 1, "title": "New"}, 1000, ["name", "a text"]),
        ({"name": "new", "title": "New", "priority": "1"}, 1000, ["priority", "a whole number from 1 to 10000"]),
        ({"name": "new", "title": "New", "priority": 1.5}, 1000, ["priority"]),
        ({"name": "new", "title": "New", "priority": True}, 1000, ["priority"]),
        ({"name": "new", "title": "New", "prioritty": 1}, 1000, ["prioritty"]),
        ({"name": "new", "title": "New", "priority": 0}, 1000, ["priority", "1 to 10000"]),
        ({"name": "new", "title": "New", "priority": 10_001}, 1000, ["priority", "1 to 10000"]),
        ({"name": "", "title": "New"}, 1001, ["name", "1 to 16 lowercase letters and digits"]),
        ({"name": "a" * 17, "title": "New"}, 1001, ["name", "1 to 16"]),
        ({"name": "New", "title": "New"}, 1001, ["name", "lowercase"]),
        ({"name": "n\u00e9w", "title": "New"}, 1001, ["name", "accents"]),
        ({"name": "new", "title": "a" * 201}, 1001, ["title", "200"]),
        ({"name": "new", "title": "a\x00"}, 1001, ["title", "NUL"]),
        ({"name": "new", "title": "New", "description": "a" * 2001}, 1001, ["description", "2000"]),
    ],
    ids=str,
)
def test_a_wrong_field_is_named_with_its_rule(
    hub: Campus, path: str, body: dict[str, Any], code: int, words: list[str]
) -> None:
    """And nothing is added."""
    before = hub.desk.get(HUB, "hue")
    message = said(hub, "POST", path, body, code=code)

    assert [word for word in words if word not in message] == []
    assert hub.desk.get(HUB, "hue") == before


@pytest.mark.parametrize(
    "body", [{"name": "a" * 16, "title": ""}, {"name": "0", "title": "a" * 200, "priority": 10_000}]
)
def test_the_longest_and_shortest_are_right(hub: Campus, body: dict[str, Any]) -> None:
    """The bounds themselves are allowed."""
    assert hub.desk.post(f"{HUB}/Groups", body, "hue")["name"] == body["name"]


def test_a_name_is_there_once(hub: Campus) -> None:
    """Among siblings, and free again once its owner is deleted."""
    body = {"name": "one", "title": "Another"}
    assert "one" in said(hub, "POST", f"{LAB}/Projects", body, status=409, code=3002)
    assert hub.desk.post(f"{HUB}/Groups", body, "hue")["name"] == "one"
    desks.succeed(hub.desk.ask("DELETE", ONE, "hue"))

    assert hub.desk.post(f"{LAB}/Projects", body, "hue")["title"] == "Another"


def test_a_deleted_project_is_returned(hub: Campus) -> None:
    """Its record as it was; its jobs stay, and one that runs goes on."""
    desk, job = hub.desk, hub.job("mia", "lab", "one", state=State.RUNNING)
    gone = desks.succeed(desk.ask("DELETE", ONE, "gil"))["deleted"]

    assert (gone["name"], gone["deleted"], gone["priority"], gone["creationDate"]) == (
        "one",
        True,
        1000,
        "2026-03-14T15:09:26.000Z",
    )
    assert desks.records_state(desk, job.id) is State.RUNNING
    assert [entry["id"] for entry in desk.get(f"{LAB}/jobs/all", "hue")] == [job.id]
    assert desk.get(f"/Jobs/{job.id}/v/1", "mia")["id"] == job.id
    desks.error(desk.ask("DELETE", ONE, "gil"), 404, 3001)


def test_a_deleted_group_takes_its_projects_along(hub: Campus) -> None:
    """Members lose them at once; the hub's administrators keep the history."""
    desk, job = hub.desk, hub.job("mia", "lab", "one")

    assert desks.succeed(desk.ask("DELETE", LAB, "hue")) == {"deleted": True}
    assert [*desk.get(HUB, "hue")["groups"]] == ["club"]
    assert desk.get("/Network", "mia") == []
    desks.error(desk.ask("GET", f"{ONE}/users", "hue"), 404, 3001)
    for path in (HUB, LAB, ONE):
        assert [entry["id"] for entry in desk.get(f"{path}/jobs/all", "hue")] == [job.id]


def test_the_default_place_stays(desk: Desk) -> None:
    """New accounts begin there."""
    for path in ("/Network/ibm-q/Groups/open", "/Network/ibm-q/Groups/open/Projects/main"):
        desks.error(desk.ask("DELETE", path, "root"), 409, 3003)


@pytest.mark.parametrize(("path", "who"), [(HUB, "root"), (LAB, "hue"), (ONE, "gil")])
def test_a_node_is_changed(hub: Campus, path: str, who: str) -> None:
    """What is not sent stays as it is."""
    first = hub.desk.put(path, {"title": "T", "description": "D"}, who)
    second = hub.desk.put(path, {"priority": 3000}, who)

    assert (first["title"], first["description"], first["priority"]) == ("T", "D", 1000)
    assert (second["title"], second["description"], second["priority"], second["priorityy"]) == ("T", "D", 3000, 3000)
    assert second.get("share", 75.0) == 75.0


@pytest.mark.parametrize("body", [{}, {"title": "\x00"}, {"title": "a" * 201}, {"description": "a" * 2001}])
def test_a_change_that_cannot_be_is_refused(hub: Campus, body: dict[str, Any]) -> None:
    """Nothing, or something out of bounds."""
    desks.error(hub.desk.ask("PUT", LAB, "hue", json=body), 400, 1001)
    for wrong in ({"name": "other"}, {"priority": 0}, {"priority": 10_001}):
        desks.error(hub.desk.ask("PUT", LAB, "hue", json=wrong), 400, 1000)


def as_set(desk: Desk, path: str, who: str = "hue") -> dict[str, Any]:
    """Return what was set for the device at one level."""
    details: dict[str, Any] = desk.get(f"{path}/devices/device/configurationDetails", who)
    return {name: value for name, value in details.items() if name != "effective"}


@pytest.mark.parametrize("path", [LAB, ONE])
def test_a_device_is_granted_with_limits(hub: Campus, path: str) -> None:
    """What was set is shown, and nothing else; sent again it is changed."""
    desk, device = hub.desk, hub.desk.town.device
    assert as_set(desk, path) == {"capabilities": {}}
    limits = {"openPulse": False, "maxShots": 100}
    answer = desk.post(f"{path}/devices", {"name": "device", "priority": 5, "capabilities": limits, "limit": 2}, "hue")

    share = answer[device.id]
    assert (share["name"], share["priority"], share["deleted"]) == ("device", 5, False)
    assert as_set(desk, path) == {"capabilities": limits, "limit": 2}
    desk.post(f"{path}/devices", {"name": "device", "priority": 6}, "hue")
    assert as_set(desk, path) == {"capabilities": limits, "limit": 2}
    desk.post(f"{path}/devices", {"name": "device", "priority": 6, "capabilities": {}, "limit": None}, "hue")
    assert as_set(desk, path) == {"capabilities": {}}


def test_pending_jobs_and_device_time_are_limited(hub: Campus) -> None:
    """Each is changed, kept and ended by itself, and shown beside the rest."""
    desk, where = hub.desk, f"{ONE}/devices/device/configurationDetails"
    limits = {"maxPending": 3, "timeLimit": {"seconds": 3600.0, "days": 7}}
    desk.post(f"{ONE}/devices", {"name": "device", "priority": 1} | limits, "gil")
    shown = desk.get(where, "gil")
    assert shown.pop("effective")["maxPending"] == 3
    assert shown == {"capabilities": {}} | limits
    desk.post(f"{ONE}/devices", {"name": "device", "priority": 1, "capabilities": {"maxShots": 9}}, "gil")
    assert as_set(desk, ONE) == {"capabilities": {"maxShots": 9}} | limits
    assert desk.get(f"{ONE}/devices/device/jobsLimit", "mia")["maximumJobs"] == 3
    nothing: dict[str, Any] = {"capabilities": {}, "maxPending": None, "timeLimit": None}
    desk.post(f"{ONE}/devices", {"name": "device", "priority": 1} | nothing, "gil")
    assert as_set(desk, ONE) == {"capabilities": {}}


def test_a_limit_of_less_than_nothing_is_refused(hub: Campus) -> None:
    """And the grant stays as it was."""
    body = {"name": "device", "priority": 77, "timeLimit": {"seconds": -1}}
    desks.error(hub.desk.ask("POST", f"{ONE}/devices", "gil", json=body), 400, 1001)

    assert (
        hub.desk.get(HUB, "hue")["groups"]["lab"]["projects"]["one"]["devices"][hub.desk.town.device.id]["priority"]
        != 77
    )


def test_shares_of_a_device_are_told_among_siblings(hub: Campus) -> None:
    """Those who have it; in the answer and in the hub's document."""
    desk, device = hub.desk, hub.desk.town.device
    assert desk.post(f"{LAB}/devices", {"name": "device", "priority": 3000}, "hue")[device.id]["share"] == 75.0

    groups = desk.get(HUB, "hue")["groups"]
    assert [group["devices"][device.id]["share"] for group in groups.values()] == [75.0, 25.0]
    assert groups["lab"]["projects"]["one"]["devices"][device.id]["share"] == 50.0


def test_a_project_is_granted_what_its_group_has(hub: Campus) -> None:
    """The club does not have the hidden device; a device that is nowhere is told alike."""
    desk = hub.desk
    assert desk.post(f"{ONE}/devices", {"name": "hidden", "priority": 1}, "gil")
    assert [entry["backend_name"] for entry in desk.get(f"{ONE}/devices", "mia")] == ["device", "hidden"]

    messages = [
        said(hub, "POST", f"{SOLO}/devices", {"name": name, "priority": 1}, "gus", 404, 3100)
        for name in ("hidden", "nothere", "a\x00b")
    ]
    assert messages[0].replace("hidden", "nothere") == messages[1]


def test_a_device_taken_from_a_group_is_gone_from_its_projects(hub: Campus) -> None:
    """At once; taking it again finds nothing."""
    desk = hub.desk
    assert desks.succeed(desk.ask("DELETE", f"{LAB}/devices/device", "hue")) == {"deleted": True}

    assert desk.get(f"{ONE}/devices", "mia") == []
    for path in (f"{LAB}/devices/device", f"{LAB}/devices/nothere"):
        desks.error(desk.ask("DELETE", path, "hue"), 404, 3100)
    desks.error(desk.ask("GET", f"{LAB}/devices/device/configurationDetails", "hue"), 404, 3100)


def test_a_device_taken_from_a_hub_is_gone_from_all_of_it(hub: Campus) -> None:
    """By the operator; other hubs keep it."""
    assert desks.succeed(hub.desk.ask("DELETE", f"{HUB}/devices/device", "root")) == {"deleted": True}

    assert hub.desk.get(f"{ONE}/devices", "mia") == []
    assert [record["name"] for record in hub.desk.get(f"{HUB}/devices", "hue")] == ["hidden"]
    assert hub.desk.get("/devices", "ann")


@pytest.mark.parametrize(
    ("body", "code", "word"),
    [
        ({"priority": 1}, 1000, "name"),
        ({"name": "device", "priority": None}, 1000, "priority"),
        ({"name": "device", "priority": 0}, 1000, "priority"),
        ({"name": "device", "priority": 10_001}, 1000, "priority"),
        ({"name": "device", "priority": 1, "limit": 0}, 1000, "limit"),
        ({"name": "device", "priority": 1, "capabilities": {"maxShots": 0}}, 1000, "maxShots"),
        ({"name": "device", "priority": 1, "capabilities": {"maxShots": 2**31}}, 1000, "maxShots"),
        ({"name": "device", "priority": 1, "capabilities": {"openPulse": 1}}, 1000, "openPulse"),
        ({"name": "device", "priority": 1, "capabilities": {"max_shots": 1}}, 1000, "max_shots"),
        ({"name": "device", "priority": 1, "capability": {}}, 1000, "capability"),
    ],
    ids=str,
)
def test_a_grant_that_cannot_be_is_refused(hub: Campus, body: dict[str, Any], code: int, word: str) -> None:
    """With the field's name, at the level of groups and of projects."""
    for path in (LAB, ONE):
        assert word in said(hub, "POST", f"{path}/devices", body, code=code)


def test_the_least_on_the_way_holds(hub: Campus) -> None:
    """What a project sees is computed from the tree: clients split their jobs by it."""
    desk = hub.desk
    desk.post(f"{LAB}/devices", {"name": "device", "priority": 1, "capabilities": {"maxShots": 50}}, "hue")
    desk.post(f"{ONE}/devices", {"name": "device", "priority": 1, "capabilities": {"maxShots": 70}}, "gil")

    assert desk.get(f"{ONE}/devices", "mia")[0]["max_shots"] == 50
    assert as_set(desk, ONE, "mia") == {"capabilities": {"maxShots": 70}}


def test_administrators_of_a_group_change(hub: Campus) -> None:
    """Added and removed in one request, in the documented form; the answer shows both."""
    body = {"add": [{"email": " EVE@example.org ", "role": "admin"}], "remove": ["gil@example.org"]}
    added = hub.desk.post(f"{LAB}/users", body, "gil")["added"]

    assert (added["name"], added["deleted"], [*added["projects"]]) == ("lab", False, ["one", "two"])
    assert {user["email"]: (user["role"], user["deleted"]) for user in added["users"].values()} == {
        "gil@example.org": ("admin", True),
        "eve@example.org": ("admin", False),
    }
    assert hub.people["eve"].user_id in added["users"]


def test_users_of_a_project_change(hub: Campus) -> None:
    """And may use it with the next request."""
    desk = hub.desk
    desks.error(desk.ask("GET", f"{ONE}/devices/v/1", "eve"), 404, 3001)
    added = desk.post(f"{ONE}/users", {"add": ["eve@example.org"], "remove": ["mia@example.org"]}, "gil")["added"]

    assert [(user["name"], user["deleted"]) for user in added["users"].values()] == [("Mia", True), ("Eve", False)]
    assert desk.get(f"{ONE}/devices/v/1", "eve")
    assert desk.get(f"{ONE}/users", "gil") == added


def test_administrators_of_a_hub_change(hub: Campus) -> None:
    """By the operator; they may do everything in it, and nothing elsewhere."""
    desk = hub.desk
    body = {"add": [{"email": "eve@example.org", "role": "admin"}], "remove": ["hue@example.org"]}
    added = desk.post(f"{HUB}/users", body, "root")["added"]

    assert [(user["name"], user["deleted"]) for user in added["users"].values()] == [("Hue", True), ("Eve", False)]
    assert desk.get(HUB, "eve")["ownerId"] == hub.people["eve"].user_id
    desks.error(desk.ask("GET", HUB, "hue"), 404, 3001)
    desks.error(desk.ask("GET", "/Network/annex", "eve"), 404, 3001)


@pytest.mark.parametrize("key", ["remove", "remomve"])
def test_two_spellings_of_removing(hub: Campus, key: str) -> None:
    """The document has both."""
    for path, email in ((LAB, "gil@example.org"), (ONE, "mia@example.org")):
        added = hub.desk.post(f"{path}/users", {key: [email]}, "hue")["added"]
        assert [user["deleted"] for user in added["users"].values()] == [True]


@pytest.mark.parametrize(
    ("body", "code", "word"),
    [
        ({}, 1001, "`add`"),
        ({"added": []}, 1000, "added"),
        ({"removed": []}, 1000, "removed"),
        ({"add": "mia@example.org"}, 1000, "add"),
        ({"remove": [1]}, 1000, "remove"),
        ({"remove": ["x"] * 1001}, 1001, "1000"),
        ({"remove": ["nobody"]}, 1001, "nobody"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_another_form_of_people_is_refused(hub: Campus, body: dict[str, Any], code: int, word: str) -> None:
    """With what is wrong."""
    for path in (LAB, ONE):
        assert word in said(hub, "POST", f"{path}/users", body, code=code)


def test_groups_and_projects_name_people_in_their_own_ways(hub: Campus) -> None:
    """A group's administrators with a role, and with no other; a project's users without."""
    email = "eve@example.org"
    for path, entry in ((LAB, email), (LAB, {"email": email}), (LAB, {"email": email, "role": "member"})):
        said(hub, "POST", f"{path}/users", {"add": [entry]})
    said(hub, "POST", f"{ONE}/users", {"add": [{"email": email, "role": "admin"}]})
    assert email in said(hub, "POST", f"{ONE}/users", {"add": [email], "remove": [email.upper()]}, code=1001)


def test_one_who_is_not_there_is_not_removed(hub: Campus) -> None:
    """And then nothing of the request is done."""
    body = {"add": ["eve@example.org"], "remove": ["max@example.org"]}
    assert "max@example.org" in said(hub, "POST", f"{ONE}/users", body, "gil", 404, 3500)

    assert [user["name"] for user in hub.desk.get(f"{ONE}/users", "gil")["users"].values()] == ["Mia"]


def test_who_has_no_account_is_invited(hub: Campus) -> None:
    """And has the role with the account."""
    desk = hub.desk
    [invited] = [
        user
        for user in desk.post(f"{ONE}/users", {"add": ["new@example.org"]}, "gil")["added"]["users"].values()
        if user["email"] == "new@example.org"
    ]
    assert (invited["invited"], invited["name"], invited["deleted"], invited["role"]) == (True, "", False, "member")

    user = desk.store.write(lambda tx: users.create(tx, "new@example.org", NOW))
    desk.store.write(lambda tx: members.welcome(tx, user, NOW))
    known = desk.get(f"{ONE}/users", "gil")["users"]
    assert "invited" not in known[user.id]
    assert len(known) == 2


@pytest.mark.parametrize("email", ["mia@example.org", "new@example.org"])
def test_who_is_there_already_is_not_added_again(hub: Campus, email: str) -> None:
    """A second time nothing is written down, of a member or of an invitation."""

    def added() -> list[Any]:
        hub.desk.post(f"{ONE}/users", {"add": [email]}, "gil")
        return [act["after"]["email"] for act in hub.desk.get(f"{HUB}/audit", "hue") if act["act"] == "member.add"]

    assert added() == added()


@pytest.mark.parametrize(("path", "projects"), [(HUB, None), (LAB, {"one", "two"})])
def test_only_a_group_is_answered_with_its_projects(hub: Campus, path: str, projects: set[str] | None) -> None:
    """A hub has none of its own."""
    added = hub.desk.post(f"{path}/users", {"add": [{"email": "eve@example.org", "role": "admin"}]}, "root")["added"]
    assert (set(added["projects"]) if "projects" in added else None) == projects


def test_an_invitation_is_withdrawn(hub: Campus) -> None:
    """Nothing of it is shown afterwards."""
    desk = hub.desk
    desk.post(f"{LAB}/users", {"add": [{"email": "new@example.org", "role": "admin"}]}, "hue")
    added = desk.post(f"{LAB}/users", {"remove": ["new@example.org"]}, "hue")["added"]

    assert [user["email"] for user in added["users"].values()] == ["gil@example.org"]


def test_all_users_of_a_hub(hub: Campus) -> None:
    """By group and project, also where there are none, and who was removed, so that their use can be asked for."""
    hub.desk.post(f"{ONE}/users", {"remove": ["mia@example.org"]}, "gil")
    tree = hub.desk.get(f"{HUB}/users", "hue")

    def names(node: dict[str, Any]) -> list[tuple[str, bool]]:
        return [(user["name"], user["deleted"]) for user in node["users"].values()]

    assert names(tree) == [("Hue", False)]
    assert {name: names(group) for name, group in tree["groups"].items()} == {
        "lab": [("Gil", False)],
        "club": [("Gus", False)],
    }
    assert {name: names(project) for name, project in tree["groups"]["lab"]["projects"].items()} == {
        "one": [("Mia", True)],
        "two": [],
    }
    assert tree["hubId"] == tree["id"] == hub.desk.get(HUB, "hue")["id"]


def test_all_jobs_at_each_level(hub: Campus) -> None:
    """The newest first, of all users, and of no other hub."""
    desk = hub.desk
    jobs = [
        hub.job(who, *place, seconds=second)
        for second, (who, place) in enumerate(
            [("mia", ("lab", "one")), ("gil", ("lab", "two")), ("max", ("club", "solo")), ("mia", ("lab", "one"))]
        )
    ]
    desk.opened()
    ids = [job.id for job in jobs][::-1]

    def listed(path: str) -> list[str]:
        return [entry["id"] for entry in desk.get(f"{path}/jobs/all", "hue")]

    assert listed(HUB) == ids
    assert listed(LAB) == [ids[0], ids[2], ids[3]]
    assert listed(ONE) == [ids[0], ids[3]]


def test_all_jobs_by_a_filter(hub: Campus) -> None:
    """The conditions that are documented, order, page and fields."""
    desk = hub.desk
    first = hub.ended("mia", "lab", "one", waits=1, runs=2)
    second = hub.ended("max", "club", "solo", waits=1, runs=20, begins=60)
    third = hub.job("mia", "lab", "one", seconds=120)

    def listed(**wanted: Any) -> list[str]:
        found = desk.get(f"{HUB}/jobs/all", "hue", params={"filter": json.dumps(wanted)})
        return [entry["id"] for entry in found]

    mia = hub.people["mia"].user_id
    assert listed(where={"userId": mia}) == [third.id, first.id]
    assert listed(where={"userId": {"inq": [mia, hub.people["max"].user_id]}, "status": "COMPLETED"}) == [
        second.id,
        first.id,
    ]
    assert listed(where={"endDate": {"gt": "2026-03-14T15:09:30Z"}}) == [second.id]
    assert listed(where={"and": [{"backend.name": "device"}, {"creationDate": {"gt": "2026-03-14T15:10:00Z"}}]}) == [
        third.id,
        second.id,
    ]
    assert listed(where={"backend.name": "nothere"}) == listed(where={"userId": "nobody"}) == []
    assert listed(order="creationDate ASC", limit=1, skip=1) == [second.id]
    assert listed(order="cost DESC", limit=1) == [second.id]
    found = desk.get(f"{HUB}/jobs/all", "hue", params={"filter": json.dumps({"fields": ["id"], "limit": 1})})
    assert found == [{"id": third.id}]


def test_nobody_is_told_where_a_job_came_from(hub: Campus) -> None:
    """Not the submitter and not the operator either, in these lists."""
    hub.job("hue", "lab", "one", seconds=1)

    for who in ("hue", "root"):
        assert ["ip" in entry for entry in hub.desk.get(f"{HUB}/jobs/all", who)] == [False]


def test_lists_have_a_default_limit_and_a_bound(open_desk: OpenDesk) -> None:
    """Those of every list; a filter that reads more jobs is refused, and what others have does not count."""
    hub = campus.build(open_desk(default_list_limit=2, max_filter_jobs=100))
    mia, max_ = hub.people["mia"], hub.people["max"]

    def work(tx: Transaction) -> None:
        for who, names, number in ((mia, ("lab", "one"), 210), (max_, ("club", "solo"), 3)):
            place = network.find(tx, "campus", *names)
            for second in range(number):
                factories.a_job(tx, hub.desk.town, who=who, place=place, now=factories.after(second))

    hub.desk.store.write(work)

    def ask(path: str, **wanted: Any) -> Any:
        return hub.desk.ask("GET", f"{path}/jobs/all", "hue", params={"filter": json.dumps(wanted)})

    assert len(desks.succeed(ask(HUB))) == 2
    assert len(desks.succeed(ask(HUB, limit=7))) == 7
    named = {"name": "none has it"}
    assert "userId" in desks.error(ask(LAB, where=named), 400, 1003)["message"]
    assert desks.succeed(ask(SOLO, where=named)) == []
    assert desks.succeed(ask(HUB, where=named | {"userId": max_.user_id})) == []
    for rare in ({"status": "RUNNING"}, {"backend.name": "hidden"}, {"backend.name": "device", "status": "COMPLETED"}):
        assert desks.succeed(ask(HUB, where=rare)) == desks.succeed(ask(LAB, where=rare)) == []


def test_jobs_of_very_many_projects(hub: Campus) -> None:
    """More than one statement can merge: each page is right, and so is its order."""

    def work(tx: Transaction) -> list[str]:
        jobs = []
        for number in range(130):
            above = hub.spot("campus", "lab").node
            project = network.add_project(tx, above, f"p{number}", NOW)
            place = Place(hub.spot("campus").hub, above, project)
            now = factories.after(7 * number % 130)
            jobs.append(factories.a_job(tx, hub.desk.town, who=hub.people["mia"], place=place, now=now))
        return [job.id for job in sorted(jobs, key=lambda job: job.created, reverse=True)]

    ids = hub.desk.store.write(work)

    def listed(**wanted: Any) -> list[str]:
        found = hub.desk.get(f"{LAB}/jobs/all", "hue", params={"filter": json.dumps(wanted)})
        return [entry["id"] for entry in found]

    assert listed(limit=40) == ids[:40]
    assert listed(limit=40, skip=100) == ids[100:]
    assert listed(order="creationDate ASC", limit=3) == ids[::-1][:3]


def test_every_act_is_written_down(hub: Campus) -> None:
    """Who, what, to what, before and after; the last first."""
    desk = hub.desk
    desk.post(f"{LAB}/Projects", {"name": "new", "title": "New", "priority": 5}, "gil")
    desk.put(f"{LAB}/Projects/new", {"priority": 6}, "gil")
    desk.post(f"{LAB}/Projects/new/devices", {"name": "device", "priority": 7, "limit": 3}, "gil")
    desks.succeed(desk.ask("DELETE", f"{LAB}/Projects/new/devices/device", "gil"))
    desk.post(f"{LAB}/Projects/new/users", {"add": ["eve@example.org"]}, "gil")
    desk.post(f"{LAB}/Projects/new/users", {"remove": ["eve@example.org"]}, "gil")
    desks.succeed(desk.ask("DELETE", f"{LAB}/Projects/new", "gil"))

    path, facts = "campus/lab/new", {"title": "New", "description": "", "priority": 5}
    granted = {"device": "device", "priority": 7, "max_running": 3}
    eve = {"email": "eve@example.org", "role": "member"}
    assert log(hub) == [
        ("project.remove", path, facts | {"priority": 6}, None),
        ("member.remove", path, eve, None),
        ("member.add", path, None, eve | {"invited": False}),
        ("grant.remove", path, granted, None),
        ("grant.set", path, None, granted),
        ("project.change", path, {"priority": 5}, {"priority": 6}),
        ("project.add", path, None, facts),
    ]
    assert {act["who"] for act in desk.get(f"{HUB}/audit", "hue")} == {"gil@example.org"}


def test_the_log_is_read_by_pages(hub: Campus) -> None:
    """Of this hub alone."""
    desk = hub.desk
    for number in range(3):
        desk.put(LAB, {"title": str(number)}, "hue")
    desk.put("/Network/annex", {"title": "Elsewhere"}, "root")
    acts = desk.get(f"{HUB}/audit", "hue")
    first, second = acts[:2], desk.get(f"{HUB}/audit", "hue", params={"before": acts[1]["number"]})

    assert [act["after"]["title"] for act in first + second] == ["2", "1", "0"]
    assert desk.get(f"{HUB}/audit", "hue", params={"limit": 2}) == first


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "1001"}, {"limit": "-1"}, {"before": "x"}, {"limit": "\u0661"}]
)
def test_an_odd_page_of_the_log_is_refused(hub: Campus, query: dict[str, str]) -> None:
    """With the parameter's name."""
    refusal = desks.error(hub.desk.ask("GET", f"{HUB}/audit", "hue", params=query), 400, 1001)

    assert next(iter(query)) in refusal["message"]


def test_the_token_may_be_in_the_body(hub: Campus) -> None:
    """As for every endpoint; it is no unknown key."""
    token = hub.desk.tokens["hue"]
    body = {"name": "new", "title": "New", "access_token": token}

    assert desks.succeed(hub.desk.ask("POST", f"{HUB}/Groups", None, json=body))["name"] == "new"


def test_a_grant_again_forgets_what_was_set_before_it_was_taken(hub: Campus) -> None:
    """A device that comes back has no limits but those that come with it."""
    desk = hub.desk
    desk.post(f"{LAB}/devices", {"name": "device", "priority": 1, "limit": 2}, "hue")
    desks.succeed(desk.ask("DELETE", f"{LAB}/devices/device", "hue"))
    desk.post(f"{LAB}/devices", {"name": "device", "priority": 1}, "hue")

    known = desk.store.read(lambda tx: grants.find(tx, hub.spot("campus", "lab").node.id, desk.town.device.id))
    assert known is not None
    assert known.limits == Limits()
