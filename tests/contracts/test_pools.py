# SPDX-License-Identifier: Apache-2.0
"""What every pool of child processes promises, tried with children that follow scripts."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chandelier import children, errors, pools

ENTRY = "scripted_child"
PATIENCE = 30.0  # seconds until a test gives up; no test takes as long when the pool works


@pytest.fixture(name="pool")
def _pool() -> Iterator[pools.Pool]:
    pool = pools.open_pool(ENTRY, 2)
    yield pool
    pool.close()


@pytest.fixture(name="slot")
def _slot(pool: pools.Pool) -> pools.Slot:
    return pool.slot(0)


def script(*steps: list[Any]) -> bytes:
    """Return the message that makes a scripted child do these steps."""
    return json.dumps(steps).encode()


def echo(slot: pools.Slot, value: Any) -> Any:
    """Have a value answered by the child."""
    return json.loads(slot.call(script(["answer", value]), timeout=PATIENCE))


def facts(slot: pools.Slot) -> Any:
    """Ask a child about itself."""
    return json.loads(slot.call(script(["facts"]), timeout=PATIENCE))


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait until the condition holds; False if it never does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def alive(pid: int) -> bool:
    """Whether a process, or something of it that is not cleared away, exists."""
    return Path(f"/proc/{pid}").exists()


def write_entry(folder: Path, name: str, text: str) -> str:
    """Write an entry module and return its name."""
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return name


def test_a_child_answers(slot: pools.Slot) -> None:
    """One message goes in and one comes out, again and again, from the same child."""
    pids = {facts(slot)["pid"] for _ in range(3)}

    assert echo(slot, "µ") == "µ"
    assert pids == {slot.health().pid}


def test_a_child_is_warmed_up_before_its_first_call(slot: pools.Slot) -> None:
    """`warm_up` has run in the very process that serves."""
    assert facts(slot)["warm"] is True


def test_a_child_is_protected(slot: pools.Slot) -> None:
    """Ctrl-C does not reach a child, and its death leaves no image of its memory."""
    found = facts(slot)

    assert found["sigint_ignored"] is True
    assert found["core_limit"] == 0


def test_slots_work_side_by_side(pool: pools.Pool) -> None:
    """A slot answers while the other is busy, from another process."""
    busy = pool.slot(0).start(script(["sleep", 3600]))
    other = facts(pool.slot(1))["pid"]

    assert [slot.state for slot in pool.health()] == ["busy", "idle"]
    assert pool.health()[0].pid != other
    assert busy.kill()
    with pytest.raises(pools.Killed):
        busy.wait(PATIENCE)


@pytest.mark.parametrize("name", ["SIGXCPU", "SIGKILL", "SIGSEGV", "SIGTERM"])
def test_death_by_signal_is_told(slot: pools.Slot, name: str) -> None:
    """The caller learns which signal ended the child, and the next call is answered by another one."""
    before = facts(slot)["pid"]
    with pytest.raises(pools.ChildDied) as caught:
        slot.call(script(["die", name]), timeout=PATIENCE)

    assert (caught.value.exitcode, caught.value.signal_name) == (-signal.Signals[name], name)
    assert facts(slot)["pid"] != before


def test_the_limit_of_processor_time_is_a_sigxcpu(slot: pools.Slot) -> None:
    """A child that spins beyond its soft limit dies in a way that only this limit causes."""
    with pytest.raises(pools.ChildDied) as caught:
        slot.call(script(["spin", 1]), timeout=PATIENCE)

    assert caught.value.exitcode == -signal.SIGXCPU


def test_an_exit_is_told(slot: pools.Slot) -> None:
    """A child that leaves with a code is told apart from one that a signal ended."""
    with pytest.raises(pools.ChildDied) as caught:
        slot.call(script(["exit", 7]), timeout=PATIENCE)

    assert (caught.value.exitcode, caught.value.signal_name) == (7, None)


def test_a_memory_limit_stays_with_its_child(slot: pools.Slot) -> None:
    """A limit that a child sets for itself does not outlive it."""
    answer = slot.call(script(["allocate", 1 << 30]), timeout=PATIENCE)
    with pytest.raises(pools.ChildDied):
        slot.call(script(["exit", 1]), timeout=PATIENCE)

    assert json.loads(answer) == "MemoryError"
    assert echo(slot, 1) == 1


@pytest.mark.parametrize("step", [["sleep", 3600], ["hold"]])
def test_a_call_that_overruns_is_killed(slot: pools.Slot, step: list[Any]) -> None:
    """The wall clock ends a call, whether or not the child's interpreter is free to notice."""
    before = facts(slot)["pid"]
    with pytest.raises(pools.Overran) as caught:
        slot.call(script(step), timeout=0.05)

    assert caught.value.timeout == 0.05
    assert eventually(lambda: not alive(before))
    assert facts(slot)["pid"] != before


def test_a_kill_ends_the_call(slot: pools.Slot) -> None:
    """Another thread ends a call that is being waited for."""
    call = slot.start(script(["sleep", 3600]))
    threading.Timer(0.05, call.kill).start()
    with pytest.raises(pools.Killed):
        call.wait(PATIENCE)

    assert echo(slot, 1) == 1


def test_a_kill_that_comes_late_hits_nobody(slot: pools.Slot) -> None:
    """After the end of its call a kill says no, and the child goes on with the next one."""
    done = slot.start(script(["answer", 1]))
    done.wait(PATIENCE)
    pid = slot.health().pid
    following = slot.start(script(["sleep", 0.1], ["facts"]))

    assert done.kill() is False
    assert json.loads(following.wait(PATIENCE))["pid"] == pid


def test_a_kill_at_the_moment_of_the_end_is_either_or(slot: pools.Slot) -> None:
    """However a kill meets the answer: the call is `Killed` if the kill said yes; the next one is safe."""
    for number in range(40):
        call = slot.start(script(["answer", number]))
        said: list[bool] = []
        killer = threading.Thread(target=lambda said=said, call=call: said.append(call.kill()))
        killer.start()
        try:
            outcome = json.loads(call.wait(PATIENCE))
        except pools.Killed:
            outcome = "killed"
        killer.join()

        assert outcome == ("killed" if said == [True] else number)
        assert echo(slot, "next") == "next"


def test_a_second_answer_is_not_taken_for_the_next_one(slot: pools.Slot) -> None:
    """A child that answered twice is replaced before the next call."""
    before = facts(slot)["pid"]
    slot.call(script(["answer", 1], ["answer", 2]), timeout=PATIENCE)
    time.sleep(0.1)  # for the second answer to arrive

    assert echo(slot, 3) == 3
    assert facts(slot)["pid"] != before


@pytest.mark.parametrize("text", ["ffffffff00", "7fffffff00", "00000064aabb"])
def test_an_answer_that_is_no_message_ends_the_call(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A negative length, an immense one and a message that stops half-way do not hang the caller."""
    monkeypatch.setattr(children, "STALL_LIMIT", 1)
    pool = pools.open_pool(ENTRY, 1)
    slot = pool.slot(0)
    with pytest.raises(pools.Garbled):
        slot.call(script(["raw", text], ["sleep", 3600]), timeout=PATIENCE)

    assert echo(slot, 1) == 1
    pool.close()


def test_a_child_that_drops_its_pipe_is_killed(monkeypatch: pytest.MonkeyPatch, slot: pools.Slot) -> None:
    """A pipe that ends while the process goes on is not waited for."""
    monkeypatch.setattr(pools, "DEATH_LIMIT", 0.2)
    before = facts(slot)["pid"]
    with pytest.raises(pools.Garbled):
        slot.call(script(["close"]), timeout=PATIENCE)

    assert eventually(lambda: not alive(before))


def test_big_messages_are_refused(slot: pools.Slot) -> None:
    """Neither side can send a program or a result through the pipe."""
    with pytest.raises(ValueError, match="bytes"):
        slot.call(b" " * (children.MESSAGE_LIMIT + 1), timeout=PATIENCE)
    with pytest.raises(pools.Garbled):
        slot.call(script(["fill", children.MESSAGE_LIMIT + 1]), timeout=PATIENCE)

    assert len(echo(slot, "x" * (children.MESSAGE_LIMIT - 100))) == children.MESSAGE_LIMIT - 100


def test_a_child_that_dies_idle_is_replaced(slot: pools.Slot) -> None:
    """Nobody needs to call for a death to be noticed."""
    before = facts(slot)["pid"]
    os.kill(before, signal.SIGKILL)

    assert eventually(lambda: slot.health().pid not in {None, before})
    assert slot.health().restarts == 1
    assert echo(slot, 1) == 1


def test_a_call_to_a_child_that_just_died_goes_to_the_next(slot: pools.Slot) -> None:
    """A death that nobody has noticed yet costs the caller nothing."""
    for _ in range(10):
        pid = facts(slot)["pid"]
        os.kill(pid, signal.SIGKILL)
        while alive(pid):
            pass

        assert echo(slot, 1) == 1


def test_the_death_of_the_fork_server_is_survived(slot: pools.Slot) -> None:
    """When the parent of all children is killed, its children end and new ones come."""
    before = facts(slot)["pid"]
    stat = Path(f"/proc/{before}/stat").read_text(encoding="ascii")
    call = slot.start(script(["hold"]))
    os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGKILL)
    with pytest.raises(pools.ChildDied):
        call.wait(PATIENCE)

    assert eventually(lambda: not alive(before))
    assert echo(slot, 1) == 1


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("import no_such_physics", "no_such_physics"),
        ("raise ValueError('the physics is out of order')", "the physics is out of order"),
        ("def warm_up(): raise OSError('still cold')\ndef serve(connection): ...", "still cold"),
        ("x = 1", "serve"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
    ],
)
def test_an_entry_that_does_not_load_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, hint: str
) -> None:
    """The caller gets the child's own words, and children are not started in a storm."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(pools, "BACKOFF", (3600.0, 3600.0))
    pool = pools.open_pool(write_entry(tmp_path, "broken_entry", text), 1)
    with pytest.raises(errors.Unavailable, match=hint) as caught:
        pool.slot(0).call(b"", timeout=PATIENCE)

    assert caught.value.code == 1011
    assert (pool.health()[0].state, pool.health()[0].restarts) == ("failing", 0)
    pool.close()


def test_an_entry_that_recovers_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slot tries again after a failure, and forgets the failure once a child is ready."""
    monkeypatch.syspath_prepend(tmp_path)
    name = write_entry(tmp_path, "late_entry", "import scripted_child_that_is_not_there")
    pool = pools.open_pool(name, 1)
    failed = eventually(lambda: pool.health()[0].state == "failing")
    write_entry(tmp_path, "late_entry", "from scripted_child import *")

    assert failed
    assert pool.slot(0).ready(PATIENCE)
    assert echo(pool.slot(0), 1) == 1
    assert pool.health()[0].problem is None
    pool.close()


def test_children_that_die_while_idle_are_not_restarted_in_a_storm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that ends as soon as it is ready counts as a failure for the pause before the next one."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(pools, "BACKOFF", (3600.0, 3600.0))
    trace = tmp_path / "trace"
    text = f"def serve(connection):\n    with open({str(trace)!r}, 'a') as file:\n        file.write('x')"
    pool = pools.open_pool(write_entry(tmp_path, "idle_entry", text), 1)
    assert eventually(trace.exists)
    time.sleep(0.5)  # in which a storm would leave more traces

    assert trace.read_text(encoding="ascii") == "x"
    assert pool.health()[0].restarts == 0
    pool.close()


def test_a_child_that_has_grown_is_replaced(monkeypatch: pytest.MonkeyPatch, slot: pools.Slot) -> None:
    """Between two calls, which both are answered; what it held is free again."""
    monkeypatch.setattr(pools, "GROWTH", 32 << 20)
    before = facts(slot)["pid"]
    answer = slot.call(script(["keep", 64 << 20], ["answer", "kept"]), timeout=PATIENCE)

    assert json.loads(answer) == "kept"
    assert eventually(lambda: not alive(before))
    assert slot.health().restarts == 1
    assert facts(slot)["pid"] != before


def test_a_child_that_needed_much_memory_and_freed_it_stays(monkeypatch: pytest.MonkeyPatch, slot: pools.Slot) -> None:
    """What counts is what it still holds when it has answered."""
    monkeypatch.setattr(pools, "GROWTH", 32 << 20)
    before = facts(slot)["pid"]
    slot.call(script(["fill_and_free", 64 << 20], ["answer", 1]), timeout=PATIENCE)

    assert facts(slot)["pid"] == before
    assert slot.health().restarts == 0


def test_a_child_that_has_worked_for_long_is_replaced(monkeypatch: pytest.MonkeyPatch, slot: pools.Slot) -> None:
    """After so many calls, again and again, and no call is lost."""
    monkeypatch.setattr(pools, "CALLS", 3)
    pids: set[int] = set()

    def others() -> bool:
        pids.add(facts(slot)["pid"])
        return len(pids) >= 3

    assert eventually(others)
    assert slot.health().problem is None


def test_a_child_serves_until_its_successor_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job does not wait for the replacement of the child that does it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(pools, "CALLS", 1)
    gate = tmp_path / "gate"
    gate.touch()
    text = "import pathlib, time\nfrom scripted_child import *\ndef warm_up():\n"
    text += f"    while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)\n"
    pool = pools.open_pool(write_entry(tmp_path, "slow_entry", text), 1)
    slot = pool.slot(0)
    assert slot.ready(PATIENCE)
    gate.unlink()
    pids = {facts(slot)["pid"] for _ in range(5)}
    running = slot.start(script(["sleep", 0.5], ["facts"]))
    gate.touch()
    assert json.loads(running.wait(PATIENCE))["pid"] in pids

    assert len(pids) == 1
    assert eventually(lambda: not any(alive(pid) for pid in pids))
    assert echo(slot, 1) == 1
    pool.close()


def test_a_child_dies_while_its_successor_starts(monkeypatch: pytest.MonkeyPatch, slot: pools.Slot) -> None:
    """There is one child again, and one thread that looks after it."""
    monkeypatch.setattr(pools, "CALLS", 1)
    for _ in range(5):
        echo(slot, 1)
        with pytest.raises(pools.ChildDied):
            slot.call(script(["exit", 1]), timeout=PATIENCE)
    monkeypatch.setattr(pools, "CALLS", 1000)

    assert echo(slot, 2) == 2
    assert eventually(lambda: sum(thread.name == "pool-slot-0" for thread in threading.enumerate()) == 1)


def test_closing_while_a_successor_starts_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both children end, and their threads."""
    monkeypatch.setattr(pools, "CALLS", 1)
    before = threading.active_count()
    pool = pools.open_pool(ENTRY, 1)
    pid = facts(pool.slot(0))["pid"]
    pool.close()

    assert not alive(pid)
    assert threading.active_count() == before


def test_a_child_loads_nothing_of_the_server(slot: pools.Slot) -> None:
    """The server's application is not imported again in its children."""
    modules = facts(slot)["modules"]

    assert ENTRY in modules
    assert not {"chandelier.app", "chandelier.cli", "starlette", "sqlalchemy", "typer"} & set(modules)


def test_nothing_leaks(slot: pools.Slot) -> None:
    """After many deaths there are as many open files and threads as before."""

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    echo(slot, 1)
    files, threads = open_files(), threading.active_count()
    for _ in range(30):
        call = slot.start(script(["sleep", 3600]))
        call.kill()
        with pytest.raises(pools.Killed):
            call.wait(PATIENCE)
    echo(slot, 1)

    assert eventually(lambda: open_files() == files)
    assert threading.active_count() == threads


def test_closing_ends_calls_and_children() -> None:
    """After `close` no child is left, the call that ran is `Killed` and no other begins."""
    pool = pools.open_pool(ENTRY, 2)
    pids = [facts(pool.slot(index))["pid"] for index in range(2)]
    call = pool.slot(0).start(script(["hold"]))
    pool.close()
    pool.close()

    with pytest.raises(pools.Killed):
        call.wait(PATIENCE)
    with pytest.raises(errors.Unavailable):
        pool.slot(1).call(b"", timeout=PATIENCE)
    assert not any(alive(pid) for pid in pids)
    assert {slot.state for slot in pool.health()} == {"closed"}


def test_closing_during_the_start_is_clean() -> None:
    """A pool may be closed before its children are ready."""
    before = threading.active_count()
    pools.open_pool(ENTRY, 2).close()

    assert threading.active_count() == before


SERVER = """
import json, sys, time
from chandelier import children, errors, pools
if __name__ == "__main__":
    pool = pools.open_pool(sys.argv[1], 3)
    try:
        found = [json.loads(pool.slot(index).call(b'[["facts"]]', timeout=30)) for index in range(3)]
        pool.slot(0).start(b'[["hold"]]')
    except errors.Unavailable as error:
        found = error.message
    print(json.dumps(found), flush=True)
    if sys.argv[2] == "wait":
        time.sleep(3600)
"""


def start_server(folder: Path, entry: str, mode: str, text: str = SERVER) -> "subprocess.Popen[str]":
    """Start a process of its own that opens a pool, and prints what its children answer."""
    path = folder / "server.py"
    path.write_text(text, encoding="utf-8")
    search = os.pathsep.join([str(folder), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, path, entry, mode],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PYTHONPATH": search, "PATH": os.defpath},
        start_new_session=True,
    )


def session_of(leader: int) -> set[int]:
    """Return the processes of a session that run."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text(encoding="ascii", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = stat.rpartition(")")[2].split()
        if int(fields[3]) == leader and fields[0] != "Z":
            found.add(int(folder.name))
    return found


def test_children_do_not_outlive_a_killed_server(tmp_path: Path) -> None:
    """When the server is killed all its processes vanish: idle ones, busy ones and the fork server."""
    server = start_server(tmp_path, ENTRY, "wait")
    assert server.stdout is not None
    pids = {child["pid"] for child in json.loads(server.stdout.readline())}
    assert pids < session_of(server.pid)
    server.kill()
    server.communicate()

    assert eventually(lambda: not session_of(server.pid))


def test_a_server_that_forgets_to_close_still_ends(tmp_path: Path) -> None:
    """The end of the interpreter ends the pool, a busy child included."""
    server = start_server(tmp_path, ENTRY, "leave")
    output, _ = server.communicate(timeout=PATIENCE)

    assert len(json.loads(output)) == 3
    assert server.returncode == 0
    assert eventually(lambda: not session_of(server.pid))


def test_the_entry_is_imported_once_for_all_children(tmp_path: Path) -> None:
    """Children are forked from one process that has loaded the entry module."""
    output, _ = start_server(tmp_path, ENTRY, "leave").communicate(timeout=PATIENCE)
    children = json.loads(output)

    assert len({child["pid"] for child in children}) == 3
    assert len({child["imported_by"] for child in children}) == 1
    assert not {child["imported_by"] for child in children} & {child["pid"] for child in children}


def test_what_is_prepared_is_used(tmp_path: Path) -> None:
    """The fork server that `prepare` starts loads the entry, and the children of a later pool come from it."""
    text = SERVER.replace(
        "pool = pools.open_pool",
        "from chandelier import children\n    children.prepare(sys.argv[1])\n    pool = pools.open_pool",
    )
    output, _ = start_server(tmp_path, ENTRY, "leave", text).communicate(timeout=PATIENCE)
    children_ = json.loads(output)

    assert len({child["imported_by"] for child in children_}) == 1
    assert not {child["imported_by"] for child in children_} & {child["pid"] for child in children_}


@pytest.mark.parametrize("end", ["raise ValueError('out of order')", "import sys; sys.exit('out of order')"])
def test_an_entry_that_ends_the_fork_server_is_told(tmp_path: Path, end: str) -> None:
    """What goes wrong while the entry module is loaded beforehand is told as well."""
    server = start_server(tmp_path, write_entry(tmp_path, "deadly_entry", end), "leave")
    output, _ = server.communicate(timeout=PATIENCE)

    assert "deadly_entry" in output
    assert "out of order" in output
