# SPDX-License-Identifier: Apache-2.0
"""Reservations as clients read them."""

from typing import Any

import desk as desks
import pytest
from desk import Desk

from chandelier.devices import Device
from chandelier.scheduling import reservations
from chandelier.scheduling.reservations import Reservation
from chandelier.tenancy.network import Place
from factories import NOW, after

HOUR = 3600


def booked(desk: Desk, place: Place, device: Device, begins: float, ends: float) -> Reservation:
    """Reserve a device for a project, from and to some hours after the beginning."""
    who = desk.town.bob.user_id
    times = (after(begins * HOUR), after(ends * HOUR))
    return desk.store.write(lambda tx: reservations.add(tx, device.id, place.project_id, who, "dedicated", *times, NOW))


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
