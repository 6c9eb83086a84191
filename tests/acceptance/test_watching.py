# SPDX-License-Identifier: Apache-2.0
"""A job is followed over the status WebSocket: frames, messages and close codes."""

import json

import programs
import pytest
import streams
from api import Api
from clouds import Cloud
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def api(cloud: Cloud) -> Api:
    """The operator's way to the common cloud."""
    return cloud.api()


def test_a_running_job_is_followed_to_its_end(cloud: Cloud, api: Api) -> None:
    """The stream acknowledges, tells the state at once and at each change, and ends with 4002."""
    job = api.submit(programs.slow(400))
    messages, code = streams.follow(cloud, job, api.access)
    assert messages[0] == {"type": "authenticated"}
    assert {message["type"] for message in messages[1:]} == {"job-status"}
    documents = [message["data"] for message in messages[1:]]
    assert all(document["id"] == job for document in documents)
    assert all(document.get("infoQueue", {}) is not None for document in documents)
    assert documents[-1]["status"] == "COMPLETED"
    assert documents[-1]["kind"] == "q-object-external-storage"
    assert len(documents) >= 2
    assert code == 4002


def test_a_finished_job_is_told_at_once(cloud: Cloud, api: Api) -> None:
    """Whoever comes late gets the final state and the close code."""
    job = api.submit(programs.bell())
    api.wait(job)
    messages, code = streams.follow(cloud, job, api.access)
    assert [message["type"] for message in messages] == ["authenticated", "job-status"]
    assert messages[1]["data"]["status"] == "COMPLETED"
    assert code == 4002


def test_old_streams_never_say_queued(cloud: Cloud, api: Api) -> None:
    """The unversioned stream has the words of the unversioned views."""
    job = api.submit(programs.slow(200))
    messages, code = streams.follow(cloud, job, api.access, view="")
    states = {message["data"]["status"] for message in messages[1:]}
    assert states <= {"VALIDATING", "RUNNING", "COMPLETED"}
    assert code == 4002


def test_an_unknown_job_closes_with_4003(cloud: Cloud, api: Api) -> None:
    """The client then gives up the socket and polls."""
    messages, code = streams.follow(cloud, "0" * 24, api.access)
    assert not any(message["type"] == "job-status" for message in messages)
    assert code == 4003


@pytest.mark.parametrize("token", ["", "0" * 64])
def test_a_wrong_token_gets_nothing(cloud: Cloud, api: Api, token: str) -> None:
    """Without authentication nothing is told, and the stream ends."""
    job = api.submit(programs.bell())
    messages, code = streams.follow(cloud, job, token)
    assert messages == []
    assert code not in {0, 1000, 4002}


@pytest.mark.parametrize("words", ["no json", "[]", '{"type": "authentication"}', '{"type": 7, "data": {}}'])
def test_nonsense_ends_the_stream(cloud: Cloud, api: Api, words: str) -> None:
    """A first message that is no authentication closes the socket."""
    job = api.submit(programs.bell())
    with streams.dial(cloud, job) as socket:
        socket.send(words)
        with pytest.raises(ConnectionClosed):
            streams.hear(socket, 30)


def test_a_cancelled_job_ends_its_stream(cloud: Cloud, api: Api) -> None:
    """Cancellation is a final state like the others, told while it happens."""
    job = api.submit(programs.slow(8000))
    with streams.dial(cloud, job) as socket:
        streams.authenticate(socket, api.access)
        assert streams.hear(socket) == {"type": "authenticated"}
        assert api.post(f"/Jobs/{job}/cancel") == {"cancelled": True}
        messages, code = streams.hear_all(socket)
    assert messages[-1]["data"]["status"] == "CANCELLED"
    assert code == 4002


def opened(api: Api) -> str:
    """Return a job that waits for its program: it changes only when somebody changes it."""
    job = api.post("/Jobs", json={"backend": {"name": "ibmq_qasm_simulator"}, "allowObjectStorage": True})
    return str(job["id"])


def test_a_change_by_another_process_is_told(cloud: Cloud, api: Api) -> None:
    """The command line writes to the database by itself; who follows another job hears nothing of it."""
    job, other = opened(api), opened(api)
    with streams.dial(cloud, job) as socket, streams.dial(cloud, other) as still:
        for one in (socket, still):
            streams.authenticate(one, api.access)
            assert streams.hear(one) == {"type": "authenticated"}
            assert streams.hear(one)["data"]["status"] == "CREATING"
        assert cloud.json("job", "cancel", job)["cancelled"]
        messages, code = streams.hear_all(socket)
        assert ([message["data"]["status"] for message in messages], code) == (["CANCELLED"], 4002)
        api.post(f"/Jobs/{other}/cancel")
        messages, code = streams.hear_all(still)
        assert ([message["data"]["status"] for message in messages], code) == (["CANCELLED"], 4002)


def test_a_revoked_token_closes_its_streams(cloud: Cloud) -> None:
    """Within seconds, though nothing happens to the job."""
    user = cloud.add_user("revoked@example.org")
    api = cloud.api(user["token"])
    job = opened(api)
    with streams.dial(cloud, job) as socket:
        streams.authenticate(socket, api.access)
        streams.hear(socket)
        streams.hear(socket)
        (token,) = cloud.json("token", "list", "revoked@example.org")
        cloud.json("token", "revoke", token["id"])
        assert streams.hear_all(socket) == ([], 1008)


def test_pings_are_answered(cloud: Cloud, api: Api) -> None:
    """Clients end a stream whose server does not answer within ten seconds."""
    with streams.dial(cloud, opened(api)) as socket:
        streams.authenticate(socket, api.access)
        streams.hear(socket)
        assert socket.ping().wait(60)


def test_a_long_message_ends_the_stream(cloud: Cloud, api: Api) -> None:
    """No client has much to say."""
    with streams.dial(cloud, opened(api)) as socket:
        socket.send("a" * 100_000)
        assert streams.hear_all(socket) == ([], 1009)


@pytest.mark.parametrize("base", ["", "/api"])
def test_live_data_are_refused(cloud: Cloud, api: Api, base: str) -> None:
    """Before the upgrade, in the words of the other errors."""
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{cloud.port}{base}/jobs/{opened(api)}/live_data", proxy=None)

    answer = refused.value.response
    assert answer.status_code == 404
    assert json.loads(answer.body or b"")["error"]["code"] == 1010
