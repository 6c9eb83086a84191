# SPDX-License-Identifier: Apache-2.0
"""Jobs by OpenQASM text: taken in, shown in every view, with counts by bit string."""

import json
from typing import Any

import desk as desks
import pytest
from desk import Desk, OpenDesk

import factories
from chandelier import devices
from chandelier.jobs import records
from chandelier.jobs.lifecycle import FINAL, State
from chandelier.tenancy import grants

BELL = 'include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q->c;'
FLIP = "qreg q[1]; creg c[1]; U(pi,0,pi) q[0]; measure q->c;"


def submitted(desk: Desk, *texts: dict[str, Any], device: str = "device", **more: Any) -> dict[str, Any]:
    """Submit a job and return the answer."""
    body = {"qasms": list(texts) or [{"qasm": BELL}], "backend": {"name": device}} | more
    answer: dict[str, Any] = desk.post("/Jobs", body)
    return answer


def entry(counts: dict[str, int], measured: list[int | None], success: bool = True) -> dict[str, Any]:
    """One experiment of a result as a worker writes it."""
    slots = len(measured)
    return {
        "shots": 10,
        "success": success,
        "status": "DONE" if success else "ERROR: it failed",
        "meas_level": 2,
        "data": {"counts": counts} if success else {},
        "header": {"memory_slots": slots, "creg_sizes": [["c", slots]], "measured_qubits": measured},
        "time_taken": 0.5,
        **({"seed_simulator": 4} if success else {}),
    }


def ended(desk: Desk, job: str, *entries: dict[str, Any], success: bool = True) -> None:
    """Run the job that waits and end it with a result."""
    desk.store.objects.put("converted", job, b'{"qobj_id": "made"}')
    desk.validate()
    result = desks.RESULT | {"results": list(entries), "date": "2018-05-01T12:00:00.000+00:00"}
    desk.settle(desk.run(), result, success=success)


def test_the_answer_to_a_submission(desk: Desk) -> None:
    """It has no kind, but the texts with their states and ids."""
    answer = submitted(
        desk, {"qasm": BELL, "name": "bell"}, {"qasm": FLIP}, shots=7, maxCredits=3, seed="12", hpc={"x": 1}
    )

    assert (answer["status"], answer["shots"], answer["usedCredits"]) == ("VALIDATING", 7, 0)
    assert answer["qasms"] == [
        {"qasm": BELL, "status": "WORKING_IN_PROGRESS", "executionId": f"{answer['id']}-0", "name": "bell"},
        {"qasm": FLIP, "status": "WORKING_IN_PROGRESS", "executionId": f"{answer['id']}-1"},
    ]
    assert {"kind", "error", "qObject"} & set(answer) == set()
    kept = json.loads(factories.kept(desk.store, "programs", answer["id"]))
    assert kept == {
        "qasms": [{"qasm": BELL, "name": "bell"}, {"qasm": FLIP}],
        "shots": 7,
        "seed": 12,
        "max_credits": 3,
    }


@pytest.mark.parametrize(
    ("more", "shots"), [({}, 1024), ({"shots": 5}, 5), ({"qasms": [{"qasm": BELL, "shots": 9}] * 2, "shots": 5}, 9)]
)
def test_the_number_of_shots(desk: Desk, more: dict[str, Any], shots: int) -> None:
    """The texts' own goes before the job's; without any there are 1024."""
    assert submitted(desk, **more)["shots"] == shots


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"qasms": [{"qasm": BELL, "shots": 9}, {"qasm": BELL, "shots": 8}]}, 8006),
        ({"shots": 0}, 8006),
        ({"qasms": []}, 1001),
        ({"qasms": {}}, 1000),
        ({"qasms": [{"qasm": 1}]}, 1000),
        ({"qasms": [{"qasm": "a\x00b"}]}, 1001),
        ({"seed": "x"}, 1001),
        ({"seed": -1}, 1001),
        ({"qasms": [{"qasm": "qreg q[2]; qreg r[99999999999999999];"}]}, 8005),
    ],
)
def test_what_is_refused_at_the_door(desk: Desk, more: dict[str, Any], code: int) -> None:
    """And makes no job."""
    body = {"qasms": [{"qasm": BELL}], "backend": {"name": "device"}} | more
    desks.error(desk.ask("POST", "/Jobs", json=body), 400, code)

    assert desk.listed("/Jobs/status") == []


def test_too_many_qubits_in_the_words_that_a_client_knows(desk: Desk) -> None:
    """It makes an exception of its own of them, if they are the answer to its request."""
    body = {"qasms": [{"qasm": "qreg q[1000]; // qreg r[9];"}], "backend": {"name": "device"}}
    message = desks.error(desk.ask("POST", "/Jobs", json=body), 400, 8005)["message"]
    device = next(one for one in desk.get("/Backends") if one["name"] == "device")

    assert message.endswith(f"registers exceed the number of qubits, it can't be greater than {device['nQubits']}")


def test_a_large_job_is_refused(open_desk: OpenDesk) -> None:
    """By the limit for all programs."""
    desk = open_desk(max_job_bytes=500)
    body = {"qasms": [{"qasm": BELL}] * 20, "backend": {"name": "device"}}

    desks.error(desk.ask("POST", "/Jobs", json=body), 413, 1006)


def test_views_of_a_finished_job(desk: Desk) -> None:
    """Old full ones have the texts with their counts; new ones show it as kept in object storage; none has a kind."""
    job = submitted(desk, {"qasm": BELL}, {"qasm": FLIP, "name": "flip", "metadata": {"a": [1]}})["id"]
    ended(desk, job, entry({"0x0": 4, "0x3": 6}, [0, 1]), entry({"0x1": 10}, [0]))
    old, new = desk.get(f"/Jobs/{job}"), desk.get(f"/Jobs/{job}/v/1")

    assert old["status"] == "COMPLETED"
    assert old["qasms"][0]["result"] == {
        "date": "2018-05-01T12:00:00.000+00:00",
        "data": {
            "creg_labels": "c[2]",
            "additionalData": {"seed": 4},
            "time": 0.5,
            "counts": {"00": 4, "11": 6},
        },
    }
    assert (old["qasms"][1]["name"], old["qasms"][1]["metadata"]) == ("flip", {"a": [1]})
    assert [text["status"] for text in old["qasms"]] == ["DONE", "DONE"]
    assert "kind" not in old
    assert "qasms" not in new
    assert new["kind"] == "q-object-external-storage"
    assert [one["qasms"] for one in desk.listed("/Jobs")] == [old["qasms"]]
    assert "qasms" not in desk.listed("/Jobs/status")[0]
    assert "kind" not in desk.listed("/Jobs/status")[0]


def test_a_newer_client_downloads_the_qobj(desk: Desk) -> None:
    """The one that was made of the texts; before it is made there is none."""
    job = submitted(desk)["id"]
    desks.error(desk.ask("GET", f"/Jobs/{job}/jobDownloadUrl"), 404, 3253)
    ended(desk, job, entry({"0x0": 10}, [0, 1]))
    url = desk.get(f"/Jobs/{job}/jobDownloadUrl")["url"]

    assert desk.http.get(url).json() == {"qobj_id": "made"}


def a_machine(desk: Desk) -> None:
    """Install a machine of five qubits."""
    document = factories.a_device_document("machine", simulator=False, n_qubits=5, dated="2020-01-01T00:00:00Z")
    machine = devices.install(desk.store, document, factories.NOW, factories.NOW)
    desk.store.write(lambda tx: grants.allow(tx, desk.town.home, [machine.id], factories.NOW))


def test_counts_by_qubit_for_clients_that_compile(desk: Desk) -> None:
    """With metadata, and on a machine, each bit stands where its qubit is; slots of nothing are left out."""
    a_machine(desk)
    texts = {"qasm": BELL, "metadata": {"compiled_circuit": {}}}, {"qasm": BELL}
    job = submitted(desk, *texts, device="machine")["id"]
    ended(desk, job, entry({"0x1": 4, "0x5": 6}, [1, 0, None]), entry({"0x1": 10}, [1, 0, None]))
    compiled, plain = (text["result"]["data"]["counts"] for text in desk.get(f"/Jobs/{job}")["qasms"])

    assert compiled == {"00010": 10}
    assert plain == {"001": 10}


def test_counts_by_slot_on_simulators(desk: Desk) -> None:
    """Also with metadata."""
    job = submitted(desk, {"qasm": BELL, "metadata": {"compiled_circuit": {}}})["id"]
    ended(desk, job, entry({"0x1": 10}, [1, 0]))

    assert desk.get(f"/Jobs/{job}")["qasms"][0]["result"]["data"]["counts"] == {"01": 10}


def test_a_job_of_which_one_text_failed(desk: Desk) -> None:
    """The others have their counts."""
    job = submitted(desk, {"qasm": BELL}, {"qasm": FLIP})["id"]
    ended(desk, job, entry({}, [0, 1], success=False), entry({"0x1": 10}, [0]), success=False)
    failed, good = desk.get(f"/Jobs/{job}")["qasms"]

    assert (failed["status"], "result" in failed) == ("ERROR_RUNNING_JOB", False)
    assert good["status"] == "DONE"


@pytest.mark.parametrize("state", sorted(FINAL - {State.COMPLETED, State.ERROR_CREATING_JOB, State.ERROR_RUNNING_JOB}))
def test_states_of_the_texts(desk: Desk, state: State) -> None:
    """They share their job's fate."""
    job = submitted(desk)["id"]
    if state is State.CANCELLED:
        desk.post(f"/Jobs/{job}/cancel")
    else:
        desk.settle(desk.validating(), desks.REFUSED)

    assert [text["status"] for text in desk.get(f"/Jobs/{job}")["qasms"]] == [state.value]


def test_a_job_without_its_files_is_shown(desk: Desk) -> None:
    """It is being deleted, perhaps; the list it is in must not fail."""
    job = submitted(desk)["id"]
    factories.lose_program(desk.store, job)

    assert desk.get(f"/Jobs/{job}")["qasms"] == []


def test_the_limit_of_pending_jobs_leaves_nothing_behind(open_desk: OpenDesk) -> None:
    """Neither a job nor a program."""
    desk = open_desk(max_pending_jobs=1)
    first = submitted(desk)["id"]
    desks.error(desk.ask("POST", "/Jobs", json={"qasms": [{"qasm": BELL}], "backend": {"name": "device"}}), 400, 3458)

    assert factories.programs(desk.store) == [first]
    assert desk.store.read(lambda tx: records.get(tx, first)).kind == "qasm"
