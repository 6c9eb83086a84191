# SPDX-License-Identifier: Apache-2.0
"""Lists of jobs, in both presentations, reduced and full."""

import itertools
from collections.abc import Sequence
from typing import Final

from chandelier.experience import filters, jobs, shelf, texts
from chandelier.experience.documents import Document
from chandelier.experience.shelf import Found
from chandelier.gateway import Call, Json
from chandelier.jobs.records import Job

#: What a full document has beyond the reduced one; left out of lists. Source: traps, further behaviours.
_FULL_ONLY: Final = ("timePerStep", "objectStorageInfo", "ip")
#: Programs and results that one list may carry along, in bytes; clients ask again for what is missing (protocol 8).
CARRIED_BYTES: Final = 32 << 20


def status_versioned(call: Call) -> Json:
    """Return the states of the caller's jobs."""
    return _list(call, versioned=True, whole=False)


def status_unversioned(call: Call) -> Json:
    """Return the states of the caller's jobs as clients before 2020 expect them."""
    return _list(call, versioned=False, whole=False)


def full_versioned(call: Call) -> Json:
    """Return the caller's jobs."""
    return _list(call, versioned=True, whole=True)


def full_unversioned(call: Call) -> Json:
    """Return the caller's jobs with the programs and results of those submitted inline."""
    return _list(call, versioned=False, whole=True)


def _list(call: Call, *, versioned: bool, whole: bool) -> Json:
    wanted = filters.parse(call.query.get("filter"))
    found = shelf.search(call, wanted, versioned=versioned)
    if whole and not versioned:
        found = found[: _carried(found)]
        # A client of early 2019 stops at the first job of another kind, so inline jobs come first (protocol 5.4).
        found.sort(key=lambda entry: entry.job.kind != "q-object")
    if whole and (wanted.include is None or "timePerStep" in wanted.include):
        found = shelf.with_steps(call, found)
    return Json([filters.project(wanted, _document(call, entry, versioned, whole)) for entry in found])


def _carried(found: Sequence[Found]) -> int:
    """Return how many of the first jobs go into one list with their programs and results: at least one."""
    sizes = (_weight(entry.job) for entry in found)
    return max(1, sum(total <= CARRIED_BYTES for total in itertools.accumulate(sizes)))


def _weight(job: Job) -> int:
    if job.kind in {"q-object-external-storage", "runtime"}:
        return 0
    return texts.weight(job) if job.kind == "qasm" else (job.input_bytes or 0) + (job.output_bytes or 0)


def _document(call: Call, found: Found, versioned: bool, whole: bool) -> Document:
    if not whole:
        return {key: value for key, value in found.document.items() if key not in _FULL_ONLY}
    return found.document if versioned else found.document | jobs.inline(call, found.job)
