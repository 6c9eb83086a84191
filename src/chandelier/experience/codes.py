# SPDX-License-Identifier: Apache-2.0
"""Codes and their executions: a text is kept under a name, run, and looked up again, as clients of 2017 do it.

An execution is one program of a job by OpenQASM text. Source: protocol 5.5; QX2, `run_experiment` and its getters.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from chandelier import devices, errors
from chandelier.devices import Device
from chandelier.experience import documents, filters, jobs, lists, network, shelf, storage, texts
from chandelier.experience.documents import Document
from chandelier.gateway import Call, Json
from chandelier.jobs import codes, executions, finding, intake, lifecycle, records
from chandelier.jobs.codes import Code
from chandelier.jobs.executions import Outcome
from chandelier.jobs.intake import Asked
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Draft, Job
from chandelier.tenancy import access, users

_MAX_NAME: Final = 500
#: As many as the client shows of each code.
_EXECUTIONS: Final = 3
_CODES: Final = 10

_SIMULATOR: Final = "ibmq_qasm_simulator"
_FIVE: Final = "ibmqx2"
_SIXTEEN: Final = "ibmqx3"
#: What clients call the machines of 2017, and which is meant. Source: QX2, `_check_backend`.
ALIASES: Final = {
    **dict.fromkeys(("real", "ibmqx5qv2", "ibmqx2", "qx5qv2", "qx5q"), _FIVE),
    "ibmqx3": _SIXTEEN,
    **dict.fromkeys(("simulator", "sim_trivial_2", "ibmqx_qasm_simulator", "ibmq_qasm_simulator"), _SIMULATOR),
}
#: What stands in for a machine that is not there: the first device that is most like it.
_LIKENESS: Final[dict[str, Callable[[Device], tuple[bool, int]]]] = {
    _FIVE: lambda device: (not device.simulator and device.qubits == 5, 0),
    _SIXTEEN: lambda device: (not device.simulator, 10**6 if device.qubits == 16 else device.qubits),
    _SIMULATOR: lambda device: (device.simulator, 0),
}
#: How long the answer to a submission waits for the end: the client asks again only after two seconds, and hears of a
#: failure here or never.
PATIENCE_SECONDS: Final = 1.0
#: The id of a run: the job, and which of its programs; the job alone means the first.
_EXECUTION: Final = re.compile(r"([0-9a-f]{24})(?:-(\d{1,5}))?", re.ASCII)


class Run(msgspec.Struct, frozen=True, rename="camel"):
    """The body of `POST /codes/execute`."""

    qasm: str
    code_type: str = "QASM2"
    name: str | None = None


def execute(call: Call) -> Json:
    """Keep a text as a code and run it."""
    wanted = call.json(Run)
    asked = Asked(
        qasms=msgspec.json.encode([{"qasm": wanted.qasm}]),
        shots=_whole(call.query.get("shots"), "shots"),
        seed=_whole(call.query.get("seed"), "seed"),
    )
    code = codes.Draft(_named(wanted.name or "", "name"), _named(wanted.code_type, "codeType")[:16], wanted.qasm)
    place = network.place(call)
    choice = [entry.device for entry in access.available(call.tx, place)]
    device = meant(call.query.get("deviceRunType") or "simulator", choice)
    job = intake.submit_texts(
        call.store,
        call.principal,
        place,
        device,
        asked,
        draft=Draft(name=code.name or None, address=call.address, client=jobs.client(call)),
        limits=jobs.limits(call),
        now=call.now,
        code=code,
    )
    return Json(_execution(call, shelf.awaited(call, job, PATIENCE_SECONDS)))


def get_execution(call: Call) -> Json:
    """Return one run of a program."""
    named = _EXECUTION.fullmatch(call.path["execution"])
    if named is None:
        raise _not_found()
    try:
        job = records.get(call.tx, named[1])
    except errors.NotFound:
        raise _not_found() from None
    if job.kind != "qasm" or not access.may_act_on_job(call.tx, call.principal, job.user_id, job.project_id):
        raise _not_found()
    return Json(_execution(call, job, int(named[2] or 0)))


def get_code(call: Call) -> Json:
    """Return a code."""
    return Json(_document(_own(call)))


def list_executions(call: Call) -> Json:
    """Return the runs of a code, the newest first."""
    code = _own(call)
    wanted = filters.parse(call.query.get("filter"))
    rules = call.cloud.rules
    limit = min(wanted.limit or rules.default_list_limit, rules.max_list_limit)
    return Json(_executions(call, code, limit))


def picture(call: Call) -> Json:
    """Return a URL to download the drawing of a code from."""
    for job in _jobs(call, _own(call), _EXECUTIONS):
        if call.cloud.store.objects.exists("pictures", job.id):
            return Json({"url": storage.picture_url(call, job)})
    raise errors.NotFound(
        "The code has no picture: it is not checked yet, or was refused, or is too large to be drawn.", 3255
    )


def list_latest(call: Call) -> Json:
    """Return the newest codes of a user, with their runs if these are asked for."""
    whose = _user(call)
    found = codes.list_latest(call.tx, whose.id, _CODES)
    included = call.query.get("includeExecutions") == "true"
    listed = [
        _document(code) | ({"executions": _executions(call, code, _EXECUTIONS)} if included else {}) for code in found
    ]
    return Json({"total": len(listed), "codes": listed})


def get_user(call: Call) -> Json:
    """Describe a user, with the credits."""
    return Json(documents.me_of_2020(_user(call), documents.urls(call.url)))


def meant(name: str, choice: Sequence[Device]) -> Device:
    """Return the device that a client means.

    Args:
        name: Exact name, or one by which clients call a machine of 2017.
        choice: The devices that the caller has.

    Raises:
        errors.NotFound: There is none of this name, nor one like it.
    """
    by_name = {device.name: device for device in choice}
    machine = ALIASES.get(name.lower())
    if name in by_name or machine in by_name:
        return by_name.get(name) or by_name[machine or ""]
    if machine is not None:
        alike = _LIKENESS[machine]
        # Of several that are alike one that starts jobs is better than one that is paused.
        best = max(choice, key=lambda device: (*alike(device), device.status == "active"), default=None)
        if best is not None and alike(best)[0]:
            return best
    raise errors.NotFound(f"You have no device {name!r}. List the devices to see their names.", 3100)


def _execution(call: Call, job: Job, index: int = 0) -> Document:
    device = call.cloud.memory.device(call.tx, job.device_id)
    found = executions.of(call.cloud.store, call.tx, job)
    if index >= len(found.programs):
        raise _not_found()
    entry = found.programs[index]
    state = shelf.document(call, job, versioned=False, whole=False)
    optional = {
        "codeId": job.code_id,
        "endDate": state.get("endDate"),
        "infoQueue": state.get("infoQueue"),
        "error": state.get("error"),
    }
    document = {
        "id": documents.execution_id(job, index),
        "status": {"id": _progress(job, entry.outcome)},
        "deviceRunType": device.name,
        "shots": job.shots,
        "startDate": state["creationDate"],
        "userId": job.user_id,
    } | {name: value for name, value in optional.items() if value is not None}
    if entry.outcome is not None and entry.outcome.success:
        document["result"] = {"date": found.date, "data": _data(entry.outcome, entry.text, device)}
        # The client fails on a result without it, also on those of simulators.
        at_run_time = msgspec.structs.replace(device, calibration=job.calibration)
        document["calibration"] = devices.errors_of(call.cloud.store, at_run_time)
    return document


def _progress(job: Job, outcome: Outcome | None) -> str:
    """Return where an execution is; the client goes on asking until it is one of the first two."""
    if outcome is not None and outcome.success:
        return "DONE"
    failed = job.state in lifecycle.FAILED or job.state is State.CANCELLED
    return "ERROR" if failed else "WORKING_IN_PROGRESS"


def _data(outcome: Outcome, text: str, device: Device) -> Document:
    shots = sum(outcome.counts.values())
    return {
        "p": {
            "qubits": [qubit for qubit in outcome.measured if qubit is not None],
            "labels": [texts.bits(value, outcome.slots) for value in outcome.counts],
            "values": [number / shots for number in outcome.counts.values()],
        },
        "additionalData": {"seed": outcome.seed},
        "qasm": text,
        "serialNumberDevice": device.name,
        "time": outcome.seconds,
        "cregLabels": texts.labels(outcome.registers),
    }


def _executions(call: Call, code: Code, limit: int) -> list[Document]:
    shown: list[Document] = []
    carried = 0
    for job in _jobs(call, code, limit):
        carried += texts.weight(job)
        if shown and carried > lists.CARRIED_BYTES:
            break
        shown.append(_execution(call, job))
    return shown


def _jobs(call: Call, code: Code, limit: int) -> list[Job]:
    """Return the jobs that ran a code, without those in projects that the caller has lost."""
    mine = access.own_projects(call.tx, call.principal)
    return [job for job in finding.list_of_code(call.tx, code.id, limit) if mine is None or job.project_id in mine]


def _document(code: Code) -> Document:
    return {
        "id": code.id,
        "name": code.name,
        "codeType": code.kind,
        "qasm": code.text,
        "userId": code.user_id,
        "creationDate": documents.date(code.created),
        "deleted": False,
    }


def _own(call: Call) -> Code:
    code = codes.get(call.tx, call.path["code"])
    if not access.owns(call.principal, code.user_id):
        raise _not_found()
    return code


def _user(call: Call) -> users.User:
    user_id = call.path["user"]
    if not access.owns(call.principal, user_id):
        raise errors.NotFound("There is no such user.", 3500)
    return users.get(call.tx, users.UserId(user_id))


def _not_found() -> errors.NotFound:
    return errors.NotFound("Code or execution not found.", 3254)


def _whole(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise errors.Invalid(f"`{name}` is {text[:40]!r}; it must be a number of up to 18 digits.", 1001)
    return int(text)


def _named(text: str, field: str) -> str:
    if len(text) > _MAX_NAME or "\x00" in text:
        raise errors.Invalid(f"`{field}` has more than {_MAX_NAME} characters, or a NUL character.", 1001)
    return text
