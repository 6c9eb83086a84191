# SPDX-License-Identifier: Apache-2.0
"""Jobs looked up for a caller: one with its facts, or a list by a filter."""

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from chandelier import devices, errors
from chandelier.devices import Device
from chandelier.experience import documents, filters, network
from chandelier.experience.documents import Document, Facts
from chandelier.experience.filters import Bounds, Filter
from chandelier.gateway import Call, Encoded, Recalled
from chandelier.jobs import counts, finding, intake, lifecycle, records
from chandelier.jobs.finding import Query
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.memory import Memory, Told
from chandelier.store import Transaction
from chandelier.tenancy import access
from chandelier.tenancy.network import Place, ProjectId
from chandelier.tenancy.users import UserId

_PAGE: Final = 200
#: What bounds a list, by whether it is of everybody's jobs.
_INDEXED: Final = {
    False: "creationDate, backend.name, status, tags or id",
    True: "creationDate, backend.name, status, userId or id",
}
#: Requests that wait for the end of a job; each holds a thread, of which there are some forty.
_waiting: Final = threading.BoundedSemaphore(8)
#: How long the answer about a job that waits is good if nothing happens: what is foretold of it gets old.
_WAITING_SECONDS: Final = 5.0
#: Who asks for the same within this time asks in a loop; clients of any age wait longer.
_SOON_SECONDS: Final = 0.05
_encode: Final = msgspec.json.Encoder().encode


#: States that a job has entered, and when.
Steps = Sequence[tuple[State, datetime]]


class Found(msgspec.Struct, frozen=True):
    """A job and its document."""

    job: Job
    document: Document


def own(call: Call) -> Job:
    """Return the job that the path names, to do something with it.

    Raises:
        errors.NotFound: There is none of this id in the project that the path names, or it is somebody else's.
    """
    job = records.get(call.tx, call.path["job"])
    if not access.may_act_on_job(call.tx, call.principal, job.user_id, job.project_id):
        raise errors.NotFound("Job not found.", 3250)
    return _here(call, job)


def _here(call: Call, job: Job) -> Job:
    """Return a job if it is in the project that the path names, or if the path names none.

    Raises:
        errors.NotFound: It is elsewhere.
    """
    if "project" in call.path and network.place(call).project_id != job.project_id:
        raise errors.NotFound("Job not found.", 3250)
    return job


def cancellable(call: Call) -> Job:
    """Return the job that the path names, to cancel it: as `own`, and for administrators those of their projects.

    Raises:
        errors.NotFound: There is none of this id in the project that the path names, or it is somebody else's.
    """
    job = records.get(call.tx, call.path["job"])
    if not access.may_cancel_job(call.tx, call.principal, job.user_id, job.project_id) or (
        "project" in call.path and network.visible(call).project_id != job.project_id
    ):
        raise errors.NotFound("Job not found.", 3250)
    return job


def shown(call: Call) -> Job:
    """Return the job that the path names, to read it: the caller's own, or one that they administer or is shared.

    The latter are there under each project that the reader is a member of or administers, because clients ask under
    their own.

    Raises:
        errors.NotFound: There is none of this id, or it is somebody else's and not for the caller.
    """
    job = records.get(call.tx, call.path["job"])
    if access.may_act_on_job(call.tx, call.principal, job.user_id, job.project_id):
        return _here(call, job)
    if "project" in call.path:
        network.visible(call)
    if job.private or not access.may_read_job(call.tx, call.principal, job.user_id, job.project_id, job.share_level):
        raise errors.NotFound("Job not found.", 3250)
    return job


def awaited(call: Call, job: Job, seconds: float) -> Job:
    """Return a job when it has ended, or as it is when the patience is over or too many wait already."""
    if seconds <= 0 or not _waiting.acquire(blocking=False):
        return job
    news = threading.Event()
    stop = call.cloud.store.bell.listen(f"job:{job.id}", news.set)
    deadline = time.monotonic() + seconds
    try:
        while job.state not in lifecycle.FINAL and (left := deadline - time.monotonic()) > 0:
            news.clear()
            job = call.store.read(lambda tx: records.get(tx, job.id))  # noqa: B023  # called at once
            if job.state not in lifecycle.FINAL:
                news.wait(left)
        return job
    finally:
        stop()
        _waiting.release()


def status(call: Call, *, versioned: bool) -> Encoded:
    """Return the reduced view of the job that the path names, and remember it for `recalled`."""
    job = shown(call)
    body = _encode(document(call, job, versioned=versioned, whole=False))
    # That somebody else may read the job does not tell whether its owner still may.
    if call.cloud.store.database.embedded and call.principal.user_id == job.user_id:
        place = call.cloud.memory.place(call.tx, job.project_id)
        told = Told(job.user_id, place, body, job.state in lifecycle.FINAL, time.monotonic())
        memory = call.cloud.memory
        if job.state is State.QUEUED:
            memory.told_waiting.keep(call.tx, (job.id, versioned), told, _WAITING_SECONDS)
        else:
            memory.told.keep(call.tx, (job.id, versioned), told)
    return Encoded(body)


def recalled(call: Call, *, versioned: bool) -> Recalled | None:
    """Return what `status` would, if all that decides it is remembered.

    Who has asked for it a moment ago, and does so again, may wait until the job gets on.
    """
    memory, key = call.cloud.memory, (call.path["job"], versioned)
    told = memory.told.get(key) or memory.told_waiting.get(key)
    principal = call.recognise()
    if told is None or principal is None or not access.owns(principal, told.owner):
        return None
    if "project" in call.path:
        home = memory.homes.get((principal.user_id, network.named(call)))
        if home is None or home.project_id != told.place.project_id:
            return None
    now = time.monotonic()
    soon, told.answered = now - told.answered < _SOON_SECONDS, now
    return Recalled(told.body, f"job:{call.path['job']}" if soon and not told.final else None)


def created(call: Call, job: Job, *, versioned: bool) -> Document:
    """Return the full view of a job that was submitted just now: all that happened to it happened at its creation."""
    steps = [(state, job.created) for state in intake.STEPS[job.state]]
    return _Lookup(call.tx, call.cloud.memory).document(call, job, versioned=versioned, whole=True, steps=steps)


def document(call: Call, job: Job, *, versioned: bool, whole: bool) -> Document:
    """Return the document of one job.

    Args:
        whole: The full view; else the reduced one.
    """
    return _Lookup(call.tx, call.cloud.memory).document(call, job, versioned=versioned, whole=whole)


def search(call: Call, wanted: Filter, *, versioned: bool) -> list[Found]:
    """Return the caller's jobs that a filter asks for, with full documents.

    Raises:
        errors.Invalid: The filter would read too many jobs (code 1003).
    """
    # First: a place that is not the caller's is refused whatever the filter says.
    project_ids = _projects(call)
    bounds = filters.bounds(wanted.where)
    if bounds.users is not None and call.principal.user_id not in bounds.users:
        return []
    query = _query(call, bounds, versioned=versioned)
    if query is None:
        return []
    query = msgspec.structs.replace(query, user_id=call.principal.user_id, project_ids=project_ids, tags=bounds.tags)
    return _found(call, wanted, query, versioned=versioned)


def search_all(call: Call, wanted: Filter, project_ids: frozenset[ProjectId]) -> list[Found]:
    """Return everybody's jobs in some projects that a filter asks for, in the versioned presentation.

    Raises:
        errors.Invalid: The filter would read too many jobs (code 1003).
    """
    bounds = filters.bounds(wanted.where)
    query = _query(call, bounds, versioned=True)
    if query is None or bounds.users == frozenset():
        return []
    user_id = UserId(next(iter(bounds.users))) if bounds.users is not None and len(bounds.users) == 1 else None
    query = msgspec.structs.replace(
        query, user_id=user_id, project_ids=project_ids, tags=None if user_id is None else bounds.tags
    )
    return with_steps(call, _found(call, wanted, query, versioned=True))


def _found(call: Call, wanted: Filter, query: Query, *, versioned: bool) -> list[Found]:
    """Return the page of a query's jobs that a filter asks for."""
    rules = call.cloud.rules
    limit = min(wanted.limit or rules.default_list_limit, rules.max_list_limit)
    by_date = all(path == "creationDate" for path, _ in wanted.order)
    enough = wanted.skip + limit if by_date else None
    found = _scan(call, wanted, query, enough, versioned=versioned)
    if not by_date:
        order = filters.sorted_documents(wanted, [entry.document for entry in found])
        by_id = {entry.document["id"]: entry for entry in found}
        found = [by_id[document["id"]] for document in order]
    lookup = _Lookup(call.tx, call.cloud.memory)
    return [lookup.placed(call, entry, versioned=versioned) for entry in found[wanted.skip : wanted.skip + limit]]


def with_steps(call: Call, found: Sequence[Found]) -> list[Found]:
    """Return the same jobs, with the times at which they entered their states."""
    logs = records.events_of(call.tx, [entry.job.id for entry in found])
    return [
        Found(entry.job, entry.document | {"timePerStep": documents.time_per_step(logs[entry.job.id])})
        for entry in found
    ]


class _Lookup:
    """What a job's document needs besides its row."""

    def __init__(self, tx: Transaction, memory: Memory) -> None:
        self._tx = tx
        self._memory = memory

    def device(self, device_id: str) -> Device:
        """Return the device as it was when it was read: its names are right, its state may be old."""
        return self._memory.device(self._tx, device_id)

    def place(self, project_id: str) -> Place:
        """Return the place of a project."""
        return self._memory.place(self._tx, project_id)

    def facts(self, call: Call, job: Job, *, steps: Steps = (), position: bool = True) -> Facts:
        placed = position and job.state is State.QUEUED
        base = f"/api/Jobs/{job.id}"
        links = {
            "uploadQobjectUrlEndpoint": call.url(f"{base}/jobUploadUrl"),
            "uploadQObjectUrlEndpoint": call.url(f"{base}/jobUploadUrl"),
            "downloadQObjectUrlEndpoint": call.url(f"{base}/jobDownloadUrl"),
            "jobQasmConverted": "",
            "validatedUrl": "",
            "validationUploadUrlEndpoint": "",
        }
        return Facts(
            self.device(job.device_id),
            self.place(job.project_id),
            position=self._position(job) if placed else None,
            forecast=call.cloud.forecaster.latest() if placed else None,
            steps=steps,
            links=links,
            private=access.owns(call.principal, job.user_id),
        )

    def _position(self, job: Job) -> int | None:
        ahead = counts.ahead(self._tx, job)
        return None if ahead is None else ahead + 1

    def document(self, call: Call, job: Job, *, versioned: bool, whole: bool, steps: Steps | None = None) -> Document:
        if steps is None:
            steps = records.events(self._tx, job.id) if whole else ()
        facts = self.facts(call, job, steps=steps)
        view = documents.full if whole else documents.status
        return view(job, facts, versioned=versioned)

    def placed(self, call: Call, found: Found, *, versioned: bool) -> Found:
        """Return a queued job with its place in the queue, any other as it is."""
        if found.job.state is not State.QUEUED:
            return found
        facts = self.facts(call, found.job)
        return Found(found.job, documents.full(found.job, facts, versioned=versioned))

    def candidates(self, call: Call, job: Job, *, versioned: bool) -> tuple[Document, ...]:
        """Return the presentations that a filter is judged on, the asked one first.

        Clients that ask for the unversioned one wrote filters in terms of either (protocol 6.4). The place in the
        queue is left out: finding it for every job that is looked at costs more than all the rest.
        """
        facts = self.facts(call, job, position=False)
        asked = documents.full(job, facts, versioned=versioned)
        return (asked,) if versioned else (asked, documents.status(job, facts, versioned=True))


def _scan(call: Call, wanted: Filter, query: Query, enough: int | None, *, versioned: bool) -> list[Found]:
    """Return the first `enough` jobs of a query that the filter asks for, or all of them."""
    lookup = _Lookup(call.tx, call.cloud.memory)
    found: list[Found] = []
    read = 0
    ascending = bool(wanted.order) and not wanted.order[0][1]
    query = msgspec.structs.replace(query, ascending=ascending, limit=min(enough or _PAGE, _PAGE))
    while enough is None or len(found) < enough:
        page = finding.find(call.tx, query)
        read += page.read
        for job in page.jobs:
            presented = lookup.candidates(call, job, versioned=versioned)
            if filters.matches(wanted.where, *presented):
                found.append(Found(job, presented[0]))
        if page.edge is None or (enough is not None and len(found) >= enough):
            break
        if read > call.cloud.rules.max_filter_jobs:
            raise errors.Invalid(
                f"The filter would read more than {call.cloud.rules.max_filter_jobs} jobs. Add a condition on "
                f"{_INDEXED[query.user_id is None]}.",
                1003,
            )
        query = msgspec.structs.replace(query, past=page.edge, limit=_PAGE)
    return found if enough is None else found[:enough]


def _query(call: Call, bounds: Bounds, *, versioned: bool) -> Query | None:
    """Return what of a filter the indexes can answer, whoever's the jobs are; None if nothing can match."""
    states = None if bounds.statuses is None else _states(bounds.statuses, versioned=versioned)
    device_ids = None
    if bounds.devices is not None:
        device_ids = frozenset(device.id for device in devices.list_(call.tx) if device.name in bounds.devices)
    if any(among is not None and not among for among in (states, device_ids, bounds.ids)):
        return None
    return Query(
        device_ids=device_ids,
        states=states,
        created_from=None if bounds.created_from is None else moment(bounds.created_from),
        created_to=None if bounds.created_to is None else moment(bounds.created_to),
        ids=bounds.ids,
    )


def _projects(call: Call) -> frozenset[ProjectId] | None:
    """Return the project that the path names; else those that the caller has not lost, None for all."""
    if "project" in call.path:
        return frozenset({network.place(call).project_id})
    return access.own_projects(call.tx, call.principal)


def _states(statuses: frozenset[str], *, versioned: bool) -> frozenset[State]:
    """Return the states that are shown as one of `statuses` in a presentation that the filter is judged on."""
    return frozenset(
        state
        for state in State
        if str(state) in statuses or (not versioned and str(documents.UNVERSIONED[state]) in statuses)
    )


def moment(milliseconds: int) -> datetime:
    """Return the time of milliseconds since 1970; the nearest there is, for one beyond the calendar."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC) if milliseconds > 0 else datetime(1970, 1, 1, tzinfo=UTC)
