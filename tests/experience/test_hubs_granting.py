# SPDX-License-Identifier: Apache-2.0
"""Grants that are sent again, and what holds of those on the way to a project."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import campus
import desk as desks
import pytest
from campus import HUB, LAB, ONE, Campus
from desk import Desk

PATHS = (HUB, LAB, ONE)


@pytest.fixture
def hub(either: Desk) -> Campus:
    """The hub with somebody in each role, on either database."""
    return campus.build(either)


def grant(hub: Campus, path: str, **body: Any) -> dict[str, Any]:
    """Send a grant of the device and return what is answered about it."""
    answer = hub.desk.post(f"{path}/devices", {"name": "device"} | body, "root")
    granted: dict[str, Any] = answer[hub.desk.town.device.id]
    return granted


def details(hub: Campus, path: str) -> dict[str, Any]:
    """Return what was set."""
    found: dict[str, Any] = hub.desk.get(f"{path}/devices/device/configurationDetails", "root")
    return found


@pytest.mark.parametrize("path", PATHS)
def test_whatever_is_absent_stays_as_it_was(hub: Campus, path: str) -> None:
    """The weight too."""
    grant(hub, path, priority=7, capabilities={"maxShots": 10}, limit=3)

    assert grant(hub, path, limit=4)["priority"] == 7
    assert grant(hub, path)["priority"] == 7
    assert grant(hub, path, capabilities={"maxShots": 20})["priority"] == 7
    found = details(hub, path)
    assert (found["capabilities"], found["limit"]) == ({"maxShots": 20}, 4)
    assert grant(hub, path, priority=8)["configuration"] == {"capabilities": {"maxShots": 20}, "limit": 4}


@pytest.mark.parametrize("path", PATHS)
def test_a_first_grant_needs_a_weight(hub: Campus, path: str) -> None:
    """Also the first after the device was taken away."""
    desks.succeed(hub.desk.ask("DELETE", f"{path}/devices/device", "root"))
    refusal = desks.error(
        hub.desk.ask("POST", f"{path}/devices", "root", json={"name": "device", "limit": 1}), 400, 1000
    )

    assert "`priority` is missing" in refusal["message"]
    assert grant(hub, path, priority=9)["priority"] == 9


def test_two_changes_of_one_grant_do_not_undo_each_other(hub: Campus) -> None:
    """Each changes what it names, though both read the grant at the same time."""
    together = threading.Barrier(2)

    def change(body: dict[str, Any]) -> None:
        together.wait(30)
        grant(hub, ONE, **body)

    for number in range(1, 9):
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(change, [{"priority": number}, {"limit": number}]))
        assert grant(hub, ONE)["priority"] == number
        assert details(hub, ONE)["limit"] == number


def counting(hub: Campus, **less: Any) -> dict[str, Any]:
    """Return what counts where nothing but `less` is set: what the device itself does."""
    device = hub.desk.town.device
    own = {"maxShots": device.max_shots, "maxExperiments": device.max_experiments, "openPulse": False}
    return own | less


def test_the_smaller_on_the_way_counts(hub: Campus) -> None:
    """More may be set below than above, and is kept for when the level above allows it."""
    grant(hub, HUB, capabilities={"maxExperiments": 5, "openPulse": False})
    grant(hub, LAB, capabilities={"maxShots": 100}, limit=2)
    grant(hub, ONE, capabilities={"maxShots": 5000, "openPulse": True}, limit=9)

    assert details(hub, ONE) == {
        "capabilities": {"maxShots": 5000, "openPulse": True},
        "limit": 9,
        "effective": {"capabilities": counting(hub, maxShots=100, maxExperiments=5), "limit": 2},
    }
    assert details(hub, LAB) == {"capabilities": {"maxShots": 100}, "limit": 2}
    assert hub.desk.get(f"{ONE}/devices", "mia")[0]["max_shots"] == 100

    grant(hub, LAB, capabilities={}, limit=None)
    assert details(hub, ONE)["effective"] == {
        "capabilities": counting(hub, maxShots=5000, maxExperiments=5),
        "limit": 9,
    }


def test_more_than_the_device_does_does_not_count(hub: Campus) -> None:
    """Whatever is set: what is told to hold is what the list of devices says."""
    most = {"maxShots": 500_000_000, "maxExperiments": 500_000_000, "openPulse": True}
    for path in PATHS:
        grant(hub, path, capabilities=most)

    found = details(hub, ONE)
    assert (found["capabilities"], found["effective"]) == (most, {"capabilities": counting(hub)})
    [listed] = hub.desk.get(f"{ONE}/devices", "mia")
    names = {"max_shots": "maxShots", "max_experiments": "maxExperiments", "open_pulse": "openPulse"}
    assert {ours: listed[name] for name, ours in names.items()} == found["effective"]["capabilities"]


def usable(document: dict[str, Any], hub: Campus) -> bool:
    """Tell whether a node's document shows the device as one that can be used there."""
    shown: bool = document["devices"][hub.desk.town.device.id].get("usable", True)
    return shown


def test_what_was_taken_away_above_is_shown_as_unusable(hub: Campus) -> None:
    """Below the level that lost it, until it is granted there again."""

    def seen() -> tuple[list[bool], bool]:
        whole, group = hub.desk.get(HUB, "hue"), hub.desk.get(LAB, "gil")
        below = [whole["groups"]["lab"], whole["groups"]["lab"]["projects"]["one"], group, group["projects"]["one"]]
        return [usable(each, hub) for each in below], usable(whole["groups"]["club"], hub)

    assert seen() == ([True] * 4, True)
    desks.succeed(hub.desk.ask("DELETE", f"{HUB}/devices/device", "root"))
    assert seen() == ([False] * 4, False)
    assert grant(hub, ONE)["usable"] is False
    grant(hub, HUB, priority=1)
    assert seen() == ([True] * 4, True)
    assert "usable" not in grant(hub, ONE)


def test_nothing_holds_of_what_was_taken_away_above(hub: Campus) -> None:
    """What was set for the project stays, and holds again when the group has the device again."""
    grant(hub, ONE, limit=3)
    desks.succeed(hub.desk.ask("DELETE", f"{LAB}/devices/device", "hue"))
    assert details(hub, ONE) == {"capabilities": {}, "limit": 3}

    grant(hub, LAB, priority=1)
    assert details(hub, ONE)["effective"] == {"capabilities": counting(hub), "limit": 3}
