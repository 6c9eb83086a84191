# SPDX-License-Identifier: Apache-2.0
"""Devices: lists, properties, defaults, queue states, job limits and reservations."""

import functools
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import desk as desks
import pytest
from desk import PROJECT, Desk, OpenDesk

import factories
from chandelier import devices
from chandelier.devices import Device
from chandelier.formats import device as documents
from chandelier.formats import drift, snapshots
from chandelier.jobs.lifecycle import State
from chandelier.store import Store, Transaction
from chandelier.tenancy import grants

LISTS = ("/devices/v/1", "/Backends/v/1", f"{PROJECT}/devices/v/1", f"{PROJECT}/backends/v/1")
ENTRIES = ("/devices", "/Backends", f"{PROJECT}/devices", f"{PROJECT}/Backends")
SCOPES = ("", "/Network/ibm-q", PROJECT)
NOUNS = ("devices", "Backends", "backends", "Devices", "backend", "Backend")
#: Source: protocol 9.1.
REQUIRED = {
    "backend_name", "backend_version", "n_qubits", "basis_gates", "gates", "local", "simulator", "conditional",
    "open_pulse", "memory", "max_shots", "coupling_map", "online_date", "max_experiments", "allow_object_storage",
    "allow_q_object",
}  # fmt: skip
GATE = {"name", "parameters", "qasm_def", "coupling_map", "latency_map", "conditional", "description"}
#: What the client of 2018 reads, and what the real entries of its time had. Source: protocol 4.1.
ENTRY = {
    "name", "status", "simulator", "serialNumber", "description", "id", "topologyId", "couplingMap", "basisGates",
    "nQubits", "onlineDate", "chipName", "url", "version",
}  # fmt: skip


@pytest.fixture
def manila(desk: Desk) -> Device:
    """A device that has a calibration, granted to the default project."""
    return install(desk, snapshots.load("manila", "ibmq_manila"), factories.NOW)


def install(desk: Desk, document: documents.DeviceDocument, taken: datetime) -> Device:
    """Install a device, or its next calibration, for the default project."""
    device = devices.install(desk.store, document, taken, desks.now())
    place = desk.town.home
    desk.store.write(lambda tx: grants.allow(tx, place, [device.id], desks.now()))
    return device


@pytest.mark.parametrize("path", LISTS)
def test_configurations_have_every_required_key(desk: Desk, manila: Device, path: str) -> None:
    """A client drops a device that lacks one, or that has an unknown key in a gate."""
    configurations = desk.get(path)

    assert [configuration["backend_name"] for configuration in configurations] == ["device", "ibmq_manila"]
    for configuration in configurations:
        assert set(configuration) >= REQUIRED
        assert re.fullmatch(r"\d+\.\d+\.\d+", configuration["backend_version"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", configuration["online_date"])
        assert configuration["gates"]
        for gate in configuration["gates"]:
            assert {"name", "parameters", "qasm_def"} <= set(gate) <= GATE
            assert all(gate[key] is not None for key in gate)
            assert gate.get("coupling_map", True)
    assert manila.qubits == 5


def test_units_are_those_of_the_wire(desk: Desk, manila: Device) -> None:
    """Nanoseconds, microseconds and gigahertz: the client multiplies by itself."""
    configuration = desk.get("/devices/v/1")[1]
    properties = desk.get("/devices/ibmq_manila/properties")
    units = {record["name"]: record["unit"] for qubit in properties["qubits"] for record in qubit}

    assert manila.name == configuration["backend_name"]
    assert 0.1 < configuration["dt"] < 10
    assert all(4 < bound < 9 for pair in configuration["qubit_lo_range"] for bound in pair)
    assert (units["T1"], units["T2"], units["frequency"], units["readout_length"]) == ("us", "us", "GHz", "ns")


@pytest.mark.parametrize("path", ENTRIES)
def test_older_entries_have_the_keys_of_both_ages(desk: Desk, path: str) -> None:
    """The client of 2018 and the scripts of 2021 ask for the same path and expect different keys."""
    [entry] = desk.get(path)

    assert set(entry) >= ENTRY | REQUIRED
    assert (entry["name"], entry["status"], entry["simulator"], entry["allowQObject"]) == ("device", "on", True, True)
    assert entry["backend_name"] == "device"
    assert entry["basisGates"].split(",") == entry["basis_gates"]
    assert entry["id"] == desk.town.device.id


def test_a_paused_device_takes_jobs_and_says_that_they_wait(desk: Desk) -> None:
    """Clients offer it, but do not count it among the least busy ones."""
    desk.store.write(lambda tx: devices.set_state(tx, "device", "paused", "cleaning"))
    desk.inline()

    assert [entry["status"] for entry in desk.get("/Backends")] == ["on"]
    queue = desk.get("/devices/device/queue/status", None)
    assert (queue["state"], queue["status"], queue["message"]) == (True, "paused: cleaning", "cleaning")
    assert (queue["lengthQueue"], queue["busy"]) == (1, True)


def test_a_device_in_maintenance_is_not_offered_but_takes_jobs(desk: Desk) -> None:
    """Old lists say `off`, the queue says why, new lists still show it."""
    desk.store.write(lambda tx: devices.set_state(tx, "device", "maintenance", "cleaning"))
    desk.inline()

    assert [entry["status"] for entry in desk.get("/Backends")] == ["off"]
    assert [entry["backend_name"] for entry in desk.get("/devices/v/1")] == ["device"]
    queue = desk.get("/devices/device/queue/status", None)
    assert (queue["state"], queue["status"], queue["message"]) == (False, "maintenance: cleaning", "cleaning")


def test_a_device_that_drains_refuses_new_jobs_only(desk: Desk) -> None:
    """In each way of submitting, with the reason; a program that is being uploaded still comes in."""
    begun = desk.opened()
    desk.store.write(lambda tx: devices.set_state(tx, "device", "drain", "moving house"))
    for body in (
        {"allowObjectStorage": True},
        {"qObject": json.loads(factories.a_program())},
        {"qasms": [{"qasm": "qreg q[1];"}], "shots": 1},
    ):
        answer = desk.ask("POST", "/Jobs", json={"backend": {"name": "device"}} | body)
        message = desks.error(answer, 409, 3103)["message"]
        assert message.startswith("device takes no new jobs at present (moving house).")
    assert desk.http.put(begun["objectStorageInfo"]["uploadUrl"], content=factories.a_program()).status_code == 200
    desk.post(f"/Jobs/{begun['id']}/jobDataUploaded")

    assert [job["id"] for job in desk.listed()] == [begun["id"]]
    assert [entry["status"] for entry in desk.get("/Backends")] == ["off"]


def test_a_project_has_the_devices_granted_to_it(desk: Desk) -> None:
    """Under its prefix; without one, those of the default project."""
    annex = "/Network/annex/Groups/main/Projects/main"
    names = {
        path: [entry["backend_name"] for entry in desk.get(f"{path}/devices/v/1", "bob")]
        for path in ("", PROJECT, annex)
    }

    assert names == {"": ["device"], PROJECT: ["device"], annex: ["device", "hidden"]}
    for path in ("/devices/hidden", f"{PROJECT}/devices/hidden", "/Network/ibm-q/devices/hidden"):
        for tail in ("/properties", "/defaults", "/jobsLimit", "/calibration", "/parameters", ""):
            desks.error(desk.ask("GET", f"{path}{tail}"), 404, 3100)
    desk.get("/devices/hidden/properties", "bob")


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("noun", NOUNS)
def test_a_device_has_several_names(desk: Desk, manila: Device, scope: str, noun: str) -> None:
    """Devices and backends are the same, with and without hub or project before them."""
    path = f"{scope}/{noun}/{manila.name}"

    assert desk.get(f"{path}/properties?version=1") == desk.get("/devices/ibmq_manila/properties")
    assert desk.get(f"{path}/defaults") == desk.get("/devices/ibmq_manila/defaults")
    assert desk.get(f"{path}/jobsLimit") == {"maximumJobs": 1000, "runningJobs": 0}
    assert desk.get(f"{path}/queue/status", None)["state"] is True
    assert desk.get(f"{path}/calibration") == desk.get("/devices/ibmq_manila/calibration")
    assert desk.get(f"{path}/parameters") == desk.get("/devices/ibmq_manila/parameters")
    assert desk.get(path) == desk.get(f"{path}/") == desk.get("/devices/v/1")[1]


def test_properties_have_the_strict_shape(desk: Desk, manila: Device) -> None:
    """All four lists, records of exactly four keys, T1 and T2 first in each qubit."""
    properties = desk.get(f"/devices/{manila.name}/properties")
    records = [record for qubit in properties["qubits"] for record in qubit]
    records += [record for gate in properties["gates"] for record in gate["parameters"]]

    assert set(properties) >= {"backend_name", "backend_version", "last_update_date", "qubits", "gates", "general"}
    assert properties["backend_name"] == manila.name
    assert {frozenset(record) for record in [*records, *properties["general"]]} == {
        frozenset({"date", "name", "unit", "value"})
    }
    assert {(qubit[0]["name"], qubit[1]["name"]) for qubit in properties["qubits"]} == {("T1", "T2")}


def test_gates_have_their_parameters_under_two_names(desk: Desk, manila: Device) -> None:
    """As clients read them and as the description of 2020 spells it."""
    properties = desk.get(f"/backends/{manila.name}/properties")

    assert properties["gates"]
    for gate in properties["gates"]:
        assert set(gate) == {"gate", "name", "parameters", "parametres", "qubits"}
        assert gate["parametres"] == gate["parameters"]


@pytest.mark.parametrize("call", ["calibration", "parameters"])
def test_clients_of_2018_never_get_an_empty_object(desk: Desk, manila: Device, call: str) -> None:
    """They would ask five times; of a simulator there is no qubit to tell of."""
    device, simulator = (desk.get(f"/Backends/{name}/{call}") for name in (manila.name, "device"))

    assert [qubit["name"] for qubit in device["qubits"]] == ["Q0", "Q1", "Q2", "Q3", "Q4"]
    assert simulator["qubits"] == []
    assert list(simulator) == list(device)
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", one["lastUpdateDate"]) for one in (device, simulator)
    )


def test_a_hub_shows_its_devices_to_its_administrators(desk: Desk, manila: Device) -> None:
    """All that it has, in the form for them; members are told that it takes a role."""

    def names(hub: str, who: str) -> list[str]:
        return [record["backendName"] for record in desk.get(f"/Network/{hub}/devices", who)]

    assert names("ibm-q", "root") == ["device", manila.name]
    assert names("annex", "root") == ["device", "hidden"]
    desks.error(desk.ask("GET", "/Network/ibm-q/devices"), 403, 2003)
    desks.error(desk.ask("GET", "/Network/annex/devices"), 404, 3001)
    desks.error(desk.ask("GET", "/Network/nowhere/devices"), 404, 3001)


def test_a_hub_record_tells_where_and_when(desk: Desk, manila: Device) -> None:
    """The address is the one that was asked; the program size is the limit of this server."""
    record = desk.get("/network/ibm-q/DEVICES", "root")[1]

    assert record["id"] == manila.id
    assert record["specificConfiguration"]["backend_name"] == manila.name
    assert record["address"] == "http://testserver/api"
    assert record["maxQobjectSize"] == desks.SMALL["max_job_bytes"]
    assert record["configuration"]["limit"] == 1000
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["lastConnection"])


def test_simulators_have_no_properties(desk: Desk) -> None:
    """An empty object; the client takes it for none."""
    assert desk.get("/devices/device/properties") == {}


def test_properties_of_the_past(desk: Desk) -> None:
    """The newest record that is older than the date asked for, or none."""
    dates = [datetime(2025, month, 1, tzinfo=UTC) for month in (1, 2, 3)]
    for date in dates:
        install(desk, factories.a_device_document("aged", dated=documents.utc(date)), date)

    def before(moment: str) -> Any:
        wanted = {"where": {"last_update_date": {"lt": moment}}}
        found = desk.get("/devices/aged/properties", params={"version": 1, "filter": json.dumps(wanted)})
        return found.get("last_update_date")

    assert desk.get("/devices/aged/properties")["last_update_date"] == documents.utc(dates[2])
    assert before("2025-02-15T12:00:00.000001+00:00") == documents.utc(dates[1])
    assert before("2025-02-01T00:00:00Z") == documents.utc(dates[0])
    assert before("2025-02-01T01:00:00+02:00") == documents.utc(dates[0])
    assert before("2030-01-01") == documents.utc(dates[2])
    assert before("2025-01-01T00:00:00+00:00") is None


@pytest.mark.parametrize("wanted", ["", "{}", '{"where": {}}', '{"where": null}', '{"order": "x"}'])
def test_a_filter_without_a_date_asks_for_the_newest(desk: Desk, manila: Device, wanted: str) -> None:
    """Also one that is empty."""
    found = desk.get(f"/devices/{manila.name}/properties", params={"filter": wanted})

    assert found["backend_name"] == manila.name


@pytest.mark.parametrize("wanted", ["{", "[]", '{"where": {"last_update_date": {"lt": "yesterday"}}}', '{"where": 1}'])
def test_a_broken_filter_of_properties_is_refused(desk: Desk, wanted: str) -> None:
    """With an example of a right one."""
    refusal = desks.error(desk.ask("GET", "/devices/device/properties", params={"filter": wanted}), 400, 1002)

    assert "last_update_date" in refusal["message"]


def test_the_queue_counts_what_was_handed_over(either: Desk) -> None:
    """Of everybody, until it has ended; a job whose program is still to come does not wait."""

    def queue() -> Any:
        return either.get("/Backends/device/queue/status", None)

    assert queue() == {
        "state": True,
        "status": "active",
        "message": "",
        "lengthQueue": 0,
        "backend_version": either.town.device.version,
        "busy": False,
    }
    either.opened()
    first = either.inline()
    either.inline("bob")
    assert (queue()["lengthQueue"], queue()["busy"]) == (2, True)
    either.validate()
    either.run()
    assert queue()["lengthQueue"] == 2
    either.post(f"/Jobs/{first}/cancel")
    assert queue()["lengthQueue"] == 1


def test_an_unknown_device_has_no_queue(desk: Desk) -> None:
    """Without a token, too, the answer has the envelope."""
    desks.error(desk.ask("GET", "/devices/nothing/queue/status", None), 404, 3100)


def test_the_job_limit_counts_the_callers_jobs(open_desk: OpenDesk) -> None:
    """On this device, until they have ended."""
    desk = open_desk(max_pending_jobs=7)
    desk.opened()
    ended = desk.inline()
    desk.inline("bob")
    limit = desk.get("/devices/device/jobsLimit")
    desk.post(f"/Jobs/{ended}/cancel")

    assert limit == {"maximumJobs": 7, "runningJobs": 2}
    assert all(type(value) is int for value in limit.values())
    assert desk.get(f"{PROJECT}/devices/device/jobsLimit")["runningJobs"] == 1


def test_no_limit_is_a_number_too(open_desk: OpenDesk) -> None:
    """Minus one, never null."""
    desk = open_desk(max_pending_jobs=-1)

    assert desk.get("/devices/device/jobsLimit") == {"maximumJobs": -1, "runningJobs": 0}


def test_there_are_no_reservations(desk: Desk) -> None:
    """Neither the caller's nor a device's, in whatever window."""
    window = {"initialDate": "2026-01-01T00:00:00", "endDate": "2026-02-01T00:00:00"}

    assert desk.get("/Network/bookings/v2") == []
    assert desk.get("/Network/devices/device/bookings/v2", params=window) == []


def test_a_job_keeps_the_properties_that_it_ran_with(desk: Desk) -> None:
    """A later calibration changes the device's, not the job's."""
    dates = [datetime(2025, month, 1, tzinfo=UTC) for month in (1, 2)]
    for date in dates:
        install(desk, factories.a_device_document("aged", dated=documents.utc(date)), date)
        job = desk.post("/Jobs", {"backend": {"name": "aged"}, "allowObjectStorage": True})["id"]
        if date is dates[0]:
            first = job

    assert desk.get(f"/Jobs/{first}/properties")["last_update_date"] == documents.utc(dates[0])
    assert desk.get(f"{PROJECT}/Jobs/{job}/properties")["last_update_date"] == documents.utc(dates[1])
    assert desk.get(f"/Jobs/{desk.brought(State.QUEUED)}/properties") == {}


def test_a_device_that_is_calibrated_says_how_far_that_is(desk: Desk) -> None:
    """It is not offered, starts nothing, and takes jobs; a search in the background changes nothing of that."""
    device = desk.town.device
    claim = functools.partial(devices.claim, device=device, now=desks.now(), progress="3 of 9 gates tuned")
    held = desk.store.write(lambda tx: claim(tx, closed=True))
    assert held is not None
    desk.inline()
    queue = desk.get("/devices/device/queue/status", None)

    assert (queue["state"], queue["status"]) == (False, "calibrating: 3 of 9 gates tuned")
    assert (queue["message"], queue["lengthQueue"]) == ("3 of 9 gates tuned", 1)
    assert [entry["status"] for entry in desk.get("/Backends")] == ["off"]
    desk.store.write(lambda tx: devices.release(tx, held))
    assert desk.store.write(lambda tx: claim(tx, closed=False)) is not None
    queue = desk.get("/devices/device/queue/status", None)
    assert (queue["state"], queue["status"], queue["message"]) == (True, "active", "")


def test_properties_before_a_date_are_those_of_that_calibration(desk: Desk, manila: Device) -> None:
    """Of a device that drifts; without a date it is the newest. A job has those with which it ran."""
    begun = datetime(2026, 3, 14, 12, tzinfo=UTC)
    snapshot = devices.document(desk.store, manila.calibration)
    days = [begun + timedelta(days=day) for day in (1, 2)]
    for moment in days:
        held = desk.store.write(functools.partial(calibrated_at, store=desk.store, snapshot=snapshot, moment=moment))
        assert held is not None

    def before(moment: datetime) -> Any:
        wanted = {"where": {"last_update_date": {"lt": moment.isoformat()}}}
        found = desk.get("/devices/ibmq_manila/properties", params={"filter": json.dumps(wanted)})
        return found.get("last_update_date")

    assert before(days[1] + timedelta(seconds=1)) == "2026-03-16T12:00:00Z"
    assert before(days[1]) == "2026-03-15T12:00:00Z"
    assert before(days[0]) == "2024-05-27T18:27:23Z"
    assert desk.get("/devices/ibmq_manila/properties")["last_update_date"] == "2026-03-16T12:00:00Z"


def calibrated_at(tx: Transaction, store: Store, snapshot: documents.DeviceDocument, moment: datetime) -> Device | None:
    """Give the device what its calibration finds at a moment."""
    device = devices.get(tx, "ibmq_manila")
    held = devices.claim(tx, device, moment, progress="", closed=True)
    assert held is not None
    found = drift.at(snapshot, "ibmq_manila", moment.replace(day=14), moment)
    return devices.calibrated(tx, held, devices.keep(store, found), moment, moment)
