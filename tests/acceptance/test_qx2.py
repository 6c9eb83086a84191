# SPDX-License-Identifier: Apache-2.0
"""The client of 2017 and 2018, IBMQuantumExperience 2.0.4, runs texts as experiments and as jobs, and looks them up."""

from collections.abc import Iterator
from typing import Any, Final

import httpx
import oldclient
import pytest
from clouds import Cloud
from oldclient import OldClient

# The first test waits for the client's installation.
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

PINS: Final = oldclient.SCRIPTS / "qx2-2.0.4.txt"
BUILD_TOOLS: Final = ("setuptools==69.5.1", "wheel==0.48.0")
PASSWORD: Final = "three secret words"
#: Largest chi-squared with one degree of freedom that chance produces once in a million.
CHI_SQUARED_LIMIT: Final = 23.9


@pytest.fixture(scope="module")
def client(cloud: Cloud, pytestconfig: pytest.Config) -> OldClient:
    """The unmodified client."""
    python = oldclient.python311()
    if python is None:
        pytest.skip("not run: the client's pins need Python 3.11, and there is no python3.11 on the path")
    cache = pytestconfig.rootpath / ".cache" / "clients"
    arguments = ("--no-build-isolation",)
    return oldclient.build(python, cache, cloud.environment, PINS, first=BUILD_TOOLS, arguments=arguments)


@pytest.fixture(scope="module")
def private(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud with nobody else's jobs."""
    started = Cloud(tmp_path_factory.mktemp("cloud"), cloud.environment)
    started.start()
    yield started
    started.clear()


@pytest.fixture(scope="module")
def seen(private: Cloud, client: OldClient) -> dict[str, Any]:
    """What the client sees: the operator goes through everything, and somebody else logs in by password."""
    private.add_user("eve@example.org", "--password", PASSWORD)
    return client.run("qx2", private.url, private.token, "eve@example.org", PASSWORD)


@pytest.fixture(scope="module")
def experiments(seen: dict[str, Any]) -> dict[str, Any]:
    """What the client sees of experiments."""
    return seen["experiments"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def jobs(seen: dict[str, Any]) -> dict[str, Any]:
    """What the client sees of jobs."""
    return seen["jobs"]  # type: ignore[no-any-return]


def test_logins(seen: dict[str, Any]) -> None:
    """By token and by password; what is wrong is told in the server's words."""
    assert seen["wrong_token"].startswith("CredentialsError: error during login: The API token is not valid")
    assert seen["wrong_password"].startswith(
        "CredentialsError: error during login: E-mail address or password is wrong"
    )
    assert seen["version"]["api-auth"]
    assert seen["credits"] == {"remaining": 2**31 - 1, "promotional": 0, "maxUserType": 2**31 - 1}


def test_devices(seen: dict[str, Any]) -> None:
    """Their names, whether they work, and what was measured of them."""
    devices = seen["devices"]
    assert {"ibmq_qasm_simulator", "ibmq_essex"} <= set(devices["all"])
    assert "ibmq_qasm_simulator" in devices["simulators"]
    assert "ibmq_essex" not in devices["simulators"]
    assert devices["status"] == {"available": True, "busy": False, "pending_jobs": 0, "backend": "ibmq_essex"}
    assert len(devices["calibration"]["qubits"]) == len(devices["parameters"]["qubits"]) == 5
    assert devices["of_a_simulator"] == {}


def test_an_experiment_on_the_simulator(experiments: dict[str, Any]) -> None:
    """One request starts it, and its probabilities are those of a Bell state."""
    ran, measured = experiments["ran"], experiments["ran"]["result"]["measure"]
    assert (ran["status"], "error" in ran) == ("DONE", False)
    assert measured["labels"] == ["00000", "00011"]
    assert measured["qubits"] == [0, 1, 2, 3, 4]
    assert sum(measured["values"]) == pytest.approx(1)
    assert sum((1000 * value - 500) ** 2 / 500 for value in measured["values"]) < CHI_SQUARED_LIMIT
    assert ran["result"]["extraInfo"]["seed"] == 77
    assert sum(line.startswith("POST") for line in experiments["sent"]) == 1


def test_names_of_2017_mean_devices_of_today(experiments: dict[str, Any]) -> None:
    """`real` is a machine of five qubits, for which the text is compiled, with its noise."""
    values = experiments["on_device"]["result"]["measure"]
    likely = dict(zip(values["labels"], values["values"], strict=True))
    assert experiments["execution"]["deviceRunType"] == "ibmq_qasm_simulator"
    assert likely["00000"] + likely["00011"] > 0.7
    assert experiments["by_name"]["result"]["measure"] == {"qubits": [0, 1], "labels": ["10"], "values": [1.0]}


def test_what_is_kept_of_an_experiment(experiments: dict[str, Any]) -> None:
    """Execution, result, code and the list of codes tell the same."""
    ran, code = experiments["ran"], experiments["code"]
    assert experiments["execution"]["code"] == code
    assert experiments["result"]["measure"] == ran["result"]["measure"]
    assert experiments["result"]["creg_labels"] == "c[5]"
    assert (code["name"], [run["id"] for run in code["executions"]]) == ("a bell", [ran["idExecution"]])
    assert [kept["name"] for kept in experiments["codes"]][::3] == ["broken", "a bell"]
    assert code in experiments["codes"]


def test_the_picture_of_a_code(experiments: dict[str, Any]) -> None:
    """Its URL needs no token; a text that could not be read has none."""
    picture = httpx.get(experiments["picture"]["url"], trust_env=False)
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    assert httpx.get(experiments["picture"]["url"] + "0", trust_env=False).status_code == 403
    assert experiments["no_picture"]["error"]["code"] == 3255


def test_what_goes_wrong_with_experiments(experiments: dict[str, Any]) -> None:
    """The client's own exceptions come out, and a broken text says where it is broken."""
    assert experiments["broken"]["status"]["id"] == "ERROR"
    assert "line 2" in experiments["broken"]["error"]["message"]
    assert "wobble" in experiments["broken"]["error"]["message"]
    assert experiments["seed_on_device"].startswith("ApiError: seed not allowed")
    assert experiments["unknown"].startswith("BadBackendError")
    assert experiments["too_wide"] == "RegisterSizeError: device register size must be <= 5"


def test_a_job_of_several_texts(jobs: dict[str, Any]) -> None:
    """One request submits it; each text has its state and its counts by bit string."""
    bell, flip = jobs["ended"]["qasms"]
    assert jobs["sent"].count("POST /api/Jobs 200") == 1
    assert jobs["submitted"]["status"] == "VALIDATING"
    assert [text["status"] for text in jobs["submitted"]["qasms"]] == ["WORKING_IN_PROGRESS"] * 2
    assert (jobs["ended"]["status"], jobs["ended"]["shots"], jobs["status"]["status"]) == (
        "COMPLETED",
        500,
        "COMPLETED",
    )
    assert (bell["status"], flip["status"]) == ("DONE", "DONE")
    assert set(bell["data"]["counts"]) == {"00000", "00011"}
    assert sum((count - 250) ** 2 / 250 for count in bell["data"]["counts"].values()) < CHI_SQUARED_LIMIT
    assert flip["data"]["counts"] == {"10": 500}
    assert flip["data"]["creg_labels"] == "c[2]"
    assert "kind" not in jobs["ended"]


def test_a_job_on_a_device(jobs: dict[str, Any]) -> None:
    """Counts are by classical bit, unless the client says that it compiled the text: then by qubit of the device."""
    (plain,), (indexed,) = jobs["on_device"]["qasms"], jobs["indexed"]["qasms"]
    counts = plain["data"]["counts"]
    assert counts["00000"] + counts["00011"] > 280
    assert max(indexed["data"]["counts"], key=indexed["data"]["counts"].get) == "00010"
    assert (indexed["name"], indexed["metadata"]) == ("flip", {"compiled_circuit": {}})


def test_a_job_by_qobj(jobs: dict[str, Any]) -> None:
    """The same client sends these too and gets program and result back."""
    job = jobs["qobj"]
    assert (job["kind"], job["status"]) == ("q-object", "COMPLETED")
    assert job["qObjectResult"]["results"][0]["data"]["counts"] == {"0x0": 20}


def test_what_goes_wrong_with_jobs(jobs: dict[str, Any]) -> None:
    """What is wrong in a text is told by the job; what is wrong with the request by the client's exceptions."""
    assert jobs["broken"]["status"] == "ERROR_VALIDATING_JOB"
    assert jobs["broken"]["error"]["message"].startswith("Program 1: ")
    assert {text["status"] for text in jobs["broken"]["qasms"]} == {"ERROR_VALIDATING_JOB"}
    assert jobs["unknown_device"].startswith("BadBackendError")
    assert jobs["too_wide"] == "RegisterSizeError: device register size must be <= 5"
    assert jobs["missing"]["error"]["code"] == 3250


def test_cancelling(jobs: dict[str, Any]) -> None:
    """A job that has not ended is cancelled at once."""
    assert jobs["cancelled"] == {"cancelled": True}
    assert jobs["after_cancelling"]["status"] == "CANCELLED"


def test_lists(jobs: dict[str, Any]) -> None:
    """Jobs, those that are completed, and states by device."""
    ids = [job["id"] for job in jobs["listed"]]
    assert len(ids) == len(set(ids)) >= 9
    assert {job["status"] for job in jobs["completed"]} == {"COMPLETED"}
    assert 0 < len(jobs["completed"]) < len(ids)
    assert {job["backend"]["name"] for job in jobs["states"]} == {"ibmq_essex"}


def test_a_project_in_the_address(seen: dict[str, Any]) -> None:
    """The client cuts hub, group and project out of the URL that it is given."""
    (text,) = seen["in_project"]["qasms"]
    assert (seen["in_project"]["hubInfo"]["project"]["name"], text["data"]["counts"]) == ("main", {"10": 5})


def test_codes_are_ones_own(seen: dict[str, Any]) -> None:
    """Somebody else sees neither the list nor a code of it."""
    assert seen["foreign_codes"] == []
    assert seen["foreign_code"] == "no exception: 3254"


def test_a_newer_client_reads_a_job_of_texts(private: Cloud, old_client: OldClient, jobs: dict[str, Any]) -> None:
    """For the client of 2023 it is a job like any other, with circuits and counts."""
    found = old_client.run("retrieve", private.url, private.token, jobs["submitted"]["id"])

    assert found["counts"][1] == {"10": 500}
    assert set(found["counts"][0]) == {"00000", "00011"}
    assert found["circuits"] == [["qasm0", 5, 5, 7], ["qasm1", 2, 2, 3]]
