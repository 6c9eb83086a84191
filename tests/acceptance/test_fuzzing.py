# SPDX-License-Identifier: Apache-2.0
"""Thousands of requests made from the server's own description: none fails that should not, all are as described."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec
import programs
import pytest
from api import Api
from clouds import Cloud, Start, eventually

pytestmark = pytest.mark.acceptance

#: Nobody is told to wait: that would hide all other answers.
SETTINGS: Final = {"logins_per_minute": 10**9, "login_failures_per_minute": 10**8}
CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "ignored_auth",
)
#: Jobs for it wait.
PAUSED: Final = "simulator_stabilizer"
EMAIL: Final = "fuzz@example.org"
PASSWORD: Final = "correct horse battery staple"
QASM: Final = 'include "qelib1.inc"; qreg q[1]; creg c[1]; h q[0]; measure q -> c;'
#: A hub that the user administers, what in it may be deleted, and devices that may be taken from it.
HUB: Final = "fuzzed"
SPARE: Final = tuple(f"spare{number}" for number in range(6))
DOOMED: Final = ("ibmq_manila", "ibm_lagos", "simulator_statevector")
#: What an administrator may not do: operators alone.
OPERATORS: Final = {
    "POST /Network/{hub}/users",
    "POST /Network/{hub}/devices",
    "DELETE /Network/{hub}/devices/{device}",
}
#: The instance that a user has from the beginning.
INSTANCE: Final = "crn:v1:bluemix:public:quantum-computing:us-east:a/chandelier:ibm-q/open/main::"
PREFIX: Final = "/Network/{hub}/Groups/{group}/Projects/{project}"
#: The device of that hub which stays, and of which times are reserved.
STAYS: Final = "ibmq_qasm_simulator"


class Names(msgspec.Struct, frozen=True):
    """What there is in the cloud, for a program that could not guess it.

    Attributes:
        token: The API token of the user whose all this is.
        user: The id of that user.
        jobs: Jobs in the states that last; nobody may delete or cancel them.
        doomed: Jobs that may be.
        execution: A run of a program that was kept.
        signed: Valid addresses, each as the values of its parameters, by method and kind.
    """

    token: str
    user: str
    jobs: list[str]
    doomed: list[str]
    execution: dict[str, Any]
    signed: dict[str, dict[str, Any]]


def furnish(cloud: Cloud, api: Api, token: str) -> Names:
    """Fill the cloud with jobs of one user, in every state that lasts."""
    assert cloud.command("device", "pause", PAUSED).returncode == 0
    done = api.submit(programs.bell(), name="done", tags=["a", "b"], shareLevel="project")
    cancelled = api.submit(programs.bell(), PAUSED)
    api.post(f"/Jobs/{cancelled}/cancel")
    refused = api.submit(programs.bell() | {"type": "PULSE"})
    failed = api.submit(programs.failing())
    for state, job in {"COMPLETED": done, "ERROR_VALIDATING_JOB": refused, "ERROR_RUNNING_JOB": failed}.items():
        assert api.wait(job)["status"] == state
    opened = str(api.post("/Jobs", json={"backend": {"name": PAUSED}, "allowObjectStorage": True})["id"])
    waiting = api.submit(programs.bell(), PAUSED)
    query = {"shots": 10, "deviceRunType": "simulator"}
    execution = api.post("/codes/execute", params=query, json={"qasm": QASM, "name": "kept"})
    done_at = f"/Executions/{execution['id']}"
    eventually(lambda: api.get(done_at)["status"]["id"] == "DONE" or None, 60, "the kept program was not run")
    signed = {
        "GET programs": api.signed(done, "jobDownloadUrl"),
        "GET results": api.signed(done, "resultDownloadUrl"),
        "GET pictures": str(api.get(f"/Codes/{execution['codeId']}/export/png/url")["url"]),
        "PUT programs": api.signed(opened, "jobUploadUrl"),
    }
    return Names(
        token,
        str(api.get("/users/me")["id"]),
        [done, cancelled, refused, failed, opened, waiting],
        [api.submit(programs.bell(), PAUSED), *(ended(api) for _ in range(20))],
        execution,
        {what: parameters(url) for what, url in signed.items()},
    )


def ended(api: Api) -> str:
    """Return a job that may be deleted."""
    job = api.submit(programs.bell(), PAUSED)
    api.post(f"/Jobs/{job}/cancel")
    return job


def parameters(url: str) -> dict[str, Any]:
    """Return the name and the query of a signed address."""
    split = urlsplit(url)
    query = dict(parse_qsl(split.query))
    return query | {"name": split.path.rpartition("/")[2], "expires": int(query["expires"])}


def with_names(description: dict[str, Any], names: Names) -> dict[str, Any]:
    """Return the description with what there is in the cloud where it says only how a name looks."""
    known: dict[str, list[Any]] = {
        "hub": ["ibm-q"],
        "group": ["open"],
        "project": ["main"],
        "device": ["ibmq_qasm_simulator", "ibmq_manila", PAUSED],
        "job": names.jobs,
        "execution": [names.execution["id"]],
        "code": [names.execution["codeId"]],
        "user": [names.user],
    }
    components = description["components"]
    for name, values in known.items():
        described = components["parameters"][name]["schema"]
        # Mostly what there is, and now and then whatever could be written there.
        components["parameters"][name]["schema"] = {"anyOf": [*[{"enum": values}] * 5, described]}
    schemas = components["schemas"]
    schemas["Backend"]["properties"]["name"] = {"enum": known["device"]}
    schemas["Submission"]["properties"]["qObject"] = {"anyOf": [{"enum": [programs.bell()]}, {}]}
    schemas["Run"]["properties"]["qasm"] = {"anyOf": [{"enum": [QASM]}, {"type": "string"}]}
    schemas["Credentials"] = {
        "anyOf": [
            {"properties": {"apiToken": {"enum": [names.token]}}, "required": ["apiToken"]},
            {"properties": {"email": {"enum": [EMAIL]}, "password": {"enum": [PASSWORD]}}, "required": ["email"]},
            schemas["Credentials"],
        ]
    }
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            if path.endswith("/codes/execute"):
                put(operation, {"name": "deviceRunType", "in": "query", "schema": {"enum": ["simulator"]}})
            if method == "delete" or path.endswith("/cancel"):
                put(operation, {"name": "job", "in": "path", "required": True, "schema": {"enum": names.doomed}})
            if path.endswith("/queue/status"):
                # Public, so nobody's membership of what stands before the device is looked at.
                for name in ("hub", "group", "project"):
                    put(operation, {"name": name, "in": "path", "required": True, "schema": {}})
            if "/objects/" in path:
                for name, value in names.signed[f"{method.upper()} {path.split('/')[3]}"].items():
                    where = "path" if name == "name" else "query"
                    put(operation, {"name": name, "in": where, "required": True, "schema": {"enum": [value]}})
    return description


def manage(cloud: Cloud) -> None:
    """Add a hub that the user administers, with groups and projects that may be deleted."""
    commands: list[tuple[str, ...]] = [
        ("hub", "add", HUB),
        ("group", "add", f"{HUB}/lab"),
        ("project", "add", f"{HUB}/lab/one"),
    ]
    commands += [("group", "add", f"{HUB}/{name}") for name in SPARE]
    commands += [("project", "add", f"{HUB}/lab/{name}") for name in SPARE]
    for device in (STAYS, *DOOMED):
        commands += [("grant", "set", path, device) for path in (HUB, f"{HUB}/lab", f"{HUB}/lab/one")]
    for command in [*commands, ("member", "add", HUB, EMAIL)]:
        assert cloud.command(*command).returncode == 0, command


def booking(hours: float) -> dict[str, Any]:
    """Return a request to reserve some minutes, so many hours from now."""
    begins = datetime.now(UTC) + timedelta(hours=hours)
    times = {"initialDate": begins, "endDate": begins + timedelta(minutes=5)}
    return {name: moment.isoformat(timespec="seconds") for name, moment in times.items()} | {"mode": "dedicated"}


def reserve(api: Api) -> list[str]:
    """Reserve times for the project of the hub, and so for what is above it; nothing may run in them, nor waits."""
    path = f"/Network/{HUB}/Groups/lab/Projects/one/devices/{STAYS}/bookings"
    return [str(api.post(path, json=booking(24 + hours))["id"]) for hours in range(40)]


def administered(description: dict[str, Any], reserved: list[str]) -> dict[str, Any]:
    """Return the description with what there is in the hub that the user administers.

    Args:
        reserved: Reservations there.
    """
    schemas = description["components"]["schemas"]
    right: dict[str, list[dict[str, Any]]] = {
        "Addition": [{"name": f"new{number}", "title": "New"} for number in range(50)],
        "Granting": [{"name": STAYS, "priority": 5}],
        "Members": [{"add": [EMAIL]}],
        "Options": [{"allTime": True}],
    }
    for name, bodies in right.items():
        schemas[name] = {"anyOf": [{"enum": bodies}, schemas[name]]}
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            if "Forbidden" not in json.dumps(operation["responses"]) or not path.startswith("/api/Network/{hub}"):
                continue
            spare = method == "delete"
            # What is reserved or cancelled once cannot be again, so each level has its own.
            level = ("{group}" in path) + ("{project}" in path)
            if method == "post" and path.endswith("/bookings"):
                content = operation["requestBody"]["content"]["application/json"]
                bodies = [booking(24 * (7 + level * 7) + hours) for hours in range(50)]
                content["schema"] = {"anyOf": [{"enum": bodies}, content["schema"]]}
            values = {
                "hub": [HUB],
                "group": list(SPARE) if spare and path.endswith("{group}") else ["lab"],
                "project": list(SPARE) if spare and path.endswith("{project}") else ["one"],
                "device": list(DOOMED) if spare and path.endswith("{device}") else [STAYS],
                "booking": reserved[level::3],
            }
            for name, known in values.items():
                put(operation, {"name": name, "in": "path", "required": True, "schema": {"enum": known}})
    return description


def part(description: dict[str, Any], *, runtime: bool) -> dict[str, Any]:
    """Return the description of the Runtime API alone, or of the other."""
    paths = {
        path: known
        for path, known in description["paths"].items()
        if runtime == all(operation["tags"][0].startswith("Runtime") for operation in known.values())
    }
    return description | {"paths": paths}


def opened(cloud: Cloud, token: str) -> list[str]:
    """Open sessions, and return their ids."""
    with httpx.Client(headers={"Authorization": f"apikey {token}"}, trust_env=False) as http:
        made = [http.post(f"{cloud.root}/api/v1/sessions", json={"backend": "ibmq_manila"}) for _ in range(5)]
    return [answer.json()["id"] for answer in made]


def with_instances(description: dict[str, Any], names: Names, sessions: list[str]) -> dict[str, Any]:
    """Return the description of the Runtime API with what there is in the cloud.

    Args:
        sessions: That are open.
    """
    known = {
        "device": ["ibmq_qasm_simulator", "ibmq_manila"],
        "job": names.jobs,
        "session": sessions,
        "instance": [INSTANCE, "ibm-q/open/main"],
    }
    for name, values in known.items():
        parameter = description["components"]["parameters"][name]
        parameter["schema"] = {"anyOf": [*[{"enum": values}] * 5, parameter["schema"]]}
    schemas = description["components"]["schemas"]
    program = {"program_id": "sampler", "backend": PAUSED, "params": {"pubs": []}}
    right = {
        "Runtime.Submission": [program, program | {"tags": ["a"], "cost": 5}, program | {"program_id": "estimator"}],
        "Runtime.Opening": [{"backend": "ibmq_manila", "mode": "batch"}],
        "Identity.Login": [{"apikey": names.token}],
    }
    for name, bodies in right.items():
        schemas[name] = {"anyOf": [{"enum": bodies}, schemas[name]]}
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            if "{job}" in path and (method == "delete" or path.endswith("/cancel")):
                values = names.doomed if path.endswith("/cancel") else names.doomed[1:]
                put(operation, {"name": "job", "in": "path", "required": True, "schema": {"enum": values}})
    return description


def put(operation: dict[str, Any], parameter: dict[str, Any]) -> None:
    """Put a parameter in the place of the one of its name, if there is one."""
    operation["parameters"] = [
        parameter if old.get("name", old.get("$ref", "").rpartition("/")[2]) == parameter["name"] else old
        for old in operation["parameters"]
    ]


def fuzz(cloud: Cloud, folder: Path, description: dict[str, Any], *options: str) -> dict[str, Any]:
    """Send requests, check the answers and return the report."""
    (folder / "openapi.json").write_text(json.dumps(description), encoding="utf-8")
    command = [sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", cloud.root]
    # One worker: Python 3.11 fails now and then where two threads make syntax trees at once, as Hypothesis does.
    command += ["--checks", ",".join(CHECKS), "--workers", "1", "--seed", "1", "--continue-on-failure", "--no-color"]
    command += ["--generation-database", "none", "--warnings", "off", "--report-json-path", "report.json"]
    # Where nearly every text is a right one, wrong ones are rare.
    command += ["--suppress-health-check", "filter_too_much", *options]
    done = subprocess.run(command, cwd=folder, env=cloud.environment, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stdout[-8000:] + done.stderr[-2000:]
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    report["story"] = done.stdout[-8000:]
    return report


def succeeded(cloud: Cloud) -> set[str]:
    """Return the routes that answered with a success at least once, each with its method."""
    text = httpx.get(f"{cloud.root}/metrics", trust_env=False).text
    found = re.findall(
        r'^chandelier_requests_total{method="(\w+)",route="([^"]+)",status="20[04]"}', text, re.MULTILINE
    )
    return {f"{method} {route}" for method, route in found}


def served(description: dict[str, Any]) -> set[str]:
    """Return the routes of the description, each with its method."""
    named = [
        (method.upper(), path.removeprefix("/api")) for path, known in description["paths"].items() for method in known
    ]
    # What is below a project is a route of its own only if it is not there without one.
    return {
        f"{method} {tail.removeprefix(PREFIX) if (method, tail.removeprefix(PREFIX)) in named else tail}"
        for method, tail in named
    }


def checked(cloud: Cloud, report: dict[str, Any], description: dict[str, Any], *, requests: int) -> None:
    """Check that every endpoint was tried, that nothing was found, and that there was enough to find something in."""
    assert report["failures"] == [], report["story"]
    assert report["errors"] == [], report["story"]
    assert report["complete"]
    assert report["operations"]["tested"] == sum(len(methods) for methods in description["paths"].values())
    assert report["test_cases"]["generated"] >= requests
    assert "Traceback" not in cloud.log.read_text(encoding="utf-8", errors="replace")


@pytest.mark.timeout(0)
def test_users_find_the_server_as_it_says(start_cloud: Start, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """No answer is a failure of the server, has an undocumented status or another shape; bad input is refused."""
    cloud = start_cloud(SETTINGS)
    user = cloud.add_user(EMAIL, "--password", PASSWORD)
    api = cloud.api(user["token"])
    description = part(api.http.get(f"{cloud.root}/openapi.json").json(), runtime=False)
    manage(cloud)
    named = administered(with_names(description, furnish(cloud, api, user["token"])), reserve(api))
    examples = str(pytestconfig.getoption("--fuzz-examples"))
    who = f"X-Access-Token: {api.access}"
    report = fuzz(cloud, tmp_path, named, "--phases", "coverage,fuzzing", "--max-examples", examples, "--header", who)

    checked(cloud, report, description, requests=3000)
    assert served(description) - succeeded(cloud) == OPERATORS


@pytest.mark.timeout(0)
def test_users_of_the_runtime_api_find_the_server_as_it_says(
    start_cloud: Start, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """The same for the face of today's clients; an answer that they would repeat is a failure too."""
    cloud = start_cloud(SETTINGS)
    user = cloud.add_user(EMAIL, "--password", PASSWORD)
    api = cloud.api(user["token"])
    description = part(api.http.get(f"{cloud.root}/openapi.json").json(), runtime=True)
    named = with_instances(description, furnish(cloud, api, user["token"]), opened(cloud, user["token"]))
    examples = str(pytestconfig.getoption("--fuzz-examples"))
    who = f"Authorization: apikey {user['token']}"
    report = fuzz(cloud, tmp_path, named, "--phases", "coverage,fuzzing", "--max-examples", examples, "--header", who)

    checked(cloud, report, description, requests=1000)
    assert {line.replace(" /v1/", " /") for line in served(description)} - succeeded(cloud) == set()


def test_nobody_finds_the_server_as_it_says(start_cloud: Start, tmp_path: Path) -> None:
    """Without a token most is refused, and whatever is sent along changes nothing."""
    cloud = start_cloud(SETTINGS)
    description = httpx.get(f"{cloud.root}/openapi.json", trust_env=False).json()
    report = fuzz(cloud, tmp_path, description, "--phases", "fuzzing", "--max-examples", "3")

    checked(cloud, report, description, requests=300)
    assert all("/version" in route or "status" in route for route in succeeded(cloud)), succeeded(cloud)


def test_what_is_described_wrongly_is_found(start_cloud: Start, tmp_path: Path) -> None:
    """A token that is not asked for, a key of another type, a status and a kind of answer that are not described."""
    cloud = start_cloud(SETTINGS)
    api = cloud.api()
    description = api.http.get(f"{cloud.root}/openapi.json").json()
    wrong = {
        "/api/version": "API accepts requests without authentication",
        "/api/users/me": "Response violates schema",
        "/api/Jobs/{job}": "Undocumented status code",
        "/api/devices": "Undocumented Content-Type",
    }
    paths = {path: {"get": description["paths"][path]["get"]} for path in wrong}
    paths["/api/version"]["get"]["security"] = [{"header": []}]
    for shape in ("Me", "FormerMe"):
        description["components"]["schemas"][shape]["properties"]["id"] = {"type": "integer"}
    del paths["/api/Jobs/{job}"]["get"]["responses"]["404"]
    paths["/api/devices"]["get"]["responses"]["200"]["content"] = {"text/csv": {}}
    who = f"X-Access-Token: {api.access}"
    report = fuzz(cloud, tmp_path, description | {"paths": paths}, "--max-examples", "3", "--header", who)

    found = {operation: failure["title"] for failure in report["failures"] for operation in failure["operations"]}
    assert found == {f"GET {path}": title for path, title in wrong.items()}
