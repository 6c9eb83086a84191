# SPDX-License-Identifier: Apache-2.0
"""Jobs: submission in both ways, one job's views, and what may be done to it."""

import contextlib
from typing import Final

import msgspec

from chandelier import acts, devices, errors
from chandelier.experience import administration, network, shelf, storage, texts
from chandelier.experience.documents import Document
from chandelier.gateway import Call, Encoded, Json
from chandelier.jobs import intake, outcomes, records
from chandelier.jobs.intake import Asked, Limits
from chandelier.jobs.records import Draft, Job
from chandelier.store import Transaction
from chandelier.tenancy import access
from chandelier.tenancy.network import Spot

_MAX_TAGS: Final = 100
_MAX_TEXT: Final = 500
#: With whom a job may be shared, the fewest first. Source: protocol 5.1.
_SHARE_LEVELS: Final = ("none", "project", "group", "hub", "global")


def _nothing() -> msgspec.Raw:
    return msgspec.Raw(b"null")


class Backend(msgspec.Struct, frozen=True):
    """The device of a submission."""

    name: str


class Submission(msgspec.Struct, frozen=True, rename="camel"):
    """The body of `POST /Jobs`. Source: protocol 5.1."""

    backend: Backend
    q_object: msgspec.Raw = msgspec.field(default_factory=_nothing)
    qasms: msgspec.Raw = msgspec.field(default_factory=_nothing)
    allow_object_storage: bool | None = None
    shots: int | None = None
    seed: int | str | None = None
    max_credits: int | None = None
    name: str | None = None
    tags: list[str] | None = None
    share_level: str | None = None
    experiment_tag: str | None = None
    live_data_enabled: bool | None = None


class Change(msgspec.Struct, frozen=True, rename="camel"):
    """The body of `PUT /Jobs/{id}`."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    tags: list[str] | msgspec.UnsetType = msgspec.UNSET
    share_level: str | msgspec.UnsetType = msgspec.UNSET


def submit(call: Call) -> Json:
    """Submit a job: with its program, or to be followed by an upload."""
    submission = call.json(Submission)
    draft = _draft(call, submission)
    place = network.place(call)
    device = access.device(call.tx, place, submission.backend.name).device
    if bytes(submission.q_object) != b"null":
        job = intake.submit(
            call.store,
            call.principal,
            place,
            device,
            bytes(submission.q_object),
            draft=draft,
            limits=limits(call),
            now=call.now,
            shots=submission.shots,
        )
        document = shelf.created(call, job, versioned=False)
        return Json(document | inline(call, job))
    if bytes(submission.qasms) != b"null":
        asked = Asked(bytes(submission.qasms), submission.shots, submission.seed, submission.max_credits)
        job = intake.submit_texts(
            call.store, call.principal, place, device, asked, draft=draft, limits=limits(call), now=call.now
        )
        document = shelf.created(call, job, versioned=False)
        return Json(document | inline(call, job))
    if not submission.allow_object_storage:
        raise errors.Invalid(
            "Send the program as `qObject`, texts as `qasms`, or ask for an upload: `allowObjectStorage`.", 1001
        )
    job = call.store.write(
        lambda tx: intake.open_(tx, call.principal, place, device, draft=draft, limits=limits(call), now=call.now)
    )
    document = shelf.created(call, job, versioned=True)
    document["objectStorageInfo"] |= {
        "uploadUrl": storage.upload_url(call, job),
        "maxJobSizeInBytes": call.cloud.rules.max_job_bytes,
    }
    return Json(document)


def data_uploaded(call: Call) -> Json:
    """Take the program that was uploaded and hand the job over."""
    handed_over = shelf.own(call)
    job = intake.accept(call.store, handed_over, call.now)
    document = shelf.document(call, job, versioned=True, whole=True)
    # A repeated notice may come when the job has failed; the client would take the key for a failure of the notice.
    document.pop("error", None)
    return Json({"job": document})


def get_versioned(call: Call) -> Json:
    """Return a job."""
    return Json(shelf.document(call, shelf.shown(call), versioned=True, whole=True))


def get_unversioned(call: Call) -> Json:
    """Return a job as clients before 2020 expect it: with program and result if it was submitted inline."""
    job = shelf.shown(call)
    document = shelf.document(call, job, versioned=False, whole=True)
    return Json(document | inline(call, job))


def status_versioned(call: Call) -> Encoded:
    """Return a job's state."""
    return shelf.status(call, versioned=True)


def status_unversioned(call: Call) -> Encoded:
    """Return a job's state as clients before 2020 expect it."""
    return shelf.status(call, versioned=False)


def cancel(call: Call) -> Json:
    """Cancel a job that has not ended; says false if it has. That of somebody else is written down."""
    job = shelf.cancellable(call)

    def work(tx: Transaction) -> bool:
        done = outcomes.cancel(tx, records.get(tx, job.id), call.now)
        if done and not _is_callers(call, job):
            acts.cancel_job(tx, administration.by(call), _spot(tx, call, job), job.id)
        return done

    try:
        return Json({"cancelled": call.store.write(work)})
    except errors.Conflict:
        return Json({"cancelled": False})


def change(call: Call) -> Json:
    """Give a job a name, tags or others to share it with. That of somebody else is written down."""
    wanted = call.json(Change)
    job = shelf.own(call)
    changed: Document = {}
    if wanted.name is not msgspec.UNSET:
        changed["name"] = _short(wanted.name, "name")
    if wanted.tags is not msgspec.UNSET:
        changed["tags"] = list(_tags(wanted.tags))
    if wanted.share_level is not msgspec.UNSET:
        changed["shareLevel"] = _share_level(wanted.share_level)
    if not changed:
        raise errors.Invalid("Send `name`, `tags` or `shareLevel`.", 1001)

    def work(tx: Transaction) -> None:
        if not _is_callers(call, job):
            known = records.get(tx, job.id)
            facts = {"name": known.name or "", "tags": list(known.tags), "shareLevel": known.share_level}
            before = {name: facts[name] for name in changed}
            acts.change_job(tx, administration.by(call), _spot(tx, call, job), job.id, before, changed)
        if "name" in changed:
            records.rename(tx, job.id, changed["name"] or None)
        if "tags" in changed:
            records.retag(tx, job, changed["tags"])
        if "shareLevel" in changed:
            records.share(tx, job.id, changed["shareLevel"])

    call.store.write(work)
    return Json(changed)


def delete(call: Call) -> Json:
    """Delete a job that has ended: it is hidden at once, and what it left is removed some days later.

    That of somebody else is written down.
    """
    job = shelf.own(call)

    def work(tx: Transaction) -> None:
        outcomes.delete(tx, records.get(tx, job.id), call.now)
        if not _is_callers(call, job):
            acts.delete_job(tx, administration.by(call), _spot(tx, call, job), job.id)

    call.store.write(work)
    return Json({"deleted": True})


def properties(call: Call) -> Json:
    """Return the device's properties that the job was run with; `{}` for simulators."""
    return Json(devices.properties(call.store, shelf.shown(call).calibration))


def upload_url(call: Call) -> Json:
    """Return a URL to upload the program to."""
    return Json({"url": storage.upload_url(call, shelf.own(call))})


def download_url(call: Call) -> Json:
    """Return a URL to download the program from, unchanged."""
    job = shelf.shown(call)
    if job.kind == "runtime":
        raise errors.NotFound(f"The job is a program of the Runtime API ({job.program}): it has no Qobj.", 3253)
    if call.cloud.store.find_object(call.tx, outcomes.program_of(job), job.id) is None:
        raise errors.NotFound("Nothing was uploaded for this job, or its texts are not read yet.", 3253)
    return Json({"url": storage.download_url(call, "programs", job.id)})


def result_url(call: Call) -> Json:
    """Return a URL to download the result from."""
    job = shelf.shown(call)
    outcomes.result_of(job)
    if not outcomes.ran_circuits(job):
        raise errors.NotFound(
            f"The job is a program of the Runtime API ({job.program}), whose result these clients cannot read.", 3252
        )
    return Json({"url": storage.download_url(call, "results", job.id)})


def result_downloaded(call: Call) -> Json:
    """Hear that the client has the result; it is kept all the same."""
    shelf.shown(call)
    return Json({"terminated": True})


def inline(call: Call, job: Job) -> Document:
    """Return what only the unversioned full view has: its texts and, of a job submitted inline, program and result."""
    if job.kind == "qasm":
        return texts.presented(call, job)
    # A Qobj holds no texts; one client would fail at anything in this list (DotQASM, its class of a job).
    document: Document = {"qasms": []}
    if job.kind != "q-object":
        return document
    store = call.cloud.store
    # An object that is gone (the job is being deleted, say) must not take the job, or the list it is in, along.
    with contextlib.suppress(errors.NotFound):
        document["qObject"] = msgspec.Raw(store.read_object(call.tx, "programs", job.id))
        if job.result is not None:
            document["qObjectResult"] = msgspec.Raw(store.read_object(call.tx, "results", job.result))
    return document


def limits(call: Call) -> Limits:
    """Return what may be submitted."""
    return Limits(call.cloud.rules.max_job_bytes, call.cloud.rules.max_pending_jobs)


def _is_callers(call: Call, job: Job) -> bool:
    return call.principal.user_id == job.user_id


def _spot(tx: Transaction, call: Call, job: Job) -> Spot:
    return call.cloud.memory.place(tx, job.project_id).spot


def _draft(call: Call, submission: Submission) -> Draft:
    return Draft(
        name=_short(submission.name or "", "name") or None,
        tags=_tags(submission.tags or []),
        share_level=_share_level(submission.share_level),
        experiment_tag=_short(submission.experiment_tag or "", "experimentTag") or None,
        live_data=bool(submission.live_data_enabled),
        address=call.address,
        client=client(call),
    )


def _share_level(text: str | None) -> str | None:
    if text is not None and text not in _SHARE_LEVELS:
        raise errors.Invalid(f"`shareLevel` is {text[:40]!r}; it must be one of {', '.join(_SHARE_LEVELS)}.", 1001)
    return text


def client(call: Call) -> dict[str, str | None] | None:
    """Return what program submits, as it says itself. Source: protocol 2.4."""
    name, _, version = call.headers.get("x-qx-client-application", "").partition("/")
    return {"name": name[:_MAX_TEXT], "version": version[:_MAX_TEXT] or None} if name else None


def _short(text: str, field: str) -> str:
    if len(text) > _MAX_TEXT:
        raise errors.Invalid(f"`{field}` has {len(text)} characters; at most {_MAX_TEXT} are allowed.", 1001)
    if "\x00" in text:
        raise errors.Invalid(f"`{field}` contains a NUL character.", 1001)
    return text


def _tags(tags: list[str]) -> tuple[str, ...]:
    if len(tags) > _MAX_TAGS:
        raise errors.Invalid(f"There are {len(tags)} tags; at most {_MAX_TAGS} are allowed.", 1001)
    return tuple(dict.fromkeys(_short(tag, "tags") for tag in tags))
