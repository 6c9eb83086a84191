# SPDX-License-Identifier: Apache-2.0
"""What a worker asks a child process to do with a program, and what the child answers.

Messages are small JSON documents that travel over the pool's pipe; programs, device documents and results are
files, named by absolute path, so that nothing big crosses a process boundary twice.
"""

from datetime import datetime
from typing import Any, Final

import msgspec

#: A document that is a file.
ABSENT: Final = msgspec.Raw(b"null")


class Limits(msgspec.Struct, frozen=True):
    """What one task may use.

    Attributes:
        memory_bytes: Memory beyond what the idle child holds.
        cpu_seconds: Processor time of the child.
        result_bytes: Largest result document.
        small_bytes: Largest result document that is told instead of being written to a file.
    """

    memory_bytes: int
    cpu_seconds: float
    result_bytes: int = 268435456
    small_bytes: int = 0


class AtOnce(msgspec.Struct, frozen=True):
    """Leave to run a program as soon as it was checked.

    Attributes:
        result: Where the result document is to be written, if it is not told (`Finished.document`).
        seconds: Only if it is predicted to take no more processor time than this, s.
    """

    result: str
    seconds: float


class Validate(msgspec.Struct, frozen=True, tag="validate", tag_field="op"):
    """Open a program, check it against a device, predict its cost.

    Attributes:
        job_id: Names the job; the child keeps the program opened last, so that a `Run` of the same job need not
            open it again.
        program: Path of the Qobj as it was submitted, of `formats.texts.Texts`, or of a primitive's parameters.
        body: The same itself, if it is small enough to be no file.
        device: Path of a `formats.device.DeviceDocument`. The file never changes; a new calibration has a new path.
        limits: What the check may use, and what `predicted` is held against.
        converted: For OpenQASM texts: where to write the Qobj that they are made into, and which is to be run.
        picture: For OpenQASM texts: where to write a drawing of the first of them (PNG); it may be left undone.
        at_once: None if the program may only be checked.
        primitive: Which program of the Runtime API it is, such as `sampler`; None for a Qobj or texts.
    """

    job_id: str
    program: str
    device: str
    limits: Limits
    converted: str | None = None
    picture: str | None = None
    at_once: AtOnce | None = None
    body: msgspec.Raw = ABSENT
    primitive: str | None = None


class Occupation(msgspec.Struct, frozen=True):
    """How long the machine itself would be occupied by a job: what its result is to say.

    Attributes:
        seconds: From the beginning of the job to its end, s.
        ends: When that is over.
    """

    seconds: float
    ends: datetime


class Run(msgspec.Struct, frozen=True, tag="run", tag_field="op"):
    """Run a program that was validated, and write its result document to `result`, unless it is small.

    Attributes:
        body: As of `Validate`.
        primitive: As of `Validate`.
        occupation: None for a device that takes no longer than the simulation; then the result says how long that was.
    """

    job_id: str
    program: str
    device: str
    result: str
    limits: Limits
    occupation: Occupation | None = None
    body: msgspec.Raw = ABSENT
    primitive: str | None = None


class Tune(msgspec.Struct, frozen=True, tag="tune", tag_field="op"):
    """Find the pulses of some gates of a device by calibrating its model.

    Attributes:
        device: Path of a `formats.device.DeviceDocument` whose configuration has a Hamiltonian.
        sites: Qubits whose single-qubit pulses are wanted, as `[q]`, and pairs, as `[a, b]` in either order. The
            pulses of both qubits of a pair are known, or among the sites before it.
        known: A `formats.tunings.Tuning`: what is known already, which is a start for what is wanted.
    """

    device: str
    sites: list[list[int]]
    limits: Limits
    known: msgspec.Raw = ABSENT


Task = Validate | Run | Tune


class Summary(msgspec.Struct, frozen=True):
    """What is known of a program once it is opened.

    Attributes:
        kind: `QASM` or `PULSE`.
        experiments: Number of experiments.
        shots: Shots of each experiment.
        qubits: Largest number of qubits any experiment acts on.
        gates: Gate instructions over all experiments.
        memory_slots: Largest number of memory slots.
        memory: Whether each shot's outcome is asked for.
        n_qubits: Number of qubits declared.
        device_seconds: Seconds the machine itself would be occupied, predicted (0 for simulators).
        max_credits: Credits that the client allows the job to cost.
        rep_delay: Wait between shots that the program asks for, µs; 0 where it asks for none.
        channels: Largest number of channels on which any experiment drives qubits with pulses.
        pulsed: Largest number of qubits on which pulses of any experiment act; 0 if it brings none.
    """

    kind: str
    experiments: int
    shots: int
    qubits: int
    gates: int
    memory_slots: int
    memory: bool
    n_qubits: int
    device_seconds: float = 0.0
    max_credits: int = 0
    rep_delay: float = 0.0
    channels: int = 0
    pulsed: int = 0


class Accepted(msgspec.Struct, frozen=True, tag="accepted", tag_field="reply"):
    """The program can run.

    Attributes:
        summary: What it contains.
        seconds: Predicted processor time of the simulation, s.
        memory_bytes: Predicted memory of the simulation.
        finished: What came of running it at once, if that was asked for and came to an end.
    """

    summary: Summary
    seconds: float
    memory_bytes: int
    finished: "Finished | None" = None


class Refused(msgspec.Struct, frozen=True, tag="refused", tag_field="reply"):
    """The program cannot run; `code` is one of `errors.CODES`."""

    code: int
    message: str


class Finished(msgspec.Struct, frozen=True, tag="finished", tag_field="reply"):
    """The program ran; the result document is here, or is written (and synced to disk) at `Run.result`.

    Attributes:
        success: Whether every experiment succeeded.
        code: 0, or one of `errors.CODES` where `success` is false.
        message: Empty, or what went wrong with the first experiment that failed.
        seconds: Time the run took, s.
        bytes: Size of the result document.
        experiments: Experiments that ran to their end.
        metadata: How it was computed, JSON types only.
        document: The result document, if it has at most `Limits.small_bytes`.
    """

    success: bool
    code: int
    message: str
    seconds: float
    bytes: int
    experiments: int
    metadata: dict[str, Any] = {}
    document: msgspec.Raw = ABSENT


class Tuned(msgspec.Struct, frozen=True, tag="tuned", tag_field="reply"):
    """The pulses were found.

    Attributes:
        tuning: A `formats.tunings.Tuning`: what was known, with what was wanted.
    """

    tuning: msgspec.Raw


Reply = Accepted | Refused | Finished | Tuned

#: Decodes a task; raises `msgspec.DecodeError`.
decode_task = msgspec.json.Decoder(Task).decode
#: Decodes a reply; raises `msgspec.DecodeError`.
decode_reply = msgspec.json.Decoder(Reply).decode
#: Encodes a task or a reply as one JSON document.
encode = msgspec.json.Encoder().encode
