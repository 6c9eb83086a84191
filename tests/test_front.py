# SPDX-License-Identifier: Apache-2.0
"""The front desk: health, readiness, metrics, and the description of the API with its page."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from chandelier import __version__, errors, experience, front, gateway
from chandelier.front import Facts

READY = Facts(jobs={"QUEUED": 3, "RUNNING": 1}, children={"idle": 1, "busy": 1})
#: Attributes and functions by which a page fetches something.
FETCHED = re.compile(r"""(?:src|href|url|Url)\s*[=:(]\s*["']([^"']*)["']""")


@contextmanager
def opened(facts: Facts | errors.ChandelierError = READY) -> Iterator[TestClient]:
    """Serve the front desk of a house that is as said."""

    def look() -> Facts:
        if isinstance(facts, Facts):
            return facts
        raise facts

    with TestClient(Starlette(routes=front.routes(look)), base_url="http://cloud.example") as http:
        yield http


GONE = errors.Unavailable("The database does not answer: no route", 1008)


@pytest.mark.parametrize("facts", [READY, GONE], ids=["ready", "without database"])
def test_health_is_that_of_the_process_alone(facts: Any) -> None:
    """It answers, so it lives."""
    with opened(facts) as http:
        answer = http.get("/health")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": __version__})


@pytest.mark.parametrize("children", [{"idle": 1}, {"busy": 2, "starting": 1}])
def test_ready_with_a_child_that_works(children: dict[str, int]) -> None:
    """Idle or busy."""
    with opened(Facts({}, children)) as http:
        answer = http.get("/ready")

    assert (answer.status_code, answer.json()) == (200, {"ready": True, "reason": None})


@pytest.mark.parametrize(
    "facts", [Facts({}, {}), Facts({}, {"starting": 2}), GONE], ids=["none", "starting", "database"]
)
def test_not_ready_says_why(facts: Any) -> None:
    """With a status that load balancers understand."""
    with opened(facts) as http:
        answer = http.get("/ready")

    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert len(answer.json()["reason"]) > 10


def test_metrics_have_the_form_of_prometheus() -> None:
    """With what is now, of jobs and children."""
    with opened() as http:
        answer = http.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert 'chandelier_jobs{state="QUEUED"} 3.0' in lines
    assert 'chandelier_pool_children{state="busy"} 1.0' in lines


def test_metrics_are_told_without_the_database() -> None:
    """That is when somebody looks at them."""
    with opened(GONE) as http:
        answer = http.get("/metrics")

    assert answer.status_code == 200
    assert "chandelier_requests" in answer.text
    assert "chandelier_jobs{" not in answer.text


def test_the_description_has_every_route() -> None:
    """Each path with each method, and nothing else."""
    described = {
        (method.upper(), path) for path, operations in front.openapi()["paths"].items() for method in operations
    }

    assert described == {(route.method, "/api" + path) for route in experience.ROUTES for path in gateway.paths(route)}


def test_every_operation_is_described() -> None:
    """A sentence, its parameters, whether it needs a token."""
    public = {
        ("/api" + path, route.method.lower())
        for route in experience.ROUTES
        if route.public
        for path in gateway.paths(route)
    }
    for path, operations in front.openapi()["paths"].items():
        for method, operation in operations.items():
            assert re.fullmatch(r"[A-Z].*\.", operation["summary"])
            named = [parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"]
            assert named == re.findall(r"{(\w+)}", path)
            assert (operation["security"] == []) == ((path, method) in public)


def test_the_description_refers_to_nothing_that_is_missing() -> None:
    """Each reference has its component, and each security scheme is declared."""
    document = front.openapi()
    with opened() as http:
        assert http.get("/openapi.json").json() == document
    schemes = set(document["components"]["securitySchemes"])
    for reference in re.findall(r"'\$ref': '#/([^']+)'", repr(document)):
        found: Any = document
        for name in reference.split("/"):
            found = found[name]
    used = {
        name
        for operations in document["paths"].values()
        for operation in operations.values()
        for entry in operation["security"]
        for name in entry
    }
    assert used == schemes


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_the_page_needs_no_other_host(path: str) -> None:
    """Its script, its style and the description come from here, and it reports its address to nobody."""
    with opened() as http:
        page = http.get(path)
        assert page.headers["content-type"].startswith("text/html")
        fetched = FETCHED.findall(page.text)
        assert {"openapi.json"} < set(fetched)
        for target in fetched:
            assert "//" not in target
            assert http.get(f"/{target}").status_code == 200
    assert "//" not in re.sub(r"<!doctype html>", "", page.text)
    # Unless told not to, the script of the page asks a host of its makers to judge the description.
    assert "validatorUrl: null" in page.text
