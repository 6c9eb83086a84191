# SPDX-License-Identifier: Apache-2.0
"""Codes and their executions: run, looked up again, and seen by nobody else."""

import threading
from datetime import timedelta
from typing import Any

import desk as desks
import pytest
import sqlalchemy as sa
from desk import Desk
from hypothesis import given
from hypothesis import strategies as st

import factories
from chandelier import errors
from chandelier.devices import Device, DeviceId, DeviceState
from chandelier.experience import codes
from chandelier.jobs import outcomes
from chandelier.store import database

BELL = 'include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q->c;'
ENTRY = {
    "shots": 10,
    "success": True,
    "meas_level": 2,
    "data": {"counts": {"0x0": 4, "0x3": 6}},
    "header": {"memory_slots": 2, "creg_sizes": [["c", 1], ["d", 1]], "measured_qubits": [1, 0]},
    "seed_simulator": 4,
    "time_taken": 0.5,
}
RESULT = desks.RESULT | {"results": [ENTRY], "date": "2018-05-01T12:00:00.000+00:00"}


def executed(desk: Desk, who: str = "ann", name: str = "bell", **query: Any) -> dict[str, Any]:
    """Run a text and return the answer."""
    body = {"qasm": BELL, "codeType": "QASM2", "name": name}
    answer: dict[str, Any] = desk.post("/codes/execute", body, who, params={"deviceRunType": "device"} | query)
    return answer


def run(desk: Desk) -> None:
    """Do what waits."""
    desk.validate()
    desk.settle(desk.run(), RESULT)


def test_an_execution_from_its_beginning_to_its_end(desk: Desk) -> None:
    """It is asked for again and again until it has a result, and then has what was measured beside it."""
    started = executed(desk, shots=10, seed=4)
    identifier = started["id"]
    assert started["status"] == {"id": "WORKING_IN_PROGRESS"}
    assert (started["shots"], started["deviceRunType"], "result" in started) == (10, "device", False)
    desk.validate()
    assert desk.get(f"/Executions/{identifier}")["infoQueue"] == {"status": "PENDING_IN_QUEUE", "position": 1}
    desk.settle(desk.run(), RESULT)
    done = desk.get(f"/Executions/{identifier}")

    assert done["status"] == {"id": "DONE"}
    assert done["codeId"] == started["codeId"]
    assert done["result"] == {
        "date": "2018-05-01T12:00:00.000+00:00",
        "data": {
            "p": {"qubits": [1, 0], "labels": ["00", "11"], "values": [0.4, 0.6]},
            "additionalData": {"seed": 4},
            "qasm": BELL,
            "serialNumberDevice": "device",
            "time": 0.5,
            "cregLabels": "d[1] c[1]",
        },
    }
    assert done["calibration"]
    assert {"infoQueue", "error"} & set(done) == set()
    assert desk.get(f"/executions/{identifier.partition('-')[0]}") == done


def test_an_execution_is_a_job_too(desk: Desk) -> None:
    """With its texts, its seed, and the id of the code."""
    started = executed(desk, shots=10, seed=4)
    job = desk.get(f"/Jobs/{started['id'].partition('-')[0]}")

    assert (job["codeId"], job["name"]) == (started["codeId"], "bell")
    assert [text["executionId"] for text in job["qasms"]] == [started["id"]]


def test_a_job_of_texts_has_executions_too(desk: Desk) -> None:
    """But no code."""
    job = desk.post("/Jobs", {"qasms": [{"qasm": BELL}, {"qasm": BELL}], "backend": {"name": "device"}})["id"]

    assert "codeId" not in desk.get(f"/Executions/{job}-1")
    desks.error(desk.ask("GET", f"/Executions/{job}-2"), 404, 3254)


@pytest.mark.parametrize("cancelled", [True, False])
def test_an_execution_that_fails(desk: Desk, cancelled: bool) -> None:
    """It says so, lest the client ask on, and why."""
    started = executed(desk)
    if cancelled:
        desk.post(f"/Jobs/{started['id'].partition('-')[0]}/cancel")
    else:
        desk.settle(desk.validating(), desks.REFUSED)
    failed = desk.get(f"/Executions/{started['id']}")

    assert failed["status"] == {"id": "ERROR"}
    assert failed.get("error", {}).get("code") == (None if cancelled else desks.REFUSED.code)


def test_a_code_and_its_executions(desk: Desk) -> None:
    """The code is what was sent; a limit is kept."""
    started = executed(desk)
    code = desk.get(f"/Codes/{started['codeId']}")
    runs = desk.get(f"/Codes/{started['codeId']}/executions", params={"filter": '{"limit":3}'})

    assert (code["name"], code["codeType"], code["qasm"]) == ("bell", "QASM2", BELL)
    assert [entry["id"] for entry in runs] == [started["id"]]


def test_the_newest_codes(desk: Desk) -> None:
    """The newest first, at most ten, with their executions if these are asked for; under both spellings."""
    for number in range(12):
        executed(desk, name=f"code {number}")
    user = str(desk.town.ann.user_id)
    listed = desk.get(f"/users/{user}/codes/lastest", params={"includeExecutions": "true"})
    plain = desk.get(f"/users/{user}/codes/latest")

    assert [code["name"] for code in listed["codes"]] == [f"code {number}" for number in range(11, 1, -1)]
    assert all(len(code["executions"]) == 1 for code in listed["codes"])
    assert all("executions" not in code for code in plain["codes"])
    assert listed["total"] == len(plain["codes"]) == 10


def test_nobody_has_codes_yet(desk: Desk) -> None:
    """The list is in an object, for the client asks five times for an empty answer."""
    assert desk.get(f"/users/{desk.town.ann.user_id}/codes/lastest") == {"total": 0, "codes": []}


def test_codes_are_ones_own(desk: Desk) -> None:
    """To others they are not there; operators see everything."""
    started = executed(desk)
    paths = [
        f"/Executions/{started['id']}",
        f"/Codes/{started['codeId']}",
        f"/Codes/{started['codeId']}/executions",
        f"/Codes/{started['codeId']}/export/png/url",
    ]
    for path in paths:
        desks.error(desk.ask("GET", path, "bob"), 404, 3254)
    desks.error(desk.ask("GET", f"/users/{desk.town.ann.user_id}/codes/lastest", "bob"), 404, 3500)
    desks.error(desk.ask("GET", f"/users/{desk.town.ann.user_id}", "bob"), 404, 3500)

    assert desk.get(paths[1], "root")["id"] == started["codeId"]
    assert desk.get(f"/users/{desk.town.ann.user_id}", "root")["email"] == "ann@example.org"


def test_credits(desk: Desk) -> None:
    """Nothing costs any."""
    credit = desk.get(f"/users/{desk.town.ann.user_id}")["credit"]

    assert credit["remaining"] == credit["maxUserType"] > 10**9


def test_the_picture_of_a_code(desk: Desk) -> None:
    """A signed URL, once a worker has made the picture; it goes with the job."""
    started = executed(desk)
    path = f"/Codes/{started['codeId']}/export/png/url"
    desks.error(desk.ask("GET", path), 404, 3255)
    job = started["id"].partition("-")[0]
    desk.store.objects.put("pictures", job, b"\x89PNG and so on")
    run(desk)
    url = desk.get(path)["url"]
    picture = desk.http.get(url)

    assert (picture.headers["content-type"], picture.content) == ("image/png", b"\x89PNG and so on")
    assert desk.http.get(url.replace("signature=", "signature=0")).status_code == 403
    desks.succeed(desk.ask("DELETE", f"/Jobs/{job}"))
    assert desk.http.get(url).status_code == 404
    desks.error(desk.ask("GET", path), 404, 3254)


def test_the_answer_waits_for_a_quick_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the client, which looks again only two seconds later, has result or error at once."""
    monkeypatch.setattr(codes, "PATIENCE_SECONDS", 30.0)
    heard = threading.Event()
    desk.store.bell.listen("queue", heard.set)

    def work() -> None:
        assert heard.wait(30)
        desk.settle(desk.validating(), desks.REFUSED)

    worker = threading.Thread(target=work)
    worker.start()
    answer = executed(desk)
    worker.join()

    assert answer["status"]["id"] == "ERROR"
    assert answer["error"]["code"] == 8001


def test_a_code_goes_with_its_job(desk: Desk) -> None:
    """What it says is hidden at once, in every place, and removed with what the job left."""
    started = executed(desk)
    run(desk)
    job = started["id"].partition("-")[0]
    desks.succeed(desk.ask("DELETE", f"/Jobs/{job}"))

    desks.error(desk.ask("GET", f"/Codes/{started['codeId']}"), 404, 3254)
    desks.error(desk.ask("GET", f"/Executions/{started['id']}"), 404, 3254)
    assert desk.get(f"/users/{desk.town.ann.user_id}/codes/lastest")["codes"] == []
    later = desks.now() + timedelta(days=1)
    assert outcomes.purge(desk.store, later, later) == 1
    codes = database.metadata.tables["codes"]
    assert desk.store.read(lambda tx: tx.execute(sa.select(codes.c.text, codes.c.name)).all()) == [("", "")]


@pytest.mark.parametrize("tail", ["-" + "9" * 5000, "--1", "-x", "-", "-1x", "x", "-123456", "١"])
def test_an_execution_is_named_exactly(desk: Desk, tail: str) -> None:
    """The job and the number of the program, or the job alone; anything else does not exist."""
    job = executed(desk)["id"].partition("-")[0]

    desks.error(desk.ask("GET", f"/Executions/{job}{tail}"), 404, 3254)
    assert desk.get(f"/Executions/{job}")["id"] == f"{job}-0"


@pytest.mark.parametrize(
    ("query", "body", "status", "code"),
    [
        ({"shots": "many"}, {}, 400, 1001),
        ({"shots": "0"}, {}, 400, 8006),
        ({"seed": "-1"}, {}, 400, 1001),
        ({"deviceRunType": "nothing"}, {}, 404, 3100),
        ({"deviceRunType": "hidden"}, {}, 404, 3100),
        ({"deviceRunType": "real"}, {}, 404, 3100),
        ({}, {"qasm": None}, 400, 1000),
        ({}, {"name": "x" * 501}, 400, 1001),
        ({}, {"name": "\x00"}, 400, 1001),
        ({}, {"qasm": "qreg q[999];"}, 400, 8005),
    ],
)
def test_what_is_refused(desk: Desk, query: dict[str, str], body: dict[str, Any], status: int, code: int) -> None:
    """Neither a code nor a job is made."""
    sent = {"qasm": BELL, "name": "bell"} | body
    desks.error(desk.ask("POST", "/codes/execute", json=sent, params={"deviceRunType": "device"} | query), status, code)

    assert desk.listed("/Jobs/status") == []
    assert desk.get(f"/users/{desk.town.ann.user_id}/codes/latest")["codes"] == []


@pytest.mark.parametrize(
    "path", ["/Executions/x", "/Executions/-", "/Executions/é-9", "/Codes/x", "/Codes/x/executions"]
)
def test_what_does_not_exist(desk: Desk, path: str) -> None:
    """It is not found."""
    desks.error(desk.ask("GET", path), 404, 3254)


def test_a_job_by_qobj_has_no_execution(desk: Desk) -> None:
    """There is no text that ran."""
    desks.error(desk.ask("GET", f"/Executions/{desk.inline()}-0"), 404, 3254)


def a_device(name: str, qubits: int, *, simulator: bool = False, active: bool = True) -> Device:
    """A device of the catalogue."""
    state: DeviceState = "active" if active else "paused"
    return Device(DeviceId(name), name, "1.0.0", simulator, qubits, 8192, 75, state, "", factories.NOW, "0" * 64)


SIMULATOR = a_device("ibmq_qasm_simulator", 32, simulator=True)
ESSEX, LIMA, PAUSED = a_device("essex", 5), a_device("lima", 5), a_device("ourense", 5, active=False)
BOGOTA, GUADALUPE, KOLKATA = a_device("bogota", 5), a_device("guadalupe", 16), a_device("kolkata", 27)
YORKTOWN, RUESCHLIKON = a_device("ibmqx2", 5), a_device("ibmqx3", 16)


@pytest.mark.parametrize(
    ("name", "choice", "expected"),
    [
        ("real", [SIMULATOR, KOLKATA, PAUSED, ESSEX, LIMA], ESSEX),
        ("real", [SIMULATOR, ESSEX, YORKTOWN], YORKTOWN),
        ("REAL", [PAUSED], PAUSED),
        ("ibmqx5qv2", [SIMULATOR, ESSEX], ESSEX),
        ("ibmqx3", [SIMULATOR, ESSEX, GUADALUPE, KOLKATA], GUADALUPE),
        ("ibmqx3", [SIMULATOR, ESSEX, KOLKATA], KOLKATA),
        ("ibmqx3", [GUADALUPE, RUESCHLIKON], RUESCHLIKON),
        ("sim_trivial_2", [ESSEX, SIMULATOR], SIMULATOR),
        ("ibmqx_qasm_simulator", [a_device("other", 5, simulator=True)], a_device("other", 5, simulator=True)),
        ("lima", [ESSEX, LIMA], LIMA),
    ],
)
def test_names_of_2017(name: str, choice: list[Device], expected: Device) -> None:
    """They mean the machine itself, or what is most like it; exact names mean themselves."""
    assert codes.meant(name, choice) == expected


@pytest.mark.parametrize(("name", "choice"), [("real", [SIMULATOR, KOLKATA]), ("simulator", [ESSEX]), ("Lima", [LIMA])])
def test_names_of_nothing(name: str, choice: list[Device]) -> None:
    """Nothing is like it, so it is not found."""
    with pytest.raises(errors.NotFound):
        codes.meant(name, choice)


@given(st.text(max_size=30))
def test_any_name_means_a_device_or_nothing(name: str) -> None:
    """No name makes it fail otherwise."""
    try:
        assert codes.meant(name, [SIMULATOR, ESSEX]) in {SIMULATOR, ESSEX}
    except errors.NotFound as error:
        assert error.code == 3100  # noqa: PT017
