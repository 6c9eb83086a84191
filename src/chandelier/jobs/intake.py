# SPDX-License-Identifier: Apache-2.0
"""From a request to a job that waits: the way in, in one step (inline) or in two (by upload).

Only the program's envelope is looked at here. Whatever is wrong inside the program becomes the outcome of the job, when
a worker has opened it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec

from chandelier import devices, errors
from chandelier.devices import Device
from chandelier.formats import qobj, texts
from chandelier.jobs import codes, finding, pending, records, sessions
from chandelier.jobs.finding import Query
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Draft, Job, JobId, Kind
from chandelier.store import Store, Transaction, parcels
from chandelier.tenancy import access, network
from chandelier.tenancy.access import Principal
from chandelier.tenancy.network import Place

#: The programs of the Runtime API that a worker can run.
PROGRAMS: Final = frozenset(
    {"calibrate", "circuit-runner", "estimator", "executor", "noise-learner", "qasm3-runner", "sampler"}
)
#: The states that a job enters when its program has arrived.
_HANDED_OVER: Final = (State.CREATED, State.VALIDATING)
#: The states of a job whose program came along.
_TAKEN: Final = (State.CREATING, *_HANDED_OVER)
#: The states through which a job has gone when it is submitted, by the last of them.
STEPS: Final = {steps[-1]: steps for steps in ((State.CREATING,), _TAKEN)}


class Limits(msgspec.Struct, frozen=True):
    """What may be submitted.

    Attributes:
        program_bytes: Largest program.
        pending_jobs: Jobs that one user may have waiting or running on one device; -1 for any number.
    """

    program_bytes: int
    pending_jobs: int


class Asked(msgspec.Struct, frozen=True):
    """Programs by OpenQASM text, as a request asks for them.

    Attributes:
        qasms: JSON list of the programs.
        shots: Repetitions of each, where they do not say themselves.
        seed: For the programs that have none of their own; one client sends digits.
        max_credits: Most credits that the job may cost, which here is repeated and no more.
    """

    qasms: bytes
    shots: int | None = None
    seed: int | str | None = None
    max_credits: int | None = None


def submit(
    store: Store,
    principal: Principal,
    place: Place,
    device: Device,
    program: bytes,
    *,
    draft: Draft,
    limits: Limits,
    now: datetime,
    shots: int | None = None,
) -> Job:
    """Take a program that came with the request; the answer is a promise that it will be run.

    Args:
        shots: What the request says beside the program; counts only where the program itself says nothing.

    Raises:
        errors.Invalid: The envelope of the program is not that of a Qobj.
        errors.TooLarge: The program is over the size limit.
        errors.Conflict: The device takes no new jobs.
        errors.LimitReached: The user has too many jobs on the device.
        errors.NotFound: The place is not the caller's any more, or deleted.
    """
    devices.check_taking(device)
    check_size(len(program), limits)
    envelope = qobj.decode_envelope(program)
    if envelope.config.shots is None and shots is not None:
        program = _with_shots(program, shots)
        envelope = qobj.decode_envelope(program)
    job_id = records.new_id()

    def work(tx: Transaction) -> Job:
        facts = {"job_id": job_id, "steps": _TAKEN} | _known(envelope, program)
        return _create(tx, principal, place, device, now, kind="q-object", draft=draft, limits=limits, facts=facts)

    return _keep(store, job_id, program, work)


def submit_texts(
    store: Store,
    principal: Principal,
    place: Place,
    device: Device,
    asked: Asked,
    *,
    draft: Draft,
    limits: Limits,
    now: datetime,
    code: codes.Draft | None = None,
) -> Job:
    """Take programs by OpenQASM text that came with the request; the answer is a promise that they will be run.

    Args:
        code: What to keep the text as, for clients that look it up again.

    Raises:
        errors.Invalid: They are not as documented, or have more qubits than the device: one client knows that only
            as an answer to its request.
        errors.TooLarge: The programs are over the size limit.
        errors.Conflict: The device takes no new jobs.
        errors.LimitReached: The user has too many jobs on the device.
        errors.NotFound: The place is not the caller's any more, or deleted.
    """
    devices.check_taking(device)
    check_size(len(asked.qasms), limits)
    gathered = texts.gather(asked.qasms, asked.shots, asked.seed, asked.max_credits)
    if any(texts.exceeds(text.qasm, device.qubits) for text in gathered.qasms):
        raise errors.Invalid(texts.too_wide(device.name, device.qubits), 8005)
    program = texts.encode(gathered)
    job_id = records.new_id()

    facts = {"job_id": job_id, "steps": _TAKEN, "input_bytes": len(program), "shots": gathered.shots}

    def work(tx: Transaction) -> Job:
        return _create(
            tx, principal, place, device, now, kind="qasm", draft=draft, limits=limits, facts=facts, code=code
        )

    return _keep(store, job_id, program, work)


def _keep(store: Store, job_id: JobId, program: bytes, work: Callable[[Transaction], Job]) -> Job:
    """Store a program with its job's row, or, if it is large, before it."""

    def whole(tx: Transaction) -> Job:
        job = work(tx)
        parcels.put(tx, "programs", job_id, program)
        return job

    if len(program) <= parcels.MOST:
        return store.write(whole)
    store.objects.put("programs", job_id, program)
    try:
        return store.write(work)
    except (errors.LimitReached, errors.NotFound, errors.Conflict):
        # Only here is it certain that no row was committed.
        store.objects.delete("programs", job_id)
        raise


def open_(
    tx: Transaction,
    principal: Principal,
    place: Place,
    device: Device,
    *,
    draft: Draft,
    limits: Limits,
    now: datetime,
) -> Job:
    """Begin a job whose program will be uploaded.

    Raises:
        errors.Conflict: The device takes no new jobs.
        errors.LimitReached: The user has too many jobs on the device.
        errors.NotFound: The place is not the caller's any more, or deleted.
    """
    devices.check_taking(device)
    return _create(tx, principal, place, device, now, kind="q-object-external-storage", draft=draft, limits=limits)


def _create(
    tx: Transaction,
    principal: Principal,
    place: Place,
    device: Device,
    now: datetime,
    *,
    kind: Kind,
    draft: Draft,
    limits: Limits,
    facts: Mapping[str, Any] = MappingProxyType({}),
    code: codes.Draft | None = None,
) -> Job:
    """Add a job, if its submitter may (still) use the place and has not too many.

    Args:
        facts: What `records.create` is to know besides.
        code: What to keep the text as.
    """
    access.hold(tx, principal, place)
    pending.check(tx, principal.user_id, place, device, limits.pending_jobs)
    if code is not None:
        draft = msgspec.structs.replace(draft, code_id=codes.create(tx, principal.user_id, code, now).id)
    return records.create(
        tx,
        principal.user_id,
        place.project_id,
        device.id,
        now,
        kind=kind,
        calibration=device.calibration,
        draft=draft,
        **facts,
    )


def accept(store: Store, job: Job, now: datetime) -> Job:
    """Take the program that was uploaded; a repeated call returns the job as it is.

    Raises:
        errors.Conflict: Nothing was uploaded, or the job was cancelled.
        errors.NotFound: The project is deleted, or not the submitter's any more.
        errors.Invalid: The envelope of the program is not that of a Qobj; another one may be uploaded.
    """
    if job.state is State.CANCELLED:
        raise errors.Conflict(f"Job {job.id} was cancelled.", 3251)
    if job.state is not State.CREATING:
        return job
    if not store.objects.exists("programs", job.id):
        raise errors.Conflict("Nothing was uploaded for this job. PUT the program to its upload URL.", 3253)
    program = store.objects.read("programs", job.id)
    envelope = qobj.decode_envelope(program)

    def work(tx: Transaction) -> Job:
        access.hold(tx, access.of_user(tx, job.user_id), network.get(tx, job.project_id))
        records.advance(tx, job.id, _HANDED_OVER, max(now, job.created), **_known(envelope, program))
        return records.get(tx, job.id)

    try:
        return store.write(work)
    except errors.Conflict:  # the same call, or a cancellation, was quicker: never CREATING again
        return accept(store, store.read(lambda tx: records.get(tx, job.id)), now)


def abandon(tx: Transaction, created_before: datetime, now: datetime) -> int:
    """End jobs whose program was never uploaded, and cannot be any more; return how many."""
    query = Query(states=frozenset({State.CREATING}), created_to=created_before, ascending=True, limit=1000)
    waiting = finding.find(tx, query).jobs
    for job in waiting:
        message = "The program was not uploaded while its upload URL was valid."
        records.advance(tx, job.id, (State.ERROR_CREATING_JOB,), now, error_code=3253, error_message=message)
    return len(waiting)


def check_size(size: int, limits: Limits) -> None:
    """Refuse a program over the size limit.

    Raises:
        errors.TooLarge: It is.
    """
    if size > limits.program_bytes:
        raise errors.TooLarge(
            f"The program has {size} bytes; at most {limits.program_bytes} are accepted. Split the job into several.",
            1006,
        )


def _known(envelope: qobj.Envelope, program: bytes) -> dict[str, Any]:
    """Return what is known of a program before a worker opens it."""
    return {"input_bytes": len(program), "shots": envelope.config.shots or qobj.DEFAULT_SHOTS}


def _with_shots(program: bytes, shots: int) -> bytes:
    """Write into a program the number of shots that stood beside it."""
    members = msgspec.json.decode(program, type=dict[str, msgspec.Raw])
    known = bytes(members.get("config", b"null"))
    config = {} if known == b"null" else msgspec.json.decode(known, type=dict[str, msgspec.Raw])
    config["shots"] = msgspec.Raw(msgspec.json.encode(shots))
    return msgspec.json.encode(members | {"config": config})


class Order(msgspec.Struct, frozen=True):
    """A program of the Runtime API, as a request asks for it.

    Attributes:
        program_id: One of `PROGRAMS`.
        params: Its parameters, a JSON object, which only a worker's child opens.
        session_id: The session in which it is to run.
        most_seconds: For how long it may occupy the device at most, s.
        private: Show its parameters to nobody, and its result to nobody but the submitter and operators.
        calibration: Digest of the device's documents to run it with; the newest if None.
    """

    program_id: str
    params: bytes
    session_id: str | None = None
    most_seconds: float | None = None
    private: bool = False
    calibration: str | None = None


def check_order(device: Device, order: Order, limits: Limits) -> None:
    """Refuse what could not be taken whoever asks.

    Raises:
        errors.Invalid: The parameters are no object.
        errors.NotFound: There is no such program.
        errors.TooLarge: The parameters are over the size limit.
        errors.Conflict: The device takes no new jobs.
    """
    if order.program_id not in PROGRAMS:
        known = ", ".join(sorted(PROGRAMS))
        raise errors.NotFound(f"There is no program {order.program_id[:80]!r}; there are {known}.", 1020)
    devices.check_taking(device)
    check_size(len(order.params), limits)
    if not order.params.startswith(b"{"):
        raise errors.Invalid("The `params` of a program are an object.", 1001)


def submit_params(
    store: Store,
    principal: Principal,
    place: Place,
    device: Device,
    order: Order,
    *,
    draft: Draft,
    limits: Limits,
    now: datetime,
) -> Job:
    """Take a program of the Runtime API with its parameters; the answer is a promise that it will be run.

    Raises:
        errors.Invalid: The parameters are no object.
        errors.NotFound: There is no such program or session, or the place is not the caller's any more, or deleted.
        errors.TooLarge: The parameters are over the size limit.
        errors.Conflict: The device takes no new jobs, or the session does not.
        errors.LimitReached: The user has too many jobs on the device.
    """
    check_order(device, order, limits)
    job_id = records.new_id()
    facts: dict[str, Any] = {
        "job_id": job_id,
        "steps": _TAKEN,
        "input_bytes": len(order.params),
        "program": order.program_id,
        "session_id": order.session_id,
        "most_seconds": order.most_seconds,
        "private": order.private,
        "pinned": order.calibration is not None,
    }
    calibrated = msgspec.structs.replace(device, calibration=order.calibration or device.calibration)

    def work(tx: Transaction) -> Job:
        if order.session_id is not None:
            sessions.check(tx, order.session_id, principal.user_id, place.project_id, device, now)
        return _create(tx, principal, place, calibrated, now, kind="runtime", draft=draft, limits=limits, facts=facts)

    return _keep(store, job_id, order.params, work)
