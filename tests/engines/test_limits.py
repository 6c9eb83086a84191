# SPDX-License-Identifier: Apache-2.0
"""Limits hold for one task and are gone after it."""

import contextlib
import multiprocessing
import resource
import signal
import sys
import time
from collections.abc import Iterator

import msgspec
import pytest
from physics import Bench, Json, gate, measure, program

from chandelier import errors, pools
from chandelier.engines import limits
from chandelier.formats import tasks

PATIENCE = 120.0


@pytest.fixture(name="slot")
def _slot() -> Iterator[pools.Slot]:
    """A place for a real child that predicts nothing, so that only the operating system holds its jobs.

    It is a fresh one, for what an earlier job has freed a later one may use besides its own.
    """
    pool = pools.open_pool("blind_child", 1)
    assert pool.slot(0).ready(PATIENCE)
    yield pool.slot(0)
    pool.close()


def run(slot: pools.Slot, bench: Bench, wanted: Json, on: str, most: tasks.Limits, timeout: float) -> tasks.Reply:
    """Run a program in the child."""
    bench.number += 1
    path = bench.folder / f"{bench.number}.json"
    path.write_bytes(msgspec.json.encode(wanted))
    task = tasks.Run(f"{path}", str(path), bench.file(on), str(bench.folder / "result.json"), most)
    reply: tasks.Reply = tasks.decode_reply(slot.call(tasks.encode(task), timeout=timeout))
    return reply


def turns(qubits: int) -> list[Json]:
    """A turn of each qubit and a chain of gates between them: nothing that could be left out."""
    chain = [gate("cx", [index, index + 1]) for index in range(qubits - 1)]
    return [*(gate("u3", [index], 0.1 + index, 0.2, 0.3) for index in range(qubits)), *chain]


EVERY_SHOT = [step for _ in range(12) for step in (*turns(15), measure(3), gate("reset", [3]))] + [measure(*range(15))]
WIDE = [*turns(20), *turns(20), measure(*range(20))]
POINTS: Json = {"meas_level": 1, "meas_return": "single"}
SIMULATOR = "ibmq_qasm_simulator"
MIB = 1 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit address space this way")
@pytest.mark.parametrize(
    ("wanted", "on", "mebibytes"),
    [
        (program(WIDE), SIMULATOR, 4),
        (program([*turns(18), gate("save_statevector", list(range(18)))], method="statevector"), SIMULATOR, 5),
        (program([gate("sx", [0]), measure(*range(5))], shots=20_000, **POINTS), "ibmq_manila", 2),
    ],
    ids=["amplitudes", "in Aer", "points of level 1"],
)
def test_memory_beyond_the_limit_is_told(slot: pools.Slot, bench: Bench, wanted: Json, on: str, mebibytes: int) -> None:
    """Wherever the memory runs out: the code is that of memory, the message names the limit, and the child goes on."""
    pid = slot.health().pid
    reply = run(slot, bench, wanted, on, tasks.Limits(mebibytes * MIB, 100.0), PATIENCE)
    following = run(slot, bench, wanted, on, tasks.Limits(2048 * MIB, 100.0), PATIENCE)

    assert isinstance(reply, tasks.Refused)
    assert (reply.code, f"{mebibytes} MiB" in reply.message) == (8022, True), reply.message
    assert isinstance(following, tasks.Finished)
    assert following.success
    assert slot.health().pid == pid


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit address space this way")
def test_a_list_of_shots_beyond_the_limit_is_told(slot: pools.Slot, bench: Bench) -> None:
    """The outcomes of single shots count as any other memory."""
    wanted = program([*(gate("h", [index]) for index in range(32)), measure(*range(32))], memory=True, shots=100_000)
    pid = slot.health().pid
    reply = run(slot, bench, wanted, SIMULATOR, tasks.Limits(4 * MIB, 100.0), PATIENCE)

    assert isinstance(reply, tasks.Refused)
    assert (reply.code, "4 MiB" in reply.message) == (8022, True)
    assert slot.health().pid == pid


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit address space this way")
def test_an_experiment_that_takes_too_much_leaves_the_others(slot: pools.Slot, bench: Bench) -> None:
    """Of two experiments one has its result, and the other says which limit it met."""
    wanted = program([gate("h", [0]), measure(0)], WIDE)
    reply = run(slot, bench, wanted, SIMULATOR, tasks.Limits(4 * MIB, 100.0), PATIENCE)
    entries = msgspec.json.decode((bench.folder / "result.json").read_bytes())["results"]

    assert isinstance(reply, tasks.Finished)
    assert (reply.success, reply.code, reply.experiments) == (False, 8020, 1)
    assert "4 MiB" in reply.message
    assert entries[0]["success"]
    assert "4 MiB" in entries[1]["status"]


def test_a_program_that_is_too_long_to_be_opened_is_refused(slot: pools.Slot, bench: Bench) -> None:
    """Before it is decoded: the decoder ends the process when there is no memory left."""
    wanted = program([*(gate("h", [0]) for _ in range(150_000)), measure(0)])
    reply = run(slot, bench, wanted, SIMULATOR, tasks.Limits(8 * MIB, 100.0), PATIENCE)

    assert isinstance(reply, tasks.Refused)
    assert (reply.code, "8 MiB" in reply.message) == (8008, True)


def test_processor_time_beyond_the_limit_ends_a_job(slot: pools.Slot, bench: Bench) -> None:
    """The system ends the child while Aer computes, which no Python code could; the slot has another one."""
    wanted = program(EVERY_SHOT, method="statevector", shots=100_000)
    with pytest.raises(pools.ChildDied) as caught:
        run(slot, bench, wanted, SIMULATOR, tasks.Limits(2048 * MIB, 0.5), PATIENCE)
    following = run(slot, bench, program([measure(0)]), SIMULATOR, tasks.Limits(64 * MIB, 9.0), PATIENCE)

    assert caught.value.exitcode == -signal.SIGXCPU
    assert isinstance(following, tasks.Finished)


def test_a_job_that_takes_too_long_by_the_clock_is_killed(slot: pools.Slot, bench: Bench) -> None:
    """Also while Aer computes; the slot has another child."""
    wanted = program(EVERY_SHOT, method="statevector", shots=100_000)
    with pytest.raises(pools.Overran) as caught:
        run(slot, bench, wanted, SIMULATOR, tasks.Limits(2048 * MIB, 100.0), 0.5)
    following = run(slot, bench, program([measure(0)]), SIMULATOR, tasks.Limits(64 * MIB, 9.0), PATIENCE)

    assert caught.value.timeout == 0.5
    assert isinstance(following, tasks.Finished)


@pytest.mark.parametrize("used", [0.0, 0.3, 0.99, 7.5])
@pytest.mark.parametrize("budget", [0.001, 0.5, 1.0, 59.9])
def test_processor_time_is_never_cut_short(monkeypatch: pytest.MonkeyPatch, used: float, budget: float) -> None:
    """The system counts whole seconds: the limit is the first one that leaves the task all of its time."""
    monkeypatch.setattr(limits, "_used", lambda: used)
    with limits.applied(tasks.Limits(1 << 30, budget)):
        limit, _ = resource.getrlimit(resource.RLIMIT_CPU)

    assert used + budget <= limit < used + budget + 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit address space this way")
def test_memory_beyond_the_limit_fails() -> None:
    """An allocation beyond the limit raises, one below does not."""
    most = tasks.Limits(512 << 20, 100.0)
    with limits.applied(most):
        kept = bytearray(64 << 20)
    with pytest.raises(errors.ProgramRefused, match="512 MiB") as caught, limits.applied(most):
        bytearray(1 << 30)

    assert caught.value.code == 8022
    assert len(kept) == 64 << 20
    assert len(bytearray(1 << 30)) == 1 << 30


def test_limits_are_restored() -> None:
    """Whatever held before a task holds after it, even if the task fails."""
    before = resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_CPU)
    with contextlib.suppress(ZeroDivisionError), limits.applied(tasks.Limits(1 << 30, 100.0)):
        assert resource.getrlimit(resource.RLIMIT_CPU)[0] > 0
        raise ZeroDivisionError

    assert (resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_CPU)) == before


def _spin() -> None:
    with limits.applied(tasks.Limits(1 << 30, 0.5)):
        while True:
            pass


def test_processor_time_beyond_the_limit_ends_the_child() -> None:
    """A child that computes for longer than its budget is ended by the system, which says so."""
    process = multiprocessing.get_context("fork").Process(target=_spin)
    process.start()
    process.join(30)

    assert process.exitcode == -signal.SIGXCPU


def test_what_was_to_be_quick_is_stopped() -> None:
    """By processor time, wherever Python is; afterwards nothing is stopped any more."""
    begun = time.process_time()

    def compute() -> None:
        while time.process_time() - begun < 30.0:
            pass

    with pytest.raises(limits.Stopped), limits.stopped_after(0.05):
        compute()
    with limits.stopped_after(30.0):
        pass

    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert time.process_time() - begun < 30.0
