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
import sqlalchemy as sa
from campus import HUB, Campus
from desk import Desk
from hypothesis import given, settings
from hypothesis import strategies as st

from chandelier.jobs import records
from chandelier.jobs.lifecycle import State
from factories import after

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


def use(hub: Campus, path: str) -> Any:
    """Return what all use of a node is answered with."""
    params = {"options": json.dumps({"allTime": True})}
    return hub.desk.get(f"{path}/analytics/system-usage", "hue", params=params)["data"]


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
        ("0001-01-01", "9999-12-31T23:59:59.999Z", 3),
        ("0001-01-01T00:00:00-14:00", "9999-12-31T23:59:59+14:00", 3),
        ("9999-12-31", "9999-12-31", 0),
        ("0001-01-01", "0001-01-01", 0),
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
    ids = [{name: row.pop(name) for name in ("deleted", "groupId", "projectId") if name in row} for row in found]

    assert found == rows
    assert list(found[0])[-6:] == KEYS
    if group_by == "group":
        assert ids == [{"deleted": False, "groupId": hub.spot("campus", row["group"]).node.id} for row in found]
    elif group_by == "project":
        nodes = [hub.spot("campus", row["group"], row["project"]).node for row in found]
        assert ids == [{"deleted": False, "projectId": node.id} for node in nodes]
    else:
        assert ids == [{}] * len(found)


def test_usage_by_user(hub: Campus) -> None:
    """With id and address."""
    found = numbers(hub, allTime=True, groupBy="user", orderBy="email")

    assert [(row["email"], row["jobs"]) for row in found] == [("max@example.org", 1), ("mia@example.org", 2)]
    assert [row["userId"] for row in found] == [hub.people[name].user_id for name in ("max", "mia")]


def test_groups_that_were_deleted_are_counted(hub: Campus) -> None:
    """History is kept."""
    desks.succeed(hub.desk.ask("DELETE", f"{HUB}/Groups/lab", "hue"))

    assert numbers(hub, allTime=True) == of(3, 6, 12)
    rows = numbers(hub, allTime=True, groupBy="group")
    assert [(row["group"], row["deleted"]) for row in rows] == [("club", False), ("lab", True)]
    rows = numbers(hub, allTime=True, groupBy="project")
    assert [(row["project"], row["deleted"]) for row in rows] == [("solo", False), ("one", True), ("two", True)]


def test_a_name_that_is_used_again_is_another_project(hub: Campus) -> None:
    """What was deleted and what has its name now are rows of their own, in lists of groups too."""
    old = hub.spot("campus", "lab", "one")
    hub.desk.ask("DELETE", campus.LAB, "hue")
    campus.stage(hub)
    hub.ended("mia", "lab", "one", waits=5, runs=7, begins=120)
    new = hub.spot("campus", "lab", "one")

    rows = [row for row in numbers(hub, allTime=True, groupBy="project") if row["project"] == "one"]
    assert [(row["projectId"], row["deleted"], row["runTime"]) for row in rows] == [
        (new.node.id, False, 7000),
        (old.node.id, True, 2000),
    ]
    rows = [row for row in numbers(hub, allTime=True, groupBy="group") if row["group"] == "lab"]
    assert [(row["groupId"], row["deleted"], row["runTime"]) for row in rows] == [
        (new.way[1].id, False, 7000),
        (old.way[1].id, True, 6000),
    ]
    assert numbers(hub, allTime=True)["runTime"] == 19_000


def test_use_of_a_group_and_of_a_project(hub: Campus) -> None:
    """Below their paths, as of the hub; of one that was deleted until its name is used again."""
    for path, whole in ((campus.LAB, of(2, 3, 6)), (campus.ONE, of(1, 1, 2)), (campus.SOLO, of(1, 3, 6))):
        assert use(hub, path) == whole
    for _ in range(2):
        hub.desk.ask("DELETE", campus.ONE, "hue")
        assert use(hub, campus.ONE) == of(1, 1, 2)
        hub.desk.ask("DELETE", campus.LAB, "hue")
        assert use(hub, campus.ONE) == of(1, 1, 2)
        assert use(hub, campus.LAB) == of(2, 3, 6)
    campus.stage(hub)
    assert use(hub, campus.ONE) == use(hub, campus.LAB) == NOTHING


def test_jobs_of_a_deleted_project(hub: Campus) -> None:
    """They are listed below its path, and below its group's."""
    before = {path: hub.desk.get(f"{path}/jobs/all", "hue") for path in (HUB, campus.LAB, campus.ONE)}
    hub.desk.ask("DELETE", campus.LAB, "hue")

    assert {path: hub.desk.get(f"{path}/jobs/all", "hue") for path in before} == before
    assert [len(jobs) for jobs in before.values()] == [3, 2, 1]


def test_jobs_that_never_ran_do_not_shorten_the_average(hub: Campus) -> None:
    """They have waited, though, until they ended."""
    job = hub.job("mia", "lab", "one", seconds=120, state=State.QUEUED)
    hub.desk.store.write(lambda tx: records.advance(tx, job.id, (State.CANCELLED,), after(124)))

    data = use(hub, campus.ONE)
    assert (data["jobs"], data["executions"], data["queueTime"], data["runTime"]) == (2, 1, 5000, 2000)
    assert (data["averageRunTime"], data["averageQueueTime"]) == (2000, 2500)


def test_rows_are_those_of_a_recount(desk: Desk) -> None:
    """For any jobs in projects that come and go under the same names; the sum of all rows is the whole."""
    hub = campus.build(desk)
    known: list[tuple[tuple[str, ...], bool, int]] = []
    steps = st.lists(
        st.tuples(st.sampled_from(["one", "two"]), st.integers(0, 3)) | st.sampled_from(["ONE", "LAB"]), max_size=5
    )

    @settings(max_examples=10)
    @given(steps=steps)
    def check(steps: list[Any]) -> None:
        for step in steps:
            if isinstance(step, str):
                hub.desk.ask("DELETE", campus.ONE if step == "ONE" else campus.LAB, "hue")
                campus.stage(hub)
                continue
            project, runs = step
            hub.ended("mia", "lab", project, waits=1, runs=runs)
            way = tuple(node.id for node in hub.spot("campus", "lab", project).way)
            known.append((way, runs > 0, 1000 * runs))
        for group_by, depth in (("group", 1), ("project", 2)):
            rows = numbers(hub, allTime=True, groupBy=group_by)
            expected: dict[str, list[tuple[bool, int]]] = {}
            for way, ran, run_ms in known:
                expected.setdefault(way[depth], []).append((ran, run_ms))
            assert {row[f"{group_by}Id"]: (row["jobs"], row["runTime"], row["averageRunTime"]) for row in rows} == {
                node: (
                    len(jobs),
                    sum(ms for _, ms in jobs),
                    sum(ms for _, ms in jobs) / max(1, sum(r for r, _ in jobs)),
                )
                for node, jobs in expected.items()
            }
            there = {
                hub.spot("campus", "lab").node.id,
                *(hub.spot("campus", "lab", name).node.id for name in ("one", "two")),
            }
            assert all(row["deleted"] is (row[f"{group_by}Id"] not in there) for row in rows)
            assert sum(row["jobs"] for row in rows) == numbers(hub, allTime=True)["jobs"]

    check()


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
        ({"startDate": "0001-01-01T00:00:00+14:00", "endDate": DAY}, "1 to 9999"),
        ({"startDate": DAY, "endDate": "9999-12-31T23:59:59-14:00"}, "1 to 9999"),
        ({"startDate": "0000-01-01", "endDate": DAY}, "startDate"),
        ({"startDate": "00-10-2026", "endDate": DAY}, "startDate"),
        ({"startDate": "20260314", "endDate": DAY}, "startDate"),
        ({"startDate": "2026-W11-6", "endDate": DAY}, "startDate"),
        ({"startDate": DAY, "endDate": "2026-03-14T12"}, "endDate"),
        ({"allTime": "true"}, "allTime"),
        ({"allTime": True, "startDate": "garbage"}, "startDate"),
        ({"allTime": True, "endDate": "garbage"}, "endDate"),
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


def test_any_date_is_answered(desk: Desk) -> None:
    """With numbers, or with what a date must be; whatever its year and offset."""
    hub = campus.build(desk)
    offsets = st.sampled_from(["", "Z", "+14:00", "-14:00", "+23:59", "-23:59", " 01:00"])
    edges = st.sampled_from(["0000-01-01", "0001-01-01", "0001-12-31", "1969-12-31", "9999-01-01", "9999-12-31"])
    days = edges | st.dates().map(str) | st.from_regex(r"\d{4}-\d\d-\d\d", fullmatch=True)
    times = st.sampled_from(["T00:00", "T23:59:59", "T23:59:59.999999999"])
    texts = days | st.builds("{}{}{}".format, days, times, offsets) | st.from_regex(r"\d\d?-\d\d?-(\d{4}|\d\d)")
    texts |= st.text(max_size=8)

    @settings(max_examples=100)
    @given(start=texts, end=texts)
    def check(start: str, end: str) -> None:
        answer = asked(hub, startDate=start, endDate=end)
        if answer.status_code != 200:
            desks.error(answer, 400, 1001)

    check()


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
        assert list(rows[0]) == ["group", "project", "deleted", "projectId", *KEYS]
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


def test_no_cell_of_a_table_is_a_formula(hub: Campus) -> None:
    """An address that a spreadsheet would reckon with is shown as a text; in JSON it is as it is."""
    old = sa.text("UPDATE users SET email = '=cmd@example.org' WHERE email = 'max@example.org'")
    hub.desk.store.write(lambda tx: tx.execute(old))

    rows = csv.DictReader(io.StringIO(asked(hub, allTime=True, groupBy="user", form="csv").text))
    assert "'=cmd@example.org" in [row["email"] for row in rows]
    assert "=cmd@example.org" in [row["email"] for row in numbers(hub, allTime=True, groupBy="user")]
