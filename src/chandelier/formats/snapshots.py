# SPDX-License-Identifier: Apache-2.0
"""Calibration snapshots: real devices as once published, read from the files of an installed package.

The package is found and its files are read, but it is never imported: that would load Qiskit into the server.
"""

import importlib.util
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from chandelier import errors
from chandelier.formats import device, openpulse, tunings

#: The installed package, and where in it each snapshot has a folder with `conf_*.json` and `props_*.json`.
PACKAGE: Final = "qiskit_ibm_runtime"
FOLDER: Final = Path("fake_provider") / "backends"

#: The devices of a fresh installation, smallest first: served name, then snapshot.
DEFAULTS: Final[Mapping[str, str]] = {
    "ibmq_armonk": "armonk",  # 1 qubit, the teaching device
    "ibmq_essex": "essex",  # 5 qubits, u1 u2 u3 cx: the gates of January 2020
    "ibmq_manila": "manila",  # 5 qubits in a line, rz sx x cx
    "ibm_lagos": "lagos",  # 7 qubits in an H
    "ibm_hanoi": "hanoi",  # 27 qubits, heavy hexagons
    "ibm_sherbrooke": "sherbrooke",  # 127 qubits, ecr
    "ibm_kingston": "kingston",  # 156 qubits, cz
}

#: The public devices of summer 2020, under the names that programs of that time have written into them.
ERA_2020: Final[Mapping[str, str]] = {
    "ibmq_armonk": "armonk",
    "ibmq_burlington": "burlington",
    "ibmq_essex": "essex",
    "ibmq_london": "london",
    "ibmq_ourense": "ourense",
    "ibmq_rome": "rome",
    "ibmq_vigo": "vigo",
    "ibmqx2": "yorktown",
    "ibmq_16_melbourne": "melbourne",
}

#: Devices that can be added together.
SETS: Final[Mapping[str, Mapping[str, str]]] = {"default": DEFAULTS, "era-2020": ERA_2020}

#: Snapshots that cannot be served, and why.
EXCLUDED: Final[Mapping[str, str]] = {"poughkeepsie": "its numbers are in SI units, unlike all others"}


def folder(package: str = PACKAGE) -> Path:
    """Find where the snapshots lie, without importing the package.

    Raises:
        errors.Unavailable: The package is not installed, or no longer has them.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise errors.Unavailable(f"The package {package} with the device snapshots is not installed.", 3102)
    found = Path(spec.origin).parent / FOLDER
    if not found.is_dir():
        raise errors.Unavailable(f"The installed {package} has no device snapshots in {FOLDER}.", 3102)
    return found


def names() -> list[str]:
    """List the snapshots that can be served, in alphabetical order.

    Raises:
        errors.Unavailable: The package is not installed.
    """
    return sorted(
        path.name
        for path in folder().iterdir()
        if path.name not in EXCLUDED
        and (path / f"conf_{path.name}.json").is_file()
        and (path / f"props_{path.name}.json").is_file()
    )


def read(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read one snapshot as it was published.

    Returns:
        Configuration and properties, in wire units and of the shape of their year.

    Raises:
        errors.Unavailable: There is no such snapshot, or it cannot be served.
    """
    if name in EXCLUDED:
        raise errors.Unavailable(f"The device snapshot {name} cannot be served: {EXCLUDED[name]}.", 3102)
    installed = names()
    if name not in installed:
        raise errors.Unavailable(f"There is no device snapshot {name!r}, only {', '.join(installed)}.", 3102)
    source = folder() / name
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    return (
        decode((source / f"conf_{name}.json").read_bytes()),
        decode((source / f"props_{name}.json").read_bytes()),
    )


def load(snapshot: str, served_name: str | None = None) -> device.DeviceDocument:
    """Make a device of a snapshot; with pulses if a tuning for it comes with this package.

    Args:
        snapshot: One of `names()`.
        served_name: Name under which users find the device; the original's unless given.

    Raises:
        errors.Unavailable: There is no such snapshot, or it cannot be served.
    """
    document = untuned(snapshot, served_name)
    if openpulse.obstacle(document.configuration, document.properties):
        return document
    tuning = tunings.shipped(openpulse.model(document))
    return document if tuning is None else openpulse.with_pulses(document, tuning)


def untuned(snapshot: str, served_name: str | None = None) -> device.DeviceDocument:
    """Make a device of a snapshot that has the Hamiltonian of its pulses, if there can be any, but no pulses.

    Args:
        snapshot: One of `names()`.
        served_name: Name under which users find the device; the original's unless given.

    Raises:
        errors.Unavailable: There is no such snapshot, or it cannot be served.
    """
    configuration, properties = read(snapshot)
    name = served_name or configuration["backend_name"]
    document = device.DeviceDocument(
        configuration=device.normalise_configuration(
            configuration, served_name=name, description=describe(configuration, properties)
        ),
        properties=device.normalise_properties(properties, served_name=name, basis_gates=configuration["basis_gates"]),
    )
    obstacle = openpulse.obstacle(document.configuration, document.properties)
    return openpulse.with_model(document) if obstacle is None else document


def describe(configuration: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    """Say what a device is made from, so that nobody takes it for the machine itself, and whether it can take pulses.

    The day is in words: a date in figures might be parsed as one.
    """
    day = datetime.fromisoformat(properties["last_update_date"])
    original = configuration["backend_name"]
    text = f"Simulated from a public calibration snapshot of {original}, {day.day} {day:%B %Y}."
    obstacle = openpulse.obstacle(configuration, properties)
    return text if obstacle is None else f"{text} It takes no pulses: {obstacle}."
