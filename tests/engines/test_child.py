# SPDX-License-Identifier: Apache-2.0
"""A child answers every message, whatever is in it, and goes on."""

import json
import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import pytest
from physics import LIMITS, Bench, Json, gate, measure, program, sample

from chandelier import errors
from chandelier.engines import aer, child
from chandelier.formats import qobj, tasks

BELL = program([gate("h", [0]), gate("cx", [0, 1]), measure(0, 1)], memory=True, shots=100)


@pytest.fixture
def pipe() -> Iterator[Connection]:
    """The worker's end of a pipe to a child that serves in a thread."""
    ours, theirs = multiprocessing.Pipe()
    server = threading.Thread(target=child.serve, args=(theirs,), daemon=True)
    server.start()
    yield ours
    ours.close()
    server.join(10)
    assert not server.is_alive()


def ask(pipe: Connection, message: bytes) -> tasks.Reply:
    """Send one message and wait for its answer."""
    pipe.send_bytes(message)
    assert pipe.poll(60)
    reply: tasks.Reply = tasks.decode_reply(pipe.recv_bytes())
    return reply


def files(bench: Bench, wanted: Json | bytes, on: str = "ibmq_qasm_simulator") -> tuple[str, str, str]:
    """Paths of a program, a device and a result to come."""
    path = bench.folder / "sent.json"
    path.write_bytes(wanted if isinstance(wanted, bytes) else msgspec.json.encode(wanted))
    return str(path), bench.file(on), str(bench.folder / "result.json")


def validate(pipe: Connection, paths: tuple[str, str, str], limits: tasks.Limits = LIMITS) -> tasks.Reply:
    """Have a program validated."""
    return ask(pipe, tasks.encode(tasks.Validate("job", paths[0], paths[1], limits)))


def run(pipe: Connection, paths: tuple[str, str, str], limits: tasks.Limits = LIMITS, job: str = "job") -> tasks.Reply:
    """Have a program run."""
    return ask(pipe, tasks.encode(tasks.Run(job, *paths, limits)))


def test_validate_and_run(pipe: Connection, bench: Bench) -> None:
    """A program is accepted with what is known of it, and its run writes a whole result document."""
    paths = files(bench, BELL)
    accepted = validate(pipe, paths)
    finished = run(pipe, paths)

    assert isinstance(accepted, tasks.Accepted)
    assert accepted.summary == tasks.Summary("QASM", 1, 100, 2, 2, 2, True, 2, 0.0)
    assert 0 < accepted.seconds < 1
    assert accepted.memory_bytes < 1 << 30
    assert isinstance(finished, tasks.Finished)
    assert (finished.success, finished.code, finished.message) == (True, 0, "")
    assert finished.experiments == 1
    assert finished.bytes == Path(paths[2]).stat().st_size
    assert finished.metadata == {"methods": ["statevector"]}


def test_a_small_program_is_run_as_soon_as_it_was_checked(pipe: Connection, bench: Bench) -> None:
    """If it is asked for, and predicted to be quick; the answer says what both answers would."""
    sent, device, result = files(bench, BELL)
    small, large = tasks.AtOnce(result, 1.0), tasks.AtOnce(result, 1e-9)
    waits = ask(pipe, tasks.encode(tasks.Validate("one", sent, device, LIMITS, at_once=large)))
    assert isinstance(waits, tasks.Accepted)
    assert waits.finished is None
    assert not Path(result).exists()
    ran = ask(pipe, tasks.encode(tasks.Validate("two", sent, device, LIMITS, at_once=small)))

    assert isinstance(ran, tasks.Accepted)
    assert ran.summary == waits.summary
    assert ran.finished is not None
    assert (ran.finished.success, ran.finished.experiments) == (True, 1)
    assert ran.finished.bytes == Path(result).stat().st_size
    assert msgspec.json.decode(Path(result).read_bytes())["job_id"] == "two"


def test_what_is_small_is_no_file(pipe: Connection, bench: Bench) -> None:
    """A program that comes along is run as if it had been a file, and a small result is told."""
    _, device, result = files(bench, BELL)
    body, limits = msgspec.Raw(msgspec.json.encode(BELL)), msgspec.structs.replace(LIMITS, small_bytes=10_000)
    accepted = ask(pipe, tasks.encode(tasks.Validate("one", "nowhere", device, limits, body=body)))
    told = ask(pipe, tasks.encode(tasks.Run("two", "nowhere", device, result, limits, body=body)))
    too_large = msgspec.structs.replace(limits, small_bytes=100)
    written = ask(pipe, tasks.encode(tasks.Run("three", "nowhere", device, result, too_large, body=body)))

    assert isinstance(accepted, tasks.Accepted)
    assert isinstance(told, tasks.Finished)
    assert isinstance(written, tasks.Finished)
    assert msgspec.json.decode(told.document)["job_id"] == "two"
    assert told.bytes == len(bytes(told.document))
    assert written.document == tasks.ABSENT
    assert msgspec.json.decode(Path(result).read_bytes())["job_id"] == "three"


def test_what_fails_at_once_is_only_checked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is as good as it was; its run will tell why it fails."""
    sent, device, result = files(bench, BELL)

    def broken(*_: object) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr("chandelier.engines.running.run", broken)
    task = tasks.Validate("job", sent, device, LIMITS, at_once=tasks.AtOnce(result, 1.0))
    reply = child.answer(tasks.encode(task), child.Kept())

    assert isinstance(reply, tasks.Accepted)
    assert reply.finished is None


def test_the_result_document(pipe: Connection, bench: Bench) -> None:
    """The document has every field that clients read, with headers copied and outcomes without zeros in front."""
    header = {"name": "bell", "creg_sizes": [["c", 2]], "memory_slots": 2, "odd": 1.50}
    wanted = {**BELL, "experiments": [{"instructions": BELL["experiments"][0]["instructions"], "header": header}]}
    paths = files(bench, wanted)
    run(pipe, paths)
    document = msgspec.json.decode(Path(paths[2]).read_bytes())
    (entry,) = document["results"]

    assert set(document) == {
        "backend_name", "backend_version", "qobj_id", "job_id", "success", "results", "status", "date", "header",
        "time_taken", "metadata",
    }  # fmt: skip
    assert (document["backend_name"], document["backend_version"]) == ("ibmq_qasm_simulator", "1.0.0")
    assert (document["qobj_id"], document["job_id"]) == ("a program", "job")
    assert (document["success"], document["status"]) == (True, "COMPLETED")
    assert document["header"] == {"made": "by a test"}
    assert document["date"][-6:] == "+00:00"
    assert (entry["status"], entry["success"], entry["shots"]) == ("DONE", True, 100)
    assert (entry["circ_id"], entry["meas_level"], entry["seed_simulator"]) == (0, 2, 7)
    assert entry["header"] == header
    assert set(entry["data"]["counts"]) == {"0x0", "0x3"}
    assert sum(entry["data"]["counts"].values()) == len(entry["data"]["memory"]) == 100
    assert entry["time_taken"] >= 0


def test_a_program_is_opened_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Running a program that was validated just now does not decode it again; another job's is decoded."""
    decoded = []
    original = qobj.decode_experiment

    def counted(raw: msgspec.Raw, index: int) -> qobj.Experiment:
        decoded.append(index)
        return original(raw, index)

    monkeypatch.setattr(qobj, "decode_experiment", counted)
    kept = child.Kept()
    program_, device, result = files(bench, BELL)
    child.answer(tasks.encode(tasks.Validate("one", program_, device, LIMITS)), kept)
    child.answer(tasks.encode(tasks.Run("one", program_, device, result, LIMITS)), kept)
    assert len(decoded) == 1
    child.answer(tasks.encode(tasks.Run("two", program_, device, result, LIMITS)), kept)

    assert len(decoded) == 2


def test_a_result_tells_how_long_the_machine_would_have_taken(bench: Bench) -> None:
    """Of an experiment its shots, of the job what it was said to occupy the device for, and when that is over."""
    sent, device, result = files(bench, program([gate("sx", [0]), measure(0)], shots=400), "ibmq_manila")
    kept = child.Kept()
    accepted = child.answer(tasks.encode(tasks.Validate("job", sent, device, LIMITS)), kept)
    assert isinstance(accepted, tasks.Accepted)
    occupation = tasks.Occupation(9.5, datetime(2100, 1, 1, tzinfo=UTC))
    child.answer(tasks.encode(tasks.Run("job", sent, device, result, LIMITS, occupation)), kept)
    paced = json.loads(Path(result).read_bytes())
    child.answer(tasks.encode(tasks.Run("job", sent, device, result, LIMITS)), kept)
    fast = json.loads(Path(result).read_bytes())

    assert (paced["time_taken"], paced["date"]) == (9.5, "2100-01-01T00:00:00.000+00:00")
    assert paced["results"][0]["time_taken"] == pytest.approx(accepted.summary.device_seconds)
    assert accepted.summary.device_seconds >= 400 * 250e-6
    assert fast["date"] < "2100"
    assert fast["results"][0]["time_taken"] != paced["results"][0]["time_taken"]


def test_endless_delays_are_refused(bench: Bench) -> None:
    """A number that JSON allows may still be no time that a qubit can wait."""
    delay = {"name": "delay", "qubits": [0], "params": [1e308], "unit": "s"}
    sent, device, _ = files(bench, program([gate("sx", [0]), delay, measure(0)], shots=1000), "ibmq_manila")
    reply = child.answer(tasks.encode(tasks.Validate("job", sent, device, LIMITS)), child.Kept())
    assert isinstance(reply, tasks.Refused)

    assert reply.code == 8004
    assert "longer than a shot may be" in reply.message


BAD: list[tuple[bytes | Json, int]] = [
    (b"", 8000),
    (b"\x00\xff\xfe", 8000),
    (b"[" * 100_000, 8000),
    (b"[" * 100_000 + b"]" * 100_000, 8000),
    (b'{"qobj_id": "x"}', 8000),
    (msgspec.json.encode(BELL)[:200], 8000),
    ({**BELL, "type": "MAGIC"}, 8000),
    ({**BELL, "experiments": []}, 8000),
    ({**BELL, "experiments": [{"instructions": [{"name": 3}]}]}, 8000),
    ({**BELL, "experiments": [{"instructions": [{"name": "x", "qubits": [True]}]}]}, 8000),
    ({**BELL, "experiments": [{"instructions": [{"name": "x", "qubits": [-1]}]}]}, 8000),
    ({**BELL, "experiments": [{"instructions": [{"name": "x", "qubits": [10**30]}]}]}, 8000),
    ({**BELL, "experiments": [{"instructions": None}]}, 8000),
    (program([gate("x", [0])], memory_slots=900_000), 8005),
    (program([gate("warp", [0])]), 8001),
    (sample("pulse_rabi_armonk_ml2"), 8011),
    (program([gate("unitary", [0], [[[1, 2, 3], 0], [0, 1]])]), 8004),
]


@pytest.mark.parametrize(("wanted", "code"), BAD)
def test_bad_programs(pipe: Connection, bench: Bench, wanted: bytes | Json, code: int) -> None:
    """A program that is damaged or wrong is refused, by both tasks, and the child goes on."""
    paths = files(bench, wanted)
    for reply in (validate(pipe, paths), run(pipe, paths)):
        assert isinstance(reply, tasks.Refused)
        assert reply.code == code, reply.message
        assert "Traceback" not in reply.message
        assert reply.code in errors.CODES

    assert isinstance(run(pipe, files(bench, BELL), job="next"), tasks.Finished)


def test_deep_nesting_inside_an_instruction(pipe: Connection, bench: Bench) -> None:
    """A parameter nested a thousand times is refused."""
    deep = b"[" * 900 + b"]" * 900
    text = msgspec.json.encode(program([gate("unitary", [0], "HERE")])).replace(b'"HERE"', deep)
    reply = validate(pipe, files(bench, text))

    assert isinstance(reply, tasks.Refused)
    assert reply.code in {8000, 8004}


@pytest.mark.parametrize("message", [b"", b"\xff\x00", b"{}", b'{"op": "dance"}', b"[" * 10_000])
def test_garbage_in_the_pipe(pipe: Connection, bench: Bench, message: bytes) -> None:
    """A message that is no task is answered and the next one is done."""
    reply = ask(pipe, message)

    assert isinstance(reply, tasks.Refused)
    assert reply.code == 8021
    assert isinstance(run(pipe, files(bench, BELL), job="next"), tasks.Finished)


def test_missing_files(pipe: Connection, bench: Bench) -> None:
    """A program or a device that is not there is answered in a sentence."""
    program_, device, result = files(bench, BELL)
    no_device = run(pipe, (program_, device + ".gone", result))
    no_program = ask(pipe, tasks.encode(tasks.Run("other", program_ + ".gone", device, result, LIMITS)))

    assert isinstance(no_device, tasks.Refused)
    assert no_device.code == 1008
    assert isinstance(no_program, tasks.Refused)
    assert (no_program.code, no_program.message) == (8000, "The program is not stored (any more).")


@pytest.mark.parametrize("place", ["/dev/full", "/nowhere/result.json"])
def test_a_result_that_cannot_be_written(bench: Bench, place: str) -> None:
    """A full disk is no failure of the program: there is no answer, so the child ends and the job is given back."""
    program_, device, _ = files(bench, BELL)
    task = tasks.encode(tasks.Run("job", program_, device, place, LIMITS))

    with pytest.raises(child.ServerFault, match=place):
        child.answer(task, child.Kept())


def test_a_child_without_a_disk_ends(bench: Bench) -> None:
    """The process that cannot write a result ends with an exit status other than 0 and says nothing."""
    program_, device, _ = files(bench, BELL)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=child.serve, args=(theirs,))
    process.start()
    theirs.close()
    ours.send_bytes(tasks.encode(tasks.Run("job", program_, device, "/dev/full", LIMITS)))
    with pytest.raises(EOFError):
        ours.recv_bytes()
    process.join(60)

    assert process.exitcode == 1


def test_a_result_that_is_too_large(pipe: Connection, bench: Bench) -> None:
    """A result beyond the limit is refused, and nothing is written."""
    paths = files(bench, BELL)
    limits = msgspec.structs.replace(LIMITS, result_bytes=1000)
    assert isinstance(validate(pipe, paths, limits), tasks.Accepted)
    reply = run(pipe, paths, limits)

    assert isinstance(reply, tasks.Refused)
    assert reply.code == 8025
    assert "1e+03 B" in reply.message
    assert not Path(paths[2]).exists()
    assert isinstance(run(pipe, paths), tasks.Finished)


NAME = "\x00" * 1000 + "n" * 1_000_000
QUOTING: list[Json] = [
    program([gate(NAME, [0])]),
    program([gate("x", [0])], method=NAME),
    program([{"name": "bfunc", "mask": 1, "val": 1, "register": 0, "relation": NAME}]),
    program([gate("initialize", [0], NAME)]),
    program([gate("snapshot", [0], snapshot_type=NAME)]),
    program([gate("x", [0])], noise_model={"errors": [{"type": NAME}]}),
    {**BELL, "type": NAME},
]


@pytest.mark.parametrize("wanted", QUOTING)
def test_messages_are_fit_to_be_stored(pipe: Connection, bench: Bench, wanted: Json) -> None:
    """What a message quotes of a program brings no NUL into it and does not make it long."""
    reply = validate(pipe, files(bench, wanted))

    assert isinstance(reply, tasks.Refused)
    assert 10 < len(reply.message) <= 1000
    assert "\x00" not in reply.message


def test_failures_of_experiments_are_fit_to_be_stored(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message of an experiment that fails while it runs is as short, whatever it quotes."""

    def broken(*_: object) -> None:
        raise RuntimeError(NAME[990:])

    monkeypatch.setattr("chandelier.engines.aer.build", broken)
    wanted = program([gate("save_state", [0])], [gate("x", [0]), gate("measure", [0], memory=[0])])
    reply = bench.reply(wanted, "ibmq_qasm_simulator")

    assert isinstance(reply, tasks.Finished)
    assert reply.experiments == 1
    assert reply.message.startswith("Experiment 0: ")
    assert len(reply.message) <= 1000
    assert "\x00" not in reply.message


@pytest.mark.parametrize("document", [5, "many", [1], True])
@pytest.mark.parametrize("key", ["noise_model", "calibrations"])
def test_settings_that_are_no_objects(pipe: Connection, bench: Bench, key: str, document: object) -> None:
    """A noise model or calibrations that are no object make the program a wrong one."""
    reply = validate(pipe, files(bench, program([gate("x", [0])], **{key: document})))

    assert isinstance(reply, tasks.Refused)
    assert (reply.code, "object" in reply.message) == (8000, True)


def test_memory_that_was_not_predicted(pipe: Connection, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that takes more memory than the operating system allows is refused and the child goes on."""
    monkeypatch.setattr("chandelier.engines.programs.open_", lambda _body: bytearray(4 << 30))
    reply = run(pipe, files(bench, BELL), tasks.Limits(512 << 20, 10.0))
    monkeypatch.undo()

    assert isinstance(reply, tasks.Refused)
    assert reply.code == 8022
    assert isinstance(run(pipe, files(bench, BELL), job="next"), tasks.Finished)


def test_a_state_that_aer_cannot_hold(pipe: Connection, bench: Bench) -> None:
    """A state beyond the limit of memory is refused by its prediction, with its size."""
    turns = [gate("u3", [index], 0.1, 0.2, 0.3) for index in range(29)]
    wide = program([*turns, *[gate("cx", [index, index + 1]) for index in range(28)], measure(*range(29))])
    reply = run(pipe, files(bench, wide, "simulator_statevector"), tasks.Limits(1 << 30, 1000.0))

    assert isinstance(reply, tasks.Refused)
    assert reply.code == 8008
    assert "8.06 GiB" in reply.message


def test_panics_are_answered(pipe: Connection, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a failure outside the hierarchy of exceptions ends a child."""

    class Panic(BaseException):
        """What native code raises."""

    def panic(_body: bytes) -> None:
        raise Panic("index out of bounds")

    monkeypatch.setattr("chandelier.engines.programs.open_", panic)
    reply = run(pipe, files(bench, BELL))

    assert isinstance(reply, tasks.Refused)
    assert (reply.code, "index out of bounds" in reply.message) == (8021, True)


def test_warm_up() -> None:
    """Warming up runs without a task."""
    child.warm_up()


def test_importing_starts_no_thread() -> None:
    """A forkserver may import the module: in a fresh interpreter it leaves one thread and no open file."""
    script = (
        "import os, threading, chandelier.engines.child as child\n"
        "print(threading.active_count(), len(os.listdir('/proc/self/task')), os.environ['OPENBLAS_NUM_THREADS'])"
    )
    found = _fresh(script)

    assert found.split() == ["1", "1", "1"]


def test_aer_obeys_the_number_of_threads() -> None:
    """In a process that has loaded the module first, Aer uses as many threads as a call says, and no more."""
    script = (
        "from chandelier.engines import aer, child\n"
        "from qiskit import QuantumCircuit\n"
        "circuit = QuantumCircuit(16)\n"
        "circuit.h(range(16))\n"
        "circuit.measure_all()\n"
        "for count in (1, 2):\n"
        "    run = aer.simulator('statevector', count).run(circuit, shots=10).result().results[0].metadata\n"
        "    print(run['parallel_state_update'], run['parallel_shots'])\n"
    )
    two = str(min(aer.cores(), 2))

    assert _fresh(script).split() == ["1", "1", two, "1"]


def _fresh(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout
