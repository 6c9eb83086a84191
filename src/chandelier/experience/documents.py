# SPDX-License-Identifier: Apache-2.0
"""Records as documents of the Experience API; pure.

A job has two presentations. The versioned one (paths that end in `/v/1`) shows every state as it is and every job as
kept in object storage. The unversioned one, for clients older than it, knows no waiting: a queued job is shown as
running, with an `infoQueue`. Source: protocol 6.2 to 6.4.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from chandelier import figures
from chandelier.devices import Device
from chandelier.jobs import lifecycle
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job, Kind
from chandelier.scheduling.forecast import Forecast
from chandelier.tenancy.access import Available, Principal
from chandelier.tenancy.grants import Limits
from chandelier.tenancy.network import DEFAULT_GROUP, DEFAULT_HUB, DEFAULT_PROJECT, Node, Place, Spot
from chandelier.tenancy.users import Login, User

Document = dict[str, Any]

_EXTERNAL: Final = "q-object-external-storage"
#: What the unversioned presentation calls a state. Source: protocol 6.4, safe mapping.
UNVERSIONED: Final[Mapping[State, State]] = {state: state for state in State} | {
    State.CREATED: State.VALIDATING,
    State.VALIDATED: State.VALIDATING,
    State.QUEUED: State.RUNNING,
}


#: The largest whole number of every client's language.
_ENDLESS: Final = 2**31 - 1
_USER_TYPE: Final[Document] = {
    "type": "Standard",
    "default": True,
    "priority": False,
    "id": "standard",
    "credit": {"credits": _ENDLESS},
    "delete": False,
}


#: Jobs by OpenQASM text are older than the word and have none, and programs of the Runtime API none that the clients
#: know. Source: protocol 5.1 and 6.2.
_KINDS: Final[Mapping[Kind, str | None]] = {
    "q-object": "q-object",
    _EXTERNAL: _EXTERNAL,
    "qasm": None,
    "runtime": None,
}


class Facts(msgspec.Struct, frozen=True):
    """What a job's document tells beyond the job's row.

    Attributes:
        position: 1-based place among the project's queued jobs on the device; only for queued jobs, and not far back.
        forecast: What was foretold last.
        steps: When the job entered each state; empty in lists.
        links: URLs of the job's program, for the `objectStorageInfo`.
        private: Whether the reader is the submitter or an operator, who may see where the job came from.
    """

    device: Device
    place: Place
    position: int | None = None
    forecast: Forecast | None = None
    steps: Sequence[tuple[State, datetime]] = ()
    links: Mapping[str, str] = {}
    private: bool = False


def date(moment: datetime) -> str:
    """Return a time as every client can read it: UTC, milliseconds, `Z`. Source: traps 18."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def login(login: Login) -> Document:
    """Return the answer to a login. Source: protocol 2.1."""
    return {
        "id": login.text,
        "ttl": int(login.lifetime.total_seconds()),
        "created": date(login.created),
        "userId": login.user_id,
    }


def urls(url: Callable[..., str]) -> Document:
    """Return where the faces are, as the account says it.

    Args:
        url: Makes an absolute URL of a path.
    """
    return {"http": url("/api"), "ws": url("/", scheme="ws"), "services": {"runtime": url("/runtime")}}


def me(principal: Principal, urls: Document) -> Document:
    """Return the account document, with exactly the keys that the strictest client allows. Source: protocol 3.2."""
    first, _, last = principal.name.partition(" ")
    return {
        "applications": [],
        "canScheduleBackends": False,
        "email": principal.email,
        "emailVerified": True,
        "firstName": first or None,
        "ibmQNetwork": False,
        "id": principal.user_id,
        "institution": None,
        "iqxPreferences": {},
        "lastName": last or None,
        "loginAccounts": [],
        "needsRefill": False,
        "qNetworkRoles": [],
        "readOnly": False,
        "roles": [],
        "servicesRoles": [],
        "subscriptions": {"updates": 0, "surveys": 0},
        "terms": {},
        "urls": urls,
        "userType": "Standard",
        "username": principal.email,
    }


def me_of_2020(user: User, urls: Document) -> Document:
    """Return the account document in its older and larger form. Source: seed 000, `GET /users/me`."""
    first, _, last = user.name.partition(" ")
    return {
        "firstName": first,
        "lastName": last,
        "userTypeId": _USER_TYPE["id"],
        "institution": "",
        "status": "Active",
        "blocked": "none",
        "subscriptions": {"updates": 0, "surveys": 0},
        "additionalData": {
            "tutorialPagesCompleted": {},
            "tutorialCompleted": False,
            "tutorialVisited": False,
            "termsAndConditions": True,
            "invitation": {"familiarity": "", "description": "", "institution": ""},
        },
        "codesLastVersion": {},
        "creationDate": date(user.created),
        "iqxPreferences": {},
        "emailVerified": True,
        "username": user.email,
        "email": user.email,
        "id": user.id,
        "lastModified": date(user.created),
        "credit": credit(),
        "ibmQNetwork": False,
        "urls": urls,
        "dpl": {"blocked": False, "checked": False, "wordsFound": {}, "results": {}},
        "userType": _USER_TYPE,
        "groups": [],
        "roles": [],
    }


def credit() -> Document:
    """Return the credits of a user: as many as a client can count, since nothing here costs any."""
    return {
        "remaining": _ENDLESS,
        "promotional": 0,
        "promotionalCodesUsed": [],
        "maxUserType": _ENDLESS,
    }


def hubs(
    places: Sequence[Place], devices: Mapping[str, Sequence[Available]], administered: Iterable[Spot] = ()
) -> list[Document]:
    """Return the caller's tree, the default first: groups and projects by name, in order. Source: protocol 3.3.

    Args:
        devices: The devices of each project, by project id.
        administered: Hubs and groups that are there besides, in order.
    """
    tree: dict[str, Document] = {}
    for place in places:
        above = tree.setdefault(place.hub.id, hub(place.hub))
        group = above["groups"].setdefault(place.group.name, node(Spot(place.hub, place.group)) | {"projects": {}})
        group["projects"][place.project.name] = _project(place, devices.get(place.project_id, ()))
    for spot in administered:
        above = tree.setdefault(spot.hub.id, hub(spot.hub))
        if spot.group is not None:
            above["groups"].setdefault(spot.group.name, node(spot) | {"projects": {}})
    return list(tree.values())


def hub(hub: Node) -> Document:
    """Return a hub, without what is in it. Source: protocol 3.3."""
    return node(Spot(hub)) | {
        "private": False,
        "licenseNotRequired": True,
        "analytics": False,
        "class": "Open" if hub.name == DEFAULT_HUB else "Standard",
        "id": hub.id,
        "groups": {},
    }


def _project(place: Place, devices: Sequence[Available]) -> Document:
    shares = {
        entry.device.id: {
            "priority": entry.priority,
            "name": entry.device.name,
            "deleted": False,
            "configuration": capabilities(entry.limits),
            "specificConfiguration": {},
        }
        for entry in devices
    }
    return node(place.spot) | {"devices": shares}


def capabilities(limits: Limits) -> Document:
    """Return limits of a device in the words of the hub's administrators, without those that are not set.

    Source: seed 001, `configurationDetails`, and protocol 3.3.
    """
    named = {
        "openPulse": limits.open_pulse,
        "maxExperiments": limits.max_experiments,
        "maxShots": limits.max_shots,
        "pulseQubits": limits.pulse_qubits,
        "pulseChannels": limits.pulse_channels,
    }
    known = {name: value for name, value in named.items() if value is not None}
    document: Document = {"capabilities": known} if known else {}
    own = {"limit": limits.max_running, "maxPending": limits.max_pending}
    return document | {name: value for name, value in own.items() if value is not None}


def node(spot: Spot) -> Document:
    """Return what hubs, groups and projects have in common. Source: protocol 3.3."""
    known = spot.node
    return {
        "name": known.name,
        "title": known.title,
        "description": known.description,
        "creationDate": date(known.created),
        "deleted": known.deleted is not None,
        "isDefault": spot.path.split("/") == [DEFAULT_HUB, DEFAULT_GROUP, DEFAULT_PROJECT][: len(spot.way)],
        "priority": known.priority,
    }


def queue_status(device: Device, length: int) -> Document:
    """Return whether a device is operational and how many wait. Source: protocol 4.2.

    Clients show `status` only, so it has the message too; one that is active says just that, for they compare it.
    """
    state, message = device.status, device.remark
    return {
        "state": device.conduct.offered,
        "status": state if state == "active" or not message else f"{state}: {message}",
        "message": message,
        "lengthQueue": length,
        "backend_version": device.version,
        "busy": length > 0,
    }


def status(job: Job, facts: Facts, *, versioned: bool) -> Document:
    """Return the reduced view of a job, for status calls and lists. Source: protocol 5.3 and 6.3."""
    document = {
        "id": job.id,
        "status": str(job.state if versioned else UNVERSIONED[job.state]),
        "creationDate": date(job.created),
        "backend": {"id": facts.device.id, "name": facts.device.name},
        "hubInfo": _hub_info(facts.place),
        "runMode": job.run_mode or "fairshare",
        "userId": job.user_id,
        "tags": list(job.tags),
        "liveDataEnabled": job.live_data,
    }
    optional = {
        "kind": _EXTERNAL if versioned else _KINDS[job.kind],
        "name": job.name,
        "shareLevel": job.share_level,
        "experimentTag": job.experiment_tag,
        "endDate": date(job.ended) if job.ended else None,
        "infoQueue": _info_queue(job, facts),
        "clientInfo": _client_info(job),
        "error": _error(job),
    }
    return document | {key: value for key, value in optional.items() if value is not None}


def full(job: Job, facts: Facts, *, versioned: bool) -> Document:
    """Return everything about a job but its program and its result. Source: protocol 6.3 and seed 000, `/jobs`."""
    document = status(job, facts, versioned=versioned) | {
        "allowObjectStorage": True,
        "summaryData": _summary(job),
        "cost": job.cost or 0.0,
        "timePerStep": time_per_step(facts.steps),
        "objectStorageInfo": {"jobId": job.id, **facts.links},
        "deleted": False,
        "codeId": job.code_id or "",
    }
    if job.shots is not None:
        document["shots"] = job.shots
    if facts.private:
        document["ip"] = {"ip": job.address, "city": "", "country": "", "continent": ""}
    return document


def time_per_step(steps: Iterable[tuple[State, datetime]]) -> Document:
    """Return when a job entered each state; of a state that it entered several times, the last time."""
    return {str(state): date(moment) for state, moment in steps}


def execution_id(job: Job, index: int = 0) -> str:
    """Return the id of one program of a job. Source: seed 000, `executionId`."""
    return f"{job.id}-{index}"


#: What became of a program, by the state of its job; other states are work in progress. Source: protocol 6.1.
_EXECUTIONS: Final[Mapping[State, str]] = {State.COMPLETED: "DONE", State.CANCELLED: "CANCELLED"} | {
    state: str(state) for state in lifecycle.FAILED
}


def execution_status(job: Job) -> str:
    """Return what became of the programs of a job. Source: protocol 6.1, per-program status."""
    return _EXECUTIONS.get(job.state, "WORKING_IN_PROGRESS")


def _hub_info(place: Place) -> Document:
    levels = {"hub": place.hub, "group": place.group, "project": place.project}
    return {level: {"name": node.name, "priority": node.priority} for level, node in levels.items()}


def _info_queue(job: Job, facts: Facts) -> Document | None:
    """Return how a job waits; what is not known is left out. Source: protocol 6.3."""
    if job.state is not State.QUEUED:
        return None
    info: Document = {"status": "PENDING_IN_QUEUE"}
    if facts.position is not None:
        info["position"] = facts.position
    return info if facts.forecast is None else info | figures.told(_foretold(job, facts, facts.forecast))


def _foretold(job: Job, facts: Facts, forecast: Forecast) -> Document:
    document: Document = {}
    for level, node in zip(("hub", "group", "project"), facts.place.spot.way, strict=True):
        standing = forecast.standings.get((job.device_id, node.id))
        if standing is not None:
            document[f"{level}Priority"] = standing.fairness
    quality = forecast.qualities.get(job.device_id)
    if quality is not None:
        document["estimateQuality"] = {"p50": quality.p50, "p90": quality.p90}
    ahead = None if facts.position is None else facts.position - 1
    expected = forecast.of(job.id, job.device_id, job.project_id, ahead, job.estimate)
    if expected is None:
        return document
    if expected.overall is not None:
        # Of the own project it may be known better by now how many are before it.
        document["globalPosition"] = max(expected.overall, facts.position or 1)
    if expected.start is not None and expected.end is not None:
        start = max(expected.start, forecast.at.timestamp())
        document["estimatedStartTime"] = date(datetime.fromtimestamp(start, UTC))
        document["estimatedCompleteTime"] = date(datetime.fromtimestamp(start + expected.end - expected.start, UTC))
    return document


def _client_info(job: Job) -> Document | None:
    # A client whose name begins so splits the version at commas, and fails without one (traps 26).
    if job.client is None or ((job.client["name"] or "").startswith("qiskit") and not job.client["version"]):
        return None
    return dict(job.client)


def _error(job: Job) -> Document | None:
    # Present on failed jobs only: clients take any `error` key, even null, for a failure (traps 3).
    if job.state not in lifecycle.FAILED:
        return None
    # Clients put a full stop behind the message themselves.
    return {"code": job.error_code or 8021, "message": (job.error_message or "The job failed").removesuffix(".")}


def _summary(job: Job) -> Document:
    size = {"input": job.input_bytes, "output": job.output_bytes}
    document: Document = {"size": {key: value for key, value in size.items() if value is not None}}
    if job.state in lifecycle.FINAL:
        document["success"] = job.state is State.COMPLETED
    if job.seconds is not None:
        document["resultTime"] = job.seconds
    if job.summary is not None:
        document["summary"] = {
            "max_qubits_used": job.summary["qubits"],
            "gates_executed": job.summary["gates"],
            "qobj_config": {
                "n_qubits": job.summary["n_qubits"],
                "max_credits": job.summary.get("max_credits", 0),
                "rep_delay": job.summary.get("rep_delay", 0.0),
                "memory_slots": job.summary["memory_slots"],
                "memory": job.summary["memory"],
                "shots": job.summary["shots"],
                "type": job.summary["kind"],
                "cost": job.summary["device_seconds"],
            },
            "num_circuits": job.summary["experiments"],
            "partial_validation": False,
        }
    return document
