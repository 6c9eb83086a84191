# SPDX-License-Identifier: Apache-2.0
"""Documents of the Experience API: every state, both presentations, exactly the keys that clients bear."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandelier.devices import Device, DeviceId
from chandelier.experience import documents
from chandelier.experience.documents import Facts
from chandelier.jobs import lifecycle
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job, JobId
from chandelier.tenancy.access import Available, Principal
from chandelier.tenancy.grants import Limits
from chandelier.tenancy.network import DEFAULT_GROUP, DEFAULT_HUB, DEFAULT_PROJECT, Node, Place, ProjectId
from chandelier.tenancy.users import Login, UserId
from factories import NOW, SUMMARY, after

DEVICE = Device(DeviceId("d1"), "ibmq_one", "1.2.3", False, 5, 100, 10, "active", "", NOW, "digest")

#: Keys that are in the reduced view of every job. Source: protocol 6.3.
ALWAYS = {"id", "kind", "status", "creationDate", "backend", "hubInfo", "runMode", "userId", "tags", "liveDataEnabled"}


def node(name: str) -> Node:
    """Return a hub, group or project."""
    return Node(f"id of {name}", name, f"title of {name}", "", 1000, NOW, None)


HOME = Place(node(DEFAULT_HUB), node(DEFAULT_GROUP), node(DEFAULT_PROJECT))


def a_job(state: State, **details: Any) -> Job:
    """Return a job as its row would tell it."""
    usual: dict[str, Any] = dict.fromkeys(Job.__struct_fields__) | {
        "id": JobId("0123456789abcdef01234567"),
        "created": NOW,
        "user_id": UserId("u1"),
        "project_id": ProjectId("p1"),
        "device_id": DEVICE.id,
        "kind": "q-object",
        "state": state,
        "live_data": False,
        "address": "",
        "calibration": "digest",
        "claims": 0,
        "deaths": 0,
        "tags": (),
        "ended": after(9) if state in lifecycle.FINAL else None,
    }
    return Job(**usual | details)


FACTS = Facts(DEVICE, HOME)


@pytest.mark.parametrize("state", sorted(State))
@pytest.mark.parametrize("versioned", [True, False])
def test_every_state_has_a_document(state: State, versioned: bool) -> None:
    """With the keys that are always there, and some that depend on the state."""
    reduced = documents.status(a_job(state), FACTS, versioned=versioned)
    whole = documents.full(a_job(state), FACTS, versioned=versioned)

    assert reduced.keys() >= ALWAYS
    assert whole.keys() >= reduced.keys()
    assert whole | reduced == whole
    assert ("endDate" in reduced) == (state in lifecycle.FINAL)
    assert ("error" in reduced) == (state in lifecycle.FAILED)
    assert ("infoQueue" in reduced) == (state is State.QUEUED)
    assert None not in whole.values()
    json.dumps(whole)


@pytest.mark.parametrize("state", sorted(State))
def test_the_versioned_presentation_shows_every_state_as_it_is(state: State) -> None:
    """And every job as kept in object storage."""
    document = documents.status(a_job(state, kind="q-object"), FACTS, versioned=True)

    assert (document["status"], document["kind"]) == (state.value, "q-object-external-storage")


def test_the_unversioned_presentation_knows_no_waiting() -> None:
    """Every state has a word in it that the oldest clients know. Source: protocol 6.4."""
    words = {state: documents.status(a_job(state), FACTS, versioned=False)["status"] for state in State}

    assert set(documents.UNVERSIONED) == set(State)
    assert {state for state, word in words.items() if word != state.value} == {
        State.CREATED,
        State.VALIDATED,
        State.QUEUED,
    }
    assert words[State.QUEUED] == "RUNNING"
    assert words[State.CREATED] == words[State.VALIDATED] == "VALIDATING"
    assert not set(words.values()) & {"CREATED", "VALIDATED", "QUEUED"}


def test_a_queued_job_has_its_position() -> None:
    """If it is known."""
    known = documents.status(a_job(State.QUEUED), Facts(DEVICE, HOME, position=3), versioned=False)
    unknown = documents.status(a_job(State.QUEUED), FACTS, versioned=True)

    assert known["infoQueue"] == {"status": "PENDING_IN_QUEUE", "position": 3}
    assert unknown["infoQueue"] == {"status": "PENDING_IN_QUEUE"}


def test_a_failed_job_says_why() -> None:
    """A cancelled one does not: clients take any `error` for a failure. Source: traps 3."""
    failed = a_job(State.ERROR_RUNNING_JOB, error_code=8022, error_message="too much memory")

    assert documents.status(failed, FACTS, versioned=True)["error"] == {"code": 8022, "message": "too much memory"}
    bare = documents.status(a_job(State.ERROR_CREATING_JOB), FACTS, versioned=True)["error"]
    assert isinstance(bare["code"], int)
    assert bare["message"]
    assert "error" not in documents.full(a_job(State.CANCELLED), FACTS, versioned=True)


def test_optional_facts_are_left_out_where_there_are_none() -> None:
    """And shown where there are."""
    named = a_job(State.COMPLETED, name="bell", share_level="none", experiment_tag="t", tags=("a", "b"), shots=7)
    document = documents.full(named, FACTS, versioned=True)
    bare = documents.full(a_job(State.CREATING), FACTS, versioned=True)

    shown = {key: document[key] for key in ("name", "shareLevel", "experimentTag", "tags", "shots")}
    assert shown == {"name": "bell", "shareLevel": "none", "experimentTag": "t", "tags": ["a", "b"], "shots": 7}
    assert not bare.keys() & {"name", "shareLevel", "experimentTag", "shots", "endDate", "error"}
    assert bare["tags"] == []


def test_the_steps_are_shown_with_their_times() -> None:
    """The last time counts where a state was entered twice."""
    steps = [(State.CREATING, NOW), (State.RUNNING, after(1)), (State.QUEUED, after(2)), (State.RUNNING, after(3))]
    document = documents.full(a_job(State.RUNNING), Facts(DEVICE, HOME, steps=steps), versioned=True)

    assert document["timePerStep"] == {
        "CREATING": "2026-03-14T15:09:26.000Z",
        "RUNNING": "2026-03-14T15:09:29.000Z",
        "QUEUED": "2026-03-14T15:09:28.000Z",
    }


def test_the_summary_tells_what_is_known() -> None:
    """Sizes, time, success, and the program's numbers."""
    job = a_job(
        State.COMPLETED,
        input_bytes=10,
        output_bytes=20,
        seconds=1.5,
        cost=1.5,
        summary=msgspec.to_builtins(SUMMARY),
    )
    document = documents.full(job, FACTS, versioned=True)

    assert document["cost"] == 1.5
    assert document["summaryData"]["size"] == {"input": 10, "output": 20}
    assert (document["summaryData"]["success"], document["summaryData"]["resultTime"]) == (True, 1.5)
    assert document["summaryData"]["summary"]["num_circuits"] == SUMMARY.experiments
    assert document["summaryData"]["summary"]["qobj_config"]["shots"] == SUMMARY.shots
    assert documents.full(a_job(State.CREATING), FACTS, versioned=True)["summaryData"] == {"size": {}}


def test_the_account_has_the_keys_of_the_strictest_client() -> None:
    """First and last name are taken apart. Source: protocol 3.2."""
    urls = {"http": "http://x", "ws": "ws://x", "services": {}}
    me = documents.me(Principal(UserId("u1"), "zoe@example.org", "Zoe van Zed", False), urls)

    assert (me["firstName"], me["lastName"]) == ("Zoe", "van Zed")
    assert (me["id"], me["email"], me["urls"]) == ("u1", "zoe@example.org", urls)
    nameless = documents.me(Principal(UserId("u1"), "zoe@example.org", "", False), urls)
    assert (nameless["firstName"], nameless["lastName"]) == (None, None)


def test_the_tree_has_each_hub_once() -> None:
    """With groups and projects by name, in order; the default one is marked."""
    hub, group = node("other"), node("lab")
    places = [HOME, Place(hub, group, node("one")), Place(hub, group, node("two")), Place(hub, node("b"), node("one"))]
    tree = documents.hubs(places, {HOME.project_id: [Available(DEVICE, 7, Limits())]})

    assert [(entry["name"], entry["isDefault"]) for entry in tree] == [("ibm-q", True), ("other", False)]
    assert list(tree[1]["groups"]) == ["lab", "b"]
    assert list(tree[1]["groups"]["lab"]["projects"]) == ["one", "two"]
    home = tree[0]["groups"]["open"]["projects"]["main"]
    assert home["isDefault"]
    assert (home["devices"]["d1"]["name"], home["devices"]["d1"]["priority"]) == ("ibmq_one", 7)
    assert tree[1]["groups"]["lab"]["projects"]["one"]["devices"] == {}


@pytest.mark.parametrize(
    ("state", "message", "operational", "status"),
    [
        ("active", "", True, "active"),
        ("active", "calibrated at noon", True, "active"),
        ("paused", "", True, "paused"),
        ("paused", "cooling down", True, "paused: cooling down"),
        ("maintenance", "", False, "maintenance"),
        ("maintenance", "new wiring", False, "maintenance: new wiring"),
        ("drain", "moving house", False, "drain: moving house"),
    ],
)
def test_a_device_says_whether_it_works(state: Any, message: str, operational: bool, status: str) -> None:
    """And how many wait; the client compares the word for an active device, and shows no other text."""
    device = msgspec.structs.replace(DEVICE, state=state, message=message)

    assert documents.queue_status(device, 3) == {
        "state": operational,
        "status": status,
        "message": message,
        "lengthQueue": 3,
        "backend_version": "1.2.3",
        "busy": True,
    }
    assert documents.queue_status(device, 0)["busy"] is False


def test_a_login_tells_its_lifetime_in_seconds() -> None:
    """As recorded. Source: protocol 2.1."""
    document = documents.login(Login("feed", UserId("u1"), NOW, timedelta(days=14)))

    assert document == {"id": "feed", "ttl": 1209600, "created": "2026-03-14T15:09:26.000Z", "userId": "u1"}


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # aware by the strategy
def test_dates_are_read_back_to_the_millisecond(moment: datetime) -> None:
    """With three digits and a Z, as every client reads them. Source: traps 18."""
    text = documents.date(moment)

    assert len(text) == len("2026-03-14T15:09:26.535Z")
    assert text.endswith("Z")
    assert timedelta(0) <= moment - datetime.fromisoformat(text) < timedelta(milliseconds=1)
