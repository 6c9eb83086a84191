# SPDX-License-Identifier: Apache-2.0
"""Why a job waits, for who sent it and for their administrators."""

from datetime import datetime

from chandelier import errors, figures
from chandelier.experience import documents, shelf
from chandelier.experience.documents import Document
from chandelier.gateway import Call, Json
from chandelier.jobs import records
from chandelier.scheduling import explanation
from chandelier.scheduling.explanation import Estimate, Explanation, Step
from chandelier.store import Transaction
from chandelier.tenancy import access
from chandelier.tenancy.access import Role


def explain(call: Call) -> Json:
    """Say why a job waits; whom it is merely shared with does not learn how its project stands."""
    job = shelf.shown(call)
    if not access.may_read_job(call.tx, call.principal, job.user_id, job.project_id, None):
        raise errors.NotFound("Job not found.", 3250)
    seen = call.cloud.forecaster.fresh()

    def work(tx: Transaction) -> Explanation:
        return explanation.explain(
            tx,
            seen,
            records.get(tx, job.id),
            lambda spot: access.role_at(tx, call.principal, spot) >= Role.MEMBER,
        )

    return Json(document(call.store.read(work)))


def document(found: Explanation) -> Document:
    """Return an explanation; what is not known is left out."""
    told: Document = {
        "jobId": found.job.id,
        "status": str(found.job.state),
        "backend": {"id": found.device.id, "name": found.device.name},
        "date": documents.date(found.at),
        "levels": [_level(step) for step in found.steps],
        "lines": list(found.lines),
    }
    optional = {
        "position": found.position,
        "globalPosition": found.overall,
        "hold": None if found.hold is None else {"kind": found.hold.kind, "text": found.hold.text},
        "estimate": None if found.estimate is None else _estimate(found.estimate),
    }
    known: Document = figures.told(told | {name: value for name, value in optional.items() if value is not None})
    return known


def _level(step: Step) -> Document:
    level: Document = {
        "level": step.level,
        "name": step.name,
        "share": step.share,
        "percent": step.percent,
        "usage": step.usage,
        "priority": step.priority,
        "waiting": step.waiting,
        "first": step.first,
    }
    if step.rival is not None:
        named = {} if step.rival.name is None else {"name": step.rival.name}
        level["rival"] = named | {"reason": step.rival.reason}
    return level


def _estimate(estimate: Estimate) -> Document:
    times: dict[str, datetime | None] = {
        "start": estimate.start,
        "complete": estimate.end,
        "earliest": estimate.earliest,
        "latest": estimate.latest,
    }
    known: Document = {name: documents.date(moment) for name, moment in times.items() if moment is not None}
    if estimate.quality is not None:
        known["quality"] = {"p50": estimate.quality.p50, "p90": estimate.quality.p90}
    return known
