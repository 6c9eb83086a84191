# SPDX-License-Identifier: Apache-2.0
"""How a job waits, as clients read it, and why, as whoever sent it is told."""

import threading
from datetime import datetime
from typing import Any

import campus
import desk as desks
import pytest
from campus import ONE, Campus
from desk import PROJECT, Desk
from sqlalchemy import Engine, event

from chandelier import devices
from chandelier.jobs import outcomes
from chandelier.jobs.lifecycle import State
from chandelier.scheduling import accuracy
from chandelier.tenancy import grants
from chandelier.tenancy.grants import Limits
from factories import NOW

#: What `infoQueue` may have.
KEYS = {
    "status",
    "position",
    "globalPosition",
    "estimatedStartTime",
    "estimatedCompleteTime",
    "estimateQuality",
    "hubPriority",
    "groupPriority",
    "projectPriority",
}


@pytest.fixture
def hub(desk: Desk) -> Campus:
    """The usual hub with its people."""
    return campus.build(desk)


def crowded(hub: Campus, *, since: float = 0) -> str:
    """Return a job of a project that has used the device lately, behind others that came `since` then, s."""
    lately = (desks.now() - NOW).total_seconds() - 60
    hub.ended("mia", "lab", "one", waits=1, runs=120, begins=lately - since - 200)
    job = hub.job("mia", "lab", "one", seconds=lately - since, state=State.QUEUED)
    hub.job("gil", "lab", "two", seconds=lately + 1 - since, state=State.QUEUED)
    hub.job("max", "club", "solo", seconds=lately + 2 - since, state=State.QUEUED)
    return job.id


def waits(desk: Desk, job: str, who: str = "ann") -> dict[str, Any]:
    """Return how a job waits, once that was foretold."""
    desk.get(f"/Jobs/{job}/queueExplanation", who)
    info: dict[str, Any] = desk.get(f"/Jobs/{job}/status/v/1", who)["infoQueue"]
    return info


def test_a_queued_job_tells_how_it_waits(desk: Desk) -> None:
    """Its places, the priorities of its project's way, and when it should begin and end; nothing is null."""
    first, second = desk.brought(State.QUEUED), desk.uploaded()
    desk.validate()
    info = waits(desk, second)

    assert set(info) == KEYS - {"estimateQuality"}
    assert (info["status"], info["position"], info["globalPosition"]) == ("PENDING_IN_QUEUE", 2, 2)
    assert [info[f"{level}Priority"] for level in ("hub", "group", "project")] == [1, 1, 1]
    start, end = (datetime.fromisoformat(info[f"estimated{word}Time"]) for word in ("Start", "Complete"))
    assert (end - start).total_seconds() == pytest.approx(0.5, abs=0.002)
    earlier = datetime.fromisoformat(waits(desk, first)["estimatedStartTime"])
    assert start >= earlier


def test_all_views_tell_the_same(desk: Desk) -> None:
    """The state alone, the whole job, both presentations, lists of both sorts, with the project's prefix or without."""
    job = desk.brought(State.QUEUED)
    info = waits(desk, job)
    views = [
        desk.get(f"{prefix}/Jobs/{job}{tail}")
        for prefix in ("", PROJECT)
        for tail in ("/status/v/1", "/status", "/v/1", "")
    ]
    views += [view for path in ("/Jobs/status/v/1", "/Jobs/status", "/Jobs/v/1", "/Jobs") for view in desk.listed(path)]

    assert len(views) == 12
    assert all(set(view["infoQueue"]) == set(info) for view in views)
    assert all(view["infoQueue"]["globalPosition"] == 1 for view in views)


@pytest.mark.parametrize("state", [state for state in State if state is not State.QUEUED])
def test_a_job_that_does_not_wait_says_nothing_of_it(desk: Desk, state: State) -> None:
    """The key is absent, not null; the explanation says in a sentence where the job is instead."""
    job = desk.brought(state)
    told = desk.get(f"/Jobs/{job}/queueExplanation")

    assert "infoQueue" not in desk.get(f"/Jobs/{job}/status/v/1")
    assert (told["status"], told["levels"], len(told["lines"])) == (state, [], 1)
    assert not {"position", "globalPosition", "hold", "estimate"} & set(told)


def test_before_anything_is_foretold_the_place_is_known(desk: Desk) -> None:
    """The first look is answered at once: it has the place in the own line, which needs no forecast."""
    info = desk.get(f"/Jobs/{desk.brought(State.QUEUED)}/status/v/1")["infoQueue"]

    assert (info["status"], info["position"]) == ("PENDING_IN_QUEUE", 1)


def test_a_paused_device_has_places_and_no_times(desk: Desk) -> None:
    """Nobody knows when it starts jobs again."""
    job = desk.brought(State.QUEUED)
    desk.store.write(lambda tx: devices.set_state(tx, "device", "paused", "It is warm."))
    info = waits(desk, job)
    told = desk.get(f"/Jobs/{job}/queueExplanation")

    assert set(info) == KEYS - {"estimatedStartTime", "estimatedCompleteTime", "estimateQuality"}
    assert "estimate" not in told
    assert "device starts no jobs at present: It is warm." in told["lines"]
    assert told["lines"][-1] == "It cannot be foretold when it starts."


def test_places_of_ones_own_and_of_all(hub: Campus) -> None:
    """A place counts the jobs of the same project; the other one counts everybody's, each place once."""
    jobs = [
        (who, hub.job(who, group, project, seconds=second, state=State.QUEUED).id)
        for second, (who, group, project) in enumerate([("mia", "lab", "one"), ("max", "club", "solo")] * 3)
    ]
    infos = [(who, waits(hub.desk, job, who)) for who, job in jobs]

    for who in ("mia", "max"):
        assert [info["position"] for asker, info in infos if asker == who] == [1, 2, 3]
    assert sorted(info["globalPosition"] for _, info in infos) == [1, 2, 3, 4, 5, 6]
    assert all(0 < info[f"{level}Priority"] <= 1 for _, info in infos for level in ("hub", "group", "project"))


def test_the_queue_of_a_device_counts_everybodys_jobs(hub: Campus) -> None:
    """`lengthQueue` has those that wait and those that run, of all projects."""
    hub.job("mia", "lab", "one", state=State.QUEUED)
    hub.job("max", "club", "solo", state=State.QUEUED)
    hub.job("max", "club", "solo", state=State.RUNNING)
    hub.job("max", "club", "solo", state=State.COMPLETED)

    assert hub.desk.get("/Backends/device/queue/status", None)["lengthQueue"] == 3


def test_no_number_has_digits_that_mean_nothing(hub: Campus) -> None:
    """Neither in the explanation nor in what the job tells of itself."""
    job = crowded(hub)
    told = hub.desk.get(f"/Jobs/{job}/queueExplanation", "mia")
    info = waits(hub.desk, job, "mia")
    priorities = [level["priority"] for level in told["levels"]]
    priorities += [info[f"{level}Priority"] for level in ("hub", "group", "project")]

    assert all(level["usage"] == round(level["usage"], 3) for level in told["levels"])
    assert all(priority == round(priority, 6) > 0 for priority in priorities)


def test_why_a_job_waits(hub: Campus) -> None:
    """At each level: the share, what was used, who goes first and why; the same in sentences; and the estimate."""
    job = crowded(hub)
    told = hub.desk.get(f"/Jobs/{job}/queueExplanation", "mia")
    levels = {level["level"]: level for level in told["levels"]}

    assert told == hub.desk.get(f"{ONE}/Jobs/{job}/queueExplanation", "mia") | {"date": told["date"]}
    assert [level["name"] for level in told["levels"]] == ["campus", "lab", "one"]
    assert [level["percent"] for level in told["levels"]] == [100, 50, 50]
    assert [level["first"] for level in told["levels"]] == [True, False, False]
    assert levels["project"]["rival"] == {"reason": "has used less for its share"}
    assert levels["project"]["usage"] > 0
    assert levels["project"]["priority"] == pytest.approx(1 / 3)
    assert (told["position"], told["globalPosition"]) == (1, 3)
    assert set(told["estimate"]) == {"start", "complete"}
    assert (
        told["lines"][0]
        == "The job waits for device as number 1 of the jobs of campus/lab/one there, and as number 3 of all."
    )
    assert any("Another group goes before it: it has used less for its share." in line for line in told["lines"])


@pytest.mark.parametrize(
    ("who", "group", "project"),
    [("mia", None, None), ("gil", None, "two"), ("hue", "club", "two"), ("root", "club", "two")],
)
def test_names_are_told_to_who_may_know_them(hub: Campus, who: str, group: str | None, project: str | None) -> None:
    """A member learns of no other place by name, an administrator of those below theirs."""
    job = crowded(hub)
    told = hub.desk.get(f"/Jobs/{job}/queueExplanation", who)

    assert [level.get("rival", {}).get("name") for level in told["levels"]] == [None, group, project]
    words = " ".join(told["lines"])
    assert ("club" in words, "two" in words) == (group is not None, project is not None)


def test_who_waited_too_long_is_told_so(hub: Campus) -> None:
    """A project that got nothing for hours goes next, though others have used less."""
    job = crowded(hub, since=7 * 3600)
    told = hub.desk.get(f"/Jobs/{job}/queueExplanation", "mia")

    assert told["globalPosition"] == 1
    assert "Its project got nothing for so long that it goes next, whatever was used." in told["lines"]


@pytest.mark.parametrize("who", ["eve", "max", "gus", "ann"])
def test_others_are_not_told(hub: Campus, who: str) -> None:
    """Not even when the job is shared with everybody: how a project stands is its own business."""
    job = hub.job("mia", "lab", "one", state=State.QUEUED)
    desks.error(hub.desk.ask("GET", f"/Jobs/{job.id}/queueExplanation", who), 404, 3250)
    hub.desk.put(f"/Jobs/{job.id}", {"shareLevel": "global"}, "mia")

    hub.desk.get(f"/Jobs/{job.id}/status/v/1", who)
    desks.error(hub.desk.ask("GET", f"/Jobs/{job.id}/queueExplanation", who), 404, 3250)


def test_what_holds_a_job_is_said(hub: Campus) -> None:
    """A limit of jobs that run at once is named, with the level that it is for."""
    limits = Limits(max_running=1)
    hub.desk.store.write(
        lambda tx: grants.grant(tx, hub.spot("campus", "lab"), hub.desk.town.device, 1000, limits, NOW)
    )
    hub.job("mia", "lab", "two", state=State.RUNNING)
    job = hub.job("mia", "lab", "one", seconds=1, state=State.QUEUED)
    told = hub.desk.get(f"/Jobs/{job.id}/queueExplanation", "mia")

    assert told["hold"]["kind"] == "running"
    assert f"It cannot start now: {told['hold']['text']}." in told["lines"]
    assert "1 job runs on the device now." in told["lines"]


def test_the_estimate_is_a_range_where_it_is_known_how_good_it_is(desk: Desk) -> None:
    """`estimateQuality` has the errors of the past; the range ends nine tenths up, and never in the past."""
    device = desk.town.device.id
    desk.store.write(lambda tx: accuracy.note(tx, {device: [10.0, 20.0, 30.0, 40.0, 50.0]}))
    job = desk.brought(State.QUEUED)
    info = waits(desk, job)
    told = desk.get(f"/Jobs/{job}/queueExplanation")
    moments = {name: datetime.fromisoformat(told["estimate"][name]) for name in ("start", "earliest", "latest")}

    assert info["estimateQuality"] == told["estimate"]["quality"] == {"p50": 30.0, "p90": 46.0}
    assert moments["earliest"] == moments["start"]
    assert (moments["latest"] - moments["start"]).total_seconds() == pytest.approx(46)


def test_polls_hear_of_a_new_forecast(desk: Desk) -> None:
    """What was remembered of a waiting job is forgotten when its place among all changes."""
    job = desk.brought(State.QUEUED)
    waits(desk, job)
    before = desk.get(f"/Jobs/{job}/status/v/1")["infoQueue"]
    claim = desk.run()
    desk.store.write(lambda tx: outcomes.requeue(tx, claim.job, desks.now()))
    after = waits(desk, job)

    assert before["globalPosition"] == after["globalPosition"] == 1
    assert after["hubPriority"] == 1


def test_a_forecast_costs_a_poll_nothing(desk: Desk) -> None:
    """What is foretold is looked up in memory: a poll reads the job and its place in the own line."""
    job = desk.brought(State.QUEUED)
    waits(desk, job)
    run: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if threading.current_thread().name.startswith("forecast"):
            return
        run.append(statement)

    desk.store.bell.ring("line")  # nothing is remembered of the answer
    event.listen(Engine, "before_cursor_execute", note)
    try:
        info = desk.get(f"/Jobs/{job}/status/v/1")["infoQueue"]
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    assert info["globalPosition"] == 1
    assert len(run) <= 8
    assert not any(table in statement for statement in run for table in ("fair_", "forecast_", "reservations"))
