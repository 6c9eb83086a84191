# SPDX-License-Identifier: Apache-2.0
"""The old client tells its own reservations from those of others, and avoids a device that is reserved."""

from datetime import datetime
from typing import Any

import oldclient
import pytest
from clouds import Cloud, Start

pytestmark = pytest.mark.acceptance

OPEN = "ibm-q/open/main"


@pytest.fixture
def booked(start_cloud: Start) -> tuple[Cloud, dict[str, Any], dict[str, Any]]:
    """A cloud with a student, in whose time a class has reserved a device, and others after it."""
    cloud = start_cloud()
    cloud.json("hub", "add", "campus")
    cloud.json("group", "add", "campus/course")
    cloud.json("project", "add", "campus/course/mine")
    for path in ("campus", "campus/course", "campus/course/mine"):
        for device in ("ibmq_manila", "ibmq_essex"):
            cloud.json("grant", "set", path, device)
    cloud.add_user("student@example.org")
    cloud.json("member", "add", "campus/course/mine", "student@example.org")
    lab = cloud.json("reservation", "add", "campus/course", "ibmq_manila", "--for", "2h", "--mode", "dedicated")
    other = cloud.json("reservation", "add", OPEN, "ibmq_manila", "--from", lab["ends"], "--for", "1h")
    return cloud, lab, other


def test_reservations_of_ones_own_and_of_others(
    booked: tuple[Cloud, dict[str, Any], dict[str, Any]], old_client: oldclient.OldClient
) -> None:
    """In full with the project to use, and without it; `least_busy` takes another device."""
    cloud, lab, _ = booked
    token = cloud.json("token", "issue", "student@example.org")["token"]
    cloud.json("member", "remove", OPEN, "student@example.org")
    seen = old_client.run("reservations", cloud.url, token)
    cloud.secrets |= {token, seen["access_token"]}
    mine, theirs = seen["device"]

    assert seen["mine"] == [mine]
    assert (mine["reservation_id"], mine["mode"], mine["duration"]) == (lab["id"], "dedicated", 120)
    assert [mine[level] for level in ("hub", "group", "project")] == ["campus", "course", "mine"]
    assert datetime.fromisoformat(mine["end_datetime"]) == datetime.fromisoformat(theirs["start_datetime"])
    assert (theirs["duration"], theirs["reservation_id"], theirs["hub"]) == (60, None, None)
    assert seen["other"] == []
    assert seen["least_busy"] == "ibmq_essex"
