# SPDX-License-Identifier: Apache-2.0
"""Every field of the first description of this API, with the type it gives and a value that is true."""

import re
from typing import Any

import pytest
from desk import Desk

from chandelier.jobs.lifecycle import State

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
STORAGE = (
    "jobId",
    "uploadQObjectUrlEndpoint",
    "downloadQObjectUrlEndpoint",
    "jobQasmConverted",
    "validatedUrl",
    "validationUploadUrlEndpoint",
)
SAME = ("kind", "shots", "backend", "status", "creationDate", "hubInfo", "cost", "id", "userId")
PLACE = {"name": str, "priority": int}
#: Source: seed 000, `GET /jobs` and `GET /jobs/{job_id}`; an expression stands for a date.
JOB: dict[str, Any] = {
    "qasms": list,
    "kind": str,
    "shots": int,
    "backend": {"id": str, "name": str},
    "status": str,
    "creationDate": DATE,
    "objectStorageInfo": dict.fromkeys(STORAGE, str),
    "summaryData": {
        "size": {"input": int, "output": int},
        "success": bool,
        "summary": {
            "max_qubits_used": int,
            "gates_executed": int,
            "qobj_config": {
                "n_qubits": int,
                "max_credits": int,
                "memory_slots": int,
                "memory": bool,
                "shots": int,
                "type": str,
            },
            "num_circuits": int,
            "partial_validation": bool,
        },
        "resultTime": float,
    },
    "timePerStep": {"CREATING": DATE, "COMPLETED": DATE},
    "ip": dict.fromkeys(("ip", "city", "country", "continent"), str),
    "hubInfo": {"hub": PLACE, "group": PLACE, "project": PLACE},
    "codeId": str,
    "endDate": DATE,
    "cost": float,
    "id": str,
    "userId": str,
}
#: Source: seed 000, `POST /jobs`.
SUBMITTED: dict[str, Any] = {
    "qasms": list,
    "qObject": {},
    "name": str,
    **{
        key: JOB[key]
        for key in ("kind", "shots", "backend", "status", "creationDate", "hubInfo", "cost", "id", "userId")
    },
    "timePerStep": {"CREATING": DATE},
}
#: Source: seed 000, `GET /jobs/{job_id}/status`.
STATUS_KEYS = ("kind", "backend", "status", "creationDate", "hubInfo", "endDate", "id", "userId")
STATUS: dict[str, Any] = {key: JOB[key] for key in STATUS_KEYS}


def misfits(value: Any, shape: Any, path: str = "") -> list[str]:
    """Return where a value lacks a field of a shape, or has it with another type."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [path]
        missing = [f"{path}.{key}" for key in shape if key not in value]
        return missing + [
            found for key in shape if key in value for found in misfits(value[key], shape[key], f"{path}.{key}")
        ]
    if isinstance(shape, re.Pattern):
        return [] if isinstance(value, str) and shape.fullmatch(value) else [path]
    return [] if type(value) is shape else [path]


@pytest.mark.parametrize("inline", [True, False])
def test_a_job_has_every_field(desk: Desk, inline: bool) -> None:
    """Alone and in the list, however it was submitted."""
    job = desk.brought(State.COMPLETED, inline=inline, name="first")

    assert misfits(desk.get(f"/jobs/{job}"), JOB) == []
    assert misfits(desk.get("/jobs")[0], JOB) == []
    assert misfits(desk.get(f"/jobs/{job}/status"), STATUS) == []


def test_the_answer_to_a_submission_has_every_field(desk: Desk) -> None:
    """And repeats the program."""
    program: dict[str, Any] = {"qobj_id": "q", "type": "QASM", "schema_version": "1.0", "header": {}, "config": {}}
    program["experiements"] = [{"header": {}, "config": {}, "instructions": []}]
    body = {"name": "first", "qObject": program, "backend": {"name": "device"}, "shots": 5}
    answer = desk.post("/jobs", body)

    assert misfits(answer, SUBMITTED) == []
    assert answer["qObject"]["experiements"] == program["experiements"]
    assert answer["shots"] == 5


def test_values_are_true(desk: Desk) -> None:
    """What was counted when the program was opened, what the run took, and the steps in their order."""
    job = desk.get("/jobs/" + desk.brought(State.COMPLETED, inline=True))
    summary = job["summaryData"]["summary"]

    assert (summary["num_circuits"], summary["gates_executed"], summary["max_qubits_used"]) == (1, 3, 2)
    assert (job["summaryData"]["resultTime"], job["cost"], job["summaryData"]["success"]) == (0.25, 0.25, True)
    assert list(job["timePerStep"]) == [
        "CREATING",
        "CREATED",
        "VALIDATING",
        "VALIDATED",
        "QUEUED",
        "RUNNING",
        "COMPLETED",
    ]
    assert list(job["timePerStep"].values()) == sorted(job["timePerStep"].values())
    assert job["qasms"] == []
    assert (job["codeId"], job["ip"]["ip"], job["ip"]["city"]) == ("", "testclient", "")


def test_the_misfits_are_found(desk: Desk) -> None:
    """A missing field, another type and a date in another form, so that the tests above can fail."""
    job = desk.get("/jobs/" + desk.brought(State.COMPLETED, inline=True))
    del job["summaryData"]["size"]["output"]
    broken = job | {"cost": 1, "endDate": "2026-01-01", "qasms": {}}

    assert misfits(broken, JOB) == [".qasms", ".summaryData.size.output", ".endDate", ".cost"]
