# SPDX-License-Identifier: Apache-2.0
"""IBMQJobManager runs more jobs than may wait, because the limit is told in the words that it understands."""

from typing import Any

import pytest
from clouds import Start
from oldclient import OldClient

pytestmark = pytest.mark.acceptance


@pytest.fixture
def seen(start_cloud: Start, old_client: OldClient) -> dict[str, Any]:
    """What the client sees on a cloud that lets two jobs wait."""
    cloud = start_cloud({"max_pending_jobs": 2})
    return old_client.run("manager", cloud.url, cloud.token)


def test_the_job_manager_works_within_the_job_limit(seen: dict[str, Any]) -> None:
    """The limit is told and kept in the way that the client expects, and all of the manager's jobs run."""
    assert seen["limit"] == 2
    assert seen["active_when_full"] == 2
    assert seen["remaining"] == 0
    assert seen["over"].startswith("IBMQBackendJobLimitError")
    assert "3458" in seen["over"]

    assert seen["waited"] > 0
    assert seen["counts"] == [{format(number, "03b"): 20} for number in range(8)]
    assert seen["statuses"] == ["DONE"] * 8
    assert seen["first"] == ["DONE"] * 2
    assert seen["names"] == [f"numbers_{number}_" for number in range(8)]
    assert seen["retrieved"]
