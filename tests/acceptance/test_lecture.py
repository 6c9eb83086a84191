# SPDX-License-Identifier: Apache-2.0
"""A class shares a device that keeps the pace of the real machine: the old client shows a queue, and it moves."""

from typing import Any, Final

import pytest
from clouds import Cloud, Start
from oldclient import OldClient

pytestmark = pytest.mark.acceptance

SHOTS: Final = 1000
#: Of `ibmq_manila`, s. Source: its configuration, `default_rep_delay`.
REP_DELAY: Final = 250e-6
#: Long enough for the client to look around while the first job runs, s.
OVERHEAD: Final = 4.0


@pytest.fixture(name="lecture")
def _lecture(start_cloud: Start, old_client: OldClient) -> tuple[Cloud, dict[str, Any]]:
    """A cloud in which three users have had their turn on a device, and what their client saw."""
    cloud = start_cloud({})
    cloud.json("device", "set", "ibmq_manila", "--pace", "real", "--overhead", str(OVERHEAD))
    cloud.json("device", "drain", "ibm_lagos", "--message", "moving house")
    cloud.json("device", "maintenance", "ibmq_armonk", "--message", "new wiring")
    others = [cloud.add_user(f"{name}@example.org")["token"] for name in ("ann", "bob")]
    return cloud, old_client.run("lecture", cloud.url, cloud.token, *others, "ibm_lagos", "ibmq_armonk")


def test_a_class_sees_a_queue(lecture: tuple[Cloud, dict[str, Any]]) -> None:
    """One job runs and the others stand in line; then each has its turn, and all are charged what they occupied."""
    cloud, seen = lecture
    jobs = seen["jobs"]

    assert seen["seen"] == {"ahead": ["RUNNING", "RUNNING"], "others": [["QUEUED", 1], ["QUEUED", 2]]}
    assert seen["busy"] == [True, "active", 3]
    assert [job["status"] for job in jobs] == ["DONE"] * 3
    assert jobs[0]["ended"] <= jobs[1]["began"] < jobs[1]["ended"] <= jobs[2]["began"] < jobs[2]["ended"]
    for job in jobs:
        assert OVERHEAD + SHOTS * REP_DELAY <= job["taken"] < OVERHEAD + 2 * SHOTS * REP_DELAY
        assert job["ones"] > SHOTS / 2
    rows = cloud.json("usage", "report", "--by", "user")["rows"]
    charged = {row["user"]: row["device_seconds"] for row in rows}
    assert len(charged) == 3
    assert min(charged.values()) >= OVERHEAD + SHOTS * REP_DELAY

    assert seen["draining"] == [False, "drain: moving house"]
    assert seen["refused"].startswith("IBMQBackendApiError")
    assert "ibm_lagos takes no new jobs at present (moving house)" in seen["refused"]
    assert seen["maintained"] == [False, "maintenance: new wiring"]
    assert seen["waits"] in {"INITIALIZING", "VALIDATING", "QUEUED"}
    listed = {row["name"]: row for row in cloud.json("device", "list")}
    assert (listed["ibmq_manila"]["pace"], listed["ibmq_manila"]["state"]) == ("real", "active")
    assert (listed["ibm_lagos"]["state"], listed["ibm_lagos"]["message"]) == ("drain", "moving house")
    [paced, drained, kept] = reversed([act for act in cloud.json("audit", "log") if act["act"] == "device.set"])
    assert paced["after"] == {"device": "ibmq_manila", "pace": "real", "overhead": OVERHEAD}
    assert drained["after"] == {"device": "ibm_lagos", "state": "drain", "message": "moving house"}
    assert kept["after"]["state"] == "maintenance"
