# SPDX-License-Identifier: Apache-2.0
"""Reservations as clients read them, and as administrators make them."""

from datetime import timedelta
from typing import Any

import campus
import desk as desks
import pytest
from campus import HUB, LAB, ONE, SOLO, Campus
from desk import Desk

from chandelier.devices import Device
from chandelier.jobs.lifecycle import State
from chandelier.scheduling import quotas, reservations
from chandelier.scheduling.reservations import Reservation, Terms, Wanted
from chandelier.tenancy import audit, grants, members
from chandelier.tenancy.audit import By
from chandelier.tenancy.network import Place, Spot
from factories import NOW, after

HOUR = 3600


def booked(desk: Desk, place: Place, device: Device, begins: float, ends: float) -> Reservation:
    """Reserve a device for a project, from and to some hours after the beginning."""
    by, wanted = By("root", NOW), Wanted("dedicated", after(begins * HOUR), after(ends * HOUR))
    return desk.store.write(lambda tx: reservations.add(tx, by, place.spot, device, wanted, Terms()))


def beginnings(found: list[dict[str, Any]]) -> list[str]:
    """Return at which hour the reservations of a list begin."""
    return [entry["initialDate"][11:13] for entry in found]


def test_there_are_none_at_first(desk: Desk) -> None:
    """Neither of the caller nor of a device."""
    assert desk.get("/Network/bookings/v2") == []
    assert desk.get("/Network/devices/device/bookings/v2") == []


def test_a_reservation_of_ones_own_is_told_in_full(desk: Desk) -> None:
    """Dates, mode, device, and whose it is."""
    made = booked(desk, desk.town.home, desk.town.device, 1, 2)
    expected = {
        "initialDate": "2026-03-14T16:09:26.000Z",
        "endDate": "2026-03-14T17:09:26.000Z",
        "mode": "dedicated",
        "backendName": "device",
        "id": made.id,
        "creationDate": "2026-03-14T15:09:26.000Z",
        "hubInfo": {"hub": {"name": "ibm-q"}, "group": {"name": "open"}, "project": {"name": "main"}},
    }

    assert desk.get("/Network/bookings/v2") == [expected]
    assert desk.get("/Network/devices/device/bookings/v2") == [expected]


def test_of_other_peoples_only_the_time_is_told(desk: Desk) -> None:
    """And only for devices that the caller has."""
    booked(desk, desk.town.annex, desk.town.device, 1, 2)
    booked(desk, desk.town.annex, desk.town.hidden, 1, 2)

    assert desk.get("/Network/bookings/v2") == []
    (seen,) = desk.get("/Network/devices/device/bookings/v2")
    assert set(seen) == {"initialDate", "endDate", "mode", "backendName"}
    desks.error(desk.ask("GET", "/Network/devices/hidden/bookings/v2"), 404, 3100)
    assert len(desk.get("/Network/bookings/v2", "bob")) == 2


@pytest.mark.parametrize(
    ("window", "hours"),
    [
        ({}, ["16", "18", "20"]),
        ({"initialDate": "2026-03-14T18:09:26+00:00"}, ["18", "20"]),
        ({"initialDate": "2026-03-14T19:09:26Z"}, ["20"]),
        ({"endDate": "2026-03-14T18:09:26.000Z"}, ["16"]),
        ({"initialDate": "2026-03-14T17:30:00", "endDate": "2026-03-14T18:30:00"}, ["18"]),
        ({"initialDate": "2026-03-15"}, []),
        ({"initialDate": "", "endDate": ""}, ["16", "18", "20"]),
    ],
)
@pytest.mark.parametrize("path", ["/Network/bookings/v2", "/Network/devices/device/bookings/v2"])
def test_a_window_of_time_narrows(desk: Desk, path: str, window: dict[str, str], hours: list[str]) -> None:
    """Whatever touches it is told, in the order of beginning."""
    for begins in (5, 1, 3):
        booked(desk, desk.town.home, desk.town.device, begins, begins + 1)

    assert beginnings(desk.get(path, params=window)) == hours


@pytest.mark.parametrize("name", ["initialDate", "endDate"])
def test_a_window_must_be_dates(desk: Desk, name: str) -> None:
    """The message names which is not."""
    failure = desks.error(desk.ask("GET", "/Network/bookings/v2", params={name: "tomorrow"}), 400, 1001)

    assert name in failure["message"]


BOOKINGS = "/devices/device/bookings"


@pytest.fixture
def hub(desk: Desk) -> Campus:
    """The hub with somebody in each role."""
    return campus.build(desk)


def soon(hours: float) -> str:
    """Return a date some hours from now."""
    return (desks.now() + timedelta(hours=hours)).isoformat(timespec="milliseconds")


@pytest.mark.parametrize(
    ("path", "names"),
    [(HUB, ["campus"]), (LAB, ["campus", "lab"]), (ONE, ["campus", "lab", "one"])],
)
@pytest.mark.parametrize("mode", ["priority", "dedicated"])
def test_reserving_at_every_level(hub: Campus, path: str, names: list[str], mode: str) -> None:
    """It is told with its place, found again, cancelled once, and told with the reason afterwards."""
    desk = hub.desk
    body = {"initialDate": soon(1), "endDate": soon(2), "mode": mode}
    made = desk.post(path + BOOKINGS, body, "hue")

    assert [info["name"] for info in made["hubInfo"].values()] == names
    assert (made["mode"], made["backendName"]) == (mode, "device")
    assert made["initialDate"] == body["initialDate"].replace("+00:00", "Z")
    assert desk.get(path + BOOKINGS, "hue") == [made]
    assert desk.get(f"{path}{BOOKINGS}/{made['id']}", "hue") == made
    assert desks.succeed(desk.ask("DELETE", f"{path}{BOOKINGS}/{made['id']}", "hue")) == {"deleted": True}
    assert desk.get(path + BOOKINGS, "hue") == []
    gone = desk.get(f"{path}{BOOKINGS}/{made['id']}", "hue")
    assert (gone["why"], gone["endDate"]) == ("cancelled", gone["initialDate"])
    desks.error(desk.ask("DELETE", f"{path}{BOOKINGS}/{made['id']}", "hue"), 409, 3110)
    acts = desk.store.read(lambda tx: audit.list_(tx, hub_id=hub.spot("campus").hub.id))
    assert [(act.who, act.act, act.path) for act in acts] == [
        ("hue@example.org", "reservation.cancel", "/".join(names)),
        ("hue@example.org", "reservation.add", "/".join(names)),
    ]


def test_without_a_beginning_it_begins_now(hub: Campus) -> None:
    """And without a mode it is one of priority."""
    made = hub.desk.post(LAB + BOOKINGS, {"endDate": soon(1)}, "gil")

    assert made["mode"] == "priority"
    assert made["initialDate"] == made["creationDate"]


def test_everybody_concerned_is_shown(hub: Campus) -> None:
    """At each level what is for it, in it or above it; nobody else's."""
    ids = {
        name: hub.booked(*names, begins=begins)
        for begins, (name, names) in enumerate(
            {
                "hub": ["campus"],
                "lab": ["campus", "lab"],
                "one": ["campus", "lab", "one"],
                "two": ["campus", "lab", "two"],
                "solo": ["campus", "club", "solo"],
            }.items(),
            1,
        )
    }
    shown = {HUB: "hue", LAB: "gil", ONE: "mia", SOLO: "max"}
    expected = {HUB: set(ids), LAB: {"hub", "lab", "one", "two"}, ONE: {"hub", "lab", "one"}, SOLO: {"hub", "solo"}}
    seen = {
        path: {name for name in ids if ids[name] in {each["id"] for each in hub.desk.get(path + BOOKINGS, who)}}
        for path, who in shown.items()
    }

    assert seen == expected
    desks.error(hub.desk.ask("GET", f"{ONE}{BOOKINGS}/{ids['two']}", "mia"), 404, 3110)
    desks.error(hub.desk.ask("DELETE", f"{ONE}{BOOKINGS}/{ids['lab']}", "gil"), 404, 3110)
    desks.error(hub.desk.ask("GET", f"{ONE}/devices/hidden/bookings/{ids['one']}", "mia"), 404, 3110)
    assert hub.desk.get(f"{ONE}{BOOKINGS}/{ids['lab']}", "mia")["hubInfo"] == {
        "hub": {"name": "campus"},
        "group": {"name": "lab"},
    }


def test_a_class_finds_its_lab(hub: Campus) -> None:
    """Members are told in which project they use it, the group's administrator that it is theirs, others the time."""
    lab = hub.booked("campus", "lab", begins=1)
    paths = ("/Network/bookings/v2", "/Network/devices/device/bookings/v2")

    for path in paths:
        (mine,) = hub.desk.get(path, "mia")
        assert (mine["id"], [part["name"] for part in mine["hubInfo"].values()]) == (lab, ["campus", "lab", "one"])
    (theirs,) = hub.desk.get(paths[1], "max")
    assert set(theirs) == {"initialDate", "endDate", "mode", "backendName"}
    assert hub.desk.get(paths[0], "max") == []
    (known,) = hub.desk.get(paths[0], "gil")
    assert known["id"] == lab
    assert "hubInfo" not in known


@pytest.mark.parametrize(
    ("who", "whose", "told"),
    [
        ("gil", ("campus", "club"), False),
        ("gil", ("campus",), False),
        ("gil", ("campus", "lab", "one"), True),
        ("hue", ("campus", "club"), True),
        ("root", ("campus", "club"), True),
    ],
)
def test_the_time_must_be_free(hub: Campus, who: str, whose: tuple[str, ...], told: bool) -> None:
    """Whose it is is told to who administers that node, and to nobody else."""
    made = hub.booked(*whose, begins=1, hours=2)
    taken = {"initialDate": soon(2), "endDate": soon(4)}

    refusal = desks.error(hub.desk.ask("POST", LAB + BOOKINGS, who, json=taken), 409, 3111)
    assert (made in refusal["message"], f"for {'/'.join(whose)} " in refusal["message"]) == (told, told)
    assert "is reserved from" in refusal["message"]


def test_another_hub_learns_the_time_alone(hub: Campus) -> None:
    """Whoever administers it."""
    hub.booked("campus", "club", begins=1, hours=2)
    place, taken = hub.desk.town.annex, {"initialDate": soon(2), "endDate": soon(4)}
    hub.desk.store.write(lambda tx: members.add(tx, Spot(place.hub), "eve@example.org", NOW))
    refusal = desks.error(hub.desk.ask("POST", f"/Network/{place.hub.name}{BOOKINGS}", "eve", json=taken), 409, 3111)
    assert "club" not in refusal["message"]


def test_the_quota_of_a_hub_is_kept(hub: Campus) -> None:
    """The operator's, or else the usual one of the settings; the message says what is left."""
    spot = Spot(hub.spot("campus").hub)
    hub.desk.store.write(lambda tx: quotas.set_(tx, By("root", NOW), spot, 1.5 * HOUR))
    body = {"initialDate": soon(1), "endDate": soon(2)}
    hub.desk.post(LAB + BOOKINGS, body, "gil")

    body = {"initialDate": soon(5), "endDate": soon(6)}
    refusal = desks.error(hub.desk.ask("POST", ONE + BOOKINGS, "gil", json=body), 429, 3112)
    assert "0.50 left" in refusal["message"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 1000),
        ({"endDate": "tomorrow"}, 1001),
        ({"endDate": 5}, 1000),
        ({"endDate": "2000-01-01"}, 1001),
        ({"initialDate": "2000-01-01", "endDate": "2100-01-01"}, 1001),
        ({"endDate": "9999-12-31T23:59:59.999-12:00"}, 1001),
        ({"endDate": "2100-01-01", "mode": "exclusive"}, 1000),
        ({"endDate": "2100-01-01", "hours": 3}, 1000),
    ],
)
def test_what_cannot_be_reserved(hub: Campus, body: dict[str, Any], code: int) -> None:
    """The request is at fault."""
    desks.error(hub.desk.ask("POST", LAB + BOOKINGS, "gil", json=body), 400, code)


def test_a_device_must_be_ones_own(hub: Campus) -> None:
    """One that the node does not have looks like one that is not there."""
    hub.desk.store.write(lambda tx: grants.withdraw(tx, hub.spot("campus", "lab", "one"), hub.desk.town.device, NOW))
    for path in (f"{ONE}{BOOKINGS}", f"{ONE}/devices/nowhere/bookings", f"{SOLO}/devices/hidden/bookings"):
        desks.error(hub.desk.ask("POST", path, "hue", json={"endDate": soon(1)}), 404, 3100)
        desks.error(hub.desk.ask("GET", path, "hue"), 404, 3100)


def test_a_job_tells_that_it_ran_alone(hub: Campus) -> None:
    """`runMode` in its views, after it began in a dedicated reservation."""
    hub.booked("campus", "lab", mode="dedicated")
    job = hub.job("mia", "lab", "one", state=State.QUEUED)
    assert hub.desk.get(f"/Jobs/{job.id}/v/1", "mia")["runMode"] == "fairshare"
    hub.desk.run()

    assert hub.desk.get(f"/Jobs/{job.id}/v/1", "mia")["runMode"] == "dedicated"
    assert hub.desk.get(f"/Jobs/{job.id}/status/v/1", "mia")["runMode"] == "dedicated"
