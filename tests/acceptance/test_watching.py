# SPDX-License-Identifier: Apache-2.0
"""A job is followed over the status WebSocket: frames, messages and close codes."""

import programs
import pytest
import streams
from api import Api
from clouds import Cloud
from websockets.exceptions import ConnectionClosed

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
