# SPDX-License-Identifier: Apache-2.0
"""ProjectQ 0.8.0 compiles and runs circuits, though it knows its servers by name and speaks only TLS.

Not a line of it is changed: inside its process the two names are looked up on this machine, and a test certificate
is trusted; a door before the cloud keeps what was said.
"""

import dataclasses
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import clouds
import oldclient
import programs
import pytest
import tls
from clouds import Cloud
from oldclient import OldClient
from tls import Exchange

# The first test waits for the client's installation.
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

PINS: Final = oldclient.SCRIPTS / "projectq-0.8.0.txt"
#: ProjectQ's own build fails with newer ones, and fetches them when it may.
BUILD_TOOLS: Final = (
    "setuptools==69.5.1",
    "wheel==0.48.0",
    "pybind11==3.1.0",
    "setuptools_scm==7.1.0",
    "numpy==1.26.4",
)
HOSTS: Final = ("auth.quantum-computing.ibm.com", "api.quantum-computing.ibm.com")
PROJECT: Final = "/api/Network/ibm-q/Groups/open/Projects/main"
#: The only device of its time that ProjectQ compiles for beside those of five qubits is the one in Melbourne.
DEVICES: Final = {"ibmq_essex": "essex", "ibmq_16_melbourne": "melbourne", "ibm_lagos": "lagos"}
SHOTS: Final = 2000
#: Largest chi-squared with one degree of freedom that chance produces once in a million.
CHI_SQUARED_LIMIT: Final = 23.9


@dataclass(frozen=True)
class Visit:
    """What the client saw, and what went through the door meanwhile."""

    seen: dict[str, Any]
    exchanges: list[Exchange]

    def answers(self, method: str, ending: str) -> list[Any]:
        """Return what was answered to requests whose path ends so."""
        return [one.answered for one in self.exchanges if one.method == method and one.path.endswith(ending)]


@pytest.fixture(scope="module")
def client(cloud: Cloud, pytestconfig: pytest.Config) -> OldClient:
    """The unmodified client, built from its source."""
    python = oldclient.python311()
    if python is None:
        pytest.skip("not run: ProjectQ's pins need Python 3.11, and there is no python3.11 on the path")
    cache = pytestconfig.rootpath / ".cache" / "clients"
    return oldclient.build(
        python, cache, cloud.environment, PINS, first=BUILD_TOOLS, arguments=("--no-build-isolation",)
    )


@pytest.fixture(scope="module")
def narrow(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud that runs one job at a time, so that the next one waits."""
    settings = {"CHANDELIER_WORKERS": "1", "CHANDELIER_DEVICES": json.dumps(DEVICES)}
    started = Cloud(tmp_path_factory.mktemp("cloud"), cloud.environment | settings)
    started.start()
    yield started
    started.clear()


@pytest.fixture(scope="module")
def visit(narrow: Cloud, client: OldClient, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    """Run the client's script while another job holds the cloud, until the client has given up and asks again."""
    api = narrow.api()
    longer = api.submit(programs.slow(20000))
    clouds.eventually(lambda: api.status(longer) == "RUNNING", 60, "the longer job never ran")
    with tls.door(narrow.port, tmp_path_factory.mktemp("door"), HOSTS) as door, ThreadPoolExecutor(1) as pool:
        trusting = {"REQUESTS_CA_BUNDLE": str(door.certificate), "NO_PROXY": ",".join(HOSTS)}
        guest = dataclasses.replace(client, environment={**client.environment, **trusting})
        run = pool.submit(guest.run, "projectq_run", str(door.port), narrow.token)

        def asks_again() -> bool:
            """Tell whether the client has logged in a second time and has asked for the job since."""
            logins = [n for n, one in enumerate(door.exchanges) if one.path.endswith("/loginWithToken")]
            return run.done() or (len(logins) >= 2 and any(is_job(one) for one in door.exchanges[logins[1] :]))

        clouds.eventually(asks_again, 120, "the client never came back for its job")
        api.post(f"/Jobs/{longer}/cancel")
        return Visit(run.result(), door.exchanges)


def is_job(exchange: Exchange) -> bool:
    """Tell whether somebody asked for a job's document."""
    return exchange.method == "GET" and exchange.path.rpartition("/")[0] == f"{PROJECT}/Jobs"


def test_devices_are_listed(visit: Visit) -> None:
    """`show_devices` has each device with its size, its coupling and its version."""
    devices = visit.seen["devices"]
    assert {"ibmq_qasm_simulator", *DEVICES} <= set(devices)
    assert devices["ibmq_essex"]["nq"] == 5
    assert [0, 1] in devices["ibmq_essex"]["coupling_map"]
    assert devices["ibmq_16_melbourne"]["nq"] == 15
    assert devices["ibmq_qasm_simulator"]["coupling_map"] is None
    assert all(device["version"].count(".") == 2 for device in devices.values())


def test_a_queued_job_reads_running(visit: Visit) -> None:
    """While it waits the client sees RUNNING, with a place in the queue, and goes on asking."""
    documents = [one.answered for one in visit.exchanges if is_job(one)]
    waiting = [document for document in documents if "infoQueue" in document]
    assert waiting
    assert {document["status"] for document in waiting} == {"RUNNING"}
    assert {document["infoQueue"]["status"] for document in waiting} == {"PENDING_IN_QUEUE"}
    assert {document["status"] for document in documents} <= {
        "VALIDATING", "RUNNING", "COMPLETED", "ERROR_VALIDATING_JOB",
    }  # fmt: skip


def test_a_job_that_takes_too_long_is_retrieved(visit: Visit) -> None:
    """The client names its id when it gives up; with the id it gets the result later, as often as it likes."""
    assert visit.seen["late"].startswith("Exception: Timeout. The ID of your submitted job is ")
    assert visit.seen["retrieved"]["data"]["counts"] == {"0x1": SHOTS}
    assert visit.seen["retrieved"]["header"]["creg_sizes"] == [["c", 1]]
    assert visit.seen["again"]["probabilities"] == {"100": 1.0}


def test_the_simulator_gives_ideal_probabilities(visit: Visit) -> None:
    """A Bell pair and a flipped qubit: two outcomes, each with probability one half."""
    seen = visit.seen["simulator"]
    assert set(seen["probabilities"]) == {"001", "111"}
    assert sum((SHOTS * p - SHOTS / 2) ** 2 / (SHOTS / 2) for p in seen["pair"].values()) < CHI_SQUARED_LIMIT
    assert seen["outcome"] in seen["probabilities"]
    assert set(seen["gates"]) == {"cx", "measure", "u1", "u2", "u3"}


@pytest.mark.parametrize("device", ["ibmq_essex", "ibmq_16_melbourne"])
def test_a_device_gives_noisy_probabilities(visit: Visit, device: str) -> None:
    """Mapped to the device's coupling and its qubits: mostly the right outcomes, and others."""
    seen = visit.seen["on_devices"][device]
    assert 0.6 < seen["probabilities"]["001"] + seen["probabilities"]["111"] < 0.99
    assert 0.7 < seen["pair"]["00"] + seen["pair"]["11"] < 0.999
    assert len(seen["probabilities"]) > 2
    assert sum(seen["probabilities"].values()) == pytest.approx(1)


def test_a_refused_circuit_ends_with_its_status(visit: Visit) -> None:
    """Two qubits that are not coupled: the job fails in validation, and the document says why."""
    assert visit.seen["refused"].startswith(
        "Exception: Error while running the code. Last status: ERROR_VALIDATING_JOB."
    )
    failed = [one.answered for one in visit.exchanges if is_job(one) and one.answered["status"].startswith("ERROR")]
    assert failed[-1]["error"]["code"] == 8002
    assert "cx" in failed[-1]["error"]["message"]


def test_what_cannot_be_sent_is_not_sent(visit: Visit) -> None:
    """Too many qubits, an unknown device, a device that ProjectQ cannot compile for, a wrong token."""
    assert visit.seen["too_small"].startswith("DeviceTooSmall")
    assert visit.seen["offline"].startswith("DeviceOfflineError")
    assert visit.seen["not_handled"].startswith("DeviceNotHandledError")
    assert "401 Client Error: Unauthorized" in visit.seen["wrong_token"]


def test_every_address_is_one_that_the_client_can_reach(visit: Visit) -> None:
    """Logins go to one host and all else to the other; signed addresses name the host that was asked, with TLS."""
    assert {one.host for one in visit.exchanges} == set(HOSTS)
    assert {one.host for one in visit.exchanges if one.path.endswith("/loginWithToken")} == set(HOSTS[:1])
    submitted = visit.answers("POST", f"{PROJECT}/Jobs")
    addresses = [job["objectStorageInfo"]["uploadUrl"] for job in submitted]
    addresses += [answer["url"] for answer in visit.answers("GET", "/resultDownloadUrl")]
    assert len(submitted) == len(visit.answers("POST", "/jobDataUploaded"))
    assert len(addresses) > len(submitted)
    assert all(address.startswith(f"https://{HOSTS[1]}/api/") for address in addresses)


def test_object_storage_takes_no_token(visit: Visit) -> None:
    """The program comes without a token and without a content type; the client reads JSON back from the last call."""
    uploads = [one for one in visit.exchanges if one.method == "PUT"]
    assert uploads
    assert all(one.status == 200 and "access_token" not in one.query for one in uploads)
    assert all(one.query["access_token"] for one in visit.exchanges if is_job(one))
    assert all(isinstance(answer, dict) for answer in visit.answers("POST", "/resultDownloaded"))
