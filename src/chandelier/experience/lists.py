# SPDX-License-Identifier: Apache-2.0
"""Lists of jobs, in both presentations, reduced and full."""

from typing import Final

from chandelier.experience import filters, jobs, shelf
from chandelier.experience.documents import Document
from chandelier.gateway import Call, Json

#: What a full document has beyond the reduced one; left out of lists. Source: traps, further behaviours.
_FULL_ONLY: Final = ("timePerStep", "objectStorageInfo")


def status_versioned(call: Call) -> Json:
    """Return the states of the caller's jobs."""
    return _answer(call, [_reduced(found.document) for found in shelf.search(call, versioned=True)])


def status_unversioned(call: Call) -> Json:
    """Return the states of the caller's jobs as clients before 2020 expect them."""
    return _answer(call, [_reduced(found.document) for found in shelf.search(call, versioned=False)])


def full_versioned(call: Call) -> Json:
    """Return the caller's jobs."""
    return _answer(call, [found.document for found in shelf.search(call, versioned=True)])


def full_unversioned(call: Call) -> Json:
    """Return the caller's jobs with the programs and results of those submitted inline."""
    found = shelf.search(call, versioned=False)
    # A client of early 2019 stops at the first job of another kind, so inline jobs come first (protocol 5.4).
    found.sort(key=lambda entry: entry.job.kind != "q-object")
    return _answer(call, [entry.document | jobs.inline(call, entry.job) for entry in found])


def _reduced(document: Document) -> Document:
    return {key: value for key, value in document.items() if key not in _FULL_ONLY}


def _answer(call: Call, found: list[Document]) -> Json:
    wanted = filters.parse(call.query.get("filter"))
    return Json([filters.project(wanted, document) for document in found])
