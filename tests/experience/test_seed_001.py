# SPDX-License-Identifier: Apache-2.0
"""Every field of the description for administrators, with the type it gives.

What it calls optional, or shows only where it was set, is asserted where there is something to show.
"""

import json
import re
from typing import Any

import campus
import desk as desks
import pytest
from campus import HUB, LAB, ONE, Campus
from desk import Desk
from test_seed_documents import misfits

import factories
from chandelier import devices
from chandelier.formats import snapshots
from chandelier.tenancy import grants
from factories import NOW

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")
#: Source: seed 001, `GET /Network/{hubName}`.
HUB_FIELDS: dict[str, Any] = {
    **dict.fromkeys(("name", "title", "description", "providerNodeId", "class", "id", "ownerId"), str),
    "creationDate": DATE,
    **dict.fromkeys(("deleted", "private", "licenseNotRequired", "isDefault", "analytics"), bool),
    **dict.fromkeys(("ui", "groups", "devices"), dict),
}
#: Source: seed 001, `GET /Network/{hubName}/jobs/all` and the same of groups and projects.
JOB_FIELDS: dict[str, Any] = {
    **dict.fromkeys(("kind", "status", "id", "userId", "runMode"), str),
    "backend": {"id": str, "name": str},
    "creationDate": DATE,
    "objectStorageInfo": dict,
    "summaryData": {
        "size": {"input": int, "output": int},
        "success": bool,
        "summary": {
            "gates_executed": int,
            "qobj_config": {
                "cost": float,
                "rep_delay": float,
                "n_qubits": int,
                "memory_slots": int,
                "max_credits": int,
                "type": str,
                "shots": int,
            },
            "num_circuits": int,
            "max_qubits_used": int,
            "partial_validation": bool,
        },
        "resultTime": float,
    },
    "timePerStep": dict.fromkeys(
        ("CREATING", "CREATED", "VALIDATING", "VALIDATED", "QUEUED", "RUNNING", "COMPLETED"), DATE
    ),
    "hubInfo": {"hub": {"name": str}, "group": {"name": str}, "project": {"name": str}},
    "endDate": DATE,
    "cost": float,
}
#: Source: seed 001, `infoQueue`, without what a server that does not predict leaves out.
WAITING_FIELDS = {"status": str, "position": int}
#: Source: seed 001, `GET /Network/{hubName}/analytics/system-usage`.
USAGE_FIELDS: dict[str, Any] = {
    "data": {
        **dict.fromkeys(("jobs", "executions", "queueTime", "runTime"), int),
        **dict.fromkeys(("averageRunTime", "averageQueueTime"), float),
    }
}
#: Source: seed 001, `GET /Network/{hubName}/devices`.
DEVICE_FIELDS: dict[str, Any] = {
    **dict.fromkeys(
        [
            "name",
            "backendName",
            "version",
            "address",
            "status",
            "description",
            "type",
            "docUrl",
            "gateSet",
            "basisGates",
            "chipName",
            "accessType",
            "geographyName",
            "category",
            "id",
            "topologyId",
        ],
        str,
    ),
    **dict.fromkeys(("deleted", "public", "allowObjectStorage", "hide", "statsPublic"), bool),
    **dict.fromkeys(
        [
            "processorType",
            "costParameters",
            "specificConfiguration",
            "oldGates",
            "oldBasisGates",
            "supportedTypes",
            "configuration",
            "capabilities",
        ],
        dict,
    ),
    "formerNames": list,
    "lastConnection": DATE,
    "onlineDate": DATE,
    "maxQobjectSize": int,
    "inputAllowed": list,
}
#: Source: seed 001, `POST …/Projects`; that of groups has `projects` too.
MADE_FIELDS: dict[str, Any] = {
    **dict.fromkeys(("title", "name", "description"), str),
    "creationDate": DATE,
    "priorityy": int,
}
#: Source: seed 001, `configurationDetails`.
DETAILS_FIELDS: dict[str, Any] = {
    "capabilities": {
        "openPulse": bool,
        **dict.fromkeys(("maxExperiments", "maxShots", "pulseQubits", "pulseChannels"), int),
    },
    "limit": int,
}
#: Source: seed 001, `POST …/users`; of a group's users there is the role too.
USER_FIELDS: dict[str, Any] = {"deleted": bool, "email": str, "name": str, "dateJoined": DATE}
#: Source: seed 001, `GET …/Projects/{nameProject}/devices`; the fields that every device has here.
CONFIGURATION_FIELDS: dict[str, Any] = {
    **dict.fromkeys(("backend_name", "backend_version", "description", "sample_name", "url", "online_date"), str),
    **dict.fromkeys(
        [
            "allow_q_object",
            "conditional",
            "credits_required",
            "local",
            "memory",
            "open_pulse",
            "simulator",
            "allow_object_storage",
            "measure_esp_enabled",
            "multi_meas_enabled",
            "dynamic_reprate_enabled",
            "uchannels_enabled",
        ],
        bool,
    ),
    **dict.fromkeys(
        [
            "basis_gates",
            "coupling_map",
            "gates",
            "input_allowed",
            "supported_instructions",
            "supported_features",
            "meas_kernels",
            "meas_levels",
            "meas_lo_range",
            "meas_map",
            "discriminators",
            "parametric_pulses",
            "rep_times",
            "u_channel_lo",
            "qubit_lo_range",
            "qubit_channel_mapping",
            "acquisition_latency",
            "conditional_latency",
        ],
        list,
    ),
    **dict.fromkeys(("max_experiments", "max_shots", "n_qubits", "n_registers", "quantum_volume"), int),
    **dict.fromkeys(("n_uchannels", "clops", "pulse_num_channels", "pulse_num_qubits"), int),
    **dict.fromkeys(("dt", "dtm"), float),
    **dict.fromkeys(("hamiltonian", "channels", "processor_type", "timing_constraints"), dict),
}


@pytest.fixture
def hub(either: Desk) -> Campus:
    """The hub with somebody in each role, on each kind of database."""
    return campus.build(either)


def brought(hub: Campus) -> str:
    """Return the id of a job of the project that went its whole way."""
    desk = hub.desk
    body = {"backend": {"name": "device"}, "qObject": json.loads(factories.a_program())}
    job = desk.post(f"{ONE}/Jobs", body, "mia")["id"]
    desk.validate()
    desk.settle(desk.run(), desks.RESULT)
    return str(job)


def test_a_hub(hub: Campus) -> None:
    """All that pertains to it, its groups and their projects."""
    document = hub.desk.get(HUB, "hue")

    assert misfits(document, HUB_FIELDS) == []
    assert [*document["groups"]["lab"]["projects"]] == ["one", "two"]
    assert [*document["groups"]["lab"]["projects"]["one"]["users"]] == [hub.people["mia"].user_id]
    assert [device["name"] for device in document["devices"].values()] == ["device", "hidden"]
    assert document["ownerId"] == hub.people["hue"].user_id


@pytest.mark.parametrize("path", [HUB, LAB, ONE])
def test_all_jobs(hub: Campus, path: str) -> None:
    """Of a hub, a group and a project."""
    job = brought(hub)
    [document] = hub.desk.get(f"{path}/jobs/all", "hue")

    assert misfits(document, JOB_FIELDS) == []
    assert document["id"] == job
    assert list(document["timePerStep"].values()) == sorted(document["timePerStep"].values())


def test_a_job_that_waits(hub: Campus) -> None:
    """With its place in the queue."""
    body = {"backend": {"name": "device"}, "allowObjectStorage": True}
    job = hub.desk.post(f"{ONE}/Jobs", body, "mia")
    hub.desk.http.put(job["objectStorageInfo"]["uploadUrl"], content=factories.a_program())
    hub.desk.post(f"{ONE}/Jobs/{job['id']}/jobDataUploaded", who="mia")
    hub.desk.validate()
    [document] = hub.desk.get(f"{HUB}/jobs/all", "hue")

    assert misfits(document["infoQueue"], WAITING_FIELDS) == []


def test_usage(hub: Campus) -> None:
    """Of jobs that ended."""
    brought(hub)
    document = hub.desk.get(f"{HUB}/analytics/system-usage", "hue", params={"options": '{"allTime": true}'})

    assert misfits(document, USAGE_FIELDS) == []
    assert document["data"]["jobs"] == 1


def test_devices_of_a_hub(hub: Campus) -> None:
    """Each record has every field."""
    records = hub.desk.get(f"{HUB}/devices", "hue")

    assert [misfits(record, DEVICE_FIELDS) for record in records] == [[], []]


@pytest.mark.parametrize(("path", "who"), [(f"{HUB}/Groups", "hue"), (f"{LAB}/Projects", "gil")])
def test_groups_and_projects_that_are_added(hub: Campus, path: str, who: str) -> None:
    """With the misprint."""
    body = {"name": "new", "title": "New", "priority": 1, "description": "What it is for"}
    made = hub.desk.post(path, body, who)

    assert misfits(made, MADE_FIELDS | ({"projects": dict} if path.endswith("Groups") else {})) == []


@pytest.mark.parametrize("path", [LAB, ONE])
def test_devices_that_are_granted(hub: Campus, path: str) -> None:
    """By id; taking them back says that it is done."""
    answer = hub.desk.post(f"{path}/devices", {"name": "device", "priority": 1}, "hue")
    taken = hub.desk.ask("DELETE", f"{path}/devices/device", "hue").json()

    assert misfits(answer, {hub.desk.town.device.id: {"priority": int, "deleted": bool, "name": str}}) == []
    assert taken == {"deleted": True}


@pytest.mark.parametrize(("path", "who"), [(HUB, "root"), (LAB, "hue")])
def test_what_was_set(hub: Campus, path: str, who: str) -> None:
    """Of a hub, which the operator grants, and of a group."""
    capabilities = {"openPulse": True, "maxExperiments": 5, "maxShots": 6, "pulseQubits": 7, "pulseChannels": 8}
    body = {"name": "device", "priority": 1, "capabilities": capabilities, "limit": 9}
    hub.desk.post(f"{path}/devices", body, who)
    document = hub.desk.get(f"{path}/devices/device/configurationDetails", "hue")

    assert misfits(document, DETAILS_FIELDS) == []
    assert document == {"capabilities": capabilities, "limit": 9}


def test_administrators_of_a_group(hub: Campus) -> None:
    """In the answer to a change."""
    answer = hub.desk.post(f"{LAB}/users", {"add": [{"email": "eve@example.org", "role": "admin"}]}, "gil")
    users = dict.fromkeys((hub.people["gil"].user_id, hub.people["eve"].user_id), USER_FIELDS | {"role": str})

    assert misfits(answer, {"added": {"name": str, "projects": dict, "users": users, "deleted": bool}}) == []


def test_users_of_a_project(hub: Campus) -> None:
    """In the answer to a change."""
    answer = hub.desk.post(f"{ONE}/users", {"add": ["eve@example.org"]}, "hue")
    users = dict.fromkeys((hub.people["mia"].user_id, hub.people["eve"].user_id), USER_FIELDS)

    assert misfits(answer, {"added": {"name": str, "users": users, "deleted": bool}}) == []


def test_deleted(hub: Campus) -> None:
    """Of a project its record, of a group the word."""
    project = hub.desk.ask("DELETE", ONE, "gil").json()
    group = hub.desk.ask("DELETE", LAB, "hue").json()

    assert misfits(project, {"deleted": {"name": str, "title": str, "creationDate": DATE, "deleted": bool}}) == []
    assert misfits(group, {"deleted": bool}) == []


def test_users_of_a_hub(hub: Campus) -> None:
    """What the scripts ask for though it is not described. Source: protocol 13."""
    document = hub.desk.get(f"{HUB}/users", "hue")
    person = USER_FIELDS | {"role": str}
    one = {"name": str, "users": {hub.people["mia"].user_id: USER_FIELDS}, "deleted": bool}
    lab = {"name": str, "users": {hub.people["gil"].user_id: person}, "projects": {"one": one}}

    assert (
        misfits(
            document,
            {"users": {hub.people["hue"].user_id: person}, "groups": {"lab": lab}, "hubId": str, "id": str},
        )
        == []
    )


def test_devices_of_a_project(hub: Campus) -> None:
    """With the configuration of a machine, to whoever administers it or is in it."""
    desk = hub.desk
    manila = devices.install(desk.store, snapshots.load("manila", "ibmq_manila"), NOW, NOW)
    place = hub.place("lab", "one")
    desk.store.write(lambda tx: grants.allow(tx, place, [manila.id], NOW))
    for who in ("hue", "gil", "mia"):
        found = {entry["backend_name"]: entry for entry in desk.get(f"{ONE}/devices", who)}
        assert misfits(found["ibmq_manila"], CONFIGURATION_FIELDS) == []
