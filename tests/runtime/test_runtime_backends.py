# SPDX-License-Identifier: Apache-2.0
"""Devices as today's client and the one of last year ask for them."""

from typing import Any

import pytest
from window import Window, error, now

import factories
from chandelier import devices
from chandelier.engines import dynamic
from chandelier.engines import target as targets
from chandelier.formats import device, snapshots
from chandelier.runtime import backends, begin, documents
from chandelier.tenancy import grants
from chandelier.tenancy.grants import Limits

#: Without any of these the client drops a device without a word. Source: protocol of the Runtime API 6.
REQUIRED = (
    *("backend_name", "backend_version", "n_qubits", "basis_gates", "gates", "local", "simulator", "conditional"),
    *("open_pulse", "memory", "coupling_map", "online_date", "max_experiments"),
)


@pytest.mark.parametrize(
    ("version", "objects"),
    [(None, False), ("2024-01-01", False), ("2025-05-01", True), ("2026-02-15", True), ("2026-04-15", True)],
)
def test_devices_are_listed_in_the_form_of_the_version(window: Window, version: str | None, objects: bool) -> None:
    """As names for clients before May 2025, as objects for those since."""
    headers = {"IBM-API-Version": version or ""}
    listed = window.get("/backends?include_mocks=True", headers=headers)["devices"]

    assert [each["name"] if objects else each for each in listed] == ["machine", "device"]
    if objects:
        assert listed[1]["status"] == {"name": "online"}
        assert (listed[1]["qubits"], listed[1]["queue_length"]) == (32, 0)


def test_the_largest_device_is_first_and_simulators_last(window: Window) -> None:
    """For clients take the first of those with the shortest queue for the least busy."""
    for name, qubits, simulator in (("small", 2, False), ("wide", 5000, True), ("large", 127, False)):
        document = factories.a_device_document(name, n_qubits=qubits, simulator=simulator)
        granted(window, devices.install(window.store, document, factories.NOW, now()))

    names = [each["name"] for each in window.get("/backends")["devices"]]
    assert names == ["large", "machine", "small", "wide", "device"]
    assert window.get("/backends", headers={"IBM-API-Version": ""})["devices"] == names


def test_only_devices_of_the_instance_are_listed(window: Window) -> None:
    """And others are not there."""
    annex = window.crn.replace("ibm-q/open/main", "annex/main/main")

    assert [each["name"] for each in window.get("/backends", "bob", crn=annex)["devices"]] == ["device", "hidden"]
    for tail in ("configuration", "properties", "status", "defaults"):
        error(window.ask("GET", f"/backends/hidden/{tail}"), 404, 3100)
        assert window.ask("GET", f"/backends/hidden/{tail}", "bob", crn=annex).status_code == 200


def test_an_older_client_names_the_instance_in_the_query(window: Window) -> None:
    """By hub, group and project; without it any of the caller's devices is there."""
    old = {"base": "/runtime", "crn": None, "headers": {"IBM-API-Version": "2024-01-01"}}

    assert window.get("/backends?provider=annex%2Fmain%2Fmain", "bob", **old) == {"devices": ["device", "hidden"]}
    assert window.get("/backends/hidden/status", "bob", **old)["state"] is True
    error(window.ask("GET", "/backends/hidden/status", "ann", **old), 404, 3100)


def test_a_device_that_does_not_start_jobs_is_not_online(window: Window) -> None:
    """So nobody takes it for the least busy one; the reason is told."""
    window.store.write(lambda tx: devices.set_state(tx, "device", "maintenance", "new pump"))
    listed = window.get("/backends")["devices"]
    told = window.get("/backends/device/status")

    assert listed[1]["status"] == {"name": "maintenance", "reason": "new pump"}
    assert (told["state"], told["status"], told["message"]) == (False, "maintenance", "new pump")


def test_a_queue_is_told(window: Window) -> None:
    """In the list and by the device itself."""
    window.submit()

    assert window.get("/backends")["devices"][1]["queue_length"] == 1
    assert window.get("/backends/device/status")["length_queue"] == 1


def test_a_configuration_has_what_the_client_needs(window: Window) -> None:
    """Also measurements and loops among its instructions, and no gate that the client does not know."""
    document = window.get("/backends/device/configuration")

    assert set(REQUIRED) <= set(document)
    assert {"measure", "reset", "delay", "if_else", "while_loop"} <= set(document["supported_instructions"])
    assert set(document["basis_gates"]) <= documents.KNOWN_GATES
    assert "save_statevector" not in document["basis_gates"]


@pytest.mark.parametrize("name", ["armonk", "essex", "hanoi", "kingston", "sherbrooke"])
def test_configurations_of_real_devices_hold_nothing_that_is_refused(name: str) -> None:
    """Such as a second kind of measurement, of which today's client would make an instruction."""
    document = documents.configuration(snapshots.load(name).configuration, Limits())

    assert "instruction_signatures" not in document
    assert "measure_2" not in document["supported_instructions"]
    assert {gate["name"] for gate in document["gates"]} <= documents.KNOWN_GATES | {"measure", "reset", "delay"}


def test_pulse_defaults_are_there_for_clients_that_ask(window: Window) -> None:
    """Those until version 0.40 do; a device without pulses has none, nor has a project that may not use them."""
    made = {name: snapshots.load(name, f"ibmq_{name}") for name in ("armonk", "essex")}
    for document in made.values():
        granted(window, devices.install(window.store, document, factories.NOW, now()))

    assert window.get("/backends/ibmq_armonk/defaults") == made["armonk"].defaults
    assert window.get("/backends/ibmq_essex/defaults") == {}
    assert window.get("/backends/ibmq_armonk/configuration")["open_pulse"] is True
    armonk = window.store.read(lambda tx: devices.get(tx, "ibmq_armonk"))
    spot = window.town.home.spot
    window.store.write(lambda tx: grants.grant(tx, spot, armonk, 1, Limits(open_pulse=False), now()))
    assert window.get("/backends/ibmq_armonk/defaults") == {}
    assert window.get("/backends/ibmq_armonk/configuration")["open_pulse"] is False


def granted(window: Window, added: devices.Device) -> None:
    """Give the default project a device."""
    window.store.write(lambda tx: grants.allow(tx, window.town.home, [added.id], now()))


@pytest.mark.parametrize("name", snapshots.names())
def test_a_configuration_offers_what_the_engine_takes(name: str) -> None:
    """Gates, resets, waits, loops and choices of every installed device, no fewer and no more."""
    known = snapshots.load(name)
    document = documents.configuration(known.configuration, Limits())
    target = dynamic.able(targets.parse(known))
    offered, features = set(document["supported_instructions"]), set(document["supported_features"])

    assert set(document["basis_gates"]) == (target.basis & documents.KNOWN_GATES) - retired(known.configuration)
    assert ("reset" in offered, "delay" in offered) == (target.resets, target.delays)
    assert (offered & set(documents.CONTROL_FLOW) != set()) == target.conditional
    assert (features & {"qasm3", "dynamic_circuits"} != set()) == target.conditional
    assert {"x", "rz", "sx"} <= offered


def retired(configuration: dict[str, Any]) -> set[str]:
    """Return gates that a device takes without naming them among its basis gates."""
    return set(device.RETIRED_GATES) - set(configuration["basis_gates"])


def test_gates_that_stand_for_others_have_their_places_and_their_errors() -> None:
    """On the devices of January 2020: what `u1`, `u2` and `u3` are, of which today's client hides two."""
    known = snapshots.load("essex")
    document = documents.configuration(known.configuration, Limits())
    gates = {gate["name"]: gate for gate in document["gates"]}
    measured = documents.properties(known.configuration, known.properties or {})
    found = {(gate["gate"], tuple(gate["qubits"])): gate for gate in measured["gates"]}

    assert gates["rz"]["parameters"] == ["theta"]
    for new, old in {"rz": "u1", "sx": "u2", "x": "u3"}.items():
        assert gates[new]["coupling_map"] == gates[old]["coupling_map"]
        for qubit in range(5):
            assert found[new, (qubit,)]["parameters"] == found[old, (qubit,)]["parameters"]
            assert found[new, (qubit,)]["name"] == f"{new}_{qubit}"
    assert documents.properties(snapshots.load("manila").configuration, {"gates": []}) == {"gates": []}


def test_a_configuration_is_that_of_the_project(window: Window) -> None:
    """With the limits that were granted."""
    few = grants.Limits(max_shots=7, max_experiments=3)
    window.store.write(lambda tx: grants.grant(tx, window.town.home.spot, window.town.device, 1, few, now()))
    document = window.get("/backends/device/configuration")

    assert (document["max_shots"], document["max_experiments"]) == (7, 3)


def recalibrated(window: Window) -> None:
    """Give the machine a second calibration, ten seconds younger."""
    document = factories.a_device_document(
        "machine", dated="2026-03-14T15:09:36Z", simulator=False, description="Calibrated again."
    )
    devices.install(window.store, document, factories.after(10), now())


def test_properties_are_those_of_the_time(window: Window) -> None:
    """The newest, or the newest before a date; none before the first."""
    recalibrated(window)
    before = {"updated_before": "2026-03-14T15:09:30+00:00"}

    assert window.get("/backends/machine/properties")["last_update_date"] == "2026-03-14T15:09:36Z"
    assert window.get("/backends/machine/properties", params=before)["last_update_date"] == "2026-03-14T15:09:26Z"
    assert window.get("/backends/machine/properties", params={"updated_before": "2020-01-01"}) == {}
    assert window.get("/backends/device/properties") == {}
    error(window.ask("GET", "/backends/machine/properties?updated_before=soon"), 400, 1001)


def test_a_calibration_is_had_by_its_id(window: Window) -> None:
    """Configuration and properties of it; one of another device is not there."""
    recalibrated(window)
    first = {"calibration_id": window.machine.calibration}

    assert window.get("/backends/machine/properties", params=first)["last_update_date"] == "2026-03-14T15:09:26Z"
    told = [window.get("/backends/machine/configuration", params=each)["description"] for each in (first, {})]
    assert told[0] != told[1] == "Calibrated again."
    error(window.ask("GET", "/backends/device/properties", params=first), 404, 3102)


@pytest.mark.parametrize("path", ["/api/v1/backends", "/experimental/backends", "/x/my-Experimental.1//backends/"])
def test_the_api_is_served_wherever_clients_look(window: Window, path: str) -> None:
    """Under the path that they make, and under any with the word that lets them take a URL as it is."""
    assert window.get(path, base="")["devices"]


def test_a_path_is_split_where_the_api_begins() -> None:
    """Also where users add the usual path behind the word; elsewhere it is not served."""
    served = ("/experimental/api/v1/jobs", "/RUNTIME/jobs", "/api/v1/jobs")
    others = ("/api/v1", "/api/jobs", "/experimental", "/runtimes/x", "/")

    assert [path[begin(path) :] for path in served] == ["/jobs"] * 3
    assert [begin(path) for path in others] == [-1] * 5


def test_a_time_is_read_in_every_form() -> None:
    """With an offset or without, which is UTC."""
    assert backends.moment("x", "2026-03-14T16:09:26.000001+01:00") == factories.NOW
    assert backends.moment("x", "2026-03-14T15:09:26") == factories.NOW


def test_a_device_that_is_calibrated_is_not_online(window: Window) -> None:
    """And says how far that is."""
    device = window.town.device
    window.store.write(lambda tx: devices.claim(tx, device, factories.NOW, progress="3 of 9 gates tuned", closed=True))
    told = window.get("/backends/device/status")

    assert window.get("/backends")["devices"][1]["status"] == {"name": "calibrating", "reason": "3 of 9 gates tuned"}
    assert (told["state"], told["status"], told["message"]) == (False, "calibrating", "3 of 9 gates tuned")
