# SPDX-License-Identifier: Apache-2.0
"""qiskit-ibm-runtime 0.51.0, unmodified: it finds the cloud in every way it has, looks around, and lists its jobs."""

import json
import re
import statistics
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx
import oldclient
import programs
import pytest
import runtimeclients
from clouds import Cloud
from oldclient import OldClient

# The first test waits for the installation of the client.
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

DEVICES: Final = {
    "ibmq_armonk",
    "ibmq_essex",
    "ibmq_manila",
    "ibm_lagos",
    "ibm_hanoi",
    "ibm_sherbrooke",
    "ibm_kingston",
}
SIMULATORS: Final = {
    "ibmq_qasm_simulator",
    "simulator_statevector",
    "simulator_mps",
    "simulator_extended_stabilizer",
    "simulator_stabilizer",
    "simulator_pulse",
}
CRN: Final = "crn:v1:bluemix:public:quantum-computing:us-east:a/chandelier:ibm-q/open/main::"
JOBS: Final = 23


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of whoever uses the client."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def client(cloud: Cloud, pytestconfig: pytest.Config, home: Path) -> OldClient:
    """The client, told nothing."""
    return runtimeclients.build(pytestconfig, cloud, runtimeclients.TODAY, home)


@pytest.fixture(scope="module")
def seen(cloud: Cloud, client: OldClient) -> dict[str, Any]:
    """What the client sees in a shell that has read what `chandelier env` prints."""
    cloud.add_user("today@example.org")
    done = runtimeclients.in_shell(client, cloud, "runtime_account", "--user", "today@example.org")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    cloud.secrets.add(found["account"]["token"])
    return found


@pytest.fixture(scope="module")
def ways(cloud: Cloud, client: OldClient, home: Path) -> dict[str, Any]:
    """What the other ways lead to that need two variables only: a saved account, arguments, and a resolver."""
    answer = cloud.json("env", "--url", cloud.root)["account"]
    known = {"token": answer["token"], "instance": answer["instance"]}
    ways = {
        "arguments": known | {"url": answer["url"]},
        "resolver": known | {"url": "https://quantum.example.org", "resolved": f"{cloud.root}/api/v1"},
        "saved": {},
    }
    saving = {**cloud.environment, "HOME": str(home)}
    told = runtimeclients.surrounded(client, runtimeclients.saved(cloud, saving))
    return told.run("runtime_settings", json.dumps(ways))


@pytest.fixture(scope="module")
def jobs(cloud: Cloud, client: OldClient) -> dict[str, Any]:
    """What the client sees of many jobs, and of one that was submitted through the other face."""
    user = cloud.add_user("lists@example.org")
    told = runtimeclients.told(client, cloud, "--token", user["token"])
    api = cloud.api(user["token"])
    other = api.submit(programs.bell())
    api.wait(other)
    found = told.run("runtime_jobs", other)
    documents = [api.get(f"/Jobs/{job}/v/1") for job in (found["known"][0], found["known"][2])]
    return found | {
        "other_id": other,
        "documents": documents,
        "theirs": api.get("/Jobs", params={"filter": json.dumps({"limit": 100})}),
    }


def cells(page: Path) -> list[str]:
    """Return the Python of a page."""
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_a_program_that_says_nothing_runs_here(seen: dict[str, Any], cloud: Cloud) -> None:
    """`QiskitRuntimeService()` after `eval "$(chandelier env)"` has the account and sees the devices."""
    account = seen["account"]
    assert account["channel"] == "ibm_quantum_platform"
    assert account["url"] == f"{cloud.root}/experimental"
    assert seen["active"] == account["instance"] == CRN
    assert set(seen["names"]) == DEVICES | SIMULATORS
    assert set(seen["simulators"]) == SIMULATORS
    assert set(seen["large"]) - SIMULATORS == {"ibm_sherbrooke", "ibm_kingston"}


def test_devices_are_chosen_as_notebooks_do(seen: dict[str, Any]) -> None:
    """`least_busy` finds a device of the wanted size that is no simulator."""
    assert seen["least_busy"] in DEVICES
    assert seen["least_busy_large"] in {"ibm_sherbrooke", "ibm_kingston"}
    assert seen["unknown"].startswith("QiskitBackendNotFoundError")
    assert "fractional" in seen["fractional"]


def test_a_device_describes_itself(seen: dict[str, Any]) -> None:
    """Size, gates, pairs, state and errors, after the client's own conversion."""
    manila = seen["manila"]
    assert manila["qubits"] == 5
    assert {"rz", "sx", "x", "cx", "measure", "delay", "reset"} <= set(manila["gates"])
    assert manila["pairs"] == [[0, 1], [1, 0], [1, 2], [2, 1], [2, 3], [3, 2], [3, 4], [4, 3]]
    assert manila["status"][:2] == [True, "active"]
    assert manila["version"][0] == manila["version"][1]
    assert manila["dt"] == pytest.approx(0.2222e-9, rel=1e-3)
    assert manila["max_shots"] >= 1024
    assert not manila["simulator"]
    error, duration = manila["cx"]
    assert 1e-3 < error < 5e-2
    assert 1e-7 < duration < 1e-6
    assert 0 < manila["readout"] < 0.2


def test_calibrations_have_a_date(seen: dict[str, Any]) -> None:
    """`properties(datetime=…)` finds the calibration of a moment; before the first there is none."""
    found = seen["calibrated"]
    assert len(found["t1"]) == 5
    assert all(1e-6 < t1 < 2e-3 for t1 in found["t1"])
    assert all(0 < error <= 0.5 for error in found["readout"])
    assert found["cx"] == pytest.approx(seen["manila"]["cx"])
    assert found["same"]
    assert found["refreshed"]
    assert found["before"] is None
    assert datetime.fromisoformat(found["updated"]).year >= 2020


def test_a_new_user_has_used_nothing(seen: dict[str, Any]) -> None:
    """Neither jobs nor device time; an unknown job is said to be unknown."""
    assert seen["no_jobs"] == []
    assert seen["usage"]["usage_consumed_seconds"] >= 0
    assert not seen["usage"]["usage_limit_reached"]
    assert seen["unknown_job"].startswith("RuntimeJobNotFound")


@pytest.mark.parametrize("way", ["arguments", "resolver", "saved"])
def test_other_ways_need_two_variables(ways: dict[str, Any], way: str) -> None:
    """Arguments, a resolver, or the account that `chandelier env --save` has saved."""
    assert ways[way]["instance"] == CRN
    assert ways[way]["shots"] == 100
    assert ways[way]["ones"] > 80


def test_with_names_for_its_services_nothing_is_skipped(client: OldClient, cloud: Cloud) -> None:
    """Where a name and those below it lead here, the client searches its instances itself, also one by its name.

    The server is its own proxy, which stands for the names: it takes requests for any host.
    """
    cloud.json("group", "add", "ibm-q/names")
    cloud.json("project", "add", "ibm-q/names/here")
    user = cloud.add_user("names@example.org")
    cloud.json("member", "add", "ibm-q/names/here", "names@example.org")
    cloud.json("grant", "set", "ibm-q/names/here", "ibmq_manila", "--above")
    known = {"token": user["token"], "url": "http://cloud.test"}
    named = runtimeclients.surrounded(
        client, {"http_proxy": cloud.root, "no_proxy": "", "IAM_URL": "http://iam.cloud.test"}
    )

    ways = {"searched": known, "by_name": known | {"instance": "ibm-q/names/here"}}
    found = named.run("runtime_settings", json.dumps(ways))
    assert found["searched"]["instance"] == CRN
    names = {instance["name"]: instance["crn"] for instance in found["searched"]["instances"]}
    assert set(names) == {"ibm-q/open/main", "ibm-q/names/here"}
    assert found["by_name"]["instance"] == names["ibm-q/names/here"]
    assert [way["shots"] for way in found.values()] == [100, 100]
    shown = cloud.json("job", "show", found["by_name"]["job"])
    assert shown["project"] == "ibm-q/names/here"
    cloud.json("group", "remove", "ibm-q/names", "--yes")


def test_variables_can_name_the_services(client: OldClient, cloud: Cloud) -> None:
    """Without any other name than the server's own, instances are searched too; a bad token is told at once."""
    surroundings = {
        "IAM_URL": cloud.root,
        "GLOBAL_SEARCH_URL": cloud.root,
        "GLOBAL_CATALOG_URL": f"{cloud.root}/api/v1",
    }
    told = runtimeclients.surrounded(client, surroundings)
    known = {"token": cloud.token, "url": f"{cloud.root}/experimental"}

    found = told.run("runtime_settings", json.dumps({"searched": known}))["searched"]
    assert found["shots"] == 100
    assert CRN in {instance["crn"] for instance in found["instances"]}
    with pytest.raises(AssertionError, match="valid API token"):
        told.run("runtime_settings", json.dumps({"refused": known | {"token": "0" * 128}}))


def test_lists_have_each_job_once(jobs: dict[str, Any]) -> None:
    """Newest first, over several pages, or oldest first; a page in the middle has what belongs there."""
    known, lists = jobs["known"], jobs["lists"]
    assert len(known) == len(set(known)) == JOBS
    assert lists["all"] == known[::-1]
    assert lists["first"] == known[:-8:-1]
    assert lists["last"] == known[2::-1]
    assert lists["oldest"] == known[:3]
    assert lists["default"] == known[:-11:-1]


def test_lists_are_filtered(jobs: dict[str, Any]) -> None:
    """By all of several tags, by state, device, program and date."""
    known, lists = jobs["known"], jobs["lists"]
    assert lists["even"] == known[::2][::-1]
    assert lists["one"] == [known[3]]
    assert lists["pending"] == []
    assert lists["done"] == lists["here"] == lists["samplers"] == lists["lately"] == known[::-1]
    assert lists["elsewhere"] == lists["estimators"] == lists["earlier"] == []


def test_a_retrieved_job_is_the_same_job(jobs: dict[str, Any]) -> None:
    """Result, program, tags, times and use of a job that another process submitted."""
    found = jobs["retrieved"]
    assert found["counts"] == {"1": 10}
    assert (found["status"], found["backend"], found["program"]) == ("DONE", "ibmq_qasm_simulator", "sampler")
    assert found["tags"] == ["even", "many", "number0"]
    assert found["instance"] == CRN
    assert found["circuit"]
    assert found["shots"] == 10
    moments = [
        datetime.fromisoformat(found["metrics"]["timestamps"][name]) for name in ("created", "running", "finished")
    ]
    assert moments == sorted(moments)
    assert datetime.fromisoformat(found["created"]) == moments[0]
    assert found["usage"] >= 0
    assert found["session"] is None
    assert found["error"] is None


def test_tags_are_changed_and_jobs_deleted(jobs: dict[str, Any]) -> None:
    """Both are seen at once; a job that has ended cannot be cancelled."""
    assert jobs["retagged"] == ["changed", "many"]
    assert jobs["changed"] == [jobs["known"][0]]
    assert jobs["deleted"].startswith("RuntimeJobNotFound")
    assert jobs["left"] == JOBS - 1
    assert jobs["finished"].startswith("RuntimeInvalidStateError")


def test_a_job_has_two_faces(jobs: dict[str, Any]) -> None:
    """What was submitted here is found through the former API, and the other way round, each in its own words."""
    assert jobs["other"] == {"status": "DONE", "backend": "ibmq_qasm_simulator", "listed": True, "created": True}
    assert [document["status"] for document in jobs["documents"]] == ["COMPLETED"] * 2
    assert jobs["documents"][0]["backend"]["name"] == "ibmq_qasm_simulator"
    listed = {document["id"] for document in jobs["theirs"]}
    assert jobs["other_id"] in listed
    assert set(jobs["known"]) - listed == {jobs["known"][1]}


def test_small_jobs_are_looked_at_once(jobs: dict[str, Any]) -> None:
    """The client sleeps half a second between two looks, so the first one is held until the job has ended."""
    # Most of them: one that the machine held up may need a second look.
    assert statistics.median(jobs["polls"]) == 1


def test_the_notebook_of_the_docs_runs(client: OldClient, cloud: Cloud, pytestconfig: pytest.Config) -> None:
    """Its cells, one after the other, in surroundings that say where the cloud is; and the first program of README."""
    told = runtimeclients.told(client, cloud)
    readme = cells(pytestconfig.rootpath / "README.md")[0]
    notebook = cells(pytestconfig.rootpath / "docs" / "howto" / "unchanged-notebook.md")
    assert "QiskitRuntimeService()" in readme
    assert len(notebook) == 5

    printed = runtimeclients.printed(told, "\n".join([*notebook, readme])).splitlines()
    assert printed[0].startswith("ibm_")
    [sampled] = [line for line in printed if " DONE {" in line]
    assert "'000'" in sampled
    estimated = {line.split()[0]: line for line in printed if line[:2] in {"ZZ", "XX", "ZI"}}
    assert len(estimated) == 3
    assert any(line.startswith(("least at 4.", "least at 5.")) for line in printed)
    assert "True" in printed
    assert "'00'" in printed[-1]


def test_a_stranger_is_told_so(cloud: Cloud) -> None:
    """A bad API token gives no login, in the words that the client looks for."""
    form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": "0" * 128}
    answer = httpx.post(f"{cloud.root}/identity/token", data=form, trust_env=False)
    assert answer.status_code == 400
    assert answer.json()["errorCode"] == "BXNIM0415E"


def test_client_is_the_one_of_the_pins() -> None:
    """The pins name the version that this module speaks of."""
    pins = (oldclient.SCRIPTS / f"{runtimeclients.TODAY}.txt").read_text(encoding="utf-8")
    assert "qiskit-ibm-runtime==0.51.0\n" in pins
