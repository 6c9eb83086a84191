# SPDX-License-Identifier: Apache-2.0
"""The route table of the Runtime API, its errors and its states."""

import re

import pytest
from window import Window, error

from chandelier import errors, runtime
from chandelier.gateway import Route
from chandelier.jobs.lifecycle import State
from chandelier.runtime import documents, identity

TABLES = (*runtime.ROUTES, *runtime.IDENTITY, *runtime.DIRECTORY)
#: The only words that clients take for states; anything else would never count as final.
WORDS = {"Queued", "Running", "Completed", "Failed", "Cancelled"}


def filled(route: Route) -> str:
    """Return a path with names that nobody has."""
    return re.sub(r"{\w+}", "0" * 24, route.path)


def test_every_route_has_a_sentence() -> None:
    """And no path is there twice."""
    keys = [(route.method, re.sub(r"{\w+}", "{}", route.path).lower()) for route in TABLES]

    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[A-Z].*\.", route.summary) for route in TABLES)


def test_every_kind_of_error_has_a_status() -> None:
    """That no client repeats a request for, but where repeating it helps."""
    assert set(runtime.STATUS) == set(errors.ChandelierError.__subclasses__())
    statuses = {runtime.render_error(kind("why", 1001))[0] for kind in (*runtime.STATUS, errors.ChandelierError)}
    assert statuses & {500, 502, 503, 504, 520, 521, 522, 524} == {503}
    for kind in (*runtime.STATUS, errors.ChandelierError):
        status, document = identity.render_error(kind("why", 1001))
        assert 400 <= status < 600
        assert document["errorMessage"] == "why"


def test_every_state_has_a_word_that_clients_know() -> None:
    """And one that says whether the job has ended."""
    assert set(documents.STATES) == set(State)
    assert set(documents.STATES.values()) == WORDS


@pytest.mark.parametrize("route", runtime.ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_nobody_is_told_anything(window: Window, route: Route) -> None:
    """Whatever is asked for, and whether it exists or not."""
    error(window.ask(route.method, filled(route), None), 401, 2001)


def test_no_request_is_too_strange_to_be_answered(window: Window) -> None:
    """In our words, or with what was asked for."""
    for route in runtime.ROUTES:
        for body in (b"", b"{", b"[]", b"\xff", b'{"backend": 7}', b"[" * 10_000):
            answer = window.ask(
                route.method, filled(route), content=body, params={"limit": "9" * 8, "offset": "\u0664"}
            )
            assert answer.status_code in {200, 400, 404, 409}, (route.path, answer.text)
            assert answer.status_code == 200 or answer.json()["errors"][0]["code"]


def test_another_method_is_refused(window: Window) -> None:
    """As it is elsewhere."""
    assert window.ask("PUT", "/jobs").status_code == 405
    assert window.ask("GET", "/nothing").status_code == 404


def test_text_that_no_database_keeps_finds_nothing(either: Window) -> None:
    """On neither database does it do any harm."""
    for path in (
        "/jobs?session_id=%00",
        "/jobs?program=%00",
        "/jobs?backend=%00",
        "/jobs?tags=%00",
        "/jobs?provider=%00/a/b",
        "/jobs/%00",
        "/sessions/%00",
        "/backends/%00/status",
        "/backends/device/properties?calibration_id=%00",
    ):
        assert either.ask("GET", path, crn=None).status_code in {200, 400, 404}, path
    body = {"program_id": "sampler", "params": {}, "backend": "\x00", "session_id": "\x00", "hub": "\x00"}
    for wanted in (body, body | {"backend": "device"}, body | {"backend": "device", "calibration_id": "\x00"}):
        assert either.ask("POST", "/jobs", json=wanted).status_code == 400
    assert either.ask("POST", "/sessions", json={"backend": "\x00"}).status_code in {400, 404}
