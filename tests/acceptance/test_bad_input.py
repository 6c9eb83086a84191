# SPDX-License-Identifier: Apache-2.0
"""Whatever a client sends, it gets a status, a code and a message, and the server goes on."""

import json
from typing import Any

import httpx
import programs
import pytest
import streams
from api import Api, error
from clouds import Cloud, Start, eventually

pytestmark = pytest.mark.acceptance

SIMULATOR = {"name": "ibmq_qasm_simulator"}


@pytest.fixture(scope="module")
def api(cloud: Cloud) -> Api:
    """The operator's way to the common cloud."""
    return cloud.api()


@pytest.fixture(autouse=True)
def _the_server_goes_on(cloud: Cloud) -> Any:
    """After each of these tests the server still answers."""
    yield
    assert cloud.process.poll() is None
    assert httpx.get(f"{cloud.root}/health", trust_env=False).status_code == 200


def fails(api: Api, program: dict[str, Any], device: str = "ibmq_manila") -> dict[str, Any]:
    """Return the error of a job whose program is refused in validation."""
    ended = api.wait(api.submit(program, device))
    assert ended["status"] == "ERROR_VALIDATING_JOB", ended
    assert set(ended["error"]) >= {"message", "code"}
    failure: dict[str, Any] = ended["error"]
    return failure


@pytest.mark.parametrize("body", [b"{", b'{"qObject": ', b"\xff\xfe", b"[1, 2]", b'"text"', b"{}", b""])
def test_malformed_requests_are_refused(api: Api, body: bytes) -> None:
    """A body that is no JSON, or no submission, is a 400 with a code."""
    answer = api.send("POST", "/Jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert error(answer)["code"] in {1000, 1001}


@pytest.mark.parametrize(
    "wrong",
    [
        {"experiments": None},
        {"experiments": []},
        {"experiments": 7},
        {"experiments": ["one"]},
        {"type": "VERSE"},
        {"config": {"shots": "many"}},
        {"qobj_id": None},
        {"header": 1},
    ],
)
def test_a_broken_envelope_is_refused_at_once(api: Api, wrong: dict[str, Any]) -> None:
    """A program whose envelope is not that of a Qobj makes no job."""
    answer = api.send("POST", "/Jobs", json={"qObject": programs.bell() | wrong, "backend": SIMULATOR})
    assert answer.status_code == 400
    assert error(answer)["code"] == 8000


def test_an_upload_that_is_no_program_is_refused_when_it_is_handed_over(cloud: Cloud, api: Api) -> None:
    """The signed URL takes any bytes; the notice that follows is answered with what is wrong with them."""
    created = api.post("/Jobs", json={"backend": SIMULATOR, "allowObjectStorage": True})
    upload = created["objectStorageInfo"]["uploadUrl"]
    cloud.secrets.add(upload)
    assert api.http.put(upload, content=b"not a program").status_code == 200
    answer = api.send("POST", f"/Jobs/{created['id']}/jobDataUploaded")
    assert answer.status_code == 400
    assert error(answer)["code"] == 8000


def test_a_notice_without_an_upload_is_a_conflict(api: Api) -> None:
    """`jobDataUploaded` before the upload says what is missing."""
    created = api.post("/Jobs", json={"backend": SIMULATOR, "allowObjectStorage": True})
    assert error(api.send("POST", f"/Jobs/{created['id']}/jobDataUploaded"))["code"] == 3253


@pytest.mark.parametrize(
    ("instructions", "code", "word"),
    [
        ([programs.gate("h", 0)], 8001, "h"),
        ([programs.gate("cx", 0, 4)], 8002, "4"),
        ([programs.gate("sx", 9)], 8005, "9"),
        ([programs.gate("cx", 0)], 8004, "cx"),
        ([programs.gate("cx", 1, 1)], 8005, "cx"),
        ([{"name": "rz", "qubits": [0], "params": ["a lot"]}], 8004, "rz"),
        ([{"qubits": [0]}], 8000, "name"),
    ],
)
def test_a_device_refuses_what_it_cannot_do(api: Api, instructions: list[dict[str, Any]], code: int, word: str) -> None:
    """A wrong instruction ends the job in validation; the message names it."""
    circuit = programs.experiment("wrong", 5, *instructions, programs.measure(0))
    failure = fails(api, programs.qobj(circuit))
    assert failure["code"] == code
    assert word in failure["message"]


def test_a_thousand_million_shots_are_refused(api: Api) -> None:
    """Too many shots are refused with their own code: at once where it is plain, else in validation."""
    for shots in (10**9, 10**6, 0):
        answer = api.send("POST", "/Jobs", json={"qObject": programs.bell(shots=shots), "backend": SIMULATOR})
        accepted = answer.status_code == 200
        failure = api.wait(answer.json()["id"])["error"] if accepted else error(answer)
        assert failure["code"] == 8006
        assert "shots" in failure["message"]


def test_too_many_experiments_are_refused(api: Api) -> None:
    """More experiments than the device takes end the job in validation."""
    circuit = programs.device_bell()["experiments"][0]
    assert fails(api, programs.qobj(*[circuit] * 901, shots=1))["code"] == 8007


def test_a_statevector_of_60_qubits_is_a_job_error(api: Api) -> None:
    """Sixty qubits are more than the simulator has; the job says so."""
    assert fails(api, programs.wide(60), "simulator_statevector")["code"] in {8005, 8008}


def test_a_statevector_beyond_the_memory_is_a_job_error(api: Api) -> None:
    """Thirty-two qubits are in range but need 64 GiB; the message has the estimate."""
    failure = fails(api, programs.wide(32), "simulator_statevector")
    assert failure["code"] == 8008
    assert any(character.isdigit() for character in failure["message"])


def test_pulses_are_refused(api: Api) -> None:
    """A device without pulses says so."""
    assert fails(api, programs.device_bell() | {"type": "PULSE"}, "ibmq_essex")["code"] == 8011


def test_the_result_of_a_failed_job_is_not_found(api: Api) -> None:
    """Where there is no result, the download URL is a 404 that says why."""
    job = api.submit(programs.bell(), "ibmq_manila")
    api.wait(job)
    answer = api.send("GET", f"/Jobs/{job}/resultDownloadUrl")
    assert answer.status_code == 404
    assert error(answer)["code"] == 3252


def test_an_unknown_device_is_not_found(api: Api) -> None:
    """Every path of an unknown device, and a job for it, says that there is none."""
    unknown = {"qObject": programs.bell(), "backend": {"name": "ibmq_atlantis"}}
    for answer in (
        api.send("POST", "/Jobs", json=unknown),
        api.send("GET", "/devices/ibmq_atlantis/properties"),
        api.send("GET", "/devices/ibmq_atlantis/queue/status"),
        api.send("GET", "/devices/ibmq_atlantis/jobsLimit"),
    ):
        assert answer.status_code == 404
        assert error(answer)["code"] == 3100
        assert "ibmq_atlantis" in answer.text


@pytest.mark.parametrize("place", ["nowhere/Groups/open/Projects/main", "ibm-q/Groups/open/Projects/nothing"])
def test_an_unknown_project_is_refused(api: Api, place: str) -> None:
    """A hub or project that does not exist is told from one that exists in no way."""
    answer = api.send("GET", f"/Network/{place}/devices/v/1")
    assert answer.status_code in {400, 403, 404}
    assert error(answer)["code"] == 3001


def test_unknown_paths_and_methods_have_the_envelope(api: Api) -> None:
    """Errors of routing look like all others."""
    assert error(api.send("GET", "/nothing/here"))["code"] == 1004
    assert error(api.send("DELETE", "/Network"))["code"] == 1005


def test_a_broken_filter_is_refused(api: Api) -> None:
    """A filter that is no JSON is a 400."""
    answer = api.send("GET", "/Jobs/status/v/1", params={"filter": '{"where": '})
    assert answer.status_code == 400
    assert error(answer)["code"] == 1002


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v/1", None),
        ("GET", "", None),
        ("GET", "/status/v/1", None),
        ("GET", "/status", None),
        ("GET", "/properties", None),
        ("GET", "/jobDownloadUrl", None),
        ("GET", "/jobUploadUrl", None),
        ("GET", "/resultDownloadUrl", None),
        ("POST", "/jobDataUploaded", None),
        ("POST", "/resultDownloaded", None),
        ("POST", "/cancel", None),
        ("PUT", "", {"name": "mine"}),
        ("PUT", "", {"tags": ["mine"]}),
        ("DELETE", "", None),
    ],
)
def test_a_foreign_job_does_not_exist(api: Api, stranger: Api, foreign: str, method: str, path: str, body: Any) -> None:
    """Another user's job cannot be told from one that does not exist, whatever is asked of it."""
    answer = stranger.send(method, f"/Jobs/{foreign}{path}", json=body)
    invented = stranger.send(method, f"/Jobs/{'0' * 24}{path}", json=body)
    assert answer.status_code == invented.status_code == 404
    assert error(answer)["code"] == error(invented)["code"] == 3250
    assert api.get(f"/Jobs/{foreign}/v/1")["status"] == "COMPLETED"


def test_a_foreign_job_cannot_be_followed(cloud: Cloud, stranger: Api, foreign: str) -> None:
    """The status stream of another user's job closes with the code for an unknown one."""
    messages, code = streams.follow(cloud, foreign, stranger.access)
    assert not any(message["type"] == "job-status" for message in messages)
    assert code == 4003


def test_lists_do_not_show_foreign_jobs(stranger: Api, foreign: str) -> None:
    """A filter by id does not find another user's job."""
    wanted = json.dumps({"where": {"id": foreign}})
    assert stranger.get("/Jobs/status/v/1", params={"filter": wanted}) == []


@pytest.fixture(scope="module")
def stranger(cloud: Cloud) -> Api:
    """A user other than the operator."""
    return cloud.api(cloud.add_user("stranger@example.org")["token"])


@pytest.fixture(scope="module")
def foreign(api: Api) -> str:
    """A job of the operator."""
    job = api.submit(programs.bell())
    assert api.wait(job)["status"] == "COMPLETED"
    return job


@pytest.mark.parametrize("headers", [{}, {"X-Access-Token": "0" * 64}, {"X-Access-Token": ""}])
def test_a_wrong_or_missing_token_is_unauthenticated(cloud: Cloud, headers: dict[str, str]) -> None:
    """Without a valid access token the answer is 401, with a code."""
    answer = httpx.get(f"{cloud.url}/users/me", headers=headers, trust_env=False)
    assert answer.status_code == 401
    assert error(answer)["code"] == 2001


def test_an_api_token_is_no_access_token(cloud: Cloud) -> None:
    """The API token opens nothing but the login."""
    answer = httpx.get(f"{cloud.url}/users/me", headers={"X-Access-Token": cloud.token}, trust_env=False)
    assert answer.status_code == 401


def test_a_wrong_api_token_does_not_log_in(cloud: Cloud) -> None:
    """A failed login is a 401 without an id."""
    answer = httpx.post(f"{cloud.url}/users/loginWithToken", json={"apiToken": "wrong"}, trust_env=False)
    assert answer.status_code == 401
    assert error(answer)["code"] == 2001


def test_a_forged_signed_url_is_refused(api: Api, foreign: str) -> None:
    """A signed URL holds for one object, one method and one time; whatever is changed breaks it."""
    url = httpx.URL(api.signed(foreign, "resultDownloadUrl"))
    assert api.http.get(url).status_code == 200
    other = api.submit(programs.flipped())
    api.wait(other)
    forged = [httpx.URL(api.signed(other, "resultDownloadUrl")).copy_with(query=url.query)]
    for name, value in url.params.items():
        forged.append(url.copy_set_param(name, value[:-1] + ("0" if value[-1] != "0" else "1")))
        forged.append(url.copy_remove_param(name))
    assert len(forged) >= 5
    for wrong in forged:
        answer = api.http.get(wrong)
        assert answer.status_code in {401, 403, 404}, wrong
        assert error(answer)["code"] == 2004
    assert error(api.http.put(url, json={}))["code"] in {1005, 2004}


def test_limits_are_kept(start_cloud: Start) -> None:
    """Signed URLs expire, uploads over the limit are refused, and too many failed logins have to wait."""
    cloud = start_cloud({"max_job_bytes": 100_000, "url_seconds": 3, "login_failures_per_minute": 5})
    api = cloud.api()

    created = api.post("/Jobs", json={"backend": SIMULATOR, "allowObjectStorage": True})
    upload = created["objectStorageInfo"]["uploadUrl"]
    assert created["objectStorageInfo"]["maxJobSizeInBytes"] == 100_000
    too_long = api.http.put(upload, content=b" " * 100_001)
    assert too_long.status_code == 413
    assert error(too_long)["code"] == 1006
    chunked = api.http.put(api.signed(created["id"], "jobUploadUrl"), content=iter([b" " * 50_000] * 3))
    assert chunked.status_code == 413
    inline = api.send("POST", "/Jobs", json={"qObject": programs.qobj(*[_long()] * 40), "backend": SIMULATOR})
    assert inline.status_code == 413

    expired = eventually(lambda: _refusal(api.http.put(upload, content=b"{}")), 10, "the URL never expired")
    assert expired.status_code in {401, 403}
    assert error(expired)["code"] == 2004

    answers = [
        httpx.post(f"{cloud.url}/users/loginWithToken", json={"apiToken": "wrong"}, trust_env=False) for _ in range(60)
    ]
    assert answers[0].status_code == 401
    assert answers[-1].status_code == 429
    assert error(answers[-1])["code"] == 1007
    # Whoever is logged in is not disturbed.
    assert api.get("/users/me")["email"] == cloud.account["operator"]["email"]


def _long() -> dict[str, Any]:
    return programs.experiment("long", 1, *[programs.gate("x", 0)] * 60)


def _refusal(answer: httpx.Response) -> httpx.Response | None:
    return answer if answer.status_code >= 400 else None
