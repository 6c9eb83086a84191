# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N815 -- members are named as the client names them
"""IBMQClient.jl, a Julia client of 2021: exchanges that it recorded, replayed, and its types, written down.

They stand in for the client, whose authentication host is written into it. Requests are byte for byte those of its own
recordings (`test/records`), with tokens and ids of this server; a filter and a program are verbatim. Answers are read
into its structs: the account refuses any key that it does not know, dates are cut and parsed by fixed patterns,
versions must be versions. Source: protocol 2.4, 3.2, 3.3, 5.2, 6.3, 9.1, 12.4; IBMQClient.jl, `src/schema.jl` and
`src/ibmq.jl`.
"""

import json
import re
from datetime import datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import pytest
import wire
from clouds import Cloud, eventually
from msgspec import Meta

pytestmark = pytest.mark.acceptance

AUTH = "auth.quantum-computing.ibm.com"
#: `DateFormat("yyyy-mm-ddTHH:MM:SS.sssZ")`, for jobs.
Date = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
#: `dateformat"yyyy-mm-ddTHH:MM:SSZ"`, for devices.
Second = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
#: What the client makes a `VersionNumber` of.
Version = Annotated[str, Meta(pattern=r"^\d+\.\d+\.\d+$")]
#: The program that its test submits, to the byte.
PROGRAM = (
    '{"qobj_id":"bell_Qobj_07272018","type":"QASM","schema_version":"1.0.0","experiments":[{"header":{"description":'
    '"|11>+|00> Bell"},"instructions":[{"name":"u2","qubits":[0],"params":[0.0,3.141592653589793]},{"name":"cx",'
    '"qubits":[0,1]},{"name":"measure","qubits":[0,1],"memory":[0,1]}]},{"header":{"description":"|01>+|10> Bell"},'
    '"instructions":[{"name":"u2","qubits":[0],"params":[0.0,3.141592653589793]},{"name":"cx","qubits":[0,1]},'
    '{"name":"u3","qubits":[0],"params":[3.141592653589793,0.0,3.141592653589793]},{"name":"measure","qubits":[0,1],'
    '"memory":[0,1]}]}],"header":{"description":"Bell states"},"config":{"shots":1000,"memory_slots":2}}'
)
FILTER = "%7B%22order%22%3A%22creationDate%20DESC%22%2C%22skip%22%3A0%2C%22limit%22%3A10%7D"


class Subscription(msgspec.Struct, forbid_unknown_fields=True):
    """`Subscription`: any other key is an error."""

    surveys: int = 0
    newsletter: int = 0
    updates: int = 0
    tips: int = 0
    updatesInTool: int = 0


class UserInfo(msgspec.Struct, forbid_unknown_fields=True):
    """`UserInfo`: any other key is an error."""

    id: str
    username: str
    email: str
    urls: dict[str, Any]
    userType: str = "Standard"
    firstName: str | None = None
    lastName: str | None = None
    institution: str | None = None
    applications: list[str] = []
    subscriptions: Subscription = msgspec.field(default_factory=Subscription)
    readOnly: bool = False
    needsRefill: bool = False
    iqxPreferences: dict[str, Any] = {}
    loginAccounts: list[Any] = []
    ibmQNetwork: bool = True
    qNetworkRoles: list[str] = []
    roles: list[Any] = []
    emailVerified: bool = False
    terms: dict[str, Any] = {}
    canScheduleBackends: bool = True
    servicesRoles: list[str] = []


class GateInfo(msgspec.Struct, forbid_unknown_fields=True):
    """`GateInfo`."""

    name: str
    parameters: list[str] | None = None
    coupling_map: list[list[int]] | None = None
    qasm_def: str | None = None
    conditional: bool | None = None
    latency_map: list[list[int]] | None = None
    description: str | None = None


class DeviceInfo(msgspec.Struct):
    """`DeviceInfo`; other keys of a configuration are let pass."""

    backend_name: str
    backend_version: Version
    n_qubits: int
    gates: list[GateInfo]
    local: bool
    simulator: bool
    basis_gates: list[str]
    open_pulse: bool
    max_shots: int
    memory: bool = False
    max_experiments: int | None = None
    conditional: bool = True
    configurable: bool = False
    credits_required: bool = False
    allow_q_object: bool = False
    allow_object_storage: bool = False
    n_registers: int | None = None
    quantum_volume: int | None = None
    online_date: Second | None = None
    display_name: str | None = None
    sample_name: str | None = None
    description: str | None = None
    url: str | None = None
    tags: list[str] | None = None
    register_map: list[list[int]] | None = None
    coupling_map: list[list[int]] | None = None


class Upload(msgspec.Struct):
    """Where the program goes; the client reads both keys."""

    uploadUrl: str
    maxJobSizeInBytes: int


class JobInfo(msgspec.Struct):
    """`JobInfo`: what the client keeps of a job; every value of `backend` is a text."""

    id: str
    userId: str
    kind: str
    status: str
    creationDate: Date
    backend: dict[str, str]
    hubInfo: dict[str, Any]
    name: str | None = None
    endDate: Date | None = None
    timePerStep: dict[str, Date] | None = None
    objectStorageInfo: dict[str, Any] | None = None


class ExpData(msgspec.Struct):
    """`ExpData`."""

    counts: dict[str, int]
    memory: list[str] | None = None


class ExpResult(msgspec.Struct):
    """`ExpResult`, with what protocol 12.4 says that the client reads."""

    shots: int
    status: str
    success: bool
    meas_level: int
    circ_id: int
    time_taken: float
    data: ExpData
    header: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    seed_simulator: int | None = None
    seed: int | None = None
    meas_return: str | None = None


class Result(msgspec.Struct):
    """`Result`."""

    qobj_id: str
    job_id: str
    backend_name: str
    backend_version: Version
    date: str
    status: str
    success: bool
    results: list[ExpResult]
    time_taken: float | None = None
    header: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


T = TypeVar("T")


class Client:
    """One `AccountInfo`: follows the URLs that it is given, with the headers that HTTP.jl writes."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.token = ""
        answer = self.send("POST", f"http://{AUTH}/api/users/loginWithToken", f'{{"apiToken":"{cloud.token}"}}')
        self.token = answer.document["id"]
        cloud.secrets.add(self.token)
        self.user = self.read("GET", f"http://{AUTH}/api/users/me", UserInfo)
        self.base = self.user.urls["http"]
        self.hub, self.group, self.project = self.first_place()
        self.place = f"{self.base}/Network/{self.hub}/Groups/{self.group}/Projects/{self.project}"

    def send(self, method: str, url: str, body: str = "", *, typed: bool = True) -> wire.Reply:
        """Send a request; any status from 300 on is an exception to the client.

        Args:
            typed: Name the content type of a body, which uploads do not.
        """
        host, path = wire.target(url)
        lines = [f"{method} {path} HTTP/1.1", "X-Qx-Client-Application: IBMQClient.jl", "Connection: keep-alive"]
        lines += ["Accept: */*"]
        lines += [f"X-Access-Token: {self.token}"] if self.token else []
        lines += ["Content-Type: application/json"] if body and typed else []
        lines += [f"Host: {host}", "User-Agent: HTTP.jl/1.6.1", f"Content-Length: {len(body.encode())}"]
        reply = wire.send(self.cloud.port, "\n".join(lines), body)
        assert reply.status < 300, reply
        return reply

    def read(self, method: str, url: str, kind: type[T], body: str = "") -> T:
        """Send a request and read its answer as one of the client's structs."""
        return msgspec.json.decode(self.send(method, url, body).body, type=kind)

    def first_place(self) -> tuple[str, str, str]:
        """Return the place that the client takes: a default project goes to the front."""
        places: list[tuple[str, str, str]] = []
        for hub in self.send("GET", f"{self.base}/Network").document:
            for group_name, group in hub["groups"].items():
                for project_name, project in group["projects"].items():
                    place = (hub["name"], group_name, project_name)
                    places.insert(0 if project.get("isDefault", False) else len(places), place)
        return places[0]

    def create(self, device: str) -> tuple[JobInfo, str]:
        """Create a job and upload the program; return the job and its own URL."""
        body = f'{{"backend":{{"name":"{device}"}},"allowObjectStorage":true}}'
        job = self.read("POST", f"{self.place}/Jobs", JobInfo, body)
        upload = msgspec.convert(job.objectStorageInfo, Upload)
        assert upload.maxJobSizeInBytes > len(PROGRAM)
        self.cloud.secrets.add(urlsplit(upload.uploadUrl).query)
        assert self.send("PUT", upload.uploadUrl, PROGRAM, typed=False).body == b""
        own = f"{self.place}/Jobs/{job.id}"
        handed_over = msgspec.convert(self.send("POST", f"{own}/jobDataUploaded").document["job"], JobInfo)
        assert handed_over.id == job.id
        return job, own


@pytest.fixture(scope="module")
def client(cloud: Cloud) -> Client:
    """A client that has logged in."""
    return Client(cloud)


@pytest.fixture(scope="module")
def done(client: Client) -> tuple[JobInfo, str]:
    """A job on the simulator that is COMPLETED, and its URL."""
    job, own = client.create("ibmq_qasm_simulator")
    eventually(
        lambda: client.read("GET", f"{own}/status/v/1", JobInfo).status == "COMPLETED", 90, "never COMPLETED", 0.2
    )
    return job, own


def test_the_account_has_no_key_too_many(client: Client, cloud: Cloud) -> None:
    """The account is read without an error, and leads to the host that it was asked on."""
    assert client.user.userType == "Standard"
    assert client.user.username == client.user.email == cloud.account["operator"]["email"]
    assert client.base == f"http://{AUTH}/api"


def test_the_default_project_is_found(client: Client) -> None:
    """`isDefault` puts it first, in whatever order a Julia `Dict` has the groups."""
    assert (client.hub, client.group, client.project) == ("ibm-q", "open", "main")


def test_every_device_can_be_read(client: Client) -> None:
    """Versions, dates and coupling maps included; parameters and definitions of gates are there."""
    devices = client.read("GET", f"{client.place}/devices/v/1", list[DeviceInfo])

    assert {"ibmq_qasm_simulator", "ibmq_manila", "ibm_kingston"} <= {device.backend_name for device in devices}
    for device in devices:
        assert datetime.strptime(device.online_date or "", "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007 -- as the client does
        assert all(gate.parameters is not None and gate.qasm_def is not None for gate in device.gates)


def test_a_new_job_has_its_types(client: Client) -> None:
    """Created with a URL for its program; cancelled, which the client does when an upload fails."""
    body = '{"backend":{"name":"ibmq_qasm_simulator"},"allowObjectStorage":true}'
    job = client.read("POST", f"{client.place}/Jobs", JobInfo, body)

    assert job.kind == "q-object-external-storage"
    assert set(job.backend) == {"id", "name"}
    own = f"{client.place}/Jobs/{job.id}"
    assert client.send("GET", f"{own}/jobUploadUrl").document["url"].startswith("http://")
    assert client.send("POST", f"{own}/cancel").document == {"cancelled": True}
    assert client.read("GET", f"{own}/status/v/1", JobInfo).status == "CANCELLED"


def test_the_result_can_be_read(client: Client, done: tuple[JobInfo, str]) -> None:
    """By its URL, with the token of the session beside the signature; then the server is told."""
    job, own = done
    url = client.send("GET", f"{own}/resultDownloadUrl").document["url"]
    client.cloud.secrets.add(urlsplit(url).query)
    result = client.read("GET", url, Result)
    same, other = result.results

    assert (result.job_id, result.qobj_id, result.success) == (job.id, "bell_Qobj_07272018", True)
    assert datetime.strptime(result.date[:21], "%Y-%m-%dT%H:%M:%S.%f")  # noqa: DTZ007 -- as the client does
    assert (set(same.data.counts), set(other.data.counts)) == ({"0x0", "0x3"}, {"0x1", "0x2"})
    assert [experiment.header for experiment in (same, other)] == [
        {"description": "|11>+|00> Bell"},
        {"description": "|01>+|10> Bell"},
    ]
    assert same.shots == sum(same.data.counts.values()) == 1000
    assert client.send("POST", f"{own}/resultDownloaded").document == {"terminated": True}


def test_the_program_comes_back_as_it_was(client: Client, done: tuple[JobInfo, str]) -> None:
    """To the byte."""
    url = client.send("GET", f"{done[1]}/jobDownloadUrl").document["url"]
    client.cloud.secrets.add(urlsplit(url).query)

    assert client.send("GET", url).body.decode() == PROGRAM


def test_a_job_can_be_read_again(client: Client, done: tuple[JobInfo, str]) -> None:
    """With the times of its states, and without what only older clients want."""
    job = client.read("GET", f"{done[1]}/v/1", JobInfo)

    assert (job.status, job.id) == ("COMPLETED", done[0].id)
    assert job.timePerStep is not None
    assert {"CREATING", "RUNNING", "COMPLETED"} <= set(job.timePerStep)
    assert json.loads(client.send("GET", f"{done[1]}/properties").body) == {}
    assert not {"qObject", "qObjectResult", "error"} & set(client.send("GET", f"{done[1]}/v/1").document)


def test_the_list_of_jobs_can_be_read(client: Client, done: tuple[JobInfo, str]) -> None:
    """By the filter that the client recorded, the newest first; each names the client that submitted it."""
    url = f"{client.place}/Jobs/status/v/1?filter={FILTER}"
    jobs = client.read("GET", url, list[JobInfo])

    assert done[0].id in {job.id for job in jobs}
    assert [job.creationDate for job in jobs] == sorted((job.creationDate for job in jobs), reverse=True)
    [own] = [job for job in client.send("GET", url).document if job["id"] == done[0].id]
    assert own["clientInfo"] == {"name": "IBMQClient.jl", "version": None}


def test_a_device_runs_it_too(client: Client) -> None:
    """On a device with the gates of 2020, whose noise shows."""
    _, own = client.create("ibmq_essex")
    eventually(
        lambda: client.read("GET", f"{own}/status/v/1", JobInfo).status == "COMPLETED", 90, "never COMPLETED", 0.2
    )
    url = client.send("GET", f"{own}/resultDownloadUrl").document["url"]
    client.cloud.secrets.add(urlsplit(url).query)
    counts = client.read("GET", url, Result).results[0].data.counts

    assert len(counts) == 4
    assert all(re.fullmatch("0x[0-9a-f]+", key) for key in counts)
    assert counts["0x0"] + counts["0x3"] > 600
