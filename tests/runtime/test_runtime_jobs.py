# SPDX-License-Identifier: Apache-2.0
"""Jobs of the Runtime API: submitted, followed, listed, ended; and as the former API shows them, and the reverse."""

import functools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from window import PARAMS, REFUSED, RESULT, OpenWindow, Window, error, now

import factories
from chandelier import devices, gateway
from chandelier.engines.primitives import programs
from chandelier.formats import tasks
from chandelier.jobs import intake, records
from chandelier.jobs.lifecycle import State
from chandelier.store import Transaction
from chandelier.tenancy import members
from chandelier.tenancy.network import Spot


def test_a_program_is_taken(either: Window) -> None:
    """The answer has what the client needs, and the job waits."""
    answer = either.send(tags=["a", "b"], cost=30, session_id=None).json()
    job = either.get(f"/jobs/{answer['id']}?exclude_params=true")

    assert answer["backend"] == "device"
    assert (job["id"], job["backend"], job["program"]) == (answer["id"], "device", {"id": "sampler"})
    assert job["state"] == {"status": "Queued"}
    assert (job["tags"], job["cost"], job["private"]) == (["a", "b"], 30.0, False)
    assert "params" not in job


def test_parameters_come_back_as_they_were_sent(window: Window) -> None:
    """To the byte: they are not opened here."""
    job_id = window.submit()
    answer = window.ask("GET", f"/jobs/{job_id}")

    assert PARAMS in answer.text
    assert factories.kept(window.store, "programs", job_id) == PARAMS.encode()


def test_what_is_taken_is_what_can_be_run() -> None:
    """The server knows the programs by their names only, for it loads none of them."""
    assert set(programs.PROGRAMS) == intake.PROGRAMS


def test_a_program_that_nobody_knows_is_not_found(window: Window) -> None:
    """Which is how the client learns of it; the message lists those that there are."""
    assert "sampler" in error(window.send(program_id="vqe"), 404, 1020)


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({"backend": "nowhere"}, 400, 3100),
        ({"backend": "hidden"}, 400, 3100),
        ({"backend": None}, 400, 1001),
        ({"backend": "mock_device"}, 400, 1023),
        ({"session_id": "0" * 24}, 400, 1022),
        ({"calibration_id": "0" * 64}, 400, 3102),
        ({"cost": -1}, 400, 1001),
        ({"tags": ["x" * 501]}, 400, 1001),
        ({"tags": ["\x00"]}, 400, 1001),
        ({"tags": ["x"] * 101}, 400, 1001),
        ({"tags": "x"}, 400, 1000),
        ({"program_id": 7}, 400, 1000),
        ({"hub": "annex", "group": "main", "project": "main"}, 400, 2005),
    ],
)
def test_a_wrong_submission_is_refused(window: Window, wanted: dict[str, Any], status: int, code: int) -> None:
    """Not as a program that does not exist, for which clients take any 404."""
    error(window.send(**wanted), status, code)


@pytest.mark.parametrize("params", ["[]", "null", "7", '"text"'])
def test_parameters_are_an_object(window: Window, params: str) -> None:
    """Of which nothing more is looked at here."""
    error(window.send(params), 400, 1001)


def test_too_large_parameters_are_refused(open_window: OpenWindow) -> None:
    """With the limit."""
    window = open_window(max_job_bytes=1000)

    assert "1000" in error(window.send(json.dumps({"x": "y" * 1000})), 413, 1006)


def test_too_many_jobs_are_refused(open_window: OpenWindow) -> None:
    """Without a time to wait, so that the client does not repeat what it sent."""
    window = open_window(max_pending_jobs=1)
    window.submit()
    answer = window.send()

    error(answer, 429, 3458)
    assert "retry-after" not in answer.headers


def test_an_older_client_names_the_project_in_the_body(window: Window) -> None:
    """And the job is there."""
    names = {"hub": "annex", "group": "main", "project": "main"}
    body = {"program_id": "sampler", "backend": "hidden", "params": {}} | names
    job_id = window.post("/jobs", body, "bob", base="/runtime", crn=None)["id"]
    job = window.get(f"/jobs/{job_id}", "bob", base="/runtime", crn=None)

    assert {name: job[name] for name in names} == names


def test_a_job_runs_with_the_calibration_that_is_asked_for(window: Window) -> None:
    """Also if the device has a newer one."""
    old = window.machine.calibration
    document = factories.a_device_document("machine", dated="2026-03-15T00:00:00Z", simulator=False)
    devices.install(window.store, document, factories.after(10), factories.after(10))
    job_id = window.submit(backend="machine", calibration_id=old)
    newest = window.submit(backend="machine")
    first, second = (window.store.read(functools.partial(records.get, job_id=each)) for each in (job_id, newest))

    assert first.calibration == old != second.calibration


def test_a_job_is_followed_to_its_end(window: Window) -> None:
    """Its states in the words of this API, then its result as it was written."""
    job_id = window.submit()
    error(window.ask("GET", f"/jobs/{job_id}/results"), 404, 3252)
    claim = window.run()
    assert window.get(f"/jobs/{job_id}")["state"] == {"status": "Running"}
    window.settle(claim)

    assert window.get(f"/jobs/{job_id}")["status"] == "Completed"
    assert window.ask("GET", f"/jobs/{job_id}/results").content == RESULT
    assert window.ask("GET", f"/jobs/{job_id}/logs").text == ""
    assert window.ask("GET", f"/jobs/{job_id}/interim_results").text == ""


def test_why_a_job_failed_is_told(window: Window) -> None:
    """In its state, and as text in place of a result."""
    job_id = window.submit()
    window.settle(window.run(), REFUSED)
    why = REFUSED.message.removesuffix(".")
    job = window.get(f"/jobs/{job_id}")

    assert job["state"] == {"status": "Failed", "reason": why, "reason_code": 8001, "reasonCode": 8001}
    for tail in ("results", "logs"):
        answer = window.ask("GET", f"/jobs/{job_id}/{tail}")
        assert (answer.status_code, answer.text) == (200, why)
        assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("code", [8023, 8026])
def test_a_job_that_ran_too_long_has_the_reason_that_clients_know(window: Window, code: int) -> None:
    """They take it for a failure of its own kind."""
    job_id = window.submit()
    window.settle(window.run(), tasks.Refused(code, "It ran longer than 600 s."))
    state = window.get(f"/jobs/{job_id}")["state"]

    assert (state["status"], state["reason_code"]) == ("Cancelled", 1305)


def test_times_and_usage_are_told(window: Window) -> None:
    """The usage only when it is known."""
    job_id = window.submit()
    waiting = window.get(f"/jobs/{job_id}/metrics")
    window.settle(window.run())
    ended = window.get(f"/jobs/{job_id}/metrics")

    assert waiting["usage"]["status"] == "pending"
    assert (waiting["timestamps"]["running"], waiting["timestamps"]["finished"]) == (None, None)
    assert ended["usage"]["status"] == "done"
    assert ended["usage"]["qpu_charge_time_seconds"] == ended["usage"]["quantum_seconds"] == 0.25
    assert ended["timestamps"]["created"] <= ended["timestamps"]["running"] <= ended["timestamps"]["finished"]


def test_an_answer_is_held_back_until_the_job_ends(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through all states before; nobody need ask twice."""
    monkeypatch.setattr(gateway, "_PATIENCE_SECONDS", 60.0)
    job_id = window.submit()
    asked = threading.Event()

    def ask() -> httpx.Response:
        asked.set()
        return window.ask("GET", f"/jobs/{job_id}?exclude_params=true")

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask)
        asked.wait()
        window.settle(window.run())

        assert answer.result().json()["status"] == "Completed"


def test_an_answer_is_given_when_the_patience_is_over(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the job is then."""
    monkeypatch.setattr(gateway, "_PATIENCE_SECONDS", 0.01)

    assert window.get(f"/jobs/{window.submit()}?exclude_params=true")["status"] == "Queued"


def test_only_so_many_answers_are_held_back(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are given at once."""
    monkeypatch.setattr(gateway, "_PATIENCE_SECONDS", 3600.0)
    monkeypatch.setattr(gateway, "_MOST_HELD", 0)

    assert window.get(f"/jobs/{window.submit()}?exclude_params=true")["status"] == "Queued"


def test_answers_with_parameters_are_given_at_once(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be large, and who waits asks without."""
    monkeypatch.setattr(gateway, "_PATIENCE_SECONDS", 3600.0)

    assert window.get(f"/jobs/{window.submit()}")["status"] == "Queued"


def test_who_loses_the_right_while_waiting_learns_nothing_more(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is deleted is gone for who waits for it too."""
    monkeypatch.setattr(gateway, "_PATIENCE_SECONDS", 60.0)
    job_id = window.submit()

    def work(tx: Transaction) -> None:
        records.advance(tx, records.JobId(job_id), (State.CANCELLED,), factories.after(0))
        records.delete(tx, records.JobId(job_id), factories.after(0))

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(window.ask, "GET", f"/jobs/{job_id}?exclude_params=true")
        window.store.write(work)

        error(answer.result(), 404, 3250)


def test_a_job_is_cancelled_once(window: Window) -> None:
    """One that has ended cannot be."""
    job_id = window.submit()

    assert window.ask("POST", f"/jobs/{job_id}/cancel").status_code == 204
    assert window.get(f"/jobs/{job_id}")["state"] == {"status": "Cancelled"}
    error(window.ask("POST", f"/jobs/{job_id}/cancel"), 409, 3251)


def test_a_job_is_deleted_when_it_has_ended(window: Window) -> None:
    """And is gone."""
    job_id = window.submit()
    error(window.ask("DELETE", f"/jobs/{job_id}"), 409, 3251)
    window.settle(window.run())

    assert window.ask("DELETE", f"/jobs/{job_id}").status_code == 204
    error(window.ask("GET", f"/jobs/{job_id}"), 404, 3250)
    assert window.get("/jobs")["count"] == 0


def test_tags_are_replaced(window: Window) -> None:
    """With the one status that the client takes for success."""
    job_id = window.submit(tags=["old"])

    assert window.ask("PUT", f"/jobs/{job_id}/tags", json={"tags": ["new", "newer"]}).status_code == 204
    assert window.get(f"/jobs/{job_id}")["tags"] == ["new", "newer"]
    error(window.ask("PUT", f"/jobs/{job_id}/tags", json={"tags": [7]}), 400, 1000)


def test_jobs_of_others_and_of_other_instances_are_not_there(window: Window) -> None:
    """A client looks for them in its other instances."""
    job_id = window.submit()
    annex = window.crn.replace("ibm-q/open/main", "annex/main/main")
    for method, tail in (("GET", ""), ("GET", "/results"), ("GET", "/metrics"), ("DELETE", ""), ("POST", "/cancel")):
        error(window.ask(method, f"/jobs/{job_id}{tail}", "bob"), 404, 3250)
    error(window.ask("GET", f"/jobs/{'0' * 24}"), 404, 3250)
    error(window.ask("GET", f"/jobs/{window.submit('bob')}", "bob", crn=annex), 404, 3250)

    assert window.get(f"/jobs/{job_id}", crn=None)["id"] == job_id
    assert window.get(f"/jobs/{job_id}", "root")["id"] == job_id


def test_a_private_job_keeps_its_parameters_to_itself(window: Window) -> None:
    """They are not shown again, to anybody."""
    job_id = window.submit(private=True)
    document = window.get(f"/jobs/{job_id}")

    assert (document["private"], document["params"]) == (True, {})


@pytest.mark.parametrize("private", [True, False])
def test_a_private_job_is_not_for_who_administers_its_project(window: Window, private: bool) -> None:
    """By neither API; others are."""
    hub = Spot(window.town.home.hub)
    window.store.write(lambda tx: members.add(tx, hub, window.town.bob.email, now()))
    job_id = window.submit(private=private)
    expected = 404 if private else 200

    assert window.ask("GET", f"/jobs/{job_id}", "bob").status_code == expected
    assert window.former(f"/Jobs/{job_id}/v/1", "bob").status_code == expected


def test_jobs_are_listed_page_by_page(window: Window) -> None:
    """Newest first unless asked for otherwise, with the number of all, up to which clients ask on."""
    ids = [window.submit() for _ in range(5)]
    first = window.get("/jobs?exclude_params=true&limit=2")
    last = window.get("/jobs?exclude_params=true&limit=2&offset=4")
    oldest = window.get("/jobs?limit=2&sort=ASC")

    assert [job["id"] for job in first["jobs"]] == [ids[4], ids[3]]
    assert (first["count"], first["limit"], first["offset"]) == (5, 2, 0)
    assert [job["id"] for job in last["jobs"]] == [ids[0]]
    assert [job["id"] for job in oldest["jobs"]] == ids[:2]
    assert window.get("/jobs?offset=5") == {"jobs": [], "count": 5, "limit": 20, "offset": 5}
    assert "params" not in first["jobs"][0]
    assert oldest["jobs"][0]["params"]["version"] == 2


def listed(window: Window, query: str, who: str = "ann", **more: str) -> set[str]:
    """Return the ids of a list whose number is right."""
    found = window.get(f"/jobs?{query}", who, **more)
    assert found["count"] == len(found["jobs"])
    return {job["id"] for job in found["jobs"]}


def test_jobs_are_found_by_every_condition(either: Window) -> None:
    """One by one and together; several tags must all be there."""
    window = either
    first = window.submit(tags=["a"])
    claim = window.run()
    window.settle(claim)
    moment = window.get(f"/jobs/{first}")["created"]
    second = window.submit(tags=["a", "b"], program_id="estimator")
    third = window.submit(backend="machine", tags=["b"])
    window.submit("bob", tags=["a", "b"])

    assert listed(window, "") == {first, second, third}
    assert listed(window, "pending=true") == {second, third}
    assert listed(window, "pending=false") == {first}
    assert listed(window, "backend=machine") == {third}
    assert listed(window, "backend=nowhere") == set()
    assert listed(window, "program=estimator") == {second}
    assert listed(window, "tags=a") == {first, second}
    assert listed(window, "tags=a&tags=b") == {second}
    assert listed(window, f"created_before={moment}") == {first}
    assert listed(window, f"created_after={moment}") == {first, second, third}
    assert listed(window, "session_id=none") == set()
    assert listed(window, "pending=true&tags=b&backend=machine&program=sampler") == {third}
    assert listed(window, "provider=ibm-q/open/main", crn="") == {first, second, third}
    error(window.ask("GET", "/jobs?created_after=soon"), 400, 1001)
    error(window.ask("GET", "/jobs?limit=-1"), 400, 1001)


def former(window: Window) -> str:
    """Submit a Qobj by the former API."""
    body = {"backend": {"name": "device"}, "qObject": json.loads(factories.a_program())}
    answer = window.http.post("/api/Jobs", json=body, headers={"X-Access-Token": window.keys["ann"][1]})
    return str(answer.json()["id"])


def test_a_job_of_the_former_api_is_there(window: Window) -> None:
    """As a run of circuits, with its result."""
    job_id = former(window)
    sampled = window.submit()
    assert listed(window, "program=circuit-runner") == {job_id}
    assert listed(window, "") == {job_id, sampled}
    window.ask("POST", f"/jobs/{sampled}/cancel")
    window.settle(window.run(), b'{"results": []}')
    job = window.get(f"/jobs/{job_id}")

    assert (job["program"], job["status"], job["params"]) == ({"id": "circuit-runner"}, "Completed", {})
    assert window.get(f"/jobs/{job_id}/results") == {"results": []}
    assert window.get(f"/facade/v1/jobs/{job_id}/type") == {"type": "RUNTIME"}


def test_a_program_is_there_in_the_former_api(window: Window) -> None:
    """In lists and by itself, as what its clients bear: without a Qobj, and without a result that they cannot read."""
    job_id = window.submit(tags=["x"])
    window.settle(window.run())
    for path in ("/Jobs/status/v/1", "/Jobs/v/1"):
        (entry,) = window.former(path).json()
        assert (entry["id"], entry["status"], entry["tags"]) == (job_id, "COMPLETED", ["x"])
        assert entry["kind"] == "q-object-external-storage"
    for path in ("/Jobs", "/Jobs/status"):
        (entry,) = window.former(path).json()
        assert "kind" not in entry
        assert not {"qObject", "qObjectResult"} & set(entry)

    assert window.former(f"/Jobs/{job_id}/v/1").json()["status"] == "COMPLETED"
    assert window.former(f"/Jobs/{job_id}/jobDownloadUrl").status_code == 404
    assert window.former(f"/Jobs/{job_id}/resultDownloadUrl").status_code == 404


@pytest.mark.parametrize("program", ["circuit-runner", "qasm3-runner"])
def test_a_run_of_circuits_can_be_read_by_clients_of_the_former_api(window: Window, program: str) -> None:
    """Its result is of the same form."""
    job_id = window.submit(program_id=program)
    window.settle(window.run(), b'{"results": []}')
    url = window.former(f"/Jobs/{job_id}/resultDownloadUrl").json()["url"]

    assert window.http.get(url).json() == {"results": []}


def test_the_former_api_says_where_this_one_is(window: Window) -> None:
    """Clients of 2025 and before take the URL as it is."""
    assert window.former("/users/me").json()["urls"]["services"] == {"runtime": "http://testserver/runtime"}


def test_what_nobody_foresaw_is_not_repeated(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients send a POST again that is answered with 500, and each might add a job."""
    monkeypatch.setattr(gateway.Call, "json", lambda _call, _shape: 1 / 0)

    error(window.send(), 501, 1009)
