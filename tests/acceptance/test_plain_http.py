# SPDX-License-Identifier: Apache-2.0
"""What clients without a library do: other token carriers, forms, paths in any case, old and new views."""

import json
import time
from typing import Any

import httpx
import programs
import pytest
from api import Api, error, succeed
from clouds import Cloud, Start, eventually

pytestmark = pytest.mark.acceptance

PROJECT = "/Network/ibm-q/Groups/open/Projects/main"
#: All keys of the current user that the strictest client knows; it rejects any other.
USER_KEYS = {
    "applications", "canScheduleBackends", "email", "emailVerified", "firstName", "ibmQNetwork", "id",
    "institution", "iqxPreferences", "lastName", "loginAccounts", "needsRefill", "qNetworkRoles", "readOnly",
    "roles", "servicesRoles", "subscriptions", "terms", "urls", "userType", "username",
}  # fmt: skip


@pytest.fixture(scope="module")
def api(cloud: Cloud) -> Api:
    """The operator's way to the common cloud."""
    return cloud.api()


@pytest.fixture(scope="module")
def done(api: Api) -> str:
    """A finished job that was submitted inline."""
    job = api.submit(programs.bell(), name="inline")
    api.wait(job)
    return job


def test_version_says_which_generation_this_is(cloud: Cloud) -> None:
    """`GET /version` needs no token and has the key that clients look for."""
    assert "api-auth" in succeed(httpx.get(f"{cloud.url}/version", trust_env=False))


def test_the_user_has_exactly_the_known_keys(cloud: Cloud, api: Api) -> None:
    """`GET /users/me` has no key that a strict client does not know, and URLs of the right form."""
    user = api.get("/users/me", headers={"X-Qx-Client-Application": "IBMQClient.jl"})
    assert set(user) == USER_KEYS
    assert user["urls"]["http"] == cloud.url
    assert user["urls"]["ws"] == f"ws://127.0.0.1:{cloud.port}/"


def test_an_api_token_can_be_posted_as_a_form(cloud: Cloud, api: Api) -> None:
    """The oldest clients log in with a form; the answer has all the fields that they read."""
    login = succeed(api.http.post(f"{cloud.url}/users/loginWithToken", data={"apiToken": cloud.token}))
    cloud.secrets.add(login["id"])
    assert login["ttl"] == 1209600
    assert login["userId"] == api.get("/users/me")["id"]
    assert "error" not in login


@pytest.mark.parametrize("path", ["/users/login", "/users/loginWithToken"])
@pytest.mark.parametrize("how", ["json", "data"])
def test_a_password_works_as_json_and_as_a_form(cloud: Cloud, api: Api, path: str, how: str) -> None:
    """E-mail address and password are taken on both login paths, in both forms."""
    email = f"{how}{path.count('T')}@example.org"
    cloud.secrets.add("correct horse battery")
    user = cloud.add_user(email, "--password", "correct horse battery")
    body: Any = {"email": email, "password": "correct horse battery"}
    login = succeed(api.http.request("POST", f"{cloud.url}{path}", **{how: body}))
    cloud.secrets.add(login["id"])
    assert login["userId"] == user["id"]


def test_the_token_may_be_in_the_query(cloud: Cloud, api: Api) -> None:
    """Clients of 2018 put the access token into the query string."""
    url = f"{cloud.url}/users/me?access_token={api.access}"
    assert succeed(api.http.get(url))["email"] == cloud.account["operator"]["email"]


def test_the_token_may_be_in_the_body_of_a_get(cloud: Cloud, api: Api) -> None:
    """One client sends its token as JSON in the body of GET requests."""
    answer = api.http.request("GET", f"{cloud.url}/Jobs/", json={"access_token": api.access})
    assert isinstance(succeed(answer), list)


def test_static_segments_match_in_any_case(api: Api, done: str) -> None:
    """Clients write the same path in different ways."""
    hubs = api.get("/network")
    assert hubs == api.get("/NETWORK")
    assert api.get(f"/jobs/{done}/v/1") == api.get(f"/Jobs/{done}/v/1")
    listed = api.get("/network/ibm-q/groups/open/projects/main/DEVICES/V/1")
    assert listed == api.get(f"{PROJECT}/devices/v/1") == api.get("/Backends/v/1")


def test_a_trailing_slash_is_no_redirect(api: Api) -> None:
    """`POST /Jobs/` submits a job; a redirect would turn it into a GET."""
    job = api.post("/jobs/", json={"qObject": programs.bell(), "backend": {"name": "ibmq_qasm_simulator"}})
    assert api.wait(job["id"])["status"] == "COMPLETED"
    assert isinstance(api.get("/jobs/"), list)


def test_the_state_of_a_queue_is_public(cloud: Cloud) -> None:
    """Old clients ask for the state of a device without a token."""
    for path in ("/Backends/ibmq_manila/queue/status", "/devices/ibmq_manila/queue/status"):
        state = succeed(httpx.get(f"{cloud.url}{path}", trust_env=False))
        assert state["state"] is True
        assert state["status"] == "active"
        assert state["lengthQueue"] >= 0
        assert state["backend_version"].count(".") == 2


def test_the_default_hub_is_ordered_and_keyed_by_name(api: Api) -> None:
    """Groups and projects are objects, and the default project is marked."""
    [hub] = api.get("/Network")
    assert hub["name"] == "ibm-q"
    assert hub["groups"]["open"]["projects"]["main"]["name"] == "main"
    assert hub["isDefault"]


def test_an_inline_job_shows_its_data_to_old_clients_only(api: Api, done: str) -> None:
    """Unversioned views have program and result; versioned ones show every job as kept in object storage."""
    old = api.get(f"/Jobs/{done}")
    new = api.get(f"/Jobs/{done}/v/1")
    assert old["kind"] == "q-object"
    assert old["qObject"]["experiments"][0]["header"]["name"] == "bell"
    assert set(old["qObjectResult"]["results"][0]["data"]["counts"]) == {"0x0", "0x3"}
    assert new["kind"] == "q-object-external-storage"
    assert not {"qObject", "qObjectResult", "error", "infoQueue"} & set(new)
    assert old["name"] == new["name"] == "inline"


def test_the_result_document_is_complete(api: Api, done: str) -> None:
    """The result has every field that some client requires, and the experiment's header unchanged."""
    result = api.result(done)
    [experiment] = result["results"]
    assert result["success"] is True
    assert result["job_id"] == done
    assert result["qobj_id"] == "acceptance"
    assert result["backend_name"] == "ibmq_qasm_simulator"
    assert result["backend_version"].count(".") == 2
    assert result["header"] == {"made_by": "acceptance"}
    assert len(result["date"]) >= 21
    assert experiment["header"] == programs.bell()["experiments"][0]["header"]
    assert experiment["status"] == "DONE"
    assert experiment["shots"] == 1024
    assert sum(experiment["data"]["counts"].values()) == 1024


@pytest.mark.parametrize("prefix", ["", PROJECT])
def test_a_job_goes_through_object_storage(cloud: Cloud, api: Api, prefix: str) -> None:
    """Create, upload to the signed URL, notify, download the result, notify: as all clients since 2019 do."""
    body = {"backend": {"name": "ibmq_manila"}, "allowObjectStorage": True, "tags": ["stored"]}
    created = api.post(f"{prefix}/Jobs", json=body)
    upload = created["objectStorageInfo"]["uploadUrl"]
    cloud.secrets.add(upload)
    job = created["id"]
    assert created["status"] == "CREATING"
    assert created["kind"] == "q-object-external-storage"
    assert created["objectStorageInfo"]["maxJobSizeInBytes"] > 1_000_000

    # One client names no content type, another sends its token along.
    text = b'{ "qobj_id" : "as it is", ' + httpx.Request("POST", "http://x", json=programs.device_bell()).content[1:]
    assert api.http.put(upload, content=text, headers={"X-Access-Token": api.access}).status_code == 200
    handed = api.post(f"{prefix}/Jobs/{job}/jobDataUploaded")["job"]
    assert handed["id"] == job
    assert not {"qObject", "qObjectResult", "error"} & set(handed)

    assert sum(api.counts(job).values()) == 1024
    assert api.http.get(api.signed(job, "jobDownloadUrl")).content == text
    assert api.post(f"{prefix}/Jobs/{job}/resultDownloaded") != ""
    assert "T1" in str(api.get(f"{prefix}/Jobs/{job}/properties"))


def test_a_repeated_notice_makes_no_second_job(cloud: Cloud, api: Api) -> None:
    """`jobDataUploaded` is retried by clients; the job runs once and the answer stays good."""
    created = api.post("/Jobs", json={"backend": {"name": "ibmq_qasm_simulator"}, "allowObjectStorage": True})
    cloud.secrets.add(created["objectStorageInfo"]["uploadUrl"])
    assert api.http.put(created["objectStorageInfo"]["uploadUrl"], json=programs.bell()).status_code == 200
    for _ in range(3):
        assert api.post(f"/Jobs/{created['id']}/jobDataUploaded")["job"]["id"] == created["id"]
    ended = api.wait(created["id"])
    assert ended["status"] == "COMPLETED"
    assert api.post(f"/Jobs/{created['id']}/jobDataUploaded")["job"]["status"] == "COMPLETED"


def test_a_waiting_job_reads_running_in_old_views(start_cloud: Start) -> None:
    """QUEUED is a word of the versioned views; old ones say VALIDATING or RUNNING, and where in the queue."""
    api = start_cloud({"workers": 1}).api()
    jobs = [api.submit(programs.slow(8000)) for _ in range(2)]
    old: set[str] = set()
    new: set[str] = set()
    end = time.monotonic() + 30
    while time.monotonic() < end and not {"RUNNING", "QUEUED"} <= new:
        for job in jobs:
            view = api.get(f"/Jobs/{job}/status")
            if view["status"] == "RUNNING" and "infoQueue" in view:
                assert view["infoQueue"]["status"] == "PENDING_IN_QUEUE"
            old.add(view["status"])
            modern = api.get(f"/Jobs/{job}/status/v/1")
            assert modern.get("infoQueue", {}) is not None
            new.add(modern["status"])
        time.sleep(0.05)
    assert old <= {"VALIDATING", "RUNNING"}
    assert {"RUNNING", "QUEUED"} <= new <= {"VALIDATING", "VALIDATED", "QUEUED", "RUNNING"}
    assert api.post(f"/Jobs/{jobs[1]}/cancel") == {"cancelled": True}
    assert api.post(f"/Jobs/{jobs[0]}/cancel") == {"cancelled": True}


def test_lists_obey_the_filter(api: Api, done: str) -> None:
    """LoopBack filters select, order and cut; a limit of 0 means that the client has none."""
    by_id = json.dumps({"where": {"id": done}})
    assert [job["id"] for job in api.get("/Jobs/status/v/1", params={"filter": by_id})] == [done]
    assert [job["kind"] for job in api.get("/Jobs/status", params={"filter": by_id})] == ["q-object"]
    assert len(api.get("/Jobs/status/v/1", params={"filter": '{"limit": 0}'})) >= 1
    assert len(api.get("/Jobs/status/v/1", params={"filter": '{"limit": 1}'})) == 1
    fields = api.get("/Jobs/v/1", params={"filter": '{"limit": 1, "fields": {"id": true, "creationDate": true}}'})
    assert set(fields[0]) == {"id", "creationDate"}
    nothing = '{"where": {"creationDate": {"gt": "2999-01-01"}}}'
    assert api.get("/Jobs/status/v/1", params={"filter": nothing}) == []
    odd = '{"where": {"and": [{"neq": "2020-01-01"}]}, "limit": 1}'
    assert isinstance(api.get("/Jobs/status/v/1", params={"filter": odd}), list)


def test_a_job_can_be_deleted(api: Api) -> None:
    """A deleted job is gone from lists and cannot be found."""
    job = api.submit(programs.bell())
    api.wait(job)
    assert api.send("DELETE", f"/Jobs/{job}").status_code == 200
    assert error(api.send("GET", f"/Jobs/{job}/v/1"))["code"] == 3250


def test_bookings_are_empty_lists(api: Api) -> None:
    """There are no reservations yet, and clients that ask are told so."""
    assert api.get("/Network/bookings/v2") == []
    assert api.get("/Network/devices/ibmq_manila/bookings/v2") == []


def test_health_and_readiness_are_public(cloud: Cloud) -> None:
    """Supervisors ask without a token."""
    assert httpx.get(f"{cloud.root}/health", trust_env=False).status_code == 200
    assert eventually(lambda: httpx.get(f"{cloud.root}/ready", trust_env=False).status_code == 200, 30, "never ready")


def test_metrics_are_counted(cloud: Cloud, api: Api, done: str) -> None:
    """Prometheus finds requests by route pattern."""
    api.get(f"/Jobs/{done}/v/1")
    text = httpx.get(f"{cloud.root}/metrics", trust_env=False).text
    assert "# TYPE" in text
    assert done not in text


def test_the_documentation_needs_no_other_host(cloud: Cloud) -> None:
    """The page at /docs loads nothing from elsewhere, and describes the paths."""
    page = httpx.get(f"{cloud.root}/docs", trust_env=False, follow_redirects=True)
    assert page.status_code == 200
    assert 'src="http' not in page.text
    assert 'href="http' not in page.text
