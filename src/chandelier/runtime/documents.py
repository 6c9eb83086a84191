# SPDX-License-Identifier: Apache-2.0
"""Records as documents of the Runtime API; pure. Source: protocol of the Runtime API 5 and 6."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from chandelier import devices
from chandelier.devices import Device
from chandelier.jobs import lifecycle
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.jobs.sessions import Session, Standing
from chandelier.tenancy.grants import Limits
from chandelier.tenancy.network import Place

Document = dict[str, Any]

#: What the states are called; any other word would never count as final.
STATES: Final[Mapping[State, str]] = (
    dict.fromkeys(lifecycle.ACTIVE - {State.RUNNING}, "Queued")
    | dict.fromkeys(lifecycle.FAILED, "Failed")
    | {State.RUNNING: "Running", State.COMPLETED: "Completed", State.CANCELLED: "Cancelled"}
)
#: Jobs that are no programs of the Runtime API are shown as this one, whose result is of the same form.
RUNNER: Final = "circuit-runner"
#: Failures of jobs that were stopped because they ran too long, and the reason by which clients know it.
_RAN_TOO_LONG: Final = frozenset({8023, 8026})
_TOO_LONG_CODE: Final = 1305

#: What circuits may hold besides gates, and a configuration describe as one.
_BESIDES: Final = frozenset({"measure", "reset", "delay"})
#: Loops and choices, as Qiskit calls them.
CONTROL_FLOW: Final = ("if_else", "while_loop", "for_loop", "switch_case")
_DYNAMIC: Final = ("qasm3", "dynamic_circuits")
#: How gates are described that stand for others: parameters, then a definition in OpenQASM 2.
_DEFINITIONS: Final[Mapping[str, tuple[list[str], str]]] = {
    "rz": (["theta"], "gate rz(theta) q { U(0, 0, theta) q; }"),
    "sx": ([], "gate sx q { U(pi/2, 3*pi/2, pi/2) q; }"),
    "x": ([], "gate x q { U(pi, 0, pi) q; }"),
}
#: The gates that Qiskit knows by these names; of any other a client makes no target.
#: Source: qiskit 2.6.2, `get_standard_gate_name_mapping`.
KNOWN_GATES: Final = frozenset(
    (
        *("c3sx", "ccx", "ccz", "ch", "cp", "crx", "cry", "crz", "cs", "csdg", "cswap", "csx", "cu"),
        *("cu1", "cu3", "cx", "cy", "cz", "dcx", "ecr", "h", "id", "iswap", "p", "r", "rcccx", "rccx"),
        *("rx", "rxx", "ry", "ryy", "rz", "rzx", "rzz", "s", "sdg", "swap", "sx", "sxdg", "t", "tdg", "u"),
        *("u1", "u2", "u3", "x", "xx_minus_yy", "xx_plus_yy", "y", "z"),
    )
)


def date(moment: datetime) -> str:
    """Return a time: UTC, milliseconds, `Z`."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def listed(device: Device, length: int) -> Document:
    """Return a device as it stands in the list; clients choose the least busy of those that are `online`."""
    name = "online" if device.status == "active" else device.status
    status = {"name": name} | ({"reason": device.remark} if device.remark else {})
    return {
        "name": device.name,
        "status": status,
        "is_simulator": device.simulator,
        "qubits": device.qubits,
        "queue_length": length,
    }


def status(device: Device, length: int) -> Document:
    """Return whether a device is operational and how many wait; clients warn of one whose status is not `active`."""
    return {
        "state": device.conduct.offered,
        "status": device.status,
        "message": device.remark,
        "length_queue": length,
        "backend_version": device.version,
    }


def configuration(known: Mapping[str, Any], limits: Limits) -> Document:
    """Return a configuration as today's client takes it: gates that it knows, loops and choices where they work.

    Args:
        known: As the former API has it.
        limits: What the project may do with the device.
    """
    others = _successors(known)
    basis = [name for name in (*known["basis_gates"], *others) if name in KNOWN_GATES]
    described = [gate for gate in known["gates"] if gate["name"] in KNOWN_GATES | _BESIDES]
    dynamic = is_dynamic(known)
    document = {
        **known,
        "basis_gates": basis,
        "gates": described + [_described(new, old, described) for new, old in others.items()],
        "supported_instructions": list(dict.fromkeys((*basis, *_besides(known), *(CONTROL_FLOW if dynamic else ())))),
        "supported_features": ["qobj", *(_DYNAMIC if dynamic else ())],
        "open_pulse": bool(known["open_pulse"]) and limits.open_pulse is not False,
        "max_shots": _least(known["max_shots"], limits.max_shots),
        "max_experiments": _least(known["max_experiments"], limits.max_experiments),
    }
    # What is described there is no instruction that a circuit may hold here.
    document.pop("instruction_signatures", None)
    return document


def properties(known: Mapping[str, Any], measured: Mapping[str, Any]) -> Document:
    """Return properties, also of the gates that stand for others.

    Args:
        known: The configuration, as the former API has it.
        measured: The properties, in the same way.
    """
    others = {old: new for new, old in _successors(known).items()}
    if not others or not measured:
        return dict(measured)
    added = [
        {**gate, "gate": others[gate["gate"]], "name": gate["name"].replace(gate["gate"], others[gate["gate"]], 1)}
        for gate in measured["gates"]
        if gate["gate"] in others
    ]
    return {**measured, "gates": [*measured["gates"], *added]}


def is_dynamic(known: Mapping[str, Any]) -> bool:
    """Tell whether a device takes loops and choices: if it goes on with a qubit after it was measured."""
    supported = known.get("supported_instructions") or ()
    return bool(known["simulator"] or known["conditional"] or known.get("multi_meas_enabled") or "if_else" in supported)


def _successors(known: Mapping[str, Any]) -> Mapping[str, str]:
    """Return gates that stand for others, where today's client would find too few."""
    basis = set(known["basis_gates"])
    old = basis >= set(devices.SUCCESSORS.values()) and not basis & devices.SUCCESSORS.keys()
    return devices.SUCCESSORS if old and not known["simulator"] else {}


def _described(name: str, old: str, gates: Iterable[Document]) -> Document:
    """Return how a gate is described that stands for another: it is where that one is."""
    parameters, definition = _DEFINITIONS[name]
    places = [gate["coupling_map"] for gate in gates if gate["name"] == old and "coupling_map" in gate]
    document: Document = {"name": name, "parameters": parameters, "qasm_def": definition}
    return document | ({"coupling_map": places[0]} if places else {})


def _besides(known: Mapping[str, Any]) -> list[str]:
    """Return what circuits may hold besides gates; without `dt` a delay would have no length."""
    supported, simulator = known.get("supported_instructions") or (), known["simulator"]
    found = ["measure"]
    if simulator or "reset" in supported or "reset" in known["basis_gates"]:
        found.append("reset")
    if simulator or (known.get("dt") and (not supported or "delay" in supported)):
        found.append("delay")
    return found


def _least(own: int, granted: int | None) -> int:
    return own if granted is None else min(own, granted)


def job(job: Job, device: Device, place: Place) -> Document:
    """Return a job, without its parameters."""
    state = STATES[job.state]
    if job.error_code in _RAN_TOO_LONG:
        state = STATES[State.CANCELLED]
    document: Document = {
        "id": job.id,
        "backend": device.name,
        "hub": place.hub.name,
        "group": place.group.name,
        "project": place.project.name,
        "user_id": job.user_id,
        "created": date(job.created),
        "program": {"id": job.program or RUNNER},
        "status": state,
        "state": {"status": state} | _reason(job),
        "tags": list(job.tags),
        "private": job.private,
    }
    optional = {
        "ended": None if job.ended is None else date(job.ended),
        "session_id": job.session_id,
        "cost": job.most_seconds,
        "estimated_running_time_seconds": job.estimate,
    }
    return document | {name: value for name, value in optional.items() if value is not None}


def _reason(job: Job) -> Document:
    """Return why a job failed, or ended without a result; clients put a full stop behind it themselves."""
    if job.error_message is None:
        return {}
    code = _TOO_LONG_CODE if job.error_code in _RAN_TOO_LONG else job.error_code
    return {"reason": reason(job)} | ({} if code is None else {"reason_code": code, "reasonCode": code})


def reason(job: Job) -> str:
    """Return why a job has no result, in a sentence."""
    return (job.error_message or "").removesuffix(".")


def metrics(job: Job, place: int | None, begins: float | None, ends: float | None) -> Document:
    """Return when a job did what and for how long it kept its device.

    Args:
        place: Its 1-based place among its project's jobs that wait for the device.
        begins: When it is expected to begin, s since 1970.
        ends: When it is expected to end.
    """
    seconds = job.cost or 0.0
    times = {"created": job.created, "running": job.started, "finished": job.ended}
    document: Document = {
        "timestamps": {name: None if moment is None else date(moment) for name, moment in times.items()},
        "usage": {
            # Until then clients take the usage for unknown.
            "status": "pending" if job.ended is None else "done",
            "qpu_charge_time_seconds": seconds,
            "quantum_seconds": seconds,
            "seconds": job.seconds or 0.0,
        },
    }
    optional = {
        "position_in_queue": place,
        "estimated_start_time": None if begins is None else date(datetime.fromtimestamp(begins, UTC)),
        "estimated_completion_time": None if ends is None else date(datetime.fromtimestamp(ends, UTC)),
    }
    return document | {name: value for name, value in optional.items() if value is not None}


def session(known: Session, standing: Standing, device: Device, crn: str) -> Document:
    """Return a session as it is now."""
    marks: list[tuple[str, datetime]] = [("open", known.created)]
    for start, end in standing.held:
        marks += [("active", start), ("inactive", end)]
    if standing.phase == "active":
        marks.pop()
    if standing.closed is not None:
        marks.append(("closed", standing.closed))
    times = {
        "started_at": known.created,
        "activated_at": standing.activated,
        "closed_at": standing.closed,
        "last_job_started": standing.last_started,
        "last_job_completed": standing.last_completed,
    }
    return {
        "id": known.id,
        "backend_name": device.name,
        "instance": crn,
        "mode": known.mode,
        "state": standing.phase,
        "accepting_jobs": standing.accepting,
        "interactive_ttl": known.interactive_ttl,
        "max_ttl": known.max_ttl,
        "active_ttl": known.max_ttl,
        "elapsed_time": standing.elapsed,
        "timestamps": _timestamps(marks),
        **{name: None if moment is None else date(moment) for name, moment in times.items()},
    }


def _timestamps(marks: Sequence[tuple[str, datetime]]) -> list[Document]:
    return [{"status": status, "timestamp": date(moment)} for status, moment in marks]


def jobs(page: Iterable[Document], count: int, *, limit: int, offset: int) -> Document:
    """Return a page of jobs; clients ask on until they have `count`."""
    return {"jobs": list(page), "count": count, "limit": limit, "offset": offset}
