# SPDX-License-Identifier: Apache-2.0
"""A device as each generation of clients lists it: the entries of 2018, and the records of hub administrators.

The form in between, the plain configuration, is the stored document itself.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from chandelier.formats.device import Document

#: What a full coupling map is called in the entries of 2018.
ALL_TO_ALL: Final = "all-to-all"


class Facts(msgspec.Struct, frozen=True):
    """What is true of a device today, beside its documents.

    Attributes:
        identifier: The device's stable id.
        status: `on` offers the device to users; anything else hides it.
    """

    identifier: str
    status: str = "on"


class Terms(msgspec.Struct, frozen=True):
    """On what terms the server runs jobs, for the administrators of hubs.

    Attributes:
        address: Base URL of the API that serves the device.
        now: ISO date of the request: a device that answers is connected.
        program_bytes: Size of the largest program that is accepted.
        pending_jobs: How many jobs a user may have waiting on a device; -1 is any number.
    """

    address: str
    now: str
    program_bytes: int
    pending_jobs: int


#: What of a configuration the administrators of a hub are shown.
SPECIFIC: Final = (
    "backend_name backend_version n_qubits basis_gates coupling_map simulator open_pulse max_shots max_experiments"
)


def entry(configuration: Mapping[str, Any], facts: Facts) -> Document:
    """Merge a configuration with the keys of the first API, for `/Backends` and `…/{project}/devices` only.

    The camelCase keys come last because the client of 2018 turns them into snake_case and keeps the last one.
    It wants `basisGates` as one text and a word for a full coupling map. Never sort the keys of this entry.

    Args:
        configuration: As `device.normalise_configuration` makes it, or a simulator's.
        facts: What of today the entry tells: identifier and status.

    Source: protocol 4.1 and 6.6.
    """
    coupling = configuration["coupling_map"]
    return {
        **configuration,
        "name": configuration["backend_name"],
        "status": facts.status,
        "id": facts.identifier,
        "topologyId": topology(configuration),
        "couplingMap": ALL_TO_ALL if coupling is None else coupling,
        "basisGates": ",".join(configuration["basis_gates"]),
        "nQubits": configuration["n_qubits"],
        "onlineDate": configuration["online_date"],
        "chipName": chip(configuration),
        "url": configuration.get("url", ""),
        "version": configuration["backend_version"],
        "serialNumber": configuration["backend_name"],
        "description": configuration.get("description", ""),
        "allowQObject": True,
    }


def hub_record(configuration: Mapping[str, Any], facts: Facts, terms: Terms) -> Document:
    """Describe a device to the administrators of a hub: every documented key, empty where there is nothing to say.

    Nothing here costs anything; devices have had no other names and gates, and no place on earth.

    Source: protocol 4.1, hub device records; a script reads `specificConfiguration.backend_name`.
    """
    basis = ",".join(configuration["basis_gates"])
    pulses = bool(configuration["open_pulse"])
    capabilities = {
        "openPulse": pulses,
        "maxExperiments": configuration["max_experiments"],
        "maxShots": configuration["max_shots"],
    }
    return {
        "name": configuration["backend_name"],
        "deleted": False,
        "processorType": configuration.get("processor_type", {}),
        "public": False,
        "costParameters": {},
        "specificConfiguration": {key: configuration[key] for key in SPECIFIC.split()},
        "backendName": configuration["backend_name"],
        "formerNames": [],
        "version": configuration["backend_version"],
        "address": terms.address,
        "status": facts.status,
        "lastConnection": terms.now,
        "description": configuration.get("description", ""),
        "type": "Simulator" if configuration["simulator"] else "Real",
        "docUrl": "",
        "gateSet": basis,
        "basisGates": basis,
        "oldGates": {},
        "oldBasisGates": {},
        "onlineDate": configuration["online_date"],
        "chipName": chip(configuration),
        "maxQobjectSize": terms.program_bytes,
        "allowObjectStorage": bool(configuration["allow_object_storage"]),
        "supportedTypes": {"QASM": True, "PULSE": pulses},
        "hide": False,
        "statsPublic": True,
        "accessType": "private",
        "configuration": {"limit": terms.pending_jobs, "capabilities": capabilities},
        "inputAllowed": list(configuration.get("input_allowed", ())),
        "capabilities": capabilities,
        "geographyName": "",
        "category": "",
        "id": facts.identifier,
        "topologyId": topology(configuration),
    }


def topology(configuration: Mapping[str, Any]) -> str:
    """Name a topology: 24 hexadecimal digits that depend on the number of qubits and their couplings only."""
    content = msgspec.json.encode([configuration["n_qubits"], configuration["coupling_map"]])
    return hashlib.sha256(content).hexdigest()[:24]


def chip(configuration: Mapping[str, Any]) -> str:
    """Return the name of the processor; the device's own where none was published."""
    return str(configuration.get("sample_name", configuration["backend_name"]))
