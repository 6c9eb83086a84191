# SPDX-License-Identifier: Apache-2.0
"""A device of January 2020 in the hands of qiskit-ibm-runtime 0.51.0, which hides most of its gates."""

import base64
import io
import math
from typing import Any

import pytest
import runtimeclients
from clouds import Cloud
from qiskit import qpy

from chandelier.engines import shots
from chandelier.engines import target as targets
from chandelier.formats import snapshots, tasks

# The first test may wait for the installation of the client.
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def seen(cloud: Cloud, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the client makes of the device."""
    home = tmp_path_factory.mktemp("home")
    client = runtimeclients.build(pytestconfig, cloud, runtimeclients.TODAY, home)
    user = cloud.add_user("old@example.org")
    return runtimeclients.told(client, cloud, "--token", user["token"]).run("runtime_2020")


def test_its_gates_are_universal_for_the_client(seen: dict[str, Any]) -> None:
    """It is offered `rz`, `sx` and `x`, with the times of the gates by which the device makes them."""
    assert {"rz", "sx", "x", "cx", "measure"} <= set(seen["operations"])
    assert not {"u2", "u3", "if_else", "reset"} & set(seen["operations"])
    assert {"rz", "sx"} <= set(seen["gates"])
    assert seen["seconds"] == pytest.approx(64e-9)


def test_counts_follow_the_exact_distribution(seen: dict[str, Any]) -> None:
    """With every error of the device: each outcome within five standard deviations."""
    (circuit,) = qpy.load(io.BytesIO(base64.b64decode(seen["circuit"])))
    limits = tasks.Limits(memory_bytes=1 << 30, cpu_seconds=60, result_bytes=1 << 20)
    exact = shots.exact(circuit, targets.parse(snapshots.load("essex")), limits)
    assert exact is not None
    total = sum(seen["counts"].values())

    assert total == 8000
    assert sum(exact.values()) == pytest.approx(1)
    for word, probability in exact.items():
        count = seen["counts"].get(f"{word:03b}", 0)
        assert abs(count - total * probability) < 5 * math.sqrt(total * probability * (1 - probability)) + 1


def test_the_least_busy_device_is_the_largest(seen: dict[str, Any]) -> None:
    """Where nobody waits; of those that are asked for."""
    assert seen["least_busy"] == "ibm_kingston"
    assert seen["least_busy_of_five"] in {"ibmq_essex", "ibmq_manila"}
