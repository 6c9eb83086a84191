# SPDX-License-Identifier: Apache-2.0
"""Sessions and batches, as today's client opens, asks for and closes them."""

from typing import Any

import pytest
from window import OpenWindow, Window, error

from chandelier.jobs.lifecycle import State
from chandelier.settings import Sessions

#: What `Session.details` reads.
READ = {
    *("id", "backend_name", "interactive_ttl", "max_ttl", "active_ttl", "state", "accepting_jobs", "mode"),
    *(
        "last_job_started",
        "last_job_completed",
        "started_at",
        "closed_at",
        "activated_at",
        "elapsed_time",
        "timestamps",
    ),
}


def opened(window: Window, mode: str = "dedicated", **more: Any) -> dict[str, Any]:
    """Open a session on the machine, as the client does."""
    body = {"mode": mode, "backend": "machine", "instance": window.crn} | more
    document: dict[str, Any] = window.post("/sessions", body)
    return document


@pytest.mark.parametrize("mode", ["dedicated", "batch"])
def test_a_session_is_opened(window: Window, mode: str) -> None:
    """With everything that the client reads."""
    made = opened(window, mode, max_ttl=600)

    assert set(made) >= READ
    assert (made["mode"], made["state"], made["accepting_jobs"]) == (mode, "open", True)
    assert (made["backend_name"], made["max_ttl"]) == ("machine", 600)
    assert window.get(f"/sessions/{made['id']}") == made


def test_jobs_in_a_session_are_found_by_it(window: Window) -> None:
    """And say to which they belong."""
    session = opened(window)["id"]
    job_id = window.submit(backend="machine", session_id=session)
    window.submit(backend="machine")

    assert [job["id"] for job in window.get(f"/jobs?session_id={session}")["jobs"]] == [job_id]
    assert window.get(f"/jobs/{job_id}")["session_id"] == session


def test_a_session_is_active_from_its_first_job(window: Window) -> None:
    """With the times of its states."""
    session = opened(window)["id"]
    window.submit(backend="machine", session_id=session)
    window.settle(window.run())
    told = window.get(f"/sessions/{session}")

    assert told["state"] == "active"
    assert [mark["status"] for mark in told["timestamps"]] == ["open", "active"]
    assert told["started_at"] <= told["activated_at"] == told["last_job_started"] <= told["last_job_completed"]
    assert told["elapsed_time"] >= 0


def test_a_session_stops_to_take_jobs(window: Window) -> None:
    """Those that it has go on; then it is closed."""
    session = opened(window)["id"]
    waiting = window.submit(backend="machine", session_id=session)
    told = window.ask("PATCH", f"/sessions/{session}", json={"accepting_jobs": False}).json()
    refused = window.send(backend="machine", session_id=session)
    window.settle(window.run())

    assert (told["state"], told["accepting_jobs"]) == ("open", False)
    error(refused, 409, 1021)
    assert window.state(waiting) is State.COMPLETED
    assert window.get(f"/sessions/{session}")["state"] == "closed"


def test_a_session_is_closed(window: Window) -> None:
    """What waits in it is cancelled; a second time does no harm."""
    session = opened(window)["id"]
    job_id = window.submit(backend="machine", session_id=session)

    for _ in range(2):
        assert window.ask("DELETE", f"/sessions/{session}/close").status_code == 204
    assert window.state(job_id) is State.CANCELLED
    assert window.get(f"/sessions/{session}")["state"] == "closed"
    error(window.send(backend="machine", session_id=session), 409, 1021)
    error(window.ask("PATCH", f"/sessions/{session}", json={"accepting_jobs": True}), 409, 1021)


def test_a_job_for_another_device_is_not_taken(window: Window) -> None:
    """A session is on one device."""
    error(window.send(backend="device", session_id=opened(window)["id"]), 409, 1021)


def test_simulators_need_no_sessions(window: Window) -> None:
    """Clients open none there."""
    error(window.ask("POST", "/sessions", json={"mode": "batch", "backend": "device"}), 400, 1001)


def test_an_older_client_opens_one_with_its_first_job(window: Window) -> None:
    """And is told which it is; on a simulator there is none."""
    answer = window.send(backend="machine", start_session=True, session_time=300).json()

    assert window.get(f"/sessions/{answer['session_id']}")["max_ttl"] == 300
    assert "session_id" not in window.send(start_session=True).json()


def test_sessions_of_others_are_not_there(window: Window) -> None:
    """Nor those of another instance."""
    session = opened(window)["id"]
    annex = window.crn.replace("ibm-q/open/main", "annex/main/main")
    for method, tail in (("GET", ""), ("DELETE", "/close")):
        error(window.ask(method, f"/sessions/{session}{tail}", "bob"), 404, 1022)
    error(window.ask("GET", f"/sessions/{session}", "root", crn=annex), 404, 1022)
    error(window.ask("GET", "/sessions/none"), 404, 1022)

    assert window.get(f"/sessions/{session}", crn=None)["id"] == session


def test_how_long_sessions_last_is_set(open_window: OpenWindow) -> None:
    """By the operator, in hours and seconds."""
    window = open_window(sessions=Sessions(usual_hours=1, longest_hours=3, idle_seconds=5))
    made = opened(window)

    assert (made["max_ttl"], made["interactive_ttl"]) == (3600, 5)
    error(window.ask("POST", "/sessions", json={"backend": "machine", "max_ttl": 10801}), 400, 1001)
