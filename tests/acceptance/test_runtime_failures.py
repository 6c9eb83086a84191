# SPDX-License-Identifier: Apache-2.0
"""What does not work says so, in the exceptions of qiskit-ibm-runtime 0.51.0: refused, failed and cancelled jobs."""

from typing import Any

import pytest
import runtimeclients
from clouds import Cloud

# The first test may wait for the installation of the client.
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def seen(cloud: Cloud, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the client makes of its failures, in a project that may have one job at a time on the simulator."""
    home = tmp_path_factory.mktemp("home")
    client = runtimeclients.build(pytestconfig, cloud, runtimeclients.TODAY, home)
    cloud.json("group", "add", "ibm-q/failures")
    cloud.json("project", "add", "ibm-q/failures/here")
    cloud.json("grant", "set", "ibm-q/failures/here", "ibmq_qasm_simulator", "--above", "--max-pending", "1")
    cloud.json("grant", "set", "ibm-q/failures/here", "ibmq_manila", "--above", "--max-shots", "5000")
    user = cloud.add_user("failures@example.org", "--project", "ibm-q/failures/here")
    answer = cloud.json("env", "--url", cloud.root, "--token", user["token"])
    told = runtimeclients.surrounded(client, answer["variables"])
    account = answer["account"]
    found = told.run("runtime_failures", "0" * 128, account["url"], account["instance"])
    cloud.json("group", "remove", "ibm-q/failures", "--yes")
    return found


def test_a_job_too_many_is_refused(seen: dict[str, Any]) -> None:
    """With the server's code, before it is a job."""
    assert seen["over"].startswith("IBMRuntimeError")
    assert "3458" in seen["over"]


def test_a_running_job_is_cancelled(seen: dict[str, Any]) -> None:
    """It has no result, and cannot be cancelled again."""
    cancelled = seen["cancelled"]
    assert cancelled["while"] == "RUNNING"
    assert cancelled["status"] == "CANCELLED"
    assert cancelled["result"].startswith("RuntimeInvalidStateError")
    assert cancelled["again"].startswith("RuntimeInvalidStateError")
    assert seen["small"] == {"1": 10}


def test_a_failed_job_tells_its_reason(seen: dict[str, Any]) -> None:
    """An instruction that nobody knows is named."""
    failed = seen["failed"]
    assert failed["status"] == "ERROR"
    assert "mystery" in failed["message"]
    assert failed["result"].startswith("RuntimeJobFailureError")
    assert "mystery" in failed["result"]


def test_too_many_shots_are_refused(seen: dict[str, Any]) -> None:
    """With the number that was asked for, or the one that is allowed."""
    assert seen["shots"].startswith(("RuntimeJobFailureError", "IBMRuntimeError"))
    assert "shots" in seen["shots"]
    assert "1000000" in seen["shots"]


def test_an_option_that_means_nothing_is_refused_by_name(seen: dict[str, Any]) -> None:
    """None is ignored."""
    assert seen["option"].startswith(("RuntimeJobFailureError", "IBMRuntimeError"))
    assert "flux_capacitor" in seen["option"]


def test_an_unknown_program_is_not_found(seen: dict[str, Any]) -> None:
    """In the exception that the client has for it."""
    assert seen["program"].startswith("RuntimeProgramNotFound")
    assert "fortune-teller" in seen["program"]


def test_a_bad_token_is_refused(seen: dict[str, Any]) -> None:
    """The client is told that it is not authorised."""
    assert seen["bad_token"]["said"].startswith("IBMNotAuthorizedError")
