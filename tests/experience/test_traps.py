# SPDX-License-Identifier: Apache-2.0
"""The mistakes of a server that break a real client, one test each; the numbers are those of the list of traps.

The rest of the list concerns services that this release does not have: OpenQASM jobs (14, except for what keeps clients
from using them) and the runtime service (28 to 30).
"""

import json
import re
from typing import Any

import desk as desks
import pytest
from desk import PROJECT, Desk, OpenDesk

import factories
from chandelier.formats import results, snapshots
from chandelier.gateway import PROJECT_PREFIX
from chandelier.jobs.lifecycle import State
from chandelier.store import Transaction

PROGRAM = json.loads(factories.a_program())
#: What the oldest client with WebSockets knows. Source: protocol 6.4.
OLDEST = {"CREATING", "CREATED", "VALIDATING", "VALIDATED", "RUNNING", "COMPLETED", "CANCELLED"} | {
    f"ERROR_{stage}_JOB" for stage in ("CREATING", "VALIDATING", "RUNNING")
}
STRICTEST = {"VALIDATING", "VALIDATED", "RUNNING", "COMPLETED"}
KINDS = {"q-object", "q-object-external-storage"}
USER = {
    "applications", "canScheduleBackends", "email", "emailVerified", "firstName", "ibmQNetwork", "id",
    "institution", "iqxPreferences", "lastName", "loginAccounts", "needsRefill", "qNetworkRoles", "readOnly",
    "roles", "servicesRoles", "subscriptions", "terms", "urls", "userType", "username",
}  # fmt: skip


def frames(desk: Desk, job: str, view: str) -> list[dict[str, Any]]:
    """Return the frames of a finished job's stream, as they come."""
    with desk.http.websocket_connect(f"/jobs/{job}/status{view}") as socket:
        socket.send_text(json.dumps({"type": "authentication", "data": desk.tokens["ann"]}))
        return [dict(socket.receive()) for _ in range(3)]


def everywhere(desk: Desk, job: str, *, versioned: bool) -> list[dict[str, Any]]:
    """Return a job as every path of a presentation shows it."""
    view = "/v/1" if versioned else ""
    alone = [desk.get(f"{scope}/Jobs/{job}{part}{view}") for scope in ("", PROJECT) for part in ("", "/status")]
    listed = [desk.listed(f"/Jobs{part}{view}", where={"id": job})[0] for part in ("", "/status")]
    with desk.http.websocket_connect(f"/jobs/{job}/status{view}") as socket:
        socket.send_text(json.dumps({"type": "authentication", "data": desk.tokens["ann"]}))
        socket.receive()
        pushed = json.loads(socket.receive()["bytes"])["data"]
    return [*alone, *listed, pushed]


@pytest.mark.parametrize("state", State)
def test_trap_1_waiting_states_on_unversioned_paths(desk: Desk, state: State) -> None:
    """QUEUED on an unversioned path: clients up to 0.4.5 do not know the word, one gives up."""
    job = desk.brought(state, inline=state is State.QUEUED)
    shown = {document["status"] for document in everywhere(desk, job, versioned=False)}

    assert shown <= OLDEST - {"CREATED", "VALIDATED"}
    if state in {State.CREATED, State.VALIDATING, State.VALIDATED, State.QUEUED, State.RUNNING, State.COMPLETED}:
        assert shown <= STRICTEST
    for document in everywhere(desk, job, versioned=False):
        waits = document.get("infoQueue", {}).get("status") == "PENDING_IN_QUEUE"
        assert waits == (state is State.QUEUED)
    assert {document["status"] for document in everywhere(desk, job, versioned=True)} == {state.value}


@pytest.mark.parametrize("view", ["", "/v/1"])
def test_trap_2_text_frames(desk: Desk, view: str) -> None:
    """Text frames: clients up to 0.13.1 call `decode` on what they receive."""
    greeting, status, end = frames(desk, desk.brought(State.CANCELLED), view)

    assert [json.loads(frame["bytes"])["type"] for frame in (greeting, status)] == ["authenticated", "job-status"]
    assert greeting.get("text") is status.get("text") is None
    assert (end["type"], end["code"]) == ("websocket.close", 4002)


def test_trap_3_an_error_key_in_a_success(desk: Desk) -> None:
    """`error`, even null, in the answer to a submission or to the notice of an upload."""
    opened = desk.opened()
    inline = desk.post("/Jobs", {"qObject": PROGRAM, "backend": {"name": "device"}})
    desk.http.put(opened["objectStorageInfo"]["uploadUrl"], content=factories.a_program())
    handed = desk.post(f"/Jobs/{opened['id']}/jobDataUploaded")

    assert "error" not in {*opened, *inline, *handed, *handed["job"]}


@pytest.mark.parametrize("inline", [True, False])
def test_trap_4_inline_data_in_versioned_views(desk: Desk, inline: bool) -> None:
    """`q-object`, `qObject` or `qObjectResult` there, also for jobs that another client submitted inline."""
    job = desk.brought(State.COMPLETED, inline=inline)
    shown = [*everywhere(desk, job, versioned=True), desk.post(f"/Jobs/{job}/jobDataUploaded")["job"]]

    for document in shown:
        assert document["kind"] == "q-object-external-storage"
        assert {"qObject", "qObjectResult"} & set(document) == set()
    assert desk.http.get(desk.get(f"/Jobs/{job}/jobDownloadUrl")["url"]).json() == PROGRAM


@pytest.mark.parametrize("state", State)
def test_trap_5_a_null_queue_info(desk: Desk, state: State) -> None:
    """`infoQueue: null` instead of no key: the client waits in vain, and lists break."""
    job = desk.brought(state)
    for versioned in (True, False):
        for document in everywhere(desk, job, versioned=versioned):
            assert ("infoQueue" in document) == (state is State.QUEUED)
            assert document.get("infoQueue", {}) is not None


def test_trap_6_equal_creation_dates(either: Desk) -> None:
    """Two jobs of one date at the precision shown: a listing without limit repeats a page for ever."""

    def work(tx: Transaction) -> None:
        for _ in range(5):
            factories.a_job(tx, either.town, State.CANCELLED)

    either.store.write(work)
    jobs = either.listed(order="creationDate DESC")
    dates = [job["creationDate"] for job in jobs]
    assert dates == sorted(set(dates), reverse=True)
    for index, date in enumerate(dates):
        where = {"creationDate": {"lte": date}, "id": {"nin": [jobs[index]["id"]]}}
        assert either.listed(where=where, order="creationDate DESC") == jobs[index + 1 :]


@pytest.mark.parametrize("state", State)
def test_trap_7_unknown_kinds_and_states(desk: Desk, state: State) -> None:
    """An unknown word in one job ends the whole listing."""
    known = {state.value for state in State}
    job = desk.brought(state)
    for versioned in (True, False):
        for document in everywhere(desk, job, versioned=versioned):
            assert document["kind"] in KINDS
            assert document["status"] in known
            assert set(document.get("timePerStep", {})) <= known


def test_trap_8_backends_that_disappear(desk: Desk) -> None:
    """No `online_date`, or one more key in a gate: the client drops the device without a word."""
    allowed = {"name", "parameters", "qasm_def", "coupling_map", "latency_map", "conditional", "description"}
    for configuration in desk.get(f"{PROJECT}/devices/v/1"):
        assert configuration["online_date"]
        assert "coupling_map" in configuration
        for gate in configuration["gates"]:
            assert set(gate) <= allowed


@pytest.mark.parametrize("scope", ["", PROJECT, "/Network/ibm-q"])
@pytest.mark.parametrize("noun", ["Backends", "devices", "backends"])
def test_trap_9_queue_states_behind_a_token(desk: Desk, scope: str, noun: str) -> None:
    """Old clients ask for them without one."""
    queue = desk.get(f"{scope}/{noun}/device/queue/status", None)

    assert {key: type(value) for key, value in queue.items()} == {
        "state": bool,
        "status": str,
        "message": str,
        "lengthQueue": int,
        "backend_version": str,
        "busy": bool,
    }


@pytest.mark.parametrize("path", ["/users/me", "/jobs/", "/Network", "/Backends", "/jobs/{job}", "/jobs/{job}/status"])
def test_trap_10_the_body_of_a_get(desk: Desk, path: str) -> None:
    """Dropping it: one client has its token there."""
    job = desk.inline()
    token = {"access_token": desk.tokens["ann"]}

    desks.succeed(desk.ask("GET", path.format(job=job), None, json=token))


def test_trap_11_other_successes_than_200(desk: Desk) -> None:
    """201 or 204: the client repeats the POST five times."""
    answers = [
        desk.ask("POST", "/Jobs", json={"qObject": PROGRAM, "backend": {"name": "device"}}),
        desk.ask("POST", "/Jobs/", json={"allowObjectStorage": True, "backend": {"name": "device"}}),
    ]
    job = answers[0].json()["id"]
    answers += [
        desk.ask("POST", f"/Jobs/{job}/cancel"),
        desk.ask("POST", f"/Jobs/{job}/resultDownloaded"),
        desk.ask("PUT", f"/Jobs/{job}", json={"name": "n"}),
        desk.ask("DELETE", f"/Jobs/{job}"),
    ]

    assert [answer.status_code for answer in answers] == [200] * 6
    assert all(answer.json() for answer in answers)


def test_trap_12_requests_that_are_repeated(desk: Desk) -> None:
    """An empty answer is asked for five times; the last is as good as the first."""
    for path in ("/Jobs", "/Jobs/status", "/devices/device/properties", "/devices/device/defaults"):
        assert [desk.get(path) for _ in range(5)] == [desk.get(path)] * 5


@pytest.mark.parametrize(
    "path", ["/api/jobs/", "/api/Jobs/", "/api/JOBS", "/api/network/ibm-q/groups/open/projects/main/jobs/"]
)
def test_trap_13_case_and_slashes(desk: Desk, path: str) -> None:
    """Case-sensitive paths, or a redirect: a POST becomes a GET."""
    answer = desk.http.post(
        path,
        json={"backend": {"name": "device"}, "allowObjectStorage": True, "access_token": desk.tokens["ann"]},
        follow_redirects=False,
    )

    assert desks.succeed(answer)["status"] == "CREATING"


def test_trap_14_programs_as_text(desk: Desk) -> None:
    """`allowQObject: false` would make clients of 2018 send OpenQASM; those who send it leave the version line out."""
    for entry in desk.get("/Backends"):
        assert entry["allowQObject"] is entry["allow_q_object"] is True
    text = 'include "qelib1.inc"; qreg q[1];'
    answer = desk.ask("POST", "/Jobs", json={"qasms": [{"qasm": text}], "backend": {"name": "device"}})

    assert desks.succeed(answer)["qasms"][0]["qasm"] == text


def test_trap_15_version_without_its_key(desk: Desk) -> None:
    """Not JSON, or without `api-auth`: the client believes that the server is one of 2018."""
    answer = desk.ask("GET", "/version", None)

    assert answer.headers["content-type"] == "application/json"
    assert "api-auth" in desks.succeed(answer)


@pytest.mark.parametrize("public", ["", "https://cloud.example", "https://cloud.example/"])
def test_trap_16_slashes_of_the_urls(open_desk: OpenDesk, public: str) -> None:
    """Clients add paths to both: `http` ends in `/api`, `ws` in a slash."""
    urls = open_desk(public_url=public).get("/users/me")["urls"]

    assert re.fullmatch(r"https?://[^/]+/api", urls["http"])
    assert re.fullmatch(r"wss?://[^/]+/", urls["ws"])
    assert urls["http"].startswith("https") == urls["ws"].startswith("wss") == bool(public)


def test_trap_17_a_key_too_many_in_the_user(desk: Desk) -> None:
    """One client refuses any key that it does not know."""
    me = desk.get("/users/me", headers={"X-Qx-Client-Application": "IBMQClient.jl"})

    assert set(me) == USER
    assert set(me["subscriptions"]) <= {"surveys", "newsletter", "updates", "tips", "updatesInTool"}
    assert isinstance(me["userType"], str)


def test_trap_18_dates_in_another_form(desk: Desk) -> None:
    """One client knows exactly one form for each date."""
    job = desk.brought(State.COMPLETED)
    document = desk.get(f"/Jobs/{job}/v/1")
    login = desk.get("/Network")[0]["creationDate"]
    milliseconds = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

    for date in (document["creationDate"], document["endDate"], login, *document["timePerStep"].values()):
        assert milliseconds.fullmatch(date)
    for configuration in desk.get("/devices/v/1"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", configuration["online_date"])
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d", results.date(desks.now()))


def test_trap_19_groups_as_lists(desk: Desk) -> None:
    """Groups and projects are objects by name, in order, and the default is marked."""
    hubs = desk.get("/Network", "bob")
    first = hubs[0]["groups"]["open"]["projects"]["main"]

    assert first["isDefault"] is True
    assert [
        project.get("isDefault") for group in hubs[1]["groups"].values() for project in group["projects"].values()
    ] == [False]


def test_trap_20_results_that_are_changed_on_the_way(desk: Desk) -> None:
    """A result comes as it was written, with its header and its keys; what is in it is tested with the engines."""
    job = desk.inline()
    desk.validate()
    header = {"name": "bell", "metadata": None, "creg_sizes": [["c", 2]], "\u00e9": {"z": 1, "a": [1.0, 1e-7]}}
    experiment = {"shots": 1, "success": True, "data": {"counts": {"0x0": 1}}, "header": header}
    desk.settle(desk.run(), desks.RESULT | {"results": [experiment]})
    fetched = desk.http.get(desk.get(f"/Jobs/{job}/resultDownloadUrl")["url"])

    assert fetched.json()["results"] == [experiment]
    assert fetched.json()["job_id"] == job
    assert [*fetched.json()["results"][0]["header"]] == [*header]
    assert desk.get(f"/Jobs/{job}")["qObjectResult"] == fetched.json()


@pytest.mark.parametrize("state", [State.ERROR_CREATING_JOB, State.ERROR_VALIDATING_JOB, State.ERROR_RUNNING_JOB])
def test_trap_21_failures_without_an_error(desk: Desk, state: State) -> None:
    """A failed job has an error state, an `error` of two fields, and no URL of a result that is not there."""
    job = desk.brought(state)
    for versioned in (True, False):
        for document in everywhere(desk, job, versioned=versioned):
            assert document["status"] == state.value
            assert {key: type(value) for key, value in document["error"].items()} == {"code": int, "message": str}
    desks.error(desk.ask("GET", f"/Jobs/{job}/resultDownloadUrl"), 404, 3252)


def test_trap_22_job_limits_that_are_not_recognised(open_desk: OpenDesk) -> None:
    """The code of the job limit is looked for in the text of a 4xx; a 5xx would be repeated and lost."""
    desk = open_desk(max_pending_jobs=0)
    failure = desks.error(
        desk.ask("POST", "/Jobs", json={"backend": {"name": "device"}, "allowObjectStorage": True}), 400, 3458
    )

    assert set(failure) >= {"message", "code"}


@pytest.mark.parametrize(
    "where",
    [
        {"infoQueue": {"exists": False}},
        {"status": {"regexp": "^CANC"}},
        {"status": {"inq": ["CANCELLED", "COMPLETED"]}},
        {"id": {"nin": ["x"]}},
        {"creationDate": {"between": ["2020-01-01", "2030-01-01T00:00:00.000001+00:00"]}},
        {"backend.name": "device"},
        {"tags": "a"},
        {"and": [{"tags": "a"}, {"tags": "b"}]},
        {"or": [{"neq": "x"}, {"status": "CANCELLED"}]},
        {"name": {"like": "%am%"}},
        {"name": {"nlike": "x"}},
        {"name": {"ilike": "%NAME"}},
        {"name": {"nilike": "x"}},
        {"name": {"regexp": "/^NAME$/i"}},
        {"name": {"neq": "x"}},
    ],
    ids=repr,
)
def test_trap_23_filters_that_are_not_understood(desk: Desk, where: dict[str, Any]) -> None:
    """Each operator that clients send or users may add; `limit: 0` is no limit."""
    job = desk.brought(State.CANCELLED, name="name", tags=["a", "b"])
    for path in ("/Jobs/status/v/1", "/Jobs/v/1", "/Jobs/status", "/Jobs"):
        assert [found["id"] for found in desk.listed(path, where=where, limit=0)] == [job]


def test_trap_23_an_odd_element_is_no_failure(desk: Desk) -> None:
    """A bare operator among the conditions simply does not match."""
    desk.opened()

    assert desk.listed(where={"and": [{"neq": "2021-01-01"}, {"status": "CREATING"}]}) == []


def test_trap_24_urls_that_need_headers(desk: Desk) -> None:
    """Signed URLs are absolute, need no header and no type, and do not mind a token."""
    job = desk.opened()
    url = job["objectStorageInfo"]["uploadUrl"]
    token = {"X-Access-Token": "none of the server's business"}

    assert url.startswith("http://")
    assert desk.get(f"/Jobs/{job['id']}/jobUploadUrl")["url"].startswith("http://")
    path, _, query = url.removeprefix("http://testserver").partition("?")
    assert desk.knock("PUT", path.encode(), query=query.encode(), chunks=[b"x"]).status == 200
    assert desk.http.put(url, content=factories.a_program(), headers=token).status_code == 200
    assert desk.http.get(desk.get(f"/Jobs/{job['id']}/jobDownloadUrl")["url"], headers=token).status_code == 200


def test_trap_25_no_body_after_the_result(desk: Desk) -> None:
    """`resultDownloaded` without JSON: one client fails after a run that went well."""
    job = desk.brought(State.COMPLETED)

    assert desk.post(f"/Jobs/{job}/resultDownloaded") == {"terminated": True}
    assert desk.get(f"/Jobs/{job}/resultDownloadUrl")["url"]


CLIENTS = {
    "": None,
    "qiskit": None,
    "qiskit/": None,
    "qiskit-api-py": None,
    "qiskit/0.43.3": ("qiskit", "0.43.3"),
    "qiskit-ibmq-provider,qiskit-terra/0.20.2,0.24.1": ("qiskit-ibmq-provider,qiskit-terra", "0.20.2,0.24.1"),
    "qiskit/0.43.3/my/own": ("qiskit", "0.43.3/my/own"),
    "ibmqprovider/0.4.4": ("ibmqprovider", "0.4.4"),
    "IBMQClient.jl": ("IBMQClient.jl", None),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_trap_26_client_info_without_a_version(desk: Desk, client: str) -> None:
    """A name of this family without a version stops the client when it builds the job: there is no such key then."""
    headers = {"X-Qx-Client-Application": client}
    body = {"backend": {"name": "device"}, "allowObjectStorage": True}
    job = desks.succeed(desk.ask("POST", "/Jobs", json=body, headers=headers))

    known = CLIENTS[client]
    expected = None if known is None else {"name": known[0], "version": known[1]}
    assert job.get("clientInfo") == expected
    for versioned in (True, False):
        for document in everywhere(desk, job["id"], versioned=versioned):
            assert document.get("clientInfo") == expected
            assert ("clientInfo" in document) == (expected is not None)


def test_trap_27_numbers_in_si_units() -> None:
    """The client multiplies by itself: nanoseconds and gigahertz on the wire."""
    document = snapshots.load("manila", "ibmq_manila")
    properties: Any = document.properties
    records_of = {record["name"]: record for record in properties["qubits"][0]}

    assert 0.1 < document.configuration["dt"] < 10
    assert 4 < document.configuration["qubit_lo_range"][0][0] < 8
    assert (records_of["frequency"]["unit"], 4 < records_of["frequency"]["value"] < 8) == ("GHz", True)
    lengths = [r for gate in properties["gates"] for r in gate["parameters"] if r["name"] == "gate_length"]
    assert {record["unit"] for record in lengths} == {"ns"}


def test_further_trap_lists_with_steps(desk: Desk) -> None:
    """Entries of status lists carry neither steps nor programs."""
    desk.brought(State.COMPLETED, inline=True)
    for path in ("/Jobs/status/v/1", "/Jobs/status"):
        assert {"timePerStep", "qObject"} & set(desk.listed(path)[0]) == set()


def test_further_trap_job_limits_of_null(open_desk: OpenDesk) -> None:
    """`maximumJobs` is a number, also where there is no limit."""
    assert open_desk(max_pending_jobs=-1).get("/devices/device/jobsLimit")["maximumJobs"] == -1


def test_further_trap_programs_that_are_rewritten(desk: Desk) -> None:
    """Objects come back byte by byte."""
    job = desk.opened()
    program = b'{ "qobj_id":"\\u00e9",\t"type" : "QASM", "experiments":[{}], "x": 1.0e+0 }\n\n'
    desk.http.put(job["objectStorageInfo"]["uploadUrl"], content=program)
    desk.post(f"/Jobs/{job['id']}/jobDataUploaded")

    assert desk.http.get(desk.get(f"/Jobs/{job['id']}/jobDownloadUrl")["url"]).content == program


def test_further_trap_a_hard_coded_project(desk: Desk) -> None:
    """One client knows `ibm-q`, `open` and `main` only."""
    assert desk.get(f"{PROJECT}/devices/v/1")
    assert PROJECT_PREFIX.format(hub="ibm-q", group="open", project="main") == PROJECT
