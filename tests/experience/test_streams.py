# SPDX-License-Identifier: Apache-2.0
"""The status WebSocket: greeting, order of messages, frames, close codes, and what is pushed when."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import desk as desks
import pytest
from desk import Desk
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import WebSocketDenialResponse, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

import factories
from chandelier.experience import stream, watch
from chandelier.jobs import outcomes, records
from chandelier.jobs.lifecycle import FAILED, FINAL, State
from chandelier.tenancy import users

ENDED, NOT_FOUND, POLICY, CROWDED = 4002, 4003, 1008, 1013
NEW, OLD = "/v/1", ""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "data", "a"]), inner),
    max_leaves=8,
)
#: First messages, nearly right and not at all; none of them has a token that is valid.
GREETINGS = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200),
    JSON.map(json.dumps),
    st.fixed_dictionaries({"type": st.text() | st.just("authentication"), "data": JSON}).map(json.dumps),
    st.text(alphabet="0123456789abcdef", max_size=128).map(
        lambda token: json.dumps({"type": "authentication", "data": token}).encode()
    ),
)
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


def untimed(document: dict[str, Any]) -> dict[str, Any]:
    """Return a status without what is foretold, which comes later, and on which two looks need not agree."""
    told = {key: document["infoQueue"][key] for key in ("status", "position") if "infoQueue" in document}
    return document | {"infoQueue": told} if told else document


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("view", [NEW, OLD])
def test_the_first_status_comes_at_once(desk: Desk, state: State, view: str) -> None:
    """The same reduced document that the path of the same view has; the end of the job is the end of the stream."""
    job = desk.brought(state, inline=state in FINAL and state is not State.ERROR_CREATING_JOB)
    with followed(desk, job, view) as socket:
        message = hear(socket)
        assert message["type"] == "job-status"
        document = desk.get(f"/Jobs/{job}/status{view}")
        assert untimed(message["data"]) == untimed(document)
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


def test_nothing_is_repeated(desk: Desk) -> None:
    """Rings for everybody, and for the job itself, tell nothing that was told; nor does the time."""
    job = desk.inline()
    with followed(desk, job) as socket:
        hear(socket)
        for _ in range(20):
            desk.store.bell.ring_all()
            desk.store.bell.ring(f"job:{job}")
        desk.post(f"/Jobs/{job}/cancel")
        assert hear(socket)["data"]["status"] == "CANCELLED"
        assert closed(socket) == ENDED


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

    deadline = time.monotonic() + 30
    while len(desk.store.bell._ears) > 1 and time.monotonic() < deadline:  # the watch goes when all have gone
        pass
    assert not desk.store.bell._listeners
    assert len(desk.store.bell._ears) == 1  # what the cloud remembers listens as long as it stands


def test_another_path_has_no_stream(desk: Desk) -> None:
    """The upgrade is refused."""
    for path in ("/jobs", "/"):
        with pytest.raises(WebSocketDisconnect), desk.http.websocket_connect(path):
            raise AssertionError(path)


@pytest.mark.parametrize("path", ["/jobs/x/live_data", "/api/Jobs/x/live_data", "/jobs/x/live_data/"])
def test_live_data_are_refused_before_the_upgrade(desk: Desk, path: str) -> None:
    """In the words of the other errors; the client then does without."""
    with pytest.raises(WebSocketDenialResponse) as refused, desk.http.websocket_connect(path):
        raise AssertionError(path)

    desks.error(refused.value, 404, 1010)


def test_live_data_are_refused_by_servers_that_know_no_words_for_it(desk: Desk) -> None:
    """The ASGI server then answers with a bare 403."""
    assert asked(desk, "/jobs/x/live_data", []) == [{"type": "websocket.close", "code": 1000, "reason": ""}]


def test_one_user_may_have_so_many_streams(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is closed with "try again later"; others may, and so may the user when one has ended."""
    monkeypatch.setattr(watch, "_MOST_OF_USER", 2)
    one, two = desk.inline(), desk.inline()
    with followed(desk, one) as first, followed(desk, two) as second:
        hear(first)
        hear(second)
        with followed(desk, one) as third:
            assert closed(third) == CROWDED
        with followed(desk, one, who="root") as other:
            assert hear(other)["data"]["id"] == one
        desk.post(f"/Jobs/{two}/cancel")
        assert hear(second)["data"]["status"] == "CANCELLED"
        with followed(desk, one) as third:
            assert hear(third)["data"]["id"] == one


def test_a_server_may_have_so_many_streams(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused before the upgrade, so that requests still get through; the client polls then."""
    monkeypatch.setattr(stream, "_MOST", 1)
    job = desk.inline()
    with followed(desk, job) as socket:
        hear(socket)
        with pytest.raises(WebSocketDenialResponse) as refused, dialled(desk, job):
            raise AssertionError
        desks.error(refused.value, 429, 1007)
    with followed(desk, job) as socket:
        assert hear(socket)["data"]["id"] == job


@pytest.mark.parametrize("round_seconds", [0.05, 3600.0])
def test_a_token_that_is_revoked_closes_its_streams(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, round_seconds: float
) -> None:
    """On the round at the latest, and before the next message; streams of other tokens go on."""
    monkeypatch.setattr(watch, "_ROUND_SECONDS", round_seconds)
    job = desk.inline()
    text, token = desk.store.write(lambda tx: users.issue(tx, desk.town.ann.user_id, "access", desks.now()))
    desk.tokens["lost"] = text
    with followed(desk, job, who="lost") as lost, followed(desk, job) as kept:
        hear(lost)
        hear(kept)
        desk.store.write(lambda tx: users.revoke(tx, token.id, desks.now()))
        if round_seconds > 1:
            desk.post(f"/Jobs/{job}/cancel")
        assert closed(lost) == POLICY
        if round_seconds < 1:
            desk.post(f"/Jobs/{job}/cancel")
        assert hear(kept)["data"]["status"] == "CANCELLED"


def test_a_shared_job_is_told_while_it_is_shared(desk: Desk) -> None:
    """Whoever may read it may follow it; no longer, and the next change closes the stream."""
    job = records.JobId(desk.inline(shareLevel="project"))
    with followed(desk, job, who="bob") as socket:
        assert hear(socket)["data"]["id"] == job
        desk.store.write(lambda tx: records.note(tx, job, share_level=None))
        desk.post(f"/Jobs/{job}/cancel")
        assert closed(socket) == NOT_FOUND


def test_a_new_place_in_the_queue_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the round; the state is the same."""
    monkeypatch.setattr(watch, "_ROUND_SECONDS", 0.05)
    first = desk.brought(State.QUEUED)
    second = desk.inline()
    desk.validate()
    with followed(desk, second) as new, followed(desk, second, OLD) as old:
        for socket in (new, old):
            info = hear(socket)["data"]["infoQueue"]
            assert (info["status"], info["position"]) == ("PENDING_IN_QUEUE", 2)
            # What is foretold is told as soon as it is.
            while "globalPosition" not in info:
                info = hear(socket)["data"]["infoQueue"]
            assert (info["position"], info["globalPosition"]) == (2, 2)
        desk.post(f"/Jobs/{first}/cancel")
        for socket, status in ((new, "QUEUED"), (old, "RUNNING")):
            document = hear(socket)["data"]
            assert document["status"] == status
            assert document["infoQueue"]["position"] == 1


@given(first=GREETINGS)
@settings(max_examples=60)
def test_any_first_message_is_an_authentication_or_ends_the_stream(desk: Desk, first: str | bytes) -> None:
    """Whatever it is; nothing of the job is told."""
    event = {"type": "websocket.receive", ("text" if isinstance(first, str) else "bytes"): first}
    answers = asked(desk, f"/jobs/{'0' * 24}/status/v/1", [event])

    assert [answer["type"] for answer in answers] == ["websocket.accept", "websocket.close"]
    assert answers[-1]["code"] == POLICY


def asked(desk: Desk, path: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what is answered to what a client sends on a WebSocket before it is gone."""
    sent: list[dict[str, Any]] = []
    arriving = iter([{"type": "websocket.connect"}, *events])

    async def receive() -> dict[str, Any]:
        return next(arriving, {"type": "websocket.disconnect", "code": 1005})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": path, "root_path": "", "query_string": b"", "headers": [], "state": {}}
    assert desk.http.portal is not None
    desk.http.portal.call(desk.http.app, scope, receive, send)
    return sent
