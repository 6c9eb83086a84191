# SPDX-License-Identifier: Apache-2.0
"""Devices as clients of 2018 and administrators of hubs list them."""

import json
import re
from typing import Any

import pytest

from chandelier.formats import listings, simulators, snapshots
from chandelier.formats.listings import Facts, Terms

FACTS = Facts("5ae875670f020500393162ad")
TERMS = Terms("https://cloud.example.org/api", "2026-03-14T15:09:26.000Z", 1000, -1)
#: Every key of the description of 2021, with its type. Source: seed document 001, `GET /Network/{hubName}/devices`.
RECORD: dict[str, type] = {
    "name": str, "deleted": bool, "processorType": dict, "public": bool, "costParameters": dict,
    "specificConfiguration": dict, "backendName": str, "formerNames": list, "version": str, "address": str,
    "status": str, "lastConnection": str, "description": str, "type": str, "docUrl": str, "gateSet": str,
    "basisGates": str, "oldGates": dict, "oldBasisGates": dict, "onlineDate": str, "chipName": str,
    "maxQobjectSize": int, "allowObjectStorage": bool, "supportedTypes": dict, "hide": bool, "statsPublic": bool,
    "accessType": str, "configuration": dict, "inputAllowed": list, "capabilities": dict, "geographyName": str,
    "category": str, "id": str, "topologyId": str,
}  # fmt: skip


def configuration(name: str = "rome", **changes: Any) -> dict[str, Any]:
    """Return a device's configuration as it is served."""
    return snapshots.load(name).configuration | changes


def snake_case(name: str) -> str:
    """Spell a key as the client of 2018 does. Source: qiskit 0.6.1, `_util._camel_case_to_snake_case`."""
    parted = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z0-9])([A-Z])", r"\1_\2", parted).lower()


def test_an_entry_has_the_keys_of_both_generations() -> None:
    """One entry serves clients that read configurations and those of 2018."""
    served = configuration()
    entry = listings.entry(served, FACTS)

    assert {key: entry[key] for key in ("name", "status", "id", "nQubits", "version", "simulator")} == {
        "name": "ibmq_rome",
        "status": "on",
        "id": FACTS.identifier,
        "nQubits": 5,
        "version": "1.3.16",
        "simulator": False,
    }
    assert entry["basisGates"] == "id,rz,sx,x,cx,reset"
    assert entry["couplingMap"] == [[0, 1], [1, 0], [1, 2], [2, 1], [2, 3], [3, 2], [3, 4], [4, 3]]
    assert entry["onlineDate"] == "2020-03-23T04:00:00Z"
    assert entry["allowQObject"] is True
    assert (entry["serialNumber"], entry["url"]) == ("ibmq_rome", "")
    assert (entry["chipName"], entry["description"]) == (served["sample_name"], served["description"])
    assert {key: entry[key] for key in served} == served


@pytest.mark.parametrize("name", ["rome", "essex", "kingston"])
def test_the_client_of_2018_loses_nothing(name: str) -> None:
    """It spells all keys alike and keeps the last; only those that it wants in another form are replaced."""
    entry = json.loads(json.dumps(listings.entry(configuration(name), FACTS)))
    spelled = {snake_case(key): value for key, value in entry.items()}
    changed = {key for key, value in configuration(name).items() if spelled[key] != value}

    assert changed == {"basis_gates"}
    assert spelled["basis_gates"] == entry["basisGates"]
    assert spelled["coupling_map"] == entry["couplingMap"]
    assert spelled["allow_q_object"] is True
    assert {"id", "serial_number", "topology_id", "status", "name", "n_qubits", "chip_name"} <= set(spelled)


def test_a_full_coupling_map_has_a_word() -> None:
    """Where the configuration has null."""
    entry = listings.entry(simulators.document("simulator_mps").configuration, Facts("abc", "off"))

    assert (entry["couplingMap"], entry["status"], entry["coupling_map"]) == ("all-to-all", "off", None)


def test_equal_topologies_share_an_id() -> None:
    """The topology id depends on size and coupling only."""
    same = {
        listings.topology(one) for one in (configuration(), configuration(max_shots=7), configuration(basis_gates=[]))
    }
    other = listings.topology(configuration(coupling_map=[[0, 1]]))

    assert len(same) == 1
    assert other not in same
    assert re.fullmatch("[0-9a-f]{24}", other)


@pytest.mark.parametrize("name", ["rome", "essex", "burlington"])
def test_a_hub_record_has_every_documented_key(name: str) -> None:
    """With the documented type, and no other."""
    record = listings.hub_record(configuration(name), FACTS, TERMS)

    assert {key: type(value) for key, value in record.items()} == RECORD
    assert json.loads(json.dumps(record)) == record


def test_a_hub_record_tells_the_truth() -> None:
    """Of the device, and of this server."""
    served = configuration()
    record = listings.hub_record(served, Facts("abc", "off"), TERMS)

    assert record["name"] == record["backendName"] == record["specificConfiguration"]["backend_name"] == "ibmq_rome"
    assert record["processorType"] == {"family": "Falcon", "revision": 4, "segment": "L"}
    assert record["capabilities"] == {"openPulse": False, "maxExperiments": 900, "maxShots": 8192}
    assert record["configuration"] == {"limit": -1, "capabilities": record["capabilities"]}
    assert (record["id"], record["status"], record["type"]) == ("abc", "off", "Real")
    assert (record["address"], record["lastConnection"], record["maxQobjectSize"]) == (
        TERMS.address,
        TERMS.now,
        1000,
    )
    assert record["topologyId"] == listings.entry(served, FACTS)["topologyId"]


def test_a_simulator_is_told_from_a_device() -> None:
    """By its type; it has no processor."""
    record = listings.hub_record(simulators.document("ibmq_qasm_simulator").configuration, FACTS, TERMS)

    assert {key: type(value) for key, value in record.items()} == RECORD
    assert (record["type"], record["processorType"]) == ("Simulator", {})
