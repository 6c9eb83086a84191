# SPDX-License-Identifier: Apache-2.0
"""A hub's use in numbers: what is summed up, in which order, and in which forms."""

import csv
import io
import json
from typing import Any

import campus
import desk as desks
import httpx
import pytest
from campus import HUB, Campus
from desk import Desk

USAGE = f"{HUB}/analytics/system-usage"
KEYS = ["jobs", "executions", "queueTime", "runTime", "averageRunTime", "averageQueueTime"]
NOTHING = dict.fromkeys(KEYS, 0)
#: The day on which the tests begin.
DAY = "2026-03-14"


@pytest.fixture
def hub(either: Desk) -> Campus:
    """A hub whose people ran something, on each kind of database; another hub's use is not theirs."""
    known = campus.build(either)
    known.ended("mia", "lab", "one", waits=1, runs=2)
    known.ended("mia", "lab", "two", waits=2, runs=4, begins=60)
    known.ended("max", "club", "solo", waits=3, runs=6, begins=86_400)
    either.uploaded()
    either.validate()
    either.settle(either.run(), desks.RESULT)
    return known


def asked(hub: Campus, who: str = "hue", headers: dict[str, str] | None = None, **options: Any) -> httpx.Response:
    """Ask for usage."""
    form = options.pop("form", None)
    params = {"options": json.dumps(options)} | ({"format": form} if form else {})
    return hub.desk.ask("GET", USAGE, who, params=params, headers=headers or {})


def numbers(hub: Campus, **options: Any) -> Any:
    """Return what usage is answered with."""
    return desks.succeed(asked(hub, **options))["data"]


def of(jobs: int, queue: int, run: int) -> dict[str, Any]:
    """Return the numbers of jobs of one experiment each, from seconds."""
    sums = {"jobs": jobs, "executions": jobs, "queueTime": 1000 * queue, "runTime": 1000 * run}
    return sums | {"averageRunTime": 1000 * run / jobs, "averageQueueTime": 1000 * queue / jobs}


def test_everything_is_summed_up_in_the_order_of_the_columns(hub: Campus) -> None:
    """A script writes the values under its heads without looking at their names; times are in milliseconds."""
    data = numbers(hub, allTime=True)

    assert data == of(3, 6, 12)
    assert list(data) == KEYS
    assert [type(value) for value in data.values()] == [int, int, int, int, float, float]


@pytest.mark.parametrize(
    ("start", "end", "jobs"),
    [
        (DAY, DAY, 2),
        (DAY, "2026-03-15", 3),
        ("2026-03-15", "2026-03-15", 1),
        ("03-14-26", "03-14-26", 2),
        ("3-14-26", "3-15-26", 3),
        ("03-15-2026", "03-15-2026", 1),
        ("03/14/2026", "03/14/26", 2),
        ("2026-03-14T15:09:29Z", "2026-03-14T15:09:30Z", 1),
        ("2026-03-14T15:09:29.000+00:00", "2026-03-14T15:09:29.001Z", 1),
        ("2026-03-14T15:09:28Z", "2026-03-14T15:09:29Z", 0),
        ("2026-03-14 16:09:29+01:00", "2026-03-14 15:10", 1),
        ("2021-01-01", "2021-02-01", 0),
        ("2026-03-14", "9999-12-31", 3),
    ],
)
def test_dates_in_every_form(hub: Campus, start: str, end: str, jobs: int) -> None:
    """A date alone is its whole day, at both ends; a time begins the range, or ends it without being in it."""
    assert numbers(hub, startDate=start, endDate=end)["jobs"] == jobs


def test_options_narrow(hub: Campus) -> None:
    """Device and user; of those that are not there, nothing."""
    mia = hub.people["mia"].user_id

    assert numbers(hub, allTime=True, userId=mia) == of(2, 3, 6)
    assert numbers(hub, allTime=True, userId=mia, backend="device") == of(2, 3, 6)
    for nothing in ({"backend": "hidden"}, {"backend": "nothere"}, {"userId": ""}, {"userId": "a\x00"}):
        assert numbers(hub, allTime=True, **nothing) == NOTHING
    assert numbers(hub, startDate=DAY, endDate=DAY, userId=hub.people["max"].user_id) == NOTHING


@pytest.mark.parametrize(
    ("group_by", "rows"),
    [
        ("hub", [{"hub": "campus"} | of(3, 6, 12)]),
        ("group", [{"group": "club"} | of(1, 3, 6), {"group": "lab"} | of(2, 3, 6)]),
        (
            "project",
            [
                {"group": "club", "project": "solo"} | of(1, 3, 6),
                {"group": "lab", "project": "one"} | of(1, 1, 2),
                {"group": "lab", "project": "two"} | of(1, 2, 4),
            ],
        ),
        ("device", [{"backend": "device"} | of(3, 6, 12)]),
        ("day", [{"day": DAY} | of(2, 3, 6), {"day": "2026-03-15"} | of(1, 3, 6)]),
    ],
)
def test_usage_by_groups(hub: Campus, group_by: str, rows: list[dict[str, Any]]) -> None:
    """In the order of their names, which come before the numbers."""
    found = numbers(hub, allTime=True, groupBy=group_by)

    assert found == rows
    assert list(found[0])[-6:] == KEYS


def test_usage_by_user(hub: Campus) -> None:
    """With id and address."""
    found = numbers(hub, allTime=True, groupBy="user", orderBy="email")

    assert [(row["email"], row["jobs"]) for row in found] == [("max@example.org", 1), ("mia@example.org", 2)]
    assert [row["userId"] for row in found] == [hub.people[name].user_id for name in ("max", "mia")]


def test_groups_that_were_deleted_are_counted(hub: Campus) -> None:
    """History is kept."""
    desks.succeed(hub.desk.ask("DELETE", f"{HUB}/Groups/lab", "hue"))

    assert numbers(hub, allTime=True) == of(3, 6, 12)
    assert [row["group"] for row in numbers(hub, allTime=True, groupBy="group")] == ["club", "lab"]


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ({"orderBy": "runTime"}, ["one", "two", "solo"]),
        ({"orderBy": "runTime", "sort": "desc"}, ["solo", "two", "one"]),
        ({"orderBy": "averageQueueTime", "sort": "DESC"}, ["solo", "two", "one"]),
        ({"orderBy": "project", "sort": "ASC"}, ["one", "solo", "two"]),
        ({"orderBy": "jobs"}, ["solo", "one", "two"]),
        ({"sort": "desc"}, ["one", "two", "solo"]),
    ],
    ids=str,
)
def test_groups_are_ordered(hub: Campus, order: dict[str, str], names: list[str]) -> None:
    """Upwards unless the other way is asked for; those that are equal by their names."""
    assert [row["project"] for row in numbers(hub, allTime=True, groupBy="project", **order)] == names


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({}, "allTime"),
        ({"allTime": False}, "allTime"),
        ({"startDate": DAY}, "endDate"),
        ({"endDate": DAY}, "startDate"),
        ({"startDate": DAY, "endDate": "2026-03-13"}, "before"),
        ({"startDate": "yesterday", "endDate": DAY}, "startDate"),
        ({"startDate": DAY, "endDate": "13-01-26"}, "endDate"),
        ({"startDate": DAY, "endDate": "2026-02-30"}, "endDate"),
        ({"startDate": DAY, "endDate": ""}, "endDate"),
        ({"startDate": 1, "endDate": DAY}, "startDate"),
        ({"allTime": "true"}, "allTime"),
        ({"allTime": True, "orderBy": "cost"}, "orderBy"),
        ({"allTime": True, "orderBy": "project"}, "orderBy"),
        ({"allTime": True, "sort": "up"}, "sort"),
        ({"allTime": True, "groupBy": "level"}, "groupBy"),
        ({"allTime": True, "user": "mia"}, "user"),
        ({"allTime": True, "form": "xml"}, "format"),
    ],
    ids=str,
)
def test_odd_options_are_refused(hub: Campus, options: dict[str, Any], word: str) -> None:
    """With their name."""
    assert word in desks.error(asked(hub, **options), 400, 1001)["message"]


@pytest.mark.parametrize("text", ["{", "[]", "1", '{"allTime": true} ', "[" * 5000, '{"allTime": "\\ud800"}'])
def test_odd_json_is_refused(hub: Campus, text: str) -> None:
    """Except for white space."""
    answer = hub.desk.ask("GET", USAGE, "hue", params={"options": text})

    if text.endswith(" "):
        desks.succeed(answer)
    else:
        desks.error(answer, 400, 1001)


def test_usage_as_a_table(hub: Campus) -> None:
    """By a parameter or by the kind of answer that is asked for; the same numbers under the same names."""
    for answer in (
        asked(hub, allTime=True, groupBy="project", form="csv"),
        asked(hub, allTime=True, groupBy="project", headers={"Accept": "text/csv"}),
    ):
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert list(rows[0]) == ["group", "project", *KEYS]
        assert [(row["project"], int(row["jobs"]), float(row["averageRunTime"])) for row in rows] == [
            ("solo", 1, 6000.0),
            ("one", 1, 2000.0),
            ("two", 1, 4000.0),
        ]
    [total] = csv.DictReader(io.StringIO(asked(hub, allTime=True, form="csv").text))
    assert [float(value) for value in total.values()] == list(of(3, 6, 12).values())
    empty = asked(hub, allTime=True, userId="", groupBy="user", form="csv")
    assert empty.text.strip() == ",".join(["userId", "email", *KEYS])
    assert asked(hub, allTime=True, form="json", headers={"Accept": "text/csv"}).json()["data"]["jobs"] == 3
