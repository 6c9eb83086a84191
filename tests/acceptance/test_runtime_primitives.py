# SPDX-License-Identifier: Apache-2.0
"""Every primitive of qiskit-ibm-runtime 0.51.0, unmodified, with results that agree with exact values."""

import math
from datetime import datetime
from typing import Any, Final

import oldclient
import pytest
import runtimeclients
from clouds import Cloud

# The first test may wait for the installation of the client.
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

#: As the script has them.
ANGLES: Final = [0.3 + 0.6 * step for step in range(5)]
SHOTS: Final = 4000
PRECISION: Final = 0.02
#: What normal deviates stay within but for once in two million times.
SIGMAS: Final = 5.0


@pytest.fixture(scope="module")
def seen(cloud: Cloud, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the client's primitives return."""
    home = tmp_path_factory.mktemp("home")
    client = runtimeclients.build(pytestconfig, cloud, runtimeclients.TODAY, home)
    user = cloud.add_user("primitives@example.org")
    return runtimeclients.told(client, cloud, "--token", user["token"]).run("runtime_primitives")


def deviation(count: int, shots: int, probability: float) -> float:
    """Return how many standard deviations a count is from what is expected."""
    return abs(count - shots * probability) / math.sqrt(shots * probability * (1 - probability))


def right(counts: dict[str, int]) -> float:
    """Return the share of a Bell circuit's shots in which the qubits agree."""
    return (counts.get("00", 0) + counts.get("11", 0)) / sum(counts.values())


def test_a_sampler_sweeps_a_parameter(seen: dict[str, Any]) -> None:
    """Counts for each value agree with their exact probabilities; other outcomes do not come."""
    swept, bell, shape = seen["ideal_sampler"]
    assert shape == [5]
    for angle, counts in zip(ANGLES, swept, strict=True):
        assert set(counts) <= {"00", "11"}
        assert sum(counts.values()) == SHOTS
        assert deviation(counts["11"], SHOTS, math.sin(angle / 2) ** 2) < SIGMAS
    assert deviation(bell["11"], SHOTS, 0.5) < SIGMAS
    assert set(bell) == {"00", "11"}


def test_a_seed_fixes_the_counts(seen: dict[str, Any]) -> None:
    """The same seed gives the same counts."""
    first, second = seen["seeds"]
    assert first == second
    assert sum(first.values()) == SHOTS


def test_an_estimator_broadcasts(seen: dict[str, Any]) -> None:
    """Three observables and five values of a parameter: each within five standard errors of the exact one."""
    evs, stds = seen["ideal_estimator"]["evs"], seen["ideal_estimator"]["stds"]
    exact = [[1.0] * 5, [math.sin(angle) for angle in ANGLES], [math.cos(angle) for angle in ANGLES]]
    assert [len(row) for row in evs] == [5, 5, 5]
    for found, errors, wanted in zip(evs, stds, exact, strict=True):
        for value, error, expectation in zip(found, errors, wanted, strict=True):
            assert abs(value - expectation) <= SIGMAS * max(error, 1e-9)
            assert error <= 0.03


def test_a_device_is_noisy(seen: dict[str, Any]) -> None:
    """A Bell circuit with default options, 4096 shots of them, is mostly right and not only."""
    for name, shots in (("sampler", 4096), ("twirled_sampler", SHOTS), ("executor_sampler", 4096)):
        counts = seen[name]
        assert sum(counts.values()) == shots
        assert 0.8 < right(counts) < 0.995, name


def test_a_job_on_a_device_has_spans_and_use(seen: dict[str, Any]) -> None:
    """When it ran, and what it is charged."""
    duration, start, stop = seen["spans"]
    assert duration > 0
    assert datetime.fromisoformat(start) < datetime.fromisoformat(stop)
    used, metrics = seen["usage"]
    assert used > 0
    assert metrics["qpu_charge_time_seconds"] == used


def test_mitigation_takes_readout_errors_away(seen: dict[str, Any]) -> None:
    """⟨ZZ⟩ of |00⟩ on a device is too small unless it is mitigated, which is what happens by default."""
    raw, mitigated, default = (seen[name] for name in ("estimator_0", "estimator_1", "estimator"))
    assert 0.8 < raw["evs"] < 0.98
    assert mitigated["evs"] - raw["evs"] > SIGMAS * math.hypot(mitigated["stds"], raw["stds"])
    for result in (mitigated, default, seen["executor_estimator"]):
        assert 0 < result["stds"] < 0.05
        assert abs(result["evs"] - 0.99) < 0.012 + SIGMAS * result["stds"]


def test_an_executor_runs_what_it_is_given(seen: dict[str, Any]) -> None:
    """A circuit with two values of its parameter, and four randomizations of one that twirls."""
    found = seen["executor"]
    assert found["shapes"] == [[2, 50, 2], [4, 50, 2]]
    assert found["ones"][0] < 0.2
    assert found["ones"][1] > 0.7
    # The flips that twirl the measurement are in the result, for the client to undo.
    assert found["flips"] == [4, 1, 2]
    assert found["twirled_ones"] < 0.2


def test_noise_is_learned(seen: dict[str, Any]) -> None:
    """The one layer of the Bell circuit has rates for all fifteen generators of its two qubits, small ones."""
    [layer] = seen["learner"]
    assert layer["qubits"] == [0, 1]
    assert len(layer["generators"]) == len(set(layer["generators"])) == len(layer["rates"]) == 15
    assert all(-0.01 <= rate < 0.1 for rate in layer["rates"])
    assert 1e-4 < sum(layer["rates"]) < 0.2


def test_circuits_decide(seen: dict[str, Any]) -> None:
    """One branch of a measured bit is taken, on a simulator and on a device that can."""
    decided = seen["decided"]
    assert decided["ibmq_qasm_simulator"] == {"011": 1000}
    assert len(decided) == 2
    for counts in decided.values():
        assert max(counts, key=lambda bits: counts[bits]) == "011"


def test_a_device_takes_only_its_own_gates(seen: dict[str, Any]) -> None:
    """The client itself says that a circuit was not transpiled for the device."""
    assert seen["simulator_gate"].startswith("IBMInputValueError")


def test_pins_name_the_client() -> None:
    """The versions that this module speaks of."""
    pins = (oldclient.SCRIPTS / f"{runtimeclients.TODAY}.txt").read_text(encoding="utf-8")
    assert "qiskit==2.6.2\n" in pins
    assert "samplomatic==0.21.0\n" in pins
