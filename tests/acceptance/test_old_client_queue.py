# SPDX-License-Identifier: Apache-2.0
"""The old client waits in the queue of a device that keeps a machine's pace, and is told its place and its time."""

from typing import Any

import oldclient
import pytest
from clouds import Cloud, Start

pytestmark = pytest.mark.acceptance

#: What each job occupies the device for besides its shots, s: long enough for the client to look at the queue.
OVERHEAD = 60


@pytest.fixture
def cloud(start_cloud: Start) -> Cloud:
    """A cloud with a slow device."""
    private = start_cloud({"workers": 1})
    private.json("device", "set", "ibmq_manila", "--pace", "real", "--overhead", str(OVERHEAD))
    return private


def test_the_client_is_told_how_its_jobs_wait(cloud: Cloud, old_client: oldclient.OldClient) -> None:
    """Places, priorities and times of `queue_info` and `queue_position`; nothing of a job that runs."""
    seen = old_client.run("waiting", cloud.url, cloud.token)
    cloud.secrets.add(seen["access_token"])
    waiting: list[dict[str, Any]] = seen["waiting"]

    assert [each["place"] for each in waiting] == [each["position"] for each in waiting] == [1, 2]
    assert [each["status"] for each in waiting] == ["QUEUED", "QUEUED"]
    assert all(0 < priority <= 1 for each in waiting for priority in each["priorities"])
    assert seen["running"]
    assert seen["pending"] == 3
    assert "queue position: 1" in waiting[0]["text"].lower()
    for first, each in enumerate(waiting, 1):
        # The running job began less than its length before, so what is left of it is less than that.
        assert (first - 1) * OVERHEAD - 5 < each["start"] - each["asked"] < first * OVERHEAD + 5
        assert each["end"] - each["start"] == pytest.approx(OVERHEAD, abs=2)
