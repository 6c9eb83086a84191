# SPDX-License-Identifier: Apache-2.0
"""The same cloud on a real PostgreSQL: jobs run, and survive the server that ran them."""

from typing import Any

import programs
import pytest
from clouds import Cloud, Start, eventually

pytestmark = pytest.mark.acceptance


@pytest.fixture(name="hosted")
def _hosted(start_cloud: Start, postgres: Any) -> Cloud:
    return start_cloud({"database_url": postgres.url(postgres.create())})


def test_jobs_run_and_outlive_the_server(hosted: Cloud) -> None:
    """Simulator and device give counts; a job that ran when the server was killed runs again after its lease."""
    api = hosted.api()
    ideal = api.submit(programs.bell())
    noisy = api.submit(programs.device_bell(), device="ibmq_manila")
    assert {api.wait(job)["status"] for job in (ideal, noisy)} == {"COMPLETED"}
    assert set(api.counts(ideal)) == {"0x0", "0x3"}
    assert sum(api.counts(noisy).values()) == 1024

    long = api.submit(programs.slow(2000))
    eventually(lambda: api.status(long) == "RUNNING" or None, 30, "the job does not run")
    hosted.kill()
    hosted.start()
    again = hosted.api()
    assert again.wait(long, limit=120)["status"] == "COMPLETED"
    assert again.counts(ideal) == api.counts(ideal)


def test_the_command_line_and_the_server_hear_each_other(hosted: Cloud) -> None:
    """A device paused in the shell keeps a job waiting; resumed, the job runs at once."""
    api = hosted.api()
    hosted.json("device", "pause", "ibmq_manila", "--message", "being cooled")
    job = api.submit(programs.device_bell(), device="ibmq_manila")
    eventually(lambda: api.status(job) == "QUEUED" or None, 30, "the job is not queued")
    status = api.get("/Backends/ibmq_manila/queue/status")
    assert (status["state"], status["status"], status["message"]) == (True, "paused: being cooled", "being cooled")

    hosted.json("device", "resume", "ibmq_manila")
    assert api.wait(job)["status"] == "COMPLETED"
