# SPDX-License-Identifier: Apache-2.0
"""What becomes of jobs when their submitter is removed, or their project deleted: who sees them and may do what."""

import json
from collections.abc import Callable
from typing import Any

import campus
import desk as desks
import pytest
from campus import HUB, LAB, ONE, Campus
from desk import Desk
from starlette.websockets import WebSocketDisconnect

import factories
from chandelier import acts
from chandelier.jobs.lifecycle import State
from chandelier.store import open_store
from chandelier.tenancy import audit

NOT_FOUND = 4003
#: Everything that may be asked of a job, with a body.
ASKED: list[tuple[str, str, Any]] = [
    *(("GET", path, None) for path in ("/v/1", "", "/status/v/1", "/status", "/properties")),
    *(("GET", path, None) for path in ("/jobDownloadUrl", "/resultDownloadUrl", "/jobUploadUrl")),
    *(("POST", path, None) for path in ("/cancel", "/jobDataUploaded", "/resultDownloaded")),
    ("PUT", "", {"name": "mine"}),
    ("DELETE", "", None),
]
READ = ("/v/1", "", "/status/v/1", "/status", "/properties", "/jobDownloadUrl", "/resultDownloadUrl")


@pytest.fixture
def hub(either: Desk) -> Campus:
    """The hub with somebody in each role, on either database."""
    return campus.build(either)


def submitted(hub: Campus, *, inline: bool = True) -> str:
    """Return a job of Mia's in the project one."""
    program: dict[str, Any] = {"qObject": json.loads(factories.a_program())} if inline else {"allowObjectStorage": True}
    return str(hub.desk.post(f"{ONE}/Jobs", {"backend": {"name": "device"}} | program, "mia")["id"])


def run(hub: Campus) -> str:
    """Return such a job that has a result."""
    job = submitted(hub)
    hub.desk.validate()
    hub.desk.settle(hub.desk.run(), desks.RESULT)
    return job


def dismiss(hub: Campus, who: str = "mia") -> None:
    """Remove somebody from the project one."""
    hub.desk.post(f"{ONE}/users", {"remove": [f"{who}@example.org"]}, "gil")


def test_who_was_removed_has_lost_their_jobs(hub: Campus) -> None:
    """Nothing of them is there any more, by any path; with the membership they come back."""
    job = run(hub)
    for path in READ:
        desks.succeed(hub.desk.ask("GET", f"/Jobs/{job}{path}", "mia"))
    dismiss(hub)

    for method, path, body in ASKED:
        desks.error(hub.desk.ask(method, f"/Jobs/{job}{path}", "mia", json=body), 404, 3250)
        below = hub.desk.ask(method, f"{ONE}/Jobs/{job}{path}", "mia", json=body)
        reads = (method == "GET" and path in READ) or path == "/resultDownloaded"
        desks.error(below, 404, 3001 if reads else 3250)
    for path in ("/Jobs", "/Jobs/v/1", "/Jobs/status", "/Jobs/status/v/1"):
        assert hub.desk.get(path, "mia") == []
        desks.error(hub.desk.ask("GET", f"{ONE}{path}", "mia"), 404, 3001)

    hub.desk.post(f"{ONE}/users", {"add": ["mia@example.org"]}, "gil")
    assert [entry["id"] for entry in hub.desk.get("/Jobs/v/1", "mia")] == [job]


def test_jobs_in_other_projects_stay(hub: Campus) -> None:
    """Lists of who left one project go on with the others, whatever the filter."""
    lost = submitted(hub)
    hub.desk.post(f"{LAB}/Projects/two/users", {"add": ["mia@example.org"]}, "gil")
    kept = hub.job("mia", "lab", "two", seconds=10).id
    assert {entry["id"] for entry in hub.desk.listed(who="mia")} == {lost, kept}
    dismiss(hub)

    for wanted in ({}, {"where": {"id": {"inq": [lost, kept]}}}, {"where": {"backend.name": "device"}}):
        assert [entry["id"] for entry in hub.desk.listed(who="mia", **wanted)] == [kept]


def test_what_is_remembered_for_others_is_not_for_who_was_removed(hub: Campus) -> None:
    """An administrator's polls do not bring the job back to its submitter."""
    job = submitted(hub)
    for _ in range(2):
        desks.succeed(hub.desk.ask("GET", f"/Jobs/{job}/status/v/1", "mia"))
    dismiss(hub)
    for who in ("hue", "root", "gil"):
        desks.succeed(hub.desk.ask("GET", f"/Jobs/{job}/status/v/1", who))
        desks.error(hub.desk.ask("GET", f"/Jobs/{job}/status/v/1", "mia"), 404, 3250)


def test_texts_of_2017_go_with_their_jobs(hub: Campus) -> None:
    """The text is the account's; what came of it is the project's."""
    text = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[1];\ncreg c[1];\nmeasure q -> c;\n'
    body, wanted = {"qasm": text, "codeType": "QASM2"}, {"deviceRunType": "device"}
    run_ = hub.desk.post("/codes/execute", body, "mia", params=wanted)
    assert hub.desk.get(f"/Executions/{run_['id']}", "mia")["id"] == run_["id"]
    dismiss(hub)

    desks.error(hub.desk.ask("GET", f"/Executions/{run_['id']}", "mia"), 404, 3254)
    assert hub.desk.get(f"/Codes/{run_['codeId']}", "mia")["qasm"] == text
    assert hub.desk.get(f"/Codes/{run_['codeId']}/executions", "mia") == []
    desks.error(hub.desk.ask("GET", f"/Codes/{run_['codeId']}/export/png/url", "mia"), 404, 3255)


def test_an_upload_of_who_was_removed_is_never_run(hub: Campus) -> None:
    """The signed address takes it until it expires, but nobody hands it over."""
    job = hub.desk.post(f"{ONE}/Jobs", {"backend": {"name": "device"}, "allowObjectStorage": True}, "mia")
    dismiss(hub)

    url = job["objectStorageInfo"]["uploadUrl"]
    assert hub.desk.http.put(url, content=factories.a_program()).status_code == 200
    desks.error(hub.desk.ask("POST", f"/Jobs/{job['id']}/jobDataUploaded", "mia"), 404, 3250)
    desks.error(hub.desk.ask("POST", f"/Jobs/{job['id']}/jobDataUploaded", "hue"), 404, 3250)
    desks.error(hub.desk.ask("POST", f"/Jobs/{job['id']}/jobDataUploaded", "root"), 404, 3001)
    assert desks.records_state(hub.desk, job["id"]) is State.CREATING


def test_a_signed_download_is_good_until_it_expires(hub: Campus) -> None:
    """It carries no name, so nobody is taken from it; a new one is refused."""
    url = hub.desk.get(f"/Jobs/{run(hub)}/resultDownloadUrl", "mia")["url"]
    dismiss(hub)

    assert hub.desk.http.get(url).status_code == 200


@pytest.mark.parametrize("delete", [False, True])
def test_an_accepted_job_is_run_whoever_was_removed(hub: Campus, delete: bool) -> None:
    """Nothing that was acknowledged is lost; administrators see it in the lists and alone, with its result."""
    job = submitted(hub)
    if delete:
        desks.succeed(hub.desk.ask("DELETE", ONE, "hue"))
    else:
        dismiss(hub)
    hub.desk.validate()
    hub.desk.settle(hub.desk.run(), desks.RESULT)

    assert [(entry["id"], entry["status"]) for entry in hub.desk.get(f"{HUB}/jobs/all", "hue")] == [(job, "COMPLETED")]
    shown = hub.desk.get(f"/Jobs/{job}", "hue")
    assert (shown["status"], shown["qObjectResult"]["success"]) == ("COMPLETED", True)


def test_members_of_a_deleted_project_keep_their_jobs(hub: Campus) -> None:
    """Nobody took them the membership; the project's own paths are gone."""
    job = run(hub)
    desks.succeed(hub.desk.ask("DELETE", LAB, "hue"))

    assert hub.desk.get(f"/Jobs/{job}/v/1", "mia")["status"] == "COMPLETED"
    assert [entry["id"] for entry in hub.desk.get("/Jobs/v/1", "mia")] == [job]
    desks.error(hub.desk.ask("GET", f"{ONE}/Jobs/{job}/v/1", "mia"), 404, 3001)
    desks.error(hub.desk.ask("POST", f"{ONE}/Jobs", "mia", json={"backend": {"name": "device"}}), 404, 3001)


@pytest.mark.parametrize("prefix", ["", ONE])
def test_administrators_open_what_they_see_in_lists(hub: Campus, prefix: str) -> None:
    """Those of the hub and of the group, with program and result, below the project's path or not."""
    job = run(hub)

    for who in ("hue", "gil", "root"):
        for path in READ:
            assert "ip" not in desks.succeed(hub.desk.ask("GET", f"{prefix}/Jobs/{job}{path}", who)) or who == "root"
        url = hub.desk.get(f"{prefix}/Jobs/{job}/resultDownloadUrl", who)["url"]
        assert hub.desk.http.get(url).json()["success"] is True
    for who in ("gus", "max", "eve"):
        for path in READ:
            desks.error(hub.desk.ask("GET", f"{prefix}/Jobs/{job}{path}", who), 404, 3001 if prefix else 3250)


@pytest.mark.parametrize("prefix", ["", ONE])
@pytest.mark.parametrize("who", ["hue", "gil", "root"])
def test_administrators_cancel_jobs_of_their_projects(hub: Campus, who: str, prefix: str) -> None:
    """Also of who was removed; it is written down, once."""
    job = submitted(hub)
    dismiss(hub)
    assert hub.desk.post(f"{prefix}/Jobs/{job}/cancel", who=who) == {"cancelled": True}
    assert hub.desk.post(f"{prefix}/Jobs/{job}/cancel", who=who) == {"cancelled": False}

    assert desks.records_state(hub.desk, job) is State.CANCELLED
    written = [act for act in hub.desk.get(f"{HUB}/audit", "hue") if act["act"] == "job.cancel"]
    assert [(act["path"], act["after"]) for act in written] == [("campus/lab/one", {"job": job})]
    assert written[0]["who"] == (hub.people[who].email if who != "root" else hub.desk.town.operator.email)


def test_cancelling_ones_own_is_nobodys_business(hub: Campus) -> None:
    """The log is of acts of administration."""
    assert hub.desk.post(f"/Jobs/{submitted(hub)}/cancel", who="mia") == {"cancelled": True}
    assert hub.desk.store.read(lambda tx: [act.act for act in audit.list_(tx) if act.act == "job.cancel"]) == []


def test_what_operators_do_to_jobs_of_others_is_written_down(hub: Campus) -> None:
    """What a job was called, how it was marked and with whom it was shared, and that it was deleted."""
    job = run(hub)
    before = {"name": "first", "tags": ["a"], "shareLevel": "project"}
    hub.desk.put(f"/Jobs/{job}", before, "mia")
    hub.desk.put(f"/Jobs/{job}", {"name": "second", "tags": [], "shareLevel": "none"}, "root")
    hub.desk.put(f"{ONE}/Jobs/{job}", {"tags": ["b"]}, "root")
    desks.succeed(hub.desk.ask("DELETE", f"/Jobs/{job}", "root"))
    desks.error(hub.desk.ask("DELETE", f"/Jobs/{job}", "root"), 404, 3250)

    written = [act for act in hub.desk.get(f"{HUB}/audit", "hue") if act["act"].startswith("job.")]
    assert [(act["act"], act["before"], act["after"]) for act in reversed(written)] == [
        ("job.change", {"job": job} | before, {"job": job, "name": "second", "tags": [], "shareLevel": "none"}),
        ("job.change", {"job": job, "tags": []}, {"job": job, "tags": ["b"]}),
        ("job.delete", {"job": job}, None),
    ]
    assert {(act["who"], act["path"]) for act in written} == {(hub.desk.town.operator.email, "campus/lab/one")}


def test_what_one_does_to_ones_own_jobs_is_nobodys_business(hub: Campus) -> None:
    """Nor is a deletion written down that is refused."""
    job, going = run(hub), submitted(hub)
    hub.desk.put(f"/Jobs/{job}", {"name": "mine"}, "mia")
    desks.succeed(hub.desk.ask("DELETE", f"/Jobs/{job}", "mia"))
    desks.error(hub.desk.ask("DELETE", f"/Jobs/{going}", "root"), 409, 3251)
    assert hub.desk.store.read(lambda tx: [act.act for act in audit.list_(tx) if act.act.startswith("job.")]) == []


@pytest.mark.parametrize("prefix", ["", ONE])
def test_a_hubs_administrators_have_nothing_when_it_is_removed(hub: Campus, prefix: str) -> None:
    """Nor its groups'; operators see its jobs, and members their own."""
    job, waits = run(hub), submitted(hub)
    by = audit.By("shell", desks.now())
    hub.desk.store.write(lambda tx: acts.remove(tx, by, hub.spot("campus")))

    for who in ("hue", "gil"):
        for path in READ:
            desks.error(hub.desk.ask("GET", f"{prefix}/Jobs/{job}{path}", who), 404, 3001 if prefix else 3250)
        desks.error(hub.desk.ask("POST", f"{prefix}/Jobs/{waits}/cancel", who), 404, 3250)
        desks.error(hub.desk.ask("GET", f"{HUB}/jobs/all", who), 404, 3001)
    assert hub.desk.get(f"/Jobs/{job}/v/1", "mia")["id"] == job
    assert hub.desk.post(f"/Jobs/{waits}/cancel", who="root") == {"cancelled": True}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/jobUploadUrl", None),
        ("POST", "/jobDataUploaded", None),
        ("PUT", "", {"name": "x"}),
        ("DELETE", "", None),
    ],
)
def test_administrators_do_nothing_else_to_jobs(hub: Campus, method: str, path: str, body: Any) -> None:
    """A job's name, its sharing and its deletion are its submitter's."""
    job = run(hub)
    for who in ("hue", "gil"):
        desks.error(hub.desk.ask(method, f"/Jobs/{job}{path}", who, json=body), 404, 3250)


def test_administrators_of_another_group_cancel_nothing(hub: Campus) -> None:
    """Nor does a member of the same project."""
    job = submitted(hub)
    hub.desk.post(f"{ONE}/users", {"add": ["eve@example.org"]}, "gil")

    for who in ("gus", "max", "eve"):
        desks.error(hub.desk.ask("POST", f"/Jobs/{job}/cancel", who), 404, 3250)
    desks.error(hub.desk.ask("POST", f"{LAB}/Projects/two/Jobs/{job}/cancel", "gil"), 404, 3250)


def follow(hub: Campus, job: str, act: Callable[[], object]) -> int:
    """Follow a job of Mia's until the stream is closed, and return the code; `act` follows the first status."""
    with hub.desk.http.websocket_connect(f"/jobs/{job}/status/v/1") as socket:
        socket.send_text(json.dumps({"type": "authentication", "data": hub.desk.tokens["mia"]}))
        assert json.loads(socket.receive_bytes()) == {"type": "authenticated"}
        assert json.loads(socket.receive_bytes())["data"]["status"] == "VALIDATING"
        act()
        with pytest.raises(WebSocketDisconnect) as caught:
            socket.receive_bytes()
    return caught.value.code


def test_a_stream_ends_with_the_membership(hub: Campus) -> None:
    """At once, though nothing happens to the job."""
    assert follow(hub, submitted(hub), lambda: dismiss(hub)) == NOT_FOUND


def test_a_stream_ends_with_a_membership_that_another_process_took(hub: Campus) -> None:
    """Such as the command line."""

    def from_the_shell() -> None:
        store = hub.desk.store
        url = store.database.url.render_as_string(hide_password=False)
        other = open_store(url, store.objects.root, b"another secret for tests, 32 bytes")
        by = audit.By("shell", desks.now())
        other.write(lambda tx: acts.remove_member(tx, by, hub.place("lab", "one").spot, "mia@example.org"))
        other.close()

    assert follow(hub, submitted(hub), from_the_shell) == NOT_FOUND


def test_other_streams_go_on(hub: Campus) -> None:
    """When somebody else leaves."""
    hub.desk.post(f"{ONE}/users", {"add": ["eve@example.org"]}, "gil")
    job = submitted(hub)

    def act() -> None:
        dismiss(hub, "eve")
        hub.desk.post(f"/Jobs/{job}/cancel", who="mia")

    with hub.desk.http.websocket_connect(f"/jobs/{job}/status/v/1") as socket:
        socket.send_text(json.dumps({"type": "authentication", "data": hub.desk.tokens["mia"]}))
        assert [json.loads(socket.receive_bytes()).get("type") for _ in range(2)] == ["authenticated", "job-status"]
        act()
        assert json.loads(socket.receive_bytes())["data"]["status"] == "CANCELLED"
