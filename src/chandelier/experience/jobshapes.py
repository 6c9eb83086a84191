# SPDX-License-Identifier: Apache-2.0
"""The shapes of jobs, their results, and the programs and executions of the first clients."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta

from chandelier.experience.shapes import Amount, Count, Date, Maybe, Object, Priority, Url, Version
from chandelier.jobs.lifecycle import State


class NamedDevice(msgspec.Struct, frozen=True):
    """The device of a job."""

    id: str
    name: str


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One level of a job's project; priorities are left out where they are not told."""

    name: str
    priority: Maybe[Priority] = UNSET


class HubInfo(msgspec.Struct, frozen=True):
    """The project of a job."""

    hub: Level
    group: Level
    project: Level


class EstimateQuality(msgspec.Struct, frozen=True):
    """How far off estimates of a start on the device were lately: half of them less, nine of ten less, s."""

    p50: Amount
    p90: Amount


Fairness = Annotated[float, Meta(gt=0, le=1)]


class InfoQueue(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a job waits; `position` counts jobs of the same project, `globalPosition` all. Source: protocol 6.3.

    The priorities are 1 for who has used nothing lately, 0.5 for who has used just their share, and less above it.
    """

    status: Literal["PENDING_IN_QUEUE"]
    position: Maybe[Priority] = UNSET
    global_position: Maybe[Priority] = UNSET
    estimated_start_time: Maybe[Date] = UNSET
    estimated_complete_time: Maybe[Date] = UNSET
    estimate_quality: Maybe[EstimateQuality] = UNSET
    hub_priority: Maybe[Fairness] = UNSET
    group_priority: Maybe[Fairness] = UNSET
    project_priority: Maybe[Fairness] = UNSET


class Rival(msgspec.Struct, frozen=True, kw_only=True):
    """The sibling that goes first, and why; its name only if the caller may know it."""

    reason: str
    name: Maybe[str] = UNSET


class QueueLevel(msgspec.Struct, frozen=True, kw_only=True):
    """How the job's hub, group or project stands on the device.

    `percent` is its share among the siblings that use the device, `usage` the device time that it used lately, s.
    """

    level: Literal["hub", "group", "project"]
    name: str
    share: Amount
    percent: Amount
    usage: Amount
    priority: Fairness
    waiting: Count
    first: bool
    rival: Maybe[Rival] = UNSET


class Hold(msgspec.Struct, frozen=True):
    """What holds a job although its device is free."""

    kind: str
    text: str


class StartEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """When a job should start and end; nine times of ten it starts between `earliest` and `latest`."""

    start: Date
    complete: Date
    earliest: Maybe[Date] = UNSET
    latest: Maybe[Date] = UNSET
    quality: Maybe[EstimateQuality] = UNSET


class QueueExplanation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Why a job waits; `lines` say it in sentences, also of a job that does not wait."""

    job_id: str
    status: State
    backend: NamedDevice
    date: Date
    levels: list[QueueLevel]
    lines: list[str]
    position: Maybe[Priority] = UNSET
    global_position: Maybe[Priority] = UNSET
    hold: Maybe[Hold] = UNSET
    estimate: Maybe[StartEstimate] = UNSET


class JobFailure(msgspec.Struct, frozen=True):
    """Why a job failed; on failed jobs only. Source: protocol 6.1."""

    code: int
    message: Annotated[str, Meta(min_length=1)]


class ClientInfo(msgspec.Struct, frozen=True):
    """The program that submitted a job. Source: protocol 2.4."""

    name: str
    version: str | None


class JobStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A job, without its details. Source: protocol 5.3 and 6.3."""

    id: str
    status: State
    creation_date: Date
    backend: NamedDevice
    hub_info: HubInfo
    run_mode: str
    user_id: str
    tags: list[str]
    live_data_enabled: bool
    kind: Maybe[Literal["q-object", "q-object-external-storage"]] = UNSET
    name: Maybe[str] = UNSET
    share_level: Maybe[str] = UNSET
    experiment_tag: Maybe[str] = UNSET
    end_date: Maybe[Date] = UNSET
    info_queue: Maybe[InfoQueue] = UNSET
    error: Maybe[JobFailure] = UNSET
    client_info: Maybe[ClientInfo] = UNSET


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of program and result."""

    input: Maybe[Count] = UNSET
    output: Maybe[Count] = UNSET


class QobjConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a program asked for; `cost` is the estimate of its device seconds."""

    n_qubits: Count
    memory_slots: Count
    memory: bool
    shots: Count
    type: str
    cost: Amount
    max_credits: Maybe[int] = UNSET
    rep_delay: Maybe[Amount] = UNSET


class Summary(msgspec.Struct, frozen=True):
    """What a program consists of, once it has been checked."""

    max_qubits_used: Count
    gates_executed: Count
    qobj_config: QobjConfig
    num_circuits: Count
    partial_validation: bool


class SummaryData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The numbers of a job. Source: protocol 6.3."""

    size: Size
    success: Maybe[bool] = UNSET
    summary: Maybe[Summary] = UNSET
    result_time: Maybe[Amount] = UNSET


class ObjectStorageInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where program and result are; `uploadUrl` in the answer to a submission only. Source: protocol 6.3."""

    job_id: str
    upload_qobject_url_endpoint: str
    upload_q_object_url_endpoint: str
    download_q_object_url_endpoint: str
    job_qasm_converted: str
    validated_url: str
    validation_upload_url_endpoint: str
    upload_url: Maybe[Url] = UNSET
    max_job_size_in_bytes: Maybe[Count] = UNSET


class Qasm(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One program of a job by OpenQASM text, or one experiment of another. Source: protocol 5.1 and 6.6."""

    status: str
    execution_id: str
    qasm: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    metadata: Maybe[Any] = UNSET
    result: Maybe[Any] = UNSET


class Address(msgspec.Struct, frozen=True):
    """Where a job came from; only the address is known. Source: protocol 6.3."""

    ip: str
    city: str
    country: str
    continent: str


class Job(JobStatus, frozen=True, kw_only=True, rename="camel"):
    """A job. Source: protocol 6.3."""

    summary_data: SummaryData
    cost: Amount
    deleted: bool
    allow_object_storage: bool
    time_per_step: dict[State, Date]
    object_storage_info: ObjectStorageInfo
    shots: Maybe[Count] = UNSET
    qasms: Maybe[list[Qasm]] = UNSET
    ip: Maybe[Address] = UNSET
    code_id: Maybe[str] = UNSET
    provider: Maybe[Any] = UNSET
    max_credits: Maybe[int] = UNSET
    used_credits: Maybe[Amount] = UNSET
    q_object: Maybe[Object] = UNSET
    q_object_result: Maybe[Object] = UNSET


class HandedOver(msgspec.Struct, frozen=True):
    """A job whose program has been uploaded. Source: protocol 5.2."""

    job: Job


class Cancelled(msgspec.Struct, frozen=True):
    """Whether the job was cancelled; false if it had ended."""

    cancelled: bool


class Terminated(msgspec.Struct, frozen=True):
    """It has been heard."""

    terminated: Literal[True]


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """What the job has now, of what was sent."""

    name: Maybe[str] = UNSET
    tags: Maybe[list[str]] = UNSET
    share_level: Maybe[str] = msgspec.field(name="shareLevel", default=UNSET)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one experiment. Source: protocol 12.4."""

    shots: Any
    success: bool
    data: Object
    status: Maybe[str] = UNSET
    meas_level: Maybe[int] = UNSET
    header: Maybe[Object] = UNSET
    time_taken: Maybe[Amount] = UNSET
    metadata: Maybe[Object] = UNSET


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a job. Source: protocol 12.4."""

    backend_name: str
    backend_version: Version
    job_id: str
    success: bool
    results: list[Outcome]
    qobj_id: Maybe[str] = UNSET
    status: Maybe[str] = UNSET
    date: Maybe[str] = UNSET
    time_taken: Maybe[Amount] = UNSET


class Progress(msgspec.Struct, frozen=True):
    """Where an execution is: `DONE`, `ERROR`, or anything else while it goes on."""

    id: str


class Measured(msgspec.Struct, frozen=True):
    """Probabilities by bit string, the highest memory slot first, and the qubits measured from the lowest slot on."""

    qubits: list[Count]
    labels: list[str]
    values: list[Amount]


class ExecutionData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of a run."""

    p: Measured
    additional_data: Object
    qasm: str
    serial_number_device: str
    time: Amount
    creg_labels: str


class ExecutionResult(msgspec.Struct, frozen=True):
    """What came of a run, and when."""

    date: str
    data: ExecutionData


class Execution(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One run of a program by the endpoints of 2017; `calibration` beside every result. Source: protocol 5.5."""

    id: str
    status: Progress
    device_run_type: str
    shots: Count
    start_date: Date
    user_id: str
    code_id: Maybe[str] = UNSET
    end_date: Maybe[Date] = UNSET
    info_queue: Maybe[InfoQueue] = UNSET
    error: Maybe[JobFailure] = UNSET
    result: Maybe[ExecutionResult] = UNSET
    calibration: Maybe[Object] = UNSET


class Code(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A program as the endpoints of 2017 keep it. Source: protocol 5.5."""

    id: str
    name: str
    code_type: str
    qasm: str
    user_id: str
    creation_date: Date
    deleted: bool
    executions: Maybe[list[Execution]] = UNSET


class Codes(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's newest programs. Source: protocol 5.5."""

    total: Count
    codes: list[Code]


class ExecuteQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a program is to be run, and on which device. Source: protocol 5.5."""

    shots: Maybe[Count] = UNSET
    seed: Maybe[Count] = UNSET
    device_run_type: Maybe[str] = UNSET


class CodesQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether the runs of programs are listed with them: only for `true`."""

    include_executions: Maybe[str] = UNSET
