# SPDX-License-Identifier: Apache-2.0
"""Signed URLs: uploads of programs, downloads of programs and results, without any token.

The URLs are absolute, need no header and mind none, because clients send whatever their session holds (traps 24).
"""

import time
from typing import Literal

from chandelier import errors
from chandelier.gateway import Call, Empty, Encoded, Stored
from chandelier.jobs import outcomes, records
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.store.objects import Kind


def upload_url(call: Call, job: Job) -> str:
    """Return the URL to which the job's program may be uploaded.

    Raises:
        errors.Conflict: The job has its program already.
    """
    if job.state is not State.CREATING:
        raise errors.Conflict(f"Job {job.id} is {job.state}: its program cannot be uploaded any more.", 3251)
    return _url(call, "PUT", "programs", job.id)


def download_url(call: Call, kind: Literal["programs", "results"], name: str) -> str:
    """Return the URL from which an object of a job may be downloaded.

    Args:
        name: The job's id: a URL made before the job was deleted is of no use afterwards.
    """
    return _url(call, "GET", kind, name)


def picture_url(call: Call, job: Job) -> str:
    """Return the URL from which the drawing of a job's text may be downloaded."""
    return _url(call, "GET", "pictures", job.id)


def admit(call: Call) -> Empty:
    """Check that an upload may be sent, before its body is read."""
    _verify(call, "PUT", "programs")
    job = records.get(call.tx, call.path["name"])
    if job.state is not State.CREATING:
        raise errors.Conflict(f"Job {job.id} is {job.state}: its program cannot be uploaded any more.", 3251)
    return Empty()


def upload(call: Call) -> Empty:
    """Keep what was uploaded as the job's program, unless the job was handed over while it arrived."""
    assert call.upload is not None
    admit(call)
    call.upload.keep(call.store.objects.path("programs", call.path["name"]))
    return Empty()


def download_program(call: Call) -> Stored | Encoded:
    """Return a program as it was submitted, or as its texts were made into one."""
    return _download(call, "programs")


def download_result(call: Call) -> Stored | Encoded:
    """Return a result as it was written."""
    return _download(call, "results")


def download_picture(call: Call) -> Stored:
    """Return a drawing as it was made."""
    _verify(call, "GET", "pictures")
    name = records.get(call.tx, call.path["name"]).id
    if not call.store.objects.exists("pictures", name):
        raise errors.NotFound("This object is not stored (any more).", 3252)
    return Stored(call.store.objects.path("pictures", name), "image/png")


def _download(call: Call, kind: Literal["programs", "results"]) -> Stored | Encoded:
    _verify(call, "GET", kind)
    job = records.get(call.tx, call.path["name"])
    name = job.id if kind == "programs" else outcomes.result_of(job)
    kept = outcomes.program_of(job) if kind == "programs" else kind
    found = call.cloud.store.find_object(call.tx, kept, name)
    if found is None:
        raise errors.NotFound("This object is not stored (any more).", 3252)
    return Encoded(found) if isinstance(found, bytes) else Stored(found)


def _verify(call: Call, method: str, kind: str) -> None:
    query = call.query
    call.store.objects.verify(method, kind, call.path["name"], query.get("expires", ""), query.get("signature", ""))


def _url(call: Call, method: Literal["GET", "PUT"], kind: Kind, name: str) -> str:
    expires = int(time.time()) + call.cloud.rules.url_seconds
    query = call.store.objects.sign(method, kind, name, expires)
    return call.url(f"/api/objects/{kind}/{name}?{query}")
