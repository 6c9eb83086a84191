# SPDX-License-Identifier: Apache-2.0
"""One look at the store for many who follow jobs: what their messages are, and who may not have them (any more).

It knows nothing of sockets, nor of who was told what; that is the business of `watch`.
"""

import logging
from collections.abc import Collection, Mapping, Set
from datetime import datetime
from typing import Any, Final

import msgspec

from chandelier import errors
from chandelier.devices import DeviceId
from chandelier.experience import documents
from chandelier.experience.documents import Facts
from chandelier.gateway import Cloud
from chandelier.jobs import counts, watching
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job, JobId
from chandelier.scheduling.forecast import Forecast
from chandelier.store import Transaction
from chandelier.tenancy import access, members
from chandelier.tenancy.access import Principal
from chandelier.tenancy.members import Departures
from chandelier.tenancy.network import ProjectId

_log = logging.getLogger(__name__)
_encode: Final = msgspec.json.Encoder().encode

#: Close codes. Source: protocol 7.1; 1008 and 1013 are RFC 6455's "policy violation" and "try again later".
FAILED: Final = 4001
JOB_ENDED: Final = 4002
JOB_NOT_FOUND: Final = 4003
POLICY: Final = 1008
CROWDED: Final = 1013

#: Up to so many jobs of one queue are counted one by one; more are found by reading the queue once.
_FEW: Final = 8

#: Jobs that wait together: the places in them are counted together.
Line = tuple[DeviceId, ProjectId]


class Interest(msgspec.Struct, frozen=True):
    """What is wanted of one job: its presentations (versioned or not), and the tokens of those who want it."""

    views: frozenset[bool]
    tokens: frozenset[str]


class Sight(msgspec.Struct, frozen=True):
    """What was seen of one job.

    Attributes:
        refused: The close code for each token that was asked for; None for those whose holder may see the job.
        messages: The status message of each presentation.
        job: The job; None if there is none.
        position: Its 1-based place in its line, if it waits and is not far back.
        overall: Its 1-based place among all that wait for the device, as far as it was foretold.
    """

    refused: Mapping[str, int | None]
    messages: Mapping[bool, bytes] = {}
    job: Job | None = None
    position: int | None = None
    overall: int | None = None


class Survey(msgspec.Struct, frozen=True):
    """What was seen of a part of what is followed.

    Attributes:
        moves: The number of the last move of any job.
        moved: Jobs, followed or not, that moved since the last survey.
        states: Of those of the part that exist.
        tokens: Those of the part that are valid.
        places: 1-based places of queued jobs, of the lines that were asked for.
        overall: 1-based places among all that wait for their device, of those of the part of which it was foretold.
        departures: Another than before if somebody may have lost a job that they follow.
    """

    moves: int
    moved: Collection[str] = ()
    states: Mapping[str, State] = {}
    tokens: Collection[str] = ()
    places: Mapping[str, int] = {}
    overall: Mapping[str, int | None] = {}
    departures: Departures = (0, None)


class Part(msgspec.Struct, frozen=True):
    """What of all that is followed is to be surveyed.

    Attributes:
        lines: Lines whose places are wanted, each with the creation time of the last job that matters.
    """

    ids: Collection[str] = ()
    tokens: Set[str] = frozenset()
    lines: Mapping[Line, datetime] = {}


def survey(cloud: Cloud, part: Part, moves: int | None, now: datetime) -> Survey:
    """Look at a part of what is followed, cheaply, and at which jobs moved at all.

    Args:
        moves: The number of the last move that is known; None at the beginning.

    Raises:
        errors.Unavailable: The database does not answer.
    """
    with cloud.store.database.reading() as tx:
        places: dict[str, int] = {}
        for (device_id, project_id), until in part.lines.items():
            queue = watching.list_queue(tx, device_id, project_id, until)
            places |= {job_id: place for place, job_id in enumerate(queue, 1)}
        latest = watching.latest_move(tx)
        moved = () if moves is None or moves == latest else watching.list_moved(tx, moves, latest)
        states = watching.list_states(tx, part.ids)
        tokens = access.authenticate_all(tx, part.tokens, now).keys()
        forecast = cloud.forecaster.latest() if places else None
        overall = {job_id: _overall(forecast, job_id) for job_id in part.ids if job_id in places}
        return Survey(latest, moved, states, tokens, places, overall, members.departures(tx))


def look(cloud: Cloud, wanted: Mapping[str, Interest], now: datetime) -> dict[str, Sight]:
    """Look at some jobs and return what was seen of each.

    Raises:
        errors.Unavailable: The database does not answer.
    """
    try:
        with cloud.store.database.reading() as tx:
            return _seen(tx, cloud, wanted, now)
    except errors.Unavailable:
        raise
    except Exception:  # noqa: BLE001  # told to whom it concerns, and logged
        if len(wanted) > 1:
            # One job that cannot be shown must not take the news from all the others.
            return {job_id: look(cloud, {job_id: interest}, now)[job_id] for job_id, interest in wanted.items()}
        _log.exception("The status of a job cannot be told")
        return {job_id: Sight(dict.fromkeys(interest.tokens, FAILED)) for job_id, interest in wanted.items()}


def _seen(tx: Transaction, cloud: Cloud, wanted: Mapping[str, Interest], now: datetime) -> dict[str, Sight]:
    tokens = frozenset[str]().union(*(interest.tokens for interest in wanted.values()))
    principals = access.authenticate_all(tx, tokens, now)
    jobs = {job.id: job for job in watching.list_jobs(tx, wanted)}
    positions = _positions(tx, [job for job in jobs.values() if job.state is State.QUEUED])
    forecast, memory = cloud.forecaster.latest() if positions else None, cloud.memory
    sights: dict[str, Sight] = {}
    for job_id, interest in wanted.items():
        job = jobs.get(JobId(job_id))
        refused = {token: _refusal(tx, principals.get(token), job) for token in interest.tokens}
        if job is None:
            sights[job_id] = Sight(refused)
        else:
            position = positions.get(job.id)
            facts = Facts(memory.device(tx, job.device_id), memory.place(tx, job.project_id), position, forecast)
            messages = {view: _message(job, facts, versioned=view) for view in interest.views}
            overall = _overall(forecast, job.id) if position is not None else None
            sights[job_id] = Sight(refused, messages, job, position, overall)
    return sights


def _overall(forecast: Forecast | None, job_id: str) -> int | None:
    expected = None if forecast is None else forecast.course.expected.get(job_id)
    return None if expected is None else expected.overall


def _refusal(tx: Transaction, principal: Principal | None, job: Job | None) -> int | None:
    if principal is None:
        return POLICY
    if job is None or not access.may_read_job(tx, principal, job.user_id, job.project_id, job.share_level):
        return JOB_NOT_FOUND
    return None


def _positions(tx: Transaction, queued: Collection[Job]) -> dict[JobId, int]:
    lines: dict[Line, list[Job]] = {}
    for job in queued:
        lines.setdefault((job.device_id, job.project_id), []).append(job)
    positions: dict[JobId, int] = {}
    for line, waiting in lines.items():
        if len(waiting) <= _FEW:
            ahead = {job.id: counts.ahead(tx, job) for job in waiting}
            positions |= {job_id: count + 1 for job_id, count in ahead.items() if count is not None}
        else:
            queue = watching.list_queue(tx, *line, max(job.created for job in waiting))
            positions |= {job_id: place for place, job_id in enumerate(queue, 1)}
    return positions


def _message(job: Job, facts: Facts, *, versioned: bool) -> bytes:
    document: dict[str, Any] = documents.status(job, facts, versioned=versioned)
    return _encode({"type": "job-status", "data": document})
