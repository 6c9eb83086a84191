# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E402 -- the environment has to be set before the libraries that read it are loaded
"""The child process of a worker: it opens, checks and runs programs, one at a time, and survives all of them.

A forkserver imports this module once and forks children from itself, so importing it loads all of the physics,
but starts no thread and opens no file.
"""

import os

# Libraries read these when they are loaded, so they come before the imports. One thread for each child: several
# children share the machine. Aer alone is told how many at each call (`aer.threads`), and does not listen if the number
# is set here; its threads are to sleep while they wait, for as soon as two children compute, waiting awake takes five
# times the processor time.
_SETTINGS = {
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}
for _variable, _value in _SETTINGS.items():
    os.environ.setdefault(_variable, _value)  # noqa: TID251 -- the libraries have no other way to be told

import dataclasses
import datetime
import logging
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import msgspec
from qiskit.circuit import QuantumCircuit

from chandelier import errors
from chandelier.engines import (
    aer,
    circuits,
    compiler,
    cost,
    limits,
    methods,
    outcome,
    picture,
    programs,
    running,
)
from chandelier.engines import target as targets
from chandelier.engines.primitives import programs as primitives
from chandelier.engines.primitives.work import Work
from chandelier.engines.pulses import calibrate
from chandelier.engines.pulses import work as schedules
from chandelier.formats import device, qobj, results, tasks, tunings

_log = logging.getLogger(__name__)

#: Most memory that a byte of a program takes once it is decoded, bytes: that of many empty lists.
_OPENED: Final = 24
#: Most processor time of a run at once, s.
_AT_ONCE_SECONDS: Final = 0.5
#: Tasks about a program.
_Asked = tasks.Validate | tasks.Run
#: Longest message of a reply, in characters.
_LONGEST_MESSAGE: Final = 1000


class ServerFault(Exception):
    """The server failed, not the program: the child ends, and its worker gives the job back to be tried again."""


@dataclasses.dataclass
class Kept:
    """The program opened last, so that running it after validating it neither opens nor checks it again.

    Attributes:
        plan: How it is to be simulated, for one device and one set of limits.
        work: A program of the Runtime API, opened and planned for one device and one set of limits.
    """

    job_id: str = ""
    program: programs.Program | None = None
    plan: tuple[str, tasks.Limits, running.Planned] | None = None
    work: tuple[str, tasks.Limits, Work] | None = None

    def forget(self) -> None:
        """Let go of everything."""
        self.job_id, self.program, self.plan, self.work = "", None, None, None


def serve(connection: Connection) -> None:
    """Answer tasks until the other end of the pipe closes.

    Raises:
        ServerFault: A file cannot be read or written. There is no answer to the task: the process is to end.
    """
    kept = Kept()
    while True:
        try:
            message = connection.recv_bytes()
        except EOFError:
            return
        reply = answer(message, kept)
        try:
            connection.send_bytes(tasks.encode(reply))
        except BrokenPipeError:
            return


def warm_up() -> None:
    """Run one tiny circuit, so that the first task of a fresh child does not pay for first times."""
    step = qobj.Instruction
    circuit = circuits.build(
        [step("h", (0,)), step("cx", (0, 1)), step("measure", (0, 1), memory=(0, 1))],
        slots=2,
        phase=0.0,
        native=methods.native(methods.STATEVECTOR),
    )
    aer.simulator(methods.STATEVECTOR).run(circuit.circuit, shots=1).result()


def answer(message: bytes, kept: Kept) -> tasks.Reply:
    """Do one task; whatever goes wrong with it becomes a refusal.

    Raises:
        ServerFault: A file cannot be read or written.
    """
    try:
        task = tasks.decode_task(message)
        with limits.applied(task.limits):
            if isinstance(task, tasks.Tune):
                return _tune(task)
            return _validate(task, kept) if isinstance(task, tasks.Validate) else _run(task, kept)
    except errors.ChandelierError as error:
        if error.code == limits.OUT_OF_MEMORY:
            kept.forget()
        return tasks.Refused(error.code, _told(error.message))
    except (KeyboardInterrupt, SystemExit, ServerFault):
        raise
    except BaseException as error:  # noqa: BLE001 -- a panic of Qiskit's native code is not an Exception
        _log.exception("a task failed")
        return tasks.Refused(8021, _told(f"The simulation failed ({type(error).__name__}: {str(error)[:300]})."))


def _validate(task: tasks.Validate, kept: Kept) -> tasks.Reply:
    accepted = _accept(task, kept) if task.primitive is None else _accept_primitive(task, kept)
    if task.at_once is None or accepted.seconds > task.at_once.seconds:
        return accepted
    run = tasks.Run(
        task.job_id,
        task.program,
        task.device,
        task.at_once.result,
        task.limits,
        body=task.body,
        primitive=task.primitive,
    )
    return msgspec.structs.replace(accepted, finished=_run_at_once(run, kept))


def _accept(task: tasks.Validate, kept: Kept) -> tasks.Accepted:
    """Open and check a Qobj, or texts."""
    drawn = None if task.converted is None else _compile(task, Path(task.converted), kept)
    _, _, planned = _prepare(task, kept)
    if drawn is not None and task.picture is not None and (drawing := picture.png(drawn)) is not None:
        _write(Path(task.picture), drawing)
    return tasks.Accepted(
        summary=planned.summary(),
        seconds=sum(way.plan.seconds for way in planned.ways),
        memory_bytes=max(way.plan.memory_bytes for way in planned.ways),
    )


def _accept_primitive(task: tasks.Validate, kept: Kept) -> tasks.Accepted:
    """Open and check a program of the Runtime API."""
    plan = _open_primitive(task, kept).plan
    summary = tasks.Summary(
        kind="QASM",
        experiments=plan.experiments,
        shots=plan.shots,
        qubits=plan.qubits,
        gates=plan.gates,
        memory_slots=0,
        memory=False,
        n_qubits=plan.qubits,
        device_seconds=plan.device_seconds,
    )
    return tasks.Accepted(summary, plan.seconds, plan.memory_bytes)


def _open_primitive(task: _Asked, kept: Kept) -> Work:
    """Open a program of the Runtime API, unless that was done for the last task."""
    assert task.primitive is not None
    if kept.work is None or kept.job_id != task.job_id or kept.work[:2] != (task.device, task.limits):
        kept.forget()
        body, target = _program(task), targets.load(task.device)
        opened = primitives.open_(task.primitive, body, target, task.limits, job_id=task.job_id)
        kept.job_id, kept.work = task.job_id, (task.device, task.limits, opened)
    return kept.work[2]


def _run_at_once(task: tasks.Run, kept: Kept) -> tasks.Finished | None:
    """Run a program that was just checked; None if that fails: it is run again in its turn, and tells why.

    So does one that takes many times what was predicted: whoever waits to be checked must not wait for it.
    """
    try:
        with limits.stopped_after(_AT_ONCE_SECONDS):
            return _run(task, kept)
    except (KeyboardInterrupt, SystemExit, ServerFault):
        raise
    except BaseException:  # noqa: BLE001 -- a panic of Qiskit's native code is not an Exception
        kept.forget()
        return None


def _compile(task: tasks.Validate, converted: Path, kept: Kept) -> QuantumCircuit:
    """Make the Qobj of a job's texts, which is the program from now on; return what the first of them says."""
    kept.forget()
    compiled = compiler.compiled(_program(task), targets.load(task.device), job_id=task.job_id)
    _write(converted, compiled.program)
    kept.program = programs.open_(compiled.program)
    kept.job_id = task.job_id
    return compiled.circuits[0]


def _run(task: tasks.Run, kept: Kept) -> tasks.Finished:
    return _run_circuits(task, kept) if task.primitive is None else _run_primitive(task, kept)


def _run_primitive(task: tasks.Run, kept: Kept) -> tasks.Finished:
    started = time.monotonic()
    opened = _open_primitive(task, kept)
    done = opened.run()
    finished = tasks.Finished(
        success=True,
        code=0,
        message="",
        seconds=time.monotonic() - started,
        bytes=len(done.body),
        experiments=opened.plan.experiments,
        metadata=dict(done.metadata),
    )
    return _left(task, finished, done.body)


def _left(task: tasks.Run, finished: tasks.Finished, body: bytes) -> tasks.Finished:
    """Leave the result document: in the answer if it is small, else in a file."""
    if len(body) > task.limits.result_bytes:
        raise cost.too_large(len(body), task.limits)
    if len(body) <= task.limits.small_bytes:
        return msgspec.structs.replace(finished, document=msgspec.Raw(body))
    _write(Path(task.result), body)
    return finished


def _run_circuits(task: tasks.Run, kept: Kept) -> tasks.Finished:
    started = time.monotonic()
    program, target, planned = _prepare(task, kept)
    outcomes = planned.run()
    failed = [one for one in outcomes if one.code]
    if len(failed) == len(outcomes) and failed[0].code in {8008, 8022}:
        raise errors.ProgramRefused(failed[0].message, failed[0].code)
    seconds, now = time.monotonic() - started, datetime.datetime.now(datetime.UTC)
    entries = [one.result for one in outcomes]
    occupation = task.occupation or tasks.Occupation(seconds, now)
    if task.occupation is not None:
        entries = [_as_on_machine(entry, way) for entry, way in zip(entries, planned.ways, strict=True)]
    document = results.Result(
        backend_name=target.name,
        backend_version=target.version,
        qobj_id=program.envelope.qobj_id,
        job_id=task.job_id,
        success=not failed,
        results=entries,
        status="COMPLETED" if not failed else "ERROR: one or more experiments failed",
        date=results.date(max(now, occupation.ends)),
        header=program.envelope.header,
        time_taken=occupation.seconds,
    )
    body = results.encode(document)
    finished = tasks.Finished(
        success=not failed,
        code=8020 if failed else 0,
        message=_told(_first_failure(outcomes)),
        seconds=seconds,
        bytes=len(body),
        experiments=len(outcomes) - len(failed),
        metadata={"methods": sorted({way.plan.method for way in planned.ways})},
    )
    return _left(task, finished, body)


def _as_on_machine(entry: results.ExperimentResult, way: outcome.Way) -> results.ExperimentResult:
    """Say how long the machine would have taken for an experiment; one that failed took nothing."""
    return msgspec.structs.replace(entry, time_taken=way.device_seconds) if entry.success else entry


def _prepare(task: _Asked, kept: Kept) -> tuple[programs.Program, targets.Target, running.Planned]:
    """Open and check the program and plan its simulation, unless that was done for the last task."""
    target = targets.load(task.device)
    if kept.program is None or kept.job_id != task.job_id:
        kept.forget()
        kept.program = programs.open_(_program(task))
        kept.job_id = task.job_id
    if kept.plan is None or kept.plan[:2] != (task.device, task.limits):
        kept.plan = (task.device, task.limits, _planned(kept.program, target, task))
    return kept.program, target, kept.plan[2]


def _planned(program: programs.Program, target: targets.Target, task: _Asked) -> running.Planned:
    if program.envelope.type == "PULSE":
        return schedules.planned(program, target, task.device, task.limits)
    return running.planned(program, target, task.device, task.limits)


def _tune(task: tasks.Tune) -> tasks.Tuned:
    document = device.from_json(_read(Path(task.device)))
    known = None if task.known == tasks.ABSENT else tunings.decode(task.known)
    return tasks.Tuned(msgspec.Raw(tunings.encode(calibrate.tune(document, task.sites, known))))


def _first_failure(outcomes: list[outcome.Outcome]) -> str:
    for one in outcomes:
        if one.code:
            return f"Experiment {one.result.circ_id}: {one.message}"
    return ""


def _told(message: str) -> str:
    """Make a message, which may quote the program, fit to be stored: PostgreSQL takes no NUL, a pipe no novel."""
    message = message.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[: _LONGEST_MESSAGE - 2]} …"


def _program(task: _Asked) -> bytes:
    """Return a program as it was sent.

    Raises:
        errors.ProgramRefused: Code 8008: to open it takes more memory than there is, in which its decoder would crash.
    """
    body = _read(Path(task.program)) if task.body == tasks.ABSENT else bytes(task.body)
    if len(body) * _OPENED > task.limits.memory_bytes:
        raise errors.ProgramRefused(
            f"Opening the program takes up to {cost.readable(len(body) * _OPENED)} of memory; "
            f"a job may use {cost.readable(task.limits.memory_bytes)}. Split the job.",
            8008,
        )
    return body


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise errors.ProgramRefused("The program is not stored (any more).", 8000) from error
    except OSError as error:
        raise ServerFault(f"{path} cannot be read: {error}") from error


def _write(path: Path, body: bytes) -> None:
    """Write a file so that it is on disk, whole, when this returns."""
    try:
        with path.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ServerFault(f"{path} cannot be written: {error}") from error
