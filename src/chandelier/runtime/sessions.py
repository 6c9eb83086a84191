# SPDX-License-Identifier: Apache-2.0
"""Sessions and batches as today's client opens and closes them. Source: protocol of the Runtime API 5."""

from typing import Literal

import msgspec

from chandelier import errors
from chandelier.gateway import Call, Empty, Json
from chandelier.jobs import sessions
from chandelier.jobs.sessions import Mode, Session
from chandelier.runtime import documents, instances
from chandelier.store import Transaction
from chandelier.tenancy import access
from chandelier.tenancy.access import Available
from chandelier.tenancy.network import Place


class Opening(msgspec.Struct, frozen=True):
    """The body of `POST /sessions`."""

    backend: str
    mode: Literal["dedicated", "batch"] = "dedicated"
    instance: str | None = None
    max_ttl: float | None = None


class Change(msgspec.Struct, frozen=True):
    """The body of `PATCH /sessions/{id}`."""

    accepting_jobs: bool


def create(call: Call) -> Json:
    """Open a session on a device."""
    opening = call.json(Opening)
    home = instances.place(call, opening.instance)
    granted = access.device(call.tx, home, opening.backend)
    made = open_(call, home, granted, opening.mode, opening.max_ttl)
    return Json(_document(call, made))


def open_(call: Call, home: Place, granted: Available, mode: Mode, max_ttl: float | None) -> Session:
    """Open a session of the caller's.

    Raises:
        errors.Invalid: The device is a simulator, or the session would last too long.
    """
    device, who = granted.device, call.principal.user_id
    if device.simulator:
        raise errors.Invalid(f"{device.name} is a simulator: its jobs need no session. Submit them without.", 1001)
    terms = call.cloud.rules.sessions

    def work(tx: Transaction) -> Session:
        access.hold(tx, call.principal, home)
        return sessions.open_(tx, who, home.project_id, device, mode, call.now, terms=terms, max_ttl=max_ttl)

    return call.store.write(work)


def get(call: Call) -> Json:
    """Describe a session."""
    return Json(_document(call, _own(call)))


def change(call: Call) -> Json:
    """Let a session take no more jobs; those that it has go on."""
    wanted, known = call.json(Change), _own(call)
    call.store.write(lambda tx: sessions.stop(tx, known, call.now, accepting=wanted.accepting_jobs))
    return Json(_document(call, sessions.get(call.tx, known.id)))


def close(call: Call) -> Empty:
    """Close a session at once; its jobs that have not begun are cancelled."""
    known = _own(call)
    call.store.write(lambda tx: sessions.close(tx, known, call.now))
    return Empty(204)


def _own(call: Call) -> Session:
    """Return the session that the path names.

    Raises:
        errors.NotFound: It is in another project than the request is about, or somebody else's.
    """
    known = sessions.get(call.tx, call.path["session"])
    elsewhere = instances.named(call) is not None and instances.place(call).project_id != known.project_id
    if elsewhere or not access.may_act_on_job(call.tx, call.principal, known.user_id, known.project_id):
        raise errors.NotFound("Session not found.", 1022)
    return known


def _document(call: Call, known: Session) -> documents.Document:
    memory = call.cloud.memory
    device, home = memory.device(call.tx, known.device_id), memory.place(call.tx, known.project_id)
    standing = sessions.standing(call.tx, known, call.now)
    return documents.session(known, standing, device, instances.crn(home))
