# SPDX-License-Identifier: Apache-2.0
"""One job: submitted in both ways, shown in every state and presentation, changed, cancelled, deleted."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import desk as desks
import pytest
from desk import PROJECT, Desk, OpenDesk

import factories
from chandelier import gateway
from chandelier.experience import shelf
from chandelier.formats import tasks
from chandelier.jobs import records
from chandelier.jobs.lifecycle import ACTIVE, FAILED, FINAL, State

PATIENCE: Final = 30.0

EXTERNAL = "q-object-external-storage"
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
PROGRAM = json.loads(factories.a_program())
#: How each state is shown on paths without `/v/1`. Source: protocol 6.4, safe mapping.
OLD = {
    State.CREATING: "CREATING",
    State.CREATED: "VALIDATING",
    State.VALIDATING: "VALIDATING",
    State.VALIDATED: "VALIDATING",
    State.QUEUED: "RUNNING",
    State.RUNNING: "RUNNING",
    State.COMPLETED: "COMPLETED",
    State.CANCELLED: "CANCELLED",
    State.ERROR_CREATING_JOB: "ERROR_CREATING_JOB",
    State.ERROR_VALIDATING_JOB: "ERROR_VALIDATING_JOB",
    State.ERROR_RUNNING_JOB: "ERROR_RUNNING_JOB",
}
VIEWS = ("/v/1", "/status/v/1", "", "/status")
LISTS = {"/v/1": "/Jobs/v/1", "/status/v/1": "/Jobs/status/v/1", "": "/Jobs", "/status": "/Jobs/status"}
REDUCED = {"id", "status", "kind", "creationDate", "backend", "hubInfo", "runMode"}
FULL = REDUCED | {"timePerStep", "summaryData", "cost", "objectStorageInfo"}
#: States that a job submitted with its program can be in.
INLINE = tuple(state for state in State if state not in {State.CREATING, State.CREATED, State.ERROR_CREATING_JOB})


def views(desk: Desk, job: str) -> dict[str, dict[str, Any]]:
    """Return a job as every path shows it, alone and in lists."""
    alone = {f"/Jobs/x{view}": desk.get(f"/Jobs/{job}{view}") for view in VIEWS}
    listed = {path: desk.listed(path, where={"id": job})[0] for path in LISTS.values()}
    return alone | listed


def test_every_state_is_in_the_table() -> None:
    """Of these tests."""
    assert set(OLD) == set(State)


@pytest.mark.parametrize("state", State)
def test_views_of_a_job_by_upload(desk: Desk, state: State) -> None:
    """New paths show every state as it is; old ones know no waiting."""
    job = desk.brought(state)
    for path, document in views(desk, job).items():
        new = path.endswith("/v/1")
        assert document["status"] == (state.value if new else OLD[state]), path
        assert document["kind"] == EXTERNAL
        check(document, state, full="status" not in path and "/x" in path)
        assert {"qObject", "qObjectResult"} & set(document) == set()


@pytest.mark.parametrize("state", INLINE)
def test_views_of_an_inline_job(desk: Desk, state: State) -> None:
    """New paths show it as kept in object storage; old full ones have its program and, in the end, its result."""
    job = desk.brought(state, inline=True)
    result = state is State.COMPLETED
    for path, document in views(desk, job).items():
        new = path.endswith("/v/1")
        assert document["status"] == (state.value if new else OLD[state]), path
        assert document["kind"] == (EXTERNAL if new else "q-object")
        check(document, state, full="status" not in path and "/x" in path)
        data = {"qObject"} | ({"qObjectResult"} if result else set()) if path in {"/Jobs/x", "/Jobs"} else set()
        assert {"qObject", "qObjectResult"} & set(document) == data, path
        if data:
            assert document["qObject"] == PROGRAM
        if "qObjectResult" in data:
            assert document["qObjectResult"] == desks.RESULT | {"job_id": job}


def check(document: dict[str, Any], state: State, *, full: bool) -> None:
    """Check what each view of a job in a state must and must not have."""
    assert set(document) >= (FULL if full else REDUCED)
    assert DATE.fullmatch(document["creationDate"])
    assert {name: type(value) for name, value in document["backend"].items()} == {"id": str, "name": str}
    assert document["backend"]["name"] == "device"
    assert {level: node["name"] for level, node in document["hubInfo"].items()} == {
        "hub": "ibm-q",
        "group": "open",
        "project": "main",
    }
    assert None not in document.values()
    assert "clientInfo" not in document
    assert ("error" in document) == (state in FAILED)
    if state in FAILED:
        assert set(document["error"]) == {"code", "message"}
        assert type(document["error"]["code"]) is int
        assert document["error"]["message"]
    assert ("endDate" in document) == (state in FINAL)
    assert DATE.fullmatch(document.get("endDate", document["creationDate"]))
    assert ("infoQueue" in document) == (state is State.QUEUED)
    if state is State.QUEUED:
        assert document["infoQueue"]["status"] == "PENDING_IN_QUEUE"
        assert document["infoQueue"]["position"] == 1
    if full:
        steps = document["timePerStep"]
        assert set(steps) <= {state.value for state in State}
        assert state.value in steps
        assert all(DATE.fullmatch(moment) for moment in steps.values())
        assert [*steps.values()] == sorted(steps.values())
        if state in FINAL:
            assert document["summaryData"]["success"] is (state is State.COMPLETED)


def test_an_error_names_the_bad_instruction(desk: Desk) -> None:
    """Code and message are what the worker said."""
    job = desk.brought(State.ERROR_VALIDATING_JOB)

    assert desk.get(f"/Jobs/{job}/v/1")["error"] == {
        "code": 8001,
        "message": "The instruction 'rxx' is not a basis gate of device",
    }


def test_time_per_step_is_the_way_of_the_job(desk: Desk) -> None:
    """Every state that it entered, by name, in order."""
    job = desk.brought(State.COMPLETED)

    assert [*desk.get(f"/Jobs/{job}/v/1")["timePerStep"]] == [
        *("CREATING", "CREATED", "VALIDATING", "VALIDATED", "QUEUED", "RUNNING", "COMPLETED")
    ]


def test_summary_data_tell_what_the_worker_found(desk: Desk) -> None:
    """In the places where scripts filter on it."""
    document = desk.get(f"/Jobs/{desk.brought(State.COMPLETED)}/v/1")
    summary = document["summaryData"]

    assert summary["size"] == {"input": len(factories.a_program()), "output": 10}
    assert summary["summary"]["num_circuits"] == 1
    assert summary["summary"]["max_qubits_used"] == 2
    assert summary["summary"]["qobj_config"]["n_qubits"] == 2
    assert (summary["resultTime"], document["cost"], document["shots"]) == (0.25, 0.25, 100)
    assert type(document["cost"]) is float


def test_submitting_by_upload_answers_with_the_upload_url(desk: Desk) -> None:
    """And with everything that the typed client wants at this point."""
    job = desk.opened(name="bell", tags=["a", "b", "a"], shareLevel="project", experimentTag="e", liveDataEnabled=True)

    assert job["status"] == "CREATING"
    assert job["kind"] == EXTERNAL
    assert (job["name"], job["tags"], job["shareLevel"], job["experimentTag"]) == ("bell", ["a", "b"], "project", "e")
    assert job["liveDataEnabled"] is True
    assert job["userId"] == desk.town.ann.user_id
    assert job["objectStorageInfo"]["maxJobSizeInBytes"] == desks.SMALL["max_job_bytes"]
    assert job["objectStorageInfo"]["uploadUrl"].startswith("http://testserver/api/objects/")


@pytest.mark.parametrize(
    "more",
    [
        {"liveDataEnabled": None, "name": None, "tags": None, "shareLevel": None, "experimentTag": None},
        {"shots": 8192},
        {"name": "", "tags": []},
        {"qObject": None},
        {"maxCredits": 10, "hpc": None, "unknown": {"a": [1]}},
    ],
)
def test_what_is_null_or_unknown_is_as_if_left_out(desk: Desk, more: dict[str, Any]) -> None:
    """Clients of several years send different keys."""
    job = desk.opened(**more)

    assert job["kind"] == EXTERNAL
    assert "name" not in job
    assert job["tags"] == []


def test_the_whole_way_by_upload(either: Desk) -> None:
    """As the protocol tells it, step by step, and the program comes back as it was sent."""
    program = b' {"type":"QASM" ,"qobj_id": "\xc3\xa9","experiments":[{"instructions":[]}]}\n'
    created = either.opened()
    job = created["id"]
    assert either.http.put(created["objectStorageInfo"]["uploadUrl"], content=program).status_code == 200
    handed = either.post(f"/Jobs/{job}/jobDataUploaded")["job"]
    assert (handed["id"], handed["status"], handed["kind"]) == (job, "VALIDATING", EXTERNAL)
    assert handed["creationDate"] == created["creationDate"]
    assert {"error", "qObject", "qObjectResult", "infoQueue"} & set(handed) == set()
    assert either.http.get(either.get(f"/Jobs/{job}/jobDownloadUrl")["url"]).content == program
    desks.error(either.ask("GET", f"/Jobs/{job}/resultDownloadUrl"), 404, 3252)
    either.validate()
    either.settle(either.run(), desks.RESULT)

    result = either.http.get(either.get(f"/Jobs/{job}/resultDownloadUrl")["url"])
    assert result.json() == desks.RESULT | {"job_id": job}
    assert result.headers["content-type"] == "application/json"
    assert either.post(f"/Jobs/{job}/resultDownloaded") == {"terminated": True}
    assert either.get(f"/Jobs/{job}/v/1")["status"] == "COMPLETED"


def test_the_notice_may_be_repeated(either: Desk) -> None:
    """Clients repeat it when an answer is lost: the job is neither run twice nor refused."""
    job = either.uploaded()
    again = either.post(f"/Jobs/{job}/jobDataUploaded")["job"]
    assert (again["id"], again["status"]) == (job, "VALIDATING")
    either.validate()
    either.settle(either.run(), desks.REFUSED)
    steps = either.get(f"/Jobs/{job}/v/1")["timePerStep"]

    failed = either.post(f"/Jobs/{job}/jobDataUploaded")["job"]
    assert failed["status"] == "ERROR_RUNNING_JOB"
    assert "error" not in failed
    assert either.get(f"/Jobs/{job}/v/1")["timePerStep"] == steps


def test_a_notice_without_an_upload_is_a_conflict(desk: Desk) -> None:
    """The upload may still follow."""
    job = desk.opened()
    desks.error(desk.ask("POST", f"/Jobs/{job['id']}/jobDataUploaded"), 409, 3253)
    desks.error(desk.ask("GET", f"/Jobs/{job['id']}/jobDownloadUrl"), 404, 3253)
    desk.http.put(job["objectStorageInfo"]["uploadUrl"], content=factories.a_program())

    assert desk.post(f"/Jobs/{job['id']}/jobDataUploaded")["job"]["status"] == "VALIDATING"


def test_a_notice_for_a_cancelled_job_is_a_conflict(desk: Desk) -> None:
    """The client gave up before."""
    job = desk.opened()["id"]
    desk.post(f"/Jobs/{job}/cancel")

    desks.error(desk.ask("POST", f"/Jobs/{job}/jobDataUploaded"), 409, 3251)


@pytest.mark.parametrize("program", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"qobj_id": 1}', b'{"a":' * 5000])
def test_a_broken_upload_is_refused_at_the_notice(desk: Desk, program: bytes) -> None:
    """The storage takes any bytes; another upload may follow."""
    job = desk.opened()
    url = job["objectStorageInfo"]["uploadUrl"]
    assert desk.http.put(url, content=program).status_code == 200
    desks.error(desk.ask("POST", f"/Jobs/{job['id']}/jobDataUploaded"), 400, 8000)
    assert desk.get(f"/Jobs/{job['id']}/v/1")["status"] == "CREATING"

    assert desk.http.put(url, content=factories.a_program()).status_code == 200
    assert desk.post(f"/Jobs/{job['id']}/jobDataUploaded")["job"]["status"] == "VALIDATING"


def test_submitting_inline_answers_as_old_clients_expect(desk: Desk) -> None:
    """The true kind, a state that the oldest client knows, the program echoed or left out."""
    job = desk.post("/Jobs", {"qObject": PROGRAM, "backend": {"name": "device"}, "shots": 1, "name": "bell"})

    assert (job["kind"], job["status"], job["name"]) == ("q-object", "VALIDATING", "bell")
    assert {"error", "qObjectResult"} & set(job) == set()
    assert type(job["id"]) is str
    assert DATE.fullmatch(job["creationDate"])


@pytest.mark.parametrize(("inside", "beside", "expected"), [(100, 7, 100), (None, 7, 7), (None, None, 1024)])
def test_shots_beside_the_program_count_if_it_has_none(
    desk: Desk, inside: int | None, beside: int | None, expected: int
) -> None:
    """Clients of 2018 write them into the request."""
    program = json.loads(factories.a_program(shots=inside))
    job = desk.inline(qObject=program, shots=beside)

    assert desk.get(f"/Jobs/{job}/v/1")["shots"] == expected


@pytest.mark.parametrize("url", ["jobDownloadUrl", "resultDownloadUrl"])
def test_inline_jobs_can_be_downloaded_too(desk: Desk, url: str) -> None:
    """For clients that know object storage only."""
    job = desk.brought(State.COMPLETED, inline=True)
    document = desk.http.get(desk.get(f"/Jobs/{job}/{url}")["url"]).json()

    assert document == (PROGRAM if url == "jobDownloadUrl" else desks.RESULT | {"job_id": job})


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, 1000),
        ({"backend": "device", "allowObjectStorage": True}, 400, 1000),
        ({"backend": {}, "allowObjectStorage": True}, 400, 1000),
        ({"backend": {"name": "device"}}, 400, 1001),
        ({"backend": {"name": "device"}, "allowObjectStorage": False}, 400, 1001),
        ({"backend": {"name": "nothing"}, "allowObjectStorage": True}, 404, 3100),
        ({"backend": {"name": "hidden"}, "allowObjectStorage": True}, 404, 3100),
        ({"backend": {"name": "device"}, "qasms": [{"text": "x"}]}, 400, 1000),
        ({"backend": {"name": "device"}, "qObject": {}}, 400, 8000),
        ({"backend": {"name": "device"}, "qObject": PROGRAM | {"experiments": []}}, 400, 8000),
        ({"backend": {"name": "device"}, "qObject": PROGRAM | {"type": "VERSE"}}, 400, 8000),
        ({"backend": {"name": "device"}, "qObject": PROGRAM, "shots": -1, "name": "a" * 501}, 400, 1001),
        ({"backend": {"name": "device"}, "qObject": PROGRAM, "tags": ["a"] * 101}, 400, 1001),
        ({"backend": {"name": "device"}, "qObject": PROGRAM, "tags": ["a\x00"]}, 400, 1001),
    ],
)
def test_a_refused_submission_makes_no_job(desk: Desk, body: dict[str, Any], status: int, code: int) -> None:
    """And leaves no program behind."""
    desks.error(desk.ask("POST", "/Jobs", json=body), status, code)

    assert desk.listed() == []
    assert factories.programs(desk.store) == []


def test_the_job_limit_has_its_own_code(open_desk: OpenDesk) -> None:
    """A 400 with code 3458, in both ways of submitting; the place is free again when a job ends."""
    desk = open_desk(max_pending_jobs=2)
    first = desk.opened()["id"]
    desk.inline()
    for body in ({"allowObjectStorage": True}, {"qObject": PROGRAM}):
        failure = desks.error(desk.ask("POST", "/Jobs", json={"backend": {"name": "device"}} | body), 400, 3458)
        assert failure["name"] == "LimitReached"
    desk.inline("bob")
    desk.post(f"/Jobs/{first}/cancel")

    desk.inline()
    assert len(desk.listed()) == 3


@pytest.mark.parametrize("state", State)
def test_cancelling(desk: Desk, state: State) -> None:
    """What has not ended is cancelled at once; of what has, the answer says so, and nothing changes."""
    job = desk.brought(state)
    before = desk.get(f"/Jobs/{job}/v/1")
    answers = [desk.post(f"/Jobs/{job}/cancel") for _ in range(2)]
    after = desk.get(f"/Jobs/{job}/v/1")

    assert answers == [{"cancelled": state in ACTIVE}, {"cancelled": False}]
    if state in ACTIVE:
        assert (after["status"], "error" in after, "infoQueue" in after) == ("CANCELLED", False, False)
    else:
        assert after == before


@pytest.mark.parametrize("state", State)
def test_deleting(desk: Desk, state: State) -> None:
    """What has ended is hidden at once, by any way; what has not stays."""
    job = desk.brought(state)
    urls = [desk.ask("GET", f"/Jobs/{job}/{url}").json().get("url") for url in ("jobDownloadUrl", "resultDownloadUrl")]
    answer = desk.ask("DELETE", f"/Jobs/{job}")
    if state in ACTIVE:
        desks.error(answer, 409, 3251)
        assert desk.get(f"/Jobs/{job}/v/1")["id"] == job
        return
    desks.succeed(answer)

    desks.error(desk.ask("GET", f"/Jobs/{job}/v/1"), 404, 3250)
    desks.error(desk.ask("DELETE", f"/Jobs/{job}"), 404, 3250)
    assert desk.listed() == []
    for url in filter(None, urls):
        desks.error(desk.http.get(url), 404, 3250)


@pytest.mark.parametrize("name", ["bell", "Glocke \U0001f514 \u00e9", "a" * 500, "  ", "%_\\'"])
def test_a_name_is_echoed_and_kept(either: Desk, name: str) -> None:
    """Exactly: the client compares."""
    job = either.opened(name="old")["id"]

    assert either.put(f"/Jobs/{job}", {"name": name}) == {"name": name}
    assert either.get(f"/Jobs/{job}/v/1")["name"] == name


def test_an_empty_name_removes_the_name(desk: Desk) -> None:
    """And is echoed."""
    job = desk.opened(name="old")["id"]

    assert desk.put(f"{PROJECT}/Jobs/{job}", {"name": ""}) == {"name": ""}
    assert "name" not in desk.get(f"/Jobs/{job}/v/1")


@pytest.mark.parametrize("tags", [[], ["a"], ["b", "a"], ["x" * 500, "\u00e9", ""], [f"tag {n}" for n in range(100)]])
def test_tags_are_echoed_and_replaced(either: Desk, tags: list[str]) -> None:
    """Their order stays."""
    job = either.opened(tags=["old", "a"])["id"]

    assert either.put(f"/Jobs/{job}", {"tags": tags}) == {"tags": tags}
    assert either.get(f"/Jobs/{job}/v/1")["tags"] == tags


@pytest.mark.parametrize(
    "body", [{"name": "a" * 501}, {"name": "\x00"}, {"tags": ["\x00"]}, {"tags": ["a"] * 101}, {}, {"shots": 1}]
)
def test_a_refused_change_changes_nothing(desk: Desk, body: dict[str, Any]) -> None:
    """Too long, too many, or nothing that can be changed."""
    job = desk.opened(name="old", tags=["old"])["id"]
    desks.error(desk.ask("PUT", f"/Jobs/{job}", json=body), 400, 1001)
    document = desk.get(f"/Jobs/{job}/v/1")

    assert (document["name"], document["tags"]) == ("old", ["old"])


def test_a_job_that_failed_in_parts_has_its_result(desk: Desk) -> None:
    """The state says that it failed, the download has what there is."""
    job = desk.inline()
    desk.validate()
    partial = desks.RESULT | {
        "success": False,
        "results": [{"success": False, "status": "ERROR: x", "shots": 1, "data": {}}],
    }
    desk.settle(desk.run(), partial, success=False)
    document = desk.get(f"/Jobs/{job}/v/1")

    assert (document["status"], document["error"]["code"]) == ("ERROR_RUNNING_JOB", 8020)
    assert desk.http.get(desk.get(f"/Jobs/{job}/resultDownloadUrl")["url"]).json() == partial | {"job_id": job}
    assert desk.get(f"/Jobs/{job}")["qObjectResult"] == partial | {"job_id": job}


@pytest.mark.parametrize("state", [state for state in State if state is not State.COMPLETED])
def test_without_a_result_its_url_is_not_found(desk: Desk, state: State) -> None:
    """Never an empty success: the client would choke on it."""
    job = desk.brought(state)

    desks.error(desk.ask("GET", f"/Jobs/{job}/resultDownloadUrl"), 404, 3252)


def test_the_position_is_the_place_in_the_line_of_the_project(desk: Desk) -> None:
    """From one; who goes ahead leaves."""
    jobs = [desk.inline() for _ in range(3)]
    for _ in jobs:
        desk.validate()

    def positions() -> list[Any]:
        return [desk.get(f"/Jobs/{job}/status/v/1").get("infoQueue", {}).get("position") for job in jobs]

    assert positions() == [1, 2, 3]
    desk.post(f"/Jobs/{jobs[1]}/cancel")
    assert positions() == [1, None, 2]
    desk.run()
    assert positions() == [None, None, 1]


def test_a_job_whose_worker_died_waits_again(desk: Desk) -> None:
    """Its time per step has each state once, with the time at which it was entered last."""
    job = desk.brought(State.RUNNING)
    desk.store.write(lambda tx: records.advance(tx, records.JobId(job), (State.QUEUED,), desks.now(), started=None))
    document = desk.get(f"/Jobs/{job}/v/1")

    assert (document["status"], document["infoQueue"]["position"]) == ("QUEUED", 1)
    assert document["timePerStep"]["QUEUED"] >= document["timePerStep"]["RUNNING"]


def test_a_refusal_without_words_still_has_both_keys(desk: Desk) -> None:
    """The client refuses an error that lacks one."""
    job = desk.inline()
    desk.settle(desk.validating(), tasks.Refused(0, ""))

    assert all(desk.get(f"/Jobs/{job}/v/1")["error"].values())


@pytest.mark.parametrize("path", ["/Jobs/{}/status", "/Jobs/{}/status/v/1"])
def test_who_asks_in_a_loop_is_answered_when_the_job_gets_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """The first answer comes at once, the next with the news; of a job that has ended every answer comes at once."""
    monkeypatch.setattr(gateway, "_LULL_SECONDS", PATIENCE)
    monkeypatch.setattr(shelf, "_SOON_SECONDS", PATIENCE)
    job = desk.inline()
    first = desk.get(path.format(job))["status"]
    with ThreadPoolExecutor(1) as threads:
        second = threads.submit(desk.get, path.format(job))
        while f"job:{job}" not in desk.store.bell._listeners:
            threading.Event().wait(0.01)
        desk.post(f"/Jobs/{job}/cancel")
        told = second.result(PATIENCE)["status"]

    assert (first, told) == ("VALIDATING", "CANCELLED")
    assert [desk.get(path.format(job))["status"] for _ in range(3)] == ["CANCELLED"] * 3


def test_who_asks_now_and_then_waits_for_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only who has just been answered the same is kept waiting, and not for long."""
    job = desk.inline()
    monkeypatch.setattr(shelf, "_SOON_SECONDS", 0.0)
    monkeypatch.setattr(gateway, "_LULL_SECONDS", 3600.0)
    now_and_then = [desk.get(f"/Jobs/{job}/status")["status"] for _ in range(3)]
    monkeypatch.setattr(shelf, "_SOON_SECONDS", 3600.0)
    monkeypatch.setattr(gateway, "_LULL_SECONDS", 0.01)
    in_a_loop = [desk.get(f"/Jobs/{job}/status")["status"] for _ in range(3)]

    assert now_and_then == in_a_loop == ["VALIDATING"] * 3
