# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N815 -- members are named as the client names them
"""DotQASM, a C# client of 2020: exchanges derived from the description of the protocol and from its source.

They stand in for the client, which is a .NET program with its hosts written into it. Requests are byte for byte what
its `HttpClient` and `System.Text.Json` write. Answers are read into its own classes, as strictly as its reader does:
numbers for `int` without a fraction, dates in the one form that it parses, nulls skipped, unknown members ignored,
names matched in exact case. Source: protocol 2.1 to 2.3, 6.3, 9.5, 12.1, 12.4; DotQASM, `Backend/IBM/Api`.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import pytest
import wire
from clouds import Cloud, eventually
from msgspec import Meta

pytestmark = pytest.mark.acceptance

HOST = "api.quantum-computing.ibm.com"
JOBS = "/api/jobs/"
#: What `Utf8JsonReader.TryGetDateTime` takes: the extended ISO 8601 profile.
Date = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,16})?)?(Z|[+-]\d\d:\d\d)?)?$")]


class Failure(msgspec.Struct):
    """`IBMApiError`; a code that is a text is an exception instead."""

    statusCode: int
    code: int
    name: str
    message: str


class Session(msgspec.Struct):
    """`IBMSession`: without an `error` the login counts as good, whatever the status was."""

    id: str | None = None
    ttl: int | None = None
    created: Date | None = None
    userId: str | None = None
    error: Failure | None = None


class DeviceStatus(msgspec.Struct):
    """`IBMDeviceStatus`."""

    state: bool
    message: str
    status: str
    lengthQueue: int
    backend_version: str


class Parameter(msgspec.Struct):
    """`IBMDeviceGateParametre`."""

    date: Date
    name: str
    unit: str
    value: float


class Gate(msgspec.Struct):
    """`IBMDeviceGate`, with the misspelling of the description."""

    gate: str
    name: str
    parametres: list[Parameter]
    qubits: list[int]


class Device(msgspec.Struct):
    """`IBMDevice`: the properties of a device."""

    backend_name: str
    backend_version: str
    last_update_date: Date
    gates: list[Gate]
    qubits: list[list[Parameter]]


class Config(msgspec.Struct):
    """`IBMQObjUserConfig`."""

    shots: int
    memory_slots: int
    seed: int


class Experiment(msgspec.Struct):
    """`IBMQObjExperiment`; its instructions are written and never read."""

    header: dict[str, Any]
    config: Config


class QObj(msgspec.Struct):
    """`IBMQObj`."""

    qobj_id: str
    type: Literal["QASM", "PULSE"]
    schema_version: str
    experiments: list[Experiment]
    header: dict[str, Any]
    config: Config


class Data(msgspec.Struct):
    """`IBMApiJobMeasurementData`."""

    counts: dict[str, int]
    memory: list[int] | None = None
    statevector: list[list[list[float]]] | None = None
    unitary: list[list[list[float]]] | None = None


class ExperimentResult(msgspec.Struct):
    """`IBMApiJobExperimentResult`."""

    shots: int
    status: str
    success: bool
    data: Data
    header: dict[str, Any] | None = None
    seed: int | None = None


class Result(msgspec.Struct):
    """`IBMApiQObjectResult`."""

    backend_name: str
    backend_version: str
    qobj_id: str
    job_id: str
    date: Date
    header: dict[str, Any]
    status: str
    success: bool
    time_taken: float
    results: list[ExperimentResult]


class Storage(msgspec.Struct):
    """`IBMApiJobStorageInfo`."""

    jobId: str | None = None
    downloadQObjectUrlEndpoint: str | None = None
    validatedUrl: str | None = None
    validationUploadUrlEndpoint: str | None = None
    uploadQobjectUrlEndpoint: str | None = None
    jobQasmConverted: str | None = None


class Submitter(msgspec.Struct):
    """`IBMJobSubmitter`."""

    ip: str | None = None
    city: str | None = None
    country: str | None = None
    continent: str | None = None


class Job(msgspec.Struct):
    """`IBMApiJob`; a member that does not fit is an exception, and the job is lost to the user."""

    id: str
    status: str
    kind: str
    creationDate: Date
    name: str | None = None
    qasms: list[str] | None = None
    shots: int | None = None
    cost: float | None = None
    endDate: Date | None = None
    objectStorageInfo: Storage | None = None
    qObject: QObj | None = None
    qObjectResult: Result | None = None
    timePerStep: dict[str, Date] | None = None
    ip: Submitter | None = None


class ProjectDevice(msgspec.Struct):
    """`IBMNetwork.ProjectDevice`."""

    priority: int
    deleted: bool
    name: str


class Project(msgspec.Struct):
    """`IBMNetwork.Project`."""

    name: str
    title: str
    description: str
    creationDate: Date
    deleted: bool
    devices: dict[str, ProjectDevice]


class Group(msgspec.Struct):
    """`IBMNetwork.Group`."""

    name: str
    title: str
    description: str
    creationDate: Date
    deleted: bool
    projects: dict[str, Project]


class Network(msgspec.Struct, rename={"klass": "class"}):
    """`IBMNetwork`."""

    name: str
    title: str
    description: str
    creationDate: Date
    deleted: bool
    private: bool
    licenseNotRequired: bool
    isDefault: bool
    analytics: bool
    klass: str
    id: str
    groups: dict[str, Group]


T = TypeVar("T")
#: Bell pair, as the client schedules it: three angles with each gate, none with `cx`, registers with each measurement.
BELL = (
    '{"name":"u2","qubits":[0],"params":[1.5707963267948966,0,3.141592653589793]},'
    '{"name":"cx","qubits":[0,1]},'
    '{"name":"barrier","qubits":[0,1]},'
    '{"name":"measure","qubits":[0],"memory":[0],"register":[0]},'
    '{"name":"measure","qubits":[1],"memory":[1],"register":[1]}'
)
#: One qubit, turned by `u3`.
FLIP = (
    '{"name":"u3","qubits":[0],"params":[3.141592653589793,0,3.141592653589793]},'
    '{"name":"measure","qubits":[0],"memory":[0],"register":[0]}'
)
#: `if (c == 1) x q[1]`: the client keeps what it compares in the register behind the last bit, and names memory 0 too.
CONDITIONAL = (
    '{"name":"h","qubits":[0],"params":[1.5707963267948966,0,3.141592653589793]},'
    '{"name":"measure","qubits":[0],"memory":[0],"register":[0]},'
    '{"name":"bfunc","mask":1,"relation":"==","val":1,"register":2,"memory":0},'
    '{"conditional":2,"name":"x","qubits":[1],"params":[3.141592653589793,0,3.141592653589793]},'
    '{"name":"measure","qubits":[1],"memory":[1],"register":[1]}'
)


class Client:
    """What one `IBMApi` object does; keeps the access token of its session."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.token = ""

    def get(self, path: str, kind: type[T]) -> T:
        """Send a GET with the token in its body and read the answer, whatever its status."""
        return self._read("GET", path, f'{{"access_token":"{self.token}"}}', kind)

    def post(self, path: str, body: str, kind: type[T]) -> T:
        """Send a POST and read the answer, whatever its status."""
        return self._read("POST", path, body, kind)

    def status(self, device: str) -> DeviceStatus:
        """Ask whether a device is available, without a token and without a body."""
        reply = wire.send(self.cloud.port, f"GET /api/backends/{device}/queue/status HTTP/1.1\nHost: {HOST}")
        return msgspec.json.decode(reply.body, type=DeviceStatus)

    def log_in(self, body: str) -> Session:
        """Log in on the host of the API; with a token or with an address, always on the path of tokens."""
        session = self.post("/api/users/loginWithToken", body, Session)
        self.token = session.id or ""
        self.cloud.secrets.add(self.token)
        return session

    def submit(self, device: str, instructions: str, slots: int, shots: int = 1024) -> Job:
        """Submit one circuit with its program inline."""
        config = f'{{"shots":{shots},"memory_slots":{slots},"seed":1}}'
        program = (
            f'{{"qobj_id":"bell 8/1/2020 10:30:00 AM","type":"QASM","schema_version":"1.0","experiments":'
            f'[{{"header":{{}},"config":{config},"instructions":[{instructions}]}}],"header":{{}},"config":{config}}}'
        )
        body = (
            f'{{"name":"bell","qObject":{program},"backend":{{"name":"{device}"}},'
            f'"shots":{shots},"access_token":"{self.token}"}}'
        )
        return self.post(JOBS, body, Job)

    def run(self, device: str, instructions: str, slots: int) -> Job:
        """Submit a circuit and ask for its job until it is COMPLETED."""
        job = self.submit(device, instructions, slots)

        def done() -> Job | None:
            now = self.get(JOBS + job.id, Job)
            assert now.status in {"VALIDATING", "RUNNING", "COMPLETED"}, now
            return now if now.status == "COMPLETED" else None

        return eventually(done, 90, f"{device} never completed {job.id}")

    def _read(self, method: str, path: str, body: str, kind: type[T]) -> T:
        head = (
            f"{method} {path} HTTP/1.1\nHost: {HOST}\n"
            f"Content-Type: application/json; charset=utf-8\nContent-Length: {len(body.encode())}"
        )
        return msgspec.json.decode(wire.send(self.cloud.port, head, body).body, type=kind)


@pytest.fixture(scope="module")
def era(tmp_path_factory: pytest.TempPathFactory, cloud: Cloud) -> Iterator[Cloud]:
    """A running cloud to which the devices of 2020 are added."""
    started = Cloud(tmp_path_factory.mktemp("era"), cloud.environment)
    started.start()
    added = started.json("device", "add", "--set", "era-2020")
    assert len(added) == 9
    yield started
    started.clear()


@pytest.fixture(scope="module")
def client(era: Cloud) -> Client:
    """A client that has logged in with its token."""
    client = Client(era)
    session = client.log_in(f'{{"apiToken":"{era.token}"}}')
    assert session.error is None
    assert session.ttl == 1209600
    return client


def probabilities(job: Job) -> dict[int, float]:
    """Read a job's histogram as the client does: keys in base 16, counts over the shots of the first experiment."""
    assert job.qObjectResult is not None
    [result] = job.qObjectResult.results
    return {int(key, 16): count / result.shots for key, count in result.data.counts.items()}


def test_an_address_and_a_password_log_in_on_the_path_of_tokens(era: Cloud) -> None:
    """The client posts both kinds of credentials to `loginWithToken`."""
    user = era.add_user("dot@example.org", "--password", "long enough for anyone")
    era.secrets.add("long enough for anyone")
    session = Client(era).log_in('{"email":"dot@example.org","password":"long enough for anyone"}')

    assert (session.error, session.userId) == (None, user["id"])


def test_a_wrong_token_is_an_error_that_the_client_can_read(era: Cloud) -> None:
    """It never looks at the status; the error has a number for its code."""
    session = Client(era).log_in('{"apiToken":"wrong"}')

    assert session.id is None
    assert session.error is not None
    assert (session.error.statusCode, session.error.code) == (401, 2001)


@pytest.mark.parametrize(
    "device",
    ["ibmq_qasm_simulator", "ibmq_16_melbourne", "ibmq_armonk", "ibmq_burlington", "ibmq_essex", "ibmq_london",
     "ibmq_ourense", "ibmq_rome", "ibmq_vigo", "ibmqx2"],
)  # fmt: skip
def test_every_device_that_it_knows_is_available(client: Client, device: str) -> None:
    """`IsAvailable` asks without a token and wants the word `active`."""
    assert client.status(device).status.lower() == "active"


def test_the_networks_have_their_types(client: Client) -> None:
    """Dates on every level, dictionaries of groups, projects and devices."""
    [network] = client.get("/api/network", list[Network])
    devices = network.groups["open"].projects["main"].devices

    assert (network.name, network.klass) == ("ibm-q", "Open")
    assert {"ibmqx2", "ibmq_rome"} <= {device.name for device in devices.values()}


def test_properties_have_their_types(client: Client) -> None:
    """With the parameters of gates under the name that the client misspells."""
    device = client.get("/api/backends/ibmq_vigo/properties", Device)

    assert (device.backend_name, len(device.qubits)) == ("ibmq_vigo", 5)
    assert {parameter.name for gate in device.gates for parameter in gate.parametres} >= {"gate_error", "gate_length"}


def test_defaults_are_an_empty_object(client: Client) -> None:
    """Under the noun of the description, too."""
    assert client.get("/api/backends/ibmq_vigo/defaults", dict[str, Any]) == {}
    assert client.get("/api/backend/ibmq_vigo/defaults", dict[str, Any]) == {}


def test_a_submission_is_answered_with_a_job(client: Client) -> None:
    """The program comes back with it, and its kind says that it was sent inline."""
    job = client.submit("ibmq_qasm_simulator", BELL, 2)

    assert (job.kind, job.name, job.shots) == ("q-object", "bell", 1024)
    assert job.status in {"VALIDATING", "RUNNING"}


def test_a_bell_pair_on_the_simulator(client: Client) -> None:
    """Submit, ask until COMPLETED, read the histogram from the job."""
    job = client.run("ibmq_qasm_simulator", BELL, 2)
    found = probabilities(job)

    assert set(found) == {0, 3}
    assert found[0] == pytest.approx(0.5, abs=0.1)
    assert job.qObject is not None
    assert job.qObject.config == Config(1024, 2, 1)
    assert job.qObjectResult is not None
    assert (job.qObjectResult.success, job.qObjectResult.job_id) == (True, job.id)
    assert job.endDate is not None
    assert job.timePerStep is not None
    assert {"VALIDATING", "RUNNING", "COMPLETED"} <= set(job.timePerStep)
    assert job.ip is not None
    assert (job.ip.ip, job.ip.city) == ("127.0.0.1", "")


def test_equal_seeds_give_equal_counts(client: Client) -> None:
    """The client always sends the seed 1."""
    first, second = (client.run("ibmq_qasm_simulator", BELL, 2) for _ in range(2))

    assert probabilities(first) == probabilities(second)


def test_a_condition_by_numbers(client: Client) -> None:
    """`bfunc` with a mask and a value that are integers decides whether a gate is applied."""
    found = probabilities(client.run("ibmq_qasm_simulator", CONDITIONAL, 2))

    assert set(found) == {0, 3}


@pytest.mark.parametrize(
    "device",
    ["ibmq_16_melbourne", "ibmq_burlington", "ibmq_essex", "ibmq_london", "ibmq_ourense", "ibmq_rome", "ibmq_vigo",
     "ibmqx2"],
)  # fmt: skip
def test_a_noisy_bell_pair_on_every_device(client: Client, device: str) -> None:
    """The client compiles to u2 and cx, also for devices that were calibrated in other gates later."""
    found = probabilities(client.run(device, BELL, 2))

    assert found.get(0, 0) + found.get(3, 0) > 0.6
    assert set(found) > {0, 3}


def test_one_qubit_on_armonk(client: Client) -> None:
    """The one device without a two-qubit gate."""
    assert probabilities(client.run("ibmq_armonk", FLIP, 1))[1] > 0.8


def test_the_list_of_jobs_has_their_types(client: Client) -> None:
    """`GET /jobs/` without a filter, also where a job of another kind and one that failed are in it."""
    other = client.cloud.api()
    stored = other.post("/Jobs", json={"backend": {"name": "ibmq_vigo"}, "allowObjectStorage": True})["id"]
    failed = client.submit("ibmq_vigo", BELL.replace('"cx"', '"swap"'), 2).id
    assert other.wait(failed)["status"] == "ERROR_VALIDATING_JOB"
    jobs = {job.id: job for job in client.get(JOBS, list[Job])}

    assert {stored, failed} <= set(jobs)
    assert jobs[stored].kind == "q-object-external-storage"
    assert jobs[failed].qObjectResult is None


def test_seed_and_client_agree_that_a_job_is_an_object(client: Client) -> None:
    """The description shows a list of one; the client reads an object."""
    job = client.submit("ibmq_qasm_simulator", FLIP, 1)
    reply = wire.send(client.cloud.port, f"GET {JOBS}{job.id}?access_token={client.token} HTTP/1.1\nHost: {HOST}")

    assert re.match(rb"\s*\{", reply.body)
    assert reply.document["id"] == job.id
