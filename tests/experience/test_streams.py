# SPDX-License-Identifier: Apache-2.0
"""The status WebSocket: greeting, order of messages, frames, close codes, and what is pushed when."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import desk as desks
import pytest
from desk import Desk
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

import factories
from chandelier.experience import stream
from chandelier.jobs import outcomes, records
from chandelier.jobs.lifecycle import FAILED, FINAL, State

ENDED, NOT_FOUND, POLICY = 4002, 4003, 1008
NEW, OLD = "/v/1", ""
FORMS = ("/jobs/{}/status", "/api/Jobs/{}/status", "/JOBS/{}/STATUS")


@contextmanager
def dialled(desk: Desk, job: str, view: str = NEW, form: str = FORMS[0]) -> Iterator[WebSocketTestSession]:
    """Open the stream of a job."""
    with desk.http.websocket_connect(form.format(job) + view) as socket:
        yield socket


def greet(desk: Desk, socket: WebSocketTestSession, who: str = "ann") -> None:
    """Send the first message."""
    socket.send_text(json.dumps({"type": "authentication", "data": desk.tokens[who]}))


def hear(socket: WebSocketTestSession) -> dict[str, Any]:
    """Return the next message, which must be in a binary frame."""
    frame = socket.receive()
    if frame["type"] == "websocket.close":
        raise WebSocketDisconnect(frame["code"])
    assert frame.get("text") is None
    message: dict[str, Any] = json.loads(frame["bytes"])
    return message


def closed(socket: WebSocketTestSession) -> int:
    """Return the code of the close that must come next."""
    with pytest.raises(WebSocketDisconnect) as caught:
        hear(socket)
    return caught.value.code


@contextmanager
def followed(desk: Desk, job: str, view: str = NEW, who: str = "ann") -> Iterator[WebSocketTestSession]:
    """Open the stream of a job and pass the greeting."""
    with dialled(desk, job, view) as socket:
        greet(desk, socket, who)
        assert hear(socket) == {"type": "authenticated"}
        yield socket


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("view", [NEW, OLD])
def test_the_first_status_comes_at_once(desk: Desk, state: State, view: str) -> None:
    """The same reduced document that the path of the same view has; the end of the job is the end of the stream."""
    job = desk.brought(state, inline=state in FINAL and state is not State.ERROR_CREATING_JOB)
    with followed(desk, job, view) as socket:
        message = hear(socket)
        assert message["type"] == "job-status"
        document = desk.get(f"/Jobs/{job}/status{view}")
        assert message["data"] == document
        assert set(document) >= {"id", "status", "kind", "creationDate", "backend"}
        assert ("infoQueue" in document) == (state is State.QUEUED)
        assert ("error" in document) == (state in FAILED)
        if state in FINAL:
            assert closed(socket) == ENDED


@pytest.mark.parametrize("form", FORMS)
def test_the_path_may_be_written_differently(desk: Desk, form: str) -> None:
    """With and without the base of the API, in any case, with a slash at the end; both views."""
    job = desk.brought(State.QUEUED)
    for view, status in ((NEW, "QUEUED"), (NEW + "/", "QUEUED"), (OLD, "RUNNING"), ("/", "RUNNING")):
        with dialled(desk, job, view, form) as socket:
            greet(desk, socket)
            assert hear(socket) == {"type": "authenticated"}
            assert hear(socket)["data"]["status"] == status


def test_every_change_is_pushed(either: Desk) -> None:
    """One message for each, in order, and the last one before the end."""
    either.store.database.watch()
    job = either.inline()
    seen = []
    with followed(either, job) as socket:
        seen.append(hear(socket)["data"])
        either.validate()
        seen.append(hear(socket)["data"])
        claim = either.run()
        seen.append(hear(socket)["data"])
        either.settle(claim, desks.RESULT)
        seen.append(hear(socket)["data"])
        assert closed(socket) == ENDED

    assert [document["status"] for document in seen] == ["VALIDATING", "QUEUED", "RUNNING", "COMPLETED"]
    assert ["infoQueue" in document for document in seen] == [False, True, False, False]
    assert "endDate" in seen[-1]


def test_old_streams_know_no_waiting(desk: Desk) -> None:
    """A waiting job reads running, with the queue beside it."""
    job = desk.inline()
    seen = []
    with followed(desk, job, OLD) as socket:
        seen.append(hear(socket)["data"])
        desk.validate()
        seen.append(hear(socket)["data"])
        claim = desk.run()
        seen.append(hear(socket)["data"])
        desk.settle(claim, desks.REFUSED)
        seen.append(hear(socket)["data"])
        assert closed(socket) == ENDED

    assert [document["status"] for document in seen] == ["VALIDATING", "RUNNING", "RUNNING", "ERROR_RUNNING_JOB"]
    assert [document.get("infoQueue", {}).get("status") for document in seen] == [None, "PENDING_IN_QUEUE", None, None]
    assert seen[-1]["error"]["code"] == 8001
    assert {document["kind"] for document in seen} == {"q-object"}


def test_changes_that_come_in_one_commit_are_one_message(desk: Desk) -> None:
    """Only what is now is told."""
    job = desk.opened()
    with followed(desk, job["id"]) as socket:
        assert hear(socket)["data"]["status"] == "CREATING"
        desk.http.put(job["objectStorageInfo"]["uploadUrl"], content=factories.a_program())
        desk.post(f"/Jobs/{job['id']}/jobDataUploaded")
        assert hear(socket)["data"]["status"] == "VALIDATING"
        desk.post(f"/Jobs/{job['id']}/cancel")
        assert hear(socket)["data"]["status"] == "CANCELLED"
        assert closed(socket) == ENDED


def test_several_may_follow_one_job(desk: Desk) -> None:
    """Each hears of its end, and nobody of other jobs."""
    job, other = desk.inline(), desk.inline()
    with followed(desk, job) as one, followed(desk, job, OLD) as two, followed(desk, other) as three:
        for socket in (one, two, three):
            hear(socket)
        desk.post(f"/Jobs/{job}/cancel")
        for socket in (one, two):
            assert hear(socket)["data"]["status"] == "CANCELLED"
            assert closed(socket) == ENDED
        desk.post(f"/Jobs/{other}/cancel")
        assert hear(three)["data"]["id"] == other


@pytest.mark.parametrize("job", ["unknown", "0" * 24, "%00", "a" * 5000])
def test_an_unknown_job_closes_with_its_code(either: Desk, job: str) -> None:
    """After the greeting, so that the client knows that its token was right."""
    with followed(either, job) as socket:
        assert closed(socket) == NOT_FOUND


def test_a_foreign_job_closes_like_an_unknown_one(desk: Desk) -> None:
    """An operator may follow it."""
    job = desk.inline("bob")
    with followed(desk, job) as socket:
        assert closed(socket) == NOT_FOUND
    with followed(desk, job, who="root") as socket:
        assert hear(socket)["data"]["id"] == job


def test_a_job_that_is_deleted_closes_with_its_code(desk: Desk) -> None:
    """Also while it is followed."""
    job = records.JobId(desk.inline())
    with followed(desk, job) as socket:
        hear(socket)

        def work(tx: Any) -> None:
            outcomes.cancel(tx, records.get(tx, job), desks.now())
            records.delete(tx, job, desks.now())

        desk.store.write(work)
        assert closed(socket) == NOT_FOUND


def test_a_wrong_token_is_told_nothing(desk: Desk) -> None:
    """Neither an API token nor an empty one opens a stream; the query string does not count."""
    job = desk.inline()
    for token in ("wrong", "", "\u00e9", "a" * 10000):
        with dialled(desk, job, f"{NEW}?access_token={desk.tokens['ann']}") as socket:
            socket.send_text(json.dumps({"type": "authentication", "data": token}))
            assert closed(socket) == POLICY


@pytest.mark.parametrize(
    "first",
    [
        "",
        "hello",
        "{",
        "[]",
        "null",
        "{}",
        '{"type": 1}',
        '{"type": "authentication"}',
        '{"type": "authentication", "data": null}',
        '{"type": "authentication", "data": {"a": 1}}',
        '{"a":' * 5000,
        r'{"type": "authentication", "data": "\ud800"}',
        b"\xff\xfe\xfd",
        b'{"type": "\xff"}',
        b"",
    ],
    ids=range(15),
)
def test_garbage_ends_the_stream(desk: Desk, first: str | bytes) -> None:
    """As a wrong token does: the client should not try again with the same."""
    job = desk.inline()
    with dialled(desk, job) as socket:
        socket.send({"type": "websocket.receive", ("text" if isinstance(first, str) else "bytes"): first})
        assert closed(socket) == POLICY


def test_the_greeting_may_come_in_a_binary_frame(desk: Desk) -> None:
    """Frames are JSON either way."""
    with dialled(desk, desk.inline()) as socket:
        socket.send_bytes(json.dumps({"type": "authentication", "data": desk.tokens["ann"]}).encode())
        assert hear(socket) == {"type": "authenticated"}


def test_who_says_nothing_is_let_go(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while."""
    monkeypatch.setattr(stream, "_PATIENCE_SECONDS", 0.01)
    with dialled(desk, desk.inline()) as socket:
        assert closed(socket) == POLICY


def test_the_last_status_is_repeated(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the real server did, so that a line that is silent for long is known to be dead."""
    monkeypatch.setattr(stream, "_REPEAT_SECONDS", 0.01)
    with followed(desk, desk.inline()) as socket:
        assert [hear(socket)["data"]["status"] for _ in range(3)] == ["VALIDATING"] * 3


def test_what_the_client_says_later_is_ignored(desk: Desk) -> None:
    """The protocol has no further message."""
    job = desk.inline()
    with followed(desk, job) as socket:
        hear(socket)
        for words in ("hello", '{"type": "client", "data": "release"}', "{"):
            socket.send_text(words)
        desk.post(f"/Jobs/{job}/cancel")
        assert hear(socket)["data"]["status"] == "CANCELLED"
        assert closed(socket) == ENDED


def test_a_client_may_leave_at_any_time(desk: Desk) -> None:
    """Before the greeting, after it, and in the middle; nobody listens to the bell any more then."""
    job = desk.inline()
    with dialled(desk, job):
        pass
    with followed(desk, job):
        pass
    with followed(desk, job) as socket:
        hear(socket)

    assert set(desk.store.bell._listeners) == {"network"}  # the memory of names listens as long as the cloud stands


def test_another_path_has_no_stream(desk: Desk) -> None:
    """The upgrade is refused."""
    for path in ("/jobs/x/live_data", "/jobs", "/"):
        with pytest.raises(WebSocketDisconnect), desk.http.websocket_connect(path):
            raise AssertionError(path)
