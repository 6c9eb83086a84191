# SPDX-License-Identifier: Apache-2.0
"""Shapes say what the documents of the API say, and an answer of another shape is noticed."""

import json
from datetime import UTC, datetime
from typing import Any

import conformance
import httpx
import msgspec
import pytest
from desk import Desk
from hypothesis import given
from hypothesis import strategies as st

from chandelier import experience
from chandelier.experience import deviceshapes, documents, hubshapes, jobshapes, shapes
from chandelier.jobs.lifecycle import State

#: The keys of each object of the description of January 2020. Source: D1.
DESCRIBED = {
    jobshapes.Job: "qasms kind shots backend status creationDate objectStorageInfo summaryData timePerStep ip hubInfo "
    "codeId endDate cost id userId name qObject",
    jobshapes.Qasm: "qasm status executionId result",
    jobshapes.NamedDevice: "id name",
    jobshapes.ObjectStorageInfo: "jobId uploadQObjectUrlEndpoint downloadQObjectUrlEndpoint jobQasmConverted "
    "validatedUrl validationUploadUrlEndpoint",
    jobshapes.SummaryData: "size success summary resultTime",
    jobshapes.Size: "input output",
    jobshapes.Summary: "max_qubits_used gates_executed qobj_config num_circuits partial_validation",
    jobshapes.QobjConfig: "n_qubits max_credits memory_slots memory shots type cost rep_delay",
    jobshapes.Address: "ip city country continent",
    jobshapes.HubInfo: "hub group project",
    jobshapes.Level: "name priority",
    jobshapes.InfoQueue: "status position hubPriority groupPriority projectPriority estimatedStartTime "
    "estimatedCompleteTime",
    deviceshapes.Properties: "backend_name last_update_date backend_version gates general qubits",
    deviceshapes.GateRecords: "gate name parametres qubits",
    deviceshapes.Record: "date name unit value",
    deviceshapes.QueueStatus: "state message status lengthQueue backend_version",
    shapes.Hub: "name title description creationDate deleted private licenseNotRequired isDefault analytics class id "
    "groups",
    shapes.Group: "name title description creationDate deleted projects",
    shapes.Project: "name title description creationDate deleted devices",
    shapes.Share: "priority name deleted specificConfiguration",
    shapes.Login: "id ttl created userId",
    shapes.FormerMe: "firstName lastName userTypeId institution status blocked subscriptions additionalData "
    "codesLastVersion creationDate iqxPreferences emailVerified username id lastModified credit ibmQNetwork urls dpl "
    "userType groups roles",
    shapes.Credit: "remaining promotional promotionalCodesUsed maxUserType",
    shapes.UserType: "type default priority id credit delete",
}


def keys(shape: type[msgspec.Struct]) -> set[str]:
    """Return the keys that a shape names."""
    return {field.encode_name for field in msgspec.structs.fields(shape)}


def answered(path: str, document: Any, status: int = 200, method: str = "GET") -> httpx.Response:
    """Return an answer that no server gave."""
    request = httpx.Request(method, f"http://testserver/api{path}")
    return httpx.Response(status, json=document, request=request)


@pytest.mark.parametrize(("shape", "named"), DESCRIBED.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_every_described_key_has_a_type(shape: type[msgspec.Struct], named: str) -> None:
    """What the description of 2020 shows is in the shape."""
    assert set(named.split()) - keys(shape) == set()


def test_every_kept_shape_is_of_some_route() -> None:
    """Nothing is described that nobody is ever sent."""
    wanted = [
        shape
        for route in experience.ROUTES
        for shape in (*(route.response if isinstance(route.response, tuple) else (route.response,)), route.query)
        if shape is not None
    ]
    _, used = msgspec.json.schema_components([*wanted, shapes.Envelope])
    declared = {
        name
        for module in (shapes, jobshapes, deviceshapes, hubshapes)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == module.__name__
    }

    assert declared - set(used) == {"Node"}


def test_a_document_without_a_key_is_noticed(desk: Desk) -> None:
    """By every request of the tests."""
    job = desk.brought(State.VALIDATING)
    document = desk.get(f"/Jobs/{job}/v/1")
    path = f"/Jobs/{job}/v/1"
    conformance.check(answered(path, document))

    for key in ("id", "status", "creationDate", "backend", "hubInfo", "summaryData", "timePerStep"):
        less = {name: value for name, value in document.items() if name != key}
        with pytest.raises(AssertionError, match=key):
            conformance.check(answered(path, less))


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "DONE"},
        {"kind": "other"},
        {"creationDate": "2026-03-14T15:09:26Z"},
        {"creationDate": None},
        {"infoQueue": None},
        {"error": None},
        {"shots": "many"},
        {"tags": "a"},
        {"backend": "device"},
        {"timePerStep": {"WAITING": "2026-03-14T15:09:26.000Z"}},
        {"summaryData": {"size": {"input": -1}}},
        {"hubInfo": {"hub": {"name": "ibm-q"}}},
    ],
    ids=json.dumps,
)
def test_a_document_of_another_type_is_noticed(desk: Desk, wrong: dict[str, Any]) -> None:
    """In one job and in lists."""
    job = desk.brought(State.VALIDATING)
    document = desk.get(f"/Jobs/{job}/v/1") | wrong

    for path, content in ((f"/Jobs/{job}/v/1", document), ("/Jobs/v/1", [document])):
        with pytest.raises(AssertionError, match=next(iter(wrong))):
            conformance.check(answered(path, content))


def test_an_undescribed_status_is_noticed() -> None:
    """The list of devices is never in conflict with anything."""
    failure = {"status": 409, "statusCode": 409, "name": "Conflict", "code": 3251, "message": "no"}

    conformance.check(answered("/Jobs/1", {"error": failure}, 409, "DELETE"))
    with pytest.raises(AssertionError, match="not described"):
        conformance.check(answered("/devices", {"error": failure}, 409))


@pytest.mark.parametrize("key", ["status", "statusCode", "name", "code", "message"])
def test_an_error_without_its_envelope_is_noticed(key: str) -> None:
    """All five keys, and the code a number."""
    failure = {"status": 404, "statusCode": 404, "name": "NotFound", "code": 3250, "message": "no"}

    for wrong in ({name: value for name, value in failure.items() if name != key}, failure | {key: None}):
        with pytest.raises(AssertionError, match=key):
            conformance.check(answered("/Jobs/1", {"error": wrong}, 404))


def test_fields_may_leave_out_any_key() -> None:
    """Of the entries of lists, not of one job."""
    conformance.check(answered("/Jobs/status", [{}, {"id": "1"}]))
    with pytest.raises(AssertionError):
        conformance.check(answered("/Jobs/1/status", {"id": "1"}))


@given(st.datetimes(min_value=datetime(1000, 1, 1)))  # noqa: DTZ001  # made aware below
def test_every_date_has_the_shape_of_a_date(moment: datetime) -> None:
    """Whenever it was."""
    text = documents.date(moment.replace(tzinfo=UTC))

    assert msgspec.convert(text, shapes.Date) == text


@pytest.mark.parametrize("text", ["2026-03-14", "2026-03-14T15:09:26+00:00", "2026-03-14T15:09:26.1Z", "now", ""])
def test_other_forms_of_dates_are_not_taken_for_one(text: str) -> None:
    """Some client cannot read them."""
    for shape in (shapes.Date, shapes.Second):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(text, shape)
