# SPDX-License-Identifier: Apache-2.0
"""Changes of shares that are only tried: who would get what, and who would go when; nothing is saved."""

from datetime import datetime
from typing import Any

import campus
import desk as desks
import pytest
from campus import HUB, LAB, ONE, SOLO, Campus
from desk import Desk

from chandelier.jobs.lifecycle import State
from factories import NOW

TRY = "?dryRun=true"
#: What changes a share at each level, with the body and who may do it.
CHANGES = [
    ("PUT", HUB, {"priority": 7}, "root"),
    ("PUT", LAB, {"priority": 7}, "hue"),
    ("PUT", ONE, {"priority": 7}, "gil"),
    ("POST", f"{HUB}/devices", {"name": "device", "priority": 7, "limit": 3}, "root"),
    ("POST", f"{LAB}/devices", {"name": "device", "priority": 7, "limit": 3}, "hue"),
    ("POST", f"{ONE}/devices", {"name": "device", "priority": 7, "timeLimit": {"seconds": 60}}, "gil"),
]


@pytest.fixture
def hub(desk: Desk) -> Campus:
    """The hub with somebody in each role."""
    return campus.build(desk)


@pytest.fixture
def either_hub(either: Desk) -> Campus:
    """The same on either database."""
    return campus.build(either)


def tried(hub: Campus, method: str, path: str, body: object, who: str = "hue") -> dict[str, Any]:
    """Return what a change would do."""
    told: dict[str, Any] = desks.succeed(hub.desk.ask(method, path + TRY, who, json=body))
    assert told["dryRun"] is True
    return told


def everything(hub: Campus) -> list[Any]:
    """Return what administrators see of a hub, and what was done to it."""
    ask = hub.desk.get
    details = [ask(f"{path}/devices/device/configurationDetails", "root") for path in (HUB, LAB, ONE)]
    return [ask(HUB, "root"), ask("/Network", "root"), ask(f"{HUB}/audit", "root"), *details]


def crowd(hub: Campus) -> None:
    """Let a job of each group wait, that of the lab, which has used the device, first of all."""
    lately = (desks.now() - NOW).total_seconds() - 60
    hub.ended("mia", "lab", "one", waits=1, runs=120, begins=lately - 200)
    hub.ended("max", "club", "solo", waits=1, runs=60, begins=lately - 200)
    hub.job("mia", "lab", "one", seconds=lately, state=State.QUEUED)
    hub.job("mia", "lab", "one", seconds=lately + 1, state=State.QUEUED)
    hub.job("gil", "lab", "two", seconds=lately + 1, state=State.QUEUED)
    hub.job("max", "club", "solo", seconds=lately + 2, state=State.QUEUED)


@pytest.mark.parametrize(("method", "path", "body", "who"), CHANGES, ids=lambda value: str(value).replace("/", " "))
def test_nothing_is_saved(either_hub: Campus, method: str, path: str, body: object, who: str) -> None:
    """Nor written down; without the parameter, or where it says false, the same request saves."""
    before = everything(either_hub)
    told = tried(either_hub, method, path, body, who)

    assert [row["shareAfter"] for row in told["shares"] if row["shareAfter"] != row["shareBefore"]] == [7]
    assert everything(either_hub) == before
    saved = desks.succeed(either_hub.desk.ask(method, f"{path}?dryRun=false", who, json=body))
    assert "dryRun" not in saved
    acts = [len(seen[2]) for seen in (before, everything(either_hub))]
    assert acts[1] > acts[0]


def test_the_shares_are_those_that_come_of_it(hub: Campus) -> None:
    """Of all siblings, in percent, as the answer to the change itself says them."""
    told = tried(hub, "PUT", LAB, {"priority": 3000})
    changed = hub.desk.put(LAB, {"priority": 3000}, "hue")

    assert told["shares"] == [
        {
            "path": "campus/lab",
            "shareBefore": 1000,
            "percentBefore": 50.0,
            "shareAfter": 3000,
            "percentAfter": 75.0,
        },
        {
            "path": "campus/club",
            "shareBefore": 1000,
            "percentBefore": 50.0,
            "shareAfter": 1000,
            "percentAfter": 25.0,
        },
    ]
    assert changed["shares"] == {row["path"].rpartition("/")[2]: row["percentAfter"] for row in told["shares"]}
    assert told["queue"] == []


def test_who_gets_a_device_has_no_share_of_it_before(hub: Campus) -> None:
    """Null, and only those are siblings who have the device too."""
    body = {"name": "hidden", "priority": 3000}
    told = tried(hub, "POST", f"{LAB}/Projects/two/devices", body, "gil")
    assert told["shares"] == [
        {
            "path": "campus/lab/two",
            "shareBefore": None,
            "percentBefore": None,
            "shareAfter": 3000,
            "percentAfter": 100.0,
        }
    ]
    hub.desk.post(f"{ONE}/devices", {"name": "hidden", "priority": 1000}, "gil")

    rows = tried(hub, "POST", f"{LAB}/Projects/two/devices", body, "gil")["shares"]
    assert [(row["percentBefore"], row["percentAfter"]) for row in rows] == [(100.0, 25.0), (None, 75.0)]


def test_the_queue_is_as_it_would_be(hub: Campus) -> None:
    """The place and the start of the next job of each who waits; as the jobs are told once the share is saved."""
    crowd(hub)
    path, body = f"{LAB}/devices", {"name": "device", "priority": 10_000}
    rows = {row["path"]: row for row in tried(hub, "POST", path, body)["queue"]}

    assert {name: (row["device"], row["waiting"]) for name, row in rows.items()} == {
        "campus/lab": ("device", 3),
        "campus/club": ("device", 1),
    }
    assert [rows["campus/lab"][f"place{when}"] for when in ("Before", "After")] == [2, 1]
    assert [rows["campus/club"][f"place{when}"] for when in ("Before", "After")] == [1, 4]
    starts = [datetime.fromisoformat(rows["campus/club"][f"start{when}"]) for when in ("Before", "After")]
    assert starts[0] < starts[1]
    hub.desk.post(path, body, "hue")
    now = {row["path"]: row["placeBefore"] for row in tried(hub, "PUT", LAB, {"title": "Lab"})["queue"]}
    assert now == {name: row["placeAfter"] for name, row in rows.items()}


def test_a_group_admin_is_told_of_the_group_alone(hub: Campus) -> None:
    """Of its projects, not of other groups."""
    crowd(hub)
    told = tried(hub, "PUT", ONE, {"priority": 10_000}, "gil")

    assert [row["path"] for row in told["shares"]] == ["campus/lab/one", "campus/lab/two"]
    assert {row["path"] for row in told["queue"]} == {"campus/lab/one", "campus/lab/two"}


def test_hubs_are_the_operators_business(hub: Campus) -> None:
    """Whoever administers a hub may try a title there, and learns of no other hub, nor of the hub's part."""
    crowd(hub)

    assert tried(hub, "PUT", HUB, {"title": "New"}) == {"dryRun": True, "shares": [], "queue": []}
    desks.error(hub.desk.ask("PUT", HUB + TRY, "hue", json={"priority": 7}), 403, 2003)
    paths = {row["path"] for row in tried(hub, "PUT", HUB, {"priority": 7}, "root")["shares"]}
    assert paths == {"ibm-q", "annex", "campus"}


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (LAB, {}, 400, 1001),
        (LAB, {"priority": 0}, 400, 1000),
        (f"{LAB}/devices", {"name": "nothing", "priority": 1}, 404, 3100),
        (f"{SOLO}/devices", {"name": "hidden", "priority": 1}, 404, 3100),
        (f"{ONE}/devices", {"name": "hidden"}, 400, 1000),
    ],
    ids=str,
)
def test_what_is_refused_is_refused_when_tried(
    hub: Campus, path: str, body: dict[str, Any], status: int, code: int
) -> None:
    """With the same words."""
    method = "POST" if path.endswith("devices") else "PUT"
    answers = [desks.error(hub.desk.ask(method, path + end, "hue", json=body), status, code) for end in ("", TRY)]

    assert answers[0]["message"] == answers[1]["message"]


@pytest.mark.parametrize("value", ["", "1", "yes", "TRUE"])
def test_another_value_is_refused(hub: Campus, value: str) -> None:
    """Rather than saved."""
    before = everything(hub)
    answer = hub.desk.ask("PUT", f"{LAB}?dryRun={value}", "hue", json={"priority": 7})

    assert "must be true or false" in desks.error(answer, 400, 1001)["message"]
    assert everything(hub) == before


def test_the_parameter_is_known_in_any_case(hub: Campus) -> None:
    """Lest somebody save what they meant to try."""
    before = everything(hub)
    answer = desks.succeed(hub.desk.ask("PUT", f"{LAB}?dryrun=true", "hue", json={"priority": 7}))

    assert answer["dryRun"] is True
    assert everything(hub) == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", ONE, None),
        ("DELETE", f"{ONE}/devices/device", None),
        ("POST", f"{HUB}/Groups", {"name": "new", "title": "New"}),
        ("POST", f"{ONE}/users", {"remove": ["mia@example.org"]}),
    ],
    ids=str,
)
def test_what_cannot_be_tried_is_not_done(hub: Campus, method: str, path: str, body: object) -> None:
    """Where the parameter is of no use it is refused, not passed over."""
    before = everything(hub)
    answer = hub.desk.ask(method, path + TRY, "hue", **({} if body is None else {"json": body}))

    assert "`dryRun` is for changes of shares" in desks.error(answer, 400, 1001)["message"]
    assert everything(hub) == before
