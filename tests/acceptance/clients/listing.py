# SPDX-License-Identifier: Apache-2.0
"""List jobs in the ways that the client offers; the device and the tag to ask for are arguments."""

import sys
from datetime import datetime, timedelta
from typing import Any

from account import enable, report


def ids(jobs: list[Any]) -> list[str]:
    """Return the ids of jobs in their order."""
    return [job.job_id() for job in jobs]


provider = enable()
device, tag = provider.get_backend(sys.argv[3]), sys.argv[4]
start, end = (datetime.fromisoformat(moment) for moment in sys.argv[5:7])
tagged = {"job_tags": [tag], "limit": None}
first = device.jobs(limit=1, job_tags=[tag], descending=False)[0]
report(
    provider,
    all=ids(device.jobs(**tagged)),
    ascending=ids(device.jobs(**tagged, descending=False)),
    limited=ids(device.jobs(limit=7, job_tags=[tag])),
    skipped=ids(device.jobs(limit=7, skip=3, job_tags=[tag])),
    both_tags=ids(device.jobs(limit=None, job_tags=[tag, "even"], job_tags_operator="AND")),
    either_tag=ids(device.jobs(limit=None, job_tags=["even", "third"], job_tags_operator="OR")),
    done=ids(device.jobs(**tagged, status="DONE")),
    several_states=ids(device.jobs(**tagged, status=["QUEUED", "RUNNING", "DONE"])),
    failed=ids(device.jobs(**tagged, status="ERROR")),
    named=ids(device.jobs(**tagged, job_name="^batch-1[0-4]$")),
    between=ids(device.jobs(**tagged, start_datetime=start, end_datetime=end)),
    later=ids(device.jobs(**tagged, start_datetime=datetime.now() + timedelta(days=1))),  # noqa: DTZ005
    filtered=ids(device.jobs(**tagged, db_filter={"hubInfo.hub.name": "ibm-q", "name": {"inq": ["batch-3"]}})),
    elsewhere=ids(provider.get_backend("ibm_lagos").jobs(**tagged)),
    everywhere=ids(provider.backend.jobs(**tagged)),
    identifiers=[job["id"] for job in provider.backend.job_ids(**tagged)],
    active=ids(device.active_jobs(limit=5)),
    counts=first.result().get_counts(),
    status=first.status().name,
)
