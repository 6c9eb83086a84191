# SPDX-License-Identifier: Apache-2.0
"""The old client lists more jobs than one page holds, and with every filter that it knows."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import programs
import pytest
from clouds import Cloud

pytestmark = pytest.mark.acceptance

JOBS = 55
TAG = "listed"


@dataclass(frozen=True)
class Listing:
    """The ids of the jobs in the order of their creation, and what the client lists."""

    ids: list[str]
    lists: dict[str, Any]


def tags(number: int) -> list[str]:
    """Return the tags of the job of this number."""
    return [TAG] + ["even"] * (number % 2 == 0) + ["third"] * (number % 3 == 0)


@pytest.fixture(scope="module")
def listing(cloud: Cloud, observe: Callable[..., dict[str, Any]]) -> Listing:
    """Submit the jobs, several at a time, then list them."""
    api = cloud.api()

    def submit(number: int) -> str:
        return api.submit(programs.flipped(), name=f"batch-{number}", tags=tags(number))

    assert api.access
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(submit, range(JOBS)))
    created = {job: api.wait(job)["creationDate"] for job in ids}
    moments = sorted(created.values())
    assert len(set(moments)) == JOBS
    seen = observe("listing", "ibmq_qasm_simulator", TAG, moments[10], moments[19])
    return Listing(ids, seen | {"created": created, "order": sorted(ids, key=created.__getitem__)})


def test_all_pages_together_have_each_job_once(listing: Listing) -> None:
    """`jobs(limit=None)` over more than 50 jobs returns each exactly once, the newest first."""
    assert listing.lists["all"] == listing.lists["order"][::-1]


def test_order_limit_and_skip_are_kept(listing: Listing) -> None:
    """The oldest may come first; `limit` and `skip` cut what they say."""
    newest = listing.lists["order"][::-1]
    assert listing.lists["ascending"] == listing.lists["order"]
    assert listing.lists["limited"] == newest[:7]
    assert listing.lists["skipped"] == newest[3:10]


def test_tags_select_jobs(listing: Listing) -> None:
    """Tags combine with AND and with OR."""
    number = {job: index for index, job in enumerate(listing.ids)}
    assert {number[job] for job in listing.lists["both_tags"]} == set(range(0, JOBS, 2))
    assert {number[job] for job in listing.lists["either_tag"]} == {
        index for index in range(JOBS) if index % 2 == 0 or index % 3 == 0
    }


def test_states_select_jobs(listing: Listing) -> None:
    """All of these jobs are done, none failed, none is active."""
    assert set(listing.lists["done"]) == set(listing.ids)
    assert set(listing.lists["several_states"]) == set(listing.ids)
    assert listing.lists["failed"] == []
    assert not set(listing.lists["active"]) & set(listing.ids)


def test_names_and_dates_select_jobs(listing: Listing) -> None:
    """Names match as regular expressions; dates include both ends."""
    assert {listing.ids.index(job) for job in listing.lists["named"]} == set(range(10, 15))
    assert listing.lists["between"] == listing.lists["order"][10:20][::-1]
    assert listing.lists["later"] == []


def test_own_filters_are_merged(listing: Listing) -> None:
    """`db_filter` narrows by dotted path and by list."""
    assert listing.lists["filtered"] == [listing.ids[3]]


def test_the_device_selects_jobs(listing: Listing) -> None:
    """Jobs belong to the device that they were sent to; without a device all are listed."""
    assert listing.lists["elsewhere"] == []
    assert set(listing.lists["everywhere"]) == set(listing.ids)
    assert set(listing.lists["identifiers"]) == set(listing.ids)


def test_an_inline_job_is_readable_by_the_old_client(listing: Listing) -> None:
    """A job from a list gives its result, though it was submitted without object storage."""
    assert listing.lists["status"] == "DONE"
    assert listing.lists["counts"] == {"1": 16}
