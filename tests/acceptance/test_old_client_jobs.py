# SPDX-License-Identifier: Apache-2.0
"""The old client runs circuits, watches them over the WebSocket, reads counts and cancels."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import programs
import pytest
from clouds import Cloud

pytestmark = pytest.mark.acceptance

#: Largest chi-squared with one degree of freedom that chance produces once in a million.
CHI_SQUARED_LIMIT = 23.9


@pytest.fixture(scope="module")
def seen(observe: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """What the client sees of its jobs."""
    return observe("jobs")


def test_ideal_bell_counts_agree_with_their_probabilities(seen: dict[str, Any]) -> None:
    """A Bell circuit on the simulator gives 00 and 11, each with probability one half."""
    counts = seen["simulator"]["bell"]
    assert set(counts) == {"00", "11"}
    assert sum(counts.values()) == 4000
    assert sum((count - 2000) ** 2 / 2000 for count in counts.values()) < CHI_SQUARED_LIMIT


def test_the_job_is_watched_over_the_websocket(seen: dict[str, Any]) -> None:
    """`wait_for_final_state` uses the socket and never falls back to polling."""
    watched = seen["simulator"]["watched"]
    assert watched["final"] == "DONE"
    assert watched["opened"] == 1
    assert watched["messages"] >= 1
    assert watched["polls"] == 0
    assert watched["trouble"] == []


def test_a_seed_fixes_the_counts(seen: dict[str, Any]) -> None:
    """The same `seed_simulator` gives the same counts, another one other counts."""
    assert seen["simulator"]["same_seed"] == seen["simulator"]["bell"]
    assert seen["simulator"]["other_seed"] != seen["simulator"]["bell"]


def test_counts_are_split_by_register(seen: dict[str, Any]) -> None:
    """Several classical registers appear as several words, the last register first."""
    assert seen["simulator"]["registers"] == {"01 1": 10}


def test_memory_lists_every_shot(seen: dict[str, Any]) -> None:
    """With `memory=True` there is one outcome for each shot, and they add up to the counts."""
    memory = seen["simulator"]["memory"]
    assert len(memory) == 200
    assert Counter(memory) == seen["simulator"]["memory_counts"]


def test_experiments_keep_their_names_and_metadata(seen: dict[str, Any]) -> None:
    """Each of several experiments is found by its circuit's name; metadata come back unchanged."""
    assert seen["simulator"]["several"] == {"none": {"0": 50}, "one": {"1": 50}, "two": {"0": 50}}
    assert seen["simulator"]["metadata"] == [{"flips": 0}, {"flips": 1}, {"flips": 2}]


def test_the_result_names_its_origin(seen: dict[str, Any]) -> None:
    """The result carries device, job and success."""
    assert seen["simulator"]["result"] == {
        "backend": "ibmq_qasm_simulator",
        "job": True,
        "success": True,
        "shots": 4000,
    }


def test_every_simulator_runs_a_bell_circuit(seen: dict[str, Any]) -> None:
    """The simulators of fixed method give correlated outcomes too."""
    for counts in seen["simulator"]["methods"].values():
        assert set(counts) == {"00", "11"}
        assert sum(counts.values()) == 100


def test_a_device_is_correlated_and_noisy(seen: dict[str, Any]) -> None:
    """A transpiled Bell circuit on ibmq_manila is mostly 00 and 11, and not only."""
    counts = seen["device"]["counts"]
    assert sum(counts.values()) == 4000
    right = (counts["00"] + counts["11"]) / 4000
    assert 0.8 < right < 0.99
    assert counts["01"] + counts["10"] > 0


def test_devices_of_other_years_run_circuits(seen: dict[str, Any]) -> None:
    """One qubit of ibmq_armonk flips, and ibmq_essex entangles with its own basis gates."""
    assert 0.9 < seen["device"]["armonk"]["1"] / 1000 < 1
    assert 0.7 < (seen["device"]["essex"]["00"] + seen["device"]["essex"]["11"]) / 1000 < 1


def test_a_retrieved_job_is_the_same_job(seen: dict[str, Any]) -> None:
    """`retrieve_job` finds result, name, tags, circuits, options and calibration of an earlier job."""
    retrieved = seen["device"]["retrieved"]
    assert retrieved["counts"] == seen["device"]["counts"]
    assert retrieved["name"] == "first"
    assert retrieved["tags"] == ["blue", "red"]
    assert retrieved["backend"] == "ibmq_manila"
    assert dict(retrieved["circuits"][0]) == {"cx": 1, "measure": 2, "rz": 2, "sx": 1}
    assert retrieved["shots"] == 4000
    assert retrieved["t1"] == seen["device"]["device_t1"]
    assert retrieved["error"] is None
    assert retrieved["queue"]


def test_time_per_step_has_every_state_in_order(seen: dict[str, Any]) -> None:
    """A job that ended well went through all states, one after the other."""
    steps = seen["device"]["retrieved"]["steps"]
    order = ["CREATING", "CREATED", "VALIDATING", "VALIDATED", "QUEUED", "RUNNING", "COMPLETED"]
    assert set(steps) == set(order)
    moments = [datetime.fromisoformat(steps[state]) for state in order]
    assert moments == sorted(moments)


def test_name_and_tags_can_be_changed(seen: dict[str, Any]) -> None:
    """`update_name` and `update_tags` are stored; an empty name removes it."""
    assert seen["device"]["renamed"] == ["second", "second", ""]
    assert seen["device"]["retagged"] == [["blue", "green"], ["blue", "green"]]


def test_a_refused_job_tells_its_reason(seen: dict[str, Any]) -> None:
    """A gate that the device lacks ends the job in validation, and the message reaches the user."""
    refused = seen["refused"]
    assert refused["status"] == "ERROR"
    assert "8001" in refused["message"]
    assert "h" in refused["message"].replace("'", " ").replace("`", " ").split()
    assert refused["result"].startswith("IBMQJobFailureError")
    assert "8001" in refused["result"]


def test_an_unknown_job_is_not_found(seen: dict[str, Any]) -> None:
    """Asking for a job that does not exist raises with the server's code."""
    assert "3250" in seen["refused"]["unknown"]


def test_one_failed_experiment_leaves_the_others(cloud: Cloud, observe: Callable[..., dict[str, Any]]) -> None:
    """A job with a failing experiment fails as a whole, and its partial result has the good one."""
    api = cloud.api()
    failing = api.submit(programs.failing())
    assert api.wait(failing)["status"] == "ERROR_RUNNING_JOB"
    assert api.get(f"/Jobs/{failing}/v/1")["error"]["code"] == 8020

    partly = observe("partial", failing)
    assert partly["status"] == "ERROR"
    assert partly["success"] == [True, False]
    assert partly["good"] == {"1": 20}
    assert partly["bad"].startswith("QiskitError")
    assert partly["whole"].startswith("IBMQJobFailureError")
    assert partly["message"].startswith("The following experiments failed")
    assert "experiment 1" in partly["message"].lower()


def test_running_and_waiting_jobs_can_be_cancelled(seen: dict[str, Any]) -> None:
    """`cancel` ends a running job and one that waits; `result()` then says so."""
    cancelled = seen["cancelled"]
    assert cancelled["before"][0] == "RUNNING"
    assert cancelled["before"][1] in {"INITIALIZING", "VALIDATING", "QUEUED"}
    assert cancelled["answers"] == [True] * 5
    assert cancelled["after"] == ["CANCELLED"] * 5
    assert cancelled["result"].startswith("IBMQJobInvalidStateError")


def test_a_cancelled_job_frees_its_place(seen: dict[str, Any]) -> None:
    """The next job runs at once; cancelling it after its end changes nothing."""
    assert seen["cancelled"]["small"] == "DONE"
    assert seen["cancelled"]["finished"] is False
