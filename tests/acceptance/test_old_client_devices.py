# SPDX-License-Identifier: Apache-2.0
"""The old client logs in and sees every device as it saw the real ones."""

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.acceptance

SIMULATORS = (
    *("ibmq_qasm_simulator", "simulator_statevector", "simulator_mps", "simulator_stabilizer", "simulator_pulse"),
)
WITH_PULSES = {"ibmq_armonk", "ibmq_manila", "ibm_lagos", "ibm_hanoi", "simulator_pulse"}
DEVICES = {
    "ibmq_armonk": 1,
    "ibmq_essex": 5,
    "ibmq_manila": 5,
    "ibm_lagos": 7,
    "ibm_hanoi": 27,
    "ibm_sherbrooke": 127,
}


@pytest.fixture(scope="module")
def seen(observe: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """What the client sees after logging in."""
    return observe("devices")


def test_login_leads_to_the_default_project(seen: dict[str, Any]) -> None:
    """`enable_account` returns the provider of ibm-q/open/main."""
    assert seen["instance"] == ["ibm-q", "open", "main"]
    assert seen["providers"] == 1


def test_all_devices_are_listed(seen: dict[str, Any]) -> None:
    """No device is dropped by the client for a document that it cannot read."""
    assert set(seen["devices"]) >= {*SIMULATORS, *DEVICES}
    assert all(device["target"] == "" for device in seen["devices"].values())


def test_configurations_carry_the_devices_sizes(seen: dict[str, Any]) -> None:
    """`configuration()` tells number of qubits, kind and limits of each device."""
    for name, qubits in DEVICES.items():
        device = seen["devices"][name]
        assert device["n_qubits"] == qubits
        assert not device["simulator"]
        assert device["max_shots"] >= 1024
        assert device["max_experiments"] >= 1
    assert all(seen["devices"][name]["simulator"] for name in SIMULATORS)


def test_basis_gates_are_of_their_year(seen: dict[str, Any]) -> None:
    """A device of 2020 takes u1, u2, u3; one of 2021 rz, sx, x."""
    assert {"u1", "u2", "u3", "cx"} <= set(seen["devices"]["ibmq_essex"]["basis_gates"])
    assert {"rz", "sx", "x", "cx"} <= set(seen["devices"]["ibmq_manila"]["basis_gates"])
    assert {"h", "ccx", "unitary"} <= set(seen["devices"]["ibmq_qasm_simulator"]["basis_gates"])


def test_devices_with_pulses_have_defaults(seen: dict[str, Any]) -> None:
    """`open_pulse` is true for those, `defaults()` of the others is None, and the descriptions say what they are."""
    assert {name for name, device in seen["devices"].items() if device["open_pulse"]} == WITH_PULSES
    for name, device in seen["devices"].items():
        assert device["defaults"] == ("PulseDefaults" if name in WITH_PULSES else "NoneType")
    for name in DEVICES:
        assert "Simulated from a public calibration snapshot" in seen["devices"][name]["description"]


def test_devices_are_operational(seen: dict[str, Any]) -> None:
    """`status()` of each device says that it takes jobs, in the words that `least_busy` looks for."""
    for device in seen["devices"].values():
        assert device["operational"]
        assert device["status"] == "active"
        assert device["pending_jobs"] >= 0
        assert device["version"][0] == device["version"][1]


def test_job_limits_are_told(seen: dict[str, Any]) -> None:
    """`job_limit()` has both of its numbers."""
    for device in seen["devices"].values():
        maximum, active = device["limit"]
        assert maximum is None or maximum > 0
        assert active >= 0


def test_properties_are_physical(seen: dict[str, Any]) -> None:
    """`properties()` has plausible values in SI units, after the client's own conversion, for every qubit."""
    for name, qubits in DEVICES.items():
        properties = seen["devices"][name]["properties"]
        assert properties["qubits"] == qubits
        assert all(1e-6 < t1 < 2e-3 for t1 in properties["t1"])
        assert 4e9 < properties["frequency"] < 6e9
        assert all(0 < error <= 0.5 for error in properties["readout_error"])


def test_two_qubit_gates_have_error_and_length(seen: dict[str, Any]) -> None:
    """The CX of ibmq_manila has a small error and takes some hundred nanoseconds."""
    properties = seen["devices"]["ibmq_manila"]["properties"]
    assert 1e-3 < properties["cx_error"] < 5e-2
    assert 1e-7 < properties["cx_length"] < 1e-6
    assert seen["devices"]["ibmq_manila"]["dt"] == pytest.approx(0.2222e-9, rel=1e-3)


def test_no_calibration_is_older_than_the_first(seen: dict[str, Any]) -> None:
    """`properties(datetime=…)` before all calibrations is None."""
    assert all(seen["devices"][name]["properties"]["before_there_were_any"] for name in DEVICES)


def test_least_busy_finds_a_device(seen: dict[str, Any]) -> None:
    """`least_busy` picks one of the devices that are no simulators."""
    assert not seen["devices"][seen["least_busy"]]["simulator"]
    assert seen["reservations"] == []


def test_devices_are_found_by_name_and_property(seen: dict[str, Any]) -> None:
    """`get_backend` and the filters of `backends` work."""
    assert seen["named"] == "ibmq_manila"
    assert {"ibmq_manila", "ibmq_essex"} <= set(seen["filtered"])
    assert "ibm_lagos" not in seen["filtered"]
