# SPDX-License-Identifier: Apache-2.0
"""Sessions and batches of qiskit-ibm-runtime 0.51.0, unmodified."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
import runtimeclients
from clouds import Cloud

# The first test may wait for the installation of the client.
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

PAUSED: Final = "ibm_lagos"


@pytest.fixture(scope="module")
def seen(
    cloud: Cloud, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """What the client sees of its sessions."""
    home = tmp_path_factory.mktemp("home")
    client = runtimeclients.build(pytestconfig, cloud, runtimeclients.TODAY, home)
    user = cloud.add_user("sessions@example.org")
    cloud.json("device", "pause", PAUSED)
    yield runtimeclients.told(client, cloud, "--token", user["token"]).run("runtime_sessions", PAUSED)
    cloud.json("device", "resume", PAUSED)


def test_a_session_goes_through_its_states(seen: dict[str, Any]) -> None:
    """It waits for its first job, is in progress between two of them, and closed when it was left."""
    session = seen["session"]
    assert session["statuses"] == ["Pending", "In progress, accepting new jobs", "Closed"]
    details = session["details"]
    assert (details["id"], details["backend_name"], details["mode"]) == (session["id"], "ibmq_manila", "dedicated")
    assert details["accepting_jobs"]
    assert details["max_time"] == 600
    assert details["interactive_timeout"] > 0
    assert details["activated_at"] is not None
    assert not session["closed"]["accepting_jobs"]
    assert session["closed"]["closed_at"] is not None


def test_the_jobs_of_a_session_belong_to_it(seen: dict[str, Any]) -> None:
    """They run, name it, and are found by it; it is charged."""
    session = seen["session"]
    assert all(ones > 80 for ones in session["ones"])
    assert session["named"] == [session["id"]] * 2
    assert session["listed"] == session["jobs"][::-1]
    assert session["usage"] > 0


def test_a_closed_session_takes_no_jobs(seen: dict[str, Any]) -> None:
    """Whoever tries is told; nor is a session a batch."""
    session = seen["session"]
    assert "closed" in session["late"]
    assert "closed" in session["again"]
    assert "dedicated" in session["as_batch"]
    assert seen["unknown"].startswith("IBMInputValueError")


def test_a_batch_runs_its_jobs(seen: dict[str, Any]) -> None:
    """All that was submitted before it was closed, each with its own result."""
    batch = seen["batch"]
    assert batch["outcomes"] == ["1", "11", "111"]
    assert batch["status"] == "Closed"
    assert batch["details"]["mode"] == "batch"
    assert batch["usage"] > 0


def test_cancelling_a_session_cancels_its_jobs(seen: dict[str, Any]) -> None:
    """Those that wait are cancelled with it."""
    assert seen["cancelled"]["jobs"] == ["CANCELLED", "CANCELLED"]
    assert seen["cancelled"]["status"] == "Closed"
    assert "closed" in seen["cancelled"]["late"]


def test_a_simulator_needs_no_session(seen: dict[str, Any]) -> None:
    """The client opens none, and the jobs run."""
    assert seen["simulator"] == {"id": None, "counts": {"1": 10}}
