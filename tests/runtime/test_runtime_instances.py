# SPDX-License-Identifier: Apache-2.0
"""Instances: projects as clients find and name them, and what was used of them."""

import pytest
from window import Window, error, now

from chandelier.runtime import instances
from chandelier.tenancy import allowances
from chandelier.tenancy.audit import By

SEARCH = {"query": "service_name:quantum-computing", "fields": ["crn", "name", "doc", "tags"]}


def test_a_project_has_a_name_that_can_be_read_back(window: Window) -> None:
    """With the parts that clients look at: account, region and service."""
    crn = instances.crn(window.town.home)
    parts = crn.split(":")

    assert (parts[0], parts[2], parts[5], len(parts)) == ("crn", "bluemix", "us-east", 10)
    assert instances.names(crn) == ("ibm-q", "open", "main")


@pytest.mark.parametrize("text", ["crn:x", "", "a/b", "a/b/c/d", "a//c", "crn:v1:bluemix:public:other:us:a/x:a/b/c::"])
def test_what_names_no_project_is_told_from_what_does(text: str) -> None:
    """Whatever it looks like."""
    assert instances.names(text) is None


def test_every_project_of_the_caller_is_found(window: Window) -> None:
    """With its plan, and with what clients take for devices; page by page."""
    found = window.post("/v3/resources/search?limit=100", SEARCH, "bob", base="")
    first = window.post("/v3/resources/search?limit=1", SEARCH, "bob", base="")
    second = window.post(f"/v3/resources/search?limit=1&search_cursor={first['search_cursor']}", SEARCH, "bob", base="")

    assert [item["name"] for item in found["items"]] == ["ibm-q/open/main", "annex/main/main"]
    assert found["search_cursor"] is None
    assert all(item["doc"]["extensions"] and item["tags"] == [] for item in found["items"])
    assert first["items"] + second["items"] == found["items"]
    assert second["search_cursor"] is None


def test_a_plan_costs_nothing(window: Window) -> None:
    """As clients read it."""
    plan = window.post("/v3/resources/search", SEARCH, base="")["items"][0]["service_plan_unique_id"]
    document = window.get(f"/{plan}")

    assert document["overview_ui"]["en"]["display_name"] == "Open"
    assert document["metadata"]["pricing"]["type"] == "free"


def test_a_name_is_resolved(window: Window) -> None:
    """To the project of this name, if it is the caller's."""
    found = window.get("/v2/resource_instances", base="", params={"name": "ibm-q/open/main"})
    none = window.get("/v2/resource_instances", base="", params={"name": "annex/main/main"})

    assert (found["rows_count"], found["resources"][0]["crn"]) == (1, window.crn)
    assert (none["rows_count"], none["resources"]) == (0, [])


@pytest.mark.parametrize("crn", ["crn:x", "crn:v1:bluemix:public:quantum-computing:us-east:a/x:annex/main/main::"])
def test_an_instance_that_is_not_the_callers_is_refused(window: Window, crn: str) -> None:
    """The message names one that is."""
    assert window.crn in error(window.ask("GET", "/backends", crn=crn), 404, 2005)
    assert window.crn in error(window.ask("GET", "/instances/usage", crn=crn), 404, 2005)


def test_an_instance_may_be_elsewhere_and_still_the_same(window: Window) -> None:
    """Clients make a host name of the region, so others must be allowed."""
    assert window.get("/backends", crn=window.crn.replace("us-east", "eu-de")) == window.get("/backends")


def test_who_names_no_instance_is_at_home(window: Window) -> None:
    """Clients write `None` where they know none."""
    assert window.get("/backends", crn="None") == window.get("/backends", crn=None) == window.get("/backends")


def test_usage_is_told(window: Window) -> None:
    """Without a limit only what was used."""
    window.submit()
    window.settle(window.run())
    document = window.get("/instances/usage")

    assert (document["instance_id"], document["usage_consumed_seconds"]) == (window.crn, 0.25)
    assert document["usage_limit_reached"] is False
    assert "usage_limit_seconds" not in document


def test_the_nearest_limit_is_told(window: Window) -> None:
    """Of project, group and hub the one of which the least is left."""
    window.submit()
    window.settle(window.run())
    home = window.town.home.spot
    by = By("root@example.org", now())
    window.store.write(lambda tx: allowances.set_(tx, by, home, None, 100.0))
    assert home.above is not None
    above = home.above
    window.store.write(lambda tx: allowances.set_(tx, by, above, None, 0.2))
    document = window.get("/instances/usage")

    assert (document["usage_limit_seconds"], document["usage_remaining_seconds"]) == (0.2, 0.0)
    assert document["usage_limit_reached"] is True


def test_usage_by_instance_is_told(window: Window) -> None:
    """The default project first, for clients read that alone; with the caller's jobs that have not ended."""
    window.submit("bob")
    listed = window.get("/usage", "bob", base="/runtime")["byInstance"]

    assert [(each["instance"], each["pendingJobs"]) for each in listed] == [
        ("ibm-q/open/main", 1),
        ("annex/main/main", 0),
    ]
    assert listed[0]["maxPendingJobs"] == 1000


@pytest.mark.parametrize("name", ["cloud.example", "localhost"])
def test_every_service_may_have_a_host_of_its_own(window: Window, name: str) -> None:
    """As clients make the names; the paths differ, so the host plays no part."""
    key = {"apikey": window.keys["ann"][0]}
    token = window.http.post("/identity/token", data=key, headers={"Host": f"iam.{name}"}).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}

    def found(host: str, method: str, path: str) -> int:
        more = headers | {"Host": f"{host}.{name}", "Service-CRN": window.crn}
        status: int = window.http.request(method, path, headers=more).status_code
        return status

    assert found("api.global-search-tagging", "POST", "/v3/resources/search") == 200
    assert found("globalcatalog", "GET", f"/api/v1/{instances.PLAN}") == 200
    assert found("resource-controller", "GET", "/v2/resource_instances?name=x") == 200
    assert found("quantum", "GET", "/api/v1/backends") == found("eu-de.quantum", "GET", "/api/v1/backends") == 200
