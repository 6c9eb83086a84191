# SPDX-License-Identifier: Apache-2.0
"""The Hub-Automation scripts of 2021: exchanges derived from what they send and read.

They stand in for the scripts, whose hosts and token are constants written into them. Each request has the form, and
each answer is read in the way, of one of them: the login as a form, `X-Access-Token`, bodies as JSON, every answer but
a success an end of the script, groups and projects by name, the numbers of usage by their place and not by their name.
Source: github.com/ibm-quantum/Hub-Automation, the files named below; protocol 13.
"""

import csv
import io
import json
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import programs
import pytest
from clouds import Cloud

pytestmark = pytest.mark.acceptance

SIMULATOR = "ibmq_qasm_simulator"
HEADS = ["jobs", "executions", "queue", "run", "average run", "average queue"]


class Script:
    """What the scripts have in common: `auth.py`, and requests with the token that it gets."""

    def __init__(self, cloud: Cloud, token: str) -> None:
        self.http = httpx.Client(trust_env=False, timeout=60)
        self.url = cloud.url
        answer = self.http.post(f"{cloud.url}/users/loginWithToken", data={"apiToken": token})
        self.headers = {"X-Access-Token": answer.json()["id"]}
        cloud.secrets.add(self.headers["X-Access-Token"])

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """Return the document of an answer that must be a success, as `raise_for_status` takes it."""
        answer = self.http.request(method, f"{self.url}/Network/{path}", headers=self.headers, **more)
        answer.raise_for_status()
        return answer.json()

    def projects(self, hub: str, group: str) -> list[str]:
        """Return the names of projects. Source: `edit_backends_in_all_projects.py`."""
        document = self.ask("GET", hub)
        return [project["name"] for project in document["groups"][group]["projects"].values()]

    def backends(self, path: str) -> list[str]:
        """Return names of devices from either list. Source: `get_backend_info.py`."""
        return [
            entry["specificConfiguration"]["backend_name"]
            if "specificConfiguration" in entry
            else entry["backend_name"]
            for entry in self.ask("GET", f"{path}/devices")
        ]

    def ids(self, hub: str) -> dict[str, str]:
        """Return ids by address. Source: `get_analytics_for_users.py`, which reads administrators first."""
        document = self.ask("GET", f"{hub}/users")
        parts = [document["users"]]
        for group in document["groups"].values():
            parts += [group["users"], *(project["users"] for project in group["projects"].values())]
        return {person["email"]: identifier for people in parts for identifier, person in people.items()}

    def numbers(self, hub: str, options: str) -> dict[str, float]:
        """Return what a row of its table would have under each head. Source: `get_analytics_for_users.py`."""
        data = self.ask("GET", f"{hub}/analytics/system-usage?options={urllib.parse.quote(options)}")["data"]
        row = io.StringIO()
        csv.writer(row).writerow(data.values())
        return dict(zip(HEADS, map(float, row.getvalue().split(",")), strict=True))


@pytest.fixture(scope="module")
def campus(cloud: Cloud) -> Iterator[Script]:
    """A hub's administrator, at the scripts; the hub is gone afterwards."""
    teacher = cloud.add_user("teacher@campus.example")
    cloud.json("hub", "add", "campus")
    cloud.json("member", "add", "campus", "teacher@campus.example")
    for device in (SIMULATOR, "ibmq_manila"):
        cloud.json("grant", "set", "campus", device)
    script = Script(cloud, teacher["token"])
    script.ask("POST", "campus/Groups", json={"name": "physics", "title": "Physics"})
    for name in ("lecture", "lab"):
        script.ask("POST", "campus/Groups/physics/Projects", json={"name": name, "title": name.title()})
    for device in (SIMULATOR, "ibmq_manila"):
        script.ask("POST", "campus/Groups/physics/devices", json={"name": device, "priority": 1})
    yield script
    cloud.json("hub", "remove", "campus", "--yes")


def test_groups_and_projects(campus: Script) -> None:
    """They come and go. Source: `edit_group.py`, `edit_project.py`."""
    assert campus.ask("POST", "campus/Groups", json={"name": "maths", "title": "Maths"})["name"] == "maths"
    campus.ask("POST", "campus/Groups/maths/Projects", json={"name": "logic", "title": "Logic"})
    assert campus.projects("campus", "maths") == ["logic"]

    campus.ask("DELETE", "campus/Groups/maths/Projects/logic")
    assert campus.projects("campus", "maths") == []
    campus.ask("DELETE", "campus/Groups/maths")
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        campus.ask("DELETE", "campus/Groups/maths")
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        campus.ask("POST", "campus/Groups", json={"name": "Maths!", "title": "Maths"})


def test_devices_of_all_projects(campus: Script) -> None:
    """Granted and taken one after the other. Source: `edit_backends_in_all_projects.py`, `edit_backends.py`."""
    for project in campus.projects("campus", "physics"):
        path = f"campus/Groups/physics/Projects/{project}"
        assert campus.ask("POST", f"{path}/devices", json={"name": "ibmq_manila", "priority": 10_000})
        assert campus.backends(path) == ["ibmq_manila"]
        assert campus.ask("DELETE", f"{path}/devices/ibmq_manila") == {"deleted": True}
        assert campus.backends(path) == []

    assert campus.backends("campus") == [SIMULATOR, "ibmq_manila"]


def test_users_and_what_they_used(cloud: Cloud, campus: Script) -> None:
    """A student is added, runs a job and is found by address. Source: `edit_users.py`, `get_analytics_for_users.py`."""
    student = cloud.add_user("student@campus.example")
    path = "campus/Groups/physics/Projects/lecture"
    campus.ask("POST", f"{path}/devices", json={"name": SIMULATOR, "priority": 1})
    campus.ask("POST", f"{path}/users", json={"add": ["student@campus.example"]})
    api = cloud.api(student["token"])
    body = {"qObject": programs.bell(), "backend": {"name": SIMULATOR}}
    api.wait(api.post(f"/Network/{path}/Jobs", json=body)["id"])
    ids = campus.ids("campus")

    days = [f"{datetime.now(UTC) + timedelta(days=day):%m-%d-%y}" for day in (-1, 1)]
    whose = f'"backend":"{SIMULATOR}", "userId":"{ids["student@campus.example"]}"'
    always = campus.numbers("campus", f'{{"allTime": true,{whose}}}')
    lately = campus.numbers("campus", f'{{"startDate":"{days[0]}","endDate":"{days[1]}",{whose}}}')
    assert always == lately
    assert (always["jobs"], always["executions"]) == (1, 1)
    assert (always["average run"], always["average queue"]) == (always["run"], always["queue"])
    assert campus.numbers("campus", f'{{"startDate":"01-01-21","endDate":"01-31-21",{whose}}}') == dict.fromkeys(
        HEADS, 0
    )
    teacher = ids["teacher@campus.example"]
    options = {"allTime": True, "backend": SIMULATOR, "userId": teacher}
    assert campus.numbers("campus", json.dumps(options))["jobs"] == 0

    campus.ask("POST", f"{path}/users", json={"remove": ["student@campus.example"]})
    assert campus.numbers("campus", f'{{"allTime": true,{whose}}}') == always
    assert api.send("GET", f"/Network/{path}/devices/v/1").status_code == 404


@pytest.mark.usefixtures("campus")
def test_who_is_no_administrator_is_told(cloud: Cloud) -> None:
    """The script ends with the status."""
    stranger = Script(cloud, cloud.add_user("stranger@campus.example")["token"])

    for hub, status in (("campus", "404"), ("ibm-q", "403")):
        with pytest.raises(httpx.HTTPStatusError, match=status):
            stranger.projects(hub, "open")
