# SPDX-License-Identifier: Apache-2.0
"""qiskit-ibm-runtime 0.40.1, the last client of the channel `ibm_quantum`, unmodified, with Qiskit 1.4."""

from typing import Any, Final

import pytest
import runtimeclients
from clouds import Cloud

# The first test waits for the installation of the client.
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

SIGMAS: Final = 5.0


@pytest.fixture(scope="module")
def seen(cloud: Cloud, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the client sees."""
    home = tmp_path_factory.mktemp("home")
    client = runtimeclients.build(pytestconfig, cloud, runtimeclients.FORMER, home)
    user = cloud.add_user("of-2025@example.org")
    return client.run("runtime_0_40", cloud.url, user["token"])


def right(counts: dict[str, int]) -> float:
    """Return the share of a Bell circuit's shots in which the qubits agree."""
    return (counts.get("00", 0) + counts.get("11", 0)) / sum(counts.values())


def test_three_arguments_are_enough(seen: dict[str, Any]) -> None:
    """Channel, URL and token lead to the devices of the default project."""
    assert {"ibmq_manila", "ibm_sherbrooke", "ibmq_qasm_simulator"} <= set(seen["names"])
    assert seen["instances"] == ["ibm-q/open/main"]
    assert seen["least_busy"] in {"ibm_sherbrooke", "ibm_kingston"}
    assert seen["usage"]["byInstance"][0]["instance"] == "ibm-q/open/main"


def test_a_device_describes_itself(seen: dict[str, Any]) -> None:
    """Size, state and calibration, after the client's own conversion."""
    assert seen["qubits"] == 5
    assert seen["status"] == [True, "active"]
    assert 0 < seen["readout"] < 0.2


def test_pulses_can_be_looked_at(seen: dict[str, Any]) -> None:
    """This client still reads defaults: their frequencies are those of the properties."""
    taken, frequency, calibrated = seen["pulses"]
    assert taken
    assert frequency == pytest.approx(calibrated, rel=1e-12)


def test_primitives_run(seen: dict[str, Any]) -> None:
    """A sampler on a simulator and on a device, and an estimator with its error bar."""
    assert set(seen["ideal"]) == {"00", "11"}
    assert sum(seen["ideal"].values()) == sum(seen["sampled"].values()) == 2000
    assert 0.8 < right(seen["sampled"]) < 0.995
    value, error = seen["estimated"]
    assert 0 < error < 0.06
    assert abs(value - 0.97) < 0.03 + SIGMAS * error


def test_jobs_are_found_again(seen: dict[str, Any]) -> None:
    """By id and by tag, with result, device and tags."""
    status, counts, backend, tags = seen["again"]
    assert (status, backend, tags) == ("DONE", "ibmq_manila", ["of-2025"])
    assert counts == seen["sampled"]
    assert seen["listed"]
    assert seen["total"] >= 4


def test_a_session_runs_and_closes(seen: dict[str, Any]) -> None:
    """Its jobs name it."""
    assert seen["session"] == [True, 100]
    assert seen["closed"] == "Closed"


def test_a_pulse_gate_is_an_error(seen: dict[str, Any]) -> None:
    """It is refused by name, not ignored: the result would be another circuit's."""
    assert "pulse" in seen["pulse"].lower() or "calibration" in seen["pulse"].lower()
    assert seen["pulse"].startswith(("RuntimeJobFailureError", "IBMRuntimeError"))


def test_strangers_are_told_so(seen: dict[str, Any]) -> None:
    """A bad token and an unknown job have their exceptions."""
    assert seen["bad_token"].startswith("IBMNotAuthorizedError")
    assert seen["unknown_job"].startswith("RuntimeJobNotFound")
