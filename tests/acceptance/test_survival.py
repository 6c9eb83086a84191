# SPDX-License-Identifier: Apache-2.0
"""Whatever is killed, and whenever: a job whose submission was answered is run, and ends once."""

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import httpx
import programs
import pytest
from api import Api
from clouds import Cloud, Start, alive, busiest, descendants, eventually, kill

pytestmark = pytest.mark.acceptance


def check(api: Api, promised: set[str]) -> None:
    """Each promised job ends COMPLETED, is listed once and has its whole result."""
    eventually(lambda: not unfinished(api), 180, "jobs are left behind")
    ids = sorted(promised)
    for first in range(0, len(ids), 50):
        some = ids[first : first + 50]
        listed = select(api, {"id": {"inq": some}})
        assert sorted(job["id"] for job in listed) == some
        assert {job["status"] for job in listed} == {"COMPLETED"}
    for job in random.Random(1).sample(ids, min(len(ids), 40)):
        assert sum(api.counts(job).values()) == api.get(f"/Jobs/{job}/v/1")["shots"]


def unfinished(api: Api) -> list[dict[str, Any]]:
    """Return jobs that have not ended well."""
    return select(api, {"status": {"neq": "COMPLETED"}})


def select(api: Api, where: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the first hundred jobs that meet a condition."""
    wanted = json.dumps({"where": where, "limit": 100})
    return cast("list[dict[str, Any]]", api.get("/Jobs/status/v/1", params={"filter": wanted}))


def submit_until_it_breaks(cloud: Cloud, access: str, promised: set[str]) -> None:
    """Submit small jobs until the server is gone; note those that were answered."""
    program = {"qObject": programs.flipped(), "backend": {"name": "ibmq_qasm_simulator"}}
    with httpx.Client(trust_env=False, timeout=30, headers={"X-Access-Token": access}) as http:
        try:
            while True:
                answer = http.post(f"{cloud.url}/Jobs", json=program)
                assert answer.status_code == 200, answer.text
                promised.add(answer.json()["id"])
        except httpx.TransportError:
            return


def test_no_answered_job_is_lost_when_the_server_is_killed(start_cloud: Start) -> None:
    """Killed at random moments amid submissions, the server runs all that it answered, each once."""
    cloud = start_cloud()
    chance = random.Random(20190501)
    promised: set[str] = set()
    for _ in range(3):
        api = cloud.api()
        promised.add(api.submit(programs.slow(400)))
        with ThreadPoolExecutor(3) as pool:
            clients = [pool.submit(submit_until_it_breaks, cloud, api.access, promised) for _ in range(3)]
            time.sleep(chance.uniform(0.2, 0.8))
            cloud.kill()
            for client in clients:
                client.result()
        cloud.start()
    assert len(promised) > 10
    check(cloud.api(), promised)


def test_a_job_and_its_login_survive_a_restart(start_cloud: Start) -> None:
    """A job that ran when the server was killed runs again, and the access token goes on being good."""
    cloud = start_cloud()
    api = cloud.api()
    finished = api.submit(programs.bell())
    counts = api.counts(finished)
    running = api.submit(programs.slow(800))
    eventually(lambda: api.status(running) == "RUNNING", 60, "the job never ran")
    orphans = descendants(cloud.process.pid)
    assert orphans
    cloud.kill()
    eventually(lambda: not alive(orphans), 30, "children outlive their server")
    cloud.start()

    assert api.counts(finished) == counts
    check(api, {running})


def test_a_killed_worker_does_not_lose_its_job(start_cloud: Start) -> None:
    """When the process that computes a job is killed, another one computes it, and the server goes on."""
    cloud = start_cloud()
    api = cloud.api()
    job = api.submit(programs.slow(800))
    eventually(lambda: api.status(job) == "RUNNING", 60, "the job never ran")
    workers = descendants(cloud.process.pid)
    victim = busiest(workers)
    kill(victim)
    eventually(lambda: not alive({victim}), 10, "the worker would not die")

    check(api, {job})
    assert cloud.process.poll() is None
    assert api.counts(api.submit(programs.flipped())) == {"0x1": 16}


def test_all_workers_may_die(start_cloud: Start) -> None:
    """With every child gone the pool starts anew and takes jobs again."""
    cloud = start_cloud()
    api = cloud.api()
    api.wait(api.submit(programs.bell()))
    children = descendants(cloud.process.pid)
    for child in children:
        if alive({child}):
            kill(child)
    assert api.counts(api.submit(programs.flipped())) == {"0x1": 16}


def test_a_server_told_to_stop_stops_cleanly(start_cloud: Start) -> None:
    """SIGTERM ends the server and its children with exit code 0; a job that ran is run by the next one."""
    cloud = start_cloud({"stop_seconds": 1})
    api = cloud.api()
    job = api.submit(programs.slow(3000))
    eventually(lambda: api.status(job) == "RUNNING", 60, "the job never ran")
    children = descendants(cloud.process.pid)

    assert cloud.stop() == 0
    eventually(lambda: not alive(children), 10, "children outlive their server")
    cloud.start()
    check(api, {job})
