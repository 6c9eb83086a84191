# SPDX-License-Identifier: Apache-2.0
"""Who may do what to a hub: every endpoint of administration, asked by everybody, against a table written by hand."""

import re
from datetime import timedelta
from typing import Final

import campus
import desk as desks
import pytest
from campus import HUB, LAB, ONE, Campus
from desk import Desk

from chandelier import experience
from chandelier.tenancy import access

#: Who asks, in the order of the answers below.
PEOPLE: Final = ("root", "hue", "gil", "gus", "mia", "max", "eve", None)
#: Who is allowed what; the others are told 403 if they have a place in the hub, 404 if not, and 401 without a token.
OPERATOR = (200, 403, 403, 403, 403, 403, 404, 401)
HUB_ADMIN = (200, 200, 403, 403, 403, 403, 404, 401)
GROUP_ADMIN = (200, 200, 200, 403, 403, 403, 404, 401)
MEMBER = (200, 200, 200, 403, 200, 403, 404, 401)
#: Gil and Mia have lost their place in the hub with the group.
HUB_ADMIN_OF_HISTORY = (200, 200, 404, 403, 404, 403, 404, 401)

NEW = {"name": "new", "title": "New"}
DEVICE = {"name": "device", "priority": 5}
BOOKING = {"endDate": (desks.now() + timedelta(hours=2)).isoformat()}
#: Each endpoint with a body that it takes and what everybody is answered. Source: seed 001, "Requirements" of each
#: entry, and its introduction where they are silent: hub and group data are the hub admin's, project data the hub's
#: or the group's admin's; `Projects/{project}/devices` is for its members too, `Projects/{project}/users` for the
#: group's admins.
WALK: Final[dict[tuple[str, str], tuple[object, tuple[int, ...]]]] = {
    ("GET", HUB): (None, HUB_ADMIN),
    ("PUT", HUB): ({"title": "Campus"}, HUB_ADMIN),
    ("PUT", f"{HUB}?dryRun=true"): ({"title": "Campus"}, HUB_ADMIN),
    ("GET", f"{HUB}/jobs/all"): (None, HUB_ADMIN),
    ("GET", f"{HUB}/analytics/system-usage?options=%7B%22allTime%22:true%7D"): (None, HUB_ADMIN),
    ("GET", f"{HUB}/audit"): (None, HUB_ADMIN),
    ("GET", f"{HUB}/users"): (None, HUB_ADMIN),
    ("POST", f"{HUB}/users"): ({"add": []}, OPERATOR),
    ("GET", f"{HUB}/devices"): (None, HUB_ADMIN),
    ("POST", f"{HUB}/devices"): (DEVICE, OPERATOR),
    ("POST", f"{HUB}/devices?dryRun=true"): (DEVICE, OPERATOR),
    ("DELETE", f"{HUB}/devices/device"): (None, OPERATOR),
    ("GET", f"{HUB}/devices/device/configurationDetails"): (None, HUB_ADMIN),
    ("GET", f"{HUB}/devices/device/bookings"): (None, HUB_ADMIN),
    ("POST", f"{HUB}/devices/device/bookings"): (BOOKING, HUB_ADMIN),
    ("GET", f"{HUB}/devices/device/bookings/{{booking}}"): (None, HUB_ADMIN),
    ("DELETE", f"{HUB}/devices/device/bookings/{{booking}}"): (None, HUB_ADMIN),
    ("POST", f"{HUB}/Groups"): (NEW, HUB_ADMIN),
    ("GET", LAB): (None, GROUP_ADMIN),
    ("PUT", LAB): ({"title": "Lab"}, HUB_ADMIN),
    ("PUT", f"{LAB}?dryRun=true"): ({"title": "Lab"}, HUB_ADMIN),
    ("DELETE", LAB): (None, HUB_ADMIN),
    ("GET", f"{LAB}/jobs/all"): (None, HUB_ADMIN),
    ("GET", f"{LAB}/analytics/system-usage?options=%7B%22allTime%22:true%7D"): (None, HUB_ADMIN),
    ("POST", f"{LAB}/users"): ({"add": []}, GROUP_ADMIN),
    ("POST", f"{LAB}/devices"): (DEVICE, HUB_ADMIN),
    ("POST", f"{LAB}/devices?dryRun=true"): (DEVICE, HUB_ADMIN),
    ("DELETE", f"{LAB}/devices/device"): (None, HUB_ADMIN),
    ("GET", f"{LAB}/devices/device/configurationDetails"): (None, HUB_ADMIN),
    ("GET", f"{LAB}/devices/device/bookings"): (None, GROUP_ADMIN),
    ("POST", f"{LAB}/devices/device/bookings"): (BOOKING, GROUP_ADMIN),
    ("GET", f"{LAB}/devices/device/bookings/{{booking}}"): (None, GROUP_ADMIN),
    ("DELETE", f"{LAB}/devices/device/bookings/{{booking}}"): (None, GROUP_ADMIN),
    ("POST", f"{LAB}/Projects"): (NEW, GROUP_ADMIN),
    ("PUT", ONE): ({"title": "One"}, GROUP_ADMIN),
    ("PUT", f"{ONE}?dryRun=true"): ({"title": "One"}, GROUP_ADMIN),
    ("DELETE", ONE): (None, GROUP_ADMIN),
    ("GET", f"{ONE}/jobs/all"): (None, GROUP_ADMIN),
    ("GET", f"{ONE}/analytics/system-usage?options=%7B%22allTime%22:true%7D"): (None, GROUP_ADMIN),
    ("GET", f"{ONE}/users"): (None, GROUP_ADMIN),
    ("POST", f"{ONE}/users"): ({"add": []}, GROUP_ADMIN),
    ("GET", f"{ONE}/devices"): (None, MEMBER),
    ("POST", f"{ONE}/devices"): (DEVICE, GROUP_ADMIN),
    ("POST", f"{ONE}/devices?dryRun=true"): (DEVICE, GROUP_ADMIN),
    ("DELETE", f"{ONE}/devices/device"): (None, GROUP_ADMIN),
    ("GET", f"{ONE}/devices/device/configurationDetails"): (None, MEMBER),
    ("GET", f"{ONE}/devices/device/bookings"): (None, MEMBER),
    ("POST", f"{ONE}/devices/device/bookings"): (BOOKING, GROUP_ADMIN),
    ("GET", f"{ONE}/devices/device/bookings/{{booking}}"): (None, MEMBER),
    ("DELETE", f"{ONE}/devices/device/bookings/{{booking}}"): (None, GROUP_ADMIN),
}


@pytest.fixture
def hub(desk: Desk) -> Campus:
    """The hub with somebody in each role."""
    return campus.build(desk)


def pattern(path: str) -> str:
    """Return a path of the table with parameters in place of the names."""
    path = path.partition("?")[0]
    for level, name in (("Network", "hub"), ("Groups", "group"), ("Projects", "project"), ("devices", "device")):
        path = re.sub(rf"/{level}/\w+", f"/{level}/{{{name}}}", path)
    return path


def test_the_table_has_every_endpoint_of_administration() -> None:
    """And no others; the one that is not a right's alone is a list of devices for old clients too."""
    listed = {(method, pattern(path)) for method, path in WALK}
    administered = {(route.method, route.path) for route in experience.ROUTES if route.right}

    assert listed - administered == {("GET", "/Network/{hub}/Groups/{group}/Projects/{project}/devices")}
    assert administered - listed == set()


def test_every_right_is_of_some_endpoint() -> None:
    """And no endpoint asks for one that is not in the table."""
    assert {route.right for route in experience.ROUTES if route.right} == set(access.RIGHTS)


@pytest.mark.parametrize(("method", "path"), WALK, ids=lambda value: value.replace("/", " ").strip())
def test_everybody_asks_for_everything(hub: Campus, method: str, path: str) -> None:
    """Each caller finds the hub as it usually is."""
    body, expected = WALK[method, path]
    seen = []
    for who in PEOPLE:
        campus.stage(hub)
        booked = path.format(booking=hub.booked("campus", "lab", "one")) if "{" in path else path
        seen.append(hub.desk.ask(method, booked, who, **({} if body is None else {"json": body})).status_code)

    assert dict(zip(PEOPLE, seen, strict=True)) == dict(zip(PEOPLE, expected, strict=True))


@pytest.mark.parametrize("path", ["", "/Groups/lab/jobs/all", "/Groups/lab/Projects/one/jobs/all"])
def test_a_stranger_cannot_tell_a_hub_from_none(hub: Campus, path: str) -> None:
    """The answers differ in the name alone."""
    there = desks.error(hub.desk.ask("GET", f"/Network/campus{path}", "eve"), 404, 3001)
    nowhere = desks.error(hub.desk.ask("GET", f"/Network/nowhere{path}", "eve"), 404, 3001)

    assert there["message"].replace("campus", "nowhere") == nowhere["message"]


def test_members_cannot_tell_other_groups_from_none(hub: Campus) -> None:
    """Who lacks the role is told so whether the group exists or not; the administrator is told that it does not."""
    answers = [desks.error(hub.desk.ask("DELETE", f"{HUB}/Groups/{name}", "mia"), 403, 2003) for name in ("club", "no")]

    assert answers[0] == answers[1]
    assert "administrator of the hub" in answers[0]["message"]
    desks.error(hub.desk.ask("DELETE", f"{HUB}/Groups/no", "hue"), 404, 3001)


def test_roles_end_at_once(hub: Campus) -> None:
    """An administrator who is removed is outside with the next request; so is a member."""
    desk = hub.desk
    assert desk.get(f"{ONE}/jobs/all", "gil") == []
    desk.post(f"{LAB}/users", {"remove": ["gil@example.org"]}, "hue")
    desks.error(desk.ask("GET", f"{ONE}/jobs/all", "gil"), 404, 3001)

    assert desk.get(f"{ONE}/devices/v/1", "mia")[0]["backend_name"] == "device"
    desk.post(f"{ONE}/users", {"remove": ["mia@example.org"]}, "hue")
    desks.error(desk.ask("GET", f"{ONE}/devices/v/1", "mia"), 404, 3001)
    desks.error(desk.ask("GET", f"{ONE}/devices", "mia"), 404, 3001)


def test_administrators_see_the_jobs_of_who_was_removed(hub: Campus) -> None:
    """In lists and alone, though the project is lost to the member at once."""
    desk, job = hub.desk, hub.job("mia", "lab", "one")
    desk.post(f"{ONE}/users", {"remove": ["mia@example.org"]}, "gil")

    assert [entry["id"] for entry in desk.get(f"{ONE}/jobs/all", "gil")] == [job.id]
    assert desk.get(f"/Jobs/{job.id}/v/1", "hue")["id"] == job.id
    desks.error(desk.ask("GET", f"{ONE}/Jobs/{job.id}/v/1", "mia"), 404, 3001)


#: What can still be read of a group and its projects when they were deleted.
HISTORY: Final = tuple(path for _, path in WALK if path.startswith(LAB) and ("/jobs/all" in path or "usage" in path))
#: What is no more.
LOST: Final = tuple(key for key in WALK if key[1].startswith(LAB) and key[1] not in HISTORY)


@pytest.mark.parametrize("path", HISTORY, ids=lambda value: value.partition("?")[0].replace("/", " ").strip())
def test_history_of_what_was_deleted_is_the_hub_admins(hub: Campus, path: str) -> None:
    """Jobs and use of a deleted group and its projects; all else of it is gone for everybody."""
    assert len(HISTORY) == 4
    hub.desk.ask("DELETE", LAB, "hue")
    seen = [hub.desk.ask("GET", path, who).status_code for who in PEOPLE]

    assert dict(zip(PEOPLE, seen, strict=True)) == dict(zip(PEOPLE, HUB_ADMIN_OF_HISTORY, strict=True))


@pytest.mark.parametrize(("method", "path"), LOST, ids=lambda value: value.replace("/", " ").strip())
def test_only_history_is_left_of_what_was_deleted(hub: Campus, method: str, path: str) -> None:
    """Whatever else is asked of a deleted group or project is not found, by its hub's administrator too."""
    hub.desk.ask("DELETE", LAB, "hue")
    body = WALK[method, path][0]

    desks.error(hub.desk.ask(method, path, "root", **({} if body is None else {"json": body})), 404, 3001)
    desks.error(hub.desk.ask(method, path, "hue", **({} if body is None else {"json": body})), 404, 3001)


def test_the_group_admin_reads_the_history_of_the_groups_projects(hub: Campus) -> None:
    """As long as the group is there; a member of a deleted project is told what they are told of any other."""
    hub.desk.ask("DELETE", ONE, "hue")

    assert hub.desk.get(f"{ONE}/jobs/all", "gil") == []
    lost = desks.error(hub.desk.ask("GET", f"{ONE}/jobs/all", "mia"), 404, 3001)
    never = desks.error(hub.desk.ask("GET", f"{LAB}/Projects/never/jobs/all", "gil"), 404, 3001)
    assert "one" not in lost["message"]
    assert "campus/lab/never" in never["message"]


def test_only_the_operator_weighs_hubs(hub: Campus) -> None:
    """A hub's administrator would otherwise take what is the other hubs'."""
    refusal = desks.error(hub.desk.ask("PUT", HUB, "hue", json={"priority": 10_000}), 403, 2003)

    assert "priority" in refusal["message"]
    assert hub.desk.put(HUB, {"priority": 7}, "root")["priority"] == 7
