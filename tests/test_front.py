# SPDX-License-Identifier: Apache-2.0
"""The front desk: health, readiness, metrics, and the description of the API with its page."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from chandelier import __version__, errors, experience, front, gateway, runtime
from chandelier.front import Facts
from chandelier.gateway import Route

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

    tables = {
        "/api": experience.ROUTES,
        "/api/v1": runtime.ROUTES,
        "": (*runtime.IDENTITY, *runtime.DIRECTORY),
    }
    assert described == {
        (route.method, base + path)
        for base, table in tables.items()
        for route in table
        for path in gateway.paths(route)
    }
    assert {table for face in front.FACES for table in face.routes} == {
        route for each in tables.values() for route in each
    }


def test_the_runtime_api_is_described_in_its_own_words() -> None:
    """Its errors, who asks and about which instance; nothing of it has the name of something else."""
    document = front.openapi()
    submit, cancel = (document["paths"][f"/api/v1/jobs{tail}"]["post"] for tail in ("", "/{job}/cancel"))

    assert {"$ref": "#/components/parameters/instance"} in submit["parameters"]
    assert set(submit["responses"]) == {"200", "400", "401", "404", "409", "413", "429", "503"}
    assert submit["responses"]["409"]["$ref"].endswith("/Runtime.Conflict")
    assert "Runtime.Submission" in repr(submit["requestBody"])
    assert "204" in cancel["responses"]
    assert "200" not in cancel["responses"]
    assert [list(entry) for entry in submit["security"]] == [["bearer"], ["key"], ["header"]]
    assert list(document["paths"]["/identity/token"]["post"]["requestBody"]["content"]) == [
        "application/x-www-form-urlencoded"
    ]
    results = document["paths"]["/api/v1/jobs/{job}/results"]["get"]["responses"]["200"]["content"]
    assert set(results) == {"application/json", "text/plain"}


def operations(wanted: Callable[[Route], bool] = lambda _: True) -> Iterator[tuple[Route, str, dict[str, Any]]]:
    """Yield routes with each of their paths and its description."""
    described = front.openapi()["paths"]
    for route in filter(wanted, experience.ROUTES):
        for path in gateway.paths(route):
            yield route, path, described["/api" + path][route.method.lower()]


def test_every_operation_is_described() -> None:
    """A sentence, its parameters, whether it needs a token."""
    known = front.openapi()["components"]["parameters"]
    for route, path, operation in operations():
        assert re.fullmatch(r"[A-Z].*\.", operation["summary"])
        referred = [entry["$ref"].rpartition("/")[2] for entry in operation["parameters"] if "$ref" in entry]
        assert referred == re.findall(r"{(\w+)}", path)
        assert all(known[name]["name"] == name and known[name]["required"] for name in referred)
        assert (operation["security"] == []) == route.public


def test_every_answer_has_a_shape() -> None:
    """All but those of the upload, which is empty."""
    shapeless = {
        route.handler.__name__ for route, _, operation in operations() if "content" not in operation["responses"]["200"]
    }

    assert shapeless == {"upload"}
    for route, path, operation in operations():
        statuses = set(operation["responses"]) - {"200"}
        assert statuses >= {"400", "413", "503"}
        assert ("401" in statuses) >= (not route.public)
        assert ("404" in statuses) >= ("{" in path)
        assert all(operation["responses"][status]["$ref"].startswith("#/components/responses/") for status in statuses)


def test_objects_in_a_query_are_described_as_json() -> None:
    """A filter is an object that is sent as text."""
    queries = {
        entry["name"]: "content" in entry
        for _, _, operation in operations()
        for entry in operation["parameters"]
        if entry.get("in") == "query"
    }

    assert queries["filter"]
    assert {name for name, as_json in queries.items() if not as_json} >= {
        "expires",
        "signature",
        "initialDate",
        "version",
    }


def test_a_login_may_be_a_form() -> None:
    """As well as JSON; everything else that has a body has JSON."""
    kinds = {
        (route.path, kind)
        for route, _, operation in operations()
        for kind in operation.get("requestBody", {}).get("content", ())
    }
    forms = {path for path, kind in kinds if kind == "application/x-www-form-urlencoded"}

    assert forms == {"/users/login", "/users/loginWithToken"}
    assert {kind for path, kind in kinds if path not in forms} == {"application/json"}


def test_the_description_speaks_the_language_of_its_page() -> None:
    """OpenAPI 3.0: null is no type, a constant is a choice of one, and what is required is never an empty list."""
    text = repr(front.openapi())

    assert front.openapi()["openapi"] == "3.0.3"
    assert "'nullable': True" in text
    for newer in ("'null'", "'const'", "'prefixItems'", "'required': []", "'examples'", "$defs"):
        assert newer not in text


def test_the_description_tells_users_no_sources() -> None:
    """They are for those who read the code."""
    assert "Source:" not in repr(front.openapi())


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
