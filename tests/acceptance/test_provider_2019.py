# SPDX-License-Identifier: Apache-2.0
"""qiskit-ibmq-provider 0.4.6 with Terra 0.12 lives in the unversioned views: devices, jobs, binary frames, lists.

Where no Python 3.7 is found, these tests are skipped, and only the recorded exchanges of the client are replayed.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import clouds
import oldclient
import programs
import pytest
import recordings
import streams
from api import Api
from clouds import Cloud
from oldclient import OldClient

# The first test of each client waits for its installation.
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

PINS: Final = oldclient.SCRIPTS / "ibmq-0.4.6.txt"
RECORDING: Final = recordings.read("ibmq-0.4.6-exchanges")
JOBS: Final = 23
TAG: Final = "of-2019"
#: Largest chi-squared with one degree of freedom that chance produces once in a million.
CHI_SQUARED_LIMIT: Final = 23.9

Run = Callable[..., dict[str, Any]]


def python37(environment: dict[str, str]) -> str | None:
    """Return a Python 3.7 that works: one on the path, or one that pyenv has installed."""
    root = Path(environment.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [shutil.which("python3.7"), *map(str, sorted(root.glob("versions/3.7.*/bin/python3.7"), reverse=True))]
    for candidate in filter(None, found):
        # pyenv's own `python3.7` on the path fails when no project asks for that version.
        if subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


@pytest.fixture(scope="module")
def client(cloud: Cloud, pytestconfig: pytest.Config) -> OldClient:
    """The unmodified client, in a Python of its time."""
    python = python37(cloud.environment)
    if python is None:
        pytest.skip("not run: the client of 2019 needs a Python 3.7; its recorded exchanges are replayed instead")
    return oldclient.build(python, pytestconfig.rootpath / ".cache" / "clients", cloud.environment, PINS)


@pytest.fixture(scope="module")
def start(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Cloud]]:
    """Return a function that starts a cloud for this module; its keyword arguments become settings."""
    started: list[Cloud] = []

    def begin(**settings: object) -> Cloud:
        names = {f"CHANDELIER_{name.upper()}": str(value) for name, value in settings.items()}
        started.append(Cloud(tmp_path_factory.mktemp("cloud"), cloud.environment | names))
        started[-1].start()
        return started[-1]

    yield begin
    for one in started:
        one.clear()


@pytest.fixture(scope="module")
def narrow(start: Callable[..., Cloud]) -> Cloud:
    """A cloud that runs one job at a time, so that the next one waits."""
    return start(workers=1)


@pytest.fixture(scope="module")
def devices(cloud: Cloud, client: OldClient) -> dict[str, Any]:
    """What the client sees after logging in."""
    seen = client.run("devices_2019", cloud.url, cloud.token)
    cloud.secrets.add(seen["access_token"])
    return seen


@pytest.fixture(scope="module")
def jobs(narrow: Cloud, client: OldClient) -> dict[str, Any]:
    """What the client sees of its jobs."""
    return client.run("jobs_2019", narrow.url, narrow.token)


@dataclass(frozen=True)
class Listing:
    """The ids of the jobs in the order of their creation, and what the client lists."""

    ids: list[str]
    lists: dict[str, Any]


@pytest.fixture(scope="module")
def listing(cloud: Cloud, client: OldClient) -> Listing:
    """Submit jobs: the first is never uploaded, the second fails, the third is cancelled, all others are done."""
    api, device = cloud.api(), "ibmq_qasm_simulator"
    unknown = programs.qobj(programs.experiment("unknown", 1, programs.gate("nonsense", 0), programs.measure(0)))
    fields: list[dict[str, Any]] = [{"name": f"batch-{number}", "tags": tags(number)} for number in range(JOBS)]
    empty = api.post("/Jobs", json={"backend": {"name": device}, "allowObjectStorage": True, **fields[0]})["id"]
    ids = [empty, api.submit(unknown, **fields[1]), api.submit(programs.slow(8000), **fields[2])]
    api.post(f"/Jobs/{ids[2]}/cancel")
    ids += [api.submit(programs.flipped(), **more) for more in fields[3:]]
    created = [api.wait(job)["creationDate"] for job in ids[1:]]
    seen = client.run(
        "listing_2019", cloud.url, cloud.token, device, TAG, created[9].rstrip("Z"), created[14].rstrip("Z")
    )
    cloud.secrets.add(seen["access_token"])
    return Listing(ids, seen)


def tags(number: int) -> list[str]:
    """Return the tags of the job of this number."""
    return [TAG] + ["even"] * (number % 2 == 0) + ["third"] * (number % 3 == 0)


def test_login_leads_to_the_default_project(devices: dict[str, Any]) -> None:
    """`enable_account` asks for the version, logs in and returns the provider of ibm-q/open/main."""
    assert devices["instance"] == ["ibm-q", "open", "main"]
    assert devices["providers"] == 1


def test_a_wrong_token_is_refused_in_words(devices: dict[str, Any]) -> None:
    """The client adds the server's text and code to its own."""
    assert "The API token is not valid" in devices["wrong_token"]
    assert "Error code: 2001" in devices["wrong_token"]


def test_no_device_fails_the_strict_checks(devices: dict[str, Any]) -> None:
    """Terra 0.12 checks every field of a configuration; what it cannot read it would drop."""
    assert devices["discarded"] == []
    assert {"ibmq_qasm_simulator", "ibmq_armonk", "ibmq_essex", "ibmq_manila"} <= set(devices["devices"])
    for device in devices["devices"].values():
        assert device["kind"] == ("IBMQSimulator" if device["simulator"] else "IBMQBackend")
        assert device["object_storage"]
        assert device["gates"]
        assert device["defaults"] is None


def test_a_device_of_its_time_has_the_gates_of_its_time(devices: dict[str, Any]) -> None:
    """Five qubits in a T, and u1, u2, u3."""
    essex = devices["devices"]["ibmq_essex"]
    assert essex["basis_gates"] == ["id", "u1", "u2", "u3", "cx"]
    assert essex["n_qubits"] == 5
    assert {tuple(sorted(pair)) for pair in essex["coupling_map"]} == {(0, 1), (1, 2), (1, 3), (3, 4)}


def test_calibrations_are_read(devices: dict[str, Any]) -> None:
    """In SI units after the client's conversion; T1 and T2 lead; properties of a date are the newest before it."""
    for name in ("ibmq_essex", "ibmq_manila"):
        device = devices["devices"][name]
        seen = device["properties"]
        assert seen["qubits"] == device["n_qubits"]
        assert seen["first"] == ["T1", "T2"]
        assert all(1e-6 < t1 < 1e-2 for t1 in seen["t1"])
        assert all(0 < error < 0.5 for error in seen["readout_error"])
        assert all(0 < error < 1 for error in seen["errors"])
        assert all(1e-8 < length < 1e-5 for length in seen["lengths"])
        assert seen["before_there_were_any"]
        assert seen["today"] == seen["updated"]


def test_status_and_limit_are_read(devices: dict[str, Any]) -> None:
    """Each device is operational and has room; the least busy one is found."""
    for device in devices["devices"].values():
        assert device["operational"]
        assert device["status"] == "active"
        assert device["version"][0] == device["version"][1]
        assert device["remaining"] == device["limit"][0] - device["limit"][1]
    assert devices["filtered"] == sorted(name for name, device in devices["devices"].items() if device["n_qubits"] == 5)
    assert not devices["devices"][devices["least_busy"]]["simulator"]


@pytest.mark.parametrize("way", ["watched", "polled"])
def test_a_waiting_job_is_queued(jobs: dict[str, Any], way: str) -> None:
    """RUNNING with `infoQueue` is what this client calls QUEUED, with its place; it also finds it by that word."""
    seen = jobs[way]
    assert seen["positions"] == [1, 1]
    assert "queue position: 1" in seen["text"]
    assert "status: job is queued" in seen["text"]
    assert seen["listed"] == [True]
    assert any(seen["running"])
    assert seen["earlier"] == [[True], [True]]
    assert seen["active"] == seen["pending"] == 2


def test_a_job_is_watched_over_the_websocket(jobs: dict[str, Any]) -> None:
    """By one connection to the unversioned address, in binary frames, without a look at anything else."""
    seen = jobs["watched"]["watched"]
    assert seen["final"] == "DONE"
    assert seen["states"][0] == ["QUEUED", 1]
    assert seen["opened"] == 1
    assert seen["binary"] >= 2
    assert seen["polls"] == 0
    assert seen["trouble"] == []


def test_a_job_is_polled_behind_a_proxy(jobs: dict[str, Any]) -> None:
    """There the client opens no socket."""
    seen = jobs["polled"]["watched"]
    assert seen["final"] == "DONE"
    assert seen["states"][0] == ["QUEUED", 1]
    assert seen["opened"] == seen["binary"] == 0
    assert seen["polls"] >= 1


def test_programs_go_through_object_storage(jobs: dict[str, Any]) -> None:
    """The client fetches its upload URL itself, and never falls back to a second, inline job."""
    assert jobs["simulator"]["storage"] == "q-object-external-storage"
    assert jobs["fallbacks"] == 0


def test_the_simulator_counts_right(jobs: dict[str, Any]) -> None:
    """A Bell pair is half and half, a seed repeats it, registers and names are kept."""
    seen = jobs["simulator"]
    assert set(seen["bell"]) == {"00", "11"}
    assert sum((count - 1000) ** 2 / 1000 for count in seen["bell"].values()) < CHI_SQUARED_LIMIT
    assert seen["same_seed"] == seen["bell"]
    assert seen["registers"] == {"01 1": 10}
    assert seen["several"] == {"none": {"0": 50}, "one": {"1": 50}, "two": {"0": 50}}
    assert len(seen["memory"]) == 100
    assert set(seen["memory"]) <= {"00", "11"}
    assert seen["result"] == ["ibmq_qasm_simulator", True, True, 2000]


def test_a_device_counts_with_its_noise(jobs: dict[str, Any]) -> None:
    """Mostly the Bell pair, and all four outcomes."""
    counts = jobs["device"]["counts"]
    assert set(counts) == {"00", "01", "10", "11"}
    assert 0.75 < (counts["00"] + counts["11"]) / 2000 < 0.99


def test_a_job_is_retrieved_whole(jobs: dict[str, Any]) -> None:
    """Result, program, name, tags, share level, steps and the calibration of its time."""
    seen = jobs["device"]
    assert seen["same"]
    assert seen["program"]
    assert seen["name"] == "first"
    assert seen["tags"] == ["blue", "red"]
    assert seen["share"] == "project"
    assert seen["backend"] == "ibmq_essex"
    assert {"CREATING", "QUEUED", "RUNNING", "COMPLETED"} <= set(seen["steps"])
    assert seen["queue"] == [None, None]
    assert seen["error"] is None
    assert seen["t1"][0] == seen["t1"][1]


def test_a_refused_circuit_tells_why(jobs: dict[str, Any]) -> None:
    """Text and code reach the user, at once and later."""
    seen = jobs["refused"]
    assert seen["status"] == "ERROR"
    assert "h is not among the basis gates of ibmq_essex" in seen["message"]
    assert "Error code: 8001" in seen["message"]
    assert seen["retrieved"] == seen["message"]
    assert seen["result"].startswith("IBMQJobFailureError")


def test_a_partial_result_is_readable(jobs: dict[str, Any]) -> None:
    """One experiment failed while running: the report names it, and the other one's counts are there."""
    status, message, counts = jobs["refused"]["partial"]
    assert status == "ERROR"
    assert "Experiment 1: ERROR" in message
    assert counts == {"1": 20}


def test_what_is_not_there_is_not_found(jobs: dict[str, Any]) -> None:
    """A wrong id is an error of the API with its code; another device's job is refused by the client."""
    assert "Error code: 3250" in jobs["refused"]["unknown"]
    assert "does not belong to backend" in jobs["refused"]["elsewhere"]


def test_jobs_are_cancelled(jobs: dict[str, Any]) -> None:
    """One that waits and one that runs; one that has ended cannot be. A wait that is too short says so."""
    seen = jobs["cancelled"]
    assert seen["late"].startswith("IBMQJobTimeoutError")
    assert seen["answers"] == [True, True]
    assert seen["after"] == ["CANCELLED", "CANCELLED"]
    assert seen["result"].startswith("IBMQJobInvalidStateError")
    assert seen["finished"] == [False, "DONE"]
    assert seen["listed"] >= 2


def test_lists_are_complete_and_in_order(listing: Listing) -> None:
    """`limit=None` first sends null, then 0, and pages by `skip` until nothing more comes."""
    newest = listing.ids[::-1]
    assert listing.lists["all"] == newest
    assert listing.lists["everywhere"] == newest
    assert listing.lists["default"] == 10
    assert listing.lists["limited"] == newest[:7]
    assert listing.lists["skipped"] == newest[3:10]
    assert listing.lists["elsewhere"] == []


def test_each_status_selects(listing: Listing) -> None:
    """The words of the unversioned views, and ERROR by a regular expression."""
    done = listing.ids[:2:-1]
    assert listing.lists["by_status"] == {
        "INITIALIZING": listing.ids[:1],
        "VALIDATING": [],
        "QUEUED": [],
        "RUNNING": [],
        "DONE": done,
        "CANCELLED": listing.ids[2:3],
        "ERROR": listing.ids[1:2],
    }
    assert listing.lists["several_states"] == done
    assert listing.lists["active"][:1] == listing.ids[:1]


def test_dates_without_an_offset_select(listing: Listing) -> None:
    """They are taken for UTC; both ends count."""
    newest = listing.ids[::-1]
    assert listing.lists["between"] == newest[-16:-10]
    assert listing.lists["since"] == newest[:-10]
    assert listing.lists["until"] == newest[-16:]
    assert listing.lists["later"] == []


def test_tags_names_and_own_filters_select(listing: Listing) -> None:
    """Tags with AND and OR, names by regular expression, `db_filter` merged; an odd element matches nothing."""
    number = {job: index for index, job in enumerate(listing.ids)}
    assert {number[job] for job in listing.lists["both_tags"]} == set(range(0, JOBS, 2))
    # Other tests use the same cloud, and one of the tags.
    assert {number[job] for job in listing.lists["either_tag"] if job in number} == {
        index for index in range(JOBS) if index % 2 == 0 or index % 3 == 0
    }
    assert {number[job] for job in listing.lists["named"]} == set(range(10, 15))
    assert listing.lists["filtered"] == [listing.ids[3]]
    assert listing.lists["odd"] == []


def test_listed_jobs_have_their_fields(listing: Listing) -> None:
    """Names, tags and moments of creation, each later than the next in the list."""
    assert listing.lists["names"] == [f"batch-{number}" for number in range(JOBS - 1, JOBS - 8, -1)]
    assert listing.lists["tags"] == [sorted(tags(number)) for number in range(JOBS - 1, JOBS - 8, -1)]
    assert listing.lists["created"] == sorted(set(listing.lists["created"]), reverse=True)


def test_an_inline_job_keeps_its_kind(listing: Listing) -> None:
    """In these views it has program and result in itself, and the client reads them there."""
    assert listing.lists["kind"] == "q-object"
    assert listing.lists["counts"] == {"1": 16}
    assert listing.lists["program"] == "flipped"


def test_the_job_manager_splits_and_collects(start: Callable[..., Cloud], client: OldClient) -> None:
    """Eight circuits in three jobs, found again by their tag; one job over the limit is refused with its code."""
    cloud = start(max_pending_jobs=3)
    seen = client.run("manager_2019", cloud.url, cloud.token)
    assert seen["counts"] == [{format(number, "03b"): 20} for number in range(8)]
    assert seen["statuses"] == ["DONE"] * 3
    assert seen["names"] == [f"numbers_{number}_" for number in range(3)]
    assert seen["retrieved"]
    assert "Successful jobs: 3" in seen["report"]
    assert [seen["limit"], seen["active_when_full"], seen["remaining"]] == [3, 3, 0]
    assert "Error code: 3458" in seen["over"]


def test_recorded_exchanges_go_as_they_went(narrow: Cloud) -> None:
    """Replayed, with or without a Python 3.7: the client's requests find what it read, and no news besides."""
    replay, api = recordings.Replay(narrow), narrow.api()
    exchanges = [lasting(each) if each["path"] == "<url-1>" else each for each in RECORDING["exchanges"]]
    passing = next(number for number, each in enumerate(exchanges) if each["answered"] == {"status": "VALIDATING"})
    for exchange in exchanges[: passing - 1]:
        replay.play(exchange, api)
    # A program as short as the second one is checked before anybody can ask, so nothing is computed meanwhile.
    with clouds.paused(clouds.descendants(narrow.process.pid)):
        for exchange in exchanges[passing - 1 : passing + 1]:
            replay.play(exchange, api)
    for exchange in exchanges[passing + 1 :]:
        replay.play(exchange, api)


def test_recorded_frames_come_as_they_came(narrow: Cloud) -> None:
    """Replayed, with or without a Python 3.7: binary frames in which the waiting job is RUNNING and has a place."""
    api = narrow.api()
    longer = api.submit(programs.slow(20000))
    clouds.eventually(lambda: api.status(longer) == "RUNNING", 60, "the longer job never ran")
    job = upload(api, programs.bell())
    clouds.eventually(lambda: api.status(job) == "QUEUED", 60, "the other job never waited")
    with streams.dial(narrow, job, "") as socket:
        streams.authenticate(socket, api.access)
        heard = [streams.hear(socket), streams.hear(socket)]
        api.post(f"/Jobs/{longer}/cancel")
        rest, code = streams.hear_all(socket)
    assert heard[0] == {"type": "authenticated"}
    assert code == 4002

    waiting, running, completed = RECORDING["frames"]
    replay = recordings.Replay(narrow, {"<job>": job})
    replay.compare(waiting, heard[1], "the frame of the waiting job")
    replay.compare(completed, rest[-1], "the last frame")
    for message in rest[:-1]:
        # A job this short may have ended before it is seen running; it may also be told again that it waits.
        replay.compare(waiting if "infoQueue" in message["data"] else running, message, "a frame between")


def lasting(exchange: dict[str, Any]) -> dict[str, Any]:
    """Return the upload of the first program so that it runs until it is cancelled, however fast the server is."""
    slow, sent = programs.slow(20000), exchange["sent"]
    circuit = sent["experiments"][0] | {"instructions": slow["experiments"][0]["instructions"]}
    config = sent["config"] | {"shots": slow["config"]["shots"]}
    return exchange | {"sent": sent | {"config": config, "experiments": [circuit]}}


def upload(api: Api, program: dict[str, Any]) -> str:
    """Submit a program through object storage, as this client does, and return the id of its job."""
    job = api.post("/Jobs", json={"backend": {"name": "ibmq_qasm_simulator"}, "allowObjectStorage": True})["id"]
    assert api.http.put(api.signed(job, "jobUploadUrl"), json=program).status_code == 200
    api.post(f"/Jobs/{job}/jobDataUploaded")
    return str(job)
