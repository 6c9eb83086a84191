# SPDX-License-Identifier: Apache-2.0
"""Jobs: submitted, listed, followed, cancelled, deleted. Source: protocol of the Runtime API 5, 7 and 9."""

import itertools
import math
from typing import Any, Final

import msgspec

from chandelier import acts, devices, errors
from chandelier.devices import Device
from chandelier.gateway import Answer, Call, Empty, Encoded, Held, Json, Stored
from chandelier.jobs import counts, finding, intake, lifecycle, outcomes, records
from chandelier.jobs.finding import Choice
from chandelier.jobs.intake import Limits, Order
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Draft, Job
from chandelier.runtime import backends, documents, instances, sessions
from chandelier.runtime.documents import Document
from chandelier.store import Transaction
from chandelier.tenancy import access
from chandelier.tenancy.audit import By
from chandelier.tenancy.network import Place

_MOST_TAGS: Final = 100
_LONGEST: Final = 500
_USUAL_LIMIT: Final = 20
#: Parameters that one list may carry along, in bytes; clients ask again for the jobs that are missing.
_CARRIED_BYTES: Final = 32 << 20
_TEXT: Final = "text/plain"
_MOCK: Final = "mock_"
_encode: Final = msgspec.json.Encoder().encode


class Submission(msgspec.Struct, frozen=True):
    """The body of `POST /jobs`. Source: protocol of the Runtime API 7.

    Attributes:
        runtime: Image that the program is to run in, of which there is one.
        log_level: How much the program is to log.
        cost: For how long it may occupy the device at most, s.
        start_session: Open a session with this job as its first.
        session_time: How long that session is to last, s.
    """

    program_id: str
    params: msgspec.Raw
    backend: str | None = None
    runtime: str | None = None
    log_level: str | None = None
    session_id: str | None = None
    tags: list[str] | None = None
    cost: float | None = None
    start_session: bool | None = None
    session_time: float | None = None
    private: bool | None = None
    calibration_id: str | None = None
    hub: str | None = None
    group: str | None = None
    project: str | None = None


class Tags(msgspec.Struct, frozen=True):
    """The body of `PUT /jobs/{id}/tags`."""

    tags: list[str]


def submit(call: Call) -> Json:
    """Submit a program with its parameters."""
    wanted = call.json(Submission)
    try:
        return _submit(call, wanted)
    except errors.NotFound as failure:
        if failure.code == 1020:
            raise
        # Clients take any other 404 for a program that does not exist.
        raise errors.Invalid(failure.message, failure.code) from failure


def _submit(call: Call, wanted: Submission) -> Json:
    parts = (wanted.hub, wanted.group, wanted.project)
    home = instances.place(call, "/".join(part for part in parts if part) if all(parts) else None)
    if not wanted.backend:
        raise errors.Invalid("Name the device as `backend`.", 1001)
    if wanted.backend.startswith(_MOCK):
        raise errors.Invalid(f"There is no device {wanted.backend[:80]!r}: dry runs are not available here.", 1023)
    granted = access.device(call.tx, home, wanted.backend)
    digest = devices.calibration(call.tx, granted.device, wanted.calibration_id) if wanted.calibration_id else None
    draft = Draft(tags=_tags(wanted.tags or []), address=call.address, client=_client(call))
    most_seconds = _seconds(wanted.cost)
    session_id = wanted.session_id
    order = Order(wanted.program_id, bytes(wanted.params), session_id, most_seconds, bool(wanted.private), digest)
    limits = Limits(call.cloud.rules.max_job_bytes, call.cloud.rules.max_pending_jobs)
    if wanted.start_session and session_id is None and not granted.device.simulator:
        intake.check_order(granted.device, order, limits)  # else a session would be left for a job that never was
        session_id = sessions.open_(call, home, granted, "dedicated", wanted.session_time or None).id
        order = msgspec.structs.replace(order, session_id=session_id)
    job = intake.submit_params(
        call.store, call.principal, home, granted.device, order, draft=draft, limits=limits, now=call.now
    )
    return Json({"id": job.id, "backend": granted.device.name} | ({"session_id": session_id} if session_id else {}))


def list_(call: Call) -> Json:
    """List the caller's jobs in an instance."""
    choice = _choice(call)
    limit, offset = _number(call, "limit", _USUAL_LIMIT), _number(call, "offset", 0)
    limit = max(1, min(limit, call.cloud.rules.max_list_limit))
    ascending = call.query.get("sort", "").upper() == "ASC"
    found: list[Job] = []
    count = 0
    if choice is not None:
        count = finding.count(call.tx, choice)
        found = finding.choose(call.tx, choice, skip=offset, limit=limit, ascending=ascending)
    whole = not is_light(call)
    if whole:
        sizes = itertools.accumulate(job.input_bytes or 0 for job in found)
        found = found[: max(1, sum(size <= _CARRIED_BYTES for size in sizes))]
    page = [_document(call, job, whole=whole) for job in found]
    return Json(documents.jobs(page, count, limit=limit, offset=offset))


def get(call: Call) -> Held | Encoded:
    """Return a job; while it has not ended the answer is held back for a moment, for its end may come.

    Not that with parameters, which may be large: who waits for the end asks without.
    """
    job = _shown(call)
    answer = Encoded(_encode(_document(call, job, whole=not is_light(call))))
    return Held(answer) if is_light(call) and job.state not in lifecycle.FINAL else answer


def is_light(call: Call) -> bool:
    """Tell whether jobs are asked for without their parameters, which are files."""
    return call.query.get("exclude_params", "").lower() == "true"


def topic(call: Call) -> str:
    """Return what is rung when the job that the path names has changed."""
    return f"job:{call.path['job']}"


def results(call: Call) -> Answer:
    """Return what a program left: its result, or, of one that failed, why."""
    job = _shown(call)
    if job.state in lifecycle.FINAL and job.state is not State.COMPLETED:
        return Encoded(documents.reason(job).encode(), _TEXT)
    found = call.cloud.store.find_object(call.tx, "results", outcomes.result_of(job))
    if found is None:
        raise errors.NotFound("The result is not stored (any more).", 3252)
    return Encoded(found) if isinstance(found, bytes) else Stored(found)


def interim_results(call: Call) -> Encoded:
    """Return what a program told while it ran: nothing, for none does."""
    _shown(call)
    return Encoded(b"", _TEXT)


def logs(call: Call) -> Encoded:
    """Return what a program wrote down: why it failed, if it did."""
    return Encoded(documents.reason(_shown(call)).encode(), _TEXT)


def metrics(call: Call) -> Json:
    """Return when a job did what, for how long it kept its device, and how it waits."""
    job = _shown(call)
    if job.state is not State.QUEUED:
        return Json(documents.metrics(job, None, None, None))
    ahead = counts.ahead(call.tx, job)
    forecast = call.cloud.forecaster.latest()
    expected = None if forecast is None else forecast.of(job.id, job.device_id, job.project_id, ahead, job.estimate)
    times = (None, None) if expected is None else (expected.start, expected.end)
    return Json(documents.metrics(job, None if ahead is None else ahead + 1, *times))


def get_type(call: Call) -> Json:
    """Say by which service a job may be had: by this one, all of them."""
    _shown(call)
    return Json({"type": "RUNTIME"})


def change_tags(call: Call) -> Empty:
    """Replace a job's tags."""
    wanted = _tags(call.json(Tags).tags)
    job = _own(call)

    def work(tx: Transaction) -> None:
        if not _is_callers(call, job):
            spot = call.cloud.memory.place(tx, job.project_id).spot
            before = {"tags": list(records.get(tx, job.id).tags)}
            acts.change_job(tx, _by(call), spot, job.id, before, {"tags": list(wanted)})
        records.retag(tx, job, wanted)

    call.store.write(work)
    return Empty(204)


def cancel(call: Call) -> Empty:
    """Cancel a job that has not ended. That of somebody else is written down."""
    job = records.get(call.tx, call.path["job"])
    if not access.may_cancel_job(call.tx, call.principal, job.user_id, job.project_id):
        raise errors.NotFound("Job not found.", 3250)
    _check_here(call, job)

    def work(tx: Transaction) -> bool:
        done = outcomes.cancel(tx, records.get(tx, job.id), call.now)
        if done and not _is_callers(call, job):
            acts.cancel_job(tx, _by(call), call.cloud.memory.place(tx, job.project_id).spot, job.id)
        return done

    if not call.store.write(work):
        raise errors.Conflict(f"Job {job.id} has ended: it cannot be cancelled.", 3251)
    return Empty(204)


def delete(call: Call) -> Empty:
    """Delete a job that has ended. That of somebody else is written down."""
    job = _own(call)

    def work(tx: Transaction) -> None:
        outcomes.delete(tx, records.get(tx, job.id), call.now)
        if not _is_callers(call, job):
            acts.delete_job(tx, _by(call), call.cloud.memory.place(tx, job.project_id).spot, job.id)

    call.store.write(work)
    return Empty(204)


def _shown(call: Call) -> Job:
    """Return the job that the path names, to read it.

    Raises:
        errors.NotFound: There is none of this id, or it is not in the instance, or not for the caller.
    """
    job = records.get(call.tx, call.path["job"])
    may = access.may_act_on_job(call.tx, call.principal, job.user_id, job.project_id)
    if not may and not job.private:
        may = access.may_read_job(call.tx, call.principal, job.user_id, job.project_id, job.share_level)
    if not may:
        raise errors.NotFound("Job not found.", 3250)
    _check_here(call, job)
    return job


def _own(call: Call) -> Job:
    """Return the job that the path names, to do something with it; as `_shown`, but nobody else's."""
    job = records.get(call.tx, call.path["job"])
    if not access.may_act_on_job(call.tx, call.principal, job.user_id, job.project_id):
        raise errors.NotFound("Job not found.", 3250)
    _check_here(call, job)
    return job


def _check_here(call: Call, job: Job) -> None:
    """Refuse a job of another project than the request is about: clients look for it in their other instances."""
    if instances.named(call) is not None and instances.place(call).project_id != job.project_id:
        raise errors.NotFound("Job not found.", 3250)


def _choice(call: Call) -> Choice | None:
    """Return which jobs are asked for; None if there can be none."""
    given, query = call.query, call.query.get
    device: Device | None = None
    if given.get("backend"):
        device = devices.find(call.tx, given["backend"])
        if device is None:
            return None
    pending = query("pending", "").lower()
    states = {"true": lifecycle.ACTIVE, "false": lifecycle.FINAL}.get(pending)
    program = query("program")
    programs: frozenset[str | None] | None = None
    if program:
        programs = frozenset({program, None} if program == documents.RUNNER else {program})
    mine: frozenset[Any] | None = access.own_projects(call.tx, call.principal)
    if instances.named(call) is not None:
        mine = frozenset({instances.place(call).project_id})
    after, before = query("created_after"), query("created_before")
    return Choice(
        call.principal.user_id,
        mine,
        device_id=None if device is None else device.id,
        states=states,
        programs=programs,
        session_id=query("session_id") or None,
        tags=tuple(dict.fromkeys(tag for tag in call.queries("tags") if tag))[:_MOST_TAGS],
        created_from=backends.moment("created_after", after) if after else None,
        created_to=backends.moment("created_before", before) if before else None,
    )


def _document(call: Call, job: Job, *, whole: bool) -> Document:
    memory = call.cloud.memory
    home: Place = memory.place(call.tx, job.project_id)
    document = documents.job(job, memory.device(call.tx, job.device_id), home)
    return document | {"params": _params(call, job)} if whole else document


def _params(call: Call, job: Job) -> Any:
    """Return the parameters of a job exactly as they came; of a private one, or another sort of program, none."""
    if job.kind != "runtime" or job.private:
        return {}
    try:
        return msgspec.Raw(call.cloud.store.read_object(call.tx, "programs", job.id))
    except errors.NotFound:  # it is being deleted
        return {}


def _client(call: Call) -> dict[str, str | None] | None:
    """Return what program submits, as it says itself."""
    name, _, version = call.headers.get("x-qx-client-application", "").partition("/")
    return {"name": name[:_LONGEST], "version": version[:_LONGEST] or None} if name else None


def _tags(tags: list[str]) -> tuple[str, ...]:
    if len(tags) > _MOST_TAGS:
        raise errors.Invalid(f"There are {len(tags)} tags; at most {_MOST_TAGS} are allowed.", 1001)
    for tag in tags:
        if len(tag) > _LONGEST or "\x00" in tag:
            raise errors.Invalid(f"A tag has at most {_LONGEST} characters, and no NUL.", 1001)
    return tuple(dict.fromkeys(tags))


def _seconds(cost: float | None) -> float | None:
    if cost is not None and not 0 < cost < math.inf:
        raise errors.Invalid(f"`cost` is {cost:g}; it must be more than 0 seconds.", 1001)
    return cost


def _number(call: Call, name: str, usual: int) -> int:
    text = call.query.get(name)
    if not text:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise errors.Invalid(f"`{name}` is {text[:40]!r}; it must be a whole number.", 1001)
    return int(text)


def _is_callers(call: Call, job: Job) -> bool:
    return call.principal.user_id == job.user_id


def _by(call: Call) -> By:
    return By(call.principal.email, call.now)
