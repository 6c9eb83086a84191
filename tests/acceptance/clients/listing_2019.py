# SPDX-License-Identifier: Apache-2.0
"""List jobs in the ways that the client of early 2020 offers; device, tag and two moments are arguments; Python 3.7."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import Any

from account import enable
from early import report


def ids(jobs: list[Any]) -> list[str]:
    """Return the ids of jobs in their order."""
    return [job.job_id() for job in jobs]


provider = enable()
device, tag = provider.get_backend(sys.argv[3]), sys.argv[4]
# This client sends moments as they are, without an offset; the server takes them for UTC.
start, end = (datetime.fromisoformat(moment) for moment in sys.argv[5:7])
tagged: dict[str, Any] = {"job_tags": [tag], "limit": None}
both: dict[str, Any] = {"job_tags": [tag, "even"], "job_tags_operator": "AND"}
inline = device.jobs(status="DONE", **tagged)[-1]
listed = device.jobs(limit=7, job_tags=[tag])
report(
    provider,
    all=ids(device.jobs(**tagged)),
    limited=ids(listed),
    default=len(device.jobs(job_tags=[tag])),
    skipped=ids(device.jobs(limit=7, skip=3, job_tags=[tag])),
    both_tags=ids(device.jobs(**both, limit=None)),
    either_tag=ids(device.jobs(limit=None, job_tags=["even", "third"], job_tags_operator="OR")),
    by_status={
        status: ids(device.jobs(status=status, **tagged))
        for status in ("INITIALIZING", "VALIDATING", "QUEUED", "RUNNING", "DONE", "CANCELLED", "ERROR")
    },
    several_states=ids(device.jobs(status=["QUEUED", "RUNNING", "DONE"], **tagged)),
    named=ids(device.jobs(job_name="^batch-1[0-4]$", **tagged)),
    between=ids(device.jobs(start_datetime=start, end_datetime=end, **tagged)),
    since=ids(device.jobs(start_datetime=start, **tagged)),
    until=ids(device.jobs(end_datetime=end, **tagged)),
    later=ids(device.jobs(start_datetime=end + timedelta(days=1), **tagged)),
    filtered=ids(device.jobs(db_filter={"hubInfo.hub.name": "ibm-q", "name": {"inq": ["batch-3"]}}, **tagged)),
    odd=ids(device.jobs(**both, limit=3, db_filter={"and": [{"neq": "2020-01-01"}]})),
    elsewhere=ids(provider.get_backend("ibm_lagos").jobs(**tagged)),
    everywhere=ids(provider.backends.jobs(**tagged)),
    active=ids(device.active_jobs(limit=5)),
    kind=inline.kind.value,
    counts=inline.result().get_counts(),
    program=inline.qobj().experiments[0].header.name,
    names=[job.name() for job in listed],
    tags=[sorted(job.tags()) for job in listed],
    created=[job.creation_date() for job in listed],
)
