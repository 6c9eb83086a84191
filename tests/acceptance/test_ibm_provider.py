# SPDX-License-Identifier: Apache-2.0
"""qiskit-ibm-provider 0.11.0, the client of 2023 and 2024 in which a backend runs circuits, unmodified."""

from typing import Any

import pytest
import runtimeclients
from clouds import Cloud

# The first test waits for the installation of the client.
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def seen(cloud: Cloud, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the client sees."""
    home = tmp_path_factory.mktemp("home")
    client = runtimeclients.build(pytestconfig, cloud, runtimeclients.PROVIDER, home)
    user = cloud.add_user("of-2024@example.org")
    return client.run("ibm_provider", cloud.url, user["token"])


def test_it_logs_in_and_sees_devices(seen: dict[str, Any]) -> None:
    """URL and token lead to the devices of the default project."""
    assert {"ibmq_manila", "ibm_lagos", "ibmq_qasm_simulator"} <= set(seen["names"])
    assert seen["instances"] == ["ibm-q/open/main"]
    assert seen["status"] == [True, "active"]
    assert 0 < seen["readout"] < 0.2


def test_a_backend_runs_circuits(seen: dict[str, Any]) -> None:
    """Two circuits in one job, found by themselves in its result, with memory."""
    bell, flipped = seen["counts"]
    assert sum(bell.values()) == sum(flipped.values()) == seen["memory"] == 2000
    assert 0.8 < (bell["00"] + bell["11"]) / 2000 < 0.995
    assert 0.8 < flipped["1"] / 2000 < 1
    assert seen["names_of_results"] == ["bell", "flipped"]


def test_a_seed_fixes_the_counts(seen: dict[str, Any]) -> None:
    """On a simulator, where only the right outcomes come."""
    first, second = seen["ideal"]
    assert first == second
    assert set(first) == {"00", "11"}
    assert sum(first.values()) == 1000


def test_a_dynamic_circuit_decides(seen: dict[str, Any]) -> None:
    """Its second qubit follows what was measured of the first."""
    assert seen["dynamic"] == {"11": 100}


def test_jobs_are_found_again(seen: dict[str, Any]) -> None:
    """By id and by tag, with result, device, tags and circuits."""
    status, counts, backend, tags = seen["again"]
    assert (status, backend, tags) == ("DONE", "ibmq_manila", ["of-2024"])
    assert counts == seen["counts"][0]
    assert seen["circuits"] == ["bell", "flipped"]
    assert seen["listed"]


def test_a_session_keeps_its_jobs(seen: dict[str, Any]) -> None:
    """It has an id, and its job runs."""
    session, shots = seen["session"]
    assert session
    assert shots == 100


def test_a_pulse_gate_is_an_error(seen: dict[str, Any]) -> None:
    """It is refused by name, not ignored: the result would be another circuit's."""
    status, message = seen["pulse"]
    assert status == "ERROR"
    assert "pulse" in message.lower() or "calibration" in message.lower()


def test_a_running_job_is_cancelled(seen: dict[str, Any]) -> None:
    """It has no result then."""
    assert seen["cancelled"]["answer"]
    assert seen["cancelled"]["status"] == "CANCELLED"
    assert seen["cancelled"]["result"].startswith("IBMJobInvalidStateError")


def test_a_bad_token_is_refused(seen: dict[str, Any]) -> None:
    """The server's code and sentence reach the user."""
    assert "Error code: 2001" in seen["bad_token"]
    assert "API token is not valid" in seen["bad_token"]
