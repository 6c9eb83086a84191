# SPDX-License-Identifier: Apache-2.0
"""Pulse defaults and what a project may do with pulses, as the API tells it."""

from typing import Any

import pytest
from desk import Desk, now

import factories
from chandelier import devices
from chandelier.devices import Device
from chandelier.formats import snapshots
from chandelier.tenancy import grants
from chandelier.tenancy.grants import Limits

HOME = "/Network/ibm-q/Groups/open/Projects/main"


def install(desk: Desk, snapshot: str, limits: Limits | None = None) -> Device:
    """Install a device for the default project, with limits if there are any."""
    document = snapshots.load(snapshot, f"ibmq_{snapshot}")
    device = devices.install(desk.store, document, factories.NOW, now())
    place = desk.town.home
    desk.store.write(lambda tx: grants.allow(tx, place, [device.id], now()))
    if limits is not None:
        desk.store.write(lambda tx: grants.grant(tx, place.spot, device, 1, limits, now()))
    return device


def entry(desk: Desk, device: Device) -> dict[str, Any]:
    """A device as the list of the default project has it."""
    listed = desk.get(f"{HOME}/devices")
    return next(one for one in listed if one["backend_name"] == device.name)


def test_defaults_are_those_of_the_calibration(desk: Desk) -> None:
    """Every call for them has the document that an engine reads, with frequencies as in the properties."""
    device = install(desk, "manila")
    served = desk.get(f"{HOME}/devices/{device.name}/defaults")
    properties = desk.get(f"{HOME}/devices/{device.name}/properties")

    assert served == devices.document(desk.store, device.calibration).defaults
    assert served["qubit_freq_est"] == [
        record["value"] for qubit in properties["qubits"] for record in qubit if record["name"] == "frequency"
    ]
    assert {one["name"] for one in served["cmd_def"]} == {"id", "rz", "u1", "u2", "u3", "sx", "x", "cx", "measure"}
    assert desk.get(f"/devices/{device.name}")["open_pulse"] is True


@pytest.mark.parametrize("snapshot", ["essex", "sherbrooke"])
def test_devices_without_pulses_have_none(desk: Desk, snapshot: str) -> None:
    """An empty object, which clients take for none, and a reason in the description."""
    device = install(desk, snapshot)

    assert desk.get(f"/devices/{device.name}/defaults") == {}
    assert "It takes no pulses" in desk.get(f"/devices/{device.name}")["description"]
    assert (entry(desk, device)["pulse_num_qubits"], entry(desk, device)["pulse_num_channels"]) == (0, 0)


def test_a_project_without_pulses_has_none_to_start_from(desk: Desk) -> None:
    """Where pulses are forbidden, the device is one without."""
    device = install(desk, "manila", Limits(open_pulse=False))

    assert desk.get(f"{HOME}/devices/{device.name}/defaults") == {}
    assert desk.get(f"{HOME}/devices/{device.name}")["open_pulse"] is False
    assert (entry(desk, device)["pulse_num_qubits"], entry(desk, device)["pulse_num_channels"]) == (0, 0)


def test_entries_tell_how_much_pulses_may_use(desk: Desk) -> None:
    """All qubits, and all drive and control channels, unless a hub's administrators have set less."""
    assert entry(desk, whole := install(desk, "manila"))["pulse_num_qubits"] == whole.qubits
    assert entry(desk, whole)["pulse_num_channels"] == 5 + 8

    less = entry(desk, install(desk, "lagos", Limits(pulse_qubits=2, pulse_channels=3)))
    assert (less["pulse_num_qubits"], less["pulse_num_channels"]) == (2, 3)
